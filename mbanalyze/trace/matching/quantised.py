"""Matchers of products whose weights are packed in an object of PyTorch's quantised backends."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.trace.matching import sequence_layers
from mbanalyze.trace.matching.match import Match, Matcher
from mbanalyze.trace.schema import Arguments, Tensors, flat_tensors

_UNPACKED: dict[int, tuple[weakref.ref[Tensor], ...]] = {}
"""The address of a packed object -> its weight and bias, while someone holds them."""


def unpacked(packed: Any) -> Tensors:
    """Return the weight and the bias in a packed object, or the bias-free weight alone.

    The same tensors come back as long as the caller holds them, so that a trace recognises them.
    """
    address = hash(packed)
    found = tuple(reference() for reference in _UNPACKED.get(address, ()))
    tensors = flat_tensors(found)
    if tensors and len(tensors) == len(found):
        return tensors
    tensors = flat_tensors(packed.unpack())
    _UNPACKED[address] = tuple(weakref.ref(tensor) for tensor in tensors)
    return tensors


def product(kind: str, data: str, weight: str, *, activation: str = "", transposed: bool = False) -> Matcher:
    """Return a matcher for a quantised product.

    Args:
        kind: the kind of the product.
        data: the argument that holds the data.
        weight: the arguments that may hold the packed weight, separated by spaces.
        activation: the kind of the activation that follows, if any.
        transposed: True for a transposed convolution.
    """
    attributes: dict[str, int] = {"activation": ELEMENTWISE[activation].flops} if activation else {}
    if transposed:
        attributes["transposed"] = True
    names = weight.split()

    def rule(args: Arguments) -> Match:
        weight, *bias = unpacked(next(args[name] for name in names if name in args))
        if weight.dim() > args[data].dim() and kind == "conv":
            weight = weight.squeeze(2)  # the weight of one dimension is packed as one of two
        return Match(kind, (args[data], weight, *bias), attributes)

    return rule


def cell_tensors(cell: Any) -> Tensors:
    """The weights and biases in the packed parameters of one layer and direction, or the tensor itself."""
    if isinstance(cell, Tensor):
        return (cell,)
    found: list[Tensor] = []
    for part in cell.__getstate__()[0]:
        for item in part if isinstance(part, list) else ():
            found += [item] if isinstance(item, Tensor) else unpacked(item)[:1] if is_packed(item) else []
    return tuple(sorted(found, key=Tensor.dim, reverse=True))


def is_packed(item: object) -> bool:
    """Return True for an object that holds a packed weight and a bias."""
    return isinstance(item, torch.ScriptObject) and hasattr(item, "unpack")


def recurrent(args: Arguments, *, kind: str) -> Match:
    """Match a quantised LSTM or GRU, whose parameters are packed for each layer."""
    params = [tensor for cell in args["params"] for tensor in cell_tensors(cell)]
    return sequence_layers.recurrent({**args, "params": params}, kind=kind)


def recurrent_cell(args: Arguments, *, kind: str) -> Match:
    """Match one step of a quantised recurrent layer."""
    weights = {name: unpacked(args[name])[0] for name in ("w_ih", "w_hh")}
    biases = {name: args.get(name, args.get(f"bias{name[1:]}")) for name in ("b_ih", "b_hh")}
    return sequence_layers.recurrent_cell({**args, **weights, **biases}, kind=kind)


_LINEAR_ACTIVATIONS = {"": "", "_relu": "relu", "_leaky_relu": "leaky_relu", "_tanh": "tanh"}

QUANTISED: dict[str, Matcher] = {
    **{
        f"quantized::linear{suffix}": product("linear", "X", "W_prepack", activation=kind)
        for suffix, kind in _LINEAR_ACTIVATIONS.items()
    },
    **dict.fromkeys(
        ("quantized::linear_dynamic", "quantized::linear_dynamic_fp16"), product("linear", "X", "W_prepack")
    ),
    **dict.fromkeys(
        ("quantized::linear_relu_dynamic", "quantized::linear_relu_dynamic_fp16"),
        product("linear", "X", "W_prepack", activation="relu"),
    ),
    **{
        f"quantized::conv{d}d{suffix}": product("conv", "qx", "weight packed_weight", activation=kind)
        for d in (1, 2, 3)
        for suffix, kind in (("", ""), ("_relu", "relu"), ("_dynamic", ""))
    },
    **{
        f"quantized::conv_transpose{d}d{suffix}": product("conv", "qx", "packed_weight", transposed=True)
        for d in (1, 2, 3)
        for suffix in ("", "_dynamic")
    },
    **{f"quantized_{kind}": partial(recurrent, kind=kind) for kind in ("lstm", "gru")},
    **{
        f"quantized::quantized_{name}_cell_dynamic": partial(recurrent_cell, kind=kind)
        for name, kind in (("lstm", "lstm"), ("gru", "gru"), ("rnn_relu", "rnn"), ("rnn_tanh", "rnn"))
    },
}
"""Base name of an operator with packed weights -> its matcher."""
