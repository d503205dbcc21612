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
    open_items = [1]  # how many items are still to come on each level
    at = items = 0
    size = len(data)
    while open_items:
        if not open_items[-1]:
            open_items.pop()
            continue
        open_items[-1] -= 1
        items += 1
        if items > max_items:
            raise UnexpectedCbor(f"more than {max_items} items")
        if at >= size:
            raise UnexpectedCbor("cut off")
        major, argument = data[at] >> 5, data[at] & 0x1F
        at += 1
        if argument >= 24:
            length = _ARGUMENT_BYTES.get(argument)
            if length is None:
                raise UnexpectedCbor("indefinite or reserved length")
            argument = int.from_bytes(data[at : at + length], "big")
            at += length
        if major in (_BYTES, _TEXT):
            at += argument
        elif major == _TAG:
            if argument not in tags:
                raise UnexpectedCbor(f"tag {argument}")
            open_items.append(1)
        elif major in (_ARRAY, _MAP):
            if major == _MAP and argument > max_map:
                raise UnexpectedCbor(f"a map of more than {max_map}")
            if argument > size - at:  # an item has at least one byte
                raise UnexpectedCbor("cut off")
            open_items.append(argument * 2 if major == _MAP else argument)
        if len(open_items) > max_depth + 1:
            raise UnexpectedCbor(f"more than {max_depth} levels")
        if at > size:
            raise UnexpectedCbor("cut off")
    if at < size:
        raise UnexpectedCbor("bytes after the end")
    return items
