"""Plain modules of `torch.nn` as the one operator that each calls, so that their forward need not run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Called = tuple[Any, tuple[Any, ...]] | None
"""An overload and its arguments; None where the module may call something else."""

Leaf = Callable[[Any, Tensor], Called]

_aten = torch.ops.aten


def _conv(module: nn.Conv2d, given: Tensor) -> Called:
    params = module._parameters  # noqa: SLF001 (asking the module for them is slow)
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        return None
    settings = module.stride, module.padding, module.dilation, module.groups
    return _aten.conv2d.default, (given, params["weight"], params["bias"], *settings)


def _linear(module: nn.Linear, given: Tensor) -> Called:
    params = module._parameters  # noqa: SLF001 (as above)
    return _aten.linear.default, (given, params["weight"], params["bias"])


def _batch_norm(module: nn.BatchNorm2d, given: Tensor) -> Called:
    params, buffers = module._parameters, module._buffers  # noqa: SLF001 (as above)
    if module.training or buffers["running_mean"] is None or given.dim() != 4 or module.momentum is None:
        return None
    learned, kept = (params["weight"], params["bias"]), (buffers["running_mean"], buffers["running_var"])
    return _aten.batch_norm.default, (given, *learned, *kept, False, module.momentum, module.eps, True)


def _layer_norm(module: nn.LayerNorm, given: Tensor) -> Called:
    params = module._parameters  # noqa: SLF001 (as above)
    shape = list(module.normalized_shape)
    return _aten.layer_norm.default, (given, shape, params["weight"], params["bias"], module.eps)


def _dropout(module: nn.Dropout, given: Tensor) -> Called:
    return None if module.training or module.inplace else (_aten.dropout.default, (given, module.p, False))


def _activation(ordinary: Any, in_place: Any, *settings: float) -> Leaf:
    def leaf(module: Any, given: Tensor) -> Called:
        return in_place if module.inplace else ordinary, (given, *settings)

    return leaf


LEAVES: dict[type[nn.Module], Leaf] = {
    nn.Conv2d: _conv,
    nn.Linear: _linear,
    nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.ReLU: _activation(_aten.relu.default, _aten.relu_.default),
    nn.ReLU6: _activation(_aten.hardtanh.default, _aten.hardtanh_.default, 0.0, 6.0),
    nn.Hardswish: _activation(_aten.hardswish.default, _aten.hardswish_.default),
    nn.Hardsigmoid: _activation(_aten.hardsigmoid.default, _aten.hardsigmoid_.default),
    nn.SiLU: _activation(_aten.silu.default, _aten.silu_.default),
    nn.Dropout: _dropout,
}
"""The exact type of a module -> what it calls."""


def leaf_of(module: nn.Module) -> Leaf | None:
    """What `module` calls, or None where that takes running its forward."""
    kind = type(module)
    ours = kind in LEAVES and "forward" not in module.__dict__ and kind.forward.__module__ == kind.__module__
    return LEAVES[kind] if ours else None
