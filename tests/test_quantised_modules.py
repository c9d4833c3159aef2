"""A quantised module has the macs and learned scalars of its float twin, and weights of one byte."""

from __future__ import annotations

import copy
import functools
import gc
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from arithmetic import Run
from torch import Tensor, nn

from mbanalyze import check, compare, count
from mbanalyze.crosscheck.quantised_numel import numel
from mbanalyze.trace.matching.quantised import unpacked
from mbanalyze.trace.module_tree import named_modules, named_params

with warnings.catch_warnings(action="ignore"):  # PyTorch calls its quantised modules deprecated
    import torch.ao.quantization.fx._decomposed  # it registers the operators of `quantized_decomposed`
    from torch.ao import nn as without_annotations

ao: Any = without_annotations

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

SEQUENCE, IMAGE, VOLUME = torch.rand(1, 4, 6), torch.rand(1, 4, 6, 6), torch.rand(1, 4, 4, 4, 4)
ROWS, STEPS = torch.rand(2, 8), torch.rand(5, 2, 3)
INDICES = torch.tensor([[1, 2, 4], [4, 3, 9]])


class Quantised(nn.Module):
    """A quantised module behind the quantisation of its input."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Run the module on eight-bit integers."""
        result: Tensor = self.inner(torch.quantize_per_tensor(x, 0.1, 0, torch.quint8))
        return result


def from_float(layer: nn.Module, dtype: torch.dtype = torch.qint8) -> nn.Module:
    """Return a layer with dynamically quantised weights."""
    found: nn.Module = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
        nn.Sequential(layer), {type(layer)}, dtype=dtype
    )
    return found


# the quantised module, its float twin, an input, and the scalars that take four bytes: biases and affine scalars
LAYERS: list[tuple[Callable[[], nn.Module], Callable[[], nn.Module], Tensor, int]] = [
    (
        lambda: Quantised(ao.quantized.Conv1d(4, 8, 3, groups=2)),
        lambda: nn.Conv1d(4, 8, 3, groups=2),
        SEQUENCE,
        8,
    ),
    (
        lambda: Quantised(ao.quantized.Conv2d(4, 8, 3, groups=4)),
        lambda: nn.Conv2d(4, 8, 3, groups=4),
        IMAGE,
        8,
    ),
    (
        lambda: Quantised(ao.quantized.Conv2d(4, 8, 3, bias=False)),
        lambda: nn.Conv2d(4, 8, 3, bias=False),
        IMAGE,
        0,
    ),
    (lambda: Quantised(ao.quantized.Conv3d(4, 8, 3)), lambda: nn.Conv3d(4, 8, 3), VOLUME, 8),
    (
        lambda: Quantised(ao.quantized.ConvTranspose1d(4, 8, 3)),
        lambda: nn.ConvTranspose1d(4, 8, 3),
        SEQUENCE,
        8,
    ),
    (
        lambda: Quantised(ao.quantized.ConvTranspose3d(4, 8, 3)),
        lambda: nn.ConvTranspose3d(4, 8, 3),
        VOLUME,
        8,
    ),
    (lambda: ao.quantized.dynamic.Conv2d(4, 8, 3), lambda: nn.Conv2d(4, 8, 3), IMAGE, 8),
    (lambda: ao.quantized.dynamic.ConvTranspose2d(4, 8, 3), lambda: nn.ConvTranspose2d(4, 8, 3), IMAGE, 8),
    (lambda: ao.quantized.dynamic.Linear(8, 4), lambda: nn.Linear(8, 4), ROWS, 4),
    (
        lambda: Quantised(ao.intrinsic.quantized.ConvReLU3d(4, 8, 3)),
        lambda: nn.Sequential(nn.Conv3d(4, 8, 3), nn.ReLU()),
        VOLUME,
        8,
    ),
    # running statistics are no learned scalars
    (lambda: Quantised(ao.quantized.BatchNorm2d(4).eval()), lambda: nn.BatchNorm2d(4).eval(), IMAGE, 8),
    # 2 layers x 2 directions x 2 biases x 4 gates x 4
    (
        lambda: from_float(nn.LSTM(3, 4, num_layers=2, bidirectional=True)),
        lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True),
        STEPS,
        128,
    ),
    # 2 layers x 2 biases x 3 gates x 4
    (lambda: from_float(nn.GRU(3, 4, num_layers=2)), lambda: nn.GRU(3, 4, num_layers=2), STEPS, 48),
    # 2 biases x 4 gates x 4, x 3 gates x 4, x 4
    (lambda: from_float(nn.LSTMCell(3, 4)), lambda: nn.LSTMCell(3, 4), STEPS[0], 32),
    (lambda: from_float(nn.GRUCell(3, 4)), lambda: nn.GRUCell(3, 4), STEPS[0], 24),
    (lambda: from_float(nn.RNNCell(3, 4)), lambda: nn.RNNCell(3, 4), STEPS[0], 8),
    # 16-bit floating-point weights have the element type of the report, as all floating-point numbers: 144 scalars
    (lambda: from_float(nn.LSTM(3, 4), torch.float16), lambda: nn.LSTM(3, 4), STEPS, 144),
    (lambda: from_float(nn.LSTMCell(3, 4), torch.float16), lambda: nn.LSTMCell(3, 4), STEPS[0], 144),
    (lambda: ao.quantized.Embedding(10, 12), lambda: nn.Embedding(10, 12), INDICES, 0),
    (
        lambda: ao.quantized.EmbeddingBag(10, 12, mode="sum"),
        lambda: nn.EmbeddingBag(10, 12, mode="sum"),
        INDICES,
        0,
    ),
]


