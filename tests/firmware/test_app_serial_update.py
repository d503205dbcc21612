# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships, updated over the cable: it is sent, tried and kept, and the node goes on where it was."""

import pytest

from hardware.update_session import Session, Stage
from simulators.flash import Flash
from tests.firmware import heltec_bench
from tests.firmware.console_rig import Console
from tests.firmware.heltec_bench import IDENTITY_BIN
from tests.firmware.test_app_update import SPEAKS, second_version
from tests.firmware.update_rig import KEY, start_records, written

FROM_FILES_TOO = "72wK"  # what a trial needs (firmware/README.md, "Updates")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("update")


@pytest.fixture(scope="module")
def bundle(folder):
    return second_version(folder)


@pytest.fixture
def street(street, tmp_path, monkeypatch):
    """Makes a street whose node has a laptop at its console."""

    def make(heap):
        flash = Flash(192)
        flash.restore(written(tmp_path, {"/data/identity.bin": IDENTITY_BIN, "/data/update_key.bin": KEY}, blocks=192))
        monkeypatch.setattr(heltec_bench, "provisioned_flash", lambda _: flash)
        return street(heap=heap, console=Console)

    return make


def updated(street, bundle):
    """The node has joined and sent; a technician plugs the cable in, calls and presses reset."""
    node = street.node
    node.power_on()
    street.run(120)
    session = Session(bundle, street.tree.console.now_s)
    street.tree.console.connect(session)
    node.power_off()
    node.power_on()
    street.kernel.run_until(
        street.clock.now_us + 120_000_000, lambda: session.stage is Stage.DONE or street.tree.console.session is None
    )
    return session


class TestUpdateOverTheCable:
    def test_a_heap_of_64_kb_is_enough_to_take_and_check_and_install_it(self, street, bundle):
        one = street("64wK")

        session = updated(one, bundle)

        assert (one.tree.console.failure, session.installed) == (None, 2)
        assert "Error" not in one.node.console()

    def test_the_new_version_is_tried_and_kept_at_the_first_answered_uplink(self, street, bundle, folder):
        one = street(FROM_FILES_TOO)
        session = updated(one, bundle)
        before = len(one.f_cnts())

        one.run(3 * 3600)

        assert session.installed == 2
        said = [line for line in one.node.console().splitlines() if not line.startswith("~")]
        assert set(said) == {SPEAKS}
        counters = one.f_cnts()
        assert len(one.network.join_requests) == 1
        assert len(counters) >= before + 3
        assert counters == sorted(set(counters))
        one.node.power_off()
        # the second folder is active, nothing on trial
        assert "02000000000000" in start_records(folder, one.node.flash.image())
