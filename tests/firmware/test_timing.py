# SPDX-License-Identifier: EUPL-1.2
"""firmware.timing: what holds whatever a node hears; literal values stand in ``link_behaviours``."""

from hypothesis import given
from hypothesis import strategies as st

from firmware.timing import Window, WindowBudget

PACKED = st.binary(min_size=WindowBudget.SIZE, max_size=WindowBudget.SIZE)
AFTER_US = st.integers(1_000_000, 16_000_000)
ASLEEP_US = st.integers(0, 18_000_000)
HEARD = st.tuples(st.integers(-3_000_000, 3_000_000), ASLEEP_US)


class TestBudget:
    @given(PACKED, AFTER_US, ASLEEP_US)
    def test_any_bytes_are_a_budget_within_its_limits(self, data, after_us, asleep_us):
        budget = WindowBudget.unpack(data)

        assert 5_000 <= budget.error_us(after_us, asleep_us) <= 120_000
        assert abs(budget.correction_us(asleep_us)) <= 18_000_000 * 6 // 100
        assert WindowBudget.unpack(budget.pack()).pack() == budget.pack()

    @given(PACKED, st.lists(st.one_of(HEARD, st.none()), max_size=30), AFTER_US, ASLEEP_US)
    def test_it_stays_within_them_whatever_it_hears(self, data, told, after_us, asleep_us):
        budget = WindowBudget.unpack(data)

        for one in told:
            if one is None:
                budget.missed()
            else:
                budget.heard(*one)

            assert 5_000 <= budget.error_us(after_us, asleep_us) <= 120_000
            assert len(budget.pack()) == WindowBudget.SIZE

    @given(PACKED, AFTER_US, ASLEEP_US)
    def test_two_misses_make_any_budget_a_new_one_but_for_its_width(self, data, after_us, asleep_us):
        budget = WindowBudget.unpack(data)

        budget.missed()
        budget.missed()

        assert budget.error_us(after_us, asleep_us) >= 100_000
        assert budget.correction_us(asleep_us) == 0

    @given(st.integers(-5_000, 5_000), st.integers(-1_000, 1_000), st.lists(st.sampled_from((1, 2, 5, 6)), max_size=20))
    def test_a_clock_within_the_claim_is_always_covered(self, drift_ppm, offset_us, delays_s):
        budget = WindowBudget()

        for delay_s in delays_s:
            asleep_us = delay_s * 1_000_000 - 60_000
            late_us = offset_us + asleep_us * drift_ppm // 1_000_000 - budget.correction_us(asleep_us)

            assert abs(late_us) <= budget.error_us(delay_s * 1_000_000, asleep_us)
            budget.heard(late_us, asleep_us)


class TestWindow:
    @given(
        st.sampled_from([1_024, 2_048, 4_096, 8_192, 16_384, 32_768]), st.integers(5_000, 120_000), st.integers(0, 200)
    )
    def test_a_preamble_that_starts_anywhere_in_the_error_is_heard(self, symbol_us, error_us, lead_us):
        window = Window(symbol_us, error_us, lead_us)
        listens_us = lead_us - window.early_us  # from when the downlink is due
        closes_us = listens_us + window.us

        assert listens_us <= -error_us  # the earliest: all 8 symbols are heard
        assert closes_us >= error_us + 5 * symbol_us  # the latest: 5 symbols do, DS_SX1261-2_V2.1 6.1.1.1
        assert window.symbols <= 248
