# SPDX-License-Identifier: EUPL-1.2
"""A gateway's radio: an SX1302-like concentrator with its packet forwarder, at a place on the air.

PM = Semtech sx1302_hal, packet_forwarder/PROTOCOL.md, v1.6. Each uplink holds virtual time until the network server has
answered for it (``simulators.gwmp_forwarder``); downlinks wait in ``simulators.jit_queue``.
"""

import base64
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from decoders.lorawan.airtime import low_data_rate_optimize
from decoders.lorawan.gps_time import gps_from_unix
from simulators.air import PREAMBLE_NEEDED, SNR_LIMIT_DB, Air, Position, Transmission, noise_dbm, total_dbm
from simulators.clock import Clock
from simulators.gwmp_forwarder import GwmpForwarder, Json
from simulators.jit_queue import WRAP, JitQueue, parse_txpk

# The three join channels and the five that a European join-accept usually adds
EU868_CHANNELS_HZ = (
    868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000,
)  # fmt: skip
BANDWIDTH_HZ = 125_000
SYNC_WORD = 0x3444  # LoRaWAN, "public network"
DEMODULATORS = 16  # SX1302 data sheet: packets received at the same time
NOISE_FIGURE_DB = 6.0
SNR_REPORT_MAX_DB = 15.0
TX_RANGE_HZ = (863_000_000, 870_000_000)
TX_POWERS_DBM = range(12, 28)  # sx1302_hal, global_conf.json.sx1250.EU868, tx_gain_lut


@dataclass
class Counters:
    """What became of every packet on our channels, and of every downlink."""

    heard: int = 0  # by the antenna, on a channel, of our kind; the next five say why not more came of it
    too_weak: int = 0
    half_duplex: int = 0
    no_demodulator: int = 0
    crc_bad: int = 0
    no_crc: int = 0
    received: int = 0
    delivered: int = 0  # acknowledged by the network server
    asked: int = 0  # PULL_RESP
    sent: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    power_lowered: int = 0


class Concentrator:
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
        self._clock = clock
        self._air = air
        self._position = Position(*position)
        self._channels_hz = channels_hz
        self._demodulators = demodulators
        self._antenna_dbi = antenna_dbi
        self._counter_offset = counter_at_start - clock.now_us
        self._epoch_unix_s = epoch_unix_s
        self._latitude_longitude = latitude_longitude
        self._stat_interval_us = stat_interval_s * 1_000_000
        self._on_uplink = on_uplink
        self._receiving: set[Transmission] = set()
        self._sending_until_us = 0
        self._queue = JitQueue()
        self.counters = Counters()
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

    @property
    def tmst(self) -> int:
        """The internal counter, us, 32 bits."""
        return (self._clock.now_us + self._counter_offset) % WRAP

    # --- uplinks

    def _channel(self, frequency_hz: int) -> int | None:
        for n, channel_hz in enumerate(self._channels_hz):
            if abs(frequency_hz - channel_hz) <= BANDWIDTH_HZ // 4:
                return n
        return None

    def _level_dbm(self, t: Transmission) -> float:
        return self._air.level_dbm(t, self._position) + self._antenna_dbi

    def heard(self, transmission: Transmission) -> None:
        t = transmission
        ours = t.bandwidth_hz == BANDWIDTH_HZ and t.sync_word == SYNC_WORD and not t.iq_inverted
        if not ours or t.implicit_header or self._channel(t.frequency_hz) is None:
            return
        self.counters.heard += 1
        if self._level_dbm(t) - noise_dbm(BANDWIDTH_HZ, NOISE_FIGURE_DB) < SNR_LIMIT_DB[t.sf]:
            self.counters.too_weak += 1
            return
        self._look_for(t, self._clock.now_us)

    def _look_for(self, t: Transmission, from_us: int) -> None:
        """Detect the preamble after hearing enough of it from ``from_us`` on."""
        detected = from_us + round(PREAMBLE_NEEDED * t.symbol_us)
        if detected > t.preamble_end_us:
            self.counters.half_duplex += 1
            return
        self._clock.at(detected, lambda: self._detect(t, from_us))

    def _detect(self, t: Transmission, from_us: int) -> None:
        if self._sending_until_us > from_us:
            self._look_for(t, self._sending_until_us)
        elif len(self._receiving) >= self._demodulators:
            self.counters.no_demodulator += 1
        else:
            self._receiving.add(t)
            self._clock.at(t.end_us, lambda: self._received(t))

    def _received(self, t: Transmission) -> None:
        if t not in self._receiving:
            return  # our own transmitter has deafened us since
        self._receiving.remove(t)
        if (
            self._air.was_cut(t)
            or not self._air.survives(t, self._position)
            or t.low_data_rate != low_data_rate_optimize(t.sf, t.bandwidth_hz)
        ):
            self.counters.crc_bad += 1  # forward_crc_error is off
        elif not t.crc_on:
            self.counters.no_crc += 1  # forward_crc_disabled is off
        else:
            self.counters.received += 1
            if self.forwarder.push({"rxpk": [self._rxpk(t)]}):
                self.counters.delivered += 1
                if self._on_uplink is not None:
                    self._on_uplink(self._clock.now_us, t.phy_payload)

    def _rxpk(self, t: Transmission) -> Json:
        """PM 4 "Upstream JSON data structure"; now is the "RX finished" event."""
        chan = self._channel(t.frequency_hz)
        assert chan is not None
        level, noise = self._level_dbm(t), noise_dbm(t.bandwidth_hz, NOISE_FIGURE_DB)
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
            "rssi": round(total_dbm(level, noise)),
            "rssis": round(level),
            "lsnr": round(min(level - noise, SNR_REPORT_MAX_DB), 1),
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
        downlink = self._queue.take(start)
        self.counters.half_duplex += len(self._receiving)
        self._receiving.clear()
        end = start + downlink.time_on_air_us()
        self._sending_until_us = end
        self.counters.sent += 1
        self._air.transmit(
            Transmission(
                start_us=start,
                end_us=end,
                frequency_hz=downlink.frequency_hz,
                sf=downlink.sf,
                bandwidth_hz=downlink.bandwidth_hz,
                power_dbm=downlink.power_dbm + self._antenna_dbi,
                iq_inverted=downlink.iq_inverted,
                sync_word=SYNC_WORD,
                phy_payload=downlink.phy_payload,
                crc_on=downlink.crc_on,
                preamble_symbols=downlink.preamble,
                position=self._position,
                coding_rate=downlink.coding_rate,
                implicit_header=downlink.implicit_header,
                low_data_rate=low_data_rate_optimize(downlink.sf, downlink.bandwidth_hz),
            )
        )


def _iso(unix_us: int) -> str:
    """PM 4: ISO 8601, microseconds, UTC."""
    moment = datetime.fromtimestamp(unix_us // 1_000_000, UTC).replace(microsecond=unix_us % 1_000_000)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
