"""A trace of a module equals the closed form, and leaves the module unchanged."""

from __future__ import annotations

import copy
import gc
import itertools
import random
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from arithmetic import Run
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parameter import is_lazy
from torch.nn.utils import prune
from witness import variants

from mbanalyze import count
from mbanalyze.archs import ARCHS
from mbanalyze.archs.builder import Builder, ShapeError
from mbanalyze.models import MODELS, MobileNetV1, MobileNetV2, build
from mbanalyze.ops.record import Op
from mbanalyze.report.network import Report
from mbanalyze.trace.forward_errors import TraceError
from mbanalyze.trace.tracer import trace

ALPHAS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
RESOLUTIONS = (96, 128, 160, 192, 224, 231)


def ops(report: Report) -> list[Op]:
    """Return the operators of a report."""
    return [row.op for row in report.rows]


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_closed_form_equals_trace(name: str, batch: int) -> None:
    """The operators of a trace equal those of the closed form, field by field."""
    for alpha, resolution in itertools.product(ALPHAS, RESOLUTIONS):
        options = {"alpha": alpha, "resolution": resolution, "batch": batch}
        assert ops(count(name, **options)) == ops(count(name, trace=True, **options)), options


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHS)
def test_closed_form_equals_trace_with_every_structural_option(name: str) -> None:
    """Operators and unused parameters agree for every variant of every network.

    Three resolutions and two batch sizes are distributed over the variants. Each variant and each size is tested.
    """
    default = count(name).input[0][-1]
    images = list(itertools.product((default, default - 32, default + 7), (1, 2)))
    every = variants(name)
    for i, options in enumerate(every):
        module = build(ARCHS[name](**options))
        for resolution, batch in images[i % len(images) :: len(every)]:
            closed = count(name, **options, resolution=resolution, batch=batch)
            traced = count(module, (batch, 3, resolution, resolution))
            assert ops(closed) == ops(traced), (options, resolution, batch)
            assert closed.unused_params == traced.unused_params


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", ARCHS)
def test_closed_form_equals_trace_on_any_image(name: str, channels: int) -> None:
    """Operators and unused parameters agree on images that are not square and not of three channels.

    The factory of the module does not know the image.
    """
    factory = partial(MODELS[name], in_channels=channels)
    high, wide = (107, 139) if name == "inception_v3" else (72, 104)
    for image in ((high, wide), (wide, high)):
        closed = count(name, resolution=image, in_channels=channels)
        traced = count(factory, (1, channels, *image))
        assert ((1, channels, *image),) == closed.input
        assert ops(closed) == ops(traced)
        assert closed.unused_params == traced.unused_params


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mobilenet_v1", {"shallow": True, "separable": False, "num_classes": 10}),
        ("mobilenet_v2", {"round_nearest": 1, "alpha": 0.6}),
        ("mobilenet_v2", {"round_nearest": 16, "alpha": 0.3}),
        ("mobilenet_v2", {"num_classes": 2, "resolution": 1}),
        ("shufflenet_v1", {"resolution": 33, "groups": 8}),
        ("squeezenet1_1", {"resolution": 21, "bypass": "complex"}),
    ],
)
def test_closed_form_equals_trace_in_corners(name: str, options: dict[str, Any]) -> None:
    """The closed form and the trace agree for tiny images and odd widths."""
    assert ops(count(name, **options)) == ops(count(name, trace=True, **options))


class Holder:
    """A plain object that holds a tensor of a module."""

    tensor: Tensor | None = None


