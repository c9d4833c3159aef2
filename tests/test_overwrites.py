"""The record names the memory that an operator in place writes to, and what the forward returns."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from arithmetic import Run
from torch import Tensor, nn

from mbanalyze.trace.tracer import Trace, trace


def traced(function: Callable[[Tensor], Any], *, shortcuts: bool = True) -> Trace:
    """Trace a function of one tensor, which is activation 0."""
    return trace(Run(function), torch.zeros(1, 4, 8, 8), shortcuts=shortcuts)


def written_part(x: Tensor) -> Tensor:
    """Overwrite half of a product."""
    product = x * 2
    product[:, :2] = x[:, 2:]
    return product


def filled(x: Tensor) -> Tensor:
    """Overwrite some elements of a part of a product."""
    product = x * 2
    product[:, :2].masked_fill_(x[:, 2:] > 0, 1.0)
    return product


def put(x: Tensor) -> Tensor:
    """Overwrite indexed elements of a product."""
    product = x * 2
    product[:, torch.tensor([0, 3])] = x[:, :2]
    return product


@pytest.mark.parametrize("shortcuts", [True, False])
@pytest.mark.parametrize("function", [written_part, filled, put])
def test_parts_in_place(function: Callable[[Tensor], Tensor], shortcuts: bool) -> None:
    """An operator that writes to a part of an activation names that activation, and the result is its output."""
    record = traced(function, shortcuts=shortcuts)
    product, *_, last = record.ops

    assert (product.output[0].number, product.overwrites) == (1, ())
    assert last.overwrites == (1,)
    assert record.outputs == (last.output[0].number,)


def several_outputs(x: Tensor) -> Tensor:
    """Sort into one activation and one allocation."""
    values = x * 2
    torch.sort(x, out=(values, torch.empty_like(x, dtype=torch.int64)))
    return values


def test_some_outputs_in_place() -> None:
    """An output in memory without an activation overwrites none."""
    assert traced(several_outputs).ops[-1].overwrites == (1, None)


@pytest.mark.parametrize("kind", [nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.ELU])
@pytest.mark.parametrize("shortcuts", [True, False])
def test_modules_in_place(kind: Callable[..., nn.Module], shortcuts: bool) -> None:
    """An activation function in place overwrites its operand."""
    model = nn.Sequential(kind(), kind(inplace=True))
    found = [op.overwrites for op in trace(model, torch.zeros(1, 4), shortcuts=shortcuts).ops]

    assert found == [(), (1,)]


def test_equality_ignores_what_is_overwritten() -> None:
    """Records of equal work are equal, in place or not."""
    first, second = (trace(nn.ReLU(inplace=inplace), torch.zeros(1, 4)).ops[0] for inplace in (False, True))

    assert first.overwrites != second.overwrites
    assert first == second
    assert hash(first) == hash(second)


def test_returned_tensors() -> None:
    """Every returned activation is an output once, in any container; a view of the input is the input."""
    record = traced(lambda x: [{"view": x.flatten()}, y := x * 2, (y[0], y + 1), torch.zeros(3)])

    assert record.outputs == (0, 1, 2)


def test_threads() -> None:
    """Rows of other threads keep what they overwrite, and outputs their numbers."""

    def doubled(x: Tensor) -> Tensor:
        return (x * 2).relu_()

    def parallel(x: Tensor) -> Tensor:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(doubled, x)
            total = (x + 1).sigmoid_()
            return total.add_(waiting.result())

    record = traced(parallel)
    kinds = {op.kind: op for op in record.ops}

    assert kinds["relu"].overwrites == (kinds["mul"].output[0].number,)
    # the task's rows stand where it starts: mul 1, relu 2, add 3, sigmoid 4, add 5
    assert [op.overwrites for op in record.ops] == [(), (1,), (), (3,), (4,)]
    assert record.outputs == (5,)
