# SPDX-License-Identifier: EUPL-1.2
"""One node over days or years against the small network, and the facts at the end."""

import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TextIO

from decoders.lorawan.gps_time import gps_from_unix
from simulators.board import KINDS
from simulators.city import START_UNIX_S
from simulators.clock import DAY_US
from simulators.device import Device, Uplink
from simulators.energy import Battery, EnergyLedger
from simulators.firmware_build import build_rom
from simulators.micropython import _ops
from simulators.node_budget import HEAP_WK
from simulators.node_memory import memory_of
from simulators.nodes import alone
from simulators.small_network import SmallNetwork

DEV_EUI = "70b3d57ed0000001"
JOIN_EUI = "70b3d57ed0ffff00"
FLASH_CYCLES = 100_000  # Winbond W25Q64JV, "Features": erase cycles of a sector
_YEAR_DAYS = 365
_STEP_US = DAY_US // 4
# What moves bytes or bits between the microcontroller and its chips; a 1-Wire slot carries one bit.
_BUS_OPERATIONS = {
    "SPI": (_ops.SPI_WRITE, _ops.SPI_TRANSFER),
    "UART": (_ops.UART_WRITE, _ops.UART_READ),
    "1-Wire slots": (_ops.ONEWIRE_RESET, _ops.ONEWIRE_WRITE, _ops.ONEWIRE_READ),
    "ADC": (_ops.ADC_READ,),
}


class Facts(NamedTuple):
    """What a run showed. Charges in mAh; ``wall_s`` and what follows differs from run to run, and see below.

    ``heap_free_bytes``: least at the end of a wake, after a collection, as the 64-bit MicroPython counts (a board's
    figures are about half); its collector takes some numbers for addresses, so it moves by some tens of bytes.
    ``crashes``: exceptions whose tracebacks are on the console, which keeps the latest.
    ``heap_spare_kb``: what could be cut off a board's 64 kB before something fails; None if nobody looked.
    """

    days: float
    interval_s: int
    join_requests: int
    uplinks: int
    readings: int
    repetitions: int
    downlinks_sent: int
    downlinks_received: int
    downlinks_pending: int
    refused: int
    energy_mah: dict[str, float]
    mah_per_day: float
    uah_per_uplink: float
    battery_days: float
    battery: str
    flash_erases: list[int]
    flash_wear_per_year: float
    heap_free_bytes: int | None
    heap_spare_kb: int | None
    wakes: int
    boots: dict[str, int]
    bus_transfers_per_uplink: dict[str, float]
    messages_per_wake: float
    radio_faults: int
    crashes: int
    complaints: list[str]
    degradations: list[str]
    wall_s: float
    cpu_s: float
    node_days_per_s: float
    wall_ms_per_wake: float

    @property
    def hit_rate(self) -> float | None:
        """Share of the downlinks that the node received, of those whose fate is known."""
        known = self.downlinks_sent - self.downlinks_pending
        return self.downlinks_received / known if known else None

    def as_json(self) -> dict[str, Any]:
        return {**self._asdict(), "downlink_hit_rate": self.hit_rate}


@contextmanager
def one_cpu() -> Iterator[None]:
    """Bench and node take turns: on one CPU the turn costs less. Which one follows from the process id."""
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[os.getpid() % len(cpus)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)


