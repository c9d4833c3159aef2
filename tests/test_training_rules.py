"""The rules of training: what the backward pass costs, what autograd keeps, what an optimizer stores."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry
from witness import torchvision

from mbanalyze.archs import ARCHS, MobileNetV1, MobileNetV2
from mbanalyze.archs.builder import ShapeError
from mbanalyze.archs.options import Architecture, describe
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.models import build
from mbanalyze.ops.cost import sums
from mbanalyze.ops.formulas import FORMULAS
from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import cost
from mbanalyze.sweep.arrays import NETWORKS, RESOLUTIONS, AxisArray, to_grid
from mbanalyze.trace.matching.kinds import MATCHERS
from mbanalyze.trace.schema import OpSchema, flat_tensors
from mbanalyze.trace.tracer import Trace, trace
from mbanalyze.training_cost.backward_cost import RULES, BackwardCost, backward
from mbanalyze.training_cost.gradients import CONSTANT
from mbanalyze.training_cost.optimizer_state import gradient_bytes, state_bytes, trainable
from mbanalyze.training_cost.saved_bytes import saved_bytes
from mbanalyze.training_cost.saved_rules import SAVED

CNNS = (
    *("alexnet", "vgg11_bn", "resnet18", "resnet50", "resnext50_32x4d", "squeezenet1_1", "densenet121"),
    *("googlenet", "inception_v3", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny"),
    *("shufflenet_v2_x1_0", "mnasnet1_0"),
)
"""Networks of torchvision."""
UNGROUPED = frozenset(
    {
        "alexnet",
        "vgg11_bn",
        "resnet18",
        "resnet50",
        "squeezenet1_1",
        "densenet121",
        "googlenet",
        "inception_v3",
    }
)
"""Those without a grouped convolution."""


def total(costs: list[BackwardCost]) -> BackwardCost:
    """Return the sums of the known counts."""
    return BackwardCost(*sums(costs))


def network(name: str) -> tuple[nn.Module, Tensor]:
    """Return a network of torchvision and images, without data."""
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        model = getattr(torchvision().models, name)(**options)
        return model.train(), torch.empty(2, 3, *(2 * [299 if name == "inception_v3" else 64]))


def tensors(returned: Any) -> list[Tensor]:
    """Return the tensors in what a model returns."""
    return list(flat_tensors([list(returned) if isinstance(returned, tuple) else returned]))


def run_backward(outputs: list[Tensor]) -> None:
    """Run the backward pass from a gradient of every output."""
    needed = [output for output in outputs if output.requires_grad]
    torch.autograd.backward(needed, [torch.empty_like(output) for output in needed])


def values(given: list[Tensor]) -> tuple[Value, ...]:
    """Return tensors as values."""
    return tuple(Value("activation", i, tuple(tensor.shape)) for i, tensor in enumerate(given))


class Products(TorchDispatchMode):
    """Counts the multiply-accumulates of every operator that runs, by the formulas of the forward pass.

    Attributes:
        macs: their sum.
        convolutions: those of each gradient of each convolution, and what torch's counter counts for both.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0
        self.convolutions: list[tuple[int, int, int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution_backward.default:
            out, image, weight, *_, transposed, _, groups, mask = args
            attributes = (("transposed", True),) if transposed else ()
            op = Op("", "conv", values([image, weight]), values([out]), attributes=attributes)
            macs = cost(op).macs or 0
            theirs = flop_registry[torch.ops.aten.convolution_backward](*args, out_val=result) // 2
            self.convolutions.append((macs * mask[0], macs * mask[1], groups, theirs))
            self.macs += macs * (mask[0] + mask[1])
        elif func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm, torch.ops.aten.addmm):
            schema = OpSchema(func)
            match = MATCHERS[schema.base_name](schema.bind(args, kwargs or {}))
            assert match is not None
            self.macs += cost(Op("", match.kind, values(list(match.operands)), values([result]))).macs or 0
        return result


def by_autograd(model: nn.Module, *inputs: Any) -> tuple[Products, int]:
    """Count the products of autograd's backward pass, and the bytes that it keeps.

    The bytes are those of distinct storages, without parameters and buffers.
    """
    stored = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = tensors(model(*inputs))
    counted = Products()
    with counted:
        run_backward(outputs)
    return counted, sum(
        tensor.untyped_storage().nbytes() for key, tensor in kept.items() if key not in stored
    )


def by_rules(model: nn.Module, *inputs: Any) -> tuple[int | None, int]:
    """Return the multiply-accumulates and the saved bytes of the backward pass by the rules."""
    traced = trace(model, *inputs, mode="train")
    found = saved_bytes(traced.ops, 4, traced.frozen_weights)
    assert None not in found
    return macs_of(traced), sum(known for known in found if known is not None)


def macs_of(traced: Trace) -> int | None:
    """Return the multiply-accumulates of the backward pass of a record."""
    return total(backward(traced.ops, traced.frozen_weights)).macs


def ours(model: nn.Module, *inputs: Any) -> int | None:
    """Return the multiply-accumulates by the rules, of a module whose saved bytes may be unknown."""
    return macs_of(trace(model, *inputs, mode="train"))


@pytest.mark.parametrize("name", CNNS)
def test_torchvision(name: str) -> None:
    """The products and saved bytes are those of autograd; torch's counter ignores groups in a weight's gradient."""
    model, images = network(name)
    counted, kept = by_autograd(model, images)

    assert by_rules(model, images) == (counted.macs, kept)
    for of_input, of_weight, groups, theirs in counted.convolutions:
        assert theirs == of_input + of_weight * groups
    assert (name in UNGROUPED) == all(groups == 1 for _, _, groups, _ in counted.convolutions)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_torchs_counter(name: str) -> None:
    """FlopCounterMode gives the same total without groups, and with groups what it counts of each layer in excess."""
    model, images = network(name)
    outputs = tensors(model(images))
    with FlopCounterMode(display=False) as counter:
        run_backward(outputs)
    counted, _ = by_autograd(model, images)
    excess = sum(weight * (groups - 1) for _, weight, groups, _ in counted.convolutions)

    assert counter.get_total_flops() == 2 * (counted.macs + excess)
    assert (excess > 0) == (name == "mobilenet_v2")


def test_swin() -> None:
    """A network of windows, matrix products and stochastic depth keeps what autograd keeps."""
    model, images = network("swin_t")
    counted, kept = by_autograd(model, images)

    assert by_rules(model, images) == (counted.macs, kept)


def variants(arch: type[Architecture]) -> list[Architecture]:
    """Return an architecture with each value of each option."""
    side = {"InceptionV3": 299, "AlexNet": 227}.get(arch.__name__, 64)
    specs = [arch(resolution=side)]  # type: ignore[call-arg]
    for option in describe(arch):
        tried = {"bool": (True, False), "float": (0.5, 1.25)}.get(option["type"], (4,))
        if option["name"] not in ("resolution", "num_classes", "stages"):
            specs += [replace(specs[0], **{option["name"]: value}) for value in option["choices"] or tried]
    return specs


def meta(spec: Architecture) -> tuple[nn.Module, Tensor]:
    """Return the module of an architecture and two images, without data."""
    assert isinstance(spec.resolution, int)
    with torch.device("meta"):
        return build(spec), torch.empty(2, spec.in_channels, spec.resolution, spec.resolution)


@pytest.mark.parametrize("name", ARCHS)
def test_closed_forms_in_training(name: str) -> None:
    """A closed form and a trace give the same operators in training, with every option."""
    for spec in variants(ARCHS[name]):
        model, images = meta(spec)
        assert list(trace(model, images, mode="train").ops) == spec.ops(2, training=True), spec


@pytest.mark.parametrize("name", ARCHS)
def test_the_family(name: str) -> None:
    """A closed form has the products and the saved bytes of autograd."""
    spec = variants(ARCHS[name])[0]
    model, images = meta(spec)
    ops = spec.ops(2, training=True)
    found, costs = saved_bytes(ops, 4), backward(ops)
    counted, kept = by_autograd(model, images)

    assert total(costs).macs == counted.macs
    assert sum(n for n in found if n is not None) == kept
    assert None not in found
    assert None not in {flops for _, flops in costs}


def test_batch_norm_of_one_value() -> None:
    """One value per channel has no variance: training needs a larger batch, as in PyTorch."""
    spec = ARCHS["inception_v3"]()
    assert spec.ops(2, training=True)
    with pytest.raises(ShapeError, match=r"AuxLogits.conv1.bn: training needs several values per channel"):
        spec.ops(1, training=True)


@pytest.mark.parametrize("arch", [MobileNetV1, MobileNetV2])
def test_grids(arch: type[MobileNetV1 | MobileNetV2]) -> None:
    """The rules count every variant of a grid as they count it alone."""
    alphas, sides = [1.0, 1.25, 1.5], [64, 96, 224]
    arrays = {
        "alpha": AxisArray(np.array(alphas), NETWORKS),
        "resolution": AxisArray(np.array(sides), RESOLUTIONS),
    }

    def counted(spec: Architecture) -> list[Any]:
        ops = spec.ops(2, training=True)
        return [*total(backward(ops)), sum(n for n in saved_bytes(ops, 4) if n is not None)]

    grids = [to_grid(number) for number in counted(arch(**arrays))]  # type: ignore[arg-type]
    for (i, alpha), (j, side) in itertools.product(enumerate(alphas), enumerate(sides)):
        assert counted(arch(alpha=alpha, resolution=side)) == [grid[i, j] for grid in grids]


def test_mobilenet_v2_at_224() -> None:
    """MobileNetV2 keeps 78.3 MB for each image, of which the inputs of its ReLU6 take 24.4 MB."""
    ops = MobileNetV2().ops(training=True)
    by_kind = Counter[str]()
    for op, kept in zip(ops, saved_bytes(ops, 4), strict=True):
        by_kind[op.kind] += kept or 0

    # autograd's own count of torchvision's network
    assert by_kind.total() == 78_345_984
    assert 24_400_000 < by_kind["relu6"] < 24_500_000


def freeze(model: nn.Module, frozen: Callable[[str], bool]) -> nn.Module:
    """Freeze the parameters of these names."""
    for name, param in model.named_parameters():
        param.requires_grad_(not frozen(name))
    return model


FROZEN: dict[str, Callable[[str], bool]] = {
    "backbone": lambda name: "fc" not in name and "classifier" not in name and "head" not in name,
    "weights": lambda name: "bias" not in name,
    "biases": lambda name: "bias" in name,
    "start": lambda name: name.startswith(("features.0", "features.1.", "conv1", "layer1")),
    "half": lambda name: len(name) % 2 == 0,
}
"""The parameters that are frozen, by their names."""


@pytest.mark.parametrize(
    ("name", "frozen"),
    [*(("mobilenet_v2", each) for each in FROZEN), ("swin_t", "backbone"), ("swin_t", "half")],
)
def test_frozen_parameters(name: str, frozen: str) -> None:
    """Frozen parameters cut the backward pass as autograd does."""
    model, images = network(name)
    freeze(model, FROZEN[frozen])
    counted, kept = by_autograd(model, images)

    assert by_rules(model, images) == (counted.macs, kept)


def test_adapters_of_low_rank() -> None:
    """A frozen matrix with a trainable product of two small ones beside it needs no gradient of its own."""

    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = (nn.Linear(8, 8, bias=False).requires_grad_(False) for _ in range(2))
            self.down, self.up = nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            y = self.first(x)
            return self.second(y + self.up(self.down(y)))  # type: ignore[no-any-return]

    # 4 rows: second's input 8 x 8, up's input and weight 2 x 8 each, down's weight 8 x 2
    macs = 4 * (64 + 16 + 16 + 16)
    counted, kept = by_autograd(Adapted(), torch.rand(4, 8))
    assert macs == counted.macs
    assert by_rules(Adapted(), torch.rand(4, 8)) == (macs, kept)


def test_frozen_weights_of_a_trace() -> None:
    """A trace names the weights that require no gradient by their numbers, also if two layers share one."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4, bias=False))
    model[2].weight = model[0].weight
    model[0].weight.requires_grad_(False)
    model[1].bias.requires_grad_(False)

    # weight 0 (frozen) and bias 1, weight 2 and bias 3 (frozen), weight 0 again
    assert trace(model, torch.rand(2, 4)).frozen_weights == {0, 3}
    assert trace(nn.Linear(4, 4), torch.rand(2, 4)).frozen_weights == frozenset()


Array = npt.NDArray[np.float64]

CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stride": {"stride": 2},
    "padding": {"padding": 1},
    "dilation": {"dilation": 2},
    "groups": {"groups": 2},
    "depthwise": {"groups": 4},
    "all": {"stride": 2, "padding": 1, "dilation": 2, "groups": 2},
}


def six_loops(
    x: Array, w: Array, g: Array, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1
) -> tuple[Array, Array, int, int]:
    """Return both gradients of a convolution and the multiplications of each; `x` may be padded with zeros."""
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    dx, dw, of_input, of_weight = np.zeros_like(x), np.zeros_like(w), 0, 0
    per_group = w.shape[0] // groups
    for n, k, i, j in itertools.product(*map(range, g.shape)):
        for c, a, b in itertools.product(*map(range, w.shape[1:])):
            at = n, k // per_group * w.shape[1] + c, i * stride + a * dilation, j * stride + b * dilation
            dx[at] += g[n, k, i, j] * w[k, c, a, b]
            of_input += 1
            dw[k, c, a, b] += g[n, k, i, j] * x[at]
            of_weight += 1
    return dx[..., padding : x.shape[2] - padding, padding : x.shape[3] - padding], dw, of_input, of_weight


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_gradients_of_a_convolution_by_six_loops(case: str) -> None:
    """Loops that multiply every element, padding included, give autograd's gradients and the macs of both."""
    settings = CONVOLUTIONS[case]
    conv = nn.Conv2d(4, 8, 3, bias=False, **settings).double()
    x = torch.rand(2, 4, 7, 6, dtype=torch.float64, requires_grad=True)
    out = conv(x)
    g = torch.rand_like(out)
    dx, dw = torch.autograd.grad(out, [x, conv.weight], g)
    image, weight = x.detach().numpy(), conv.weight.detach().numpy()
    our_dx, our_dw, of_input, of_weight = six_loops(image, weight, g.numpy(), **settings)
    op = trace(conv, x.detach()).ops[0]

    torch.testing.assert_close((dx, dw), (torch.from_numpy(our_dx), torch.from_numpy(our_dw)))
    assert RULES["conv"](op, (True, False)) == (of_input, 2 * of_input)
    assert RULES["conv"](op, (False, True)) == (of_weight, 2 * of_weight)
    assert RULES["conv"](op, (True, True)) == (of_input + of_weight, 2 * (of_input + of_weight))


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_gradients_of_a_transposed_convolution_by_six_loops(case: str) -> None:
    """The gradients of a transposed convolution are a convolution of the output's gradient, padded with zeros."""
    settings = CONVOLUTIONS[case]
    conv = nn.ConvTranspose2d(8, 4, 3, bias=False, **settings).double()
    x = torch.rand(1, 8, 4, 3, dtype=torch.float64, requires_grad=True)
    out = conv(x)
    g = torch.rand_like(out)
    expected = torch.autograd.grad(out, [x, conv.weight], g)
    w, padding = conv.weight.detach().numpy(), settings.get("padding", 0)
    stride, dilation = settings.get("stride", 1), settings.get("dilation", 1)
    padded, per_group = functional.pad(g, [padding] * 4).numpy(), 8 // settings.get("groups", 1)
    image = x.detach().numpy()
    dx, dw, multiplications = np.zeros_like(image), np.zeros_like(w), 0
    for n, c, i, j in itertools.product(*map(range, x.shape)):
        for k, a, b in itertools.product(*map(range, w.shape[1:])):
            at = n, c // per_group * w.shape[1] + k, i * stride + a * dilation, j * stride + b * dilation
            dx[n, c, i, j] += padded[at] * w[c, k, a, b]
            dw[c, k, a, b] += padded[at] * image[n, c, i, j]
            multiplications += 1
    op = trace(conv, x.detach()).ops[0]

    torch.testing.assert_close(expected, (torch.from_numpy(dx), torch.from_numpy(dw)))
    assert RULES["conv"](op, (True, False)) == (multiplications, 2 * multiplications)
    assert RULES["conv"](op, (False, True)) == (multiplications, 2 * multiplications)


FOUR = (2, 4, 6, 6)
"""The shape of two images."""
PADDINGS = ("constant", "reflect", "replicate", "circular")
Shapes = tuple[tuple[int, ...], tuple[int, ...]]


class Applied(nn.Module):
    """A function of two values that require gradients, unless they are frozen; `x` is their first input."""

    def __init__(
        self, function: Callable[[Tensor, Tensor], Any], shapes: Shapes = (FOUR, FOUR), frozen: str = ""
    ) -> None:
        super().__init__()
        self.function = function
        self.a, self.b = (nn.Parameter(torch.rand(shape)) for shape in shapes)
        for name in frozen:
            getattr(self, name).requires_grad_(False)

    def forward(self, x: Tensor) -> Any:
        """Apply the function."""
        return self.function(x + self.a, x + self.b)


def on_first(function: Callable[[Tensor], Any]) -> Callable[[Tensor, Tensor], Any]:
    """Return a function of two values that uses the first one."""
    return lambda a, _: function(a)


def named(*names: str, of: Any = torch) -> dict[str, Any]:
    """Return functions of the first value by name."""
    return {name: on_first(getattr(of, name)) for name in names}


def modules(*made: nn.Module) -> dict[str, Any]:
    """Return modules by name, on the first value."""
    return {str(module): module for module in made}


PAIRS: dict[str, Any] = {
    **{name: getattr(torch, name) for name in ("add", "sub", "mul", "div", "pow", "maximum", "minimum")},
    **{name: getattr(torch, name) for name in ("remainder", "atan2", "hypot", "logaddexp")},
    "twice": lambda a, b: a * a + b * b * b,
    "scalars": lambda a, b: ((1 - a) * 2 + 1 / b) / 3 + b**2,
    "in place": lambda a, b: (a * 2).add_(b).mul_(b).div_(3),
    "addcmul": lambda a, b: torch.addcmul(a, b, a),
    "addcdiv": lambda a, b: torch.addcdiv(a, a, b),
    "lerp": lambda a, b: torch.lerp(a, b, 0.3) + torch.lerp(a, b, a),
    "where": lambda a, b: torch.where(a > b, a, b).masked_fill(a > 1, 0),
    "cat": lambda a, b: torch.cat([a, b]).roll(1, 2).flip(2).repeat(2, 1, 1, 1).tril(),
    "chunks": lambda a, b: (
        torch.cat([part.relu() for part in a.chunk(2, 1)]) + b.chunk(2, 1)[0].sigmoid().repeat(2, 1, 1, 1)
    ),
    "mm": lambda a, b: a[0, 0] @ b[0, 0],
    "bmm": lambda a, b: torch.bmm(a[0], b[0]),
    "addmm": lambda a, b: torch.addmm(a[0, 0, 0], a[0, 0], b[0, 0]),
    "mv": lambda a, b: a[0, 0] @ b[0, 0, 0],
    "dot": lambda a, b: a[0, 0, 0].dot(b[0, 0, 0]),
    "batches": lambda a, b: a @ b + a @ b[:1] + a @ b[0],
    "folded": lambda a, b: (a @ b[0, 0], a[0, 0] @ b, a.transpose(1, 2) @ b[0, 0].T),
    "permuted": lambda a, b: a.transpose(1, 2) @ b.permute(0, 2, 3, 1),
    "einsum": lambda a, b: (torch.einsum("bhid,bhjd->bhij", a, b), torch.einsum("bhid,de->bhie", a, b[0, 0])),
    "einsum of views": lambda a, b: torch.einsum("bhid,bhjd->bhij", a.transpose(1, 3), b.permute(0, 2, 3, 1)),
    "einsum without a sum": lambda a, b: torch.einsum("i,j->ij", a[0, 0, 0], b[0, 0, 0]),
    "linear": lambda a, b: functional.linear(a.permute(0, 2, 3, 1), b[0, 0, :, :4]),
    "bilinear": lambda a, b: functional.bilinear(a, a, b[0]),
    "attention": lambda a, b: functional.scaled_dot_product_attention(a, b, b),
    "attention with dropout": lambda a, b: functional.scaled_dot_product_attention(a, b, b, dropout_p=0.2),
    "attention with a mask": lambda a, b: functional.scaled_dot_product_attention(a, b, b, attn_mask=b[0, 0]),
    **named(
        "abs", "acos", "asin", "atan", "cos", "sin", "tan", "sinh", "cosh", "tanh", "exp", "exp2", "expm1"
    ),
    **named(
        "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "square", "neg", "sigmoid", "erf"
    ),
    **named("erfinv", "floor", "ceil", "round", "trunc", "sign", "asinh", "acosh", "atanh", "nan_to_num"),
    **named("abs_", "cos_", "exp_", "sqrt_", "square_", "sigmoid_", "tanh_", "reciprocal_", "neg_", "log_"),
    **named("sum", "mean", "var", "std", "max", "min", "amax", "argmax", "median"),
    **named(
        "relu6", "hardswish", "hardsigmoid", "silu", "mish", "softplus", "elu", "celu", "selu", of=functional
    ),
    **named("leaky_relu", "hardtanh", "gelu", "logsigmoid", "hardshrink", "softshrink", of=functional),
    "max of rows": lambda a, _: a.max(1).values,
    "sort": lambda a, _: a.sort(1).values + a.topk(2, 1).values.sum(),
    "sums": lambda a, _: a.logsumexp(1) + a.cumsum(1).sum(1),
    "clamp": lambda a, _: a.clamp(0, 1) + a.clamp_(0, 6),
    "softmax": lambda a, _: a.softmax(1) + a.log_softmax(1),
    "glu": lambda a, _: functional.glu(a, 1),
    "tanh gelu": lambda a, _: functional.gelu(a, approximate="tanh"),
    "shuffle": lambda a, _: functional.pixel_shuffle(a, 2),
    "fold": lambda a, _: functional.fold(functional.unfold(a, 2), (6, 6), 2),
    **{f"pad by {mode}": lambda a, _, mode=mode: functional.pad(a, [1] * 4, mode=mode) for mode in PADDINGS},
    "computed scale": lambda a, b: functional.batch_norm(a, None, None, b[0, 0, 0, :4], training=True),
    "norms": lambda a, b: a / a.norm(dim=1, keepdim=True) + b,
    **modules(
        nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), nn.BatchNorm2d(4, track_running_stats=False)
    ),
    **modules(nn.GroupNorm(2, 4), nn.GroupNorm(2, 4, affine=False), nn.InstanceNorm2d(4)),
    **modules(
        nn.InstanceNorm2d(4, affine=True), nn.LayerNorm(6), nn.LayerNorm([6, 6]), nn.LayerNorm(6, bias=False)
    ),
    **modules(
        nn.LayerNorm(6, elementwise_affine=False), nn.RMSNorm(6), nn.RMSNorm(6, elementwise_affine=False)
    ),
    **modules(
        nn.LocalResponseNorm(3),
        nn.PReLU(),
        nn.PReLU(4),
        nn.MaxPool2d(2),
        nn.MaxPool2d(2, return_indices=True),
    ),
    **modules(nn.AvgPool2d(2), nn.AvgPool2d(6), nn.AdaptiveAvgPool2d(3), nn.AdaptiveAvgPool2d(1)),
    **modules(
        nn.AdaptiveMaxPool2d(2), nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2, mode="bilinear")
    ),
    **modules(
        nn.Dropout(0.3),
        nn.Dropout(0.3, inplace=True),
        nn.Dropout(0.0),
        nn.Dropout(0.0, inplace=True),
        nn.Dropout2d(0.3),
    ),
    **modules(
        *(kind(inplace=True) for kind in (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.ELU, nn.LeakyReLU))
    ),
    **modules(nn.Conv2d(4, 8, 3, groups=2), nn.ConvTranspose2d(4, 8, 3, groups=2), nn.Linear(6, 5)),
    **modules(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.ChannelShuffle(2)),
    "weight norm": nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3)),
}
"""Functions of two values, or modules of one."""


