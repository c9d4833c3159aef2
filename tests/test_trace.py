"""Tracing real modules: equal to the closed form, and leaving them as they were."""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mbanalyze import ARCHS, count
from mbanalyze.cost import Op
from mbanalyze.report import Report
from mbanalyze.trace import TraceError, trace

ALPHAS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
RESOLUTIONS = (96, 128, 160, 192, 224, 231)


def ops(report: Report) -> list[Op]:
    """The operators alone."""
    return [row.op for row in report.rows]


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ARCHS)
def test_closed_form_equals_trace(name: str, batch: int) -> None:
    """Operator by operator: path, kind, operands, output, ownership, attributes."""
    for alpha, resolution in itertools.product(ALPHAS, RESOLUTIONS):
        options = {"alpha": alpha, "resolution": resolution, "batch": batch}
        assert ops(count(name, **options)) == ops(count(name, trace=True, **options)), options


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mobilenet_v1", {"shallow": True}),
        ("mobilenet_v1", {"separable": False}),
        ("mobilenet_v1", {"shallow": True, "separable": False, "num_classes": 10}),
        ("mobilenet_v2", {"round_nearest": 1, "alpha": 0.6}),
        ("mobilenet_v2", {"num_classes": 2, "resolution": 1}),
    ],
)
def test_closed_form_equals_trace_with_every_option(name: str, options: dict[str, Any]) -> None:
    """Also where the network's structure changes."""
    assert ops(count(name, **options)) == ops(count(name, trace=True, **options))


class Block(nn.Module):
    """A module with a bit of everything that a trace has to put back."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("calls", torch.zeros(1))
        self.calls: Tensor
        self.seen: list[Any] = []
        self.cache: dict[str, Tensor] = {}
        self.fail = False

    def forward(self, x: Tensor) -> Tensor:
        """Touch everything."""
        self.calls.add_(1)
        self.seen.append(x.shape)
        self.cache["x"] = x
        self.latest = x
        random.random()
        noise = torch.rand(1)
        if self.fail:
            raise RuntimeError("no more")
        out: Tensor = self.drop(self.norm(self.conv(x)))
        return out + noise


def state(model: nn.Module) -> dict[str, Any]:
    """Everything about a module that a trace could disturb."""
    return {
        "weights": {name: value.clone() for name, value in model.state_dict().items()},
        "training": [module.training for module in model.modules()],
        "attributes": [sorted(module.__dict__) for module in model.modules()],
        "hooks": [(len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()],
        "lists": [copy.copy(m.seen) for m in model.modules() if isinstance(m, Block)],
        "caches": [sorted(m.cache) for m in model.modules() if isinstance(m, Block)],
        "grad": [p.requires_grad for p in model.parameters()],
        "device": [p.device for p in model.parameters()],
        "torch random": torch.get_rng_state(),
        "python random": random.getstate(),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "fast attention": torch.backends.mha.get_fastpath_enabled(),
    }


def same(a: Any, b: Any) -> bool:
    """Equality that reaches into containers of tensors."""
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_as_it_was(fail: bool, training: bool) -> None:
    """Mode, buffers, attributes, containers, hooks and random state, also when the forward raises."""
    block = Block()
    model = nn.Sequential(block, nn.ReLU()).train(training)
    model[1].train(not training)
    block.fail = fail
    before = state(model)

    if fail:
        with pytest.raises(TraceError):
            count(model, (2, 3, 8, 8))
    else:
        count(model, (2, 3, 8, 8))

    after = state(model)
    for what, value in before.items():
        assert same(value, after[what]), what
    assert "latest" not in block.__dict__
    block.fail = False
    assert model(torch.rand(2, 3, 8, 8)).isfinite().all()


def test_the_test_of_leaving_no_trace_can_fail() -> None:
    """Running the model for real changes what the test above compares."""
    model = nn.Sequential(Block(), nn.ReLU())
    before = state(model)
    model(torch.rand(2, 3, 8, 8))
    after = state(model)

    changed = {what for what, value in before.items() if not same(value, after[what])}
    assert {"weights", "attributes", "lists", "caches", "torch random", "python random"} <= changed


@pytest.mark.parametrize("state_of", ["train", "eval"])
@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_one_list_whatever_state_the_model_arrives_in(state_of: str, context: Callable[[], Any]) -> None:
    """Training or not, with gradients, without, or in inference mode."""
    expected = ops(count("mobilenet_v2", alpha=0.35, resolution=96))
    from mbanalyze.models import MobileNetV2

    model = getattr(MobileNetV2(alpha=0.35), state_of)()
    with context():
        assert expected == ops(count(model, (1, 3, 96, 96)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_precision_changes_bytes_alone(dtype: torch.dtype) -> None:
    """A model in half precision has the same operators, and half the bytes."""
    from mbanalyze.models import MobileNetV1

    model = MobileNetV1(alpha=0.25).to(dtype)
    single, other = count("mobilenet_v1", alpha=0.25, resolution=64), count(model, (1, 3, 64, 64))
    size = dtype.itemsize

    assert ops(single) == ops(other)
    assert other.dtype == str(dtype).removeprefix("torch.")
    assert single.totals.memory_access * size == other.totals.memory_access_bytes(other.itemsize)


def test_weights_on_meta_and_tensors_as_input() -> None:
    """Weights need no memory, and an example tensor says no more than its shape."""
    from mbanalyze.models import MobileNetV1

    model = MobileNetV1(alpha=0.25).to("meta")

    assert ops(count(model, (1, 3, 64, 64))) == ops(count(model, torch.rand(1, 3, 64, 64)))


def test_rows_carry_the_path_of_the_module_that_made_them() -> None:
    """The innermost module whose forward runs, the root as an empty path, children called directly too."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            return functional.relu(self.body[0].forward(x) + self.body(x))

    paths = [(op.path, op.kind) for op in ops(count(Net(), (1, 3, 4, 4)))]

    assert paths == [
        ("body.0", "conv"),
        ("body.0", "conv"),
        ("body.1", "relu"),
        ("", "add"),
        ("", "relu"),
    ]


