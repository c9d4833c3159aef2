"""PyTorch's `FlopCounterMode`: products of matrices and convolutions, two flops for each multiply-accumulate."""

from __future__ import annotations

from mbanalyze.conventions.convention import Convention, Record
from mbanalyze.conventions.fast_paths import fast_attention, fast_encoder_layers
from mbanalyze.conventions.left_out import left_out
from mbanalyze.conventions.op_rules import MACS, complex_products
from mbanalyze.ops.calls import ModuleCall
from mbanalyze.ops.record import Op

_RECURRENT = ("lstm", "gru", "rnn")
_KINDS = {
    "conv": (MACS, complex_products(3)),
    **dict.fromkeys(("linear", "matmul", "einsum"), (MACS, complex_products(1))),
    **dict.fromkeys(("attention", *_RECURRENT), (MACS,)),
}

_FORMULAS = frozenset(
    {
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        *("convolution", "_convolution", "linear", "mm", "bmm", "addmm", "baddbmm", "matmul", "inner"),
        *("einsum", "scaled_dot_product_attention", "_scaled_mm", *_RECURRENT),
        *("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell", "rnn_tanh", "rnn_relu", ""),
    }
)
"""The operators that it has a formula of, and those that PyTorch composes from these; a closed form has no names."""


def _without_formula(record: Record) -> dict[int, str]:
    """The products by an operator without a formula, those with a vector included."""
    found = {}
    for i, op in enumerate(record.ops):
        if op.kind in _KINDS and op.operator not in _FORMULAS:
            found[i] = f"{op.operator}: not counted"
        elif op.operator in ("matmul", "inner") and _is_with_vector(op):
            found[i] = f"{op.operator}: not counted with a vector"
    return found


def _is_with_vector(op: Op) -> bool:
    """True if PyTorch multiplies a matrix by a vector; it makes a matrix of a vector on the left."""
    left, right = (len(value.shape) for value in op.operands)
    return right == 1 and (op.operator == "matmul" or left == 1)


def _kernels(record: Record) -> dict[int, str]:
    """The attention and recurrent layers that are one kernel of the CPU."""
    double = {call.first for call in record.modules if call.arguments.get(0) == "float64"}
    shared = {call.first for call in record.functions if call.arguments.get("enable_gqa")}
    steps = {call.first: call.inputs[1][0] for call in record.modules if _is_packed(call)}
    found = {}
    for i, op in enumerate(record.ops):
        is_flash = op.kind == "attention" and _is_flash(op, shares_heads=i in shared)
        if is_flash or (op.operator == "lstm" and i not in double and _is_one_kernel(op, steps.get(i))):
            found[i] = f"{op.kind}: not counted in the CPU's kernel"
    return found


def _fast_paths(record: Record) -> dict[int, str]:
    """The operators inside modules that run as one operator."""
    found = {}
    for name, calls in (
        ("MultiheadAttention", fast_attention(record)),
        ("TransformerEncoderLayer", fast_encoder_layers(record)),
    ):
        for call in calls:
            words = f"nn.{name}: not counted in its fast path"
            found.update(dict.fromkeys(range(call.first, call.last), words))
    return found


def _is_flash(op: Op, *, shares_heads: bool) -> bool:
    """True if the CPU's kernel of attention takes the operands.

    They are four-dimensional with contiguous features of one size, and batches are not broadcast.
    Heads are not broadcast either, but several heads of queries may share one of keys.
    """
    query, key, value, *mask = (operand.shape for operand in op.operands)
    return (
        len(query) == len(key) == len(value) == 4
        and query[0] == key[0] == value[0]
        and (shares_heads or query[1] == key[1] == value[1])
        and query[3] == key[3] == value[3]
        and all(operand.strides is None or operand.strides[3] == 1 for operand in op.operands[:3])
        and all(len(sizes) in (2, 4) for sizes in mask)
        and not op.attribute("dropout")
    )


def _is_packed(call: ModuleCall) -> bool:
    """True for a module that was called with a packed batch: rows of all steps, and the number in each step."""
    return [len(sizes) for sizes in call.inputs[:2]] == [2, 1]


def _is_one_kernel(op: Op, steps: int | None) -> bool:
    """True for an LSTM of sequences of one length whose hidden states have the size of its cells.

    Sequences of a packed batch have one length if `steps` times the batch gives all rows.
    """
    rows, hidden, cells = (value.shape for value in op.operands[:3])
    has_one_length = len(rows) == 3 or (steps is not None and rows[0] == steps * hidden[1])
    return has_one_length and hidden == cells


FLOP_COUNTER = Convention(
    "flop-counter",
    "FlopCounterMode",
    "torch",
    "2.13.0",
    kinds=_KINDS,
    functions={"torch.nn.functional.scaled_dot_product_attention": ()},
    record_rules=(left_out(_KINDS, _fast_paths, _kernels, _without_formula),),
    factor=2,
)

FLOP_COUNTER_META = Convention(
    "flop-counter-meta",
    "FlopCounterMode on meta",
    "torch",
    "2.13.0",
    kinds=_KINDS,
    record_rules=(left_out(_KINDS, _without_formula),),
    factor=2,
    needs_trace=False,
)
