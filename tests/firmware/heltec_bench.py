# SPDX-License-Identifier: EUPL-1.2
"""A Heltec V3 with its sensors on the bench, running the firmware as it ships, and a small network on the air."""

from pathlib import Path

import loramsg

from decoders.lorawan.airtime import time_on_air_us
from firmware.boards import heltec_v3 as pins
from firmware.provisioning import pack_identity
from simulators.air import Air, PathLoss, Position, Transmission
from simulators.bench import Wiring
from simulators.chips.ds18b20 import Ds18b20Sim
from simulators.chips.smt100 import Smt100Sim
from simulators.chips.sx1262 import Sx1262Sim
from simulators.clock import Clock
from simulators.firmware_build import build, compile_module
from simulators.flash import Flash
from simulators.kernel import Kernel
from simulators.node import NodeBench
from simulators.wires import Rs485, Wire
from tests.firmware.lorawan_peer import APP_KEY, DEV_ADDR, IDENTITY, join_accept, session_keys

S = 1_000_000
HOUR = 3600 * S
GPS_AT_0 = 1_450_000_000  # network time when the clock stands at 0
BATTERY_MV = 3_912


class Network:
    """Listens to everything, answers as told. ``heard``: (start us, fields) of every uplink it could verify.

    ``joins`` says whether join requests are answered, ``tells_time`` whether DeviceTimeReq is; ``window`` is 1 or 2.
    """

    def __init__(self, clock, air):
        self._clock = clock
        self._air = air
        air.attach(self)
        self.joins = True
        self.tells_time = True
        self.window = 1
        self.transmissions = []
        self.join_requests = []
        self.sessions = []
        self.heard_uplinks = []
        self.downlinks = 0

    def heard(self, transmission):
        if not transmission.iq_inverted:
            self.transmissions.append(transmission)
            self._clock.at(transmission.end_us, lambda: self._ended(transmission))

    def _ended(self, sent):
        kind = loramsg.sanity_check_frame(sent.phy_payload)
        if kind == loramsg.FrmType.JREQ:
            loramsg.verify_jreq(APP_KEY, sent.phy_payload)
            dev_nonce = loramsg.unpack_jreq(sent.phy_payload)["DevNonce"]
            self.join_requests.append((sent, dev_nonce))
            if self.joins:
                join_nonce = len(self.sessions) + 1
                self.sessions.append((session_keys(dev_nonce, join_nonce), -1))
                self.send(sent, join_accept(join_nonce), delay_s=5)
            return
        (nwk_s_key, app_s_key), last = self.sessions[-1]
        fields = loramsg.unpack_dataframe(sent.phy_payload, max(last, 0), nwk_s_key, app_s_key)
        self.sessions[-1] = ((nwk_s_key, app_s_key), fields["FCnt"])
        self.heard_uplinks.append((sent, fields))
        if b"\x0d" in fields["FOpts"] and self.tells_time:
            fraction, gps_s = sent.end_us % S * 256 // S, GPS_AT_0 + sent.end_us // S
            self.answer(sent, f_opts=b"\x0d" + gps_s.to_bytes(4, "little") + bytes([fraction]))

    def answer(self, sent, **frame):
        """A data downlink in the window of ``sent``."""
        (nwk_s_key, app_s_key), _ = self.sessions[-1]
        port = frame.get("port")
        phy_payload = loramsg.pack_dataframe(
            loramsg.FrmType.DADN, DEV_ADDR, 0, self.downlinks, frame.get("f_opts", b""), port,
            frame.get("payload", b""), nwk_s_key, app_s_key,
        )  # fmt: skip
        self.downlinks += 1
        self.send(sent, phy_payload, delay_s=1)

    def send(self, sent, phy_payload, delay_s):
        start_us = sent.end_us + (delay_s + self.window - 1) * S
        frequency_hz, sf = (sent.frequency_hz, sent.sf) if self.window == 1 else (869_525_000, 12)
        down = Transmission(
            start_us, start_us + time_on_air_us(len(phy_payload), sf, crc=False), frequency_hz, sf, 125_000, 14.0,
            True, 0x3444, phy_payload, False, 8, Position(500.0, 0.0), low_data_rate=sf >= 11,
        )  # fmt: skip
        self._clock.at(start_us, lambda: self._air.transmit(down))


