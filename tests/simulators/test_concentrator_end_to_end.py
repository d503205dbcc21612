# SPDX-License-Identifier: EUPL-1.2
"""A node's radio, the air, a concentrator and a network server: what comes of a packet on its whole way."""

import base64

import pytest

from simulators.air import Air
from simulators.clock import Clock
from simulators.concentrator import Concentrator
from tests.simulators.gwmp_server import EPOCH, EUI, Server, txpk
from tests.simulators.sx1262_host import Host


class TestEndToEnd:
    """One SX1262, the air, one concentrator and a network server; commands by hand from the data sheet."""

    @pytest.fixture
    def node(self, clock, air):
        host = Host(clock, air, (500.0, 0.0))
        host.power_up()
        return host

    def send(self, node):
        """Transmit 12 bytes; return when the packet ended, us."""
        node.tune(length=12)
        node.command("0E 00 40 41 42 43 44 45 46 47 48 49 4A 4B")
        node.command("83 00 00 00")
        node.wait()
        node.run(41_216)
        ended = node.rises_us[-1]
        node.command("02 FF FF")
        return ended

    def listen(self, node, at_us, *, symbols=8, uplink=False):
        """Open a window of that many symbols so that the receiver listens exactly at ``at_us``."""
        node.command("80 01")  # STDBY_XOSC: 62 us to RX
        node.tune(uplink=uplink)
        node.command(f"A0 {symbols:02X}")
        node.wait()
        node.clock.run_until(at_us - 62 - 6)  # 4 bytes and the call take 6 us
        node.raw("82 00 00 00")
        node.wait()
        assert (node.chip.mode, node.clock.now_us) == ("rx", at_us)

    def answer_in_rx1(self, server):
        server.downlinks = lambda rxpk: [txpk(tmst=rxpk["tmst"] + 1_000_000)]

    def test_an_uplink_reaches_the_server(self, clock, node, server, build):
        build()

        self.send(node)

        assert [base64.b64decode(rxpk["data"]) for rxpk in server.rxpks()] == [b"@ABCDEFGHIJK"]

    @pytest.mark.parametrize("early_us", [-20, 0, 20])
    def test_the_downlink_is_received_in_a_window_opened_after_the_exact_delay(
        self, clock, node, server, build, early_us
    ):
        build()
        self.answer_in_rx1(server)
        ended = self.send(node)

        self.listen(node, ended + 1_000_000 - early_us)
        node.run(100_000)

        assert node.irq() == 0x0016  # RxDone, PreambleDetected, HeaderValid
        assert node.command("13 00 00 00")[2:] == b"\x0c\x00"
        assert node.command("1E 00 00" + "00" * 12)[3:] == bytes(range(12))
        assert node.chip.refusals == []
        assert node.chip.degradations == []

    @pytest.mark.parametrize(("late_symbols", "irq"), [(3, 0x0016), (6, 0x0200)])
    def test_a_window_may_be_three_symbols_late_but_not_six(self, clock, node, server, build, late_symbols, irq):
        build()
        self.answer_in_rx1(server)
        ended = self.send(node)

        self.listen(node, ended + 1_000_000 + late_symbols * 1024)
        node.run(100_000)

        assert node.irq() == irq

    def test_the_downlink_is_missed_with_standard_polarity(self, clock, node, server, build):
        build()
        self.answer_in_rx1(server)
        ended = self.send(node)

        self.listen(node, ended + 1_000_000, uplink=True)
        node.run(100_000)

        assert node.irq() == 0x0200  # Timeout

    def test_two_runs_are_equal_to_the_byte(self, build):
        def run():
            clock = Clock()
            air = Air(clock, seed=7)
            with Server() as server:
                self.answer_in_rx1(server)
                log = []
                concentrator = Concentrator(
                    clock, air, EUI, server.address, epoch_unix_s=EPOCH, lockstep=True,
                    on_uplink=lambda time_us, phy: log.append((time_us, phy)),
                )  # fmt: skip
                node = Host(clock, air, (400.0, 300.0))
                node.power_up()
                for _ in range(3):
                    ended = self.send(node)
                    self.listen(node, ended + 1_000_000)
                    node.run(100_000)
                    log.append((node.irq(), node.command("14 00 00 00 00")))
                    node.command("02 FF FF")
                concentrator.close()
                return log, [body for _, _, body in server.received if body]

        assert run() == run()
