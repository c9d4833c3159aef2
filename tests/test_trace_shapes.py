"""The shape rules of the shortcuts equal PyTorch's meta kernels."""

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
from mbanalyze.trace.schema import OpSchema
from mbanalyze.trace.shapes.contractions import grouped_matmul
from mbanalyze.trace.shapes.keep_all import KEEP_ALL
from mbanalyze.trace.shapes.settled import settled
from mbanalyze.trace.shapes.shortcuts import SHORTCUTS
from mbanalyze.trace.shapes.valued import VALUED
from mbanalyze.trace.shapes.view_methods import METHODS


def layouts(*shape: int, dtype: torch.dtype = torch.float32) -> Iterator[Tensor]:
    """Yield tensors of one shape in every memory layout that networks use."""

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
    """Yield every layout of the first shape with every layout of the second."""
    for left, right in shapes:
        yield from itertools.product(layouts(*left), layouts(*right))


def tensors() -> list[Tensor]:
    """Return floating-point tensors of several shapes and layouts."""
    shapes = [(2, 3, 4, 5), (1, 3, 4, 4), (2, 1, 4, 4), (2, 3, 1, 1), (2, 3, 4), (4, 6), (1, 1)]
    return [tensor for shape in shapes for tensor in layouts(*shape)]


def every_dtype() -> list[Tensor]:
    """Return those tensors, and others of half precision and of integers."""
    return [*tensors(), *layouts(2, 3, 4, 5, dtype=torch.float16), *layouts(2, 3, 4, 5, dtype=torch.int64)]


def tensor_pairs() -> Iterator[tuple[Tensor, Tensor]]:
    """Yield pairs of tensors that broadcast, or do not."""
    return pairs(
        ((2, 3, 4, 5), (2, 3, 4, 5)),
        ((2, 3, 4, 5), (3, 1, 1)),
        ((3, 1, 1), (2, 3, 4, 5)),
        ((1, 3, 4), (2, 3, 4)),
        ((2, 3, 1, 1), (2, 3, 4, 5)),
        ((2, 1, 4), (2, 3, 1)),
        ((2, 3), (3, 2)),
    )


def images() -> list[Tensor]:
    """Return batches of images."""
    shapes = [(2, 4, 7, 7), (1, 4, 6, 5), (2, 1, 6, 6), (2, 4, 1, 1)]
    return [tensor for shape in shapes for tensor in layouts(*shape)]


def weight(*shape: int) -> Tensor:
    """Return a contiguous tensor without data."""
    return torch.empty(shape, device="meta")


def rows(*shape: int) -> Callable[[], Tensor]:
    """Return a lookup of table rows by indices of `shape`."""
    return partial(weight(7, 3).__getitem__, torch.zeros(shape, dtype=torch.int64))


functional: Any = torch.nn.functional