def test_a_weight_used_twice_is_read_twice_and_owned_once() -> None:
    """Shared modules and tied weights add their parameters where they are first read."""
    shared = nn.Linear(4, 4, bias=False)
    tied = nn.Linear(4, 4, bias=False)
    tied.weight = shared.weight
    report = count(nn.Sequential(shared, shared, tied), (1, 4))

    assert [row.cost.params for row in report.rows] == [16, 0, 0]
    assert [row.cost.reads for row in report.rows] == [20, 20, 20]
    assert [row.cost.macs for row in report.rows] == [16, 16, 16]


def test_weights_seen_through_a_view_are_weights() -> None:
    """A transposed, detached or sliced parameter is still what it looks into."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(4, 6))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight.t() + self.weight.data[:, 0].detach()

    report = count(Net(), (2, 6))
    product, add = ops(report)

    assert (product.kind, product.weights[0].shape, product.params) == ("matmul", (6, 4), 24)
    assert product.weights[0].strides == (1, 6)
    assert (add.kind, add.weights[0].shape, add.params) == ("add", (4,), 0)
    assert report.unused_params == ()


def test_unused_parameters_are_named() -> None:
    """What the forward never reads is listed, and not counted."""
    model = nn.ModuleDict({"used": nn.Linear(2, 2), "head": nn.Linear(2, 5)})
    model.forward = model["used"].forward
    report = count(model, (1, 2))

    assert report.unused_params == ("head.weight", "head.bias")
    assert report.totals.params == 6


def test_an_operator_without_a_formula_is_a_row() -> None:
    """Its macs and flops are unknown, it is listed with its path, and the report is not complete."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cumsum(torch.cumsum(x, 1), 1) + x

    report = count(nn.Sequential(Net()), (2, 5))
    (gap,) = report.uncounted

    assert (gap.operator, gap.path, gap.times) == ("aten::cumsum", "0", 2)
    assert not report.complete
    assert report.rows[0].cost.macs is None
    assert report.rows[0].cost.reads == 10
    assert report.totals.flops == 10  # the addition alone


