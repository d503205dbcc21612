# SPDX-License-Identifier: EUPL-1.2
"""MAC commands in words, for people: names and fields as TS001-1.0.4 "MAC Commands" has them."""

from typing import NamedTuple

from decoders.lorawan import mac_commands as mac


class Bits(NamedTuple):
    """One field of a command: bits ``first`` and up of what follows the CID, little endian, times ``unit``."""

    name: str
    first: int
    bits: int
    unit: int = 1
    signed: bool = False

    def of(self, value: int) -> int:
        number = value >> self.first & (1 << self.bits) - 1
        if self.signed and number >> self.bits - 1:
            number -= 1 << self.bits
        return number * self.unit


_FREQUENCY = Bits("frequency_hz", 8, 24, 100)

# TS001-1.0.4 "MAC Commands", one row per command; the sections named like them have the fields
_UPLINK: dict[int, tuple[str, tuple[Bits, ...]]] = {
    mac.LINK_CHECK: ("LinkCheckReq", ()),
    mac.LINK_ADR: (
        "LinkADRAns",
        (Bits("channel_mask_ok", 0, 1), Bits("data_rate_ok", 1, 1), Bits("tx_power_ok", 2, 1)),
    ),
    mac.DUTY_CYCLE: ("DutyCycleAns", ()),
    mac.RX_PARAM_SETUP: (
        "RXParamSetupAns",
        (Bits("rx2_frequency_ok", 0, 1), Bits("rx2_data_rate_ok", 1, 1), Bits("rx1_dr_offset_ok", 2, 1)),
    ),
    mac.DEV_STATUS: ("DevStatusAns", (Bits("battery", 0, 8), Bits("margin_db", 8, 6, signed=True))),
    mac.NEW_CHANNEL: ("NewChannelAns", (Bits("frequency_ok", 0, 1), Bits("data_rates_ok", 1, 1))),
    mac.RX_TIMING_SETUP: ("RXTimingSetupAns", ()),
    0x09: ("TXParamSetupAns", ()),
    mac.DL_CHANNEL: ("DlChannelAns", (Bits("frequency_ok", 0, 1), Bits("uplink_frequency_exists", 1, 1))),
    mac.DEVICE_TIME: ("DeviceTimeReq", ()),
}
_DOWNLINK: dict[int, tuple[str, tuple[Bits, ...]]] = {
    mac.LINK_CHECK: ("LinkCheckAns", (Bits("margin_db", 0, 8), Bits("gateways", 8, 8))),
    mac.LINK_ADR: (
        "LinkADRReq",
        (
            Bits("data_rate", 4, 4),
            Bits("tx_power", 0, 4),
            Bits("channel_mask", 8, 16),
            Bits("channel_mask_control", 28, 3),
            Bits("nb_trans", 24, 4),
        ),
    ),
    mac.DUTY_CYCLE: ("DutyCycleReq", (Bits("max_duty_cycle", 0, 4),)),
    mac.RX_PARAM_SETUP: ("RXParamSetupReq", (Bits("rx1_dr_offset", 4, 3), Bits("rx2_data_rate", 0, 4), _FREQUENCY)),
    mac.DEV_STATUS: ("DevStatusReq", ()),
    mac.NEW_CHANNEL: (
        "NewChannelReq",
        (Bits("channel", 0, 8), _FREQUENCY, Bits("min_data_rate", 32, 4), Bits("max_data_rate", 36, 4)),
    ),
    mac.RX_TIMING_SETUP: ("RXTimingSetupReq", (Bits("delay_s", 0, 4),)),
    0x09: ("TXParamSetupReq", (Bits("max_eirp", 0, 4), Bits("uplink_dwell", 4, 1), Bits("downlink_dwell", 5, 1))),
    mac.DL_CHANNEL: ("DlChannelReq", (Bits("channel", 0, 8), _FREQUENCY)),
    mac.DEVICE_TIME: ("DeviceTimeAns", (Bits("gps_s", 0, 32), Bits("fraction_256", 32, 8))),
}


class Words(NamedTuple):
    """One command."""

    name: str
    fields: dict[str, int]


def of_uplink(data: bytes) -> list[Words]:
    """What a node says, up to the first command that is unknown or cut off."""
    return [_words(*_UPLINK[cid], payload) for cid, payload in mac.parse_uplink(data)]


def of_downlink(data: bytes) -> list[Words]:
    """What the network says, likewise."""
    return [_words(*_DOWNLINK[cid], payload) for cid, payload in mac.parse_downlink(data)]


def _words(name: str, fields: tuple[Bits, ...], payload: bytes) -> Words:
    value = int.from_bytes(payload, "little")
    return Words(name, {field.name: field.of(value) for field in fields})