class Block(nn.Module):
    """A module that changes every kind of state that a trace restores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("position", torch.arange(3.0))
        self.register_buffer("moved", torch.zeros(2))
        self.calls: Tensor
        self.position: Tensor
        self.moved: Tensor
        self.seen: list[Any] = []
        self.cache: dict[str, Any] = {"deep": [{}]}
        self.holder = Holder()
        self.recent: deque[Tensor] = deque()
        self.generator = torch.Generator()
        self.fail = False

    def forward(self, x: Tensor) -> Tensor:
        """Change the state."""
        self.calls.add_(1)
        self.seen.append(x.shape)
        self.cache["x"] = x
        self.cache["deep"][0]["x"] = x
        self.holder.tensor = x
        self.recent.append(x)
        self.latest = x
        self.position.unsqueeze_(0)
        self.moved.data = torch.zeros(7)
        self.norm.weight.requires_grad_(False)
        random.random()
        np.random.random()
        torch.rand(1, generator=self.generator)
        noise = torch.rand(1)
        if self.fail:
            raise RuntimeError("no more")
        out: Tensor = self.drop(self.norm(self.conv(x)))
        return out + noise


def state(model: nn.Module) -> dict[str, Any]:
    """Return the state of a module, and global state, that a trace could change."""
    return {
        "weights": {name: value.clone() for name, value in model.state_dict().items()},
        "training": [module.training for module in model.modules()],
        "attributes": [sorted(module.__dict__) for module in model.modules()],
        "hooks": [(len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()],
        "lists": [copy.copy(m.seen) for m in model.modules() if isinstance(m, Block)],
        "caches": [str(m.cache) for m in model.modules() if isinstance(m, Block)],
        "held": [(m.holder.tensor, len(m.recent)) for m in model.modules() if isinstance(m, Block)],
        "generators": {
            str(i): m.generator.get_state() for i, m in enumerate(model.modules()) if isinstance(m, Block)
        },
        "numpy random": str(np.random.get_state()),
        "grad": [(p.requires_grad, p.grad) for p in model.parameters()],
        "views": [(b.shape, b.stride(), b.data_ptr()) for b in model.buffers()],
        "device": [p.device for p in model.parameters()],
        "torch random": torch.get_rng_state(),
        "python random": random.getstate(),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "fast attention": torch.backends.mha.get_fastpath_enabled(),
    }


def same(a: Any, b: Any) -> bool:
    """Compare values, and dicts of tensors."""
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_a_trace_restores_the_model(fail: bool, training: bool) -> None:
    """A trace restores the model and the random states, also when the forward raises."""
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
    for aspect, value in before.items():
        assert same(value, after[aspect]), aspect
    assert "latest" not in block.__dict__
    block.fail = False
    assert model(torch.rand(2, 3, 8, 8)).isfinite().all()


def test_the_test_above_can_fail() -> None:
    """A forward without a trace changes the state that the test above compares."""
    model = nn.Sequential(Block(), nn.ReLU())
    before = state(model)
    model(torch.rand(2, 3, 8, 8))
    after = state(model)

    changed = {aspect for aspect, value in before.items() if not same(value, after[aspect])}
    expected = {"weights", "attributes", "lists", "caches", "held", "generators", "grad", "views"}
    assert expected | {"torch random", "python random", "numpy random"} <= changed


@pytest.mark.parametrize("state_of", ["train", "eval"])
@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_the_callers_mode_changes_nothing(state_of: str, context: Callable[[], Any]) -> None:
    """The operators do not depend on the training flag or the gradient mode of the caller."""
    expected = ops(count("mobilenet_v2", alpha=0.35, resolution=96))
    model = getattr(MobileNetV2(alpha=0.35), state_of)()
    with context():
        assert expected == ops(count(model, (1, 3, 96, 96)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_precision_changes_bytes_alone(dtype: torch.dtype) -> None:
    """A model of another dtype has the same operators, and bytes in proportion to its element size."""
    model = MobileNetV1(alpha=0.25).to(dtype)
    single, other = count("mobilenet_v1", alpha=0.25, resolution=64), count(model, (1, 3, 64, 64))
    size = dtype.itemsize

    assert ops(single) == ops(other)
    assert other.dtype == str(dtype).removeprefix("torch.")
    assert single.totals.memory_access * size == other.totals.memory_access_bytes(other.itemsize)


def test_weights_on_meta_and_tensors_as_input() -> None:
    """Weights on the meta device and an example tensor give the same operators."""
    model = MobileNetV1(alpha=0.25).to("meta")

    assert ops(count(model, (1, 3, 64, 64))) == ops(count(model, torch.rand(1, 3, 64, 64)))


def test_rows_carry_the_path_of_the_module_that_made_them() -> None:
    """The path is that of the innermost running module: "" for the root, also if a child's forward is called."""

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
    """Shared modules and tied weights add their parameters to the operator that reads them first."""
    shared = nn.Linear(4, 4, bias=False)
    tied = nn.Linear(4, 4, bias=False)
    tied.weight = shared.weight
    report = count(nn.Sequential(shared, shared, tied), (1, 4))

    assert [row.cost.params for row in report.rows] == [16, 0, 0]
    assert [row.cost.reads for row in report.rows] == [20, 20, 20]
    assert [row.cost.macs for row in report.rows] == [16, 16, 16]


def test_weights_seen_through_a_view_are_weights() -> None:
    """A transposed, detached or sliced parameter is a weight."""

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
    """A parameter that the forward never reads is listed and not counted."""
    model = nn.ModuleDict({"used": nn.Linear(2, 2), "head": nn.Linear(2, 5)})
    model.forward = model["used"].forward
    report = count(model, (1, 2))

    assert report.unused_params == ("head.weight", "head.bias")
    assert report.totals.params == 6


