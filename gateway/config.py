# SPDX-License-Identifier: EUPL-1.2
# ruff: noqa: RUF009 - _key() is dataclasses.field()
"""One TOML file, read once into frozen dataclasses. Unknown keys are errors; README.md lists every key.

Relative paths are relative to the configuration file. ``load`` raises ConfigError.
"""

import re
import tomllib
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from decoders.eui import EUI
from gateway.errors import ConfigError, shown
from gateway.mac_control import Wanted
from gateway.radio import may_transmit_on

_PORT = (0, 65_535)
_CHANNELS = "(8[67][0-9]{4}( 8[67][0-9]{4}){0,4})?"
_PAIRS = "(8[67][0-9]{4}:8[67][0-9]{4}( 8[67][0-9]{4}:8[67][0-9]{4}){0,7})?"


def _key(
    default: Any = MISSING, *, limits: tuple[float, float] | None = None, pattern: str = "", what: str = ""
) -> Any:
    """One key: its default (none = required), its inclusive limits, or the pattern of a text and its name."""
    return field(default=default, metadata={"limits": limits, "pattern": pattern, "what": what})


class DevAddrBlock(NamedTuple):
    """A block of device addresses: ``first`` and the next ``size - 1``, written like ``01000000/16``."""

    first: int
    size: int


@dataclass(frozen=True)
class GatewaySection:
    """Who this gateway is and where it keeps its data."""

    eui: str = _key(pattern=EUI, what="16 lower-case hex digits")
    database: Path = _key(Path("gateway.sqlite3"))
    key_file: Path = _key(Path("gateway.key"))


@dataclass(frozen=True)
class GwmpSection:
    """Where concentrators' packet forwarders send to."""

    host: str = _key("127.0.0.1")
    port: int = _key(1700, limits=_PORT)
    pin_s: float = _key(60.0, limits=(0.0, 86_400.0))


@dataclass(frozen=True)
class BasicsStationSection:
    """Where LoRa Basics Stations connect to."""

    enabled: bool = _key(False)
    host: str = _key("127.0.0.1")
    port: int = _key(3001, limits=_PORT)
    cert_file: Path | None = _key(None)
    key_file: Path | None = _key(None)
    client_ca_file: Path | None = _key(None)
    tokens_file: Path | None = _key(None)


@dataclass(frozen=True)
class NetworkSection:
    """What the join server and the network server hand out."""

    net_id: str = _key("000000", pattern="[0-9a-f]{6}", what="6 lower-case hex digits")
    dev_addr_block: str = _key("01000000/16", pattern="[0-9a-f]{8}/[0-9]{1,2}", what="a block such as 01000000/16")
    tx_power_dbm: int = _key(14, limits=(0, 27))
    duplicate_window_s: int = _key(60, limits=(1, 3600))
    channels_khz: str = _key("", pattern=_CHANNELS, what="at most five frequencies such as 867100 867300")
    rx1_dr_offset: int = _key(0, limits=(0, 5))
    rx1_delay_s: int = _key(1, limits=(1, 15))
    rx1_frequencies_khz: str = _key("", pattern=_PAIRS, what="pairs of uplink:downlink such as 868100:869525")
    rx2_data_rate: int = _key(0, limits=(0, 5))
    rx2_frequency_khz: int = _key(869_525, limits=(869_400, 869_649))
    max_duty_cycle: int = _key(0, limits=(0, 15))
    adr: bool = _key(True)
    dev_status_interval_s: int = _key(86_400, limits=(0, 31_536_000))
    time_tolerance_s: int = _key(3600, limits=(0, 31_536_000))
    trust_clock: bool = _key(False)


@dataclass(frozen=True)
class DownlinksSection:
    """When and how often downlinks go to concentrators."""

    lead_ms: int = _key(400, limits=(50, 900))
    confirmed_tries: int = _key(3, limits=(1, 15))
    virtual_time: bool = _key(False)


