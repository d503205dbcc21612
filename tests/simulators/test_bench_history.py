# SPDX-License-Identifier: EUPL-1.2
"""No reading is lost: the figures of issue "The node's senses", by the firmware's own choice of what to send."""

import pytest

from simulators import bench_payload
from simulators.bench_history import model


class TestLoss:
    @pytest.mark.parametrize(("loss", "least"), [(0.2, 0.999), (0.4, 0.99)])
    def test_with_the_history_nearly_all_arrive_without_confirmed_uplinks(self, loss, least):
        outcome = model(loss, days=60)

        assert outcome.taken > 1400
        assert outcome.share >= least
        assert outcome.doubles == 0

    @pytest.mark.parametrize("loss", [0.2, 0.4])
    def test_without_it_what_is_lost_is_lost(self, loss):
        assert model(loss, days=60, history=False).share == pytest.approx(1 - loss, abs=0.05)

    @pytest.mark.parametrize("options", [{}, {"interval_s": 900, "room": 49}, {"loss": 0.4}])
    def test_after_an_outage_of_three_days_all_arrive(self, options):
        outcome = model(options.pop("loss", 0.0), days=14, outage=(5, 8), **options)

        assert outcome.arrived == outcome.taken
        assert outcome.doubles == 0

    def test_it_costs_few_more_uplinks(self):
        assert model(0.4, days=60).uplinks < 1.1 * 60 * 24


class TestPayload:
    def test_as_many_samples_as_the_node_sends_take_half_of_cayenne_lpp_at_most(self):
        rows = {metric.metric: metric for metric in bench_payload.measure()}

        assert rows["ours_of_cayenne_lpp_8_samples"].value <= 0.5
        assert rows["ours_of_cayenne_lpp_16_samples"].value <= 0.5
        # 13 bytes of frame; humidity 3, two temperatures 4 each, analogue input 4, for 4 new readings
        assert rows["cayenne_lpp_1_samples"].value == (13 + 15) / 4
