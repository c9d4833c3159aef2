"""Formulas against counting loops, against arithmetic by hand, and against each other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pytest
from witness import loops_conv, loops_conv_transpose

from mbanalyze import layers
from mbanalyze.archs.builder import ShapeError
from mbanalyze.ops import registry
from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.ops.formulas import FORMULAS
from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import FormulaError, cost, formula


@pytest.fixture
def own_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered formulas last until the end of the test."""
    monkeypatch.setattr(registry, "REGISTRY", {**registry.REGISTRY})


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
def test_a_convolution_equals_six_counting_loops(
    c: int, k: int, kernel: int, stride: int, padding: int, dilation: int, groups: int
) -> None:
    """The formula and the output size of a convolution equal those of loops over its definition."""
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
def test_a_transposed_convolution_equals_six_counting_loops(
    c: int, k: int, kernel: int, stride: int, padding: int, dilation: int, groups: int
) -> None:
    """The formula of a transposed convolution includes the multiplications that padding crops."""
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
        ("leaky_relu", 2),
        ("elu", 3),
        ("gelu", 5),
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
def test_flops_per_element(kind: str, flops: int) -> None:
    """Each kind takes its number of flops per output element, and no multiply-accumulates."""
    x, y = Value("activation", 0, (2, 3, 4, 4)), Value("activation", 1, (2, 3, 4, 4))
    ours = cost(Op("", kind, (x,), (y,)))

    assert ours.flops == flops * 96
    assert ours.macs == 0
    assert ours.activations == 0


def test_pooling() -> None:
    """A window of a elements takes a flops for its average and a - 1 for its maximum."""
    # 3 x 3 windows at 4 x 4 places of 2 channels
    assert layers.pool("avg", 8, 2, 3, stride=2, padding=1).flops == 9 * 32
    assert layers.pool("max", 8, 2, 3, stride=2, padding=1).flops == 8 * 32
    assert layers.global_avg_pool((7, 5), 2).flops == 70


def test_adaptive_pooling_counts_the_elements_of_its_windows() -> None:
    """Pooling 7 rows to 3 reads 9: the windows 0-3, 2-5 and 4-7 have 3 rows each."""
    x, y = Value("activation", 0, (1, 2, 7, 7)), Value("activation", 1, (1, 2, 3, 3))

    assert cost(Op("", "adaptive_avg_pool", (x,), (y,), attributes=(("dims", 2),))).flops == 2 * 9 * 9


def test_a_kind_without_a_formula_has_unknown_counts() -> None:
    """Without a formula macs, flops and activations are None; reads and writes are known."""
    x, y = Value("activation", 0, (5,)), Value("activation", 1, (7,))
    ours = cost(Op("", "aten::mystery", (x,), (y,)))

    assert (ours.macs, ours.flops, ours.activations) == (None, None, None)
    assert (ours.reads, ours.writes) == (5, 7)


def test_matrix_products() -> None:
    """Each output element of a matrix product takes m multiply-accumulates, and one flop for an added matrix."""
    a, b = Value("activation", 0, (2, 3, 4)), Value("activation", 1, (2, 4, 5))
    out, bias = Value("activation", 2, (2, 3, 5)), Value("activation", 3, (2, 3, 5))

    # 2 x 3 x 5 outputs, 4 products each
    assert cost(Op("", "matmul", (a, b), (out,))).macs == 120
    assert cost(Op("", "matmul", (a, b, bias), (out,))).flops == 2 * 120 + 30


def test_every_elementwise_kind_has_a_formula() -> None:
    """An elementwise kind takes the flops of its derivation for each output element."""
    x, y = Value("activation", 0, (2, 3)), Value("activation", 1, (2, 3))
    flops = {kind: cost(Op("", kind, (x,), (y,))).flops for kind in ELEMENTWISE}

    assert len(flops) > 60
    assert {kind: 6 * derivation.flops for kind, derivation in ELEMENTWISE.items()} == flops


STEPS = re.compile(r"(\d+) per (?:input )?element(?:, plus 1 each for scale and shift)?: (.*)\.")


def test_flops_equal_the_number_of_steps() -> None:
    """A derivation lists as many steps as flops; a kind in the list stands for its own steps."""
    derived = {kind: STEPS.match(function.__doc__ or "") for kind, function in FORMULAS.items()}
    steps = {kind: found[2].split(", ") for kind, found in derived.items() if found}

    assert len(steps) > 80
    assert {kind: int(found[1]) for kind, found in derived.items() if found} == {
        kind: sum(ELEMENTWISE[step].flops if step in ELEMENTWISE else 1 for step in each)
        for kind, each in steps.items()
    }


def test_every_formula_states_its_derivation() -> None:
    """Each built-in formula has a docstring, which the documentation shows."""
    assert {kind for kind, function in FORMULAS.items() if not function.__doc__} == set()


@pytest.mark.usefixtures("own_formulas")
@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda op: op.nothing, "the formula for mylib::wrong raised AttributeError: "),
        (lambda op: 3, "the formula for mylib::wrong raised TypeError: "),
        (lambda op: (0, "x"), "the formula for mylib::wrong must return two integers, not 0 and 'x'"),
    ],
)
def test_an_invalid_formula_is_named(function: Callable[[Op], tuple[int, int]], problem: str) -> None:
    """A formula that fails or returns anything but two integers raises FormulaError with its kind."""
    formula("mylib::wrong")(function)

    with pytest.raises(FormulaError, match=problem):
        cost(Op("", "mylib::wrong", (), (Value("activation", 0, (7,)),)))


@pytest.mark.usefixtures("own_formulas")
def test_a_formula_with_macs_has_activations() -> None:
    """An operator whose formula returns multiply-accumulates counts its output as activations."""
    formula("mylib::product")(lambda op: (30, 60))
    counted = cost(Op("", "mylib::product", (), (Value("activation", 0, (7,)),)))

    assert (counted.macs, counted.activations) == (30, 7)


@pytest.mark.usefixtures("own_formulas")
def test_registering_a_formula() -> None:
    """A registered formula makes an unknown operator known; a second formula for a kind raises FormulaError."""
    x, y = Value("activation", 0, (5,)), Value("activation", 1, (7,))
    op = Op("", "mylib::mystery", (x,), (y,))
    assert cost(op).flops is None

    formula("mylib::mystery")(lambda op: (0, 3 * op.output[0].size))

    assert cost(op).flops == 21
    with pytest.raises(FormulaError, match="mylib::mystery already has a formula: <lambda>"):
        formula("mylib::mystery")(lambda op: (0, 0))
    with pytest.raises(FormulaError, match="conv already has a formula: conv"):
        formula("conv")(lambda op: (0, 0))


def test_a_mean_takes_one_flop_per_element_read() -> None:
    """The mean of ten elements takes nine additions and a division."""
    x, y = Value("activation", 0, (3, 10)), Value("activation", 1, (3,))

    assert cost(Op("", "mean", (x,), (y,))).flops == 30


def test_a_window_larger_than_its_input_is_an_error() -> None:
    """A window larger than its padded input raises ShapeError."""
    with pytest.raises(ShapeError, match="does not fit"):
        layers.conv(2, 3, 8, 5)