def provisioned_flash(folder: Path, identity: bytes) -> Flash:
    """A flash with a file system that holds ``identity``, as the node's own MicroPython writes it."""
    source = folder / "provision.py"
    source.write_text(f"with open('/data/identity.bin', 'wb') as file:\n    file.write({identity!r})\n")
    compile_module(source, folder / "provision" / "provision.mpy", "provision.py")
    clock = Clock()
    bench = NodeBench(clock, Wiring(), folder / "provision", main="provision")
    bench.power_on()
    with Kernel(clock, [bench]) as kernel:
        kernel.run_until(5 * S)
        assert bench.statistics.returned == 1, bench.console()
        flash = Flash()
        flash.program(0, bench.flash.image())
        return flash


class Street:
    """One node at a tree, one network, nothing else."""

    def __init__(self, folder: Path, *, identity: bytes | None = None, loss_db=100.0, provisioned=True, **options):
        self.clock = clock = Clock()
        self.air = Air(clock, model=PathLoss(loss_db, 1.0, 0.0, 0.0, 0.0))
        self.network = Network(clock, self.air)
        nss, busy, dio1, reset, vext = Wire(1), Wire(0), Wire(0), Wire(1), Wire(1)
        supply, de, switch = Wire(0), Wire(0), Wire(0)
        vext.watch(lambda level: supply.drive(1 - level))
        port = Rs485(clock, de)
        self.vext = vext
        self.moisture, self.soil_temperature, self.surface_temperature = 23.45, 18.2, 21.5
        self.radio = Sx1262Sim(clock, self.air, nss, busy, dio1, reset, antenna_dbi=2.0)
        self.smt100 = Smt100Sim(
            clock, port, supply, lambda _: (self.moisture, self.soil_temperature), noise_percent=0.0
        )
        self.ds18b20 = Ds18b20Sim(clock, supply, lambda _: self.surface_temperature)
        self.switch_on_level = 0  # V3.0 and V3.1; V3.2 has 1
        self.spi = {pins.LORA_SPI: self.radio}
        wiring = Wiring(
            pins={
                pins.LORA_NSS: nss, pins.LORA_BUSY: busy, pins.LORA_DIO1: dio1, pins.LORA_RESET: reset,
                pins.VEXT: vext, pins.RS485_DE: de, pins.BATTERY_SWITCH: switch,
            },
            spi=self.spi,
            uart={pins.RS485_UART: port},
            onewire={pins.ONE_WIRE: self.ds18b20},
            adc={pins.BATTERY: lambda: BATTERY_MV * 10_000 // 49 if switch.level == self.switch_on_level else 0},
        )  # fmt: skip
        if identity is None:
            identity = pack_identity(IDENTITY.dev_eui, IDENTITY.join_eui, APP_KEY, 3600)
        flash = provisioned_flash(folder, identity) if provisioned else None
        self.node = NodeBench(clock, wiring, build(folder / "firmware"), flash=flash, **options)
        self.kernel = Kernel(clock, [self.node])

    def run(self, seconds: float) -> None:
        self.kernel.run_until(self.clock.now_us + round(seconds * S))

    def f_cnts(self) -> list[int]:
        return [fields["FCnt"] for _, fields in self.network.heard_uplinks]

    def assert_healthy(self) -> None:
        """Nothing crashed, nothing was set up to work badly, no chip refused anything."""
        assert self.node.statistics.crashes == [], self.node.console()
        assert "Traceback" not in self.node.console(), self.node.console()
        assert self.radio.refusals == []
        assert self.radio.degradations == []
        assert self.smt100.refusals == []
        assert self.ds18b20.refusals == []
