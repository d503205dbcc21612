# SPDX-License-Identifier: EUPL-1.2
"""One transaction a frame, whoever reports it: against a real database and its writer."""

import asyncio
import sqlite3

import pytest

from gateway.arrivals import Arrivals
from gateway.config import DevAddrBlock
from gateway.errors import Refused, StoreError
from gateway.group_commit import GroupCommit
from gateway.join_server import JoinServer
from gateway.mac_control import Wanted
from gateway.network_server import Accepted, Copy, NetworkServer
from tests.gateway.nodes import GATEWAY_EUI, Node, new_store, reception, uplinks_in

OTHERS = ("0016c001ff10b002", "0016c001ff10b003")


class Bench:
    """A joined node, and arrivals that count what goes through the writer."""

    def __init__(self, folder):
        self.node = Node()
        self.config, self.store = new_store(folder, [self.node])
        self.server = NetworkServer(GATEWAY_EUI, 60, "boot", wanted=Wanted(dev_status_every_s=0))
        with self.store.transaction() as ledger:
            server = JoinServer(0, DevAddrBlock(0x01000000, 65536), 60)
            joined = server.answer(reception(self.node.join_request()), ledger)
        self.node.joined(joined.answer.variants[0].phy_payload)
        self.served = 0

    def serve(self, received):
        self.served += 1
        return self.server.handle(received, self.store.ledger)

    def run(self, scenario):
        """``scenario(arrivals)`` in an event loop, with the writer's thread."""

        async def main():
            writer = GroupCommit(self.store.transactions)
            try:
                return await scenario(Arrivals(writer, self.server, self.serve))
            finally:
                await writer.close()

        return asyncio.run(main())

    def stored(self):
        return [message.key.f_cnt for message in uplinks_in(self.store)]


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.store.close()


class TestCopies:
    def test_that_come_while_the_first_is_stored_wait_for_it_and_take_no_transaction(self, bench):
        phy_payload = bench.node.uplink()

        async def scenario(arrivals):
            begun = [arrivals.begin(reception(phy_payload))]
            begun += [arrivals.begin(reception(phy_payload, concentrator=other)) for other in OTHERS]
            return [await one for one in begun]

        outcomes = bench.run(scenario)

        assert [type(outcome) for outcome in outcomes] == [Accepted, Copy, Copy]
        assert {outcome.key for outcome in outcomes} == {outcomes[0].key}
        assert (bench.served, bench.stored()) == (1, [0])

    def test_that_come_later_take_no_transaction(self, bench):
        phy_payload = bench.node.uplink()

        async def scenario(arrivals):
            await arrivals.begin(reception(phy_payload))
            return [await arrivals.begin(reception(phy_payload, concentrator=other)) for other in OTHERS]

        assert [type(outcome) for outcome in bench.run(scenario)] == [Copy, Copy]
        assert bench.served == 1

    def test_are_counted_in_the_answer_to_the_next_link_check(self, bench):
        phy_payload = bench.node.uplink()

        async def scenario(arrivals):
            for name in ("0016c001ff10b001", *OTHERS):
                await arrivals.begin(reception(phy_payload, concentrator=name))
            return await arrivals.begin(reception(bench.node.uplink(f_opts=b"\x02")))

        (answer,) = bench.run(scenario).answer.variants

        assert bench.node.open_downlink(answer.phy_payload, 0).fhdr.f_opts == bytes([0x02, 17, 3])  # 5 + 12.5 dB

    def test_are_replays_when_they_are_too_late(self, bench):
        phy_payload = bench.node.uplink()

        async def scenario(arrivals):
            await arrivals.begin(reception(phy_payload))
            await arrivals.begin(reception(phy_payload, concentrator=OTHERS[0], gps_ms=1_455_000_061_000))

        with pytest.raises(Refused, match="replay"):
            bench.run(scenario)

    def test_that_the_node_itself_has_sent_again_are_answered_again(self, bench):
        phy_payload = bench.node.uplink(confirmed=True)

        async def scenario(arrivals):
            await arrivals.begin(reception(phy_payload))
            return await arrivals.begin(reception(phy_payload, tmst_us=5_000_000, gps_ms=1_455_000_004_500))

        again = bench.run(scenario)

        assert isinstance(again, Copy)
        assert again.answer is not None
        assert bench.served == 2


class TestFailures:
    def test_a_copy_is_stored_if_the_first_could_not_be(self, bench):
        """Database locked: nobody else would bring the frame."""
        phy_payload = bench.node.uplink()
        bench.store.connection.execute("PRAGMA busy_timeout = 50")
        other_process = sqlite3.connect(bench.store.path, isolation_level=None)
        other_process.execute("BEGIN IMMEDIATE")

        async def scenario(arrivals):
            first = arrivals.begin(reception(phy_payload))
            first.add_done_callback(lambda _: other_process.execute("ROLLBACK"))
            copy = arrivals.begin(reception(phy_payload, concentrator=OTHERS[0]))
            with pytest.raises(StoreError, match="is locked: another program holds it"):
                await first
            return await copy

        outcome = bench.run(scenario)
        other_process.close()

        assert isinstance(outcome, Accepted)
        assert bench.stored() == [0]

    def test_no_copy_is_merged_into_what_was_rolled_back(self, bench):
        """The writer has accepted it, but COMMIT has failed."""
        phy_payload = bench.node.uplink()
        bench.store.connection.execute("PRAGMA busy_timeout = 50")
        reading = sqlite3.connect(bench.store.path, isolation_level=None)

        async def scenario(arrivals):
            bench.store.connection.execute("PRAGMA journal_mode = DELETE")  # here a reader hinders COMMIT itself
            reading.execute("BEGIN")
            reading.execute("SELECT * FROM devices").fetchall()
            with pytest.raises(StoreError, match="is locked: another program holds it"):
                await arrivals.begin(reception(phy_payload))
            served = bench.served
            reading.execute("COMMIT")
            return served, await arrivals.begin(reception(phy_payload, concentrator=OTHERS[0]))

        served, outcome = bench.run(scenario)
        reading.close()

        assert served == 1
        assert isinstance(outcome, Accepted)
        assert bench.stored() == [0]

    def test_a_refused_frame_is_refused_through_every_concentrator(self, bench):
        stranger = Node(9).uplink()

        async def scenario(arrivals):
            begun = [arrivals.begin(reception(stranger, concentrator=name)) for name in OTHERS]
            return await asyncio.gather(*begun, return_exceptions=True)

        assert [refused.reason for refused in bench.run(scenario)] == ["unknown_dev_addr"] * 2