def test_an_operator_without_a_formula_is_a_row() -> None:
    """Its macs and flops are None, it is listed with its path, and the report is incomplete."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            twice: Tensor = torch.special.bessel_j0(torch.special.bessel_j0(x))
            return twice + x

    report = count(nn.Sequential(Net()), (2, 5))
    (gap,) = report.uncounted

    assert (gap.operator, gap.path, gap.times) == ("aten::special_bessel_j0", "0", 2)
    assert not report.complete
    assert report.rows[0].cost.macs is None
    assert report.rows[0].cost.reads == 10
    assert report.totals.flops == 10  # the addition alone


def test_views_and_allocations_are_free() -> None:
    """Views and allocations have no row, and are counted by name."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.view(2, -1).transpose(0, 1)[1:].detach()
            return y + torch.zeros(1, device=x.device)

    report = count(Net(), (2, 3, 2))

    assert [op.kind for op in ops(report)] == ["add"]
    assert {**report.free, "detach": 1} == {"view": 1, "transpose": 1, "slice": 1, "detach": 1, "zeros": 1}
    assert report.free["detach"] in (1, 2)  # some releases of PyTorch run it twice


def test_a_channel_shuffle_copies_once() -> None:
    """A channel shuffle is two free views, and one copy for the reshape."""

    class Shuffle(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            n, c, h, w = x.shape
            return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)

    report = count(Shuffle(), (1, 4, 3, 3))

    assert [op.kind for op in ops(report)] == ["copy"]
    assert (report.totals.flops, report.totals.reads, report.totals.writes) == (0, 36, 36)


missing = "no_such_thing"


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: x.mean([2, 3]),
        lambda x: x.mean((-1, -2), keepdim=True),
        lambda x: functional.adaptive_avg_pool2d(x, 1),
        lambda x: functional.adaptive_avg_pool2d(x, (1, 1)),
        lambda x: functional.avg_pool2d(x, 7),
        lambda x: functional.avg_pool2d(x, (7, 7)),
    ],
)
def test_global_pooling_is_one_kind_however_it_is_written(pool: Callable[[Tensor], Tensor]) -> None:
    """Every spelling is one kind that takes a flop for each of 5 x 7 x 7 elements."""
    report = count(Run(pool), (1, 5, 7, 7))

    assert [op.kind for op in ops(report)] == ["global_avg_pool"]
    assert report.totals.flops == 245


@pytest.mark.parametrize(
    ("make", "shape", "kind", "macs", "flops"),
    [
        # 8 filters of 3 x 3 x 3 elements at 6 x 6 positions; a bias for each output
        (lambda: nn.Conv2d(3, 8, 3), (1, 3, 8, 8), "conv", 8 * 36 * 27, 2 * 8 * 36 * 27 + 8 * 36),
        (
            lambda: nn.Conv2d(3, 8, 3, padding="same", bias=False),
            (1, 3, 8, 8),
            "conv",
            8 * 64 * 27,
            2 * 8 * 64 * 27,
        ),
        (lambda: nn.Conv2d(3, 8, 3), (3, 8, 8), "conv", 8 * 36 * 27, 2 * 8 * 36 * 27 + 8 * 36),  # no batch
        (lambda: nn.Conv1d(4, 6, 3, groups=2), (1, 4, 10), "conv", 6 * 8 * 2 * 3, 2 * 6 * 8 * 2 * 3 + 48),
        (lambda: nn.Conv3d(1, 2, 2), (1, 1, 3, 3, 3), "conv", 2 * 8 * 8, 2 * 2 * 8 * 8 + 16),
        (
            lambda: nn.ConvTranspose2d(3, 8, 2, 2),
            (1, 3, 4, 4),
            "conv",
            16 * 3 * 8 * 4,
            2 * 16 * 3 * 8 * 4 + 8 * 64,
        ),
        (lambda: nn.Linear(5, 7), (2, 3, 5), "linear", 2 * 3 * 7 * 5, 2 * 2 * 3 * 7 * 5 + 42),
        (lambda: nn.BatchNorm2d(4, affine=False), (1, 4, 3, 3), "batch_norm", 0, 72),
        (nn.Hardswish, (1, 4, 3, 3), "hard_swish", 0, 144),
        (nn.Hardsigmoid, (1, 4, 3, 3), "hard_sigmoid", 0, 108),
        (lambda: nn.SiLU(inplace=True), (1, 4, 3, 3), "silu", 0, 180),
        (nn.Sigmoid, (1, 4, 3, 3), "sigmoid", 0, 144),
        (lambda: nn.Hardtanh(-1, 1), (1, 4, 3, 3), "clamp", 0, 36),
        (lambda: nn.MaxPool2d(3, 2, 1), (1, 4, 8, 8), "max_pool", 0, 4 * 16 * 8),
        (lambda: nn.AvgPool2d(2), (1, 4, 8, 8), "avg_pool", 0, 4 * 16 * 4),
        (lambda: nn.AdaptiveAvgPool2d((2, 2)), (1, 4, 8, 8), "adaptive_avg_pool", 0, 4 * 64),
        (lambda: nn.ZeroPad2d(1), (1, 4, 8, 8), "pad", 0, 0),
    ],
)
def test_modules_counted_by_hand(
    make: Callable[[], nn.Module], shape: tuple[int, ...], kind: str, macs: int, flops: int
) -> None:
    """A module of one operator costs the arithmetic in the table."""
    report = count(make(), shape)

    assert [op.kind for op in ops(report)] == [kind]
    assert (report.totals.macs, report.totals.flops) == (macs, flops)