@dataclass(frozen=True)
class StoreSection:
    """How uplinks share one fsync, how much disk the outbox may take, and how much stays free."""

    group_window_ms: int = _key(20, limits=(0, 20))
    group_records: int = _key(100, limits=(1, 100))
    reserve_mb: int = _key(16, limits=(0, 10_000))
    cap_mb: int = _key(1024, limits=(1, 1_000_000))
    horizon_mb: int = _key(4, limits=(0, 100_000))


@dataclass(frozen=True)
class MqttSection:
    """The broker towards the cloud."""

    host: str = _key("127.0.0.1", pattern=r"[^\s/]+", what="the name or address of a host, without a scheme")
    port: int = _key(1883, limits=(1, 65_535))
    cluster: tuple[str, ...] = _key((), pattern=r"[^\s:]+:[0-9]{1,5}", what='a list of nodes: "b.example:8883"')
    username: str = _key("")
    password_file: Path | None = _key(None)
    ca_file: Path | None = _key(None)
    cert_file: Path | None = _key(None)
    key_file: Path | None = _key(None)
    batch_messages: int = _key(100, limits=(1, 500))
    window_batches: int = _key(20, limits=(1, 100))
    resend_s: float = _key(5.0, limits=(0.05, 3600.0))
    reconnect_max_s: float = _key(60.0, limits=(0.05, 3600.0))
    keepalive_s: int = _key(30, limits=(5, 3600))

    def nodes(self) -> list["MqttSection"]:
        """How to reach each node of the broker's cluster; only ourselves if it is none."""
        others = (node.rpartition(":") for node in self.cluster)
        return [self, *(replace(self, host=host, port=int(port)) for host, _, port in others)]


@dataclass(frozen=True)
class LivenessSection:
    """After how long a silence nodes and concentrators are late, or down."""

    late_intervals: float = _key(2.5, limits=(1.5, 100.0))
    down_intervals: float = _key(6.0, limits=(2.0, 1000.0))
    concentrator_s: float = _key(60.0, limits=(10.0, 3600.0))


@dataclass(frozen=True)
class PageSection:
    """The local page."""

    host: str = _key("127.0.0.1")
    port: int = _key(8081, limits=_PORT)
    token_file: Path = _key(Path("page.token"))


@dataclass(frozen=True)
class LogSection:
    """What is written to stderr."""

    level: str = _key("info", pattern="debug|info|warning|error", what="debug, info, warning or error")


@dataclass(frozen=True)
class Config:
    """The whole file; one attribute a section."""

    gateway: GatewaySection
    gwmp: GwmpSection
    basics_station: BasicsStationSection
    network: NetworkSection
    downlinks: DownlinksSection
    store: StoreSection
    mqtt: MqttSection
    liveness: LivenessSection
    page: PageSection
    log: LogSection

    @property
    def net_id(self) -> int:
        return int(self.network.net_id, 16)

    @property
    def dev_addr_block(self) -> DevAddrBlock:
        first, prefix = self.network.dev_addr_block.split("/")
        return DevAddrBlock(int(first, 16), 1 << (32 - int(prefix)))

    @property
    def wanted(self) -> Wanted:
        """What every node should have."""
        network = self.network
        pairs = (pair.split(":") for pair in network.rx1_frequencies_khz.split())
        return Wanted(
            network.rx1_dr_offset,
            (network.rx2_frequency_khz * 1000, network.rx2_data_rate),
            network.rx1_delay_s,
            network.max_duty_cycle,
            tuple(int(channel) * 1000 for channel in network.channels_khz.split()),
            tuple((int(up) * 1000, int(down) * 1000) for up, down in pairs),
            network.dev_status_interval_s,
        )


SECTIONS: dict[str, type] = {section.name: section.type for section in fields(Config) if isinstance(section.type, type)}


