"""The formulas of reductions, searches, lookups and transforms."""

from __future__ import annotations

from math import prod

from mbanalyze.ops.derivations import number
from mbanalyze.ops.record import Op


def comparisons(length: int) -> int:
    """Return the comparisons that place one of `length` elements in order: `ceil(log2 length)`."""
    return max(length - 1, 0).bit_length()


def mean(op: Op) -> tuple[int, int]:
    """The mean of `a` elements takes `a - 1` additions and one division: one flop per element read."""
    return 0, prod(op.operands[0].shape)


def embedding_bag(op: Op) -> tuple[int, int]:
    """A bag of `a` rows takes `a - 1` additions or comparisons per element.

    A mean takes one more flop per element, and weights of the rows take `a` more.
    The operator reads only the selected rows.
    """
    # [bags, k] = embedding_bag([m, k], [a], [a]?)
    _, indices, *weights = op.operands
    out = op.output[0]
    gathered = prod(indices.shape) * out.shape[-1]
    means = out.size if op.attribute("mode") == "mean" else 0
    return 0, max(gathered - out.size, 0) + gathered * len(weights) + means


def embedding_renorm(op: Op) -> tuple[int, int]:
    """Each selected row of `k` elements takes `3 k` flops: square, add, scale.

    The operator reads only the selected rows.
    """
    # [m, k] = embedding_renorm([m, k], [*])
    table, indices = op.operands
    return 0, 3 * prod(indices.shape) * table.shape[-1]


def reduction(op: Op) -> tuple[int, int]:
    """Reducing `a` elements to one takes `a - 1` operations: sum, product, maximum, minimum, argmax, argmin, any, all."""
    return 0, max(prod(op.operands[0].shape) - op.output[0].size, 0)


def extremes(op: Op) -> tuple[int, int]:
    """The minimum and the maximum of `a` elements take two reductions: `2 (a - 1)` comparisons."""
    return 0, 2 * max(prod(op.operands[0].shape) - op.output[0].size, 0)


def data_movement(_: Op) -> tuple[int, int]:
    """Elements move and nothing is computed."""
    return 0, 0


def lookup(_: Op) -> tuple[int, int]:
    """Nothing is computed. The operator reads only the selected elements; a learned table counts all of its parameters."""
    # [*, k] = embedding([m, k], [*])
    return 0, 0


def scatter_add(op: Op) -> tuple[int, int]:
    """Each element of the source takes one addition, product or comparison; the source is the last operand unless it is expanded.

    A mean divides each output element once more.
    """
    added = op.attribute("added") or op.operands[-1].size
    assert isinstance(added, int)
    return 0, added + (op.output[0].size if op.attribute("mean") else 0)


def sort(op: Op) -> tuple[int, int]:
    """Sorting `a` elements takes `a ceil(log2 a)` comparisons; selecting the largest few takes as many."""
    length = op.attribute("length")
    assert isinstance(length, int)
    return 0, prod(op.operands[0].shape) * comparisons(length)


def non_maximum_suppression(op: Op) -> tuple[int, int]:
    """Sort `n` boxes, then compare every pair, as if no box was suppressed.

    A pair takes 13 flops. They are the overlap (4 comparisons, 2 subtractions, 2 clamps, a product),
    the union (2), a quotient, and a comparison with the threshold. The area of a box takes 3.
    Each image and each class of a batch is one such set.
    """
    boxes = number(op, "boxes") or op.operands[0].shape[0]
    each = 13 * boxes * (boxes - 1) // 2 + boxes * (3 + comparisons(boxes))
    return 0, each * (1 if op.attribute("sets") is None else number(op, "sets"))


def searchsorted(op: Op) -> tuple[int, int]:
    """A binary search for one of the `a + 1` positions among `a` sorted elements takes `ceil(log2(a + 1))` comparisons."""
    return 0, op.output[0].size * op.operands[-1].shape[-1].bit_length()


def unique(op: Op) -> tuple[int, int]:
    """Sort `a` items, then compare each with its neighbour; consecutive items are not sorted.

    An item is one element, or a slice, whose elements are compared one by one.
    """
    items = number(op, "items")
    return 0, prod(op.operands[0].shape) * (1 + (comparisons(items) if op.attribute("sorted") else 0))


def is_in(op: Op) -> tuple[int, int]:
    """Sort the `a` elements of the second operand, then search for each element of the first one."""
    tested = op.operands[-1].size if len(op.operands) > 1 else 1
    return 0, tested * comparisons(tested) + op.output[0].size * tested.bit_length()


def multinomial(op: Op) -> tuple[int, int]:
    """A draw without replacement divides each probability by a random number and selects the largest.

    This takes two flops per probability, and then one comparison, or for several draws those of a sort.
    With replacement, a running sum is normalised (two flops), then each draw takes one flop and a binary search.
    """
    probabilities, draws = prod(op.operands[0].shape), number(op, "draws")
    length = op.operands[0].shape[-1]
    if draws > 1 and op.attribute("replacement"):
        return 0, 2 * probabilities + op.output[0].size * (1 + length.bit_length())
    return 0, probabilities * (2 + (1 if draws == 1 else comparisons(length)))


def histogram(op: Op) -> tuple[int, int]:
    """A binary search for one of the bins, of which the second operand has the edges, and one addition per element."""
    edges = op.operands[1].shape[-1]
    return 0, prod(op.operands[0].shape) * (edges.bit_length() + 1)


def fft(op: Op) -> tuple[int, int]:
    """A transform of `a` complex values takes `5 a ceil(log2 a)` flops; a transform of real values takes half.

    Source: Cooley and Tukey, An algorithm for the machine calculation of complex Fourier series, 1965.
    """
    times, length, real = op.attribute("times"), op.attribute("length"), op.attribute("real")
    assert isinstance(times, int)
    assert isinstance(length, int)
    return 0, 5 * times * length * max(length - 1, 0).bit_length() // (2 if real else 1)
