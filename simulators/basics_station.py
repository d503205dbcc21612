# SPDX-License-Identifier: EUPL-1.2
"""A gateway that runs LoRa Basics Station: the same concentrator, with the station's software over a real websocket.

BS = lorabasics/basicstation 2.0.6, from its documentation and its own behaviour (src/s2e.c, src/lora.c, src/tc.c), not
from a network server. What it will not send it drops without a word, as the original does; ``counters.refused`` says
why. Each uplink holds virtual time until the server has answered the timesync that follows it.
"""

import random
from collections.abc import Callable
from typing import Any

from decoders.lorawan.gps_time import gps_from_unix
from simulators.air import Air, Transmission
from simulators.clock import Clock
from simulators.concentrator_radio import DEMODULATORS, ConcentratorRadio
from simulators.jit_queue import Downlink
from simulators.station_frames import DataRates, eui_bytes, eui_text, uplink_fields
from simulators.station_link import Json, StationLink
from simulators.station_queue import TX_AIM_GAP_US, TxJob, TxQueue

# BS src/s2e.c, handle_router_config: EIRP of region EU868
EIRP_DBM = 16.0
EIRP_2_DBM = 27.0
EIRP_2_HZ = (869_400_000, 869_650_000)
_SESSION_SHIFT = 48


