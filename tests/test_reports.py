"""The files in reports/ are those that `make reports` writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pandas as pd
import pytest

from mbanalyze import count
from mbanalyze.archs import ARCHS
from mbanalyze.literature.figures import entries
from reports import pictures
from reports.__main__ import MADE, main
from reports.index import index
from reports.pictures import PICTURES, data, picture
from reports.tables import FAMILIES, tables, variants

mpl.use("Agg")

REPORTS = Path(__file__).parents[1] / "reports"
DESCRIPTION = ".//{http://purl.org/dc/elements/1.1/}description"
GROUP, MARK, OUTLINE = ("{http://www.w3.org/2000/svg}" + tag for tag in ("g", "use", "path"))
LINES = {"front", "alpha-law", "rho-law"}
"""Parts of a picture that are lines."""


Data = dict[str, list[list[float]]]


def carried(file: Path) -> Data:
    """Return the data in the description of a picture's file."""
    text = ET.parse(file).findtext(DESCRIPTION)  # noqa: S314 (files of this repository)
    assert text is not None
    found: Data = json.loads(text)
    return found


def assert_same(first: Data, second: Data) -> None:
    """Compare the parts, their order and their points to five digits."""
    assert [*first] == [*second]
    for part, points in first.items():
        assert len(points) == len(second[part]), part
        for one, other in zip(points, second[part], strict=True):
            assert one == pytest.approx(other, rel=1e-5), part


def test_tables_are_current() -> None:
    """Each table and the page are equal to their files, to the last letter."""
    for name, text in (tables() | {"README.md": index()}).items():
        assert text == (REPORTS / name).read_text(), name


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_current(name: str) -> None:
    """Each picture's file has the data of the drawing, and a mark for each point."""
    file = REPORTS / "plots" / f"{name}.svg"
    groups = {group.get("id"): group for group in ET.parse(file).iter(GROUP)}  # noqa: S314 (as above)
    with picture(name) as figure:
        drawn = data(figure)

    assert_same(drawn, carried(file))
    for part in drawn.keys() & groups.keys() - LINES:
        marks = [*groups[part].iter(MARK)] or [
            *groups[part].iter(OUTLINE)
        ]  # outlines, where few are as short
        assert len(drawn[part]) == len(marks), part


def test_nothing_else_is_there() -> None:
    """The folder has no table or picture that `make reports` does not write."""
    found = {file.relative_to(REPORTS).as_posix() for file in REPORTS.rglob("*") if file.suffix in MADE}

    assert {"README.md", *tables(), *(f"plots/{name}.svg" for name in PICTURES)} == found


def test_the_page_shows_everything() -> None:
    """The page links every table, shows every picture and names every network."""
    page = index()

    assert {f"]({name})" for name in tables()} <= {
        f"]({part.split(')')[0]})" for part in page.split("](")[1:]
    }
    assert [name for name in PICTURES if f"](plots/{name}.svg)" not in page] == []
    assert [name for name in ARCHS if not re.search(rf"\b{name}\b", page)] == []


def test_the_families_are_those_with_published_figures() -> None:
    """Each family of the published figures has its tables, and there is no other."""
    assert {entry.family for entry in entries()} == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_published_variant_has_a_row(family: str) -> None:
    """Each published network has exactly one row, with the totals of its own report."""
    frame = variants(family)
    specs = {entry.spec: entry for entry in entries() if entry.family == family and entry.spec}

    assert len(specs) == len(frame)
    for entry in specs.values():
        totals = count(entry.variant, **entry.options).totals.as_dict()
        same = frame["model"] == entry.variant
        for total in ("params", "macs", "flops", "reads", "writes"):
            same &= frame[total] == totals[total]
        assert same.sum() == 1, entry.options


def test_a_point_that_moves_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed count, an additional point and an additional part each change the data."""
    frame = variants("shufflenet")
    more = pd.concat([frame, frame[frame["options"] == ""].head(1).assign(macs=10**9)], ignore_index=True)
    with picture("tradeoff_shufflenet_v2") as figure:
        shown = data(figure)
    for changed in (frame.assign(macs=frame["macs"] + 10**4), more, frame.assign(alpha=frame["alpha"] + 1)):
        monkeypatch.setattr(pictures, "variants", lambda _, changed=changed: changed)
        with picture("tradeoff_shufflenet_v2") as figure, pytest.raises(AssertionError):
            assert_same(data(figure), shown)


def test_it_writes_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run with other matplotlib settings writes equal bytes and removes an old picture."""
    name = "scaling_shufflenet_v2"
    monkeypatch.setattr(pictures, "PICTURES", {name: PICTURES[name]})
    main(tmp_path)
    first = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    (tmp_path / "plots" / "old.svg").touch()
    (tmp_path / "kept.json").touch()
    with mpl.rc_context({"font.size": 20, "svg.fonttype": "none", "lines.markersize": 1, "savefig.dpi": 50}):
        main(tmp_path)

    again = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert again == first | {tmp_path / "kept.json": b""}
    assert len(first) == len(tables()) + 2
