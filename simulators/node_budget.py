# SPDX-License-Identifier: EUPL-1.2
"""In how little heap a node lives and does everything that it must: the budgets of memory, by measurement.

A trial of each kind of node joins (with a CFList) and sends confirmed uplinks. The network orders LinkADR, DevStatus,
RXParamSetup and RXTimingSetup in one downlink and settings in another, is silent for longer than a message's history
covers, and at last asks for old samples once more. A heap is enough if the node did it all and nothing was raised: so
what lies between two collections is counted, and the gaps. Heaps are thousands of words (``-X heapsize=52wK``), a
32-bit board's kB; the bench's own modules are in it.
"""

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from decoders import settings_message
from decoders.layouts import of
from decoders.lorawan import frame, mac_commands
from decoders.lorawan.gps_time import gps_from_unix
from decoders.lorawan.region import cf_list
from decoders.profiles import BY_F_PORT, decode
from decoders.settings import F_PORT
from simulators.city import START_UNIX_S
from simulators.device import Device, Uplink
from simulators.firmware_build import REPOSITORY, build_rom
from simulators.nodes import World, alone
from simulators.small_network import SmallNetwork

HEAP_WK = 64  # a board's
_TOO_LITTLE_WK = 32
FREE_KB = {"tree": 16, "air": 12, "tubes": 12, "radar": 12}  # what must stay free of it, by what the node senses with

_INTERVAL_S = 300
_HISTORY = 8  # samples of a message
_SILENT_US = (2_400_000_000, 5_400_000_000)  # 10 samples
_ASKS_AGAIN_US = 7_200_000_000
_END_US = 8_400_000_000
_AGAIN_S = 1_200
_ENOUGH_UPLINKS = 20
# TS001-1.0.4 "MAC Commands". LinkADRReq: DR5, full power, channels 0 to 2, one transmission; DevStatusReq;
# RXParamSetupReq: RX1 as the uplink, RX2 869.525 MHz at DR0; RXTimingSetupReq: 1 s
_ORDERS = bytes.fromhex("035007000106 0500d2ad840801")
_ANSWERS = {
    mac_commands.LINK_ADR: b"\x07",
    mac_commands.RX_PARAM_SETUP: b"\x07",
    mac_commands.RX_TIMING_SETUP: b"",
}
_MOST_FOPTS = 15
_MORE_CHANNELS_HZ = (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000)
_CHANGES: list[tuple[object, ...]] = [
    ("history", _HISTORY),
    ("average", 2),
    ("threshold", "battery_voltage", "below", 2.0),
    ("calibration", "battery_voltage", 1.0, 0.0),
]


class _Demanding(SmallNetwork):
    """A network that asks for whatever a network may ask for."""

    def __init__(self, device: Device, app_key: bytes, profile: str) -> None:
        super().__init__(device, app_key, downlink_share=1.0, gps_at_0=gps_from_unix(START_UNIX_S))
        self.cf_list = cf_list(_MORE_CHANNELS_HZ)
        self._node = device
        self._layout = of(profile)
        self._waits_until = 0  # an uplink of that number: then an order has not been answered
        self._again_from_s: int | None = None
        self.confirmed = 0
        self.answered: dict[int, bytes] = {}  # MAC commands
        self.done: list[str] = []  # settings
        self.again = 0  # samples that came once more because they were asked for

    def heard(self, uplink: Uplink) -> None:
        self.answering = not _SILENT_US[0] <= self._node.now_us < _SILENT_US[1]
        super().heard(uplink)

    def orders(self, answers: bytes) -> tuple[bytes, int | None, bytes]:
        """One thing after the other, each until it is answered."""
        if self.samples and self._again_from_s is None and self._node.now_us > _ASKS_AGAIN_US:
            self._again_from_s = min(self.samples)
            change = ("send_again", self._again_from_s, self._again_from_s + _AGAIN_S)
            return answers, F_PORT, settings_message.encode(2, self._layout, [change])
        if self.uplinks < self._waits_until:
            return answers, None, b""
        if not self.answered and len(answers + _ORDERS) <= _MOST_FOPTS:
            self._waits_until = self.uplinks + 2
            return answers + _ORDERS, None, b""
        if self.answered and not self.done:
            self._waits_until = self.uplinks + 3
            return answers, F_PORT, settings_message.encode(1, self._layout, _CHANGES)
        return answers, None, b""

    def told(self, data: frame.DataFrame, payload: bytes, commands: bytes) -> None:
        self.confirmed += data.m_type == frame.CONFIRMED_UP
        for cid, answer in mac_commands.parse_uplink(commands):
            if cid in _ANSWERS or cid == mac_commands.DEV_STATUS:
                self.answered[cid] = answer
        if data.f_port == F_PORT:
            self.done += [
                answer.setting
                for answer in settings_message.decode(self._layout, payload)[1]
                if answer.status == "done"
            ]
        elif data.f_port == self._layout.f_port and self._again_from_s is not None:
            times = [sample.time for sample in decode(BY_F_PORT[data.f_port], payload).samples]
            self.again += sum(time <= self._again_from_s + _AGAIN_S for time in times)


class Trial(NamedTuple):
    """What a node did in a heap. ``missing``: what of the demands it did not do; ``console``: what it printed."""

    missing: tuple[str, ...]
    console: str


def trial(kind: str, heap: str, firmware: Path) -> Trial:
    """Let a node of ``kind`` (FREE_KB) live for two hours and a half."""
    profile = kind if kind in ("tree", "air") else "traffic"
    world = alone(profile, 7)
    if profile == "traffic":
        world = World(vehicles=world.vehicles, probes=("tubes",) if kind == "tubes" else ())
    app_key = bytes(range(16))
    with Device(
        "70b3d57ed0000001",
        "70b3d57ed0ffff00",
        app_key,
        interval_s=_INTERVAL_S,
        seed=7,
        heap=heap,
        profile=profile,
        world=world,
        confirmed=True,
        firmware=firmware,
    ) as device:
        network = _Demanding(device, app_key, profile)
        device.on_transmit = network.heard
        device.power_on()
        device.run_until(_END_US)
        console = device.node.bench.console()
        times = sorted(network.samples)
        demands = {
            "no crash": "Traceback" not in console and not device.node.bench.statistics.crashes,
            "one join": network.join_requests == 1,
            "confirmed uplinks": network.confirmed >= _ENOUGH_UPLINKS,
            "MAC commands": {**network.answered, **_ANSWERS} == network.answered
            and mac_commands.DEV_STATUS in network.answered,
            "settings": [*(change[0] for change in _CHANGES), "send_again"] == network.done,
            "every sample": len(times) >= (_END_US // 1_000_000 - 600) // _INTERVAL_S
            and all(after - before <= _INTERVAL_S * 3 // 2 for before, after in pairwise(times)),
            "old samples again": network.again >= _AGAIN_S // _INTERVAL_S,
            "nothing refused": not device.node.complaints() and not network.refused,
        }
    return Trial(tuple(demand for demand, met in demands.items() if not met), console)


def smallest_heap_wk(kind: str, firmware: Path | None = None, most_wk: int = HEAP_WK) -> int:
    """The least heap in which nothing is missing; ``most_wk`` if there is none below, and more than _TOO_LITTLE_WK.

    ``firmware``: None is this repository's, as ROM.
    """
    firmware = build_rom(REPOSITORY / ".build" / "firmware") if firmware is None else firmware
    works, fails = most_wk, _TOO_LITTLE_WK
    while works - fails > 1:
        middle = (works + fails) // 2
        if trial(kind, f"{middle}wK", firmware).missing:
            fails = middle
        else:
            works = middle
    return works
