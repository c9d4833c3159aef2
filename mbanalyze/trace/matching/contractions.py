"""Matchers of attention, Einstein sums and recurrent layers."""

from __future__ import annotations

from torch import Tensor

from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.schema import Arguments, flat_tensors


def einsum(args: Arguments) -> Match:
    """Match an Einstein sum, with its equation in full."""
    operands = flat_tensors(args["tensors"])
    return Match("einsum", operands, {"equation": _full_equation(args["equation"], operands)})


def _full_equation(equation: str, operands: tuple[Tensor, ...]) -> str:
    """`equation` with an output, without spaces, and with a Greek letter for each dimension of an ellipsis."""
    terms, arrow, out = equation.replace(" ", "").partition("->")
    spare = [letter for letter in map(chr, range(0x3B1, 0x3CA)) if letter not in terms]
    inputs = terms.split(",")
    widest = 0
    for i, (term, operand) in enumerate(zip(inputs, operands, strict=True)):
        if "..." in term:
            extra = operand.dim() - (len(term) - 3)
            widest = max(widest, extra)
            inputs[i] = term.replace("...", "".join(spare[:extra][::-1]))
    ellipsis = "".join(spare[:widest][::-1])
    if not arrow:
        letters = "".join(inputs)
        once = sorted(x for x in set(letters) if letters.count(x) == 1 and x not in ellipsis)
        out = ellipsis + "".join(once)
    return f"{','.join(inputs)}->{out.replace('...', ellipsis)}"


def attention(args: Arguments) -> Match:
    """Match scaled dot-product attention, with or without a mask; its backends return values for a backward pass."""
    names = ("query", "key", "value", "attn_mask", "attn_bias")
    operands = flat_tensors([args.get(name) for name in names])
    return Match("attention", operands, {"dropout": True} if args.get("dropout_p") else {}, 1)


def recurrent(args: Arguments, *, kind: str) -> Match:
    """Match an LSTM, GRU or RNN on a padded or packed batch. Operands: data, states, weights."""
    data = args["input"] if "input" in args else args["data"]
    states, weights = flat_tensors([args["hx"]]), flat_tensors(args["params"])
    directions = 2 if args["bidirectional"] else 1
    attributes = {"states": len(states), "layers": args["num_layers"] * directions}
    if args["train"] and args["dropout"]:
        attributes["dropouts"] = (args["num_layers"] - 1) * directions
    return Match(kind, (data, *states, *weights), attributes)


def recurrent_cell(args: Arguments, *, kind: str) -> Match:
    """Match one step of a recurrent layer."""
    states = flat_tensors([args["hx"]])
    weights = flat_tensors([args[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh")])
    return Match(kind, (args["input"], *states, *weights), {"states": len(states), "layers": 1})
