# SPDX-License-Identifier: EUPL-1.2
"""The commands about devices: what they print, and what they say when something is wrong."""

import errno
import json
import logging
import os
import re
from pathlib import Path

import pytest

from gateway import adr
from gateway.command import open_database
from gateway.config import load
from gateway.devices_file import device_from, write_devices
from gateway.errors import DevicesError
from gateway.liveness import NodeRecord
from gateway.liveness_table import LivenessTable

HEADER = "dev_eui,join_eui,app_key,profile,name\n"
ROW = "70b3d57ed1000001,70b3d57ed0000000,000102030405060708090a0b0c0d0e0f,tree,Linde am Markt\n"


@pytest.fixture
def devices(tmp_path):
    def devices(text: str) -> Path:
        path = tmp_path / "devices.csv"
        path.write_text(text, "utf-8")
        return path

    return devices


EUI, JOIN, KEY = "70B3D57ED1000001", "70b3d57ed0000000", "000102030405060708090A0B0C0D0E0F"
# The Things Stack, "CSV File Reference"; ChirpStack keeps the AppKey of LoRaWAN 1.0 in nwk_key
FOREIGN = {
    "ttn": "id;dev_eui;join_eui;name;frequency_plan_id;lorawan_version;lorawan_phy_version;app_key\n"
    f"linde;{EUI};{JOIN};Linde am Markt;EU_863_870;MAC_V1_0_4;RP002_V1_0_4;{KEY}\n",
    "chirpstack": f"name,dev_eui,join_eui,nwk_key\nLinde am Markt,{EUI},{JOIN},{KEY}\n",
}


class TestOtherServersFiles:
    @pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
    def test_they_are_imported_by_their_header(self, run, devices, text):
        done = run("devices", "import", devices(text), "--profile", "air")

        assert (done.exit_code, done.output) == (0, "1 added, 0 changed, 0 unchanged\n")
        (device,) = json.loads(run("devices", "list", "--json").output)
        assert (device["dev_eui"], device["profile"], device["name"]) == (EUI.lower(), "air", "Linde am Markt")

    def test_a_profile_that_there_is_not_is_bad_usage_whoever_s_file_it_is(self, run, devices):
        ours = f"dev_eui,join_eui,app_key,profile,name\n{EUI.lower()},{JOIN},{KEY.lower()},tree,a\n"

        done = [run("devices", "import", devices(text), "--profile", "oak") for text in (ours, FOREIGN["ttn"])]

        assert [one.exit_code for one in done] == [2, 2]

    def test_a_key_of_zeros_is_none(self, run, devices):
        text = f"name,dev_eui,join_eui,app_key,nwk_key\nLinde,{EUI},{JOIN},{'0' * 32},{KEY}\n"
        run("devices", "import", devices(f"name,dev_eui,join_eui,nwk_key\nLinde,{EUI},{JOIN},{KEY}\n"))

        assert run("devices", "import", devices(text)).output == "0 added, 0 changed, 1 unchanged\n"

    def test_a_device_with_two_keys_speaks_lorawan_1_1_and_is_refused(self, run, devices):
        text = f"name,dev_eui,join_eui,app_key,nwk_key\nLinde,{EUI},{JOIN},{'1' * 32},{KEY}\n"

        done = run("devices", "import", devices(text))

        assert done.exit_code == 1
        assert "LoRaWAN 1.1" in done.output

    @pytest.mark.parametrize("name", ["stadtfunk", "ttn", "chirpstack"])
    def test_what_is_exported_is_imported_again_unchanged(self, run, devices, tmp_path, name):
        run("devices", "import", devices(HEADER + ROW.replace(",tree,", ",air,")))
        file = tmp_path / "exported.csv"

        exported = run("devices", "export", file, "--format", name)

        assert exported.output == "1 written\n"
        assert file.stat().st_mode & 0o777 == 0o600
        assert run("devices", "import", file).output == "0 added, 0 changed, 1 unchanged\n"

    def test_an_export_overwrites_nothing(self, run, devices):
        done = run("devices", "export", devices(HEADER + ROW))

        assert done.exit_code == 1
        assert "File exists" in done.output

    def test_a_full_disk_leaves_no_half_an_export(self, tmp_path):
        def devices():
            yield device_from(["70b3d57ed1000001", "70b3d57ed0000000", "00" * 16, "tree", "Linde"])
            raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.raises(DevicesError, match="No space left"):
            write_devices(tmp_path / "all.csv", devices())

        assert not (tmp_path / "all.csv").exists()

    def test_a_bad_key_is_not_repeated(self, run, devices):
        done = run("devices", "import", devices(FOREIGN["ttn"].replace("0E0F", "zz0F")))

        assert done.exit_code == 1
        assert "app_key is not 32 lower-case hex digits" in done.output
        assert "zz0F" not in done.output


