# SPDX-License-Identifier: EUPL-1.2
"""The structure of a CBOR item (RFC 8949 "Specification of the CBOR Encoding"), checked before anything is built of it.

A general decoder gives meaning to dozens of tags (regular expressions, dates, references) and fills maps of any size,
whose keys may be chosen to collide; a few kilobytes then cost minutes. Here each item costs one step, and what passes
is cheap to decode: definite lengths that fit the data, small maps, few levels, no tag but those named.
"""

from collections.abc import Container

from decoders.lorawan.errors import RemoteError

_ARGUMENT_BYTES = {24: 1, 25: 2, 26: 4, 27: 8}  # additional information -> bytes of the argument after it
_BYTES, _TEXT, _ARRAY, _MAP, _TAG = 2, 3, 4, 5, 6  # major types that more than an argument follows


class UnexpectedCbor(RemoteError):
    """``problem`` says in one line what of the structure is not allowed."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def argument_at(data: bytes, at: int) -> tuple[int, int, int]:
    """Major type and argument of the item that begins at ``at``, and where they end; raises UnexpectedCbor."""
    if at >= len(data):
        raise UnexpectedCbor("cut off")
    major, argument = data[at] >> 5, data[at] & 0x1F
    at += 1
    if argument >= 24:
        length = _ARGUMENT_BYTES.get(argument)
        if length is None:
            raise UnexpectedCbor("indefinite or reserved length")
        argument = int.from_bytes(data[at : at + length], "big")
        at += length
    if at > len(data):
        raise UnexpectedCbor("cut off")
    return major, argument, at


def scan(data: bytes, *, max_items: int, max_depth: int, max_map: int, tags: Container[int]) -> int:
    """Check the one item that is ``data`` and return of how many it is made; raises UnexpectedCbor."""
    outer: list[int] = []  # how many items are still to come on each level around this one
    left = 1  # and on this one
    at = items = 0
    size = len(data)
    while True:
        while not left:
            if not outer:
                if at < size:
                    raise UnexpectedCbor("bytes after the end")
                return items
            left = outer.pop()
        left -= 1
        items += 1
        if items > max_items:
            raise UnexpectedCbor(f"more than {max_items} items")
        if at >= size:
            raise UnexpectedCbor("cut off")
        head = data[at]
        at += 1
        major, argument = head >> 5, head & 0x1F
        if argument >= 24:
            length = _ARGUMENT_BYTES.get(argument)
            if length is None:
                raise UnexpectedCbor("indefinite or reserved length")
            argument = int.from_bytes(data[at : at + length], "big")
            at += length
            if at > size:
                raise UnexpectedCbor("cut off")
        if major < _BYTES or major > _TAG:
            continue
        if major <= _TEXT:
            at += argument
            if at > size:
                raise UnexpectedCbor("cut off")
            continue
        if major == _TAG:
            if argument not in tags:
                raise UnexpectedCbor(f"tag {argument}")
            inner = 1
        else:
            if major == _MAP and argument > max_map:
                raise UnexpectedCbor(f"a map of more than {max_map}")
            if argument > size - at:  # an item has at least one byte
                raise UnexpectedCbor("cut off")
            inner = argument * 2 if major == _MAP else argument
        outer.append(left)
        left = inner
        if len(outer) > max_depth:
            raise UnexpectedCbor(f"more than {max_depth} levels")
