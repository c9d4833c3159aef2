"""The check of our counts against the trace, fvcore and the parameters."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from peer_cases import Net
from torch import Tensor, nn
from torch.nn import functional
from witness import variants

from mbanalyze.archs import ARCHS
from mbanalyze.crosscheck.checked_count import CheckedCount
from mbanalyze.crosscheck.fvcore_witness import against_fvcore, fvcore_counts
from mbanalyze.crosscheck.witnesses import Check, all_params, check, same_ops
from mbanalyze.inputs.shape import Shape
from mbanalyze.sources.resolve import resolve


def by_name(what: Any, *inputs: Any, **options: Any) -> dict[str, CheckedCount]:
    """Return the comparisons of a check by name."""
    return {c.what: c for c in check(what, *inputs, **options).comparisons}


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHS)
def test_fvcore_agrees_on_every_variant(name: str) -> None:
    """Fvcore agrees on every known network with every structural option, kind by kind."""
    side = 128 if name == "inception_v3" else 96
    structures: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for options in variants(name):
        structures.setdefault(tuple(v for k, v in options.items() if k != "alpha"), []).append(options)
    for i, widths in enumerate(structures.values()):
        options = widths[i % len(widths)]  # the widths take turns
        agreement = check(name, resolution=side, **options)
        assert agreement.agree, (options, [c for c in agreement.comparisons if c.agree is False])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_fvcore_agrees_on_a_grid(name: str) -> None:
    """Fvcore agrees on every kind at every alpha and resolution, with equal counts."""
    for alpha, resolution in itertools.product((0.25, 0.75, 1.0, 1.4), (32, 96, 103)):
        compared = by_name(name, alpha=alpha, resolution=resolution)

        assert all(c.agree is not False for c in compared.values()), (alpha, resolution)
        counted = {what for what, c in compared.items() if c.theirs is not None}
        assert counted == {
            "closed-form/trace",
            "fvcore/conv",
            "fvcore/batch_norm",
            "fvcore/global_avg_pool",
            "fvcore/linear",
            "params/numel",
        }
        assert all(c.ours == c.theirs for c in compared.values() if c.theirs is not None)


@pytest.mark.parametrize("options", [{"shallow": True}, {"separable": False}, {"batch": 3}])
def test_fvcore_agrees_on_the_options(options: dict[str, Any]) -> None:
    """Fvcore agrees on structural options and on a batch."""
    assert check("mobilenet_v1", alpha=0.25, resolution=64, **options).agree


def test_what_fvcore_skips_is_not_a_disagreement() -> None:
    """A kind that fvcore does not count is reported as such, without disagreement."""
    relu = by_name("mobilenet_v1", alpha=0.25, resolution=32)["fvcore/relu"]

    assert relu.ours is not None
    assert (relu.theirs, relu.agree, relu.reason) == (None, None, "fvcore does not count it")


def test_known_differences_are_explained_exactly() -> None:
    """Batch norm without scale and overlapping windows agree, with fvcore's convention as the reason."""
    model = nn.Sequential(nn.BatchNorm2d(2, affine=False), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(3))
    compared = by_name(model, (1, 2, 7, 7))

    # 98 elements: 2 flops each and 2 each; fvcore 1 each and 2 each
    assert compared["fvcore/batch_norm"].ours == 4 * 98
    assert compared["fvcore/batch_norm"].theirs == 3 * 98
    # windows of 3 x 3 at 3 x 3 places of 2 channels; fvcore 98 elements
    assert compared["fvcore/adaptive_avg_pool"].ours == 2 * 81
    assert compared["fvcore/adaptive_avg_pool"].theirs == 98
    assert all(c.agree for c in compared.values())
    assert compared["fvcore/batch_norm"].reason == "batch_norm: 1 for each output element without a scale"
    expected = "adaptive_avg_pool: 1 for each input element of an adaptive pool"
    assert compared["fvcore/adaptive_avg_pool"].reason == expected


def test_what_is_not_explained_disagrees() -> None:
    """A count that matches neither our formula nor fvcore's convention disagrees."""
    report = resolve(nn.BatchNorm2d(2), (1, 2, 7, 7)).report(calls=True)
    (compared,) = against_fvcore(report, {"batch_norm": 3 * 98})

    assert not compared.agree
    assert compared.reason == "unexplained"


