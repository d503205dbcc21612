# SPDX-License-Identifier: EUPL-1.2
"""Heltec WiFi LoRa 32 V3, V3.1 and V3.2 (ESP32-S3FN8, SX1262).

Radio and battery pins: Heltec "WiFi LoRa 32 V3 schematic diagram". Sensors hang on the header and are supplied by Ve.
"""

from firmware.boards.esp32 import Board  # noqa: F401  # its kind

NAME = "heltec_v3"
LORA_SPI = 1
LORA_NSS = 8
LORA_SCK = 9
LORA_MOSI = 10
LORA_MISO = 11
LORA_RESET = 12
LORA_BUSY = 13
LORA_DIO1 = 14
TCXO_MV = 1800  # from DIO3
DIO2_RF_SWITCH = True
RF_SWITCH = None
ANTENNA_GAIN_DBI = 2  # the whip that comes with the board

SENSOR_POWER = 36  # VEXT
SENSOR_POWER_ON = 0

ASLEEP_UA = 25  # WiFi_Kit_series issue 6: with Vext off
BATTERY = 1  # behind 390 kOhm and 100 kOhm
BATTERY_SWITCH = 37  # ADC_Ctrl connects the divider: low on V3.0 and V3.1, high on V3.2
BATTERY_SWITCH_LEVELS = (0, 1)
BATTERY_SETTLE_MS = 100  # 80 kOhm, 100 kOhm while disconnected, and the converter's 100 nF: ten time constants
BATTERY_DIVIDER_PER_MILLE = 4_900
BATTERY_ATTENUATION = 1  # 2.5 dB, up to 1.25 V

RS485_UART = 1
RS485_TX = 47
RS485_RX = 48
RS485_DE = 33
SDI12_UART = 2
SDI12_TX = 39
SDI12_RX = 40
SDI12_DRIVE = 38
SERIAL_UART = 1
SERIAL_TX = 47
SERIAL_RX = 48
ONE_WIRE = 7
I2C_BUS = 0
I2C_SDA = 41
I2C_SCL = 42
WATERMARK_A = 4
WATERMARK_B = 5
WATERMARK_ADC = 6
ANALOG = {"soil_moisture": 2, "soil_temperature": 3}
PULSE = (26, 34)
