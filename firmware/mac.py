# SPDX-License-Identifier: EUPL-1.2
"""LoRaWAN class A end-device: bytes and times in, actions and events out. No I/O.

TS001 = LoRaWAN L2 1.0.4 Specification (TS001-1.0.4). One exchange::

    transmit = mac.join_request(now_s)          # or mac.uplink(now_s, f_port, payload)
    # make mac.next_dev_nonce and mac.session survive, then send transmit.phy_payload
    while window := mac.next_window():
        # listen as it says: at window.after_us from the end of the uplink
        events = mac.received(phy_payload, snr_quarter_db)      # or mac.window_closed()
    wait_ms = mac.repeat_wait_ms(now_s)         # None: done; else wait, then the same with mac.repeat(now_s)

``now_s``: any clock that runs through deep sleep, seconds. Every random choice follows from the DevEUI and a counter.
Channels and duty cycle are in mac_channels, joining in mac_join, the network's requests in mac_commands; the last two
are loaded only when they are needed.
"""

import hashlib
from collections import namedtuple

from decoders.lorawan import data_frame as frame
from decoders.lorawan.errors import FieldRange, RemoteError
from decoders.lorawan.region import EU868
from firmware.errors import BandBusy, NotJoined
from firmware.mac_channels import book, choose, enabled, free

if False:  # types only
    from decoders.lorawan.region import Plan
    from firmware.identity import Identity
    from firmware.session import Session

# Actions
Transmit = namedtuple("Transmit", ("frequency_hz", "dr", "eirp_dbm", "phy_payload", "airtime_us"))
OpenWindow = namedtuple("OpenWindow", ("after_us", "frequency_hz", "dr"))

# Events
Joined = namedtuple("Joined", ("dev_addr",))
Accepted = namedtuple("Accepted", ("f_cnt", "f_port", "payload"))  # f_port None: no payload
Acknowledged = namedtuple("Acknowledged", ("f_cnt",))  # of the confirmed uplink
NetworkTime = namedtuple("NetworkTime", ("gps_s", "fraction_256"))  # at the end of the uplink that asked
LinkChecked = namedtuple("LinkChecked", ("margin_db", "gateways"))
Dropped = namedtuple("Dropped", ("reason",))
if False:  # types only
    Event = Accepted | Acknowledged | Dropped | Joined | LinkChecked | NetworkTime

_PHY_OVERHEAD = 5  # MHDR and MIC around the MACPayload
_DATA_OVERHEAD = 8  # FHDR without FOpts and FPort, of the MACPayload
_FOPTS_LIMIT = 15
# RP002-1.0.4 "Default Settings", the same in every region
_ADR_ACK_LIMIT = 64
_ADR_ACK_DELAY = 32
_RETRANSMIT_LEAST_MS = 1000  # RETRANSMIT_TIMEOUT: 2 s, 1 s more or less
_RETRANSMIT_SPREAD_MS = 2001
_LINK_CHECK = 0x02  # as in decoders.lorawan.mac_command_list, which is loaded for answers only
_DEVICE_TIME = 0x0D
_UNMEASURED = 255  # DevStatusAns: the battery level could not be measured


