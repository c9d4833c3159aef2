"""Reports of training: `count(..., train=True)` and `mbanalyze report --train`."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
import torch
from commandline import Run
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from witness import Bessel

from mbanalyze import count
from mbanalyze.archs import ARCHS
from mbanalyze.archs.builder import ShapeError
from mbanalyze.archs.options import OptionError
from mbanalyze.display.result import view_of
from mbanalyze.display.views import exact
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.report.measured_step import UNSEEN
from mbanalyze.report.network import Report
from mbanalyze.report.rows import KEYS
from mbanalyze.report.selection import SelectionError
from mbanalyze.report.training import TRAINING_COLUMNS, TRAINING_TOTALS
from mbanalyze.trace.forward_errors import TraceError
from mbanalyze.trace.training_step import run_step

NOTE = "forward pass in training mode"


class Layers(nn.Module):
    """Two convolutions with ReLU and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Linear(4, 5)

    def begin(self, x: Tensor) -> Tensor:
        """Return the features of the first convolution."""
        return torch.relu(self.first(x))

    def end(self, x: Tensor) -> Tensor:
        """Return five logits."""
        return self.last(torch.relu(self.second(x)).mean((2, 3)))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Return five logits."""
        return self.end(self.begin(x))


class Detached(Layers):
    """A first convolution whose features are detached."""

    def forward(self, x: Tensor) -> Tensor:
        """Return five logits."""
        return self.end(self.begin(x).detach())


class WithoutGradient(Layers):
    """A first convolution under `no_grad`, as a frozen backbone is often written."""

    def forward(self, x: Tensor) -> Tensor:
        """Return five logits."""
        with torch.no_grad():
            features = self.begin(x)
        return self.end(features)


class Checkpointed(Layers):
    """A first convolution that the backward pass computes again."""

    def forward(self, x: Tensor) -> Tensor:
        """Return five logits."""
        return self.end(checkpoint(self.begin, x, use_reentrant=False))


class Renormalised(nn.Sequential):
    """Layers with an operator between them that has a formula, but no rule of training."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of the last layer."""
        return self[1](self[0](x).renorm(2, 0, 1.0))  # type: ignore[no-any-return]


class Low(nn.Module):
    """A frozen linear layer and two small matrices beside it, as LoRA has them."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.frozen = nn.Linear(8, 6).requires_grad_(False)
        self.down, self.up = nn.Linear(8, rank, bias=False), nn.Linear(rank, 6, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        return self.frozen(x) + self.up(self.down(x))  # type: ignore[no-any-return]


def training(report: Report) -> dict[str, Any]:
    """Return the totals of training."""
    totals = report.total_counts()
    return {name: totals[name] for name in TRAINING_TOTALS}


def renormalised() -> Report:
    """Return a report with an unknown backward pass between two known ones."""
    return count(Renormalised(nn.Linear(4, 4), nn.Linear(4, 4)), (2, 4), train=True)


def cells(report: Any, **options: Any) -> dict[str, list[str]]:
    """Return the exact cells of each column of a report's first table."""
    section = view_of(report, **options).sections[0]
    return {column.heading: list(map(exact, column.cells)) for column in section.columns}


@pytest.mark.parametrize("name", ARCHS)
def test_the_step_counts_what_the_rules_say(name: str) -> None:
    """No note says that the step on tensors without data differs from the rules of a closed form."""
    report = count(name, batch=2, train=True)

    assert report.training
    assert report.training.step
    assert report.training.step.counts == {
        key: number
        for key, number in training(report).items()
        if key != "backward_flops" and "peak" not in key
    }
    assert report.training.as_dict(report.rows)["complete"]
    assert report.notes == (NOTE,)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "googlenet", "shufflenet_v1"])
def test_closed_form_and_trace_are_equal(name: str) -> None:
    """Rows and totals of training are equal, with every optimizer that keeps state."""
    closed, traced = (
        count(name, batch=2, train=True, trace=trace, optimizer="adam") for trace in (False, True)
    )

    assert closed.records() == traced.records()
    assert training(closed) == training(traced)
    assert closed.notes == traced.notes == (NOTE,)


