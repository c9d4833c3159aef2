"""Matchers read arguments that every overload of their operator has."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from test_operator_list import schemas
from torch import Tensor

from mbanalyze.trace.matching.kinds import MATCHERS
from mbanalyze.trace.schema import OpSchema, flat_tensors

SHAPE = (2, 3, 4, 4)


@functools.cache
def overloads() -> dict[str, list[Any]]:
    """Return the overloads with tensors of every operator that has a matcher, by base name."""
    return {
        name: [each for each in schemas()[name] if "Tensor" in str(each.overload._schema)]
        for name in MATCHERS
        if name in schemas()
    }


class Packed:
    """A packed weight and bias."""

    def unpack(self) -> tuple[Tensor, Tensor]:
        """Return the weight and the bias."""
        return torch.zeros(SHAPE, device="meta"), torch.zeros(3, device="meta")

    def __getstate__(self) -> tuple[tuple[str, list[Tensor]], str]:
        return ("quantized", list(self.unpack())), "CellParamsBase"


def example(argument: Any, dims: int) -> Any:
    """Return a value of the type of an argument; tensors have `dims` dimensions."""
    kind = str(argument.type)
    name = re.sub(r"Optional\[|List\[|\]", "", kind)
    one = (
        Packed() if name.startswith("__torch__") else {"bool": True, "str": "mean", "float": 2.0}.get(name, 1)
    )
    if name == "Tensor":
        one = torch.zeros(SHAPE[:dims], device="meta")
    return SPECIAL.get(argument.name, [one, one] if "List" in kind else one)


SPECIAL: dict[str, Any] = {
    "equation": "abcd,abcd->abcd",
    "approximate": "none",
    "dtype": None,
    "generator": None,
    "scale_factors": [0.5, 0.5],
    "p": 2.0,
    "dims": [0, 1],
}
"""The values of arguments that not every value of their type fits."""


def calls(name: str, schema: OpSchema) -> Iterator[dict[str, Any]]:
    """Yield two calls of an overload: with every argument, and without those that may be None."""
    arguments = [argument for argument in schema.overload._schema.arguments if not argument.is_out]
    dims = 3 if name == "conv_tbc" else 4
    every = {argument.name: example(argument, dims) for argument in arguments}
    yield every
    optional = [argument.name for argument in arguments if str(argument.type).startswith("Optional")]
    yield {**every, **{each: None for each in optional if each != "scale_factors"}}  # or the output's size


@pytest.mark.parametrize("name", sorted(MATCHERS))
def test_a_matcher_fits_every_overload(name: str) -> None:
    """No matcher reads an argument that an overload does not have, or fails where one is None."""
    for schema in overloads().get(name, ()):
        for call in calls(name, schema):
            match = MATCHERS[name](call)
            reads = match is None or match.kind == "random" or bool(match.operands)
            assert reads or not flat_tensors(call.values())
