# SPDX-License-Identifier: EUPL-1.2
"""The tools that make and sign updates."""

import hashlib
import stat

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from decoders.bundle import header_size, parse_header
from firmware.p256 import verify
from simulators.bundle_cli import bundle, keygen


def ran(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


class TestKeygen:
    def test_the_private_key_is_for_its_owner_only_and_is_never_shown(self, tmp_path):
        private = tmp_path / "key.pem"

        done = ran(keygen, "-o", private)

        assert done.exit_code == 0
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
        secret = private.read_text().splitlines()[1:-1]
        assert not any(line in done.output for line in secret)
        assert len((tmp_path / "update_key.bin").read_bytes()) == 64

    def test_it_overwrites_no_key(self, tmp_path):
        ran(keygen, "-o", tmp_path / "key.pem")
        before = (tmp_path / "key.pem").read_bytes()

        done = ran(keygen, "-o", tmp_path / "key.pem")

        assert done.exit_code == 1
        assert done.output == f"Error: {tmp_path / 'key.pem'}: File exists\n"
        assert (tmp_path / "key.pem").read_bytes() == before


class TestBundle:
    def test_a_node_with_the_public_key_accepts_it_and_it_holds_all_but_the_start_program(self, tmp_path):
        ran(keygen, "-o", tmp_path / "key.pem")

        done = ran(
            bundle, "--key", tmp_path / "key.pem", "--version", 7, "--board", "lilygo_t3s3", "-o", tmp_path / "b.sfb"
        )

        assert done.exit_code == 0, done.output
        data = (tmp_path / "b.sfb").read_bytes()
        size = header_size(data)
        key = (tmp_path / "update_key.bin").read_bytes()
        assert verify(key, hashlib.sha256(data[:size]).digest(), data[size : size + 64])
        header = parse_header(data[:size])
        names = [file.name for file in header.files]
        assert (header.version, header.board) == (7, "lilygo_t3s3")
        assert {"firmware/app.mpy", "firmware/update.mpy", "decoders/bundle.mpy"} <= set(names)
        assert not {"main.mpy", "firmware/main.mpy", "firmware/starter.mpy"} & set(names)
        assert len(data) == size + 64 + header.contents_size()

    @pytest.mark.parametrize("content", [b"nothing", None])
    def test_a_file_that_is_no_key_is_one_line(self, tmp_path, content):
        path = tmp_path / "key.pem"
        if content:
            path.write_bytes(content)

        done = ran(bundle, "--key", path, "--version", 2, "-o", tmp_path / "b.sfb")

        assert done.exit_code == 1
        assert done.output.startswith(f"Error: {path}")
        assert done.output.count("\n") == 1

    def test_a_key_of_another_curve_is_refused(self, tmp_path):
        path = tmp_path / "key.pem"
        path.write_bytes(
            ec.generate_private_key(ec.SECP384R1()).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

        done = ran(bundle, "--key", path, "--version", 2, "-o", tmp_path / "b.sfb")

        assert done.output == f"Error: {path} is not a P-256 key; make one with: stadtfunk node keygen\n"

    def test_a_version_that_diagnostics_cannot_tell_is_refused(self, tmp_path):
        done = ran(bundle, "--key", "k", "--version", 65_001, "-o", tmp_path / "b.sfb")

        assert done.exit_code == 2
        assert "2<=x<=65000" in done.output

    def test_version_1_is_what_was_flashed(self, tmp_path):
        assert ran(bundle, "--key", "k", "--version", 1, "-o", tmp_path / "b.sfb").exit_code == 2
