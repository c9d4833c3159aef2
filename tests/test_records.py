"""Records of operators and costs: sizes, strides, groups and bytes, each by hand."""

from __future__ import annotations

import pytest
import torch

from mbanalyze.ops.cost import ITEM_SIZES, PRODUCTS, Cost, total
from mbanalyze.ops.record import Op, Role, Value, canonical_strides, contiguous_strides


def test_elements_have_the_sizes_of_torch() -> None:
    """The bytes of an element are those of PyTorch's dtype of the same name."""
    assert {name: getattr(torch, name).itemsize for name in ITEM_SIZES} == ITEM_SIZES


def test_bytes_are_those_of_four_byte_elements_by_default() -> None:
    """Of 12 elements read and written, 2 are 16 bytes whatever the dtype; the others are 4 bytes each."""
    cost = Cost(params=3, macs=10, flops=28, activations=6, reads=5, writes=7, fixed=2, fixed_bytes=16)
    expected = {
        "params": 3, "macs": 10, "flops": 28, "activations": 6, "reads": 5, "writes": 7, "memory_access": 12,
        "memory_access_bytes": 56, "arithmetic_intensity": 0.5, "params_bytes": 12,
    }  # fmt: skip

    assert expected == cost.as_dict() == cost.as_dict(4)
    assert [expected] == cost.records()
    assert repr(cost) == cost.to("table")
    # 10 elements of 2 bytes, and 16
    halves = (cost.memory_access_bytes(2), cost.arithmetic_intensity(2), cost.params_bytes(2))
    singles = (cost.memory_access_bytes(), cost.arithmetic_intensity(), cost.params_bytes())
    assert halves == (36, 28 / 36, 6)
    assert singles == (56, 0.5, 12)


def test_intensity_is_unknown_without_flops_or_bytes() -> None:
    """Unknown flops and an empty operator have no arithmetic intensity; no flops have an intensity of 0."""
    assert Cost(flops=None, reads=1).arithmetic_intensity() is None
    assert Cost(flops=1).arithmetic_intensity() is None
    assert Cost(flops=0, reads=1).arithmetic_intensity() == 0


def test_sums_skip_what_is_unknown() -> None:
    """A sum adds every known count, and is unknown where all are; a sum of nothing is zero."""
    one = Cost(1, None, 3, None, 5, 6, 7, 8)
    two = Cost(10, 20, None, None, 50, 60, 70, 80)

    assert one + two == total([one, two]) == Cost(11, 20, 3, None, 55, 66, 77, 88)
    assert total([]) == Cost(0, 0, 0, 0, 0, 0, 0, 0)


def test_a_cost_cannot_be_changed() -> None:
    """Costs, values and records are immutable and have no other attributes."""
    cost, op = Cost(), Op("", "relu", (), ())
    for value, name in (
        (cost, "params"),
        (cost, "other"),
        (op, "kind"),
        (op, "other"),
        (Value("buffer", 0, ()), "role"),
    ):
        with pytest.raises((AttributeError, TypeError)):
            setattr(value, name, 1)
    assert [hasattr(value, "__dict__") for value in (cost, op)] == [False, False]


def test_products_multiply_and_accumulate() -> None:
    """These kinds have activations."""
    assert {"conv", "linear", "matmul", "einsum", "bilinear", "attention", "lstm", "gru", "rnn"} <= PRODUCTS


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        # 3 x 4 elements: a row is 4 long
        ((2, 3, 4), (12, 4, 1), None),
        ((), (), None),
        ((1, 3), (9, 1), None),
        ((3, 1), (1, 7), None),
        ((3, 2), (1, 3), (1, 3)),
        ((2, 1, 3), (3, 5, 1), None),
        ((2, 1, 3), (1, 5, 2), (1, 0, 2)),
        ((1, 2, 3), (5, 1, 2), (0, 1, 2)),
        ((2, 3), (0, 1), (0, 1)),
        ((2, 3), (2, 1), (2, 1)),
        ((2, 3), (4, 1), (4, 1)),
    ],
)
def test_strides_are_canonical(
    shape: tuple[int, ...], strides: tuple[int, ...], expected: tuple[int, ...] | None
) -> None:
    """Contiguous strides are None, and a dimension of one element has a stride of 0."""
    assert expected == canonical_strides(shape, strides)
    assert torch.empty(shape).stride() == contiguous_strides(shape)


