# SPDX-License-Identifier: EUPL-1.2
"""What became of each record that was accepted, at the end of a life of lossless.py."""

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from cloud_ingest.gaps import gaps
from decoders.records import UplinkKey
from tests.chain.edge_and_cloud import Broken, Identity

if TYPE_CHECKING:
    from tests.chain.lossless import World


class Lived(NamedTuple):
    """What happened how often, and of the records accepted: how many arrived, and how many of the rest are named by a
    tombstone, stand in a gap, or were on a card that is gone."""

    steps: Counter[str]
    arrived: int
    named: int
    seen: int
    excused: int


class Given(NamedTuple):
    """What was accepted: when the reading was sampled, and in which lane it went."""

    lane: int
    at: int


def judge(world: "World") -> Lived:
    """Raises Broken."""
    store = world.cloud.store
    found = store.db.execute(
        "SELECT d.dev_eui, o.at FROM observations o JOIN datastreams d ON d.id = o.datastream WHERE flag IS NULL"
    ).fetchall()
    events = {int(n) for (n,) in store.db.execute("SELECT detail ->> 'n' FROM gateway_events")}
    uplinks = {UplinkKey(*row) for row in store.db.execute("SELECT dev_eui, session, f_cnt FROM uplinks")}
    wanted = {(key.dev_eui, given.at): key for key, given in world.given.items() if isinstance(key, UplinkKey)}
    if invented := set(found) - wanted.keys():
        raise Broken(f"nobody measured {invented}")
    stored: set[Identity] = {wanted[place] for place in found} | {("event", n) for n in events}
    if uplinks != {identity for identity in stored if isinstance(identity, UplinkKey)}:
        raise Broken("uplinks and readings do not agree")
    applied = store.db.execute("SELECT value FROM counters WHERE name = 'uplinks' AND reason = 'applied'").fetchone()
    if (applied[0] if applied else 0) != len(uplinks):
        raise Broken(f"{applied} uplinks were counted, {len(uplinks)} are there")
    return _account_for(world, world.given.keys() - stored)._replace(arrived=len(stored))


def _account_for(world: "World", missing: set[Identity]) -> Lived:
    named, seen = _told(world)
    lost = missing - world.excused - named
    if world.was_cloud_restored and not world.keeps_all:
        lost -= seen | world.once_named
        lost -= {identity for identity in lost if not _must_be_seen(world, identity)}
    if lost:
        raise Broken(f"lost and not said: {sorted(lost, key=str)[:5]} of {len(lost)}")
    if not world.was_cloud_restored and not world.was_edge_restored and seen - named:
        raise Broken(f"said to be missing, and nobody knows why: {seen - named}")
    return Lived(Counter(), 0, len(missing & named), len(missing & seen - named), len(missing & world.excused))


def _must_be_seen(world: "World", identity: Identity) -> bool:
    """A gateway tells what it has no more of its epoch and the one before, in a lane that says anything."""
    epoch, bases, continues = world.edge.backlog.numbering
    for (lane, row), one in world.edge.rows.items():
        before = continues[lane]
        base = bases[lane] if before is None else world.edge.epochs[before.epoch].bases[lane]
        if one == identity and (epoch, lane) in world.spoken and row > base:
            return True
    return False


def _told(world: "World") -> tuple[set[Identity], set[Identity]]:
    """What tombstones in the store name, and what stands in gaps that none explains."""
    named: set[Identity] = set()
    seen: set[Identity] = set()
    for gap in gaps(world.cloud.store):
        numbers = world.edge.epochs[gap.epoch]
        spans = {(eui, session): (first, last) for eui, session, first, last, _ in gap.devices}
        for seq in range(gap.first_seq, gap.last_seq + 1):
            identity = numbers.identity(gap.lane, seq)
            if identity is None:
                continue
            if not gap.named:
                seen.add(identity)
            elif isinstance(identity, UplinkKey):
                first, last = spans.get((identity.dev_eui, identity.session), (1, 0))
                named |= {identity} if first <= identity.f_cnt <= last else set()
            else:
                named.add(identity)
    return named, seen
