# SPDX-License-Identifier: EUPL-1.2
"""OGC 18-088 "Requesting Data": the query options."""

import contextlib
import sqlite3
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cloud_ingest.api.entities import ENTITIES
from cloud_ingest.api.odata import (
    Compare,
    Instant,
    Junction,
    Literal,
    Not,
    Order,
    Path,
    Query,
    parse_query,
)
from cloud_ingest.api.sql import Select
from cloud_ingest.errors import QueryError
from tests.cloud_ingest.world import NODES, UP, moisture_series, opened


def parse_filter(text):
    """The expression of a $filter with this text."""
    return parse_query(urlencode({"$filter": text})).filter


def is_(name, value):
    return Compare("eq", Path((name,)), Literal(value))


class TestFilter:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("result eq 5", 5),
            ("result eq -5.25", -5.25),
            ("result eq 1e3", 1000.0),
            ("result eq 'it''s'", "it's"),
            ("result eq true", True),
            ("result eq null", None),
            ("result eq 2026-07-01T00:00:00Z", Instant(1782864000.0)),
            ("result eq 2026-07-01T02:00:00.500+02:00", Instant(1782864000.5)),
        ],
    )
    def test_literals(self, text, value):
        assert parse_filter(text) == is_("result", value)

    def test_and_binds_tighter_than_or_and_not_tightest(self):
        expression = parse_filter("a eq 1 or not b eq 2 and (c eq 3 or d eq 4)")

        inner = Junction("or", (is_("c", 3), is_("d", 4)))
        assert expression == Junction("or", (is_("a", 1), Junction("and", (Not(is_("b", 2)), inner))))

    def test_paths_over_navigation_and_into_properties(self):
        expression = parse_filter("Datastreams/ObservedProperty/name ne 'x' and properties/a gt @iot.id")

        assert expression == Junction(
            "and",
            (
                Compare("ne", Path(("Datastreams", "ObservedProperty", "name")), Literal("x")),
                Compare("gt", Path(("properties", "a")), Path(("id",))),
            ),
        )

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "expected a name at the end"),
            ("result", "expected one of eq"),
            ("result eq", "expected a name at the end"),
            ("result eq 5 5", "expected the end, found '5'"),
            ("result like 5", "expected one of eq"),
            ("(result eq 5", "expected ')' at the end"),
            ("result eq 'open", "cannot read"),
            ("result eq 5; drop table things", "expected the end, found ';'"),
            ("startswith(name,'J')", "function 'startswith' is not offered"),
            ("resultTime gt 2026-13-01T00:00:00Z", "is not a time"),
            ("(" * 60 + "result eq 5" + ")" * 60, "nested more than"),
        ],
    )
    def test_what_cannot_be_understood_is_said(self, text, problem):
        with pytest.raises(QueryError) as caught:
            parse_filter(text)

        assert problem in str(caught.value)


WORDS = [
    *("$filter=", "$top=", "$expand=", "$orderby=", "$top=1", "&", "(", ")", ",", ";", "/", "'", "%20", "+"),
    *("not", "and", "or", "eq", "gt", "desc", "name", "result", "Datastreams", "Observations", "@iot.id"),
    *("5", "-1", "'a'", "true", "null", "2026-07-01T00:00:00Z"),
]


class TestOptions:
    def test_everything_at_once(self):
        query = parse_query("$top=5&$skip=2&$count=true&$select=name,@iot.id&$orderby=name desc,Thing/name")

        assert (query.top, query.skip, query.count, query.select) == (5, 2, True, ("name", "id"))
        assert query.orderby == (Order(Path(("name",)), True), Order(Path(("Thing", "name")), False))

    def test_expand_nests_with_options(self):
        query = parse_query(
            "$expand=Datastreams($top=2;$expand=Observations($top=1;$orderby=phenomenonTime desc)),Locations"
        )

        streams = query.expand["Datastreams"]
        assert list(query.expand) == ["Datastreams", "Locations"]
        assert streams.top == 2
        assert streams.expand["Observations"].orderby == (Order(Path(("phenomenonTime",)), True),)
        assert streams.texts["$expand"] == "Observations($top=1;$orderby=phenomenonTime desc)"

    def test_expand_by_paths_is_merged(self):
        query = parse_query("$expand=Datastreams/Sensor,Datastreams/Thing")

        assert list(query.expand["Datastreams"].expand) == ["Sensor", "Thing"]

    @pytest.mark.parametrize(("text", "limit"), [("", 100), ("$top=7", 7), ("$top=0", 0), ("$top=5000", 1000)])
    def test_pages_have_a_hundred_and_at_most_a_thousand(self, text, limit):
        assert parse_query(text).limit == limit

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("$top=-1", "$top must be a whole number, not '-1'"),
            ("$top=ten", "$top must be a whole number, not 'ten'"),
            ("$skip=1.5", "$skip must be a whole number"),
            ("$count=maybe", "$count must be true or false"),
            ("$apply=groupby((id))", "'$apply' is not an option we know"),
            ("$top=1&$top=2", "$top is given twice"),
            ("limit=5", "'limit' is not an option we know"),
            ("$expand=Datastreams($top=1),Datastreams", "$expand names Datastreams twice"),
            ("$filter=" + "a eq 1 and " * 800, "longer than"),
        ],
    )
    def test_what_cannot_be_understood_is_said(self, text, problem):
        with pytest.raises(QueryError) as caught:
            parse_query(text)

        assert problem in str(caught.value)

    @settings(max_examples=300)
    @given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))
    def test_any_text_gives_a_query_or_a_query_error(self, text):
        with contextlib.suppress(QueryError):
            assert isinstance(parse_query(text), Query)