def test_variants_of_convolution() -> None:
    """The variant of a convolution follows from its shapes, also if it is transposed."""
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
    """In-place operators equal the out-of-place ones; only the name in PyTorch differs, and is not compared."""
    out, into = (ops(count(nn.Sequential(nn.ReLU(inplace=i), nn.ReLU()), (1, 3))) for i in (False, True))

    assert out == into
    assert [op.operator for op in into] == ["relu_", "relu"]


@pytest.mark.parametrize(
    ("forward", "problem"),
    [
        (lambda x: getattr(x, missing), "AttributeError in module 'inner.0'"),
        (lambda x: functional.conv2d(x, torch.ones(1, 9, 1, 1)), "RuntimeError in module 'inner.0'"),
        (lambda x: x[x > 0], r"in module 'inner.0'.*needs? the values of a tensor"),
        (lambda x: float(x.sum()), r"in module 'inner.0'.*needs? the values of a tensor"),
    ],
)
def test_a_forward_that_raises_names_the_module(forward: Callable[[Tensor], Any], problem: str) -> None:
    """The error names the innermost running module and quotes the first line of the exception."""
    model = nn.Sequential()
    model.add_module("first", nn.Identity())
    model.add_module("inner", nn.Sequential(Run(forward)))

    with pytest.raises(TraceError, match=problem) as caught:
        trace(model, torch.empty(1, 3, 4, 4, device="meta"))
    assert "\n" not in str(caught.value)


def test_an_exception_that_the_model_handles_changes_no_path() -> None:
    """Paths are right after a parent catches the exception of a child."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.risky = Run(lambda x: getattr(x, missing))

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.risky(x)  # type: ignore[no-any-return]
            except AttributeError:
                return functional.relu(x)

    assert [op.path for op in ops(count(Net(), (1, 3)))] == [""]


def test_free_operators_in_place_are_free() -> None:
    """Dropout at inference and in-place changes of a shape do no work."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = functional.dropout(x + torch.tensor(2.0), 0.5, training=False, inplace=True)
            return y.unsqueeze_(0).squeeze_(0)

    report = count(Net(), (2, 3))

    assert [op.kind for op in ops(report)] == ["add"]
    assert report.complete


def test_dropout_that_drops_is_not_free() -> None:
    """Dropout that is on at inference masks and scales."""
    report = count(Run(lambda x: functional.dropout(x, 0.5, training=True)), (2, 3))

    assert [(row.op.kind, row.cost.flops) for row in report.rows] == [("dropout", 12)]


def test_parameters_in_one_storage_are_told_apart() -> None:
    """Parameters that are views of one buffer are owned by the operator that reads them, or named as unused."""
    model = nn.ModuleDict({"used": nn.Linear(4, 4), "aux": nn.Linear(4, 100), "last": nn.Linear(4, 4)})
    flat = nn.utils.parameters_to_vector(model.parameters())
    nn.utils.vector_to_parameters(flat.detach(), model.parameters())
    model.forward = lambda x: model["last"](model["used"](x))
    report = count(model, (1, 4))

    assert [row.cost.params for row in report.rows] == [20, 20]
    assert [[w.number for w in row.op.weights] for row in report.rows] == [[0, 1], [2, 3]]
    assert [w.offset for row in report.rows for w in row.op.weights] == [0, 0, 0, 0]
    assert report.unused_params == ("aux.weight", "aux.bias")


def test_slices_of_one_tensor_are_several_reads() -> None:
    """Query, key and value of one projection have the same number and different offsets."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            q, k, v = x.chunk(3, dim=-1)
            return q @ k.transpose(0, 1) @ v

    first, second = ops(count(Net(), (4, 6)))

    assert [(v.number, v.offset) for v in first.operands] == [(0, 0), (0, 2)]
    assert [(v.number, v.offset) for v in second.operands] == [(1, 0), (0, 4)]


def test_an_index_is_eight_bytes() -> None:
    """An integer tensor keeps its element size in a trace."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.arange(3)

    (add,) = ops(count(Net(), (2, 3)))

    assert [v.itemsize for v in add.operands] == [None, 8]


