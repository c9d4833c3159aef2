"""Modules of `torch.nn` that run one operator, which is recorded without running the forward."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._C import _DisableTorchDispatch, _functorch, _len_torch_dispatch_stack, _len_torch_function_stack
from torch.nn import functional

from mbanalyze.trace.recorder import Recorder, Settings
from mbanalyze.trace.schema import Tensors
from mbanalyze.trace.shapes.layout import META, window_count


class LeafCall(NamedTuple):
    """The operator that a module runs on a tensor.

    Attributes:
        name: the operator's name in PyTorch.
        kind: the kind of the `Op`, or "" if the operator does no work.
        operands: the tensors that are read.
        attributes: the settings of the `Op`.
        sizes: the shape of the output, contiguous and of the input's dtype; None if the output is the input.
    """

    name: str
    kind: str
    operands: Tensors
    attributes: Settings
    sizes: Sequence[int] | None


LeafRule = Callable[[Any, Tensor], LeafCall | None]
"""A function from a module and its input to the operator that it runs; None if the forward has to run."""


def _params(module: nn.Module, data: Tensor) -> Tensors | None:
    """Weight and bias, without those that are None; None unless both are parameters of the input's dtype.

    Pruning and weight normalisation replace a parameter by a computed tensor.
    """
    held = module.__dict__["_parameters"]  # attribute access on a module is slow
    if "weight" not in held or "bias" not in held:
        return None
    params = tuple([param for param in (held["weight"], held["bias"]) if param is not None])
    fits = data.dtype.is_floating_point and not [p for p in params if p.dtype is not data.dtype]
    return params if fits else None


def _product_params(module: nn.Module, data: Tensor, dims: int) -> Tensors | None:
    """Weight and bias of a product: a weight of `dims` dimensions, and a bias as long as its first."""
    params = _params(module, data)
    if not params or params[0].dim() != dims or params[-1].shape[:1] != params[0].shape[:1]:
        return None
    return params if len(params) == 1 or params[1].dim() == 1 else None


def _conv(module: nn.Conv2d, data: Tensor) -> LeafCall | None:
    params, sizes, padding = _product_params(module, data, 4), data.shape, module.padding
    if params is None or len(sizes) != 4 or module.padding_mode != "zeros" or isinstance(padding, str):
        return None
    batch, channels, *image = sizes
    filters, depth, *kernel = params[0].shape
    if channels != depth * module.groups or filters != module.out_channels:
        return None
    out = (batch, filters, *map(window_count, image, kernel, module.stride, padding, module.dilation))
    return LeafCall("conv2d", "conv", (data, *params), (), out) if out[2] > 0 and out[3] > 0 else None


def _linear(module: nn.Linear, data: Tensor) -> LeafCall | None:
    params = _product_params(module, data, 2)
    if params is None or data.shape[-1:] != params[0].shape[1:]:
        return None
    return LeafCall("linear", "linear", (data, *params), (), (*data.shape[:-1], params[0].shape[0]))


def _batch_norm(module: nn.BatchNorm2d, data: Tensor) -> LeafCall | None:
    params, buffers, sizes = _params(module, data), module.__dict__["_buffers"], data.shape
    mean, var = buffers.get("running_mean"), buffers.get("running_var")
    if params is None or mean is None or var is None or module.training:
        return None
    if len(sizes) != 4 or not data.is_contiguous():
        return None
    channels = sizes[1:2]
    if [t for t in (*params, mean, var) if t.shape != channels]:
        return None
    return LeafCall("batch_norm", "batch_norm", (data, *params, mean, var), (), sizes)


def _layer_norm(module: nn.LayerNorm, data: Tensor) -> LeafCall | None:
    params, shape = _params(module, data), module.normalized_shape
    if params is None or data.shape[-len(shape) :] != shape or [p for p in params if p.shape != shape]:
        return None
    return LeafCall("layer_norm", "layer_norm", (data, *params), (("affine", len(params)),), data.shape)


def _dropout(module: nn.Dropout, _: Tensor) -> LeafCall | None:
    return None if module.training or module.inplace else LeafCall("dropout", "", (), (), None)


def _activation(name: str, kind: str) -> LeafRule:
    def rule(module: Any, data: Tensor) -> LeafCall | None:
        if not data.dtype.is_floating_point:
            return None
        if module.inplace:
            return LeafCall(f"{name}_", kind, (data,), (), None)
        return LeafCall(name, kind, (data,), (), data.shape) if data.is_contiguous() else None

    return rule


_LEAF_RULES: dict[type[nn.Module], LeafRule] = {
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
"""The exact type of a module -> its rule."""


_METHODS = frozenset({"forward", "_conv_forward", "_check_input_dim"})
"""The methods of these modules between a call and its operator."""

_FUNCTIONS = (
    *(
        functional.conv2d,
        functional.linear,
        functional.batch_norm,
        functional.layer_norm,
        functional.relu,
        functional.relu6,
        functional.hardtanh,
        functional.hardswish,
        functional.hardsigmoid,
    ),
    *(functional.silu, functional.dropout),
)
"""The functions of these modules between a call and its operator."""

_TORCH = str(Path(torch.__file__).parent)


def leaf_rules() -> Mapping[type[nn.Module], LeafRule]:
    """Return the rule of each type of module; none if a method or function of PyTorch between was replaced."""
    methods = (vars(kind).get(name) for kind in _LEAF_RULES for name in _METHODS)
    functions = (getattr(functional, function.__name__, None) for function in _FUNCTIONS)
    original = all(map(_is_original, filter(None, methods))) and all(map(_is_original, functions))
    return _LEAF_RULES if original else {}


def _is_original(function: object) -> bool:
    """True for a function that PyTorch defines."""
    if isinstance(function, FunctionType):
        return function.__code__.co_filename.startswith(_TORCH)
    return isinstance(function, BuiltinFunctionType)


def leaf_rule(module: nn.Module, rules: Mapping[type[nn.Module], LeafRule]) -> LeafRule | None:
    """Return the rule for `module`, or None if it has none or methods of its own."""
    return None if _METHODS & module.__dict__.keys() else rules.get(type(module))


def _is_plain_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """True for a call with one meta tensor, in no mode that changes what an operator does."""
    return (
        len(args) == 1
        and not kwargs
        and type(args[0]) is Tensor
        and args[0].is_meta
        and not _len_torch_function_stack()
        and _len_torch_dispatch_stack() == 1
        and _functorch.peek_interpreter_stack() is None
    )


def leaf_forward(
    module: nn.Module, path: str, rule: LeafRule, forward: Callable[..., Any], recorder: Recorder
) -> Callable[..., Any]:
    """Return a forward that records the operator of `rule`, and falls back to `forward` if there is none."""
    thread, free, entered = recorder.module_stack.thread, recorder.free, recorder.entered

    def recorded_forward(*args: Any, **kwargs: Any) -> Any:
        """Record one operator if the only argument is a meta tensor that fits."""
        followed = threading.get_ident() == thread and recorder.lock is None and not entered
        plain = followed and _is_plain_call(args, kwargs)
        call = rule(module, args[0]) if plain else None
        if call is None:
            return forward(*args, **kwargs)
        data = args[0]
        name, kind, operands, attributes, sizes = call
        if not kind:
            free[name] += 1
            return data
        output = data
        if sizes is not None:
            with _DisableTorchDispatch():  # the recorder would record this call
                output = torch.empty(sizes, dtype=data.dtype, device=META)
        recorder.add(path, kind, operands, (output,), attributes, name)
        return output

    recorded_forward.__wrapped__ = forward  # type: ignore[attr-defined]  # modules inspect signatures
    return recorded_forward
