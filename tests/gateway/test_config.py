# SPDX-License-Identifier: EUPL-1.2
"""gateway.toml: read once, every mistake one clear line."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.config import SECTIONS, load
from gateway.errors import ConfigError

README = Path(__file__).parents[2] / "gateway" / "README.md"


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "gateway.toml"
        path.write_text(text, "utf-8")
        return path

    return write


class TestConfiguration:
    def test_only_the_eui_is_required(self, write):
        path = write('[gateway]\neui = "0016c001ff10a001"')

        config = load(path)

        assert (config.gwmp.host, config.gwmp.port, config.page.port) == ("127.0.0.1", 1700, 8081)
        assert config.gateway.database == path.parent / "gateway.sqlite3"
        assert config.dev_addr_block == (0x01000000, 65536)
        assert config.mqtt.ca_file is None

    def test_relative_paths_are_relative_to_the_file(self, write):
        path = write('[gateway]\neui = "0016c001ff10a001"\ndatabase = "data/a.sqlite3"\nkey_file = "/etc/kek"')

        config = load(path)

        assert config.gateway.database == path.parent / "data" / "a.sqlite3"
        assert config.gateway.key_file == Path("/etc/kek")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "eui in [gateway] is missing"),
            ("[gateway]\neui = 5", "eui in [gateway] must be a text in quotes, not 5"),
            ('[gateway]\neui = "0016C001FF10A001"', "must be 16 lower-case hex digits"),
            ("[gwpm]\nport = 1", "unknown section [gwpm]"),
            ("eui = 1", "key eui stands before the first section"),
            ('gwmp = 1\n[gateway]\neui = "0016c001ff10a001"', "gwmp must be a section"),
            ('[gateway]\neui = "0016c001ff10a001"\ncolour = "red"', "unknown key colour in [gateway]"),
            (
                '[gateway]\neui = "0016c001ff10a001"\n[liveness]\nlate_intervals = 6\ndown_intervals = 6',
                "down_intervals in [liveness] must be more than late_intervals",
            ),
            ("[gateway\n", "is not TOML"),
            (f"[gateway]\neui = {'9' * 5000}\n", "is not TOML"),
            ("x = " + "[" * 5000, "is not TOML"),
        ],
    )
    def test_a_mistake_is_one_line_that_names_the_place(self, write, text, says):
        path = write(text)

        with pytest.raises(ConfigError) as error:
            load(path)

        assert str(error.value).startswith(f"{path}: ")
        assert says in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("section", "says"),
        [
            ('[mqtt]\nhost = ""', "host in [mqtt] must be the name or address of a host"),
            ('[mqtt]\nhost = "mqtt://broker"', "host in [mqtt] must be the name or address of a host"),
            ("[gwmp]\nport = 70000", "port in [gwmp] must be 0 to 65535, not 70000"),
            ("[gwmp]\nport = true", "port in [gwmp] must be a whole number, not True"),
            ("[store]\ngroup_window_ms = 21", "must be 0 to 20"),
            ('[network]\ndev_addr_block = "01000001/16"', "must start at a multiple of its size"),
            ('[network]\ndev_addr_block = "00000000/4"', "/7 to /31"),
            ('[mqtt]\ncert_file = "a.pem"', "belong together"),
            ('[mqtt]\ncert_file = "a.pem"\nkey_file = "a.key"', "needs ca_file"),
            ('[mqtt]\npassword_file = "pw"', "needs username"),
            ('[mqtt]\ncluster = "b.example:8883"', 'cluster in [mqtt] must be a list of nodes: "b.example:8883"'),
            ('[mqtt]\ncluster = ["b.example"]', "each of cluster in [mqtt] must be a list of nodes"),
            ('[mqtt]\ncluster = ["b.example:0"]', "ports in cluster in [mqtt] must be 1 to 65535"),
            ('[log]\nlevel = "loud"', "debug, info, warning or error"),
        ],
    )
    def test_a_value_out_of_its_limits_is_refused(self, write, section, says):
        path = write(f'[gateway]\neui = "0016c001ff10a001"\n{section}')

        with pytest.raises(ConfigError, match=re.escape(says)):
            load(path)

    def test_a_missing_file_is_one_line(self, tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            load(tmp_path / "nowhere.toml")


def test_the_readme_documents_every_key_and_no_other():
    documented = set(re.findall(r"^\| `\[(\w+)\] (\w+)` \|", README.read_text("utf-8"), re.MULTILINE))

    assert documented == {(name, key.name) for name, section in SECTIONS.items() for key in fields(section)}