def test_an_output_handed_in_is_not_read() -> None:
    """A tensor given as `out` is written and not read."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.add(x, x, out=torch.empty_like(x))

    report = count(Net(), (2, 5))

    assert (report.totals.reads, report.totals.writes, report.totals.flops) == (10, 10, 10)


def test_overlapping_windows_share_their_elements() -> None:
    """Reading 8 windows of 3 out of 10 elements reads 10."""
    report = count(Run(lambda x: x.unfold(0, 3, 1) + 1), (10,))

    assert (report.totals.reads, report.totals.writes) == (10, 24)


@pytest.mark.parametrize("collecting", [True, False])
def test_garbage_is_collected_as_before(collecting: bool) -> None:
    """Garbage collection is off during a trace, and restored afterwards, also when the forward raises."""
    before = gc.isenabled()
    (gc.enable if collecting else gc.disable)()
    seen: list[bool] = []

    def look(x: Tensor) -> Tensor:
        seen.append(gc.isenabled())
        return x

    try:
        trace(Run(look), torch.ones(2))
        after = gc.isenabled()
        with pytest.raises(TraceError):
            trace(Run(lambda x: x[5]), torch.ones(2))
        assert (seen, after, gc.isenabled()) == ([False], collecting, collecting)
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.parametrize("hooked", [0, 1])
def test_hooks_of_plain_modules_run(hooked: int) -> None:
    """A module that is recorded without running its forward still runs its hooks."""
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    net[hooked].register_forward_hook(lambda module, args, out: out + 1)

    assert [op.kind for op in ops(count(net, (1, 3, 2, 2)))].count("add") == 1


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Conv2d(3, 4, 1), (1, 5, 2, 2)),
        (lambda: nn.Conv2d(3, 4, 5), (1, 3, 2, 2)),
        (lambda: nn.Linear(3, 4), (2, 5)),
        (lambda: nn.BatchNorm2d(3), (1, 4, 2, 2)),
        (lambda: nn.BatchNorm2d(3), (2, 3)),
        (lambda: nn.LayerNorm(3), (2, 4)),
    ],
)
def test_plain_modules_refuse_what_torch_refuses(
    make: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    """An input of the wrong shape raises TraceError with and without shortcuts."""
    for shortcuts in (True, False):
        with pytest.raises(TraceError, match="the forward raised"):
            trace(make(), torch.empty(shape, device="meta"), shortcuts=shortcuts)


PLAIN: list[partial[Any]] = [
    *(partial(nn.Conv2d, 4, 8, *of) for of in ((1, 1, 0, 1, 1, True), (3, 2, 1, 1, 4, False))),
    *(partial(nn.Conv2d, 4, 4, 3, **of) for of in ({"padding": "same"}, {"padding": 1, "padding_mode": "reflect"})),
    *(partial(nn.BatchNorm2d, 4, **of) for of in ({}, {"affine": False}, {"track_running_stats": False})),
    *(partial(nn.Linear, 6, 3, bias=bias) for bias in (True, False)),
    *(partial(kind, inplace=on) for kind in (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.Dropout) for on in (True, False)),
    *(partial(nn.Hardsigmoid), partial(nn.GELU), partial(nn.GELU, "tanh"), partial(nn.LayerNorm, 6)),
    *(partial(nn.LayerNorm, (6, 6), bias=False), partial(nn.LayerNorm, 6, elementwise_affine=False)),
]  # fmt: skip


def label(make: partial[Any]) -> str:
    """Return the call that makes a module, as a test id."""
    settings = [*map(str, make.args), *(f"{name}={value}" for name, value in make.keywords.items())]
    return f"{make.func.__name__}({', '.join(settings)})"


@pytest.mark.parametrize(
    "computed",
    [
        lambda: nn.utils.weight_norm(nn.Conv2d(4, 8, 3)),
        lambda: nn.utils.spectral_norm(nn.Linear(6, 3)),
        lambda: prune.l1_unstructured(nn.Conv2d(4, 8, 3), "weight", 0.5),  # type: ignore[no-untyped-call]
        lambda: prune.random_unstructured(nn.Linear(6, 3), "bias", 0.5),  # type: ignore[no-untyped-call]
        lambda: prune.identity(nn.BatchNorm2d(4), "weight"),  # type: ignore[no-untyped-call]
    ],
)
@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_plain_modules_with_computed_weights(computed: Callable[[], nn.Module]) -> None:
    """A module whose weight is computed before each forward counts that computation too."""
    module, image = computed(), torch.empty(2, 4, 6, 6, device="meta")
    fast, slow = (trace(module, image, shortcuts=on) for on in (True, False))

    assert fast == slow
    assert len(fast.ops) > 1


def test_an_operator_that_hides_others_is_named() -> None:
    """A higher-order operator hides what it runs, so TraceError names it."""
    rows = torch.ops.higher_order.map_impl
    net = Run(lambda x: rows(lambda y: y + 1, (x,), ()))

    with pytest.raises(TraceError, match="the operator map_impl hides what it runs"):
        count(net, (2, 3))


@pytest.mark.parametrize("layout", ["contiguous", "channels last", "transposed"])
@pytest.mark.parametrize("make", PLAIN, ids=label)
def test_plain_modules_run_one_operator(make: partial[Any], layout: str) -> None:
    """A plain module has the same operators with and without shortcuts, for every memory layout of its input."""
    module, image = make(), torch.empty(2, 4, 6, 6, device="meta")
    if layout == "channels last":
        image = image.to(memory_format=torch.channels_last)
    if layout == "transposed":
        image = image.transpose(2, 3)
    for mode in ("eval", "train"):
        fast, slow = (trace(module, image, mode=mode, shortcuts=on) for on in (True, False))

        assert fast == slow
        assert [op.operator for op in fast.ops] == [op.operator for op in slow.ops]


def test_a_composite_operator_is_decomposed() -> None:
    """Cosine similarity has no formula, and is counted as the operators that compose it."""
    report = count(Run(lambda x: functional.cosine_similarity(x, x, dim=1)), (4, 4))

    assert report.complete
    assert "aten::cosine_similarity" not in [row.op.kind for row in report.rows]
    assert {"mul", "reduce", "div"} <= {row.op.kind for row in report.rows}


def test_pooling_of_less_or_more_than_the_image_is_not_global() -> None:
    """Pooling with padding, with a smaller window or over tokens is not global pooling."""
    kinds = [
        ops(count(Run(function), shape))[0].kind
        for function, shape in (
            (lambda x: functional.avg_pool2d(x, 7, padding=1), (1, 5, 7, 7)),
            (lambda x: functional.avg_pool2d(x, 6), (1, 5, 7, 7)),
            (lambda x: x.mean(1), (1, 5, 7)),
            (lambda x: x.mean(), (1, 5, 7, 7)),
            (lambda x: x.clamp(0, 6), (3,)),
            (lambda x: x.clamp(0, 5), (3,)),
        )
    ]

    assert kinds == ["avg_pool", "avg_pool", "mean", "mean", "relu6", "clamp"]


def test_weights_on_another_device_are_no_obstacle() -> None:
    """Moving an input to the device of a weight is no operator."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x.to(self.fc.weight.device)).cpu()  # type: ignore[no-any-return]

    assert [op.kind for op in ops(count(Net(), (1, 3)))] == ["linear"]


