"""A real module, operator by operator: it runs on tensors that hold no data, and every call is noted.

The forward runs under `torch.inference_mode`, in eval mode unless asked otherwise, on meta tensors; the
module's own weights stay where they are and only lend their shapes. Afterwards the module is as it was, also
when its forward raises.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

from mbanalyze.inputs.typed import Mode, Typed, is_shape
from mbanalyze.ops.record import Op
from mbanalyze.trace.recorder import Tape
from mbanalyze.trace.restore import undisturbed
from mbanalyze.trace.shapes import KEPT
from mbanalyze.trace.storage import InterleavedError, Values

_LOCK = threading.RLock()  # a trace replaces each module's forward, and state that all of torch shares


class TraceError(ValueError):
    """The module's forward could not be run on tensors without data."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What one forward pass did.

    Attributes:
        ops: every operator, in order.
        free: what ran at no cost (views, allocation, dropout in eval mode), by name, with how often.
        unused_params: names of the parameters that the forward never read.
        assumed: operators whose result depends on values, and was assumed to keep every candidate.
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
    """Run `model` on shapes and note every operator.

    Args:
        model: any module; weights may be on any device, `meta` included.
        inputs: tensors, or containers of tensors, whose shapes and dtypes are taken; see `as_inputs`.
        keywords: the same for arguments that the forward takes by name.
        mode: "train" to count what runs in training mode; nothing is differentiated.
        real: run on the tensors as they are, with their data, which takes the time of a forward pass.
        keep: where a result depends on values that a trace has not got (`nonzero`, non-maximum suppression),
            assume that every candidate is kept.
        shortcuts: answer operators that torch takes its time for by arithmetic on shapes. The result is the
            same without.

    Raises:
        TraceError: the model is not built yet, or its forward raised; the message names the innermost
            module that was running.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if isinstance(model, torch.jit.ScriptModule):
        raise TraceError("a TorchScript module hides its operators: give the module that it was made from")
    modules = _modules(model)
    params = _params(modules)
    lazy = [name for name, param in params.items() if is_lazy(param)]
    if lazy:
        raise TraceError(f"{lazy[0]} has no shape yet: run the module once on a real input first")
    try:
        values = Values(params)
    except InterleavedError as error:
        raise TraceError(str(error)) from error
    tape = Tape(values, real=real, keep=keep, shortcuts=shortcuts)
    try:
        with _LOCK, undisturbed(modules.values()), tape.restoring():
            for path, module in modules.items():
                # not `eval()`, which a module may have made do more
                module.__dict__["training"] = mode == "train"
                module.__dict__["_compiled_call_impl"] = None
                tape.attribute(module, path)
            with torch.inference_mode():
                args, kwargs = _begin(inputs, keywords or {}, values, real=real)
                with tape:
                    model(*args, **kwargs)
    except (Exception, SystemExit) as error:
        raise TraceError(_why(model, tape, error, real=real)) from error
    return Trace(tuple(tape.ops), dict(tape.free), values.unread(), tuple(tape.assumed))


def _modules(model: nn.Module) -> dict[str, nn.Module]:
    """As `named_modules` has them."""
    found: dict[str, nn.Module] = {}
    seen: set[int] = set()

    def visit(path: str, module: nn.Module) -> None:
        seen.add(id(module))
        found[path] = module
        for name, child in module.__dict__["_modules"].items():  # asking the module itself is slow
            if child is not None and id(child) not in seen:
                visit(f"{path}.{name}" if path else name, child)

    visit("", model)
    return found


def _params(modules: Mapping[str, nn.Module]) -> dict[str, nn.Parameter]:
    """As `named_parameters` has them."""
    first: dict[int, tuple[str, nn.Parameter]] = {}
    for path, module in modules.items():
        for name, param in module.__dict__["_parameters"].items():
            if param is not None:
                first.setdefault(id(param), (f"{path}.{name}" if path else name, param))
    return dict(first.values())


def _begin(
    inputs: tuple[Any, ...], keywords: Mapping[str, Any], values: Values, *, real: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the forward takes, without its data unless `real`: the first activations."""

    def begun(tensor: Tensor) -> Tensor:
        values.begin(tensor)
        return (tensor if real else values.twin(tensor)).detach()

    def each(given: Any) -> Any:
        return begun(given) if isinstance(given, Tensor) else tree_map_only(Tensor, begun, given)

    return tuple(map(each, inputs)), {name: each(given) for name, given in keywords.items()}


def tensors(tree: Any) -> tuple[Tensor, ...]:
    """The tensors in nested containers, in order."""
    return tuple(leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def floating_dtype(model: nn.Module, inputs: Sequence[Any] = ()) -> torch.dtype:
    """The dtype of the first floating-point parameter, else input, else torch's default."""
    values = itertools.chain(model.parameters(), tensors(list(inputs)))
    return next((v.dtype for v in values if v.is_floating_point()), torch.get_default_dtype())


def as_inputs(
    model: nn.Module, inputs: Sequence[Any], keywords: Mapping[str, Any], *, real: bool = False
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a forward takes by position and by name, with each shape in it replaced by a tensor without data.

    It has the dtype that goes with the shape, or else the model's.

    Args:
        real: make tensors with data: random ones, always the same, from 0 to 1; integers are zeros.

    Raises:
        TraceError: no tensor can be that large.
    """
    own = floating_dtype(model)
    generator = torch.Generator().manual_seed(0)

    def made(leaf: Any) -> Any:
        if not _is_input(leaf):
            return leaf
        shape, dtype = (leaf.shape, getattr(torch, leaf.dtype)) if isinstance(leaf, Typed) else (leaf, own)
        if not real:
            return torch.empty(shape, dtype=dtype, device="meta")
        if not dtype.is_floating_point:
            return torch.zeros(shape, dtype=dtype)
        return torch.rand(shape, generator=generator).to(dtype)

    def each(given: Any) -> Any:
        return made(given) if _is_input(given) else tree_map(made, given, is_leaf=_is_input)

    try:
        return tuple(map(each, inputs)), {name: each(given) for name, given in keywords.items()}
    except (RuntimeError, OverflowError, TypeError) as error:
        raise TraceError(f"no such input: {str(error).splitlines()[0]}") from error


def _is_input(leaf: object) -> bool:
    return isinstance(leaf, Typed) or (is_shape(leaf) and len(leaf) > 0)


def _why(model: nn.Module, tape: Tape, error: BaseException, *, real: bool) -> str:
    where = f"module {tape.failed!r}" if tape.failed else f"{type(model).__name__}.forward"
    if not real and tape.running.removeprefix("aten::") in KEPT:
        return (
            f"{tape.running} in {where} needs the values of a tensor, and a trace has only shapes: "
            "--keep assumes that every candidate is kept, --real runs on values"
        )
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    what = said.split(". ")[0].split(", but there was no")[0]  # torch goes on with advice on its compiler
    text = f"the forward raised {type(error).__name__} in {where}: {what}"
    without_values = isinstance(error, AssertionError) or any(hint in str(error).lower() for hint in _HINTS)
    if not real and without_values:
        text += f" ({tape.running or 'it'} may need the values of a tensor: --real runs on values)"
    return text


_HINTS = ("meta", "incompatible tensor type", "data-dependent", "numpy", "no data")
"""What PyTorch's messages have in them where a tensor's values are missing."""
