# SPDX-License-Identifier: EUPL-1.2
"""firmware.journal, firmware.state and firmware.provisioning: what survives which damage."""

import binascii
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.errors import BandBusy, IdentityInvalid
from firmware.identity import parse_identity
from firmware.journal import Journal
from firmware.mac import Mac
from firmware.provisioning import pack_identity
from firmware.state import Memory, Store
from tests.firmware.lorawan_peer import DEV_ADDR, IDENTITY, free_bands, join_accept, joined

SLOTS = ("state.a", "state.b")


class RtcMemory:
    """machine.RTC as far as its memory goes."""

    def __init__(self):
        self.data = b""

    def memory(self, data=None):
        if data is None:
            return self.data
        assert len(data) <= 2048  # what an ESP32 keeps
        self.data = bytes(data)
        return None


@pytest.fixture
def rtc():
    return RtcMemory()


@pytest.fixture
def store(rtc, tmp_path):
    return Store(rtc, Journal(str(tmp_path)))


def reopened(rtc, tmp_path, now_s=0):
    """(mac, memory, store) of a node that starts with what is there."""
    mac = Mac(IDENTITY)
    store = Store(rtc, Journal(str(tmp_path)))
    return mac, store.load(mac, now_s), store


class TestJournal:
    def test_an_empty_folder_holds_nothing(self, tmp_path):
        assert Journal(str(tmp_path)).load() is None

    def test_the_last_record_counts(self, tmp_path):
        for n in range(5):
            journal = Journal(str(tmp_path))
            journal.load()
            journal.append(b"record %d" % n)

        assert Journal(str(tmp_path)).load() == b"record 4"

    def test_a_cut_in_the_middle_of_writing_leaves_the_record_before(self, tmp_path):
        journal = Journal(str(tmp_path))
        journal.append(b"first")
        journal.append(b"second")
        whole = (tmp_path / "state.b").read_bytes()

        for length in range(len(whole)):
            (tmp_path / "state.b").write_bytes(whole[:length])
            assert Journal(str(tmp_path)).load() == b"first"

    def test_a_damaged_slot_is_the_next_to_be_written(self, tmp_path):
        journal = Journal(str(tmp_path))
        journal.append(b"first")
        journal.append(b"second")
        (tmp_path / "state.b").write_bytes(b"")
        journal = Journal(str(tmp_path))
        journal.load()

        journal.append(b"third")

        assert (tmp_path / "state.a").read_bytes().count(b"first") == 1
        assert Journal(str(tmp_path)).load() == b"third"

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data(), records=st.lists(st.binary(max_size=40), min_size=1, max_size=4))
    def test_damage_to_one_slot_leaves_the_newest_whole_record(self, tmp_path, data, records):
        for slot in SLOTS:
            (tmp_path / slot).unlink(missing_ok=True)
        journal = Journal(str(tmp_path))
        for record in records:
            journal.append(record)
        victim = tmp_path / data.draw(st.sampled_from([slot for slot in SLOTS if (tmp_path / slot).exists()]))
        before = victim.read_bytes()
        damaged = data.draw(
            st.one_of(
                st.integers(0, len(before) - 1).map(lambda n: before[:n]),
                st.binary(min_size=1, max_size=60).map(lambda more: before + more),
                st.tuples(st.integers(0, len(before) - 1), st.integers(1, 255)).map(
                    lambda change: bytes(b ^ change[1] if n == change[0] else b for n, b in enumerate(before))
                ),
            )
        )
        victim.write_bytes(damaged)
        newest_was_hit = victim.name == SLOTS[(len(records) - 1) % 2]
        survivors = records[:-1] if newest_was_hit else records

        assert Journal(str(tmp_path)).load() == (survivors[-1] if survivors else None)


