"""The documentation site contains everything that the program has."""

from __future__ import annotations

import functools
import html
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from mbanalyze.archs import ALIASES, ARCHS
from mbanalyze.archs.options import describe
from mbanalyze.cli.program import make_app
from mbanalyze.ops.formulas import FORMULAS

ROOT = Path(__file__).parent.parent


@functools.cache
def generate() -> dict[str, Any]:
    """Return the names of `docs/generate.py`."""
    return runpy.run_path(str(ROOT / "docs/generate.py"))


def rows(text: str, heading: str = "") -> list[list[str]]:
    """Return the cells of the first table below a heading, without its header."""
    lines = text[text.index(heading) :].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("| "))
    last = next((i for i, line in enumerate(lines) if i > first and not line.startswith("| ")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[first + 2 : last]]


def test_every_formula_is_derived() -> None:
    """Each kind appears once: above its derivation and code, or in a row with its flops and operations."""
    text = generate()["formulas"]()
    headings = re.findall(r"^### (.*)\n\n\S", text, re.MULTILINE)
    table = rows(text, "## Kinds that compute each element alone")
    named = [kind for names in (*headings, *(row[0] for row in table)) for kind in names.split(", ")]

    assert sorted(kind.strip("`") for kind in named) == sorted(FORMULAS)
    assert all(flops and steps for _, flops, steps, _ in table)
    assert text.count('??? note "The code"') == len(headings)
    assert "[arXiv:1905.02244](https://arxiv.org/abs/1905.02244) section 5.2" in text


@pytest.mark.parametrize("name", ARCHS)
def test_every_network_has_its_options(name: str) -> None:
    """The table of a network has each option with its default and its meaning."""
    text = generate()["networks"]()
    said = [(option, default, help) for option, default, _, help in rows(text, f"## {name}\n")]

    assert said == [
        (f"`{o['name']}`", '`""`' if o["default"] == "" else f"`{o['default']}`", o["help"])
        for o in describe(ARCHS[name])
    ]


def test_networks_have_their_counts_and_names() -> None:
    """MobileNetV2 has the counts of torchvision, and each alias of torchvision is listed."""
    text = generate()["networks"]()

    assert ["[`mobilenet_v2`](#mobilenet_v2)", "3,504,872", "300,774,272"] in [row[:3] for row in rows(text)]
    assert len(rows(text)) == len(ARCHS)
    assert all(f"`{alias}`" in text for alias in ALIASES)


def own_options(command: object) -> set[str]:
    """Return the options of a command."""
    return {
        name for option in getattr(command, "params", ()) for name in option.opts if name.startswith("--")
    }


def options(command: object) -> set[str]:
    """Return the options of a command and its subcommands."""
    return own_options(command).union(*map(options, getattr(command, "commands", {}).values()))


def test_every_command_has_its_help() -> None:
    """The page has the help of every command, with every option and without colours."""
    text = generate()["commands"]()
    helps = dict(re.findall(r"^## mbanalyze ?(.*)\n\n```text\n((?:.*\n)*?)```$", text, re.MULTILINE))
    command = typer.main.get_command(make_app())

    assert {"", "report", "guard", "guard update", "guard diff", "guard explain"} < set(helps)
    for name, below in getattr(command, "commands", {}).items():
        assert {option for option in own_options(below) if f" {option} " not in helps[name]} == set()
    assert "\x1b" not in text


def test_sections_come_from_other_files(tmp_path: Path) -> None:
    """A section ends at the next heading; links to pages stay, and links to other files become text."""
    (tmp_path / "a.md").write_text("# A\n## B\n[c](docs/c.md#d) [e](f/g.md)\n\n[h](#i)\n## J\nk\n")
    generate()["section"].__globals__["ROOT"] = tmp_path
    try:
        assert generate()["section"]("a.md", "B") == "[c](c.md#d) e\n\n[h](#i)"
        assert generate()["on_page_markdown"]("x\n<!-- section: a.md, J -->\ny") == "x\nk\ny"
        with pytest.raises(LookupError, match="has no section 'K'"):
            generate()["section"]("a.md", "K")
    finally:
        generate()["section"].__globals__["ROOT"] = ROOT


def test_every_page_is_in_the_menu() -> None:
    """The menu lists each page once, and every marker in a page is filled in."""
    config = (ROOT / "mkdocs.yml").read_text()
    pages = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}

    assert sorted(pages) == sorted(re.findall(r"\S+\.md$", config, re.MULTILINE))
    for text in pages.values():
        assert not re.search("^<!--", generate()["on_page_markdown"](text), re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the HTML and CSS of the site by file name, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.[hc][ts][ms]*")}


@pytest.mark.slow
def test_the_site_has_everything(site: dict[str, str]) -> None:
    """The site has each kind, network, option, command and public name."""
    networks, commands, api = (site[f"{name}.html"] for name in ("networks", "commands", "api"))
    kinds = {kind for kind in FORMULAS if f"<code>{kind}</code>" not in site["formulas.html"]}
    missing = {option for option in options(typer.main.get_command(make_app())) if option not in commands}
    said = html.unescape(networks)

    assert kinds == missing == set()
    assert {name for name in ARCHS if f'id="{name}"' not in networks} == set()
    assert {o["help"] for arch in ARCHS.values() for o in describe(arch) if o["help"] not in said} == set()
    assert 'id="mbanalyze-guard-explain"' in commands
    assert [
        name for name in ("count", "layers.conv", "plots.bound") if f'id="mbanalyze.{name}"' not in api
    ] == []


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site: dict[str, str]) -> None:
    """No script, style, font or picture comes from another server, and no diagram needs a renderer."""
    loaded = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=.?(?:https?:)?//")

    assert len(site) > 16
    for name, text in site.items():
        assert not loaded.search(text), name
        assert not re.search(r"(?:url\(|@import )['\"]?(?:https?:)?//", text), name
        assert 'class="mermaid"' not in text, name
