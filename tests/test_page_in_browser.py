"""The HTML page in Chromium: with mouse and keyboard, in light and dark, and offline."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright
from torch import nn
from witness import Bessel

from mbanalyze import count
from mbanalyze.report.network import Report

pytestmark = pytest.mark.slow

NAMES = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = (
    "</script><script>hacked=1</script>",
    "<img src=x onerror=hacked=1>",
    "<a href='javascript:hacked=1'>name</a>",
    "%{customdata}{{ 7 * 7 }}&lt;b&gt;",
)

Show = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a Chromium on PATH; without one, skip the test, or fail in CI."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and "CI" not in os.environ:
        pytest.skip(f"none of {', '.join(NAMES)} on PATH")
    assert found, f"none of {', '.join(NAMES)} on PATH"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found)
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Show]:
    """Open a report's page, and check after the test that it made no request and logged no message."""
    asked: list[str] = []
    said: list[str] = []

    def show(report: Report, width: int = 1280) -> Page:
        file = tmp_path / "report.html"
        file.write_text(report.to("html"), encoding="ascii")
        size = {"width": width, "height": 900}
        page = browser.new_page(viewport=size, offline=True)  # type: ignore[arg-type]
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(error.message))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield show
    for context in browser.contexts:
        context.close()
    assert asked.pop(0).startswith("file:")
    assert [url for url in asked if not url.startswith("blob:")] == []
    assert said == []


def partly_known() -> Report:
    """Return the report of a network with an uncounted operator and hostile module names."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    for name, module in zip(
        HOSTILE, (nn.Conv2d(4, 8, 1), Bessel(), nn.ReLU(), nn.BatchNorm2d(8)), strict=True
    ):
        model.add_module(name, module)
    return count(model, (1, 3, 8, 8))


def column(page: Page, number: int) -> list[str]:
    """Return the cells of a column of the table, in their current order."""
    return page.locator(f"#costs tbody tr > :nth-child({number})").all_inner_texts()


def test_the_table_sorts_and_filters(show: Show) -> None:
    """Mouse and keyboard sort the table numerically and restore its order, and the filter hides rows."""
    page = show(count("alexnet"))
    rows = [group.cost.macs or 0 for group in count("alexnet").by("module")]
    in_order, falling = ([f"{n:,}" for n in numbers] for numbers in (rows, sorted(rows, reverse=True)))
    heading = page.locator("#costs thead th", has_text="macs").first
    button = heading.get_by_role("button")

    assert in_order == column(page, 5)
    heading.click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    assert falling == column(page, 5)
    button.press("Enter")
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert falling[::-1] == column(page, 5)
    button.press("Enter")
    assert in_order == column(page, 5)

    page.get_by_label("Filter").fill("conv 13x13")
    assert column(page, 2) == ["conv standard"] * 3
    expect(page.locator("#shown")).to_have_text(f"3 of {len(rows)} rows")
    page.get_by_label("Filter").fill("nothing like it")
    assert column(page, 1) == ["Nothing matches."]


def test_charts_answer_the_mouse(show: Show) -> None:
    """The pointer on a module or operator shows its cost, and a click enters a module."""
    page = show(count("alexnet"))
    page.locator("#icicle .slice").nth(1).hover()
    expect(page.locator("#icicle .hovertext")).to_contain_text("655,566,528 multiply-accumulates")
    page.locator("#icicle .slice").nth(1).click()
    expect(page.locator("#module option:checked")).to_have_text("features")
    page.locator("#profile .point").first.hover(force=True)  # the chart listens above its bars
    expect(page.locator("#profile .hovertext")).to_contain_text("conv standard")


def test_charts_answer_the_keyboard(show: Show) -> None:
    """The list enters a module, arrow keys move through operators, and the measure changes both charts."""
    page = show(count("alexnet"))
    slices = page.locator("#icicle .slice")
    all_of_it = slices.count()
    page.locator("#module").press("f")
    expect(page.locator("#module option:checked")).to_have_text("features")
    expect(slices).not_to_have_count(all_of_it)

    page.locator("#profile").press("End")
    expect(page.locator("#profile .hovertext")).to_contain_text("classifier.6")
    expect(page.locator("#said")).to_contain_text("classifier.6, linear, 4,096,000 multiply-accumulates")
    page.locator("#profile").press("Escape")
    expect(page.locator("#profile .hovertext")).to_have_count(0)

    page.locator("input[name=measure]:checked").press("ArrowLeft")
    expect(page.locator("#modules-caption")).to_contain_text("Most memory access")
    expect(page.locator("#depth-caption")).to_contain_text("Most memory access")


def test_names_do_nothing(show: Show) -> None:
    """Names that look like scripts, images, links or templates are shown as text."""
    page = show(partly_known())

    assert list(HOSTILE) == column(page, 1)[1:]
    for name in HOSTILE:
        page.get_by_label("Filter").fill(name)
        assert name in column(page, 1)
    last = page.locator("#icicle .slice", has_text=HOSTILE[0])
    last.hover()
    expect(page.locator("#icicle .hovertext")).to_contain_text(HOSTILE[0])
    page.mouse.move(0, 0)
    for _ in range(len(HOSTILE) + 1):
        page.locator("#profile").press("ArrowRight")
    expect(page.locator("#profile .hovertext")).to_contain_text(HOSTILE[-1])
    expect(page.locator("#said")).to_contain_text(HOSTILE[-1])
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator(".chart a, table a, table img").count() == 0


def test_everybody_can_read_it(show: Show) -> None:
    """The accessibility checker axe finds no violation in either theme, and the page fits a phone's width."""
    page = show(partly_known(), width=400)
    bar = page.locator("#profile .point path").first
    light = bar.evaluate("bar => getComputedStyle(bar).fill")

    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    expect(bar).not_to_have_css("fill", light)
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_without_scripts_every_number_is_there(browser: Browser) -> None:
    """Without JavaScript, the page shows the table and the totals."""
    page = browser.new_page(java_script_enabled=False)
    page.set_content(count("alexnet").to("html"))

    expect(page.locator("#costs tfoot")).to_contain_text("714,188,480")
    assert len(count("alexnet").by("module")) == page.locator("#costs tbody tr").count()
    expect(page.get_by_label("Filter")).to_be_hidden()
    page.context.close()
