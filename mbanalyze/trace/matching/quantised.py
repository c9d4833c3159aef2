"""Matchers of operators whose weights are packed in an object of PyTorch's quantised backends."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.trace.matching import indexing, sequence_layers
from mbanalyze.trace.matching.match import Match, Matcher
from mbanalyze.trace.schema import Arguments, Tensors, flat_tensors
from mbanalyze.trace.torch_internals import script_type

_UNPACKED: dict[int, tuple[Any, tuple[weakref.ref[Tensor], ...]]] = {}
"""The address of a packed object -> the object, and its tensors, while someone holds the first of them.

The object stays alive as long, because another would be given its address.
"""


def unpacked(packed: Any) -> Tensors:
    """Return the weight and the bias in a packed object, or the bias-free weight alone.

    For a layer of a recurrent network these are two weights, and their biases.
    The same tensors come back as long as the caller holds them, so that a trace recognises them.
    There are none if the backend cannot unpack them: QNNPACK cannot for convolutions of volumes.
    """
    address = hash(packed)
    _, held = _UNPACKED.get(address, (None, ()))
    found = flat_tensors(reference() for reference in held)
    if found and len(found) == len(held):
        return found
    try:
        contents = packed.unpack() if hasattr(packed, "unpack") else _parts(packed)
    except RuntimeError:
        return ()
    tensors = tuple(tensor.detach() for tensor in flat_tensors((contents,)))  # no backend holds these

    def forget(dead: weakref.ref[Tensor]) -> None:
        if _UNPACKED.get(address, (None, (None,)))[1][0] is dead:
            del _UNPACKED[address]

    first, *others = tensors
    _UNPACKED[address] = packed, (weakref.ref(first, forget), *map(weakref.ref, others))
    return tensors


def _parts(cell: Any) -> Tensors:
    """The tensors in the packed parameters of one layer and direction, weights first.

    Some backends keep the biases a second time beside the packed weights.
    """
    items = [item for part in cell.__getstate__()[0] if isinstance(part, list) for item in part]
    packed = flat_tensors(item.unpack() for item in items if hasattr(item, "unpack"))
    return tuple(sorted(packed or flat_tensors(items), key=Tensor.dim, reverse=True))


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

    def rule(args: Arguments) -> Match | None:
        tensors = unpacked(next(args[name] for name in names if name in args))
        if not tensors:
            return None
        weight, *bias = tensors
        if weight.dim() > args[data].dim() and kind == "conv":
            weight = weight.squeeze(2)  # the weight of one dimension is packed as one of two
        return Match(kind, (args[data], weight, *bias), attributes)

    return rule


def conv_add(args: Arguments, *, activation: int) -> Match:
    """Match a quantised convolution whose outputs are added to an image, before an activation of as many flops."""
    weight, *bias = unpacked(args["packed_weight"])
    added = 1 if bias else 0  # the formula counts one flop for the first addend
    attributes = {"activation": added + activation} if added + activation else {}
    return Match("conv", (args["qx"], weight, *bias, args["qaccum"]), attributes)


def is_packed(item: object) -> bool:
    """Return True for an object that holds packed weights and biases."""
    return isinstance(item, torch.ScriptObject) and (hasattr(item, "unpack") or _is_cell(item))


def _is_cell(item: torch.ScriptObject) -> bool:
    """True for the packed parameters of one layer and direction of a recurrent network."""
    return script_type(item).endswith("CellParamsBase")


def recurrent(args: Arguments, *, kind: str) -> Match:
    """Match a quantised LSTM or GRU, whose parameters are packed for each layer."""
    cells = [(cell,) if isinstance(cell, Tensor) else unpacked(cell) for cell in args["params"]]
    params = [tensor for cell in cells for tensor in cell]
    return sequence_layers.recurrent({**args, "params": params}, kind=kind)


def recurrent_cell(args: Arguments, *, kind: str) -> Match:
    """Match one step of a quantised recurrent layer."""
    (w_ih, *b_ih), (w_hh, *b_hh) = (unpacked(args[name]) for name in ("w_ih", "w_hh"))
    return sequence_layers.recurrent_cell(
        {**args, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}, kind=kind
    )


def embedding(args: Arguments) -> Match:
    """Match a lookup in a packed table."""
    return Match("embedding", (unpacked(args["weight"])[0], args["indices"]))


def embedding_bag(args: Arguments) -> Match:
    """Match a lookup in a packed table, whose rows are reduced by bags."""
    return indexing.embedding_bag({**args, "weight": unpacked(args["weight"])[0]})


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
    "quantized::conv2d_add": partial(conv_add, activation=0),
    "quantized::conv2d_add_relu": partial(conv_add, activation=ELEMENTWISE["relu"].flops),
    **{f"quantized_{kind}": partial(recurrent, kind=kind) for kind in ("lstm", "gru")},
    **{
        f"quantized::quantized_{name}_cell_dynamic": partial(recurrent_cell, kind=kind)
        for name, kind in (("lstm", "lstm"), ("gru", "gru"), ("rnn_relu", "rnn"), ("rnn_tanh", "rnn"))
    },
    "quantized::embedding_byte": embedding,
    "quantized::embedding_bag_byte": embedding_bag,
}
"""Base name of an operator with packed weights -> its matcher."""
