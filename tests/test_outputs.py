"""What the rules say that operators return, beside what torch's kernels for the meta device return."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mbanalyze.ops.record import canonical_strides
from mbanalyze.trace.schema import Call
from mbanalyze.trace.shapes import INSTEAD


def layouts(*shape: int, dtype: torch.dtype = torch.float32) -> Iterator[Tensor]:
    """Tensors of one shape, laid out in every way that a network meets."""

    def empty(*sizes: int) -> Tensor:
        return torch.empty(sizes, dtype=dtype, device="meta")

    yield empty(*shape)
    for order in itertools.permutations(range(len(shape))):
        if order != tuple(range(len(shape))) and len(shape) < 5:
            back = [order.index(d) for d in range(len(shape))]
            yield empty(*[shape[d] for d in order]).permute(back)
    yield empty(*shape[:-1], 2 * shape[-1])[..., : shape[-1]]
    yield empty(*shape[:-1], 2 * shape[-1])[..., ::2]
    yield empty(2 * shape[0], *shape[1:])[: shape[0]]
    yield empty(1, *shape[1:]).expand(*shape)
    yield empty(shape[0] + 2).unfold(0, 3, 1) if len(shape) == 2 else empty(*shape)


def pairs(*shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Every layout of one beside every layout of the other."""
    for left, right in shapes:
        yield from itertools.product(layouts(*left), layouts(*right))


SHAPES = [(2, 3, 4, 5), (1, 3, 4, 4), (2, 1, 4, 4), (2, 3, 1, 1), (2, 3, 4), (4, 6), (1, 1)]
ONE = [tensor for shape in SHAPES for tensor in layouts(*shape)]
HALF = list(layouts(2, 3, 4, 5, dtype=torch.float16)) + list(layouts(2, 3, 4, 5, dtype=torch.int64))
TWO = list(
    pairs(
        ((2, 3, 4, 5), (2, 3, 4, 5)),
        ((2, 3, 4, 5), (3, 1, 1)),
        ((3, 1, 1), (2, 3, 4, 5)),
        ((1, 3, 4), (2, 3, 4)),
        ((2, 3, 1, 1), (2, 3, 4, 5)),
        ((2, 1, 4), (2, 3, 1)),
        ((2, 3), (3, 2)),
    )
)
IMAGES = [t for shape in [(2, 4, 7, 7), (1, 4, 6, 5), (2, 1, 6, 6), (2, 4, 1, 1)] for t in layouts(*shape)]
functional: Any = torch.nn.functional


def weight(*shape: int) -> Tensor:
    """A weight."""
    return torch.empty(shape, device="meta")


