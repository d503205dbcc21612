# SPDX-License-Identifier: EUPL-1.2
"""What each kind of node measures: one table of probes; loaded to measure, unloaded before the exchange.

A profile has its own probes; the setting ``probes`` takes others. Values are integers, times ``per_unit`` of the
layout, or the name of a fault; one that fails costs the others nothing. The sensors' supply is on from the first probe
that needs it for the longest warm-up among them, then each is read ``average`` times, and all are stopped.
"""

if False:  # types only
    from collections.abc import Iterable

    from firmware.hal import Board, Counter, Probe, Values
    from firmware.settings import Settings

# Place in this table is the bit of the setting "probes".
PROBES = (
    "smt100",
    "ds18b20",
    "watermark",
    "smt50",
    "smt100_sdi12",
    "sps30",
    "scd41",
    "bme280",
    "sen55",
    "sds011",
    "ld2451",
    "ops243",
    "pir",
    "loop",
    "bike_loop",
    "tubes",
)
# Of each, in the same order: mA from the battery while its supply is on. Those at 5 V are behind a converter: 1.7 times
# what their datasheet says
_DRAWS_MA = (12, 1, 0, 3, 12, 93, 0, 0, 107, 118, 202, 168, 0, 0, 0, 0)
_SHOT_UAS = 73_500  # SCD41: 14.7 mA for 5 s, once more than it is read
_OWN = {
    "tree": ("smt100", "ds18b20"),
    "air": ("bme280", "sps30", "scd41"),
    "traffic": ("ld2451",),
}
_AGAIN_MS = 1_000  # between readings that are averaged
_LIGHT_FROM_MS = 100  # a shorter wait is not worth a light sleep
_LONGEST_WAIT_MS = 5_000  # without showing the watchdog that we go on


def names(profile: str, settings: "Settings") -> "list[str]":
    """The probes that this node has."""
    if not settings.probes:
        return list(_OWN[profile])
    return [name for n, name in enumerate(PROBES) if settings.probes >> n & 1]


def draws_uas(profile: str, settings: "Settings", ms: int) -> int:
    """What the sensors draw from the battery with their supply on for ``ms``, uA s."""
    uas = 0
    for name in names(profile, settings):
        uas += _DRAWS_MA[PROBES.index(name)] * ms
        if name == "scd41":
            uas += _SHOT_UAS * (1 + settings.average)
    return uas


def open_probe(name: str, board: "Board", settings: "Settings") -> "Probe":
    """The driver of a probe on this board's lines."""
    if name in ("ld2451", "ops243", "pir", "loop", "bike_loop", "tubes"):
        return _traffic(name, board, settings)
    from firmware import profile_samplers

    return profile_samplers.open_probe(name, board, names("tree", settings))


def _traffic(name: str, board: "Board", settings: "Settings") -> "Probe":
    clock = board.clock
    slow, fast = settings.slow_below_kmh, settings.fast_above_kmh
    if name == "ld2451":
        from firmware.sensors import ld2451

        return ld2451.Ld2451(board.uart(ld2451.BAUD, ld2451.RXBUF), clock, slow_below_kmh=slow, fast_above_kmh=fast)
    if name == "ops243":
        from firmware.sensors import ops243

        return ops243.Ops243(board.uart(ops243.BAUD, ops243.RXBUF), clock, slow_below_kmh=slow, fast_above_kmh=fast)
    if name == "tubes":
        from firmware.sensors.tubes import TubePair

        pin_a, pin_b = board.pulse_pins()[:2]
        return TubePair(pin_a, pin_b, clock, slow_below_kmh=slow, fast_above_kmh=fast)
    from firmware.sensors import pulses

    counter = {"pir": pulses.Pir, "loop": pulses.Loop, "bike_loop": pulses.BikeLoop}[name]
    return counter(board.pulse_pins()[0], clock)


def start(board: "Board", profile: str, settings: "Settings") -> "tuple[list[Probe], int]":
    """Supply on, every probe begun; return (probes, ms until the slowest has something to say).

    Those that want to know the air's pressure begin after the one that measures it.
    """
    board.sensor_power(True)
    probes = [open_probe(name, board, settings) for name in names(profile, settings)]
    wait_ms = 0
    hpa = None
    for told in (False, True):
        for probe in probes:
            if hasattr(probe, "pressure_hpa"):
                if not told:
                    continue
                probe.pressure_hpa = hpa
            elif told:
                continue
            ms = probe.start()
            wait_ms = max(wait_ms, ms)
            if "air_pressure" in probe.QUANTITIES:
                board.clock.sleep_ms(ms)
                value = probe.read()["air_pressure"]
                if not isinstance(value, str):
                    hpa = (value + 5) // 10
    return probes, wait_ms


def measure(board: "Board", profile: str, settings: "Settings") -> "Values":
    """Switch the sensors on, read each, switch them off; return every quantity that this node has."""
    probes: "list[Probe]" = []
    try:
        probes, wait_ms = start(board, profile, settings)
        _wait(board, wait_ms)
        rounds = [_round(probes)]
        for _ in range(settings.average - 1):
            _wait(board, _AGAIN_MS)
            rounds.append(_round(probes))
    finally:
        for probe in probes:
            probe.stop()
        board.sensor_power(False)
    return _finish(board, rounds, profile)


def _wait(board: "Board", ms: int) -> None:
    while ms > 0:
        part = min(ms, _LONGEST_WAIT_MS)
        if part < _LIGHT_FROM_MS:
            board.clock.sleep_ms(part)
        else:
            board.light_sleep(part)
        board.watchdog_feed()
        ms -= part


def listen(board: "Board", profile: str, settings: "Settings") -> "list[Counter]":
    """Begin to count all the time."""
    counters: "list[Counter]" = start(board, profile, settings)[0]  # type: ignore[assignment]  # so the table says
    return counters


def count(board: "Board", profile: str, probes: "Iterable[Probe]") -> "Values":
    """As ``measure``, of probes that count all the time: since the sample before."""
    return _finish(board, [_round(probes)], profile)


def _round(probes: "Iterable[Probe]") -> "Values":
    values: "Values" = {}
    for told in (False, True):  # last those whose value depends on the soil's temperature
        for probe in probes:
            if hasattr(probe, "soil_temperature"):
                if not told:
                    continue
                probe.soil_temperature = values.get("soil_temperature")
            elif told:
                continue
            for name, value in probe.read().items():
                if not isinstance(value, str) or name not in values:  # of two probes for one the one that works
                    values[name] = value
    return values


def _finish(board: "Board", rounds: "list[Values]", profile: str) -> "Values":
    """The mean of ``rounds``, and the node's own quantities."""
    values: "Values" = {}
    for name in rounds[0]:
        numbers = [value for value in [values_[name] for values_ in rounds] if not isinstance(value, str)]
        values[name] = (sum(numbers) + len(numbers) // 2) // len(numbers) if numbers else rounds[-1][name]
    from firmware.sensors.onboard import Battery, NodeTemperature

    values.update(Battery(board).read())
    if profile != "tree":  # the others have a housing that gets hot
        values.update(NodeTemperature(board).read())
    return values
