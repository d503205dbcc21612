# SPDX-License-Identifier: EUPL-1.2
"""Which node of a broker's cluster is tried when; times are given, nothing waits."""

import pytest

from gateway.config import MqttSection
from gateway.reconnect import Attempts

CLUSTER = MqttSection(
    host="a.example", port=8883, cluster=("b.example:8884", "c.example:8885"), reconnect_max_s=8.0
)  # fmt: skip
ALONE = MqttSection(host="a.example", port=8883, reconnect_max_s=8.0)


def failing(attempts: Attempts, every_s: float, count: int, since: float = 0.0) -> list[float]:
    """The pauses after attempts that fail one after another."""
    pauses = []
    for number in range(count):
        attempts.begin()
        pauses.append(attempts.pause_s(since + (number + 1) * every_s))
    return pauses


class TestNodes:
    def test_the_nodes_take_turns(self) -> None:
        attempts = Attempts(CLUSTER, 0.0)

        tried = [attempts.begin() for _ in range(4)]

        assert [(node.host, node.port) for node in tried] == [
            ("a.example", 8883), ("b.example", 8884), ("c.example", 8885), ("a.example", 8883),
        ]  # fmt: skip

    def test_every_node_is_reached_with_the_same_certificate_and_the_same_rights(self) -> None:
        settings = MqttSection(cluster=("b.example:8884",), username="gateway", keepalive_s=7)

        node = settings.nodes()[1]

        assert (node.username, node.keepalive_s) == ("gateway", 7)


class TestPauses:
    def test_a_broker_alone_is_asked_ever_more_rarely(self) -> None:
        attempts = Attempts(ALONE, 0.0)

        assert failing(attempts, 1.0, 8) == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]

    def test_a_cluster_is_asked_often_until_it_must_have_elected_and_then_ever_more_rarely(self) -> None:
        attempts = Attempts(CLUSTER, 0.0)

        pauses = failing(attempts, 1.0, 20)

        assert pauses[:15] == [0.25] * 15
        assert pauses[15:] == [0.5, 1.0, 2.0, 4.0, 8.0]

    def test_a_connection_that_stood_is_missed_at_once(self) -> None:
        attempts = Attempts(CLUSTER, 0.0)
        failing(attempts, 1.0, 20)
        attempts.begin()

        attempts.reached(100.0)

        assert attempts.pause_s(200.0) == 0.25
        assert failing(attempts, 1.0, 3, since=200.0) == [0.25, 0.25, 0.25]

    def test_a_broker_that_takes_us_only_to_hang_up_is_asked_ever_more_rarely(self) -> None:
        attempts = Attempts(CLUSTER, 0.0)
        pauses = []

        for at in range(100, 104):
            attempts.begin()
            attempts.reached(at + 0.5)
            pauses.append(attempts.pause_s(at + 1.0))

        assert pauses == [0.25, 0.5, 1.0, 2.0]


class TestPatience:
    @pytest.mark.parametrize(
        ("settings", "now", "waits_s"), [(CLUSTER, 14.9, 3.0), (CLUSTER, 15.1, 20.0), (ALONE, 1.0, 20.0)]
    )
    def test_a_node_that_hangs_is_left_soon_while_another_may_answer(
        self, settings: MqttSection, now: float, waits_s: float
    ) -> None:
        attempts = Attempts(settings, 0.0)

        assert attempts.patience_s(now) == waits_s
