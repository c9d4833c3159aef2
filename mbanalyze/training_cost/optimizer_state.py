"""The bytes that an optimizer keeps for each parameter, and those of the gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from mbanalyze.inputs.choices import choose
from mbanalyze.ops.record import Op
from mbanalyze.training_cost.gradients import Key, key_of, needs
from mbanalyze.training_cost.storages import storage_sizes

Optimizer = Literal["none", "sgd", "momentum", "adam"]
"""The name of an optimizer; `none` is training without a step."""

OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
"""The names of the optimizers."""


class State(NamedTuple):
    """The state that an optimizer keeps.

    Attributes:
        copies: tensors of the size and type of each parameter.
        fixed_bytes: further bytes for each parameter, whatever its size.
    """

    copies: int = 0
    fixed_bytes: int = 0


STATES: Mapping[str, State] = {
    "none": State(),
    "sgd": State(),
    "momentum": State(1),  # the velocity
    "adam": State(2, 4),  # both moments, and the number of steps as a float32
}
"""Name of an optimizer -> its state, as `torch.optim` keeps it. A step measures the same: see `made_optimizers.py`."""


class Trainable(NamedTuple):
    """A parameter that receives a gradient.

    Attributes:
        size: its elements.
        itemsize: bytes of one element if fixed, or None to use the report's dtype.
    """

    size: int
    itemsize: int | None = None


def trainable(ops: Sequence[Op], frozen: Iterable[int] = ()) -> list[Trainable]:
    """Return the parameters that receive a gradient, each once, in order of their first use.

    Args:
        ops: the record, in order.
        frozen: the numbers of the weights that require no gradient.
    """
    sizes, found = _weight_sizes(ops), dict[Key, Trainable]()
    for op, needed in zip(ops, needs(ops, frozen), strict=True):
        for value, need in zip(op.operands, needed, strict=True):
            if need and value.role == "weight":
                found.setdefault(key_of(value), Trainable(sizes[key_of(value)], value.itemsize))
    return list(found.values())


def _weight_sizes(ops: Sequence[Op]) -> dict[Key, int]:
    """The elements of each weight: all that its first reader counts if it is the only one, else what is read."""
    sizes, seen = storage_sizes(ops), set[Key]()
    for op in ops:
        fresh = {key_of(value) for value in op.weights} - seen
        if len(fresh) == 1:
            sizes[next(iter(fresh))] = op.params
        seen |= fresh
    return sizes


def gradient_bytes(params: Iterable[Trainable], itemsize: int) -> int:
    """Return the bytes of the gradients of `params`, when an element takes `itemsize` bytes."""
    return sum(param.size * (param.itemsize or itemsize) for param in params)


def state_bytes(optimizer: str, params: Sequence[Trainable], itemsize: int) -> int:
    """Return the bytes that an optimizer keeps for `params` after its first step.

    Raises:
        ChoiceError: the optimizer is unknown.
    """
    choose("optimizer", optimizer, OPTIMIZERS)
    state = STATES[optimizer]
    return state.copies * gradient_bytes(params, itemsize) + state.fixed_bytes * len(params)
