"""The plot of a search in a space has a point for each network, the limit, and the front."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from commandline import Run

from mbanalyze import plots, search_space
from mbanalyze.plots import PlotError


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    """Close all figures after each test."""
    yield
    plt.close("all")


def test_each_network_is_a_point() -> None:
    """Networks within the limits are dots, the others crosses; the best has a ring, and the limit is a line."""
    found = search_space("mobilenet_v2", board="stm32f746", trials=60)
    ax = plots.space(found)
    points: dict[str, Any] = {str(each.get_gid()): each.get_offsets() for each in ax.collections}
    lines: dict[str, Any] = {str(line.get_gid()): line for line in ax.lines}
    outside = len(found.tried) - len(found.fitting)

    assert (len(points["fits"]), len(points["over"])) == (len(found.fitting), outside)
    assert found.best is not None
    assert points["best"].tolist() == [[found.best.costs["peak_bytes_deployed"], found.best.costs["macs"]]]
    assert set(lines["limit-x"].get_xdata()) == {320 * 1024}
    heights = list(lines["front"].get_ydata())
    assert heights == sorted(heights)
    assert heights[-1] == found.best.costs["macs"]
    assert [text.get_text() for text in ax.texts if text.get_gid() == "note"] == [
        "macs stand for accuracy here: a proxy, and no accuracy"
    ]
    assert plots.space(found, cost="params").get_xlabel() == "params"


def test_nothing_to_draw() -> None:
    """A cost that does not exist, and a search whose function got no network, are errors."""
    found = search_space("mobilenet_v2", trials=3)

    with pytest.raises(PlotError, match="no column 'energy'"):
        plots.space(found, cost="energy")
    with pytest.raises(PlotError, match="no network has a value"):
        plots.space(search_space("mobilenet_v2", trials=3, max_macs=1, objective=lambda _: 1.0))


def test_a_plot_beside_a_table(tmp_path: Path, run: Run) -> None:
    """The command writes the plot, and refuses it for a choice of width and resolution."""
    words = ["search", "--space", "mobilenet_v2", "--plot", str(tmp_path / "a.svg")]

    assert run(*words, "--trials", "10", "--max-macs", "300M").code == 0
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    refused = run(*words, "--tune-space")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
