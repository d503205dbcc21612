# SPDX-License-Identifier: EUPL-1.2
"""A gateway that speaks GWMP: an SX1302-like concentrator with its packet forwarder, at a place on the air.

PM = Semtech sx1302_hal, packet_forwarder/PROTOCOL.md, v1.6. Each uplink holds virtual time until the network server has
answered for it (``simulators.gwmp_forwarder``); downlinks wait in ``simulators.jit_queue``.
"""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from decoders.lorawan.gps_time import gps_from_unix
from simulators.air import Air, Transmission
from simulators.clock import Clock
from simulators.concentrator_radio import DEMODULATORS, EU868_CHANNELS_HZ, ConcentratorRadio
from simulators.gwmp_forwarder import GwmpForwarder, Json
from simulators.jit_queue import JitQueue, parse_txpk

TX_RANGE_HZ = (863_000_000, 870_000_000)
TX_POWERS_DBM = range(12, 28)  # sx1302_hal, global_conf.json.sx1250.EU868, tx_gain_lut


class Concentrator(ConcentratorRadio):
    """``position`` in metres, ``epoch_unix_s``: the time of the world when the clock stood at 0."""

    def __init__(
        self,
        clock: Clock,
        air: Air,
        gateway_eui: str,
        address: tuple[str, int],
        position: tuple[float, float] = (0.0, 0.0),
        *,
        epoch_unix_s: int,
        channels_hz: tuple[int, ...] = EU868_CHANNELS_HZ,
        demodulators: int = DEMODULATORS,
        antenna_dbi: float = 2.15,
        counter_at_start: int = 0,
        latitude_longitude: tuple[float, float] = (0.0, 0.0),
        stat_interval_s: int = 30,
        hold_s: float = 2.0,
        short_hold_s: float = 0.05,
        keepalive_s: float = 5.0,
        lockstep: bool = False,
        explicit_none: bool = False,
        on_uplink: Callable[[int, bytes], None] | None = None,
    ) -> None:
        super().__init__(
            clock,
            air,
            position,
            channels_hz=channels_hz,
            demodulators=demodulators,
            antenna_dbi=antenna_dbi,
            counter_at_start=counter_at_start,
        )
        self._epoch_unix_s = epoch_unix_s
        self._latitude_longitude = latitude_longitude
        self._stat_interval_us = stat_interval_s * 1_000_000
        self._on_uplink = on_uplink
        self._queue = JitQueue()
        self.forwarder = GwmpForwarder(
            address,
            gateway_eui,
            self._on_txpk,
            hold_s=hold_s,
            short_hold_s=short_hold_s,
            keepalive_s=keepalive_s,
            lockstep=lockstep,
            explicit_none=explicit_none,
        )
        air.attach(self)
        clock.after(self._stat_interval_us, self._stat)

    def close(self) -> None:
        self._air.detach(self)
        self.forwarder.close()

    def poll(self) -> None:
        """Take what the network server has sent of its own accord; for callers in real time."""
        self.forwarder.poll()

    # --- uplinks

    def take(self, transmission: Transmission) -> None:
        if self.forwarder.push({"rxpk": [self._rxpk(transmission)]}):
            self.counters.delivered += 1
            if self._on_uplink is not None:
                self._on_uplink(self._clock.now_us, transmission.phy_payload)

    def _rxpk(self, t: Transmission) -> Json:
        """PM 4 "Upstream JSON data structure"; now is the "RX finished" event."""
        chan = self._channel(t.frequency_hz)
        assert chan is not None
        level = self._measure(t)
        unix_us = self._epoch_unix_s * 1_000_000 + self._clock.now_us
        return {
            "jver": 1,
            "tmst": self.tmst,
            "time": _iso(unix_us),
            "tmms": gps_from_unix(self._epoch_unix_s) * 1000 + self._clock.now_us // 1000,
            "chan": chan,
            "rfch": 1 if self._channels_hz[chan] >= 868_000_000 else 0,
            "freq": self._channels_hz[chan] / 1_000_000,
            "stat": 1,
            "modu": "LORA",
            "datr": f"SF{t.sf}BW{t.bandwidth_hz // 1000}",
            "codr": f"4/{4 + t.coding_rate}",
            "rssi": round(level.rssi_dbm),
            "rssis": round(level.signal_dbm),
            "lsnr": round(level.snr_db, 1),
            "size": len(t.phy_payload),
            "data": base64.b64encode(t.phy_payload).decode(),
        }

    def _stat(self) -> None:
        counters, forwarder = self.counters, self.forwarder
        latitude, longitude = self._latitude_longitude
        now = datetime.fromtimestamp(self._epoch_unix_s, UTC) + timedelta(microseconds=self._clock.now_us)
        self._clock.after(self._stat_interval_us, self._stat)
        forwarder.push(
            {
                "stat": {
                    "time": f"{now:%Y-%m-%d %H:%M:%S} GMT",
                    "lati": latitude,
                    "long": longitude,
                    "rxnb": counters.received + counters.crc_bad + counters.no_crc,
                    "rxok": counters.received,
                    "rxfw": counters.received,
                    "ackr": round(100.0 * forwarder.acked / forwarder.pushed, 1) if forwarder.pushed else 0.0,
                    "dwnb": counters.asked,
                    "txnb": counters.sent,
                }
            },
            hold=False,
        )

    # --- downlinks

    def _on_txpk(self, txpk: Any) -> Json | None:
        """Queue or refuse a downlink; the txpk_ack."""
        self.counters.asked += 1
        downlink = parse_txpk(txpk, gps_from_unix(self._epoch_unix_s) * 1000, self._counter_offset)
        if downlink is None:
            self.counters.refused["MALFORMED"] += 1
            return None  # the original drops it without a TX_ACK
        if not TX_RANGE_HZ[0] <= downlink.frequency_hz <= TX_RANGE_HZ[1]:
            return self._refuse("TX_FREQ")
        power = max((p for p in TX_POWERS_DBM if p <= downlink.power_dbm), default=TX_POWERS_DBM[0])
        start = self._queue.enqueue(downlink._replace(power_dbm=power), self._clock.now_us, self.tmst)
        if isinstance(start, str):
            return self._refuse(start)
        self._clock.at(start, lambda: self._transmit(start))
        if power != downlink.power_dbm:
            self.counters.power_lowered += 1
            return {"warn": "TX_POWER", "value": power}
        return {}

    def _refuse(self, error: str) -> Json:
        self.counters.refused[error] += 1
        return {"error": error}

    def _transmit(self, start: int) -> None:
        self.transmit(self._queue.take(start), start)


def _iso(unix_us: int) -> str:
    """PM 4: ISO 8601, microseconds, UTC."""
    moment = datetime.fromtimestamp(unix_us // 1_000_000, UTC).replace(microsecond=unix_us % 1_000_000)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