@pytest.mark.parametrize(("make", "twin", "x", "wide"), LAYERS)
def test_twins(make: Callable[[], nn.Module], twin: Callable[[], nn.Module], x: Tensor, wide: int) -> None:
    """Macs and learned scalars equal those of the float twin, the quantised scalars take a byte, and all are read."""
    module = make()
    report, real = count(module, x, real=True), count(twin(), x, real=True)
    totals = report.totals

    assert (totals.macs, totals.params) == (real.totals.macs, real.totals.params)
    assert totals.params == numel(module)
    assert totals.params_bytes() == totals.params - wide + 4 * wide
    assert report.complete
    assert report.unused_params == ()


def test_the_operators_of_each_cell_read_its_own_weights() -> None:
    """Four packed cells of a recurrent layer have four pairs of weights, of 3 or 8 inputs and 4 states."""
    module = from_float(nn.LSTM(3, 4, num_layers=2, bidirectional=True))
    (row,) = count(module, STEPS, real=True).rows

    expected = [(16, 3), (16, 4)] * 2 + [(16, 8), (16, 4)] * 2
    assert expected == [value.shape for value in row.op.weights if len(value.shape) > 1]
    assert len({value.number for value in row.op.weights}) == 4 * 4


def test_slopes() -> None:
    """The 4 quantised slopes of a PReLU are learned scalars of one byte."""
    layer = ao.quantized.PReLU(0.1, 0, 4)
    layer.set_weight(torch.quantize_per_tensor(torch.full((4,), 0.25), 0.01, 0, torch.quint8))
    module = Quantised(layer)
    totals = count(module, IMAGE, real=True).totals

    assert (totals.params, totals.params_bytes(), numel(module)) == (4, 4, 4)


def test_a_table_whose_elements_share_bytes_is_left_out() -> None:
    """A lookup in a table of 4-bit elements is uncounted, because its bytes are not whole."""
    report = count(ao.quantized.EmbeddingBag(10, 12, mode="sum", dtype=torch.quint4x2), INDICES, real=True)

    assert [each.operator for each in report.uncounted] == ["quantized::embedding_bag_4bit"]
    assert report.totals.macs is None


def network() -> nn.Module:
    """Return a convolution with a batch norm and a ReLU, a mean and a product with a parameter."""

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8)
            self.weight = nn.Parameter(torch.rand(5, 8))

        def forward(self, x: Tensor) -> Tensor:
            """Return five scores."""
            y = torch.relu(self.norm(self.conv(x)))
            return nn.functional.linear(y.mean((2, 3)), self.weight)

    return Network().eval()


