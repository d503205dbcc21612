# SPDX-License-Identifier: EUPL-1.2
"""Readings into their table, many at a time: each once, the better of two, whoever wrote the other."""

import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_ingest import database, observations
from cloud_ingest.observations import Observation, Observations, insert_until_known

MOIST = Observation(1, 600, 20.0, None, 601.0)


@pytest.fixture
def db():
    with opened() as connection:
        yield connection
    connection.close()


def opened() -> sqlite3.Connection:
    connection = database.connect(Path(":memory:"))
    connection.execute("PRAGMA foreign_keys = OFF")  # series 1 to 3 belong to nothing here
    return connection


def table(db, name="observations"):
    return [Observation(*row) for row in db.execute(f"SELECT * FROM {name} ORDER BY 1, 2")]


def written(db, *readings):
    """By a process that knows nothing yet; its counters."""
    counts = Counter()
    process = Observations(db, counts)
    process.append(readings)
    process.flush()
    process.write_latest()
    return +counts


class TestEachOnce:
    def test_what_is_new_is_stored_and_counted(self, db):
        fault = Observation(1, 1200, None, "no_answer", 1201.0)

        counts = written(db, MOIST, fault)

        assert table(db) == [MOIST, fault]
        assert counts == {("readings", "values"): 1, ("readings", "faults"): 1}

    def test_the_same_moment_again_is_counted_and_changes_nothing(self, db):
        later = MOIST._replace(received_at=700.0)

        counts = written(db, MOIST, later, later._replace(result=21.0))

        assert table(db) == [MOIST]
        assert counts == {("readings", "values"): 1, ("readings", "duplicates"): 2, ("readings", "conflicts"): 1}

    def test_a_value_takes_the_place_of_a_fault_that_waits_to_be_written(self, db):
        counts = written(db, MOIST._replace(result=None, flag="no_answer", received_at=600.5), MOIST)

        assert table(db) == [MOIST]
        assert counts == {
            ("readings", "faults"): 1,
            ("readings", "values"): 1,
            ("readings", "superseded_faults"): 1,
            ("readings", "duplicates"): 1,
        }

    def test_what_another_process_has_written_is_met_in_the_middle_of_many(self, db):
        written(db, MOIST._replace(at=1200, received_at=1300.0), MOIST._replace(at=1800, received_at=1000.0))
        many = [MOIST._replace(at=at, received_at=1201.0) for at in (600, 1200, 1800, 2400)]

        counts = written(db, *many)

        assert [(row.at, row.received_at) for row in table(db)] == [
            (600, 1201.0), (1200, 1201.0), (1800, 1000.0), (2400, 1201.0)
        ]  # fmt: skip
        assert counts == {("readings", "values"): 2, ("readings", "duplicates"): 2}

    def test_the_latest_is_the_newest_moment_whatever_came_last(self, db):
        written(db, MOIST._replace(at=1200), MOIST._replace(datastream=2))
        written(db, MOIST, MOIST._replace(datastream=2, at=900))

        assert [(row.datastream, row.at) for row in table(db, "latest")] == [(1, 1200), (2, 900)]

    def test_what_the_table_refuses_for_another_reason_is_an_error(self, db):
        nothing = MOIST._replace(at=1200, result=None)  # neither value nor fault

        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            written(db, MOIST, nothing)

    def test_rows_are_inserted_up_to_the_one_that_is_there(self, db):
        written(db, MOIST)
        rows = [MOIST._replace(at=500), MOIST, MOIST._replace(at=700)]

        inserted = insert_until_known(db, "INSERT INTO observations VALUES (?, ?, ?, ?, ?, ?)", rows)

        assert inserted == 1
        assert [row.at for row in table(db)] == [500, 600]


readings = st.builds(
    lambda series, at, value, received_at, quality: Observation(series, at, *value, received_at, quality),
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from([(20.0, None), (15.5, None), (None, "no_answer"), (None, "stuck"), (130.0, "out_of_range")]),
    st.integers(1, 4).map(float),
    st.sampled_from([None, None, "saved"]),
)
turns = st.tuples(st.integers(0, 1), st.lists(readings, max_size=12), st.sampled_from(["commit", "commit", "undo"]))


class TestProperty:
    """Two processes in turn, of which some transactions are undone, against the rule said in one line."""

    @settings(max_examples=150, deadline=None)
    @given(st.lists(turns, max_size=8), st.sampled_from([2, 5, 50_000]))
    def test_of_each_moment_the_best_that_was_committed_stays(self, turns, remembered):
        db = opened()
        processes = [Observations(db, Counter()) for _ in range(2)]
        committed: list[Observation] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(observations, "_REMEMBERED", remembered)
            for number, said, end in turns:
                db.execute("BEGIN")
                processes[number].append(said)
                if end == "undo":
                    processes[number].forget()
                    db.execute("ROLLBACK")
                    continue
                processes[number].flush()
                processes[number].write_latest()
                db.execute("COMMIT")
                committed += said

        best = {place: min(rows, key=lambda row: row.rank) for place, rows in _by_place(committed).items()}
        assert table(db) == [best[place] for place in sorted(best)]
        newest = {series: best[series, at] for series, at in sorted(best)}
        assert table(db, "latest") == list(newest.values())
        db.close()


def _by_place(rows):
    places: dict[tuple[int, int], list[Observation]] = {}
    for row in rows:
        places.setdefault((row.datastream, row.at), []).append(row)
    return places
