# SPDX-License-Identifier: EUPL-1.2
"""Stations of air and traffic on the public page, in a real browser, over a store filled by hand."""

import pytest
from playwright.sync_api import expect

from decoders.senml import Reading
from tests.chain.test_pages import browser  # noqa: F401  # the fixture
from tests.cloud_ingest.serving import served
from tests.cloud_ingest.world import (
    COUNTER,
    HOUR,
    NODES,
    SNIFFER,
    START,
    UP,
    batch,
    registry_json,
    sample,
    small_city,
    uplink,
)
from tests.cloud_ingest.world import with_stations as changes

COUNTS = {"vehicle_count_approaching_medium": 84, "vehicle_count_receding_medium": 2, "bicycle_count": 31}


def with_one_above_an_area():
    """The air station stands where the name of the first area would be first."""
    found = changes()
    corners = registry_json()["reference_areas"][0]["polygon"]
    lons, lats = [lon for lon, _ in corners], [lat for _, lat in corners]
    found["stations"][1] |= {"lon": (min(lons) + max(lons)) / 2, "lat": max(lats)}
    return found


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    with served(tmp_path_factory.mktemp("city"), small_city(**with_one_above_an_area()), public_url="") as found:
        messages = []
        for n in range(6):
            at = START + n * HOUR
            counts = [Reading(name, "1", at, count, None) for name, count in COUNTS.items()]
            dust = [Reading("pm2_5", "ug/m3", at, 8.4 + n, None), Reading("air_pressure", "hPa", at, 1003.2, None)]
            for dev_eui, readings in ((NODES[0], sample(at, 20.0)), (COUNTER, counts), (SNIFFER, dust)):
                messages.append(uplink(len(messages) + 1, dev_eui, n, readings))
        found.feed(UP, batch(*messages))
        yield found


