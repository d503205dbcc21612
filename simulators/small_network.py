# SPDX-License-Identifier: EUPL-1.2
"""A network for one ``Device``, scripted: it answers joins, DeviceTime, LinkCheck, confirmed uplinks and ADRACKReq,
and orders a data rate if it is given one.

Every data downlink is a confirmed one, so the node's next uplink tells whether it was received. Beyond what must be
answered, an uplink gets a downlink with ``downlink_share``, drawn from the seed and the frame counter. Answers go out
in RX1. No sockets, no clock: one call for each uplink.
"""

import random
from collections.abc import Callable

from decoders.lorawan import frame, mac_commands
from decoders.lorawan.errors import MicMismatch, RemoteError
from decoders.lorawan.region import EU868, JOIN_ACCEPT_DELAY1_MS
from decoders.payload_v1 import Sample
from decoders.profiles import BY_F_PORT, LAYOUTS, PROFILES, decode
from simulators.device import Device, Uplink

NET_ID = 0x000013
DEV_ADDR = 0x2600_0001
_DOWNLINK_DBM = -100.0
_LINK_MARGIN_DB = 20
_RX_DELAY_US = 1_000_000
_READINGS = [layout.f_port for layout in LAYOUTS if layout.profile in PROFILES]
_ADR_DONE = 0x07  # TS001-1.0.4 "LinkADRAns": channel mask, data rate and power taken


