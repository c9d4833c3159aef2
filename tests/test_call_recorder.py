"""The calls of modules and functions that a trace records on request."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest
import torch
from arithmetic import Run
from torch import Tensor, nn
from torch.nn import functional

from mbanalyze.conventions.known import FOLLOWED
from mbanalyze.ops.calls import Calls
from mbanalyze.trace.forward_errors import TraceError
from mbanalyze.trace.tracer import trace

HOLDERS: tuple[Any, ...] = (torch, functional, Tensor)
"""The namespaces whose functions a trace replaces."""


def calls_of(module: nn.Module, *sizes: int) -> Calls:
    """Return the calls of a forward on one tensor."""
    calls = trace(module, torch.empty(sizes, device="meta"), follow=FOLLOWED).calls
    assert calls is not None
    return calls


def names() -> list[list[tuple[str, int]]]:
    """Return the names in each namespace, in order, with the identity of each value."""
    return [[(name, id(value)) for name, value in vars(holder).items()] for holder in HOLDERS]


def test_calls_stand_in_the_order_of_their_beginning() -> None:
    """A module comes before those inside, and holds the operators of all of them."""
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Sequential(nn.ReLU(), nn.Flatten()))

    modules = calls_of(net, 2, 3, 4, 4).modules

    assert [(call.path, call.first, call.last) for call in modules] == [
        ("", 0, 2),
        ("0", 0, 1),
        ("1", 1, 2),
        ("1.0", 1, 2),
        ("1.1", 2, 2),
    ]
    assert [call.type for call in modules if call.is_leaf] == ["nn.Conv2d", "nn.ReLU", "nn.Flatten"]
    assert (modules[1].inputs, modules[1].outputs) == (((2, 3, 4, 4),), ((2, 8, 4, 4),))


def test_a_function_is_recorded_by_the_name_that_was_called() -> None:
    """Python's operators are no calls of functions."""
    net = Run(lambda x: torch.matmul(x, x) + x.matmul(x) + functional.relu(x @ x))

    functions = calls_of(net, 4, 4).functions

    assert [call.name for call in functions] == [
        "torch.matmul",
        "torch.Tensor.matmul",
        "torch.nn.functional.relu",
    ]


def test_functions_are_restored() -> None:
    """The namespaces of PyTorch hold the same functions in the same order, also after a forward that raises."""

    def raising(x: Tensor) -> Tensor:
        functional.relu(x)
        raise ValueError("no")

    before = names()
    calls_of(nn.ReLU(), 2)
    assert before == names()

    with pytest.raises(TraceError, match="no"):
        calls_of(Run(raising), 2)
    assert before == names()


def test_a_forward_with_other_threads_is_refused() -> None:
    """The operators of other threads stand between those of the calls."""

    def forward(x: Tensor) -> Tensor:
        thread = Thread(target=functional.relu, args=(x,))
        thread.start()
        thread.join()
        return x

    with pytest.raises(TraceError, match="other threads"):
        calls_of(Run(forward), 2)
