"""The closed-form costs of single layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from witness import table

from mbanalyze import layers
from mbanalyze.archs.builder import ShapeError
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.ops.cost import Cost

SMALL = st.integers(1, 6)


def counts(cost: Cost) -> list[Any]:
    """The counts of a cost, which may be arrays."""
    return list(cost)


@given(size=st.integers(3, 9), channels=SMALL, stride=st.integers(1, 3), bias=st.booleans())
def test_a_depthwise_convolution_is_grouped_by_channel(
    size: int, channels: int, stride: int, bias: bool
) -> None:
    """A depthwise convolution equals a grouped convolution with one group per channel."""
    one = layers.depthwise_conv(size, channels, 3, stride=stride, bias=bias)
    other = layers.grouped_conv(size, channels, channels, 3, channels, stride=stride, bias=bias)

    assert one == other


@given(size=SMALL, inp=SMALL, out=SMALL)
def test_pointwise_memory_access(size: int, inp: int, out: int) -> None:
    """A 1x1 convolution accesses hw(c1 + c2) + c1 c2 elements (ShuffleNet V2, G1)."""
    ours = layers.pointwise_conv(size, inp, out, bias=False)

    assert size**2 * (inp + out) + inp * out == ours.memory_access
    assert size**2 * inp * out == ours.macs


@given(size=SMALL, inp=SMALL, out=SMALL)
def test_pointwise_memory_access_is_bounded(size: int, inp: int, out: int) -> None:
    """A 1x1 convolution accesses at least 2 sqrt(hwB) + B/hw elements; only equal channels reach that minimum."""
    ours = layers.pointwise_conv(size, inp, out, bias=False)
    assert ours.macs is not None
    bound = layers.memory_access_bound(size, ours.macs)

    assert ours.memory_access >= bound - 1e-9
    assert (inp == out) == (abs(ours.memory_access - bound) < 1e-9)


def test_the_bound_of_the_erratum() -> None:
    """The minimum at h = w = 56 and c1 = c2 = 128 is 56^2 x 256 + 128^2 = 819,200."""
    assert layers.pointwise_conv(56, 128, 128, bias=False).memory_access == 819_200
    assert layers.memory_access_bound(56, 56**2 * 128**2) == 819_200


def test_the_bound_does_not_overflow() -> None:
    """The minimum memory access of arrays equals that of integers beyond 32 bits."""
    macs = layers.pointwise_conv(1024, 2048, 8192, bias=False).macs
    assert macs is not None

    assert layers.memory_access_bound(np.array([1024]), np.array([macs])) == pytest.approx(
        layers.memory_access_bound(1024, macs), rel=1e-15
    )


def test_ratios_of_arrays() -> None:
    """The arithmetic intensity of a layer with array sizes holds that of each size."""
    alone = [layers.conv(size, 3, 8, 3).arithmetic_intensity() for size in (14, 28)]
    together = layers.conv(np.array([14, 28]), 3, 8, 3).as_dict()["arithmetic_intensity"]

    assert alone == together.tolist()  # type: ignore[union-attr]


def test_separable_reduction_is_the_ratio_of_the_costs() -> None:
    """A separable convolution has 1/N + 1/Dk^2 of the macs of the standard convolution."""
    full = layers.conv(14, 512, 512, 3, padding=1).macs
    separable = layers.depthwise_separable(14, 512, 512, 3, padding=1, normalised=False).macs

    assert full is not None
    assert separable is not None
    assert layers.separable_reduction(512, 3) == pytest.approx(separable / full, rel=1e-15)


LAYERS: dict[str, tuple[Callable[..., Cost], tuple[Any, ...], dict[str, Any]]] = {
    "conv": (layers.conv, (9, 6, 4, 3), {"groups": 2}),
    "grouped": (layers.grouped_conv, (9, 6, 4, 3, 2), {}),
    "depthwise": (layers.depthwise_conv, (9, 6, 3), {"multiplier": 2}),
    "pointwise": (layers.pointwise_conv, (9, 6, 4), {}),
    "transposed": (layers.conv_transpose, (9, 6, 4, 3), {"stride": 2, "output_padding": 1}),
    "separable": (layers.depthwise_separable, (9, 6, 4, 3), {}),
    "linear": (layers.linear, (6, 4), {}),
    "batch_norm": (layers.batch_norm, (9, 6), {}),
    "max_pool": (layers.pool, ("max", 9, 6, 2), {}),
    "avg_pool": (layers.pool, ("avg", 9, 6, (3, 2)), {"stride": 1, "padding": 1}),
    "global_avg_pool": (layers.global_avg_pool, (9, 6), {}),
    "add": (layers.elementwise, ("add", 9, 6), {"inputs": 2}),
    "hard_swish": (layers.elementwise, ("hard_swish", 9, 6), {}),
    "concatenation": (layers.concatenation, (9, 6, 4, 2), {}),
    "squeeze_excitation": (layers.squeeze_excitation, (9, 6, 2), {"gate": "hard_sigmoid"}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_batch_of_two_costs_twice_a_batch_of_one(name: str) -> None:
    """A batch of two doubles every count except params and the weights and buffers read."""
    layer, sizes, settings = LAYERS[name]
    one, two = (layer(*sizes, **settings, batch=n) for n in (1, 2))

    assert one.params == two.params
    assert (2 * (one.macs or 0), 2 * (one.flops or 0)) == (two.macs, two.flops)
    assert (2 * (one.activations or 0), 2 * one.writes) == (two.activations, two.writes)
    stored = 2 * one.reads - two.reads
    # a batch norm also reads a mean and a variance for each of its channels: 6 and 4 in the separable one
    buffers = {"batch_norm": 2 * 6, "separable": 2 * (6 + 4)}.get(name, 0)
    assert one.params + buffers == stored


@pytest.mark.parametrize("name", LAYERS)
def test_arrays_give_the_counts_of_their_elements(name: str) -> None:
    """An array of sizes gives an array of counts, each equal to the count of its integer."""
    layer, sizes, settings = LAYERS[name]
    batches = np.array([1, 2, 700], dtype=np.int32)
    together = layer(*sizes, **settings, batch=batches)

    for i, batch in enumerate(batches):
        alone = layer(*sizes, **settings, batch=int(batch))
        picked = tuple(int(np.broadcast_to(count, 3)[i]) for count in counts(together))
        assert alone == picked


@pytest.mark.parametrize("name", LAYERS)
def test_every_size_may_be_an_array(name: str) -> None:
    """Any size, including kernels and groups, may be an array; each element gives the integer's counts."""
    layer, sizes, settings = LAYERS[name]
    alone = layer(*sizes, **settings)

    for i, size in enumerate(sizes):
        if isinstance(size, int):
            twice = layer(*sizes[:i], np.array([size, size]), *sizes[i + 1 :], **settings)
            for ours, both in zip(counts(alone), counts(twice), strict=True):
                assert np.broadcast_to(both, 2).tolist() == [ours, ours]