CASES: dict[str, Callable[[], list[Callable[[], Any]]]] = {
    "unary": lambda: [
        partial(f, x)
        for f in (torch.relu, functional.relu6, functional.gelu, torch.sigmoid, functional.hardswish, torch.tanh)
        for x in every_dtype()
    ],
    "softmax": lambda: [partial(torch.softmax, x, -1) for x in every_dtype()],
    "numbers": lambda: [partial(f, x, 2) for f in (torch.mul, torch.add, torch.div, torch.eq) for x in every_dtype()],
    "two": lambda: [partial(f, *p) for f in (torch.add, torch.mul) for p in tensor_pairs()],
    "in place": lambda: [partial(x.add_, y) for x, y in tensor_pairs()],
    "convolution": lambda: [
        partial(functional.conv2d, x, w, None, **s)
        for x in images()
        for w in (weight(8, 4, 3, 3), weight(8, 1, 3, 3), weight(8, 4, 1, 1), *layouts(6, 2, 3, 3))
        for s in ({}, {"stride": 2, "padding": 1}, {"dilation": 2}, {"groups": 2}, {"padding": "same"}, {"groups": 4})
    ],
    "unbatched": lambda: [partial(functional.conv1d, weight(3, 8), weight(4, 3, 3))],
    "linear": lambda: [
        partial(functional.linear, x, w, b)
        for x in tensors() for w in (weight(6, 5), weight(6, 4), weight(4, 6).t(), weight(5)) for b in (None, weight(6), weight(1))
    ],
    "matmul": lambda: [
        partial(torch.matmul, x, y)
        for x, y in pairs(((2, 3, 4, 5), (2, 3, 5, 6)), ((3, 4, 5), (3, 5, 2)), ((3, 4, 5), (5, 2)), ((1, 4, 5), (3, 5, 2)))
    ],
    "attention": lambda: [
        partial(functional.scaled_dot_product_attention, q, k, k, **s)
        for q, k in pairs(((2, 3, 4, 8), (2, 3, 6, 8)), ((2, 4, 4, 8), (2, 2, 4, 8)), ((3, 4, 8), (3, 6, 8)))
        for s in ({}, {"is_causal": True}, {"enable_gqa": True})
    ],
    "pooling": lambda: [
        partial(f, x, **s)
        for f in (functional.max_pool2d, functional.avg_pool2d)
        for x in images()
        for s in (
            {"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 9},
            {"kernel_size": 3, "stride": 2, "ceil_mode": True}, {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
        )
    ],
    "adaptive pooling": lambda: [partial(functional.adaptive_avg_pool2d, x, n) for x in (*images(), weight(3, 4, 4)) for n in (1, 3)],
    "mean": lambda: [
        partial(x.mean, d, keepdim=k) for x in every_dtype() for d in ([-1], [0, 1], [1, 1], [0]) for k in (True, False)
    ],
    "concatenation": lambda: [partial(torch.cat, p, d) for p in tensor_pairs() for d in (0, 1, -1)],
    "batch norm": lambda: [
        partial(functional.batch_norm, x, weight(n), weight(n), weight(n), weight(n)) for x in (*images(), *tensors()) for n in (4, 3)
    ],
    "layer norm": lambda: [partial(functional.layer_norm, x, s, weight(*s)) for x in tensors() for s in ((4,), (5,), (4, 5))],
    "group norm": lambda: [partial(functional.group_norm, x, g) for x in (*images(), *tensors()) for g in (1, 2)],
    "copies": lambda: [f for x in every_dtype() for f in (x.contiguous, partial(x.reshape, -1), partial(x.reshape, 2, -1))],
    "roll": lambda: [partial(torch.roll, x, 1, 0) for x in tensors()],
    "rows": lambda: [rows(2, 5), rows(4)],
    "mask": lambda: [partial(x.masked_fill, m, -1.0) for x in tensors() for m in (torch.zeros(4, device="meta").bool(), torch.zeros(1, 1, device="meta").bool())],
    "misfits": lambda: [
        *(partial(x.mean, [9]) for x in tensors()),
        *(partial(torch.roll, x, 1, 9) for x in tensors()),
        *(partial(torch.roll, x, (1, 2), 0) for x in tensors()),
        *(partial(x.reshape, -2, -x.numel() // 2) for x in tensors()),
        *(partial(x.copy_, weight(7)) for x in tensors()),
        *(partial(f, x) for f in (torch.sigmoid_, torch.relu_) for x in (weight(3) > 0, weight(3).long())),
        *(partial(x.copy_, y) for x, y in tensor_pairs()),
    ],
    "misfits of products": lambda: [
        *(partial(functional.conv2d, weight(2, 4, 7, 7), weight(8, 4, 3, 3), weight(n)) for n in (7, 8, 9)),
        *(partial(functional.conv2d, weight(2, 4, 7, 7), weight(8, 4, *k), None, **s) for k in ((3, 2), (8, 3), (7, 7), (3, 8)) for s in ({}, {"stride": (1, 2), "padding": (0, 1)})),
        *(partial(functional.conv2d, weight(*x), weight(*w), None, 1, 0, 1, g) for x in ((4, 7, 7), (2, 4, 7, 7), (2, 5, 7, 7)) for w, g in (((8, 2, 3, 3), 2), ((9, 2, 3, 3), 2), ((8, 3, 3, 3), 2), ((8, 3, 3), 1))),
        *(partial(functional.linear, weight(2, n), weight(6, 5), weight(b)) for n in (4, 5, 6) for b in (5, 6, 7)),
        *(partial(torch.matmul, weight(*x), weight(*y)) for x, y in itertools.permutations([(2, 3, 4, 5), (2, 3, 5, 4), (3, 3, 5, 4), (3, 4, 5), (3, 5, 4), (4, 5), (5, 4), (2, 2, 4, 5)], 2)),
        *(
            partial(functional.scaled_dot_product_attention, weight(2, 3, 4, e), weight(2, n, 6, f), weight(2, n, s, 5))
            for e in (7, 8, 9) for f in (8,) for n in (3, 4) for s in (5, 6, 7)
        ),
        *(partial(functional.scaled_dot_product_attention, weight(*x), weight(*x), weight(*x), **s) for x in ((2, 3, 4, 8), (3, 4, 8), (4, 8), (1, 2, 3, 4, 8)) for s in ({}, {"attn_mask": weight(4, 4)}, {"dropout_p": 0.5})),
    ],
    "misfits of windows": lambda: [
        partial(f, weight(*x), k, **s)
        for f in (functional.max_pool2d, functional.avg_pool2d)
        for x in ((2, 4, 7, 5), (4, 7, 5), (0, 4, 7, 5))
        for k in ((3, 2), (7, 5), (8, 5), (7, 6), 1)
        for s in ({}, {"padding": 1}, {"padding": 2}, {"padding": (1, 0)}, {"stride": (1, 3)}, {"padding": 1, "stride": 3, "ceil_mode": True})
    ],
    "dropout": lambda: [partial(functional.dropout, x, 0.5, training=False) for x in tensors()],
}  # fmt: skip


class CheckedRules(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Compares the output of each shape rule with PyTorch's.

    Attributes:
        answers: how many calls a rule answered.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.answers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Return PyTorch's output, which the rule's has to equal."""
        schema = OpSchema(func)
        rule = SHORTCUTS.get(schema.name)
        bound = schema.bind(args, kwargs or {})
        answer = rule(bound) if rule else None
        self.answers += answer is not None
        expected = settled(schema.name, bound, func(*args, **(kwargs or {})))
        if answer is not None:
            assert list(map(layout, tree_leaves(expected))) == list(map(layout, tree_leaves(answer)))
        return expected


def layout(tensor: Tensor) -> tuple[Any, ...]:
    """Return shape, strides that matter, and dtype."""
    return tuple(tensor.shape), canonical_strides(tuple(tensor.shape), tensor.stride()), tensor.dtype


@pytest.mark.parametrize("name", CASES)
def test_shape_rules_equal_torch(name: str) -> None:
    """A rule that answers is right, and no rule answers a call that PyTorch rejects."""
    checked = CheckedRules()
    cases = CASES[name]()
    with torch.inference_mode():
        for case in cases:
            before = checked.answers
            try:
                with checked:
                    case()
            except (RuntimeError, ValueError, IndexError):
                assert before == checked.answers

    assert (checked.answers > 0) == (name != "unbatched")


def numbers(*values: int) -> Tensor:
    """Return integers with values."""
    return torch.tensor(values)


DATA, MASK = torch.zeros(4, 3, 2), torch.tensor([True, False, True, True])
STEPS = torch.zeros(9, 2)

# operator, overload, arguments: the first is known by its shape only, the others decide the sizes
VALUED_CALLS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("_pack_padded_sequence", "default", (DATA, numbers(4, 3, 2), False)),
    ("_pack_padded_sequence", "default", (DATA, numbers(3, 2, 1, 1), True)),
    ("_pack_padded_sequence", "default", (torch.zeros(4, 3, 2, 5), numbers(4, 3, 2), False)),
    # to the longest sequence, or to a length of 7 steps
    ("_pad_packed_sequence", "default", (STEPS, numbers(4, 3, 2), False, 0.0, -1)),
    ("_pad_packed_sequence", "default", (STEPS, numbers(4, 3, 2), False, 0.0, 7)),
    ("_pad_packed_sequence", "default", (STEPS, numbers(4, 3, 2), True, 0.0, -1)),
    ("_pad_packed_sequence", "default", (STEPS, numbers(4, 3, 2), True, 0.0, 7)),
    ("_pad_packed_sequence", "default", (torch.zeros(9, 2, 5), numbers(4, 3, 2), False, 0.0, -1)),
    ("masked_select", "default", (DATA, torch.tensor([True, False]))),
    ("masked_select", "default", (torch.zeros(2), torch.ones(3, 2).bool())),
    ("index", "Tensor", (DATA, [MASK])),
    ("index", "Tensor", (DATA, [None, torch.tensor([True, False, True])])),
    ("index", "Tensor", (DATA, [MASK, numbers(0, 1, 1)])),
    ("index", "Tensor", (DATA, [torch.eye(4, 3).bool()])),
    ("repeat_interleave", "self_Tensor", (DATA, numbers(2, 0, 1), 1)),
    ("repeat_interleave", "self_Tensor", (DATA, numbers(3), 1)),
    ("repeat_interleave", "self_Tensor", (DATA, numbers(3), None)),
    ("repeat_interleave", "self_Tensor", (torch.zeros(1, 2), numbers(3), 0)),
    ("repeat_interleave", "self_Tensor", (torch.zeros(4, 1), numbers(2, 0, 1, 3), None)),
]


def without_data(argument: Any) -> Any:
    """Return an argument whose tensors are on the meta device."""
    if isinstance(argument, list):
        return [without_data(each) for each in argument]
    return argument.to("meta") if isinstance(argument, Tensor) else argument


@pytest.mark.parametrize(("name", "overload", "arguments"), VALUED_CALLS)
def test_sizes_that_depend_on_values_equal_torch(
    name: str, overload: str, arguments: tuple[Any, ...]
) -> None:
    """A rule finds the sizes of the outputs in the values that decide them, and has none without values."""
    operator = getattr(getattr(torch.ops.aten, name), overload)
    schema, rule, (data, *deciding) = OpSchema(operator), VALUED[name], arguments
    answer = rule(schema.bind((without_data(data), *deciding), {}))

    assert list(map(layout, tree_leaves(operator(*arguments)))) == list(map(layout, tree_leaves(answer)))
    assert rule(schema.bind(tuple(map(without_data, arguments)), {})) is None


def test_a_number_of_repeats_has_no_values() -> None:
    """A rule for tensors of repeats leaves a plain number to PyTorch."""
    schema = OpSchema(torch.ops.aten.repeat_interleave.self_int)

    assert VALUED["repeat_interleave"](schema.bind((without_data(DATA), 2, 1), {})) is None


@pytest.mark.parametrize("has_values", [True, False])
def test_a_packed_layer_needs_the_number_of_sequences(has_values: bool) -> None:
    """A recurrent layer on packed sequences has a rule if the number of sequences at each step is known."""
    sizes = numbers(4, 3, 2) if has_values else without_data(numbers(4, 3, 2))
    hx = [without_data(torch.zeros(1, 4, 6))]
    answer = VALUED["gru"](
        {"data": without_data(STEPS), "batch_sizes": sizes, "hx": hx, "bidirectional": True}
    )

    assert [tuple(each.shape) for each in answer or ()] == ([(9, 12), (1, 4, 6)] if has_values else [])


@pytest.mark.parametrize(
    ("left", "right", "groups", "expected"),
    [
        ((3, 6, 4), (3, 4, 5), None, (3, 6, 5)),
        # the summed dimension is divided; rows are; columns are
        ((6, 4), (4, 5), 3, (3, 6, 5)),
        ((6, 4), (3, 4, 5), 3, (6, 5)),
        ((3, 6, 4), (4, 5), 3, (6, 5)),
        # no groups, groups twice, sizes that do not fit, a vector
        ((6, 4), (4, 5), None, None),
        ((3, 6, 4), (3, 4, 5), 3, None),
        ((3, 6, 4), (3, 3, 5), None, None),
        ((3, 6, 4), (3, 5, 5), None, None),
        ((3, 2, 6, 4), (3, 2, 4, 5), 3, None),
    ],
)
def test_a_product_of_groups(
    left: tuple[int, ...], right: tuple[int, ...], groups: int | None, expected: tuple[int, ...] | None
) -> None:
    """Groups are a dimension of both matrices, of one, or of the result."""
    offsets = weight(groups) if groups else None
    answer = grouped_matmul(
        {"self": weight(*left), "mat2": weight(*right), "offs": offsets, "out_dtype": None}
    )

    assert expected == (tuple(answer.shape) if answer is not None else None)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        # class labels: one for all candidates, if no places or times are wanted
        ("_unique2", {"return_inverse": False, "return_counts": False}, [(1,), (0,), (0,)]),
        ("_unique2", {"return_inverse": True, "return_counts": False}, [(6,), (2, 3), (0,)]),
        ("_unique2", {"return_inverse": False, "return_counts": True}, [(6,), (0,), (6,)]),
        (
            "unique_consecutive",
            {"return_inverse": True, "return_counts": True, "dim": None},
            [(6,), (2, 3), (6,)],
        ),
        ("unique_dim", {"dim": 1}, [(2, 3), (3,), (3,)]),
    ],
)
def test_elements_are_taken_to_differ(
    name: str, settings: dict[str, Any], expected: list[tuple[int, ...]]
) -> None:
    """Without values, all elements or slices are distinct."""
    answer = KEEP_ALL[name]({"self": weight(2, 3), **settings})

    assert expected == [tuple(each.shape) for each in answer]


VIEWED: dict[str, tuple[Any, ...]] = {
    "view": ([2, -1],),
    "permute": ([2, 0, 1],),
    "transpose.int": (-1, 0),
    "t": (),
    "unsqueeze": (-1,),
    "squeeze.dim": (1,),
    "select.int": (0, -1),
    "unbind.int": (-1,),
    "chunk": (2, -1),
    "expand": ([3, 2, -1, 6],),
    "reshape": ([2, -1],),
    "flatten.using_ints": (1, 2),
}
"""Operator name -> its arguments after the tensor."""


@pytest.mark.parametrize("name", sorted(METHODS))
def test_methods_that_view_equal_their_operators(name: str) -> None:
    """A method returns the views that its operator returns."""
    packet, _, overload = name.removeprefix("aten::").partition(".")
    arguments = VIEWED[name.removeprefix("aten::")]
    data = torch.empty(2, 3, device="meta") if packet == "t" else torch.empty(2, 1, 6, device="meta")
    operator = getattr(getattr(torch.ops.aten, packet), overload or "default")

    expected, views = tree_leaves(operator(data, *arguments)), tree_leaves(METHODS[name](data, *arguments))

    assert [(v.shape, v.stride(), v.storage_offset()) for v in expected] == [
        (v.shape, v.stride(), v.storage_offset()) for v in views
    ]
    assert {data.untyped_storage()._cdata} == {view.untyped_storage()._cdata for view in views}
