# SPDX-License-Identifier: EUPL-1.2
"""firmware.serial_update with one thing broken: each is seen by a technician."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from decoders import console_frame as frames
from hardware.update_session import Session, Stage
from simulators.node_states import State
from tests.firmware.console_rig import Desk, S, left_over, small_bundle
from tests.firmware.mutants.loading import ROOT, Mutant
from tests.firmware.update_rig import KEY, sign, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mutants")


@pytest.fixture(scope="module")
def image(folder):
    return written(folder, {"/data/update_key.bin": KEY}, blocks=64)


@pytest.fixture(scope="module")
def whole(folder, image):
    desk = Desk(folder, image)
    yield desk
    desk.kernel.close()


@pytest.fixture(scope="module")
def bundle(folder):
    return small_bundle(folder, padding=9_000)


class Scenes:
    """What a technician sees, one scene a mutant."""

    def __init__(self, desk, folder, bundle):
        self.desk = desk
        self.folder = folder
        self.bundle = bundle

    def power_cut(self):
        self.desk.loses_power(self.bundle, 12_000)
        return self.desk.updates(self.bundle).resumed_at >= 4_096

    def wrong_key(self):
        other = ec.derive_private_key(5, ec.SECP256R1())
        session = self.desk.updates(small_bundle(self.folder, signed=lambda data: sign(data, other), padding=9_000))
        left = left_over(self.desk, self.folder)
        return self.desk.console.failure.reason, session.held < 800, left

    def another(self):
        self.desk.updates(self.bundle, pull_after=12_000)
        self.desk.goes_on(15)
        self.desk.updates(small_bundle(self.folder, 3), pull_after=2_000)
        self.desk.goes_on(15)
        return len(left_over(self.desk, self.folder))

    def _without(self, kind, number):
        """What becomes of it if this frame of the node is lost."""
        reader, found = frames.FrameReader(), []

        def garble(to_node, byte):
            if to_node or not any(said == kind for said, _ in reader.feed(byte)):
                return byte
            found.append(kind)
            return b"~\n" if len(found) == number else byte

        self.desk.console.garble = garble
        return self.desk.updates(small_bundle(self.folder)).installed

    def lost_answer(self):
        return self._without(frames.HELD, 3)

    def lost_verdict(self):
        return self._without(frames.INSTALLED, 1)

    def pulled(self):
        self.desk.updates(self.bundle, pull_after=6_000)
        self.desk.console.session = None
        self.desk.goes_on(30)
        return self.desk.node.state

    def last_good_bye(self):
        self.desk.reset()
        self.desk.kernel.run_until(self.desk.clock.now_us + S)
        self.desk.console.answer(frames.serialize(frames.BYE), self.desk.console.settings)
        session = Session(None, self.desk.console.now_s, 5.0)
        self.desk.console.connect(session)
        self.desk.kernel.run_until(self.desk.clock.now_us + 10 * S)
        return session.stage

    def interrupted(self):
        self.desk.console.garble = lambda to_node, byte: (
            b"\x03" + byte if to_node and self.desk.console.session.stage is Stage.ENDING else byte
        )
        return self.desk.updates(small_bundle(self.folder)).installed, self.desk.node.state is State.STOPPED

    def asleep(self):
        self.desk.reset()
        self.desk.kernel.run_until(self.desk.clock.now_us + 700 * S)
        self.desk.node.settle()
        before = self.desk.node.statistics.state_us[State.AWAKE]
        self.desk.kernel.run_until(self.desk.clock.now_us + 3600 * S)
        self.desk.node.settle()
        return (self.desk.node.statistics.state_us[State.AWAKE] - before) // S


SERIAL, APP = "firmware/serial_update", "firmware/app"
MUTANTS = [
    (SERIAL, "power_cut", Mutant("nothing kept before the end", "            file.flush()\n", "            pass\n")),
    (SERIAL, "power_cut", Mutant("always from the start", "os.stat(self._path)[6]", "0")),
    (
        SERIAL,
        "wrong_key",
        Mutant("judged at the end only", "        while self._judge_at and", "        while False and"),
    ),
    (SERIAL, "wrong_key", Mutant("refused and kept", '            self._remove_others("")\n', "            pass\n")),
    (SERIAL, "another", Mutant("older ones kept", "        self._remove_others(name)\n", "")),
    (SERIAL, "lost_answer", Mutant("a piece taken twice", "offset != self._held or", "")),
    (
        SERIAL,
        "lost_verdict",
        Mutant("gone at once", "_LINGER_MS if conversation.verdict else", "0 if conversation.verdict else"),
    ),
    (SERIAL, "pulled", Mutant("waits for ever", "_SILENCE_MS = 10_000", "_SILENCE_MS = 10_000_000")),
    (
        SERIAL,
        "last_good_bye",
        Mutant(
            "an old good-bye counts", "                if met:\n                    break\n", "                break\n"
        ),
    ),
    (SERIAL, "interrupted", Mutant("Ctrl-C in a conversation", "kbd_intr(-1)", "kbd_intr(3)")),
    (
        APP,
        "asleep",
        Mutant("listens after sleep", "    if not board.slept():\n        silence", "    if True:\n        silence"),
    ),
]


class TestMutants:
    @pytest.mark.parametrize(
        ("path", "scene", "mutant"), MUTANTS, ids=lambda part: str(part) if isinstance(part, Mutant) else ""
    )
    def test_every_mutant_is_seen(self, path, scene, mutant, whole, folder, image, bundle, tmp_path):
        text = (ROOT / f"{path}.py").read_text()
        assert text.count(mutant.old) == 1, mutant.old
        whole.fresh()
        broken = Desk(tmp_path, image, {path: text.replace(mutant.old, mutant.new)})
        with broken.kernel:
            good = getattr(Scenes(whole, folder, bundle), scene)()
            bad = getattr(Scenes(broken, folder, bundle), scene)()

        assert bad != good