@pytest.mark.parametrize("by", KEYS)
def test_rows_add_up_to_totals(by: str) -> None:
    """The rows of each grouping have the sums of their operators, and so do the rows of a table."""
    report = count("mobilenet_v2", resolution=64, train=True)
    records = report.records(by)

    for name in TRAINING_COLUMNS:
        total = report.total_counts()[name]
        assert total == sum(record[name] for record in records)
        *shown, last = cells(report.by(by), columns=name)[name.replace("_", " ")]
        assert f"{total:,}" == last
        assert total == sum(int(cell.replace(",", "")) for cell in shown)


def test_the_largest_rows_and_the_tree_add_up() -> None:
    """The row of the others has the rest, and equal blocks of a tree share a row with their sum."""
    report = count("mobilenet_v2", resolution=64, train=True)
    saved = [int(cell.replace(",", "")) for cell in cells(report, sort="saved_bytes", top=3)["saved bytes"]]
    tree = cells(report, depth=2, columns="saved_bytes")

    assert saved[-1] == sum(saved[:-1]) == training(report)["saved_bytes"]
    assert saved[:3] == sorted(saved[:3], reverse=True)
    assert "  features.8-10 (x3)" in tree["module"]
    first = [cell for name, cell in zip(tree["module"], tree["saved bytes"], strict=True) if name[0] != " "]
    assert first[-1] == f"{saved[-1]:,}"
    assert saved[-1] == sum(int(cell.replace(",", "")) for cell in first[:-1])


def test_mobilenet_v2_by_kind() -> None:
    """In place, ReLU6 saves copies of 24.4 of the 78.3 MB that one image takes."""
    report = count("mobilenet_v2", train=True)
    by_kind = {record["key"]: record for record in report.records("kind")}

    # convolutions: their inputs, which are the image, outputs of ReLU6 but for the last one, and outputs of blocks
    blocks = (
        16 * 112**2 + 24 * 56**2 * 2 + 32 * 28**2 * 3 + (64 * 4 + 96 * 3) * 14**2 + (160 * 3 + 320) * 7**2
    )
    # batch norms: the outputs of all convolutions, and two statistics of 17,056 channels; ReLU6: copies of its inputs
    assert {key: record["saved_bytes"] for key, record in by_kind.items() if record["saved_bytes"]} == {
        "conv": 4 * (3 * 224**2 + 6_105_792 - 1280 * 7**2 + blocks),
        "batch_norm_training": 4 * (6_679_112 - 1000 + 2 * 17_056),
        "relu6": 4 * 6_105_792,
        "dropout": 4 * 1280,  # the mask
        "linear": 4 * 1280,  # its input
    }
    # twice the macs, but for the gradient of the image: 3 x 3 x 3 weights for 32 x 112 x 112 outputs
    assert training(report)["backward_macs"] == 2 * 300_774_272 - 27 * 32 * 112**2
    assert training(report)["gradient_bytes"] == 4 * 3_504_872
    assert training(report)["optimizer_bytes"] == 0


def test_the_type_of_an_element_scales_bytes() -> None:
    """Saved bytes, gradients and the peak of a network without a norm take half in half precision."""
    single, half = (
        training(count("squeezenet1_1", resolution=64, train=True, dtype=d)) for d in ("float32", "float16")
    )
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    ours, theirs = (training(count(net, (2, 3, 8, 8), train=True, dtype=d)) for d in ("float32", "float16"))

    assert single["backward_macs"] == half["backward_macs"]
    assert single["gradient_bytes"] == 2 * half["gradient_bytes"]
    for name in ("saved_bytes", "gradient_bytes", "step_peak_bytes"):
        assert ours[name] == 2 * theirs[name]


@pytest.mark.parametrize(
    ("optimizer", "state"), [("none", 0), ("sgd", 0), ("momentum", 68 * 4), ("adam", 2 * 68 * 4 + 8)]
)
def test_the_state_of_an_optimizer(optimizer: str, state: int) -> None:
    """Momentum keeps a copy of 68 parameters, and Adam two and a step count of each of two tensors."""
    report = count(nn.Linear(16, 4), (2, 16), train=True, optimizer=optimizer)

    assert report.training
    assert report.training.optimizer == optimizer
    assert state == training(report)["optimizer_bytes"]
    assert (
        training(report)["step_peak_bytes"]
        == run_step(nn.Linear(16, 4), torch.empty(2, 16), optimizer=optimizer).peak_bytes
    )