def test_what_only_fvcore_counts_disagrees() -> None:
    """An operator that only fvcore counts disagrees, and is named."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            bessel: Tensor = torch.special.bessel_j0(x)
            return bessel

    report = resolve(Net(), (2, 5)).report(calls=True)
    (compared,) = against_fvcore(report, {"special_bessel_j0": 40})

    assert compared == CheckedCount(compared.what, None, 40, False, "mbanalyze has no formula for it")


def test_a_changed_operator_is_named() -> None:
    """The reason names the first operator and field that differ between closed form and trace."""
    ops = [row.op for row in resolve("mobilenet_v1", alpha=0.25, resolution=32).report().rows]
    changed = [*ops[:3], ops[3]._replace(params=1), *ops[4:]]

    assert same_ops(ops, ops).agree
    reason = "operator 3, conv in features.1.depthwise.0, params: 72 against 1"
    assert same_ops(ops, changed).reason == reason
    assert "has no counterpart" in str(same_ops(ops, ops[:-1]).reason)


def test_operators_that_only_fvcore_saw_are_named() -> None:
    """Counts of fvcore that match no kind of the trace disagree."""
    report = resolve(nn.ReLU(), (1, 2)).report(calls=True)
    relu, einsum = against_fvcore(report, {"einsum": 12})

    assert relu.agree is None
    assert (einsum.what, einsum.ours, einsum.theirs, einsum.agree) == ("fvcore/einsum", None, 12, False)


class Outdated(nn.Module):
    """A module that warns when it runs."""

    def forward(self, x: Tensor) -> Tensor:
        """Double the input."""
        warnings.warn("doubled will be removed", DeprecationWarning, stacklevel=1)
        return 2 * x


def test_warnings_of_a_module_are_shown() -> None:
    """A warning of a module that fvcore runs reaches the user; that of fvcore's own import does not."""
    with pytest.warns(DeprecationWarning, match="doubled will be removed") as shown:
        fvcore_counts(Outdated(), [(1, 2)])
    assert {str(each.message) for each in shown} == {"doubled will be removed"}


def test_a_missing_parameter_is_noticed() -> None:
    """A parameter that is neither read nor listed as unused makes the check fail."""
    model = nn.Linear(2, 3)
    report = replace(resolve(model, (1, 2)).report(), rows=())

    assert all_params(report, model) == CheckedCount("params/numel", 0, 9, False)


def test_global_pooling_written_two_ways_is_explained() -> None:
    """Fvcore counts the adaptive pooling but not the mean."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return functional.adaptive_avg_pool2d(x, 1).flatten(1) + x.mean([2, 3])

    pooled = by_name(Net(), (1, 4, 8, 8))["fvcore/global_avg_pool"]

    assert (pooled.ours, pooled.theirs, pooled.agree) == (512, 256, True)
    assert pooled.reason == "mean: not counted"


def test_matrix_products_and_transposed_convolutions_agree() -> None:
    """The macs of other products agree with fvcore's."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(3, 4, 3, stride=2, groups=1)
            self.fc = nn.Linear(9, 5)

        def forward(self, x: Tensor) -> Tensor:
            y = self.up(x).flatten(2)[..., :9]
            return self.fc(y) @ y.transpose(1, 2)[:, :5]  # type: ignore[no-any-return]

    compared = by_name(Net(), (2, 3, 4, 4))

    assert {"fvcore/conv", "fvcore/linear", "fvcore/matmul"} <= compared.keys()
    assert all(c.agree and c.theirs == c.ours for w, c in compared.items() if c.agree is not None)


def test_all_parameters_are_accounted_for() -> None:
    """Parameters that are read and parameters listed as unused sum to those of the module."""
    model = nn.ModuleDict({"used": nn.Linear(2, 2), "head": nn.Linear(2, 5)})
    model.forward = model["used"].forward

    assert by_name(model, (1, 2))["params/numel"] == CheckedCount("params/numel", 21, 21, True)


