# SPDX-License-Identifier: EUPL-1.2
"""What the SX1262 driver must do with a chip that fails, and what it offers the technician, as functions of its module.

A fault ends in a RadioFault with a reason, or costs nothing; it never hangs, and the next ``start`` recovers.
"""

from collections.abc import Callable
from types import ModuleType

from simulators.chips.sx1262_faults import Fault
from tests.firmware.radio.sx1262_bench import Bench

Behaviour = Callable[[ModuleType], None]

_PAYLOAD = b"\x60downlink"
_LONGEST_US = 600_000  # of the exchange below, however it fails


def exchange(bench: Bench, at: str = "", then: Callable[[], None] = lambda: None) -> bytes | None:
    """Uplink, doze, window with a downlink in it; ``then`` happens before the step ``at``. Returns the downlink."""

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
    step("read_packet")
    buffer = bytearray(255)
    return bytes(buffer[: radio.read_packet(buffer)]) if state == driver.RX_DONE else None


STEPS = (
    "stage_tx", "launch_tx", "sending", "finish_tx", "sleep", "wake", "stage_rx", "launch_rx", "receiving",
    "read_packet",
)  # fmt: skip


def fails_and_recovers(bench: Bench, at: str, then: Callable[[], None]) -> str | bytes | None:
    """Run the exchange with something going wrong; return the fault's reason or else what was received."""
    before_us = bench.clock.now_us
    try:
        outcome: str | bytes | None = exchange(bench, at, then)
    except bench.module.RadioFault as fault:
        outcome = str(fault.reason)
        assert outcome
    assert bench.clock.now_us - before_us < _LONGEST_US
    assert bench.nss.level == 1
    bench.radio = bench.another_driver()  # after the deep sleep that follows
    bench.started()
    bench.sim.refusals.clear()
    bench.sim.degradations.clear()
    assert exchange(bench) == _PAYLOAD
    bench.assert_clean()
    return outcome


def every_fault_at_every_step_is_survived(driver: ModuleType) -> None:
    for fault in Fault:
        bench = Bench(driver, limit_ms=90_000).started()
        for at in STEPS:
            outcome = fails_and_recovers(bench, at, lambda bench=bench, fault=fault: bench.sim.fault(fault))  # type: ignore[misc]

            if fault in (Fault.DIO1_LOST, Fault.DIO1_SPURIOUS):
                assert outcome == _PAYLOAD, (fault, at)  # the chip's own word is enough


def a_brown_out_in_any_transfer_is_survived(driver: ModuleType) -> None:
    bench = Bench(driver).started()
    bench.spi.sent.clear()
    exchange(bench)
    transfers = len(bench.spi.sent)
    assert transfers > 25
    for number in range(1, transfers + 1):
        bench = Bench(driver).started()
        left = [number]

        def count(level: int, bench: Bench = bench, left: list[int] = left) -> None:
            if level == 0:
                left[0] -= 1
                if left[0] == 0:
                    bench.sim.fault(Fault.RESET_IN_TRANSFER)

        bench.nss.watch(count)
        fails_and_recovers(bench, "", lambda: None)


def each_fault_has_a_reason(driver: ModuleType) -> None:
    for fault, at, reason in (
        (Fault.BUSY_STUCK, "stage_tx", "busy stuck"),
        (Fault.BUSY_STUCK, "launch_tx", "busy at launch"),
        (Fault.BUSY_STUCK, "stage_rx", "busy stuck"),
        (Fault.IRQ_LOST, "sending", "uplink not sent"),
        (Fault.SILENT, "stage_tx", "uplink not sent"),
        (Fault.STATUS_WRONG, "finish_tx", "status 0xffff"),
        (Fault.STATUS_WRONG, "receiving", "status 0xffff"),
        (Fault.SILENT, "wake", "configuration lost"),
        (Fault.RESET_IN_TRANSFER, "wake", "configuration lost"),
        (Fault.IRQ_LOST, "receiving", None),  # the link gives up: firmware.link
    ):
        bench = Bench(driver).started()

        assert fails_and_recovers(bench, at, lambda bench=bench, fault=fault: bench.sim.fault(fault)) == reason  # type: ignore[misc]


def a_chip_that_stays_broken_fails_to_start_and_soon(driver: ModuleType) -> None:
    for fault, reason in ((Fault.BUSY_STUCK, "busy stuck"), (Fault.STATUS_WRONG, "device errors 0xffff")):
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
    a_chip_that_stays_broken_fails_to_start_and_soon,
    a_carrier_is_sent_until_the_radio_sleeps,
    the_loudest_moment_of_a_channel_is_told,
    every_fault_at_every_step_is_survived,
    a_brown_out_in_any_transfer_is_survived,
]