@pytest.fixture
def page(browser, city):  # noqa: F811
    context = browser.new_context(
        locale="de-DE", viewport={"width": 1280, "height": 1000}, base_url=str(city.client.base_url)
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    troubles = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    yield page
    context.close()
    assert troubles == []


class TestStations:
    def test_stand_on_the_map_and_in_a_list_beside_the_trees(self, page):
        page.goto("/")

        expect(page.locator("#station-list li")).to_have_count(2)
        expect(page.locator("#map .site-marker")).to_have_count(6)
        expect(page.locator("#map .badge.air")).to_have_count(1)
        expect(page.locator("#map .badge.traffic")).to_have_count(1)
        expect(page.locator("#legend")).to_contain_text("Verkehrszählung")

    @pytest.mark.parametrize("width", [1280, 390])
    def test_are_not_under_the_name_of_an_area(self, page, width):
        page.set_viewport_size({"width": width, "height": 1000})

        page.goto("/")

        expect(page.locator("#map .site-marker")).to_have_count(6)
        page.wait_for_function("""() => {  // once the map has placed them all
            const boxes = (what) => [...document.querySelectorAll(what)].map((part) => part.getBoundingClientRect())
            return boxes('.area-label').flatMap((a) => boxes('.site-marker').filter((b) =>
                a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)).length === 0
        }""")

    def test_an_air_station_draws_its_fine_dust_first_and_what_is_chosen_then(self, page):
        page.goto("/?site=L-01")

        expect(page.locator("#tree-name")).to_have_text("Fischergasse")
        expect(page.locator("#tree-state")).to_contain_text("Sensor in Ordnung")
        expect(page.locator("#chart-title")).to_have_text("Feinstaub PM2,5")
        expect(page.locator("[data-quantity='pm2_5'] strong")).to_have_text("13,4 µg/m³")
        page.locator("[data-quantity='air_pressure']").click()

        expect(page.locator("#chart-title")).to_have_text("Luftdruck")
        expect(page.locator("#chart canvas")).to_be_visible()

    def test_a_counter_draws_its_largest_count_and_says_few_instead_of_2(self, page):
        page.goto("/?site=V-01")

        expect(page.locator("#chart-title")).to_have_text("Fahrzeuge kommend, mittel")
        expect(page.locator("[data-quantity='vehicle_count_approaching_medium'] strong")).to_have_text("84")
        expect(page.locator("[data-quantity='vehicle_count_receding_medium'] strong")).to_have_text("wenige")

    def test_a_counter_says_of_how_long_its_counts_are_and_what_slow_and_fast_mean(self, page):
        page.goto("/?site=V-01")

        note = page.locator("#count-note")
        expect(note).to_contain_text("Gezählt in den 60 Minuten bis zur genannten Zeit.")
        expect(note).to_contain_text("Langsam: unter 30 km/h, mittel: 30 bis 50 km/h, schnell: über 50 km/h.")
        page.locator("#tree-list [data-site='J-0001']").click()

        expect(note).to_be_hidden()

    def test_speak_english_too(self, page):
        page.goto("/?site=V-01&lang=en")

        expect(page.locator("#station-list")).to_contain_text("Traffic count")
        expect(page.locator("[data-quantity='vehicle_count_receding_medium'] strong")).to_have_text("few")

    def test_fit_on_a_phone(self, page):
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto("/?site=V-01")

        expect(page.locator("#chart canvas")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360

    @pytest.mark.parametrize("width", [360, 390, 412, 430])
    @pytest.mark.parametrize("query", ["site=J-0001&lang=de", "site=L-01&lang=en"])
    def test_no_figure_stands_on_another_line_than_its_unit(self, page, width, query):
        page.set_viewport_size({"width": width, "height": 740})
        page.goto(f"/?{query}")

        expect(page.locator("#areas td").first).to_be_visible()
        expect(page.locator("#tree-values strong").first).to_be_visible()
        figures = page.evaluate(r"""() => {
            const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
            const found = []
            while (words.nextNode()) for (const match of words.currentNode.data.matchAll(/\d\s(%|°C|µg|hPa)/gu)) {
                const range = document.createRange()
                range.setStart(words.currentNode, match.index)
                range.setEnd(words.currentNode, match.index + match[0].length)
                const tops = new Set([...range.getClientRects()].map((box) => Math.round(box.top)))
                if (tops.size) found.push([words.currentNode.data, tops.size])
            }
            return found
        }""")
        assert len(figures) >= 5
        assert [text for text, lines in figures if lines > 1] == []


class TestNewCounts:
    def test_the_chart_stays_with_its_count_when_another_one_becomes_the_largest(self, browser, tmp_path):  # noqa: F811
        with served(tmp_path, small_city(**changes()), public_url="") as city:
            context = browser.new_context(locale="de-DE", base_url=str(city.client.base_url))
            page = context.new_page()
            page.set_default_timeout(120_000)
            for n, (approaching, receding) in enumerate([(84, 12), (9, 55)]):
                at = START + n * HOUR
                counts = {"vehicle_count_approaching_medium": approaching, "vehicle_count_receding_medium": receding}
                readings = [Reading(name, "1", at, count, None) for name, count in counts.items()]
                city.feed(UP, batch(uplink(n + 1, COUNTER, n, readings)))
                if n == 0:
                    page.goto("/?site=V-01")
                told = page.locator("[data-quantity='vehicle_count_receding_medium'] strong")
                expect(told).to_have_text(str(receding))

                chosen = page.locator("#tree-values [aria-pressed='true']")
                expect(chosen).to_have_attribute("data-quantity", "vehicle_count_approaching_medium")
                expect(page.locator("#chart-title")).to_have_text("Fahrzeuge kommend, mittel")
            context.close()


class TestCrew:
    def test_the_crews_list_knows_no_station(self, page):
        page.goto("/crew")

        expect(page.locator("#crew-summary")).to_have_text("Heute ist nichts zu gießen.")
        expect(page.locator("body")).not_to_contain_text("Fischergasse")


class TestDoubts:
    """A dust sensor stands still for a day in which it was humid for a while; the climate sensor does not."""

    @pytest.fixture(scope="class")
    @classmethod
    def city(cls, tmp_path_factory):
        with served(tmp_path_factory.mktemp("doubts"), small_city(**changes()), public_url="") as found:
            messages = []
            for n in range(26):
                at = START + n * HOUR
                readings = [
                    Reading("pm2_5", "ug/m3", at, 8.4, None),
                    Reading("pm10", "ug/m3", at, 12.1, None),
                    Reading("air_temperature", "Cel", at, 10.0 + n / 10, None),
                    Reading("relative_humidity", "%", at, 96.0 if n in (3, 4, 5, 9) else 70.0, None),
                ]
                messages.append(uplink(n + 1, SNIFFER, n, readings))
            found.feed(UP, batch(*messages))
            yield found

    def test_the_station_says_which_of_its_sensors_does_not_move(self, page):
        page.goto("/?site=L-01")

        expect(page.locator("#tree-state")).to_have_text("≈ Sensirion SPS30: Messwert bewegt sich nicht")
        expect(page.locator("#station-list")).to_contain_text("Sensirion SPS30: Messwert bewegt sich nicht")

    def test_the_value_stays_and_says_that_it_is_doubted(self, page):
        page.goto("/?site=L-01")

        expect(page.locator("[data-quantity='pm2_5'] strong")).to_have_text("8,4 µg/m³")
        expect(page.locator("[data-quantity='pm2_5'] .suspect")).to_have_text("Zweifelhaft: bewegt sich nicht")
        expect(page.locator("[data-quantity='air_temperature'] .suspect")).to_have_count(0)

    def test_the_chart_says_since_when_and_why_else(self, page):
        page.goto("/?site=L-01&lang=en")

        expect(page.locator("#chart-note")).to_contain_text(
            "Doubtful: does not move (Wed 1 Jul, 02:00 \N{EN DASH} Thu 2 Jul, 03:00)"
        )
        expect(page.locator("#chart-note")).to_contain_text(
            "because the air is very humid (2 times, last Wed 1 Jul, 11:00)"
        )
