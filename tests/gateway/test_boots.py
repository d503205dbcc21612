# SPDX-License-Identifier: EUPL-1.2
"""When boots were of a machine without a clock, also several in a row, and what becomes of what they received."""

import sqlite3
from importlib import resources
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from decoders.profiles import TREE_V1
from decoders.records import Event, UplinkKey, decode_record, encode_record
from gateway.boots import Dating, Offset, Span, date_boots
from gateway.clock_watch import ClockWatch
from gateway.database import migrate
from gateway.estimates import dated
from gateway.packing import unpack
from gateway.readings import date_waiting, decode
from gateway.reception_time import Moment
from gateway.store import Payload
from tests.gateway.nodes import Node, tree_payload, uplinks_in

NOON = 1_800_014_400.0  # 2027-01-15T12:00:00Z
HOUR = 3600.0


def unset(length_s, name="x"):
    return Span(name, length_s, None, "unset")


def ntp(begins_at, length_s=HOUR):
    return Span("sure", length_s, begins_at, "ntp")


def restored(begins_at, length_s=HOUR):
    return Span("restored", length_s, begins_at, "saved")


class TestDatingBoots:
    """Reference "Time": between reboots without synchronisation, bound by neighbours."""

    def test_a_boot_that_knew_the_time_keeps_it(self):
        assert date_boots([ntp(NOON), Span("gps", 60.0, NOON + 9000, "concentrator")]) == [
            Dating(NOON, "ntp", True), Dating(NOON + 9000, "concentrator", True)
        ]  # fmt: skip

    def test_one_that_did_not_waits_until_a_later_one_does(self):
        assert date_boots([ntp(NOON), unset(HOUR), unset(60.0)])[1:] == [None, None]

    def test_it_follows_at_once_on_the_one_before(self):
        """Most reboots take a minute, most gaps before a boot that knows the time are a lack of network."""
        dated = date_boots([ntp(NOON), unset(HOUR), ntp(NOON + 86_400)])

        assert dated[1] == Dating(NOON + HOUR, "saved", True)

    def test_without_one_before_it_ends_when_the_next_begins(self):
        assert date_boots([unset(HOUR), ntp(NOON)])[0] == Dating(NOON - HOUR, "saved", True)

    def test_a_restored_clock_says_when_within_the_room_there_is(self):
        before, after = ntp(NOON), ntp(NOON + 86_400)

        assert date_boots([before, restored(NOON + 2 * HOUR), after])[1] == Dating(NOON + 2 * HOUR, "saved", True)
        assert date_boots([before, restored(NOON - 2 * HOUR), after])[1] == Dating(NOON + HOUR, "saved", True)
        assert date_boots([before, restored(NOON + 86_000), after])[1] == Dating(NOON + 86_400 - HOUR, "saved", True)

    def test_until_a_later_boot_knows_it_serves_and_is_not_final(self):
        assert date_boots([ntp(NOON), restored(NOON + 2 * HOUR)])[1] == Dating(NOON + 2 * HOUR, "saved", False)
        assert date_boots([ntp(NOON), restored(NOON - 86_400)])[1] == Dating(NOON + HOUR, "saved", False)

    def test_several_in_a_row_share_the_room_in_their_order(self):
        dated = date_boots([ntp(NOON), unset(HOUR), unset(600.0), unset(2 * HOUR), ntp(NOON + 86_400)])

        assert [one.unix_less_boot_s - NOON for one in dated if one] == [0, 3600, 7200, 7800, 86_400]

    def test_clocks_that_contradict_each_other_give_way_to_the_later_one(self):
        dated = date_boots([ntp(NOON, 4 * HOUR), unset(HOUR), unset(HOUR), ntp(NOON + 5 * HOUR)])

        assert [one.unix_less_boot_s - NOON for one in dated if one] == [0, 3 * HOUR, 4 * HOUR, 5 * HOUR]


LENGTHS = st.integers(0, 10**6)
CLOCKS = st.one_of(st.none(), st.integers(-(10**7), 10**7))  # restored ones may show anything


@given(
    st.lists(st.tuples(st.integers(0, 10**6), LENGTHS, st.booleans(), CLOCKS), min_size=1, max_size=8),
    st.integers(0, 10**6),
)
def test_whatever_unset_clocks_show_each_boot_is_between_its_neighbours_and_order_is_kept(boots, last_gap):
    """The truth: boots one after the other; some know it, the last one does."""
    at, spans, truth = 0, [], []
    for gap, length, knows, clock in [*boots, (last_gap, 60, True, None)]:
        at += gap
        own = at if knows else clock
        spans.append(Span("b", length, None if own is None else NOON + own, "ntp" if knows else
                          "unset" if own is None else "saved"))  # fmt: skip
        truth.append(NOON + at)
        at += length

    dated = date_boots(spans)

    ends = -float("inf")
    for span, one, begun in zip(spans, dated, truth, strict=True):
        assert one is not None
        assert one.final
        assert one.unix_less_boot_s >= ends
        assert one.quality == ("ntp" if span.quality == "ntp" else "saved")
        if span.quality == "ntp":
            assert one.unix_less_boot_s == begun
        ends = one.unix_less_boot_s + span.last_s


