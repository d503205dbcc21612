# SPDX-License-Identifier: EUPL-1.2
"""Works that share a transaction: each takes back its own share only, whether in tables or still in the draft."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from decoders.records import ALARM, READING, Record
from gateway.database import connect, make_durable, migrate
from gateway.errors import Refused, StoreError
from gateway.outbox import Limits
from gateway.store import Store, open_store
from tests.gateway.outbox_world import Alone, Rows, uplink

NODE = "70b3d57ed1000001"


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Alone]:
    connection = connect(tmp_path / "gateway.sqlite3")
    make_durable(connection)
    migrate(connection)
    yield Alone(connection)
    connection.close()


def run(outbox: Alone, *works: Callable[[], Any]) -> list[Any]:
    results: list[Any] = []
    outbox.transactions.run(works, results.extend)
    return results


def append(outbox: Alone, f_cnt: int, lane: int = READING) -> Callable[[], int]:
    return lambda: outbox.append_record(lane, uplink(NODE, f_cnt))


def then_fail(*works: Callable[[], Any]) -> Callable[[], None]:
    def work() -> None:
        for one in works:
            one()
        raise Refused("replay")

    return work


def counters(records: dict[int, Record]) -> dict[int, int]:
    return {row: record.key.f_cnt for row, record in records.items()}  # type: ignore[union-attr]


class TestShares:
    def test_a_record_whose_work_fails_takes_no_number(self, outbox):
        results = run(outbox, append(outbox, 1), then_fail(append(outbox, 2)), append(outbox, 3))

        assert (results[0], results[2]) == (1, 2)
        assert isinstance(results[1], Refused)
        assert counters(Rows(outbox).records(READING)) == {1: 1, 2: 3}

    def test_nor_do_those_of_other_lanes(self, outbox):
        failing = then_fail(append(outbox, 2), append(outbox, 3, ALARM))

        results = run(outbox, append(outbox, 1, ALARM), failing, append(outbox, 4, ALARM), append(outbox, 5))

        assert (results[0], *results[2:]) == (1, 2, 1)
        assert counters(Rows(outbox).records(ALARM)) == {1: 1, 2: 4}

    def test_what_was_drafted_before_is_drafted_again_when_a_later_work_wrote_it_and_failed(self, outbox):
        failing = then_fail(append(outbox, 2), lambda: outbox.confirm(READING, 2, 9, 2))

        results = run(outbox, append(outbox, 1), failing, append(outbox, 3))

        lane = outbox.lanes()[READING]
        assert (results[0], results[2]) == (1, 2)
        assert counters(Rows(outbox).records(READING)) == {1: 1, 2: 3}
        assert (lane.delivered_seq, lane.delivered_bytes, lane.confirmed_epoch) == (0, 0, None)
        assert lane.bytes == sum(Rows(outbox).sizes(READING).values())

    def test_rows_of_other_tables_go_back_with_it(self, outbox):
        outbox._db.execute("CREATE TABLE names (name TEXT)")

        def insert(name: str) -> Callable[[], Any]:
            return lambda: outbox._db.execute("INSERT INTO names VALUES (?)", (name,))

        run(outbox, append(outbox, 1), then_fail(append(outbox, 2), insert("gone")), insert("kept"))

        assert outbox._db.execute("SELECT name FROM names").fetchall() == [("kept",)]
        assert counters(Rows(outbox).records(READING)) == {1: 1}

    def test_when_the_commit_fails_the_draft_is_forgotten_and_its_numbers_are_given_again(self, outbox):
        outbox._db.execute("CREATE TABLE later (n INTEGER REFERENCES boots (number) DEFERRABLE INITIALLY DEFERRED)")
        fail_at_commit = lambda: outbox._db.execute("INSERT INTO later VALUES (99)")  # noqa: E731

        first = run(outbox, append(outbox, 1), append(outbox, 2), fail_at_commit)
        second = run(outbox, append(outbox, 3))

        assert [type(result) for result in first] == [StoreError] * 3
        assert second == [1]
        assert counters(Rows(outbox).records(READING)) == {1: 3}

    def test_when_the_draft_cannot_be_written_nobody_is_told_that_it_is_stored(self, outbox):
        outbox._db.execute("INSERT INTO outbox_1 VALUES (2, x'00')")  # nobody but the ledger may do that

        results = run(outbox, append(outbox, 1), append(outbox, 2), append(outbox, 3, ALARM))

        assert [type(result) for result in results] == [StoreError] * 3
        assert outbox._db.execute("SELECT count(*) FROM outbox_0").fetchone() == (0,)
        assert outbox.lanes()[READING].last_seq == 0

    def test_an_epoch_that_counts_from_rows_which_the_commit_failed_to_drop_never_began(self, outbox):
        outbox._db.execute("CREATE TABLE later (n INTEGER REFERENCES boots (number) DEFERRABLE INITIALLY DEFERRED)")
        outbox.limits = Limits(1 << 20, horizon_bytes=0)
        run(outbox, append(outbox, 1), append(outbox, 2))
        before = outbox.numbering
        fail_at_commit = lambda: outbox._db.execute("INSERT INTO later VALUES (99)")  # noqa: E731

        run(outbox, lambda: outbox.confirm(READING, 2, 9, 2), outbox.begin_epoch, fail_at_commit)

        assert outbox.numbering == before
        assert counters(Rows(outbox).records(READING)) == {1: 1, 2: 2}

    def test_nor_did_one_whose_work_failed(self, outbox):
        before = outbox.numbering

        run(outbox, then_fail(outbox.begin_epoch), append(outbox, 1))

        assert outbox.numbering == before

    def test_an_epoch_that_was_stored_stays(self, outbox):
        [numbering] = run(outbox, outbox.begin_epoch)

        run(outbox, then_fail(append(outbox, 1)))

        assert outbox.numbering == numbering


class TestCost:
    def test_a_hundred_records_take_seven_statements(self, outbox):
        statements: list[str] = []
        outbox._db.set_trace_callback(lambda sql: statements.append(" ".join(sql.split()[:2])))

        run(outbox, *(append(outbox, f_cnt) for f_cnt in range(100)))

        assert statements == [
            "BEGIN IMMEDIATE", "SELECT lane,", "SAVEPOINT work", "INSERT INTO", "INSERT INTO", "UPDATE lanes", "COMMIT",
        ]  # fmt: skip


class TestTwoProcesses:
    """A command may write beside the service: what is known of a lane is read in each transaction anew."""

    def test_each_goes_on_where_the_other_ended(self, tmp_path):
        one, two = (open_store(tmp_path / "gateway.sqlite3", tmp_path / "gateway.key") for _ in range(2))

        rows = [appended(store, f_cnt) for f_cnt, store in enumerate((one, two, one, two, two))]

        assert rows == [1, 2, 3, 4, 5]
        assert one.ledger.lanes() == two.ledger.lanes()
        one.close()
        two.close()


def appended(store: Store, f_cnt: int) -> int:
    with store.transaction() as ledger:
        return ledger.append_record(READING, uplink(NODE, f_cnt))


def test_a_record_given_outside_of_a_transaction_is_a_bug(tmp_path):
    store = open_store(tmp_path / "gateway.sqlite3", tmp_path / "gateway.key")

    with pytest.raises(IndexError):
        store.ledger.append_record(READING, uplink(NODE, 1))

    assert store.connection.execute("SELECT count(*) FROM outbox_1").fetchone() == (0,)
    store.close()
