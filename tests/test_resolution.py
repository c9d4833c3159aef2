"""Resolutions and input channels: every way to write them, in every command, and their errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commandline import Run
from witness import torchvision

from mbanalyze import ablate, compare, count, search
from mbanalyze.archs import ARCHS, MobileNetV1
from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.resolution import as_resolution, spell_resolution
from mbanalyze.inputs.typed import InputError
from mbanalyze.sweep.grid import GridError

BAD = [
    "160x",
    "x160",
    "0x5",
    "160x224x3",
    "-1x2",
    "99999999999x2",
    "1000000001",
    "",
    "wide",
    "160,224",
    "1e3x2",
]


@pytest.mark.parametrize(
    ("given", "resolution"),
    [
        (224, 224),
        (np.int64(224), 224),
        ("224", 224),
        ("160x224", (160, 224)),
        (" 160 x 224 ", (160, 224)),
        ((160, 224), (160, 224)),
        ([np.int32(160), 224], (160, 224)),
        ("224x224", 224),
        ((224, 224), 224),
        ("1000000000x1", (10**9, 1)),
    ],
)
def test_a_resolution_is_a_side_or_height_and_width(given: Any, resolution: object) -> None:
    """Numbers, pairs and text are read as the same resolution; a square is its side."""
    assert resolution == as_resolution(given)
    assert as_resolution(spell_resolution(as_resolution(given))) == resolution
    assert resolution == MobileNetV1(resolution=given).resolution


@pytest.mark.parametrize(
    "given", [*BAD, 0, -3, 224.0, True, None, (160, 224, 3), (160,), (0, 5), (1.5, 2), ("1", "2")]
)
def test_malformed_resolutions(given: Any) -> None:
    """Anything else is an error that shows the value and an example."""
    for read in (as_resolution, lambda value: count("mobilenet_v1", resolution=value)):
        with pytest.raises(
            (InputError, OptionError), match="or height x width such as 160x224, not "
        ) as raised:
            read(given)
        assert str(raised.value).endswith(f"not {given!r}")


@pytest.mark.parametrize("given", BAD)
@pytest.mark.parametrize("command", ["report", "check", "guidelines"])
def test_malformed_resolutions_on_the_command_line(run: Run, command: str, given: str) -> None:
    """A command ends with one line that names the option and the value."""
    ran = run(command, "mobilenet_v1", f"--resolution={given}")

    assert ran.code == 2
    assert "--resolution: resolution must be a whole number" in ran.err
    assert ran.err.strip().endswith(f"not {given!r}")


def test_every_command_takes_height_and_width(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options and references say `160x224`, and the answers repeat it."""
    reference = "mobilenet_v1@alpha=0.25,resolution=96x128,in_channels=1"
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    Path("mbanalyze.toml").write_text(
        f'[models.tiny]\nsource = "{reference}"\n'
        '[models.table]\nsource = "mobilenet_v1"\noptions = {resolution = "96x128", in_channels = 1}\n',
        encoding="utf-8",
    )

    by_option = run("report", "mobilenet_v1", "--alpha=0.25", "--resolution=96x128", "--set", "in_channels=1")
    assert run("report", reference).out == by_option.out
    assert f"{reference}, input 1x1x96x128\n" in by_option.out
    assert run("check", reference).code == 0
    assert "96x128" in run("search", "mobilenet_v1", "--resolution=96x128", "--set=in_channels=1").out
    assert "mobilenet_v1@" in run("compare", reference, "mobilenet_v1@resolution=96x128").out
    assert run("guidelines", reference).code == 0
    assert run("guard", "update").code == 0
    assert run("guard").code == 0
    lock = json.loads(Path("mbanalyze.lock.json").read_text(encoding="utf-8"))["models"]
    assert [lock[name]["input"] for name in ("table", "tiny")] == [["1x1x96x128"]] * 2
    assert lock["table"]["options"]["resolution"] == "96x128"


def test_a_column_of_resolutions() -> None:
    """A frame of squares holds integers; any other image is text, and squares beside it stay integers."""
    square = ablate("mobilenet_v1", resolution=[224, "96x96"]).frame()
    mixed = ablate("mobilenet_v1", resolution=[224, "96x128", (128, 96)])

    assert square["resolution"].dtype == np.int64
    assert list(mixed.frame()["resolution"]) == [224, "96x128", "128x96"]
    assert [row["resolution"] for row in mixed.records()] == [224, "96x128", "128x96"]
    assert "\n1.0,96x128," in mixed.to("csv")
    for row in mixed.records():
        assert count("mobilenet_v1", resolution=row["resolution"]).totals.macs == row["macs"]


