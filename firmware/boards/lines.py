# SPDX-License-Identifier: EUPL-1.2
"""A board's lines to its sensors; loaded while they are measured. Each notes what it opens, for the rail's end."""

if False:  # types only
    from machine import I2C, UART, Pin
    from onewire import OneWire

    from firmware.boards.board import CommonBoard
    from firmware.hal import Adc


def _serial(board: "CommonBoard", number: int, tx: int, rx: int, baudrate: int, rxbuf: int = 256) -> "UART":
    pin = board.machine.Pin
    opened: "UART" = board.machine.UART(number, baudrate, tx=pin(tx), rx=pin(rx), rxbuf=rxbuf)
    board.uarts.append(opened)
    board.used.append(tx)
    board.used.append(rx)
    return opened


def _low(board: "CommonBoard", gpio: int) -> "Pin":
    """An output, low."""
    pin = board.machine.Pin
    board.used.append(gpio)
    low: "Pin" = pin(gpio, pin.OUT, value=0)
    return low


def rs485(board: "CommonBoard") -> "tuple[UART, Pin]":
    table = board.table
    de = _low(board, table.RS485_DE)
    return _serial(board, table.RS485_UART, table.RS485_TX, table.RS485_RX, 9600), de


def sdi12(board: "CommonBoard") -> "tuple[UART, Pin]":
    table = board.table
    drive = _low(board, table.SDI12_DRIVE)
    return _serial(board, table.SDI12_UART, table.SDI12_TX, table.SDI12_RX, 1200), drive


def uart(board: "CommonBoard", baudrate: int, rxbuf: int) -> "UART":
    table = board.table
    return _serial(board, table.SERIAL_UART, table.SERIAL_TX, table.SERIAL_RX, baudrate, rxbuf)


def one_wire(board: "CommonBoard") -> "OneWire":
    import onewire

    gpio = board.table.ONE_WIRE
    board.used.append(gpio)
    return onewire.OneWire(board.machine.Pin(gpio))


def i2c(board: "CommonBoard") -> "I2C":
    table = board.table
    pin = board.machine.Pin
    board.used.append(table.I2C_SCL)
    board.used.append(table.I2C_SDA)
    bus: "I2C" = board.machine.I2C(table.I2C_BUS, scl=pin(table.I2C_SCL), sda=pin(table.I2C_SDA), freq=100_000)
    return bus


def watermark(board: "CommonBoard") -> "tuple[Pin, Pin, Adc]":
    table = board.table
    first, second = _low(board, table.WATERMARK_A), _low(board, table.WATERMARK_B)
    return first, second, board.input(table.WATERMARK_ADC, 3)
