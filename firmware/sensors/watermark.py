# SPDX-License-Identifier: EUPL-1.2
"""Irrometer Watermark 200SS soil moisture sensor: two electrodes in a granular matrix, read with alternating current.

IRR = Irrometer, "200SS WATERMARK Sensor: Reading with Other Devices" and its sample sketches. The sensor stands between
two pins; a resistor of 1 % lies between the first pin and the converter's input. What the input shows in one direction
and in the other add up to the supply, whatever that is, and their ratio is that of sensor and resistor.

Direct current ruins the electrodes: each direction lasts as long as the other, 0.2 ms at most, then both pins stay low.
"""

import gc

if False:  # types only
    from firmware.hal import Adc, Clock, Pin, Value, Values

SERIES_OHM = 10_000
_DISCHARGE_MS = 100  # IRR: between two readings
_CYCLES = 3
_OPEN_OHM = 35_000  # IRR: from here on nothing is connected,
_SHORT_OHM = 300  # and below this the cable is bridged
_SATURATED_OHM = 550
_DRIEST_DECI_KPA = 2_390  # IRR: range 0 to 239 kPa
_REFERENCE_CENTI_CEL = 2_400  # IRR: what the curve holds for, and what its meters assume without a thermometer
_LEAST_UV, _MOST_UV = 2_000_000, 3_900_000  # of the supply: else the input sees something else than the two pins


def tension_deci_kpa(ohm: int, centi_cel: int) -> int:
    """Soil water tension in 0.1 kPa: Shock et al. 1998 in three ranges as IRR has them; ``ohm`` below the open end."""
    r = ohm / 1000
    celsius = centi_cel / 100
    warmed = 1 + 0.018 * (celsius - 24)
    if ohm <= _SATURATED_OHM:
        kpa = 0.0
    elif ohm <= 1_000:
        kpa = (r * 23.156 - 12.736) * warmed
    elif ohm <= 8_000:
        kpa = (3.213 * r + 4.093) / (1 - 0.009733 * r - 0.01205 * celsius)
    else:
        r *= warmed
        kpa = 2.246 + 5.239 * r + 0.06756 * r * r
    return int(kpa * 10 + 0.5)


class Watermark:
    """``feed``: pin behind the resistor; ``far``: pin at the sensor's other end; ``adc``: the input between.

    ``soil_temperature``: of the soil in 0.01 degrees Celsius or its thermometer's fault, which then is the tension's,
    too; None if there is no thermometer: 24 degrees are assumed. Set it before ``read``.
    """

    QUANTITIES: "tuple[str, ...]" = ("soil_water_tension",)

    def __init__(
        self, feed: "Pin", far: "Pin", adc: "Adc", clock: "Clock", quantity: str = "soil_water_tension"
    ) -> None:
        self.QUANTITIES = (quantity,)
        self._feed = feed
        self._far = far
        self._adc = adc
        self._clock = clock
        self._started = False
        self.soil_temperature: "Value | None" = None

    def start(self) -> int:
        """Pull both ends low; return how long they must stay so, ms."""
        self._feed(0)
        self._far(0)
        self._started = True
        return _DISCHARGE_MS

    def read(self) -> "Values":
        """The tension in 0.1 kPa."""
        return {self.QUANTITIES[0]: self._read() if self._started else "not_ready"}

    def stop(self) -> None:
        """Both ends low."""
        self.start()
        self._started = False

    def _read(self) -> "Value":
        there = back = 0
        for cycle in range(_CYCLES):
            if cycle:
                self._clock.sleep_ms(_DISCHARGE_MS)
            there_uv, back_uv = self._alternate()
            there += there_uv
            back += back_uv
        if not _LEAST_UV <= (there + back) // _CYCLES <= _MOST_UV:
            return "bad_answer"
        ohm = there * SERIES_OHM // back if back > 0 else _OPEN_OHM
        if ohm >= _OPEN_OHM:
            return "open_circuit"
        if ohm < _SHORT_OHM:
            return "short_circuit"
        temperature = self.soil_temperature
        if isinstance(temperature, str):
            return temperature
        deci_kpa = tension_deci_kpa(ohm, _REFERENCE_CENTI_CEL if temperature is None else temperature)
        return deci_kpa if 0 <= deci_kpa <= _DRIEST_DECI_KPA else "out_of_range"

    def _alternate(self) -> "tuple[int, int]":
        """One direction, then the other, each as short as can be and as long as the other; the input in uV."""
        feed = self._feed
        far = self._far
        read_uv = self._adc.read_uv
        collecting = gc.isenabled()
        gc.disable()  # a collection would be a direct current; nothing here allocates
        feed(1)
        there = read_uv()
        feed(0)
        far(1)
        back = read_uv()
        far(0)
        if collecting:
            gc.enable()
        return there, back
