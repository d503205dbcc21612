# SPDX-License-Identifier: EUPL-1.2
"""Every board runs the whole firmware and leaves nothing on in its sleep; boards broken on purpose are found out."""

import shutil

import pytest

from simulators.air import Air
from simulators.board import KINDS, BoardSim, pins_of
from simulators.clock import Clock
from simulators.firmware_build import DEFAULT_BOARD, REPOSITORY, build, build_rom, compile_module, pack
from simulators.node_states import ResetCause
from tests.firmware.heltec_bench import Street
from tests.firmware.mutants.boards import MUTANTS
from tests.firmware.mutants.loading import broken

S = 1_000_000
HOUR = 3600
HEAD = "from firmware.boards import this\nboard = this.Board(this)\nclock = board.clock\n"

# Deep sleep, again without ever asking for the radio, a reset.
SLEEPER = """
count = len(board.rtc.memory())
print(board.slept(), count, clock.time() // 10 * 10)
board.rtc.memory(bytes(count + 1))
if not board.slept():
    radio = board.radio()
    radio.start()
    radio.sleep()
if count < 2:
    board.deep_sleep(5000_000)
elif count == 2:
    import machine
    machine.reset()
"""
SLEEPER_SAYS = ["False 0 0", "True 1 5000", "True 2 10000", "False 3 10000"]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The firmware of each table, as files."""
    made = {}

    def folder(kind):
        board = KINDS[kind].firmware
        if board not in made:
            made[board] = build(tmp_path_factory.mktemp(board), board=board)
        return made[board]

    return folder


@pytest.fixture
def street(compiled, tmp_path):
    """A node of this kind, its firmware in ``tmp_path / "firmware"``."""

    def make(kind):
        shutil.copytree(compiled(kind), tmp_path / "firmware")  # what is compiled is not compiled again
        return Street(tmp_path, kind=kind)

    return make


@pytest.fixture
def run(compiled, tmp_path):
    """Let ``source`` be the program of a board, behind HEAD; return the board after ``seconds``, its power still on."""
    kernels = []

    def start(kind, source, seconds=10, folder=None, **options):
        folder = folder or compiled(kind)
        main = tmp_path / "probe.py"
        main.write_text(HEAD + source)
        compile_module(main, folder / "probe.mpy", "probe.py")
        clock = Clock()
        sim = BoardSim(clock, Air(clock), folder, kind, main="probe", adc_noise_uv=0.0, **options)
        kernels.append(sim.kernel())
        sim.bench.power_on()
        kernels[-1].run_until(seconds * S)
        sim.run = lambda more: kernels[-1].run_until(clock.now_us + more * S)
        return sim

    yield start
    for kernel in kernels:
        kernel.close()


def said(sim):
    return sim.bench.console().splitlines()


@pytest.mark.parametrize("kind", KINDS)
class TestWakes:
    def test_it_joins_reports_and_sleeps_without_a_complaint(self, kind, street):
        one = street(kind)
        one.node.power_on()

        one.run(3 * HOUR + 200)

        assert one.f_cnts() == list(range(len(one.f_cnts())))
        assert len(one.f_cnts()) >= 4
        assert len(one.network.join_requests) == 1
        one.assert_healthy()
        one.kernel.close()

    def test_after_a_power_cut_it_goes_on_in_its_session(self, kind, street):
        one = street(kind)
        one.node.power_on()
        one.run(HOUR)
        before = one.f_cnts()

        one.node.power_off()
        one.run(100)
        one.node.power_on()
        one.run(HOUR)

        assert len(one.network.join_requests) == 1
        assert one.f_cnts() == sorted(set(one.f_cnts()))
        assert len(one.f_cnts()) > len(before)
        one.assert_healthy()
        one.kernel.close()


@pytest.mark.parametrize("kind", KINDS)
class TestBoard:
    @pytest.mark.parametrize("battery_mv", [2_900, 3_300, 3_650])
    def test_it_measures_its_battery(self, run, kind, battery_mv):
        sim = run(kind, "print(board.battery_mv(), board.battery_mv())\n", battery_mv=battery_mv)

        first, second = (int(word) for word in said(sim)[0].split())
        assert first == second == pytest.approx(battery_mv, abs=5)

    def test_a_battery_that_is_not_there_is_0(self, run, kind):
        assert said(run(kind, "print(board.battery_mv())\n", battery_mv=0)) == ["0"]

    @pytest.mark.parametrize("celsius", [-20.0, 41.0])
    def test_it_knows_its_processors_temperature(self, run, kind, celsius):
        sim = run(kind, "print(board.node_temperature())\n", read_celsius=lambda _: celsius)

        assert int(said(sim)[0]) == pytest.approx(
            celsius * 100, abs=60
        )  # 1 Cel is one step of the RP2's converter, * 2

    def test_memory_and_time_outlive_deep_sleep_and_resets_and_nothing_outlives_a_power_cut(self, run, kind):
        sim = run(kind, SLEEPER, seconds=11_000)

        assert said(sim) == SLEEPER_SAYS
        assert sim.complaints() == []

        sim.bench.power_off()
        sim.run(1)
        sim.bench.power_on()
        sim.run(10)

        assert said(sim)[-1] == "False 0 0"

    def test_a_deep_sleep_of_sixteen_hours_is_as_long_as_it_says(self, run, kind):
        source = (
            "print(clock.time())\nif not board.slept():\n    board.watchdog_start()\n    board.deep_sleep(57600_000)\n"
        )

        sim = run(kind, source, seconds=57_590)
        assert len(said(sim)) == 1
        sim.run(20)

        assert 57_600 <= int(said(sim)[1]) <= 57_602

    def test_thirty_seconds_without_progress_end_in_a_reset(self, run, kind):
        source = "board.watchdog_start()\nclock.sleep_ms(16_000)\nboard.watchdog_feed()\nprint('waits')\n"
        sim = run(kind, source + "while True:\n    clock.sleep_ms(500)\n", seconds=40)
        assert said(sim) == ["waits"]

        sim.run(20)

        assert sim.bench.statistics.boots[ResetCause.WATCHDOG] == 1

    def test_a_program_that_hangs_ends_in_a_reset(self, run, kind):
        sim = run(kind, "board.watchdog_start()\nwhile True:\n    clock.sleep_us(5000)\n", seconds=35)

        assert sim.bench.statistics.boots[ResetCause.WATCHDOG] >= 1

    def test_the_rail_is_on_only_between_on_and_off_and_lines_float_afterwards(self, run, kind):
        source = "board.sensor_power(True)\nboard.rs485(); board.one_wire()\nclock.sleep_ms(1000)\n"
        edges = []
        sim = run(kind, source + "board.sensor_power(False)\nclock.sleep_ms(100_000)\n", seconds=0)
        sim.sensor_power.watch(lambda level: edges.append((level, sim.clock.now_us // 100_000)))
        sim.run(10)

        assert [level for level, _ in edges] == [1, 0]
        assert edges[1][1] - edges[0][1] in (10, 11)
        assert [leak for leak in sim.leaks() if "rail" in leak] == []


class TestPowerThatComesBack:
    def test_a_memory_of_the_power_before_is_not_taken_for_that_of_today(self, run):
        """An RP2's memory is a file, which outlives a power cut; it must not count then."""
        source = "print(board.rtc.memory())\nboard.rtc.memory(b'x')\n"
        sim = run("pico_waveshare", source)

        for _ in range(2):
            sim.bench.power_off()
            sim.run(1)
            sim.bench.power_on()
            sim.run(10)

        assert said(sim) == ["b''"] * 3