@given(st.lists(st.builds(
    Span, st.just("b"), st.floats(0, 1e9), st.one_of(st.none(), st.floats(0, 5e9)),
    st.sampled_from(["unset", "saved", "ntp", "concentrator"]),
), max_size=8))  # fmt: skip
def test_no_clocks_however_wrong_stop_the_dating(spans):
    dated = date_boots(spans)

    assert len(dated) == len(spans)
    sure = [
        n
        for n, span in enumerate(spans)
        if span.quality in ("ntp", "concentrator") and span.unix_less_boot_s is not None
    ]
    assert all(one is not None for one in dated[: max(sure, default=0)])


def receive(ledger, boot_id, seconds, f_cnt):
    payload = Payload(UplinkKey(Node().dev_eui, 3, f_cnt), 2, "tree", tree_payload(0))
    ledger.wait_for_time(payload, boot_id, seconds)


def uplinks(store):
    return [(one.key.f_cnt, one.received_at, one.time_quality) for one in uplinks_in(store)]


@given(
    st.integers(1_771_000_000_000, 1_900_000_000_000),
    st.integers(1_771_000_000_000, 1_900_000_000_000),
    st.lists(st.integers(1, 5000), max_size=4),
)
def test_a_record_dated_anew_is_what_it_would_have_been_at_once(estimate_ms, truth_ms, gaps):
    sample = {"soil_moisture": 2345, "soil_temperature": 1250, "surface_temperature": -325}
    ages = [0, *accumulate(gaps)]
    data = TREE_V1.encode({"battery_voltage": 3612}, [(-age, sample) for age in ages])
    payload = Payload(UplinkKey(Node().dev_eui, 3, 7), 2, "tree", data)
    estimated = decode(payload, Moment(estimate_ms / 1000, "saved"))
    at_once = decode(payload, Moment(truth_ms / 1000, "ntp"))

    assert estimated.is_estimate
    assert encode_record(dated(decode_record(estimated.record), truth_ms / 1000, "ntp")) == at_once.record


class TestClockWatch:
    def test_it_keeps_news_at_once_and_else_now_and_then_that_we_are_here(self):
        watch = ClockWatch(5.0)
        looks = [(5.0, None), (6.0, None), (7.0, (NOON, "saved")), (8.0, (NOON + 0.5, "saved")),
                 (9.0, (NOON + 2.0, "saved")), (10.0, (NOON + 2.0, "ntp")), (609.0, (NOON + 2.0, "ntp")),
                 (610.0, (NOON + 2.0, "ntp"))]  # fmt: skip

        kept = []
        for boot_s, offset in looks:
            note = watch.look(boot_s, offset and Offset(*offset))
            if note:
                watch.stored(note)
                kept.append((boot_s, note.event))

        assert kept == [(5.0, ""), (7.0, ""), (9.0, ""), (10.0, ""), (610.0, "")]

    def test_ten_minutes_without_a_sure_time_are_told_and_so_is_their_end(self):
        watch = ClockWatch(5.0)
        told = []
        for boot_s in range(5, 2000):
            offset = Offset(NOON, "saved" if boot_s < 1000 else "concentrator")
            note = watch.look(float(boot_s), offset)
            if note:
                watch.stored(note)
                told += [(boot_s, note.event)] if note.event else []

        assert told == [(605, "clock_unset"), (1000, "clock_set")]

    def test_what_could_not_be_stored_is_tried_again(self):
        watch = ClockWatch(5.0)

        assert watch.look(700.0, None).event == "clock_unset"
        assert watch.look(701.0, None).event == "clock_unset"


