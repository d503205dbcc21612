# SPDX-License-Identifier: EUPL-1.2
"""A hand on the SX1262's pins: command bytes as the data sheet prints them, no driver."""

from simulators.air import Air
from simulators.chips.sx1262 import Sx1262Sim
from simulators.clock import Clock
from simulators.inprocess_buses import Spi
from simulators.wires import Wire


class Host:
    """One simulated chip and the wires to it."""

    def __init__(self, clock: Clock, air: Air, position=(0.0, 0.0), **options) -> None:
        self.clock = clock
        self.nss, self.busy, self.dio1, self.reset = Wire(1), Wire(0), Wire(0), Wire(0)
        self.chip = Sx1262Sim(clock, air, self.nss, self.busy, self.dio1, self.reset, position, **options)
        self.spi = Spi(clock, self.chip, 8_000_000)
        self.rises_us: list[int] = []
        self.dio1.watch(lambda level: self.rises_us.append(clock.now_us) if level else None)

    def wait(self) -> int:
        """Let time pass until BUSY falls; return how long that took, us."""
        began = self.clock.now_us
        if self.busy.level:
            self.clock.run_until(began + 10_000_000, lambda: not self.busy.level)
        assert not self.busy.level
        return self.clock.now_us - began

    def raw(self, text: str) -> bytes:
        """Clock one command now, whatever BUSY says; time stands at the rising edge of NSS."""
        data = bytes.fromhex(text)
        answer = bytearray(len(data))
        self.nss.drive(0)
        self.spi.write_readinto(data, answer)
        self.nss.drive(1)
        return bytes(answer)

    def command(self, text: str) -> bytes:
        self.wait()
        return self.raw(text)

    def commands(self, *texts: str) -> None:
        for text in texts:
            self.command(text)

    def power_up(self) -> None:
        """NRESET rises, then everything a board with a TCXO needs before it can use 868 MHz."""
        self.reset.drive(1)
        self.commands(
            "80 00",  # SetStandby RC
            "97 02 00 01 40",  # SetDIO3AsTcxoCtrl 1.8 V, 5 ms
            "07 00 00",  # ClearDeviceErrors
            "89 7F",  # Calibrate all
            "96 01",  # SetRegulatorMode DC-DC
            "98 D7 DB",  # CalibrateImage 860-876 MHz
            "9D 01",  # SetDIO2AsRfSwitchCtrl
            "8A 01",  # SetPacketType LoRa
            "0D 07 40 34 44",  # sync word of public networks
            "0D 08 D8 DE",  # TX clamp, 15.2
            "0D 08 89 05",  # TX modulation, 15.1
            "0D 08 AC 96",  # boosted gain
            "95 04 07 00 01",  # SetPaConfig 22 dBm
            "8E 0E 04",  # SetTxParams 14 dBm, 200 us
            "8F 00 00",  # SetBufferBaseAddress
            "08 02 FF 02 FF 00 00 00 00",  # SetDioIrqParams: everything to DIO1
        )

    def tune(self, *, sf: int = 7, frequency: str = "36 41 99 9A", length: int = 0, uplink: bool = True) -> None:
        """868.1 MHz unless told otherwise, 125 kHz, 4/5, preamble 8; the CRC and the polarity of the direction."""
        self.command(f"86 {frequency}")
        self.command(f"8B {sf:02X} 04 01 {1 if sf >= 11 else 0:02X}")
        self.command(f"8C 00 08 00 {length:02X} {'01 00' if uplink else '00 01'}")
        self.command(f"0D 07 36 {'0D' if uplink else '09'}")

    def irq(self) -> int:
        return int.from_bytes(self.command("12 00 00 00")[2:], "big")

    def run(self, us: int) -> None:
        self.clock.run_until(self.clock.now_us + us)


class Ear:
    """Hears everything on the air."""

    def __init__(self, air):
        self.transmissions = []
        air.attach(self)

    def heard(self, transmission):
        self.transmissions.append(transmission)


def send(host, length=12):
    """So many bytes at SF7, now."""
    host.tune(length=length)
    host.command("83 00 00 00")
