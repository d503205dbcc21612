# SPDX-License-Identifier: EUPL-1.2
"""A bench's rows as people and programs get them."""

import json

from simulators.metric import Metric
from simulators.metric_table import rows, tell

METRICS = [
    Metric("uplinks_per_s", 1200.5, "1/s", 900, 1000, at_least=True),
    Metric("delay", 31, "ms", None, 20),
    Metric("size", 7, "B", 9, None),
]


class TestMetric:
    def test_a_row_says_whether_its_goal_holds(self) -> None:
        assert Metric("a", 5, "B", 3, 5).as_json() == {
            "metric": "a",
            "value": 5,
            "unit": "B",
            "baseline": 3,
            "goal": 5,
            "holds": True,
        }
        assert Metric("b", 6, "B", None, 5).holds is False
        assert Metric("c", 4, "B", None, 5, at_least=True).holds is False
        assert Metric("d", 4, "B", None, None).holds is None


class TestTable:
    def test_every_row_has_its_goal_and_whether_it_holds(self) -> None:
        assert list(rows(METRICS, "limit")) == [
            "metric                value unit          limit         goal  holds",
            "uplinks_per_s        1200.5 1/s             900      >= 1000  yes",
            "delay                    31 ms                         <= 20  NO",
            "size                      7 B                 9",
        ]

    def test_without_a_baseline_there_is_no_column_for_it(self) -> None:
        assert list(rows(METRICS[1:2])) == [
            "metric        value unit           goal  holds",
            "delay            31 ms            <= 20  NO",
        ]


class TestTelling:
    def test_the_file_has_what_json_prints(self, tmp_path, capsys) -> None:
        tell(METRICS, tmp_path / "bench" / "x.json", True, ["never shown"])

        printed = json.loads(capsys.readouterr().out)
        assert printed == json.loads((tmp_path / "bench" / "x.json").read_text())
        assert [row["holds"] for row in printed] == [True, False, None]

    def test_people_get_the_table(self, tmp_path, capsys) -> None:
        tell(METRICS, tmp_path / "x.json", False, ["one", "two"])

        assert capsys.readouterr().out == "one\ntwo\n"
