"""The notebooks as HTML pages, made as `make notebooks` makes them, in a Chromium without a network."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).parent.parent
FORMULAS = re.compile(r"\$|\\\(|\\\[|\\begin")
"""The signs of a formula in TeX, which only MathJax would draw."""

pytestmark = pytest.mark.slow

Show = Callable[[Path], Page]


def export(*arguments: str | Path) -> None:
    """Run nbconvert with the settings of the Makefile."""
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", "")
    (offline,) = re.findall(r"^OFFLINE := (.*)", makefile, re.MULTILINE)
    assert "$(BIN)/jupyter nbconvert --execute --to html $(OFFLINE) --output-dir" in makefile
    command = [sys.executable, "-m", "nbconvert", "--to", "html", *shlex.split(offline), *arguments]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)


@pytest.fixture
def show(browser: Browser) -> Iterator[Show]:
    """Open a page offline, and check after the test that it asked for nothing else and logged no message."""
    asked: list[str] = []
    said: list[str] = []
    opened: list[str] = []

    def show(file: Path) -> Page:
        page = browser.new_page(offline=True)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(error.message))
        page.goto(file.as_uri())
        opened.append(file.as_uri())
        return page

    yield show
    for context in browser.contexts:
        context.close()
    assert opened == [url for url in asked if not url.startswith("data:")]
    assert said == []


def test_a_page_shows_its_formulas_without_a_network(show: Show, tmp_path: Path) -> None:
    """No page of a notebook loads anything, and its text outside of code has no formula in TeX."""
    files = sorted((ROOT / "notebooks").glob("*.ipynb"))
    export("--output-dir", tmp_path, *files)

    for file in files:
        texts = show(tmp_path / f"{file.stem}.html").locator(".jp-RenderedMarkdown").all_inner_texts()
        assert "?" in texts[0]  # its question
        assert [text for text in texts if FORMULAS.search(text)] == []


def test_a_page_shows_widgets_without_a_network(show: Show, tmp_path: Path) -> None:
    """The page of an explorer has its table and pictures instead of widgets."""
    cell = nbformat.v4.new_code_cell("import mbanalyze\nmbanalyze.explore('mobilenet_v2')")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "explorer.ipynb")
    export("--execute", "--output-dir", tmp_path, tmp_path / "explorer.ipynb")
    page = show(tmp_path / "explorer.html")

    expect(page.locator(".jp-OutputArea")).to_contain_text("300,774,272")
    expect(page.locator(".jp-OutputArea svg").first).to_be_visible()
