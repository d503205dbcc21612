# SPDX-License-Identifier: EUPL-1.2
"""Nodes of every profile, the real firmware on a simulated board: what they deliver is what is there."""

import pytest

from decoders.lorawan.gps_time import gps_from_unix
from simulators.city import START_UNIX_S, small_jena
from simulators.clock import HOUR_US
from simulators.device import Device
from simulators.nodes import alone, world_of
from simulators.small_network import SmallNetwork
from simulators.vehicles import Kind

GPS_0 = gps_from_unix(START_UNIX_S)
LIGHT = (Kind.BICYCLE, Kind.PEDESTRIAN)


def lived(profile, hours):
    """(samples by microsecond of the simulation, complaints) of a node after so many hours."""
    key = bytes(range(16))
    with Device(
        "024a454e41ffff01", "024a454e41000000", key, interval_s=3600, profile=profile, world=alone(profile, 1), seed=3
    ) as device:
        network = SmallNetwork(device, key, seed=3, gps_at_0=GPS_0)
        device.on_transmit = network.heard
        device.power_on()
        device.run_until(round(hours * HOUR_US))
        samples = {(at - GPS_0) * 1_000_000: sample for at, sample in network.samples.items()}
        return dict(sorted(samples.items())), device.node.complaints()


@pytest.fixture(scope="module")
def eight_hours_of_air():
    return lived("air", 8)


class TestAirNode:
    def test_delivers_a_sample_an_hour_and_nothing_complains(self, eight_hours_of_air):
        samples, complaints = eight_hours_of_air

        assert complaints == []
        assert len(samples) >= 8

    def test_what_it_delivers_is_the_air_around_it(self, eight_hours_of_air):
        samples, _ = eight_hours_of_air
        jena = small_jena(1, 1, air=1)
        around = jena.surroundings(jena.stations[0])

        for at_us, sample in list(samples.items())[1:]:
            truth = around.air(at_us)
            assert sample.faults == {}
            # the sensor's noise, and half a minute of gusts between switching on and reading
            assert sample.values["pm2_5"] == pytest.approx(truth.pm2_5, rel=0.15, abs=1.0)
            assert sample.values["air_temperature"] == pytest.approx(truth.air_temperature, abs=1.5)
            assert sample.values["relative_humidity"] == pytest.approx(truth.relative_humidity, abs=6)
            assert sample.values["air_pressure"] == pytest.approx(truth.air_pressure, abs=2)
            assert sample.values["co2"] == pytest.approx(truth.co2, abs=45)


class TestTrafficNode:
    def test_counts_who_crosses_its_tubes(self):
        """By night and into the morning's rush; who passes while two meet on the tubes may be missed."""
        samples, complaints = lived("traffic", 7)
        world = world_of(small_jena(1, 1, traffic=1), 1)
        assert world.probes == ("tubes",)
        passed = 0
        times = list(samples)
        for vehicle in world.vehicles:
            if vehicle.time_us >= times[-1]:
                break
            passed += vehicle.time_us >= times[0] and vehicle.kind not in LIGHT

        counted = [sample.values for at, sample in samples.items() if at > times[0]]
        total = sum(n for values in counted for name, n in values.items() if name.startswith("vehicle_count") and n)

        assert complaints == []
        assert passed > 40
        assert total == pytest.approx(passed, rel=0.1)
