"""torchinfo: parameters of modules without children, for each image and output place; functions count nothing.

Each call counts, also of a module that is called twice. There is no table of classes: a parameter counts by its name.
The word "Conv" in the name of a class makes it a convolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from mbanalyze.conventions.convention import Amount, Convention, ConventionError, Record
from mbanalyze.ops.calls import ModuleCall

_SCRIPTED = "torch.jit."
"""Modules of TorchScript run without hooks."""

_OFTEN = {1: "times the first output size", 2: "once for each image"}
"""The number of output sizes -> how often a parameter counts that is not that of a convolution."""


def _entries(call: ModuleCall) -> Iterator[tuple[str, int]]:
    """The parameters as torchinfo names them, and their elements, of which a pruned one counts those that are kept."""
    for name, sizes in call.params.items():
        if not name.endswith("_orig") or name not in call.kept:
            yield name, prod(sizes)
            continue
        kept = call.kept[name]
        if kept is None:
            raise ConventionError(
                f"{call.path}.{name}: torchinfo adds up a mask that has no values: give it data"
            )
        yield name.removesuffix("_orig"), kept


def _times(call: ModuleCall, name: str) -> tuple[str, int]:
    """The number of times that a parameter of a name counts, with the words for it."""
    sizes = call.outputs[0] if call.outputs else ()
    if name not in ("weight", "bias"):
        return "times the first two output sizes", prod(sizes[:2])
    if "Conv" in call.type.rpartition(".")[2]:
        return "once for each image and output place", prod(sizes[:1] + sizes[2:])
    return _OFTEN.get(len(sizes), "once for each image, not for each token or place"), prod(sizes[:1])


def _params(record: Record) -> Iterator[Amount]:
    """The amount of each parameter of each call; weights stand for the macs, biases are beside them."""
    for call in record.modules:
        if not call.is_leaf or call.type.startswith(_SCRIPTED):
            continue
        for name, elements in _entries(call):
            part = next((part for part in ("weight", "bias") if part in name), None)
            if part:
                often, times = _times(call, name)
                what = f"{call.type}: each {part} {often}"
                yield Amount(what, elements * times, call.first, call.last, claims=part == "weight")


TORCHINFO = Convention("torchinfo", "torchinfo", "torchinfo", "1.8.0", record_rules=(_params,))
