# SPDX-License-Identifier: EUPL-1.2
"""The way of an uplink: ``Uplinks.received``. Each frame is stored or refused, answered, counted and logged.

Event loop only, but for what the servers decide: that runs in the writer's thread, within the frame's transaction.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from decoders.lorawan import frame
from decoders.lorawan.errors import MalformedFrame, MicMismatch
from gateway.applications import Applications
from gateway.arrivals import Arrivals, Outcome
from gateway.backhaul.interface import Backhaul, Heard
from gateway.errors import Refused, StoreError, StoreFull
from gateway.group_commit import GroupCommit
from gateway.join_server import Joined, JoinServer
from gateway.metrics import Metrics
from gateway.network_server import Copy, NetworkServer
from gateway.operations import Operations
from gateway.radio import Reception
from gateway.reception_time import TimeKeeper
from gateway.store import Ledger
from gateway.transmitter import Transmitter
from gateway.ways_down import Protocol

_log = logging.getLogger(__name__)


class Uplinks:
    """``backhauls`` are those that are attached, by concentrator; ``wake``: there is something new in the outbox.

    ``virtual``: time is, and stands still until a frame is answered.
    """

    def __init__(
        self,
        ledger: Ledger,
        writer: GroupCommit,
        network_server: NetworkServer,
        join_server: JoinServer,
        time_keeper: TimeKeeper,
        operations: Operations,
        applications: Applications,
        transmitter: Transmitter,
        backhauls: Mapping[str, Backhaul],
        metrics: Metrics,
        wake: Callable[[], None],
        *,
        virtual: bool,
    ) -> None:
        self._ledger = ledger
        self._network_server = network_server
        self._join_server = join_server
        self._time_keeper = time_keeper
        self._operations = operations
        self._applications = applications
        self._transmitter = transmitter
        self._backhauls = backhauls
        self._metrics = metrics
        self._wake = wake
        self._virtual = virtual
        self._arrivals = Arrivals(writer, network_server, self._serve)

    async def received(self, concentrator: str, speech: Protocol, frames: Sequence[Heard]) -> bool:
        """Have every frame stored or refused, and answers under way; False when one could not be stored."""
        jobs = []
        for heard in frames:
            reception = self._reception(concentrator, speech, heard)
            ended_us = self._transmitter.heard(reception, heard.concentrator_gps_ms, speech)
            if reason := self._operations.refusal(reception):
                self._refused(reception, ended_us, Refused(reason))
                continue
            jobs.append((reception, ended_us, self._arrivals.begin(reception)))
        complete = True
        for reception, ended_us, job in jobs:
            try:
                outcome = await job
            except (Refused, MalformedFrame, MicMismatch) as refusal:
                self._refused(reception, ended_us, refusal)
            except StoreError as error:
                complete = False
                self._store_failed(error)
            except Exception:
                complete = False
                self._metrics.refuse("internal_error")
                _log.exception("an uplink could not be handled; this is a bug")
            else:
                self._accepted(reception, outcome)
                if outcome.answer is not None:
                    self._transmitter.owe(reception, ended_us, outcome.answer)
                else:
                    self._transmitter.copy(reception, ended_us)
        if self._virtual:
            await self._transmitter.taken()
        return complete

    def _serve(self, reception: Reception) -> Outcome:
        """In the writer thread, within its transaction."""
        kind = frame.m_type(reception.phy_payload)
        if kind == frame.JOIN_REQUEST:
            return self._join_server.answer(reception, self._ledger)
        if kind in (frame.UNCONFIRMED_UP, frame.CONFIRMED_UP):
            return self._network_server.handle(reception, self._ledger)
        raise Refused("unexpected_m_type")

    def _reception(self, concentrator: str, speech: Protocol, heard: Heard) -> Reception:
        moment = self._time_keeper.received(
            heard.gps_ms, heard.unix_s, host_clock=speech is Protocol.BASICS_STATION
        )  # fmt: skip
        return Reception(
            concentrator, heard.tmst_us, heard.frequency_hz, heard.sf, heard.bandwidth_hz, heard.rssi_dbm, heard.snr_db,
            moment.gps_ms, moment.boot_s if moment.unix_s is None else moment.unix_s, heard.phy_payload, heard.antenna,
            moment.quality, moment.boot_s,
        )  # fmt: skip

    def _accepted(self, reception: Reception, outcome: Outcome) -> None:
        rssi_dbm = round(reception.rssi_dbm)
        backhaul = self._backhauls.get(reception.concentrator)
        if backhaul is not None:
            backhaul.proved(reception.concentrator)
        self._operations.accepted(reception, outcome)
        if not isinstance(outcome, Joined):
            self._applications.located(outcome.key.dev_eui, reception)
        if isinstance(outcome, Copy):
            self._metrics.refuse("duplicate")
            _log.debug("copy dev_eui=%s f_cnt=%d rssi_dbm=%d", outcome.key.dev_eui, outcome.key.f_cnt, rssi_dbm)
            return
        if isinstance(outcome, Joined):
            self._metrics.count("joins")
            _log.info(
                "join dev_eui=%s dev_addr=%08x dr=%d rssi_dbm=%d",
                outcome.dev_eui, outcome.dev_addr, reception.data_rate, rssi_dbm,
            )  # fmt: skip
            return
        self._metrics.count("uplinks")
        self._applications.report(outcome.event)
        if outcome.problem:
            self._metrics.refuse("decode_failed")
        if outcome.stored:
            self._wake()
        _log.info(
            "uplink dev_eui=%s f_cnt=%d f_port=%d dr=%d rssi_dbm=%d",
            outcome.key.dev_eui, outcome.key.f_cnt, outcome.f_port or 0, reception.data_rate, rssi_dbm,
        )  # fmt: skip

    def _refused(
        self, reception: Reception, ended_us: int, refusal: Refused | MalformedFrame | MicMismatch
    ) -> None:  # fmt: skip
        if isinstance(refusal, Refused):
            reason = refusal.reason
            if reason == "duplicate":  # a Join-Request through another concentrator
                self._transmitter.copy(reception, ended_us)
        else:
            reason = "mic_mismatch" if isinstance(refusal, MicMismatch) else "malformed_frame"
        self._metrics.refuse(reason)
        self._operations.refused(reception, reason)
        _log.debug("< %s %s: %s", reception.concentrator, reception.phy_payload.hex(), refusal)

    def _store_failed(self, error: StoreError) -> None:
        reason = "store_full" if isinstance(error, StoreFull) else "store_failed"
        if not self._metrics.refused[reason] & 0x3FF:  # the first, then every 1024th
            _log.error("uplinks are not stored: %s", error)
        self._metrics.refuse(reason)
