# SPDX-License-Identifier: EUPL-1.2
"""A technician's laptop at the console of a node on the bench, in virtual time."""

from collections.abc import Callable
from pathlib import Path

from decoders.bundle_builder import build_bundle
from hardware.update_session import Session, Stage, UpdateFailed
from simulators.clock import Clock
from simulators.firmware_build import compile_module
from simulators.flash import Flash
from simulators.kernel import Kernel
from simulators.node import NodeBench
from simulators.node_states import State
from simulators.wires import SerialPort, SerialSettings
from simulators.wiring import Wiring
from tests.firmware.update_rig import ROOT, said_by, sign

S = 1_000_000
CONSOLE = SerialSettings(115_200)
RXBUF = 259  # ports/esp32/mphalport.c: stdin_ringbuf_array[260] keeps one less
POLL_US = 200_000
LIST = "import os\nfor name in os.listdir('/data'):\n    print(name)"
REAL = (
    "decoders/__init__",
    "decoders/bundle",
    "decoders/console_frame",
    "decoders/lorawan/__init__",
    "decoders/lorawan/errors",
    "firmware/__init__",
    "firmware/app",
    "firmware/errors",
    "firmware/identity",
    "firmware/journal",
    "firmware/p256",
    "firmware/serial_update",
    "firmware/starter",
    "firmware/update",
)
# Instead of what measures and sends: nobody has provisioned this node, so nothing of it is called
STUBS = {
    "firmware/node": "def silence(board):\n    pass\n\n\nunload = lambda: None\nNode = None\n",
    "firmware/state": "Store = None\n",
    "firmware/boards/__init__": "",
    "firmware/boards/this": """
import machine
import time

NAME = "bench"


class Board:
    def __init__(self, table):
        self.table = table
        self.clock = time
        self.rtc = machine.RTC()
        self.folder = "/data"
        self.deep_sleep = machine.deepsleep
        self._watchdog = None

    def slept(self):
        return machine.reset_cause() == machine.DEEPSLEEP_RESET

    def watchdog_start(self):
        self._watchdog = machine.WDT(timeout=30000)

    def watchdog_feed(self):
        self._watchdog.feed()
""",
}
# The next version: says so, has heard the network, sleeps
NEXT = {
    "firmware/__init__": "",
    "firmware/boards/__init__": "",
    "firmware/boards/this": STUBS["firmware/boards/this"],
    "firmware/app": """
def run(board, start):
    print("version", {version}, "on trial" if start.trial else "kept")
    start.ended(True, True)
    board.deep_sleep(60000)
""",
}


