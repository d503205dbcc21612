# SPDX-License-Identifier: EUPL-1.2
"""A joined node and a network server on a real database."""

import pytest

from gateway.command import open_database
from gateway.config import DevAddrBlock
from gateway.errors import Refused
from gateway.join_server import JoinServer
from gateway.mac_control import Wanted
from gateway.network_server import NetworkServer
from tests.gateway.nodes import GATEWAY_EUI, new_store, reception, uplinks_in

OTHER = "0016c001ff10b002"
NO_STATUS = Wanted(dev_status_every_s=0)


class Bench:
    """A joined node and a network server on a database; ``handle`` is one transaction."""

    def __init__(self, folder, node):
        self.config, self.store = new_store(folder, [node])
        self.node = node
        self.restart()
        self.join()

    def restart(self, wanted=NO_STATUS):
        self.store.close()
        self.store = open_database(self.config)
        self.server = NetworkServer(GATEWAY_EUI, 60, "boot", wanted=wanted)

    def join(self):
        server = JoinServer(0, DevAddrBlock(0x01000000, 65536), 60)
        with self.store.transaction() as ledger:
            joined = server.answer(reception(self.node.join_request()), ledger)
        self.node.joined(joined.answer.variants[0].phy_payload)

    def handle(self, phy_payload, **fields):
        with self.store.transaction() as ledger:
            return self.server.handle(reception(phy_payload, **fields), ledger)

    def refusal(self, phy_payload, **fields):
        with pytest.raises(Refused) as refused:
            self.handle(phy_payload, **fields)
        return refused.value.reason

    def messages(self):
        return uplinks_in(self.store)

    def session(self):
        return self.store.ledger.sessions(self.node.dev_addr)[0].session

    def f_cnt_up(self):
        return self.store.ledger.sessions(self.node.dev_addr)[0].f_cnt_up
