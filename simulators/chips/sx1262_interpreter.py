# SPDX-License-Identifier: EUPL-1.2
"""SX1262: what each command does, once its length and the mode have been found right.

DS = Semtech DS_SX1261-2_V2.1. A parameter the data sheet does not allow is refused.
"""

from collections.abc import Callable

from simulators.chips import sx1262_commands as c
from simulators.chips import sx1262_registers as r
from simulators.chips.sx1262_core import STEP_US, Config, Core
from simulators.chips.sx1262_receiver import Receiver
from simulators.chips.sx1262_transmitter import Transmitter


def _int(data: bytes) -> int:
    return int.from_bytes(data, "big")


class Interpreter:
    """Commands that set something: ``obey``; commands that ask: ``answer``."""

    def __init__(self, core: Core, transmitter: Transmitter, receiver: Receiver) -> None:
        self._core = core
        self._transmitter = transmitter
        self._receiver = receiver
        self._handlers: dict[int, Callable[[bytes], None]] = {
            0x84: self._set_sleep,
            0x80: self._set_standby,
            0xC1: lambda data: self._set_fs(),
            0x83: lambda data: transmitter.start(_int(data)),
            0x82: lambda data: receiver.start(_int(data)),
            0x9F: self._stop_timer_on_preamble,
            0xD1: lambda data: self._continuous_wave(),
            0x96: self._set_regulator_mode,
            0x89: self._calibrate,
            0x98: self._calibrate_image,
            0x95: self._set_pa_config,
            0x93: self._set_fallback_mode,
            0x0D: self._write_register,
            0x0E: self._write_buffer,
            0x08: self._set_dio_irq_params,
            0x02: self._clear_irq_status,
            0x9D: self._set_dio2,
            0x97: self._set_dio3,
            0x86: self._set_rf_frequency,
            0x8A: self._set_packet_type,
            0x8E: self._set_tx_params,
            0x8B: self._set_modulation_params,
            0x8C: self._set_packet_params,
            0x8F: self._set_buffer_base_address,
            0xA0: self._set_symbol_timeout,
            0x07: self._clear_device_errors,
            0x00: self._reset_stats,
        }

    @property
    def _config(self) -> Config:
        return self._core.config

    def obey(self, opcode: int, parameters: bytes) -> None:
        """Every command that does not ask."""
        self._core.command_status = c.ACCEPTED
        self._handlers[opcode](parameters)

    def answer(self, wire: bytes) -> bytes:
        """The reply to the command whose opcode and parameters are in ``wire``."""
        opcode, core, receiver = wire[0], self._core, self._receiver
        if opcode == 0x1D:
            return self._read_registers(wire[1] << 8 | wire[2])
        if opcode == 0x1E:
            return bytes(core.buffer[(wire[1] + n) % 256] for n in range(256))
        if opcode == 0x12:
            return core.irq.to_bytes(2, "big")
        if opcode == 0x11:
            return bytes([1 if self._config.lora else 0])
        if opcode == 0x15:
            return bytes([receiver.rssi_now()])
        if opcode == 0x13:
            return bytes(receiver.rx_status)
        if opcode == 0x14:
            return bytes(receiver.packet_status)
        if opcode == 0x17:
            return core.errors.to_bytes(2, "big")
        if opcode == 0x10:
            return b"".join((count & 0xFFFF).to_bytes(2, "big") for count in receiver.stats)
        return b""

    def _bad(self, why: str) -> None:
        self._core.refuse(why)

    # Operating modes. DS 13.1

    def _leave(self) -> None:
        if self._core.mode in (c.RX, c.TX):
            self._core.stop_timer()

    def _set_sleep(self, data: bytes) -> None:
        if data[0] & ~0x05:
            return self._bad(f"SetSleep with reserved bits 0x{data[0]:02X}")
        if data[0] & 0x01:
            return self._bad("SetSleep with RTC wake-up is not supported")
        self._core.stop_timer()
        self._core.enter(c.SLEEP_WARM if data[0] & 0x04 else c.SLEEP_COLD)
        return None

    def _set_standby(self, data: bytes) -> None:
        if data[0] > 1:
            return self._bad(f"SetStandby 0x{data[0]:02X}")
        self._leave()
        if data[0] == 0:
            self._core.enter(c.STBY_RC)
        elif self._core.mode != c.STBY_XOSC:
            self._core.go("SetStandby", c.STBY_XOSC)
        return None

    def _set_fs(self) -> None:
        self._leave()
        if self._config.frequency_hz is None:
            return self._bad("SetFs without SetRfFrequency")
        self._core.go("SetFs", c.FS)
        return None

    def _continuous_wave(self) -> None:
        if self._config.frequency_hz is None or self._config.pa is None or self._config.tx_power is None:
            return self._bad("SetTxContinuousWave without SetRfFrequency, SetPaConfig and SetTxParams")
        self._core.stop_timer()
        self._transmitter.start_carrier()
        return None

    def _stop_timer_on_preamble(self, data: bytes) -> None:
        if data[0] > 1:
            return self._bad(f"StopTimerOnPreamble 0x{data[0]:02X}")
        self._config.timer_stops_on_preamble = bool(data[0])
        return None

    def _set_regulator_mode(self, data: bytes) -> None:
        if data[0] > 1:
            return self._bad(f"SetRegulatorMode 0x{data[0]:02X}")
        self._config.dc_dc = bool(data[0])
        return None

    def _calibrate(self, data: bytes) -> None:
        """DS 9.2: blocks by bit, image bit 6 for 902-928 MHz."""
        if data[0] & 0x80:
            return self._bad(f"Calibrate 0x{data[0]:02X}")
        oscillator = self._core.oscillator_us()
        if oscillator is None:
            return self._core.oscillator_failed("Calibrate")
        self._config.calibrated |= data[0]
        if data[0] & 0x40:
            self._config.image_mhz = (902, 928)
        self._core.busy_us(oscillator + c.CALIBRATE_ALL_US * data[0].bit_count() // 7)
        return None

    def _calibrate_image(self, data: bytes) -> None:
        """DS 9.2.1 "Image Calibration for Specific Frequency Bands": both ends in 4 MHz."""
        low, high = data[0] * 4, data[1] * 4
        if not 150 <= low < high <= 960:
            return self._bad(f"CalibrateImage {low}-{high} MHz")
        oscillator = self._core.oscillator_us()
        if oscillator is None:
            return self._core.oscillator_failed("CalibrateImage")
        self._config.image_mhz = (low, high)
        self._core.busy_us(oscillator + c.CALIBRATE_ALL_US // 7)
        return None

    def _set_pa_config(self, data: bytes) -> None:
        duty_cycle, hp_max, device, lut = data
        if (duty_cycle, hp_max) not in c.PA_CONFIG or device != 0 or lut != 1:
            return self._bad(f"SetPaConfig {data.hex()} is not a setting of the SX1262 in the data sheet")
        self._config.pa = (duty_cycle, hp_max)
        self._config.registers.force(r.OCP, 0x38)  # the command sets the over-current protection to 140 mA
        return None

    def _set_fallback_mode(self, data: bytes) -> None:
        if data[0] not in c.FALLBACK:
            return self._bad(f"SetRxTxFallbackMode 0x{data[0]:02X}")
        self._config.fallback = c.FALLBACK[data[0]]
        return None

    # Registers and buffer. DS 13.2

    def _write_register(self, data: bytes) -> None:
        address, registers = _int(data[:2]), self._config.registers
        for n, value in enumerate(data[2:]):
            why = registers.refusal(address + n, value)
            if why is not None:
                self._bad(f"WriteRegister: {why}")
                continue
            registers.force(address + n, value)
            if address + n == r.RTC_CONTROL and value == 0:
                self._core.stop_timer()  # DS 15.3
            if address + n == r.SYMBOL_TIMEOUT:
                self._config.symbol_timeout = (value >> 3) << (2 * (value & 7) + 1)

    def _read_registers(self, address: int) -> bytes:
        why = self._config.registers.refusal(address)
        if why is not None:
            self._bad(f"ReadRegister: {why}")
            return b""
        values = bytearray()
        while len(values) < 16 and self._config.registers.refusal(address) is None:
            random = r.RANDOM <= address < r.RANDOM + 4
            values.append(self._receiver.random_byte() if random else self._config.registers[address])
            address += 1
        return bytes(values)

    def _write_buffer(self, data: bytes) -> None:
        for n, byte in enumerate(data[1:]):
            self._core.buffer[(data[0] + n) % 256] = byte

    # DIO and interrupts. DS 13.3

    def _set_dio_irq_params(self, data: bytes) -> None:
        irq, dio1, dio2, dio3 = (_int(data[n : n + 2]) for n in range(0, 8, 2))
        if (irq | dio1) & ~0x03FF:
            return self._bad("SetDioIrqParams with bits of no LoRa interrupt")
        if dio2 or dio3:
            return self._bad("SetDioIrqParams: DIO2 and DIO3 are no interrupt lines on this board")
        self._config.irq_mask, self._config.dio1_mask = irq, dio1
        self._core.update_dio1()
        return None

    def _clear_irq_status(self, data: bytes) -> None:
        self._core.irq &= ~_int(data)
        self._core.update_dio1()

    def _set_dio2(self, data: bytes) -> None:
        if data[0] > 1:
            return self._bad(f"SetDIO2AsRfSwitchCtrl 0x{data[0]:02X}")
        self._config.rf_switch = bool(data[0])
        return None

    def _set_dio3(self, data: bytes) -> None:
        if data[0] >= len(c.TCXO_V):
            return self._bad(f"SetDIO3AsTcxoCtrl 0x{data[0]:02X}")
        self._config.tcxo = (c.TCXO_V[data[0]], round(_int(data[1:]) * STEP_US))
        return None

    # Frequency, modulation, packet. DS 13.4

    def _set_rf_frequency(self, data: bytes) -> None:
        frequency = _int(data) * 32_000_000 / (1 << 25)
        if not 150e6 <= frequency <= 960e6:
            return self._bad(f"SetRfFrequency {frequency:.0f} Hz")
        self._config.frequency_hz = round(frequency)
        return None

    def _set_packet_type(self, data: bytes) -> None:
        if data[0] != 1:
            return self._bad(f"SetPacketType 0x{data[0]:02X}: only LoRa is supported")
        config = self._config
        config.lora, config.modulation, config.packet, config.symbol_timeout = True, None, None, 0
        config.registers.force(r.SYMBOL_TIMEOUT, 0)
        return None

    def _set_tx_params(self, data: bytes) -> None:
        power = data[0] - 256 if data[0] > 127 else data[0]
        if not -9 <= power <= 22 or data[1] >= len(c.RAMP_US):
            return self._bad(f"SetTxParams {power} dBm, ramp 0x{data[1]:02X}")
        if self._config.pa is None:
            return self._bad("SetTxParams before SetPaConfig")
        self._config.tx_power, self._config.ramp_us = power, c.RAMP_US[data[1]]
        return None

    def _set_modulation_params(self, data: bytes) -> None:
        sf, bandwidth, coding_rate, low_data_rate = data[:4]
        if not self._config.lora:
            return self._bad("SetModulationParams before SetPacketType")
        valid = 5 <= sf <= 12 and bandwidth in c.BANDWIDTH_HZ and 1 <= coding_rate <= 4 and low_data_rate <= 1
        if not valid or any(data[4:]):
            return self._bad(f"SetModulationParams {data.hex()}")
        self._config.modulation = c.Modulation(sf, c.BANDWIDTH_HZ[bandwidth], coding_rate, bool(low_data_rate))
        return None

    def _set_packet_params(self, data: bytes) -> None:
        preamble, implicit, length, crc, iq = _int(data[:2]), *data[2:6]
        if not self._config.lora:
            return self._bad("SetPacketParams before SetPacketType")
        if preamble == 0 or max(implicit, crc, iq) > 1 or any(data[6:]):
            return self._bad(f"SetPacketParams {data.hex()}")
        self._config.packet = c.Packet(preamble, bool(implicit), length, bool(crc), bool(iq))
        # DS 15.4: the chip sets the polarity register up for standard IQ; for inverted IQ the host must correct it.
        self._config.registers.force(r.IQ_POLARITY, 0x0D)
        return None

    def _set_buffer_base_address(self, data: bytes) -> None:
        self._config.tx_base, self._config.rx_base = data

    def _set_symbol_timeout(self, data: bytes) -> None:
        self._config.symbol_timeout = data[0]

    # Status. DS 13.5 and 13.6

    def _clear_device_errors(self, data: bytes) -> None:
        if any(data):
            return self._bad(f"ClearDeviceErrors {data.hex()}")
        self._core.errors = 0
        return None

    def _reset_stats(self, data: bytes) -> None:
        if any(data):
            return self._bad(f"ResetStats {data.hex()}")
        self._receiver.stats[:] = [0, 0, 0]
        return None