def test_autocast_changes_nothing() -> None:
    """A trace inside autocast has no casts."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    expected = ops(count(model, (1, 3, 8, 8)))

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert expected == ops(count(model, (1, 3, 8, 8)))


def test_the_fused_attention_path_is_off_while_tracing() -> None:
    """The fused path would hide operators; it is off in a trace and restored afterwards."""
    seen: list[bool] = []

    def look(x: Tensor) -> Tensor:
        seen.append(torch.backends.mha.get_fastpath_enabled())
        return x

    count(Run(look), (1,))

    assert seen == [False]
    assert torch.backends.mha.get_fastpath_enabled()


class Merging(nn.Linear):
    """A layer whose `train` changes its weight, as adapters do."""

    def train(self, mode: bool = True) -> Merging:
        """Change the weight on the way to evaluation."""
        if self.training and not mode:
            self.weight.data += 1
        return super().train(mode)


def test_switching_modes_runs_no_code_of_the_model() -> None:
    """A trace sets the training flag without calling `train`, which a module may override."""
    layer = Merging(2, 2)
    before = layer.weight.clone()
    count(layer, (1, 2))

    assert torch.equal(before, layer.weight)
    assert layer.training


def test_a_lazy_layer_that_never_runs_is_asked_to_be_built_first() -> None:
    """A parameter that gets no shape in the forward raises TraceError, and a lazy module stays lazy."""
    lazy = nn.Sequential(nn.LazyLinear(3))
    idle = Run(lambda x: x + 1)
    idle.layer = nn.LazyLinear(3)

    assert count(lazy, (1, 2)).totals.params == 3 * 2 + 3
    assert is_lazy(next(lazy.parameters()))
    with pytest.raises(TraceError, match=r"layer\.weight has no shape yet"):
        count(idle, (1, 2))


def test_a_forward_that_exits_is_an_error() -> None:
    """`sys.exit` in a forward raises TraceError."""

    def leave(_: Tensor) -> Tensor:
        raise SystemExit(0)

    with pytest.raises(TraceError, match="raised SystemExit"):
        count(Run(leave), (1,))


def test_threads_take_turns() -> None:
    """Counting one module in several threads leaves it unchanged."""
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU()).train()
    threads = [threading.Thread(target=count, args=(model, (1, 3))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(module.training and "forward" not in module.__dict__ for module in model.modules())
    assert torch.backends.mha.get_fastpath_enabled()


def test_parameterless_modules_take_the_precision_of_their_input() -> None:
    """Without parameters, the report has the dtype of the input."""
    assert count(nn.ReLU(), torch.rand(3).half()).dtype == "float16"


def test_numpy_integers_are_integers() -> None:
    """NumPy integers are accepted as sizes and options."""
    assert count(nn.ReLU(), (np.int64(2), 3)).input == ((2, 3),)
    assert count("mobilenet_v1", alpha=np.float64(0.25), resolution=np.int64(32), batch=np.int64(2)).complete


def test_parameters_of_two_precisions_in_one_storage() -> None:
    """Parameters of two dtypes in one storage are told apart by their bytes."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            raw = torch.zeros(64, dtype=torch.uint8)
            self.narrow = nn.Parameter(raw[:32].view(torch.float16))
            self.single = nn.Parameter(raw[32:].view(torch.float32))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.single

    report = count(Net(), (8,))

    assert report.totals.params == 8
    assert report.unused_params == ("narrow",)


