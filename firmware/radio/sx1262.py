# SPDX-License-Identifier: EUPL-1.2
"""Semtech SX1262 LoRa radio, staged then launched. DS = datasheet DS_SX1261-2_V2.1.

``stage_*`` does all that takes time and may allocate, long before the instant; ``launch_*`` is one command of four
bytes, allocates nothing and says when it took effect. All commands go out with BUSY low (DS 8.3.1
"BUSY Control Line"); a BUSY that stays high raises instead of hanging the node. A staged chip keeps its TCXO running
(about 2 mA), so stage some tens of milliseconds ahead, not seconds.

Errata: DS 15.1, 15.2 and 15.4 stand where they apply; 15.3 "Implicit Header Mode Timeout Behavior" needs a header that
is implicit and a timer that runs while receiving, and this driver uses neither.

What the chip or its lines do wrong ends in a RadioFault, or stands in ``oddity`` if the driver could go on. Checked:
a status byte with every answer (DS 13.5.1 "GetStatus": modes 2 to 6 exist), an interrupt line that says the same as the
interrupt status and rises once, the configuration before each sleep and after it, and BUSY, high while the chip sleeps.

RadioFault      the chip did not do what the datasheet promises, or was asked for what it cannot do; ``reason``
"""

if False:  # types only
    from firmware.hal import Clock, Pin, Spi, TicksUs

# From the end of a launch (NSS high, chip in STDBY_XOSC with its TCXO running, as ``stage_*`` leaves it) to the start
# of the preamble and to a listening receiver. DS 8.3.1 "BUSY Control Line", table "Switching Time": 105 us to TX, 62 us
# to RX. It does not say whether the PA's ramp is in the 105 us; taken as not (an error of 40 us matters to nobody).
RAMP_US = 40
TX_START_US = 105 + RAMP_US
RX_START_US = 62
# How long DIO3 lets the TCXO settle before the chip uses it. It passes in ``start`` and ``stage_*``, not in a launch.
TCXO_START_US = 5_000

RX_WAITING = 0
RX_DONE = 1
RX_TIMEOUT = 2
RX_ERROR = 3

_TCXO_MV = (1600, 1700, 1800, 2200, 2400, 2700, 3000, 3300)  # DS 13.3.6 "SetDIO3AsTCXOCtrl", tcxoVoltage 0..7
_BANDWIDTHS_HZ = {125_000: 0x04, 250_000: 0x05, 500_000: 0x06}  # DS 13.4.5.2 "LoRa Modulation Parameters", ModParam2
# DS 13.1.14 "SetPaConfig", "PA Operating Modes with Optimal Settings" of the SX1262: each reaches its dBm with a
# SetTxParams power of +22, and every step below takes off one dB. dBm, paDutyCycle, hpMax.
_PA = ((14, 2, 2), (17, 2, 3), (20, 3, 5), (22, 4, 7))
_LOWEST_DBM = -17  # 31 dB below the first row: SetTxParams goes down to -9

# DS 13.3.1 "SetDioIrqParams", IRQ bits
_TX_DONE = 0x0001
_RX_DONE = 0x0002
_BAD_RX = 0x0060  # HeaderErr, CrcErr
_TIMEOUT = 0x0200
_USED = 0x0263  # all of these; any other bit is an answer that no working chip gives

# DS 12 "Register map"
_SYMBOL_TIMEOUT = 0x0706
_IQ_POLARITY = 0x0736
_SYNC_WORD = 0x0740
_TX_MODULATION = 0x0889
_RX_GAIN = 0x08AC
_TX_CLAMP = 0x08D8
_OCP = 0x08E7

_BUSY_LIMIT_US = 100_000  # the slowest, Calibrate(all) after a cold start, takes single milliseconds
_TX_GRACE_US = 40_000  # past the predicted end of an uplink: light sleep may have ended early, 1 % of 2.8 s

_LOST = "configuration lost"
_AWAKE = "not asleep"
_SPURIOUS = "interrupt for nothing"


