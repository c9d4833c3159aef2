"""Formulas against loops that count, and against each other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pytest
from witness import loops_conv, loops_conv_transpose

from mbanalyze import layers
from mbanalyze.archs.builder import ShapeError
from mbanalyze.ops.elementwise import ELEMENTWISE, STEPS
from mbanalyze.ops.formulas import ARITHMETIC
from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import FormulaError, cost, formula

SETTINGS = [
    pytest.param(
        c,
        k,
        kernel,
        stride,
        padding,
        dilation,
        groups,
        id=f"{c}-{k} k{kernel} s{stride} p{padding} d{dilation} g{groups}",
    )
    for (c, k, groups), kernel, stride, padding, dilation in itertools.product(
        [(1, 1, 1), (2, 3, 1), (4, 2, 2), (3, 3, 3), (2, 4, 2)], [1, 2, 3], [1, 2], [0, 1], [1, 2]
    )
]


@pytest.mark.parametrize(("c", "k", "kernel", "stride", "padding", "dilation", "groups"), SETTINGS)
def test_convolution_is_what_six_loops_count(
    c: int, k: int, kernel: int, stride: int, padding: int, dilation: int, groups: int
) -> None:
    """The formula counts the multiplications that the definition makes, and knows the output's size."""
    size = (6, 5)
    count, (h, w) = loops_conv(c, k, size, kernel, stride, padding, dilation, groups)
    ours = layers.conv(
        size, c, k, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=True
    )

    assert count == ours.macs
    # one addition of the bias for every output element
    assert 2 * count + k * h * w == ours.flops
    assert k * h * w == ours.writes == ours.activations
    assert k * (c // groups) * kernel**2 + k == ours.params
    assert c * size[0] * size[1] + ours.params == ours.reads


@pytest.mark.parametrize(("c", "k", "kernel", "stride", "padding", "dilation", "groups"), SETTINGS)
def test_transposed_convolution_is_what_six_loops_count(
    c: int, k: int, kernel: int, stride: int, padding: int, dilation: int, groups: int
) -> None:
    """The formula counts the multiplications that the definition makes, cropped ones included."""
    size = (4, 3)
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "bias": False}
    count, (h, w) = loops_conv_transpose(c, k, size, kernel, stride, padding, dilation, groups)
    ours = layers.conv_transpose(size, c, k, kernel, **settings)  # type: ignore[arg-type]

    assert count == ours.macs
    assert 2 * count == ours.flops
    assert k * h * w == ours.writes
    assert c * (k // groups) * kernel**2 == ours.params


@pytest.mark.parametrize(
    ("kind", "flops"),
    [
        ("relu", 1),
        ("relu6", 1),
        ("clamp", 1),
        ("add", 1),
        ("sub", 1),
        ("mul", 1),
        ("div", 1),
        ("pow", 1),
        ("batch_norm", 2),
        ("hard_sigmoid", 3),
        ("hard_swish", 4),
        ("sigmoid", 4),
        ("silu", 5),
        ("cat", 0),
        ("copy", 0),
        ("pad", 0),
    ],
)
def test_flops_of_an_element(kind: str, flops: int) -> None:
    """The convention, element by element."""
    x, y = Value("activation", 0, (2, 3, 4, 4)), Value("activation", 1, (2, 3, 4, 4))
    ours = cost(Op("", kind, (x,), (y,)))

    assert ours.flops == flops * 96
    assert ours.macs == 0
    assert ours.activations == 0


def test_pooling() -> None:
    """A window of a elements takes a flops to average and a - 1 to take the largest of."""
    # 3 x 3 windows at 4 x 4 places of 2 channels
    assert layers.pool("avg", 8, 2, 3, stride=2, padding=1).flops == 9 * 32
    assert layers.pool("max", 8, 2, 3, stride=2, padding=1).flops == 8 * 32
    assert layers.global_avg_pool((7, 5), 2).flops == 70


def test_adaptive_pooling_counts_the_elements_of_its_windows() -> None:
    """7 rows to 3: windows 0-3, 2-5, 4-7 hold 3 + 3 + 3 rows."""
    x, y = Value("activation", 0, (1, 2, 7, 7)), Value("activation", 1, (1, 2, 3, 3))

    assert cost(Op("", "adaptive_avg_pool", (x,), (y,), attributes=(("dims", 2),))).flops == 2 * 9 * 9


def test_an_unknown_kind_is_unknown() -> None:
    """What no formula counts has no macs, flops or activations, but it is known what it reads and writes."""
    x, y = Value("activation", 0, (5,)), Value("activation", 1, (7,))
    ours = cost(Op("", "aten::mystery", (x,), (y,)))

    assert (ours.macs, ours.flops, ours.activations) == (None, None, None)
    assert (ours.reads, ours.writes) == (5, 7)


def test_matrix_products() -> None:
    """Every output element is a sum of m products."""
    a, b = Value("activation", 0, (2, 3, 4)), Value("activation", 1, (2, 4, 5))
    out, bias = Value("activation", 2, (2, 3, 5)), Value("activation", 3, (2, 3, 5))

    # 2 x 3 x 5 outputs, 4 products each
    assert cost(Op("", "matmul", (a, b), (out,))).macs == 120
    assert cost(Op("", "matmul", (a, b, bias), (out,))).flops == 2 * 120 + 30


def test_elementwise_kinds() -> None:
    """Each costs what the table says for every output element, and nothing else."""
    x, y = Value("activation", 0, (2, 3)), Value("activation", 1, (2, 3))

    assert {kind: cost(Op("", kind, (x,), (y,))).flops for kind in ELEMENTWISE} == {
        kind: 6 * each.flops for kind, each in STEPS.items()
    }


DERIVED = {
    kind: re.match(
        r"(\d+) an (?:input )?element(?:, and 1 each for scale and shift)?: (.*)\.", formula.__doc__
    )
    for kind, formula in ARITHMETIC.items()
    if formula.__doc__
}


def test_steps_are_counted() -> None:
    """A formula of so many flops an element names as many steps; a kind among them stands for its own."""
    said = {kind: found.groups() for kind, found in DERIVED.items() if found}

    assert len(said) > 80
    assert {kind: int(flops) for kind, (flops, _) in said.items()} == {
        kind: sum(ELEMENTWISE.get(step, 1) for step in steps.split(", ")) for kind, (_, steps) in said.items()
    }


@pytest.mark.parametrize(
    ("mistaken", "said"),
    [
        (lambda op: op.nothing, "the formula for mylib::wrong raised AttributeError: "),
        (lambda op: 3, "the formula for mylib::wrong raised TypeError: "),
        (lambda op: (0, "x"), "the formula for mylib::wrong gave 0 and 'x', not two whole numbers"),
    ],
)
def test_a_formula_that_gives_no_counts(mistaken: Callable[[Op], tuple[int, int]], said: str) -> None:
    """The error says whose it is."""
    formula("mylib::wrong")(mistaken)
    try:
        with pytest.raises(FormulaError, match=said):
            cost(Op("", "mylib::wrong", (), (Value("activation", 0, (7,)),)))
    finally:
        del ARITHMETIC["mylib::wrong"]


def test_a_formula_of_products() -> None:
    """What multiplies and accumulates has activations, as a matrix product has."""
    formula("mylib::product")(lambda op: (30, 60))
    try:
        counted = cost(Op("", "mylib::product", (), (Value("activation", 0, (7,)),)))
    finally:
        del ARITHMETIC["mylib::product"]

    assert (counted.macs, counted.activations) == (30, 7)


def test_registering_a_formula() -> None:
    """An unknown operator becomes a counted one; a second formula is refused."""
    x, y = Value("activation", 0, (5,)), Value("activation", 1, (7,))
    op = Op("", "mylib::mystery", (x,), (y,))
    assert cost(op).flops is None
    try:
        formula("mylib::mystery")(lambda op: (0, 3 * op.output[0].size))

        assert cost(op).flops == 21
        with pytest.raises(FormulaError, match="mylib::mystery is counted already, by <lambda>"):
            formula("mylib::mystery")(lambda op: (0, 0))
        with pytest.raises(FormulaError, match="conv is counted already, by conv"):
            formula("conv")(lambda op: (0, 0))
    finally:
        del ARITHMETIC["mylib::mystery"]


def test_mean_costs_an_element_read() -> None:
    """Ten elements to one: nine additions and a division."""
    x, y = Value("activation", 0, (3, 10)), Value("activation", 1, (3,))

    assert cost(Op("", "mean", (x,), (y,))).flops == 30


def test_no_window_no_output() -> None:
    """A window larger than its padded input is an error, not an output of nothing."""
    with pytest.raises(ShapeError, match="does not fit"):
        layers.conv(2, 3, 8, 5)