def test_fvcore_leaves_the_model_alone() -> None:
    """Fvcore runs a copy: mode and hooks of the module are unchanged, also after an exception."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            if x.device.type == "cpu":
                raise RuntimeError("not on this machine")
            return self.fc(x)  # type: ignore[no-any-return]

    model = Net().train()
    checked = check(model, (1, 3))
    reason = "fvcore could not run it: RuntimeError: not on this machine"

    assert checked.comparisons[0] == CheckedCount("fvcore", None, None, None, reason)
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


class Words(nn.Module):
    """A forward with two tensors by name, which gives a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.fc = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Embed, and mask."""
        found = self.fc(self.embedding(ids))
        return {"found": found if mask is None else found * mask}


def test_inputs_by_name_reach_fvcore() -> None:
    """Fvcore counts a forward whose inputs are given by name, as by position."""
    ids, mask = Shape(3, 5, dtype="int64"), Shape(3, 5, 2)
    named = check(Words(), kwargs={"mask": mask, "ids": ids})
    compared = {c.what: c for c in named.comparisons}

    # 3 x 5 rows of 4 x 2 products
    assert compared["fvcore/linear"] == CheckedCount("fvcore/linear", 120, 120, True)
    assert named.comparisons == check(Words(), ids, kwargs={"mask": mask}).comparisons
    assert named.agree is True


def test_nothing_compared_is_no_agreement() -> None:
    """If fvcore counts no operator of a module, the check is None, and says so."""
    checked = check(nn.Sequential(nn.ReLU(), nn.PReLU(2)), (1, 2, 4, 4))

    assert checked.agree is None
    assert checked.as_dict()["agree"] is None
    assert {c.agree for c in checked.comparisons if c.quantity != "params"} == {None}
    assert "no operator could be compared, only parameters" in checked.to("table")
    assert "yes" not in checked.to("table").split("params/numel")[0]


def test_a_disagreement_outweighs_what_is_not_compared() -> None:
    """One comparison that disagrees makes the check false."""
    report = resolve(nn.ReLU(), (1, 2)).report()
    rows = {result: CheckedCount("fvcore/conv", 1, 1, result) for result in (True, False, None)}

    assert Check(report, (rows[True], rows[False], rows[None])).agree is False
    assert Check(report, (rows[True], rows[None])).agree is True
    assert Check(report, (rows[None],)).agree is None
    assert Check(report, ()).agree is None


def test_a_check_names_its_subject() -> None:
    """The table and the document state model, options, input, mode, versions and the quantity of each row."""
    checked = check("squeezenet1_1", resolution=64, batch=2)
    document, text = checked.as_dict(), checked.to("table")

    assert (document["model"], document["input"], document["mode"]) == (
        "squeezenet1_1",
        [[2, 3, 64, 64]],
        "eval",
    )
    assert document["options"]["resolution"] == 64
    assert {"torch", "fvcore"} < document["versions"].keys()
    assert {c.what: c.quantity for c in checked.comparisons}.items() >= {
        "closed-form/trace": "operators",
        "fvcore/conv": "macs",
        "params/numel": "params",
    }.items()
    assert text.startswith("squeezenet1_1@resolution=64,")
    assert text.split("\n")[0].endswith(", input 2x3x64x64, in eval mode")


def test_steps_are_named() -> None:
    """The callback gets the name of each step as it begins."""
    steps: list[str] = []
    check("squeezenet1_1", resolution=64, progress=steps.append)

    assert steps == [
        "building the module",
        "tracing the module",
        "counting in closed form",
        "counting with fvcore",
    ]


def test_nearest_interpolation_is_explained() -> None:
    """Fvcore counts one flop for each of 2 x 8 x 8 elements that are only copied."""
    compared = by_name(nn.Upsample(scale_factor=2), (1, 2, 4, 4))["fvcore/interpolate"]

    assert (compared.ours, compared.theirs, compared.agree) == (0, 128, True)
    assert compared.reason == "interpolate: 1 for each output element of a nearest resize"


def standardised(s: Any, x: Tensor) -> Any:
    """Convolve with a filter that batch norm standardises, and normalise the result."""
    weight = functional.batch_norm(s.weight.view(1, 4, 3), None, None, training=True)
    return s.norm(functional.conv2d(x, weight.view(4, 3, 1, 1)))


EXPLAINED: dict[str, tuple[nn.Module, tuple[Any, ...], CheckedCount]] = {
    # 3 x 5 positions of 5 matrices that multiply 4 x 2; fvcore counts the one left operand
    "a broadcast left operand": (
        Net(lambda _, x, y: x @ y),
        ((1, 3, 4), (5, 4, 2)),
        CheckedCount("fvcore/matmul", 120, 24, True, "matmul: a broadcast left operand counts once"),
    ),
    # 9 pixels of 2 x 3 and of 2 x 4, whose results alone are returned
    "a convolution without effect": (
        Net(lambda s, x: (s.a(x), s.b(x))[1], a=nn.Conv2d(2, 3, 1), b=nn.Conv2d(2, 4, 1)),
        ((1, 2, 3, 3),),
        CheckedCount("fvcore/conv", 126, 72, True, "conv: not counted where nothing uses the result"),
    ),
    # 27 products of complex numbers, each of 4 real ones
    "complex numbers": (
        Net(lambda _, x: torch.complex(x, x) @ torch.complex(x, x)),
        ((3, 3),),
        CheckedCount("fvcore/matmul", 108, 27, True, "matmul: 1 for a product of complex numbers, not 4"),
    ),
    # 150 elements; 2 flops each by running statistics, and fvcore 5 as for those of the input
    "running statistics of instance norm": (
        nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
        ((2, 3, 5, 5),),
        CheckedCount("fvcore/batch_norm", 300, 750, True, "batch_norm: 5 for each output element"),
    ),
    # 12 weights and 64 activations; 5 x 12 + 2 x 64, and 4 x 12 + 2 x 64
    "a standardised filter": (
        Net(standardised, weight=nn.Parameter(torch.ones(4, 3)), norm=nn.BatchNorm2d(4)),
        ((1, 3, 4, 4),),
        CheckedCount(
            "fvcore/batch_norm_training+batch_norm",
            188,
            176,
            True,
            "batch_norm_training: 4 for each output element without a scale",
        ),
    ),
    # 18 elements of 7 flops, of which fvcore counts 4
    "samples of a grid": (
        Net(lambda _, x, grid: functional.grid_sample(x, grid, align_corners=False)),
        ((1, 2, 4, 4), (1, 3, 3, 2)),
        CheckedCount("fvcore/grid_sample", 126, 72, True, "grid_sample: 4 for each output element"),
    ),
    # 2 x 12 units that read 4 inputs and 3 of the state; in the graph, the cell is two linear layers
    "a cell": (
        Net(lambda s, x: s.cell(x)[0], cell=nn.LSTMCell(4, 3)),
        ((2, 4),),
        CheckedCount("fvcore/lstm", 168, 168, True),
    ),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_the_convention_explains_the_difference(name: str) -> None:
    """The rule of fvcore's convention is the reason, where it gives fvcore's number exactly."""
    module, inputs, expected = EXPLAINED[name]

    assert by_name(module, *inputs)[expected.what] == expected


def test_a_rule_that_nothing_needed_is_no_reason() -> None:
    """The reason names the rules that differ from ours alone, not those of the other operators of the kind."""
    model = nn.Sequential(nn.BatchNorm2d(2), nn.InstanceNorm2d(2))
    compared = by_name(model, (1, 2, 3, 3))

    assert compared["fvcore/batch_norm"] == CheckedCount("fvcore/batch_norm", 36, 36, True)
    # 18 elements: 5 flops each, and 4 by fvcore
    assert compared["fvcore/instance_norm"].ours == 5 * 18
    assert compared["fvcore/instance_norm"].theirs == 4 * 18


def test_a_view_that_only_fvcore_counts_disagrees() -> None:
    """Fvcore counts an Einstein sum that transposes; no operator of the trace stands for it."""
    compared = by_name(Net(lambda _, x: torch.einsum("ij->ji", x) + 0), (3, 4))["fvcore/einsum"]

    assert (compared.ours, compared.theirs, compared.agree) == (None, 6, False)