class TestNonces:
    def commit_three(self, rtc, store):
        """Join requests; then power fails."""
        mac = Mac(IDENTITY)
        store.load(mac, 0)
        for n in range(3):
            free_bands(mac).join_request(n)
            store.checkpoint(mac, Memory(), 0)
        rtc.data = b""

    def test_a_committed_nonce_is_not_used_again_after_a_power_cut(self, rtc, tmp_path, store):
        self.commit_three(rtc, store)

        again, _, _ = reopened(rtc, tmp_path)

        assert again.next_dev_nonce == 3

    def test_neither_is_one_whose_record_is_damaged_then(self, rtc, tmp_path, store):
        self.commit_three(rtc, store)
        (tmp_path / "state.a").write_bytes(b"")  # the third; the second is whole

        again, _, _ = reopened(rtc, tmp_path)

        assert again.next_dev_nonce == 3

    def test_flash_knows_better_than_an_older_rtc_memory(self, rtc, tmp_path, store):
        mac = Mac(IDENTITY)
        memory = store.load(mac, 0)
        store.save(mac, memory, 0)
        free_bands(mac).join_request(0)
        store.checkpoint(mac, Memory(), 0)  # and the watchdog bites before RTC memory is written

        again, _, _ = reopened(rtc, tmp_path)

        assert again.next_dev_nonce == 1

    def test_the_airtime_of_join_requests_outlives_power(self, rtc, tmp_path, store):
        mac = Mac(IDENTITY)
        store.load(mac, 0)
        for now_s in (0, 3600, 3700):
            free_bands(mac).join_request(now_s)
        mac.join_spent_ms = 35_950
        store.checkpoint(mac, Memory(), 3700)
        rtc.data = b""

        again, memory, _ = reopened(rtc, tmp_path, now_s=5)

        assert memory.next_join_local_s == 5  # beyond the first hour a reset needs not wait
        assert (again.join_period, again.join_spent_ms) == (1, 35_950)
        with pytest.raises(BandBusy) as busy:  # but the ten hours are used up
            again.join_request(5)
        assert 36_000 - 100 - 60 < busy.value.wait_s < 36_000 + 3600

    def test_rtc_memory_helps_when_both_slots_are_gone(self, rtc, tmp_path, store):
        mac, _ = joined(join_nonce=8)
        memory = store.load(Mac(IDENTITY), 0)
        store.save(mac, memory, 0)

        again, _, _ = reopened(rtc, tmp_path)

        assert (again.next_dev_nonce, again.last_join_nonce) == (1, 8)
        assert again.session.dev_addr == DEV_ADDR


