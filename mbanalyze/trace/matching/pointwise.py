"""Matchers of activations and arithmetic that work element by element."""

from __future__ import annotations

from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.schema import Arguments, flat_tensors


def clamp(args: Arguments, *, low: str, high: str) -> Match:
    """Match a clamp, where `low` and `high` name its bounds. Bounds of 0 and 6 make it a ReLU6."""
    operands = flat_tensors(args.values())
    is_relu6 = len(operands) == 1 and (args[low], args[high]) == (0, 6)
    return Match("relu6" if is_relu6 else "clamp", operands)


def gelu(args: Arguments) -> Match:
    """Match a GELU: exact, or approximated by tanh."""
    return Match("gelu" if args["approximate"] == "none" else "gelu_tanh", (args["self"],))


def rrelu(args: Arguments) -> Match:
    """Match a randomised leaky ReLU, whose slope is random only in training."""
    return Match("rrelu" if args["training"] else "leaky_relu", (args["self"],))


def add(args: Arguments, *, kind: str) -> Match:
    """Match an addition or subtraction, whose second operand may be scaled."""
    return Match(kind if args.get("alpha", 1) == 1 else "scaled_add", flat_tensors(args.values()))


def fused_add(args: Arguments, *, kind: str) -> Match:
    """Match the addition of a product or quotient, which may be scaled."""
    return Match(kind if args["value"] == 1 else f"scaled_{kind}", flat_tensors(args.values()))


def div(args: Arguments) -> Match:
    """Match a division, with or without rounding."""
    return Match("floor_divide" if args.get("rounding_mode") else "div", flat_tensors(args.values()))


def extremum(args: Arguments, *, kind: str) -> Match:
    """Match `max` and `min`: of two tensors element by element, or a reduction of one tensor."""
    operands = flat_tensors(args.values())
    return Match(kind if len(operands) > 1 else "reduce", operands)


def draw(args: Arguments) -> Match:
    """Match random numbers, which read the parameters of their distribution, and nothing that they overwrite."""
    return Match("random", flat_tensors([args.get(name) for name in ("mean", "std", "p")]))


def bernoulli(args: Arguments) -> Match:
    """Match random truth values; the tensor itself has the probabilities unless they are given."""
    return Match("random", flat_tensors([args.get("p", args.get("prob", args["self"]))]))