@functools.cache
def converted() -> nn.Module:
    """Return the network as PyTorch's graph mode quantises it."""
    from torch.ao.quantization import quantize_fx

    mapping = torch.ao.quantization.get_default_qconfig_mapping("x86")
    prepared = quantize_fx.prepare_fx(network(), mapping, (IMAGE,))
    prepared(IMAGE)
    found: nn.Module = quantize_fx.convert_fx(prepared)
    return found


def test_graph_mode() -> None:
    """A quantised graph has the parameters of its functions too, and without those of the folded batch norm."""
    report, real = count(converted(), IMAGE, real=True), count(network(), IMAGE)

    # 8 filters of 4 x 3 x 3 and their biases; 5 x 8 weights
    assert report.totals.params == 288 + 8 + 40 == real.totals.params - 2 * 8
    assert report.totals.params_bytes() == 288 + 4 * 8 + 40
    assert report.totals.macs == real.totals.macs == 288 * 16 + 40
    assert report.complete


def test_a_check_knows_packed_weights() -> None:
    """The check of a quantised module agrees with the elements that its modules return."""
    comparisons = {each.what: each for each in check(from_float(nn.Linear(8, 4)), ROWS).comparisons}
    found = comparisons["params/numel"]

    assert (found.ours, found.theirs, found.agree) == (36, 36, True)


def test_a_comparison_with_the_float_twin() -> None:
    """A quantised network and its float twin take the same macs side by side."""
    both = compare(converted(), network(), inputs=(IMAGE,)).reports

    # 8 x 16 outputs of windows with 4 x 9 elements, and 5 x 8
    assert [report.totals.macs for report in both] == [4648, 4648]


def test_copies() -> None:
    """A copied or pickled module is counted as the original."""
    module = from_float(nn.GRU(3, 4))
    copies = copy.deepcopy(module), pickle.loads(pickle.dumps(module))  # noqa: S301 (it was pickled here)
    first, *others = [count(each, STEPS, real=True).record.ops for each in (module, *copies)]

    assert [first, first] == others


def test_the_module_and_the_engine_afterwards() -> None:
    """A count changes neither the weights of a module, nor the engine of the process."""
    module, engine = ao.quantized.dynamic.Linear(8, 4), torch.backends.quantized.engine
    weight, bias = module.weight(), module.bias()
    count(module, ROWS, real=True)

    assert engine == torch.backends.quantized.engine
    assert torch.equal(weight.int_repr(), module.weight().int_repr())
    assert bias is module.bias() or torch.equal(bias, module.bias())


def test_another_object_at_the_same_address() -> None:
    """The tensors of a packed object keep it alive, so that no other object gets its address."""
    held = unpacked(
        torch.ops.quantized.linear_prepack(torch.quantize_per_tensor(ROWS, 0.1, 0, torch.qint8), None)
    )
    others = [
        unpacked(
            torch.ops.quantized.linear_prepack(torch.quantize_per_tensor(STEPS[0], 0.1, 0, torch.qint8), None)
        )
        for _ in range(20)
    ]

    assert held[0].shape == ROWS.shape
    assert all(weight.shape == STEPS[0].shape for (weight,) in others)


def test_nothing_is_held() -> None:
    """A packed object is forgotten with its tensors."""
    from mbanalyze.trace.matching import quantised

    gc.collect()
    before = len(quantised._UNPACKED)
    count(from_float(nn.LSTM(3, 4)), STEPS, real=True)
    gc.collect()

    assert len(quantised._UNPACKED) == before


@pytest.mark.skipif(
    "qnnpack" not in torch.backends.quantized.supported_engines, reason="PyTorch was built without QNNPACK"
)
def test_weights_that_cannot_be_unpacked() -> None:
    """QNNPACK runs a convolution of volumes but does not return its weight: the operator is uncounted."""
    engine = torch.backends.quantized.engine
    try:
        torch.backends.quantized.engine = "qnnpack"
        report = count(Quantised(ao.quantized.Conv3d(4, 8, 3)), VOLUME, real=True)
    finally:
        torch.backends.quantized.engine = engine

    assert [each.operator for each in report.uncounted] == ["quantized::conv3d"]


