# SPDX-License-Identifier: EUPL-1.2
"""What the SX1262 driver must do with a chip that fails, and what it offers the technician, as functions of its module.

A fault ends in a RadioFault with a reason, or costs nothing and stands in ``oddity``; it never hangs, and the next
``start`` recovers.
"""

from collections.abc import Callable
from types import ModuleType

from simulators.chips.sx1262_faults import Fault
from tests.firmware.radio.sx1262_bench import Bench

Behaviour = Callable[[ModuleType], None]

_PAYLOAD = b"\x60downlink"
_LONGEST_US = 600_000  # of the exchange below, however it fails


def exchange(bench: Bench, at: str = "", then: Callable[[], None] = lambda: None) -> bytes | None:
    """Uplink, doze, window with a downlink in it, sleep; ``then`` happens before the step ``at``.

    Returns the downlink.
    """

    def step(name: str) -> None:
        if name == at:
            then()

    driver, radio = bench.module, bench.radio
    step("stage_tx")
    bench.stage_uplink()
    step("launch_tx")
    launched_us = bench.clock.now_us
    radio.launch_tx()
    step("sending")
    bench.clock.run_until(launched_us + 57_200)  # 20 bytes at SF7: 56.576 ms, and 0.145 ms to start
    step("finish_tx")
    radio.finish_tx()
    step("sleep")
    radio.sleep(True)
    bench.time.sleep_ms(10)
    step("wake")
    radio.wake()
    step("stage_rx")
    radio.stage_rx(868_100_000, 7, 125_000, 24)
    ends_us = bench.downlink(_PAYLOAD, after_us=3_000)
    step("launch_rx")
    radio.launch_rx()
    step("receiving")
    bench.clock.run_until(ends_us + 100)
    state = radio.rx_state()
    for n in range(100):
        if state != driver.RX_WAITING:
            break
        bench.time.sleep_ms(2)
        state = radio.rx_state(n > 50)
    if state == driver.RX_WAITING:
        raise driver.RadioFault("reception does not end")  # as firmware.link does
    step("read_packet")
    buffer = bytearray(255)
    received = bytes(buffer[: radio.read_packet(buffer)]) if state == driver.RX_DONE else None
    step("end")
    radio.sleep()
    return received


STEPS = (
    "stage_tx", "launch_tx", "sending", "finish_tx", "sleep", "wake", "stage_rx", "launch_rx", "receiving",
    "read_packet", "end",
)  # fmt: skip


def fails_and_recovers(
    bench: Bench, at: str, then: Callable[[], None], *, unnoticed: bool = False
) -> str | bytes | None:
    """Run the exchange with something going wrong; return the fault's reason or else what was received.

    Whichever it is, the driver has noticed, unless it may stay ``unnoticed``.
    """
    before_us = bench.clock.now_us
    try:
        outcome: str | bytes | None = exchange(bench, at, then)
    except bench.module.RadioFault as fault:
        outcome = str(fault.reason)
        assert outcome
    else:
        assert bench.radio.oddity or unnoticed, "nobody noticed"
    assert bench.clock.now_us - before_us < _LONGEST_US
    assert bench.nss.level == 1
    bench.radio = bench.another_driver()  # after the deep sleep that follows
    bench.started()
    bench.sim.refusals.clear()
    bench.sim.degradations.clear()
    assert exchange(bench) == _PAYLOAD
    assert bench.radio.oddity == ""
    assert bench.radio.asleep()
    bench.assert_clean()
    bench.started()
    return outcome


def every_fault_at_every_step_is_survived(driver: ModuleType) -> None:
    for fault in Fault:
        bench = Bench(driver, limit_ms=90_000).started()
        for at in STEPS:
            if fault in (Fault.DIO1_LOST, Fault.IRQ_LOST) and at in ("read_packet", "end"):
                continue  # there is nothing to say any more
            outcome = fails_and_recovers(bench, at, lambda bench=bench, fault=fault: bench.sim.fault(fault))  # type: ignore[misc]

            if fault in (Fault.DIO1_LOST, Fault.DIO1_SPURIOUS):
                assert outcome == _PAYLOAD, (fault, at)  # the chip's own word is enough


def each_oddity_is_told(driver: ModuleType) -> None:
    for fault, oddity in ((Fault.DIO1_LOST, "interrupt line silent"), (Fault.DIO1_SPURIOUS, "interrupt for nothing")):
        for at in STEPS[: STEPS.index("read_packet")]:
            bench = Bench(driver).started()

            exchange(bench, at, lambda bench=bench, fault=fault: bench.sim.fault(fault))  # type: ignore[misc]

            assert bench.radio.oddity == oddity
    bench = Bench(driver).started()
    exchange(bench, "receiving", lambda: glitch(bench))
    assert bench.radio.oddity == "interrupt for nothing"
    assert bench.radio.done is None  # nobody knows which of the two it was


def glitch(bench: Bench) -> None:
    """Noise on the interrupt line, shorter than the pause between two looks at it."""
    bench.sim.fault(Fault.DIO1_SPURIOUS)
    bench.time.sleep_us(100)
    bench.sim.heal()


def a_chip_that_is_not_asleep_is_noticed(driver: ModuleType) -> None:
    for then, oddity in (
        (lambda bench: bench.nss.drive(0), "not asleep"),  # noise on NSS wakes it
        (lambda bench: bench.busy_wire.drive(0), "not asleep"),
        (lambda bench: None, ""),
    ):
        bench = Bench(driver).started()
        bench.radio.sleep()
        assert bench.radio.asleep()
        bench.started()
        bench.radio.sleep(True)
        then(bench)
        bench.time.sleep_ms(1)
        assert bench.radio.asleep() == (oddity == "")
        bench.nss.drive(1)

        bench.radio.wake()

        assert bench.radio.oddity == oddity
        bench.started()
        assert bench.radio.oddity == ""


