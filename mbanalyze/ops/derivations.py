"""Makers of formulas whose flops are a number for each element, and of their docstrings."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from mbanalyze.ops.record import Op

Formula = Callable[[Op], tuple[int, int]]
"""A function from an operator to its multiply-accumulates and flops."""


def number(op: Op, name: str) -> int:
    """Return the numeric attribute `name` of an operator; 0 if it has none."""
    value = op.attribute(name) or 0
    assert isinstance(value, int)
    return value


def _documented(formula: Formula, flops: str, steps: str, source: str) -> Formula:
    """The formula, with a docstring made of its flops, steps and source."""
    formula.__doc__ = f"{flops}: {steps}." + (f"\n\nSource: {source}." if source else "")
    return formula


def per_element(flops: int, steps: str, source: str = "") -> Formula:
    """Return a formula of `flops` per output element, which `steps` lists."""

    def formula(op: Op) -> tuple[int, int]:
        return 0, flops * op.output[0].size

    return _documented(formula, f"{flops} per element", steps, source)


def per_input_element(flops: int, steps: str, source: str = "") -> Formula:
    """Return a formula of `flops` per element of the first operand, which `steps` lists."""

    def formula(op: Op) -> tuple[int, int]:
        return 0, flops * prod(op.operands[0].shape)

    return _documented(formula, f"{flops} per input element", steps, source)


def normalisation(flops: int, steps: str, source: str) -> Formula:
    """Return a formula of `flops` per output element, plus one each for a scale and a shift.

    It ignores operations that run once per group of elements, such as the root of its variance.
    """

    def formula(op: Op) -> tuple[int, int]:
        return 0, (flops + number(op, "affine")) * op.output[0].size

    return _documented(formula, f"{flops} per element, plus 1 each for scale and shift", steps, source)


def loss(flops: int, steps: str, source: str = "") -> Formula:
    """Return a formula of `flops` per element of the prediction, plus those of its weights and its reduction.

    A mean takes one more flop per element, and a sum of `a` elements `a - 1`.
    """

    def formula(op: Op) -> tuple[int, int]:
        elements = prod(op.operands[0].shape)
        return 0, (flops + number(op, "weights")) * elements + reduced(op, elements)

    return _documented(
        formula, f"{flops} per input element, plus 1 each for weights and reduction", steps, source
    )


def reduced(op: Op, elements: int) -> int:
    """Return the flops that reduce the elements of a loss to their mean or sum, or leave them."""
    return {"mean": elements, "sum": max(elements - 1, 0)}.get(str(op.attribute("reduction")), 0)