class TestTables:
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_table_says_everything_and_nothing_else(self, kind):
        assert constants(KINDS[kind].table) == constants(KINDS[DEFAULT_BOARD].table)

    @pytest.mark.parametrize("kind", KINDS)
    def test_radio_rail_and_battery_share_their_pins_with_nobody(self, kind):
        pins = pins_of(KINDS[kind].table)
        own = {name for name in pins if name.startswith(("LORA_", "RF_", "SENSOR_POWER", "BATTERY"))}

        for name in own:
            assert [other for other, gpio in pins.items() if gpio == pins[name]] == [name]

    @pytest.mark.parametrize("kind", KINDS)
    def test_analogue_inputs_are_pins_that_have_a_converter(self, kind):
        # ESP32-S3 datasheet, "Analog Functions": ADC1 on GPIO1 to 10; RP2040 datasheet, "ADC": GPIO26 to 29
        converters = range(26, 30) if kind == "pico_waveshare" else range(1, 11)
        table = KINDS[kind].table

        assert {table.BATTERY, table.WATERMARK_ADC, *table.ANALOG.values()} <= set(converters)


class TestBuild:
    def test_an_image_holds_one_boards_table_and_no_other(self, tmp_path):
        images = {
            board: build_rom(tmp_path / board, board=board).read_bytes() for board in ("heltec_v3", "pico_waveshare")
        }

        assert b"firmware.boards.heltec_v3" in images["heltec_v3"]
        assert b"firmware.boards.pico_waveshare" not in images["heltec_v3"]
        assert b"firmware.boards.pico_waveshare" in images["pico_waveshare"]
        assert b"firmware.boards.esp32" not in images["pico_waveshare"]


