"""The formula of each kind of operator, and `FORMULAS`, the table of them.

A formula returns only multiply-accumulates and flops; `registry.cost` derives all other counts from the record.
The docstring of a formula is its derivation, with its source; the comment below it is the operator's shape signature.
The documentation prints both for every kind.

Sizes by letter: `n` batch, `c` channels in, `k` channels out, `g` groups, `h w` height and width, `m` the summed dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.ops.record import Op

Formula = Callable[[Op], tuple[int, int]]


def conv(op: Op) -> tuple[int, int]:
    """Each output element sums its window over the `c/g` channels of its group, plus one flop for a bias.

    Padding is multiplied like any other input.
    A transposed convolution spreads each input element over a window of `k/g` channels.
    Its formula includes the outputs that padding crops.

    Source: MobileNets (arXiv:1704.04861) eq. 2; groups: ShuffleNet V2 (arXiv:1807.11164) section 2.
    """
    # [n, k, *out] = conv([n, c, *in], [k, c/g, *kernel], [k]?)
    # [n, k, *out] = transposed([n, c, *in], [c, k/g, *kernel], [k]?)
    image, weight, *bias = op.operands
    (out,) = op.output
    positions = image if op.attribute("transposed") else out
    macs = prod(positions.shape) * prod(weight.shape[1:])
    return macs, 2 * macs + (out.size if bias else 0)


def linear(op: Op) -> tuple[int, int]:
    """Each output element takes `m` multiply-accumulates, plus one flop for a bias."""
    # [*, k] = linear([*, m], [k, m], [k]?)
    _, weight, *bias = op.operands
    (out,) = op.output
    macs = out.size * weight.shape[-1]
    return macs, 2 * macs + (out.size if bias else 0)


def matmul(op: Op) -> tuple[int, int]:
    """Each output element is an inner product of length `m`, plus one flop for an added matrix and one per scale."""
    # [*, n, k] = matmul([*, n, m], [*, m, k], [*, n, k]?)
    left, _, *added = op.operands
    (out,) = op.output
    macs = out.size * left.shape[-1]
    scales = op.attribute("scales") or 0
    assert isinstance(scales, int)
    return macs, 2 * macs + out.size * (len(added) + scales)


def max_pool(op: Op) -> tuple[int, int]:
    """A window of `a` elements takes `a - 1` comparisons."""
    # [n, c, *out] = max_pool([n, c, *in])
    window = op.attribute("kernel")
    assert isinstance(window, tuple)
    return 0, op.output[0].size * (prod(window) - 1)


def avg_pool(op: Op) -> tuple[int, int]:
    """A window of `a` elements takes `a - 1` additions and one division."""
    # [n, c, *out] = avg_pool([n, c, *in])
    window = op.attribute("kernel")
    assert isinstance(window, tuple)
    return 0, op.output[0].size * prod(window)


def mean(op: Op) -> tuple[int, int]:
    """The mean of `a` elements takes `a - 1` additions and one division: one flop per element read."""
    return 0, prod(op.operands[0].shape)


def _adaptive_window_elements(op: Op) -> int:
    """The number of elements in all windows of an adaptive pooling."""
    dims = op.attribute("dims")
    assert isinstance(dims, int)
    image, out = op.operands[0].shape, op.output[0].shape
    elements = prod(out[:-dims])
    for h, o in zip(image[-dims:], out[-dims:], strict=True):
        elements *= sum(-((i + 1) * h // -o) - i * h // o for i in range(o))
    return elements


def adaptive_avg_pool(op: Op) -> tuple[int, int]:
    """A window of `a` elements takes `a - 1` additions and one division.

    Windows may overlap: output `i` of `o` averages inputs `floor(i h / o)` up to `ceil((i + 1) h / o)`.
    """
    # [*, *out] = adaptive([*, *in])
    return 0, _adaptive_window_elements(op)


def adaptive_max_pool(op: Op) -> tuple[int, int]:
    """A window of `a` elements takes `a - 1` comparisons; the windows are those of `adaptive_avg_pool`."""
    # [*, *out] = adaptive([*, *in])
    return 0, _adaptive_window_elements(op) - op.output[0].size


def _documented(formula: Formula, flops: str, steps: str, source: str) -> Formula:
    """The formula, with a docstring made of its flops, steps and source."""
    formula.__doc__ = f"{flops}: {steps}." + (f"\n\nSource: {source}." if source else "")
    return formula


def per_element(flops: int, steps: str, source: str = "") -> Formula:
    """Return a formula of `flops` per output element, which `steps` lists."""

    def formula(op: Op) -> tuple[int, int]:
        return 0, flops * op.output[0].size

    return _documented(formula, f"{flops} per element", steps, source)


def per_input_element(flops: int, steps: str, source: str = "") -> Formula:
    """Return a formula of `flops` per element of the first operand, which `steps` lists."""

    def formula(op: Op) -> tuple[int, int]:
        return 0, flops * prod(op.operands[0].shape)

    return _documented(formula, f"{flops} per input element", steps, source)


def normalisation(flops: int, steps: str, source: str) -> Formula:
    """Return a formula of `flops` per output element, plus one each for a scale and a shift.

    It ignores operations that run once per group of elements, such as the root of its variance.
    """

    def formula(op: Op) -> tuple[int, int]:
        affine = op.attribute("affine")
        assert isinstance(affine, int)
        return 0, (flops + affine) * op.output[0].size

    return _documented(formula, f"{flops} per element, plus 1 each for scale and shift", steps, source)


def attention(op: Op) -> tuple[int, int]:
    """Two matrix products (queries by keys, weights by values), plus a scale and a softmax of each score.

    A causal mask saves nothing, because the definition computes the masked scores.
    An added mask takes one flop per score, and dropout of the scores two.
    Each head multiplies its keys and values, even if several heads share them.

    Source: Attention Is All You Need (arXiv:1706.03762) eq. 1.
    """
    # [*, l, v] = attention([*, l, e], [*, s, e], [*, s, v], [*, l, s]?)
    query, key, value, *mask = op.operands
    scores = prod(op.output[0].shape[:-1]) * key.shape[-2]
    macs = scores * (query.shape[-1] + value.shape[-1])
    dropout = ELEMENTWISE["dropout"].flops if op.attribute("dropout") else 0
    return macs, 2 * macs + scores * (1 + SOFTMAX_FLOPS + len(mask) + dropout)


def einsum(op: Op) -> tuple[int, int]:
    """Contract the operands pairwise from the left: one multiply-accumulate per combination of the pair's indices.

    A pair that sums over no index takes one multiplication per combination, and no multiply-accumulates.
    A single operand takes only the additions of its sum.
    """
    equation = op.attribute("equation")
    assert isinstance(equation, str)
    operands, _, out = equation.partition("->")
    terms = operands.split(",")
    sizes = {
        index: size
        for term, value in zip(terms, op.operands, strict=True)
        for index, size in zip(term, value.shape, strict=True)
        if size != 1
    }
    macs = flops = 0
    left = set(terms[0])
    for i, term in enumerate(terms[1:], 1):
        indices = left.union(term)
        remaining = indices & set("".join(terms[i + 1 :]) + out)
        combinations = prod(sizes.get(index, 1) for index in indices)
        macs += combinations if remaining < indices else 0
        flops += 2 * combinations if remaining < indices else combinations
        left = remaining
    if len(terms) == 1:
        flops = prod(sizes.get(index, 1) for index in left) - op.output[0].size
    return macs, flops


RECURRENT_CELLS = {"lstm": (4, 22), "gru": (3, 17), "rnn": (1, 2)}
"""Recurrent kind -> its gates, and the elementwise flops of one hidden unit in one step."""


def recurrent(op: Op) -> tuple[int, int]:
    """Each step of each sequence multiplies every weight once, plus one flop per bias and the flops of each hidden unit.

    `lstm`, 22 per unit: add both products at each gate (4), three sigmoids (12), two tanh, four for cell and output.
    `gru`, 17 per unit: add both products at each gate (3), two sigmoids (8), tanh, reset (1), four to mix.
    `rnn`, 2 per unit: add both products, tanh or ReLU.
    In training, dropout between layers takes two flops per element.

    Source: the equations in PyTorch's documentation of `nn.LSTM`, `nn.GRU` and `nn.RNN`.
    """
    # [t, n, d h] = lstm([t, n, c], states..., ([g h, c], [g h, h], [g h]?, [g h]?, [p, h]?) x layers d)
    gates, unit_flops = RECURRENT_CELLS[op.kind]
    states, layers, dropouts = (op.attribute(name) or 0 for name in ("states", "layers", "dropouts"))
    assert isinstance(states, int)
    assert isinstance(layers, int)
    assert isinstance(dropouts, int)
    steps = prod(op.operands[0].shape[:-1])
    weights = [value.shape for value in op.operands[1 + states :]]
    macs = steps * sum(prod(shape) for shape in weights if len(shape) > 1)
    biases = steps * sum(prod(shape) for shape in weights if len(shape) == 1)
    units = unit_flops * steps * layers * (weights[0][0] // gates)
    dropped = ELEMENTWISE["dropout"].flops * steps * dropouts * op.operands[1].shape[-1]
    return macs, 2 * macs + biases + units + dropped


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
    return 0, gathered * (1 + len(weights)) - out.size + means


def reduction(op: Op) -> tuple[int, int]:
    """Reducing `a` elements to one takes `a - 1` operations: sum, product, maximum, minimum, argmax, argmin, any, all."""
    return 0, prod(op.operands[0].shape) - op.output[0].size


def extremes(op: Op) -> tuple[int, int]:
    """The minimum and the maximum of `a` elements take two reductions: `2 (a - 1)` comparisons."""
    return 0, 2 * (prod(op.operands[0].shape) - op.output[0].size)


def data_movement(_: Op) -> tuple[int, int]:
    """Elements move and nothing is computed."""
    return 0, 0


def lookup(_: Op) -> tuple[int, int]:
    """Nothing is computed. The operator reads only the selected elements; a learned table counts all of its parameters."""
    # [*, k] = embedding([m, k], [*])
    return 0, 0


def scatter_add(op: Op) -> tuple[int, int]:
    """Each element of the source takes one addition; the source is the last operand unless it is expanded."""
    added = op.attribute("added") or op.operands[-1].size
    assert isinstance(added, int)
    return 0, added


def interpolate(op: Op) -> tuple[int, int]:
    """A weighted sum of `t` neighbours takes `t` multiplications and `t - 1` additions; copying the nearest takes none.

    Linear interpolation has 2 neighbours, bilinear 4, trilinear 8 and bicubic 16.
    Antialiasing multiplies them by the factor by which each side shrinks.
    `roi_align` has 4 for each sampling point.
    """
    taps = op.attribute("taps")
    assert isinstance(taps, int)
    return 0, op.output[0].size * (2 * taps - 1 if taps > 1 else 0)


def sort(op: Op) -> tuple[int, int]:
    """Sorting `a` elements takes `a ceil(log2 a)` comparisons; selecting the largest few takes as many."""
    length = op.attribute("length")
    assert isinstance(length, int)
    return 0, prod(op.operands[0].shape) * max(length - 1, 0).bit_length()


def non_maximum_suppression(op: Op) -> tuple[int, int]:
    """Sort `n` boxes, then compare every pair, as if no box was suppressed.

    A pair takes 13 flops. They are the overlap (4 comparisons, 2 subtractions, 2 clamps, a product),
    the union (2), a quotient, and a comparison with the threshold. The area of a box takes 3.
    """
    boxes = op.operands[0].shape[0]
    return 0, 13 * boxes * (boxes - 1) // 2 + boxes * (3 + max(boxes - 1, 0).bit_length())


def searchsorted(op: Op) -> tuple[int, int]:
    """A binary search for one of the `a + 1` positions among `a` sorted elements takes `ceil(log2(a + 1))` comparisons."""
    return 0, op.output[0].size * op.operands[-1].shape[-1].bit_length()


def fft(op: Op) -> tuple[int, int]:
    """A transform of `a` complex values takes `5 a ceil(log2 a)` flops; a transform of real values takes half.

    Source: Cooley and Tukey, An algorithm for the machine calculation of complex Fourier series, 1965.
    """
    times, length, real = op.attribute("times"), op.attribute("length"), op.attribute("real")
    assert isinstance(times, int)
    assert isinstance(length, int)
    return 0, 5 * times * length * max(length - 1, 0).bit_length() // (2 if real else 1)


def bilinear(op: Op) -> tuple[int, int]:
    """Each output element is `x1 W x2`: first `W x2`, then its inner product with `x1`, plus one flop for a bias."""
    # [*, k] = bilinear([*, i], [*, j], [k, i, j], [k]?)
    weight, *bias = op.operands[2:]
    (out,) = op.output
    _, i, j = weight.shape
    macs = out.size * (i * j + i)
    return macs, 2 * macs + (out.size if bias else 0)


SOFTMAX_FLOPS = 5
"""Flops of a softmax per element."""

GATHERS = frozenset({"embedding", "gather"})
"""Kinds that read only the selected elements of their first operand, as many as they write."""

DATA_MOVEMENT = (
    *("cat", "copy", "pad", "roll", "flip", "repeat", "where", "masked_fill", "triangle", "shuffle"),
    *("scatter", "unfold"),
)
"""Kinds that move elements and compute nothing."""

_NORMALISATION_STEPS = "mean, subtract, square, mean, scale"

FORMULAS: Mapping[str, Formula] = {
    "conv": conv,
    "linear": linear,
    "matmul": matmul,
    "attention": attention,
    "einsum": einsum,
    "bilinear": bilinear,
    "embedding_bag": embedding_bag,
    **dict.fromkeys(RECURRENT_CELLS, recurrent),
    "batch_norm": per_element(2, "multiply, add", "arXiv:1502.03167 Algorithm 2; at inference"),
    "batch_norm_training": normalisation(5, _NORMALISATION_STEPS, "arXiv:1502.03167 Algorithm 1"),
    "layer_norm": normalisation(5, _NORMALISATION_STEPS, "arXiv:1607.06450"),
    "group_norm": normalisation(5, _NORMALISATION_STEPS, "arXiv:1803.08494"),
    "instance_norm": normalisation(5, _NORMALISATION_STEPS, "arXiv:1607.08022"),
    "rms_norm": normalisation(3, "square, mean, scale", "arXiv:1910.07467"),
    "weight_norm": per_element(4, "square, add, multiply by magnitude, divide by norm", "arXiv:1602.07868"),
    "norm": per_input_element(2, "square, add"),
    "var": per_input_element(4, "mean, subtract, square, mean"),
    "log_sum_exp": per_input_element(4, "compare, subtract, exp, sum"),
    "reduce": reduction,
    "extremes": extremes,
    "cumulate": per_input_element(1, "one step of a running sum or product"),
    "nonzero": per_input_element(1, "one comparison"),
    "softmax": per_element(SOFTMAX_FLOPS, "compare, subtract, exp, sum, divide"),
    "log_softmax": per_element(SOFTMAX_FLOPS, "compare, subtract, exp, sum, subtract"),
    "glu": per_element(5, "sigmoid, multiply", "arXiv:1612.08083"),
    "interpolate": interpolate,
    "grid_sample": interpolate,
    "roi_align": interpolate,
    "sort": sort,
    "non_maximum_suppression": non_maximum_suppression,
    "search": searchsorted,
    "fft": fft,
    "scatter_add": scatter_add,
    "adaptive_max_pool": adaptive_max_pool,
    "random": per_element(1, "one draw"),
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_avg_pool": mean,
    "mean": mean,
    "adaptive_avg_pool": adaptive_avg_pool,
    **dict.fromkeys(DATA_MOVEMENT, data_movement),
    **dict.fromkeys(sorted(GATHERS), lookup),
    **{kind: per_element(*derivation) for kind, derivation in ELEMENTWISE.items()},
}
"""Kind of operator -> its formula. Counts of any other kind are unknown, never zero."""