CASES: dict[str, list[Callable[[], Any]]] = {
    "unary": [
        partial(f, x)
        for f in (torch.relu, functional.relu6, functional.gelu, torch.sigmoid, functional.hardswish, torch.tanh)
        for x in (*ONE, *HALF)
    ],
    "softmax": [partial(torch.softmax, x, -1) for x in (*ONE, *HALF)],
    "numbers": [partial(f, x, 2) for f in (torch.mul, torch.add, torch.div, torch.eq) for x in (*ONE, *HALF)],
    "two": [partial(f, *p) for f in (torch.add, torch.mul) for p in TWO],
    "in place": [partial(x.add_, y) for x, y in TWO],
    "convolution": [
        partial(functional.conv2d, x, w, None, **s)
        for x in IMAGES
        for w in (weight(8, 4, 3, 3), weight(8, 1, 3, 3), weight(8, 4, 1, 1), *layouts(6, 2, 3, 3))
        for s in ({}, {"stride": 2, "padding": 1}, {"dilation": 2}, {"groups": 2}, {"padding": "same"}, {"groups": 4})
    ],
    "unbatched": [partial(functional.conv1d, weight(3, 8), weight(4, 3, 3))],
    "linear": [
        partial(functional.linear, x, w, b)
        for x in ONE for w in (weight(6, 5), weight(6, 4), weight(4, 6).t(), weight(5)) for b in (None, weight(6), weight(1))
    ],
    "matmul": [
        partial(torch.matmul, x, y)
        for x, y in pairs(((2, 3, 4, 5), (2, 3, 5, 6)), ((3, 4, 5), (3, 5, 2)), ((3, 4, 5), (5, 2)), ((1, 4, 5), (3, 5, 2)))
    ],
    "attention": [
        partial(functional.scaled_dot_product_attention, q, k, k, **s)
        for q, k in pairs(((2, 3, 4, 8), (2, 3, 6, 8)), ((2, 4, 4, 8), (2, 2, 4, 8)), ((3, 4, 8), (3, 6, 8)))
        for s in ({}, {"is_causal": True}, {"enable_gqa": True})
    ],
    "pooling": [
        partial(f, x, **s)
        for f in (functional.max_pool2d, functional.avg_pool2d)
        for x in IMAGES
        for s in (
            {"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 9},
            {"kernel_size": 3, "stride": 2, "ceil_mode": True}, {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
        )
    ],
    "adaptive pooling": [partial(functional.adaptive_avg_pool2d, x, n) for x in (*IMAGES, weight(3, 4, 4)) for n in (1, 3)],
    "mean": [
        partial(x.mean, d, keepdim=k) for x in (*ONE, *HALF) for d in ([-1], [0, 1], [1, 1], [0]) for k in (True, False)
    ],
    "concatenation": [partial(torch.cat, p, d) for p in TWO for d in (0, 1, -1)],
    "batch norm": [
        partial(functional.batch_norm, x, weight(n), weight(n), weight(n), weight(n)) for x in (*IMAGES, *ONE) for n in (4, 3)
    ],
    "layer norm": [partial(functional.layer_norm, x, s, weight(*s)) for x in ONE for s in ((4,), (5,), (4, 5))],
    "group norm": [partial(functional.group_norm, x, g) for x in (*IMAGES, *ONE) for g in (1, 2)],
    "copies": [f for x in (*ONE, *HALF) for f in (x.contiguous, partial(x.reshape, -1), partial(x.reshape, 2, -1))],
    "roll": [partial(torch.roll, x, 1, 0) for x in ONE],
    "rows": [partial(weight(7, 3).__getitem__, i) for i in (torch.zeros(2, 5, dtype=torch.int64), torch.zeros(4, dtype=torch.int64))],
    "mask": [partial(x.masked_fill, m, -1.0) for x in ONE for m in (torch.zeros(4, device="meta").bool(), torch.zeros(1, 1, device="meta").bool())],
    "what does not fit": [
        *(partial(x.mean, [9]) for x in ONE),
        *(partial(torch.roll, x, 1, 9) for x in ONE),
        *(partial(torch.roll, x, (1, 2), 0) for x in ONE),
        *(partial(x.reshape, -2, -x.numel() // 2) for x in ONE),
        *(partial(x.copy_, weight(7)) for x in ONE),
        *(partial(f, x) for f in (torch.sigmoid_, torch.relu_) for x in (weight(3) > 0, weight(3).long())),
        *(partial(x.copy_, y) for x, y in TWO),
    ],
    "dropout": [partial(functional.dropout, x, 0.5, training=False) for x in ONE],
}  # fmt: skip


class Compared(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Asks the rule of each call first, and then torch."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.answered = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What torch returns, which a rule that answers has to match."""
        call = Call(func)
        rule = INSTEAD.get(call.name)
        said = rule(call.bind(args, kwargs or {})) if rule else None
        self.answered += said is not None
        made = func(*args, **(kwargs or {}))
        if said is not None:
            assert list(map(seen, tree_leaves(said))) == list(map(seen, tree_leaves(made)))
        return made


def seen(tensor: Tensor) -> tuple[Any, ...]:
    """Shape, strides where they matter, and type."""
    return tuple(tensor.shape), canonical_strides(tuple(tensor.shape), tensor.stride()), tensor.dtype


@pytest.mark.parametrize("name", CASES)
def test_rules_say_what_torch_says(name: str) -> None:
    """A rule that answers is right; where torch complains, none answers."""
    compared = Compared()
    with torch.inference_mode():
        for case in CASES[name]:
            before = compared.answered
            try:
                with compared:
                    case()
            except (RuntimeError, ValueError, IndexError):
                assert compared.answered == before

    assert compared.answered > 0 or name == "unbatched"
