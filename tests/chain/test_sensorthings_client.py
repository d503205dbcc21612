# SPDX-License-Identifier: EUPL-1.2
"""An independent SensorThings client (PyPI frost-sta-client, Fraunhofer IOSB) reads the running town."""

import frost_sta_client
import pytest


@pytest.fixture
def service(dry_town):
    return frost_sta_client.SensorThingsService(dry_town.url + "/v1.1")


class TestFrostClient:
    def test_reads_all_things(self, service):
        things = list(service.things().query().list())

        assert len(things) == 12
        assert things[0].name == "J-0001"

    def test_reads_a_trees_observations_newest_first(self, service):
        streams = service.datastreams().query().filter("properties/quantity eq 'soil_moisture'").list()
        stream = next(iter(streams))

        newest = list(stream.get_observations().query().orderby("phenomenonTime", "desc").top(5).list())

        assert len(newest) >= 5
        times = [observation.phenomenon_time for observation in newest]
        assert times == sorted(times, reverse=True)
        assert all(0 < observation.result < 60 for observation in newest)

    def test_follows_the_pages_of_a_long_series(self, service):
        stream = next(iter(service.datastreams().query().filter("properties/quantity eq 'soil_temperature'").list()))

        results = [observation.result for observation in stream.get_observations().query().top(10).list()]

        assert len(results) >= 40
