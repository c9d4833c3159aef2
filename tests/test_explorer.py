"""The explorer: its widgets show the costs that `count` returns."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mbanalyze import count, explore
from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import describe
from mbanalyze.explorer import ALPHAS, ExploreError, Explorer
from mbanalyze.report.pictures import pictures


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    """An explorer; every test sets all options that it depends on."""
    return explore()


def shows(explorer: Explorer, name: str, **options: Any) -> bool:
    """True if an explorer shows the exact totals, the table and the pictures of a variant."""
    report = count(name, **options)
    totals = report.totals
    exact = (totals.params, totals.macs, totals.flops, totals.activations, totals.memory_access)
    assert all(f"{total:,}" in explorer.table.value for total in exact)
    return (explorer.table.value, explorer.pictures.value) == (
        report.by("kind")._repr_html_(),
        pictures(report),
    )


@pytest.mark.parametrize("name", ARCHS)
def test_every_architecture_can_be_chosen(name: str, explorer: Explorer) -> None:
    """An architecture starts at its defaults; widgets without an option are disabled."""
    explorer.family.value = name
    own = {option["name"]: option["default"] for option in describe(ARCHS[name])}
    chosen = {option: own[option] for option in ("alpha", "resolution", "groups") if option in own}

    assert explorer.options == chosen
    assert explorer.alpha.disabled == ("alpha" not in own)
    assert explorer.groups.disabled == ("groups" not in own)
    assert shows(explorer, name)


@pytest.mark.parametrize("alpha", [0.35, 0.5, 0.75, 1.4])
def test_alpha_changes_the_costs(alpha: float, explorer: Explorer) -> None:
    """The table shows the variant with the new alpha."""
    explorer.family.value = "mobilenet_v2"
    explorer.alpha.value = alpha

    assert shows(explorer, "mobilenet_v2", alpha=alpha, resolution=224)


def test_resolution_changes_the_costs(explorer: Explorer) -> None:
    """The table shows the new resolution, and alpha stays."""
    explorer.family.value = "mobilenet_v2"
    explorer.alpha.value = 0.75
    explorer.resolution.value = 192

    # tensorflow/models prints 153 M, cut off
    assert "153,941,888" in explorer.table.value
    assert shows(explorer, "mobilenet_v2", alpha=0.75, resolution=192)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_groups_change_the_costs(groups: int, explorer: Explorer) -> None:
    """The table shows the variant with the new groups."""
    explorer.family.value = "shufflenet_v1"
    explorer.groups.value = groups

    assert shows(explorer, "shufflenet_v1", groups=groups)


def test_only_an_architectures_own_widths_are_offered(explorer: Explorer) -> None:
    """ShuffleNet V2 has four alphas; MobileNetV2 takes any, and has twentieths from 0.1 to 2."""
    explorer.family.value = "shufflenet_v2"
    four = [value for _, value in explorer.alpha.options]
    explorer.family.value = "mobilenet_v2"

    assert four == [0.5, 1.0, 1.5, 2.0]
    assert [value for _, value in explorer.alpha.options] == list(ALPHAS)
    assert (ALPHAS[0], ALPHAS[5], ALPHAS[-1]) == (0.1, 0.35, 2.0)


def test_invalid_options_show_an_error(explorer: Explorer) -> None:
    """Groups that do not divide the channels give an error; valid options bring the table back."""
    explorer.family.value = "shufflenet_v1"
    # 384 channels by 0.55 are 211.2
    explorer.groups.value = 8
    explorer.alpha.value = 0.55

    assert "groups=8 do not divide the bottlenecks at alpha=0.55" in explorer.table.value
    assert (explorer.report, explorer.pictures.value) == (None, "")
    explorer.alpha.value = 1.0
    assert shows(explorer, "shufflenet_v1", groups=8)


def test_a_small_image_shows_an_error(explorer: Explorer) -> None:
    """AlexNet's pooling does not fit an image of 32 pixels."""
    explorer.family.value = "alexnet"
    explorer.resolution.value = 32

    assert explorer.report is None
    assert "<pre" in explorer.table.value


def test_an_update_is_one_count(explorer: Explorer) -> None:
    """A new family sets three widgets, and the report has all three values."""
    explorer.family.value = "mnasnet"
    explorer.alpha.value = 0.5
    explorer.family.value = "inception_v3"

    assert explorer.report == count("inception_v3", resolution=299)


def test_a_notebook_shows_its_widgets() -> None:
    """The display has the widgets and static HTML; the first architecture is the given one."""
    explorer = explore("squeezenet1_1")
    shown = explorer._repr_mimebundle_()

    assert "application/vnd.jupyter.widget-view+json" in shown
    assert shown["text/html"] == explorer.table.value + explorer.pictures.value
    assert explorer.family.value == "squeezenet1_1"


def test_unknown_architectures_raise() -> None:
    """The message lists the nearest names."""
    with pytest.raises(ExploreError, match=r"no architecture 'mobilenet_v9': nearest are mobilenet_v\d"):
        explore("mobilenet_v9")


def test_without_ipywidgets_one_line_says_what_to_install() -> None:
    """`explore` raises a LookupError, and the rest of the package works."""
    script = (
        "import sys; sys.modules['ipywidgets'] = None; import mbanalyze; mbanalyze.count('vgg16')\n"
        "try:\n    mbanalyze.explore()\nexcept LookupError as error:\n    print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout == "explore needs ipywidgets: pip install 'mbanalyze[notebook]'\n"
    assert ran.stderr == ""
