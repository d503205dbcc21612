# SPDX-License-Identifier: EUPL-1.2
"""Never a single vehicle's record: what leaves a driver are interval counts, and nothing else is left inside it.

Two drivers that saw two different vehicles of the same class must end up in the same state, to the last byte.
"""

from array import array
from typing import Any

import pytest

from firmware.sensors import ld2451, ops243, tubes
from firmware.sensors.ld2451 import Ld2451
from firmware.sensors.ops243 import Ops243
from firmware.sensors.pulses import BikeLoop, Loop, Pir
from firmware.sensors.tubes import TubePair
from simulators.vehicles import Direction, Vehicle
from tests.firmware.sensors.ld2451_rig import EMPTY, passing
from tests.firmware.sensors.ld2451_rig import Script as Reports
from tests.firmware.sensors.ops243_behaviours import Script as Lines
from tests.firmware.sensors.ops243_behaviours import coming
from tests.firmware.sensors.pulses_rig import Contact, Tubes

_TIMES = ("_ms", "_us", "_epoch")  # when something was last heard: of the line, not of a vehicle


def state(thing: Any) -> Any:
    """Everything that can be reached from a driver, but for its bus, its clock and its times."""
    if isinstance(thing, (int, str, bytes, bytearray, float, type(None))):
        return thing
    if isinstance(thing, (list, tuple, array)):
        return [state(item) for item in thing]
    if type(thing).__module__.startswith("firmware."):
        kept = vars(thing).items()
        return {name: state(value) for name, value in kept if not name.endswith(_TIMES)}
    return type(thing).__name__


class TestWhatIsLeft:
    def test_of_a_vehicle_before_an_ld2451(self) -> None:
        left = []
        for kmh in (41, 47):
            line = Reports(ld2451).configured()
            frames = passing(kmh, 1)
            line.reports(frames + [EMPTY] * (220 - len(frames)))
            left.append((state(line.driver), line.read()))

        assert left[0] == left[1]
        assert left[0][1] == [0, 1, 0, 0, 0, 0]

    def test_of_a_vehicle_before_an_ops243(self) -> None:
        left = []
        for kmh in (41.0, 47.0):
            line = Lines(ops243).configured()
            line.reports(coming(kmh) + ["0.0"] * 40)
            left.append((state(line.driver), line.read()))

        # the last line as it came is overwritten by the next ones; the chunk it came in was read before
        for driver, _ in left:
            del driver["_chunk"], driver["_line"]
        assert left[0] == left[1]
        assert left[0][1] == [0, 1, 0, 0, 0, 0]

    def test_of_a_vehicle_on_tubes(self) -> None:
        left = []
        for kmh in (41.0, 47.0):
            pair = Tubes(tubes, [Vehicle(20_000_000, kmh, Direction.APPROACHING)], bounces=0)
            pair.run(120)
            left.append((state(pair.driver), pair.read()))

        assert left[0] == left[1]
        assert left[0][1] == [0, 1, 0, 0, 0, 0]

    def test_of_somebody_at_a_contact(self) -> None:
        left = []
        for closed_s in (0.4, 0.8):
            contact = Contact(tubes)
            contact.pulse(closed_s, 3.0 - closed_s)
            left.append((state(contact.driver), contact.read()))

        assert left[0] == left[1]
        assert left[0][1] == 1


@pytest.mark.parametrize("driver", [Ld2451, Ops243, TubePair, Pir, Loop, BikeLoop])
def test_a_driver_offers_nothing_but_counts(driver: type) -> None:
    public = {name for name in dir(driver) if not name.startswith("_")}

    assert public == {"QUANTITIES", "start", "poll", "read", "stop"}
