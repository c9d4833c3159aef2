"""One quantity, counted by us and by a witness."""

from __future__ import annotations

from dataclasses import dataclass

from mbanalyze.ops.cost import PRODUCTS

CLOSED_FORM = "closed-form/trace"
"""The comparison of the operators of a known network."""
NOT_COUNTED = "fvcore does not count it"
"""The reason of a comparison that fvcore's side is missing from."""


@dataclass(frozen=True, slots=True)
class CheckedCount:
    """One quantity, counted by us and by a witness.

    Attributes:
        what: the witness and the kinds, such as `fvcore/conv`, `onnx/conv` or `params/numel`; or `closed-form/trace`.
        ours, theirs: the two counts; None if a side does not count it.
        agree: True if they are equal, or differ for a known reason; None if a side counted nothing.
        reason: the reason for a difference, or for nothing to compare; None if the counts are equal.
    """

    what: str
    ours: int | None
    theirs: int | None
    agree: bool | None
    reason: str | None = None

    @property
    def quantity(self) -> str:
        """The quantity: operators, params, macs of products, or flops of other kinds."""
        witness, _, kinds = self.what.partition("/")
        if not kinds:
            return "macs, flops"
        if witness not in ("fvcore", "onnx"):
            return "params" if witness == "params" else "operators"
        return "macs" if set(kinds.split("+")) <= PRODUCTS else "flops"