class Mac:
    """``identity`` has ``dev_eui``, ``join_eui`` (hex) and ``app_key``. The public attributes are its memory."""

    def __init__(self, identity: "Identity", plan: "Plan" = EU868) -> None:
        self.identity = identity
        self.plan = plan
        self.adr = True  # the network may set data rate and power
        self.duty_cycle = True  # off only under test
        self.session: "Session | None" = None
        self.next_dev_nonce = 0
        self.last_join_nonce = -1  # none yet: the first may be 0
        self.join_attempts = 0  # since the last session was lost
        self.join_started_s = 0
        self.join_period = 0  # of the back-off: hour, ten hours, days,
        self.join_spent_ms = 0  # and what is spent of its airtime
        self.joining: "tuple[int, int] | None" = None  # (dev_nonce, dr) of the request whose windows are open
        self.band_free_s = [0] * len(plan.sub_bands)
        self.all_free_s = 0  # when the network's own duty cycle is kept again
        self.battery_level = _UNMEASURED
        self.frame = b""  # the uplink that may be repeated
        self.repeats = 0  # how often
        self.requests = b""  # CIDs the node asked with in it
        self._windows: "list[OpenWindow]" = []
        self._ask = b""

    # --- joining ---

    def join_request(self, now_s: int) -> Transmit:
        """The next join request; ``next_dev_nonce`` must be on flash before it is sent. Raises BandBusy."""
        from firmware import mac_join

        return mac_join.request(self, now_s)

    def join_back_off_s(self, now_s: int) -> int:
        """How long to wait after an unanswered join request, randomised. TS001 "Retransmissions back-off"."""
        from firmware import mac_join

        return mac_join.back_off_s(self, now_s)

    def join_after_power_up_s(self, now_s: int) -> int:
        """How long to wait if power failed since an unanswered join request."""
        from firmware import mac_join

        return mac_join.after_power_up_s(self, now_s)

    def transmit_join(
        self,
        now_s: int,
        frequency_hz: int,
        dr: int,
        phy_payload: bytes,
        joining: "tuple[int, int]",
        windows: "list[OpenWindow]",
    ) -> Transmit:
        """For mac_join: what ``join_request`` returns."""
        self.joining = joining
        self.frame = self.requests = b""
        self._windows = windows
        airtime_us, eirp_dbm = book(self, now_s, frequency_hz, dr, len(phy_payload))
        return Transmit(frequency_hz, dr, eirp_dbm, phy_payload, airtime_us)

    # --- uplinks ---

    def wait_s(self, now_s: int) -> int:
        """How long the duty cycle forbids the next data uplink, seconds; 0 if it does not. Raises NotJoined."""
        try:
            free(self, enabled(self._joined(), self.plan), now_s)
        except BandBusy as busy:
            return busy.wait_s
        return 0

    def ask_time(self) -> None:
        """Let the next uplink carry a DeviceTimeReq, if it has room."""
        self._request(_DEVICE_TIME)

    def ask_link(self) -> None:
        """Let the next uplink carry a LinkCheckReq, if it has room."""
        self._request(_LINK_CHECK)

    def _request(self, cid: int) -> None:
        if cid not in self._ask:
            self._ask += bytes((cid,))

    def asked(self, cid: int) -> bool:
        """Whether the uplink whose windows are open asked for ``cid``."""
        return cid in self.requests

    def room(self) -> int:
        """Longest payload for the next uplink, bytes: MAC commands go first. Raises NotJoined.

        0 as well if the answers need a frame of their own: then the next uplink must be one without payload.
        """
        session = self._joined()
        self._adr_back_off(session)
        if len(session.answers) > _FOPTS_LIMIT:
            return 0
        return self._longest(session) - min(_FOPTS_LIMIT, len(session.answers) + len(self._ask))

    def uplink(self, now_s: int, f_port: int, payload: bytes, confirmed: bool = False) -> Transmit:
        """A data uplink of at most ``room()`` bytes. Raises NotJoined, BandBusy, FieldRange.

        TS001 "Frame header (FHDR)". The session's counters have moved on when this returns. Without a payload, answers
        that FOpts cannot hold go out on FPort 0 instead.
        """
        session = self._joined()
        if len(payload) > self.room():
            raise FieldRange("FRMPayload", len(payload))
        answers = repeated = session.answers
        limit = _FOPTS_LIMIT if len(answers) <= _FOPTS_LIMIT else self._longest(session)
        if answers:
            from firmware.mac_commands import sticky, whole

            repeated = sticky(answers)
            answers = whole(answers, limit)
        requests = self._ask[: limit - len(answers)]  # TS001 "MAC Commands": answers go first
        f_opts = answers + requests
        if limit > _FOPTS_LIMIT:
            f_opts, f_port, payload = b"", 0, f_opts
        f_ctrl = frame.ACK if session.ack else 0
        if self.adr:
            f_ctrl |= frame.ADR
            if session.adr_ack_cnt >= _ADR_ACK_LIMIT:
                f_ctrl |= frame.ADR_ACK_REQ
        fhdr = frame.Fhdr(session.dev_addr, f_ctrl, session.f_cnt_up & 0xFFFF, f_opts)
        data = frame.DataFrame(frame.CONFIRMED_UP if confirmed else frame.UNCONFIRMED_UP, fhdr, f_port, payload)
        phy_payload = data.serialize(session.nwk_s_key, session.app_s_key, session.f_cnt_up)
        transmit = self._transmit(session, now_s, phy_payload, session.f_cnt_up << 4)
        self.frame = phy_payload
        self.repeats = session.nb_trans - 1
        self.requests = requests
        self._ask = b""
        session.f_cnt_up += 1
        session.adr_ack_cnt = min(session.adr_ack_cnt + 1, 0xFFFF)
        session.ack = False
        session.answers = repeated
        return transmit

    def repeat_wait_ms(self, now_s: int) -> "int | None":
        """How long to wait before ``repeat``, ms; None if the exchange is over. TS001 "Retransmissions"."""
        if self._windows or not self.frame or not self.repeats or self.session is None:
            return None
        wait_ms = self.wait_s(now_s) * 1000
        if frame.m_type(self.frame) == frame.CONFIRMED_UP:
            wait_ms = max(wait_ms, _RETRANSMIT_LEAST_MS + self.random(self._counter(), _RETRANSMIT_SPREAD_MS))
        return wait_ms

    def repeat(self, now_s: int) -> Transmit:
        """The last uplink once more, on another channel. Raises NotJoined, BandBusy."""
        session = self._joined()
        transmit = self._transmit(session, now_s, self.frame, self._counter())
        self.repeats -= 1
        return transmit

    def _counter(self) -> int:
        """For the random choices of the next repetition."""
        return (self._joined().f_cnt_up - 1) << 4 | self.repeats

    def _transmit(self, session: "Session", now_s: int, phy_payload: bytes, counter: int) -> Transmit:
        n, frequency_hz = choose(self, session, now_s, counter)
        self.joining = None
        delay_us = session.rx_delay_s * 1_000_000
        rx1_hz = session.rx1_channels_hz[n] or frequency_hz
        self._windows = [
            OpenWindow(delay_us, rx1_hz, self.plan.rx1_dr(session.dr, session.rx1_dr_offset)),
            OpenWindow(delay_us + 1_000_000, session.rx2_frequency_hz, session.rx2_dr),
        ]
        airtime_us, eirp_dbm = book(self, now_s, frequency_hz, session.dr, len(phy_payload))
        return Transmit(frequency_hz, session.dr, eirp_dbm, phy_payload, airtime_us)

    def _longest(self, session: "Session") -> int:
        return self.plan.data_rates[session.dr].max_payload - _DATA_OVERHEAD

    def _adr_back_off(self, session: "Session") -> None:
        """TS001 "Data-rate adaptation control in frame header": steps back towards what reaches farthest."""
        if not self.adr:
            return
        while session.adr_steps < (session.adr_ack_cnt - _ADR_ACK_LIMIT) // _ADR_ACK_DELAY:
            session.adr_steps += 1
            if session.adr_steps == 1:
                session.power = 0
            elif session.dr > 0:
                session.dr -= 1
            else:
                session.nb_trans = 1
                session.channel_mask |= (1 << len(self.plan.default_channels_hz)) - 1

    # --- receive windows, TS001 "Receive windows" ---

    def next_window(self) -> "OpenWindow | None":
        """The window to open next; None when there is none left."""
        return self._windows[0] if self._windows else None

    def window_closed(self) -> None:
        """Nothing was received in the window that was open."""
        del self._windows[:1]

    def received(self, phy_payload: bytes, snr_quarter_db: int = 0) -> "list[Event]":
        """Judge what was received in the open window; return events. A frame for us ends the exchange."""
        try:
            if self.joining is not None:
                from firmware import mac_join

                events = mac_join.accept(self, phy_payload, *self.joining)
            else:
                events = self._downlink(phy_payload, snr_quarter_db)
        except RemoteError as error:
            events = [Dropped(type(error).__name__)]
        if isinstance(events[0], Dropped):
            self.window_closed()
        else:
            self._windows = []
            self.frame = self.requests = b""  # no repetition after a valid downlink
        return events

    def _downlink(self, phy_payload: bytes, snr_quarter_db: int) -> "list[Event]":
        """TS001 "Frame counter (FCnt)": 32 bits, only ever up; the MIC proves the upper 16."""
        session = self._joined()
        if frame.m_type(phy_payload) not in (frame.UNCONFIRMED_DOWN, frame.CONFIRMED_DOWN):
            return [Dropped("m_type")]
        longest = self.plan.data_rates[self._windows[0].dr].max_payload + _PHY_OVERHEAD
        if len(phy_payload) > longest:
            return [Dropped("length")]
        data = frame.DataFrame.parse(phy_payload)
        if data.fhdr.dev_addr != session.dev_addr:
            return [Dropped("dev_addr")]
        expected = session.f_cnt_down + 1
        f_cnt = expected + (data.fhdr.f_cnt - expected & 0xFFFF)
        if f_cnt >> 32:
            return [Dropped("f_cnt")]
        frame.verify_data(phy_payload, session.nwk_s_key, f_cnt)
        session.f_cnt_down = f_cnt
        payload = data.decrypt(session.nwk_s_key, session.app_s_key, f_cnt)
        session.ack = data.m_type == frame.CONFIRMED_DOWN
        session.answers = b""  # the sticky ones too: the network has heard them
        session.adr_ack_cnt = session.adr_steps = 0
        commands = data.fhdr.f_opts
        if data.f_port == 0:
            commands, payload = payload, b""
        events: "list[Event]" = [Accepted(f_cnt, data.f_port, payload)]
        if data.fhdr.f_ctrl & frame.ACK and self.frame and frame.m_type(self.frame) == frame.CONFIRMED_UP:
            events.append(Acknowledged(session.f_cnt_up - 1))
        if commands:
            from firmware import mac_commands

            events.extend(mac_commands.obey(self, session, commands, snr_quarter_db))
        return events

    # --- shared ---

    def _joined(self) -> "Session":
        if self.session is None:
            raise NotJoined("no session")
        return self.session

    def random(self, counter: int, below: int) -> int:
        """0 to ``below`` - 1, the same for the same node and counter."""
        digest = hashlib.sha256(bytes.fromhex(self.identity.dev_eui) + counter.to_bytes(5, "little")).digest()
        return int.from_bytes(digest[:3], "little") % below
