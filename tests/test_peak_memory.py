"""Peak memory: tensors by hand, a second liveness, equality of closed form and trace, and printed figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import pytest
import torch
from arithmetic import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as f
from witness import variants

from mbanalyze import count
from mbanalyze.archs import ARCHS
from mbanalyze.ops.record import Op, Value
from mbanalyze.peak_memory.deployed import deployed
from mbanalyze.peak_memory.fusion import fused
from mbanalyze.peak_memory.liveness import ideal
from mbanalyze.peak_memory.timeline import Account, Timeline
from mbanalyze.report.accounts import PEAKS, AccountError
from mbanalyze.report.network import Report


def live(function: Callable[..., Any], *shapes: tuple[int, ...], account: Account = "ideal") -> list[int]:
    """Return the bytes alive during each operator of a function of float32 tensors."""
    return list(count(Run(function), *shapes, trace=True).timeline(account).live_bytes)


def conv(x: Tensor, out: int, kernel: int = 1, groups: int = 1, stride: int = 1) -> Tensor:
    """Apply a convolution that keeps the size at stride 1."""
    weight = torch.zeros(out, x.shape[1] // groups, kernel, kernel)
    return f.conv2d(x, weight, stride=stride, padding=kernel // 2, groups=groups)


def after_exp(then: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Return a function of a computed tensor, instead of one of the input."""
    return lambda x: then(x.exp())