class SmallNetwork:
    """``gps_at_0``: network time when the device's clock stands at 0, GPS seconds. ``dr``: the data rate it orders.

    ``on_send(time_us, frequency_hz, dr, phy_payload)`` is called for every downlink.
    """

    def __init__(
        self,
        device: Device,
        app_key: bytes,
        *,
        seed: int = 0,
        downlink_share: float = 0.0,
        gps_at_0: int = 0,
        dr: int | None = None,
    ) -> None:
        self.dr_ordered = dr is None  # or taken, since
        self._dr = dr
        self._device = device
        self._app_key = app_key
        self._seed = seed
        self._share = downlink_share
        self._gps_at_0 = gps_at_0
        self._keys: tuple[bytes, bytes] | None = None
        self._pending_keys: tuple[bytes, bytes] | None = None
        self._f_cnt_up = -1
        self._f_cnt_down = 0
        self._join_nonce = 0
        self._awaited = False  # a confirmed downlink, or a join-accept, has not shown its effect yet
        self.join_requests = 0
        self.uplinks = 0
        self.repetitions = 0
        self.downlinks_sent = 0
        self.downlinks_received = 0
        self.refused = 0
        self.cf_list = b""  # of join-accepts
        self.answering = True  # otherwise it hears everything and says nothing
        self.samples: dict[int, Sample] = {}  # the readings that arrived, by when they were taken, GPS seconds
        self.on_send: Callable[[int, int, int, bytes], None] | None = None

    @property
    def session_keys(self) -> tuple[bytes, bytes] | None:
        """(NwkSKey, AppSKey) of the session that the node uses."""
        return self._keys

    @property
    def f_cnt_up(self) -> int:
        """Of the last uplink heard, all 32 bits."""
        return self._f_cnt_up

    @property
    def downlinks_pending(self) -> int:
        """Sent, but the node has said nothing since."""
        return int(self._awaited)

    def heard(self, uplink: Uplink) -> None:
        """The node sends this now; any answer is put on the air when its window opens."""
        try:
            if frame.m_type(uplink.phy_payload) == frame.JOIN_REQUEST:
                self._join(uplink)
            else:
                self._data(uplink)
        except RemoteError:
            self.refused += 1

    def _join(self, uplink: Uplink) -> None:
        frame.verify_join_request(uplink.phy_payload, self._app_key)
        request = frame.JoinRequest.parse(uplink.phy_payload)
        self.join_requests += 1
        self._join_nonce += 1
        accept = frame.JoinAccept(self._join_nonce, NET_ID, DEV_ADDR, 0, 1, self.cf_list)
        self._pending_keys = frame.derive_session_keys(self._app_key, self._join_nonce, NET_ID, request.dev_nonce)
        self._send(uplink, JOIN_ACCEPT_DELAY1_MS * 1000, accept.serialize(self._app_key))

    def _data(self, uplink: Uplink) -> None:
        data = frame.DataFrame.parse(uplink.phy_payload)
        self._verify(uplink.phy_payload, data.fhdr.f_cnt)
        keys = self._keys
        assert keys is not None
        f_cnt = self._f_cnt_up + (data.fhdr.f_cnt - self._f_cnt_up & 0xFFFF)
        if f_cnt == self._f_cnt_up:
            self.repetitions += 1
        else:
            self.uplinks += 1
            self._account(bool(data.fhdr.f_ctrl & frame.ACK))
        self._f_cnt_up = f_cnt
        plain = data.decrypt(*keys, f_cnt)
        if data.f_port in _READINGS:
            message = decode(BY_F_PORT[data.f_port], plain)
            self.samples |= {sample.time: sample for sample in message.samples if sample.time > 0}
        commands = data.fhdr.f_opts or (plain if data.f_port == 0 else b"")
        self.told(data, plain, commands)
        answers = self._answers(commands, uplink.end_us)
        confirmed = data.m_type == frame.CONFIRMED_UP
        answers, f_port, payload = self.orders(answers) if self.answering else (answers, None, b"")
        wanted = answers or payload or confirmed or data.fhdr.f_ctrl & frame.ADR_ACK_REQ or self._chance(f_cnt)
        if not wanted or not self.answering:
            return
        fhdr = frame.Fhdr(DEV_ADDR, frame.ACK if confirmed else 0, self._f_cnt_down & 0xFFFF, answers)
        down = frame.DataFrame(frame.CONFIRMED_DOWN, fhdr, f_port, payload).serialize(*keys, self._f_cnt_down)
        self._f_cnt_down += 1
        self._send(uplink, _RX_DELAY_US, down)

    def _answers(self, commands: bytes, end_us: int) -> bytes:
        """MAC commands: what answers those of the uplink that ended then, and the data rate until it is taken."""
        answers = b""
        for cid, payload in mac_commands.parse_uplink(commands):
            if cid == mac_commands.DEVICE_TIME:
                answers += mac_commands.device_time_ans(*self._gps(end_us))
            elif cid == mac_commands.LINK_CHECK:
                answers += mac_commands.link_check_ans(_LINK_MARGIN_DB, 1)
            elif cid == mac_commands.LINK_ADR:
                self.dr_ordered = payload[0] == _ADR_DONE
        if not self.dr_ordered and self._dr is not None:
            # "LinkADRReq": data rate and full power, the three default channels, one transmission each
            answers += bytes([mac_commands.LINK_ADR, self._dr << 4, 0x07, 0x00, 0x01])
        return answers

    def told(self, data: frame.DataFrame, plain: bytes, commands: bytes) -> None:
        """For those who want more of the node: ``data`` was heard, its payload is ``plain``."""

    def orders(self, answers: bytes) -> tuple[bytes, int | None, bytes]:
        """For them as well: (MAC commands, FPort, payload) of the downlink that gives ``answers``."""
        return answers, None, b""

    def _verify(self, phy_payload: bytes, f_cnt16: int) -> None:
        """Find the session that the MIC proves; a new one takes over with its first uplink."""
        if self._pending_keys is not None:
            try:
                frame.verify_data(phy_payload, self._pending_keys[0], f_cnt16)
            except RemoteError:
                if self._keys is None:
                    raise
            else:
                self._keys, self._pending_keys = self._pending_keys, None
                self._f_cnt_up, self._f_cnt_down = -1, 0
                self._account(True)
                return
        if self._keys is None:
            raise MicMismatch()
        frame.verify_data(phy_payload, self._keys[0], self._f_cnt_up + (f_cnt16 - self._f_cnt_up & 0xFFFF))

    def _account(self, arrived: bool) -> None:
        """The fate of the last downlink is known."""
        if self._awaited:
            self.downlinks_received += arrived
            self._awaited = False

    def _chance(self, f_cnt: int) -> bool:
        return random.Random(f"downlink {self._seed} {self._join_nonce} {f_cnt}").random() < self._share

    def _gps(self, time_us: int) -> tuple[int, int]:
        seconds, rest_us = divmod(time_us, 1_000_000)
        return self._gps_at_0 + seconds, rest_us * 256 // 1_000_000

    def _send(self, uplink: Uplink, delay_us: int, phy_payload: bytes) -> None:
        self._account(False)  # the one before was not confirmed and never will be
        self._awaited = True
        self.downlinks_sent += 1
        assert uplink.dr is not None
        dr = EU868.rx1_dr(uplink.dr, 0)
        start_us = uplink.end_us + delay_us
        if self.on_send is not None:
            self.on_send(start_us, uplink.frequency_hz, dr, phy_payload)
        self._device.deliver(start_us, uplink.frequency_hz, dr, phy_payload, power_dbm=_DOWNLINK_DBM)