class TestFrameCounter:
    def uplink(self, mac, store, memory):
        store.reserve(mac, memory, 0)
        free_bands(mac).uplink(0, 2, b"x")
        store.save(mac, memory, 0)
        return mac.session.f_cnt_up - 1

    @given(cuts=st.lists(st.tuples(st.integers(0, 70), st.booleans()), max_size=5))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
    def test_no_counter_is_used_twice_whatever_is_lost_when(self, tmp_path, cuts):
        for slot in SLOTS:
            (tmp_path / slot).unlink(missing_ok=True)
        rtc = RtcMemory()
        mac, _ = joined()
        store = Store(rtc, Journal(str(tmp_path)))
        memory = store.load(Mac(IDENTITY), 0)
        store.checkpoint(mac, Memory(), 0)
        used = []

        for uplinks, power_lost in [*cuts, (1, False)]:
            used += [self.uplink(mac, store, memory) for _ in range(uplinks)]
            if power_lost:
                rtc.data = b""
            mac, memory, store = reopened(rtc, tmp_path)

        assert used == sorted(set(used))
        assert used[-1] <= len(used) - 1 + 32 * len(cuts)

    @given(before=st.integers(0, 100), more=st.integers(0, 70), slot=st.sampled_from(SLOTS), whole=st.booleans())
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
    def test_neither_if_the_newer_record_on_flash_is_damaged_when_power_fails(
        self, tmp_path, before, more, slot, whole
    ):
        for name in SLOTS:
            (tmp_path / name).unlink(missing_ok=True)
        rtc = RtcMemory()
        mac, _ = joined()
        store = Store(rtc, Journal(str(tmp_path)))
        memory = store.load(Mac(IDENTITY), 0)
        store.checkpoint(mac, Memory(), 0)
        store.checkpoint(mac, Memory(), 0)  # as after the join, whose request has one of its own
        used = [self.uplink(mac, store, memory) for _ in range(before)]
        data = (tmp_path / slot).read_bytes()
        (tmp_path / slot).write_bytes(data[:-1] if whole else data[:30] + bytes([data[30] ^ 8]) + data[31:])

        for _ in range(3):
            rtc.data = b""
            mac, memory, store = reopened(rtc, tmp_path)
            used += [self.uplink(mac, store, memory) for _ in range(more)]

        assert used == sorted(set(used))

    def test_after_a_power_cut_it_goes_on_where_the_reservation_ends(self, rtc, tmp_path, store):
        mac, _ = joined()
        memory = store.load(Mac(IDENTITY), 0)
        store.checkpoint(mac, Memory(), 0)
        for _ in range(5):
            self.uplink(mac, store, memory)
        rtc.data = b""

        again, memory, _ = reopened(rtc, tmp_path)

        assert again.session.f_cnt_up == 32
        assert again.session.nwk_s_key == mac.session.nwk_s_key
        assert memory.cold

    def test_flash_is_written_once_in_32_uplinks(self, tmp_path, store):
        mac, _ = joined()
        memory = store.load(Mac(IDENTITY), 0)
        store.checkpoint(mac, Memory(), 0)
        writes = set()

        for _ in range(97):
            self.uplink(mac, store, memory)
            writes.add(tuple((tmp_path / slot).read_bytes() for slot in SLOTS if (tmp_path / slot).exists()))

        assert len(writes) == 4  # at 0, 32, 64, 96

    def test_a_new_session_on_flash_beats_an_old_one_in_rtc_memory(self, rtc, tmp_path, store):
        old, _ = joined()
        store.save(old, store.load(Mac(IDENTITY), 0), 0)
        new = Mac(IDENTITY)
        new.next_dev_nonce = 4
        free_bands(new).join_request(0)
        new.received(join_accept(join_nonce=2))
        store.checkpoint(new, Memory(), 0)  # and the power fails before RTC memory is written

        again, _, _ = reopened(rtc, tmp_path)

        assert again.session.nwk_s_key == new.session.nwk_s_key
        assert again.last_join_nonce == 2

    def test_a_new_session_in_rtc_memory_outlives_damage_to_its_record_on_flash(self, rtc, tmp_path, store):
        old, _ = joined()
        store.checkpoint(old, Memory(), 0)
        new, _ = joined(join_nonce=2)
        new.session.nwk_s_key = bytes(16)
        store.checkpoint(new, Memory(), 0)
        store.save(new, Memory(), 0)
        (tmp_path / "state.b").write_bytes(b"")

        again, _, _ = reopened(rtc, tmp_path)

        assert again.session.nwk_s_key == bytes(16)

    def test_a_reset_between_flash_and_rtc_memory_repeats_neither_counter(self, rtc, tmp_path, store):
        """After an accepted downlink flash is written first."""
        mac, _ = joined()
        memory = store.load(Mac(IDENTITY), 0)
        mac.session.f_cnt_up, mac.session.f_cnt_down = 7, 3
        store.save(mac, memory, 0)
        mac.session.f_cnt_down = 4
        store.checkpoint(mac, memory, 0)

        again, _, _ = reopened(rtc, tmp_path)

        assert (again.session.f_cnt_up, again.session.f_cnt_down) == (7, 4)

    def test_a_new_data_rate_is_on_flash_before_it_is_used(self, rtc, tmp_path, store):
        mac, _ = joined()
        memory = store.load(Mac(IDENTITY), 0)
        store.checkpoint(mac, memory, 0)
        mac.session.dr = 1
        self.uplink(mac, store, memory)
        rtc.data = b""

        assert reopened(rtc, tmp_path)[0].session.dr == 1

    def test_a_frame_of_another_session_is_not_repeated(self, rtc, tmp_path, store):
        old, _ = joined()
        old.frame, old.repeats = b"frame", 2
        store.save(old, store.load(Mac(IDENTITY), 0), 0)
        new, _ = joined(join_nonce=2)
        new.session.nwk_s_key = bytes(16)
        store.checkpoint(new, Memory(), 0)

        assert reopened(rtc, tmp_path)[0].frame == b""


class TestFlash:
    """What a power cut leaves besides the session."""

    def test_what_was_delivered_and_what_was_counted(self, rtc, tmp_path, store):
        memory = store.load(Mac(IDENTITY), 0)
        memory.delivery.known_s = 1_469_000_000
        memory.counters.sensor_faults = 9
        store.checkpoint(joined()[0], memory, 0)

        _, again, _ = reopened(rtc, tmp_path)

        assert (again.delivery.known_s, again.counters.sensor_faults) == (1_469_000_000, 9)

    @pytest.mark.parametrize("attempts", [249, 250, 255, 256, 300, 1_000])
    def test_how_often_it_tried_to_join_as_far_as_data_rates_go(self, rtc, tmp_path, store, attempts):
        mac = Mac(IDENTITY)
        store.load(mac, 0)
        mac.join_attempts = attempts
        store.checkpoint(mac, Memory(), 0)

        again, _, _ = reopened(rtc, tmp_path)

        assert again.join_attempts > 200
        assert again.join_attempts % 6 == attempts % 6  # SF7 to SF12 in turn

    def test_rtc_memory_of_another_version_is_not_read(self, rtc, tmp_path, store):
        store.save(joined()[0], store.load(Mac(IDENTITY), 0), 0)
        crashes, record = rtc.data[:6], bytearray(rtc.data[10:])
        record[0] += 1
        rtc.data = crashes + binascii.crc32(record).to_bytes(4, "little") + bytes(record)

        assert reopened(rtc, tmp_path)[1].cold


