# SPDX-License-Identifier: EUPL-1.2
"""What draws how much: processors, radio, boards and sensors, each figure with its source.

Currents in microamperes at the battery. Nothing here has been measured on a node of ours: each current says where it
comes from, and what is assumed says so. What a sensor draws is in its own simulator (``charge_uc``); here stands from
which supply, and what that supply costs.
"""

from typing import NamedTuple

from simulators.chips import sx1262_commands as c
from simulators.node_states import Port, State


class Current(NamedTuple):
    """``ua`` at the battery while it flows; ``component``: what it is summed under, ``part`` of that; ``source``."""

    component: str
    ua: float
    source: str
    part: str = ""

    @property
    def label(self) -> str:
        return f"{self.component}, {self.part}" if self.part else self.component


_ESP32 = 'ESP32-S3 Series Datasheet, "Current Consumption in Low-Power Modes"'
_RP2 = 'RP2040 Datasheet, "Power Consumption", typical'
_SX1262 = 'DS_SX1261-2_V2.1, "Power Consumption"'
AWAKE, LIGHT, DEEP = "MCU awake", "MCU light sleep", "MCU deep sleep"

# The processor. It waits at full current unless the firmware says otherwise.
_ESP32_AWAKE = Current(AWAKE, 31_700, "ESP32-S3 at 160 MHz without Wi-Fi, measured by lucidar.me at 3.3 V")
_RP2_AWAKE = Current(AWAKE, 25_000, f"{_RP2}: 125 MHz, both cores clocked")
_RP2_SLEEP = f"{_RP2}: SLEEP; users measured 1.3 to 1.8 mA on a Pico"
MCU = {
    Port.ESP32: {
        State.BOOTING: _ESP32_AWAKE,
        State.AWAKE: _ESP32_AWAKE,
        State.STOPPED: _ESP32_AWAKE,  # main has ended, the REPL waits
        State.LIGHT_SLEEP: Current(LIGHT, 240, f"{_ESP32}; boards have been seen at up to 2 mA"),
        State.ASLEEP: Current(DEEP, 8, f"{_ESP32}: RTC timer and RTC memory"),
    },
    # MicroPython's deepsleep on this port is lightsleep and a reset: it never draws less than that.
    Port.RP2: {
        State.BOOTING: _RP2_AWAKE,
        State.AWAKE: _RP2_AWAKE,
        State.STOPPED: _RP2_AWAKE,
        State.LIGHT_SLEEP: Current(LIGHT, 1_300, _RP2_SLEEP),
        State.ASLEEP: Current(DEEP, 1_300, _RP2_SLEEP),
    },
}

# The radio with its DC-DC converter; what the LDO costs instead is LDO_FACTOR.
RADIO = {
    c.RESET: Current("radio standby", 600, "assumed: as STDBY_RC", "reset"),
    c.STARTUP: Current("radio standby", 600, "assumed: as STDBY_RC", "starting"),
    c.SLEEP_COLD: Current("radio sleep", 0.6, "measured by users on a Wio-SX1262 (Seeed forum 294956)", "cold"),
    c.SLEEP_WARM: Current("radio sleep", 1.2, "measured by users on a Wio-SX1262 (Seeed forum 294956)", "warm"),
    c.STBY_RC: Current("radio standby", 600, _SX1262, "STDBY_RC"),
    c.STBY_XOSC: Current("radio standby", 800, _SX1262, "STDBY_XOSC"),
    c.FS: Current("radio standby", 2_100, _SX1262, "FS"),
    c.RX: Current("radio receive", 4_600, f"{_SX1262}: LoRa 125 kHz"),
}
RX_BOOSTED = Current("radio receive", 5_300, f"{_SX1262}: LoRa 125 kHz, boosted gain", "boosted")
TRANSMIT = "radio transmit"  # c.PA_CONFIG has the currents; a lower SetTxParams is counted as its PA setting's full
TX_SOURCE = f"{_SX1262}: TX, by power amplifier setting"
TCXO = Current("radio standby", 1_500, "assumed: what a 1.8 V TCXO on DIO3 draws while it is supplied", "TCXO")
LDO_FACTOR = 2.0  # DS_SX1261-2_V2.1, "Choice between DC-DC and LDO Regulation": the LDO about doubles it
WITH_OSCILLATOR = (c.STBY_XOSC, c.FS, c.RX, c.TX)

REGULATORS = "regulators"
# What the board draws all the time beside processor and radio, by the name of its table.
BOARDS = {
    "heltec_v3": Current(REGULATORS, 16, "asleep with Vext off 25 uA (WiFi_Kit_series issue 6), less MCU and radio"),
    "lilygo_t3s3": Current(REGULATORS, 37, "assumed: divider of 200 kOhm always on, 16.5 uA, and a regulator's 20 uA"),
    "xiao_esp32s3": Current(REGULATORS, 10, "asleep 15.9 uA (Seeed wiki) less the MCU, and a divider of 2 MOhm"),
    "pico_waveshare": Current(REGULATORS, 71, "assumed: RT6150 of the Pico 60 uA, divider of 300 kOhm 11 uA"),
}
_RAIL = "while the sensors' rail is on"
STEP_UP_IDLE = Current(REGULATORS, 1_000, f"assumed: the 5 V converter without load, {_RAIL}", "5 V")
TRANSCEIVER = Current(REGULATORS, 1_000, f"assumed: RS485 transceiver enabled, {_RAIL}", "RS485")
STEP_UP_RATIO = 5.0 / (3.3 * 0.9)  # current into the converter for current out of it; Pololu: "over 90 %"


class Fed(NamedTuple):
    """``component``: line of the table; ``at_5v``: behind the 5 V converter; ``rs485``: needs the transceiver."""

    component: str
    at_5v: bool
    rs485: bool = False


# By the class of the simulated chip.
SENSORS = {
    "Smt100Sim": Fed("sensor SMT100", True, rs485=True),
    "Ds18b20Sim": Fed("sensor DS18B20", False),
    "Sps30Sim": Fed("sensor SPS30", True),
    "Sen55Sim": Fed("sensor SEN55", True),
    "Sds011Sim": Fed("sensor SDS011", True),
    "Scd41Sim": Fed("sensor SCD41", False),
    "Bme280Sim": Fed("sensor BME280", False),
    "Ld2451Sim": Fed("sensor LD2451", True),
    "Ops243Sim": Fed("sensor OPS243", True),
    "PirSim": Fed("sensor PIR", True),
}