class TestDevicesShow:
    def test_a_device_that_never_joined(self, run, devices):
        run("devices", "import", devices(HEADER + ROW))

        lines = run("devices", "show", "70b3d57ed1000001").output.splitlines()

        assert lines[0] == "dev_eui 70b3d57ed1000001"
        assert "battery -" in lines
        assert not any("0001020304" in line for line in lines)

    def test_a_session_with_its_agreements_and_its_link(self, run, devices, config):
        run("devices", "import", devices(HEADER + ROW))
        store = open_database(load(config))
        with store.transaction() as ledger:
            ledger.record_join("70b3d57ed1000001", 7, 8, 0x01000000, bytes(16), bytes(16), '{"rx1_delay_s":5}')
            (session,) = ledger.sessions(0x01000000)
            ledger.advance_up(session, 9, b"", 1_770_964_782.5)
            link = adr.heard(adr.Link(adr.Setting(5, 1, 2)), -3.0, 2)
            ledger.keep_control(session, adr.serialize(link), session.mac)
            ledger.keep_status("70b3d57ed1000001", 200, -6, 1_770_964_000.0)
        store.close()

        facts = json.loads(run("devices", "show", "70b3d57ed1000001", "--json").output)

        lines = run("devices", "show", "70b3d57ed1000001").output.splitlines()
        assert {"last_at 2026-02-13 06:39:42Z", "battery_at 2026-02-13 06:26:40Z"} <= set(lines)
        assert facts["dev_addr"] == "01000000"
        assert (facts["f_cnt_up"], facts["battery"], facts["battery_margin_db"]) == (9, 200, -6)
        assert (facts["rx1_delay_s"], facts["data_rate"], facts["tx_power"], facts["nb_trans"]) == (5, 5, 1, 2)
        assert (facts["frames_known"], facts["frames_lost"], facts["lowest_snr_at_full_power_db"]) == (3, 2, -1.0)

    def test_an_unknown_device_is_one_line(self, run):
        done = run("devices", "show", "70b3d57ed1000009")

        assert done.exit_code == 1
        assert done.output == "Error: dev_eui '70b3d57ed1000009' is no device of this gateway\n"


