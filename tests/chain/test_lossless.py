# SPDX-License-Identifier: EUPL-1.2
"""From the outbox to the city's store, with every fault there is in any order: nothing is lost, doubled or unsaid."""

import logging
from collections import Counter
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from cloud_ingest import gateway_records, ingest, streams
from gateway import backlog, delivery, outbox
from tests.chain.edge_and_cloud import Broken
from tests.chain.lossless import FAULTS, live
from tests.chain.lossless_verdict import Lived

LIVES = 36
LIVES_OF_A_MUTANT = 150  # at most; each has been found out within 30


@pytest.fixture(autouse=True)
def quiet():
    """Each life warns of what it does on purpose."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def lives(count: int) -> list[Lived]:
    return [live(f"teeth.{number}") for number in range(count)]


class TestLives:
    """Issue 6: "all end with every reading exactly once"; what a full gateway drops is named."""

    def test_what_was_accepted_is_there_once_or_accounted_for(self):
        all_lives = lives(LIVES)

        steps = sum((lived.steps for lived in all_lives), Counter())
        assert set(FAULTS) <= set(steps)
        assert sum(lived.arrived for lived in all_lives) > 50 * LIVES
        assert sum(lived.named for lived in all_lives) > 50
        assert sum(lived.seen for lived in all_lives) > 10
        assert sum(lived.excused for lived in all_lives) > 10

    def test_one_seed_is_one_life(self):
        assert live("again", 60) == live("again", 60)


def break_in_place(monkeypatch: pytest.MonkeyPatch, module: ModuleType, right: str, wrong: str) -> None:
    """Give the functions and methods of a module the text ``wrong`` in place of ``right``."""
    assert module.__file__ is not None
    source = Path(module.__file__).read_text("utf-8")
    assert source.count(right) == 1
    broken = ModuleType(module.__name__)
    exec(compile(source.replace(right, wrong), module.__file__, "exec"), broken.__dict__)
    for name, item in vars(module).items():
        if isinstance(item, FunctionType) and item.__module__ == module.__name__:
            monkeypatch.setattr(module, name, getattr(broken, name))
        if isinstance(item, type) and item.__module__ == module.__name__:
            for method, function in vars(item).items():
                if isinstance(function, FunctionType) and method in vars(getattr(broken, name)):
                    monkeypatch.setattr(item, method, vars(getattr(broken, name))[method])


class TestTeeth:
    """Each of these ends at least one of the same lives badly."""

    @pytest.mark.parametrize(
        ("module", "right", "wrong"),
        [
            (backlog, "if watermark.epoch != self.numbering.epoch:", "if False:"),
            (backlog, "self._told |= {", "self._told = {"),
            (backlog, "if any(row > self._sent[lane] for lane, row in rows.items()):", "if False:"),
            (delivery, "            self._begin_after(seq)\n", ""),
            (outbox, "        for tombstone in dropping.tombstones():\n", "        for tombstone in ():\n"),
            (outbox, "secrets.randbits(_EPOCH_BITS)", "7"),
            (
                outbox,
                "if delivered_bytes > self.limits.horizon_bytes:\n            self._forget(now, delivered_bytes - ",
                "if delivered_bytes:\n            self._forget(now, delivered_bytes - 0 * ",
            ),
            (outbox, 'ORDER BY seq", (lane.delivered_seq,)', 'ORDER BY seq", (lane.last_seq,)'),
            (ingest, "[(uplink.key, uplink", "[(uplink.key._replace(session=1), uplink"),
            (streams, "AND a.first_seq <= max(c.of_seq - c.seq, 0) + 1 AND a.last_seq >= c.of_seq ", ""),
            (streams, "    if of_seq > seq:\n", "    if False:\n"),
            (streams, "        _link(store, head, continues)\n", "        pass\n"),
            (gateway_records, "    if is_known:\n        return\n", "    return\n"),
        ],
        ids=[
            "a watermark of any epoch is believed",
            "a lane that the cloud has forgotten is forgotten too",
            "a watermark of what was never sent is believed",
            "a watermark never goes back",
            "tombstones are forgotten",
            "all epochs have one name",
            "nothing stays for the horizon",
            "what waits goes with what is delivered",
            "a key has no session",
            "what an epoch continues is taken on trust",
            "what it has no more is not looked at",
            "what it continues is ignored",
            "the store keeps no tombstone",
        ],
    )
    def test_a_mutant_loses_something(self, module, right, wrong, monkeypatch):
        break_in_place(monkeypatch, module, right, wrong)

        with pytest.raises((Broken, AssertionError, KeyError)):
            lives(LIVES_OF_A_MUTANT)
