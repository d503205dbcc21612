# SPDX-License-Identifier: EUPL-1.2
"""JSON that people write, strictly read: every error is a ConfigError that says where and what, in plain words.

No key twice in one object, none unknown and none missing; no NaN, and no number out of its range.
"""

import json
import math
import re
from typing import Any

from cloud_ingest.errors import ConfigError

_JSON_WORDS = {
    "Expecting value": "a value is expected here",
    "Expecting ',' delimiter": "a comma or a closing bracket is missing before this place",
    "Expecting ':' delimiter": "a colon is missing between a key and its value",
    "Expecting property name enclosed in double quotes": "a key in double quotes is missing, or a comma is too many",
    "Illegal trailing comma before end of object": "a comma too many",
    "Illegal trailing comma before end of array": "a comma too many",
    "Extra data": "the file goes on after its end",
    "Unterminated string starting at": "a text begins here and does not end",
    "Invalid control character at": "a line break or tabulator inside a text",
    "Invalid \\escape": "a backslash that means nothing; write two",
    "Unexpected UTF-8 BOM (decode using utf-8-sig)": "a byte order mark; save the file as UTF-8 without one",
}


def read(text: str, where: str) -> Any:
    """The value that JSON ``text`` stands for; raises ConfigError."""
    try:
        return json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        words = _JSON_WORDS.get(error.msg, error.msg)
        raise ConfigError(where, f"line {error.lineno}, column {error.colno}: not JSON: {words}") from error
    except RecursionError as error:
        raise ConfigError(where, "has objects or arrays nested too deep") from error
    except ValueError as error:
        raise ConfigError(where, f"is not JSON: {error}") from error


class Table:
    """One JSON object with exactly the ``required`` keys and perhaps the ``optional`` ones, found at ``where``."""

    def __init__(self, data: Any, where: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
        if not isinstance(data, dict):
            raise ConfigError(where, "must be an object")
        for key in data:
            if key not in required + optional:
                raise ConfigError(where, f"unknown key {key!r}; known are {', '.join(required + optional)}")
        for key in required:
            if key not in data:
                raise ConfigError(where, f"{key!r} is missing")
        self.data, self.where = data, where

    def at(self, key: str) -> str:
        return f"{self.where}: {key}"

    def value(self, key: str) -> Any:
        return self.data[key]

    def text(self, key: str) -> str:
        value = self.data[key]
        if not isinstance(value, str) or not value.strip() or len(value) > 200 or not value.isprintable():
            raise ConfigError(self.at(key), "must be a short text")
        return value

    def matching(self, key: str, pattern: re.Pattern[str], words: str) -> str:
        value = self.data[key]
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ConfigError(self.at(key), f"must be {words}, not {value!r}")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        return number(self.data[key], low, high, self.at(key))

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self.data.get(key, default)
        if type(value) is not int or not low <= value <= high:
            raise ConfigError(self.at(key), f"must be a whole number from {low} to {high}, not {value!r}")
        return value

    def tables(self, key: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> "list[Table]":
        items = self.data[key]
        if not isinstance(items, list):
            raise ConfigError(self.at(key), "must be a list")
        return [Table(item, f"{self.where}: {key}[{i}]", required, optional) for i, item in enumerate(items)]


def number(value: Any, low: float, high: float, where: str) -> float:
    """A finite number from ``low`` to ``high``; raises ConfigError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(where, f"must be a number, not {value!r}")
    if not low <= value <= high or not math.isfinite(value):
        raise ConfigError(where, f"must be from {low} to {high}, not {value!r}")
    return float(value)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is written twice in one object")
    return table


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON number")
