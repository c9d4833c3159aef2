"""torchprofile counts a minimal module by the rules of its convention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conventions import both, differences
from torch import Tensor, nn, ones
from torch.nn import functional

from mbanalyze.trace.tracer import trace

NAME = "torchprofile"


class Calling(nn.Module):
    """A module whose forward is a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        """Call the function."""
        return self.function(*inputs)


class FirstOutput(nn.Module):
    """Self-attention whose weights are not returned."""

    def __init__(self, layer: nn.MultiheadAttention) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the first output of the layer."""
        output: Tensor = self.layer(tokens, tokens, tokens)[0]
        return output


def check(expected: int, module: nn.Module, *inputs: Tensor) -> None:
    """Assert that the counter and its rules give a total."""
    assert (expected, expected) == both(NAME, module, *inputs)


def test_products_count_their_multiply_accumulates() -> None:
    """Convolutions, linear layers and products of matrices count as ours, without a bias."""
    # 2 images x 6 filters x 4 x 4 places, each 2 channels of its group x 3 x 3
    check(2 * 6 * 4 * 4 * 2 * 9, nn.Conv2d(4, 6, 3, groups=2), ones(2, 4, 6, 6))
    check(2 * 3 * 4 * 6, nn.Linear(4, 6), ones(2, 3, 4))
    check(2 * 3 * 3 * 4, Calling(lambda x: x @ x.transpose(1, 2)), ones(2, 3, 4))
    check(2 * 3 * 4, Calling(lambda x: torch.einsum("bij,bj->bi", x, x[:, 0])), ones(2, 3, 4))
    # 2 x 3 heads x 5 queries x 7 keys, of 4 elements for the score and 4 for the sum
    attention = Calling(lambda q, k: functional.scaled_dot_product_attention(q, k, k))
    check(2 * 3 * 5 * 7 * 8, attention, ones(2, 3, 5, 4), ones(2, 3, 7, 4))


def test_some_products_count_nothing() -> None:
    """`torch.mm`, a GRU, and a convolution with a padding in words are operators without a handler."""
    matrix = Calling(lambda x: torch.mm(x, x))
    check(0, matrix, ones(3, 3))
    assert differences(NAME, matrix, ones(3, 3)) == {"mm: not counted": -27}
    gru = nn.GRU(3, 4)
    check(0, gru, ones(5, 2, 3))
    # 10 steps x 3 gates x 4 units x (3 inputs + 4 states)
    assert differences(NAME, gru, ones(5, 2, 3)) == {"gru: not counted": -840}
    for padding in ("same", "valid"):
        conv, image = nn.Conv2d(4, 6, 1, padding=padding), ones(2, 4, 3, 3)
        check(0, conv, image)
        # 2 x 6 x 3 x 3 outputs of 4 channels
        assert {f"conv: not counted with padding='{padding}'": -432} == differences(NAME, conv, image)


@pytest.mark.parametrize(
    ("channels", "groups", "factor"),
    [(6, 1, 4), (6, 2, 4), (4, 1, 4), (4, 2, 2), (4, 4, 1)],
)
def test_transposed_convolution(channels: int, groups: int, factor: int) -> None:
    """A transposed convolution counts output elements, and not the groups unless it keeps the channels."""
    # 2 x channels x 6 x 6 outputs, each 2 x 2 weights of the factor's channels
    check(
        2 * channels * 36 * factor * 4,
        nn.ConvTranspose2d(4, channels, 2, 2, groups=groups),
        ones(2, 4, 3, 3),
    )


def test_transposed_convolution_differs_by_its_stride() -> None:
    """The difference is named: a stride of two counts four times as much."""
    up = nn.ConvTranspose2d(4, 6, 2, 2)
    # ours: 4 x 9 inputs x 6 filters x 4; theirs: four times as much
    expected = {"conv: 1 for each output element and weight of its filter": 3 * 4 * 9 * 6 * 4}
    assert expected == differences(NAME, up, ones(1, 4, 3, 3))


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.BatchNorm2d(4), "batch_norm"),
        (nn.LayerNorm(6), "layer_norm"),
        (nn.LayerNorm(6, bias=False), "layer_norm"),
        (nn.GroupNorm(2, 4), "group_norm"),
        (nn.InstanceNorm2d(4, affine=True), "instance_norm"),
        (nn.InstanceNorm2d(4, affine=True, track_running_stats=True), "batch_norm"),
        (nn.BatchNorm2d(4, track_running_stats=False), "batch_norm_training"),
    ],
)
def test_normalisation_with_a_scale(module: nn.Module, kind: str) -> None:
    """A normalisation counts one for each output element if it has a scale."""
    check(2 * 4 * 36, module, ones(2, 4, 6, 6))
    expected = {f"{kind}: 1 for each output element with a scale": 288}
    assert expected == differences(NAME, module, ones(2, 4, 6, 6))


@pytest.mark.parametrize(
    "module",
    [
        nn.BatchNorm2d(4, affine=False),
        nn.LayerNorm(6, elementwise_affine=False),
        nn.GroupNorm(2, 4, affine=False),
        nn.InstanceNorm2d(4),
        nn.RMSNorm(6),
    ],
)
def test_normalisation_without_a_scale(module: nn.Module) -> None:
    """A normalisation without a scale counts nothing; nor does an RMS norm with one."""
    check(0, module, ones(2, 4, 6, 6))


@pytest.mark.parametrize(
    ("module", "outputs"),
    [
        (nn.AvgPool2d(2), 9),
        (nn.AdaptiveAvgPool2d(1), 1),
        (Calling(lambda x: x.mean((2, 3))), 1),
        (Calling(lambda x: x * x), 36),
        (Calling(lambda x: torch.multiply(x, 3)), 36),
        (nn.LeakyReLU(), 36),
        (nn.Upsample(scale_factor=2, mode="bilinear"), 4 * 144),
        (nn.Upsample(scale_factor=2, mode="bicubic"), 0),
        (nn.Upsample(scale_factor=2), 0),
        (nn.MaxPool2d(2), 0),
        (nn.Softmax(1), 0),
        (nn.SiLU(), 0),
        (Calling(lambda x: x + x / 3), 0),
        (Calling(torch.square), 0),
    ],
)
def test_elements(module: nn.Module, outputs: int) -> None:
    """Average pools, means, multiplications and leaky ReLUs count each output once, bilinear resizes four times."""
    check(2 * 4 * outputs, module, ones(2, 4, 6, 6))


@pytest.mark.parametrize(("mode", "taps"), [("bilinear", 4), ("nearest", 0), ("bicubic", 16)])
def test_samples_of_a_grid(mode: str, taps: int) -> None:
    """A sample of a grid counts its neighbours, and nothing if it takes the nearest one."""
    sample = Calling(lambda x, grid: functional.grid_sample(x, grid, mode, align_corners=False))
    check(taps * 2 * 4 * 3 * 3, sample, ones(2, 4, 6, 6), ones(2, 3, 3, 2))


def test_lstm() -> None:
    """An LSTM counts four gates; with a projection, its size stands for that of the state."""
    # 10 steps, 2 directions, 4 gates x 4 units: layer 1 has 3 inputs, layer 2 has 8, each 4 states
    check(10 * 2 * 16 * (3 + 4 + 8 + 4), nn.LSTM(3, 4, 2, bidirectional=True), ones(5, 2, 3))
    # 10 steps, 4 gates x 2: layer 1 has 3 inputs and 2 states, layer 2 has 2 and 2
    projected = nn.LSTM(3, 4, 2, proj_size=2)
    check(10 * 8 * (3 + 2 + 2 + 2), projected, ones(5, 2, 3))
    # ours: 10 x (16 x 3 + 16 x 2 + 4 x 2 + 16 x 2 + 16 x 2 + 4 x 2)
    expected = {"lstm: macs of 4 gates with the size of the output": 720 - 1600}
    assert expected == differences(NAME, projected, ones(5, 2, 3))


def test_recurrent_cells() -> None:
    """A cell is linear layers and multiplications: three in an LSTM, two in a GRU."""
    # 2 x 16 x (3 + 4), and 3 x 2 x 4
    check(224 + 24, nn.LSTMCell(3, 4), ones(2, 3))
    # 2 x 12 x (3 + 4), and 2 x 2 x 4
    check(168 + 16, nn.GRUCell(3, 4), ones(2, 3))
    check(2 * 4 * 7, nn.RNNCell(3, 4), ones(2, 3))


def test_einsum() -> None:
    """An Einstein sum counts the product of all sizes at once, and nothing with an ellipsis."""
    # i, j, k, l of three elements each; ours is two products of matrices
    chain = Calling(lambda x: torch.einsum("ij,jk,kl->il", x, x, x))
    check(3**4, chain, ones(3, 3))
    assert differences(NAME, chain, ones(3, 3)) == {
        "einsum: the product of all sizes, 0 for an ellipsis": 81 - 54
    }
    check(0, Calling(lambda x: torch.einsum("...ij,...jk->...ik", x, x)), ones(2, 3, 3))


def test_einsum_of_a_view() -> None:
    """An Einstein sum that permutes its operand or takes a diagonal counts its elements, although it computes none."""
    transposed = Calling(lambda x: torch.einsum("bij->bji", x) + 1)
    check(24, transposed, ones(2, 3, 4))
    assert differences(NAME, transposed, ones(2, 3, 4)) == {"torch.einsum: 1 for each element of a view": 24}
    check(3, Calling(lambda x: torch.einsum("ii->i", x) + 1), ones(3, 3))
    check(0, Calling(lambda x: torch.einsum("...ij->...ji", x) + 1), ones(2, 3, 4))


def test_results_without_use() -> None:
    """A graph lacks an operator whose result nothing uses, unless it changes an input."""
    check(0, Calling(lambda x: (x * x, x + 1)[1]), ones(2, 3))
    check(6, Calling(lambda x: (x * x, x.mul_(2), x + 1)[2]), ones(2, 3))


def test_composed_functions() -> None:
    """Some functions of several operators are one operator in the graph, without a handler."""
    check(0, Calling(lambda x: functional.cosine_similarity(x, x)), ones(3, 3))
    check(0, Calling(lambda x: torch.kron(x, x)), ones(3, 3))


@pytest.mark.parametrize(
    ("function", "products"),
    [
        (lambda x: x.view(x.shape[0] * x.shape[1], -1), 1),
        (lambda x: x.reshape(-1, 4 * x.size(0)), 1),
        (lambda x: x.view(x.numel() * 1), 1),
        (lambda x: x.view(x.shape[0] * x.shape[1] * x.shape[2] // 2, -1), 2),
        (lambda x: x + x.shape[0] * 0.5, 1),
        (lambda x: x + 64 / (x.shape[0] * 4), 2),
        (lambda x: x[:, -x.shape[0] * 1 :], 1),
        (lambda x: x.view(-1, 8) if x.shape[0] * 4 == 8 else x, 0),
        (lambda x: x.view(int(x.shape[0] * 4), -1), 0),
        (lambda x: x / (x.shape[0] * 4) ** -0.5, 1),
        (lambda x: x.view(len(x) * 4, -1), 0),
        (lambda x: x.view(x.stride(0) // 4, -1), 0),
        (lambda x: functional.interpolate(x, size=[2 * n for n in x.shape[2:]]), 2),
        (lambda x: functional.interpolate(x, None, 2.0, recompute_scale_factor=True), 2),
        (lambda x: functional.interpolate(x, scale_factor=2), 0),
        # beside its 2 * 4 * 8 * 4 outputs, which count as those of an average pool
        (lambda x: functional.interpolate(x, scale_factor=2, mode="area"), 256 + 2),
        (lambda x: functional.interpolate(x, None, (2, 2), "area"), 256 + 2),
        (lambda x: functional.interpolate(x, (8, 4), mode="area"), 256),
    ],
)
def test_multiplications_of_sizes(function: Callable[[Tensor], Tensor], products: int) -> None:
    """A size is a tensor in the graph: its multiplication counts one, unless only Python uses the result."""
    check(products, Calling(function), ones(2, 4, 4, 2))


def test_multiplication_of_sizes_has_a_name() -> None:
    """The difference names multiplications of sizes."""
    flat = Calling(lambda x: x.view(x.shape[0] * x.shape[1], -1))
    assert differences(NAME, flat, ones(2, 4, 4)) == {"1 for each multiplication of sizes": 1}


def test_following_sizes_changes_no_operator() -> None:
    """A trace that follows calls records the same operators, with plain integers, and restores the sizes of tensors."""
    layer, x = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), ones(2, 5, 4)
    plain, followed = trace(layer, x), trace(layer, x, follow=())
    assert followed.calls is not None
    assert followed.calls.size_products
    assert plain.ops == followed.ops
    sizes = [n for op in followed.ops for value in (*op.operands, *op.output) for n in value.shape]
    assert {int} == set(map(type, sizes))
    assert not {"shape", "size", "numel", "nelement"} & vars(Tensor).keys()


def test_attention_module() -> None:
    """A `nn.MultiheadAttention` whose weights are not used counts without their mean."""
    # 2 x 5 tokens of 4 elements: input projections 10 x 12 x 4, scores and sums of 5 x 2 heads 2 x 10 x 2 x 2 x 2,
    # output 10 x 4 x 4, scaled queries 10 x 4, and 4 sizes: of the heads of queries, keys and values, and the output
    check(480 + 160 + 160 + 40 + 4, FirstOutput(nn.MultiheadAttention(4, 2)), ones(2, 5, 4))


def test_a_size_keeps_its_products_through_arithmetic() -> None:
    """A followed size equals the usual one, also after arithmetic and copies."""
    seen = []

    def forward(x: Tensor) -> Tensor:
        """Note numbers computed from sizes."""
        n = x.shape[0]
        seen.extend([n * 4, 4 - n, n / 4, 2**n, -n, divmod(n, 2), [0] * n, n % 2 == 0, (x * n).shape])
        return x + 1

    trace(Calling(forward), ones(2, 3), follow=())
    assert seen == [8, 2, 0.5, 4, -2, (1, 0), [0, 0], True, (2, 3)]