@pytest.mark.parametrize("again", ["224x224", (224, 224)])
def test_a_resolution_twice(again: Any) -> None:
    """One resolution spelled in two ways occurs twice."""
    with pytest.raises(GridError, match="resolution has 224 twice"):
        ablate("mobilenet_v1", resolution=[224, again])


def test_rho_scales_both_sides() -> None:
    """The resolution multiplier scales the height and the width of the default image."""
    frame = ablate(MobileNetV1(resolution=(160, 224)), rho=[1, 0.5]).frame()

    assert list(frame["resolution"]) == ["160x224", "80x112"]


def test_resizing_the_images_of_a_factory(run: Run, tmp_path: Path) -> None:
    """A grid of a factory has the same resolutions, and the same column."""
    file = tmp_path / "net.py"
    file.write_text("from torch import nn\ndef build():\n    return nn.Conv2d(3, 2, 1)\n")
    found = ablate(f"{file}:build", (1, 3, 8, 8), resolution=[4, "4x6", (6, 4)])

    assert list(found.frame()["resolution"]) == [4, "4x6", "6x4"]
    # 3 input and 2 output channels at each of the h w positions
    assert list(found.frame()["macs"]) == [6 * 16, 6 * 24, 6 * 24]
    assert list(ablate(f"{file}:build", (1, 3, 4, 6), rho=[1, 0.5]).frame()["resolution"]) == ["4x6", "2x3"]
    ran = run("ablate", f"{file}:build", "--input=1,3,8,8", "--resolution=4x")
    assert "resolution must be a whole number" in ran.err


@pytest.mark.parametrize(("spelled", "image"), [("64x96", (64, 96)), (64, (64, 64))])
def test_published_inputs_are_resized(spelled: object, image: tuple[int, int]) -> None:
    """The image that a package publishes for a model takes another height and width."""
    torchvision()

    assert count("torchvision:resnet18", resolution=spelled).input == ((1, 3, *image),)
    assert count("timm:mobilenetv2_100", resolution=spelled, in_chans=1).input == ((1, 1, *image),)


@pytest.mark.parametrize("name", ARCHS)
def test_three_channels_are_spelled_only_if_given(name: str) -> None:
    """Reports spell `in_channels` if it is not 3 or if the user gave it."""
    assert "in_channels" not in count(name).options
    assert count(name, in_channels=3).options["in_channels"] == 3
    assert count(f"{name}@in_channels=1").options["in_channels"] == 1
    assert count(name).totals == count(name, in_channels=3).totals


def test_channels_change_the_first_convolution_alone() -> None:
    """One channel instead of three changes the macs and params of the first convolution."""
    three, one = count("mobilenet_v1"), count("mobilenet_v1", in_channels=1)

    # 32 filters of 3 x 3 on 2 channels fewer, at 112 x 112 positions
    assert three.totals.params - one.totals.params == 2 * 9 * 32
    assert (three.totals.macs or 0) - (one.totals.macs or 0) == 2 * 9 * 32 * 112**2
    labels = compare(three, one).labels
    assert labels == ("mobilenet_v1", "mobilenet_v1@in_channels=1")


def test_a_published_accuracy_is_that_of_three_channels() -> None:
    """Variants with other channels have no published figures; a search takes them as an option."""
    rows = ablate("mobilenet_v1", in_channels=[1, 3]).records()
    found = search("mobilenet_v1", in_channels=1, alpha=0.25)

    assert [row["top1"] for row in rows] == [None, 70.9]
    assert found.best is not None
    assert "in_channels=1" in found.best["options"]


@pytest.mark.parametrize("channels", [0, -1, 1.5, True, "3"])
def test_malformed_channels(channels: object) -> None:
    """Channels are a whole number of at least one."""
    with pytest.raises(OptionError, match="in_channels must be a whole number from 1"):
        count("mobilenet_v1", in_channels=channels)


def test_the_guard_suggests_a_smaller_width_for_other_images(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing network on an image that is not square is offered a smaller width, and no resolution."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    Path("mbanalyze.toml").write_text(
        '[models.tiny]\nsource = "mobilenet_v1@alpha=0.5,resolution=96x128"\nbudget = {macs = "20 M"}\n',
        encoding="utf-8",
    )
    run("guard", "update")
    suggested = run("guard", "explain").out.splitlines()[-1]

    assert suggested.startswith("tiny: alpha=0.36 fits instead of 0.5: 19.82 M macs")
    assert (count("mobilenet_v1", alpha=0.36, resolution="96x128").totals.macs or 0) < 20_000_000
    assert (count("mobilenet_v1", alpha=0.37, resolution="96x128").totals.macs or 0) > 20_000_000
