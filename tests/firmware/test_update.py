# SPDX-License-Identifier: EUPL-1.2
"""A signed update on the real MicroPython: refused, tried, kept, dropped, and power that fails anywhere in between."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from decoders.bundle import header_size
from decoders.bundle_builder import build_bundle
from simulators.firmware_build import compile_module
from tests.firmware.mutants.loading import ROOT, Mutant
from tests.firmware.update_rig import CRASHES, DEAF, HEARS, KEY, Rig, application, bundle, sign, written

KEY_FILE, BUNDLE_FILE = "/data/update_key.bin", "/data/update.sfb"


def versions(lines):
    """Which versions ran, in order."""
    return [int(line.split()[1]) for line in lines if line.startswith("version")]


def unloadable(folder):
    """A module that fails when it is imported."""
    source = folder / "unloadable.py"
    source.write_text("import nothing_of_that_name\n")
    compile_module(source, folder / "unloadable.mpy", "app.py")
    return (folder / "unloadable.mpy").read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("update")


@pytest.fixture(scope="module")
def factory(folder):
    return written(folder, {KEY_FILE: KEY})


@pytest.fixture(scope="module")
def rig(folder, factory):
    one = Rig(folder, factory)
    yield one
    one.kernel.close()


@pytest.fixture
def give(rig, folder, factory):
    """Put a bundle on a fresh node."""

    def with_bundle(content, image=None):
        rig.fresh(written(folder, {BUNDLE_FILE: content}, factory if image is None else image))

    return with_bundle


class TestTrial:
    def test_a_new_version_is_tried_and_kept_once_it_has_heard_the_network(self, rig, give, folder):
        give(bundle(folder, 2))

        assert rig.boots(4) == [
            "version 1 0", "installed 2", "version 2 0", "version 2 4", "version 2 4",
        ]  # fmt: skip

    def test_a_version_that_crashes_is_dropped_after_three_boots_and_the_old_one_goes_on(self, rig, give, folder):
        give(bundle(folder, 2, CRASHES))

        assert versions(rig.boots(5))[:5] == [1, 2, 2, 2, 1]

    def test_a_version_that_never_hears_is_dropped_after_twenty_uplinks(self, rig, give, folder):
        give(bundle(folder, 2, DEAF))

        assert versions(rig.boots(22)) == [1] + [2] * 20 + [1]

    def test_a_version_that_cannot_be_loaded_is_dropped_at_once(self, rig, give, folder):
        modules = application(folder, 2, HEARS)
        modules["firmware/app.mpy"] = unloadable(folder)
        give(build_bundle(2, "bench", modules, sign))

        assert versions(rig.boots(3))[:2] == [1, 1]

    def test_rtc_memory_is_emptied_whenever_another_version_starts(self, rig, give, folder):
        give(bundle(folder, 2, CRASHES))

        said = [line for line in rig.boots(6) if line.startswith("version")]

        assert said[:2] == ["version 1 0", "version 2 0"]
        assert said[4] == "version 1 0"
        assert said[5] == "version 1 4"

    def test_updates_follow_each_other_into_alternating_folders(self, rig, give, folder):
        give(bundle(folder, 2))
        assert versions(rig.boots(3)) == [1, 2, 2]
        rig.node.power_off()
        give(bundle(folder, 3), rig.node.flash.image())
        assert versions(rig.boots(3)) == [2, 3, 3]
        rig.node.power_off()
        give(bundle(folder, 4, CRASHES), rig.node.flash.image())

        assert versions(rig.boots(5)) == [3, 4, 4, 4, 3]

    def test_without_a_readable_record_the_flashed_version_runs(self, rig, give, folder, factory):
        rig.fresh(written(folder, {"/data/start.a": b"\x01garbage", "/data/start.b": b""}, factory))

        assert versions(rig.boots(2)) == [1, 1]

    def test_a_kept_version_whose_files_are_damaged_makes_way(self, rig, give, folder):
        give(bundle(folder, 2))
        assert versions(rig.boots(3)) == [1, 2, 2]
        rig.node.power_off()
        damaged = written(folder, {"/data/app_b/firmware/app.mpy": b"M\x06"}, rig.node.flash.image())
        rig.fresh(damaged)

        assert versions(rig.boots(4))[0] == 1


class TestRefusals:
    def refusal(self, rig, give, content, image=None):
        give(content, image)
        lines = rig.boots(2)
        assert versions(lines) == [1, 1]
        return lines[1]

    def test_a_signature_by_another_key(self, rig, give, folder):
        other = ec.derive_private_key(5, ec.SECP256R1())
        content = build_bundle(2, "bench", application(folder, 2, HEARS), lambda data: sign(data, other))

        assert self.refusal(rig, give, content) == "refused bad_signature"

    def test_any_change_of_the_header(self, rig, give, folder):
        whole = bundle(folder, 2)
        at = whole.index(b"\x02\0\0\0")
        assert at == 8

        newer = whole[:8] + b"\x03" + whole[9:]

        assert self.refusal(rig, give, newer) == "refused bad_signature"

    def test_contents_that_are_not_those_of_the_header(self, rig, give, folder):
        whole = bundle(folder, 2)

        assert self.refusal(rig, give, whole[:-1] + bytes([whole[-1] ^ 1])) == "refused damaged"

    def test_contents_that_are_cut_off(self, rig, give, folder):
        assert self.refusal(rig, give, bundle(folder, 2)[:-1]) == "refused damaged"

    def test_a_header_that_is_cut_off(self, rig, give, folder):
        whole = bundle(folder, 2)

        assert self.refusal(rig, give, whole[: header_size(whole) - 1]) == "refused malformed"

    def test_another_board(self, rig, give, folder):
        assert self.refusal(rig, give, bundle(folder, 2, board="lilygo_t3s3")) == "refused other_board"

    def test_the_version_that_was_flashed(self, rig, give, folder):
        content = build_bundle(1, "bench", application(folder, 2, HEARS), sign)

        assert self.refusal(rig, give, content) == "refused not_newer"

    def test_a_node_without_a_key(self, rig, give, folder):
        assert self.refusal(rig, give, bundle(folder, 2), written(folder, {})) == "refused no_key"

    def test_a_name_outside_of_the_folder_writes_nothing(self, rig, give, folder):
        whole = bundle(folder, 2)
        bad = whole[: header_size(whole)].replace(b"firmware/app.mpy", b"../identity0.mpy")
        r, s = sign(bad)
        content = bad + r.to_bytes(32, "big") + s.to_bytes(32, "big") + whole[header_size(whole) + 64 :]

        assert self.refusal(rig, give, content) == "refused malformed"
        assert b"identity0" not in rig.node.flash.image().replace(content[:512], b"")

    def test_an_older_version_than_the_installed_one(self, rig, give, folder):
        give(bundle(folder, 3))
        assert versions(rig.boots(3)) == [1, 3, 3]
        rig.node.power_off()
        give(bundle(folder, 2), rig.node.flash.image())

        assert rig.boots(1)[1:] == ["refused not_newer"]


def outcomes(rig, image, operations):
    """After a power cut in each of these flash operations: which versions ran at the four boots that follow."""
    found = []
    for number in operations:
        rig.fresh(image)
        rig.node.flash.cut_at = rig.node.flash.operations + number
        rig.boots(3)
        rig.node.power_off()
        rig.node.flash.cut_at = None
        found.append(versions(rig.boots(4)))
    return found


def count_operations(rig, image):
    rig.fresh(image)
    before = rig.node.flash.operations
    assert versions(rig.boots(3)) == [1, 2, 2]
    return rig.node.flash.operations - before


class TestPowerCuts:
    def test_in_any_flash_operation_of_install_switch_and_confirmation(self, rig, give, folder, factory):
        image = written(folder, {BUNDLE_FILE: bundle(folder, 2)}, factory)
        count = count_operations(rig, image)

        ran = outcomes(rig, image, range(count))

        assert count > 60
        assert all(len(boots) == 4 for boots in ran)
        assert all(boots in ([1, 2, 2, 2], [2, 2, 2, 2]) for boots in ran)

    def test_in_a_second_update_that_fails_its_trial(self, rig, give, folder):
        give(bundle(folder, 2))
        assert versions(rig.boots(3)) == [1, 2, 2]
        rig.node.power_off()
        image = written(folder, {BUNDLE_FILE: bundle(folder, 3, CRASHES)}, rig.node.flash.image())
        rig.fresh(image)
        before = rig.node.flash.operations
        assert versions(rig.boots(5)) == [2, 3, 3, 3, 2]
        count = rig.node.flash.operations - before

        for number in range(0, count, 8):
            rig.fresh(image)
            rig.node.flash.cut_at = rig.node.flash.operations + number
            rig.boots(5)
            rig.node.power_off()
            rig.node.flash.cut_at = None
            ran = versions(rig.boots(10))  # if its bundle was not yet removed, it is tried a second time
            assert set(ran) <= {2, 3}, number
            assert ran[-1] == 2, number


UPDATE, STARTER = "firmware/update.py", "firmware/starter.py"
MUTANTS = {
    UPDATE: (
        Mutant(
            "signature not looked at",
            "if not verify(key, hashlib.sha256(data).digest(), bundle.read(SIGNATURE_SIZE)):",
            "if bundle.read(SIGNATURE_SIZE) is None:",
        ),
        Mutant("hash not looked at", "if _sha256(path) != file.sha256:", "if False:"),
        Mutant("any board", "if header.board != board:", "if False:"),
        Mutant("any version", "if header.version <= start.version():", "if False:"),
        Mutant("the same version again", "header.version <= start.version()", "header.version < start.version()"),
        Mutant(
            "the record first",
            "        _empty(folder)\n        _make",
            "        start.commit(2)\n        _empty(folder)\n        _make",
        ),
    ),
    STARTER: (
        Mutant("never given up for crashes", "self._starts >= STARTS or self._unheard", "self._unheard"),
        Mutant("never given up for silence", "self._unheard >= UNHEARD or ", ""),
        Mutant("boots not counted", "            self._starts += 1\n            self._wakes += 1\n", ""),
        Mutant("RTC memory kept", "self.changed = self._starts == 0 and self._wakes == 0", "pass"),
        Mutant("RTC memory kept after the trial", "        self.changed = True\n", ""),
        Mutant("kept without an answer", "            if heard:\n", "            if True:\n"),
        Mutant("never kept", "            if heard:\n", "            if False:\n"),
        Mutant("written over what is active", "target = 1 if self._active == 2 else 2", "target = self._active or 2"),
        Mutant(
            "broken, tried again", "        if self._trial:\n            self._give_up()\n        elif", "        if"
        ),
    ),
}


def story(rig, images):
    """What a node says to one image after the other."""
    said = []
    for image, boots in images:
        rig.fresh(image)
        said.append(rig.boots(boots))
    return said


def scenes(rig, folder, factory):
    whole = bundle(folder, 2)
    broken = application(folder, 2, HEARS)
    broken["firmware/app.mpy"] = unloadable(folder)
    older = build_bundle(1, "bench", application(folder, 2, HEARS), sign)
    other = ec.derive_private_key(5, ec.SECP256R1())
    contents = (
        (whole, 24),
        (bundle(folder, 2, CRASHES), 6),
        (bundle(folder, 2, DEAF), 23),
        (build_bundle(2, "bench", broken, sign), 3),
        (build_bundle(2, "bench", application(folder, 2, HEARS), lambda data: sign(data, other)), 2),
        (whole[:-1] + bytes([whole[-1] ^ 1]), 2),
        (bundle(folder, 2, board="pico_waveshare"), 2),
        (older, 2),
    )
    images = [(written(folder, {BUNDLE_FILE: content}, factory), boots) for content, boots in contents]
    rig.fresh(images[0][0])
    assert versions(rig.boots(3)) == [1, 2, 2]
    rig.node.power_off()
    images.append((written(folder, {BUNDLE_FILE: bundle(folder, 3, CRASHES)}, rig.node.flash.image()), 6))
    return images


@pytest.fixture(scope="module")
def images(rig, folder, factory):
    return scenes(rig, folder, factory)


@pytest.fixture(scope="module")
def expected(rig, images):
    return story(rig, images)


class TestMutants:
    @pytest.mark.parametrize(
        ("path", "mutant"), [(path, mutant) for path, some in MUTANTS.items() for mutant in some], ids=str
    )
    def test_every_mutant_behaves_differently(self, path, mutant, images, expected, tmp_path, factory):
        text = (ROOT / path).read_text()
        assert text.count(mutant.old) == 1, mutant.old
        one = Rig(tmp_path, factory, {path: text.replace(mutant.old, mutant.new)})
        with one.kernel:
            assert any(story(one, [image]) != [said] for image, said in zip(images, expected, strict=True))
