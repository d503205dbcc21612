# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships, updated in the street: session and readings go on, a deaf version is dropped."""

import pytest

from decoders.bundle_builder import build_bundle
from decoders.layouts.diagnostics import LAYOUT as DIAGNOSTICS
from decoders.payload_reader import read
from firmware.manifest import NEVER_UPDATED
from simulators.firmware_build import build, compile_module
from simulators.flash import Flash
from tests.firmware import heltec_bench
from tests.firmware.heltec_bench import IDENTITY_BIN, Street
from tests.firmware.mutants.loading import ROOT
from tests.firmware.update_rig import KEY, said_by, sign, start_records, written

SPEAKS = "this is version 2"


def second_version(folder):
    """A bundle of the whole firmware, whose app says that it is another one."""
    compiled = build(folder / "firmware", board="heltec_v3")
    left_out = {"main.mpy", *(path.replace(".py", ".mpy") for path in NEVER_UPDATED)}
    modules = {path.relative_to(compiled).as_posix(): path.read_bytes() for path in compiled.rglob("*.mpy")}
    source = folder / "app.py"
    text = (ROOT / "firmware" / "app.py").read_text()
    first = "    if not board.slept():\n        silence"
    assert text.count(first) == 1
    source.write_text(text.replace(first, f"    print({SPEAKS!r})\n{first}"))
    compile_module(source, folder / "other" / "app.mpy", "firmware/app.py")
    modules["firmware/app.mpy"] = (folder / "other" / "app.mpy").read_bytes()
    return build_bundle(2, "heltec_v3", {n: c for n, c in modules.items() if n not in left_out}, sign)


@pytest.fixture
def street(tmp_path, monkeypatch):
    flash = Flash(192)
    flash.restore(written(tmp_path, {"/data/identity.bin": IDENTITY_BIN, "/data/update_key.bin": KEY}, blocks=192))
    monkeypatch.setattr(heltec_bench, "provisioned_flash", lambda _: flash)
    one = Street(tmp_path, files=True)
    yield one
    one.kernel.close()


def deliver(street, folder):
    """The node has joined and sent; a technician puts the bundle on it and switches it on again."""
    node = street.node
    node.power_on()
    street.run(120)
    assert street.f_cnts()[:2] == [0, 1]
    node.power_off()
    node.flash.restore(written(folder, {"/data/update.sfb": second_version(folder)}, node.flash.image(), blocks=192))
    node.power_on()


def versions(street):
    """What the diagnostics that were heard say, in their order."""
    return [
        read(DIAGNOSTICS, fields["FRMPayload"]).samples[0].values["firmware_version"]
        for _, fields in street.network.heard_uplinks
        if fields["FPort"] == DIAGNOSTICS.f_port
    ]


def lines(street):
    return street.node.console().splitlines()


class TestUpdateInTheStreet:
    def test_a_new_version_goes_on_with_the_session_and_is_kept_when_it_is_answered(self, street, tmp_path):
        deliver(street, tmp_path)

        street.run(4 * 3600)

        said = lines(street)
        assert said[0] == "update: trying version 2"
        assert set(said[1:]) == {SPEAKS}
        assert versions(street)[0] == 1
        assert set(versions(street)[1:]) == {2}
        assert len(street.network.join_requests) == 1
        counters = street.f_cnts()
        assert counters == sorted(set(counters))
        assert len(counters) >= 6
        street.node.power_off()
        # the second folder is active, nothing on trial
        assert "02000000000000" in start_records(tmp_path, street.node.flash.image())

    def test_a_version_that_is_not_answered_is_dropped_and_the_old_one_goes_on(self, street, tmp_path):
        street.network.hears = True
        deliver(street, tmp_path)
        street.network.hears = False

        street.run(26 * 3600)
        tried = lines(street).count(SPEAKS)
        heard = len(street.f_cnts())
        street.network.hears = True
        street.run(3 * 3600)

        assert 20 <= tried < 60
        assert lines(street).count(SPEAKS) == tried
        assert (versions(street)[0], versions(street)[-1]) == (1, 1)
        assert 2 in versions(street)
        counters = street.f_cnts()
        assert len(counters) > heard
        if len(street.network.join_requests) == 1:
            assert counters == sorted(set(counters))

    def test_a_bundle_that_is_refused_is_said_and_dropped_and_the_node_goes_on(self, street, tmp_path):
        node = street.node
        node.power_on()
        street.run(120)
        node.power_off()
        changed = bytearray(second_version(tmp_path))
        changed[8] = 3  # the version
        node.flash.restore(written(tmp_path, {"/data/update.sfb": bytes(changed)}, node.flash.image(), blocks=192))
        node.power_on()

        street.run(2 * 3600)

        assert lines(street) == ["update refused: bad_signature"]
        assert len(street.network.join_requests) == 1
        assert len(street.f_cnts()) > 2
        node.power_off()
        assert said_by(
            tmp_path, "import os\nprint('update.sfb' in os.listdir('/data'))", node.flash.image(), blocks=192
        ) == ["False"]
