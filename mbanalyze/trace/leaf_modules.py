"""Modules of `torch.nn` that run one operator, which is recorded without running the forward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import get_ident
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mbanalyze.inputs.typed import Sizes
from mbanalyze.ops.record import Op, Value
from mbanalyze.trace.module_stack import Forward, Tracked
from mbanalyze.trace.recorder import Recorder, Settings
from mbanalyze.trace.shapes.layout import contiguous, window_count
from mbanalyze.trace.storage import Whole
from mbanalyze.trace.torch_internals import (
    BUFFERS,
    LEAF_METHODS,
    PARAMETERS,
    DisableTorchDispatch,
    dispatch_mode_count,
    function_mode_count,
    innermost_transform,
)
from mbanalyze.trace.unreturned import statistics

LeafCall = tuple[str, str, tuple[Whole, ...], Settings, Sizes | None]
"""The operator that a module runs: its name, kind, other operands, settings, and the shape of its output.

The kind is "" if it does no work. The output is contiguous and of the input's dtype; without a shape, it is the input.
"""

Find = Callable[[Tensor], Whole | None]
"""A function that returns a parameter or buffer in the usual layout; None for any other tensor."""

LeafRule = Callable[[Any, Value, torch.dtype, Find], LeafCall | None]
"""A function from a module and its floating-point input to its operator; None if the forward has to run."""


def _params(module: nn.Module, dtype: torch.dtype, find: Find) -> tuple[Whole, ...] | None:
    """Weight and bias, without those that are None; None unless both are parameters of the input's dtype.

    Pruning and weight normalisation replace a parameter by a computed tensor.
    """
    held = module.__dict__[PARAMETERS]  # attribute access on a module is slow
    if "weight" not in held or "bias" not in held:
        return None
    weight, bias = held["weight"], held["bias"]
    if weight is None:
        return () if bias is None else None
    first = find(weight)
    if first is None or first[3] is not dtype:
        return None
    if bias is None:
        return (first,)
    second = find(bias)
    return None if second is None or second[3] is not dtype else (first, second)


def _fits_bias(params: tuple[Whole, ...], filters: int) -> bool:
    """True if the bias after the weight, if any, has the size of the filters."""
    return len(params) == 1 or params[1][2] == (filters,)


def _conv(module: nn.Conv2d, image: Value, dtype: torch.dtype, find: Find) -> LeafCall | None:
    params, sizes, padding = _params(module, dtype, find), image.shape, module.padding
    if not params or len(sizes) != 4 or module.padding_mode != "zeros" or isinstance(padding, str):
        return None
    if len(shape := params[0][2]) != 4:
        return None
    (batch, channels, height, width), (filters, depth, rows, columns) = sizes, shape
    stride, dilation = module.stride, module.dilation
    down = window_count(height, rows, stride[0], padding[0], dilation[0])
    across = window_count(width, columns, stride[1], padding[1], dilation[1])
    if channels != depth * module.groups or filters != module.out_channels or not _fits_bias(params, filters):
        return None
    if down <= 0 or across <= 0:
        return None
    steps = (("dilation", dilation), ("stride", stride))
    return "conv2d", "conv", params, steps, (batch, filters, down, across)


def _linear(module: nn.Linear, data: Value, dtype: torch.dtype, find: Find) -> LeafCall | None:
    params, sizes = _params(module, dtype, find), data.shape
    if not params or not sizes:
        return None
    shape = params[0][2]
    if len(shape) != 2 or sizes[-1] != shape[1] or not _fits_bias(params, shape[0]):
        return None
    return "linear", "linear", params, (), (*sizes[:-1], shape[0])


def _batch_norm(module: nn.BatchNorm2d, image: Value, dtype: torch.dtype, find: Find) -> LeafCall | None:
    params, buffers, sizes = _params(module, dtype, find), module.__dict__[BUFFERS], image.shape
    if params is None or module.training or len(sizes) != 4 or image.strides is not None:
        return None
    mean, var = find(buffers.get("running_mean")), find(buffers.get("running_var"))
    if mean is None or var is None:
        return None
    channels, operands = (sizes[1],), (*params, mean, var)
    for _, _, shape, _ in operands:
        if shape != channels:
            return None
    return "batch_norm", "batch_norm", operands, (), sizes


def _layer_norm(module: nn.LayerNorm, data: Value, dtype: torch.dtype, find: Find) -> LeafCall | None:
    params, shape = _params(module, dtype, find), module.normalized_shape
    if not params or data.shape[-len(shape) :] != shape or [p for p in params if p[2] != shape]:
        return None
    return "layer_norm", "layer_norm", params, (("affine", len(params)),), data.shape


def _dropout(module: nn.Dropout, *_: Any) -> LeafCall | None:
    return None if module.training or module.inplace else ("dropout", "", (), (), None)


def _activation(name: str, kind: str) -> LeafRule:
    in_place: LeafCall = f"{name}_", kind, (), (), None

    def rule(module: Any, data: Value, *_: Any) -> LeafCall | None:
        if module.inplace:
            return in_place
        return (name, kind, (), (), data.shape) if data.strides is None else None

    return rule


def _gelu(module: nn.GELU, data: Value, *_: Any) -> LeafCall | None:
    kind = {"none": "gelu", "tanh": "gelu_tanh"}.get(module.approximate)
    return ("gelu", kind, (), (), data.shape) if kind and data.strides is None else None


def _function(name: str) -> LeafRule:
    def rule(_: Any, data: Value, *__: Any) -> LeafCall | None:
        return (name, name, (), (), data.shape) if data.strides is None else None

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
    nn.GELU: _gelu,
    nn.Sigmoid: _function("sigmoid"),
    nn.Tanh: _function("tanh"),
    nn.Dropout: _dropout,
}
"""The exact type of a module -> its rule."""


_FUNCTIONS = (
    *(
        "conv2d",
        "linear",
        "batch_norm",
        "layer_norm",
        "relu",
        "relu6",
        "hardtanh",
        "hardswish",
        "hardsigmoid",
    ),
    *("silu", "gelu", "dropout"),
)
"""The functions of `torch.nn.functional` between a call and its operator."""

_BEHIND = ("batch_norm", "layer_norm", "relu", "relu_", "sigmoid", "tanh")
"""The functions of `torch` that these modules and functions call."""

_TORCH = str(Path(torch.__file__).parent)


def leaf_rules() -> Mapping[type[nn.Module], LeafRule]:
    """Return the rule of each type of module; none if a method or function of PyTorch between was replaced."""
    found = _between()
    return _LEAF_RULES if _ORIGINAL.issuperset(found) or all(map(_is_original, found)) else {}


def _between() -> list[object]:
    """The methods and functions between a call of these modules and its operator; None for a missing one."""
    methods = [getattr(kind, name, None) for kind in _LEAF_RULES for name in LEAF_METHODS]
    functions = [getattr(functional, name, None) for name in _FUNCTIONS]
    return [*filter(None, methods), *functions, *(getattr(torch, name, None) for name in _BEHIND)]


def _is_original(function: object) -> bool:
    """True for a function that PyTorch defines."""
    if isinstance(function, FunctionType):
        return function.__code__.co_filename.startswith(_TORCH)
    return isinstance(function, BuiltinFunctionType)


_ORIGINAL = frozenset(filter(_is_original, _between()))
"""Those that PyTorch defines, to recognise them fast."""


def leaf_rule(module: nn.Module, rules: Mapping[type[nn.Module], LeafRule]) -> LeafRule | None:
    """Return the rule for `module`, or None if it has none or methods of its own."""
    rule = rules.get(type(module))
    return rule if rule and module.__dict__.keys().isdisjoint(LEAF_METHODS) else None


def _is_plain(data: Any) -> bool:
    """True for floating-point numbers without data, in no mode that changes what an operator does."""
    return (
        type(data) is Tensor
        and data.is_meta
        and data.dtype.is_floating_point
        and not torch.is_grad_enabled()
        and not function_mode_count()
        and dispatch_mode_count() == 1
        and innermost_transform() is None
    )


def leaf_forwards(recorder: Recorder, tracked: Tracked) -> Callable[[nn.Module, str, LeafRule], Forward]:
    """Return a function that makes forwards which record the operator of a rule, and else run the tracked one."""
    thread, entered = recorder.module_stack.thread, recorder.entered
    storages, free = recorder.storages, recorder.free
    value_of, find, steps = storages.known, storages.whole, storages.lifetimes.steps
    pass_by = storages.lifetimes.pass_by

    def record(path: str, data: Tensor, value: Value, call: LeafCall) -> Tensor:
        """Record the operator of a module on `data`, and return its output."""
        name, kind, operands, attributes, sizes = call
        if not kind:
            free[name] += 1
            return data
        read, params, frozen = storages.read_whole(operands) if operands else ((), 0, 0)
        overwrites: tuple[int, ...] = ()
        if sizes is None:
            output, written, overwrites = data, storages.overwrite(data, value), (value.number,)
        else:
            with DisableTorchDispatch():  # the recorder would record this call
                output = contiguous(data, sizes)
            if name == "layer_norm":
                pass_by(statistics(sizes[: -len(operands[0][2])], data.itemsize))
            written = storages.write_new(output, sizes)
        op = Op(path, kind, (value, *read), (written,), params, attributes, name, frozen, overwrites)
        recorder.ops.append(op)
        steps.append(op)
        return output

    def leaf_forward(module: nn.Module, path: str, rule: LeafRule) -> Forward:
        """The forward of one module."""
        forward = module.forward

        def recorded_forward(*args: Any, **kwargs: Any) -> Any:
            """Record one operator if the only argument is a meta tensor that fits."""
            followed = get_ident() == thread and recorder.lock is None and not entered
            if followed and len(args) == 1 and not kwargs and _is_plain(args[0]):
                data = args[0]
                value = value_of(data)
                call = rule(module, value, data.dtype, find) if value is not None else None
                if value is not None and call is not None:
                    return record(path, data, value, call)
            return tracked(forward, path)(*args, **kwargs)

        recorded_forward.__wrapped__ = forward  # type: ignore[attr-defined]  # modules inspect signatures
        return recorded_forward

    return leaf_forward
