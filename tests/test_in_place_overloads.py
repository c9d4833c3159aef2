"""An operator in place, or with a given output, is recorded like the operator that returns a new tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mbanalyze import count
from mbanalyze.trace.matching.free import is_dropout
from mbanalyze.trace.matching.kinds import MATCHERS
from mbanalyze.trace.tracer import trace

FILLED: dict[str, Any] = {"number": 1, "int": 1, "float": 0.5, "bool": False, "List[int]": [1]}
"""The type of an argument -> a value; tensors are given apart."""

EXCEPTIONS = {"conj_physical", "conj_physical_", "_stack"}
"""The conjugate of real numbers is a view if it is not in place, and the meta kernel of `_stack.out` has a wrong shape."""

Overloads = tuple[Any, Any]
"""A functional operator, and one that writes to an argument."""


class Forward(nn.Module):
    """A module that calls an operator on two activations."""

    def __init__(self, call: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.call = call

    def forward(self, x: Tensor) -> Any:
        """Call the operator."""
        return self.call(x * 1, x * 3)


def written(overload: Any) -> tuple[str, ...]:
    """Return the outputs that the caller of an operator gives."""
    return tuple(argument.name for argument in overload._schema.arguments if argument.is_out)


def signature(overload: Any) -> list[tuple[str, str]]:
    """Return the names and types of the arguments, without given outputs; the first may be `input` or `self`."""
    given = [(each.name, str(each.type)) for each in overload._schema.arguments if not each.is_out]
    return [("", given[0][1]), *given[1:]] if given else []


def pairs() -> Iterator[Overloads]:
    """The operators of ATen that write to an argument, after those with a matcher that return a new tensor."""
    every = torch._C._dispatch_get_all_op_names()
    for name in sorted(
        {each.removeprefix("aten::").split(".")[0] for each in every if each.startswith("aten::")}
    ):
        base = name if name.endswith("__") else name.removesuffix("_")
        if base not in MATCHERS and not is_dropout(base):
            continue
        packet, functional = getattr(torch.ops.aten, name), getattr(torch.ops.aten, base, None)
        siblings = [getattr(functional, each) for each in functional.overloads()] if functional else []
        for overload in [getattr(packet, each) for each in packet.overloads()]:
            fits = [each for each in siblings if signature(each) == signature(overload)]
            if overload._schema.is_mutable and (base != name or written(overload)):
                yield from ((each, overload) for each in fits if not written(each))


def arguments(overload: Any, a: Tensor, b: Tensor, *, training: bool) -> list[Any]:
    """Return positional arguments of an operator.

    Raises:
        KeyError: there is no value of a type.
    """
    given: list[Any] = []
    tensors = iter((a, b, b, b))
    for argument in overload._schema.arguments:
        kind = str(argument.type)
        if argument.is_out or (argument.kwarg_only and argument.has_default_value()):
            continue
        if argument.name in ("train", "training"):
            given.append(training)
        elif argument.has_default_value():
            given.append(argument.default_value)
        elif kind in ("Tensor", "List[Tensor]"):
            given.append(next(tensors) if kind == "Tensor" else [a, b])
        else:
            given.append(None if kind.startswith("Optional") else FILLED[kind])
    return given


def recorded(overload: Any, outputs: dict[str, torch.dtype], *, training: bool) -> list[Any]:
    """Return kind, operands, attributes and the shapes of the outputs of what an operator records."""

    def call(a: Tensor, b: Tensor) -> Any:
        given = {name: torch.empty(0, dtype=dtype, device="meta") for name, dtype in outputs.items()}
        return overload(*arguments(overload, a, b, training=training), **given)

    ops = trace(Forward(call), torch.empty(4, 4, device="meta")).ops[2:]
    return [(op.kind, op.operands, op.attributes, [value.shape for value in op.output]) for op in ops]


def dtypes(functional: Any, overload: Any, *, training: bool) -> dict[str, torch.dtype]:
    """Return the dtype of each output that the caller gives, which is that of the functional operator."""
    a, b = (torch.empty(4, 4, device="meta") for _ in range(2))
    returned = functional(*arguments(functional, a, b, training=training))
    results = returned if isinstance(returned, tuple | list) else [returned]
    return {name: result.dtype for name, result in zip(written(overload), results, strict=True)}


def test_overloads_of_one_operator() -> None:
    """Every form of an operator records the same kind, operands, attributes and shapes, in training too."""
    compared = set()
    for functional, overload in pairs():
        name = overload._schema.name.removeprefix("aten::")
        if name in EXCEPTIONS:
            continue
        has_mode = any(each.name in ("train", "training") for each in overload._schema.arguments)
        for training in (False, True) if has_mode else (False,):
            with suppress(Exception):  # the arguments do not suit it, or it has no kernel without data
                expected = recorded(functional, {}, training=training)
                outputs = dtypes(functional, overload, training=training) if written(overload) else {}
                found = recorded(overload, outputs, training=training)
                compared.add((name, training))
                if expected != found:
                    pytest.fail(f"{name}: {expected} and {found}")

    assert len(compared) > 300
    for name in ("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "rrelu"):
        assert {(f"{name}_", False), (f"{name}_", True)} <= compared
    assert {"celu_", "native_dropout", "rrelu_with_noise_", "relu_", "add", "softmax"} <= {
        n for n, _ in compared
    }


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout])
def test_dropout_modules_in_place(kind: Callable[..., nn.Module]) -> None:
    """Dropout in place reads its operand in training, like dropout that returns a new tensor."""
    plain, in_place = (count(kind(0.5, inplace), (2, 4, 8, 8), mode="train") for inplace in (False, True))

    assert plain.rows == in_place.rows
    # every element of the input is read
    assert in_place.totals.reads >= 512