@pytest.mark.skipif(
    "onednn" not in torch.backends.quantized.supported_engines, reason="PyTorch was built without oneDNN"
)
@pytest.mark.parametrize(
    ("name", "bias", "flops"), [("Add", True, 2), ("AddReLU", True, 3), ("Add", False, 1)]
)
def test_a_convolution_with_an_addend(name: str, bias: bool, flops: int) -> None:
    """The bias, the addend and the ReLU take a flop each per output, and no multiply-accumulate."""
    engine = torch.backends.quantized.engine
    try:
        torch.backends.quantized.engine = "onednn"
        layer = getattr(ao.intrinsic.quantized, f"Conv{name}2d")(4, 8, 3, bias=bias)
        addend = torch.quantize_per_tensor(torch.zeros(1, 8, 4, 4), 0.1, 0, torch.quint8)
        report = count(
            Run(lambda x: layer(torch.quantize_per_tensor(x, 0.1, 0, torch.quint8), addend)), IMAGE, real=True
        )
    finally:
        torch.backends.quantized.engine = engine
    (row,) = [row for row in report.rows if row.op.kind == "conv"]

    # 8 x 16 outputs of windows with 4 x 9 elements
    assert (row.cost.macs, row.cost.flops) == (128 * 36, 2 * 128 * 36 + 128 * flops)


GROUPS = torch.full((4, 2), 0.1), torch.zeros(4, 2, dtype=torch.int32)
TOKENS = torch.full((4, 1), 0.1), torch.zeros(4, 1, dtype=torch.int32)
LIMITS = (-128, 127, torch.int8)


@pytest.mark.parametrize(
    ("name", "settings", "back"),
    [
        ("tensor", (0.1, 0, *LIMITS), ()),
        ("channel", (torch.full((4,), 0.1), torch.zeros(4, dtype=torch.int32), 0, *LIMITS), ()),
        ("channel_group", (*GROUPS, *LIMITS, 4), (torch.float32,)),
        ("token", (*TOKENS, *LIMITS), (torch.float32,)),
    ],
)
def test_graphs_of_plain_integers(name: str, settings: tuple[object, ...], back: tuple[object, ...]) -> None:
    """The operators of exported graphs take 4 flops per element to quantise, and 2 back; 32 elements have a byte each."""
    operators = torch.ops.quantized_decomposed
    to, fro = (getattr(operators, f"{way}_per_{name}") for way in ("quantize", "dequantize"))
    report = count(Run(lambda x: fro(to(x, *settings), *settings, *back)), torch.rand(4, 8))

    assert [(row.op.kind, row.cost.flops) for row in report.rows] == [
        ("quantize", 4 * 32),
        ("dequantize", 2 * 32),
    ]
    assert [row.op.output[0].itemsize for row in report.rows] == [1, None]
    assert report.complete


@pytest.mark.parametrize(
    ("name", "settings", "flops"),
    [
        # 2 (32 - 1) comparisons; 2 (8 - 1) in each of 4 rows
        ("choose_qparams", (-128, 127, 1e-5, torch.int8), 62),
        ("choose_qparams_symmetric", (-128, 127, 1e-5, torch.int8), 62),
        ("choose_qparams_per_token", (torch.int8,), 56),
        ("choose_qparams_per_token_asymmetric", (torch.int8,), 56),
    ],
)
def test_chosen_scales(name: str, settings: tuple[object, ...], flops: int) -> None:
    """A scale and a zero point are chosen by the extremes of the elements, or of each row."""
    operator = getattr(torch.ops.quantized_decomposed, name)
    report = count(Run(lambda x: operator(x, *settings)), torch.rand(4, 8))

    assert [("extremes", flops)] == [(row.op.kind, row.cost.flops) for row in report.rows]
    assert report.complete


def test_names_of_packed_params() -> None:
    """Each packed weight and bias has a name of its own."""
    cell, linear = (from_float(layer) for layer in (nn.LSTMCell(3, 4), nn.Linear(8, 4)))

    assert {"0.weight_ih", "0.weight_hh", "0.bias_ih", "0.bias_hh"} == named_params(
        named_modules(cell)
    ).keys()
    assert {"0._packed_params.weight", "0._packed_params.bias"} == named_params(named_modules(linear)).keys()
