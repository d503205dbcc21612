# SPDX-License-Identifier: EUPL-1.2
"""MAC commands of a class A node. TS001-1.0.4 "MAC Commands".

A list of commands is what FOpts or the plain FRMPayload of FPort 0 holds: CID(1) payload(fixed length per CID).
"""

from decoders.lorawan.errors import FieldRange
from decoders.lorawan.mac_command_list import DEV_STATUS as DEV_STATUS
from decoders.lorawan.mac_command_list import DEVICE_TIME as DEVICE_TIME
from decoders.lorawan.mac_command_list import DL_CHANNEL as DL_CHANNEL
from decoders.lorawan.mac_command_list import DUTY_CYCLE as DUTY_CYCLE
from decoders.lorawan.mac_command_list import LINK_ADR as LINK_ADR
from decoders.lorawan.mac_command_list import LINK_CHECK as LINK_CHECK
from decoders.lorawan.mac_command_list import NEW_CHANNEL as NEW_CHANNEL
from decoders.lorawan.mac_command_list import RX_PARAM_SETUP as RX_PARAM_SETUP
from decoders.lorawan.mac_command_list import RX_TIMING_SETUP as RX_TIMING_SETUP
from decoders.lorawan.mac_command_list import downlink_at as downlink_at
from decoders.lorawan.mac_command_list import parse_device_time_ans as parse_device_time_ans
from decoders.lorawan.mac_command_list import parse_link_check_ans as parse_link_check_ans
from decoders.lorawan.mac_command_list import uplink_at as uplink_at

if False:  # types only
    from collections.abc import Callable


def parse_uplink(data: bytes) -> list[tuple[int, bytes]]:
    """(CID, payload) of what the node says, up to the first unknown or truncated command."""
    return _parse(data, uplink_at)


def parse_downlink(data: bytes) -> list[tuple[int, bytes]]:
    """(CID, payload) of what the network says, up to the first unknown or truncated command."""
    return _parse(data, downlink_at)


def _parse(data: bytes, at_: "Callable[[bytes, int], tuple[int, bytes] | None]") -> list[tuple[int, bytes]]:
    commands = []
    at = 0
    while (command := at_(data, at)) is not None:
        commands.append(command)
        at += 1 + len(command[1])
    return commands


def device_time_ans(gps_s: int, fraction_256: int) -> bytes:
    """GPS seconds and 1/256 s at the end of the uplink that asked; raises FieldRange."""
    _check("seconds", gps_s, 32)
    _check("fraction", fraction_256, 8)
    return bytes([DEVICE_TIME]) + gps_s.to_bytes(4, "little") + bytes([fraction_256])


def link_check_ans(margin_db: int, gateway_count: int) -> bytes:
    """Margin above the demodulation floor, 0..254 dB, and number of gateways; raises FieldRange."""
    _check("Margin", margin_db, 8)
    _check("GwCnt", gateway_count, 8)
    return bytes([LINK_CHECK, margin_db, gateway_count])


def _check(field: str, value: int, bits: int) -> None:
    if not 0 <= value < 1 << bits:
        raise FieldRange(field, value)
