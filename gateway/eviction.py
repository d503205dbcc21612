# SPDX-License-Identifier: EUPL-1.2
"""What a full outbox drops is named exactly: the tombstones of what was taken from the old end of one lane."""

from collections.abc import Iterable

from decoders.records import MAX_DROPPED, Dropped, Event, Record, Tombstone, UplinkMessage


class Dropping:
    """Takes the records of one lane, oldest first, from ``first_seq`` of ``epoch`` on.

    Of more devices than a tombstone may name those with most uplinks are, unless it ``names_all``."""

    def __init__(self, epoch: int, lane: int, first_seq: int, names_all: bool = True) -> None:
        self._names_all = names_all
        self._epoch = epoch
        self._lane = lane
        self._first_seq = first_seq
        self._taken = 0
        self._uplinks: dict[tuple[str, int], tuple[int, int, int]] = {}
        self._times: list[float] = []
        self._older: list[Tombstone] = []

    def take(self, record: Record | None) -> bool:
        """One more (None: nobody can read it); False: it would be one device too many for a tombstone."""
        if isinstance(record, UplinkMessage):
            key = (record.key.dev_eui, record.key.session)
            f_cnt = record.key.f_cnt
            if self._names_all and key not in self._uplinks and len(self._uplinks) == MAX_DROPPED:
                return False
            first, last, uplinks = self._uplinks.get(key, (f_cnt, f_cnt, 0))
            first, last = min(first, f_cnt), max(last, f_cnt)
            self._uplinks[key] = (first, last, min(uplinks + 1, last - first + 1))  # one that is there twice is one
            self._times.append(record.received_at)
        elif isinstance(record, Event):
            self._times.append(record.at)
        elif isinstance(record, Tombstone):
            self._older.append(record)
            self._times += [record.first_at, record.last_at]
        self._taken += 1
        return True

    def tombstones(self) -> list[Tombstone]:
        """For what was taken; tombstones among it live on, joined where they meet."""
        if not self._taken:
            return []
        dropped = _named([Dropped(*key, *row) for key, row in self._uplinks.items()])
        times = self._times or [0.0]
        others = self._taken - sum(row.uplinks for row in dropped)
        last_seq = self._first_seq + self._taken - 1
        own = Tombstone(
            self._epoch, self._lane, self._first_seq, last_seq, min(times), max(times), others, dropped
        )  # fmt: skip
        return joined([*self._older, own])


def joined(tombstones: Iterable[Tombstone]) -> list[Tombstone]:
    """Fewer in their place: neighbours of one epoch and lane become one.

    Of more devices than one may name those with most uplinks are named, and the uplinks of the rest are counted."""
    result: list[Tombstone] = []
    for one in sorted(tombstones, key=lambda item: (item.epoch, item.lane, item.first_seq, -item.last_seq)):
        last = result[-1] if result else None
        if last is not None and (last.epoch, last.lane) == (one.epoch, one.lane):
            if one.last_seq <= last.last_seq:
                continue
            if one.first_seq == last.last_seq + 1:
                result[-1] = _both(last, one)
                continue
        result.append(one)
    return result


def _both(first: Tombstone, second: Tombstone) -> Tombstone:
    rows = {(row.dev_eui, row.session): row for row in first.dropped}
    for row in second.dropped:
        known = rows.get((row.dev_eui, row.session), row)
        first_f_cnt, last_f_cnt = min(known.first_f_cnt, row.first_f_cnt), max(known.last_f_cnt, row.last_f_cnt)
        uplinks = row.uplinks if known is row else min(known.uplinks + row.uplinks, last_f_cnt - first_f_cnt + 1)
        rows[row.dev_eui, row.session] = Dropped(row.dev_eui, row.session, first_f_cnt, last_f_cnt, uplinks)
    named = _named(list(rows.values()))
    return second._replace(
        first_seq=first.first_seq,
        first_at=min(first.first_at, second.first_at),
        last_at=max(first.last_at, second.last_at),
        others=second.last_seq - first.first_seq + 1 - sum(row.uplinks for row in named),
        dropped=named,
    )


def _named(rows: list[Dropped]) -> tuple[Dropped, ...]:
    """As many as one tombstone may name: those with most uplinks."""
    if len(rows) > MAX_DROPPED:
        rows = sorted(rows, key=lambda row: -row.uplinks)[:MAX_DROPPED]
    return tuple(rows)
