# SPDX-License-Identifier: EUPL-1.2
"""LoRaWAN class A end-device, OTAA, unconfirmed uplinks: bytes and times in, actions and events out. No I/O.

TS001 = LoRaWAN L2 1.0.4 Specification (TS001-1.0.4). One exchange::

    transmit = mac.join_request(now_s)          # or mac.uplink(now_s, f_port, payload)
    # make mac.next_dev_nonce and mac.session survive, then send transmit.phy_payload
    while window := mac.next_window():
        # listen as it says: at window.after_us from the end of the uplink
        events = mac.received(phy_payload, snr_quarter_db)      # or mac.window_closed()

``now_s``: any clock that runs through deep sleep, seconds. Every random choice follows from the DevEUI and a counter.
"""

import hashlib
from collections import namedtuple

from decoders.lorawan import frame, mac_commands
from decoders.lorawan.airtime import time_on_air_us
from decoders.lorawan.errors import RemoteError
from decoders.lorawan.region import EU868, JOIN_ACCEPT_DELAY1_MS, JOIN_ACCEPT_DELAY2_MS, parse_cf_list
from firmware.errors import BandBusy, NotJoined
from firmware.session import Session

if False:  # types only
    from decoders.lorawan.region import Plan
    from firmware.provisioning import Identity

# Actions
Transmit = namedtuple("Transmit", ("frequency_hz", "dr", "eirp_dbm", "phy_payload", "airtime_us"))
OpenWindow = namedtuple("OpenWindow", ("after_us", "frequency_hz", "dr"))

# Events
Joined = namedtuple("Joined", ("dev_addr",))
Accepted = namedtuple("Accepted", ("f_cnt", "f_port", "payload"))  # f_port None: no payload
NetworkTime = namedtuple("NetworkTime", ("gps_s", "fraction_256"))  # at the end of the uplink that asked
Dropped = namedtuple("Dropped", ("reason",))
if False:  # types only
    Event = Accepted | Dropped | Joined | NetworkTime

_JOIN_DRS = (5, 4, 3, 2, 1, 0)  # one after the other: the fastest that reaches a gateway stays for the data
_ADDRESSED_OVERHEAD = 5  # MHDR and MIC around the MACPayload
_DATA_OVERHEAD = 8  # FHDR without FOpts and FPort, of the MACPayload
_FOPTS_LIMIT = 15
# TS001 "Retransmissions back-off": up to this long after the first request, one part in so many of the time
_JOIN_DUTY = ((3600, 100), (11 * 3600, 1000))
_JOIN_DUTY_FOR_EVER = 10_000
_UNMEASURED = 255  # DevStatusAns: the battery level could not be measured


