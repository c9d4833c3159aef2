"""The contexts of a training step or a forward pass on tensors without data, and its errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from threading import get_ident
from typing import Any

import torch
from torch import nn

from mbanalyze.trace.forward_errors import NeedsValuesError, TraceError, as_trace_errors
from mbanalyze.trace.module_stack import ModuleStack, tracked_by
from mbanalyze.trace.restore import preserve_state
from mbanalyze.trace.surroundings.devices import any_device
from mbanalyze.trace.surroundings.eager import run_eagerly
from mbanalyze.trace.torch_internals import COMPILED_CALL, NeedsShape, NeedsValues, schema_of


@contextmanager
def surroundings(
    modules: Mapping[str, nn.Module], arguments: Any, stack: ModuleStack, *, train: bool
) -> Iterator[None]:
    """Set the mode of modules, and leave them, the arguments and global state as they were at the end."""
    thread = get_ident()

    def is_followed() -> bool:
        return get_ident() == thread

    with (
        preserve_state(modules.values(), arguments, real=False),
        torch.inference_mode(mode=False),
        torch.set_grad_enabled(train),
        any_device(is_followed),
        run_eagerly(is_followed),
    ):
        _prepare(modules, stack, train=train)
        yield


def _prepare(modules: Mapping[str, nn.Module], stack: ModuleStack, *, train: bool) -> None:
    """Set the mode of all modules, and let their forwards tell the stack when they run."""
    tracked = tracked_by(stack, lambda *_: None)
    for path, module in modules.items():
        state = vars(module)
        state["training"] = train  # `train()` may be overridden
        state["forward"] = tracked(module.forward, path)
        if COMPILED_CALL in state:
            state[COMPILED_CALL] = None


def step_errors(model: nn.Module, stack: ModuleStack) -> AbstractContextManager[None]:
    """Return a context that raises a `TraceError` of one line for any error of a step."""
    return as_trace_errors(partial(_step_error, model, stack))


def _step_error(model: nn.Module, stack: ModuleStack, error: BaseException) -> TraceError:
    """The error for a step that raised, with the module and the first line of the error."""
    where = f"module {stack.failed!r}" if stack.failed else type(model).__name__
    if isinstance(error, NeedsValues | NeedsShape):
        operator = schema_of(error.func).name
        text = f"{operator} in {where} needs the values of a tensor, and a step without data has only shapes"
        return NeedsValuesError(text, operator)
    line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return TraceError(f"the step raised {type(error).__name__} in {where}: {line}")