def test_a_frozen_backbone() -> None:
    """The backward pass ends at the first trainable layer, which computes no gradient of its input."""
    model = Layers()
    model.first.requires_grad_(False)
    report = count(model, (2, 3, 6, 6), train=True)
    rows = {row["path"]: row for row in report.records() if row["path"]}

    # the second convolution: 4 x 4 x 3 x 3 weights at 2 x 6 x 6 places; the linear layer twice 2 x 4 x 5
    assert rows["first"]["backward_macs"] == 0
    assert rows["second"]["backward_macs"] == 144 * 72
    assert rows["last"]["backward_macs"] == 2 * 40
    # the second convolution keeps its input; the ReLU of the first one keeps nothing
    assert [row["saved_bytes"] for row in report.records()[:3]] == [0, 0, 4 * 288]
    # 144 + 4 and 20 + 5 parameters
    assert training(report)["gradient_bytes"] == 4 * 173
    assert report.notes == (NOTE,)


def test_low_rank_matrices_beside_a_frozen_layer() -> None:
    """A frozen linear layer at the input costs nothing in the backward pass; its neighbours have all gradients."""
    report = count(Low(2), (3, 8), train=True, optimizer="adam")
    rows = {row["path"]: row for row in report.records() if row["path"]}

    assert rows["frozen"]["backward_macs"] == rows["frozen"]["saved_bytes"] == 0
    # the gradient of the weight alone: 3 x 8 x 2
    assert rows["down"]["backward_macs"] == 48
    # the gradients of input and weight: twice 3 x 2 x 6
    assert rows["up"]["backward_macs"] == 72
    # 28 parameters in two tensors: two copies and two step counts
    assert training(report)["optimizer_bytes"] == 2 * 28 * 4 + 8
    assert report.notes == (NOTE,)


def test_some_kinds_alone() -> None:
    """`only` keeps the sums of the kinds, and the numbers of the step as a whole."""
    report = count("squeezenet1_1", resolution=64, train=True)
    convolutions = report.only("conv")
    by_kind = {record["key"]: record for record in report.records("kind")}

    for name in TRAINING_COLUMNS:
        assert by_kind["conv"][name] == training(convolutions)[name]
    for name in ("gradient_bytes", "optimizer_bytes", "step_peak_bytes"):
        assert training(report)[name] == training(convolutions)[name]


def test_an_operator_without_a_rule_is_a_lower_bound() -> None:
    """Its counts are unknown, the sums are marked as lower bounds, and a line names it; the forward pass is known."""
    report = renormalised()
    shown = cells(report.by("op"))
    text = report.to("table")

    # the first layer has a gradient of its weight, the second one of both: 2 x 4 x 4 each
    assert shown["backward macs"] == ["32", "?", "64", "≥ 96"]
    assert shown["saved bytes"][1] == "?"
    assert shown["saved bytes"][-1].startswith("≥ ")
    assert shown["macs"][-1] == "64"
    assert report.complete
    assert [each.operator for each in report.uncounted_training] == ["renorm"]
    assert (
        "not counted in training, so these are lower bounds:\n"
        "renorm: 1 x, in (model): backward macs, backward flops, saved bytes\n"
    ) in text
    assert "backward macs ≥ 96 " in " ".join(text.split())
    document = json.loads(report.to("json"))
    assert document["complete"]
    assert not document["training"]["complete"]
    assert document["rows"][1]["backward_macs"] is None
    # the step saves 64 bytes of inputs and at least the norms; its products are those of both layers
    assert report.notes == (NOTE, "saved bytes: 96 in a training step without data, at least 64 by the rules")


def test_an_operator_without_a_formula_is_unknown_in_training_too() -> None:
    """An operator that is not counted in the forward pass has unknown counts of training."""
    report = count(nn.Sequential(nn.Linear(4, 4), Bessel(), nn.Linear(4, 4)), (1, 4), train=True)

    assert [(each.operator, each.columns) for each in report.uncounted_training] == [
        (report.uncounted[0].operator, TRAINING_COLUMNS)
    ]
    assert cells(report)["backward macs"][-1].startswith("≥ ")
    kept = report.only("linear")
    assert kept.uncounted_training == ()
    assert cells(kept)["backward macs"][-1].startswith("≥ ")  # the unknown operator may be of any kind