class Mac:
    """``identity`` has ``dev_eui``, ``join_eui`` (hex) and ``app_key``. The public attributes are its memory."""

    def __init__(self, identity: "Identity", plan: "Plan" = EU868) -> None:
        self._identity = identity
        self._plan = plan
        self._windows: "list[OpenWindow]" = []
        self._joining: "tuple[int, int] | None" = None  # (dev_nonce, dr) of the request whose windows are open
        self._ask_time = False
        self._time_asked = False
        self._airtime_us = 0  # of the last transmission
        self.session: "Session | None" = None
        self.next_dev_nonce = 0
        self.last_join_nonce = -1  # none yet: the first may be 0
        self.join_attempts = 0  # since the last session was lost
        self.join_started_s = 0
        self.band_free_s = [0] * len(plan.sub_bands)
        self.battery_level = _UNMEASURED

    # --- uplinks ---

    def join_request(self, now_s: int) -> Transmit:
        """The next join request; ``next_dev_nonce`` must be on flash before it is sent. Raises BandBusy.

        TS001 "Join-Request frame": a DevNonce counts up and is never used twice.
        """
        dev_nonce = self.next_dev_nonce
        channels_hz = self._plan.default_channels_hz
        free = self._free(channels_hz, (1 << len(channels_hz)) - 1, now_s)
        frequency_hz = channels_hz[free[self._random(dev_nonce, len(free))]]
        dr = _JOIN_DRS[self.join_attempts % len(_JOIN_DRS)]
        request = frame.JoinRequest(self._identity.join_eui, self._identity.dev_eui, dev_nonce)
        phy_payload = request.serialize(self._identity.app_key)
        self.next_dev_nonce = dev_nonce + 1
        if self.join_attempts == 0:
            self.join_started_s = now_s
        self.join_attempts += 1
        self._joining = (dev_nonce, dr)
        self._time_asked = False
        rx2_hz, rx2_dr = self._plan.rx2
        self._windows = [
            OpenWindow(JOIN_ACCEPT_DELAY1_MS * 1000, frequency_hz, self._plan.rx1_dr(dr, 0)),
            OpenWindow(JOIN_ACCEPT_DELAY2_MS * 1000, rx2_hz, rx2_dr),
        ]
        return self._transmit(now_s, frequency_hz, dr, phy_payload)

    def join_back_off_s(self, now_s: int) -> int:
        """How long to wait after an unanswered join request, randomised. TS001 "Retransmissions back-off"."""
        share = _JOIN_DUTY_FOR_EVER
        for until_s, early_share in reversed(_JOIN_DUTY):
            if now_s - self.join_started_s < until_s:
                share = early_share
        wait_s = self._airtime_us * share // 1_000_000 + 1
        return wait_s + self._random(self.next_dev_nonce, wait_s // 2 + 4)

    def wait_s(self, now_s: int) -> int:
        """How long the duty cycle forbids the next data uplink, seconds; 0 if it does not. Raises NotJoined."""
        session = self._session()
        try:
            self._free(session.channels_hz, session.channel_mask, now_s)
        except BandBusy as busy:
            return busy.wait_s
        return 0

    def ask_time(self) -> None:
        """Let the next uplink carry a DeviceTimeReq, if it has room."""
        self._ask_time = True

    def room(self) -> int:
        """Longest payload for the next uplink, bytes: MAC commands go first. Raises NotJoined."""
        session = self._session()
        return self._plan.data_rates[session.dr].max_payload - _DATA_OVERHEAD - len(self._f_opts(session))

    def uplink(self, now_s: int, f_port: int, payload: bytes) -> Transmit:
        """An unconfirmed data uplink of at most ``room()`` bytes. Raises NotJoined, BandBusy, FieldRange.

        TS001 "Frame header (FHDR)". The session's counters have moved on when this returns.
        """
        session = self._session()
        frequency_hz = self._channel(session, now_s)
        f_opts = self._f_opts(session)
        fhdr = frame.Fhdr(session.dev_addr, frame.ACK if session.ack else 0, session.f_cnt_up & 0xFFFF, f_opts)
        data = frame.DataFrame(frame.UNCONFIRMED_UP, fhdr, f_port, payload)
        phy_payload = data.serialize(session.nwk_s_key, session.app_s_key, session.f_cnt_up)
        self._time_asked = len(f_opts) > len(session.answers)
        self._ask_time = False
        session.f_cnt_up += 1
        session.ack = False
        session.answers = b""
        self._joining = None
        delay_us = session.rx_delay_s * 1_000_000
        self._windows = [
            OpenWindow(delay_us, frequency_hz, self._plan.rx1_dr(session.dr, session.rx1_dr_offset)),
            OpenWindow(delay_us + 1_000_000, session.rx2_frequency_hz, session.rx2_dr),
        ]
        return self._transmit(now_s, frequency_hz, session.dr, phy_payload)

    # --- receive windows, TS001 "Receive windows" ---

    def next_window(self) -> "OpenWindow | None":
        """The window to open next; None when the exchange is over."""
        return self._windows[0] if self._windows else None

    def window_closed(self) -> None:
        """Nothing was received in the window that was open."""
        del self._windows[:1]

    def received(self, phy_payload: bytes, snr_quarter_db: int = 0) -> "list[Event]":
        """Judge what was received in the open window; return events. A frame for us ends the exchange."""
        try:
            joining = self._joining
            if joining is not None:
                events = self._join_accept(phy_payload, joining)
            else:
                events = self._downlink(phy_payload, snr_quarter_db)
        except RemoteError as error:
            events = [Dropped(type(error).__name__)]
        if isinstance(events[0], Dropped):
            self.window_closed()
        else:
            self._windows = []
        return events

    def _join_accept(self, phy_payload: bytes, joining: "tuple[int, int]") -> "list[Event]":
        """TS001 "Join-Accept frame"."""
        dev_nonce, dr = joining
        if frame.m_type(phy_payload) != frame.JOIN_ACCEPT:
            return [Dropped("m_type")]
        accept = frame.JoinAccept.parse(phy_payload, self._identity.app_key)
        if accept.join_nonce <= self.last_join_nonce:
            return [Dropped("join_nonce")]
        rx1_dr_offset = accept.dl_settings >> 4 & 7
        rx2_dr = accept.dl_settings & 0x0F
        if rx1_dr_offset > self._plan.max_rx1_dr_offset or rx2_dr >= len(self._plan.data_rates):
            return [Dropped("dl_settings")]
        keys = frame.derive_session_keys(self._identity.app_key, accept.join_nonce, accept.net_id, dev_nonce)
        session = Session(accept.dev_addr, keys[0], keys[1], dr)
        session.rx1_dr_offset = rx1_dr_offset
        session.rx2_dr = rx2_dr
        session.rx_delay_s = (accept.rx_delay & 0x0F) or 1  # TS001 "RXTimingSetupReq": 0 is 1 s
        self._add_channels(session, parse_cf_list(accept.cf_list))
        self.last_join_nonce = accept.join_nonce
        self.session = session
        self.join_attempts = 0
        return [Joined(accept.dev_addr)]

    def _add_channels(self, session: Session, frequencies_hz: "tuple[int, ...]") -> None:
        """The CFList's channels follow the default ones; an unused or unusable frequency leaves its slot empty."""
        for n, frequency_hz in enumerate(frequencies_hz, len(self._plan.default_channels_hz)):
            if self._band(frequency_hz) is not None:
                session.channels_hz[n] = frequency_hz
                session.channel_mask |= 1 << n

    def _downlink(self, phy_payload: bytes, snr_quarter_db: int) -> "list[Event]":
        """TS001 "Frame counter (FCnt)": 32 bits, only ever up; the MIC proves the upper 16."""
        session = self._session()
        if frame.m_type(phy_payload) not in (frame.UNCONFIRMED_DOWN, frame.CONFIRMED_DOWN):
            return [Dropped("m_type")]
        longest = self._plan.data_rates[self._windows[0].dr].max_payload + _ADDRESSED_OVERHEAD
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
        payload = data.decrypt(session.nwk_s_key, session.app_s_key, f_cnt)
        session.f_cnt_down = f_cnt
        session.ack = data.m_type == frame.CONFIRMED_DOWN
        if data.f_port == 0:
            commands, payload = payload, b""
        else:
            commands = data.fhdr.f_opts
        events: "list[Event]" = [Accepted(f_cnt, data.f_port, payload)]
        events.extend(self._commands(session, commands, snr_quarter_db))
        return events

    # --- MAC commands, TS001 "MAC commands" ---

    def _commands(self, session: Session, data: bytes, snr_quarter_db: int) -> "list[Event]":
        """Obey the requests in order, queue the answers, return the events."""
        events: "list[Event]" = []
        answers = b""
        for cid, payload in mac_commands.parse_downlink(data):
            if cid == mac_commands.DEVICE_TIME:
                if self._time_asked:  # TS001 "DeviceTime": only the direct answer counts
                    events.append(NetworkTime(*mac_commands.parse_device_time_ans(payload)))
            elif cid == mac_commands.DEV_STATUS:
                margin_db = max(-32, min(31, snr_quarter_db >> 2)) & 0x3F
                answers = self._answer(answers, bytes((cid, self.battery_level, margin_db)))
            elif cid in _REFUSABLE:
                answers = self._answer(answers, bytes((cid, 0)))
        session.answers = answers
        return events

    @staticmethod
    def _answer(answers: bytes, answer: bytes) -> bytes:
        """TS001 "MAC commands": answers that do not fit are left off from the first that does not."""
        return answers + answer if len(answers) + len(answer) <= _FOPTS_LIMIT else answers

    def _f_opts(self, session: Session) -> bytes:
        f_opts = session.answers
        if self._ask_time and len(f_opts) < _FOPTS_LIMIT:
            f_opts += mac_commands.device_time_req()
        return f_opts

    # --- channels and duty cycle ---

    def _session(self) -> Session:
        if self.session is None:
            raise NotJoined("no session")
        return self.session

    def _band(self, frequency_hz: int) -> "int | None":
        for n, band in enumerate(self._plan.sub_bands):
            if band.low_hz <= frequency_hz < band.high_hz:
                return n
        return None

    def _free(self, channels_hz: "list[int] | tuple[int, ...]", mask: int, now_s: int) -> "list[int]":
        """Numbers of the enabled channels whose sub-band is free; raises BandBusy if there is none."""
        wait_s = []
        free = []
        for n, frequency_hz in enumerate(channels_hz):
            if mask >> n & 1:
                # _add_channels takes no channel outside the sub-bands
                busy_s = self.band_free_s[self._band(frequency_hz)] - now_s  # type: ignore[index]
                if busy_s <= 0:
                    free.append(n)
                wait_s.append(busy_s)
        if not free:
            raise BandBusy(min(wait_s))
        return free

    def _channel(self, session: Session, now_s: int) -> int:
        """RP002-1.0.4: pseudo-random, and every enabled channel that is not blocked once before one again."""
        free = self._free(session.channels_hz, session.channel_mask, now_s)
        fresh = [n for n in free if not session.used_mask >> n & 1]
        if not fresh:
            session.used_mask = 0
            fresh = free
        n = fresh[self._random(session.f_cnt_up, len(fresh))]
        session.used_mask |= 1 << n
        return session.channels_hz[n]

    def _random(self, counter: int, below: int) -> int:
        digest = hashlib.sha256(bytes.fromhex(self._identity.dev_eui) + counter.to_bytes(4, "little")).digest()
        return int.from_bytes(digest[:3], "little") % below

    def _transmit(self, now_s: int, frequency_hz: int, dr: int, phy_payload: bytes) -> Transmit:
        """Book the time on air as a pause of its sub-band (ETSI EN 300 220-2 V3.1.1 "Duty cycle"); make the action."""
        rate = self._plan.data_rates[dr]
        airtime_us = time_on_air_us(len(phy_payload), rate.sf, rate.bandwidth_hz)
        self._airtime_us = airtime_us
        # The channel has passed _free: it lies in a sub-band
        number: int = self._band(frequency_hz)  # type: ignore[assignment]
        band = self._plan.sub_bands[number]
        self.band_free_s[number] = now_s + 1 + airtime_us * 1000 // band.duty_permille // 1_000_000
        # ERP is relative to a dipole, EIRP 2.15 dB more: a whole dB is lost to rounding, on the safe side
        eirp_dbm = min(self._plan.max_eirp_dbm, band.max_erp_dbm + 2)
        return Transmit(frequency_hz, dr, eirp_dbm, phy_payload, airtime_us)


# Requests whose answer can say "nothing applied"
_REFUSABLE = (
    mac_commands.LINK_ADR,
    mac_commands.RX_PARAM_SETUP,
    mac_commands.NEW_CHANNEL,
    mac_commands.DL_CHANNEL,
)
