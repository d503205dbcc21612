# SPDX-License-Identifier: EUPL-1.2
"""Every window at every data rate over both backhauls, to the microsecond, on the air of the simulator.

TS001-1.0.4 "Receive windows"; RP002-1.0.4 "EU863-870 Receive Windows": RX1 on the uplink's channel at its data rate one
second after its end, RX2 on 869.525 MHz at DR0 a second later; a Join-Accept after five and six seconds.
"""

import pytest

from decoders.lorawan.frame import ACK
from tests.gateway.radio_world import GWMP, STATION, world

SF = {0: 12, 1: 11, 2: 10, 3: 9, 4: 8, 5: 7}


@pytest.fixture(scope="module", params=[GWMP, STATION])
def place(request):
    """Two joined nodes before one concentrator."""
    with world(nodes=2) as made:
        made.backhaul = made.concentrator(request.param, counter_at_start=0xFFFF_0000)  # it wraps at once
        for node in made.nodes:
            made.join(node)
        yield made


@pytest.mark.parametrize("dr", range(6))
class TestTable:
    def test_rx1(self, place, dr):
        node = place.nodes[0]
        end = place.send(node.uplink(confirmed=True), sf=SF[dr], frequency_hz=868_300_000)

        (down,) = place.wait(300)

        assert (down.start_us - end, down.frequency_hz, down.sf) == (1_000_000, 868_300_000, SF[dr])
        assert down.phy_payload[5] & ACK

    def test_rx2_where_rx1_is_taken(self, place, dr):
        first, second = place.nodes
        later_us = 300_000 if dr == 0 else 20_000  # the first one's answer must be over when RX2 begins
        place.send(first.uplink(confirmed=True), sf=SF[dr], frequency_hz=868_300_000)
        at_us = place.clock.now_us + later_us
        end = place.send(second.uplink(confirmed=True), sf=SF[dr], frequency_hz=868_500_000, at_us=at_us)

        _, down = place.wait(300)

        assert (down.start_us - end, down.frequency_hz, down.sf) == (2_000_000, 869_525_000, 12)
        assert down.phy_payload[5] & ACK

    def test_join_accept(self, place, dr):
        end = place.send(place.nodes[0].join_request(), sf=SF[dr], frequency_hz=868_500_000)

        (down,) = place.wait(300)

        assert (down.start_us - end, down.frequency_hz, down.sf) == (5_000_000, 868_500_000, SF[dr])
        place.nodes[0].joined(down.phy_payload)


class TestSilentDrops:
    """A station on EU868 books 865 to 868 MHz at 0.1 %: RX1 there is dropped without a word after any other."""

    def test_an_answer_on_the_blocked_band_goes_out_in_rx2(self):
        with world() as made:
            station = made.concentrator(STATION)
            node = made.nodes[0]
            made.join(node)
            answers = []
            for frequency_hz in (867_100_000, 867_900_000, 867_500_000):
                made.send(node.uplink(confirmed=True), frequency_hz=frequency_hz)
                answers += made.wait(30)

            assert [down.frequency_hz for down in answers] == [867_100_000, 869_525_000, 869_525_000]
            assert station.counters.refused == {}

    def test_a_station_that_blocks_more_than_we_know_moves_on_to_rx2_by_itself(self):
        with world() as made:
            station = made.concentrator(STATION)
            node = made.nodes[0]
            made.join(node)
            station._queue._free_from[100] = made.clock.now_us + 60_000_000  # it has sent a beacon, say

            end = made.send(node.uplink(confirmed=True))
            (down,) = made.wait(30)

            assert (down.start_us - end, down.frequency_hz) == (2_000_000, 869_525_000)
            made.send(node.uplink())  # what the station has said since has been heard before this
            made.wait(1)
            used = made.gateway._transmitter.used_us("0016c001ff10b001")
            assert used[869_400_000] > 0


class TestManyConcentrators:
    def test_of_both_kinds_on_one_gateway_each_uplink_is_stored_and_answered_once(self):
        with world(nodes=3) as made:
            for number, kind in enumerate((GWMP, STATION, GWMP, STATION)):
                made.concentrator(kind, number, position=(300.0 * number, 0.0))
            for node in made.nodes:
                made.join(node)
            answers = []
            for _ in range(4):
                for node in made.nodes:
                    made.send(node.uplink(confirmed=True), frequency_hz=868_300_000)
                    answers += made.wait(40)

            assert len(answers) == 12
            assert made.gateway.metrics.counters["uplinks"] == 12
            assert made.gateway.metrics.counters["joins"] == 3
            assert made.gateway.metrics.refused["duplicate"] == 15 * 3
            assert sum(made.gateway.metrics.downlinks_dropped.values()) == 0
