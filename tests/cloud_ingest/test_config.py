# SPDX-License-Identifier: EUPL-1.2
"""The settings file."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest import config
from cloud_ingest.errors import ConfigError

KEYS = [*(key.split(".")[1] for key in config.keys()), "x"]  # noqa: SIM118
HERE = Path("/etc/stadtfunk/ingest.toml")
README = Path(config.__file__).with_name("README.md").read_text(encoding="utf-8")


class TestSettings:
    def test_an_empty_file_means_the_documented_defaults(self):
        found = config.parse({}, HERE)

        assert found.http.port == 8080
        assert found.store.path == Path("/etc/stadtfunk/stadtfunk.db")
        assert found.time.source == "system"

    def test_relative_paths_are_relative_to_the_file(self):
        found = config.parse({"registry": {"path": "jena.json"}, "mqtt": {"password_file": "/run/secret"}}, HERE)

        assert found.registry.path == Path("/etc/stadtfunk/jena.json")
        assert found.mqtt.password_file == Path("/run/secret")

    @pytest.mark.parametrize(
        ("table", "problem"),
        [
            ({"mqtt": {"hots": "x"}}, "unknown key 'mqtt.hots'"),
            ({"colour": {}}, "unknown key 'colour'"),
            ({"http": 8080}, "'http' must be a table"),
            ({"http": {"port": "8080"}}, "http.port: must be a whole number"),
            ({"http": {"port": True}}, "http.port: must be a whole number"),
            ({"http": {"port": 65536}}, "http.port: must be from 0 to 65535"),
            ({"time": {"source": "sundial"}}, "time.source: must be one of system, observations"),
            ({"mqtt": {"gateways": [1]}}, "mqtt.gateways: must be a list of strings"),
            ({"mqtt": {"host": ""}}, "mqtt.host: must be the name or address of a host"),
            ({"mqtt": {"host": "mqtt://broker"}}, "mqtt.host: must be the name or address of a host"),
            ({"mqtt": {"cluster": ["b.example:65536"]}}, "mqtt.cluster: must be like broker-2.example:1883"),
            ({"mqtt": {"cluster": ["b.example:0"]}}, "mqtt.cluster: must be like broker-2.example:1883"),
            ({"jetstream": {"servers": ["nats://b.example:99999"]}}, "jetstream.servers: must be like nats://"),
            ({"http": {"public_url": "data.example"}}, "http.public_url: must be empty or like https://data.example"),
            ({"mqtt": {"ca_file": "ca.pem"}}, "mqtt.ca_file: needs mqtt.tls"),
            ({"mqtt": {"cert_file": "a.pem", "key_file": "a.key"}}, "mqtt.cert_file: needs mqtt.tls"),
            ({"mqtt": {"tls": True, "key_file": "a.key"}}, "mqtt.key_file: needs mqtt.cert_file"),
            ({"mqtt": {"gateways": ["0016C001FF10A001"]}}, "mqtt.gateways: must be 16 lower-case hex digits"),
        ],
    )
    def test_a_mistake_is_one_line_that_names_the_key(self, table, problem):
        with pytest.raises(ConfigError) as caught:
            config.parse(table, HERE)

        assert str(caught.value).startswith("/etc/stadtfunk/ingest.toml: ")
        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_file_that_is_not_toml_or_not_there_is_one_line(self, tmp_path):
        for text in ("port = = 1", f"port = {'9' * 5000}", "port = " + "[" * 5000):
            (tmp_path / "bad.toml").write_text(text)
            with pytest.raises(ConfigError, match="is not TOML"):
                config.load(tmp_path / "bad.toml")
        (tmp_path / "bad.toml").write_bytes(b"\xff")
        with pytest.raises(ConfigError, match="is not text in UTF-8"):
            config.load(tmp_path / "bad.toml")
        with pytest.raises(ConfigError, match="cannot be read"):
            config.load(tmp_path / "none.toml")

    @pytest.mark.parametrize("key", config.keys())
    def test_the_readme_documents_every_key(self, key):
        assert f"| `{key}` |" in README

    @given(
        st.dictionaries(
            st.sampled_from(["store", "registry", "mqtt", "http", "time", "dead_letters", "other"]),
            st.dictionaries(
                st.sampled_from(KEYS),
                st.none() | st.booleans() | st.integers() | st.text() | st.floats() | st.lists(st.text()),
            )
            | st.integers(),
        )
    )
    def test_any_table_gives_settings_or_a_config_error(self, table):
        with contextlib.suppress(ConfigError):
            assert isinstance(config.parse(table, HERE), config.Config)
