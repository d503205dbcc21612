# SPDX-License-Identifier: EUPL-1.2
"""SX1262: the command set and the LoRa parameters as data. DS = Semtech DS_SX1261-2_V2.1.

DS 11 "List of Commands": opcode, length on the wire, length of the reply, and where the command may be given.
"""

import math
from typing import NamedTuple

# Operating modes. DS 9 "Operational Modes"; "reset" while NRESET is low, "startup" from then until BUSY falls.
RESET, STARTUP, SLEEP_COLD, SLEEP_WARM = "reset", "startup", "sleep_cold", "sleep_warm"
STBY_RC, STBY_XOSC, FS, TX, RX = "stby_rc", "stby_xosc", "fs", "tx", "rx"
MODES = (RESET, STARTUP, SLEEP_COLD, SLEEP_WARM, STBY_RC, STBY_XOSC, FS, TX, RX)
CHIP_MODE = {STBY_RC: 2, STBY_XOSC: 3, FS: 4, RX: 5, TX: 6}  # DS 13.5.1 "GetStatus", bits 6:4

# DS 13.5.1 "GetStatus", bits 3:1
DATA_AVAILABLE, PROCESSING_ERROR, EXECUTION_FAILURE, TX_IS_DONE, ACCEPTED = 2, 4, 5, 6, 1

# DS 13.3.1 "SetDioIrqParams", IRQ status registers
TX_DONE, RX_DONE, PREAMBLE_DETECTED, HEADER_VALID = 1 << 0, 1 << 1, 1 << 2, 1 << 4
HEADER_ERR, CRC_ERR, TIMEOUT = 1 << 5, 1 << 6, 1 << 9

# DS 13.6.1 "GetDeviceErrors"
XOSC_START_ERR = 1 << 5

# DS 8.3.1 "BUSY Control Line", table "Switching Time", typical, us
SWITCH_US = {
    (SLEEP_COLD, STBY_RC): 3500,
    (SLEEP_WARM, STBY_RC): 340,
    (STBY_RC, STBY_XOSC): 31,
    (STBY_RC, FS): 50,
    (STBY_RC, RX): 83,
    (STBY_RC, TX): 126,
    (STBY_XOSC, FS): 40,
    (STBY_XOSC, RX): 62,
    (STBY_XOSC, TX): 105,
    (FS, RX): 41,
    (FS, TX): 76,
    (RX, FS): 15,
    (RX, TX): 92,
}
# The data sheet gives no time for commands that do not change the mode. This is long enough that a driver that
# does not look at BUSY before its next command is found out.
COMMAND_US = 20
SLEEP_DEAF_US = 500  # DS 13.1.1 "SetSleep": unresponsive for around 500 us after the command
CALIBRATE_ALL_US = 3500  # DS 9.2 "Calibrate": all blocks
RESET_PULSE_US = 100  # DS 8.1 "Reset"

AWAKE = frozenset((STBY_RC, STBY_XOSC, FS, TX, RX))
IDLE = frozenset((STBY_RC, STBY_XOSC, FS))  # the modem may not be changed while it works
STANDBY = frozenset((STBY_RC, STBY_XOSC))
ONLY_RC = frozenset((STBY_RC,))


class Command(NamedTuple):
    """``lengths``: bytes allowed on the wire, opcode included. ``reply``: bytes after the status byte, or None."""

    name: str
    lengths: range | tuple[int, ...]
    reply: int | None = None
    modes: frozenset[str] = AWAKE


