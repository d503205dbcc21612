# SPDX-License-Identifier: EUPL-1.2
"""A LoRaWAN session: what network and node agreed on at and after the join, and the counters. All of it survives."""

import struct

from decoders.lorawan.region import EU868, RECEIVE_DELAY1_MS

_CHANNELS = 16
_DEFAULT_DR_RANGE = 0x50  # DR0 to DR5, as NewChannelReq writes it: highest in the upper four bits
# dev_addr keys f_cnt_up f_cnt_down | dr power nb_trans rx1_dr_offset rx2_dr rx_delay_s max_duty ack | rx2_frequency_hz
# masks adr_ack_cnt adr_steps | channels_hz rx1_channels_hz dr_ranges, length of the answers that follow
_FORMAT = "<I16s16sIqBBBBBBBBIHHHH16I16I16sB"
_FIXED = struct.calcsize(_FORMAT)


class Session:
    """Mutable; one per join. Channels have 16 slots, 0 = undefined; masks have one bit a slot."""

    __slots__ = (
        "ack",
        "adr_ack_cnt",
        "adr_steps",
        "answers",
        "app_s_key",
        "channel_mask",
        "channels_hz",
        "dev_addr",
        "dr",
        "dr_ranges",
        "f_cnt_down",
        "f_cnt_up",
        "max_duty",
        "nb_trans",
        "nwk_s_key",
        "power",
        "rx1_channels_hz",
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
        self.power = 0  # TXPower: steps of 2 dB below the plan's maximum
        self.nb_trans = 1  # transmissions of each uplink
        self.rx1_dr_offset = 0
        self.rx2_frequency_hz, self.rx2_dr = EU868.rx2
        self.rx_delay_s = RECEIVE_DELAY1_MS // 1000
        self.max_duty = 0  # MaxDCycle: all transmissions together 1 / 2**max_duty of the time
        self.channels_hz = [0] * _CHANNELS
        self.rx1_channels_hz = [0] * _CHANNELS  # 0: as the uplink
        self.dr_ranges = bytearray([_DEFAULT_DR_RANGE] * _CHANNELS)
        for n, frequency_hz in enumerate(EU868.default_channels_hz):
            self.channels_hz[n] = frequency_hz
        self.channel_mask = (1 << len(EU868.default_channels_hz)) - 1
        self.used_mask = 0  # channels used since all were last used
        self.adr_ack_cnt = 0  # uplinks since the last downlink
        self.adr_steps = 0  # what the ADR back-off has done since then
        self.ack = False  # the next uplink acknowledges a confirmed downlink
        self.answers = b""  # MAC commands for the next uplink

    def defined_mask(self) -> int:
        """The channels that have a frequency."""
        mask = 0
        for n, frequency_hz in enumerate(self.channels_hz):
            if frequency_hz:
                mask |= 1 << n
        return mask

    def allows(self, channel: int, dr: int) -> bool:
        """Whether ``dr`` is within the channel's range."""
        dr_range = self.dr_ranges[channel]
        return dr_range & 0x0F <= dr <= dr_range >> 4

    def pack(self) -> bytes:
        """For the node's own memory only, it holds the keys. ``packed_size`` tells where it ends."""
        fixed = struct.pack(
            _FORMAT,
            self.dev_addr,
            self.nwk_s_key,
            self.app_s_key,
            self.f_cnt_up,
            self.f_cnt_down,
            self.dr,
            self.power,
            self.nb_trans,
            self.rx1_dr_offset,
            self.rx2_dr,
            self.rx_delay_s,
            self.max_duty,
            self.ack,
            self.rx2_frequency_hz,
            self.channel_mask,
            self.used_mask,
            self.adr_ack_cnt,
            self.adr_steps,
            *self.channels_hz,
            *self.rx1_channels_hz,
            bytes(self.dr_ranges),
            len(self.answers),
        )
        return fixed + self.answers

    @staticmethod
    def packed_size(data: bytes) -> int:
        """Length of the packed session at the start of ``data``; 0 if there is not enough of it."""
        if len(data) < _FIXED or len(data) < _FIXED + data[_FIXED - 1]:
            return 0
        return _FIXED + data[_FIXED - 1]

    @classmethod
    def unpack(cls, data: bytes) -> "Session":
        """Undo ``pack``; the caller has checked size and CRC."""
        fields = struct.unpack(_FORMAT, data[:_FIXED])
        session = cls(fields[0], fields[1], fields[2], fields[5])
        session.f_cnt_up, session.f_cnt_down = fields[3], fields[4]
        session.power, session.nb_trans, session.rx1_dr_offset, session.rx2_dr = fields[6:10]
        session.rx_delay_s, session.max_duty, ack, session.rx2_frequency_hz = fields[10:14]
        session.ack = bool(ack)
        session.channel_mask, session.used_mask, session.adr_ack_cnt, session.adr_steps = fields[14:18]
        session.channels_hz = list(fields[18 : 18 + _CHANNELS])
        session.rx1_channels_hz = list(fields[18 + _CHANNELS : 18 + 2 * _CHANNELS])
        session.dr_ranges = bytearray(fields[-2])
        session.answers = bytes(data[_FIXED : _FIXED + fields[-1]])
        return session