class TestBootsOfTheDatabase:
    def test_uplinks_of_several_boots_offline_go_on_in_their_order(self, store):
        with store.transaction() as ledger:
            ledger.begin_boot("a", 5.0)
            ledger.note_boot("a", 100.0, Offset(NOON, "ntp"))
            for boot, f_cnt in (("b", 1), ("c", 3)):
                ledger.begin_boot(boot, 5.0)
                receive(ledger, boot, 10.0, f_cnt)
                receive(ledger, boot, 70.0, f_cnt + 1)
            early = date_waiting(ledger, "c")
            ledger.begin_boot("d", 5.0)
            ledger.note_boot("d", 6.0, Offset(NOON + HOUR, "concentrator"))
            receive(ledger, "d", 20.0, 5)
            while date_waiting(ledger, "d").taken:
                pass

        assert early.taken == 0
        assert uplinks(store) == [
            (1, NOON + 110, "saved"), (2, NOON + 170, "saved"),
            (3, NOON + 180, "saved"), (4, NOON + 240, "saved"),
            (5, NOON + HOUR + 20, "concentrator"),
        ]  # fmt: skip

    def test_what_waits_does_not_hold_up_a_boot_with_a_restored_clock(self, store):
        with store.transaction() as ledger:
            ledger.begin_boot("a", 5.0)
            receive(ledger, "a", 10.0, 1)
            ledger.begin_boot("b", 5.0)
            receive(ledger, "b", 10.0, 2)
            ledger.note_boot("b", 60.0, Offset(NOON, "saved"))
            date_waiting(ledger, "b")

        assert uplinks(store) == [(2, NOON + 10, "saved")]
        assert store.connection.execute("SELECT boot_id, boot_s FROM waiting").fetchall() == [("a", 10.0)]

    def test_the_best_that_was_ever_known_of_a_boot_stays(self, store):
        with store.transaction() as ledger:
            ledger.begin_boot("a", 5.0)
            ledger.note_boot("a", 6.0, Offset(NOON - 9000, "saved"))
            ledger.note_boot("a", 7.0, Offset(NOON, "ntp"))
            ledger.note_boot("a", 8.0, Offset(NOON - 9000, "saved"))

            assert ledger.datings() == {"a": Dating(NOON, "ntp", True)}
            assert ledger.begin_boot("a", 9.0) == (NOON, "ntp", None)
            assert ledger.begin_boot("b", 9.0) == (None, "unset", NOON + 9)

    def test_old_boots_are_forgotten_unless_something_waits_for_them(self, store):
        with store.transaction() as ledger:
            ledger.begin_boot("needed", 5.0)
            receive(ledger, "needed", 10.0, 1)
            for n in range(200):
                ledger.begin_boot(f"boot {n}", 5.0)

        names = [name for (name,) in store.connection.execute("SELECT boot_id FROM boots ORDER BY number")]
        assert names == ["needed", *(f"boot {n}" for n in range(136, 200))]

    def test_what_waits_is_bounded_and_what_is_dropped_is_counted_and_told(self, store):
        store.ledger.waiting_rows = 5
        with store.transaction() as ledger:
            ledger.begin_boot("a", 5.0)
            for f_cnt in range(1, 9):
                receive(ledger, "a", 10.0 * f_cnt, f_cnt)
            ledger.draft.write()
            untold = decode_record(unpack(store.connection.execute("SELECT record FROM outbox_0").fetchone()[0]))
            ledger.note_boot("a", 100.0, Offset(NOON, "ntp"))
            while date_waiting(ledger, "a").taken:
                pass

        reader = store.reader()
        told = [decode_record(data) for data in reader.records(0, 1, 10)]
        dropped = reader.waiting_dropped()
        reader.close()
        assert [f_cnt for f_cnt, *_ in uplinks(store)] == [6, 7, 8]
        assert dropped == 5
        assert untold == Event("undated_uplinks_dropped", None, 60.0, "unset", {"uplinks": 5})
        assert told == [Event("undated_uplinks_dropped", None, NOON + 60, "ntp", {"uplinks": 5})]
        held = store.connection.execute("SELECT sum(length(record) + 16) FROM outbox_0").fetchone()
        assert held == (store.ledger.lanes()[0].bytes,)  # a date takes more bytes than seconds since the boot

    def test_a_database_of_before_dates_what_waits_there(self, tmp_path):
        db = sqlite3.connect(tmp_path / "old.sqlite3", isolation_level=None)
        files = sorted((resources.files("gateway") / "migrations").iterdir(), key=lambda file: file.name)
        older = [file for file in files if file.name.endswith(".sql") and file.name < "0009"]
        db.execute("CREATE TABLE migrations (number INTEGER PRIMARY KEY, file TEXT NOT NULL) STRICT")
        for number, file in enumerate(older, 1):
            db.executescript(file.read_text("utf-8"))
            db.execute("INSERT INTO migrations VALUES (?, ?)", (number, file.name))
        for boot_id, boot_s in (("z", 10.0), ("z", 20.0), ("a", 30.0)):
            db.execute("INSERT INTO waiting VALUES (NULL, 'x', 1, 2, 2, 'tree', ?, ?, x'00')", (boot_id, boot_s))

        migrate(db)

        rows = db.execute("SELECT boot_id, last_s, unix_less_boot_s, quality FROM boots ORDER BY number").fetchall()
        assert rows == [("z", 20.0, None, "unset"), ("a", 30.0, None, "unset")]
        db.close()