def applied(name: str, frozen: str = "") -> nn.Module:
    """Return a case of `PAIRS` as a module whose parameters, or those of its input, may be frozen."""
    case = PAIRS[name]
    if not isinstance(case, nn.Module):
        return Applied(case, frozen=frozen)
    case.requires_grad_(not frozen)
    module = Applied(lambda a, _: case(a))
    module.case = case
    return module.train()


@pytest.mark.parametrize("name", PAIRS)
def test_kinds(name: str) -> None:
    """Every kind keeps what autograd keeps, whichever of its gradients are needed, and all its costs are known."""
    images = torch.rand(FOUR)
    for frozen in ("", "a", "b"):
        module = applied(name, frozen)
        traced = trace(module, images, mode="train")

        found = saved_bytes(traced.ops, 4, traced.frozen_weights)
        assert None not in found
        assert sum(n for n in found if n is not None) == by_autograd(module, images)[1]
        assert all(None not in each for each in backward(traced.ops, traced.frozen_weights))


PRODUCTS = (
    *("mm", "bmm", "addmm", "batches", "folded", "permuted", "linear", "attention with dropout"),
    *("einsum", "einsum of views", "einsum without a sum"),
    "Conv2d(4, 8, kernel_size=(3, 3), stride=(1, 1), groups=2)",
)


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name: str) -> None:
    """A product has autograd's multiply-accumulates, whichever of its gradients are needed."""
    images = torch.rand(FOUR)
    for frozen in ("", "a", "b"):
        module = applied(name, frozen)
        assert ours(module, images) == by_autograd(module, images)[0].macs, frozen