class Console(SerialPort):
    """The line between a node's stdin and stdout and a laptop.

    ``garble`` may change what goes either way: it is given (to the node, a byte) and returns bytes. ``pull_after``: the
    cable is pulled when so many bytes have gone through it since ``connect``; ``passed`` counts them.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._time = clock
        self.rxbuf = RXBUF
        self.garble: Callable[[bool, bytes], bytes] = lambda _to_node, byte: byte
        self.pull_after: int | None = None
        self.passed = 0
        self.session: Session | None = None
        self.failure: UpdateFailed | None = None
        self.device = self

    @property
    def now_s(self) -> float:
        return self._time.now_us / S

    def _passes(self) -> bool:
        self.passed += 1
        return self.pull_after is None or self.passed <= self.pull_after

    def byte_received(self, byte: int, _settings: SerialSettings) -> None:
        """From the node."""
        if self.session is not None and self._passes():
            self._try(self._hears(byte))

    def _hears(self, byte: int) -> Callable[[Session], None]:
        def act(session: Session) -> None:
            session.receive(self.garble(False, bytes([byte])), self.now_s)
            self._speak(session)

        return act

    def _try(self, act: Callable[[Session], None]) -> None:
        assert self.session is not None
        try:
            act(self.session)
        except UpdateFailed as failure:
            self.session, self.failure = None, failure

    def connect(self, session: Session, pull_after: int | None = None) -> None:
        """The tool starts, on a cable that is whole."""
        self.session, self.failure, self.passed, self.pull_after = session, None, 0, pull_after
        self._poll(session)

    def _poll(self, session: Session) -> None:
        if self.session is session:
            self._try(self._speak)
            if session.stage is not Stage.DONE:
                self._time.after(POLL_US, lambda: self._poll(session))

    def _speak(self, session: Session) -> None:
        for byte in session.poll(self.now_s):
            if self._passes():
                self.answer(self.garble(True, bytes([byte])), CONSOLE)


def compiled(folder: Path, texts: dict[str, str]) -> dict[str, bytes]:
    """Modules by path."""
    modules = {}
    for name, text in texts.items():
        source = folder / f"{name}.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        compile_module(source, source.with_suffix(".mpy"), f"{name}.py")
        modules[f"{name}.mpy"] = source.with_suffix(".mpy").read_bytes()
    return modules


def small_bundle(
    folder: Path, version: int = 2, board: str = "bench", signed=sign, padding: int = 0, listens: bool = False
) -> bytes:
    """A bundle of the next version; ``padding``: bytes of a module that nobody loads.

    ``listens``: it is the same as is flashed, so it is updated as that is.
    """
    texts = {name: text.replace("{version}", str(version)) for name, text in NEXT.items()}
    if listens:
        texts = {name: (ROOT / f"{name}.py").read_text() for name in REAL if name != "firmware/starter"} | STUBS
    modules = compiled(folder / f"version{version}{listens}", texts)
    if padding:
        modules["firmware/unused.mpy"] = bytes(n * n % 251 for n in range(padding))
    return build_bundle(version, board, modules, signed)


class Desk:
    """One node on a technician's desk; ``image``: what its flash holds at first."""

    def __init__(self, folder: Path, image: bytes, texts: dict[str, str] | None = None, heap: str = "64wK") -> None:
        self.clock = Clock()
        self.console = Console(self.clock)
        target = folder / "flashed"
        sources = {name: (ROOT / f"{name}.py").read_text() for name in REAL} | STUBS | (texts or {})
        for name, text in (sources | {"main": (ROOT / "firmware/main.py").read_text()}).items():
            source = folder / "sources" / f"{name}.py"
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(text)
            compile_module(source, target / f"{name}.mpy", f"{name}.py")
        self.node = NodeBench(self.clock, Wiring(console=self.console), target, flash=Flash(64), heap=heap)
        self.kernel = Kernel(self.clock, [self.node])
        self.image = image
        self._read = 0
        self.fresh()

    def fresh(self) -> None:
        """Off, with the flash as it was at first."""
        self.node.power_off()
        self.node.cut_at_operation = self.node.flash.cut_at = None
        self.console.session = None
        self.console.garble = lambda _to_node, byte: byte
        self.kernel.run_until(self.clock.now_us + S)  # what is still on the line
        self.node.flash.restore(self.image)
        self.said()

    def reset(self) -> None:
        """The technician switches it off and on."""
        self.node.power_off()
        self.node.power_on()

    def updates(self, bundle: bytes | None, pull_after: int | None = None, **claims: str | int) -> Session:
        """The tool calls, the technician presses reset; the conversation comes to its end, or the cable is pulled.

        ``claims``: what the tool is made to believe of the bundle's header.
        """
        session = Session(bundle, self.console.now_s, 20.0)
        if session.header is not None:
            session.header = session.header._replace(**claims)
        self.console.connect(session, pull_after)
        self.reset()
        self.kernel.run_until(
            self.clock.now_us + 300 * S,
            lambda: self.console.session is None or session.stage is Stage.DONE or self.node.state is State.OFF,
        )
        return session

    def loses_power(self, bundle: bytes, after: int) -> Session:
        """As ``updates``, but power fails when so many bytes have gone through the cable."""
        session = Session(bundle, self.console.now_s, 20.0)
        self.console.connect(session)
        self.reset()
        self.kernel.run_until(self.clock.now_us + 300 * S, lambda: self.console.passed >= after)
        self.node.power_off()
        self.console.session = None
        return session

    def goes_on(self, seconds: float = 30.0) -> list[str]:
        """What it says, after the tool has ended."""
        self.console.session = None
        self.kernel.run_until(self.clock.now_us + round(seconds * S))
        return self.said()

    def said(self) -> list[str]:
        """Since this was asked last, but for frames."""
        text = self.node.console()[self._read :]
        self._read += len(text)
        return [line for line in text.splitlines() if not line.startswith("~")]


def files(desk: Desk, folder: Path) -> set[str]:
    """What lies on its flash."""
    desk.node.power_off()
    return set(said_by(folder, LIST, desk.node.flash.image(), blocks=64))


def left_over(desk: Desk, folder: Path) -> list[str]:
    """Bundles that have come in part."""
    return [name for name in files(desk, folder) if name.startswith("update-")]
