"""`FORMULAS`, the formula of each kind of operator, and `COMPLEX_FORMULAS`, that of its complex numbers.

A formula returns only multiply-accumulates and flops; `registry.cost` derives all other counts from the record.
The docstring of a formula is its derivation, with its source; the comment below it is the operator's shape signature.
The documentation prints both for every kind.

Sizes by letter: `n` batch, `c` channels in, `k` channels out, `g` groups, `h w` height and width, `m` the summed dimension.
"""

from __future__ import annotations

from collections.abc import Mapping

from mbanalyze.ops import einsum, product_formulas, reduction_formulas, sequence_formulas, window_formulas
from mbanalyze.ops.complex_numbers import complex_formulas
from mbanalyze.ops.composite import composite
from mbanalyze.ops.derivations import Formula, normalisation, per_element, per_input_element
from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.ops.factorisation_formulas import FACTORISATIONS
from mbanalyze.ops.loss_formulas import LOSSES

GATHERS = frozenset({"embedding", "gather"})
"""Kinds that read only the selected elements of their first operand, as many as they write."""

DATA_MOVEMENT = (
    *("cat", "copy", "pad", "roll", "flip", "repeat", "where", "masked_fill", "triangle", "shuffle"),
    *("scatter", "unfold"),
)
"""Kinds that move elements and compute nothing."""

_NORMALISATION_STEPS = "mean, subtract, square, mean, scale"

FORMULAS: Mapping[str, Formula] = {
    "conv": product_formulas.conv,
    "linear": product_formulas.linear,
    "matmul": product_formulas.matmul,
    "sparse_matmul": product_formulas.sparse_matmul,
    "sampled_matmul": product_formulas.sampled_matmul,
    "attention": sequence_formulas.attention,
    "einsum": einsum.einsum,
    "bilinear": product_formulas.bilinear,
    "deform_conv": product_formulas.deform_conv,
    "distance": product_formulas.distance,
    "affine_grid": product_formulas.affine_grid,
    "embedding_bag": reduction_formulas.embedding_bag,
    **dict.fromkeys(sequence_formulas.RECURRENT_CELLS, sequence_formulas.recurrent),
    "batch_norm": per_element(2, "multiply, add", "arXiv:1502.03167 Algorithm 2; at inference"),
    "batch_norm_training": normalisation(5, _NORMALISATION_STEPS, "arXiv:1502.03167 Algorithm 1"),
    "layer_norm": normalisation(5, _NORMALISATION_STEPS, "arXiv:1607.06450"),
    "group_norm": normalisation(5, _NORMALISATION_STEPS, "arXiv:1803.08494"),
    "instance_norm": normalisation(5, _NORMALISATION_STEPS, "arXiv:1607.08022"),
    "rms_norm": normalisation(3, "square, mean, scale", "arXiv:1910.07467"),
    "weight_norm": per_element(4, "square, add, multiply by magnitude, divide by norm", "arXiv:1602.07868"),
    "renorm": per_input_element(3, "square, add, scale", "arXiv:1207.0580 section 2; slices of limited norm"),
    "embedding_renorm": reduction_formulas.embedding_renorm,
    "norm": per_input_element(2, "square, add"),
    "norm_of_difference": per_input_element(3, "subtract, square, add"),
    "var": per_input_element(4, "mean, subtract, square, mean"),
    "log_sum_exp": per_input_element(4, "compare, subtract, exp, sum"),
    "reduce": reduction_formulas.reduction,
    "segment_reduce": per_input_element(1, "one step of a reduction"),
    "extremes": reduction_formulas.extremes,
    "cumulate": per_input_element(1, "one step of a running sum or product"),
    "nonzero": per_input_element(1, "one comparison"),
    "equal": per_input_element(2, "compare, combine"),
    "all_close": per_input_element(7, "subtract, abs, abs, multiply, add, compare, combine"),
    "softmax": per_element(sequence_formulas.SOFTMAX_FLOPS, "compare, subtract, exp, sum, divide"),
    "log_softmax": per_element(sequence_formulas.SOFTMAX_FLOPS, "compare, subtract, exp, sum, subtract"),
    "glu": per_element(5, "sigmoid, multiply", "arXiv:1612.08083"),
    **LOSSES,
    "interpolate": window_formulas.interpolate,
    "grid_sample": window_formulas.interpolate,
    "roi_align": window_formulas.interpolate,
    "sort": reduction_formulas.sort,
    "unique": reduction_formulas.unique,
    "is_in": reduction_formulas.is_in,
    "non_maximum_suppression": reduction_formulas.non_maximum_suppression,
    "search": reduction_formulas.searchsorted,
    "count": per_input_element(1, "one addition to a bin"),
    "fixed_histogram": per_input_element(6, "compare, compare, subtract, divide, multiply, increment"),
    "histogram": reduction_formulas.histogram,
    "multinomial": reduction_formulas.multinomial,
    "fft": reduction_formulas.fft,
    "scatter_add": reduction_formulas.scatter_add,
    "adaptive_max_pool": window_formulas.adaptive_max_pool,
    "random": per_element(1, "one draw"),
    "sequence": per_element(1, "one step of a sequence"),
    "max_pool": window_formulas.max_pool,
    "avg_pool": window_formulas.avg_pool,
    "global_avg_pool": reduction_formulas.mean,
    "mean": reduction_formulas.mean,
    "adaptive_avg_pool": window_formulas.adaptive_avg_pool,
    "composite": composite,
    **FACTORISATIONS,
    **dict.fromkeys(DATA_MOVEMENT, reduction_formulas.data_movement),
    **dict.fromkeys(sorted(GATHERS), reduction_formulas.lookup),
    **{kind: per_element(*derivation) for kind, derivation in ELEMENTWISE.items()},
}
"""Kind of operator -> its formula. Counts of any other kind are unknown, never zero."""

COMPLEX_FORMULAS: Mapping[str, Formula] = complex_formulas(FORMULAS, (*DATA_MOVEMENT, *GATHERS, "fft"))
"""Kind of operator -> its formula if it reads or writes complex numbers."""
