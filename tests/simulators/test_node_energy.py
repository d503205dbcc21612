# SPDX-License-Identifier: EUPL-1.2
"""``stadtfunk node energy``: a short run gives years, and says what it assumed."""

import json
import re

import pytest
from click.testing import CliRunner

from simulators.energy import Battery
from simulators.firmware_build import build_rom
from simulators.node_cli import energy, lines
from simulators.node_energy import Daily, Estimate, estimate

COMPUTING_S = (
    0.5  # in a wake, a little more than `node energy` finds: that is measured, so most tests do not ask for it
)


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    return build_rom(tmp_path_factory.mktemp("firmware"))


@pytest.fixture(scope="module")
def tree(firmware):
    return estimate("tree", 9, 24.0, days=2, firmware=firmware, computing_s=COMPUTING_S)


def made_up(total: float) -> Estimate:
    return Estimate("tree", "heltec_v3", 9, 24.0, 3.0, 1, {"MCU awake": total}, 24.0, 5.0, 36.0, Battery(), [])


class TestEstimate:
    def test_the_node_sends_as_often_and_as_fast_as_asked_and_nothing_complains(self, tree):
        assert tree.complaints == []
        assert tree.uplinks == pytest.approx(24, abs=2)
        # SF9: 0.15 to 0.4 s for 13 to 51 bytes, so much a day
        assert 24 * 0.144 < tree.airtime_s < 26 * 0.41

    def test_transmitting_costs_its_airtime_at_the_amplifiers_45_ma_and_the_oscillators_1_5(self, tree):
        assert tree.mah_per_day["radio transmit"] == pytest.approx(tree.airtime_s * 46.5 / 3600, rel=0.05)

    def test_sleeping_all_day_costs_what_the_table_says(self, tree):
        """8 uA of the processor and 16 uA of the board, 24 h."""
        assert tree.mah_per_day["MCU deep sleep"] == pytest.approx(0.192, rel=0.02)
        assert tree.mah_per_day["regulators"] == pytest.approx(0.384, rel=0.05)

    def test_the_currents_and_their_times_make_up_the_charge(self, tree):
        by_component = dict.fromkeys(tree.mah_per_day, 0.0)
        for draw in tree.draws:
            assert draw.ua * draw.seconds / 3_600_000 == pytest.approx(draw.mah)
            by_component[draw.component.partition(", ")[0]] += draw.mah

        assert by_component == pytest.approx(tree.mah_per_day)
        assert len({draw.component for draw in tree.draws}) == len(tree.draws)

    def test_awake_is_all_that_draws_the_processors_31_7_ma(self, tree):
        assert tree.mah_per_day["MCU awake"] == pytest.approx(tree.awake_s * 31.7 / 3600, rel=0.001)
        assert tree.wakes == pytest.approx(24, abs=2)

    def test_it_reaches_the_goal_of_five_years(self, tree):
        """Issue 4: tree at least 5 years at 24 uplinks a day, SF9, on 2,500 mAh; its computing included."""
        assert tree.computing_s == 0.5
        assert tree.years >= 5

    def test_it_waits_asleep(self, tree):
        """Of a wake of 4 s: 0.3 s of boot, 0.5 of computing, 0.3 for the sensors' answers and the radio."""
        assert tree.awake_s / tree.wakes < 1.1

    def test_computing_is_charged_for_each_wake(self, tree):
        (row,) = [draw for draw in tree.draws if draw.component == "MCU awake, computing"]

        assert row.seconds == pytest.approx(0.5 * tree.wakes)
        assert row.mah == pytest.approx(0.5 * tree.wakes * 31.7 / 3600, rel=0.001)
        assert row.source == "time as given by --computing-s"

    def test_who_gives_no_time_gets_it_measured(self, firmware):
        """About half a second on this PC; a board's time must not depend on how busy that is, by much."""
        found = estimate("tree", 9, 24.0, days=0.5, firmware=firmware)

        (row,) = [draw for draw in found.draws if draw.component == "MCU awake, computing"]
        assert 0.1 < found.computing_s < 5
        assert row.seconds == pytest.approx(found.computing_s * found.wakes)
        assert "takes 120 ms on an esp32" in row.source

    def test_a_board_that_ends_its_sleep_by_a_reset_wakes_as_often_and_computes_then(self):
        """firmware/boards/rp2.py; 12 wakes in half a day."""
        found = estimate("tree", 9, 24.0, board="pico_waveshare", days=0.5)

        (row,) = [draw for draw in found.draws if draw.component == "MCU awake, computing"]
        assert found.wakes == pytest.approx(24, abs=4)
        assert 0.1 < found.computing_s < 5
        assert row.seconds == pytest.approx(found.computing_s * found.wakes)
        assert "takes 170 ms on an rp2" in row.source

    def test_the_same_question_gets_the_same_answer(self, firmware, tree):
        assert estimate("tree", 9, 24.0, days=2, firmware=firmware, computing_s=COMPUTING_S) == tree

    def test_slower_and_more_often_costs_more(self, firmware, tree):
        slower = estimate("tree", 11, 24.0, days=1, firmware=firmware, computing_s=COMPUTING_S)
        oftener = estimate("tree", 9, 96.0, days=0.5, firmware=firmware, computing_s=COMPUTING_S)

        assert slower.mah_per_day["radio transmit"] > 2.5 * tree.mah_per_day["radio transmit"]
        assert oftener.years < 0.7 * tree.years


