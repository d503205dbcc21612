# SPDX-License-Identifier: EUPL-1.2
"""Chip and board faults under the real firmware: whatever breaks is counted, and the next uplink comes when it is due.

Each fault counts once, also one that costs nothing; what nobody breaks counts nothing, for days.
"""

import pytest

from simulators.chips.sx1262_commands import SLEEP_COLD
from simulators.device import Device
from simulators.firmware_build import build_rom
from simulators.micropython import _ops
from simulators.node_memory import memory_of
from simulators.node_states import ResetCause
from simulators.small_network import SmallNetwork
from tests.firmware.lorawan_peer import APP_KEY, IDENTITY

S = 1_000_000
INTERVAL_US = 900 * S
BEFORE_US = 10 * S  # a fault that begins so long before an uplink meets the node asleep
GET_PACKET_TYPE, GET_IRQ_STATUS, GET_RX_BUFFER_STATUS, GET_PACKET_STATUS, GET_DEVICE_ERRORS = (
    0x11,
    0x12,
    0x13,
    0x14,
    0x17,
)
READ_REGISTER, READ_BUFFER = 0x1D, 0x1E
SPI = (_ops.SPI_WRITE, _ops.SPI_TRANSFER)
GONE_AFTER_US = 60 * S


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    return build_rom(tmp_path_factory.mktemp("firmware"))


class Life:
    """A joined node with network time; every uplink gets a downlink, and the fault comes with the third from now."""

    def __init__(self, firmware):
        self.device = Device(IDENTITY.dev_eui, IDENTITY.join_eui, APP_KEY, interval_s=900, seed=3, firmware=firmware)
        self.network = SmallNetwork(self.device, APP_KEY, downlink_share=1.0, gps_at_0=1_450_000_000)
        self.uplinks = []
        self.windows = []
        self.on_uplink = []
        self.on_window = []
        self.device.on_transmit = self._sent
        self.device.on_listen = self._listens
        self.device.power_on()
        self.device.run_until(4 * INTERVAL_US)
        self.due_us = self.uplinks[-1].time_us + INTERVAL_US
        assert self.network.join_requests == 1
        assert self.faults_counted() == 0

    def _sent(self, uplink):
        self.uplinks.append(uplink)
        self.network.heard(uplink)
        while self.on_uplink:
            self.on_uplink.pop()()

    def _listens(self, window):
        self.windows.append(window)
        while self.on_window:
            self.on_window.pop()()

    def faults_counted(self):
        return memory_of(self.device.node.bench).counters.radio_faults

    def transfers(self):
        """How many SPI transfers there were since the beginning."""
        return sum(self.device.node.bench.board.applied[op] for op in SPI)

    def until_before_the_next_uplink(self):
        self.device.run_until(self.due_us - BEFORE_US)
        self.before = self.faults_counted()

    def a_minute_and_the_interval(self, repair=None):
        """The fault lasts a minute; then one uplink interval may pass."""
        self.device.run_until(self.due_us + GONE_AFTER_US)
        self.counted = self.faults_counted() - self.before
        if repair is not None:
            repair()
        self.device.run_until(self.due_us + INTERVAL_US + GONE_AFTER_US)

    def assert_counted_and_recovered(self, *, found_awake=False):
        """The fault was counted once; then the uplink came on time, in the same session, with a new counter.

        Its downlink was received, as the one after it says. Nothing more was counted, unless the broken line kept
        the radio from being sent to sleep and it was ``found_awake``.
        """
        bench = self.device.node.bench
        assert self.counted == 1
        assert abs(self.uplinks[-1].time_us - self.due_us - INTERVAL_US) < 5 * S
        received = self.network.downlinks_received
        self.due_us += 2 * INTERVAL_US
        self.device.run_until(self.due_us + GONE_AFTER_US)
        assert self.network.downlinks_received == received + 1
        assert abs(self.uplinks[-1].time_us - self.due_us) < 5 * S
        counters = [uplink.phy_payload[6:8] for uplink in self.uplinks if uplink.phy_payload[0] >> 5 == 2]
        assert len(set(counters)) == len(counters)
        assert self.network.join_requests == 1
        assert self.network.refused == 0
        assert bench.statistics.crashes == []
        assert bench.statistics.boots[ResetCause.WATCHDOG] == 0
        assert self.faults_counted() == self.before + 1 + found_awake
        assert self.device.node.radio.mode == SLEEP_COLD
        self.due_us = self.uplinks[-1].time_us + INTERVAL_US


@pytest.fixture
def life(firmware):
    made = Life(firmware)
    yield made
    made.device.close()


class TestNoFault:
    def test_nothing_is_counted_in_a_day(self, life):
        life.device.run_until(life.due_us + 96 * INTERVAL_US)

        assert life.faults_counted() == 0
        assert len(life.uplinks) > 96
        assert life.device.node.bench.console() == ""

    def test_nor_if_nobody_answers(self, life):
        life.network.answering = False
        life.device.run_until(life.due_us + 20 * INTERVAL_US)

        assert life.faults_counted() == 0
        assert life.device.node.bench.console() == ""


