# SPDX-License-Identifier: EUPL-1.2
"""Faults between a microcontroller and its radio: broken lines, wrong answers, a chip that resets by itself.

Nothing here breaks anything until it is told to; then it stays broken for as long as it is told.
"""

from simulators.clock import Clock
from simulators.wires import SpiDevice, Wire

_RESET_US = 150  # longer than the 100 us that the SX1262 asks for
_NOBODY = 0xFF  # MISO while the chip does not drive it


class Line:
    """A line that a chip drives and the microcontroller reads: BUSY, DIO1."""

    def __init__(self, clock: Clock, chip: Wire, board: Wire) -> None:
        self._clock = clock
        self._chip = chip
        self._board = board
        self._stuck = False
        chip.watch(self._follow)
        board.foretell = lambda: None if self._stuck else chip.change()
        board.drive(chip.level)

    def _follow(self, level: int) -> None:
        if not self._stuck:
            self._board.drive(level)

    def stick(self, level: int) -> None:
        """From now on the microcontroller reads ``level``, whatever the chip says."""
        self._stuck = True
        self._board.drive(level)

    def release(self) -> None:
        """The line is whole again."""
        self._stuck = False
        self._board.drive(self._chip.level)

    def glitch(self, level: int, us: int) -> None:
        """The line shows ``level`` for ``us``, from now."""
        self.stick(level)
        self._clock.after(us, self.release)


class FaultySpi:
    """The SPI of a radio chip; hands everything through until told otherwise."""

    def __init__(self, clock: Clock, chip: SpiDevice, nss: Wire, chip_reset: Wire) -> None:
        self._clock = clock
        self._chip = chip
        self._reset = chip_reset
        self._spoiled: dict[int, list[bytes]] = {}
        self._transfers_left: int | None = None
        self._opcode: int | None = None
        self.resets = 0
        self.spoiled = 0
        nss.watch(self._selected)

    def _selected(self, _level: int) -> None:
        self._opcode = None

    def spoil(self, opcode: int, reply: bytes, times: int = 1) -> None:
        """The next ``times`` answers to command ``opcode`` read as ``reply``, repeated over all bytes behind it."""
        self._spoiled.setdefault(opcode, []).extend([reply] * times)

    def reset_in(self, transfers: int) -> None:
        """The chip resets by itself in the middle of the transfer after so many more (0: the next one)."""
        self._transfers_left = transfers

    def reset_now(self) -> None:
        """The chip loses its supply for a moment and starts anew."""
        self.resets += 1
        self._reset.drive(0)
        self._clock.after(_RESET_US, lambda: self._reset.drive(1))

    def transfer(self, mosi: bytes) -> bytes:
        if not self._reset.level:
            return bytes([_NOBODY]) * len(mosi)
        if self._opcode is None and mosi:
            self._opcode = mosi[0]
        if self._transfers_left is not None:
            self._transfers_left -= 1
            if self._transfers_left < 0:
                self._transfers_left = None
                half = len(mosi) // 2
                reply = self._chip.transfer(mosi[:half])
                self.reset_now()
                return reply + bytes([_NOBODY]) * (len(mosi) - half)
        reply = self._chip.transfer(mosi)
        waiting = self._spoiled.get(-1 if self._opcode is None else self._opcode)
        if waiting:
            self.spoiled += 1
            wrong = waiting.pop(0)
            reply = reply[:1] + (wrong * len(reply))[: len(reply) - 1]
        return reply


class RadioFaults:
    """All of it for one radio: ``busy``, ``dio1`` and ``spi``."""

    def __init__(self, busy: Line, dio1: Line, spi: FaultySpi) -> None:
        self.busy = busy
        self.dio1 = dio1
        self.spi = spi
