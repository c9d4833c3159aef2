"""What one operator costs: a formula per kind, gathered in `ARITHMETIC`, and `cost(op)`.

A formula returns only multiply-accumulates and flops. Parameters, reads and writes follow from the
record, so that no formula can forget them. Sizes by letter: `n` batch,
`c` channels in, `k` channels out, `g` groups, `h w` height and width, `m` the summed dimension.

The docstring of a formula is its derivation, and names its source; the comment below it is the operator's
shape signature. The documentation shows both, for every kind, as they stand here.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from mbanalyze.ops.elementwise import ELEMENTWISE, STEPS
from mbanalyze.ops.record import Op

Formula = Callable[[Op], tuple[int, int]]


def conv(op: Op) -> tuple[int, int]:
    """Each output element sums its window over the `c/g` channels of its group; one flop more for a bias.

    Padding is multiplied like any other input. Transposed, each input element is spread over a window of `k/g`
    channels, and what padding crops from the output was computed.

    Source: MobileNets (arXiv:1704.04861) eq. 2; groups: ShuffleNet V2 (arXiv:1807.11164) section 2.
    """
    # [n, k, *out] = conv([n, c, *in], [k, c/g, *kernel], [k]?)
    # [n, k, *out] = transposed([n, c, *in], [c, k/g, *kernel], [k]?)
    image, weight, *bias = op.operands
    (out,) = op.output
    swept = image if op.attribute("transposed") else out
    macs = prod(swept.shape) * prod(weight.shape[1:])
    return macs, 2 * macs + (out.size if bias else 0)


def linear(op: Op) -> tuple[int, int]:
    """Each output element sums `m` features: as many multiply-accumulates, and one flop more for a bias."""
    # [*, k] = linear([*, m], [k, m], [k]?)
    _, weight, *bias = op.operands
    (out,) = op.output
    macs = out.size * weight.shape[-1]
    return macs, 2 * macs + (out.size if bias else 0)


def matmul(op: Op) -> tuple[int, int]:
    """Each output element is an inner product of length `m`; one flop more for an added matrix, and for each scale."""
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
    """Averaging `a` elements takes `a - 1` additions and one division: one flop for every element read."""
    return 0, prod(op.operands[0].shape)


def _windows(op: Op) -> int:
    """Elements in all windows of an adaptive pooling."""
    dims = op.attribute("dims")
    assert isinstance(dims, int)
    image, out = op.operands[0].shape, op.output[0].shape
    elements = prod(out[:-dims])
    for h, o in zip(image[-dims:], out[-dims:], strict=True):
        elements *= sum(-((i + 1) * h // -o) - i * h // o for i in range(o))
    return elements


def adaptive_avg_pool(op: Op) -> tuple[int, int]:
    """A window of `a` elements takes `a - 1` additions and one division; windows may overlap.

    Output `i` of `o` averages inputs `floor(i h / o)` up to `ceil((i + 1) h / o)`.
    """
    # [*, *out] = adaptive([*, *in])
    return 0, _windows(op)


def adaptive_max_pool(op: Op) -> tuple[int, int]:
    """A window of `a` elements takes `a - 1` comparisons; the windows are those of `adaptive_avg_pool`."""
    # [*, *out] = adaptive([*, *in])
    return 0, _windows(op) - op.output[0].size


def _derived(formula: Formula, what: str, steps: str, source: str) -> Formula:
    """A formula of so many flops of `what`, with its derivation as its docstring."""
    formula.__doc__ = f"{what}: {steps}." + (f"\n\nSource: {source}." if source else "")
    return formula


def per_element(flops: int, steps: str, source: str = "") -> Formula:
    """A formula of `flops` for every output element, which `steps` lists."""

    def formula(op: Op) -> tuple[int, int]:
        return 0, flops * op.output[0].size

    return _derived(formula, f"{flops} an element", steps, source)


def attention(op: Op) -> tuple[int, int]:
    """Two products, queries with keys and weights with values; a scale and a softmax of every score.

    A causal mask saves nothing: the definition computes what it hides. One flop more a score where a mask
    is added, and two where scores are dropped. Keys and values that serve several heads are multiplied for each of them.

    Source: Attention Is All You Need (arXiv:1706.03762) eq. 1.
    """
    # [*, l, v] = attention([*, l, e], [*, s, e], [*, s, v], [*, l, s]?)
    query, key, value, *mask = op.operands
    scores = prod(op.output[0].shape[:-1]) * key.shape[-2]
    macs = scores * (query.shape[-1] + value.shape[-1])
    dropout = ELEMENTWISE["dropout"] if op.attribute("dropout") else 0
    return macs, 2 * macs + scores * (1 + SOFTMAX + len(mask) + dropout)


def einsum(op: Op) -> tuple[int, int]:
    """Operands are taken in from the left, two at a time: one multiply-accumulate for every choice of indices.

    Where no index is summed that is a multiplication, and no multiply-accumulate; one operand is only summed.
    """
    equation = op.attribute("equation")
    assert isinstance(equation, str)
    terms, _, out = equation.partition("->")
    labels = terms.split(",")
    sizes = {
        label: size
        for term, value in zip(labels, op.operands, strict=True)
        for label, size in zip(term, value.shape, strict=True)
        if size != 1
    }
    macs = flops = 0
    taken = labels[0]
    for i, term in enumerate(labels[1:], 1):
        later = set("".join(labels[i + 1 :]) + out)
        together = set(taken + term)
        work = prod(sizes.get(label, 1) for label in together)
        kept = together & later
        macs += work if together - later else 0
        flops += 2 * work if together - later else work
        taken = "".join(sorted(kept))
    if len(labels) == 1:
        flops = prod(sizes.get(label, 1) for label in set(taken)) - op.output[0].size
    return macs, flops


GATES = {"lstm": (4, 22), "gru": (3, 17), "rnn": (1, 2)}
"""Recurrent kind -> its gates, and the element-wise flops of one hidden unit in one step."""


def recurrent(op: Op) -> tuple[int, int]:
    """Each step of each sequence meets every weight once; one flop a bias, and those inside a unit.

    `lstm`, 22 a unit: add the two products at each gate (4), three sigmoids (12), two tanh, four to update cell
    and output. `gru`, 17: add them (3), two sigmoids (8), tanh, reset (1), four to mix. `rnn`, 2: add them, tanh or ReLU.
    In training, what passes from layer to layer may be dropped.

    Source: the equations in PyTorch's documentation of `nn.LSTM`, `nn.GRU` and `nn.RNN`.
    """
    # [t, n, d h] = lstm([t, n, c], states..., ([g h, c], [g h, h], [g h]?, [g h]?, [p, h]?) x layers d)
    gates, unit = GATES[op.kind]
    states, layers, dropouts = (op.attribute(name) or 0 for name in ("states", "layers", "dropouts"))
    assert isinstance(states, int)
    assert isinstance(layers, int)
    assert isinstance(dropouts, int)
    steps = prod(op.operands[0].shape[:-1])
    weights = [value.shape for value in op.operands[1 + states :]]
    macs = steps * sum(prod(shape) for shape in weights if len(shape) > 1)
    biases = steps * sum(prod(shape) for shape in weights if len(shape) == 1)
    inside = biases + unit * steps * layers * (weights[0][0] // gates)
    between = ELEMENTWISE["dropout"] * steps * dropouts * op.operands[1].shape[-1]
    return macs, 2 * macs + inside + between


def embedding_bag(op: Op) -> tuple[int, int]:
    """A bag of `a` rows takes `a - 1` additions or comparisons an element, 1 more for a mean, `a` for weights.

    It reads the rows that it selects.
    """
    # [bags, k] = embedding_bag([m, k], [a], [a]?)
    _, indices, *weights = op.operands
    out = op.output[0]
    gathered = prod(indices.shape) * out.shape[-1]
    means = out.size if op.attribute("mode") == "mean" else 0
    return 0, gathered * (1 + len(weights)) - out.size + means


def normalisation(flops: int, steps: str, source: str) -> Formula:
    """A formula of `flops` for every element, and one more for each of scale and shift.

    What is done once a group, such as the root of its variance, is not counted.
    """

    def formula(op: Op) -> tuple[int, int]:
        affine = op.attribute("affine")
        assert isinstance(affine, int)
        return 0, (flops + affine) * op.output[0].size

    return _derived(formula, f"{flops} an element, and 1 each for scale and shift", steps, source)


def reduction(op: Op) -> tuple[int, int]:
    """`a` elements become one by `a - 1` operations: sum, product, largest, smallest, any, all, and where they are."""
    return 0, prod(op.operands[0].shape) - op.output[0].size


def extremes(op: Op) -> tuple[int, int]:
    """The smallest and the largest of `a` elements: two reductions."""
    return 0, 2 * (prod(op.operands[0].shape) - op.output[0].size)


def per_input(flops: int, steps: str, source: str = "") -> Formula:
    """A formula of `flops` for every element of the first operand, which `steps` lists."""

    def formula(op: Op) -> tuple[int, int]:
        return 0, flops * prod(op.operands[0].shape)

    return _derived(formula, f"{flops} an input element", steps, source)


def movement(_: Op) -> tuple[int, int]:
    """Nothing is computed: elements move."""
    return 0, 0


def selection(_: Op) -> tuple[int, int]:
    """Nothing is computed. Only the elements that are selected are read; a learned table is owned whole."""
    # [*, k] = embedding([m, k], [*])
    return 0, 0


def scatter_add(op: Op) -> tuple[int, int]:
    """Each element of the source, the last operand unless that is spread out, is added to one of the first."""
    added = op.attribute("added") or op.operands[-1].size
    assert isinstance(added, int)
    return 0, added


def interpolate(op: Op) -> tuple[int, int]:
    """A weighted sum of `t` neighbours takes `t` multiplications and `t - 1` additions; copying the nearest, nothing.

    Linear takes 2, bilinear 4, trilinear 8, bicubic 16; with antialiasing, as many times more as it shrinks each side.
    `roi_align` takes 4 for each point that it samples.
    """
    taps = op.attribute("taps")
    assert isinstance(taps, int)
    return 0, op.output[0].size * (2 * taps - 1 if taps > 1 else 0)


def sort(op: Op) -> tuple[int, int]:
    """Sorting `a` elements takes `a ceil(log2 a)` comparisons; so does finding the largest few of them."""
    length = op.attribute("length")
    assert isinstance(length, int)
    return 0, prod(op.operands[0].shape) * max(length - 1, 0).bit_length()


def non_maximum_suppression(op: Op) -> tuple[int, int]:
    """`n` boxes are sorted, and each pair compared, as if none was suppressed.

    A pair takes 13 flops: the overlap (4 comparisons, 2 subtractions, 2 clamps, a product), the union (2), a
    quotient, and a comparison with the threshold. The area of a box takes 3.
    """
    boxes = op.operands[0].shape[0]
    return 0, 13 * boxes * (boxes - 1) // 2 + boxes * (3 + max(boxes - 1, 0).bit_length())


def search(op: Op) -> tuple[int, int]:
    """A place among `a` sorted elements, of which there are `a + 1`, takes `ceil(log2(a + 1))` comparisons."""
    return 0, op.output[0].size * op.operands[-1].shape[-1].bit_length()


def fft(op: Op) -> tuple[int, int]:
    """A transform of `a` complex values takes `5 a ceil(log2 a)` flops, of real ones half.

    Source: Cooley and Tukey, An algorithm for the machine calculation of complex Fourier series, 1965.
    """
    times, length, real = op.attribute("times"), op.attribute("length"), op.attribute("real")
    assert isinstance(times, int)
    assert isinstance(length, int)
    return 0, 5 * times * length * max(length - 1, 0).bit_length() // (2 if real else 1)


def bilinear(op: Op) -> tuple[int, int]:
    """Each output sums `x1 W x2`: first `W x2`, then the product with `x1`."""
    # [*, k] = bilinear([*, i], [*, j], [k, i, j], [k]?)
    weight, *bias = op.operands[2:]
    (out,) = op.output
    _, i, j = weight.shape
    macs = out.size * (i * j + i)
    return macs, 2 * macs + (out.size if bias else 0)


SOFTMAX = 5
"""Flops of softmax for an element."""

GATHERS = frozenset({"embedding", "gather"})
"""Kinds that read of their first operand only the elements that they select, as many as they write."""

MOVES = (
    *("cat", "copy", "pad", "roll", "flip", "repeat", "where", "masked_fill", "triangle", "shuffle"),
    *("scatter", "unfold"),
)
"""Kinds that move elements and compute nothing."""

_STANDARDISE = "mean, subtract, square, mean, scale"

ARITHMETIC: dict[str, Formula] = {
    "conv": conv,
    "linear": linear,
    "matmul": matmul,
    "attention": attention,
    "einsum": einsum,
    "bilinear": bilinear,
    "embedding_bag": embedding_bag,
    **dict.fromkeys(GATES, recurrent),
    "batch_norm": per_element(2, "multiply, add", "arXiv:1502.03167 Algorithm 2; at inference"),
    "batch_norm_training": normalisation(5, _STANDARDISE, "arXiv:1502.03167 Algorithm 1"),
    "layer_norm": normalisation(5, _STANDARDISE, "arXiv:1607.06450"),
    "group_norm": normalisation(5, _STANDARDISE, "arXiv:1803.08494"),
    "instance_norm": normalisation(5, _STANDARDISE, "arXiv:1607.08022"),
    "rms_norm": normalisation(3, "square, mean, scale", "arXiv:1910.07467"),
    "weight_norm": per_element(4, "square, add, multiply by magnitude, divide by norm", "arXiv:1602.07868"),
    "norm": per_input(2, "square, add"),
    "var": per_input(4, "mean, subtract, square, mean"),
    "log_sum_exp": per_input(4, "compare, subtract, exp, sum"),
    "reduce": reduction,
    "extremes": extremes,
    "cumulate": per_input(1, "one step of a running sum or product"),
    "nonzero": per_input(1, "one comparison"),
    "softmax": per_element(SOFTMAX, "compare, subtract, exp, sum, divide"),
    "log_softmax": per_element(SOFTMAX, "compare, subtract, exp, sum, subtract"),
    "glu": per_element(5, "sigmoid, multiply", "arXiv:1612.08083"),
    "interpolate": interpolate,
    "grid_sample": interpolate,
    "roi_align": interpolate,
    "sort": sort,
    "non_maximum_suppression": non_maximum_suppression,
    "search": search,
    "fft": fft,
    "scatter_add": scatter_add,
    "adaptive_max_pool": adaptive_max_pool,
    "random": per_element(1, "one draw"),
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_avg_pool": mean,
    "mean": mean,
    "adaptive_avg_pool": adaptive_avg_pool,
    **dict.fromkeys(MOVES, movement),
    **dict.fromkeys(sorted(GATHERS), selection),
    **{kind: per_element(*each) for kind, each in STEPS.items()},
}
"""Kind of operator -> its formula. What is not here is unknown, never zero."""
