# SPDX-License-Identifier: EUPL-1.2
"""A small application under the real start program and the real installer, and bundles for it."""

from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from decoders.bundle_builder import build_bundle
from simulators.clock import Clock
from simulators.firmware_build import compile_module
from simulators.flash import Flash
from simulators.kernel import Kernel
from simulators.node import NodeBench
from simulators.node_states import State
from simulators.wiring import Wiring

ROOT = Path(__file__).parents[2]
S = 1_000_000
PRIVATE = ec.derive_private_key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1())
# RFC 6979 A.2.5: the public key of that private one
KEY = bytes.fromhex(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
FIXED = {
    "firmware/main.py": "main",
    "firmware/__init__.py": "firmware/__init__",
    "firmware/starter.py": "firmware/starter",
    "firmware/journal.py": "firmware/journal",
    "firmware/errors.py": "firmware/errors",
    "firmware/update.py": "firmware/update",
    "firmware/p256.py": "firmware/p256",
    "decoders/__init__.py": "decoders/__init__",
    "decoders/bundle.py": "decoders/bundle",
    "decoders/lorawan/__init__.py": "decoders/lorawan/__init__",
    "decoders/lorawan/errors.py": "decoders/lorawan/errors",
}
BOARD = """
class Board:
    def __init__(self, table):
        import machine
        self.rtc = machine.RTC()
        self.deep_sleep = machine.deepsleep
"""
# Says who it is, installs what lies there, and ends its wake as told by `BEHAVIOUR`
APP = """
VERSION = {version}
def run(board, start):
    print("version", VERSION, len(board.rtc.memory()))
    board.rtc.memory(b"of " + str(VERSION).encode())
    {behaviour}
    try:
        from firmware import update
        if start is None:
            from firmware.starter import Start
            start = Start("/data")
        try:
            print("installed", update.install("/data", "bench", start))
        except update.UpdateRefused as refused:
            print("refused", refused.reason)
    except OSError:
        pass
    board.deep_sleep(60_000)
"""
NOTHING = "pass"
CRASHES = "raise RuntimeError('broken')"
DEAF = "start and start.ended(True, False); board.deep_sleep(60_000)"
HEARS = "start and start.ended(True, True)"


def sign(data: bytes, private: ec.EllipticCurvePrivateKey = PRIVATE) -> tuple[int, int]:
    return decode_dss_signature(private.sign(data, ec.ECDSA(hashes.SHA256())))


def application(folder: Path, version: int, behaviour: str) -> dict[str, bytes]:
    """The modules of one version, by path."""
    texts = {
        "firmware/app": APP.format(version=version, behaviour=behaviour),
        "firmware/boards/__init__": "",
        "firmware/boards/this": BOARD,
    }
    modules = {}
    for name, text in texts.items():
        source = folder / f"v{version}" / f"{name}.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        compiled = source.with_suffix(".mpy")
        compile_module(source, compiled, f"{name}.py")
        modules[f"{name}.mpy"] = compiled.read_bytes()
    for path, name in FIXED.items():
        if name not in ("main", "firmware/starter"):
            compiled = folder / "fixed" / f"{name}.mpy"
            compile_module(ROOT / path, compiled, path)
            modules[f"{name}.mpy"] = compiled.read_bytes()
    return modules


def bundle(folder: Path, version: int, behaviour: str = HEARS, board: str = "bench") -> bytes:
    return build_bundle(version, board, application(folder, version, behaviour), sign)


def flashed(folder: Path, texts: dict[str, str] | None = None) -> Path:
    """What is on the node from the factory: version 1; ``texts`` replaces sources."""
    target = folder / "flashed"
    for name, content in application(folder, 1, NOTHING).items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for path, name in FIXED.items():
        source = ROOT / path
        if texts and path in texts:
            source = folder / "mutants" / path
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(texts[path])
        compile_module(source, target / f"{name}.mpy", path)
    return target


def written(folder: Path, files: dict[str, bytes], image: bytes | None = None, blocks: int = 128) -> bytes:
    """The image of a flash with these files added, by the node's own MicroPython."""
    lines = ["def copy(a, b):", "    with open(a, 'rb') as f, open(b, 'wb') as g:", "        g.write(f.read())"]
    for n, (name, content) in enumerate(files.items()):
        source = folder / f"content{n}"
        source.write_bytes(content)
        lines.append(f"copy({str(source)!r}, {name!r})")
    return _run(folder, "\n".join(lines), image, blocks)[0]


def said_by(folder: Path, program: str, image: bytes, blocks: int = 128) -> list[str]:
    """What a program prints that runs on a node with this flash."""
    return _run(folder, program, image, blocks)[1]


def start_records(folder: Path, image: bytes) -> list[str]:
    """Both slots of /data/start, hex: active(1) trial(1) previous(1) starts(1) unheard(1) wakes(2)."""
    program = "for slot in 'ab':\n    print(open('/data/start.' + slot, 'rb').read()[5:12].hex())"
    return said_by(folder, program, image, blocks=192)


def _run(folder: Path, program: str, image: bytes | None, blocks: int) -> tuple[bytes, list[str]]:
    flash = Flash(blocks)
    if image is not None:
        flash.restore(image)
    source = folder / "factory.py"
    source.write_text(program + "\n")
    compile_module(source, folder / "factory" / "factory.mpy", "factory.py")
    clock = Clock()
    bench = NodeBench(clock, Wiring(), folder / "factory", main="factory", flash=flash, heap="1M")
    with Kernel(clock, [bench]) as kernel:
        bench.power_on()
        kernel.run_until(600 * S)
        assert bench.statistics.returned == 1, bench.console()
        return flash.image(), bench.console().splitlines()


class Rig:
    """One node with the small application; ``image``: what its flash holds at first."""

    def __init__(self, folder: Path, image: bytes, texts: dict[str, str] | None = None) -> None:
        self.clock = Clock()
        self.image = image
        self.node = NodeBench(self.clock, Wiring(), flashed(folder, texts), flash=Flash(128))
        self.kernel = Kernel(self.clock, [self.node])
        self._read = 0
        self.node.flash.restore(image)

    def fresh(self, image: bytes | None = None) -> None:
        """Off, with the flash as it was at first."""
        self.node.power_off()
        self.node.flash.cut_at = None
        self.node.flash.restore(self.image if image is None else image)
        self._read = len(self.node.console())

    def boots(self, count: int = 1) -> list[str]:
        """Power up, or go on; what was said until ``count`` wakes have ended or power has failed."""
        target = sum(self.node.statistics.boots.values()) + count
        if self.node.state is State.OFF:
            self.node.power_on()
        else:
            target -= self.node.state is not State.ASLEEP
        self.kernel.run_until(
            self.clock.now_us + 3600 * S,
            lambda: (
                self.node.state is State.OFF
                or (self.node.state is State.ASLEEP and sum(self.node.statistics.boots.values()) >= target)
            ),
        )
        text = self.node.console()[self._read :]
        self._read += len(text)
        return text.splitlines()
