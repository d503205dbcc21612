# SPDX-License-Identifier: EUPL-1.2
"""Lets a certification script drive the node: a test build only, see manifest_certification.py.

TS009 = LoRaWAN Certification Protocol Specification (TS009-1.0.0), on FPort 224, and the older protocol that the
payload 01010101 switches on. Names and codes of TS009 "Certification protocol commands"; RxAppCnt with its low byte
first, and the order of the versions, as in Semtech's SWL2001 (lorawan_certification.c) and in RadioLib. This build
joins at every boot, stays awake, and sends a counter on FPort 1 every ``period_s`` until it is told otherwise.
"""

from firmware.mac import Accepted, Acknowledged, LinkChecked

if False:  # types only
    from firmware.hal import Board
    from firmware.link import Link
    from firmware.mac import Event, Mac, Transmit
    from firmware.state import Memory, Store

F_PORT = 224
_APP_F_PORT = 1
_PERIODS_S = (30, 5, 10, 20, 30, 40, 50, 60, 120, 240, 480)
_VERSIONS = bytes((0, 1, 0, 0, 1, 0, 4, 0, 2, 1, 0, 4))  # ours; TS001-1.0.4; RP002-1.0.4
_OFF = "/fport224.off"


class Responder:
    """What the script has set. ``answer``: for the next uplink on FPort 224; ``order``: "reset", "join", a carrier."""

    def __init__(self, mac: "Mac") -> None:
        self._mac = mac
        self.period_s = _PERIODS_S[0]
        self.confirmed = False
        self.disabled = False
        self.answer = b""
        self.order: "str | tuple[int, int, int] | None" = None
        self._received = 0  # RxAppCnt, or the older protocol's DOWNLINK counter
        self._sent = 0
        self._older = False

    def payload(self) -> "tuple[int, bytes]":
        """(FPort, payload) of the next uplink."""
        if self.answer:
            answer, self.answer = self.answer, b""
            return F_PORT, answer[: self._mac.room()]
        if self._older:
            return F_PORT, self._received.to_bytes(2, "big")
        self._sent += 1
        return _APP_F_PORT, (self._sent & 0xFFFF).to_bytes(2, "big")

    def heard(self, events: "list[Event]") -> None:
        """Obey what one exchange brought."""
        for event in events:
            if isinstance(event, Acknowledged) or (isinstance(event, Accepted) and event.f_port):
                self._received = self._received + 1 & 0xFFFF
                break
        for event in events:
            if isinstance(event, Accepted) and event.f_port == F_PORT and event.payload and not self.disabled:
                if event.payload == b"\x01\x01\x01\x01":
                    self._older, self._received, self.period_s, self.confirmed = True, 0, _PERIODS_S[1], False
                elif self._older:
                    self._obey_older(event.payload)
                else:
                    self._obey(event.payload)
            elif isinstance(event, LinkChecked) and self._older:
                self.answer = bytes((5, event.margin_db, event.gateways))

    def _obey(self, command: bytes) -> None:
        """TS009 "Certification protocol commands": one a frame; of a wrong length or unknown: ignored."""
        code, data = command[0], command[1:]
        if code == 0x08:  # EchoPayloadReq
            self.answer = _echo(command)
        elif len(data) != {0x04: 1, 0x05: 1, 0x06: 1, 0x07: 1, 0x7D: 6}.get(code, 0):
            return
        elif code == 0x00:  # PackageVersionReq: identifier 6, version 1
            self.answer = bytes((0x00, 6, 1))
        elif code == 0x01:  # DutResetReq
            self.order = "reset"
        elif code == 0x02:  # DutJoinReq
            self.order = "join"
        elif code == 0x04:  # AdrBitChangeReq
            self._mac.adr = data[0] == 1
        elif code == 0x05:  # RegionalDutyCycleCtrlReq
            self._mac.duty_cycle = data[0] == 1
        elif code == 0x06:  # TxPeriodicityChangeReq
            if data[0] < len(_PERIODS_S):
                self.period_s = _PERIODS_S[data[0]]
        elif code == 0x07:  # TxFramesCtrlReq: 0 leaves it
            if data[0] in (1, 2):
                self.confirmed = data[0] == 2
        elif code == 0x09:  # RxAppCntReq
            self.answer = b"\x09" + self._received.to_bytes(2, "little")
        elif code == 0x0A:  # RxAppCntResetReq
            self._received = 0
        elif code == 0x20:  # LinkCheckReq
            self._mac.ask_link()
        elif code == 0x21:  # DeviceTimeReq
            self._mac.ask_time()
        elif code == 0x7D:  # TxCwReq: s, 100 Hz, dBm
            power_dbm = data[5] - 256 if data[5] > 127 else data[5]
            self.order = (int.from_bytes(data[:2], "little"), int.from_bytes(data[2:5], "little") * 100, power_dbm)
        elif code == 0x7E:  # DutFPort224DisableReq
            self.disabled = True
        elif code == 0x7F:  # DutVersionsReq
            self.answer = b"\x7f" + _VERSIONS

    def _obey_older(self, command: bytes) -> None:
        """LoRaWAN 1.0.x end-device certification, "Test application": while it is on."""
        code = command[0]
        if code == 0x00:
            self._older = False
            self.period_s = _PERIODS_S[0]
        elif code in (0x02, 0x03):
            self.confirmed = code == 0x02
        elif code == 0x04:
            self.answer = _echo(command)
        elif code == 0x05:
            self._mac.ask_link()
        elif code == 0x06:
            self._older = False
            self.order = "join"


