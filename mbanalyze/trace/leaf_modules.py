"""Plain modules of `torch.nn` as the one operator that each runs, so that their forward need not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from mbanalyze.ops.record import Attribute
from mbanalyze.trace.shapes import places


class Step(NamedTuple):
    """One operator that a module runs on a tensor.

    Attributes:
        name: what PyTorch calls it.
        kind: what we call it; "" where it does nothing.
        operands: what it reads.
        attributes: its settings, as `Op` has them.
        sizes: of its output, contiguous and of the input's dtype; None where the input is written over.
    """

    name: str
    kind: str
    operands: tuple[Tensor, ...]
    attributes: tuple[tuple[str, Attribute], ...]
    sizes: Sequence[int] | None


Leaf = Callable[[Any, Tensor], Step | None]
"""What a module runs on a tensor; None where its forward has to say."""


def _params(module: nn.Module, given: Tensor) -> tuple[Tensor, ...] | None:
    """Weight and bias, without what is None; None where they are not both parameters of the input's dtype.

    A weight that is computed, by pruning or normalisation, is no parameter.
    """
    held = module.__dict__["_parameters"]  # asking the module itself is slow
    if "weight" not in held or "bias" not in held:
        return None
    params = tuple([param for param in (held["weight"], held["bias"]) if param is not None])
    dtype = given.dtype
    for param in params:
        if param.dtype is not dtype:
            return None
    return params if dtype.is_floating_point else None


def _product_params(module: nn.Module, given: Tensor, dims: int) -> tuple[Tensor, ...] | None:
    """The same for a weight of `dims` dimensions, of which the bias has the first."""
    params = _params(module, given)
    if not params or params[0].dim() != dims or params[-1].shape[:1] != params[0].shape[:1]:
        return None
    return params if len(params) == 1 or params[1].dim() == 1 else None


def _conv(module: nn.Conv2d, given: Tensor) -> Step | None:
    params, sizes, pads = _product_params(module, given, 4), given.shape, module.padding
    if params is None or len(sizes) != 4 or module.padding_mode != "zeros" or isinstance(pads, str):
        return None
    batch, channels, *image = sizes
    filters, depth, *kernel = params[0].shape
    if channels != depth * module.groups or filters != module.out_channels:
        return None
    out = [batch, filters]
    for i, n in enumerate(image):
        out.append(places(n, kernel[i], module.stride[i], pads[i], module.dilation[i]))
    return Step("conv2d", "conv", (given, *params), (), out) if out[2] > 0 and out[3] > 0 else None


def _linear(module: nn.Linear, given: Tensor) -> Step | None:
    params = _product_params(module, given, 2)
    if params is None or given.shape[-1:] != params[0].shape[1:]:
        return None
    return Step("linear", "linear", (given, *params), (), (*given.shape[:-1], params[0].shape[0]))


def _batch_norm(module: nn.BatchNorm2d, given: Tensor) -> Step | None:
    params, held, sizes = _params(module, given), module.__dict__["_buffers"], given.shape
    means = held.get("running_mean"), held.get("running_var")
    if (
        params is None
        or means[0] is None
        or means[1] is None
        or module.training
        or len(sizes) != 4
        or not given.is_contiguous()
    ):
        return None
    channels = sizes[1:2]
    for each in (*params, *means):
        if each.shape != channels:
            return None
    return Step("batch_norm", "batch_norm", (given, *params, *means), (), sizes)


def _layer_norm(module: nn.LayerNorm, given: Tensor) -> Step | None:
    params, shape = _params(module, given), module.normalized_shape
    if params is None or given.shape[-len(shape) :] != shape:
        return None
    for each in params:
        if each.shape != shape:
            return None
    return Step("layer_norm", "layer_norm", (given, *params), (("affine", len(params)),), given.shape)


def _dropout(module: nn.Dropout, _: Tensor) -> Step | None:
    return None if module.training or module.inplace else Step("dropout", "", (), (), None)


def _activation(name: str, kind: str) -> Leaf:
    def leaf(module: Any, given: Tensor) -> Step | None:
        if not given.dtype.is_floating_point:
            return None
        if module.inplace:
            return Step(f"{name}_", kind, (given,), (), None)
        return Step(name, kind, (given,), (), given.shape) if given.is_contiguous() else None

    return leaf


LEAVES: dict[type[nn.Module], Leaf] = {
    nn.Conv2d: _conv,
    nn.Linear: _linear,
    nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.ReLU: _activation("relu", "relu"),
    nn.ReLU6: _activation("hardtanh", "relu6"),
    nn.Hardswish: _activation("hardswish", "hard_swish"),
    nn.Hardsigmoid: _activation("hardsigmoid", "hard_sigmoid"),
    nn.SiLU: _activation("silu", "silu"),
    nn.Dropout: _dropout,
}
"""The exact type of a module -> what it runs."""


def leaf_of(module: nn.Module) -> Leaf | None:
    """What `module` runs, or None where that takes running its forward."""
    kind = type(module)
    ours = kind in LEAVES and "forward" not in module.__dict__ and kind.forward.__module__ == kind.__module__
    return LEAVES[kind] if ours else None
