"""Profiles: the classes and work of operators, the file, and its errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from commandline import Run
from small_profile import CONV, RELU, profile
from torch import Tensor, nn

from mbanalyze import count
from mbanalyze.ops.record import Op
from mbanalyze.profiles.class_fit import TimeParts
from mbanalyze.profiles.operator_class import class_of, general_class_of
from mbanalyze.profiles.predicted_time import TimeRange
from mbanalyze.profiles.profile_file import (
    ProfileError,
    dumps,
    loads,
    read_profile,
)
from mbanalyze.profiles.time_profile import PROFILE_SCHEMA
from mbanalyze.profiles.work import Work, work_of

RECORDED = Path(__file__).parent / "data/time_profile.json"


def only_op(module: nn.Module, *shape: int) -> Op:
    """Return the operator of a module that has one."""
    (op,) = count(module, shape).ops
    return op


@pytest.mark.parametrize(
    ("module", "shape", "name", "general"),
    [
        (nn.Conv2d(8, 8, 3, groups=8), (1, 8, 9, 9), "conv depthwise 3x3", "conv depthwise"),
        (nn.Conv2d(8, 8, 5, 2, groups=8), (1, 8, 9, 9), "conv depthwise 5x5 stride 2", "conv depthwise"),
        (nn.Conv2d(8, 8, (1, 7)), (1, 8, 9, 9), "conv standard 1x7", "conv standard"),
        (nn.Conv2d(8, 8, 3, (1, 2)), (1, 8, 9, 9), "conv standard 3x3 stride 2", "conv standard"),
        (nn.Conv2d(3, 8, 3), (1, 3, 9, 9), "conv standard 3x3 of an image", "conv standard"),
        (nn.Conv2d(8, 4, 1), (1, 8, 17, 17), "conv pointwise", "conv pointwise"),
        (nn.Conv2d(8, 4, 1), (1, 8, 16, 16), "conv pointwise up to 256 pixels", "conv pointwise"),
        (nn.Conv2d(8, 4, 1), (1, 8, 1, 1), "conv pointwise of 1 pixel", "conv pointwise"),
        (nn.Conv2d(8, 8, 1, groups=2), (1, 8, 9, 9), "conv grouped 1x1", "conv grouped"),
        (
            nn.Conv2d(12, 24, 3, groups=4),
            (1, 12, 9, 9),
            "conv grouped 3x3 up to 8 channels a group",
            "conv grouped",
        ),
        (
            nn.Conv2d(8, 66, 3, groups=2),
            (1, 8, 9, 9),
            "conv grouped 3x3",
            "conv grouped",
        ),
        (
            nn.ConvTranspose2d(8, 8, 2, 2),
            (1, 8, 4, 4),
            "conv standard 2x2 stride 2 transposed",
            "conv standard",
        ),
        (nn.Linear(4, 2), (1, 4), "linear of one row", "linear"),
        (nn.Linear(4, 2), (1, 3, 4), "linear", "linear"),
        (nn.ReLU(), (1, 4), "relu", "relu"),
    ],
)
def test_the_class_of_an_operator(module: nn.Module, shape: tuple[int, ...], name: str, general: str) -> None:
    """A class has the kernel, the stride, and the traits of a size that select another kernel."""
    op = only_op(module, *shape)

    assert (name, general) == (class_of(op), general_class_of(op))


def test_the_work_of_an_operator() -> None:
    """Work is flops, the bytes of activations, and those of weights; a bias is a weight."""
    op = only_op(nn.Conv2d(1, 1, 3), 1, 1, 4, 4)

    # 4 numbers of 9 products, 8 sums and a bias; 4x4 numbers in and 2x2 out; 9 weights and a bias
    assert work_of(op, 4) == Work(4 * (9 + 9 + 1), (16 + 4) * 4, (9 + 1) * 4)
    assert work_of(op, 2).activation_bytes == (16 + 4) * 2


def test_an_activation_that_is_read_twice_counts_once() -> None:
    """The product of a tensor with itself moves it once, and the result once."""

    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.mul(x, x)

    work = work_of(only_op(Square(), 1, 8), 4)

    assert work.weight_bytes == 0
    assert work.activation_bytes == count(Square(), (1, 8)).totals.memory_access * 4


def test_similar_sizes_are_covered() -> None:
    """A fit covers operators with up to twice each part of the largest work."""
    assert CONV.covers(Work(144, 160, 72))
    assert not CONV.covers(Work(145, 80, 36))
    assert not CONV.covers(Work(72, 161, 36))
    assert not CONV.covers(Work(72, 80, 73))
    assert not RELU.covers(Work(4, 32, 1))


def test_the_largest_part_is_the_roof() -> None:
    """The roof is the name of the largest part, and the first of equal ones."""
    assert TimeParts(1, 2, 3, 0).roof == "weights"
    assert TimeParts(1, 2, 2, 0).roof == "activations"
    assert TimeParts(0, 0, 0, 1).roof == "overhead"


def test_intervals_overlap() -> None:
    """Intervals with a common time, even one at the end, leave the order open."""
    assert TimeRange(2, 1, 3).overlaps(TimeRange(4, 3, 5))
    assert TimeRange(4, 3, 5).overlaps(TimeRange(2, 1, 3))
    assert not TimeRange(2, 1, 3).overlaps(TimeRange(5, 4, 6))
    assert not TimeRange(5, 4, 6).overlaps(TimeRange(2, 1, 3))


def test_a_profile_survives_its_file(tmp_path: Path) -> None:
    """Reading what was written gives an equal profile, and writing what was read the same text."""
    (file := tmp_path / "profile.json").write_text(dumps(profile()))

    for made in (profile(), profile(classes={}, general={}, anchors=()), read_profile(RECORDED)):
        assert loads(dumps(made), "text") == made
        assert json.loads(dumps(made)) == made.as_dict()
    assert read_profile(str(file)) == profile()
    assert dumps(read_profile(RECORDED)) == RECORDED.read_text()


def test_a_profile_names_itself() -> None:
    """The name has the machine, its threads, the element type and the date; a GPU has no threads."""
    assert profile().name == "a machine, 1 thread, float32, 2026-01-31"
    assert profile(threads=4).name == "a machine, 4 threads, float32, 2026-01-31"
    assert profile(device="cuda").name == "a machine, float32, 2026-01-31"


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    """Return the text of a profile whose document was changed."""
    document = profile().as_dict()
    change(document)
    return json.dumps(document)


DAMAGED = {
    "empty": ("", "is no profile"),
    "no JSON": ("{", "is no profile"),
    "a list": ("[]", "the document"),
    "another schema": (changed(lambda d: d.update(schema="mbanalyze.report/1")), "its schema is"),
    "no schema": (changed(lambda d: d.pop("schema")), "schema"),
    "a newer schema": (changed(lambda d: d.update(schema="mbanalyze.profile/2")), "upgrade mbanalyze"),
    "no classes": (changed(lambda d: d.pop("classes")), "classes"),
    "an unknown element type": (changed(lambda d: d.update(dtype="float3")), "dtype is 'float3'"),
    "a negative constant": (changed(lambda d: d["classes"]["relu"].update(overhead_ns=-1)), "overhead_ns is -1"),
    "an infinite constant": (changed(lambda d: d["general"]["relu"].update(flop_ns=float("inf"))), "flop_ns is inf"),
    "a constant that is no number": (changed(lambda d: d["classes"]["relu"].update(flop_ns=True)), "flop_ns is True"),
    "a class that is a list": (changed(lambda d: d["classes"].update(relu=[])), "classes 'relu'"),
    "an anchor without a time": (changed(lambda d: d["anchors"][0].pop("measured_ms")), "measured_ms"),
    "half a thread": (changed(lambda d: d.update(threads=0.5)), "threads"),
    "a version that is no text": (changed(lambda d: d["versions"].update(torch=2)), "torch"),
    "a key given twice": ('{"schema": "a", "schema": "b"}', "schema"),
    "a deep document": ("[" * 100_000, "nested too deeply"),
}  # fmt: skip
"""The text of a file that is no profile, and a part of its error."""


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_profile_is_one_line(name: str, tmp_path: Path, run: Run) -> None:
    """The error names the file and the damage, in one line and with exit code 2."""
    text, part = DAMAGED[name]
    (file := tmp_path / "p.json").write_text(text)

    with pytest.raises(ProfileError) as raised:
        read_profile(file)
    assert part in str(raised.value)
    assert str(file) in str(raised.value)
    ran = run("predict", "mobilenet_v1", "--profile", str(file))
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert str(file) in ran.err


def test_a_profile_that_cannot_be_read(tmp_path: Path, run: Run) -> None:
    """A missing file says how to make it; a folder and a file of other bytes are no profiles."""
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    for name, part in (
        ("none.json", "'mbanalyze calibrate --output"),
        ("", "not a regular file"),
        ("bytes.json", "cannot read"),
    ):
        ran = run("predict", "mobilenet_v1", "--profile", str(tmp_path / name))
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert part in ran.err


def test_the_schema_has_a_number() -> None:
    """A profile states its schema, by which another version knows it."""
    assert PROFILE_SCHEMA == "mbanalyze.profile/1"
    assert json.loads(dumps(profile()))["schema"] == PROFILE_SCHEMA


def test_a_class_without_times_has_those_of_its_general_class() -> None:
    """The fit of an operator is that of its class, or else of its general class, or None."""
    other = profile(general={"conv standard": RELU})

    assert other.fit_of(only_op(nn.Conv2d(1, 1, 3), 1, 1, 4, 4)) == CONV
    assert other.fit_of(only_op(nn.Conv2d(1, 1, 2), 1, 1, 4, 4)) == RELU
    assert other.fit_of(only_op(nn.Sigmoid(), 1, 4)) is None