def test_attention_of_the_kernels() -> None:
    """Attention that keeps no scores computes them again: five products, as torch's counter says."""
    query, key = (2, 3, 4, 8), (2, 3, 6, 8)
    model = Applied(lambda a, b: functional.scaled_dot_product_attention(a, b, b), (query, key))
    theirs = flop_registry[torch.ops.aten._scaled_dot_product_flash_attention_backward]

    assert ours(model, torch.zeros(())) == theirs(query, query, key, key) // 2


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers(kind: Any, options: dict[str, Any]) -> None:
    """A recurrent layer has autograd's products; the tensors that it keeps are unknown."""
    model, steps = kind(4, 5, **options).to("meta"), torch.rand(6, 2, 4, device="meta")

    assert ours(model, steps) == by_autograd(model, steps)[0].macs
    assert saved_bytes(trace(model, steps, mode="train").ops, 4) == [None]


def test_a_cell_has_no_step_before_it() -> None:
    """The state before a cell needs no gradient."""
    model = nn.LSTMCell(4, 5)
    # two rows: the gradients of both weights, 20 x 4 and 20 x 5
    assert ours(model, torch.rand(2, 4)) == 2 * (80 + 100)


FACTORISATIONS = """
    cholesky cholesky_inverse determinant eig eigh factored_solve householder_multiply householder_product inverse ldl
    least_squares lu pseudo_inverse qr solve svd triangular_solve
"""
RARE = """
    angle conjugate copysign cross ctc_loss distance entropy extremes fft frexp logit multi_margin_loss
    norm_of_difference polar renorm roi_align rrelu sampled_matmul scale_by_power segment_reduce sinc sparse_matmul
    special_function unique x_log1p_y x_log_y
"""
QUANTISED = "add_relu batch_norm_relu cat_relu mul_relu"
"""The kinds whose backward pass is unknown."""
FILES = "composite"
"""The kinds of files, which no module runs."""


