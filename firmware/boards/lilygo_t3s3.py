# SPDX-License-Identifier: EUPL-1.2
"""LILYGO T3-S3 V1.2 and V1.3 (ESP32-S3FH4R2, SX1262).

Radio and battery pins: MicroPython's own board definition LILYGO_T3_S3, pins.csv. The board switches no supply: the
sensors hang on a load switch of their own, whose enable is pulled down.
"""

from firmware.boards.esp32 import Board  # noqa: F401  # its kind

NAME = "lilygo_t3s3"
LORA_SPI = 1
LORA_NSS = 7
LORA_SCK = 5
LORA_MOSI = 6
LORA_MISO = 3
LORA_RESET = 8
LORA_BUSY = 34
LORA_DIO1 = 33
TCXO_MV = 1800  # from DIO3
DIO2_RF_SWITCH = True
RF_SWITCH = None
ANTENNA_GAIN_DBI = 2  # the whip that comes with the board

SENSOR_POWER = 15
SENSOR_POWER_ON = 1

ASLEEP_UA = 46  # assumed: 8 of the processor, divider 16.5, regulator 20
BATTERY = 1  # behind 100 kOhm and 100 kOhm, always connected
BATTERY_SWITCH = None
BATTERY_SWITCH_LEVELS = ()
BATTERY_SETTLE_MS = 0
BATTERY_DIVIDER_PER_MILLE = 2_000
BATTERY_ATTENUATION = 3  # 11 dB, up to 3.1 V

RS485_UART = 1
RS485_TX = 47
RS485_RX = 48
RS485_DE = 38
SDI12_UART = 2
SDI12_TX = 39
SDI12_RX = 40
SDI12_DRIVE = 35
SERIAL_UART = 1
SERIAL_TX = 47
SERIAL_RX = 48
ONE_WIRE = 16
I2C_BUS = 0
I2C_SDA = 21
I2C_SCL = 10
WATERMARK_A = 12
WATERMARK_B = 36
WATERMARK_ADC = 4
ANALOG = {"soil_moisture": 9, "soil_temperature": 10}
PULSE = (41, 42)
