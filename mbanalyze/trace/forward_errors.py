"""The errors of a forward, with the module and the operator that raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from torch import nn

from mbanalyze.trace.execution import misses_data
from mbanalyze.trace.recorder import Recorder
from mbanalyze.trace.restore import RestoreError
from mbanalyze.trace.shapes.keep_all import KEEP_ALL


class TraceError(ValueError):
    """The forward of a module does not run on tensors without data."""


class NeedsValuesError(TraceError):
    """The forward of a module asks for the values of a tensor that has only a shape.

    Attributes:
        operator: the operator that asks.
        can_keep: True if `keep=True` lets the forward continue.
    """

    def __init__(self, message: str, operator: str) -> None:
        """Take the message and the operator."""
        super().__init__(message)
        self.operator = operator
        self.can_keep = operator.removeprefix("aten::") in KEEP_ALL


class UntrainableError(TraceError):
    """A training step has no parameter to train."""


@contextmanager
def as_trace_errors(explained: Callable[[BaseException], TraceError]) -> Iterator[None]:
    """Raise a `TraceError` for any error; `explained` makes it from an error of the code that runs."""
    try:
        yield
    except TraceError:
        raise
    except RestoreError as error:
        raise TraceError(str(error)) from error
    except (Exception, SystemExit) as error:
        raise explained(error) from error


def errors_named(model: nn.Module, recorder: Recorder) -> AbstractContextManager[None]:
    """Return a context that raises a `TraceError` for any error of a forward."""
    return as_trace_errors(partial(_forward_error, model, recorder))


def _forward_error(model: nn.Module, recorder: Recorder, error: BaseException) -> TraceError:
    """The error for a forward that raised, with the module, the operator and the first line of the error."""
    execution, failed = recorder.execution, recorder.module_stack.failed
    where = f"module {failed!r}" if failed else f"{type(model).__name__}.forward"
    asked = (
        ""
        if execution.real
        else execution.asked
        or ("the forward" if isinstance(error, AssertionError) or misses_data(error) else "")
    )
    if asked.removeprefix("aten::") in KEEP_ALL:
        text = f"{asked} in {where} needs the values of a tensor, and a trace has only shapes"
        return NeedsValuesError(text, asked)
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    for advice in (
        ". ",
        ", but there was no",
        ", but expected one of",
    ):  # torch on its compiler and overloads
        line = line.split(advice)[0]
    line = line.rstrip(".")
    if line == "Invalid channel dimensions":  # a convolution on shapes
        line += f": it takes {getattr(model.get_submodule(failed or ''), 'in_channels', 'other')} channels"
    text = f"the forward raised {type(error).__name__} in {where}: {line}"
    if isinstance(error, TypeError) and "Tensor, not tuple" in line:
        text += ": write Shape(...) for a tensor in a container or a keyword argument"
    return (
        NeedsValuesError(f"{text} ({asked} may need the values of a tensor)", asked)
        if asked
        else TraceError(text)
    )
