# SPDX-License-Identifier: EUPL-1.2
"""Chip and board faults under the real firmware: whatever breaks, the next uplink comes when it is due.

A fault that costs an exchange is counted; one that costs nothing (that exchange's downlink arrives) need not be.
"""

import pytest

from simulators.device import Device
from simulators.firmware_build import build_rom
from simulators.node import ResetCause
from simulators.small_network import SmallNetwork
from tests.firmware.lorawan_peer import APP_KEY, IDENTITY
from tests.simulators.node_memory import memory_of

S = 1_000_000
INTERVAL_US = 900 * S
BEFORE_US = 10 * S  # a fault that begins so long before an uplink meets the node asleep
GET_IRQ_STATUS, GET_DEVICE_ERRORS, READ_REGISTER = 0x12, 0x17, 0x1D
GONE_AFTER_US = 60 * S


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    return build_rom(tmp_path_factory.mktemp("firmware"))


class Life:
    """A joined node with network time; every uplink gets a downlink, and the fault comes with the third from now."""

    def __init__(self, firmware, folder):
        self.device = Device(IDENTITY.dev_eui, IDENTITY.join_eui, APP_KEY, interval_s=900, seed=3, firmware=firmware)
        self.folder = folder
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
        return memory_of(self.device.node.bench, self.folder).radio_faults

    def until_before_the_next_uplink(self):
        self.device.run_until(self.due_us - BEFORE_US)

    def a_minute_and_the_interval(self, repair=None):
        """The fault lasts a minute; then one uplink interval may pass."""
        self.device.run_until(self.due_us + GONE_AFTER_US)
        self.during = self.faults_counted()
        if repair is not None:
            repair()
        known = self.network.downlinks_received
        self.device.run_until(self.due_us + INTERVAL_US + GONE_AFTER_US)
        self.heard_since = self.network.downlinks_received - known

    def assert_counted_or_harmless(self):
        """``heard_since`` is 1 if the uplink after the fault confirms the downlink of the exchange with the fault."""
        assert self.during == 1 or (self.during == 0 and self.heard_since == 1)

    def assert_recovered(self):
        """The uplink of the interval after the fault came on time, in the same session, with a new counter."""
        bench = self.device.node.bench
        last = self.uplinks[-1]
        assert abs(last.time_us - self.due_us - INTERVAL_US) < 5 * S
        counters = [uplink.phy_payload[6:8] for uplink in self.uplinks if uplink.phy_payload[0] >> 5 == 2]
        assert len(set(counters)) == len(counters)
        assert self.network.join_requests == 1
        assert self.network.refused == 0
        assert bench.statistics.crashes == []
        assert bench.statistics.boots[ResetCause.WATCHDOG] == 0
        self.device.run_until(self.due_us + 2 * INTERVAL_US + GONE_AFTER_US)
        assert self.network.downlinks_received >= 1 + self.received_before
        assert abs(self.uplinks[-1].time_us - self.due_us - 2 * INTERVAL_US) < 5 * S


@pytest.fixture
def life(firmware, tmp_path):
    made = Life(firmware, tmp_path)
    made.received_before = made.network.downlinks_received
    yield made
    made.device.close()


class TestBusyStuck:
    def test_before_the_radio_is_woken(self, life):
        life.until_before_the_next_uplink()
        life.device.faults.busy.stick(1)

        life.a_minute_and_the_interval(life.device.faults.busy.release)

        assert life.during == 1
        life.assert_recovered()

    def test_while_it_sends(self, life):
        life.on_uplink.append(lambda: life.device.faults.busy.stick(1))

        life.a_minute_and_the_interval(life.device.faults.busy.release)

        assert life.during == 1
        life.assert_recovered()

    def test_while_it_listens(self, life):
        life.on_window.append(lambda: life.device.faults.busy.stick(1))

        life.a_minute_and_the_interval(life.device.faults.busy.release)

        assert life.during == 1
        life.assert_recovered()


class TestInterrupts:
    def test_a_line_that_never_rises(self, life):
        life.until_before_the_next_uplink()
        life.device.faults.dio1.stick(0)

        life.a_minute_and_the_interval(life.device.faults.dio1.release)

        life.assert_counted_or_harmless()
        life.assert_recovered()

    def test_a_line_that_is_always_high(self, life):
        life.until_before_the_next_uplink()
        life.device.faults.dio1.stick(1)

        life.a_minute_and_the_interval(life.device.faults.dio1.release)

        life.assert_counted_or_harmless()
        life.assert_recovered()

    def test_a_spurious_one_while_it_sends(self, life):
        life.on_uplink.append(lambda: life.device.faults.dio1.glitch(1, 20_000))

        life.a_minute_and_the_interval()

        life.assert_counted_or_harmless()
        life.assert_recovered()

    def test_a_spurious_one_while_it_listens(self, life):
        life.on_window.append(lambda: life.device.faults.dio1.glitch(1, 5_000))

        life.a_minute_and_the_interval()

        life.assert_counted_or_harmless()
        life.assert_recovered()


class TestWrongStatus:
    @pytest.mark.parametrize("reply", [b"\xff", b"\x00"])
    def test_of_the_interrupts(self, life, reply):
        life.on_uplink.append(lambda: life.device.faults.spi.spoil(GET_IRQ_STATUS, reply, 12))

        life.a_minute_and_the_interval()

        assert life.device.faults.spi.spoiled >= 1
        life.assert_counted_or_harmless()
        life.assert_recovered()

    def test_of_the_device(self, life):
        life.until_before_the_next_uplink()
        life.device.faults.spi.spoil(GET_DEVICE_ERRORS, b"\x01")

        life.a_minute_and_the_interval()

        assert life.device.faults.spi.spoiled == 1
        assert life.during == 1
        life.assert_recovered()


class TestReset:
    @pytest.mark.parametrize("transfer", [0, 1, 7, 16, 23, 31, 38, 45, 52])
    def test_in_the_middle_of_a_transfer(self, life, transfer):
        life.until_before_the_next_uplink()
        life.device.faults.spi.reset_in(transfer)

        life.a_minute_and_the_interval()

        assert life.device.faults.spi.resets == 1
        life.assert_counted_or_harmless()
        life.assert_recovered()

    def test_while_it_sends(self, life):
        life.on_uplink.append(life.device.faults.spi.reset_now)

        life.a_minute_and_the_interval()

        assert life.during == 1
        life.assert_recovered()

    def test_while_it_listens(self, life):
        life.on_window.append(life.device.faults.spi.reset_now)

        life.a_minute_and_the_interval()

        assert life.during == 1
        life.assert_recovered()
