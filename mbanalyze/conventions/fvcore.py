"""fvcore: the operators in the graph of `torch.jit` that it has rules of."""

from __future__ import annotations

from math import prod

from mbanalyze.conventions.convention import Convention, Record, Rule, Rules
from mbanalyze.conventions.fast_paths import fast_attention
from mbanalyze.conventions.left_out import CONVOLUTIONS, inside_functions, left_out
from mbanalyze.conventions.numpy_einsum import exact_macs, printed_half, rounding
from mbanalyze.conventions.op_rules import MACS, complex_products, is_complex
from mbanalyze.conventions.unused import unused
from mbanalyze.ops.calls import FunctionCall
from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import cost

_PRODUCTS = frozenset(
    {
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        *("convolution", "_convolution", "linear", "mm", "bmm", "addmm", "matmul", "einsum"),
        *("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
    }
)
"""The operators of products that fvcore has a rule of; those of cells are linear layers in the graph."""

_COMPOSED = (
    *("torch.tensordot", "torch.chain_matmul", "torch.linalg.multi_dot", "torch.cov", "torch.Tensor.cov"),
    *("torch.corrcoef", "torch.Tensor.corrcoef", "torch.linalg.matrix_power", "torch.matrix_power"),
    "torch.Tensor.matrix_power",
)
"""Functions of several products that are one operator in the graph, which fvcore has no rule of."""


def _broadcast(op: Op) -> int:
    """The amount that a broadcast left operand takes away: its elements count once."""
    left, right = (value.shape for value in op.operands[:2])
    if op.operator != "matmul" or len(right) < 2:
        return 0
    macs = (cost(op).macs or 0) // (4 if is_complex(op) else 1)
    return prod(left) * right[-1] - macs


def _each_output(n: int, *operators: str, words: str = "", scaled: bool | None = None) -> Rule[Op]:
    """The rule of `n` for each output element of some operators; `scaled` limits it to those with a scale or without."""

    def count(op: Op) -> int:
        """Return the amount."""
        holds = op.operator in operators and scaled in (None, _is_scaled(op))
        return n * prod(op.output[0].shape) if holds else 0

    return Rule(f"{n} for each output element{words}", count)


def _is_scaled(op: Op) -> bool:
    """True if a normalisation multiplies by learned scalars; one by running statistics reads a mean and a variance."""
    return len(op.operands) > 3 if op.kind == "batch_norm" else bool(op.attribute("affine"))


def _normalisation(operator: str) -> tuple[Rule[Op], ...]:
    """The rules of a normalisation by statistics of its input."""
    scaled = _each_output(5, operator, scaled=True)
    return scaled, _each_output(4, operator, words=" without a scale", scaled=False)


def _adaptive_pool(op: Op) -> int:
    return prod(op.operands[0].shape) if op.operator == "adaptive_avg_pool2d" else 0


_ADAPTIVE_POOL = (Rule("1 for each input element of an adaptive pool", _adaptive_pool),)

_KINDS: Rules[Op] = {
    "conv": (MACS, complex_products(3)),
    "linear": (MACS, complex_products(1)),
    "matmul": (
        MACS,
        complex_products(1),
        Rule("a broadcast left operand counts once", _broadcast, claims=False),
    ),
    "einsum": (
        Rule("half of NumPy's flops", exact_macs),
        Rule("rounded to the 4 digits that NumPy prints", rounding, claims=False),
    ),
    **dict.fromkeys(("lstm", "gru", "rnn"), (MACS,)),
    "batch_norm": (
        _each_output(2, "batch_norm", scaled=True),
        _each_output(1, "batch_norm", words=" without a scale", scaled=False),
        *_normalisation("instance_norm"),
    ),
    "batch_norm_training": _normalisation("batch_norm"),
    "instance_norm": _normalisation("instance_norm"),
    "group_norm": _normalisation("group_norm"),
    "layer_norm": _normalisation("layer_norm"),
    **dict.fromkeys(("global_avg_pool", "adaptive_avg_pool"), _ADAPTIVE_POOL),
    "interpolate": (
        _each_output(4, "upsample_bilinear2d", words=" of a bilinear resize"),
        _each_output(1, "upsample_nearest2d", words=" of a nearest resize"),
    ),
    "grid_sample": (_each_output(4, "grid_sampler"),),
}


def _without_rule(record: Record) -> dict[int, str]:
    """The products by an operator that fvcore has no rule of."""
    products = {"conv", "linear", "matmul", "lstm", "gru", "rnn"}
    ops = enumerate(record.ops)
    return {
        i: f"{op.operator}: not counted"
        for i, op in ops
        if op.kind in products and op.operator not in _PRODUCTS
    }


def _without_gradients(record: Record) -> dict[int, str]:
    """The operators of attention whose weights, and all before, require no gradient: the fast path is one operator."""
    words = "nn.MultiheadAttention: not counted in its fast path"
    found = {}
    for call in fast_attention(record):
        if all(op.frozen == op.params for op in record.ops[: call.last]):
            found.update(dict.fromkeys(range(call.first, call.last), words))
    return found


def _einsum_view(call: FunctionCall) -> int:
    """The amount of an Einstein sum that only permutes its operand, or takes a diagonal: it runs no operator."""
    return printed_half(prod(call.outputs[0]) + 1) if call.first == call.last else 0


FVCORE = Convention(
    "fvcore",
    "fvcore",
    "fvcore",
    "0.1.5.post20221221",
    kinds=_KINDS,
    functions={
        **dict.fromkeys((*_COMPOSED, *CONVOLUTIONS), ()),
        "torch.einsum": (Rule("1 for every two elements of a view", _einsum_view),),
    },
    record_rules=(left_out(_KINDS, unused, _without_gradients, inside_functions(_COMPOSED), _without_rule),),
    note="fvcore stops at `matmul` of a matrix and a vector",
)
