"""Matchers of loss functions."""

from __future__ import annotations

from mbanalyze.trace.matching.match import Match, Matcher
from mbanalyze.trace.schema import Arguments, flat_tensors

_REDUCTIONS = ("none", "mean", "sum")


def loss(kind: str) -> Matcher:
    """Return a matcher for a loss of a prediction and a target, with optional weights."""

    def rule(args: Arguments) -> Match:
        weight, positive = args.get("weight"), args.get("pos_weight")
        operands = flat_tensors([args["self"], args["target"], weight, positive])
        # a weight of the positive class takes three flops: multiply by the target, add, multiply
        weights = (weight is not None) + 3 * (positive is not None)
        return Match(kind, operands, {"reduction": _REDUCTIONS[args["reduction"]], "weights": weights})

    return rule


def nll_loss(args: Arguments) -> Match:
    """Match the negative log-likelihood of targets; the sum of their weights is for a backward pass."""
    operands = flat_tensors([args["self"], args["target"], args["weight"]])
    return Match("nll_loss", operands, {"reduction": _REDUCTIONS[args["reduction"]]}, 1)


def multi_margin_loss(args: Arguments) -> Match:
    """Match a hinge loss of several classes, which may be squared."""
    operands = flat_tensors([args["self"], args["target"], args["weight"]])
    square = int(args["p"] == 2)
    return Match(
        "multi_margin_loss", operands, {"reduction": _REDUCTIONS[args["reduction"]], "square": square}
    )


def ctc_loss(args: Arguments) -> Match:
    """Match a connectionist temporal classification; its table of states is for a backward pass."""
    return Match("ctc_loss", flat_tensors([args["log_probs"], args["targets"]]), {}, 1)


def distance(args: Arguments) -> Match | None:
    """Match the Euclidean norm of a difference; other norms have no formula."""
    operands = (args["self"], args["other"])
    return Match("norm_of_difference", operands) if args["p"] == 2 else None