def after_conv(then: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Return a function of the output of a convolution with two output channels."""
    return lambda x: then(conv(x, 2))


def residual(x: Tensor) -> Tensor:
    """Add two convolutions to their input."""
    return conv(f.relu(conv(x, 2, 3)), 2, 3) + x


def squeezed(x: Tensor) -> Tensor:
    """Scale channels as squeeze-and-excitation does."""
    y = x.exp()
    return y * y.mean((2, 3), keepdim=True).sigmoid()


def shown(x: Tensor) -> Tensor:
    """Read a row of a tensor that is otherwise done."""
    y = x.exp()
    row = y[0]
    return y.sum() + row


def put(x: Tensor) -> Tensor:
    """Overwrite a row."""
    y = x.exp()
    y[0] = x[0]
    return y * 2


def filled(x: Tensor) -> Tensor:
    """Fill memory in two parts."""
    y = x.new_empty(4, 3)
    y[:2] = x
    y[2:] = x
    return y * 2


HAND_COUNTED: dict[str, tuple[Callable[..., Any], tuple[int, ...], list[int]]] = {
    # x, a and b of 1 x 2 x 4 x 4 x 4 = 128 bytes: x a | x a | x a b | x and the sum, over b
    "residual block": (residual, (1, 2, 4, 4), [256, 256, 384, 256]),
    # y of 48 bytes, over x | y and one half | y and both halves | both halves and the result
    "split and cat": (
        lambda x: torch.cat([half.exp() for half in x.exp().chunk(2)]),
        (4, 3),
        [48, 48 + 24, 48 + 24 + 24, 24 + 24 + 48],
    ),
    # y of 32 bytes, over x | y and the sum of 4 | the row keeps y; the sum, and the result of 8
    "a view keeps its base": (shown, (4, 2), [32, 36, 32 + 4 + 8]),
    # y of 3 x 8 x 8 x 4 = 768 bytes | and a mean of 12 | a sigmoid over the mean | the product over y
    "squeeze-and-excitation": (squeezed, (1, 3, 8, 8), [768, 780, 780, 780]),
    # x and y of 16 bytes: relu over y
    "relu in place": (lambda x: f.relu_(x.exp()) + x, (4,), [32, 32, 32]),
    "relu": (lambda x: f.relu(x.exp()) + x, (4,), [32, 32, 32]),
    # the last operand is not written over, because its other layout is read too
    "a transposed operand": (after_exp(lambda y: y + y.t()), (4, 4), [64, 128]),
    "one that is only transposed": (lambda x: x.t().exp().exp(), (3, 4), [48, 48]),
    # nor is one of which a row is read too
    "a broadcast part": (after_exp(lambda y: y - y[:1]), (4, 4), [64, 128]),
    "a scalar part": (after_exp(lambda y: y - y[0]), (4,), [16, 32]),
    # an output element of a cross product needs the neighbours of its place: y | y z | y z and the result
    "cross product": (after_exp(lambda y: torch.linalg.cross(y, y * 2)), (4, 3), [48, 96, 144]),
    # y of 48 bytes | and 4 int64 indices of 8 | the sum over them
    "int64": (lambda x: x.exp().argmax(1) + 1, (4, 3), [48, 48 + 32, 32]),
    # x of 48 bytes, y | y with another row, in the same memory | the product over it
    "a row is overwritten": (put, (4, 3), [96, 96, 48]),
    # x of 24 bytes, y of 48 from its first row on | both | the product over y
    "memory is filled": (filled, (2, 3), [72, 72, 48]),
    # in place, an operator that is not elementwise needs no other memory either
    "sum in place": (lambda x: x.exp().cumsum_(0) + 1, (4, 3), [48, 48, 48]),
    # a part of no elements takes none: 0 | x of 48 and the result
    "no elements": (lambda x: torch.cat([x[:0].exp(), x]), (4, 3), [48, 96]),
    # y is returned: it stays, and the sum cannot be written over it
    "a returned tensor": (after_exp(lambda y: (y, y + 1)), (4, 2), [32, 64]),
    "one that is not": (after_exp(lambda y: (y + 1,)), (4, 2), [32, 32]),
    # a result that nothing reads is done at once: x y | x + 1 over x
    "an unused result": (lambda x: (x.exp(), x + 1)[1], (4, 3), [96, 48]),
    # a bool has a byte: x of 48 and 12 | the other branch, over none | the choice over it
    "where": (lambda x: torch.where(x > 0, x.exp(), x), (4, 3), [60, 108, 108]),
    # a pooling with indices: y | y, 3 maxima of 4 bytes and their int64 indices
    "two outputs": (lambda x: x.exp().max(0)[0], (4, 3), [48, 48 + 12 + 24]),
}


@pytest.mark.parametrize("name", HAND_COUNTED)
def test_bytes_alive_by_hand(name: str) -> None:
    """The account `ideal` has these bytes alive during each operator."""
    function, shape, expected = HAND_COUNTED[name]

    assert expected == live(function, shape)
    assert expected == list(
        count(Run(function), shape, trace=True, shortcuts=False).timeline("ideal").live_bytes
    )


def normalised(x: Tensor) -> Tensor:
    """Normalise with stored statistics."""
    zeros, ones = torch.zeros(x.shape[1]), torch.ones(x.shape[1])
    return f.batch_norm(x, zeros, ones, ones, zeros)


DEPLOYED: dict[str, tuple[Callable[..., Any], tuple[int, ...], list[int]]] = {
    # convolution, batch norm and relu are one operator: x of 128 bytes and its output of 256
    "merged": (lambda x: f.relu(normalised(conv(x, 4))), (1, 2, 4, 4), [128 + 256]),
    "merged in place": (lambda x: f.relu_(normalised(conv(x, 4))), (1, 2, 4, 4), [128 + 256]),
    # a batch norm after the relu is another one, over its input
    "batch norm after relu": (lambda x: normalised(f.relu(conv(x, 4))), (1, 2, 4, 4), [128 + 256, 256]),
    # two readers of a convolution: y | relu beside y | the sum over y
    "two readers": (after_conv(lambda y: y + f.relu(y)), (1, 2, 4, 4), [256, 256, 256]),
    # an output of the network is written: x y | y and relu
    "returned": (after_conv(lambda y: (y, f.relu(y))), (1, 2, 4, 4), [256, 256]),
    # depthwise over its input, of 1 x 2 x 4 x 4 x 4 = 128 bytes; at stride 2 a quarter is left
    "depthwise": (lambda x: conv(conv(x, 2, 3, 2), 4), (1, 2, 4, 4), [128, 128 + 256]),
    "depthwise at stride 2": (lambda x: conv(conv(x, 2, 3, 2, 2), 4), (1, 2, 4, 4), [128, 32 + 64]),
    # twice the channels have no room, except at stride 2: 128 bytes in, 256 or 64 out
    "depthwise with multiplier": (lambda x: conv(conv(x, 4, 3, 2), 1), (1, 2, 4, 4), [128 + 256, 256 + 64]),
    "multiplier and stride": (lambda x: conv(conv(x, 4, 3, 2, 2), 1), (1, 2, 4, 4), [128, 64 + 16]),
    # an input that is needed later is not written over
    "depthwise residual": (lambda x: conv(x, 2, 3, 2) + x, (1, 2, 4, 4), [256, 256]),
    # an image that is the weight too is not written over: 2 x 3 x 3 x 4 = 72 bytes
    "its own weight": (
        after_exp(lambda y: f.conv2d(y, y.view(2, 1, 3, 3), padding=1, groups=2)),
        (1, 2, 3, 3),
        [72, 144],
    ),
    # two groups of two channels each are no depthwise convolution
    "grouped": (lambda x: conv(x, 4, 3, 2), (1, 4, 4, 4), [512]),
}


@pytest.mark.parametrize("name", DEPLOYED)
def test_bytes_alive_when_deployed(name: str) -> None:
    """The account `deployed` has these bytes alive during each merged operator."""
    function, shape, expected = DEPLOYED[name]

    assert expected == live(function, shape, account="deployed")


def test_a_computed_weight_is_not_written_over() -> None:
    """A depthwise convolution writes over its image only, although its weight is larger here."""
    # image 2 x 1 x 1 and output 2 x 3 x 3 x 4 = 8 and 72 bytes, weight 2 x 3 x 3 x 4 = 72 bytes
    alive = live(
        lambda x, w: f.conv2d(x, w.exp(), padding=2, groups=2), (1, 2, 1, 1), (2, 1, 3, 3), account="deployed"
    )

    assert alive == [8 + 72, 8 + 72 + 72]


def test_merged_operators_name_their_parts() -> None:
    """A convolution, its batch norm and its relu are one operator, with a bias and the last output."""
    ops = count(Run(lambda x: f.relu(normalised(conv(x, 4)))), (1, 2, 4, 4), trace=True).ops
    (whole,) = fused(ops)

    assert [op.kind for op in whole.parts] == ["conv", "batch_norm", "relu"]
    assert whole.op.kind == "conv"
    assert whole.op.output == ops[-1].output
    # the weight, and a shift for each of 4 channels
    assert [value.shape for value in whole.op.operands[1:]] == [(4, 2, 1, 1), (4,)]


def accounts(report: Report) -> list[Timeline]:
    """Return the two accounts of a record."""
    return [report.timeline("ideal"), report.timeline("deployed")]


@pytest.mark.parametrize("name", ARCHS)
def test_closed_form_and_trace_agree(name: str) -> None:
    """Closed form and trace have the same tensors alive during the same operators, for several options."""
    every = variants(name)
    for options in every[:: len(every) // 4 + 1]:
        closed, traced = (count(name, **options, trace=trace) for trace in (False, True))

        assert accounts(closed) == accounts(traced)


PRINTED = [
    # arXiv:2110.15352 prints 1372 kB: the block that expands 16 channels to 96, 112 x 112 x (16 + 96)
    ("mobilenet_v2", "int8", 112 * 112 * (16 + 96), 1372 * 1024),
    # arXiv:2007.10319 prints 7.2 MB: a shortcut, the output beside it and their input, 56 x 56 x (256 + 256 + 64)
    ("resnet50", "float32", 56 * 56 * (256 + 256 + 64) * 4, 7_225_344),
]


@pytest.mark.parametrize(("name", "dtype", "expected", "printed"), PRINTED)
def test_printed_peaks(name: str, dtype: str, expected: int, printed: int) -> None:
    """The account `deployed` gives the peaks that MCUNetV2 and MCUNet print."""
    assert expected == count(name, dtype=dtype).peak_bytes("deployed") == printed


def test_the_peak_is_named() -> None:
    """The peak of MobileNetV2 is at the expansion of its second block, with its input and its output."""
    timeline = count("mobilenet_v2", dtype="int8").timeline("deployed")

    assert timeline.steps[timeline.peak] == ("features.2.conv.0.0", "conv")
    assert [(tensor.path, tensor.kind, tensor.shape) for tensor in timeline.alive(timeline.peak)] == [
        ("features.2.conv.0.0", "conv", (1, 96, 112, 112)),
        ("features.1.conv.1", "conv", (1, 16, 112, 112)),
    ]


def test_rows_have_the_bytes_of_their_step() -> None:
    """A row has the bytes alive while it runs, a group the most of its rows, and a selection of kinds the same."""
    report = count("mobilenet_v2")
    alive = report.timeline().live_bytes
    some = report.only("conv")

    assert [record["live_bytes"] for record in report.records()] == list(alive)
    assert max(alive) == max(record["live_bytes"] for record in report.records("block"))
    assert [record["live_bytes"] for record in some.records()] == [
        bytes for bytes, row in zip(alive, report.rows, strict=True) if row.op.kind == "conv"
    ]
    assert [some.peak_bytes(account) for account in PEAKS.values()] == [
        report.peak_bytes(account) for account in PEAKS.values()
    ]


def test_an_account_that_a_closed_form_lacks() -> None:
    """A closed form has no account `eager`: its peak is unknown, and asking for its tensors is an error."""
    report = count("mobilenet_v2")

    assert report.peak_bytes("eager") is None
    with pytest.raises(AccountError, match="trace=True"):
        report.timeline("eager")


def test_a_network_without_operators() -> None:
    """A network that returns its input has no step, and its peak is 0."""
    report = count(Run(lambda x: x), (1, 3))

    assert (report.timeline().live_bytes, report.peak_bytes(), report.peak_bytes("deployed")) == ((), 0, 0)


KINDS = ("relu", "add", "max_pool", "cat", "linear")
"""Two elementwise kinds, and three that are not."""


@st.composite
def records(draw: st.DrawFn) -> tuple[list[Op], list[int]]:
    """Draw a record whose operators read any earlier values or views, and some of its values as outputs.

    A ReLU reads one whole value, and writes as many elements of the same type.
    """
    sizes: list[int] = [draw(st.integers(1, 4))]
    types: list[int | None] = [None]
    ops = []
    for i in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(KINDS))
        operands = []
        for number in draw(st.lists(st.integers(0, i), min_size=1, max_size=3)):
            part = draw(st.booleans()) and sizes[number] > 1
            start = draw(st.integers(0, sizes[number] - 1)) if part else 0
            operands.append(Value("activation", number, (sizes[number] - start,), start))
        size = draw(st.sampled_from([*sizes, 1, 2, 3]))
        itemsize = draw(st.sampled_from([None, None, 8]))
        if kind == "relu":
            number = operands[0].number
            size, itemsize = sizes[number], types[number]
            operands = [Value("activation", number, (size,))]
        sizes.append(size)
        types.append(itemsize)
        output = Value("activation", i + 1, (size,), 0, None, itemsize)
        ops.append(Op(f"m.{i}", kind, tuple(operands), (output,)))
    return ops, draw(st.lists(st.integers(1, len(ops)), max_size=3, unique=True))


def simulated(ops: Sequence[Op], outputs: Sequence[int]) -> list[int]:
    """Run a record with a set of buffers: allocate, write, and release what nothing needs any more."""

    def needed(number: int, after: int) -> bool:
        later = (value.number for op in ops[after + 1 :] for value in op.operands)
        return number in outputs or number in later

    def size(number: int) -> int:
        values = [v for op in ops for v in (*op.output, *op.operands) if v.number == number]
        itemsize = next((v.itemsize for op in ops for v in op.output if v.number == number), None)
        return max(v.offset + prod(v.shape) for v in values) * (itemsize or 4)

    held = {0: size(0)} if any(v.number == 0 for op in ops for v in op.operands) else {}
    alive = []
    for step, op in enumerate(ops):
        (output,) = op.output
        taken = None
        for value in op.operands if op.kind in ("relu", "add") else ():
            views = {(v.offset, v.shape) for v in op.operands if v.number == value.number}
            fits = size(value.number) == size(output.number) and views == {(0, output.shape)}
            if taken is None and fits and not needed(value.number, step):
                taken = value.number
        held.pop(taken, None) if taken is not None else None
        held[output.number] = size(output.number)
        alive.append(sum(held.values()))
        held = {number: bytes for number, bytes in held.items() if needed(number, step)}
    return alive


@settings(max_examples=200)
@given(records())
def test_a_simulation_gives_the_same_bytes(record: tuple[list[Op], list[int]]) -> None:
    """The bytes alive are those of a simulation that allocates and releases buffers, step by step."""
    ops, outputs = record
    unread = {op.output[0].number for op in ops} - {value.number for op in ops for value in op.operands}

    assert simulated(ops, list(unread)) == list(ideal(ops, 4).live_bytes)
    assert simulated(ops, outputs) == list(ideal(ops, 4, outputs).live_bytes)


@settings(max_examples=50)
@given(records())
def test_accounts_are_ordered(record: tuple[list[Op], list[int]]) -> None:
    """Merged operators need at most the peak of the record, and each step holds its operands and output."""
    ops, outputs = record
    least, merged = ideal(ops, 4, outputs), deployed(ops, 4, outputs)

    assert merged.peak_bytes <= least.peak_bytes
    for timeline in (least, merged):
        sums = [sum(tensor.bytes for tensor in timeline.alive(i)) for i in range(len(timeline.steps))]
        assert list(timeline.live_bytes) == sums
        assert timeline.live_bytes[timeline.peak] == timeline.peak_bytes == max(sums)
