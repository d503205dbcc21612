# SPDX-License-Identifier: EUPL-1.2
"""A node at a tree: what it measures, with which sensors, and in which layout it says so."""

from decoders.payload_v1 import TREE_V1

if False:  # types only
    from firmware.hal import Board, Values

LAYOUT = TREE_V1
_EMPTY_MV = 2_900  # LiFePO4: below, it holds next to nothing
_FULL_MV = 3_350


def battery_level(header: "Values") -> int:
    """What DevStatusAns says of the battery: 1 (empty) to 254 (full), 255 if it could not be measured."""
    battery_mv = header["battery_voltage"]
    if isinstance(battery_mv, str):
        return 255
    return 1 + 253 * min(max(battery_mv - _EMPTY_MV, 0), _FULL_MV - _EMPTY_MV) // (_FULL_MV - _EMPTY_MV)


def measure(board: "Board") -> "tuple[Values, Values]":
    """Switch the sensors on, read each once, switch them off; return (header, sample) for ``LAYOUT.encode``."""
    from firmware.sensors.ds18b20 import Ds18b20
    from firmware.sensors.smt100 import Smt100

    clock = board.clock
    board.sensor_power(True)
    try:
        uart, de = board.rs485()
        soil = Smt100(uart, de, clock)
        surface = Ds18b20(board.one_wire(), clock)
        clock.sleep_ms(soil.start())
        surface.start()
        values = soil.read()
        values.update(surface.read())
    finally:
        board.sensor_power(False)
    sample: "Values" = {field.name: values[field.name] for field in LAYOUT.sample}
    return {"battery_voltage": board.battery_mv()}, sample
