# SPDX-License-Identifier: EUPL-1.2
"""SX1262: the transmitter. DS = Semtech DS_SX1261-2_V2.1."""

from simulators.air import Air, Position, Transmission
from simulators.chips import sx1262_commands as c
from simulators.chips import sx1262_registers as r
from simulators.chips.sx1262_core import NO_SWITCH_DB, Core


class Transmitter:
    """SetTx, from the command to TxDone."""

    def __init__(self, core: Core, air: Air, position: Position, antenna_dbi: float) -> None:
        self._core = core
        self._air = air
        self._position = position
        self._antenna_dbi = antenna_dbi
        self._sending: Transmission | None = None
        self.carrier: tuple[int, float] | None = None  # Hz, dBm: DS 13.1.6 "SetTxContinuousWave"
        core.on_leave.append(self._leave)

    def _leave(self) -> None:
        if self._sending is not None:
            self._air.cut(self._sending)
            self._sending = None
        self.carrier = None

    def start_carrier(self) -> None:
        """DS 13.1.6 "SetTxContinuousWave": until another mode is set. It disturbs nobody in this simulation."""

        def sending() -> None:
            assert self._core.config.frequency_hz is not None
            power_dbm = self._output_dbm() + self._antenna_dbi
            if not self._core.config.rf_switch:
                self._core.degrade("SetTxContinuousWave: DIO2 does not drive the antenna switch")
                power_dbm -= NO_SWITCH_DB
            self.carrier = self._core.config.frequency_hz, power_dbm

        self._core.go("SetTxContinuousWave", c.TX, sending, self._core.config.ramp_us)

    def start(self, steps: int) -> None:
        """DS 13.1.4 "SetTx"."""
        ready = self._core.ready_to("SetTx")
        if ready and (self._core.config.pa is None or self._core.config.tx_power is None):
            self._core.refuse("SetTx without SetPaConfig and SetTxParams", c.EXECUTION_FAILURE)
            ready = False
        if not ready:
            return
        begins = self._core.go("SetTx", c.TX, self._transmit, self._core.config.ramp_us)
        if begins is not None:
            self._core.set_timer(steps, begins)

    def _transmit(self) -> None:
        config = self._core.config
        modulation, packet, frequency = config.modulation, config.packet, config.frequency_hz
        assert modulation is not None
        assert packet is not None
        assert frequency is not None
        payload = bytes(self._core.buffer[(config.tx_base + n) % 256] for n in range(packet.length))
        now = self._core.clock.now_us
        registers = config.registers
        self._sending = Transmission(
            start_us=now,
            end_us=now + c.time_on_air_us(modulation, packet),
            frequency_hz=frequency,
            sf=modulation.sf,
            bandwidth_hz=modulation.bandwidth_hz,
            power_dbm=self._output_dbm()
            + self._antenna_dbi
            - self._badly_modulated_db(modulation)
            - self._core.loss_db("SetTx"),
            iq_inverted=packet.iq_inverted,
            sync_word=registers[r.SYNC_WORD] << 8 | registers[r.SYNC_WORD + 1],
            phy_payload=payload,
            crc_on=packet.crc_on,
            preamble_symbols=packet.preamble,
            position=self._position,
            coding_rate=modulation.coding_rate,
            implicit_header=packet.implicit_header,
            low_data_rate=modulation.low_data_rate,
        )
        self._core.later(self._sending.end_us, self._transmitted)
        self._air.transmit(self._sending)

    def _output_dbm(self) -> float:
        """Power at the pin. DS 13.1.14, 13.4.4, 15.2 "Better Resistance to Antenna Mismatch", register 0x08E7."""
        assert self._core.config.pa is not None
        assert self._core.config.tx_power is not None
        registers = self._core.config.registers
        most_dbm, most_ma = c.PA_CONFIG[self._core.config.pa]
        power = most_dbm - (22 - self._core.config.tx_power)
        if registers[r.TX_CLAMP] & 0x1E != 0x1E:
            self._core.degrade("SetTx: TX clamp 0x08D8 bits 4:1 not set (DS 15.2)")
            power -= 5
        if registers[r.OCP] * 2.5 < most_ma and self._core.config.tx_power == 22:
            self._core.degrade("SetTx: over-current protection 0x08E7 below what the PA draws")
            power -= 6
        return power

    def _badly_modulated_db(self, modulation: c.Modulation) -> int:
        """DS 15.1 "Modulation Quality with 500 kHz LoRa Bandwidth": power that no receiver can use."""
        if (self._core.config.registers[r.TX_MODULATION] & 0x04 == 0) == (modulation.bandwidth_hz == 500_000):
            return 0
        self._core.degrade("SetTx: TX modulation 0x0889 bit 2 does not fit the bandwidth (DS 15.1)")
        return 3

    def _transmitted(self) -> None:
        self._sending = None
        self._core.stop_timer()
        self._core.enter(self._core.config.fallback)
        self._core.command_status = c.TX_IS_DONE
        self._core.raise_irq(c.TX_DONE)
