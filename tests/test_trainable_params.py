"""Trainable and frozen parameters: those that require a gradient, and those that do not."""

from __future__ import annotations

import csv
import io
import json

import pytest
import torch
from torch import Tensor, nn

from mbanalyze import count
from mbanalyze.guard.limits import BUDGET_METRICS, GROWTH_METRICS, LOCKED_METRICS
from mbanalyze.trace.tracer import trace


def half_frozen() -> nn.Sequential:
    """Return two layers; the first one and the bias of the second one are frozen."""
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 6))
    model[0].requires_grad_(False)
    model[1].bias.requires_grad_(False)
    return model


def test_trainable_params_in_rows_groups_and_totals() -> None:
    """Params that require no gradient are missing in each row, group and total."""
    report = count(half_frozen(), (1, 2))

    # 2 x 3 + 3 frozen; 3 x 6 trainable and 6 frozen
    assert [row["params"] for row in report.records()] == [9, 24]
    assert [row["trainable_params"] for row in report.records()] == [0, 18]
    assert report.frame(by="module")["trainable_params"].tolist() == [0, 18]
    assert report.frame(by="kind")["trainable_params"].tolist() == [18]
    assert report.trainable_params == 18
    assert json.loads(report.to("json"))["totals"]["trainable_params"] == 18
    assert [row["trainable_params"] for row in csv.DictReader(io.StringIO(report.to("csv")))] == ["0", "18"]


def test_the_summary_tells_them_apart_only_if_some_are_frozen() -> None:
    """A table has both totals below params, and neither if all are trainable."""
    text = count(half_frozen(), (1, 2)).to("table")

    lines = [line.split() for line in text.splitlines()]
    at = lines.index(["params", "33", "132", "B", "of", "float32"])
    assert lines[at + 1 : at + 3] == [["trainable", "params", "18"], ["frozen", "params", "15"]]
    assert "frozen" not in count("mobilenet_v2").to("table")
    assert "trainable" not in count("mobilenet_v2").to("table")


def test_a_closed_form_is_trainable() -> None:
    """All parameters of a closed form are trainable, as in its trace."""
    closed, traced = (count("mobilenet_v1", alpha=0.25, trace=trace) for trace in (False, True))

    assert closed.trainable_params == closed.totals.params == traced.trainable_params
    assert closed.rows == traced.rows


def test_a_shared_parameter_counts_once() -> None:
    """A frozen parameter that two layers read is frozen in the first one, as its params are counted there."""
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight.requires_grad_(False)
    report = count(model, (1, 4))

    assert [(row["params"], row["trainable_params"]) for row in report.records()] == [(16, 0), (0, 0)]
    assert report.trainable_params == 0


def test_slices_of_one_storage() -> None:
    """Parameters that are slices of a flat tensor are frozen one by one."""
    flat = torch.zeros(10)
    model = nn.Linear(4, 2)
    model.weight = nn.Parameter(flat[:8].view(2, 4), requires_grad=False)
    model.bias = nn.Parameter(flat[8:])
    report = count(model, (1, 4))

    assert (report.totals.params, report.trainable_params) == (10, 2)


def test_frozen_operators_are_equal_to_others() -> None:
    """Equality ignores which parameters are frozen, because the work is the same."""
    model = half_frozen()
    frozen = trace(model, torch.zeros(1, 2)).ops
    trainable = trace(model.requires_grad_(), torch.zeros(1, 2)).ops

    assert [op.frozen for op in frozen] == [9, 6]
    assert [op.frozen for op in trainable] == [0, 0]
    assert frozen == trainable
    assert hash(frozen) == hash(trainable)


@pytest.mark.parametrize("shortcuts", [True, False])
@pytest.mark.parametrize("real", [True, False])
def test_each_way_of_tracing_sees_what_is_frozen(real: bool, shortcuts: bool) -> None:
    """A trace with or without values and shortcuts gives the same frozen params, and leaves them frozen."""
    model = half_frozen()

    assert count(model, (1, 2), trace=True, real=real, shortcuts=shortcuts).trainable_params == 18
    assert [param.requires_grad for param in model.parameters()] == [False, False, True, False]


def test_a_functional_layer() -> None:
    """A parameter of the model itself, which a function reads, is frozen too."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(5), requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale

    report = count(Net(), (1, 5))
    assert (report.totals.params, report.trainable_params) == (5, 0)


def test_the_lock_of_a_guard_has_no_trainable_params() -> None:
    """Neither a budget nor the lock has them, so that locks of earlier versions stay valid."""
    assert "trainable_params" not in (*GROWTH_METRICS, *LOCKED_METRICS, *BUDGET_METRICS)