def test_views_and_allocations_are_free() -> None:
    """They make no row, and are tallied by name."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.view(2, -1).transpose(0, 1)[1:].detach()
            return y + torch.zeros(1, device=x.device)

    report = count(Net(), (2, 3, 2))

    assert [op.kind for op in ops(report)] == ["add"]
    assert report.free == {"view": 1, "transpose": 1, "slice": 1, "detach": 1, "zeros": 1}


def test_a_channel_shuffle_copies_once() -> None:
    """Two views and a reshape that cannot be one."""

    class Shuffle(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            n, c, h, w = x.shape
            return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)

    report = count(Shuffle(), (1, 4, 3, 3))

    assert [op.kind for op in ops(report)] == ["copy"]
    assert (report.totals.flops, report.totals.reads, report.totals.writes) == (0, 36, 36)


missing = "no_such_thing"


class Pooled(nn.Module):
    """Global average pooling, written one of several ways."""

    def __init__(self, how: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        return self.how(x)


@pytest.mark.parametrize(
    "how",
    [
        lambda x: x.mean([2, 3]),
        lambda x: x.mean((-1, -2), keepdim=True),
        lambda x: functional.adaptive_avg_pool2d(x, 1),
        lambda x: functional.adaptive_avg_pool2d(x, (1, 1)),
        lambda x: functional.avg_pool2d(x, 7),
        lambda x: functional.avg_pool2d(x, (7, 7)),
    ],
)
def test_global_pooling_is_one_kind_however_it_is_written(how: Callable[[Tensor], Tensor]) -> None:
    """One flop for each of 5 x 7 x 7 elements."""
    report = count(Pooled(how), (1, 5, 7, 7))

    assert [op.kind for op in ops(report)] == ["global_avg_pool"]
    assert report.totals.flops == 245


@pytest.mark.parametrize(
    ("layer", "shape", "kind", "macs", "flops"),
    [
        # 8 filters over 6 x 6 places of 3 channels, 3 x 3 each; a bias for each output
        (nn.Conv2d(3, 8, 3), (1, 3, 8, 8), "conv", 8 * 36 * 27, 2 * 8 * 36 * 27 + 8 * 36),
        (nn.Conv2d(3, 8, 3, padding="same", bias=False), (1, 3, 8, 8), "conv", 8 * 64 * 27, 2 * 8 * 64 * 27),
        (nn.Conv2d(3, 8, 3), (3, 8, 8), "conv", 8 * 36 * 27, 2 * 8 * 36 * 27 + 8 * 36),  # no batch
        (nn.Conv1d(4, 6, 3, groups=2), (1, 4, 10), "conv", 6 * 8 * 2 * 3, 2 * 6 * 8 * 2 * 3 + 48),
        (nn.Conv3d(1, 2, 2), (1, 1, 3, 3, 3), "conv", 2 * 8 * 8, 2 * 2 * 8 * 8 + 16),
        (nn.ConvTranspose2d(3, 8, 2, 2), (1, 3, 4, 4), "conv", 16 * 3 * 8 * 4, 2 * 16 * 3 * 8 * 4 + 8 * 64),
        (nn.Linear(5, 7), (2, 3, 5), "linear", 2 * 3 * 7 * 5, 2 * 2 * 3 * 7 * 5 + 42),
        (nn.BatchNorm2d(4, affine=False), (1, 4, 3, 3), "batch_norm", 0, 72),
        (nn.Hardswish(), (1, 4, 3, 3), "hard_swish", 0, 144),
        (nn.Hardsigmoid(), (1, 4, 3, 3), "hard_sigmoid", 0, 108),
        (nn.SiLU(inplace=True), (1, 4, 3, 3), "silu", 0, 180),
        (nn.Sigmoid(), (1, 4, 3, 3), "sigmoid", 0, 144),
        (nn.Hardtanh(-1, 1), (1, 4, 3, 3), "clamp", 0, 36),
        (nn.MaxPool2d(3, 2, 1), (1, 4, 8, 8), "max_pool", 0, 4 * 16 * 8),
        (nn.AvgPool2d(2), (1, 4, 8, 8), "avg_pool", 0, 4 * 16 * 4),
        (nn.AdaptiveAvgPool2d((2, 2)), (1, 4, 8, 8), "adaptive_avg_pool", 0, 4 * 64),
        (nn.ZeroPad2d(1), (1, 4, 8, 8), "pad", 0, 0),
    ],
)
def test_modules_counted_by_hand(
    layer: nn.Module, shape: tuple[int, ...], kind: str, macs: int, flops: int
) -> None:
    """One operator each, its arithmetic in the table."""
    report = count(layer, shape)

    assert [op.kind for op in ops(report)] == [kind]
    assert (report.totals.macs, report.totals.flops) == (macs, flops)


def test_variants_of_convolution() -> None:
    """Told apart by shapes alone, transposed ones too."""
    layers = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 16, 3, padding=1, groups=8),
        nn.Conv2d(16, 4, 1),
        nn.ConvTranspose2d(4, 4, 2, groups=4),
        nn.ConvTranspose2d(4, 8, 2, groups=2),
    )

    assert [op.variant for op in ops(count(layers, (1, 4, 8, 8)))] == [
        "standard",
        "grouped",
        "depthwise",
        "depthwise",
        "pointwise",
        "depthwise",
        "grouped",
    ]


def test_in_place_equals_out_of_place() -> None:
    """The same work and the same list; an attribute says which, and is not compared."""
    out, into = (ops(count(nn.Sequential(nn.ReLU(inplace=i), nn.ReLU()), (1, 3))) for i in (False, True))

    assert out == into
    assert [op.inplace for op in into] == [True, False]


@pytest.mark.parametrize(
    ("forward", "problem"),
    [
        (lambda x: getattr(x, missing), "AttributeError in module 'inner.0'"),
        (lambda x: functional.conv2d(x, torch.ones(1, 9, 1, 1)), "RuntimeError in module 'inner.0'"),
        (lambda x: x[x > 0], r"in module 'inner.0'.*needs the values of a tensor"),
        (lambda x: float(x.sum()), r"in module 'inner.0'.*needs the values of a tensor"),
    ],
)
def test_a_forward_that_raises_names_the_module(forward: Callable[[Tensor], Any], problem: str) -> None:
    """The innermost module that was running, and the first line of what it said."""
    model = nn.Sequential()
    model.add_module("first", nn.Identity())
    model.add_module("inner", nn.Sequential(Pooled(forward)))

    with pytest.raises(TraceError, match=problem) as caught:
        trace(model, torch.rand(1, 3, 4, 4))
    assert "\n" not in str(caught.value)


def test_an_exception_that_the_model_handles_is_its_own_affair() -> None:
    """Paths stay right after a module's exception was caught by its parent."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.risky = Pooled(lambda x: getattr(x, missing))

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.risky(x)  # type: ignore[no-any-return]
            except AttributeError:
                return functional.relu(x)

    assert [op.path for op in ops(count(Net(), (1, 3)))] == [""]
