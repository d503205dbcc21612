# SPDX-License-Identifier: EUPL-1.2
"""MAC commands as far as a class A node reads them; ``decoders.lorawan.mac_commands`` has this and the rest.

TS001-1.0.4 "MAC Commands". A list of them is what FOpts or the plain FRMPayload of FPort 0 holds: CID(1)
payload(fixed length per CID).
"""

from decoders.lorawan.errors import MalformedFrame

LINK_CHECK = 0x02
LINK_ADR = 0x03
DUTY_CYCLE = 0x04
RX_PARAM_SETUP = 0x05
DEV_STATUS = 0x06
NEW_CHANNEL = 0x07
RX_TIMING_SETUP = 0x08
DL_CHANNEL = 0x0A
DEVICE_TIME = 0x0D

# Bytes after the CID, by CID from 0x02; None is unknown. TS001-1.0.4 "MAC Commands", one row per CID.
#           02 03 04 05 06 07 08 09 0A    0B    0C 0D
_UPLINK = (0, 1, 0, 1, 2, 1, 0, 0, 1, None, None, 0)
_DOWNLINK = (2, 4, 1, 4, 0, 5, 1, 1, 4, None, None, 5)


def uplink_at(data: bytes, at: int) -> tuple[int, bytes] | None:
    """The one command of the node that begins at ``at``; None if none is whole and known there."""
    return _at(data, at, _UPLINK)


def downlink_at(data: bytes, at: int) -> tuple[int, bytes] | None:
    """The one command of the network that begins at ``at``; None if none is whole and known there."""
    return _at(data, at, _DOWNLINK)


def _at(data: bytes, at: int, lengths: tuple[int | None, ...]) -> tuple[int, bytes] | None:
    row = data[at] - LINK_CHECK if at < len(data) else -1
    length = lengths[row] if 0 <= row < len(lengths) else None
    if length is None or at + 1 + length > len(data):
        return None
    return data[at], bytes(data[at + 1 : at + 1 + length])


def parse_device_time_ans(payload: bytes) -> tuple[int, int]:
    """(gps_s, fraction_256) from what follows the CID; raises MalformedFrame."""
    _exactly("DeviceTimeAns", payload, 5)
    return int.from_bytes(payload[:4], "little"), payload[4]


def parse_link_check_ans(payload: bytes) -> tuple[int, int]:
    """(margin_db, gateway_count) from what follows the CID; raises MalformedFrame."""
    _exactly("LinkCheckAns", payload, 2)
    return payload[0], payload[1]


def _exactly(field: str, payload: bytes, need: int) -> None:
    if len(payload) != need:
        raise MalformedFrame(field, need, len(payload))
