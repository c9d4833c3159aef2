"""The HTML page in Chromium: with mouse and keyboard, in light and dark, and offline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from commandline import Run
from many_rows import many_rows
from playwright.sync_api import Browser, Page, expect
from torch import nn
from witness import Bessel

from mbanalyze import count
from mbanalyze.report.network import Report
from mbanalyze.report.page import ROWS
from mbanalyze.report.page.terms import DEFINITIONS

pytestmark = pytest.mark.slow

HOSTILE = (
    "</script><script>hacked=1</script>",
    "<img src=x onerror=hacked=1>",
    "<a href='javascript:hacked=1'>name</a>",
    "%{customdata}{{ 7 * 7 }}&lt;b&gt;",
)

Show = Callable[..., Page]


class Tab:
    """A page of the browser without a network, which remembers what it asks for and what it logs."""

    def __init__(self, browser: Browser) -> None:
        self.page = browser.new_page(offline=True)
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(error.message))

    def open(self, report: Report, file: Path) -> None:
        """Open a report's page, and forget the former."""
        self.asked.clear()
        self.said.clear()
        file.write_text(report.to("html"), encoding="ascii")
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-ready]", state="attached")

    def size(self, width: int) -> None:
        """Make the view as wide, and undo what a test emulated."""
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(media="null", color_scheme="null", reduced_motion="null")
        self.page.mouse.move(0, 0)

    def check(self) -> None:
        """Check that the page asked for nothing but itself and logged no message."""
        itself, *others = self.asked
        assert itself.startswith("file:")
        assert [url for url in others if not url.startswith("blob:")] == []
        assert self.said == []


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Tab:
    """The page in which the tests open one report after another, because a page of its own takes half a second."""
    return Tab(browser)


@pytest.fixture
def show(tab: Tab, tmp_path: Path) -> Iterator[Show]:
    """Open a report's page, and check after the test that it made no request and logged no message."""

    def show(report: Report, width: int = 1280) -> Page:
        tab.size(width)
        tab.open(report, tmp_path / "report.html")
        return tab.page

    yield show
    tab.check()


@pytest.fixture(scope="module")
def alexnet_tab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Tab:
    """A page of AlexNet."""
    tab = Tab(browser)
    tab.size(1280)
    tab.open(count("alexnet"), tmp_path_factory.mktemp("alexnet") / "report.html")
    return tab


@pytest.fixture
def alexnet(alexnet_tab: Tab) -> Iterator[Page]:
    """A page of AlexNet for tests that find its charts, its order and its rows as they were; checked as by `show`."""
    alexnet_tab.size(1280)
    yield alexnet_tab.page
    alexnet_tab.check()


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
    heading = page.locator("#costs [data-column=macs]")
    button = heading.get_by_role("button")

    assert in_order == column(page, 6)
    heading.click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    assert falling == column(page, 6)
    button.press("Enter")
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert falling[::-1] == column(page, 6)
    button.press("Enter")
    assert in_order == column(page, 6)

    page.get_by_label("Filter").fill("conv 13x13")
    assert column(page, 2) == ["conv standard"] * 3
    expect(page.locator("#shown")).to_have_text(f"3 of {len(rows)} rows")
    page.get_by_label("Filter").fill("nothing like it")
    assert column(page, 1) == ["Nothing matches."]


def choose(page: Page, measure: str) -> None:
    """Choose a measure; its label is drawn above the button."""
    page.get_by_role("radio", name=measure, exact=True).check(force=True)


@pytest.mark.parametrize("rows", [150, ROWS + 100])
def test_shares_follow_the_measure(show: Show, rows: int) -> None:
    """The shares, their heading and their order are those of the chosen measure, in a short and a long table."""
    report = many_rows(rows)
    page = show(report)
    choose(page, "memory access")
    heading = page.locator("#costs thead th").nth(3)
    expect(heading).to_contain_text("share of memory access")
    expect(heading.get_by_role("button", name="share of memory access")).to_be_visible()
    counts = [row.cost.memory_access for row in report.rows]
    shares = [f"{100 * n / sum(counts):.1f} %" for n in counts]

    shown = column(page, 4)
    assert shown == shares[: len(shown)]
    heading.click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    largest = [f"{n:,}" for n in sorted(counts, reverse=True)]
    shown = column(page, 9)
    assert shown == largest[: len(shown)]
    choose(page, "params")
    params = sorted((row.cost.params for row in report.rows), reverse=True)
    expect(page.locator("#costs tbody tr:has(.name) td:nth-child(5)").first).to_have_text(f"{params[0]:,}")
    shown = column(page, 5)[:50]  # a long table ends with space for the other rows
    assert shown == [f"{n:,}" for n in params[:50]]
    expect(page.locator("#costs tfoot td").nth(2)).to_have_text("100.0 %")
    assert page.locator("#costs tbody tr:has(.name) i").first.get_attribute("style") == "width: 100%;"