def test_unknown_kinds() -> None:
    """Every kind has a rule, or no derivative, or is listed here as unknown."""
    unknown = {*FACTORISATIONS.split(), *RARE.split(), *QUANTISED.split(), *FILES.split()}

    assert set(FORMULAS) - set(RULES) - CONSTANT == unknown | {"grid_sample"}
    assert set(FORMULAS) - set(SAVED) - CONSTANT == unknown | {
        "embedding_bag",
        "fake_quantize",
        "lstm",
        "gru",
        "rnn",
    }
    assert set(RULES) | set(SAVED) | CONSTANT <= set(FORMULAS)


def test_unknown_is_not_zero() -> None:
    """A kind without a rule is unknown, and a sum with one is a lower bound."""
    ops = trace(Applied(lambda a, b: torch.special.gammaln(a @ b)), torch.zeros(FOUR)).ops
    costs = backward(ops)

    assert costs[-1] == (None, None)
    assert saved_bytes(ops, 4)[-1] is None
    # two gradients of 8 products of 6 x 6 x 6
    assert total(costs).macs == 2 * 8 * 216
    assert total(costs[-1:]) == (None, None)
    assert total([]) == (0, 0)


def test_complex_numbers_are_unknown() -> None:
    """The backward pass of complex numbers is unknown."""
    model = nn.Linear(4, 3, dtype=torch.complex64)
    assert backward(trace(model, torch.rand(2, 4, dtype=torch.complex64)).ops) == [(None, None)]


