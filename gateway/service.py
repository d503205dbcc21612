# SPDX-License-Identifier: EUPL-1.2
"""The running gateway: wires backhauls, servers, store, forwarder and page, and starts and stops them.

Start here, then ``uplinks.py``: the way of an uplink.
"""

import asyncio
import gc
import logging
import signal
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

from decoders.lorawan.gps_time import gps_from_unix
from decoders.records import ALARM
from gateway.applications import Applications
from gateway.backhaul.admission import is_loopback, security
from gateway.backhaul.gwmp import Stat
from gateway.backhaul.gwmp_endpoint import GwmpEndpoint, listen
from gateway.backhaul.interface import Backhaul, Heard
from gateway.backhaul.lns_endpoint import LnsEndpoint
from gateway.backlog import Backlog
from gateway.boots import SURE
from gateway.clock_watch import is_sure
from gateway.config import Config
from gateway.dating import LateDating, begin_boot
from gateway.downlink_page import DownlinkPage
from gateway.errors import StoreError
from gateway.forwarder import Forwarder
from gateway.group_commit import GroupCommit
from gateway.join_server import JoinServer
from gateway.local_pages import LocalPages
from gateway.loop_errors import LoopErrors
from gateway.metrics import Metrics
from gateway.network_server import NetworkServer
from gateway.operations import Operations
from gateway.outbox import Limits
from gateway.page import Page
from gateway.page_token import form_key, load_token
from gateway.reception_time import Boot, TimeKeeper, this_boot
from gateway.room import Room
from gateway.status import StatusReport
from gateway.store import Store
from gateway.transmitter import Transmitter
from gateway.uplinks import Uplinks
from gateway.watch import Detail
from gateway.ways_down import Protocol

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0


