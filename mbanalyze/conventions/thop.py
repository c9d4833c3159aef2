"""thop: modules of some exact classes; functions count nothing."""

from __future__ import annotations

from math import prod

from mbanalyze.conventions.convention import Convention, Rule
from mbanalyze.ops.calls import ModuleCall


def _conv(call: ModuleCall) -> int:
    return prod(call.outputs[0]) * prod(call.params["weight"][1:])


THOP = Convention(
    "thop",
    "thop",
    "thop",
    "0.1.1.post2209072238",
    classes={"nn.Conv2d": (Rule("output elements times weights of a filter", _conv),)},
)
