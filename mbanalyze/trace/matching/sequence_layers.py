"""Matchers of attention and recurrent layers."""

from __future__ import annotations

from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.schema import Arguments, flat_tensors


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