@pytest.fixture(scope="module")
def db():
    store, ingest = opened(":memory:")
    ingest.apply(UP, moisture_series(NODES[0], [20.0, 13.0, "no_answer"]))
    store.db.execute("PRAGMA query_only = 1")
    yield store.db
    store.close()


NAMES = st.sampled_from(
    [
        *sorted({p.name for entity in ENTITIES.values() for p in entity.properties}),
        *sorted({n.name for entity in ENTITIES.values() for n in entity.navigations}),
        *("id", "nothing", "tree"),
    ]
)
VALUES = st.one_of(
    st.text(max_size=12).map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.sampled_from(
        ["'; DROP TABLE things; --", "''' OR 1=1 --'", "5", "-0.5", "1e400", "true", "null", "2026-07-01T00:00:00Z"]
    ),
    st.lists(NAMES, min_size=1, max_size=3).map("/".join),
)
COMPARISONS = st.tuples(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]), VALUES
).map(" ".join)
FILTERS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        inner.map("not {}".format),
        inner.map("({})".format),
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map("".join),
    ),
    max_leaves=4,
)


class TestSql:
    """No text of the caller becomes SQL."""

    @settings(max_examples=400, deadline=None)
    @given(entity=st.sampled_from(sorted(ENTITIES)), text=FILTERS | st.text(max_size=30))
    @example(entity="Things", text="name eq 'x'' OR ''1''=''1'")
    @example(entity="Things", text='properties/name"; DROP TABLE things;-- eq 1')
    def test_any_filter_is_refused_or_runs_with_its_values_bound(self, db, entity, text):
        select = Select(ENTITIES[entity])
        try:
            condition, args = select.where(parse_filter(text))
        except QueryError:
            return

        assert condition.count("?") == len(args)
        try:
            db.execute(f"SELECT count(*) FROM {select.source} WHERE {condition}", args).fetchone()
        except sqlite3.DataError as error:  # a string with a NUL is not text to SQLite
            raise AssertionError(text) from error

    def test_what_looks_like_sql_is_only_a_string(self, db):
        select = Select(ENTITIES["Things"])

        condition, args = select.where(parse_filter("name eq 'x'' OR ''1''=''1'"))

        assert args == ["x' OR '1'='1"]
        assert db.execute(f"SELECT count(*) FROM {select.source} WHERE {condition}", args).fetchone() == (0,)

    @pytest.mark.parametrize(
        ("entity", "text", "count"),
        [
            ("Observations", "result gt 15", 4),  # one moisture and three temperatures
            ("Observations", "15 lt result", 4),
            ("Observations", "not result gt 15", 2),
            ("Observations", "result eq null", 1),
            ("Observations", "result gt '3'", 0),  # '20.0' and '13.0' come before '3' as strings
            ("Observations", "result eq '13.0'", 1),
            ("Observations", "resultQuality/flag eq 'no_answer'", 1),
            ("Observations", "phenomenonTime ge 2026-07-01T01:00:00Z", 4),
            ("Observations", "phenomenonTime lt '2026-07-01T03:00:00+02:00'", 2),
            ("Observations", "Datastream/ObservedProperty/name eq 'soil_moisture'", 3),
            ("Observations", "Datastream/Thing/properties/planted eq 2024", 6),
            ("Things", "name ge 'J-0003'", 2),
            ("Things", "id le 2", 2),
            ("Things", "Datastreams/ObservedProperty/name eq 'soil_moisture'", 1),
            (
                "Things",
                "Datastreams/name eq 'J-0001 soil_moisture' and Datastreams/unitOfMeasurement/symbol eq '°C'",
                0,
            ),
            ("Things", "Datastreams/name eq 'J-0001 soil_moisture' and Datastreams/unitOfMeasurement/symbol eq '%'", 1),
            ("Things", "properties/planted gt '1'", 0),
            ("Things", "properties/nothing eq null", 4),
            ("Datastreams", "phenomenonTime gt 2026-06-30T00:00:00Z", 2),
            ("Datastreams", "phenomenonTime lt 2026-07-01T02:00:00Z", 0),
            ("Datastreams", "phenomenonTime le 2026-07-01T02:00:00Z", 2),
        ],
    )
    def test_comparisons_select(self, db, entity, text, count):
        select = Select(ENTITIES[entity])
        condition, args = select.where(parse_filter(text))
        key = ENTITIES[entity].id.format(t="t")

        found = db.execute(f"SELECT count(DISTINCT {key}) FROM {select.source} WHERE {condition}", args).fetchone()

        assert found == (count,)

    @pytest.mark.parametrize(
        ("entity", "text", "problem"),
        [
            ("Things", "colour eq 1", "Things have no 'colour'"),
            ("Things", "Datastreams eq 1", "Datastreams is not a property"),
            ("Things", "properties eq 1", "properties is not a single value"),
            ("Things", "name/x eq 1", "name has no members"),
            ("Things", "name eq 2026-07-01T00:00:00Z", "name is not a time"),
            ("Observations", "phenomenonTime eq 5", "phenomenonTime is a time"),
            ("Observations", "result gt null", "null can only be compared with eq and ne"),
            ("Observations", "result eq phenomenonTime", "cannot compare result with phenomenonTime"),
            ("Observations", "1 eq 1", "a comparison needs a property"),
            ("Things", "Datastreams/Thing/Datastreams/Thing/Datastreams/name eq 'x'", "too long a way"),
        ],
    )
    def test_what_has_no_meaning_is_said(self, entity, text, problem):
        with pytest.raises(QueryError, match=problem):
            Select(ENTITIES[entity]).where(parse_filter(text))
