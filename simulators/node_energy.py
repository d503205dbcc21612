# SPDX-License-Identifier: EUPL-1.2
"""How long a node's battery lasts: a short run of the real firmware on simulated hardware, then arithmetic.

The run begins when the node has joined and sends at the wanted data rate, and takes some days of its life with its real
intervals, so nothing is scaled but time. The same arguments give the same answer, but for the time of computing, which
is measured (``computing.py``).
"""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from decoders.lorawan.gps_time import gps_from_unix
from decoders.lorawan.region import EU868
from simulators.board import KINDS
from simulators.city import START_UNIX_S
from simulators.clock import DAY_US
from simulators.computing import Computing, ComputingMeter, given
from simulators.currents import (
    AWAKE,
    BOARDS,
    MCU,
    RADIO,
    RX_BOOSTED,
    STEP_UP_IDLE,
    TCXO,
    TRANSCEIVER,
    TRANSMIT,
    TX_SOURCE,
    Current,
)  # fmt: skip
from simulators.device import Device, Uplink
from simulators.energy import UC_PER_MAH, Battery, Draw, EnergyLedger
from simulators.node import NodeBench
from simulators.node_states import Port, ResetCause, State
from simulators.nodes import alone
from simulators.small_network import SmallNetwork

DAYS = {"tree": 3.0, "air": 1.0, "traffic": 0.125}  # of the run: enough for a steady mean
_YEAR_DAYS = 365.25
_SETTLED_UPLINKS = 3  # at the wanted data rate, before the run begins
_STEP_US = 300_000_000
_LONGEST_SETTLING_US = 14 * DAY_US
_WAKE = {Port.ESP32: ResetCause.DEEP_SLEEP, Port.RP2: ResetCause.HARD}  # firmware/boards/rp2.py: it ends by a reset
_EUI, _JOIN_EUI = "024a454e41ffff01", "024a454e41000000"


class NeverSettled(Exception):
    """The node has not come to send at the wanted data rate. ``uplinks`` it sent, ``complaints`` of its parts."""

    def __init__(self, uplinks: int, complaints: list[str]) -> None:
        first = f"; {complaints[0].splitlines()[-1]}" if complaints else ""
        super().__init__(f"the node does not come to send regularly: {uplinks} uplinks in two weeks{first}")
        self.uplinks = uplinks
        self.complaints = complaints


class Daily(NamedTuple):
    """A line of the table: ``ua`` at the battery flow for so many ``seconds`` a day."""

    component: str
    ua: float
    seconds: float
    mah: float
    source: str


class Estimate(NamedTuple):
    """``mah_per_day`` by component, ``draws`` the same by current; ``uplinks``, ``airtime_s`` and ``awake_s`` a day.

    ``computing_s``: of each of the ``wakes``; it is in all of them.
    """

    profile: str
    board: str
    sf: int
    per_day: float
    run_days: float
    seed: int
    mah_per_day: dict[str, float]
    uplinks: float
    airtime_s: float
    awake_s: float
    battery: Battery
    complaints: list[str]
    draws: tuple[Daily, ...] = ()
    wakes: float = 0.0  # a day, each with a boot
    computing_s: float = 0.0

    @property
    def second_more_mah(self) -> float:
        """A day, if the processor were awake a second longer in each wake."""
        return self.wakes * MCU[KINDS[self.board].port][State.AWAKE].ua / 1000 / 3600

    @property
    def total(self) -> float:
        return sum(self.mah_per_day.values())

    @property
    def years(self) -> float:
        return self.battery.days(self.total) / _YEAR_DAYS

    def as_json(self) -> dict[str, Any]:
        return {
            **self._asdict(),
            "draws": [draw._asdict() for draw in self.draws],
            "battery": self.battery._asdict(),
            "mah_per_day_total": self.total,
            "years": self.years,
            "currents": currents(self.board),
        }


def currents(board: str) -> list[dict[str, Any]]:
    """What was assumed, with sources: component, uA, source; no component twice."""
    kind = KINDS[board]
    rows = [MCU[kind.port][state] for state in (State.AWAKE, State.LIGHT_SLEEP, State.ASLEEP)]
    rows += [*RADIO.values(), RX_BOOSTED, TCXO, BOARDS[kind.firmware], STEP_UP_IDLE, TRANSCEIVER]
    rows.append(Current(TRANSMIT, 45_000, TX_SOURCE))
    return [{"component": row.label, "ua": row.ua, "source": row.source} for row in rows]


