# SPDX-License-Identifier: EUPL-1.2
"""The operator's page in a real browser, over a store filled by hand."""

import pytest
from playwright.sync_api import expect

from decoders.records import ALARM, READING, Dropped, Event, Tombstone
from decoders.senml import Reading
from decoders.uplink import Batch, encode_batch
from tests.chain.test_pages import browser  # noqa: F401  # the fixture
from tests.cloud_ingest.serving import served
from tests.cloud_ingest.world import (
    GATEWAY,
    HOUR,
    NODES,
    SNIFFER,
    START,
    STRANGER,
    UP,
    batch,
    sample,
    small_city,
    uplink,
    with_stations,
)

LOST = Tombstone(1, READING, 400, 411, START, START + 4 * HOUR, 0, (Dropped(NODES[1], 1, 90, 101, 12),))
DOWN = Event("node_down", NODES[1], START + 26 * HOUR, "ntp", {"silent_s": 21600.0, "received": 12.0})
SHORT = Event("disk_short", None, START + 25 * HOUR, "saved", {"free_mb": 12.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("city")


@pytest.fixture(scope="module")
def city(folder):
    with served(folder, small_city(**with_stations()), public_url="") as found:
        messages = []
        for hour in range(27):
            at = START + hour * HOUR
            dust = [Reading("pm2_5", "ug/m3", at, 8.4, None), Reading("air_pressure", "hPa", at, 1000.0 + hour, None)]
            for dev_eui, readings in ((NODES[0], sample(at, 20.0 + hour / 10)), (SNIFFER, dust)):
                messages.append(uplink(len(messages) + 1, dev_eui, hour, readings))
        found.feed(UP, batch(*messages))
        found.feed(UP, batch(uplink(60, STRANGER, 0, sample(START, 20.0)), oldest_seq=58))
        found.feed(UP, encode_batch(Batch(GATEWAY, 1, ALARM, 1, 1, None, (LOST, SHORT, DOWN))))
        yield found


@pytest.fixture
def page(browser, city, folder):  # noqa: F811
    token = (folder / "operator.token").read_text().strip()
    context = browser.new_context(
        locale="de-DE",
        viewport={"width": 1280, "height": 1000},
        base_url=str(city.client.base_url),
        http_credentials={"username": "anybody", "password": token},
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    yield page
    context.close()
    assert troubles == []


class TestOperatorPage:
    def test_sums_up_what_is_not_as_it_should_be(self, page):
        page.goto("/operator")

        summary = page.locator("#summary")
        for words in ("Broker verbunden", "Datenbank schreibt", "4 / 5Knoten zu prüfen", "15Datensätze fehlen"):
            expect(summary).to_contain_text(words)
        expect(summary).to_contain_text("1Nachrichten nicht anwendbar")

    def test_names_the_nodes_to_check_and_what_of_them_is_not_well(self, page):
        page.goto("/operator")

        expect(page.locator("#nodes tbody tr")).to_have_count(4)
        expect(page.locator("#nodes")).to_contain_text(SNIFFER)
        expect(page.locator("#nodes")).to_contain_text("Sensirion SPS30: Messwert bewegt sich nicht")

    def test_tells_what_a_gateway_dropped_from_what_nobody_explains(self, page):
        page.goto("/operator")

        expect(page.locator("#gateways tbody tr")).to_have_count(1)
        expect(page.locator("#gateways")).to_contain_text("Do., 2. Juli, 04:00")  # when it was heard
        expect(page.locator("#summary")).to_contain_text("0 / 1Gateways überfällig")
        expect(page.locator("#gaps")).to_contain_text("Messwerte 400")
        expect(page.locator("#gaps")).to_contain_text(f"{NODES[1]}: 12")
        expect(page.locator("#gaps tbody tr", has_text="ungeklärt")).to_have_count(1)

    def test_says_why_something_could_not_be_applied_and_what_happened(self, page):
        page.goto("/operator")

        expect(page.locator("#letters")).to_contain_text("Knoten steht nicht in city.json")
        events = page.locator("#events tbody tr")
        expect(events).to_have_count(2)
        expect(events.nth(0)).to_contain_text("Knoten ausgefallen")
        expect(events.nth(0)).to_contain_text("J-0002")
        expect(events.nth(0)).to_contain_text("still seit 6 Stunden")
        expect(events.nth(1)).to_contain_text("Zeit ungewiss")

    def test_speaks_english_and_fits_on_a_phone(self, page):
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto("/operator?lang=en")

        expect(page.locator("#letters")).to_contain_text("node is not in city.json")
        expect(page.locator("#gaps")).to_contain_text("unexplained")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