class TestMemory:
    def filled(self, store, mac):
        memory = store.load(Mac(IDENTITY), 0)
        memory.time_known = True
        memory.gps_less_local_s = 1_470_000_000
        memory.time_set_local_s = 1234
        memory.next_join_local_s = 99
        memory.unanswered = 3
        memory.follow_local_s = 1300
        memory.kept = 3
        memory.tries = 2
        memory.power = 1
        memory.answer = b"\x07\x01\x00"
        memory.sent = bytes(range(13))
        memory.counters.radio_faults = 70_000
        memory.counters.crashes = 2
        memory.counters.charge_uas = 12_345_678
        memory.delivery.known_s = 1_469_000_000
        memory.delivery.again(1_468_000_000, 1_468_500_000)
        mac.battery_level = 77
        mac.band_free_s[2] = 777
        store.save(mac, memory, 5000)
        return memory

    def test_it_survives_deep_sleep_whole(self, rtc, tmp_path, store):
        memory = self.filled(store, joined()[0])

        mac, again, _ = reopened(rtc, tmp_path, now_s=5000)

        assert again.delivery.pack() == memory.delivery.pack()
        assert again.delivery.gap() == (1_467_999_999, 1_468_500_001)
        assert (again.follow_local_s, again.kept, again.tries, again.power) == (1300, 3, 2, 1)
        assert (again.answer, again.sent, mac.battery_level) == (b"\x07\x01\x00", bytes(range(13)), 77)
        assert (again.time_known, again.gps_less_local_s, again.time_set_local_s) == (True, 1_470_000_000, 1234)
        assert (again.next_join_local_s, again.unanswered, again.counters.crashes) == (99, 3, 2)
        assert again.counters.charge_uas == 12_345_678
        assert again.counters.radio_faults == 65_535  # a counter that is full stays full
        assert mac.band_free_s == [0, 0, 777, 0, 0, 0]
        assert not again.cold

    def test_a_clock_that_was_set_back_is_not_believed(self, rtc, tmp_path, store):
        memory = self.filled(store, joined()[0])

        mac, again, _ = reopened(rtc, tmp_path, now_s=4999)

        assert not again.time_known
        assert again.next_join_local_s == 0
        # as after the longest frame of SF7, 255 bytes in 399.6 ms, times 3816 / 33.2; the other bands are unused
        assert mac.band_free_s == [0, 0, 4999 + 47, 0, 0, 0]
        assert again.delivery.known_s == memory.delivery.known_s
        assert again.cold  # what stands in the history with local times has none
        assert mac.session is not None

    def test_any_changed_byte_is_noticed(self, rtc, tmp_path, store):
        self.filled(store, joined()[0])
        good = rtc.data

        for n in range(6, len(good)):
            rtc.data = good[:n] + bytes([good[n] ^ 0x10]) + good[n + 1 :]
            assert reopened(rtc, tmp_path, now_s=5000)[1].cold

    @given(data=st.binary(max_size=400))
    def test_any_bytes_in_rtc_memory_are_survived(self, tmp_path_factory, data):
        rtc = RtcMemory()
        rtc.data = data

        mac, memory, _ = reopened(rtc, tmp_path_factory.getbasetemp(), now_s=5000)

        assert mac.session is None
        assert memory.cold


