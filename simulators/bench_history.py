# SPDX-License-Identifier: EUPL-1.2
"""How many readings arrive although uplinks are lost: with the history and without, and after an outage.

``model`` drives the firmware's own choice of what to send (firmware/reports.py, history.py, delivery.py) without radio,
days in a second; ``real`` is the whole node over the simulated radio against a network that loses its uplinks.
"""

import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from decoders.layouts.tree import LAYOUT as TREE_V2
from decoders.lorawan.airtime import time_on_air_us
from decoders.lorawan.frame import JOIN_REQUEST, UNCONFIRMED_UP, DataFrame, m_type
from decoders.payload_reader import read
from firmware import reports, sample
from firmware.history import History
from firmware.settings import Settings
from firmware.state import SENT, Memory
from simulators.device import Device, Uplink
from simulators.firmware_build import REPOSITORY
from simulators.lorawan_frame import OVERHEAD_BYTES
from simulators.metric import Metric
from simulators.small_network import SmallNetwork

RESULTS = REPOSITORY / ".bench" / "history.json"
LOSSES = (0.0, 0.1, 0.2, 0.3, 0.4)
GOALS = {0.2: 0.999, 0.4: 0.99}
_START_S = 1_450_000_000
_HOUR = 3600
_DAY = 86_400
_FOLLOW_S = 60
_TRIES = 3
_SETTLED_S = 12 * _HOUR  # what is younger when it ends may still come

Seen = dict[int, tuple[float | None, ...]]  # what arrived, values by GPS second


@dataclass
class Outcome:
    """``arrived`` of ``taken`` samples that had their time to; uplinks and their airtime at SF9 for all of them."""

    taken: int
    arrived: int
    doubles: int
    uplinks: int
    asked: int
    bytes_on_air: int
    airtime_us: int

    @property
    def share(self) -> float:
        return self.arrived / max(self.taken, 1)


def model(
    loss: float,
    *,
    days: float = 30,
    interval_s: int = _HOUR,
    history: bool = True,
    outage: tuple[float, float] | None = None,
    room: int = 113,
    seed: int = 1,
) -> Outcome:
    """Lose uplinks at random with ``loss``, and all of them between the days of ``outage``; ``room``: of a payload."""
    dice = Random(f"history {seed} {loss}")
    memory, seen, taken = Memory(), Seen(), list[int]()
    memory.time_known, memory.next_diagnostics_local_s = True, 1 << 40
    memory.gps_less_local_s = 0
    outcome = Outcome(0, 0, 0, 0, 0, 0, 0)
    end_s = _START_S + round(days * _DAY)
    with tempfile.TemporaryDirectory() as folder:
        ring, settings = History(folder), Settings(folder, interval_s)
        settings.history = 0 if history else 1

        def send(now_s: int, sampled: bool) -> None:
            report = reports.choose(memory, settings, ring, "tree", room, now_s, sampled, False)
            asks = report.asks and history
            memory.sent = struct.pack(SENT, report.kind, report.before_s, report.oldest_s, report.newest_s)
            report.noted(memory, ring, now_s)
            outcome.uplinks += 1
            outcome.asked += asks
            outcome.bytes_on_air += OVERHEAD_BYTES + len(report.payload)
            outcome.airtime_us += time_on_air_us(OVERHEAD_BYTES + len(report.payload), 9, 125_000)
            day = (now_s - _START_S) / _DAY
            if dice.random() < loss or (outage and outage[0] <= day < outage[1]):
                memory.tries += asks
                return
            outcome.doubles += _doubles(seen, report.payload)
            if asks:
                memory.tries = 0
                reports.arrived(memory, now_s)

        for now_s in range(_START_S, end_s, interval_s):
            at_s = now_s + dice.choice((0, 0, 0, 1))
            taken.append(at_s)
            values = {
                "soil_moisture": 2000 + dice.randint(-9, 9),
                "soil_temperature": 1800 + at_s % _DAY // 300,
                "surface_temperature": 2000 + at_s % _DAY // 90,
                "battery_voltage": 3300 + dice.randint(-1, 1) * 10,
            }
            sample.keep(memory, "tree", settings, ring, at_s, dict(values), False)
            memory.kept += 1
            send(at_s, True)
            follow_s = at_s
            while history and follow_s + _FOLLOW_S < now_s + interval_s - _FOLLOW_S:
                if memory.tries >= _TRIES or not reports.more(memory, settings, ring, follow_s):
                    break
                follow_s += _FOLLOW_S
                send(follow_s, False)
    judged = [time for time in taken if time < end_s - _SETTLED_S]
    outcome.taken, outcome.arrived = len(judged), sum(time in seen for time in judged)
    return outcome