def test_strict_sees_an_unknown_rule(run: Run, tmp_path: Any) -> None:
    """`--strict` exits with 1 for an operator without a rule if training is counted, else with 0."""
    net = tmp_path / "net.py"
    net.write_text(
        "from torch import nn\n\nclass Net(nn.Linear):\n    def forward(self, x):\n"
        "        return super().forward(x).renorm(2, 0, 1.0)\n\ndef net():\n    return Net(4, 4)\n"
    )
    command = ("report", f"{net}:net", "--input", "2,4", "--strict")

    assert run(*command).code == 0
    assert run(*command, "--train").code == 1


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        # macs of the second convolution: 144 x 72; of the first one: 108 x 72; of the linear layer: 40
        (Detached, {"backward_macs": (144 * 72 + 80, 108 * 72 + 2 * 144 * 72 + 80)}),
        (WithoutGradient, {"backward_macs": (144 * 72 + 80, 108 * 72 + 2 * 144 * 72 + 80)}),
        # the first convolution runs again
        (Checkpointed, {"backward_macs": (2 * 108 * 72 + 2 * 144 * 72 + 80, 108 * 72 + 2 * 144 * 72 + 80)}),
    ],
)
def test_a_step_that_differs_from_the_rules_is_noted(
    model: type[Layers], expected: dict[str, tuple[int, int]]
) -> None:
    """Totals stay the sums of the rules; a note has the number of the step beside them, and another the usual reason."""
    report = count(model(), (2, 3, 6, 6), train=True)
    step, rules = expected["backward_macs"]

    assert training(report)["backward_macs"] == rules
    assert report.training
    assert report.training.step
    assert report.training.step.counts["backward_macs"] == step
    line = f"backward macs: {step:,} in a training step without data, {rules:,} by the rules"
    assert report.notes[:2] == (NOTE, line)
    assert report.notes[-1] == UNSEEN
    assert f"note: {line}\n" in report.to("table")


def test_the_numbers_of_the_step_that_differ() -> None:
    """Under `no_grad`, the first convolution saves nothing and gets no gradient and no state."""
    report = count(WithoutGradient(), (2, 3, 6, 6), train=True, optimizer="momentum")
    assert report.training
    assert report.training.step
    step, rules = report.training.step.counts, training(report)

    # its input of 2 x 3 x 6 x 6, and its 4 x 27 weights and 4 biases
    assert rules["saved_bytes"] - 4 * 216 == step["saved_bytes"]
    assert rules["gradient_bytes"] - 4 * 112 == step["gradient_bytes"]
    assert rules["optimizer_bytes"] - 4 * 112 == step["optimizer_bytes"]
    assert len(report.notes) == 1 + 4 + 1


def test_attention_on_a_cpu_has_another_layout() -> None:
    """The record of a run on values has the layout of the CPU, so that the step and the rules agree."""

    class Attention(nn.MultiheadAttention):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(x, x, x, need_weights=False)[0]

    shapes, values = (count(Attention(8, 2), (5, 2, 8), train=True, real=real) for real in (False, True))

    assert shapes.notes[-1] == UNSEEN
    assert values.notes == (NOTE, "run on real tensors")


def test_a_step_that_needs_values_has_no_peak() -> None:
    """A forward that decides by a value has sums by the rules, an unknown peak, and a note with the reason."""

    class Decides(Layers):
        def forward(self, x: Tensor) -> Tensor:
            x = self.begin(x)
            return self.end(x * 2 if x.sum() > 0 else x)

    report = count(Decides(), (2, 3, 6, 6), train=True)

    assert training(report)["step_peak_bytes"] is None
    assert training(report)["backward_macs"] == 108 * 72 + 2 * 144 * 72 + 80
    assert "\npeak bytes, training step       ?" in report.to("table")
    assert report.notes[-1].startswith("the peak of a training step is unknown: aten::")
    assert json.loads(report.to("json"))["training"]["peak"] is None


def test_the_peak_by_content() -> None:
    """The contents of the peak add up to it, in a table and in JSON."""
    report = count("mobilenet_v3_small", resolution=64, batch=2, train=True, optimizer="adam")
    document = json.loads(report.to("json"))
    _, totals = view_of(report).sections
    names, numbers, _ = (list(map(exact, column.cells)) for column in totals.columns)
    shown = dict(zip(names, numbers, strict=True))

    peak = training(report)["step_peak_bytes"]
    assert peak == document["totals"]["step_peak_bytes"] == sum(document["training"]["peak"].values())
    assert f"{peak:,}" == shown["peak bytes, training step"]
    assert f"{document['training']['peak']['activations_bytes']:,}" == shown["activations at the peak"]
    assert document["training"]["optimizer"] == "adam"
    assert document["training"]["phase"] in ("forward", "backward", "optimizer")


