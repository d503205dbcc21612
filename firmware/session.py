# SPDX-License-Identifier: EUPL-1.2
"""A LoRaWAN session: what network and node agreed at the join, and the counters since. All of it survives."""

import struct

from decoders.lorawan.region import EU868, RECEIVE_DELAY1_MS

CHANNELS = 16
# dev_addr keys f_cnt_up f_cnt_down dr rx1_dr_offset rx2_dr rx_delay_s rx2_frequency_hz masks ack answers channels_hz
_FORMAT = "<I16s16sIqBBBBIHHBB15s16I"
SIZE = struct.calcsize(_FORMAT)


class Session:
    """Mutable; one per join. ``channels_hz`` has 16 slots, 0 = undefined; masks have one bit a slot."""

    __slots__ = (
        "ack",
        "answers",
        "app_s_key",
        "channel_mask",
        "channels_hz",
        "dev_addr",
        "dr",
        "f_cnt_down",
        "f_cnt_up",
        "nwk_s_key",
        "rx1_dr_offset",
        "rx2_dr",
        "rx2_frequency_hz",
        "rx_delay_s",
        "used_mask",
    )

    def __init__(self, dev_addr: int, nwk_s_key: bytes, app_s_key: bytes, dr: int) -> None:
        self.dev_addr = dev_addr
        self.nwk_s_key = nwk_s_key
        self.app_s_key = app_s_key
        self.f_cnt_up = 0  # the next one to be used
        self.f_cnt_down = -1  # the last one accepted
        self.dr = dr
        self.rx1_dr_offset = 0
        self.rx2_frequency_hz, self.rx2_dr = EU868.rx2
        self.rx_delay_s = RECEIVE_DELAY1_MS // 1000
        self.channels_hz = [0] * CHANNELS
        for n, frequency_hz in enumerate(EU868.default_channels_hz):
            self.channels_hz[n] = frequency_hz
        self.channel_mask = (1 << len(EU868.default_channels_hz)) - 1
        self.used_mask = 0  # channels used since all were last used
        self.ack = False  # the next uplink acknowledges a confirmed downlink
        self.answers = b""  # MAC commands for the next uplink

    def pack(self) -> bytes:
        """``SIZE`` bytes; for the node's own memory only, it holds the keys."""
        return struct.pack(
            _FORMAT,
            self.dev_addr,
            self.nwk_s_key,
            self.app_s_key,
            self.f_cnt_up,
            self.f_cnt_down,
            self.dr,
            self.rx1_dr_offset,
            self.rx2_dr,
            self.rx_delay_s,
            self.rx2_frequency_hz,
            self.channel_mask,
            self.used_mask,
            self.ack,
            len(self.answers),
            self.answers,
            *self.channels_hz,
        )

    @classmethod
    def unpack(cls, data: bytes) -> "Session":
        """Undo ``pack``; the caller has checked length and CRC."""
        fields = struct.unpack(_FORMAT, data)
        session = cls(fields[0], fields[1], fields[2], fields[5])
        session.f_cnt_up, session.f_cnt_down = fields[3], fields[4]
        session.rx1_dr_offset, session.rx2_dr, session.rx_delay_s, session.rx2_frequency_hz = fields[6:10]
        session.channel_mask, session.used_mask = fields[10], fields[11]
        session.ack = bool(fields[12])
        session.answers = fields[14][: fields[13]]
        session.channels_hz = list(fields[15:])
        return session