def real(
    loss: float, *, days: float, interval_s: int = 900, outage: tuple[float, float] | None = None, seed: int = 1
) -> Outcome:
    """The same of the real node over the simulated radio; expected is a sample at each place of its grid."""
    dice, key = Random(f"real {seed} {loss}"), bytes(range(16))
    outcome, seen = Outcome(0, 0, 0, 0, 0, 0, 0), Seen()
    with Device("70b3d57ed0000001", "70b3d57ed0ffff00", key, interval_s=interval_s, seed=seed) as device:
        network = SmallNetwork(device, key, gps_at_0=_START_S)

        def transmitted(uplink: Uplink) -> None:
            day = uplink.time_us / _DAY / 1e6
            lost = dice.random() < loss and m_type(uplink.phy_payload) != JOIN_REQUEST
            outcome.uplinks += 1
            outcome.bytes_on_air += len(uplink.phy_payload)
            outcome.airtime_us += uplink.end_us - uplink.time_us
            if lost or (outage and outage[0] <= day < outage[1]):
                return
            network.heard(uplink)
            if m_type(uplink.phy_payload) != UNCONFIRMED_UP or network.session_keys is None:
                return
            frame = DataFrame.parse(uplink.phy_payload)
            if frame.f_port == TREE_V2.f_port:
                plain = frame.decrypt(*network.session_keys, network.f_cnt_up)
                outcome.doubles += _doubles(seen, plain)

        device.on_transmit = transmitted
        device.power_on()
        device.run_until(round(days * _DAY * 1_000_000))
        outcome.asked = network.downlinks_sent
    first_s, last_s = min(seen), _START_S + round(days * _DAY) - _SETTLED_S
    judged = [time for time in seen if time < last_s]
    outcome.taken = max(round((max(judged) - first_s) / interval_s) + 1, len(judged))
    outcome.arrived = len(judged)
    return outcome


def _doubles(seen: Seen, payload: bytes) -> int:
    """Note what arrives; how many of its samples are there already, with other values."""
    doubles = 0
    for arrived in read(TREE_V2, payload).samples:
        values = tuple(arrived.values.values())
        doubles += seen.setdefault(arrived.time, values) != values
    return doubles


def measure(progress: Callable[[float], None] | None = None) -> list[Metric]:
    """Rows for ``.bench/history.json``."""
    rows = []
    jobs: list[tuple[str, Callable[[], Outcome], float | None]] = []
    for loss in LOSSES:
        for history in (False, True):
            name = f"arrived_loss_{round(100 * loss)}_{'history' if history else 'newest_only'}"
            goal = GOALS.get(loss) if history else None
            jobs.append((name, partial(model, loss, history=history, days=120), goal))
    jobs += [
        ("arrived_outage_3_days", lambda: model(0.0, outage=(5, 8), days=20), 1.0),
        ("arrived_outage_3_days_sf12_15_min", lambda: model(0.0, outage=(5, 8), days=20, interval_s=900, room=49), 1.0),
        ("arrived_outage_3_days_loss_40", lambda: model(0.4, outage=(5, 8), days=20), 0.99),
        ("real_node_loss_20", lambda: real(0.2, days=4), 0.999),
        ("real_node_loss_40", lambda: real(0.4, days=4), 0.99),
        ("real_node_outage_3_days", lambda: real(0.0, days=5, outage=(1, 4)), 1.0),
    ]
    for n, (name, job, goal) in enumerate(jobs):
        outcome = job()
        rows.append(Metric(name, round(outcome.share, 5), "1", None, goal, at_least=True))
        rows.append(Metric(f"{name}_uplinks_per_sample", round(outcome.uplinks / outcome.taken, 3), "1", None, None))
        rows.append(Metric(f"{name}_doubles", outcome.doubles, "1", None, 0))
        if progress is not None:
            progress((n + 1) / len(jobs))
    return rows