def test_without_train_nothing_changes() -> None:
    """A plain report has no key, column, row or word of training, and refuses its columns."""
    report = count("squeezenet1_1", resolution=64)
    document = report.as_dict()

    assert "training" not in document
    assert not {*TRAINING_TOTALS} & {*document["totals"], *document["rows"][0], *report.columns()}
    assert not {*TRAINING_TOTALS} & {*report.columns("kind"), *report.to("csv").splitlines()[0].split(",")}
    for word in ("backward", "saved", "gradient", "optimizer", "step"):
        assert word not in report.to("table") + report.to("markdown")
    with pytest.raises(SelectionError, match="saved_bytes is a count of training: add train=True"):
        report.to("table", columns="saved_bytes")


def test_every_format_has_the_columns() -> None:
    """CSV, JSON, a frame, Markdown and the HTML page have the columns of training."""
    report = count(Layers(), (2, 3, 6, 6), train=True)
    header, *_ = csv.reader(io.StringIO(report.to("csv")))

    assert header[-3:] == [*TRAINING_COLUMNS]
    assert header == list(report.as_dict()["rows"][0])
    assert [str(kind) for kind in report.frame()[[*TRAINING_COLUMNS]].dtypes] == 3 * ["Int64"]
    assert "| backward macs | flops | backward flops | saved bytes |" in report.to("markdown")
    page = report.to("html")
    for name in (*TRAINING_COLUMNS, "gradient_bytes"):
        assert f'data-column="{name.replace("_", " ")}">' in page or name == "gradient_bytes"
        assert f"<dt>{name.replace('_', ' ')}</dt>" in page
    assert "Not counted in training" not in page
    assert (
        "<code>renorm</code>: 1 x, in (model): backward macs, backward flops, saved bytes"
        in renormalised().to("html")
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"optimizer": "adam"}, OptionError, "optimizer is about training: give train=True too"),
        (
            {"train": True, "optimizer": "lion"},
            ChoiceError,
            "unknown optimizer 'lion': choose one of none, sgd",
        ),
        (
            {"train": True, "dtype": "int8"},
            ChoiceError,
            "unknown dtype of training 'int8': choose one of float32",
        ),
        ({"train": "yes"}, OptionError, "train must be True or False, not 'yes'"),
        ({"train": True, "fused": True}, OptionError, "fused is for inference and train for training"),
    ],
)
def test_options_that_contradict(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """A wrong or contradicting option is an error that says what to do."""
    with pytest.raises(error, match=message):
        count("squeezenet1_1", resolution=64, **options)


def test_the_mode_may_be_given_too() -> None:
    """Training is in training mode, whichever mode is given."""
    reports = [count("squeezenet1_1", resolution=64, train=True, mode=mode) for mode in ("eval", "train")]

    assert reports[0].as_dict() == reports[1].as_dict()


def test_the_command_takes_an_optimizer(run: Run) -> None:
    """The command gives the report of `count`, and refuses an optimizer without training."""
    command = ("report", "squeezenet1_1", "--resolution", "64", "--optimizer", "adam")
    alone = run(*command)

    expected = count("squeezenet1_1", resolution=64, train=True, optimizer="adam").to("table")
    assert run(*command, "--train") == (0, expected, "")
    assert (alone.code, alone.out) == (2, "")
    assert "--optimizer is about training: give --train too" in alone.err


def test_one_value_per_channel_needs_a_larger_batch() -> None:
    """A batch norm of 1 x 1 images does not train with one of them; both producers say to give more."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    with pytest.raises(ShapeError, match="training needs several values per channel; use a larger batch"):
        count("mobilenet_v2", resolution=32, train=True)
    with pytest.raises(
        TraceError, match=r"Expected more than 1 value per channel .*: give a larger batch, such as 2,3,3,3"
    ):
        count(net, (1, 3, 3, 3), train=True)
    with pytest.raises(TraceError, match=r"more than 1 value per channel .*: give a larger batch"):
        count("mobilenet_v2", resolution=32, train=True, trace=True)
    assert count(net, (2, 3, 3, 3), train=True).notes == (NOTE,)


def test_nothing_to_train_is_an_error() -> None:
    """A model whose parameters are all frozen has no training step."""
    with pytest.raises(TraceError, match="no parameter requires a gradient, so there is nothing to train"):
        count(nn.Linear(2, 2).requires_grad_(False), (1, 2), train=True)
