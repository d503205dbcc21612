# SPDX-License-Identifier: EUPL-1.2
"""The tokens of SensorThings query options, one after the other; what is none, or is not wanted, is a QueryError."""

import re

from cloud_ingest.errors import QueryError

_MAX_INT = 1 << 53

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*')
    | (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w-])
    | (?P<option>\$[A-Za-z]+)
    | (?P<name>[A-Za-z_@][\w.@-]*)
    | (?P<mark>[(),/;=])
    )""",
    re.VERBOSE | re.ASCII,
)


class Tokens:
    """A text as its tokens: ``token`` is the present one, of ``kind`` (a group of _TOKEN, or "end"), from ``at`` on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0
        self.kind, self.token, self._next = self._scan(0)

    def end(self) -> None:
        if self.kind != "end":
            raise self.unexpected("the end")

    def since(self, begin: int) -> str:
        """What was read from ``begin`` on, as it was written."""
        return self._text[begin : self.at].strip()

    def word(self, *words: str) -> bool:
        """Is the present token one of these words?"""
        return self.kind == "name" and self.token in words

    def name(self) -> str:
        """A property's name, read; ``@iot.id`` is ``id``."""
        if self.kind != "name":
            raise self.unexpected("a name")
        name = self.step()
        return "id" if name == "@iot.id" else name

    def whole(self, name: str) -> int:
        if self.kind != "number" or not re.fullmatch(r"\d{1,16}", self.token) or int(self.token) > _MAX_INT:
            raise QueryError(f"{name} must be a whole number, not {self.token!r}")
        return int(self.step())

    def boolean(self, name: str) -> bool:
        if self.token not in ("true", "false"):
            raise QueryError(f"{name} must be true or false, not {self.token!r}")
        return self.step() == "true"

    def take(self, mark: str) -> bool:
        """Read ``mark`` if it is here."""
        if self.kind == "mark" and self.token == mark:
            self.step()
            return True
        return False

    def demand(self, mark: str) -> None:
        if not self.take(mark):
            raise self.unexpected(f"'{mark}'")

    def step(self) -> str:
        """The present token; the next one is present from now on."""
        token = self.token
        self.at = self._next
        self.kind, self.token, self._next = self._scan(self.at)
        return token

    def _scan(self, at: int) -> tuple[str, str, int]:
        match = _TOKEN.match(self._text, at)
        if match:
            assert match.lastgroup is not None
            return match.lastgroup, match[match.lastgroup], match.end()
        if self._text[at:].strip():
            raise QueryError(f"cannot read {self._text[at : at + 30].strip()!r}")
        return "end", "", len(self._text)

    def unexpected(self, wanted: str) -> QueryError:
        return QueryError(f"expected {wanted}, found {self.token!r}" if self.token else f"expected {wanted} at the end")