@pytest.mark.parametrize("start", [4, 3])
def test_parameters_may_interleave_but_not_overlap(start: int) -> None:
    """Parameters that are columns of one matrix count apart; a column in both raises TraceError."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            base = torch.rand(4, 8)
            self.a, self.b = nn.Parameter(base[:, :4]), nn.Parameter(base[:, start:])

        def forward(self, x: Tensor) -> Tensor:
            return x + self.a

    if start == 3:
        with pytest.raises(TraceError, match="a and b have elements in common"):
            count(Net(), (4, 4))
        return
    report = count(Net(), (4, 4))
    assert (report.totals.params, report.unused_params) == (16, ("b",))


def test_one_tensor_given_twice_is_one() -> None:
    """An input given twice is read once, and a broadcast input is read without its repetitions."""

    class Net(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    x = torch.rand(2, 4)
    row = torch.rand(1, 4)
    before = row.clone()

    assert count(Net(), x, x).totals.reads == 8
    assert count(Net(), x, row.expand(2, 4)).totals.reads == 8 + 4
    assert torch.equal(before, row)


def test_inputs_in_containers() -> None:
    """A forward takes dicts and nested tuples of tensors."""

    class Net(nn.Module):
        def forward(self, named: dict[str, Tensor], pair: tuple[tuple[Tensor, Tensor]]) -> Tensor:
            return named["x"] + pair[0][0] + pair[0][1]

    x = torch.rand(2, 3)
    report = count(Net(), {"x": x}, ((x.clone(), x.clone()),))

    assert report.input == ((2, 3), (2, 3), (2, 3))
    assert report.totals.flops == 12


def test_the_mean_of_a_number() -> None:
    """A tensor without dimensions is averaged by the kind `mean`."""
    assert [op.kind for op in ops(count(Run(lambda x: x.mean().mean(0)), (2, 3)))] == ["mean", "mean"]


def test_pooling_sizes_equal_torch() -> None:
    """Output sizes equal PyTorch's for windows that overlap, touch or leave gaps, rounded down or up."""
    for size, kernel, stride, padding, ceil in itertools.product(
        range(1, 9), range(1, 4), range(1, 6), (0, 1), (False, True)
    ):
        if 2 * padding > kernel:
            continue
        layer = nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
        builder = Builder()
        image = builder.input(1, 2, size, size)
        try:
            theirs = layer(torch.rand(1, 2, size, size)).shape
        except RuntimeError:
            with pytest.raises(ShapeError):
                builder.pool("max", image, kernel, stride=stride, padding=padding, ceil=ceil)
            continue
        ours = builder.pool("max", image, kernel, stride=stride, padding=padding, ceil=ceil)
        assert ours.shape == theirs, (size, kernel, stride, padding, ceil)


