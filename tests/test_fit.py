"""The largest batch within some memory is measured, and so is the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from commandline import Run
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from mbanalyze import Shape, fit
from mbanalyze.capacity.batches import MOST, largest_batch
from mbanalyze.capacity.fitting import CONTENTS
from mbanalyze.capacity.peak import CapacityError
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.inputs.parsing import ParseError
from mbanalyze.trace.forward_errors import TraceError
from mbanalyze.trace.training_step import MemorySplit, made_optimizers, run_forward, run_step
from mbanalyze.training_cost.optimizer_state import OPTIMIZERS

NET = """
from torch import nn

def build(channels=8, last=None):
    return nn.Sequential(nn.Conv2d(3, channels, 3), nn.ReLU(), nn.Flatten(), nn.Linear(channels * 36, 4))

def normalised():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8))

def frozen():
    return build().requires_grad_(False)
"""
IMAGE = (1, 3, 8, 8)


def small() -> nn.Module:
    """A network of one convolution and one linear layer."""
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))


@pytest.fixture
def net(tmp_path: Path) -> str:
    """A file with factories."""
    file = tmp_path / "net.py"
    file.write_text(NET, encoding="utf-8")
    return str(file)


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**4)), min_size=1, max_size=4),
    st.integers(1, 10**9),
)
def test_the_search_finds_the_limit_of_any_maximum_of_lines(
    lines: list[tuple[int, int]], memory: int
) -> None:
    """The batch fits and the next does not; few batches are measured."""
    measured = set()

    def peak(batch: int) -> int:
        measured.add(batch)
        return max(start + slope * batch for start, slope in lines)

    # the least over the lines of the batch that each line allows
    expected = max(0, min((memory - start) // slope for start, slope in lines))
    assert expected == largest_batch(peak, memory)
    assert {batch for batch in (expected, expected + 1) if batch} <= measured or expected == 0
    assert len(measured) < 40


def test_the_search_takes_other_peaks() -> None:
    """The first batch may not run, and a peak may jump, stay or lead beyond every batch."""
    assert largest_batch(lambda batch: None if batch == 1 else 10 * batch, 55) == 5
    assert largest_batch(lambda batch: None if batch == 1 else 10 * batch, 15) == 0
    assert largest_batch(lambda batch: 10 if batch < 1000 else 99, 50) == 999
    assert largest_batch(lambda batch: 10 if batch < 1000 else None, 50) == 999
    assert largest_batch(lambda batch: batch.bit_length(), 10) == 2**10 - 1
    assert largest_batch(lambda batch: 10, 10) == MOST
    assert largest_batch(lambda batch: None, 10) == 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_both_batches_are_those_of_measured_steps(optimizer: str) -> None:
    """The peaks are those of a step and of a forward with that batch, and with one image more."""
    memory = 300_000
    found = fit(small(), memory, IMAGE, optimizer=optimizer)

    for each in found.batches:
        peaks = []
        for batch in (each.batch, each.batch + 1):
            image = torch.empty(batch, *IMAGE[1:], device="meta")
            step = run_step(small(), image, optimizer=optimizer).peak
            peaks.append(step if each.purpose == "training" else run_forward(small(), image))
        assert (peaks[0], peaks[1].bytes) == (each.peak, each.next_bytes)
        assert peaks[0].bytes <= memory < peaks[1].bytes
    assert found.inference.batch > found.training.batch > 1


def test_a_batch_that_does_not_run_is_skipped(net: str) -> None:
    """Batch norm in training needs two values for each channel: with images of 1 x 1, the first batch is 2."""
    found = fit(f"{net}:normalised", "600 B", (1, 3, 1, 1))

    # inference: 32 parameters, 16 buffers, a step count, and 3 + 8 + 8 elements for each image
    assert found.inference.batch == (600 - 4 * (32 + 16 + 16) - 8) // (4 * 19)
    assert fit(f"{net}:normalised", "1 kB", (1, 3, 1, 1)).training.batch >= 2


def test_any_input_with_the_batch_is_resized() -> None:
    """Shapes that begin with the batch take another one, in containers and by keyword too; others stay."""

    class Pair(nn.Linear):
        def forward(self, x: Tensor, pair: list[Tensor], *, scale: Tensor) -> Tensor:  # type: ignore[override]
            assert scale.shape == (4,)
            assert x.shape[0] == pair[0].shape[0]
            return super().forward(x) * pair[0] * scale

    options: dict[str, Any] = {"kwargs": {"scale": Shape(4)}}
    model = Pair(4, 4)
    found = fit(model, "10 kB", Shape(2, 4), [Shape(2, 4)], **options)
    assert found.input == ((4,), (4,))
    assert found.training.batch > 2


def test_half_precision_fits_twice_as_much() -> None:
    """A network of half-precision numbers takes twice the batch, where nothing else is held."""
    model = nn.Sequential(nn.ReLU(), nn.Linear(4, 4, bias=False))

    # the input, the first output and the second, of 4 elements each, and 16 weights
    assert fit(model, 64 + 10 * 48, (1, 4)).inference.batch == 10
    assert fit(model, 32 + 10 * 24, (1, 4), dtype="bfloat16").inference.batch == 10


def test_names_are_those_of_the_step() -> None:
    """The optimizers and the contents of memory have the names that a step knows."""
    assert tuple(made_optimizers.MAKERS) == OPTIMIZERS
    assert MemorySplit._fields == CONTENTS


def test_what_cannot_be_is_one_clear_line() -> None:
    """Each wrong argument has its error."""
    with pytest.raises(ChoiceError, match=r"^unknown optimizer 'lamb'"):
        fit(small(), "1 MB", IMAGE, optimizer="lamb")
    with pytest.raises(ChoiceError, match=r"^unknown dtype 'int8'"):
        fit(small(), "1 MB", IMAGE, dtype="int8")
    with pytest.raises(ParseError, match=r"^malformed count 'all'"):
        fit(small(), "all", IMAGE)
    for memory in (0, -1, 1.5, True):
        with pytest.raises(CapacityError, match=r"^memory must be a whole number of bytes"):
            fit(small(), memory, IMAGE)  # type: ignore[arg-type]
    with pytest.raises(CapacityError, match=r"^the batch is the result: leave out batch$"):
        fit("squeezenet1_1", "1 MB", batch=2)
    with pytest.raises(CapacityError, match=r"^no input has a batch: give a shape"):
        fit(small(), "1 MB", torch.empty(IMAGE))
    with pytest.raises(TraceError, match=r"expected input\[1, 4, 8, 8\] to have 3 channels"):
        fit(small(), "1 MB", (1, 4, 8, 8))


def test_a_frozen_network_has_a_batch_for_inference() -> None:
    """A network without anything to train has the reason, and a batch for inference."""
    found = fit(small().requires_grad_(requires_grad=False), "1 MB", IMAGE)

    assert found.training.batch == 0
    assert found.training.reason == "no parameter requires a gradient, so there is nothing to train"
    assert found.inference.batch == fit(small(), "1 MB", IMAGE).inference.batch
    assert "no batch for training: no parameter requires a gradient" in found.to("table")


def test_the_command_prints_every_format(run: Run, net: str) -> None:
    """The command prints the result of the function."""
    arguments = ("fit", f"{net}:build", "--input", "1,3,8,8", "--memory", "300 kB", "--optimizer", "adam")
    found = fit(f"{net}:build", "300 kB", IMAGE, optimizer="adam")

    for format in ("table", "markdown", "csv", "json"):
        assert run(*arguments, "--format", format) == (0, found.to(format), "")
    assert json.loads(found.to("json"))["batches"][0]["batch"] == found.training.batch
    table = found.to("table")
    assert f"training, adam       {found.training.batch}" in table
    assert "batches of 3x8x8, in 300.0 kB" in table


def test_nothing_fits(run: Run, net: str) -> None:
    """The exit code is 1, stderr has one line, and the result says how much is needed."""
    ran = run("fit", f"{net}:build", "--input", "1,3,8,8", "--memory", "1 KB", "--format", "csv")

    assert ran.code == 1
    assert (
        ran.err == "mbanalyze: no batch fits in 1 KB: give more memory, a smaller input or another --dtype\n"
    )
    assert ran.out.splitlines()[1].startswith("training,0,,,")
    only_inference = run("fit", f"{net}:build", "--input", "1,3,8,8", "--memory", "9 kB")
    assert only_inference.code == 0
    assert "no batch fits for training: the smallest takes" in only_inference.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--memory", "all"), "malformed count 'all': give a whole number, such as 5000, 120 MB or 12 MiB"),
        ((), "'mbanalyze fit' needs --memory BYTES: see 'mbanalyze fit --help'"),
        (("--memory", "1GB", "--batch", "2"), "the batch is the result: leave out batch"),
        (("--memory", "1GB", "--optimizer", "lamb"), "--optimizer: unknown optimizer 'lamb': choose one of"),
        (("--memory", "1GB", "--dtype", "int8"), "--dtype: unknown dtype 'int8': choose one of float32,"),
    ],
)
def test_wrong_arguments_end_in_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """The exit code is 2."""
    ran = run("fit", "squeezenet1_1", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"mbanalyze: error: {message}")
