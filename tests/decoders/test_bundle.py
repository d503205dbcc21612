# SPDX-License-Identifier: EUPL-1.2
"""The update bundle's format: what a node takes, and everything else is malformed."""

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.bundle import HEAD_SIZE, File, Header, MalformedBundle, header_size, parse_header
from decoders.bundle_builder import build_bundle

APP, THIS = "firmware/app.mpy", "firmware/boards/this.mpy"


def entry(name, length=1, sha256=bytes(32)):
    """One row of the list, as the format describes it."""
    return bytes([len(name)]) + struct.pack("<I", length) + sha256 + name.encode("latin-1")


def raw(*entries, magic=b"SFB", number=1, version=7, board=b"heltec_v3", count=None, size=None):
    files = b"".join(entries)
    count = len(entries) if count is None else count
    size = 28 + len(files) if size is None else size
    return magic + bytes([number]) + struct.pack("<HHI16s", size, count, version, board) + files


class TestHeader:
    def test_it_lies_byte_for_byte_as_described(self):
        header = Header(0x01020304, "heltec_v3", (File("firmware/app.mpy", 0x1234, bytes(range(32))),))

        data = header.serialize()

        assert data.hex() == (
            "534642" "01" "5100" "0100" "04030201" "68656c7465635f763300000000000000"
            "10" "34120000" "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
            "6669726d776172652f6170702e6d7079"
        )  # fmt: skip
        assert parse_header(data) == header
        assert header_size(data[:HEAD_SIZE]) == 81

    @pytest.mark.parametrize(
        "name",
        [
            "../firmware/app.mpy",
            "firmware/../app.mpy",
            "firmware/../../main.mpy",
            "/firmware/app.mpy",
            "firmware//app.mpy",
            "firmware/.mpy",
            "firmware.mpy",
            "firmware/app.py",
            "firmware/app.mpy/",
            "firmware/a.b.mpy",
            "firmware\\app.mpy",
            "firmware/\xe4.mpy",
            "firmware/app\0.mpy",
            "main.mpy",
            "identity.mpy",
            "data/identity.mpy",
            "gateway/app.mpy",
            "firmware/" + "a" * 60 + ".mpy",
            "",
            ".mpy",
            "firmware/App.mpy",
        ],
    )
    def test_a_name_that_is_no_module_of_ours_is_refused(self, name):
        with pytest.raises(MalformedBundle) as refused:
            parse_header(raw(entry(name)))

        assert refused.value.field in ("name", "files")

    def test_a_name_twice_is_refused(self):
        with pytest.raises(MalformedBundle, match="order"):
            parse_header(raw(entry(APP), entry(APP)))

    def test_reordered_files_are_refused(self):
        assert len(parse_header(raw(entry(APP), entry(THIS))).files) == 2

        with pytest.raises(MalformedBundle, match="order"):
            parse_header(raw(entry(THIS), entry(APP)))

    @pytest.mark.parametrize(
        ("field", "data"),
        [
            ("magic", raw(entry(APP), magic=b"SFC")),
            ("format", raw(entry(APP), number=2)),
            ("header length", raw(entry(APP), size=8193)),
            ("header length", raw(entry(APP), size=27)),
            ("header length", raw(entry(APP)) + b"\0"),
            ("files", raw()),
            ("files", raw(entry(APP), count=2)),
            ("files", raw(entry(APP), entry(THIS), count=1)),
            ("board", raw(entry(APP), board=b"")),
            ("board", raw(entry(APP), board=b"heltec v3")),
            ("board", raw(entry(APP), board=b"hel\0tec")),
            ("file length", raw(entry(APP, length=65_537))),
            ("size", raw(*[entry(f"firmware/{n}.mpy", length=65_536) for n in "abc"])),
        ],
    )
    def test_each_other_breach_names_its_field(self, field, data):
        with pytest.raises(MalformedBundle) as refused:
            parse_header(data)

        assert refused.value.field == field

    def test_cut_off_anywhere_it_is_refused(self):
        data = raw(entry(APP), entry(THIS))

        for length in range(len(data)):
            with pytest.raises(MalformedBundle):
                parse_header(data[:length])

    @given(st.binary(max_size=400))
    def test_any_bytes_are_a_header_or_malformed(self, data):
        try:
            header = parse_header(data)
        except MalformedBundle:
            return
        assert header.serialize() == data

    @given(st.data())
    def test_a_broken_byte_gives_another_header_or_none(self, data):
        whole = raw(entry(APP), entry(THIS))
        at = data.draw(st.integers(0, len(whole) - 1))
        broken = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]

        try:
            header = parse_header(broken)
        except MalformedBundle:
            return

        assert header != parse_header(whole)
        assert all(file.name.split("/")[0] in ("firmware", "decoders") for file in header.files)
        assert all(".." not in file.name and file.name.endswith(".mpy") for file in header.files)


class TestBuilder:
    def test_header_signature_and_contents_follow_each_other(self):
        signed = []

        def sign(data):
            signed.append(data)
            return 1, 2

        bundle = build_bundle(3, "lilygo_t3s3", {THIS: b"table", APP: b"program"}, sign)

        header = parse_header(bundle[: header_size(bundle)])
        assert signed == [bundle[: header_size(bundle)]]
        assert bundle[header_size(bundle) :] == bytes(31) + b"\1" + bytes(31) + b"\2" + b"program" + b"table"
        assert (header.version, header.board) == (3, "lilygo_t3s3")
        assert [file.sha256 for file in header.files] == [
            hashlib.sha256(b"program").digest(),
            hashlib.sha256(b"table").digest(),
        ]

    @pytest.mark.parametrize(
        ("version", "modules"),
        [
            (0, {APP: b"", THIS: b""}),
            (1 << 32, {APP: b"", THIS: b""}),
            (1, {APP: b""}),
            (1, {THIS: b"", APP: b"", "main.mpy": b""}),
        ],
    )
    def test_what_no_node_would_take_is_not_built(self, version, modules):
        with pytest.raises(MalformedBundle):
            build_bundle(version, "heltec_v3", modules, lambda _: (1, 1))