def test_a_share_is_rounded_as_in_python(show: Show) -> None:
    """A share halfway between two tenths is rounded to the even one, as Python does."""
    page = show(count(nn.Sequential(*[nn.Linear(4, 4) for _ in range(16)]), (1, 4)))

    # 16 of 256 macs are 6.25 %
    assert column(page, 4) == ["6.2 %"] * 16 == [f"{6.25:.1f} %"] * 16


def test_an_unknown_count_has_no_share(show: Show) -> None:
    """The share of an unknown count is unknown, for each measure that is."""
    report = partly_known()
    page = show(report)
    (bessel,) = [row for row in report.rows if row.cost.macs is None]
    part = f"{100 * bessel.cost.memory_access / report.totals.memory_access:.1f} %"
    unknown = page.locator("#costs tbody tr", has_text="special_bessel_j0").locator("td.bar")

    for measure, share in (("multiply-accumulates", "?"), ("FLOPs", "?"), ("memory access", part)):
        choose(page, measure)
        expect(unknown).to_have_text(share)


@pytest.mark.parametrize("width", [1280, 700])
def test_headings_clear_the_bar(alexnet: Page, width: int) -> None:
    """A jump to a section leaves its heading below the bar of measures, on one line or on two."""
    page = alexnet
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(reduced_motion="reduce")

    for section in ("Modules", "Depth", "Layers"):
        page.get_by_role("navigation").get_by_role("link", name=section).click()
        bar = page.locator(".chooser").bounding_box()
        heading = page.locator(f"#{section.lower()}-title").bounding_box()
        assert bar
        assert heading
        assert bar["y"] + bar["height"] < heading["y"] < 200


def legend(page: Page, section: str) -> list[str]:
    """Return the kinds in the legend of a chart."""
    return page.locator(f"#{section} .legend li").all_inner_texts()


def test_a_legend_lists_the_kinds_that_are_there(show: Show) -> None:
    """A legend has the kinds with a part of the chosen measure in what its chart shows."""
    page = show(count("alexnet"))

    assert legend(page, "modules") == legend(page, "depth") == ["linear", "conv standard"]
    choose(page, "memory access")
    expect(page.locator("#depth .legend li")).to_have_count(5)
    page.locator("#module").select_option(label="classifier")
    assert legend(page, "modules") == ["linear", "relu"]
    page.locator("#icicle .slice", has_text="6").last.hover()
    choose(page, "params")
    expect(page.locator("#modules .legend li")).to_have_text(["linear"])


def test_axes_have_titles(alexnet: Page) -> None:
    """The axes of both charts are named, with the chosen measure and its unit."""
    page = alexnet

    expect(page.locator("#profile .ytitle")).to_have_text("multiply-accumulates")
    expect(page.locator("#profile .xtitle")).to_have_text("operators in order of execution, by block")
    expect(page.locator("#icicle .annotation")).to_have_text(
        ["share of multiply-accumulates (%)", "depth in the modules"]
    )
    choose(page, "activations")
    expect(page.locator("#profile .ytitle")).to_have_text("activations (elements)")
    expect(page.locator("#icicle .annotation").first).to_have_text("share of activations (%)")
    choose(page, "multiply-accumulates")


@pytest.mark.parametrize("by", [None, "kind"])
def test_downloads_are_what_the_command_writes(show: Show, run: Run, tmp_path: Path, by: str | None) -> None:
    """The downloads of a page equal, byte for byte, the files that the command writes with the same grouping."""
    page = show(count("alexnet").by(by) if by else count("alexnet"))
    for format in ("csv", "json"):
        written = tmp_path / f"written.{format}"
        grouping = ("--by", by) if by else ()
        run("report", "alexnet", *grouping, "--format", format, "--output", str(written))
        with page.expect_download() as download:
            page.get_by_role("button", name=format.upper()).click()

        assert download.value.suggested_filename == f"alexnet.{format}"
        assert Path(download.value.path()).read_bytes() == written.read_bytes()


