"""Shapes in their printed form, and advice on inputs with which a forward fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from commandline import Run
from torch import Tensor, nn

from mbanalyze import Shape, count
from mbanalyze.inputs.input_text import parse_input
from mbanalyze.trace.forward_errors import TraceError


class Normalised(nn.Module):
    """A convolution and a batch norm, which needs a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised features."""
        return self.norm(self.conv(x))  # type: ignore[no-any-return]


class Flat(nn.Module):
    """A convolution and a linear layer on what `flatten(1)` leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 1), nn.Linear(4 * 8 * 8, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return two logits."""
        return self.fc(self.conv(x).flatten(1))  # type: ignore[no-any-return]


class Two(nn.Module):
    """A forward of two tensors, whose batches are unpacked."""

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        """Return a sum over both."""
        n, length = ids.shape
        return x.reshape(n, 3, 8, 8).sum() + ids.reshape(n, length).sum()


MISSING = "the batch dimension seems to be missing: give "


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("1x3x64x64", Shape(1, 3, 64, 64)),
        ("1 x 3 x 64 x 64", Shape(1, 3, 64, 64)),
        ("1, 3, 64, 64", Shape(1, 3, 64, 64)),
        ("1x128:int64", Shape(1, 128, dtype="int64")),
        ("zeros:1x8", Shape(1, 8, fill="zeros")),
        ("ones:1x8:int64", Shape(1, 8, fill="ones", dtype="int64")),
    ],
)
def test_shapes_as_they_are_printed(text: str, shape: Shape) -> None:
    """A shape may have `x` between its sizes, with a name, an element type and values."""
    assert parse_input(text) == (None, shape)
    assert parse_input(f"ids={text}") == ("ids", shape)


@pytest.mark.parametrize("text", ["1x", "1x3,8", "0x3", "-1x3", "1xx3", "1,,3x"])
def test_malformed_shapes(run: Run, text: str) -> None:
    """A text with missing, mixed or non-positive sizes is an error that repeats it."""
    ran = run("report", "torch.nn:ReLU", f"--input={text}")

    assert ran.code == 2
    assert f"malformed input {text!r}" in ran.err


@pytest.mark.parametrize(
    ("module", "inputs", "advice"),
    [
        (Normalised(), ((3, 8, 8),), "give 1,3,8,8"),
        (Normalised(), (Shape(3, 8, 8, dtype="float32"),), "give 1,3,8,8:float32"),
        (Flat(), ((3, 8, 8),), "give 1,3,8,8"),
        (nn.Sequential(nn.Conv1d(3, 4, 1), nn.BatchNorm1d(4)), ((3, 8),), "give 1,3,8"),
        (nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4)), ((3, 8, 8, 8),), "give 1,3,8,8,8"),
        (Two(), ((3, 8, 8), Shape(5, dtype="int64")), "give 1,3,8,8 and 1,5:int64"),
    ],
)
def test_a_missing_batch_dimension_is_named(module: nn.Module, inputs: Any, advice: str) -> None:
    """If a forward fails and runs with a batch of one, the error says so after torch's own message."""
    with pytest.raises(TraceError, match=f"the forward raised .*: {MISSING.removesuffix('give ')}{advice}$"):
        count(module, *inputs)


def test_a_missing_batch_dimension_by_name() -> None:
    """The advice on a keyword argument repeats its name."""
    with pytest.raises(TraceError, match=f"{MISSING}x=1,3,8,8$"):
        count(Normalised(), kwargs={"x": Shape(3, 8, 8)})


def test_a_missing_batch_dimension_on_values() -> None:
    """The same holds for a run on values."""
    with pytest.raises(TraceError, match=f"{MISSING}1,3,8,8$"):
        count(Normalised(), (3, 8, 8), real=True)


def test_an_unbatched_input_is_counted() -> None:
    """A forward that accepts an image without a batch is counted unbatched."""
    # 3 input and 4 output channels at 8 x 8 positions
    assert count(nn.Conv2d(3, 4, 1), (3, 8, 8)).totals.macs == 3 * 4 * 64


@pytest.mark.parametrize("inputs", [((1, 4, 8, 8),), ((8, 8),), ((1, 3, 8, 8, 1),), (torch.zeros(3, 8, 8),)])
def test_other_failures_have_no_advice(inputs: Any) -> None:
    """An error that a batch does not mend is not blamed on it, and a user's own tensor is not changed."""
    with pytest.raises(TraceError, match="the forward raised") as raised:
        count(Normalised(), *inputs)
    assert "batch dimension" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "advice"),
    [("(1,3,8,8)", "write a shape as 1,3,8,8,"), ("x=[1,3,8,8]", "write a shape as x=1,3,8,8,")],
)
def test_numbers_in_brackets_are_no_shape(run: Run, tmp_path: Path, given: str, advice: str) -> None:
    """If a list or tuple of numbers makes a forward fail, the error says how a shape is written."""
    file = tmp_path / "net.py"
    file.write_text(
        "from torch import nn\nmodel = nn.Conv2d(3, 4, 1)\nclass Net(nn.Module):\n"
        "    def forward(self, x): return nn.functional.relu(x)\n"
    )
    ran = run("report", f"{file}:Net", "--input", given)

    assert ran.code == 2
    assert advice in ran.err
    assert "expected one of" not in ran.err


@pytest.mark.parametrize("command", ["report", "check", "compare", "ablate", "guidelines"])
def test_every_command_names_the_missing_dimension(run: Run, tmp_path: Path, command: str) -> None:
    """The advice reaches every command that traces."""
    file = tmp_path / "net.py"
    file.write_text(
        "from torch import nn\ndef build(width=2):\n"
        "    return nn.Sequential(nn.Conv2d(3, width, 1), nn.BatchNorm2d(width))\n"
    )
    models = [f"{file}:build"] + [f"{file}:build@width=3"] * (command == "compare")
    ran = run(command, *models, "--input=3x8x8")

    assert ran.code == 2
    assert f"{MISSING}1,3,8,8" in ran.err