def load(path: Path) -> Config:
    """Read ``path``; raises ConfigError with one line that says what is wrong and where."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(path, f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(path, "is not text in UTF-8") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or a number of thousands of digits
        raise ConfigError(path, f"is not TOML: {error}") from error
    for name in document:
        if name not in SECTIONS and not isinstance(document[name], dict):
            raise ConfigError(path, f"key {name} stands before the first section; put it below one, such as [gateway]")
        if name not in SECTIONS:
            raise ConfigError(path, f"unknown section [{name}]; known are {', '.join(SECTIONS)}")
    config = Config(**{name: _section(path, name, kind, document.get(name, {})) for name, kind in SECTIONS.items()})
    _check_together(path, config)
    return config


def _section(path: Path, name: str, kind: type, table: object) -> Any:
    if not isinstance(table, dict):
        raise ConfigError(path, f"{name} must be a section: [{name}]")
    known = {item.name: item for item in fields(kind)}
    for key in table:
        if key not in known:
            raise ConfigError(path, f"unknown key {key} in [{name}]; known are {', '.join(known)}")
    values: dict[str, Any] = {}
    for key, item in known.items():
        if key in table:
            values[key] = _value(path, f"{key} in [{name}]", item.type, item.metadata, table[key])
        elif item.default is MISSING:
            raise ConfigError(path, f"{key} in [{name}] is missing; it must be {item.metadata['what']}")
        elif isinstance(item.default, Path):
            values[key] = path.parent / item.default
    return kind(**values)


def _value(path: Path, where: str, kind: Any, rule: Any, value: Any) -> Any:
    if kind in (Path, Path | None):
        if not isinstance(value, str) or not value:
            raise ConfigError(path, f"{where} must be a path in quotes")
        return path.parent / Path(value).expanduser()
    if kind == tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigError(path, f"{where} must be {rule['what']}, not {value!r}")
        return tuple(_value(path, f"each of {where}", str, rule, item) for item in value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        words = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}
        raise ConfigError(path, f"{where} must be {words[kind]}, not {value!r}")
    if rule["limits"] and not rule["limits"][0] <= value <= rule["limits"][1]:
        raise ConfigError(path, f"{where} must be {rule['limits'][0]} to {rule['limits'][1]}, not {value!r}")
    if rule["pattern"] and not re.fullmatch(rule["pattern"], value):
        raise ConfigError(path, f"{where} must be {rule['what']}, not {shown(value)}")
    return value


def _check_together(path: Path, config: Config) -> None:
    prefix = int(config.network.dev_addr_block.split("/")[1])
    if not 7 <= prefix <= 31 or config.dev_addr_block.first % config.dev_addr_block.size:
        raise ConfigError(
            path, f"dev_addr_block in [network] must start at a multiple of its size, /7 to /31, not "
            f"{config.network.dev_addr_block!r}"
        )  # fmt: skip
    wanted = config.wanted
    for frequency_hz in (*wanted.channels_hz, *(down for _, down in wanted.rx1_hz)):
        if not may_transmit_on(frequency_hz):
            raise ConfigError(path, f"[network] names {frequency_hz // 1000} kHz, which is in no sub-band of EU868")
    if config.liveness.down_intervals <= config.liveness.late_intervals:
        raise ConfigError(path, "down_intervals in [liveness] must be more than late_intervals")
    station = config.basics_station
    if (station.cert_file is None) != (station.key_file is None):
        raise ConfigError(path, "cert_file and key_file in [basics_station] belong together: give both or neither")
    if station.client_ca_file is not None and station.cert_file is None:
        raise ConfigError(path, "client_ca_file in [basics_station] needs cert_file: without it there is no TLS")
    if (config.mqtt.cert_file is None) != (config.mqtt.key_file is None):
        raise ConfigError(path, "cert_file and key_file in [mqtt] belong together: give both or neither")
    if config.mqtt.cert_file is not None and config.mqtt.ca_file is None:
        raise ConfigError(path, "cert_file in [mqtt] needs ca_file: without it the connection is not encrypted")
    if config.mqtt.password_file is not None and not config.mqtt.username:
        raise ConfigError(path, "password_file in [mqtt] needs username")
    if not all(1 <= node.port <= 65_535 for node in config.mqtt.nodes()):
        raise ConfigError(path, "ports in cluster in [mqtt] must be 1 to 65535")
