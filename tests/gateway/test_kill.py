# SPDX-License-Identifier: EUPL-1.2
"""SIGKILL at any moment loses no acknowledged uplink: real processes, real datagrams, a real database (kills.py)."""

import signal

from tests.gateway.kills import kill_often
from tests.gateway.nodes import write_config
from tests.gateway.running import GatewayProcess

KILLS = 20


def test_twenty_kills_lose_no_acknowledged_uplink_and_store_none_twice(tmp_path):
    assert kill_often(tmp_path, KILLS, seed=20) > 10 * KILLS


def test_sigterm_and_sigint_stop_it_cleanly(tmp_path):
    path = write_config(tmp_path)

    for number in (signal.SIGTERM, signal.SIGINT):
        with GatewayProcess(path) as gateway:
            assert gateway.end(number) == 0
        assert "gateway stops" in "".join(gateway.log)
        assert "Traceback" not in "".join(gateway.log)
