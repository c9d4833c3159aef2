"""`Match`, the interpretation of one operator call, and the matcher for operators of a fixed kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor

from mbanalyze.ops.record import Attribute
from mbanalyze.trace.schema import Arguments, flat_tensors


class Match(NamedTuple):
    """The interpretation of one operator call.

    Attributes:
        kind: the kind of the `Op`.
        operands: the tensors that are read, in the order of the kind's own signature.
        attributes: the settings that its formula needs.
    """

    kind: str
    operands: tuple[Tensor, ...]
    attributes: Mapping[str, Attribute] = MappingProxyType({})


Matcher = Callable[[Arguments], Match | None]
"""A function from the arguments of a call to a match; None if the call has no formula."""


def fixed(kind: str, *names: str) -> Matcher:
    """Return a matcher for `kind` that reads the arguments `names`, by default every tensor argument."""

    def rule(args: Arguments) -> Match:
        return Match(kind, flat_tensors([args.get(name) for name in names or args]))

    return rule
