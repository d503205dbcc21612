# SPDX-License-Identifier: EUPL-1.2
"""What a node says next, and every reading that it gives up is counted."""

import shutil
import struct

import pytest

from decoders.layouts.tree import LAYOUT as TREE
from decoders.payload_reader import read
from firmware import reports, sample
from firmware.history import History
from firmware.settings import Settings
from firmware.state import SENT, Memory

NOW_S = 10_000_000


@pytest.fixture
def node(tmp_path):
    """A node that nobody tells the time: (memory, settings, history)."""
    memory = Memory()
    memory.unanswered = 4
    return memory, Settings(str(tmp_path), 900), History(str(tmp_path))


def sampled(node, *times_s):
    memory, settings, history = node
    for time_s in times_s:
        values = {"soil_moisture": time_s * 7_919 % 6_000, "battery_voltage": 3_300}
        sample.keep(memory, "tree", settings, history, time_s, values, True)


def sent(node, room):
    memory, settings, history = node
    report = reports.choose(memory, settings, history, "tree", room, NOW_S, True, False)
    report.noted(memory, history, NOW_S)
    return report


class TestFlash:
    def test_a_sample_that_flash_refuses_is_counted_as_lost(self, node, tmp_path):
        sampled(node, NOW_S)
        assert node[0].counters.readings_lost == 0
        shutil.rmtree(tmp_path)

        sampled(node, NOW_S + 900)

        assert node[0].counters.readings_lost == 1


class TestWithoutTime:
    def test_what_goes_out_once_is_not_lost(self, node):
        sampled(node, NOW_S - 1_800, NOW_S - 900, NOW_S)

        report = sent(node, 200)

        assert [sample.time for sample in read(TREE, report.payload).samples] == [0, -900, -1_800]
        assert node[0].counters.readings_lost == 0
        assert node[2].newest(9, local=True)[1] == []

    def test_what_has_no_room_or_is_older_than_18_hours_is_counted_as_lost(self, node):
        sampled(node, NOW_S - 65_536, *range(NOW_S - 39 * 900, NOW_S + 1, 900))

        report = sent(node, 40)

        in_it = len(read(TREE, report.payload).samples)
        assert 1 <= in_it < 40
        assert node[0].counters.readings_lost == 41 - in_it

    def test_an_uplink_without_room_for_any_gives_none_up(self, node):
        sampled(node, NOW_S - 900, NOW_S)

        assert sent(node, 3).payload == b""

        assert len(node[2].newest(9, local=True)[1]) == 2
        assert node[0].counters.readings_lost == 0


@pytest.fixture
def dated(tmp_path):
    """A node that knows the time and has no diagnostics to send."""
    memory = Memory()
    memory.time_known = True
    memory.next_diagnostics_local_s = 1 << 31
    return memory, Settings(str(tmp_path), 900), History(str(tmp_path))


class TestAfterAWinterInTheDepot:
    """A message can tell gaps of 12 days (decoders/payload.py: 20 bits of seconds)."""

    def taken(self, dated, *times_s):
        memory, settings, history = dated
        for time_s in times_s:
            sample.keep(memory, "tree", settings, history, time_s, {"soil_moisture": time_s % 2_000}, False)

    @pytest.mark.parametrize("days", [12, 13, 30, 200])
    def test_every_sample_is_sent_with_its_own_time(self, dated, days):
        before = [NOW_S + n * 900 for n in (-2_881, -2_880, 0, 1, 2)]  # 30 days lie between the first ones, too
        after = [NOW_S + days * 86_400 + n * 900 for n in range(2)]
        self.taken(dated, *before, *after)
        memory, settings, history = dated
        told = {}

        for sampled in (True, False, False, False):
            memory.kept = int(sampled)
            report = reports.choose(memory, settings, history, "tree", 200, NOW_S, sampled, False)
            message = read(TREE, report.payload)
            told.update({sample.time: sample.values["soil_moisture"] for sample in message.samples})
            memory.sent = struct.pack(SENT, report.kind, report.before_s, report.oldest_s, report.newest_s)
            reports.arrived(memory, NOW_S)
            if not memory.delivery.wants():
                break

        assert told == {time_s: (time_s % 2_000 // 5 * 5) / 100 for time_s in before + after}
        assert memory.delivery.known_s == after[-1]


class TestReadings:
    def report(self, dated, count, known=0, interval_s=900):
        """Of ``count`` samples, 900 s apart and up to NOW_S, of which the gateway has the first ``known``."""
        memory, settings, history = dated
        settings.interval_s = interval_s
        times = [NOW_S - n * 900 for n in reversed(range(count))]
        for time_s in times:
            sample.keep(memory, "tree", settings, history, time_s, {"soil_moisture": 2_000}, False)
        if known:
            memory.delivery.known_s = times[known - 1]
        return sent(dated, 200)

    @pytest.mark.parametrize(("interval_s", "samples"), [(900, 16), (600, 24), (3_600, 8), (14_400, 8)])
    def test_they_cover_four_hours_and_are_eight_at_least(self, dated, interval_s, samples):
        report = self.report(dated, 30, interval_s=interval_s)

        assert len(read(TREE, report.payload).samples) == samples
        assert report.before_s == NOW_S - samples * 900

    @pytest.mark.parametrize(("known", "asks"), [(0, True), (4, True), (5, True), (6, False), (14, False)])
    def test_it_asks_when_two_thirds_are_not_known_to_have_arrived(self, dated, known, asks):
        """16 of 16, 12, 11, 10 and 2."""
        assert self.report(dated, 16, known=known).asks is asks

    def test_what_is_sent_is_kept_no_more(self, dated):
        dated[0].kept = 3

        self.report(dated, 2)

        assert dated[0].kept == 0

    def test_an_answer_that_has_no_room_waits(self, dated):
        dated[0].answer = bytes(30)

        assert sent(dated, 29).f_port != 21
        assert sent(dated, 30).f_port == 21


class TestDiagnostics:
    def test_they_are_told_again_after_six_hours_until_they_have_arrived_and_then_after_a_week(self, node):
        memory = node[0]
        memory.unanswered = 0
        memory.counters.sensor_faults = 4

        report = sent(node, 100)
        again_s = memory.next_diagnostics_local_s
        memory.sent = struct.pack(SENT, report.kind, 0, 0, 0)
        reports.arrived(memory, NOW_S + 60)
        told, memory.counters.sensor_faults = memory.counters.sensor_faults, 1
        reports.arrived(memory, NOW_S + 120)

        assert again_s == NOW_S + 6 * 3_600
        assert memory.next_diagnostics_local_s == NOW_S + 60 + 7 * 86_400
        assert (told, memory.counters.sensor_faults) == (0, 1)
