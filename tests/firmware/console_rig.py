# SPDX-License-Identifier: EUPL-1.2
"""A technician's laptop at the console of a node on the bench, in virtual time."""

from collections.abc import Callable

from hardware.update_session import Session, Stage, UpdateFailed
from simulators.clock import Clock
from simulators.wires import SerialPort, SerialSettings

CONSOLE = SerialSettings(115_200)
RXBUF = 259  # ports/esp32/mphalport.c: stdin_ringbuf_array[260] keeps one less
_POLL_US = 5_000


class Console(SerialPort):
    """The line between a node's stdin and stdout and a laptop.

    ``garble`` may change what goes either way: it is given (to the node, the bytes) and returns bytes. ``cut_after``:
    the cable is pulled when so many bytes have gone through it. ``printed``: all that the node has said.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._clock_now = clock
        self.rxbuf = RXBUF
        self.garble: Callable[[bool, bytes], bytes] = lambda _to_node, data: data
        self.cut_after: int | None = None
        self.passed = 0
        self.printed = bytearray()
        self.session: Session | None = None
        self.failure: UpdateFailed | None = None
        self.device = self

    @property
    def now_s(self) -> float:
        return self._clock_now.now_us / 1e6

    def _pulled(self, count: int) -> bool:
        self.passed += count
        return self.cut_after is not None and self.passed > self.cut_after

    def byte_received(self, byte: int, _settings: SerialSettings) -> None:
        """From the node."""
        self.printed.append(byte)
        if not self._pulled(1) and self.session is not None:
            self._guarded(lambda: self._hear(self.garble(False, bytes([byte]))))

    def _hear(self, data: bytes) -> None:
        assert self.session is not None
        self.session.receive(data, self.now_s)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except UpdateFailed as failure:
            self.session, self.failure = None, failure

    def connect(self, session: Session) -> None:
        """The tool starts, on a cable that is whole."""
        self.session, self.failure, self.passed, self.cut_after = session, None, 0, None
        self._poll(session)

    def unplug(self) -> None:
        self.session = None

    def _poll(self, session: Session) -> None:
        if self.session is not session:
            return
        self._guarded(lambda: self._speak(session))
        if session.stage is not Stage.DONE:
            self._clock_now.after(_POLL_US, lambda: self._poll(session))

    def _speak(self, session: Session) -> None:
        data = session.poll(self.now_s)
        for byte in self.garble(True, data) if data else b"":
            if not self._pulled(1):
                self.answer(bytes([byte]), CONSOLE)
