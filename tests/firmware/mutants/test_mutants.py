# SPDX-License-Identifier: EUPL-1.2
"""The drivers' tests have teeth: every driver broken on purpose fails at least one behaviour, for the right reason."""

import traceback
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import pytest

from tests.firmware import link_behaviours, tracking_behaviours
from tests.firmware.mutants import link, sx1262, tracking
from tests.firmware.mutants.loading import Mutant, broken, load, sources
from tests.firmware.radio import sx1262_behaviours


class Driver(NamedTuple):
    table: ModuleType
    suite: ModuleType


# mutants/<name>.py and sensors/<name>_behaviours.py
SENSORS = (
    "bme280",
    "ds18b20",
    "onboard",
    "ld2451",
    "ops243",
    "pulses",
    "scd41",
    "sdi12",
    "sds011",
    "sen55",
    "smt100",
    "smt50",
    "sps30",
    "watermark",
)
DRIVERS = (
    *(
        Driver(
            import_module(f"tests.firmware.mutants.{name}"), import_module(f"tests.firmware.sensors.{name}_behaviours")
        )
        for name in SENSORS
    ),
    Driver(sx1262, sx1262_behaviours),
    Driver(link, link_behaviours),
    Driver(tracking, tracking_behaviours),
)
CASES = [(driver, mutant) for driver in DRIVERS for mutant in driver.table.MUTANTS]


def name(driver: Driver) -> str:
    return driver.table.__name__.rpartition(".")[2]


def first_failure(driver: Driver, texts: dict[str, str]) -> str | None:
    """Run the suite on the driver made of ``texts``; say how it first failed, or None.

    Only a failed assertion and the driver's own fault count: a mutant that merely cannot run proves nothing.
    """
    module = load(texts)
    counted = (AssertionError, getattr(module, "RadioFault", AssertionError))
    for behaviour in driver.suite.BEHAVIOURS:
        try:
            behaviour(module)
        except counted as failure:
            *_, raised = traceback.walk_tb(failure.__traceback__)
            assert "/simulators/" not in raised[0].f_code.co_filename, "the simulator broke, not the behaviour"
            return f"{behaviour.__name__}: {failure}"
    return None


@pytest.mark.parametrize("driver", DRIVERS, ids=name)
def test_the_whole_driver_passes(driver: Driver) -> None:
    assert first_failure(driver, sources(*driver.table.MODULES)) is None


@pytest.mark.parametrize(
    ("driver", "mutant"), CASES, ids=[f"{name(driver)}: {mutant.name}" for driver, mutant in CASES]
)
def test_the_broken_driver_fails(driver: Driver, mutant: Mutant) -> None:
    texts = broken(sources(*driver.table.MODULES), mutant)

    failure = first_failure(driver, texts)

    assert failure is not None, "the mutant survives"


@pytest.mark.parametrize("driver", DRIVERS, ids=name)
def test_there_are_enough_mutants_and_no_name_twice(driver: Driver) -> None:
    names = [mutant.name for mutant in driver.table.MUTANTS]

    assert len(names) >= 24
    assert len(set(names)) == len(names)
