"""Rules of calls of recurrent modules and cells that several conventions share."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from mbanalyze.conventions.call_rules import first_input, number
from mbanalyze.conventions.convention import Rule
from mbanalyze.ops.calls import ModuleCall

_GATES = {"RNN": 1, "GRU": 7, "LSTM": 10}
"""Additions and products of gates for each element of the hidden state, without those of the biases."""


def steps(call: ModuleCall) -> int:
    """Return the steps of all sequences, twice for two directions; a cell takes one step of each."""
    if call.type.endswith("Cell"):
        return prod(first_input(call)[:-1])
    return prod(first_input(call)[:-1]) * (2 if call.settings["bidirectional"] else 1)


def forward_params(call: ModuleCall, name: str) -> Iterator[int]:
    """Yield the elements of each parameter whose name begins so, for one direction."""
    for full, shape in call.params.items():
        if full.startswith(name) and not full.endswith("_reverse"):
            yield prod(shape)


def _products(call: ModuleCall) -> int:
    """`t n` steps of weights `g c` and `g h`: t n g (c + h)."""
    return steps(call) * (sum(forward_params(call, "weight_ih")) + sum(forward_params(call, "weight_hh")))


def _biases(call: ModuleCall) -> int:
    return steps(call) * sum(forward_params(call, "bias"))


def _gates(call: ModuleCall) -> int:
    layers = 1 if call.type.endswith("Cell") else number(call, "num_layers")
    return (
        steps(call)
        * layers
        * number(call, "hidden_size")
        * _GATES[call.type.removeprefix("nn.").removesuffix("Cell")]
    )


def _unbatched(call: ModuleCall) -> int:
    """One sequence of `t c` is taken for c sequences."""
    first = first_input(call)
    others = first[-1] - 1 if len(first) == 2 and not call.type.endswith("Cell") else 0
    return others * (_products(call) + _biases(call) + _gates(call))


RECURRENT: Rule[ModuleCall] = Rule("1 for each weight and step", _products)
"""The products of the input and of the state with their weights."""
BIASES: Rule[ModuleCall] = Rule("1 for each bias and step", _biases, claims=False)
"""The additions of the biases."""
GATES: Rule[ModuleCall] = Rule("additions and products of gates", _gates, claims=False)
"""Additions and products of gates: for each hidden element 1 in RNN, 7 in GRU, 10 in LSTM."""
UNBATCHED: Rule[ModuleCall] = Rule(
    "features of a single sequence taken for sequences", _unbatched, claims=False
)
"""The amounts for a batch that is not there."""