class BasicsStation(ConcentratorRadio):
    """``production``: a build that cannot switch its duty cycle off. ``token``: its Authorization."""

    def __init__(
        self,
        clock: Clock,
        air: Air,
        gateway_eui: str,
        address: tuple[str, int],
        position: tuple[float, float] = (0.0, 0.0),
        *,
        epoch_unix_s: int,
        demodulators: int = DEMODULATORS,
        antenna_dbi: float = 2.15,
        counter_at_start: int = 0,
        has_gps: bool = True,
        production: bool = True,
        token: str = "",
        ca_file: str | None = None,
        certificate: tuple[str, str] | None = None,
        seed: int = 0,
        lockstep: bool = False,
        hold_s: float = 2.0,
        on_uplink: Callable[[int, bytes], None] | None = None,
    ) -> None:
        super().__init__(
            clock, air, position, channels_hz=(), demodulators=demodulators, antenna_dbi=antenna_dbi,
            counter_at_start=counter_at_start,
        )  # fmt: skip
        self._epoch_unix_s = epoch_unix_s
        self._eui = gateway_eui
        self._has_gps = has_gps
        self._production = production
        self._on_uplink = on_uplink
        self._dice = random.Random(f"station {seed} {gateway_eui}")
        self._session = 0
        self._rates: DataRates = DataRates(())
        self._freq_range = (0, 0)
        self._eirp_dbm, self._eirp_2_dbm = EIRP_DBM, EIRP_2_DBM
        self._queue = TxQueue(clock, self._end_us, self._drop, self._transmit, self._on_air)
        self.dntxed = 0
        self.link = StationLink(
            address, gateway_eui, on_config=self._configure, on_message=self._on_message, lockstep=lockstep,
            hold_s=hold_s, token=token, ca_file=ca_file, certificate=certificate,
        )  # fmt: skip
        self.link.connect()
        air.attach(self)

    def close(self) -> None:
        self._air.detach(self)
        self.link.close()

    def poll(self) -> None:
        """Take what the network server has sent of its own accord; for callers in real time."""
        self.link.poll()

    # --- configuration

    def _configure(self, config: Json) -> None:
        """BS src/s2e.c, ``handle_router_config``; raises KeyError, TypeError or ValueError as the original gives up."""
        if config["region"] not in ("EU863", "EU868") or not config["hwspec"] or not config["sx1301_conf"]:
            raise ValueError("router_config of another region, or without a radio")
        self._rates = DataRates(tuple(tuple(rate) for rate in config["DRs"]))
        self._freq_range = (int(config["freq_range"][0]), int(config["freq_range"][1]))
        self._channels_hz = tuple(int(channel[0]) for channel in config["upchannels"])
        eirp_dbm = float(config.get("max_eirp", EIRP_2_DBM))
        self._eirp_dbm, self._eirp_2_dbm = min(EIRP_DBM, eirp_dbm), min(EIRP_2_DBM, eirp_dbm)
        self._queue.restart(self._production or not config.get("nodc", False))
        self._session = self._dice.randrange(1, 256)

    # --- time

    def _xtime(self, time_us: int) -> int:
        """BS src/ral.h, "Encoding of xtime": session above the counter, which here never wraps."""
        return self._session << _SESSION_SHIFT | (time_us + self._counter_offset)

    def _time_us(self, xtime: int) -> int | None:
        """None where it is of another session."""
        session, counter = divmod(xtime, 1 << _SESSION_SHIFT)
        return counter - self._counter_offset if session == self._session else None

    def _gps_us(self, time_us: int) -> int:
        return gps_from_unix(self._epoch_unix_s) * 1_000_000 + time_us if self._has_gps else 0

    # --- uplinks

    def take(self, transmission: Transmission) -> None:
        t = transmission
        self.link.poll()
        if not self.link.stands():
            return  # without a connection the radio is off: BS src/tc.c, ``tc_free``
        fields = uplink_fields(t.phy_payload)
        if fields is None:
            return  # "Not a LoRaWAN frame"
        level, now_us = self._measure(t), self._clock.now_us
        chan = self._channel(t.frequency_hz)
        assert chan is not None
        fields |= {
            "RefTime": 0.0,
            "DR": self._rates.number(t.sf, t.bandwidth_hz),
            "Freq": self._channels_hz[chan],
            "upinfo": {
                "rctx": 0,
                "xtime": self._xtime(now_us),
                "gpstime": self._gps_us(now_us),
                "fts": -1,
                "rssi": round(level.rssi_dbm),
                "snr": round(level.snr_db * 4) / 4,
                "rxtime": self._epoch_unix_s + now_us / 1e6,
            },
        }
        if self.link.uplink(fields, now_us):
            self.counters.delivered += 1
            if self._on_uplink is not None:
                self._on_uplink(now_us, t.phy_payload)

    # --- downlinks

    def _on_message(self, message: Json) -> None:
        if message.get("msgtype") == "dnmsg":
            self.counters.asked += 1
            job = self._read(message)
            if job is not None:
                self._queue.add(job)

    def _drop(self, reason: str) -> None:
        """Without a word to the server."""
        self.counters.refused[reason] += 1

    def _read(self, message: Json) -> TxJob | None:
        """BS src/s2e.c, ``handle_dnmsg``: what is missing or illegal drops the message."""
        try:
            windows: list[tuple[int, int] | None] = []
            for name in ("RX1", "RX2"):
                if (f"{name}DR" in message) != (f"{name}Freq" in message):
                    raise ValueError(name)
                if f"{name}DR" in message:
                    windows.append((self._frequency(message[f"{name}Freq"]), self._rates.check(message[f"{name}DR"])))
                else:
                    windows.append(None)
            rx1, rx2 = windows
            class_c = {0: False, 2: True}[message["dC"]]
            dev_eui = eui_bytes(message["DevEui"])
            pdu = bytes.fromhex(message["pdu"])
            if len(pdu) > 255 or rx1 is rx2 is None:
                raise ValueError("pdu")
            diid, priority = int(message["diid"]), int(message.get("priority", 0))
            delay_s = message.get("RxDelay", 1)
            if delay_s not in range(16):
                raise ValueError("RxDelay")
            delay_us = max(1, delay_s) * 1_000_000
            tx_us = self._time_us(message["xtime"]) if message.get("xtime") else None
        except (KeyError, TypeError, ValueError):
            self._drop("MALFORMED")
            return None
        earliest = self._clock.now_us + TX_AIM_GAP_US
        if rx1 is None:
            assert rx2 is not None
            if tx_us is None and not class_c:
                self._drop("TIME")
                return None
            at = earliest if class_c else (tx_us or 0) + delay_us + 1_000_000
            if at < earliest:
                self._drop("TOO_LATE")
                return None
            return TxJob(diid, eui_text(dev_eui), pdu, class_c, priority, at, *rx2, None)
        if tx_us is None:
            self._drop("TIME")
            return None
        return TxJob(diid, eui_text(dev_eui), pdu, class_c, priority, tx_us + delay_us, *rx1, rx2)

    def _frequency(self, value: Any) -> int:
        if type(value) is not int or not self._freq_range[0] <= value <= self._freq_range[1]:
            raise ValueError("Freq")
        return value

    def _downlink(self, job: TxJob) -> Downlink:
        sf, bandwidth_hz = self._rates.modulation(job.data_rate)
        eirp = self._eirp_2_dbm if EIRP_2_HZ[0] <= job.frequency_hz <= EIRP_2_HZ[1] else self._eirp_dbm
        return Downlink(
            tmst=None, frequency_hz=job.frequency_hz, power_dbm=round(eirp - self._antenna_dbi), sf=sf,
            bandwidth_hz=bandwidth_hz, coding_rate=1, iq_inverted=True, preamble=8, crc_on=False,
            implicit_header=False, phy_payload=job.pdu,
        )  # fmt: skip

    def _end_us(self, job: TxJob) -> int:
        return job.tx_us + self._downlink(job).time_on_air_us()

    def _transmit(self, job: TxJob) -> None:
        self.transmit(self._downlink(job), job.tx_us)

    def _on_air(self, job: TxJob) -> None:
        """BS src/s2e.c, ``send_dntxed``."""
        self.dntxed += 1
        self.link.send(
            {
                "msgtype": "dntxed",
                "seqno": job.diid,
                "diid": job.diid,
                "DR": job.data_rate,
                "Freq": job.frequency_hz,
                "DevEui": job.dev_eui,
                "rctx": 0,
                "xtime": self._xtime(job.tx_us),
                "txtime": job.tx_us / 1e6,
                "gpstime": self._gps_us(job.tx_us),
            }
        )
