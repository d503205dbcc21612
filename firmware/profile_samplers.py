# SPDX-License-Identifier: EUPL-1.2
"""Opens the probes that ``profile`` reads once a sample; apart, so that who counts loads none of their names."""

if False:  # types only
    from firmware.hal import Board, Probe


def open_probe(name: str, board: "Board", mine: "list[str]") -> "Probe":
    """The driver of a probe on this board's lines; the node has those that are ``mine``."""
    clock = board.clock
    if name == "smt100":
        from firmware.sensors.smt100 import Smt100

        return Smt100(*board.rs485(), clock)
    if name == "ds18b20":
        from firmware.sensors.ds18b20 import Ds18b20

        soil = [other for other in ("smt100", "smt50", "smt100_sdi12") if other in mine]
        if "watermark" in mine and not soil:  # beside it, in the soil
            return Ds18b20(board.one_wire(), clock, "soil_temperature")
        return Ds18b20(board.one_wire(), clock)
    if name == "watermark":
        from firmware.sensors.watermark import Watermark

        return Watermark(*board.watermark(), clock)
    if name == "smt50":
        from firmware.sensors.smt50 import Smt50

        return Smt50(board.adc("soil_moisture"), board.adc("soil_temperature"), clock)
    if name == "smt100_sdi12":
        from firmware.sensors.sdi12 import Sdi12, Smt100Sdi12

        return Smt100Sdi12(Sdi12(*board.sdi12(), clock))
    return _air(name, board)


def _air(name: str, board: "Board") -> "Probe":
    clock = board.clock
    if name == "sps30":
        from firmware.sensors.sps30 import Sps30

        return Sps30(board.i2c(), clock)
    if name == "scd41":
        from firmware.sensors.scd41 import Scd41

        return Scd41(board.i2c(), clock, board.light_sleep)
    if name == "bme280":
        from firmware.sensors.bme280 import Bme280

        return Bme280(board.i2c(), clock)
    if name == "sen55":
        from firmware.sensors.sen55 import Sen55

        return Sen55(board.i2c(), clock)
    from firmware.sensors.sds011 import Sds011

    return Sds011(board.uart(9600), clock)
