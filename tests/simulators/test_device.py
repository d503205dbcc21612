# SPDX-License-Identifier: EUPL-1.2
"""The seam for outside benches: what the node sends, when it listens, and downlinks, in virtual time."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from simulators.device import Device, NotLoRa, TooLate, TooLong, UnknownBoard, Uplink, Window
from simulators.firmware_build import build_rom
from simulators.small_network import SmallNetwork
from tests.firmware.lorawan_peer import APP_KEY, IDENTITY, join_accept

ROOT = Path(__file__).parent.parent.parent
S = 1_000_000
MINUTE = 60 * S
INTERVAL_S = 900


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    return build_rom(tmp_path_factory.mktemp("firmware"))


@pytest.fixture
def device(firmware):
    with Device(IDENTITY.dev_eui, IDENTITY.join_eui, APP_KEY, interval_s=INTERVAL_S, seed=7, firmware=firmware) as made:
        yield made


def lived(device, until_us):
    """Everything the node does until then, answered by the small network."""
    network = SmallNetwork(device, APP_KEY, gps_at_0=1_450_000_000)
    events = []
    device.power_on()
    for event in device.events(until_us):
        events.append((device.now_us, event))
        if isinstance(event, Uplink):
            network.heard(event)
    return network, events


class TestUplinks:
    def test_a_join_request_is_told_when_its_first_symbol_starts(self, device):
        device.power_on()

        event = next(event for event in device.events(MINUTE) if isinstance(event, Uplink))

        assert event.phy_payload[0] == 0x00
        assert len(event.phy_payload) == 23
        assert event.frequency_hz in (868_100_000, 868_300_000, 868_500_000)
        assert event.dr == 5
        assert event.end_us - event.time_us == 61_696  # SF7, 23 bytes, CRC on: Semtech's LoRa calculator
        assert 10 <= event.power_dbm <= 16
        assert device.now_us == event.time_us

    def test_a_node_without_power_says_nothing(self, device):
        assert list(device.events(10 * MINUTE)) == []

    def test_power_off_ends_it_at_once_and_power_on_starts_anew(self, device):
        device.power_on()
        first = next(device.events(MINUTE))
        device.power_off()
        silence = list(device.events(5 * MINUTE))
        device.power_on()

        second = next(device.events(10 * MINUTE))

        assert silence == []
        assert first.phy_payload[17:19] == b"\x00\x00"  # DevNonce
        assert second.phy_payload[17:19] == b"\x01\x00"

    def test_callbacks_hear_the_same_as_the_iterator(self, firmware):
        told = []
        with Device(
            IDENTITY.dev_eui,
            IDENTITY.join_eui,
            APP_KEY,
            firmware=firmware,
            on_transmit=told.append,
            on_listen=told.append,
        ) as device:
            device.power_on()
            seen = list(device.events(MINUTE))

        assert told == seen
        assert len(seen) >= 3


class TestWindows:
    """TS001 "Receive windows": the join's open 5 s and 6 s after the end of the request."""

    def test_both_windows_of_a_join_are_told_when_they_open(self, device):
        device.power_on()
        events = device.events(MINUTE)

        uplink, rx1, rx2 = next(events), next(events), next(events)

        assert isinstance(rx1, Window)
        assert isinstance(rx2, Window)
        assert (rx1.frequency_hz, rx1.dr) == (uplink.frequency_hz, 5)
        assert (rx2.frequency_hz, rx2.dr) == (869_525_000, 0)
        for window, delay_us in ((rx1, 5 * S), (rx2, 6 * S)):
            due = uplink.end_us + delay_us
            assert due - 150_000 < window.time_us < due + 8 * 32_768
            assert window.time_us + window.length_us > due
            assert 5 * 1024 <= window.length_us < 1 * S


class TestDownlinks:
    def test_a_join_accept_at_the_start_of_rx1_is_received(self, device):
        device.power_on()
        events = device.events(3 * MINUTE)
        request = next(events)

        device.deliver(request.end_us + 5 * S, request.frequency_hz, 5, join_accept())

        uplink = next(event for event in events if isinstance(event, Uplink))
        assert uplink.phy_payload[0] >> 5 == 0b010  # unconfirmed data up
        assert uplink.phy_payload[1:5] == (0x26011A2B).to_bytes(4, "little")

    def test_a_downlink_too_weak_to_hear_is_lost(self, device):
        device.power_on()
        events = device.events(MINUTE)
        request = next(events)

        device.deliver(request.end_us + 5 * S, request.frequency_hz, 5, join_accept(), power_dbm=-140.0)

        after = list(events)
        assert [type(event) for event in after[:2]] == [Window, Window]
        assert device.node.bench.console() == ""

    def test_what_should_have_started_already_is_refused(self, device):
        device.run_until(MINUTE)

        with pytest.raises(TooLate, match="60000000"):
            device.deliver(MINUTE - 1, 868_100_000, 5, b"\x60")

    def test_a_data_rate_that_the_radio_has_not_is_refused(self, device):
        with pytest.raises(NotLoRa, match="DR99"):
            device.deliver(MINUTE, 868_100_000, 99, b"\x60")

    def test_a_downlink_longer_than_a_lora_frame_is_refused(self, device):
        with pytest.raises(TooLong, match="256 bytes; a LoRa frame holds 255"):
            device.deliver(MINUTE, 868_100_000, 5, bytes(256))

    def test_a_board_that_is_not_there_is_refused(self):
        with pytest.raises(UnknownBoard, match="no board 'nope'"):
            Device(IDENTITY.dev_eui, IDENTITY.join_eui, APP_KEY, board="nope")


class TestRepeatability:
    def test_the_same_start_gives_the_same_events(self, firmware):
        runs = []
        for _ in range(2):
            with Device(IDENTITY.dev_eui, IDENTITY.join_eui, APP_KEY, seed=7, firmware=firmware) as device:
                network, events = lived(device, 4 * 3600 * S)
                runs.append((events, device.node.bench.operations, list(device.node.bench.flash.erases)))

        assert runs[0] == runs[1]
        assert network.uplinks >= 14

    def test_every_event_stands_at_its_own_time(self, device):
        _, events = lived(device, 3600 * S)

        assert all(now_us == event.time_us for now_us, event in events)


class TestReadme:
    def test_the_network_in_the_readme_joins_the_node_and_gets_three_uplinks(self, tmp_path):
        readme = (ROOT / "simulators" / "README.md").read_text("utf-8")
        script = tmp_path / "network.py"
        script.write_text(re.search(r"```python\n(.*?)```", readme, re.DOTALL)[1])

        done = subprocess.run(
            [sys.executable, script],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        assert done.stderr == ""
        lines = [line.split() for line in done.stdout.splitlines()]
        assert [line[3] for line in lines] == ["0", "1", "2"]
        assert {line[5] for line in lines} == {"6"}  # diagnostics: it tells no time
        assert len(script.read_text().splitlines()) <= 32
