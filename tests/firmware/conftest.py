# SPDX-License-Identifier: EUPL-1.2
"""Streets for the tests of the whole node; their processes end with the test."""

import pytest

from tests.firmware.heltec_bench import Street, identity_of


@pytest.fixture
def street(tmp_path):
    """Makes streets, each with its node switched off."""
    made = []

    def make(**options):
        made.append(Street(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.kernel.close()


@pytest.fixture
def begun(street):
    """Makes streets whose node measures every ``interval_s`` and has just been switched on."""

    def make(interval_s=3600, **options):
        one = street(identity=identity_of(interval_s), **options)
        one.node.power_on()
        return one

    return make