@pytest.mark.parametrize(
    ("shape", "strides", "size"),
    [
        ((2, 3, 4), None, 24),
        ((), None, 1),
        # a broadcast dimension holds one element
        ((5, 3), (0, 1), 3),
        ((5, 3), (0, 0), 1),
        # 4 windows of 3 at steps of 1 span 6 elements
        ((4, 3), (1, 1), 6),
        # 3 windows of 2 at steps of 2 share none
        ((3, 2), (2, 1), 6),
        # every other element of 7
        ((4,), (2,), 4),
        ((3, 4), (8, 2), 12),
    ],
)
def test_the_size_of_a_value(shape: tuple[int, ...], strides: tuple[int, ...] | None, size: int) -> None:
    """A value has its distinct elements, counted here one by one."""
    contiguous = strides or contiguous_strides(shape)
    base = torch.arange(100)
    distinct = len(set(base.as_strided(shape, contiguous).flatten().tolist()))

    assert size == distinct == Value("activation", 0, shape, strides=strides).size


def conv(image: tuple[int, ...], weight: tuple[int, ...], k: int, *, transposed: bool = False) -> Op:
    """Return a convolution to `k` channels."""
    values = [Value("activation", 0, image), Value("weight", 0, weight)]
    out = Value("activation", 1, (*image[:-3], k, *image[-2:]))
    return Op("", "conv", tuple(values), (out,), attributes=(("transposed", True),) if transposed else ())


@pytest.mark.parametrize(
    ("op", "groups", "variant"),
    [
        (conv((1, 6, 5, 5), (4, 6, 1, 1), 4), 1, "pointwise"),
        (conv((1, 6, 5, 5), (4, 6, 3, 3), 4), 1, "standard"),
        (conv((1, 6, 5, 5), (4, 6, 1, 3), 4), 1, "standard"),
        (conv((1, 6, 5, 5), (4, 6, 3, 1), 4), 1, "standard"),
        (conv((1, 6, 5, 5), (4, 3, 3, 3), 4), 2, "grouped"),
        (conv((1, 6, 5, 5), (6, 1, 3, 3), 6), 6, "depthwise"),
        (conv((1, 6, 5, 5), (12, 1, 1, 1), 12), 6, "depthwise"),
        (conv((6, 5, 5), (6, 1, 3, 3), 6), 6, "depthwise"),
        # 4 channels of output, 2 in each group
        (conv((1, 6, 5, 5), (6, 2, 3, 3), 4, transposed=True), 2, "grouped"),
        (conv((1, 2, 5, 5), (2, 1, 3, 3), 2, transposed=True), 2, "depthwise"),
    ],
)
def test_groups_follow_from_shapes(op: Op, groups: int, variant: str) -> None:
    """The groups of a convolution and its variant, also without a batch and transposed."""
    assert (groups, variant) == (op.groups, op.variant)


def test_other_kinds_have_no_variant() -> None:
    """Only convolutions have a variant."""
    op = conv((1, 6, 5, 5), (4, 6, 1, 1), 4)

    assert [op._replace(kind=kind).variant for kind in ("add", "linear")] == [None, None]


def test_strides_have_one_number_for_each_dimension() -> None:
    """Strides of another length than the shape are an error."""
    with pytest.raises(ValueError, match="zip"):
        canonical_strides((2, 3), (1,))
    with pytest.raises(ValueError, match="zip"):
        Value("buffer", 0, (2, 3), strides=(1,)).size  # noqa: B018 (asking is the test)


def test_operands_by_role() -> None:
    """Activations, weights and buffers of an operator keep their order."""
    roles: list[Role] = ["buffer", "weight", "activation", "weight", "activation", "buffer"]
    values = tuple(Value(role, i, (i,)) for i, role in enumerate(roles))
    op = Op("a.b", "add", values, (), 3, (("kernel", (2, 2)),), "add_")

    numbers = [[value.number for value in of] for of in (op.inputs, op.weights, op.buffers)]
    assert numbers == [[2, 4], [1, 3], [0, 5]]
    assert (op.attribute("kernel"), op.attribute("taps")) == ((2, 2), None)
    assert op == Op("a.b", "add", values, (), 3, (("kernel", (2, 2)),), "add")
    assert op != Op("a.b", "add", values, (), 4, (("kernel", (2, 2)),), "add_")


def test_defaults_of_records() -> None:
    """A value starts at its tensor's start, and an operator owns nothing."""
    assert Value("activation", 0, (2,)) == Value("activation", 0, (2,), 0, None, None)
    assert Op("", "relu", (), ()) == Op("", "relu", (), (), 0, (), "")


def test_operators_are_equal_up_to_the_name_of_pytorch() -> None:
    """The name that PyTorch gives an operator does not matter; everything else does."""
    value = Value("activation", 0, (2, 3))
    op = Op("a", "relu", (value,), (value,), operator="relu_")

    assert not value.is_complex
    assert op == op._replace(operator="relu")
    assert hash(op) == hash(op._replace(operator="relu"))
    for other in (
        op._replace(path="b"),
        op._replace(kind="add"),
        op._replace(operands=()),
        op._replace(params=1),
    ):
        assert [op == other, other == op] == [False, False]
        assert [op != other, other != op] == [True, True]
        assert hash(op) != hash(other)
    assert op != tuple(op)
