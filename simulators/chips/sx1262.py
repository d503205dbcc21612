# SPDX-License-Identifier: EUPL-1.2
"""Semtech SX1262 LoRa transceiver: its pins and its command interpreter, LoRa only.

DS = Semtech DS_SX1261-2_V2.1. A command the chip would not obey (wrong length, reserved bits, wrong mode, BUSY high)
is refused, answered with the status the data sheet names, and recorded in ``refusals``; a set-up that works badly is
recorded in ``degradations``. Both are empty after a correct driver has run.
"""

from collections.abc import Callable

from simulators.air import Air, Position
from simulators.chips import sx1262_commands as c
from simulators.chips import sx1262_registers as r
from simulators.chips.sx1262_radio import STEP_US, Config, Radio
from simulators.clock import Clock, Event
from simulators.wires import Wire

_NO_DATA = 0xFF  # MISO when nobody drives it


def _int(data: bytes) -> int:
    return int.from_bytes(data, "big")


class Sx1262Sim:
    """One chip on SPI with its NSS, BUSY, DIO1 and NRESET wires, at a place on the air.

    ``tcxo_start_us``: time the board's TCXO needs after power comes from DIO3 (1.8 V); None for a crystal.
    """

    def __init__(
        self,
        clock: Clock,
        air: Air,
        nss: Wire,
        busy: Wire,
        dio1: Wire,
        reset: Wire,
        position: tuple[float, float] = (0.0, 0.0),
        *,
        antenna_dbi: float = 0.0,
        tcxo_start_us: int | None = 1500,
        seed: int = 0,
    ) -> None:
        self._clock = clock
        self._nss = nss
        self._busy = busy
        self._falls: Event | None = None
        self.radio = Radio(clock, air, Position(*position), antenna_dbi, tcxo_start_us, self._busy_us, dio1.drive, seed)
        self._selected = False
        self._ignored = False
        self._mosi = bytearray()
        self._reply = b""
        self._reset_us: int | None = None
        self._asleep_us = 0
        self._handlers: dict[int, Callable[[bytes], None]] = {
            0x84: self._set_sleep,
            0x80: self._set_standby,
            0xC1: lambda data: self._set_fs(),
            0x83: lambda data: self.radio.start_tx(_int(data)),
            0x82: lambda data: self.radio.start_rx(_int(data)),
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
        nss.watch(self._nss_edge)
        reset.watch(self._reset_edge)
        busy.drive(1)
        if reset.level:
            self._busy_us(self.radio.start(c.RESET))

    # --- what tests and the rest of the simulation see

    @property
    def mode(self) -> str:
        return self.radio.mode

    @property
    def config(self) -> Config:
        return self.radio.config

    @property
    def refusals(self) -> list[str]:
        return self.radio.refusals

    @property
    def degradations(self) -> list[str]:
        return self.radio.degradations

    def ledger(self) -> dict[str, int]:
        """Microseconds spent in each mode up to now."""
        return self.radio.ledger()

    # --- pins

    def _busy_us(self, us: int) -> None:
        if self._falls is not None:
            self._falls.cancel()
        self._busy.drive(1)
        self._falls = self._clock.after(us, lambda: self._busy.drive(0))

    def _reset_edge(self, level: int) -> None:
        """DS 8.1 "Reset"."""
        if not level:
            self._reset_us = self._clock.now_us
            return
        if self._reset_us is not None and self._clock.now_us - self._reset_us < c.RESET_PULSE_US:
            self.radio.refuse("NRESET low for less than 100 us")
            return
        self.radio.enter(c.RESET)
        self._ignored = True
        self._busy_us(self.radio.start(c.RESET))

    def _nss_edge(self, level: int) -> None:
        if level:
            if self._selected and not self._ignored and self._mosi:
                self._execute(bytes(self._mosi))
            self._selected = False
            return
        self._selected, self._ignored = True, False
        self._mosi.clear()
        if self.mode in (c.SLEEP_COLD, c.SLEEP_WARM):
            self._wake()

    def _wake(self) -> None:
        """DS 8.2.2 "SPI Timing When Leaving Sleep Mode": the falling edge of NSS wakes; its bytes are not obeyed."""
        self._ignored = True
        if self._clock.now_us - self._asleep_us < c.SLEEP_DEAF_US:
            self.radio.refuse("NSS fell within 500 us of SetSleep")
        self._busy_us(self.radio.start(self.mode))

    def transfer(self, mosi: bytes) -> bytes:
        """Clock bytes in and out. DS 8.2 "SPI Interface"."""
        if not self._selected:
            return bytes([_NO_DATA]) * len(mosi)
        if not self._ignored and not self._mosi and mosi and self._busy.level:
            self.radio.refuse(f"command 0x{mosi[0]:02X} while BUSY is high")
            self._ignored = True
        if self._ignored:
            return bytes([_NO_DATA]) * len(mosi)
        return bytes(self._clocked(byte) for byte in mosi)

    def _clocked(self, byte: int) -> int:
        """One byte in; the byte that went out meanwhile. The status goes out wherever no data does."""
        self._mosi.append(byte)
        n = len(self._mosi) - 1
        command = c.COMMANDS.get(self._mosi[0])
        if command is None or command.reply is None or self.mode not in command.modes:
            return self._status()
        first = {0x1D: 4, 0x1E: 3}.get(self._mosi[0], 2)
        if n == first:
            self._reply = self._answer()
        if n >= first:
            return self._reply[n - first] if n - first < len(self._reply) else 0
        return self._status()

    def _status(self) -> int:
        return c.CHIP_MODE.get(self.mode, 0) << 4 | self.radio.command_status << 1

    def _answer(self) -> bytes:
        """The reply to the read command that has come in so far."""
        opcode, radio = self._mosi[0], self.radio
        if opcode == 0x1D:
            return self._read_registers(self._mosi[1] << 8 | self._mosi[2])
        if opcode == 0x1E:
            return bytes(radio.buffer[(self._mosi[1] + n) % 256] for n in range(256))
        if opcode == 0x12:
            return radio.irq.to_bytes(2, "big")
        if opcode == 0x11:
            return bytes([1 if self.config.lora else 0])
        if opcode == 0x15:
            return bytes([radio.rssi_now()])
        if opcode == 0x13:
            return bytes(radio.rx_status)
        if opcode == 0x14:
            return bytes(radio.packet_status)
        if opcode == 0x17:
            return radio.errors.to_bytes(2, "big")
        if opcode == 0x10:
            return b"".join((count & 0xFFFF).to_bytes(2, "big") for count in radio.stats)
        return b""

    # --- the interpreter

    def _execute(self, wire: bytes) -> None:
        """NSS has risen: obey or refuse. DS 11 "List of Commands"."""
        opcode, mode = wire[0], self.mode
        command = c.COMMANDS.get(opcode)
        if command is None:
            self.radio.refuse(f"command 0x{opcode:02X} {c.UNSUPPORTED.get(opcode, '')}".rstrip() + " is not supported")
        elif mode not in command.modes:
            self.radio.refuse(f"{command.name} in {mode}", c.EXECUTION_FAILURE)
        elif len(wire) not in command.lengths and not (command.reply and 3 <= len(wire) <= max(command.lengths)):
            self.radio.refuse(f"{command.name} with {len(wire)} bytes")
        elif command.reply is None:
            self._busy_us(c.COMMAND_US)
            self.radio.command_status = c.ACCEPTED
            self._handlers[opcode](wire[1:])
            return
        self._busy_us(c.COMMAND_US)

    def _bad(self, why: str) -> None:
        self.radio.refuse(why)

    # Operating modes. DS 13.1

    def _leave(self) -> None:
        if self.mode in (c.RX, c.TX):
            self.radio.stop_timer()

    def _set_sleep(self, data: bytes) -> None:
        if data[0] & ~0x05:
            return self._bad(f"SetSleep with reserved bits 0x{data[0]:02X}")
        if data[0] & 0x01:
            return self._bad("SetSleep with RTC wake-up is not supported")
        self.radio.stop_timer()
        self.radio.enter(c.SLEEP_WARM if data[0] & 0x04 else c.SLEEP_COLD)
        self._asleep_us = self._clock.now_us
        assert self._falls is not None
        self._falls.cancel()  # BUSY stays high in sleep
        return None

    def _set_standby(self, data: bytes) -> None:
        if data[0] > 1:
            return self._bad(f"SetStandby 0x{data[0]:02X}")
        self._leave()
        if data[0] == 0:
            self.radio.enter(c.STBY_RC)
        elif self.mode != c.STBY_XOSC:
            self.radio.go("SetStandby", c.STBY_XOSC)
        return None

    def _set_fs(self) -> None:
        self._leave()
        if self.config.frequency_hz is None:
            return self._bad("SetFs without SetRfFrequency")
        self.radio.go("SetFs", c.FS)
        return None

    def _continuous_wave(self) -> None:
        if self.config.frequency_hz is None or self.config.pa is None or self.config.tx_power is None:
            return self._bad("SetTxContinuousWave without SetRfFrequency, SetPaConfig and SetTxParams")
        self.radio.stop_timer()
        self.radio.go("SetTxContinuousWave", c.TX)
        return None

    def _stop_timer_on_preamble(self, data: bytes) -> None:
        if data[0] > 1:
            return self._bad(f"StopTimerOnPreamble 0x{data[0]:02X}")
        self.config.timer_stops_on_preamble = bool(data[0])
        return None

    def _set_regulator_mode(self, data: bytes) -> None:
        if data[0] > 1:
            return self._bad(f"SetRegulatorMode 0x{data[0]:02X}")
        self.config.dc_dc = bool(data[0])
        return None

    def _calibrate(self, data: bytes) -> None:
        """DS 9.2: blocks by bit, image bit 6 for 902-928 MHz."""
        if data[0] & 0x80:
            return self._bad(f"Calibrate 0x{data[0]:02X}")
        oscillator = self.radio.oscillator_us()
        if oscillator is None:
            return self.radio.oscillator_failed("Calibrate")
        self.config.calibrated |= data[0]
        if data[0] & 0x40:
            self.config.image_mhz = (902, 928)
        self._busy_us(oscillator + c.CALIBRATE_ALL_US * data[0].bit_count() // 7)
        return None

    def _calibrate_image(self, data: bytes) -> None:
        """DS 9.2.1 "Image Calibration for Specific Frequency Bands": both ends in 4 MHz."""
        low, high = data[0] * 4, data[1] * 4
        if not 150 <= low < high <= 960:
            return self._bad(f"CalibrateImage {low}-{high} MHz")
        oscillator = self.radio.oscillator_us()
        if oscillator is None:
            return self.radio.oscillator_failed("CalibrateImage")
        self.config.image_mhz = (low, high)
        self._busy_us(oscillator + c.CALIBRATE_ALL_US // 7)
        return None

    def _set_pa_config(self, data: bytes) -> None:
        duty_cycle, hp_max, device, lut = data
        if (duty_cycle, hp_max) not in c.PA_CONFIG or device != 0 or lut != 1:
            return self._bad(f"SetPaConfig {data.hex()} is not a setting of the SX1262 in the data sheet")
        self.config.pa = (duty_cycle, hp_max)
        self.config.registers.force(r.OCP, 0x38)  # DS 5.3.2: set by the command, 140 mA
        return None

    def _set_fallback_mode(self, data: bytes) -> None:
        if data[0] not in c.FALLBACK:
            return self._bad(f"SetRxTxFallbackMode 0x{data[0]:02X}")
        self.config.fallback = c.FALLBACK[data[0]]
        return None

    # Registers and buffer. DS 13.2

    def _write_register(self, data: bytes) -> None:
        address, registers = _int(data[:2]), self.config.registers
        for n, value in enumerate(data[2:]):
            why = registers.refusal(address + n, value)
            if why is not None:
                self._bad(f"WriteRegister: {why}")
                continue
            registers.force(address + n, value)
            if address + n == r.RTC_CONTROL and value == 0:
                self.radio.stop_timer()  # DS 15.3
            if address + n == r.SYMBOL_TIMEOUT:
                self.config.symbol_timeout = (value >> 3) << (2 * (value & 7) + 1)

    def _read_registers(self, address: int) -> bytes:
        why = self.config.registers.refusal(address)
        if why is not None:
            self._bad(f"ReadRegister: {why}")
            return b""
        values = bytearray()
        while len(values) < 16 and self.config.registers.refusal(address) is None:
            random = r.RANDOM <= address < r.RANDOM + 4
            values.append(self.radio.random_byte() if random else self.config.registers[address])
            address += 1
        return bytes(values)

    def _write_buffer(self, data: bytes) -> None:
        for n, byte in enumerate(data[1:]):
            self.radio.buffer[(data[0] + n) % 256] = byte

    # DIO and interrupts. DS 13.3

    def _set_dio_irq_params(self, data: bytes) -> None:
        irq, dio1, dio2, dio3 = (_int(data[n : n + 2]) for n in range(0, 8, 2))
        if (irq | dio1) & ~0x03FF:
            return self._bad("SetDioIrqParams with bits of no LoRa interrupt")
        if dio2 or dio3:
            return self._bad("SetDioIrqParams: DIO2 and DIO3 are no interrupt lines on this board")
        self.config.irq_mask, self.config.dio1_mask = irq, dio1
        self.radio.update_dio1()
        return None

    def _clear_irq_status(self, data: bytes) -> None:
        self.radio.irq &= ~_int(data)
        self.radio.update_dio1()

    def _set_dio2(self, data: bytes) -> None:
        if data[0] > 1:
            return self._bad(f"SetDIO2AsRfSwitchCtrl 0x{data[0]:02X}")
        self.config.rf_switch = bool(data[0])
        return None

    def _set_dio3(self, data: bytes) -> None:
        if data[0] >= len(c.TCXO_V):
            return self._bad(f"SetDIO3AsTcxoCtrl 0x{data[0]:02X}")
        self.config.tcxo = (c.TCXO_V[data[0]], round(_int(data[1:]) * STEP_US))
        return None

    # Frequency, modulation, packet. DS 13.4

    def _set_rf_frequency(self, data: bytes) -> None:
        frequency = _int(data) * 32_000_000 / (1 << 25)
        if not 150e6 <= frequency <= 960e6:
            return self._bad(f"SetRfFrequency {frequency:.0f} Hz")
        self.config.frequency_hz = round(frequency)
        return None

    def _set_packet_type(self, data: bytes) -> None:
        if data[0] != 1:
            return self._bad(f"SetPacketType 0x{data[0]:02X}: only LoRa is supported")
        config = self.config
        config.lora, config.modulation, config.packet, config.symbol_timeout = True, None, None, 0
        config.registers.force(r.SYMBOL_TIMEOUT, 0)
        return None

    def _set_tx_params(self, data: bytes) -> None:
        power = data[0] - 256 if data[0] > 127 else data[0]
        if not -9 <= power <= 22 or data[1] >= len(c.RAMP_US):
            return self._bad(f"SetTxParams {power} dBm, ramp 0x{data[1]:02X}")
        if self.config.pa is None:
            return self._bad("SetTxParams before SetPaConfig")
        self.config.tx_power, self.config.ramp_us = power, c.RAMP_US[data[1]]
        return None

    def _set_modulation_params(self, data: bytes) -> None:
        sf, bandwidth, coding_rate, low_data_rate = data[:4]
        if not self.config.lora:
            return self._bad("SetModulationParams before SetPacketType")
        valid = 5 <= sf <= 12 and bandwidth in c.BANDWIDTH_HZ and 1 <= coding_rate <= 4 and low_data_rate <= 1
        if not valid or any(data[4:]):
            return self._bad(f"SetModulationParams {data.hex()}")
        self.config.modulation = c.Modulation(sf, c.BANDWIDTH_HZ[bandwidth], coding_rate, bool(low_data_rate))
        return None

    def _set_packet_params(self, data: bytes) -> None:
        preamble, implicit, length, crc, iq = _int(data[:2]), *data[2:6]
        if not self.config.lora:
            return self._bad("SetPacketParams before SetPacketType")
        if preamble == 0 or max(implicit, crc, iq) > 1 or any(data[6:]):
            return self._bad(f"SetPacketParams {data.hex()}")
        self.config.packet = c.Packet(preamble, bool(implicit), length, bool(crc), bool(iq))
        # DS 15.4: the chip sets the polarity register up for standard IQ; for inverted IQ the host must correct it.
        self.config.registers.force(r.IQ_POLARITY, 0x0D)
        return None

    def _set_buffer_base_address(self, data: bytes) -> None:
        self.config.tx_base, self.config.rx_base = data

    def _set_symbol_timeout(self, data: bytes) -> None:
        self.config.symbol_timeout = data[0]

    # Status. DS 13.5 and 13.6

    def _clear_device_errors(self, data: bytes) -> None:
        if any(data):
            return self._bad(f"ClearDeviceErrors {data.hex()}")
        self.radio.errors = 0
        return None

    def _reset_stats(self, data: bytes) -> None:
        if any(data):
            return self._bad(f"ResetStats {data.hex()}")
        self.radio.stats[:] = [0, 0, 0]
        return None
