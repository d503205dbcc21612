# SPDX-License-Identifier: EUPL-1.2
"""SX1262: what can go wrong with a chip on a board in the street. ``Sx1262Sim.fault`` injects, ``heal`` repairs."""

from enum import Enum


class Fault(Enum):
    """Unless said otherwise a fault lasts until NRESET falls, or, if it was injected as ``lasting``, until ``heal``."""

    BUSY_STUCK = "BUSY stays high; commands given all the same are refused"
    DIO1_LOST = "DIO1 stays low, whatever the interrupt status says: a broken line"
    DIO1_SPURIOUS = "DIO1 is high although no interrupt is pending: a glitch that stays"
    IRQ_LOST = "the chip does its work but raises no interrupt"
    STATUS_WRONG = "every byte read is 0xFF: MISO is broken"
    SILENT = "commands are not obeyed, every byte read is 0x00: a chip that has locked up"
    RESET_IN_TRANSFER = "the next transfer ends in a brown-out: the chip starts anew, once, with nothing configured"
