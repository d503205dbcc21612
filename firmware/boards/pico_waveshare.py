# SPDX-License-Identifier: EUPL-1.2
"""Raspberry Pi Pico with Waveshare Pico-LoRa-SX1262-868M (RP2040, SX1262).

Radio and battery pins: Waveshare wiki, "Pico-LoRa-SX1262-868M", pinout. The sensors hang on a load switch of their own,
whose enable is pulled down. GP23 to 25 and 29 are the Pico's own.
"""

from firmware.boards.rp2 import Board  # noqa: F401  # its kind

NAME = "pico_waveshare"
LORA_SPI = 1
LORA_NSS = 3
LORA_SCK = 10
LORA_MOSI = 11
LORA_MISO = 12
LORA_RESET = 15
LORA_BUSY = 2
LORA_DIO1 = 20
TCXO_MV = 1700  # from DIO3; the lowest that its TCXO works from
DIO2_RF_SWITCH = True
RF_SWITCH = None
ANTENNA_GAIN_DBI = 2  # the whip that comes with the board

SENSOR_POWER = 22
SENSOR_POWER_ON = 1

ASLEEP_UA = 1_400  # 1.3 to 1.8 mA, see boards/rp2.py
BATTERY = 26  # behind 200 kOhm and 100 kOhm, always connected
BATTERY_SWITCH = None
BATTERY_SWITCH_LEVELS = ()
BATTERY_SETTLE_MS = 0
BATTERY_DIVIDER_PER_MILLE = 3_000
BATTERY_ATTENUATION = 0  # the converter has none

RS485_UART = 0
RS485_TX = 0
RS485_RX = 1
RS485_DE = 4
SDI12_UART = 1
SDI12_TX = 8
SDI12_RX = 9
SDI12_DRIVE = 5
SERIAL_UART = 0
SERIAL_TX = 0
SERIAL_RX = 1
ONE_WIRE = 14
I2C_BUS = 1
I2C_SDA = 6
I2C_SCL = 7
WATERMARK_A = 17
WATERMARK_B = 18
WATERMARK_ADC = 27
ANALOG = {"soil_moisture": 28, "soil_temperature": 27}
PULSE = (16, 19)