def test_constants_end_the_backward_pass() -> None:
    """Comparisons, indices and integers have no gradient, and neither has what is computed from them only."""
    model = Applied(lambda a, b: (a > b).float() * 2 + a.argmax(1, keepdim=True) + (a * 3).int())

    assert by_rules(model, torch.zeros(FOUR))[1] == 0
    # the addition of the input is what needs a gradient, which arrives from nothing but a product that is cast
    kinds = {op.kind for op, cost in zip(ops_of(model), backward(ops_of(model)), strict=True) if cost.flops}
    assert kinds == {"mul"}


def ops_of(model: nn.Module) -> tuple[Op, ...]:
    """Return the operators of a model of images of shape `FOUR`."""
    return trace(model, torch.zeros(FOUR), mode="train").ops


def test_gradients_of_a_value_read_twice() -> None:
    """Each reader of a value except the last adds its gradient, unless the readers view different elements."""
    shape = (2, 4, 6, 6)
    elements = 288

    def flops(function: Callable[[Tensor, Tensor], Any]) -> int | None:
        return total(backward(ops_of(Applied(function, (shape, shape), "b")))).flops

    # two negations and a sum
    assert flops(lambda a, _: (-a, -a)) == 3 * elements
    # halves of the channels: two negations of half of the elements
    assert flops(lambda a, _: tuple(-part for part in a.chunk(2, 1))) == elements
    # the whole and a half: negations, and a sum of the half
    assert flops(lambda a, _: (-a[:, 2:], -a)) == elements // 2 + elements + elements // 2


