"""The explorer: its widgets show the costs that `count` returns."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mbanalyze import compare, count, explore
from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import describe
from mbanalyze.explorer import ALPHAS, ExploreError, Explorer
from mbanalyze.report.pictures import pictures


@pytest.fixture
def explorer() -> Explorer:
    """An explorer of MobileNetV2."""
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
def test_every_architecture_can_be_chosen(name: str) -> None:
    """An architecture starts at its defaults; widgets without an option are disabled."""
    explorer = explore(name)
    own = {option["name"]: option["default"] for option in describe(ARCHS[name])}
    chosen = {option: own[option] for option in ("alpha", "resolution", "groups") if option in own}

    assert explorer.options == chosen
    assert explorer.alpha.disabled == ("alpha" not in own)
    assert explorer.groups.disabled == ("groups" not in own)
    assert explorer.status.value == ""
    assert shows(explorer, name)


@pytest.mark.parametrize("name", ARCHS)
def test_alpha_and_size_stay_when_the_network_changes(name: str, explorer: Explorer) -> None:
    """Each network shows the chosen alpha and size, or says the nearest ones that it has."""
    explorer.alpha.value, explorer.height.value = 0.7, 192
    explorer.network.value = name
    own = {option["name"]: option["choices"] for option in describe(ARCHS[name])}

    # of ShuffleNet V2's alphas 0.5, 1, 1.5 and 2, 0.5 is 0.2 below and 1 is 0.3 above
    alpha = {"alpha": 0.5 if own["alpha"] else 0.7} if "alpha" in own else {}
    assert alpha.items() <= explorer.options.items()
    assert explorer.options["resolution"] == 192
    assert shows(explorer, name, **explorer.options)
    said = f"{name} has no alpha" + (" 0.7: 0.5 is the nearest" if alpha else "")
    assert (said in explorer.status.value) == (alpha != {"alpha": 0.7})

    explorer.network.value = "mobilenet_v2"
    assert explorer.options == {"alpha": 0.7, "resolution": 192}


@pytest.mark.parametrize(
    ("name", "height", "width", "nearest"),
    [
        ("alexnet", 32, 32, 63),
        ("alexnet", 32, 300, (63, 300)),
        ("alexnet", 300, 40, (300, 63)),
        ("inception_v3", 32, 40, 75),
    ],
)
def test_a_size_that_is_too_small_grows(
    name: str, height: int, width: int, nearest: Any, explorer: Explorer
) -> None:
    """A network that needs more pixels gets the smallest size that it allows, and a line says so."""
    explorer.square.value = False
    explorer.height.value, explorer.width.value = height, width
    explorer.network.value = name
    spelled = nearest if isinstance(nearest, int) else "x".join(map(str, nearest))

    assert explorer.options["resolution"] == nearest
    assert f"too few for {name}: {spelled} is the nearest size" in explorer.status.value
    assert shows(explorer, name, resolution=nearest)
    explorer.batch.value = 2
    explorer.network.value = "vgg16"
    assert (height, width) == (explorer.height.value, explorer.width.value)
    assert "too few" not in explorer.status.value


def test_height_and_width_are_equal_in_a_square(explorer: Explorer) -> None:
    """While `square` is chosen, either side sets the other; without it, each has a value of its own."""
    explorer.width.value = 160
    assert (explorer.height.value, explorer.options["resolution"]) == (160, 160)
    explorer.square.value = False
    explorer.width.value = 224
    assert shows(explorer, "mobilenet_v2", resolution=(160, 224))
    explorer.square.value = True
    assert shows(explorer, "mobilenet_v2", resolution=160)


def test_batch_and_channels_change_the_costs(explorer: Explorer) -> None:
    """The table shows the variant with the chosen batch and channels, which stay when the network changes."""
    explorer.batch.value, explorer.channels.value = 8, 1
    assert shows(explorer, "mobilenet_v2", batch=8, in_channels=1)
    explorer.network.value = "resnet18"
    assert shows(explorer, "resnet18", batch=8, in_channels=1)
    explorer.batch.value, explorer.channels.value = 1, 3
    assert explorer.report == count("resnet18", resolution=224)


def test_a_pinned_network_is_compared(explorer: Explorer) -> None:
    """A pinned variant stays the reference: the explorer shows the change of each total, and `compare`."""
    assert (explorer.comparison.value, explorer.unpin.disabled) == ("", True)
    explorer.pin.click()
    explorer.network.value = "mobilenet_v1"
    explorer.batch.value = 2
    before, after = count("mobilenet_v2", alpha=1.0), count("mobilenet_v1", batch=2)
    changes = explorer.changes

    assert (explorer.pinned, explorer.report) == (before, after)
    assert explorer.comparison.value == compare(before, after)._repr_html_()
    assert "pinned: mobilenet_v2, input 1x3x224x224\nshown: mobilenet_v1, input 2x3x224x224" in changes.value
    for name in ("params", "macs", "flops", "activations", "reads", "writes", "memory_access"):
        old, new = getattr(before.totals, name), getattr(after.totals, name)
        assert f">{new - old:+,}</td>" in changes.value
        assert f">{100 * (new / old - 1):+.1f} %</td>" in changes.value
    explorer.unpin.click()
    assert (explorer.comparison.value, changes.value, explorer.pinned) == ("", "", None)


def test_a_variant_that_fails_cannot_be_pinned() -> None:
    """While the options make no network, nothing is compared, and the pinned variant stays."""
    explorer = explore("alexnet")
    explorer.pin.click()
    explorer.height.value = 32
    assert (explorer.report, explorer.comparison.value, explorer.pin.disabled) == (None, "", True)
    explorer.height.value = 224
    assert explorer.pinned == explorer.report
    assert ">+0</td>" in explorer.changes.value


@pytest.mark.parametrize("alpha", [0.35, 0.5, 0.75, 1.4])
def test_alpha_changes_the_costs(alpha: float, explorer: Explorer) -> None:
    """The table shows the variant with the new alpha."""
    explorer.alpha.value = alpha

    assert shows(explorer, "mobilenet_v2", alpha=alpha, resolution=224)


def test_resolution_changes_the_costs(explorer: Explorer) -> None:
    """The table shows the new resolution, and alpha stays."""
    explorer.alpha.value = 0.75
    explorer.height.value = 192

    # tensorflow/models prints 153 M, cut off
    assert "153,941,888" in explorer.table.value
    assert shows(explorer, "mobilenet_v2", alpha=0.75, resolution=192)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_groups_change_the_costs(groups: int, explorer: Explorer) -> None:
    """The table shows the variant with the new groups."""
    explorer.network.value = "shufflenet_v1"
    explorer.groups.value = groups

    assert shows(explorer, "shufflenet_v1", groups=groups)


def test_only_an_architectures_own_widths_are_offered(explorer: Explorer) -> None:
    """ShuffleNet V2 has four alphas; MobileNetV2 takes any, and has twentieths from 0.1 to 2."""
    explorer.network.value = "shufflenet_v2"
    four = [value for _, value in explorer.alpha.options]
    explorer.network.value = "mobilenet_v2"

    assert four == [0.5, 1.0, 1.5, 2.0]
    assert [value for _, value in explorer.alpha.options] == list(ALPHAS)
    assert (ALPHAS[0], ALPHAS[5], ALPHAS[-1]) == (0.1, 0.35, 2.0)


def test_invalid_options_show_an_error(explorer: Explorer) -> None:
    """Groups that do not divide the channels give an error; valid options bring the table back."""
    explorer.network.value = "shufflenet_v1"
    # 384 channels by 0.55 are 211.2
    explorer.groups.value = 8
    explorer.alpha.value = 0.55

    assert "groups=8 do not divide the bottlenecks at alpha=0.55" in explorer.table.value
    assert (explorer.report, explorer.pictures.value) == (None, "")
    explorer.alpha.value = 1.0
    assert shows(explorer, "shufflenet_v1", groups=8)


def test_a_small_image_shows_an_error(explorer: Explorer) -> None:
    """AlexNet's pooling does not fit an image of 32 pixels."""
    explorer.network.value = "alexnet"
    explorer.height.value = 32

    assert explorer.report is None
    assert "<pre" in explorer.table.value


def test_the_default_resolution_is_said(explorer: Explorer) -> None:
    """A network at another size than its default says its default."""
    explorer.network.value = "inception_v3"
    assert "the default resolution of inception_v3 is 299" in explorer.status.value
    explorer.height.value = 299
    assert explorer.status.value == ""


def test_a_notebook_shows_its_widgets() -> None:
    """The display has the widgets and static HTML; the first architecture is the given one."""
    explorer = explore("squeezenet1_1")
    shown = explorer._repr_mimebundle_()

    assert "application/vnd.jupyter.widget-view+json" in shown
    assert shown["text/html"] == explorer.table.value + explorer.pictures.value
    explorer.pin.click()
    assert explorer._repr_mimebundle_()["text/html"].endswith(explorer.comparison.value)
    assert [widget.description for widget in (explorer.network, explorer.pin)] == ["network", "pin"]
    assert explorer.network.value == "squeezenet1_1"


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
