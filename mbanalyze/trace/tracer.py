"""`trace`, which runs a module on tensors without data and records every operator.

The forward runs on meta tensors under `torch.inference_mode`. Weights stay where they are: only their shapes are
used. The module is restored afterwards, also when its forward raises.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_map_only

from mbanalyze.inputs.typed import Mode
from mbanalyze.ops.record import Op
from mbanalyze.trace.leaf_modules import leaf_forward, leaf_rule
from mbanalyze.trace.recorder import Recorder
from mbanalyze.trace.restore import RestoreError, preserve_state
from mbanalyze.trace.shapes.keep_all import KEEP_ALL
from mbanalyze.trace.storage import InterleavedError, Storages

Module: TypeAlias = nn.Module
"""A PyTorch module, for annotations in packages that do not import torch."""

_LOCK = threading.RLock()  # a trace changes the forward of each module, and global state of torch


class TraceError(ValueError):
    """The forward of a module does not run on tensors without data."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The operators of one forward pass.

    Attributes:
        ops: every operator that does work, in order.
        free: how often each operator without cost ran (views, allocations, dropout in eval mode), by name.
        unused_params: the names of the parameters that the forward never read.
        assumed: the operators whose output depends on values, and was assumed to keep every candidate.
    """

    ops: tuple[Op, ...]
    free: dict[str, int]
    unused_params: tuple[str, ...]
    assumed: tuple[str, ...] = ()


def trace(
    model: nn.Module,
    *inputs: Any,
    keywords: Mapping[str, Any] | None = None,
    mode: Mode = "eval",
    real: bool = False,
    keep: bool = False,
    shortcuts: bool = True,
) -> Trace:
    """Run `model` on shapes and record every operator.

    Args:
        model: any module, with its weights on any device, `meta` included.
        inputs: tensors, or containers of tensors. Only shapes and dtypes are used, unless `real`.
        keywords: the same for keyword arguments of the forward.
        mode: "train" to count the operators of training mode; no gradients are computed.
        real: run on the data of the inputs, which takes the time of a forward pass.
        keep: assume that operators whose output depends on values (`nonzero`, non-maximum suppression) keep
            every candidate.
        shortcuts: compute output shapes of slow operators without PyTorch, which changes no result.

    Raises:
        TraceError: the model is lazy or compiled by TorchScript, or its forward raised; the message names the
            innermost module that was running.
    """
    model = _unwrapped(model)
    modules = _named_modules(model)
    storages = _storages(dict(_named_params(modules)))
    recorder = Recorder(storages, real=real, keep=keep, shortcuts=shortcuts)
    try:
        with (
            _LOCK,
            preserve_state(modules.values(), (inputs, keywords), real=real),
            torch.inference_mode(),
            recorder.saved,
        ):
            for path, module in modules.items():
                module.__dict__["training"] = mode == "train"  # `train()` may be overridden
                module.__dict__["_compiled_call_impl"] = None
                module.__dict__["forward"] = _recorded(module, path, recorder, shortcuts and not real)
            args, kwargs = _add_inputs(inputs, keywords or {}, storages, real=real)
            with recorder:
                model(*args, **kwargs)
    except RestoreError as error:
        raise TraceError(str(error)) from error
    except (Exception, SystemExit) as error:
        raise TraceError(_message(model, recorder, error, real=real)) from error
    return Trace(tuple(recorder.ops), dict(recorder.free), storages.unread_params(), tuple(recorder.assumed))


def _unwrapped(model: nn.Module) -> nn.Module:
    """The module inside a result of `torch.compile`, or `model` itself."""
    model = getattr(model, "_orig_mod", model)
    if isinstance(model, torch.jit.ScriptModule):
        raise TraceError("a TorchScript module hides its operators: give the module that it was made from")
    return model


def _named_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The same as `dict(model.named_modules())`, but faster."""
    found: dict[str, nn.Module] = {}
    seen: set[int] = set()

    def visit(path: str, module: nn.Module) -> None:
        seen.add(id(module))
        found[path] = module
        for name, child in module.__dict__["_modules"].items():  # attribute access on a module is slow
            if child is not None and id(child) not in seen:
                visit(f"{path}.{name}" if path else name, child)

    visit("", model)
    return found


def _named_params(modules: Mapping[str, nn.Module]) -> Iterator[tuple[str, nn.Parameter]]:
    """The same as `named_parameters()`, but faster."""
    seen: set[int] = set()
    for path, module in modules.items():
        for name, param in module.__dict__["_parameters"].items():
            if param is not None and id(param) not in seen:
                seen.add(id(param))
                yield f"{path}.{name}" if path else name, param


def _storages(params: Mapping[str, nn.Parameter]) -> Storages:
    """The memory of the parameters, all of which need a shape."""
    lazy = next((name for name, param in params.items() if is_lazy(param)), None)
    if lazy:
        raise TraceError(f"{lazy} has no shape yet: run the module once on a real input first")
    try:
        return Storages(params)
    except InterleavedError as error:
        raise TraceError(str(error)) from error


def _recorded(module: nn.Module, path: str, recorder: Recorder, shortcuts: bool) -> Any:
    """A forward that tells the recorder when it runs."""
    rule = leaf_rule(module) if shortcuts else None
    forward = recorder.module_stack.tracked(module.forward, path)
    return leaf_forward(module, path, rule, forward, recorder) if rule else forward


def _add_inputs(
    inputs: tuple[Any, ...], keywords: Mapping[str, Any], storages: Storages, *, real: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the forward, whose tensors are the first activations; without data unless `real`."""

    def added(tensor: Tensor) -> Tensor:
        storages.add_input(tensor)
        return (tensor if real else storages.to_meta(tensor)).detach()

    arguments: tuple[tuple[Any, ...], dict[str, Any]] = tree_map_only(Tensor, added, (inputs, dict(keywords)))
    return arguments


def _message(model: nn.Module, recorder: Recorder, error: BaseException, *, real: bool) -> str:
    """The message of a `TraceError`: the module, the operator and the first line of the error."""
    failed, running = recorder.module_stack.failed, recorder.running
    where = f"module {failed!r}" if failed else f"{type(model).__name__}.forward"
    if not real and running.removeprefix("aten::") in KEEP_ALL:
        return (
            f"{running} in {where} needs the values of a tensor, and a trace has only shapes: "
            "--keep assumes that every candidate is kept, --real runs on values"
        )
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    line = line.split(". ")[0].split(", but there was no")[0]  # torch adds advice on its compiler
    text = f"the forward raised {type(error).__name__} in {where}: {line}"
    needs_values = isinstance(error, AssertionError) or any(hint in str(error).lower() for hint in _HINTS)
    if not real and needs_values:
        text += f" ({running or 'it'} may need the values of a tensor: --real runs on values)"
    return text


_HINTS = ("meta", "incompatible tensor type", "data-dependent", "numpy", "no data")
"""Parts of PyTorch's messages about tensors without data."""