def test_flops_by_hand() -> None:
    """The flops of a small network's backward pass, counted by hand."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(1)
    )
    model.append(nn.Linear(64, 5))
    ops = trace(model, torch.rand(2, 3, 8, 8), mode="train").ops
    expected = {
        # the weight: 2 x 4 x 8 x 8 outputs by 27 products; the bias: 512 - 4 additions
        "conv": 2 * 512 * 27 + 508,
        "add": 0,
        "batch_norm_training": 9 * 512,
        "relu": 512,
        "max_pool": 2 * 4 * 4 * 4,
        # both gradients of 2 x 5 outputs by 64 products; the bias: 10 - 5 additions
        "linear": 2 * 2 * 10 * 64 + 5,
    }

    assert expected == {op.kind: cost.flops for op, cost in zip(ops, backward(ops), strict=True)}


def test_saved_bytes_of_half_precision() -> None:
    """The statistics of a norm are halves too; indices have eight bytes."""
    ops = trace(nn.Sequential(nn.BatchNorm2d(4), nn.MaxPool2d(2)), torch.rand(FOUR), mode="train").ops

    # batch norm: the input, and two numbers per channel; pooling: its input, and the indices of 2 x 4 x 3 x 3 windows
    assert saved_bytes(ops, 4) == [0, 4 * 288 + 2 * 4 * 4, 4 * 288 + 8 * 72]
    assert saved_bytes(ops, 2) == [0, 2 * 288 + 2 * 4 * 2, 2 * 288 + 8 * 72]
    assert saved_bytes(ops, 8) == [0, 8 * 288 + 2 * 4 * 8, 8 * 288 + 8 * 72]


MAKERS: dict[str, Any] = {
    "sgd": partial(torch.optim.SGD, lr=0.1),
    "momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "adam": partial(torch.optim.Adam, lr=0.1),
}


@pytest.mark.parametrize("name", MAKERS)
def test_optimizers(name: str) -> None:
    """An optimizer keeps the bytes that its tensors have after a step, for the parameters with a gradient."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(1), nn.Linear(64, 5), nn.Linear(5, 5)
    )
    model[0].bias.requires_grad_(False)
    images = torch.rand(2, 3, 6, 6)
    optimizer = MAKERS[name](model.parameters())
    model(images).sum().backward()
    optimizer.step()
    traced = trace(model, images, mode="train")
    params = trainable(traced.ops, traced.frozen_weights)
    state = [x for kept in optimizer.state.values() for x in kept.values() if isinstance(x, Tensor)]
    gradients = [param.grad for param in model.parameters() if param.grad is not None]

    assert state_bytes(name, params, 4) == sum(tensor.nbytes for tensor in state)
    assert gradient_bytes(params, 4) == sum(gradient.nbytes for gradient in gradients)
    assert len(params) == len(gradients)


def test_no_optimizer() -> None:
    """Without an optimizer no state is kept; an unknown name lists the known ones."""
    params = trainable(MobileNetV1().ops(training=True))

    assert sum(param.size for param in params) == 4_231_976
    assert state_bytes("none", params, 4) == state_bytes("sgd", params, 4) == 0
    assert state_bytes("momentum", params, 2) == gradient_bytes(params, 2) == 2 * 4_231_976
    # two moments of each scalar; the number of steps of each tensor: 27 convolutions, 27 norms, one linear layer
    assert state_bytes("adam", params, 4) == 8 * 4_231_976 + 4 * (27 + 2 * 27 + 2)
    with pytest.raises(
        ChoiceError, match="unknown optimizer 'lion': choose one of none, sgd, momentum, adam"
    ):
        state_bytes("lion", params, 4)


@pytest.mark.parametrize("name", ["swin_t", "vit_b_16", "googlenet"])
def test_parameters_of_networks(name: str) -> None:
    """The parameters with a gradient are those of the module, each once and whole."""
    model, images = network(name)[0], torch.empty(2, 3, 224, 224, device="meta")
    sizes = Counter(param.size for param in trainable(trace(model, images, mode="train").ops))

    assert sizes == Counter(param.numel() for param in model.parameters())
