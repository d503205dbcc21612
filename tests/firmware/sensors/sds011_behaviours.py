# SPDX-License-Identifier: EUPL-1.2
"""What the SDS011 driver must do, as functions of the driver's module, so that broken drivers can be tried too.

DS = Nova Fitness "Laser Dust Sensor Control Protocol" V1.3; the frames are its own examples, of a sensor A160 that
says 123.6 and 261.8 ug/m3.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from simulators.chips.sds011 import Fault, Sds011Sim
from simulators.inprocess_buses import Uart
from simulators.wires import SerialPort, SerialSettings, Wire
from tests.firmware.sensors.air_rig import Air, Bench, Values, number

Behaviour = Callable[[ModuleType], None]
NAMES = ("pm2_5", "pm10")
SETTINGS = SerialSettings(9_600, 8, None, 1)
WORK = "aab4060101" + 20 * "0" + "ffff06ab"
SLEEP = "aab4060100" + 20 * "0" + "ffff05ab"
QUERY = "aab4040000" + 20 * "0" + "ffff02ab"
ASK_MODE = "aab4020000" + 20 * "0" + "ffff00ab"
SET_MODE = "aab4020101" + 20 * "0" + "ffff02ab"
ASK_PERIOD = "aab4080000" + 20 * "0" + "ffff06ab"
SET_PERIOD = "aab4080100" + 20 * "0" + "ffff07ab"
REPLIES = {
    QUERY: "aac0d4043a0aa1601dab",
    WORK: "aac506010100a16009ab",
    SLEEP: "aac506010000a16008ab",
    ASK_MODE: "aac502000100a16004ab",
    SET_MODE: "aac502010100a16005ab",
    ASK_PERIOD: "aac508000000a16009ab",
    SET_PERIOD: "aac508010000a1600aab",
}


def all_are(fault: str) -> Values:
    return dict.fromkeys(NAMES, fault)


class Line(Bench):
    """The driver at its end of a serial line."""

    READ_MS = 2_500

    def __init__(self, driver: ModuleType) -> None:
        super().__init__()
        self.port = SerialPort(self.clock)
        self.uart = Uart(self.clock, self.port)
        self.uart.init(driver.BAUD)
        self.driver = driver.Sds011(self.uart, self.time)


class Chip(Line):
    """With a simulated sensor at its far end, which has just got its supply."""

    def __init__(self, driver: ModuleType, air: Air = Air(), fault: Fault | None = None, **options: Any) -> None:  # noqa: B008
        super().__init__(driver)
        self.power = Wire(0)
        self.sim = Sds011Sim(self.clock, self.port, self.power, lambda _us: air, noise_percent=0, **options)
        self.sim.fault = fault
        self.power.drive(1)


class Script(Line):
    """With a sensor that gives prepared answers, in hexadecimal, by frame; a list gives one after the other."""

    def __init__(self, driver: ModuleType, replies: dict[str, Any] | None = None, after_us: int = 20_000) -> None:
        super().__init__(driver)
        self.port.device = self
        self.sent: list[str] = []
        self._replies = dict(REPLIES) | (replies or {})
        self._after_us = after_us
        self._frame = b""

    def byte_received(self, byte: int, settings: SerialSettings) -> None:
        assert settings == SETTINGS
        self._frame += bytes([byte])
        if len(self._frame) == 19:
            frame, self._frame = self._frame.hex(), b""
            self.sent.append(frame)
            reply = self._replies.get(frame, "")
            if isinstance(reply, list):
                reply = reply.pop(0) if len(reply) > 1 else reply[0]
            self.port.answer(bytes.fromhex(reply), SETTINGS, self._after_us)


# Values


def reads_the_dust_in_the_air(driver: ModuleType) -> None:
    for air in (Air(), Air(4.0, 6.0, 7.0, 7.5), Air(300.0, 450.0, 520.0, 610.0), Air(1.0, 1.5, 1.7, 2.0)):
        rig = Chip(driver, air)

        values = rig.measure()

        assert 0.9 * air.pm2_5 * 10 - 1 <= number(values["pm2_5"]) <= 1.05 * air.pm2_5 * 10 + 1
        assert 0.9 * air.pm10 * 10 - 1 <= number(values["pm10"]) <= 1.05 * air.pm10 * 10 + 1
        assert rig.sim.refusals == []


def decodes_the_protocols_example(driver: ModuleType) -> None:
    assert Script(driver).measure() == {"pm2_5": 1_236, "pm10": 2_618}


def values_end_where_the_sensor_does(driver: ModuleType) -> None:
    for reply, fine, coarse in (
        ("aac00f270f27a1606dab", 9_999, 9_999),
        ("aac01027 0f27a1606eab", "out_of_range", 9_999),
        ("aac001001027 a16039ab", 1, "out_of_range"),
        ("aac00100ffff a16000ab", 1, "out_of_range"),
        ("aac000000100a16002ab", 0, 1),
    ):
        assert Script(driver, {QUERY: reply}).measure() == {"pm2_5": fine, "pm10": coarse}


def no_dust_at_all_is_a_dead_laser(driver: ModuleType) -> None:
    assert Script(driver, {QUERY: "aac000000000a16001ab"}).measure() == all_are("stuck")


def fog_and_smoke_are_told_as_they_are(driver: ModuleType) -> None:
    values = Chip(driver, Air(180.0, 420.0, 610.0, 790.0, relative_humidity=99.5)).measure()

    assert all(isinstance(value, int) for value in values.values())


# The line: DS "Protocol Configuration", "Command"


def sends_the_protocols_frames(driver: ModuleType) -> None:
    rig = Script(driver)

    rig.measure()
    rig.stop()

    assert rig.sent == [WORK, ASK_MODE, ASK_PERIOD, QUERY, SLEEP]


def writes_settings_only_if_they_are_others(driver: ModuleType) -> None:
    rig = Chip(driver, query_mode=False, period_min=5)

    values = rig.measure()
    rig.read()

    assert isinstance(values["pm10"], int)
    assert (rig.sim.query_mode, rig.sim.period_min, rig.sim.stored) == (True, 0, 2)
    rig = Chip(driver, query_mode=True)
    rig.measure()
    assert rig.sim.stored == 0


def settings_are_set_with_the_protocols_frames(driver: ModuleType) -> None:
    rig = Script(driver, {ASK_MODE: "aac502000000a16003ab", ASK_PERIOD: "aac508000500a1600eab"})

    rig.measure()

    assert rig.sent == [WORK, ASK_MODE, SET_MODE, ASK_PERIOD, SET_PERIOD, QUERY]


def what_it_says_unasked_is_no_answer(driver: ModuleType) -> None:
    rig = Script(driver, {QUERY: ""})
    rig.time.sleep_ms(rig.start())
    rig.port.answer(bytes.fromhex(REPLIES[QUERY]), SETTINGS)
    rig.time.sleep_ms(1_000)

    assert rig.read() == all_are("no_answer")


def finds_the_answer_behind_other_bytes(driver: ModuleType) -> None:
    for before in ("00", "aac0", "aa", "c0", "aac0d4043a0a", "aac506010100a16009ab", "ff" * 30):
        assert Script(driver, {QUERY: before + REPLIES[QUERY]}).measure() == {"pm2_5": 1_236, "pm10": 2_618}


def takes_no_frame_that_is_damaged_or_another(driver: ModuleType) -> None:
    good = bytes.fromhex(REPLIES[QUERY])
    for n in range(10):
        wrong = bytes(byte ^ 0x01 if n == m else byte for m, byte in enumerate(good))
        assert Script(driver, {QUERY: wrong.hex()}).measure() == all_are("bad_answer")
    for other in ("aac504d4043aa1600cab", "aac506010100a16009ab", "aac0d4043a0aa160", REPLIES[ASK_MODE]):
        assert Script(driver, {QUERY: other}).measure() == all_are("bad_answer")


def an_answer_to_another_question_is_none(driver: ModuleType) -> None:
    assert Script(driver, {ASK_MODE: REPLIES[ASK_PERIOD]}).measure() == all_are("bad_answer")
    assert Script(driver, {ASK_MODE: REPLIES[QUERY]}).measure() == all_are("bad_answer")
    assert Script(driver, {ASK_MODE: "aac002000100a16004ab"}).measure() == all_are("bad_answer")  # right but its kind


def asks_three_times(driver: ModuleType) -> None:
    good = REPLIES[QUERY]
    assert Script(driver, {QUERY: ["", good]}).measure()["pm10"] == 2_618
    assert Script(driver, {QUERY: ["00", "", good]}).measure()["pm10"] == 2_618
    rig = Script(driver, {QUERY: ""})
    assert rig.measure() == all_are("no_answer")
    assert rig.sent.count(QUERY) == 3


def waits_for_a_slow_sensor(driver: ModuleType) -> None:
    assert Script(driver, after_us=100_000).measure() == {"pm2_5": 1_236, "pm10": 2_618}


# Power


def a_value_can_be_trusted_when_start_says_so(driver: ModuleType) -> None:
    assert 25_000 <= Chip(driver).start() <= 29_500  # one with pauses stops after 30 s


def sleeps_after_stop_and_works_after_start(driver: ModuleType) -> None:
    rig = Chip(driver)
    rig.measure()
    rig.stop()
    assert not rig.sim.working
    before_uc = rig.sim.charge_uc()
    rig.time.sleep_ms(60_000)
    assert rig.sim.charge_uc() - before_uc <= 60 * 4_000  # 4 mA

    assert isinstance(rig.measure()["pm10"], int)
    assert rig.sim.refusals == []


def a_disturbed_stop_is_said_again(driver: ModuleType) -> None:
    rig = Script(driver, {SLEEP: ["", "", REPLIES[SLEEP]]})
    rig.measure()
    rig.stop()

    assert rig.sent.count(SLEEP) == 3


def measures_again_after_a_power_cut(driver: ModuleType) -> None:
    rig = Chip(driver)
    rig.measure()
    rig.stop()
    rig.power.drive(0)
    rig.time.sleep_ms(1_000)
    rig.power.drive(1)

    assert isinstance(rig.measure()["pm10"], int)


def knows_no_value_before_start_and_after_stop(driver: ModuleType) -> None:
    rig = Chip(driver)
    assert rig.read() == all_are("not_ready")
    rig.measure()
    rig.stop()

    assert rig.read() == all_are("not_ready")


# Faults


def each_fault_has_its_name(driver: ModuleType) -> None:
    for fault, name in (
        (Fault.ABSENT, "no_answer"),
        (Fault.NEVER_READY, "no_answer"),
        (Fault.BAD_CHECKSUM, "bad_answer"),
        (Fault.CUT, "bad_answer"),
        (Fault.STUCK, "stuck"),
        (Fault.OUT_OF_RANGE, "out_of_range"),
    ):
        rig = Chip(driver, fault=fault)

        assert rig.measure() == all_are(name), fault
        rig.stop()


def babble_on_the_line_ends_some_time(driver: ModuleType) -> None:
    rig = Chip(driver, fault=Fault.BABBLE)
    rig.measure()
    rig.stop()

    always = Line(driver)
    always.clock.after(0, lambda: babble(always))
    assert always.measure() == all_are("bad_answer")
    always.stop()


def babble(line: Line) -> None:
    line.port.answer(b"\xaa\xc0", SETTINGS)
    line.clock.after(2_100, lambda: babble(line))


BEHAVIOURS: tuple[Behaviour, ...] = (
    reads_the_dust_in_the_air,
    decodes_the_protocols_example,
    values_end_where_the_sensor_does,
    no_dust_at_all_is_a_dead_laser,
    fog_and_smoke_are_told_as_they_are,
    sends_the_protocols_frames,
    writes_settings_only_if_they_are_others,
    settings_are_set_with_the_protocols_frames,
    what_it_says_unasked_is_no_answer,
    finds_the_answer_behind_other_bytes,
    takes_no_frame_that_is_damaged_or_another,
    an_answer_to_another_question_is_none,
    asks_three_times,
    waits_for_a_slow_sensor,
    a_value_can_be_trusted_when_start_says_so,
    sleeps_after_stop_and_works_after_start,
    a_disturbed_stop_is_said_again,
    measures_again_after_a_power_cut,
    knows_no_value_before_start_and_after_stop,
    each_fault_has_its_name,
    babble_on_the_line_ends_some_time,
)
