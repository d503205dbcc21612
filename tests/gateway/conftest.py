# SPDX-License-Identifier: EUPL-1.2
"""A node, a database that knows it, the service over that database, and a concentrator that has a way down.

A file that wants another database or service has a fixture of the same name; those above it then use that one.
"""

import pytest

from tests.gateway.nodes import Concentrator, Node, new_store
from tests.gateway.running import GatewayThread


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
