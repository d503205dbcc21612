# SPDX-License-Identifier: EUPL-1.2
"""The frames of a whole run under an implementation of LoRaWAN that is not ours (PyPI liblora)."""

from itertools import groupby

import pytest

from simulators.frame_ledger import Ledger
from simulators.public_readings import observations


@pytest.fixture(scope="module")
def ledger(dry_town):
    return Ledger(dry_town.folder / "frames.jsonl", dry_town.city.devices())


class TestFrames:
    def test_every_mic_on_the_air_is_right(self, ledger):
        assert ledger.checked["join_request"] >= 12
        assert ledger.checked["join_accept"] >= 12
        assert ledger.checked["up"] > 400
        assert ledger.checked["down"] >= 12

    def test_every_node_joins_with_dev_nonces_that_only_rise_from_0(self, ledger):
        assert len(ledger.joins) == 12
        for dev_nonces in ledger.joins.values():
            assert dev_nonces == list(range(len(dev_nonces)))

    def test_frame_counters_rise_by_one_but_for_repetitions(self, ledger):
        for dev_eui in ledger.joins:
            f_cnts = [uplink.f_cnt for uplink in ledger.uplinks if uplink.dev_eui == dev_eui]
            f_cnts = [f_cnt for f_cnt, _ in groupby(f_cnts)]  # NbTrans: the same frame again
            begins = [n for n, f_cnt in enumerate(f_cnts) if f_cnt == 0]  # unheard for long, it joins again

            for begin, end in zip(begins, [*begins[1:], len(f_cnts)], strict=True):
                assert f_cnts[begin:end] == list(range(end - begin))
            assert begins[0] == 0
            assert len(begins) <= len(ledger.joins[dev_eui])

    def test_the_first_uplink_after_the_join_asks_for_the_time_and_has_none(self, ledger):
        for dev_eui in ledger.joins:
            first = next(uplink for uplink in ledger.uplinks if uplink.dev_eui == dev_eui)

            assert first.f_opts == b"\x0d"
            assert first.f_port == 6  # diagnostics; samples wait until they can be stamped
            assert not first.payload[1] & 0x80

    def test_a_node_asks_until_it_is_answered_and_then_keeps_the_time(self, ledger):
        asked = []
        for dev_eui in ledger.joins:
            uplinks = [uplink for uplink in ledger.uplinks if uplink.dev_eui == dev_eui]
            clock = [bool(uplink.payload[1] & 0x80) for uplink in uplinks]
            without_time = clock.index(True)

            assert all(uplink.f_opts[:1] == b"\x0d" for uplink in uplinks[:without_time])
            assert all(clock[without_time:])
            asked.append(sum(uplink.delivered for uplink in uplinks[:without_time]))
        # A question may be lost on the air, and an answer, as the one concentrator may be sending another one then.
        assert min(asked) >= 1
        assert max(asked) <= 4
        assert sum(asked) <= 18


class TestExactlyOnce:
    def test_what_is_public_is_what_the_nodes_sent(self, dry_town, ledger):
        trees = {node["dev_eui"]: node["tree"] for node in dry_town.city.registry()["nodes"]}
        sent = ledger.readings(dry_town.city.start_unix_s)

        public = observations(dry_town.url)

        assert len(sent) > 1500
        assert set(public.values()) == {1}
        assert set(public) == {(trees[eui], name, at, round(value, 3)) for (eui, name, at), value in sent.items()}

    def test_a_reading_is_near_what_the_probe_stood_in(self, dry_town):
        city = dry_town.city
        trees = {tree.id: index for index, tree in enumerate(city.trees)}
        for (tree, quantity, at, value), _ in observations(dry_town.url).items():
            if quantity == "soil_moisture":
                truth = city.truth(trees[tree], (at - city.start_unix_s) * 1_000_000)

                assert value == pytest.approx(truth.soil_moisture, abs=0.5)


class TestPrivacy:
    def test_no_dev_eui_is_public(self, dry_town):
        everything = "".join(
            str(dry_town.get(dry_town.url + path))
            for path in (
                "/api/areas",
                "/api/trees",
                "/api/crew",
                "/api/status",
                "/metrics",
                "/health",
                "/v1.1/Things?$expand=Datastreams,Locations",
                "/v1.1/Sensors",
                "/v1.1/FeaturesOfInterest",
            )
        ).lower()

        for device in dry_town.city.devices():
            assert device.dev_eui not in everything