class TestDevicesImport:
    def test_it_stores_every_device_once(self, run, devices):
        path = devices(HEADER + ROW + ROW.replace("1000001", "1000002"))

        first, second = run("devices", "import", path), run("devices", "import", path)

        assert (first.exit_code, first.output) == (0, "2 added, 0 changed, 0 unchanged\n")
        assert (second.exit_code, second.output) == (0, "0 added, 0 changed, 2 unchanged\n")

    def test_a_changed_row_changes_the_device_and_keeps_its_nonces(self, run, devices, config):
        run("devices", "import", devices(HEADER + ROW))
        store = open_database(load(config))
        with store.transaction() as ledger:
            ledger.record_join("70b3d57ed1000001", 7, 8, 0x01000000, bytes(16), bytes(16))

        result = run("devices", "import", devices(HEADER + ROW.replace("Markt", "Tor")))

        device = store.ledger.device("70b3d57ed1000001")
        store.close()
        assert result.output == "0 added, 1 changed, 0 unchanged\n"
        assert (device.name, device.dev_nonce, device.join_nonce) == ("Linde am Tor", 7, 8)

    def test_bad_rows_are_one_line_each_and_nothing_is_imported(self, run, devices):
        path = devices(
            HEADER
            + ROW
            + "70B3D57ED1000002,70b3d57ed0000000,000102030405060708090a0b0c0d0e0f,tree,\n"
            + "70b3d57ed1000003,70b3d57ed0000000,secret0405060708090a0b0c0d0e0fff,tree,\n"
            + "70b3d57ed1000004,70b3d57ed0000000,000102030405060708090a0b0c0d0e0f,bush,\n"
            + "70b3d57ed1000005\n"
            + ROW
        )

        result = run("devices", "import", path)

        assert result.exit_code == 1
        assert result.output.splitlines() == [
            f"Error: {path} line 3: dev_eui '70B3D57ED1000002' is not 16 lower-case hex digits",
            f"{path} line 4: app_key is not 32 lower-case hex digits",
            f"{path} line 5: profile 'bush' is unknown; known are tree, air, traffic",
            f"{path} line 6: has 1 columns instead of 5 (dev_eui,join_eui,app_key,profile,name)",
            f"{path} line 7: dev_eui 70b3d57ed1000001 is there twice",
        ]
        assert run("devices", "list", "--json").output == "[]\n"

    @pytest.mark.parametrize(
        "row",
        [
            "{key},70b3d57ed0000000,70b3d57ed1000001,tree,x",
            "70b3d57ed1000001,{key},70b3d57ed0000000,tree,x",
            "70b3d57ed1000001,70b3d57ed0000000,tree,{key},x",
            "70b3d57ed1000001,70b3d57ed0000000,x,tree,{key}{key}{key}",
            "{key}",
            "70b3d57ed1000001,70b3d57ed0000000,{key},oak,{key}",
            "{key}f,0{key},{key}0,{key}.,x",
        ],
    )
    def test_no_mixed_up_column_prints_a_key(self, run, devices, row):
        key = "a0b1c2d3e4f5061728394a5b6c7d8e9f"
        text = row.format(key=key)
        for variant in (text, text.replace(key, key.upper()), text.replace(key, key[:-1])):
            result = run("devices", "import", devices(HEADER + variant + "\n"))

            assert result.exit_code == 1
            assert key[:12] not in result.output.lower()

    @pytest.mark.parametrize(
        "content", ["a0b1c2d3e4f5061728394a5b6c7d8e9", "", "a0b1c2d3e4f5061728394a5b6c7d8e9f00", "ä"]
    )
    def test_a_bad_key_file_is_named_and_not_printed(self, run, tmp_path, content):
        path = tmp_path / "short.hex"
        path.write_text(content, "utf-8")

        result = run("devices", "add", "70b3d57ed1000001", "70b3d57ed0000000", "--app-key-file", path)

        assert result.exit_code == 1
        assert result.output == f"Error: {path}: must hold a key, 32 lower-case hex digits\n"

    def test_a_key_in_place_of_a_dev_eui_is_not_printed(self, run, tmp_path):
        (tmp_path / "key.hex").write_text("a0b1c2d3e4f5061728394a5b6c7d8e9f")

        result = run(
            "devices", "add", "00112233445566778899aabbccddeeff", "70b3d57ed0000000",
            "--app-key-file", tmp_path / "key.hex",
        )  # fmt: skip

        assert result.exit_code == 1
        assert "0011223344" not in result.output

    @pytest.mark.parametrize("text", [HEADER, HEADER + "\n\n", "\n"])
    def test_a_list_without_a_device_is_an_error(self, run, devices, text):
        path = devices(text)

        result = run("devices", "import", path)

        assert (result.exit_code, result.output) == (1, f"Error: {path}: no device in this file\n")

    @pytest.mark.parametrize("text", ["", "a,b\n", ROW, "\x00", HEADER + '"'])
    def test_a_file_that_is_no_device_list_is_one_line(self, run, devices, text):
        result = run("devices", "import", devices(text) if text else Path("nowhere.csv"))

        assert result.exit_code == 1
        assert len(result.output.splitlines()) == 1
        assert result.output.startswith("Error: ")