class RadioFault(Exception):
    """``reason``: what the chip did not do, or could not."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def frequency_word(frequency_hz: int) -> int:
    """Round Hz to the nearest step of 32 MHz / 2^25 = 0.95 Hz. DS 13.4.1 "SetRfFrequency".

    2^25 / 32e6 = 2^14 / 15625; in quotient and remainder everything stays below 2^30, a small integer on the node.
    """
    quotient, remainder = divmod(frequency_hz, 15_625)
    return (quotient << 14) + ((remainder << 14) + 7_812) // 15_625


def symbol_timeout(symbols: int) -> "tuple[int, int]":
    """SetLoRaSymbNumTimeout's argument and register 0x0706 for at least ``symbols`` (at most 248).

    DS 13.4.9 "SetLoRaSymbNumTimeout": the chip keeps mantissa * 2^(2 * exponent + 1), five bits and three.
    """
    mantissa = (min(symbols, 248) + 1) >> 1
    exponent = 0
    while mantissa > 31:
        mantissa = (mantissa + 3) >> 2
        exponent += 1
    return mantissa << (2 * exponent + 1), exponent | mantissa << 3


class Sx1262:
    """One radio. ``nss, busy, dio1, reset`` are pins, ``spi`` a bus in mode 0, ``clock`` the time module.

    ``tcxo_mv``: supply that DIO3 gives the TCXO, 0 for a crystal. ``dio2_rf_switch``: DIO2 drives the antenna switch.
    Of the last packet read: ``rssi_dbm``, ``snr_quarter_db``. ``done``: ticks_us, as soon as the interpreter could read
    them, of the end of the last window's reception or of its symbols; None before, or if the line told it twice.
    ``oddity``: the first thing since ``start`` that was wrong and did not stop the driver, or "".
    """

    def __init__(
        self,
        spi: "Spi",
        nss: "Pin",
        busy: "Pin",
        dio1: "Pin",
        reset: "Pin",
        clock: "Clock",
        *,
        tcxo_mv: int = 1800,
        dio2_rf_switch: bool = True,
    ) -> None:
        self._spi = spi
        self._nss = nss
        self._busy = busy
        self._dio1 = dio1
        self._reset = reset
        self._clock = clock
        self._tcxo_mv = tcxo_mv
        self._dio2_rf_switch = dio2_rf_switch
        self._io = bytearray(3 + 255)  # a packet behind opcode, offset and status
        self._edges = 0  # of DIO1 since the last stage
        self.rssi_dbm = 0
        self.snr_quarter_db = 0
        self.done: "TicksUs | None" = None
        self.oddity = ""

    # --- life ---

    def start(self) -> None:
        """Cold start: reset and configure everything that does not change from packet to packet."""
        self.oddity = ""
        self._dio1.irq(handler=self._note_edge, trigger=self._dio1.IRQ_RISING)
        self._nss(1)
        self._reset(0)
        self._clock.sleep_us(200)  # DS 8.1 "Reset": 100 us
        self._reset(1)
        self._clock.sleep_us(500)  # until BUSY tells the truth
        # DS 13.4.2 SetPacketType: LoRa. First, so that at the end it tells whether the chip was reset on the way.
        self._command(b"\x8a\x01")
        self._command(b"\x80\x00")  # DS 13.1.2 SetStandby: STDBY_RC
        if self._tcxo_mv:
            delay = TCXO_START_US * 8 // 125  # DS 13.3.6: steps of 15.625 us
            self._command(bytes((0x97, _TCXO_MV.index(self._tcxo_mv), delay >> 16, delay >> 8 & 0xFF, delay & 0xFF)))
        self._command(b"\x07\x00\x00")  # DS 13.6.2 ClearDeviceErrors: without TCXO the crystal could not start
        self._command(b"\x89\x7f")  # DS 13.1.12 Calibrate: all blocks again, now that there is a clock
        self._command(b"\x96\x01")  # DS 13.1.11 SetRegulatorMode: DC-DC
        self._command(b"\x98\xd7\xdb")  # DS 9.2.1 "Image Calibration for Specific Frequency Bands": 863..870 MHz
        if self._dio2_rf_switch:
            self._command(b"\x9d\x01")  # DS 13.3.5 SetDIO2AsRfSwitchCtrl
        self._command(b"\x8f\x00\x00")  # DS 13.4.8 SetBufferBaseAddress
        self._command(bytes((0x0D, _SYNC_WORD >> 8, _SYNC_WORD & 0xFF, 0x34, 0x44)))  # public network
        # DS 15.2 "Better Resistance of the SX1262 Tx to Antenna Mismatch": bits 4..1
        self._change_register(_TX_CLAMP, 0x1E, 0x1E)
        self._command(b"\x80\x01")  # STDBY_XOSC: does the TCXO start?
        errors = self._read(b"\x17", 2)  # DS 13.6.1 GetDeviceErrors
        if errors[0] | errors[1]:
            raise RadioFault("device errors 0x%02x%02x" % (errors[0], errors[1]))
        self._command(b"\x80\x00")
        if self._read(b"\x11", 1)[0] != 1:  # DS 13.4.3 GetPacketType
            raise RadioFault(_LOST)

    def asleep(self) -> bool:
        """Whether the chip is where ``sleep`` put it: it may have been reset, or woken by noise on NSS."""
        return self._busy() == 1  # DS 8.3.1 "BUSY Control Line": high in sleep

    def wake(self) -> None:
        """Leave warm sleep; raises RadioFault if the chip has lost its configuration (then ``start``)."""
        if not self.asleep():
            self._odd(_AWAKE)
        self._nss(0)  # DS 9.3 "Sleep Mode": the falling edge wakes it
        self._clock.sleep_us(150)  # DS 8.2.2 "SPI Timing When the Transceiver Leaves Sleep Mode"
        self._nss(1)
        self._check_configuration()

    def _check_configuration(self) -> None:
        """Raises RadioFault if the chip was reset since ``start``: by a dip of its supply, say."""
        if bytes(self._read_register(_SYNC_WORD, 2)) != b"\x34\x44":
            raise RadioFault(_LOST)

    def sleep(self, warm: bool = False) -> None:
        """Sleep until ``start`` (0.6 uA) or, warm, until ``wake`` with its configuration kept (1.2 uA).

        Raises RadioFault if the chip has lost its configuration or does not fall asleep.
        """
        self._command(b"\x80\x00")  # DS 13.1.1 SetSleep: from standby only
        self._command(b"\x02\x03\xff")  # ClearIrqStatus
        if self._dio1():
            self._odd(_SPURIOUS)
        if not warm:  # otherwise ``wake`` does it
            self._check_configuration()
        self._command(b"\x84\x04" if warm else b"\x84\x00")  # no wake-up by timer
        # The chip saves its registers and does not listen for 500 us. One that has been reset instead shows BUSY high
        # as well, for the 3.5 ms in which it starts up.
        self._clock.sleep_us(500 if warm else 4_500)
        if not self.asleep():
            raise RadioFault(_AWAKE)

    # --- uplink ---

    def stage_tx(self, frequency_hz: int, sf: int, bandwidth_hz: int, power_dbm: int, payload: bytes) -> None:
        """Make ready to send ``payload`` (1..255 bytes) as a LoRaWAN uplink; ``power_dbm`` -17..22 at the pin."""
        self._check_power(power_dbm)
        self._stage(frequency_hz, sf, bandwidth_hz)
        self._power(power_dbm)
        # DS 15.1 "Modulation Quality with 500 kHz LoRa Bandwidth": bit 2 clear for 500 kHz only
        self._change_register(_TX_MODULATION, 0x04, 0x00 if bandwidth_hz == 500_000 else 0x04)
        self._packet(len(payload), crc=1, inverted=0)
        self._command(b"\x0e\x00" + payload)  # DS 13.2.3 WriteBuffer
        self._wait()

    @staticmethod
    def _check_power(power_dbm: int) -> None:
        if not _LOWEST_DBM <= power_dbm <= 22:
            raise RadioFault("power %d dBm" % power_dbm)

    def _power(self, power_dbm: int) -> None:
        for dbm, pa_duty_cycle, hp_max in _PA:  # noqa: B007  # the row that is found
            if power_dbm <= dbm:
                break
        self._command(bytes((0x95, pa_duty_cycle, hp_max, 0x00, 0x01)))  # DS 13.1.14: SX1262, paLut
        self._write_register(_OCP, 0x38)  # DS 12 "Register Map": 140 mA; after SetPaConfig, which sets it too
        # DS 13.4.4 SetTxParams: dBm as a signed byte, ramp 0x02 = 40 us
        self._command(bytes((0x8E, (22 - dbm + power_dbm) & 0xFF, 0x02)))

    def launch_tx(self) -> "TicksUs":
        """Send what is staged; return the ticks_us of the command. It is on air TX_START_US later."""
        # DS 13.1.4 SetTx: give up after 320,000 steps of 15.625 us = 5 s, longer than any uplink
        return self._launch(b"\x83\x04\xe2\x00")

    def finish_tx(self) -> None:
        """Confirm an uplink, called when it should be over; raises RadioFault if it is not.

        The chip's word counts: a DIO1 that is silent, or high for no reason, costs some milliseconds at most.
        """
        irq = 0
        for _ in range(_TX_GRACE_US // 500):
            if self._dio1():
                irq = self._irq()
                if irq & _TX_DONE:
                    break
            self._clock.sleep_us(500)
        else:
            irq = self._irq()
        self._command(b"\x02\x03\xff")  # DS 13.3.4 ClearIrqStatus
        if not irq & _TX_DONE:
            self._command(b"\x80\x00")
            raise RadioFault("uplink not sent")

    # --- downlink ---

    def stage_rx(self, frequency_hz: int, sf: int, bandwidth_hz: int, symbols: int) -> int:
        """Make ready to listen for a LoRaWAN downlink; give up when ``symbols`` (1..248) show no preamble.

        Return how many the chip will wait for; it cannot count to each number.
        """
        self._stage(frequency_hz, sf, bandwidth_hz)
        self._write_register(_RX_GAIN, 0x96)  # DS 9.6 "Receive (RX) Mode", boosted gain; lost in sleep
        # "The LoRa payload length" is the header's; 255 is the most we take
        self._packet(255, crc=0, inverted=1)
        argument, register = symbol_timeout(symbols)
        self._command(bytes((0xA0, argument)))
        self._write_register(_SYMBOL_TIMEOUT, register)
        self._wait()
        return argument

    def launch_rx(self) -> "TicksUs":
        """Listen as staged; return the ticks_us of the command. It listens RX_START_US later."""
        return self._launch(b"\x82\x00\x00\x00")  # DS 13.1.5 SetRx: single, no timeout but the symbols'

    def _note_edge(self, _: "Pin") -> None:
        self._edges += 1
        self.done = self._clock.ticks_us() if self._edges == 1 else None

    def rx_state(self, ask: bool = False) -> int:
        """One of RX_WAITING, RX_DONE, RX_TIMEOUT, RX_ERROR; stays the same until the next stage.

        The chip is asked only when DIO1 is high, or, lest that line be broken, if the caller wants it to be.
        """
        if not ask and not self._dio1():
            return RX_WAITING
        irq = self._irq()  # never GetStatus: right after SetRx it can start an endless transmission
        if irq & _BAD_RX:
            return RX_ERROR
        if irq & _RX_DONE:
            return RX_DONE
        return RX_TIMEOUT if irq & _TIMEOUT else RX_WAITING

    def read_packet(self, buffer: bytearray) -> int:
        """Copy the packet that RX_DONE announced to ``buffer``; return its length."""
        length, offset = self._read(b"\x13", 2)  # DS 13.5.2 GetRxBufferStatus
        if length > len(buffer):
            raise RadioFault("packet of %d bytes" % length)
        self._transfer(bytes((0x1E, offset)), length)  # DS 13.2.4 ReadBuffer
        buffer[:length] = memoryview(self._io)[3 : 3 + length]
        rssi, snr, _ = self._read(b"\x14", 3)  # DS 13.5.3 GetPacketStatus
        self.rssi_dbm = -(rssi >> 1)
        self.snr_quarter_db = snr - 256 if snr > 127 else snr
        return length

    # --- on the technician's bench ---

    def continuous_wave(self, frequency_hz: int, power_dbm: int) -> None:
        """Send an unmodulated carrier of -17..22 dBm at the pin, until ``sleep`` or ``start``."""
        self._check_power(power_dbm)
        self._stage(frequency_hz, 7, 125_000)
        self._power(power_dbm)
        self._command(b"\xd1")  # DS 13.1.6 SetTxContinuousWave
        self._wait()

    def loudest_dbm(self, frequency_hz: int, bandwidth_hz: int, ms: int) -> int:
        """Listen for ``ms`` ms, look once a millisecond, return the highest level: for the survey of a site."""
        self.stage_rx(frequency_hz, 7, bandwidth_hz, 8)
        self._command(b"\x82\xff\xff\xff")  # DS 13.1.5 SetRx: for ever
        loudest = -128
        for _ in range(ms):
            self._clock.sleep_ms(1)
            loudest = max(loudest, -(self._read(b"\x15", 1)[0] >> 1))  # DS 13.5.4 GetRssiInst
        self._command(b"\x80\x00")
        return loudest

    # --- what both directions share ---

    def _stage(self, frequency_hz: int, sf: int, bandwidth_hz: int) -> None:
        if bandwidth_hz not in _BANDWIDTHS_HZ or not 7 <= sf <= 12:
            raise RadioFault("SF%d at %d Hz" % (sf, bandwidth_hz))
        self._command(b"\x80\x01")  # DS 13.1.2: STDBY_XOSC, so that the launch need not wait for the TCXO
        self._command(b"\x02\x03\xff")  # ClearIrqStatus
        self.done = None
        self._edges = 0
        # DS 13.3.1: TxDone, RxDone, HeaderErr, CrcErr, Timeout; all of them on DIO1
        self._command(b"\x08\x02\x63\x02\x63\x00\x00\x00\x00")
        self._command(b"\x86" + frequency_word(frequency_hz).to_bytes(4, "big"))
        # DS 6.1.1.4 "Low Data Rate Optimization": for symbols of 16.38 ms and more
        slow = 1 if (1 << sf) * 1000 >= 16 * bandwidth_hz else 0
        self._command(bytes((0x8B, sf, _BANDWIDTHS_HZ[bandwidth_hz], 0x01, slow)))  # coding rate 4/5

    def _odd(self, what: str) -> None:
        self.oddity = self.oddity or what

    def _packet(self, length: int, crc: int, inverted: int) -> None:
        # DS 13.4.6.2 SetPacketParams, LoRa: preamble 8, explicit header
        self._command(bytes((0x8C, 0x00, 0x08, 0x00, length, crc, inverted)))
        # DS 15.4 "Optimizing the Inverted IQ Operation": bit 2 clear when inverted, set when not, after every
        # SetPacketParams
        self._change_register(_IQ_POLARITY, 0x04, 0x00 if inverted else 0x04)

    def _launch(self, command: bytes) -> "TicksUs":
        if self._busy():
            raise RadioFault("busy at launch")
        self._nss(0)
        self._spi.write(command)
        self._nss(1)
        return self._clock.ticks_us()

    def _irq(self) -> int:
        """The interrupt status; DIO1 should say the same."""
        line = self._dio1()
        answer = self._read(b"\x12", 2)  # DS 13.3.3 GetIrqStatus
        irq = answer[0] << 8 | answer[1]
        if irq & ~_USED:
            raise RadioFault("status 0x%04x" % irq)
        if irq and not self._dio1():
            self._odd("interrupt line silent")
        elif self._edges > 1 or (line and not irq):
            self._odd(_SPURIOUS)
        return irq

    def _change_register(self, address: int, mask: int, bits: int) -> None:
        self._write_register(address, self._read_register(address, 1)[0] & ~mask & 0xFF | bits)

    def _write_register(self, address: int, value: int) -> None:
        self._command(bytes((0x0D, address >> 8, address & 0xFF, value)))  # DS 13.2.1 WriteRegister

    def _read_register(self, address: int, length: int) -> bytearray:
        return self._read(bytes((0x1D, address >> 8, address & 0xFF)), length)  # DS 13.2.2 ReadRegister

    def _read(self, command: bytes, length: int) -> bytearray:
        """Data behind the status byte that follows ``command``."""
        self._transfer(command, length)
        return self._io[len(command) + 1 : len(command) + 1 + length]

    def _transfer(self, command: bytes, length: int) -> None:
        """Leave in ``_io``: what came back during the command, the status, then ``length`` bytes of data."""
        data = memoryview(self._io)[: len(command) + 1 + length]
        data[: len(command)] = command
        for n in range(len(command), len(data)):
            data[n] = 0  # DS 10.2.2 "SPI Transfer": NOP
        self._wait()
        self._nss(0)
        self._spi.write_readinto(data, data)
        self._nss(1)
        if not 2 <= data[len(command)] >> 4 & 7 <= 6:
            raise RadioFault("status 0x%02x" % data[len(command)])

    def _command(self, command: bytes) -> None:
        self._wait()
        self._nss(0)
        self._spi.write(command)
        self._nss(1)

    def _wait(self) -> None:
        """Until BUSY is low, with fewer and fewer looks at it."""
        waited = 0
        pause = 10
        while self._busy():
            if waited >= _BUSY_LIMIT_US:
                raise RadioFault("busy stuck")
            self._clock.sleep_us(pause)
            waited += pause
            pause = min(2 * pause, 1000)
