# SPDX-License-Identifier: EUPL-1.2
"""JSON that people write: RFC 8259, and what it leaves open refused."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.errors import ConfigError
from cloud_ingest.strict_json import Table, read

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


class TestObjects:
    """RFC 8259 4 "Objects": names within an object should be unique."""

    def test_a_key_that_is_written_twice_is_refused(self) -> None:
        with pytest.raises(ConfigError) as caught:
            read('{"a": 1, "a": 2}', "city.json")

        assert str(caught.value) == "city.json: is not JSON: a key is written twice in one object"

    def test_a_missing_and_an_unknown_key_are_named_with_their_place(self) -> None:
        with pytest.raises(ConfigError) as missing:
            Table({}, "city.json", ("id",))
        with pytest.raises(ConfigError) as unknown:
            Table({"id": 1, "ide": 2}, "city.json", ("id",), ("name",))

        assert str(missing.value) == "city.json: 'id' is missing"
        assert str(unknown.value) == "city.json: unknown key 'ide'; known are id, name"


class TestNumbers:
    """RFC 8259 6 "Numbers": values such as Infinity and NaN are not permitted."""

    @pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
    def test_what_is_no_number_is_refused(self, word: str) -> None:
        with pytest.raises(ConfigError) as caught:
            read(f'{{"zoom": {word}}}', "city.json")

        assert str(caught.value) == f"city.json: is not JSON: {word} is not a JSON number"

    def test_a_number_too_large_to_hold_is_out_of_range(self) -> None:
        table = Table(read('{"zoom": 1e999}', "city.json"), "city.json", ("zoom",))

        with pytest.raises(ConfigError) as caught:
            table.number("zoom", 0, 24)

        assert str(caught.value) == "city.json: zoom: must be from 0 to 24, not inf"


@given(_VALUES)
def test_what_json_writes_is_read_back(value: Any) -> None:
    assert read(json.dumps(value), "city.json") == value


@given(st.text() | st.text(alphabet='{}[]":,0123456789eE+-.tfn\\u \n'))
def test_any_text_is_a_value_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        read(text, "city.json")
