# SPDX-License-Identifier: EUPL-1.2
"""The boards that can be simulated: each table of firmware/boards, and what it does not say of the board around it."""

from typing import NamedTuple, Protocol

from firmware.boards import heltec_v3, lilygo_t3s3, pico_waveshare, xiao_esp32s3
from simulators.node_states import Port


class Table(Protocol):
    """The pins of a board's table that lie on wires; GPIO numbers."""

    @property
    def __name__(self) -> str: ...
    @property
    def LORA_SPI(self) -> int: ...
    @property
    def LORA_NSS(self) -> int: ...
    @property
    def LORA_RESET(self) -> int: ...
    @property
    def LORA_BUSY(self) -> int: ...
    @property
    def LORA_DIO1(self) -> int: ...
    @property
    def RF_SWITCH(self) -> int | None: ...
    @property
    def SENSOR_POWER(self) -> int: ...
    @property
    def SENSOR_POWER_ON(self) -> int: ...
    @property
    def BATTERY(self) -> int: ...
    @property
    def BATTERY_SWITCH(self) -> int | None: ...
    @property
    def RS485_UART(self) -> int: ...
    @property
    def RS485_DE(self) -> int: ...
    @property
    def SDI12_UART(self) -> int: ...
    @property
    def SDI12_DRIVE(self) -> int: ...
    @property
    def SERIAL_UART(self) -> int: ...
    @property
    def ONE_WIRE(self) -> int: ...
    @property
    def I2C_BUS(self) -> int: ...
    @property
    def WATERMARK_A(self) -> int: ...
    @property
    def WATERMARK_B(self) -> int: ...
    @property
    def WATERMARK_ADC(self) -> int: ...
    @property
    def ANALOG(self) -> dict[str, int]: ...
    @property
    def PULSE(self) -> tuple[int, ...]: ...


class Kind(NamedTuple):
    """One board as it is sold. ``divider_kohm``: its lower resistor and both together, beside ``tap_nf`` at the
    converter. ``connects``: level of the switch in front of them. ``idle_rf_switch``: where that pin floats to when
    nobody drives it; high is the worse assumption.
    """

    table: Table
    divider_kohm: tuple[int, int]
    connects: int | None = None
    port: Port = Port.ESP32
    idle_rf_switch: int = 1
    tap_nf: int = 100

    @property
    def firmware(self) -> str:
        """What ``firmware_build`` calls the table."""
        return self.table.__name__.rpartition(".")[2]


KINDS = {
    "heltec_v3": Kind(heltec_v3, (100, 490), connects=0),
    "heltec_v3_2": Kind(heltec_v3, (100, 490), connects=1),
    "lilygo_t3s3": Kind(lilygo_t3s3, (100, 200)),
    "pico_waveshare": Kind(pico_waveshare, (100, 300), port=Port.RP2),
    "xiao_esp32s3": Kind(xiao_esp32s3, (1_000, 2_000)),
}

SENSOR_LINES = ("RS485_", "SDI12_", "SERIAL_", "I2C_", "WATERMARK_", "ONE_WIRE")
_NO_LINES = ("RS485_UART", "SDI12_UART", "SERIAL_UART", "I2C_BUS", "WATERMARK_ADC")


def pins_of(table: Table) -> dict[str, int]:
    """Every GPIO that the table names, by what it is for."""
    numbers = {name: value for name, value in vars(table).items() if name.isupper()}
    pins = {f"ANALOG {name}": gpio for name, gpio in numbers.pop("ANALOG").items()}
    pins |= {f"PULSE {n}": gpio for n, gpio in enumerate(numbers.pop("PULSE"))}
    singles: tuple[str, ...] = (
        "LORA_NSS",
        "LORA_SCK",
        "LORA_MOSI",
        "LORA_MISO",
        "LORA_RESET",
        "LORA_BUSY",
        "LORA_DIO1",
    )
    singles += ("RF_SWITCH", "SENSOR_POWER", "BATTERY", "BATTERY_SWITCH", "WATERMARK_ADC")
    singles += tuple(name for name in numbers if name.startswith(SENSOR_LINES) and name not in _NO_LINES)
    return pins | {name: numbers[name] for name in singles if numbers[name] is not None}
