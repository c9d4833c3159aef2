"""The formulas of loss functions."""

from __future__ import annotations

from math import prod

from mbanalyze.ops.derivations import Formula, loss, number, reduced
from mbanalyze.ops.record import Op


def nll_loss(op: Op) -> tuple[int, int]:
    """Each target selects one log-probability and negates it, and a class weight takes one flop.

    A mean takes one flop more per target, and one for the sum of the weights; a sum of `a` targets takes `a - 1`.
    The operator reads only the selected elements.
    """
    # [] = nll_loss([n, c, *], [n, *], [c]?)
    targets = prod(op.operands[1].shape)
    weights = targets * (len(op.operands) - 2)
    mean = weights if op.attribute("reduction") == "mean" else 0
    return 0, targets + weights + mean + reduced(op, targets)


def multi_margin_loss(op: Op) -> tuple[int, int]:
    """Each class takes 4 flops (subtract, add a margin, compare with 0, sum), and one each for a square and a weight.

    Each sample takes one division. Then the losses of the samples are reduced.
    """
    # [] = multi_margin_loss([n, c], [n], [c]?)
    samples = prod(op.operands[1].shape)
    more = number(op, "square") + len(op.operands) - 2
    return 0, prod(op.operands[0].shape) * (4 + more) + samples + reduced(op, samples)


def ctc_loss(op: Op) -> tuple[int, int]:
    """Each of `2 s + 1` states of a target of length `s` takes 13 flops in each of `t` steps.

    They are the logarithm of a sum of three terms (2 comparisons, 3 subtractions, 3 exponentials, 2 additions,
    a logarithm, an addition), and the log-probability (1). Every sequence is counted in full length.

    Source: Graves et al., Connectionist temporal classification, ICML 2006, eq. 6 to 8.
    """
    # [n] = ctc_loss([t, n?, c], [n, s])
    scores, targets = op.operands[:2]
    samples = scores.shape[1] if len(scores.shape) > 2 else 1
    return 0, 13 * scores.shape[0] * (2 * prod(targets.shape) + samples)


LOSSES: dict[str, Formula] = {
    "mse_loss": loss(2, "subtract, square"),
    "smooth_l1_loss": loss(5, "subtract, abs, compare, square, scale", "arXiv:1504.08083 eq. 3"),
    "huber_loss": loss(5, "subtract, abs, compare, square, scale"),
    "bce_loss": loss(8, "log, multiply, subtract, subtract, log, multiply, sum, negate"),
    "bce_with_logits_loss": loss(8, "subtract, multiply, log_sigmoid, subtract"),
    "soft_margin_loss": loss(5, "multiply, negate, exp, increment, log"),
    "nll_loss": nll_loss,
    "multi_margin_loss": multi_margin_loss,
    "ctc_loss": ctc_loss,
}
"""Kind of loss -> its formula."""
