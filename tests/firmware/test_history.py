# SPDX-License-Identifier: EUPL-1.2
"""The ring of samples on flash: what comes back, what is given up, what a damaged file costs."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.history import KEPT_SAMPLES, History

MASK = 0b1011
GPS_S = 1_441_432_466


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path)


def filled(folder, count, gap_s=900, mask=MASK):
    history = History(folder)
    for n in range(count):
        history.append(GPS_S + n * gap_s, mask, [n & 0xFFFF, 1, 65_528])
    return history


class TestRing:
    def test_the_newest_come_first(self, folder):
        mask, samples = filled(folder, 5).newest(3)

        assert mask == MASK
        assert samples == [(GPS_S + n * 900, (n, 1, 65_528)) for n in (4, 3, 2)]

    def test_it_holds_14_days_at_15_minutes_and_forgets_what_is_older(self, folder):
        history = filled(folder, 3 * KEPT_SAMPLES)

        _, samples = history.newest(100_000)

        assert KEPT_SAMPLES == 14 * 24 * 4
        assert KEPT_SAMPLES <= len(samples) < KEPT_SAMPLES * 3 // 2
        newest = [n & 0xFFFF for n in range(3 * KEPT_SAMPLES)][::-1]
        assert [values[0] for _, values in samples] == newest[: len(samples)]

    def test_it_holds_14_days_also_if_power_fails_every_day(self, folder):
        history = History(folder)
        for day in range(30):
            history.append(0, MASK, [day, 1, 2], local=True)
            history.stamp(GPS_S + day * 96 * 900, 0)
            for n in range(1, 96):
                history.append(GPS_S + (day * 96 + n) * 900, MASK, [day, 1, 2])

        _, samples = history.newest(100_000)

        assert KEPT_SAMPLES <= len(samples) < KEPT_SAMPLES * 3 // 2
        assert [time for time, _ in samples] == [GPS_S + n * 900 for n in range(30 * 96)][::-1][: len(samples)]

    def test_between_gives_the_oldest_or_the_newest_of_a_range(self, folder):
        history = filled(folder, 1000)

        oldest = history.between(GPS_S + 9 * 900, GPS_S + 700 * 900, 3, oldest=True)[1]
        newest = history.between(GPS_S + 9 * 900, GPS_S + 700 * 900, 3)[1]

        assert [values[0] for _, values in oldest] == [12, 11, 10]
        assert [values[0] for _, values in newest] == [699, 698, 697]
        assert history.between(GPS_S, GPS_S + 900, 3) == (0, [])

    def test_the_oldest_of_a_range_come_in_order_from_file_to_file(self, folder):
        history = filled(folder, 700)  # 340 in a file

        oldest = history.between(GPS_S + 337 * 900, GPS_S + 699 * 900, 6, oldest=True)[1]

        assert [values[0] for _, values in oldest] == [343, 342, 341, 340, 339, 338]

    def test_no_file_is_longer_than_a_block_of_flash(self, folder):
        history = filled(folder, 700)

        assert {os.stat(history._name(number)).st_size for number in (0, 1)} == {7 + 340 * 12}
        assert 7 + 341 * 12 > 4_096

    def test_samples_of_other_fields_are_never_mixed(self, folder):
        history = filled(folder, 3)
        history.append(GPS_S + 10_000, 1, [7])

        assert history.newest(10) == (1, [(GPS_S + 10_000, (7,))])
        assert len(history.between(0, GPS_S + 10_000, 10)[1]) == 3

    def test_file_numbers_wrap_round(self, folder):
        history = filled(folder, 1)
        (tmp := history._name(0xFFFF))
        os.rename(history._name(0), tmp)
        for n in range(1, 600):
            history.append(GPS_S + n * 900, MASK, [n, 1, 2])

        assert [values[0] for _, values in history.newest(600)[1]] == list(range(599, -1, -1))

    @given(gaps=st.lists(st.integers(1, 100_000), min_size=1, max_size=40), most=st.integers(1, 50))
    @settings(max_examples=30)
    def test_whatever_is_appended_is_there(self, tmp_path_factory, gaps, most):
        history = History(str(tmp_path_factory.mktemp("h")))
        times, time_s = [], 1000
        for gap in gaps:
            time_s += gap
            times.append(time_s)
            history.append(time_s, 0b11, [gap & 0xFFFF, 5])

        assert [time for time, _ in history.newest(most)[1]] == times[::-1][:most]


class TestBeforeTheTimeIsKnown:
    def test_samples_get_their_time_later_and_are_there_once(self, folder):
        history = History(folder)
        history.append(100, MASK, [1, 2, 3], local=True)
        history.append(1000, MASK, [4, 5, 6], local=True)
        assert history.newest(9) == (0, [])
        assert len(history.newest(9, local=True)[1]) == 2

        assert history.stamp(GPS_S, 0) == 2

        assert history.newest(9)[1] == [(GPS_S + 1000, (4, 5, 6)), (GPS_S + 100, (1, 2, 3))]
        assert history.newest(9, local=True) == (0, [])
        assert history.stamp(GPS_S + 5, 0) == 0

    def test_none_is_stamped_before_the_last_one_that_has_a_time(self, folder):
        history = filled(folder, 1)
        history.append(100, MASK, [1, 2, 3], local=True)
        history.append(200, MASK, [1, 2, 3], local=True)

        history.stamp(GPS_S - 10_000, GPS_S)

        assert [time for time, _ in history.newest(9)[1]] == [GPS_S + 2, GPS_S + 1, GPS_S]

    def test_flash_that_refuses_leaves_them_as_they_were(self, folder, monkeypatch):
        history = History(folder)
        history.append(100, MASK, [1, 2, 3], local=True)

        def refuse(_old, _new):
            raise OSError(28)

        monkeypatch.setattr(os, "rename", refuse)
        with pytest.raises(OSError, match="28"):
            history.stamp(GPS_S, 0)

        assert history.newest(9, local=True)[1] == [(100, (1, 2, 3))]
        assert history.newest(9) == (0, [])

    def test_those_of_a_clock_that_is_gone_are_given_up(self, folder):
        history = filled(folder, 2)
        history.append(100, MASK, [1, 2, 3], local=True)

        assert history.drop_local() == 1

        assert len(history.newest(9)[1]) == 2
        assert history.newest(9, local=True) == (0, [])


class TestDamage:
    @pytest.mark.parametrize("cut", range(1, 20))
    def test_a_torn_record_costs_itself_and_the_next_one_is_kept(self, folder, cut):
        history = filled(folder, 3)
        name = history._name(0)
        with open(name, "rb") as file:
            data = file.read()
        with open(name, "wb") as file:
            file.write(data[:-cut])

        again = History(folder)
        again.append(GPS_S + 10_000, MASK, [9, 9, 9])

        values = [values[0] for _, values in again.newest(9)[1]]
        assert values == ([9, 1, 0] if cut <= 12 else [9, 0])

    @pytest.mark.parametrize("at", [7, 20, 31, 32, 100])
    def test_a_changed_bit_costs_one_record_and_none_that_comes_after_it(self, folder, at):
        filled(folder, 10)
        name = History(folder)._name(0)
        with open(name, "rb") as file:
            data = bytearray(file.read())
        data[at] ^= 0x04
        with open(name, "wb") as file:
            file.write(data)

        again = History(folder)
        again.append(GPS_S + 10 * 900, MASK, [10, 1, 65_528])

        expected = [n for n in range(10, -1, -1) if n != (at - 7) // 12]
        assert [values[0] for _, values in again.newest(11)[1]] == expected
        assert [values[0] for _, values in again.newest(1)[1]] == [10]
        assert again.between(GPS_S, GPS_S + 99_999, 1, oldest=True)[1][0][1][0] == (2 if at == 20 else 1)

    def test_what_follows_a_damaged_one_is_what_was_taken_before_it_not_an_older_file(self, folder):
        filled(folder, 500)  # 340 in the first file
        name = History(folder)._name(1)
        with open(name, "rb") as file:
            data = bytearray(file.read())
        data[-14] ^= 0x80
        with open(name, "wb") as file:
            file.write(data)

        assert [values[0] for _, values in History(folder).newest(4)[1]] == [499, 497, 496, 495]

    @given(data=st.binary(max_size=100))
    @settings(max_examples=50)
    def test_any_file_is_read_or_skipped(self, tmp_path_factory, data):
        folder = tmp_path_factory.mktemp("h")
        (folder / "h0000").write_bytes(data)
        (folder / "hxyzw").write_bytes(data)
        history = History(str(folder))

        history.newest(10)
        history.append(GPS_S, MASK, [1, 2, 3])

        assert history.newest(1)[1] == [(GPS_S, (1, 2, 3))]