def nested(depth: int, *, hooked: bool) -> nn.Module:
    """Return a linear layer inside of `depth` containers."""
    module: nn.Module = nn.Linear(2, 2)
    for _ in range(depth):
        module = nn.Sequential(module)
        if hooked:
            module.register_forward_hook(lambda *_: None)
    return module


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="Python 3.12 has a limit that programs cannot raise"
)
@pytest.mark.parametrize("hooked", [False, True])
def test_whatever_depth_of_nesting_runs_is_counted(hooked: bool) -> None:
    """The deepest nesting that Python runs here is counted."""
    limit, deepest = sys.getrecursionlimit(), 10
    with suppress(RecursionError):
        while deepest < limit:
            nested(deepest + 5, hooked=hooked)(torch.zeros(1, 2))
            deepest += 5

    for depth in (deepest, 20):
        report = count(nested(depth, hooked=hooked), (1, 2))

        assert (4, f"{'0.' * depth}"[:-1]) == (report.totals.macs, report.rows[0].op.path)
    assert limit == sys.getrecursionlimit()


def test_an_endless_forward_is_an_error() -> None:
    """A forward that calls itself ends in an error of recursion, and Python's limit is as before."""

    class Endless(nn.Module):
        """A module that calls itself."""

        def forward(self, x: Tensor) -> Tensor:
            """Call the module."""
            return self(x)  # type: ignore[no-any-return]

    limit = sys.getrecursionlimit()

    with pytest.raises(TraceError, match="recursion"):
        count(Endless(), (1, 2))

    assert limit == sys.getrecursionlimit()


def kinds(module: nn.Module, x: Tensor, **settings: Any) -> list[tuple[str, tuple[int, ...]]]:
    """Return the kind of each operator, and the shape of its first operand."""
    return [(op.kind, op.operands[0].shape) for op in trace(module, x, **settings).ops]


@pytest.mark.parametrize(("make", "name"), [(nn.Tanh, "tanh"), (nn.Sigmoid, "sigmoid"), (nn.ReLU, "relu")])
def test_replaced_functions_behind_modules_run(
    make: Callable[[], nn.Module], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function of torch that is replaced runs where a module of PyTorch calls it."""
    usual = getattr(torch, name)
    monkeypatch.setattr(torch, name, lambda x: usual(x) + 1)

    assert [(name, (4, 6)), ("add", (4, 6))] == kinds(make(), torch.empty(4, 6, device="meta"))


@pytest.mark.parametrize("shortcuts", [False, True])
def test_gradients_inside_a_forward_pass_modules(shortcuts: bool) -> None:
    """A forward that differentiates through a module of PyTorch finds its gradient function."""

    class Slope(nn.Module):
        """The slope of a module."""

        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Tanh()

        def forward(self, x: Tensor) -> Tensor:
            """Differentiate."""
            with torch.inference_mode(mode=False), torch.enable_grad():
                point = (torch.zeros(4, 6, device="meta") + 1).requires_grad_()
                return torch.autograd.grad(self.net(point).sum(), point)[0]

    found = kinds(Slope(), torch.empty(4, 6), shortcuts=shortcuts)

    assert [kind for kind, _ in found] == ["add", "tanh", "reduce", "aten::tanh_backward"]


@pytest.mark.filterwarnings("ignore:Sparse")
def test_modules_on_sparse_tensors_count_the_stored_elements() -> None:
    """A module of PyTorch on a sparse tensor without data works on what is stored."""
    places = torch.zeros(1, 4, dtype=torch.long, device="meta")
    sparse = torch.sparse_coo_tensor(places, torch.zeros(4, device="meta"), (1000,))

    assert kinds(nn.Sequential(nn.ReLU(inplace=True)), sparse) == [("relu", (4,))]


@pytest.mark.parametrize("shortcuts", [False, True])
def test_tensors_that_exchange_their_contents(shortcuts: bool) -> None:
    """A tensor has the shape of the tensor with which it was exchanged."""

    class Swap(nn.Module):
        """A module that exchanges a tensor and a view."""

        def forward(self, x: Tensor) -> Tensor:
            """Exchange, then go on."""
            whole = x * 2
            _, part = whole + 1, whole[:2].detach()
            torch.utils.swap_tensors(whole, part)  # type: ignore[no-untyped-call]
            return whole * 3

    found = kinds(Swap(), torch.empty(4, 6, device="meta"), shortcuts=shortcuts)

    assert found == [("mul", (4, 6)), ("add", (4, 6)), ("mul", (2, 6))]


def test_any_limit_of_recursion() -> None:
    """The largest limit of recursion is no error, and a shallow model leaves the limit to other threads."""
    seen: list[int] = []
    limit = sys.getrecursionlimit()
    net = nn.Linear(3, 3)
    net.register_forward_hook(lambda *_: seen.append(sys.getrecursionlimit()))
    try:
        for each in (2**31 - 1, limit):
            sys.setrecursionlimit(each)
            assert count(net, (1, 3)).totals.macs == 9
    finally:
        sys.setrecursionlimit(limit)

    assert [2**31 - 1, limit] == seen
    assert gc.isenabled()