class TestDevices:
    def test_one_device_is_added_with_its_key_from_a_file(self, run, tmp_path):
        (tmp_path / "key.hex").write_text("000102030405060708090a0b0c0d0e0f\n")

        result = run("devices", "add", "70b3d57ed1000001", "70b3d57ed0000000", "--app-key-file", tmp_path / "key.hex")

        assert (result.exit_code, result.output) == (0, "added\n")

    def test_the_list_shows_no_key(self, run, devices):
        run("devices", "import", devices(HEADER + ROW))

        plain, as_json = run("devices", "list"), run("devices", "list", "--json")

        assert plain.output.splitlines() == [
            "DEV_EUI           STATE  LAST_SEEN  INTERVAL  BATTERY  MARGIN  MISSED  CLASS  PROFILE  NAME",
            "70b3d57ed1000001  never  -          -         -        -       -       A      tree     Linde am Markt",
        ]
        (device,) = json.loads(as_json.output)
        assert (device["dev_nonce"], device["state"], device["last_seen"]) == (-1, "never", None)
        assert "000102030405" not in plain.output + as_json.output

    def test_the_list_shows_how_each_is(self, run, devices, config):
        run("devices", "import", devices(HEADER + ROW))
        store = open_database(load(config))
        with store.transaction() as ledger:
            ledger.record_join("70b3d57ed1000001", 7, 8, 0x01000000, bytes(16), bytes(16))
            (session,) = ledger.sessions(0x01000000)
            ledger.advance_up(session, 9, b"", 1_770_964_782.5)
            link = adr.Link(adr.Setting(5, 0, 1))
            for snr_db in (-3.0, 2.0, 4.5):
                link = adr.heard(link, snr_db)
            ledger.keep_control(session, adr.serialize(link), session.mac)
            ledger.keep_status("70b3d57ed1000001", 128, -6, 1_770_964_000.0)
            record = NodeRecord("late", 2000.0, 900.0, session.session, 9, 97, 3, ())
            LivenessTable(store.connection).keep({"70b3d57ed1000001": record})
        store.close()

        (line,) = run("devices", "list").output.splitlines()[1:]
        (device,) = json.loads(run("devices", "list", "--json").output)

        assert line.split("  ")[0] == "70b3d57ed1000001"
        assert [part.strip() for part in line.split("  ")[1:] if part] == [
            "late", "2026-02-13 06:39:42Z", "15 min", "50 %", "+9.5 dB", "3 (3.0 %)", "A", "tree", "Linde am Markt",
        ]  # fmt: skip
        assert (device["battery"], device["battery_percent"], device["snr_margin_db"]) == (128, 50, 9.5)
        assert device["last_seen"] == "2026-02-13T06:39:42+00:00"


class TestKeyFile:
    @pytest.mark.parametrize("content", [b"", b"00", b"\xff" * 32, b"0" * 32 + b"\n" + b"0" * 32])
    def test_what_is_no_key_is_one_line(self, run, tmp_path, content):
        (tmp_path / "key.hex").write_bytes(content)

        done = run("devices", "add", "70b3d57ed1000001", "70b3d57ed0000000", "--app-key-file", tmp_path / "key.hex")

        assert (done.exit_code, done.output) == (
            1, f"Error: {tmp_path / 'key.hex'}: must hold a key, 32 lower-case hex digits\n",
        )  # fmt: skip

    def test_one_without_an_end_is_not_read_to_its_end(self, run):
        done = run("devices", "add", "70b3d57ed1000001", "70b3d57ed0000000", "--app-key-file", "/dev/zero")

        assert done.output == "Error: /dev/zero: must hold a key, 32 lower-case hex digits\n"


class TestEuis:
    """Labels and other servers' pages have them in upper case."""

    def test_either_case_will_do(self, run, tmp_path):
        (tmp_path / "key.hex").write_text("000102030405060708090a0b0c0d0e0f\n")
        upper = "70B3D57ED1000001"

        done = [
            run("devices", "add", upper, "70B3D57ED0000000", "--app-key-file", tmp_path / "key.hex"),
            run("devices", "set", upper, "--interval", "15min"),
            run("devices", "show", upper),
            run("devices", "rearm", upper),
            run("devices", "remove", upper),
        ]

        assert [one.exit_code for one in done] == [0] * 5
        assert "dev_eui 70b3d57ed1000001\njoin_eui 70b3d57ed0000000\n" in done[2].output


