# SPDX-License-Identifier: EUPL-1.2
"""What each kind of node measures and how: one table; loaded to measure and unloaded before the exchange.

Samples are integers, a value times ``per_unit`` of the layout, or the name of a fault.
"""

if False:  # types only
    from decoders.payload import Layout
    from firmware.hal import Board, Values
    from firmware.settings import Settings

# The cell's voltage under the load of the processor, mV: empty and full for DevStatusAns
_EMPTY_MV = 2_900  # LiFePO4: below, it holds next to nothing
_FULL_MV = 3_350


def layout(profile: str) -> "Layout":
    """Of what a profile's uplinks say."""
    if profile == "air":
        from decoders.layouts.air import LAYOUT
    elif profile == "traffic":
        from decoders.layouts.traffic import LAYOUT
    else:
        from decoders.layouts.tree import LAYOUT
    return LAYOUT


def battery_level(values: "Values") -> int:
    """What DevStatusAns says of the battery: 1 (empty) to 254 (full), 255 if it could not be measured."""
    battery_mv = values.get("battery_voltage", "")
    if isinstance(battery_mv, str):
        return 255
    return 1 + 253 * min(max(battery_mv - _EMPTY_MV, 0), _FULL_MV - _EMPTY_MV) // (_FULL_MV - _EMPTY_MV)


def measure(board: "Board", profile: str, settings: "Settings") -> "Values":
    """Switch the sensors on, read each, switch them off; return every quantity that this node has."""
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
    values["battery_voltage"] = board.battery_mv()
    return values