COMMANDS = {
    # DS 11.1 "Operational Modes Commands"
    0x84: Command("SetSleep", (2,), modes=STANDBY),
    0x80: Command("SetStandby", (2,)),
    0xC1: Command("SetFs", (1,)),
    0x83: Command("SetTx", (4,)),
    0x82: Command("SetRx", (4,)),
    0x9F: Command("StopTimerOnPreamble", (2,), modes=IDLE),
    0xD1: Command("SetTxContinuousWave", (1,), modes=IDLE),
    0x96: Command("SetRegulatorMode", (2,), modes=STANDBY),
    0x89: Command("Calibrate", (2,), modes=ONLY_RC),
    0x98: Command("CalibrateImage", (3,), modes=STANDBY),
    0x95: Command("SetPaConfig", (5,), modes=IDLE),
    0x93: Command("SetRxTxFallbackMode", (2,)),
    # DS 11.2 "Register and Buffer Access Commands"
    0x0D: Command("WriteRegister", range(4, 260)),
    0x1D: Command("ReadRegister", range(5, 261), 256),
    0x0E: Command("WriteBuffer", range(3, 259)),
    0x1E: Command("ReadBuffer", range(4, 260), 256),
    # DS 11.3 "DIO and IRQ Control"
    0x08: Command("SetDioIrqParams", (9,)),
    0x12: Command("GetIrqStatus", (4,), 2),
    0x02: Command("ClearIrqStatus", (3,)),
    0x9D: Command("SetDIO2AsRfSwitchCtrl", (2,), modes=IDLE),
    0x97: Command("SetDIO3AsTcxoCtrl", (5,), modes=ONLY_RC),
    # DS 11.4 "RF, Modulation and Packet Commands"
    0x86: Command("SetRfFrequency", (5,), modes=IDLE),
    0x8A: Command("SetPacketType", (2,), modes=STANDBY),
    0x11: Command("GetPacketType", (3,), 1),
    0x8E: Command("SetTxParams", (3,), modes=IDLE),
    0x8B: Command("SetModulationParams", (5, 9), modes=IDLE),
    0x8C: Command("SetPacketParams", (7, 10), modes=IDLE),
    0x8F: Command("SetBufferBaseAddress", (3,), modes=IDLE),
    0xA0: Command("SetLoRaSymbNumTimeout", (2,), modes=IDLE),
    # DS 11.5 "Status Commands"
    0xC0: Command("GetStatus", (1, 2), 0),
    0x15: Command("GetRssiInst", (3,), 1, frozenset((RX,))),
    0x13: Command("GetRxBufferStatus", (4,), 2),
    0x14: Command("GetPacketStatus", (5,), 3),
    0x17: Command("GetDeviceErrors", (4,), 2),
    0x07: Command("ClearDeviceErrors", (3,)),
    0x10: Command("GetStats", (8,), 6),
    0x00: Command("ResetStats", (7,)),
}
# Real commands that this simulation does not know how to obey; they are refused.
UNSUPPORTED = {0x94: "SetRxDutyCycle", 0xC5: "SetCad", 0x88: "SetCadParams", 0xD2: "SetTxInfinitePreamble"}

# DS 13.4.5 "SetModulationParams", LoRa bandwidth codes, Hz
BANDWIDTH_HZ = {
    0x00: 7_810, 0x08: 10_420, 0x01: 15_630, 0x09: 20_830, 0x02: 31_250,
    0x0A: 41_670, 0x03: 62_500, 0x04: 125_000, 0x05: 250_000, 0x06: 500_000,
}  # fmt: skip
# DS 13.4.4 "SetTxParams", ramp codes, us
RAMP_US = (10, 20, 40, 80, 200, 800, 1700, 3400)
# DS 13.1.14 "SetPaConfig", optimal settings of the SX1262 with deviceSel 0 and paLut 1:
# (paDutyCycle, hpMax): dBm at the pin with SetTxParams(22), and the supply current then, mA (DS 3, power consumption)
PA_CONFIG = {(4, 7): (22, 118), (3, 5): (20, 84), (2, 3): (17, 58), (2, 2): (14, 45)}
# DS 13.3.6 "SetDIO3AsTcxoCtrl", tcxoVoltage codes, V
TCXO_V = (1.6, 1.7, 1.8, 2.2, 2.4, 2.7, 3.0, 3.3)
FALLBACK = {0x20: STBY_RC, 0x30: STBY_XOSC, 0x40: FS}  # DS 13.1.15 "SetRxTxFallbackMode"


class Modulation(NamedTuple):
    sf: int
    bandwidth_hz: int
    coding_rate: int
    low_data_rate: bool

    @property
    def symbol_us(self) -> float:
        return (1 << self.sf) * 1e6 / self.bandwidth_hz


class Packet(NamedTuple):
    preamble: int
    implicit_header: bool
    length: int
    crc_on: bool
    iq_inverted: bool


def time_on_air_us(modulation: Modulation, packet: Packet) -> int:
    """DS 6.1.4 "LoRa Time-on-Air", in floating point, to the nearest microsecond."""
    sf, low_data_rate = modulation.sf, modulation.low_data_rate
    bits = 8 * packet.length + 16 * packet.crc_on - 4 * sf + (0 if packet.implicit_header else 20)
    bits += 8 if sf >= 7 else 0
    per_block = 4 * (sf - 2 if low_data_rate else sf)
    symbols = packet.preamble + (4.25 if sf >= 7 else 6.25) + 8
    symbols += math.ceil(max(bits, 0) / per_block) * (modulation.coding_rate + 4)
    return round(symbols * modulation.symbol_us)