class TestBusyStuck:
    @pytest.mark.parametrize("level", [0, 1])
    def test_before_the_radio_is_woken(self, life, level):
        life.until_before_the_next_uplink()
        life.device.faults.busy.stick(level)

        life.a_minute_and_the_interval(life.device.faults.busy.release)

        life.assert_counted_and_recovered(found_awake=True)

    @pytest.mark.parametrize("level", [0, 1])
    def test_while_it_sends(self, life, level):
        life.until_before_the_next_uplink()
        life.on_uplink.append(lambda: life.device.faults.busy.stick(level))

        life.a_minute_and_the_interval(life.device.faults.busy.release)

        life.assert_counted_and_recovered(found_awake=True)

    @pytest.mark.parametrize("level", [0, 1])
    def test_while_it_listens(self, life, level):
        life.until_before_the_next_uplink()
        life.on_window.append(lambda: life.device.faults.busy.stick(level))

        life.a_minute_and_the_interval(life.device.faults.busy.release)

        life.assert_counted_and_recovered(found_awake=True)


class TestInterrupts:
    @pytest.mark.parametrize("level", [0, 1])
    def test_a_line_that_never_moves(self, life, level):
        life.until_before_the_next_uplink()
        life.device.faults.dio1.stick(level)

        life.a_minute_and_the_interval(life.device.faults.dio1.release)

        life.assert_counted_and_recovered()

    @pytest.mark.parametrize("level", [0, 1])
    def test_a_line_that_sticks_while_it_listens(self, life, level):
        life.until_before_the_next_uplink()
        life.on_window.append(lambda: life.device.faults.dio1.stick(level))

        life.a_minute_and_the_interval(life.device.faults.dio1.release)

        life.assert_counted_and_recovered()

    def test_a_spurious_one_while_it_sends(self, life):
        """Towards the end: before, the processor sleeps lightly, and an edge then reaches nobody."""
        life.until_before_the_next_uplink()
        dio1 = life.device.faults.dio1
        life.on_uplink.append(lambda: life.device.at(life.uplinks[-1].end_us - 3_000, lambda: dio1.glitch(1, 1_000)))

        life.a_minute_and_the_interval()

        life.assert_counted_and_recovered()

    def test_a_spurious_one_while_it_listens(self, life):
        life.until_before_the_next_uplink()
        life.on_window.append(lambda: life.device.faults.dio1.glitch(1, 5_000))

        life.a_minute_and_the_interval()

        life.assert_counted_and_recovered()


class TestWrongStatus:
    @pytest.mark.parametrize("reply", [b"\xff", b"\x00"])
    @pytest.mark.parametrize(
        "command",
        [
            GET_PACKET_TYPE, GET_IRQ_STATUS, GET_RX_BUFFER_STATUS, GET_PACKET_STATUS, GET_DEVICE_ERRORS, READ_REGISTER,
            READ_BUFFER,
        ],
    )  # fmt: skip
    def test_of_any_answer(self, life, command, reply):
        life.until_before_the_next_uplink()
        life.device.faults.spi.spoil(command, reply)

        life.a_minute_and_the_interval()

        assert life.device.faults.spi.spoiled == 1
        life.assert_counted_and_recovered()

    def test_of_the_device(self, life):
        life.until_before_the_next_uplink()
        life.device.faults.spi.spoil(GET_DEVICE_ERRORS, b"\x21")  # the status of STDBY_RC, which is a wrong error, too

        life.a_minute_and_the_interval()

        assert life.device.faults.spi.spoiled == 1
        life.assert_counted_and_recovered()

    def test_of_interrupts_that_nobody_asked_for(self, life):
        life.until_before_the_next_uplink()
        life.device.faults.spi.spoil(GET_IRQ_STATUS, b"\x24")

        life.a_minute_and_the_interval()

        assert life.device.faults.spi.spoiled == 1
        life.assert_counted_and_recovered()


class TestReset:
    @pytest.mark.parametrize("answered", [True, False])
    def test_in_the_middle_of_any_transfer(self, life, answered):
        life.network.answering = answered
        before = life.transfers()
        life.device.run_until(life.due_us + GONE_AFTER_US)
        transfers = life.transfers() - before
        life.network.answering = True
        life.device.run_until(life.due_us + INTERVAL_US + GONE_AFTER_US)
        life.due_us = life.uplinks[-1].time_us + INTERVAL_US
        assert transfers > 50

        for number in range(transfers):
            life.until_before_the_next_uplink()
            life.network.answering = answered
            life.device.faults.spi.reset_in(number)
            life.device.run_until(life.due_us + GONE_AFTER_US)
            life.network.answering = True
            life.a_minute_and_the_interval()
            assert life.device.faults.spi.resets == number + 1
            life.assert_counted_and_recovered()

    def test_while_it_sends(self, life):
        life.until_before_the_next_uplink()
        life.on_uplink.append(life.device.faults.spi.reset_now)

        life.a_minute_and_the_interval()

        life.assert_counted_and_recovered()

    def test_while_it_listens(self, life):
        life.until_before_the_next_uplink()
        life.on_window.append(life.device.faults.spi.reset_now)

        life.a_minute_and_the_interval()

        life.assert_counted_and_recovered()

    def test_while_it_sleeps(self, life):
        life.until_before_the_next_uplink()
        life.device.faults.spi.reset_now()

        life.a_minute_and_the_interval()

        life.assert_counted_and_recovered()
