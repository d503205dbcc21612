# SPDX-License-Identifier: EUPL-1.2
"""A node, a database that knows it, the service over that, a concentrator that has a way down; commands; a broker.

A file that wants another database or service has a fixture of the same name; those above it then use that one.
"""

from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import gateway
from tests.gateway.forwarder_bench import Bench
from tests.gateway.nodes import Concentrator, Node, new_store, write_config
from tests.gateway.running import Broker, GatewayThread


@pytest.fixture(autouse=True)
def slow_page(monkeypatch):
    """The page and who asks it give each other time: only the machine is slow."""
    monkeypatch.setattr("gateway.page._PATIENCE_S", 300.0)
    monkeypatch.setattr("gateway.page_client._PATIENCE_S", 300.0)


@pytest.fixture
def node():
    return Node()


@pytest.fixture
def store(tmp_path, node):
    """It knows ``node`` and a second one; ``store.config`` is the configuration."""
    config, store = new_store(tmp_path, [node, Node(2)])
    store.config = config
    yield store
    store.close()


@pytest.fixture
def service(store):
    with GatewayThread(store.config, store) as gateway:
        yield gateway


@pytest.fixture
def concentrator(service):
    with Concentrator(service.gwmp_port) as concentrator:
        concentrator.pull()
        yield concentrator


@pytest.fixture
def config(tmp_path):
    """The path of a gateway.toml."""
    return write_config(tmp_path)


@pytest.fixture
def run(config):
    """Calls a command with that configuration."""

    def run(*arguments: str | Path):
        return CliRunner().invoke(gateway, [*map(str, arguments), "--config", str(config)])

    return run


@pytest.fixture
def broker(tmp_path):
    with Broker(tmp_path) as broker:
        yield broker


@pytest.fixture
def bench(tmp_path, broker):
    """A database to fill, and the service over it, with ``broker``."""
    bench = Bench(tmp_path, broker.port)
    yield bench
    bench.close()