def run_node(
    days: float,
    seed: int,
    *,
    profile: str = "tree",
    board: str = "heltec_v3",
    interval_s: int = 900,
    downlink_share: float = 0.05,
    heap: str = "64wK",
    frames: TextIO | None = None,
    firmware: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Facts:
    """Run one node of the small Jena for ``days``; ``progress`` is told the share that is done."""
    dice = Random(f"node {seed}")
    app_key = dice.randbytes(16)
    until_us = round(days * DAY_US)
    cpu_before_s = _cpu_s()
    with (
        TemporaryDirectory() as own,  # a copy of the firmware that nobody rebuilds during a long run
        Device(
            DEV_EUI,
            JOIN_EUI,
            app_key,
            interval_s=interval_s,
            seed=dice.getrandbits(32),
            rtc_drift_ppm=dice.randint(-20, 20),
            heap=heap,
            profile=profile,
            world=alone(profile, seed),
            board=board,
            firmware=build_rom(Path(own), board=KINDS[board].firmware) if firmware is None else firmware,
        ) as device,
    ):
        gps_at_0 = gps_from_unix(START_UNIX_S)
        network = SmallNetwork(device, app_key, seed=seed, downlink_share=downlink_share, gps_at_0=gps_at_0)
        ledger = EnergyLedger(device.node)

        def transmitted(uplink: Uplink) -> None:
            _log(frames, "up", uplink.time_us, uplink.frequency_hz, uplink.dr, uplink.phy_payload)
            network.heard(uplink)

        network.on_send = lambda *frame: _log(frames, "down", *frame)
        device.on_transmit = transmitted
        started = time.monotonic()
        device.power_on()
        while device.now_us < until_us:
            device.run_until(min(device.now_us + _STEP_US, until_us))
            if progress is not None:
                progress(device.now_us / until_us)
        wall_s = time.monotonic() - started
        facts = _facts(device, network, ledger, days, interval_s, wall_s)
    return facts._replace(cpu_s=_cpu_s() - cpu_before_s)  # the node's process has ended only now


def _cpu_s() -> float:
    """Processor time of this process and of those it has waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def _log(
    frames: TextIO | None, event: str, time_us: int, frequency_hz: int, dr: int | None, phy_payload: bytes
) -> None:
    if frames is not None:
        line = {
            "event": event,
            "time_us": time_us,
            "frequency_hz": frequency_hz,
            "dr": dr,
            "phy_payload": phy_payload.hex(),
        }
        frames.write(json.dumps(line) + "\n")


def _facts(
    device: Device,
    network: SmallNetwork,
    ledger: EnergyLedger,
    days: float,
    interval_s: int,
    wall_s: float,
) -> Facts:
    bench, energy, battery = device.node.bench, ledger.charge_mah(), Battery()
    statistics = bench.statistics
    wakes = sum(statistics.boots.values())
    mah_per_day = sum(energy.values()) / days
    uplinks = max(network.uplinks, 1)
    return Facts(
        days=days,
        interval_s=interval_s,
        join_requests=network.join_requests,
        uplinks=network.uplinks,
        readings=len(network.samples),
        repetitions=network.repetitions,
        downlinks_sent=network.downlinks_sent,
        downlinks_received=network.downlinks_received,
        downlinks_pending=network.downlinks_pending,
        refused=network.refused,
        energy_mah=energy,
        mah_per_day=mah_per_day,
        uah_per_uplink=sum(energy.values()) * 1000 / uplinks,
        battery_days=battery.days(mah_per_day),
        battery=battery.assumptions(),
        flash_erases=list(bench.flash.erases),
        flash_wear_per_year=max(bench.flash.erases) * _YEAR_DAYS / days / FLASH_CYCLES,
        heap_free_bytes=statistics.heap_free_min,
        heap_spare_kb=None,
        wakes=wakes,
        boots={cause.name.lower(): count for cause, count in statistics.boots.items()},
        bus_transfers_per_uplink={
            bus: sum(bench.board.applied[op] for op in operations) / uplinks
            for bus, operations in _BUS_OPERATIONS.items()
        },
        messages_per_wake=statistics.requests / max(wakes, 1),
        radio_faults=memory_of(bench).counters.radio_faults,
        crashes=bench.console().count("Traceback"),
        complaints=device.node.complaints(),
        degradations=list(device.node.radio.degradations),
        wall_s=wall_s,
        cpu_s=0.0,
        node_days_per_s=days / wall_s,
        wall_ms_per_wake=1000 * wall_s / max(wakes, 1),
    )


def table(facts: Facts) -> list[tuple[str, str]]:
    """(what, value with its unit) for people."""
    total = sum(facts.energy_mah.values())
    rate = "-" if facts.hit_rate is None else f"{facts.hit_rate:.1%}"
    worst, due = max(facts.flash_erases), int(facts.days * 86_400 / facts.interval_s) + 1
    rows = [
        ("days", f"{facts.days:g}, an uplink every {facts.interval_s} s"),
        ("join requests", f"{facts.join_requests}"),
        ("uplinks", f"{facts.uplinks}, and {facts.repetitions} repetitions"),
        ("readings", f"{facts.readings} of {due} samples arrived"),
        ("downlinks", f"{facts.downlinks_sent} sent, {facts.downlinks_received} received: {rate}"),
        ("energy", f"{total:.2f} mAh, {facts.mah_per_day:.3f} a day, {facts.uah_per_uplink:.2f} uAh an uplink"),
    ]
    rows += [
        (f"  {name}", f"{mah:.3f} mAh {mah / total if total else 0:6.1%}") for name, mah in facts.energy_mah.items()
    ]
    spare = "" if facts.heap_spare_kb is None else f"{facts.heap_spare_kb} kB of a board's {HEAP_WK}; "
    at_end = "-" if facts.heap_free_bytes is None else f"{facts.heap_free_bytes / 2048:.1f} kB after a wake"
    return [
        *rows,
        ("battery", f"{facts.battery_days:.0f} days ({facts.battery})"),
        ("flash erases", f"{worst} of the most used block, {sum(facts.flash_erases)} in all"),
        ("flash wear", f"{facts.flash_wear_per_year:.3%} of {FLASH_CYCLES} cycles a year"),
        ("lowest free heap", spare + at_end),
        ("wakes", f"{facts.wakes} ({', '.join(f'{count} {cause}' for cause, count in facts.boots.items())})"),
        (
            "bus transfers",
            ", ".join(f"{n:.0f} {bus}" for bus, n in facts.bus_transfers_per_uplink.items()) + " an uplink",
        ),
        ("speed", f"{facts.node_days_per_s:.1f} node-days a second, {facts.wall_ms_per_wake:.2f} ms a wake"),
        ("processor time", f"{facts.cpu_s:.1f} s, {1000 * facts.cpu_s / max(facts.wakes, 1):.2f} ms a wake"),
        ("radio faults", f"{facts.radio_faults} counted by the node"),
        ("refused by chips", f"{len(facts.complaints)}, set up badly: {len(facts.degradations)}"),
    ]