def test_definitions_are_at_hand(alexnet: Page) -> None:
    """The keyboard opens the definitions of the columns."""
    page = alexnet
    meaning = page.get_by_text(DEFINITIONS["memory access"])

    expect(meaning).to_be_hidden()
    page.locator("summary").press("Enter")
    expect(meaning).to_be_visible()


@pytest.mark.parametrize("rows", [150, ROWS + 1])
def test_names_stay_in_view_on_a_phone(show: Show, rows: int) -> None:
    """On a phone, names stay when the table is scrolled sideways, and the page itself does not scroll."""
    page = show(many_rows(rows, "features.{}.a_long_name.that_goes_on"), 390)
    frame = page.locator(".tall")
    frame.scroll_into_view_if_needed()
    frame.evaluate("frame => frame.scrollTo(frame.scrollWidth, 0)")
    expect(page.locator("#costs thead th").last).to_be_in_viewport()
    names = page.locator("#costs tr:not(.space) > :first-child")
    boxes = names.evaluate_all("cells => cells.map((cell) => cell.getBoundingClientRect().toJSON())")
    left = frame.evaluate("frame => frame.getBoundingClientRect().x + frame.clientLeft")

    assert {box["x"] for box in boxes} == {left}
    assert all(box["width"] < 200 for box in boxes)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_paper_is_light(show: Show) -> None:
    """A page is printed in light colours with all columns and the definitions, and is dark again afterwards."""
    page = show(count("alexnet"))
    page.emulate_media(color_scheme="dark")
    bar = page.locator("#profile .point path").first
    expect(bar).to_have_css("fill", "rgb(245, 162, 93)")  # --kind-1 in dark
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 with the margins of Chromium

    expect(bar).to_have_css("fill", "rgb(176, 74, 0)")  # --kind-1 in light
    expect(page.locator("body")).to_have_css("color", "rgb(22, 32, 44)")
    expect(page.get_by_text(DEFINITIONS["macs"])).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 718
    page.emulate_media(media="screen", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(bar).to_have_css("fill", "rgb(245, 162, 93)")


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


def scroll(page: Page, share: float) -> None:
    """Scroll the table to a share of its height."""
    page.locator(".tall").evaluate(
        "(frame, share) => { frame.scrollTop = share * frame.scrollHeight; }", share
    )


def test_a_long_table_shows_rows_on_demand(show: Show) -> None:
    """Of 2,000 rows, the document has those in view; scrolling, sorting and filtering reach all."""
    page = show(many_rows(2_000))
    rows, names = page.locator("#costs tbody tr"), page.locator("#costs tbody .name")
    heading = page.locator("#costs [data-column=macs]")

    assert (names.first.inner_text(), rows.count() < 300) == ("stage0.layer", True)
    scroll(page, 0.5)
    expect(page.locator("#costs")).to_contain_text("stage1000.layer")
    assert rows.count() < 300
    page.locator(".tall").press("End")
    expect(names.last).to_have_text("stage1999.layer")
    expect(names.last).to_be_in_viewport()
    assert rows.count() < 300

    heading.click()
    highest = "20,070,400"  # 7 x 7 outputs, each of 320 x 1280
    expect(page.locator("#costs tbody td:nth-child(6)").first).to_have_text(highest)
    scroll(page, 1)
    expect(page.locator("#costs tbody td:nth-child(6)").last).to_have_text("0")

    page.get_by_label("Filter").fill("stage199")  # and ten names that begin so
    expect(page.locator("#shown")).to_have_text("11 of 2,000 rows")
    assert names.count() == 11
    page.get_by_label("Filter").fill("nothing like it")
    assert column(page, 1) == ["Nothing matches."]
    page.get_by_label("Filter").fill("")
    expect(page.locator("#shown")).to_have_text("2,000 rows")
    heading.click()
    heading.click()
    expect(names.first).to_have_text("stage0.layer")

    # the shares differ by less than they show
    page.locator("#costs thead th", has_text="share of macs").click()
    expect(page.locator("#costs tbody td:nth-child(6)").first).to_have_text(highest)


def test_a_long_table_says_how_long_it_is(show: Show) -> None:
    """Assistive technology learns the number of rows and the place of each, and axe finds no violation."""
    page = show(many_rows(ROWS + 100), width=400)
    table = page.locator("#costs")
    scroll(page, 1)
    expect(table.locator("tbody .name").last).to_have_text(f"stage{ROWS + 99}.layer")

    # with the headings and the total
    expect(table).to_have_attribute("aria-rowcount", str(ROWS + 102))
    expect(table.locator("tbody tr:has(.name)").last).to_have_attribute("aria-rowindex", str(ROWS + 101))
    expect(table.locator("tfoot tr")).to_have_attribute("aria-rowindex", str(ROWS + 102))
    page.get_by_label("Filter").fill("stage7.")
    expect(table).to_have_attribute("aria-rowcount", "3")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_columns_keep_their_width(show: Show) -> None:
    """Columns of a long table are as wide at its start as at its end, and a resize keeps the place."""
    page = show(many_rows(1_100))
    widths = "[...document.querySelectorAll('#costs thead th')].map((cell) => cell.offsetWidth)"
    at_start = page.evaluate(widths)
    scroll(page, 1)
    expect(page.locator("#costs tbody .name").last).to_have_text("stage1099.layer")
    assert at_start == page.evaluate(widths)

    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_timeout(100)
    expect(page.locator("#costs tbody .name").last).to_have_text("stage1099.layer")


def test_a_long_table_prints_its_first_rows(show: Show) -> None:
    """On paper, a long table has the first rows in their current order, and the page says so."""
    page = show(many_rows(ROWS + 100))
    page.get_by_label("Filter").fill("layer")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert [f"stage{i}.layer" for i in range(ROWS)] == column(page, 1)
    expect(page.locator("#layers")).to_contain_text(f"on paper, the table has at most {ROWS} rows")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#costs tbody tr").count() < 300


def test_names_in_a_long_table_do_nothing(show: Show) -> None:
    """Hostile names are text in rows that the script makes, in the charts of a long report, and for the filter."""
    name = " ".join(HOSTILE)
    page = show(many_rows(1200, name + "{}"))
    names = page.locator("#costs tbody .name")
    scroll(page, 1)
    expect(names.last).to_have_text(f"{name}1199")
    page.get_by_label("Filter").fill(f"{HOSTILE[0]} {HOSTILE[-1]}1199")
    expect(names).to_have_text([f"{name}1199"])
    page.locator("#icicle .slice").last.hover()
    expect(page.locator("#icicle .hovertext")).to_contain_text(HOSTILE[0])
    page.locator("#profile").press("End")
    expect(page.locator("#said")).to_contain_text(f"{name}1198 to {name}1199")
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator(".chart a, table a, table img").count() == 0


def test_a_chart_of_many_modules_is_entered_step_by_step(show: Show) -> None:
    """A chart draws some hundreds of many modules, and a click or the list enters the others."""
    page = show(many_rows(5_000, "layers.{}"))
    slices = page.locator("#icicle .slice")

    assert slices.count() < 500
    assert page.locator("#profile .point").count() <= 1000
    page.locator("#icicle .slice", has_text="200 to 399").click()
    expect(page.locator("#module option:checked")).to_have_text("layers.200 to layers.399")
    page.locator("#icicle .slice", has_text="208 to 215").click()
    expect(page.locator("#icicle .slice", has_text="215").last).to_be_visible()
    page.locator("#module").select_option(label="layers.4800 to layers.4999")
    expect(page.locator("#icicle .slice", has_text="4992 to 4999")).to_be_visible()
    assert slices.count() < 500
    page.locator("#icicle .slice", has_text="4800 to 4999").click()
    expect(page.locator("#module option:checked")).to_have_text("layers")


def test_without_scripts_a_long_table_has_its_first_rows(browser: Browser) -> None:
    """Without JavaScript, a long table has its first rows and its total, and the page says so."""
    page = browser.new_page(java_script_enabled=False)
    page.set_content(many_rows(ROWS + 100).to("html"))

    assert [f"stage{i}.layer" for i in range(ROWS)] == column(page, 1)
    expect(page.locator("#layers")).to_contain_text(
        f"Without JavaScript and on paper, the table has at most {ROWS}"
    )
    expect(page.locator("#costs tfoot")).to_contain_text(f"{ROWS + 100} ops")
    page.context.close()


def test_without_scripts_every_number_is_there(browser: Browser) -> None:
    """Without JavaScript, the page shows the table and the totals."""
    page = browser.new_page(java_script_enabled=False)
    page.set_content(count("alexnet").to("html"))

    expect(page.locator("#costs tfoot")).to_contain_text("714,188,480")
    assert len(count("alexnet").by("module")) == page.locator("#costs tbody tr").count()
    expect(page.get_by_label("Filter")).to_be_hidden()
    page.context.close()