def a_brown_out_in_any_transfer_is_survived(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.spi.sent.clear()
    exchange(bench)
    selections = len(bench.spi.sent) + 1  # one of them only wakes the chip
    assert selections > 40
    for number in range(1, selections + 1):
        bench = Bench(driver).started()
        left = [number]

        def count(level: int, bench: Bench = bench, left: list[int] = left) -> None:
            if level == 0:
                left[0] -= 1
                if left[0] == 0:
                    bench.sim.fault(Fault.RESET_IN_TRANSFER)

        bench.nss.watch(count)
        # After its last answer, and before SetSleep, a chip can be reset and nobody knows; it sleeps all the same.
        fails_and_recovers(bench, "", lambda: None, unnoticed=number == selections - 1)


def each_fault_has_a_reason(driver: ModuleType) -> None:
    for fault, at, reason in (
        (Fault.BUSY_STUCK, "stage_tx", "busy stuck"),
        (Fault.BUSY_STUCK, "launch_tx", "busy at launch"),
        (Fault.BUSY_STUCK, "stage_rx", "busy stuck"),
        (Fault.IRQ_LOST, "sending", "uplink not sent"),
        (Fault.SILENT, "stage_tx", "status 0x00"),
        (Fault.STATUS_WRONG, "finish_tx", "status 0xff"),
        (Fault.STATUS_WRONG, "receiving", "status 0xff"),
        (Fault.SILENT, "wake", "status 0x00"),
        (Fault.RESET_IN_TRANSFER, "wake", "configuration lost"),
        (Fault.IRQ_LOST, "receiving", "reception does not end"),
        (Fault.BUSY_STUCK, "end", "busy stuck"),
        (Fault.SILENT, "sleep", "not asleep"),
        (Fault.RESET_IN_TRANSFER, "end", "configuration lost"),
    ):
        bench = Bench(driver).started()

        assert fails_and_recovers(bench, at, lambda bench=bench, fault=fault: bench.sim.fault(fault)) == reason  # type: ignore[misc]


def an_interrupt_that_nobody_asked_for_is_a_fault(driver: ModuleType) -> None:
    bench = Bench(driver).started()

    def preamble_detected() -> None:
        bench.sim.radio.irq |= 0x0004

    assert fails_and_recovers(bench, "finish_tx", preamble_detected) == "status 0x0005"


def a_reset_while_it_starts_is_a_fault(driver: ModuleType) -> None:
    for tcxo_start_us, tcxo_mv in ((1_500, 1_800), (None, 0)):
        options = {"tcxo_start_us": tcxo_start_us, "tcxo_mv": tcxo_mv}
        bench = Bench(driver, **options)  # type: ignore[arg-type]
        bench.started()
        for number in range(len(bench.spi.sent)):
            bench = Bench(driver, **options)  # type: ignore[arg-type]
            bench.nss.watch(
                lambda level, bench=bench, number=number: (  # type: ignore[misc]
                    bench.sim.fault(Fault.RESET_IN_TRANSFER) if not level and len(bench.spi.sent) == number else None
                )
            )

            assert bench.fault_of(lambda: (bench.radio.start(), bench.radio.sleep())) is not None  # noqa: B023


def a_chip_that_stays_broken_fails_to_start_and_soon(driver: ModuleType) -> None:
    for fault, reason in ((Fault.BUSY_STUCK, "busy stuck"), (Fault.STATUS_WRONG, "status 0xff")):
        bench = Bench(driver)
        bench.sim.fault(fault, lasting=True)

        assert bench.fault_of(bench.radio.start) == reason
        assert bench.clock.now_us < 200_000

        bench.sim.heal()
        bench.started()
        assert exchange(bench) == _PAYLOAD


# DS 13.1.6 "SetTxContinuousWave", 13.5.4 "GetRssiInst"


def a_carrier_is_sent_until_the_radio_sleeps(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    for frequency_hz, power_dbm in ((868_300_000, 14), (869_525_000, 22), (863_100_000, -9)):
        bench.radio.continuous_wave(frequency_hz, power_dbm)
        bench.time.sleep_ms(1)

        assert bench.sim.carrier == (frequency_hz, power_dbm)
        bench.time.sleep_ms(6_000)
        assert bench.sim.mode == "tx"

    bench.radio.sleep()
    assert bench.sim.carrier is None
    assert bench.fault_of(lambda: bench.radio.continuous_wave(868_300_000, 23)) == "power 23 dBm"
    bench.assert_clean()


def the_loudest_moment_of_a_channel_is_told(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    assert -118 <= bench.radio.loudest_dbm(868_100_000, 125_000, 20) <= -116  # thermal noise in 125 kHz, 6 dB figure

    bench.downlink(bytes(20), after_us=100_000)  # 14 dBm, 100 dB of loss
    before_us = bench.clock.now_us
    assert bench.radio.loudest_dbm(868_100_000, 125_000, 200) == -86
    assert bench.clock.now_us - before_us < 250_000
    assert bench.sim.mode == "stby_rc"
    bench.assert_clean()


FAULTS: list[Behaviour] = [
    each_fault_has_a_reason,
    each_oddity_is_told,
    an_interrupt_that_nobody_asked_for_is_a_fault,
    a_reset_while_it_starts_is_a_fault,
    a_chip_that_is_not_asleep_is_noticed,
    a_chip_that_stays_broken_fails_to_start_and_soon,
    a_carrier_is_sent_until_the_radio_sleeps,
    the_loudest_moment_of_a_channel_is_told,
    every_fault_at_every_step_is_survived,
    a_brown_out_in_any_transfer_is_survived,
]
