# SPDX-License-Identifier: EUPL-1.2
"""The service's settings: one TOML file, read once into frozen dataclasses; unknown keys are errors.

Relative paths are relative to the TOML file. The README documents every key; a test compares the two.
"""

import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from cloud_ingest.errors import ConfigError
from decoders.eui import EUI


@dataclass(frozen=True)
class StoreSettings:
    path: Path = Path("stadtfunk.db")


@dataclass(frozen=True)
class RegistrySettings:
    path: Path = Path("city.json")


@dataclass(frozen=True)
class MqttSettings:
    host: str = "127.0.0.1"
    port: int = 1883
    client_id: str = "stadtfunk-ingest"
    session_per_lane: bool = True
    keepalive_s: int = 30
    reconnect_max_s: int = 30
    username: str = ""
    password_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    gateways: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()

    def other_brokers(self) -> list[tuple[str, int]]:
        """Further nodes of the cluster that ``host`` belongs to: hosts and ports."""
        return [(node.rpartition(":")[0], int(node.rpartition(":")[2])) for node in self.cluster]


@dataclass(frozen=True)
class JetStreamSettings:
    servers: tuple[str, ...] = ()
    consumer: str = "stadtfunk-ingest"
    replicas: int = 1
    max_mb: int = 1024
    max_age_h: int = 168
    max_in_hand: int = 1000
    ack_wait_s: int = 30


@dataclass(frozen=True)
class HttpSettings:
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""
    query_timeout_s: int = 5


@dataclass(frozen=True)
class TimeSettings:
    source: str = "system"


@dataclass(frozen=True)
class DeadLetterSettings:
    max_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True)
class DisclosureSettings:
    min_count: int = 3


@dataclass(frozen=True)
class OperatorSettings:
    token_file: Path | None = None


@dataclass(frozen=True)
class Config:
    store: StoreSettings = field(default_factory=StoreSettings)
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    mqtt: MqttSettings = field(default_factory=MqttSettings)
    jetstream: JetStreamSettings = field(default_factory=JetStreamSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    time: TimeSettings = field(default_factory=TimeSettings)
    dead_letters: DeadLetterSettings = field(default_factory=DeadLetterSettings)
    disclosure: DisclosureSettings = field(default_factory=DisclosureSettings)
    operator: OperatorSettings = field(default_factory=OperatorSettings)

    @property
    def operator_token_file(self) -> Path:
        """Where not set, beside the store: there we may write."""
        return self.operator.token_file or self.store.path.with_name("operator.token")


_RANGES = {
    "mqtt.port": (1, 65535),
    "mqtt.keepalive_s": (5, 3600),
    "mqtt.reconnect_max_s": (1, 3600),
    "jetstream.replicas": (1, 5),
    "jetstream.max_mb": (16, 1 << 20),
    "jetstream.max_age_h": (1, 8760),
    "jetstream.max_in_hand": (1, 100_000),
    "jetstream.ack_wait_s": (1, 3600),
    "http.port": (0, 65535),
    "http.query_timeout_s": (1, 600),
    "dead_letters.max_bytes": (0, 2**40),
    "disclosure.min_count": (1, 1000),
}
_CHOICES = {"time.source": ("system", "observations")}
_PORT = "0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"  # to 65535
_FORMS = {  # of strings, or of each in a list: what they look like, and how to say it
    "mqtt.gateways": (re.compile(EUI), "16 lower-case hex digits"),
    "mqtt.host": (re.compile(r"[^\s/]+"), "the name or address of a host, without a scheme"),
    "mqtt.cluster": (re.compile(rf"[^\s:]+:{_PORT}"), "like broker-2.example:1883"),
    "jetstream.servers": (re.compile(rf"(nats|tls)://[^\s/]+:{_PORT}"), "like nats://127.0.0.1:4222"),
    "http.public_url": (re.compile(r"(https?://[^\s/]+(/\S*)?)?"), "empty or like https://data.example"),
    "jetstream.consumer": (re.compile(r"[A-Za-z0-9_-]{1,32}"), "letters, digits, - and _, at most 32"),
}


def load(path: Path) -> Config:
    """Read and check the TOML file at ``path``; raises ConfigError."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "is not text in UTF-8") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or a number of thousands of digits
        raise ConfigError(str(path), f"is not TOML: {error}") from error
    return parse(table, path)


def parse(table: dict[str, Any], path: Path) -> Config:
    """Build the settings from a TOML ``table``; ``path`` names the file in errors and anchors relative paths."""
    sections = get_type_hints(Config)
    _refuse_unknown(table, sections, str(path), "")
    built = {}
    for name, section in sections.items():
        values = table.get(name, {})
        if not isinstance(values, dict):
            raise ConfigError(str(path), f"'{name}' must be a table, written [{name}]")
        built[name] = _section(section, name, values, path)
    config = Config(**built)
    _check_tls(config.mqtt, path)
    return config


def keys() -> list[str]:
    """Every key there is, as ``section.key``."""
    return [f"{name}.{key.name}" for name, section in get_type_hints(Config).items() for key in fields(section)]


def _section(section: Any, name: str, values: dict[str, Any], path: Path) -> Any:
    hints = get_type_hints(section)
    _refuse_unknown(values, hints, str(path), f"{name}.")
    built = {}
    for key in fields(section):
        if key.name in values:
            built[key.name] = _value(hints[key.name], f"{name}.{key.name}", values[key.name], path)
        elif isinstance(key.default, Path):
            built[key.name] = path.parent / key.default
    return section(**built)


def _check_tls(mqtt: MqttSettings, path: Path) -> None:
    for name in ("ca_file", "cert_file", "key_file"):
        if getattr(mqtt, name) is not None and not mqtt.tls:
            raise ConfigError(f"{path}: mqtt.{name}", "needs mqtt.tls = true: without it nothing is encrypted")
    if mqtt.key_file is not None and mqtt.cert_file is None:
        raise ConfigError(f"{path}: mqtt.key_file", "needs mqtt.cert_file")


def _value(kind: Any, key: str, value: Any, path: Path) -> Any:
    where = f"{path}: {key}"
    if kind in (Path, Path | None):
        if not isinstance(value, str) or not value or "\0" in value:
            raise ConfigError(where, "must be a path in quotes")
        return path.parent / value
    if kind == tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigError(where, "must be a list of strings")
        for item in value:
            _check_form(key, item, where)
        return tuple(value)
    if type(value) is not kind:
        words = {str: "a string in quotes", int: "a whole number", bool: "true or false"}
        raise ConfigError(where, f"must be {words[kind]}, not {value!r}")
    low, high = _RANGES.get(key, (value, value))
    if not low <= value <= high:
        raise ConfigError(where, f"must be from {low} to {high}, not {value}")
    if key in _CHOICES and value not in _CHOICES[key]:
        raise ConfigError(where, f"must be one of {', '.join(_CHOICES[key])}, not {value!r}")
    _check_form(key, value, where)
    return value


def _check_form(key: str, value: Any, where: str) -> None:
    pattern, words = _FORMS.get(key, (None, ""))
    if pattern is not None and not pattern.fullmatch(value):
        raise ConfigError(where, f"must be {words}, not {value!r}")


def _refuse_unknown(table: dict[str, Any], known: Any, where: str, prefix: str) -> None:
    for key in table:
        if key not in known:
            names = ", ".join(prefix + name for name in known)
            raise ConfigError(where, f"unknown key {prefix + key!r}; known are {names}")