def _echo(command: bytes) -> bytes:
    return command[:1] + bytes([byte + 1 & 0xFF for byte in command[1:]])


class Bench:
    """A node under test: awake for good, everything else as in firmware.app."""

    def __init__(self, board: "Board", mac: "Mac", store: "Store", memory: "Memory", link: "Link") -> None:
        self._board = board
        self._clock = board.clock
        self._mac = mac
        self._store = store
        self._memory = memory
        self._link = link
        self.responder = Responder(mac)

    def join(self) -> None:
        """Ask until there is a new session, as often as the back-off allows."""
        from firmware.errors import BandBusy

        mac = self._mac
        mac.join_attempts = 0
        before = mac.session
        while mac.session is before:
            try:
                transmit = mac.join_request(self._clock.time())
            except BandBusy as busy:
                self._wait_ms(busy.wait_s * 1000)
                continue
            self._save(True)
            self._exchange(transmit)
            if mac.session is before:
                self._wait_ms(mac.join_back_off_s(self._clock.time()) * 1000)
        self._save(True)

    def uplink(self) -> None:
        """One uplink with its repetitions; then do what was ordered."""
        mac = self._mac
        f_port, payload = self.responder.payload()
        if mac.room() < len(payload):
            payload = b""  # answers to MAC commands need a frame of their own
        self._wait_ms(mac.wait_s(self._clock.time()) * 1000)
        self._store.reserve(mac, self._memory, self._clock.time())
        transmit = mac.uplink(self._clock.time(), f_port, payload, self.responder.confirmed)
        while True:
            self._save(False)
            self._exchange(transmit)
            wait_ms = mac.repeat_wait_ms(self._clock.time())
            if wait_ms is None:
                break
            self._wait_ms(wait_ms)
            self._wait_ms(mac.wait_s(self._clock.time()) * 1000)
            transmit = mac.repeat(self._clock.time())
        self._save(True)
        order, self.responder.order = self.responder.order, None
        if order == "join":
            self.join()
        elif order == "reset":
            self._board.deep_sleep(1000)
        elif isinstance(order, tuple):
            self._carrier(*order)

    def _carrier(self, seconds: int, frequency_hz: int, power_dbm: int) -> None:
        radio = self._board.radio()
        radio.start()
        radio.continuous_wave(frequency_hz, max(-17, min(22, power_dbm - self._board.antenna_gain_dbi)))
        self._wait_ms(seconds * 1000)
        radio.sleep()

    def pause(self) -> None:
        """Until the next uplink is due; none if there is something to answer."""
        if not self.responder.answer:
            self._wait_ms(self.responder.period_s * 1000)

    def _exchange(self, transmit: "Transmit") -> None:
        radio = self._board.radio()
        radio.start()
        _, events = self._link.exchange(self._mac, transmit)
        radio.sleep()
        self.responder.heard(events)

    def _save(self, flash: bool) -> None:
        if flash:
            self._store.checkpoint(self._mac, self._memory, self._clock.time())
        self._store.save(self._mac, self._memory, self._clock.time())

    def _wait_ms(self, ms: int) -> None:
        while ms > 0:
            self._clock.sleep_ms(min(ms, 1000))
            self._board.watchdog_feed()
            ms -= 1000


def run(board: "Board") -> None:
    """For ever, or until FPort 224 is disabled: then this is the node that ships, at this boot and all to come."""
    try:
        with open(board.folder + _OFF, "rb"):
            pass
    except OSError:
        _run(board)
    from firmware import app

    app.run(board)


def _run(board: "Board") -> None:
    from firmware.identity import parse_identity
    from firmware.journal import Journal
    from firmware.link import Link
    from firmware.mac import Mac
    from firmware.state import Store

    with open(board.folder + "/identity.bin", "rb") as file:
        mac = Mac(parse_identity(file.read()))
    store = Store(board.rtc, Journal(board.folder))
    memory = store.load(mac, board.clock.time())
    board.watchdog_start()
    link = Link(board.radio(), board.clock, board.watchdog_feed, board.antenna_gain_dbi, memory.budget)
    bench = Bench(board, mac, store, memory, link)
    bench.join()
    while not bench.responder.disabled:
        bench.uplink()
        bench.pause()
    with open(board.folder + _OFF, "wb"):
        pass
    store.forget()
    board.deep_sleep(1000)
