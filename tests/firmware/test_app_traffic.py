# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships on a traffic node, which never sleeps deeply: what must not silence it."""

import pytest

from decoders.layouts.diagnostics import LAYOUT as DIAGNOSTICS
from decoders.layouts.traffic import LAYOUT as TRAFFIC
from decoders.payload_reader import read
from decoders.settings import F_PORT
from decoders.settings_message import Answer, decode, encode
from firmware import profile
from simulators.node_states import Moment
from simulators.traffic_node import TrafficNode
from tests.firmware import heltec_bench
from tests.firmware.heltec_bench import identity_of
from tests.firmware.other_profile import measures

INTERVAL_S = 900
LISTENING_CRASHES = """
def listen(board, profile, settings):
    raise ValueError("no radar")
"""


def traffic_node(clock, air, firmware, _truth, kind, *, noise_percent, **options):
    return TrafficNode(clock, air, firmware, iter(()), kind, **options)


@pytest.fixture
def street(tmp_path, monkeypatch):
    """A traffic node that has been counting for an hour."""
    monkeypatch.setattr(heltec_bench, "TreeNode", traffic_node)
    identity = identity_of(INTERVAL_S, profile="traffic")
    street = heltec_bench.Street(tmp_path, identity=identity, files=True)
    street.node.power_on()
    street.run(3600)
    yield street
    street.kernel.close()


def ports(street):
    return [fields["FPort"] for _, fields in street.network.heard_uplinks]


def told(street, *changes):
    """Answer the next uplink with settings and nothing else."""
    street.network.tells(F_PORT, encode(1, TRAFFIC, list(changes)))


def answers(street):
    frames = [fields["FRMPayload"] for _, fields in street.network.heard_uplinks if fields["FPort"] == F_PORT]
    return [decode(TRAFFIC, frame) for frame in frames]


def last_fields(street):
    """Of the newest sample of the last report."""
    frames = [fields["FRMPayload"] for _, fields in street.network.heard_uplinks if fields["FPort"] == TRAFFIC.f_port]
    sample = read(TRAFFIC, frames[-1]).samples[0]
    return {**sample.values, **sample.faults}


class TestSettings:
    @pytest.mark.parametrize("mask", [1 << 7, 1 << 31, (1 << 10) + 1])
    def test_a_probe_that_does_not_count_all_the_time_is_refused(self, street, mask):
        told(street, ("probes", mask))
        street.run(3 * INTERVAL_S)

        assert answers(street)[0] == (1, [Answer("probes", "out_of_range", (0,))])
        assert street.node.console() == ""

    def test_other_probes_count_from_then_on_without_a_new_start(self, street):
        assert "vehicle_count_approaching_slow" in last_fields(street)
        told(street, ("probes", 1 << profile.PROBES.index("loop")))
        street.run(3 * INTERVAL_S)

        assert answers(street)[0] == (1, [Answer("probes", "done", (1 << 13,))])
        assert "vehicle_count" in last_fields(street)
        assert "vehicle_count_approaching_slow" not in last_fields(street)
        assert sum(street.node.statistics.boots.values()) == 1
        assert street.node.console() == ""

    @pytest.mark.parametrize(("change", "restarts"), [(("slow_below_kmh", 20), 1), (("history", 3), 0)])
    def test_the_radar_begins_anew_for_what_concerns_it_only(self, street, change, restarts):
        edges = []
        street.tree.sensor_power.watch(edges.append)
        told(street, change)
        street.run(3 * INTERVAL_S)

        assert answers(street)[0] == (1, [Answer(change[0], "done", (change[1],))])
        assert edges == [0, 1] * restarts
        assert last_fields(street)["vehicle_count_approaching_slow"] == 0
        assert sum(street.node.statistics.boots.values()) == 1

    def test_safe_mode_begins_at_once_and_ends_when_told(self, street):
        told(street, ("safe_mode", 1))
        street.run(3 * INTERVAL_S)
        safe = ports(street)[-2:]
        told(street, ("safe_mode", 0))
        street.run(3 * INTERVAL_S)

        assert safe == [DIAGNOSTICS.f_port] * 2
        assert ports(street)[-1] == TRAFFIC.f_port
        assert street.node.console() == ""


class TestListening:
    def test_it_never_sleeps_lightly_while_it_counts_not_even_in_the_delays_of_an_exchange(self, street):
        slept, notice = [], street.node.notice
        street.node.notice = lambda moment: (slept.append(moment), notice(moment))
        before = len(ports(street))
        street.run(3 * INTERVAL_S)

        assert len(ports(street)) >= before + 3
        assert Moment.LIGHT_SLEEP not in slept


class TestCrashes:
    def test_a_node_that_crashes_whenever_it_listens_still_hears_the_network_in_safe_mode(self, street, tmp_path):
        assert ports(street)[-2:] == [TRAFFIC.f_port] * 2
        measures(tmp_path, 'return {"battery_voltage": 3900}', "traffic", LISTENING_CRASHES)
        street.node.power_off()
        street.node.power_on()
        before = len(ports(street))
        street.run(12 * 3600)

        crashes = street.node.console().count("no radar")
        safe = ports(street)[before:].count(DIAGNOSTICS.f_port)
        assert safe >= 8
        assert crashes <= 5 + safe
