"""The rows of a report with merged operators: memory access as an inference engine moves it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from mbanalyze.ops.cost import total
from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import cost
from mbanalyze.peak_memory.fusion import FusedOp, fused
from mbanalyze.report.rows import Row

FUSED = "batch norm and activation are merged into the convolution or linear layer before them"
"""The note of a fused report."""


def fused_rows(rows: Sequence[Row], ops: Sequence[Op], outputs: Collection[int] | None) -> Iterator[Row]:
    """Return the rows with batch norms and activations merged into the product before them.

    A merged row is kept if the row of its product is among `rows`.

    Args:
        rows: the rows of the report, each of one operator of `ops`.
        ops: the record.
        outputs: the numbers of the activations that the network returns, as for `fused`.
    """
    known = {id(row.op): row for row in rows}
    for each in fused(ops, outputs):
        row = known.get(id(each.parts[0]))
        if row is not None:
            yield _merged(each) if len(each.parts) > 1 else row


def _merged(each: FusedOp) -> Row:
    """The row of a merged operator: the sums of its parts, but its own memory access."""
    moved, sums = cost(each.op), total([cost(part) for part in each.parts])
    op = each.op._replace(params=sums.params, frozen=sum(part.frozen for part in each.parts))
    return Row(
        op,
        sums._replace(
            reads=moved.reads, writes=moved.writes, fixed=moved.fixed, fixed_bytes=moved.fixed_bytes
        ),
        each.parts,
    )
