# SPDX-License-Identifier: EUPL-1.2
"""A node at a tree: what it measures, with which sensors, and in which layout it says so."""

from decoders.profiles import TREE_V1

if False:  # types only
    from firmware.hal import Board, Values

LAYOUT = TREE_V1


def measure(board: "Board") -> "tuple[Values, Values]":
    """Switch the sensors on, read each once, switch them off; return (header, sample) for ``LAYOUT.encode``."""
    from firmware.sensors.ds18b20 import Ds18b20
    from firmware.sensors.smt100 import START_MS, Smt100

    clock = board.clock
    board.sensor_power(True)
    try:
        uart, de = board.rs485()
        soil = Smt100(uart, de, clock)
        surface = Ds18b20(board.one_wire(), clock)
        clock.sleep_ms(START_MS)
        surface.start()
        moisture, soil_temperature = soil.read()
        surface_temperature = surface.read()
    finally:
        board.sensor_power(False)
    sample: "Values" = {
        "soil_moisture": moisture,
        "soil_temperature": soil_temperature,
        "surface_temperature": surface_temperature,
    }
    return {"battery_voltage": board.battery_mv()}, sample