def estimate(
    profile: str,
    sf: int,
    per_day: float,
    *,
    board: str = "heltec_v3",
    days: float | None = None,
    seed: int = 1,
    battery: Battery | None = None,
    firmware: Path | None = None,
    computing_s: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Estimate:
    """Run one node and account for its charge; raises NeverSettled. ``computing_s``: in each wake; None: measure it."""
    dice, run_days = Random(f"energy {seed}"), DAYS[profile] if days is None else days
    app_key = dice.randbytes(16)
    interval_s = round(86_400 / per_day)
    dr = next(n for n, rate in enumerate(EU868.data_rates) if rate.sf == sf and rate.bandwidth_hz == 125_000)
    with Device(
        _EUI,
        _JOIN_EUI,
        app_key,
        interval_s=interval_s,
        seed=dice.getrandbits(32),
        rtc_drift_ppm=dice.randint(-20, 20),
        profile=profile,
        world=alone(profile, seed),
        board=board,
        firmware=firmware,
    ) as device:
        network = SmallNetwork(device, app_key, seed=seed, gps_at_0=gps_from_unix(START_UNIX_S), dr=dr)
        sent: list[Uplink] = []

        def transmitted(uplink: Uplink) -> None:
            sent.append(uplink)
            network.heard(uplink)

        device.on_transmit = transmitted
        device.power_on()
        _settle(device, network, sent, dr)
        ledger, bench = EnergyLedger(device.node), device.node.bench
        meter = ComputingMeter(bench, KINDS[board].port)
        sent.clear()
        awake_us, wakes = _awake_us(bench), bench.statistics.boots[_WAKE[KINDS[board].port]]
        begin_us, until_us = device.now_us, device.now_us + round(run_days * DAY_US)
        while device.now_us < until_us:
            device.run_until(min(device.now_us + _STEP_US, until_us))
            if progress is not None:
                progress((device.now_us - begin_us) / (until_us - begin_us))
        charge = ledger.charge_mah()
        found = Estimate(
            profile,
            board,
            sf,
            per_day,
            run_days,
            seed,
            {name: mah / run_days for name, mah in charge.items()},
            len(sent) / run_days,
            sum(uplink.end_us - uplink.time_us for uplink in sent) / 1e6 / run_days,
            (_awake_us(bench) - awake_us) / 1e6 / run_days,
            Battery() if battery is None else battery,
            device.node.complaints(),
            tuple(_daily(draw, run_days) for draw in ledger.draws()),
            (bench.statistics.boots[_WAKE[KINDS[board].port]] - wakes) / run_days,
        )
        return _with_computing(found, meter.found() if computing_s is None else given(computing_s))


def _settle(device: Device, network: SmallNetwork, sent: list[Uplink], dr: int) -> None:
    """Let the node live until enough of what it has ``sent`` had the data rate ``dr``; raises NeverSettled."""
    while sum(uplink.dr == dr for uplink in sent) < _SETTLED_UPLINKS:
        if device.now_us > _LONGEST_SETTLING_US:
            raise NeverSettled(network.uplinks, device.node.complaints())
        device.run_until(device.now_us + _STEP_US)


def _with_computing(found: Estimate, computing: Computing) -> Estimate:
    """Virtual time leaves it out, so it is added."""
    current = MCU[KINDS[found.board].port][State.AWAKE]
    seconds = computing.seconds * found.wakes
    mah = seconds * current.ua / 1000 / 3600
    draws = list(found.draws)
    if seconds:
        draws.append(Daily(f"{AWAKE}, computing", current.ua, seconds, mah, computing.source))
    return found._replace(
        mah_per_day=found.mah_per_day | {AWAKE: found.mah_per_day[AWAKE] + mah},
        awake_s=found.awake_s + seconds,
        draws=tuple(sorted(draws, key=lambda draw: -draw.mah)),
        computing_s=computing.seconds,
    )


def _daily(draw: Draw, days: float) -> Daily:
    current = draw.current
    return Daily(current.label, current.ua, draw.us / 1e6 / days, draw.uc / UC_PER_MAH / days, current.source)


def _awake_us(bench: NodeBench) -> int:
    """All that is not sleep, booting included."""
    return bench.statistics.state_us[State.AWAKE] + bench.statistics.state_us[State.BOOTING]