def test_arrays_broadcast() -> None:
    """A column of channels and a row of sizes give a table of counts."""
    size, channels = np.array([7, 14, 28]), np.array([[8], [16]])
    ours = layers.conv(size, channels, 2 * channels, 3, padding=1, bias=False)

    # h w k^2 c 2c
    assert (size**2 * 9 * channels * 2 * channels == ours.macs).all()
    assert ours.macs.shape == (2, 3)  # type: ignore[union-attr]


def test_integers_do_not_overflow_in_small_arrays() -> None:
    """An int32 array is converted to int64 before any multiplication."""
    size = np.array([4096], dtype=np.int32)

    assert int(np.asarray(layers.conv(size, 512, 512, 3, padding=1).macs)[0]) == 4096**2 * 9 * 512**2


def test_counts_of_numpy_scalars_are_integers() -> None:
    """A NumPy scalar gives Python integers as counts."""
    ours = layers.conv(np.int64(8), np.int64(3), np.int64(4), 3)  # type: ignore[arg-type]

    assert all(type(count) is int for count in ours)


def test_squeeze_excitation_by_hand() -> None:
    """The counts on 5 x 5 are those of: pool, reduce 16 -> 4, ReLU, expand 4 -> 16, sigmoid, scale."""
    ours = layers.squeeze_excitation(5, 16, 4)

    assert ours.params == (16 * 4 + 4) + (4 * 16 + 16)
    assert ours.macs == 16 * 4 + 4 * 16
    #                   pool     reduce, bias    relu  expand, bias     sigmoid  scale
    assert ours.flops == 16 * 25 + (2 * 64 + 4) + 4 + (2 * 64 + 16) + 4 * 16 + 16 * 25


