# SPDX-License-Identifier: EUPL-1.2
"""Seeed Studio XIAO ESP32S3 with Wio-SX1262, the kit joined by its board-to-board connector (ESP32-S3R8, SX1262).

Radio pins: Seeed wiki, "Wio-SX1262 with XIAO ESP32S3 Kit", as its own example sets them. The header brings out eight
free pins: RS485, SDI-12 and a serial sensor take turns on D6, D7 and D3; I2C, analogue inputs, counters and a Watermark
on D4, D5 and D3 (not on D6, which says what the boot loader has to say: a Watermark bears no direct current). Two parts
are not on the board: the sensors' load switch, whose enable is pulled down, and the battery's divider.
"""

from firmware.boards.esp32 import Board  # noqa: F401  # its kind

NAME = "xiao_esp32s3"
LORA_SPI = 1
LORA_NSS = 41
LORA_SCK = 7
LORA_MOSI = 9
LORA_MISO = 8
LORA_RESET = 42
LORA_BUSY = 40
LORA_DIO1 = 39
TCXO_MV = 1800  # from DIO3
DIO2_RF_SWITCH = True
RF_SWITCH = 38  # supply of the antenna switch; high costs 55 uA
ANTENNA_GAIN_DBI = 2  # the whip that comes with the kit

SENSOR_POWER = 2  # D1
SENSOR_POWER_ON = 1

ASLEEP_UA = 19  # Seeed wiki: 15.9 without divider and radio
BATTERY = 1  # D0, behind 1 MOhm and 1 MOhm of our own, with 100 nF
BATTERY_SWITCH = None
BATTERY_SWITCH_LEVELS = ()
BATTERY_SETTLE_MS = 0
BATTERY_DIVIDER_PER_MILLE = 2_000
BATTERY_ATTENUATION = 3  # 11 dB, up to 3.1 V

RS485_UART = 1
RS485_TX = 43  # D6
RS485_RX = 44  # D7
RS485_DE = 4  # D3
SDI12_UART = 1
SDI12_TX = 43
SDI12_RX = 44
SDI12_DRIVE = 4
SERIAL_UART = 1
SERIAL_TX = 43
SERIAL_RX = 44
ONE_WIRE = 3  # D2
I2C_BUS = 0
I2C_SDA = 5  # D4
I2C_SCL = 6  # D5
WATERMARK_A = 5
WATERMARK_B = 6
WATERMARK_ADC = 4
ANALOG = {"soil_moisture": 5, "soil_temperature": 6}
PULSE = (5, 6)
