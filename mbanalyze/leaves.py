"""Plain modules of `torch.nn` as the one operator that each runs, so that their forward need not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from mbanalyze.cost import Attribute


class Run(NamedTuple):
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


Leaf = Callable[[Any, Tensor], Run | None]
"""What a module runs on a tensor; None where its forward has to say."""


def _params(module: nn.Module, given: Tensor) -> tuple[Tensor, ...] | None:
    """Weight and bias, without what is None; None where they are not of the input's dtype."""
    held = module.__dict__["_parameters"]  # asking the module itself is slow
    params = tuple([param for param in (held["weight"], held["bias"]) if param is not None])
    dtype = given.dtype
    for param in params:
        if param.dtype is not dtype:
            return None
    return params if dtype.is_floating_point else None


def _conv(module: nn.Conv2d, given: Tensor) -> Run | None:
    params, sizes, pads = _params(module, given), given.shape, module.padding
    if not params or len(sizes) != 4 or module.padding_mode != "zeros" or isinstance(pads, str):
        return None
    batch, channels, *image = sizes
    filters, depth, *kernel = params[0].shape
    if channels != depth * module.groups or filters != module.out_channels:
        return None
    out = [batch, filters]
    for i, n in enumerate(image):
        reach = module.dilation[i] * (kernel[i] - 1)
        out.append((n + 2 * pads[i] - reach - 1) // module.stride[i] + 1)
    return Run("conv2d", "conv", (given, *params), (), out) if out[2] > 0 and out[3] > 0 else None


def _linear(module: nn.Linear, given: Tensor) -> Run | None:
    params = _params(module, given)
    if not params or given.shape[-1:] != params[0].shape[1:]:
        return None
    return Run("linear", "linear", (given, *params), (), (*given.shape[:-1], params[0].shape[0]))


def _batch_norm(module: nn.BatchNorm2d, given: Tensor) -> Run | None:
    params, held, sizes = _params(module, given), module.__dict__["_buffers"], given.shape
    means = held["running_mean"], held["running_var"]
    if params is None or means[0] is None or module.training or len(sizes) != 4 or not given.is_contiguous():
        return None
    channels = sizes[1:2]
    for each in (*params, *means):
        if each.shape != channels:
            return None
    return Run("batch_norm", "batch_norm", (given, *params, *means), (), sizes)


def _layer_norm(module: nn.LayerNorm, given: Tensor) -> Run | None:
    params, shape = _params(module, given), module.normalized_shape
    if params is None or given.shape[-len(shape) :] != shape:
        return None
    return Run("layer_norm", "layer_norm", (given, *params), (("affine", len(params)),), given.shape)


def _dropout(module: nn.Dropout, _: Tensor) -> Run | None:
    return None if module.training or module.inplace else Run("dropout", "", (), (), None)


def _activation(name: str, kind: str) -> Leaf:
    def leaf(module: Any, given: Tensor) -> Run | None:
        if not given.dtype.is_floating_point:
            return None
        if module.inplace:
            return Run(f"{name}_", kind, (given,), (), None)
        return Run(name, kind, (given,), (), given.shape) if given.is_contiguous() else None

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
