# SPDX-License-Identifier: EUPL-1.2
"""Where a message of MQTT 3.1.1 begins and ends in a stream, and what of it a bystander reads. OASIS MQTT 3.1.1."""

PUBLISH, PUBACK = 3, 4  # "MQTT Control Packet type"
_MOST_LENGTH_BYTES = 4  # "Remaining Length"


class NotMqtt(Exception):
    """A peer broke MQTT's framing: what arrived whole was broken by nobody but the peer."""


class Frames:
    """Bytes in, whole MQTT messages out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now; raises NotMqtt."""
        self._rest += data
        found = []
        while (length := _length(self._rest)) is not None and len(self._rest) >= length:
            found.append(self._rest[:length])
            self._rest = self._rest[length:]
        return found


def _length(data: bytes) -> int | None:
    """Of the message that ``data`` begins with, header included; None: not known yet."""
    length = 0
    for place in range(1, _MOST_LENGTH_BYTES + 1):
        if len(data) <= place:
            return None
        length |= (data[place] & 0x7F) << 7 * (place - 1)
        if not data[place] & 0x80:
            return 1 + place + length
    raise NotMqtt("remaining length has more than four bytes")


def kind(frame: bytes) -> int:
    return frame[0] >> 4


def qos(frame: bytes) -> int:
    return frame[0] >> 1 & 3


def topic_and_rest(frame: bytes) -> tuple[str, bytes]:
    """Of a PUBLISH: its topic, and what follows: the packet id if QoS is above 0, and the payload."""
    start = 2
    while frame[start - 1] & 0x80:
        start += 1
    end = start + 2 + int.from_bytes(frame[start : start + 2], "big")
    return frame[start + 2 : end].decode(), frame[end:]


def packet_id(frame: bytes) -> bytes | None:
    """Of a PUBLISH above QoS 0 or of a PUBACK."""
    if kind(frame) == PUBLISH:
        return topic_and_rest(frame)[1][:2] if qos(frame) else None
    return frame[2:4] if kind(frame) == PUBACK else None