class Gateway:
    """One gateway over one open store.

    ``clock`` gives Unix seconds, ``is_synchronized`` whether they are right, ``boot`` those since the boot (None: this
    one).
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        clock: Callable[[], float] = time.time,
        boot: Boot | None = None,
        is_synchronized: Callable[[], bool] = lambda: True,
    ) -> None:
        self._config = config
        self._store = store
        self._ledger = store.ledger
        self._reader = store.reader()
        self._outbox_reader = store.reader()
        self._loop = asyncio.get_running_loop()
        self.metrics = Metrics()
        network = config.network
        self._boot = boot or this_boot()
        self._time_keeper = TimeKeeper(
            clock, self._boot, network.time_tolerance_s, self.metrics, is_synchronized, begin_boot(store, self._boot)
        )  # fmt: skip
        self._network_server = NetworkServer(
            config.gateway.eui, network.duplicate_window_s, self._boot.id, config.downlinks.confirmed_tries,
            config.wanted, network.adr,
        )  # fmt: skip
        self._join_server = JoinServer(config.net_id, config.dev_addr_block, network.duplicate_window_s, config.wanted)
        self._room = Room(store.connection, store.path, config.store.reserve_mb << 20, store.ledger.disk_short)
        store.ledger.limits = Limits(config.store.cap_mb << 20, config.store.horizon_mb << 20)
        self._writer = self._make_writer()
        backlog = Backlog(
            config.mqtt, config.gateway.eui, self._outbox_reader, self._writer, store.ledger, self.metrics
        )  # fmt: skip
        self._forwarder = Forwarder(config.mqtt, config.gateway.eui, backlog, self.metrics)
        self._applications = Applications(
            store.ledger, self._writer, self._time_keeper, self.metrics, self._forwarder.publish_event,
            config.downlinks.confirmed_tries,
        )  # fmt: skip
        self._forwarder.on_command = self._applications.command
        self._operations = Operations(config, store, self._writer, self._boot, self.metrics, self._tell)
        self._transmitter = Transmitter(
            power_dbm=network.tx_power_dbm,
            lead_ms=config.downlinks.lead_ms,
            held=config.downlinks.virtual_time,
            metrics=self.metrics,
            ended=self._applications.ended,
            told=lambda step: self._operations.step(step, self._time_keeper.now),
        )
        self._applications.push = self._transmitter.push
        self._backhauls: dict[str, Backhaul] = {}
        self._report = self._make_report()
        self._page = self._make_page()
        self._uplinks = Uplinks(
            store.ledger, self._writer, self._network_server, self._join_server, self._time_keeper, self._operations,
            self._applications, self._transmitter, self._backhauls, self.metrics, self._forwarder.wake,
            virtual=config.downlinks.virtual_time,
        )  # fmt: skip
        self._late_dating = LateDating(
            store.ledger, self._writer, self._reader, self._boot, self._time_keeper, self.metrics, self._tell,
            self._forwarder.wake,
        )  # fmt: skip
        self._endpoint: GwmpEndpoint | None = None
        self._lns: LnsEndpoint | None = None
        self._forwarding: asyncio.Task[None] | None = None
        self._looking_after: asyncio.Task[None] | None = None
        self.gwmp_port = 0
        self.lns_port = 0
        self.page_port = 0

    def _make_writer(self) -> GroupCommit:
        return GroupCommit(
            self._store.transactions,
            window_s=0.0 if self._config.downlinks.virtual_time else self._config.store.group_window_ms / 1000,
            records=self._config.store.group_records,
            before=self._room.check,
        )

    def _make_report(self) -> StatusReport:
        return StatusReport(
            self._config.gateway.eui, self._reader, self._writer, self._forwarder, self._room, self._transmitter,
            self._operations, self.metrics, self._backhauls, self._stats,
            lambda: is_sure(self._time_keeper.offset()),
        )  # fmt: skip

    def _make_page(self) -> Page:
        pages = LocalPages(
            self._store.path, self._operations.log, self._operations.liveness, self._boot,
            lambda: self._operations.concentrator_rows(self._backhauls),
        )  # fmt: skip
        token = load_token(self._config.page.token_file, create=True)
        downlinks = DownlinkPage(self._applications, self._time_keeper.now, form_key(token))
        secret = pages.answers() | downlinks.answers()
        return Page(self._report.answers(), secret, token, downlinks.posts())

    def _stats(self) -> dict[str, Stat]:
        return {} if self._endpoint is None else self._endpoint.stats

    async def start(self) -> None:
        """Open the ports and begin to forward; raises PortTaken."""
        config = self._config
        self._loop.set_exception_handler(LoopErrors())
        self.page_port = await self._page.listen(config.page.host, config.page.port)
        self._applications.class_c = self._reader.class_c()
        await self._applications.start()
        self._operations.start()
        if config.basics_station.enabled:
            await self._listen_to_stations()
        self._endpoint, self.gwmp_port = await listen(
            config.gwmp.host, config.gwmp.port, self, self.metrics, reserved=self._speaks_elsewhere,
            pin_s=config.gwmp.pin_s,
        )  # fmt: skip
        self._forwarding = asyncio.create_task(self._forwarder.run())
        self._looking_after = asyncio.create_task(self._look_after())
        _log.info(
            "gateway ready eui=%s gwmp=%s:%d page=%s:%d epoch=%d outbox=%d",
            config.gateway.eui, config.gwmp.host, self.gwmp_port, config.page.host, self.page_port,
            self._forwarder.numbering.epoch, self._reader.waiting_records(),
        )  # fmt: skip

    async def _listen_to_stations(self) -> None:
        settings = self._config.basics_station
        proofs = security(settings)
        self._lns = LnsEndpoint(
            self, self.metrics, proofs, tx_power_dbm=self._config.network.tx_power_dbm, gps_us=self._gps_us,
            held=self._config.downlinks.virtual_time,
        )  # fmt: skip
        self.lns_port = await self._lns.listen(settings.host, settings.port)
        _log.info(
            "basics stations may connect uri=%s://%s:%d",
            "ws" if proofs.tls is None else "wss", settings.host, self.lns_port,
        )  # fmt: skip
        if proofs.tokens is None and not proofs.certificates and not is_loopback(settings.host):
            _log.warning(
                "anybody who reaches %s:%d may be a Basics Station: give tokens_file", settings.host, self.lns_port
            )

    def _speaks_elsewhere(self, concentrator: str) -> bool:
        """Whether it is a Basics Station, connected now or known by a token."""
        return self._lns is not None and self._lns.knows(concentrator)

    def _gps_us(self) -> int | None:
        now = self._time_keeper.sure_now()
        return None if now is None else round(gps_from_unix(now) * 1_000_000)

    async def stop(self) -> None:
        """Finish what was accepted, say goodbye to the cloud, close everything."""
        if self._endpoint is not None:
            await self._endpoint.close()
        if self._lns is not None:
            await self._lns.close()
        self._transmitter.close()
        await self._page.close()
        if self._looking_after is not None:
            self._looking_after.cancel()
            await asyncio.wait([self._looking_after])
        if self._forwarding is not None:
            await self._forwarder.say_goodbye()
            self._forwarding.cancel()
            await asyncio.wait([self._forwarding])
        await self._applications.finish()
        await self._operations.stop()
        await self._writer.close()
        self._reader.close()
        self._outbox_reader.close()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            await self.start()
            gc.freeze()  # what is there by now stays: the collector need not look at it again and again
            await stop.wait()
            _log.info("gateway stops")
        finally:
            await self.stop()

    # --- what the backhauls call

    def attached(self, concentrator: str, speech: Protocol, backhaul: Backhaul) -> None:
        self._backhauls[concentrator] = backhaul
        self._operations.attached(concentrator, speech)
        self._transmitter.attached(concentrator, speech, backhaul)

    def detached(self, concentrator: str, *, forget: bool = False) -> None:
        self._backhauls.pop(concentrator, None)
        self._operations.detached(concentrator)
        self._transmitter.detached(concentrator, forget=forget)

    def confirmed(self, concentrator: str, order_id: int, frequency_hz: int | None = None) -> None:
        self._operations.confirmed(order_id, frequency_hz)
        self._transmitter.confirmed(concentrator, order_id, frequency_hz)

    def refused(self, concentrator: str, order_id: int, reason: str) -> None:
        self._transmitter.refused(concentrator, order_id, reason)

    async def received(self, concentrator: str, speech: Protocol, frames: Sequence[Heard]) -> bool:
        return await self._uplinks.received(concentrator, speech, frames)

    # --- what is to be done besides

    async def _look_after(self) -> None:
        """Date the uplinks that wait for a time, as soon as somebody knows it; send again, or drop, what is due."""
        while True:
            try:
                taken = await self._late_dating.date_some()
                self._applications.class_c = self._reader.class_c()
                if not self._config.downlinks.virtual_time:
                    await self._applications.retry(time.monotonic())
                if self._reader.expired(self._time_keeper.now()):
                    await self._applications.expire()
            except (StoreError, sqlite3.Error) as error:  # they go on waiting
                taken = 0
                _log.warning("uplinks go on waiting for a time: %s", error)
            if not taken:
                await asyncio.sleep(_LOOK_EVERY_S)

    def _tell(self, kind: str, dev_eui: str | None, detail: Detail) -> None:
        """An event for the cloud. In the writer's thread, within its transaction."""
        moment = self._time_keeper.moment()
        at = moment.boot_s if moment.unix_s is None else moment.unix_s
        row = self._ledger.append_event(kind, at, dev_eui=dev_eui, time_quality=moment.quality, detail=detail)
        if moment.quality not in SURE:
            self._ledger.estimate(ALARM, row, moment.boot_id, moment.boot_s)
        self._loop.call_soon_threadsafe(self._forwarder.wake)

    def status(self) -> dict[str, Any]:
        """Everything of /metrics, as one JSON document."""
        return self._report.status()
