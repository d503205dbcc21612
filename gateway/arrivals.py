# SPDX-License-Identifier: EUPL-1.2
"""Frames on their way into the store: one transaction for each, however many concentrators report it. Event loop only.

Copies come while the first one is being stored, or soon after. They wait for it, and are then known by their bytes;
only what is no mere copy takes a transaction of its own: the first one failed, or the node has sent it again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from gateway.group_commit import GroupCommit
from gateway.join_server import Joined
from gateway.network_server import Accepted, Copy, NetworkServer
from gateway.radio import Reception

Outcome = Accepted | Copy | Joined


class Arrivals:
    """``serve`` runs in the writer's thread, within a transaction."""

    def __init__(
        self, writer: GroupCommit, network_server: NetworkServer, serve: Callable[[Reception], Outcome]
    ) -> None:  # fmt: skip
        self._writer = writer
        self._network_server = network_server
        self._serve = serve
        self._under_way: dict[bytes, asyncio.Future[Outcome]] = {}  # by PHYPayload

    def begin(self, reception: Reception) -> Awaitable[Outcome]:
        """Begin to have a frame stored or refused; await the outcome, on the disk by then. It raises as ``serve``."""
        first = self._under_way.get(reception.phy_payload)
        if first is not None:
            return self._after(first, reception)
        copy = self._network_server.copy(reception)
        return self._store(reception) if copy is None else _known(copy)

    def _store(self, reception: Reception) -> "asyncio.Future[Outcome]":
        first = self._writer.run(partial(self._serve, reception))
        self._under_way[reception.phy_payload] = first
        first.add_done_callback(partial(self._stored, reception.phy_payload))
        return first

    def _stored(self, phy_payload: bytes, first: "asyncio.Future[Outcome]") -> None:
        if self._under_way.get(phy_payload) is first:
            del self._under_way[phy_payload]
        if not first.cancelled() and first.exception() is None and isinstance(outcome := first.result(), Accepted):
            self._network_server.stored(outcome.key, phy_payload)

    async def _after(self, first: "asyncio.Future[Outcome]", reception: Reception) -> Outcome:
        await asyncio.wait([first])
        return self._network_server.copy(reception) or await self._store(reception)


async def _known(outcome: Outcome) -> Outcome:
    return outcome
