# SPDX-License-Identifier: EUPL-1.2
"""Semtech SX1262 LoRa transceiver: its pins and its command interpreter, LoRa only.

DS = Semtech DS_SX1261-2_V2.1. A command the chip would not obey (wrong length, reserved bits, wrong mode, BUSY high)
is refused, answered with the status the data sheet names, and recorded in ``refusals``; a set-up that works badly is
recorded in ``degradations``. Both are empty after a correct driver has run.
"""

from simulators.air import Air, Position
from simulators.chips import sx1262_commands as c
from simulators.chips.sx1262_core import Config, Core
from simulators.chips.sx1262_faults import Fault
from simulators.chips.sx1262_interpreter import Interpreter
from simulators.chips.sx1262_receiver import Receiver
from simulators.chips.sx1262_transmitter import Transmitter
from simulators.clock import Clock, Event
from simulators.wires import Wire

_NO_DATA = 0xFF  # MISO when nobody drives it


class Sx1262Sim:
    """One chip on SPI with its NSS, BUSY, DIO1 and NRESET wires, at a place on the air.

    ``tcxo_start_us``: time the board's TCXO needs after power comes from DIO3 (1.8 V); None for a crystal.
    """

    def __init__(
        self,
        clock: Clock,
        air: Air,
        nss: Wire,
        busy: Wire,
        dio1: Wire,
        reset: Wire,
        position: tuple[float, float] = (0.0, 0.0),
        *,
        antenna_dbi: float = 0.0,
        tcxo_start_us: int | None = 1500,
        seed: int = 0,
    ) -> None:
        self._clock = clock
        self._nss = nss
        self._busy = busy
        self._dio1 = dio1
        self._busy_level = self._dio1_level = 0  # as the chip means them, whatever the wires carry
        self._fault: Fault | None = None
        self._fault_lasts = False
        self._falls: Event | None = None
        self.radio = Core(clock, tcxo_start_us, self._busy_us, self._drive_dio1)
        place = Position(*position)
        self._transmitter = Transmitter(self.radio, air, place, antenna_dbi)
        receiver = Receiver(self.radio, air, place, antenna_dbi, seed)
        self._interpreter = Interpreter(self.radio, self._transmitter, receiver)
        self._selected = False
        self._ignored = False
        self._mosi = bytearray()
        self._reply = b""
        self._reset_us: int | None = None
        self._asleep_us = 0
        nss.watch(self._nss_edge)
        reset.watch(self._reset_edge)
        busy.foretell = self._busy_change
        self._drive_busy(1)
        if reset.level:
            self._busy_us(self.radio.start(c.RESET))

    # --- what tests and the rest of the simulation see

    @property
    def mode(self) -> str:
        return self.radio.mode

    @property
    def config(self) -> Config:
        return self.radio.config

    @property
    def refusals(self) -> list[str]:
        return self.radio.refusals

    @property
    def degradations(self) -> list[str]:
        return self.radio.degradations

    @property
    def timer_us(self) -> int | None:
        """When the running timer of SetTx or SetRx strikes; None if none runs."""
        return self.radio.timer_us

    def ledger(self) -> dict[str, int]:
        """Microseconds spent in each mode up to now."""
        return self.radio.ledger()

    @property
    def carrier(self) -> tuple[int, float] | None:
        """Frequency (Hz) and radiated power (dBm) of the continuous wave that is being sent, if one is."""
        return self._transmitter.carrier

    def fault(self, fault: Fault, *, lasting: bool = False) -> None:
        """From now on something is wrong; one thing at a time."""
        self.heal()
        self._fault, self._fault_lasts = fault, lasting
        self.radio.irq_lost = fault is Fault.IRQ_LOST
        self._drive_busy(self._busy_level)
        self._drive_dio1(self._dio1_level)

    def heal(self) -> None:
        """Nothing is wrong any more. What went wrong meanwhile is not undone."""
        self._fault = None
        self.radio.irq_lost = False
        self._drive_busy(self._busy_level)
        self._drive_dio1(self._dio1_level)

    # --- pins

    def _drive_busy(self, level: int) -> None:
        self._busy_level = level
        self._busy.drive(1 if self._fault is Fault.BUSY_STUCK else level)

    def _busy_change(self) -> Event | None:
        """The event at which BUSY falls, if it is due and nothing holds the line."""
        if self._fault is Fault.BUSY_STUCK or self._falls is None or self._falls.action is None:
            return None
        return self._falls

    def _drive_dio1(self, level: int) -> None:
        self._dio1_level = level
        self._dio1.drive({Fault.DIO1_LOST: 0, Fault.DIO1_SPURIOUS: 1}.get(self._fault, level) if self._fault else level)

    def _busy_us(self, us: int) -> None:
        if self._falls is not None:
            self._falls.cancel()
        self._drive_busy(1)
        self._falls = self._clock.after(us, lambda: self._drive_busy(0))

    def _reset_edge(self, level: int) -> None:
        """DS 8.1 "Reset"."""
        if not level:
            self._reset_us = self._clock.now_us
            if not self._fault_lasts:
                self.heal()
            return
        if self._reset_us is not None and self._clock.now_us - self._reset_us < c.RESET_PULSE_US:
            self.radio.refuse("NRESET low for less than 100 us")
            return
        self.radio.enter(c.RESET)
        self._ignored = True
        self._busy_us(self.radio.start(c.RESET))

    def _nss_edge(self, level: int) -> None:
        if level:
            if self._selected and self._fault is Fault.RESET_IN_TRANSFER and not self._fault_lasts:
                self._brown_out()
            elif self._selected and not self._ignored and self._mosi:
                self._execute(bytes(self._mosi))
            self._selected = False
            return
        self._selected, self._ignored = True, False
        self._mosi.clear()
        if self.mode in (c.SLEEP_COLD, c.SLEEP_WARM):
            self._wake()

    def _brown_out(self) -> None:
        self.heal()
        self.radio.enter(c.RESET)
        self._busy_us(self.radio.start(c.RESET))

    def _fall_asleep(self) -> None:
        """BUSY stays high until the chip has been woken. DS 8.3.1 "BUSY Control Line"."""
        assert self._falls is not None
        self._falls.cancel()
        self._asleep_us = self._clock.now_us

    def _wake(self) -> None:
        """DS 8.2.2 "SPI Timing When Leaving Sleep Mode": the falling edge of NSS wakes; its bytes are not obeyed."""
        self._ignored = True
        if self._clock.now_us - self._asleep_us < c.SLEEP_DEAF_US:
            self.radio.refuse("NSS fell within 500 us of SetSleep")
        self._busy_us(self.radio.start(self.mode))

    def transfer(self, mosi: bytes) -> bytes:
        """Clock bytes in and out. DS 8.2 "SPI Interface"."""
        if not self._selected:
            return bytes([_NO_DATA]) * len(mosi)
        if not self._ignored and not self._mosi and mosi and self._busy.level:
            self.radio.refuse(f"command 0x{mosi[0]:02X} while BUSY is high")
            self._ignored = True
        if self._fault is Fault.SILENT:
            self._ignored = True
            return bytes(len(mosi))
        if self._ignored:
            return bytes([_NO_DATA]) * len(mosi)
        miso = bytes(self._clocked(byte) for byte in mosi)
        return bytes([_NO_DATA]) * len(mosi) if self._fault is Fault.STATUS_WRONG else miso

    def _clocked(self, byte: int) -> int:
        """One byte in; the byte that went out meanwhile. The status goes out wherever no data does."""
        self._mosi.append(byte)
        n = len(self._mosi) - 1
        command = c.COMMANDS.get(self._mosi[0])
        if command is None or command.reply is None or self.mode not in command.modes:
            return self._status()
        first = {0x1D: 4, 0x1E: 3}.get(self._mosi[0], 2)
        if n == first:
            self._reply = self._interpreter.answer(bytes(self._mosi))
        if n >= first:
            return self._reply[n - first] if n - first < len(self._reply) else 0
        return self._status()

    def _status(self) -> int:
        return c.CHIP_MODE.get(self.mode, 0) << 4 | self.radio.command_status << 1

    # --- the interpreter

    def _execute(self, wire: bytes) -> None:
        """NSS has risen: obey or refuse. DS 11 "List of Commands"."""
        opcode, mode = wire[0], self.mode
        command = c.COMMANDS.get(opcode)
        if command is None:
            self.radio.refuse(f"command 0x{opcode:02X} {c.UNSUPPORTED.get(opcode, '')}".rstrip() + " is not supported")
        elif mode not in command.modes:
            self.radio.refuse(f"{command.name} in {mode}", c.EXECUTION_FAILURE)
        elif len(wire) not in command.lengths and not (command.reply and 3 <= len(wire) <= max(command.lengths)):
            self.radio.refuse(f"{command.name} with {len(wire)} bytes")
        elif command.reply is None:
            self._busy_us(c.COMMAND_US)
            self._interpreter.obey(opcode, wire[1:])
            if self.mode in (c.SLEEP_COLD, c.SLEEP_WARM):
                self._fall_asleep()
            return
        self._busy_us(c.COMMAND_US)
