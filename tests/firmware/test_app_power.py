# SPDX-License-Identifier: EUPL-1.2
"""The firmware as it ships against power that fails anywhere, and what a year of it does to the flash."""

import pytest

from firmware.provisioning import pack_identity
from simulators.micropython import _ops
from tests.firmware.heltec_bench import Street
from tests.firmware.lorawan_peer import APP_KEY, IDENTITY

RUN_S = 60  # from power-up over join, uplink and downlink to the first long sleep
BACK_S = 200  # what a power cut may cost: the pause that the longest frame at SF7 demands, and a join
BUSES = {
    _ops.SPI_TRANSFER, _ops.SPI_WRITE, _ops.UART_STATE, _ops.UART_READ, _ops.UART_SETUP, _ops.UART_WRITE, _ops.ADC_READ,
    _ops.ONEWIRE_RESET, _ops.ONEWIRE_READ, _ops.ONEWIRE_WRITE, _ops.RTC_SIZE, _ops.RTC_READ, _ops.RTC_WRITE,
}  # fmt: skip


class Lab:
    """One long-lived street, set back to the factory's flash before every experiment."""

    def __init__(self, folder):
        self.street = Street(folder)
        self.factory = self.street.node.flash.image()
        self.committed_after = 1 << 30
        self._watch()

    def _watch(self):
        network, flash = self.street.network, self.street.node.flash
        original = network._ended

        def ended(sent):
            original(sent)
            if network.heard_uplinks and self.first_uplink_flash is None:
                self.first_uplink_flash = flash.operations - self.flash_start

        network._ended = ended

    def fresh(self):
        """Power off, flash as from the factory, a network that knows nothing."""
        street = self.street
        street.node.power_off()
        street.node.cut_at_operation = street.node.flash.cut_at = None
        street.run(10)
        street.node.flash.restore(self.factory)
        network = street.network
        network.sessions, network.join_requests, network.heard_uplinks, network.downlinks = [], [], [], 0
        self.flash_start = street.node.flash.operations
        self.start = street.node.operations
        self.first_uplink_flash = None

    def baseline(self):
        """(numbers of the bus transfers, count of flash operations) of an undisturbed run.

        Also learns after which flash operation the session is safe.
        """
        self.fresh()
        node = self.street.node
        apply, transfers = node.board.apply, []

        def noted(op, *arguments):
            if op in BUSES:
                transfers.append(node.operations - 1 - self.start)
            return apply(op, *arguments)

        node.board.apply = noted
        node.power_on()
        self.street.run(RUN_S)
        node.board.apply = apply
        assert self.street.f_cnts() == [0, 1]
        self.committed_after = self.first_uplink_flash
        return transfers, node.flash.operations - self.flash_start

    def judge(self):
        """Run until the power has failed, then power up for good; complain about whatever is not right then."""
        street = self.street
        network = street.network
        street.node.power_on()
        street.run(RUN_S)
        committed = street.node.flash.operations - self.flash_start > self.committed_after
        joins, heard = len(network.join_requests), len(network.heard_uplinks)
        street.node.power_off()
        street.node.cut_at_operation = street.node.flash.cut_at = None
        street.node.power_on()
        street.run(BACK_S)
        nonces = [dev_nonce for _, dev_nonce in network.join_requests]
        assert nonces == sorted(set(nonces)), "a DevNonce twice"
        assert not committed or len(network.join_requests) == joins, "a needless join"
        after = street.f_cnts()[heard:]
        assert after, "it did not come back"
        if len(network.join_requests) == joins:
            assert street.f_cnts() == sorted(set(street.f_cnts())), "an FCntUp twice"
        assert street.node.statistics.crashes == []


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    one = Lab(tmp_path_factory.mktemp("lab"))
    yield one
    one.street.kernel.close()


class TestPowerCutAnywhere:
    """Every bus transfer and every flash operation of join, uplink and downlink, one power cut each."""

    def test_before_any_bus_transfer(self, lab):
        transfers, _ = lab.baseline()

        for number in transfers:
            lab.fresh()
            lab.street.node.cut_at_operation = lab.start + number
            lab.judge()

        assert len(transfers) > 300

    def test_before_every_eleventh_operation_of_any_kind(self, lab):
        lab.baseline()
        operations = lab.street.node.operations - lab.start

        for number in range(0, operations, 11):
            lab.fresh()
            lab.street.node.cut_at_operation = lab.start + number
            lab.judge()

    def test_in_the_middle_of_any_flash_operation(self, lab):
        _, flash_operations = lab.baseline()

        for number in range(flash_operations):
            lab.fresh()
            lab.street.node.flash.cut_at = lab.flash_start + number
            lab.judge()

        assert flash_operations >= 8

    def test_again_and_again(self, lab):
        lab.fresh()
        node, network = lab.street.node, lab.street.network
        for number in range(0, 900, 30):
            node.cut_at_operation = node.operations + number
            node.power_on()
            lab.street.run(RUN_S)
            node.power_off()
        node.cut_at_operation = None
        node.power_on()
        lab.street.run(2 * BACK_S)

        nonces = [dev_nonce for _, dev_nonce in network.join_requests]
        assert nonces == sorted(set(nonces))
        assert lab.street.f_cnts() == sorted(set(lab.street.f_cnts()))
        assert lab.street.f_cnts()


class TestFlashWear:
    """A block of NOR flash bears 100,000 erasures; a year of uplinks every 15 minutes must stay under a tenth."""

    def test_five_hundred_uplinks_wear_a_year_under_a_tenth(self, tmp_path):
        street = Street(tmp_path, identity=pack_identity(IDENTITY.dev_eui, IDENTITY.join_eui, APP_KEY, 900))
        try:
            street.node.power_on()
            street.run(500 * 900)
            uplinks = len(street.f_cnts())
            most = max(street.node.flash.erases)
            total = sum(street.node.flash.erases)
        finally:
            street.kernel.close()

        assert uplinks >= 495
        assert total > 0
        assert most * 35_040 / uplinks < 10_000
