# SPDX-License-Identifier: EUPL-1.2
"""From a dry tree to the crew's list."""

from simulators.public_readings import get


class TestAlert:
    def test_the_dry_area_is_on_the_list_with_why_and_litres(self, dry_town):
        crew = get(dry_town.url + "/api/crew")

        assert [area["id"] for area in crew["areas"]] == ["RA-01"]
        area = crew["areas"][0]
        assert area["litres"] == 3 * area["litres_per_tree"] == crew["litres"]
        assert area["why"]["quantity"] == "soil_moisture"
        assert area["why"]["value"] < area["why"]["threshold"] == 16.2
        assert len(area["trees"]) == 3

    def test_the_other_areas_are_green_and_none_is_grey(self, dry_town):
        areas = get(dry_town.url + "/api/areas")["features"]

        states = {area["properties"]["id"]: area["properties"]["state"] for area in areas}
        assert states == {"RA-01": "dry", "RA-02": "green", "RA-03": "green", "RA-04": "green"}

    def test_no_chip_complains_about_the_firmware(self, dry_town):
        assert dry_town.progress()["complaints"] == 0
        assert (dry_town.folder / "nodes.log").read_text() == ""
