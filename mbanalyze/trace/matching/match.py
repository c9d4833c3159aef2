"""`Match`, the interpretation of one operator call, and the matcher for operators of a fixed kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor

from mbanalyze.ops.record import Attribute
from mbanalyze.trace.schema import Arguments, flat_tensors

_NO_ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType({})


class Match(NamedTuple):
    """The interpretation of one operator call.

    Attributes:
        kind: the kind of the `Op`.
        operands: the tensors that are read, in the order of the kind's own signature.
        attributes: the settings that its formula needs.
        outputs: the number of outputs that are results; None if all are. The others are kept for a backward pass
            or report success, and their size may depend on the device.
    """

    kind: str
    operands: tuple[Tensor, ...]
    attributes: Mapping[str, Attribute] = _NO_ATTRIBUTES
    outputs: int | None = None


Matcher = Callable[[Arguments], Match | None]
"""A function from the arguments of a call to a match; None if the call has no formula."""


def fixed(kind: str, *names: str, outputs: int | None = None) -> Matcher:
    """Return a matcher for `kind` that reads the arguments `names`, by default every tensor argument."""

    def rule(args: Arguments) -> Match:
        return Match(kind, flat_tensors([args.get(name) for name in names or args]), _NO_ATTRIBUTES, outputs)

    return rule
