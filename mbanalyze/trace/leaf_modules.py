"""Modules of `torch.nn` that run one operator, which is recorded without running the forward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import get_ident
from types import BuiltinFunctionType, FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._C import _DisableTorchDispatch, _functorch, _len_torch_dispatch_stack, _len_torch_function_stack
from torch.nn import functional

from mbanalyze.ops.record import Op
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


Forward = Callable[..., Any]
"""The forward of a module."""

LeafRule = Callable[[Any, Tensor], LeafCall | None]
"""A function from a module and its input to the operator that it runs; None if the forward has to run."""


def _params(module: nn.Module, data: Tensor) -> Tensors | None:
    """Weight and bias, without those that are None; None unless both are parameters of the input's dtype.

    Pruning and weight normalisation replace a parameter by a computed tensor.
    """
    held = module.__dict__["_parameters"]  # attribute access on a module is slow
    if "weight" not in held or "bias" not in held:
        return None
    weight, bias, dtype = held["weight"], held["bias"], data.dtype
    params: Tensors = (weight,) if bias is None else (weight, bias)
    if weight is None:
        params = params[1:]
    for param in params:
        if param.dtype is not dtype:
            return None
    return params if dtype.is_floating_point else None


def _fits_bias(params: Tensors, filters: int) -> bool:
    """True if the bias after the weight, if any, has the size of the filters."""
    return len(params) == 1 or params[1].shape == (filters,)


def _conv(module: nn.Conv2d, data: Tensor) -> LeafCall | None:
    params, sizes, padding = _params(module, data), data.shape, module.padding
    if not params or len(sizes) != 4 or module.padding_mode != "zeros" or isinstance(padding, str):
        return None
    if len(shape := params[0].shape) != 4:
        return None
    (batch, channels, *image), (filters, depth, *kernel) = sizes, shape
    out = (batch, filters, *map(window_count, image, kernel, module.stride, padding, module.dilation))
    if channels != depth * module.groups or filters != module.out_channels or not _fits_bias(params, filters):
        return None
    if out[2] <= 0 or out[3] <= 0:
        return None
    steps = (("dilation", module.dilation), ("stride", module.stride))
    return LeafCall("conv2d", "conv", (data, *params), steps, out)


def _linear(module: nn.Linear, data: Tensor) -> LeafCall | None:
    params, sizes = _params(module, data), data.shape
    if not params or not sizes:
        return None
    shape = params[0].shape
    if len(shape) != 2 or sizes[-1] != shape[1] or not _fits_bias(params, shape[0]):
        return None
    return LeafCall("linear", "linear", (data, *params), (), (*sizes[:-1], shape[0]))


def _batch_norm(module: nn.BatchNorm2d, data: Tensor) -> LeafCall | None:
    params, buffers, sizes = _params(module, data), module.__dict__["_buffers"], data.shape
    mean, var = buffers.get("running_mean"), buffers.get("running_var")
    if params is None or mean is None or var is None or module.training:
        return None
    if len(sizes) != 4 or not data.is_contiguous():
        return None
    channels = (sizes[1],)
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
    *("silu", "dropout"),
)
"""The functions of `torch.nn.functional` between a call and its operator."""

_TORCH = str(Path(torch.__file__).parent)


def leaf_rules() -> Mapping[type[nn.Module], LeafRule]:
    """Return the rule of each type of module; none if a method or function of PyTorch between was replaced."""
    found = _between()
    return _LEAF_RULES if _ORIGINAL.issuperset(found) or all(map(_is_original, found)) else {}


def _between() -> list[object]:
    """The methods and functions between a call of these modules and its operator; None for a missing one."""
    methods = [getattr(kind, name, None) for kind in _LEAF_RULES for name in _METHODS]
    return [method for method in methods if method] + [getattr(functional, name, None) for name in _FUNCTIONS]


def _is_original(function: object) -> bool:
    """True for a function that PyTorch defines."""
    if isinstance(function, FunctionType):
        return function.__code__.co_filename.startswith(_TORCH)
    return isinstance(function, BuiltinFunctionType)


_ORIGINAL = frozenset(filter(_is_original, _between()))
"""Those that PyTorch defines, to recognise them fast."""


def leaf_rule(module: nn.Module, rules: Mapping[type[nn.Module], LeafRule]) -> LeafRule | None:
    """Return the rule for `module`, or None if it has none or methods of its own."""
    return rules.get(type(module)) if _METHODS.isdisjoint(module.__dict__) else None


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


def leaf_forwards(
    recorder: Recorder, tracked: Callable[[Forward, str], Forward]
) -> Callable[[nn.Module, str, LeafRule], Forward]:
    """Return a function that makes forwards which record the operator of a rule, and else run the tracked one."""
    thread, entered = recorder.module_stack.thread, recorder.entered
    free, storages = recorder.free, recorder.storages

    def leaf_forward(module: nn.Module, path: str, rule: LeafRule) -> Forward:
        """The forward of one module."""
        forward = module.forward

        def recorded_forward(*args: Any, **kwargs: Any) -> Any:
            """Record one operator if the only argument is a meta tensor that fits."""
            followed = get_ident() == thread and recorder.lock is None and not entered
            plain = followed and _is_plain_call(args, kwargs)
            call = rule(module, args[0]) if plain else None
            if call is None:
                return tracked(forward, path)(*args, **kwargs)
            data = args[0]
            name, kind, operands, attributes, sizes = call
            if not kind:
                free[name] += 1
                return data
            if sizes is None:
                recorder.add(path, kind, operands, (data,), attributes, name)
                return data
            with _DisableTorchDispatch():  # the recorder would record this call
                output = torch.empty(sizes, dtype=data.dtype, device=META)
            read, params, frozen = storages.read(operands)
            written = (storages.write_new(output, tuple(sizes)),)
            recorder.ops.append(Op(path, kind, read, written, params, attributes, name, frozen))
            return output

        recorded_forward.__wrapped__ = forward  # type: ignore[attr-defined]  # modules inspect signatures
        return recorded_forward

    return leaf_forward