class TestCrashes:
    def test_they_are_counted_beside_the_record(self, rtc, tmp_path, store):
        mac, _ = joined()
        store.save(mac, store.load(Mac(IDENTITY), 0), 10)

        store.note_crash(3, 2, 1)
        again, memory, _ = reopened(rtc, tmp_path, now_s=10)

        assert store.crashes() == (3, 2, 1)
        assert not memory.cold
        assert again.session.f_cnt_up == 0

    def test_they_outlive_every_save_and_stop_at_255(self, rtc, store):
        memory = store.load(Mac(IDENTITY), 0)
        store.note_crash(300, 256, 2)

        store.save(joined()[0], memory, 10)

        assert store.crashes() == (255, 255, 2)

    def test_a_record_that_was_saved_before_any_crash_tells_of_none(self, store):
        store.save(joined()[0], store.load(Mac(IDENTITY), 0), 10)

        assert store.crashes() == (0, 0, 0)

    def test_power_on_garbage_is_no_crash(self, rtc, store):
        rtc.data = b"\x12\x34\x56\x78" + bytes(40)

        assert store.crashes() == (0, 0, 0)

    def test_the_record_can_be_forgotten_but_not_the_count(self, rtc, tmp_path, store):
        store.save(joined()[0], store.load(Mac(IDENTITY), 0), 10)

        store.note_crash(4)
        store.forget()

        assert store.crashes() == (4, 0, 0)
        assert reopened(rtc, tmp_path, now_s=10)[1].cold


class TestIdentity:
    KEY = bytes(range(16))

    def test_what_is_packed_is_parsed(self):
        identity = parse_identity(pack_identity("70b3d57ed0000001", "70b3d57ed0ffff00", self.KEY, 900))

        assert (identity.dev_eui, identity.join_eui) == ("70b3d57ed0000001", "70b3d57ed0ffff00")
        assert (identity.app_key, identity.interval_s) == (self.KEY, 900)

    def test_the_format_stays_as_it_shipped(self):
        data = pack_identity("70b3d57ed0000001", "70b3d57ed0ffff00", self.KEY, 3600)

        assert data[:-4].hex() == (
            "53460100" + "70b3d57ed0000001" + "70b3d57ed0ffff00" + "000102030405060708090a0b0c0d0e0f" + "100e0000"
        )

    def test_what_the_readme_says_writes_an_identity_and_its_line_for_the_gateway(self, tmp_path, monkeypatch, capsys):
        readme = Path(__file__).parents[2].joinpath("firmware", "README.md").read_text("utf-8")
        program = re.search(r"## Provisioning.*?```python\n(.*?)```", readme, re.DOTALL)[1]
        monkeypatch.chdir(tmp_path)

        exec(compile(program, "README.md", "exec"), {})

        identity = parse_identity((tmp_path / "identity.bin").read_bytes())
        assert capsys.readouterr().out == (
            "dev_eui,join_eui,app_key,profile,name\n"
            f"70b3d57ed0000001,70b3d57ed0ffff00,{identity.app_key.hex()},tree,Löbdergraben 1\n"
        )
        assert identity.interval_s == 3600

    def test_the_key_is_not_printed(self):
        identity = parse_identity(pack_identity("70b3d57ed0000001", "70b3d57ed0ffff00", self.KEY))

        assert self.KEY.hex() not in f"{identity!r}{identity}{identity!s}"
        assert repr(self.KEY) not in f"{identity!r}"

    @pytest.mark.parametrize(
        ("field", "values"),
        [
            ("dev_eui", ("70b3d57ed00000", "70b3d57ed0ffff00", KEY, 3600)),
            ("join_eui", ("70b3d57ed0000001", "no hex at all!!!", KEY, 3600)),
            ("app_key", ("70b3d57ed0000001", "70b3d57ed0ffff00", KEY[:15], 3600)),
            ("app_key", ("70b3d57ed0000001", "70b3d57ed0ffff00", KEY + b"x", 3600)),
            ("interval_s", ("70b3d57ed0000001", "70b3d57ed0ffff00", KEY, 59)),
            ("interval_s", ("70b3d57ed0000001", "70b3d57ed0ffff00", KEY, 57_601)),
        ],
    )
    def test_what_the_node_would_refuse_is_not_packed(self, field, values):
        with pytest.raises(IdentityInvalid) as refused:
            pack_identity(*values)

        assert refused.value.field == field

    @given(data=st.binary(max_size=60))
    def test_any_bytes_are_refused(self, data):
        with pytest.raises(IdentityInvalid):
            parse_identity(data)

    def test_any_changed_byte_is_noticed(self):
        good = pack_identity("70b3d57ed0000001", "70b3d57ed0ffff00", self.KEY)

        for n in range(len(good)):
            with pytest.raises(IdentityInvalid):
                parse_identity(good[:n] + bytes([good[n] ^ 1]) + good[n + 1 :])
