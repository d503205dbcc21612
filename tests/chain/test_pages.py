# SPDX-License-Identifier: EUPL-1.2
"""The pages in a real browser (Debian's Chromium, headless): what a person would look for is there."""

import os

import pytest
from playwright.sync_api import expect, sync_playwright

expect.set_options(timeout=60_000)  # ms; a loaded machine draws slowly

OPTIONS = [
    "--no-sandbox" if os.geteuid() == 0 else "--headless",  # Chromium refuses its sandbox to root
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",  # WebGL without a graphics card
    "--enable-unsafe-swiftshader",
]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, dry_town):
    """A fresh page in German; a test fails on any error in the console and on any request that leaves the machine."""
    context = browser.new_context(locale="de-DE", viewport={"width": 1280, "height": 1000}, base_url=dry_town.url)
    page = context.new_page()
    page.set_default_timeout(120_000)
    troubles = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: troubles.append(request.url) if not _ours(request.url, dry_town) else None)
    yield page
    context.close()
    assert troubles == []


def _ours(url, town):
    return url.startswith((town.url, "blob:", "data:"))


class TestPublicPage:
    def test_counts_the_areas_by_state(self, page):
        page.goto("/")

        expect(page.locator("#summary")).to_contain_text("1zu trocken")
        expect(page.locator("#summary")).to_contain_text("3genug Wasser")

    def test_draws_every_tree_and_every_area_on_the_map(self, page):
        page.goto("/")

        expect(page.locator("#map .site-marker")).to_have_count(12)
        expect(page.locator("#map .area-label")).to_have_count(4)
        expect(page.locator("#map canvas")).to_be_visible()
        expect(page.locator("#map-missing")).to_be_hidden()

    def test_shows_the_chart_of_the_tree_that_is_chosen(self, page, dry_town):
        trees = [feature["properties"] for feature in dry_town.get(f"{dry_town.url}/api/trees")["features"]]
        tree = next(tree for tree in trees if tree["state"] == "green")  # whose weak node is heard may change
        page.goto("/")

        page.locator(f"#tree-list [data-site='{tree['id']}']").click()

        expect(page.locator("#tree-name")).to_have_text(tree["name"]["de"])
        expect(page.locator("#tree-state")).to_contain_text("genug Wasser")
        expect(page.locator("#chart canvas")).to_be_visible()
        expect(page.locator("#chart")).to_have_attribute("aria-label", _moisture_label(tree["name"]["de"]))

    def test_the_dry_tree_is_chosen_first(self, page):
        page.goto("/")

        expect(page.locator("#tree-name")).to_have_text("Winterlinde")
        expect(page.locator("#tree-state")).to_contain_text("zu trocken")

    def test_speaks_english(self, page):
        page.goto("/")

        page.get_by_role("button", name="English").click()

        expect(page.locator("#summary")).to_contain_text("too dry")
        expect(page.locator("#tree-name")).to_have_text("Small-leaved lime")
        assert page.locator("html").get_attribute("lang") == "en"

    def test_works_on_a_phone_without_scrolling_sideways(self, page):
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto("/")

        expect(page.locator("#tree-list li")).to_have_count(12)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360

    def test_without_webgl_the_lists_say_everything(self, browser, dry_town):
        context = browser.new_context(locale="de-DE", base_url=dry_town.url)
        page = context.new_page()
        page.add_init_script("HTMLCanvasElement.prototype.getContext = (get => function (kind, ...rest) {"
                             " return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest)"
                             " })(HTMLCanvasElement.prototype.getContext)")  # fmt: skip
        page.goto("/")

        expect(page.locator("#map-missing")).to_be_visible()
        expect(page.locator("#tree-list li")).to_have_count(12)
        context.close()


class TestCrewPage:
    def test_says_what_to_water_why_and_how_much(self, page):
        page.goto("/crew")

        expect(page.locator("#crew-summary")).to_have_text("1 Fläche, 225 Liter")
        stop = page.locator("#stops > li")
        expect(stop).to_have_count(1)
        expect(stop).to_contain_text("Löbdergraben")
        expect(stop.locator(".why")).to_contain_text("liegt unter der Schwelle 16,2 %")
        expect(stop.locator(".trees")).to_contain_text("75 Liter je Baum")
        assert stop.locator("a.go").get_attribute("href").startswith("geo:50.9")


def _moisture_label(name):
    import re

    return re.compile(rf"Bodenfeuchte, {name}: \d+,\d\s%")