class TestWords:
    def test_years_follow_from_charge_and_battery(self):
        """2125 mAh usable; 1 mAh a day and 50 mAh a year of self-discharge: 1869 days."""
        assert lines(made_up(1.0), "en")[1] == "5.1 years on a battery of 2,500 mAh"
        assert lines(made_up(1.0), "de")[1] == "5,1 Jahre mit einer Batterie von 2.500 mAh"

    def test_who_needs_mains_is_told_so(self):
        assert lines(made_up(700.0), "en")[1].endswith("this node needs mains or solar power")

    @pytest.mark.parametrize("language", ["de", "en"])
    def test_every_current_is_told_with_its_source(self, language):
        told = "\n".join(lines(made_up(1.0), language))

        assert "WiFi_Kit_series issue 6" in told
        assert "DS_SX1261-2_V2.1" in told
        assert ("2 % Selbstentladung" if language == "de" else "2% self-discharge") in told

    @pytest.mark.parametrize("language", ["de", "en"])
    def test_no_line_of_the_table_is_called_like_another_or_leans_on_it(self, tree, language):
        rows = [line for line in lines(tree, language) if line.startswith("  ") and line[2:30].strip()]
        labels = [row[2:32].strip() for row in rows]

        assert len(set(labels)) == len(labels) > 15
        assert not any(row.endswith("the same") for row in rows)

    def test_what_computing_would_cost_is_told(self):
        """24 s of 31.7 mA are 0.211 mAh; 1.211 a day and 50 a year of self-discharge empty 2125 mAh in 1576 days."""
        found = made_up(1.0)._replace(wakes=24.0, computing_s=0.4)

        told = "\n".join(lines(found, "en"))
        assert "0.4 s of computing a wake" in told
        assert "with a second more: 0.211 mAh more a day, 4.3 years" in told

    def test_who_lives_for_days_is_told_days_there_too(self):
        """2125 mAh at 33 mAh and 0.14 of self-discharge a day: 64.1 days; with 0.211 mAh more 63.7."""
        told = "\n".join(lines(made_up(33.0)._replace(wakes=24.0, computing_s=0.4), "de"))

        assert "64 Tage mit einer Batterie von 2.500 mAh: er braucht" in told
        assert "0,211 mAh mehr am Tag, 64 Tage" in told

    def test_who_never_sleeps_has_no_wakes_to_compute_in(self):
        told = "\n".join(lines(made_up(700.0), "en"))

        assert "it never sleeps, so its computing costs nothing" in told
        assert "a second more" not in told

    def test_a_run_without_a_wake_says_that_its_computing_is_missing(self):
        asleep = Daily("MCU deep sleep", 8.0, 86_000.0, 0.19, "")

        told = "\n".join(lines(made_up(1.0)._replace(draws=(asleep,)), "en"))

        assert "the run was too short for a wake: what it computes in one is missing here (--days)" in told
        assert "never sleeps" not in told

    def test_no_german_number_has_a_point_before_its_tenths(self, tree):
        """Sources are quoted as they are."""
        found = lines(tree, "de")
        own = [found[1], found[2], *(line[:62] for line in found if re.match(r"  \S.{29} *\d", line))]

        assert len(own) > 15
        assert not [line for line in own if re.search(r"\.\d{1,2}\b|\.\d{4}", line)]


class TestCommand:
    def test_prints_the_same_as_json(self):
        done = CliRunner().invoke(energy, ["--days", "0.2", "--sf", "7", "--per-day", "48", "--json"])

        assert done.exit_code == 0, done.output
        answer = json.loads(done.stdout)
        assert answer["years"] > 1
        assert sum(answer["mah_per_day"].values()) == pytest.approx(answer["mah_per_day_total"])
        assert {"component", "ua", "source"} == set(answer["currents"][0])

    def test_somebody_may_know_how_long_it_computes(self):
        arguments = ["--days", "0.2", "--sf", "7", "--per-day", "48", "--json", "--computing-s"]
        quick, slow = (json.loads(CliRunner().invoke(energy, [*arguments, s]).stdout) for s in ("0", "2"))

        # 48 wakes of 2 s at 31.7 mA
        more_mah = slow["mah_per_day_total"] - quick["mah_per_day_total"]
        assert more_mah == pytest.approx(2 * quick["wakes"] * 31.7 / 3600, rel=0.01)
        assert slow["computing_s"] == 2

    def test_speaks_plain_words(self):
        done = CliRunner().invoke(energy, ["--days", "0.2", "--sf", "7", "--language", "de"])

        assert re.search(r"^\d+,\d Jahre mit einer Batterie von 2\.500 mAh$", done.stdout, re.MULTILINE)

    @pytest.mark.parametrize("wrong", [["--sf", "6"], ["--profile", "oak"], ["--per-day", "1"], ["--board", "arduino"]])
    def test_bad_usage_is_exit_status_2(self, wrong):
        assert CliRunner().invoke(energy, wrong).exit_code == 2
