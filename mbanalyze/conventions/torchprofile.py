"""torchprofile: the operators of a graph of `torch.jit`, by their names; a size of a tensor is a tensor there."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from mbanalyze.conventions.convention import Amount, Convention, Record, Rule
from mbanalyze.conventions.function_rules import argument
from mbanalyze.conventions.left_out import CONVOLUTIONS, inside_functions
from mbanalyze.conventions.op_rules import MACS, each_output
from mbanalyze.conventions.unused import unused
from mbanalyze.ops.calls import FunctionCall
from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import cost

_COMPOSED = ("torch.kron", "torch.cosine_similarity", "torch.nn.functional.cosine_similarity")
"""Functions of several operators that are one operator in the graph, which torchprofile has no rule of."""


def _transposed_conv(op: Op) -> int:
    # [n, k, *] = conv([n, c, *], [c, k / groups, *])
    weight, channels = op.operands[1].shape, op.output[0].shape[1 - len(op.operands[1].shape)]
    factor = weight[1] if channels == weight[0] else weight[0]
    return prod(op.output[0].shape) * factor * prod(weight[2:])


def _norm(op: Op) -> int:
    """One for each output element with a scale, which a batch norm by running statistics has beside these two."""
    if op.kind == "batch_norm_training":
        return prod(op.output[0].shape) if op.attribute("affine") else 0
    fixed = 3 if op.kind == "batch_norm" else 1
    return prod(op.output[0].shape) if len(op.operands) > fixed else 0


def _attention(op: Op) -> int:
    # [*, l, v] = attention([*, l, e], [*, s, e], [*, s, v]); the first size counts as a batch
    query, key, value = (operand.shape for operand in op.operands[:3])
    return query[0] * prod(query[1:-2]) * query[-2] * key[-2] * (query[-1] + value[-1])


def _cell(products: int) -> Rule[Op]:
    """The rule of a recurrent cell, which is linear layers and some products of elements in the graph."""

    def count(op: Op) -> int:
        """Return the amount."""
        return (cost(op).macs or 0) + products * prod(op.output[0].shape)

    return Rule(f"macs, and {products} for each output element", count)


def _lstm(op: Op) -> int:
    # [t, n, d h], [l d, n, h], _ = lstm([t, n, c], ...)
    output, state = op.output[0].shape, op.output[1].shape
    size = state[-1]
    directions = output[-1] // size
    later = state[0] // directions - 1
    inputs = op.operands[0].shape[-1] + later * size * directions + (later + 1) * size
    return output[0] * output[1] * directions * 4 * size * inputs


def _einsum(op: Op) -> int:
    """The product of the sizes of all letters; nothing if the equation has an ellipsis."""
    equation = str(op.attribute("equation"))
    terms = equation.partition("->")[0].split(",")
    if not equation.isascii():  # the record has Greek letters for the dimensions of an ellipsis
        return 0
    letters = zip(terms, op.operands, strict=True)
    return prod(
        {letter: n for term, value in letters for letter, n in zip(term, value.shape, strict=True)}.values()
    )


def _einsum_view(call: FunctionCall) -> int:
    """One for each element of a sum that only permutes its operand, or takes a diagonal: it runs no operator."""
    is_counted = call.first == call.last and "..." not in str(argument(call, 0, "equation"))
    return prod(call.outputs[0]) if is_counted else 0


def _grid_sample(op: Op) -> int:
    taps = op.attribute("taps")
    assert isinstance(taps, int)
    return prod(op.output[0].shape) * {1: 0, 16: 16}.get(taps, 4)


_NORM = Rule("1 for each output element with a scale", _norm)

_OPERATORS: dict[str, Rule[Op]] = {
    **dict.fromkeys(("linear", "matmul", "bmm", "addmm", "addmv", "baddbmm"), MACS),
    **dict.fromkeys(("convolution", "_convolution", *(f"conv{d}d" for d in (1, 2, 3))), MACS),
    **dict.fromkeys(
        (f"conv_transpose{d}d" for d in (1, 2, 3)),
        Rule("1 for each output element and weight of its filter", _transposed_conv),
    ),
    "scaled_dot_product_attention": Rule("macs", _attention),
    "lstm_cell": _cell(3),
    "gru_cell": _cell(2),
    **dict.fromkeys(("rnn_tanh_cell", "rnn_relu_cell"), MACS),
    "lstm": Rule("macs of 4 gates with the size of the output", _lstm),
    "einsum": Rule("the product of all sizes, 0 for an ellipsis", _einsum),
    "grid_sampler": Rule("4 for each output element, 16 if cubic, 0 if nearest", _grid_sample),
    **dict.fromkeys(("batch_norm", "instance_norm", "layer_norm", "group_norm"), _NORM),
    **dict.fromkeys((f"{kind}avg_pool{d}d" for kind in ("", "adaptive_") for d in (1, 2, 3)), each_output(1)),
    **dict.fromkeys(("mean", "mul", "mul_", "multiply", "multiply_", "leaky_relu"), each_output(1)),
    "upsample_bilinear2d": each_output(4),
}
"""PyTorch's name of an operator -> its rule. All others count nothing, such as `mm`."""


def _operators(record: Record) -> Iterator[Amount]:
    """The amounts of operators, which are zero for those that the graph lacks."""
    missing = {**unused(record), **inside_functions(_COMPOSED)(record)}
    for i, op in enumerate(record.ops):
        rule = _OPERATORS.get(op.operator)
        if i in missing:
            yield Amount(missing[i], 0, i, i + 1)
        elif rule:
            yield Amount(f"{op.kind}: {rule.what}", rule.count(op), i, i + 1)
        elif record.macs[i]:
            yield Amount(f"{op.operator or op.kind}: not counted", 0, i, i + 1)


def _size_products(record: Record) -> Iterator[Amount]:
    for place in record.calls.size_products if record.calls else ():
        yield Amount("1 for each multiplication of sizes", 1, place, place, claims=False)


def _recomputed(call: FunctionCall) -> int:
    """One for each side of an image whose size is the product of a size and a factor, always so for the mode `area`."""
    is_area = argument(call, 3, "mode") == "area" and argument(call, 2, "scale_factor") is not None
    is_product = is_area or argument(call, 5, "recompute_scale_factor")
    return len(call.inputs[0]) - 2 if is_product else 0


TORCHPROFILE = Convention(
    "torchprofile",
    "torchprofile",
    "torchprofile",
    "0.1.0",
    functions={
        **dict.fromkeys((*CONVOLUTIONS, *_COMPOSED), ()),
        "torch.einsum": (Rule("1 for each element of a view", _einsum_view, claims=False),),
        "torch.nn.functional.interpolate": (
            Rule("1 for each output size computed from a factor", _recomputed, claims=False),
        ),
    },
    record_rules=(_operators, _size_products),
    note="a model that asks whether a size is a tensor runs other code under torchprofile",
)