def test_one_layer_in_four_variants() -> None:
    """MobileNetV1's Table 3 gives a 14x14x512 layer as standard, separable, thinner and at lower resolution."""

    def separable(size: int, channels: int) -> Cost:
        return layers.depthwise_separable(size, channels, channels, 3, padding=1, normalised=False)

    variants = [
        layers.conv(14, 512, 512, 3, padding=1, bias=False),
        separable(14, 512),
        separable(14, 384),  # alpha = 0.75
        separable(10, 384),  # rho = 0.714
    ]
    published = [row for row in table("mobilenet_v1_layer_types.csv") if row["table"] == "3"]

    assert len(published) == len(variants)
    for row, ours in zip(published, variants, strict=True):
        assert (int(row["computed_mult_adds"]), int(row["computed_params"])) == (ours.macs, ours.params)
        assert ours.macs is not None
        decimals = len(row["mult_adds_millions"].partition(".")[2])
        assert row["mult_adds_millions"] == f"{ours.macs / 1e6:.{decimals}f}"
        assert row["params_millions"] == f"{ours.params / 1e6:.2f}"


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: layers.conv(8, 3, 4, 3, groups=2), "2 groups do not divide 3 -> 4 channels"),
        (lambda: layers.conv_transpose(8, 4, 3, 3, groups=2), "2 groups do not divide 4 -> 3"),
        (lambda: layers.conv(8, 0, 4, 3), "channels must be at least 1, not 0"),
        (lambda: layers.conv(8, 3, 4, 3, stride=0), "stride must be at least 1"),
        (lambda: layers.conv(8, 3, 4.5, 3), "out_channels must be an integer, not 4.5"),  # type: ignore[arg-type]
        (lambda: layers.conv(8, 3, 4, (3, 3, 3)), "kernel must be one size or"),  # type: ignore[arg-type]
        (lambda: layers.conv(np.array([8.0]), 3, 4, 3), "size must hold integers"),
        (lambda: layers.conv(np.array([8, 2]), 3, 4, 3), "a window of"),
        (lambda: layers.elementwise("relu", 8, 3, inputs=2), "relu has one input, not 2"),
        (lambda: layers.pool("avg", 7, 3, 3, padding=2), "padding .* is more than half of the window"),
        (lambda: layers.conv_transpose(7, 3, 8, 3, output_padding=5), "output padding 5 must be less than"),
        (lambda: layers.conv(7, 3, 8, True), "kernel must be an integer, not True"),
        (lambda: layers.conv(np.array([], dtype=int), 3, 8, 3), "size must hold integers, not 0"),
        (lambda: layers.elementwise("relu", 8, 3, inputs=0), "inputs must be at least 1"),
        (lambda: layers.concatenation(8), "number of inputs must be at least 1"),
        (lambda: layers.conv(np.array([10**6]), 10**4, 10**4, 3), "may not fit 64 bits"),
        (lambda: layers.concatenation(np.array([10**9]), 4, 4), "may not fit 64 bits"),
        (lambda: layers.conv_transpose(1, 4, 4, 1, padding=1), "leaves no output"),
    ],
)
def test_invalid_sizes_are_errors(call: Callable[[], Cost], problem: str) -> None:
    """A size that is no integer, is out of range or does not fit raises ShapeError with its value."""
    with pytest.raises(ShapeError, match=problem):
        call()


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: layers.pool("mid", 8, 3, 2), "unknown pooling 'mid': choose one of max, avg"),  # type: ignore[arg-type]
        (lambda: layers.elementwise("rleu", 8, 3), "unknown elementwise kind 'rleu': .*, relu, "),
        (lambda: layers.elementwise("conv", 8, 3), "unknown elementwise kind 'conv'"),
        (lambda: layers.squeeze_excitation(5, 16, 4, gate="add"), "unknown gate 'add': .*, hard_sigmoid, "),
        (lambda: layers.squeeze_excitation(5, 16, 4, gate="hardsigmoid"), "unknown gate 'hardsigmoid'"),
    ],
)
def test_unknown_kinds_are_errors(call: Callable[[], Cost], problem: str) -> None:
    """An unknown kind of pooling, activation or gate raises ChoiceError and lists the known ones."""
    with pytest.raises(ChoiceError, match=problem):
        call()