def constants(table):
    return {name for name in vars(table) if name.isupper()}


def few_wakes(one):
    """Join, report for an hour, a power cut, report again. Returns uplink counters, times the rail went on, boots."""
    rises = []
    one.tree.sensor_power.watch(lambda level: rises.append(level) if level else None)
    one.node.power_on()
    one.run(HOUR + 200)
    one.node.power_off()
    one.run(10)
    one.node.power_on()
    one.run(400)

    one.assert_healthy()
    assert len(one.network.join_requests) == 1
    assert one.f_cnts() == sorted(set(one.f_cnts()))
    assert len(one.f_cnts()) >= 3
    boots = one.node.statistics.boots
    assert (boots[ResetCause.POWER_ON], boots[ResetCause.WATCHDOG]) == (2, 0)
    return one.f_cnts(), len(rises), sum(boots.values())


@pytest.fixture(scope="module")
def as_ever(tmp_path_factory):
    """What the best-known board does."""
    one = Street(tmp_path_factory.mktemp("reference"))
    try:
        return few_wakes(one)
    finally:
        one.kernel.close()


def few_sleeps(run, kind, folder):
    """SLEEPER on the firmware in ``folder``."""
    sim = run(kind, SLEEPER, seconds=11_000, folder=folder)

    assert said(sim) == SLEEPER_SAYS
    assert sim.complaints() == []


def does_all_right(one, run, kind, folder, as_ever):
    try:
        assert few_wakes(one) == as_ever
        few_sleeps(run, kind, folder / "firmware")
    finally:
        one.kernel.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_board_does_all_right(kind, street, run, tmp_path, as_ever):
    does_all_right(street(kind), run, kind, tmp_path, as_ever)


@pytest.mark.parametrize(("kind", "module", "mutant"), MUTANTS, ids=[f"{kind}: {m.name}" for kind, _, m in MUTANTS])
def test_a_broken_board_is_found_out(kind, module, mutant, street, run, tmp_path, as_ever):
    one = street(kind)
    path = module.replace(".", "/")
    source = tmp_path / "broken.py"
    source.write_text(broken({module: (REPOSITORY / f"{path}.py").read_text()}, mutant)[module])
    compile_module(source, tmp_path / f"firmware/{path}.mpy", "broken.py")
    pack(tmp_path / "firmware")

    with pytest.raises(AssertionError):
        does_all_right(one, run, kind, tmp_path, as_ever)
