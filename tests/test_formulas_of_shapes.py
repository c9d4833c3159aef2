"""Formulas of operators with several leading dimensions, sizes that all differ, or sizes of one and zero."""

from __future__ import annotations

from typing import Any

import pytest

from mbanalyze.ops.formulas import FORMULAS
from mbanalyze.ops.record import Op, Value

Shapes = tuple[tuple[int, ...], ...]

# ten matrices
TALL, WIDE, SQUARE, RIGHT = (5, 2, 4, 3), (5, 2, 3, 4), (5, 2, 3, 3), (5, 2, 3, 4)
THIN = {"vectors": "thin"}

# kind, shapes of the operands, shapes of the output, attributes, macs, flops
CASES: list[tuple[str, Shapes, Shapes, dict[str, Any], int, int]] = [
    # 3 x (1 + 2 x 2) + 2 x (1 + 2 x 1) + 1 x 1 = 22 for each matrix
    ("lu", (TALL,), (TALL,), {}, 0, 220),
    # 2 x (1 + 2 x 2) + 1 x (1 + 2 x 1) = 13, then 2 products; or 3 logarithms and 2 sums
    ("determinant", (SQUARE,), ((5, 2),), {}, 0, 10 * 15),
    ("determinant", (SQUARE,), ((5, 2), (5, 2)), {"logarithm": True}, 0, 10 * 18),
    ("determinant", ((1, 1),), ((),), {}, 0, 0),
    # 13, and 2 x 3 x 3 flops for each of 4 right-hand sides
    ("solve", (SQUARE, RIGHT), (RIGHT,), {}, 0, 10 * (13 + 4 * 18)),
    ("factored_solve", (SQUARE, RIGHT), (RIGHT,), {}, 0, 10 * 4 * 18),
    # 3 x 2 for products and differences, 3 divisions
    ("triangular_solve", (SQUARE, RIGHT), (RIGHT,), {}, 0, 10 * 4 * 9),
    ("triangular_solve", (SQUARE, RIGHT), (RIGHT,), {"unit": True}, 0, 10 * 4 * 6),
    ("inverse", (SQUARE,), (SQUARE,), {}, 0, 10 * 2 * 27),
    # 3 roots, 2 + 1 divisions, 3 + 1 updated elements of 2 flops; LDL has no roots
    ("cholesky", (SQUARE,), (SQUARE,), {}, 0, 10 * (3 + 3 + 8)),
    ("ldl", (SQUARE,), (SQUARE, (5, 2, 3)), {}, 0, 10 * (3 + 8)),
    ("cholesky_inverse", (SQUARE,), (SQUARE,), {}, 0, 10 * 18),
    # 2 x 9 x (4 - 1) = 54 for R, as much for Q, or 4 x (48 - 36 + 9) = 84 for all of it
    ("qr", (TALL,), (TALL, SQUARE), {"mode": "r"}, 0, 10 * 54),
    ("qr", (TALL,), (TALL, SQUARE), {"mode": "reduced"}, 0, 10 * 108),
    ("qr", (WIDE,), (SQUARE, WIDE), {"mode": "complete"}, 0, 10 * 138),
    # 4 x 24 - 2 x 7 x 4 + 4 / 3 x 8 = 50 2/3
    ("householder_product", (TALL, (5, 2, 2)), (TALL,), {}, 0, 10 * 50),
    ("householder_product", ((4, 3), (0,)), ((4, 3),), {}, 0, 0),
    # 4 x 4 x 2 - 2 x 4 = 24 for each of 3 columns
    ("householder_multiply", ((5, 2, 4, 2), (5, 2, 2), TALL), (TALL,), {}, 0, 10 * 3 * 24),
    ("householder_multiply", ((4, 0), (0,), (4, 3)), ((4, 3),), {}, 0, 0),
    ("householder_multiply", ((1, 1), (1,), (1, 3)), ((1, 3),), {}, 0, 3 * 2),
    # 54 for QR, then 4 x 12 - 2 x 9 + 9 = 39 for each of 7 columns
    ("least_squares", (TALL, (5, 2, 4, 7)), ((5, 2, 3, 7),), {}, 0, 10 * (54 + 7 * 39)),
    ("least_squares", ((1, 1), (1, 2)), ((1, 2),), {}, 0, 1 + 2 * 3),
    ("eigh", (SQUARE,), ((5, 2, 3),), {}, 0, 10 * 36),
    ("eigh", (SQUARE,), ((5, 2, 3), SQUARE), {"vectors": True}, 0, 10 * 9 * 27),
    ("eig", (SQUARE,), ((5, 2, 3),), {}, 0, 10 * 10 * 27),
    ("eig", (SQUARE,), ((5, 2, 3), SQUARE), {"vectors": True}, 0, 10 * 25 * 27),
    # 2 x 36 + 2 x 27; 6 x 36 + 20 x 27; 4 x 48 + 22 x 27
    ("svd", (TALL,), ((5, 2, 3),), {"vectors": "none"}, 0, 10 * 126),
    ("svd", (WIDE,), (SQUARE, (5, 2, 3), WIDE), THIN, 0, 10 * 756),
    ("svd", (TALL,), (SQUARE, (5, 2, 3), WIDE), {"vectors": "full"}, 0, 10 * 786),
    # 756, or 9 x 27; 3 divisions, 9 products, 2 x 4 x 9 or 2 x 27 to multiply
    ("pseudo_inverse", (TALL,), (WIDE,), {}, 0, 10 * (756 + 3 + 9 + 72)),
    ("pseudo_inverse", (SQUARE,), (SQUARE,), {"hermitian": True}, 0, 10 * (243 + 3 + 9 + 54)),
    # 7 x 5 targets are negated; weighted; averaged by the sum of their weights, or summed
    ("nll_loss", ((7, 4, 5), (7, 5), (4,)), ((),), {"reduction": "mean"}, 0, 35 * 4),
    ("nll_loss", ((7, 4, 5), (7, 5), (4,)), ((),), {"reduction": "sum"}, 0, 35 * 2 + 34),
    ("nll_loss", ((7, 4, 5), (7, 5), (4,)), ((7, 5),), {"reduction": "none"}, 0, 35 * 2),
    ("nll_loss", ((7, 4, 5), (7, 5)), ((),), {"reduction": "mean"}, 0, 35 * 2),
    # 7 x 4 classes of 4 flops; 7 divisions; a sum of 7
    ("multi_margin_loss", ((7, 4), (7,)), ((),), {"reduction": "sum"}, 0, 28 * 4 + 7 + 6),
    ("multi_margin_loss", ((7, 4), (7,), (4,)), ((7,),), {"square": 1}, 0, 28 * 6 + 7),
    # 9 steps of 2 x 7 states, or of one target's 7
    ("ctc_loss", ((9, 2, 5), (2, 3)), ((2,),), {}, 0, 13 * 9 * 14),
    ("ctc_loss", ((9, 2, 5), (6,), (2,)), ((2,),), {}, 0, 13 * 9 * 14),
    ("ctc_loss", ((9, 5), (3,)), ((),), {}, 0, 13 * 9 * 7),
    # 588 outputs of 18 products, a bias, 2 flops of an activation
    ("conv", ((2, 4, 9, 9), (6, 2, 3, 3), (6,)), ((2, 6, 7, 7),), {"activation": 2}, 10584, 21168 + 3 * 588),
    # 30 outputs of 4 products
    ("linear", ((2, 5, 4), (3, 4)), ((2, 5, 3),), {}, 120, 240),
    ("linear", ((2, 5, 4), (3, 4), (3,)), ((2, 5, 3),), {"activation": 4}, 120, 240 + 30 + 120),
    # 3 x 4 weights are unpacked by two flops each, and 28 outputs of 3 products have two scales
    ("matmul", ((7, 3), (3, 4)), ((7, 4),), {"unpacked": True, "scales": 2}, 84, 168 + 2 * 28 + 24),
    # 6 stored elements meet 3 vectors; 15 outputs are added, and two matrices scaled
    ("sparse_matmul", ((6,), (2, 6), (4, 3)), ((5, 3),), {"vectors": 3}, 18, 36),
    ("sparse_matmul", ((6,), (2, 6), (4, 3)), ((5, 3),), {"vectors": 3, "added": 1, "scales": 2}, 18, 36 + 45),
    ("sampled_matmul", ((6,), (2, 6), (5, 4), (4, 7)), ((6,),), {"length": 4, "added": 1, "scales": 2}, 24, 48 + 18),
    # 588 outputs of 18 products; 2 x 7 x 7 windows of 4 x 9 samples of 7 flops, a mask, a bias
    (
        "deform_conv", ((2, 4, 9, 9), (6, 2, 3, 3)), ((2, 6, 7, 7),), {"mask": 1, "bias": 1},
        10584, 21168 + 3528 * 8 + 588,
    ),
    ("deform_conv", ((2, 4, 9, 9), (1, 4, 3, 3)), ((2, 1, 7, 7),), {}, 3528, 7056 + 3528 * 7),
    ("deform_conv", ((2, 4, 9, 9), (0, 4, 3, 3)), ((2, 0, 7, 7),), {}, 0, 0),
    # 40 pairs of 3 steps: subtract, multiply, add, and a root; or absolute values, and a power
    ("distance", ((2, 4, 3), (2, 5, 3)), ((2, 4, 5),), {"order": "2"}, 120, 120 * 3 + 40),
    ("distance", ((2, 4, 3), (2, 5, 3)), ((2, 4, 5),), {"order": "inf"}, 0, 120 * 3),
    ("distance", ((2, 4, 3), (2, 5, 3)), ((2, 4, 5),), {"order": "3"}, 0, 120 * 4 + 40),
    # 120 coordinates of 3 products
    ("affine_grid", ((2, 2, 3),), ((2, 5, 6, 2),), {}, 360, 720),
    # 15 outputs: 2 x 4 products, then 2
    ("bilinear", ((5, 2), (5, 4), (3, 2, 4)), ((5, 3),), {}, 150, 300),
    ("bilinear", ((5, 2), (5, 4), (3, 2, 4), (3,)), ((5, 3),), {}, 150, 300 + 15),
    # b is summed to 2 of 6, d to 4 of 20; then 2 x 4 products
    ("einsum", ((2, 3), (4, 5)), ((2, 4),), {"equation": "ab,cd->ac"}, 0, 4 + 16 + 8),
    # 12 rows of 8 become 3: 9 additions and 12 products by a weight, a division for each bag
    ("embedding_bag", ((100, 8), (3, 4), (3, 4)), ((3, 8),), {"mode": "mean"}, 0, 8 * (9 + 12 + 3)),
    ("embedding_bag", ((100, 8), (3,)), ((3, 8),), {"mode": "max"}, 0, 0),
    ("embedding_renorm", ((100, 8), (3, 4)), ((100, 8),), {}, 0, 3 * 12 * 8),
    ("reduce", ((2, 3, 4),), ((2, 4),), {}, 0, 16),
    ("extremes", ((3, 4),), ((4,), (4,)), {}, 0, 2 * 8),
    ("extremes", ((1, 4),), ((4,), (4,)), {}, 0, 0),
    # 21 pairs of 13 flops; 7 areas of 3 flops, 3 comparisons to sort each
    ("non_maximum_suppression", ((7, 4), (7,)), ((7,),), {}, 0, 21 * 13 + 7 * 3 + 7 * 3),
    # 20 searches in rows of 7; in rows of 8
    ("search", ((2, 10), (2, 7)), ((2, 10),), {}, 0, 20 * 3),
    ("search", ((2, 10), (2, 8)), ((2, 10),), {}, 0, 20 * 4),
    # 12 tested elements are sorted, then searched for 10; one tested number
    ("is_in", ((10,), (3, 4)), ((10,),), {}, 0, 12 * 4 + 10 * 4),
    ("is_in", ((10,),), ((10,),), {}, 0, 10),
    # two flops a probability and the largest of them, or a sort; running sums and searches of 4 steps
    ("multinomial", ((3, 10),), ((3, 1),), {"draws": 1, "replacement": True}, 0, 30 * 3),
    ("multinomial", ((3, 10),), ((3, 2),), {"draws": 2, "replacement": False}, 0, 30 * 6),
    ("multinomial", ((3, 10),), ((3, 2),), {"draws": 2, "replacement": True}, 0, 60 + 6 * 5),
    ("multinomial", ((10,),), ((2,),), {"draws": 2, "replacement": True}, 0, 20 + 2 * 5),
    # 7 edges: 3 comparisons and an addition
    ("histogram", ((4, 5), (2, 7)), ((2, 6),), {}, 0, 20 * 4),
    # 5 flops, 5 halvings of 17; none of 1
    ("fft", ((17,),), ((17,),), {"times": 1, "length": 17}, 0, 5 * 17 * 5),
    ("fft", ((3, 16),), ((3, 9),), {"times": 3, "length": 16, "real": True}, 0, 5 * 48 * 4 // 2),
    ("fft", ((1,),), ((1,),), {"times": 1, "length": 1}, 0, 0),
    # 144 scores of 8 + 5 products; a scale, a softmax of 5, a mask
    (
        "attention", ((2, 3, 4, 8), (2, 3, 6, 8), (2, 3, 6, 5), (2, 3, 4, 6)), ((2, 3, 4, 5),), {},
        144 * 13, 144 * (26 + 7),
    ),
    # a projection to 2: 10 steps of 16 x 3, 16 x 2 and 2 x 4 weights; 32 biases; 4 units; dropout of 2 values
    (
        "lstm", ((5, 2, 3), (1, 2, 2), (1, 2, 4), (16, 3), (16, 2), (16,), (16,), (2, 4)), ((5, 2, 2),),
        {"states": 2, "layers": 1, "dropouts": 1}, 880, 1760 + 320 + 880 + 10 * 2 * 2,
    ),
    # windows of 3, 3 and 3 of 7 rows, and of 3 and 3 of 5 columns, in 2 channels
    ("adaptive_avg_pool", ((2, 7, 5),), ((2, 3, 2),), {"dims": 2}, 0, 2 * 9 * 6),
    ("adaptive_max_pool", ((2, 7, 5),), ((2, 3, 2), (2, 3, 2)), {"dims": 2}, 0, 2 * (9 * 6 - 6)),
    ("adaptive_max_pool", ((2, 3, 2),), ((2, 3, 2), (2, 3, 2)), {"dims": 2}, 0, 0),
    ("interpolate", ((2, 3),), ((2, 6),), {"taps": 2}, 0, 12 * 3),
    ("interpolate", ((2, 3),), ((2, 6),), {"taps": 1}, 0, 0),
    ("composite", ((2, 3),), ((2, 3),), {"flops": 18}, 0, 18),
    # 10 pairs of 13 flops, 5 boxes of 3 + 3, in each of 4 sets
    ("non_maximum_suppression", ((2, 5, 4),), ((9, 3),), {"boxes": 5, "sets": 4}, 0, 4 * (130 + 30)),
    # 3 heads of 4 side by side: 5 queries by 7 keys, of which 2 are in a cache; 6 flops per score and head, and a mask
    (
        "attention", ((5, 12), (5, 12), (5, 12)), ((5, 12),), {"heads": 3, "keys": 7, "added": 1},
        35 * 24, 2 * 35 * 24 + 35 * 3 * 7,
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "operands", "output", "attributes", "macs", "flops"),
    [pytest.param(*case, id=f"{number} {case[0]}") for number, case in enumerate(CASES)],
)
def test_by_hand(
    kind: str, operands: Shapes, output: Shapes, attributes: dict[str, Any], macs: int, flops: int
) -> None:
    """A formula gives the macs and flops of the arithmetic in the comment above the case."""
    read = tuple(Value("activation", number, shape) for number, shape in enumerate(operands))
    written = tuple(Value("activation", number, shape) for number, shape in enumerate(output, len(read)))
    op = Op("", kind, read, written, attributes=tuple(sorted(attributes.items())))

    assert (macs, flops) == FORMULAS[kind](op)