class TestDevicesSet:
    @pytest.fixture(autouse=True)
    def _imported(self, run, devices):
        run("devices", "import", devices(HEADER + ROW))

    def one(self, run):
        (device,) = json.loads(run("devices", "list", "--json").output)
        return device

    @pytest.mark.parametrize(
        ("interval", "seconds"), [("900s", 900), ("15min", 900), ("6h", 21_600), ("1.5 d", 129_600), ("10s", 10)]
    )
    def test_an_interval_is_set_and_left_to_learning_again(self, run, interval, seconds):
        result = run("devices", "set", "70b3d57ed1000001", "--interval", interval)
        assert (result.exit_code, result.stdout) == (0, "set\n")
        assert (self.one(run)["interval_s"], self.one(run)["interval_set"]) == (seconds, True)

        run("devices", "set", "70b3d57ed1000001", "--interval", "learn")

        assert (self.one(run)["interval_s"], self.one(run)["interval_set"]) == (None, False)

    @pytest.mark.parametrize("interval", ["", "5", "1s", "31d", "15 minutes", "-1h", "1e3s", "nan d", "1" * 40 + "s"])
    def test_an_interval_that_is_none_is_one_line(self, run, interval):
        result = run("devices", "set", "70b3d57ed1000001", "--interval", interval, "--class", "A")

        if interval:
            assert result.exit_code == 1
            assert re.fullmatch(
                "Error: interval .* must be from 10s to 30d, such as 15min or 6h, or learn\n", result.output
            )
        else:
            assert result.exit_code == 0

    def test_class_profile_and_name(self, run):
        run("devices", "set", "70b3d57ed1000001", "--class", "C", "--profile", "air", "--name", "Eiche")

        device = self.one(run)
        assert (device["device_class"], device["profile"], device["name"]) == ("C", "air", "Eiche")

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--profile", "oak"], "Invalid value for '--profile': 'oak' is not one of 'tree', 'air', 'traffic'."),
            (["--name", "x" * 65], "Error: name is longer than 64 characters or not printable\n"),
        ],
    )
    def test_a_mistake_is_said_and_changes_nothing(self, run, arguments, says):
        before = self.one(run)

        result = run("devices", "set", "70b3d57ed1000001", *arguments, "--class", "C")

        assert result.exit_code in (1, 2)
        assert says in result.output
        assert self.one(run) == before

    def test_an_unknown_device_is_one_line(self, run):
        result = run("devices", "set", "70b3d57ed1000009", "--class", "C")

        assert result.output == "Error: dev_eui '70b3d57ed1000009' is no device of this gateway\n"

    def test_nothing_to_set_is_bad_usage(self, run):
        assert run("devices", "set", "70b3d57ed1000001").exit_code == 2


class TestRemoveAndRearm:
    EUI = "70b3d57ed1000001"

    def joined(self, config):
        store = open_database(load(config))
        with store.transaction() as ledger:
            ledger.record_join(self.EUI, 7, 8, 0x01000000, bytes(16), bytes(16))
        store.close()

    def state(self, config):
        store = open_database(load(config))
        try:
            return store.ledger.device(self.EUI), len(store.ledger.sessions(0x01000000))
        finally:
            store.close()

    def test_a_removed_device_is_gone_with_its_session(self, run, devices, config, caplog):
        caplog.set_level(logging.INFO)
        run("devices", "import", devices(HEADER + ROW))
        self.joined(config)

        result = run("devices", "remove", self.EUI)

        assert (result.exit_code, result.stdout) == (0, "removed\n")
        assert self.state(config) == (None, 0)
        assert f"device removed dev_eui={self.EUI} by_uid={os.getuid()}" in caplog.text

    def test_a_rearmed_device_may_join_from_dev_nonce_0_with_a_risen_join_nonce(self, run, devices, config, caplog):
        caplog.set_level(logging.INFO)
        run("devices", "import", devices(HEADER + ROW))
        self.joined(config)

        result = run("devices", "rearm", self.EUI)

        device, sessions = self.state(config)
        assert (result.exit_code, result.stdout) == (0, "rearmed\n")
        assert (device.dev_nonce, device.join_nonce, sessions) == (-1, 8, 0)
        assert f"device rearmed dev_eui={self.EUI} by_uid={os.getuid()}" in caplog.text

    @pytest.mark.parametrize("command", ["remove", "rearm"])
    def test_an_unknown_device_is_one_line(self, run, command):
        result = run("devices", command, self.EUI)

        assert (result.exit_code, result.output) == (1, f"Error: dev_eui '{self.EUI}' is no device of this gateway\n")
