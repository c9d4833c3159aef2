"""Matchers read arguments that every overload of their operator has."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from test_operator_list import schemas
from torch import Tensor

from mbanalyze.trace.matching.kinds import MATCHERS
from mbanalyze.trace.matching.quantised import unpacked
from mbanalyze.trace.schema import OpSchema, flat_tensors

SHAPE = (2, 3, 4, 4)


@functools.cache
def overloads() -> dict[str, list[Any]]:
    """Return the overloads with tensors of every operator that has a matcher, by base name."""
    return {
        name: [each for each in schemas()[name] if "Tensor" in str(each.overload._schema)]
        for name in MATCHERS
        if name in schemas()
    }


class Packed:
    """A packed weight and bias."""

    def unpack(self) -> tuple[Tensor, Tensor]:
        """Return the weight and the bias."""
        return torch.zeros(SHAPE, device="meta"), torch.zeros(3, device="meta")

    def __getstate__(self) -> tuple[tuple[str, list[Tensor]], str]:
        return ("quantized", list(self.unpack())), "CellParamsBase"


def example(argument: Any, dims: int) -> Any:
    """Return a value of the type of an argument; tensors have `dims` dimensions."""
    kind = str(argument.type)
    name = re.sub(r"Optional\[|List\[|\]", "", kind)
    one = (
        Packed() if name.startswith("__torch__") else {"bool": True, "str": "mean", "float": 2.0}.get(name, 1)
    )
    if name == "Tensor":
        one = torch.zeros(SHAPE[:dims], device="meta")
    return SPECIAL.get(argument.name, [one, one] if "List" in kind else one)


SPECIAL: dict[str, Any] = {
    "equation": "abcd,abcd->abcd",
    "approximate": "none",
    "dtype": None,
    "generator": None,
    "scale_factors": [0.5, 0.5],
    "p": 2.0,
    "dims": [0, 1],
}
"""The values of arguments that not every value of their type fits."""


def calls(name: str, schema: OpSchema) -> Iterator[dict[str, Any]]:
    """Yield two calls of an overload: with every argument, and without those that may be None."""
    arguments = [argument for argument in schema.overload._schema.arguments if not argument.is_out]
    dims = 3 if name == "conv_tbc" else 4
    every = {argument.name: example(argument, dims) for argument in arguments}
    yield every
    optional = [argument.name for argument in arguments if str(argument.type).startswith("Optional")]
    yield {**every, **{each: None for each in optional if each != "scale_factors"}}  # or the output's size


@pytest.mark.parametrize("name", sorted(MATCHERS))
def test_a_matcher_fits_every_overload(name: str) -> None:
    """No matcher reads an argument that an overload does not have, or fails where one is None."""
    for schema in overloads().get(name, ()):
        for call in calls(name, schema):
            if "mean" in str(
                call.get("dim")
            ):  # a name before PyTorch 2.13; the dimensions of these tensors have no names
                continue
            match = MATCHERS[name](call)
            reads = match is None or match.kind == "random" or bool(match.operands)
            assert reads or not flat_tensors(call.values())


def meta(*shape: int) -> Tensor:
    """Return a tensor on the meta device."""
    return torch.empty(shape, device="meta")


IMAGE, PIXELS, VOLUME, MATRIX, VECTOR = (
    meta(1, 2, 6, 9),
    meta(2, 4, 4),
    meta(1, 2, 3, 4, 5),
    meta(3, 3),
    meta(3),
)
STATISTICS = (VECTOR, VECTOR, VECTOR, VECTOR)
SPARSE = torch.eye(3).to_sparse()
SCALED = {"self": MATRIX, "mat2": MATRIX, "scale_a": VECTOR, "scale_b": VECTOR}

# the letters of the two innermost dimensions of an ellipsis
A, B = "\N{GREEK SMALL LETTER ALPHA}", "\N{GREEK SMALL LETTER BETA}"

# operator, its arguments by position or name, the kind, the attributes, the number of outputs that are results
CALLS: list[tuple[str, tuple[Any, ...] | dict[str, Any], str | None, dict[str, Any], int | None]] = [
    # the rest is a report of success, or kept for a backward pass
    ("linalg_lu_factor_ex", (MATRIX,), "lu", {}, 2),
    ("linalg_ldl_factor_ex", (MATRIX,), "ldl", {}, 2),
    ("linalg_cholesky_ex", (MATRIX,), "cholesky", {}, 1),
    ("linalg_inv_ex", (MATRIX,), "inverse", {}, 1),
    ("_linalg_solve_ex", (MATRIX, MATRIX), "solve", {}, 1),
    ("_linalg_det", (MATRIX,), "determinant", {}, 1),
    ("_linalg_slogdet", (MATRIX,), "determinant", {"logarithm": True}, 2),
    ("triangular_solve", (MATRIX, MATRIX), "triangular_solve", {}, 1),
    ("linalg_lstsq", (MATRIX, MATRIX), "least_squares", {}, 1),
    ("linalg_qr", (MATRIX, "complete"), "qr", {"mode": "complete"}, 2),
    ("native_layer_norm", (MATRIX, [3], VECTOR, VECTOR, 1e-5), "layer_norm", {"affine": 2}, 1),
    ("native_batch_norm", (MATRIX, *STATISTICS, False, 0.1, 1e-5), "batch_norm", {}, 1),
    ("native_batch_norm", (MATRIX, *STATISTICS, True, 0.1, 1e-5), "batch_norm_training", {"affine": 2}, 1),
    ("_native_batch_norm_legit_no_training", (MATRIX, *STATISTICS, 0.1, 1e-5), "batch_norm", {}, 1),
    ("_batch_norm_no_update", (MATRIX, *STATISTICS, 0.1, 1e-5), "batch_norm", {}, 1),
    ("_batch_norm_with_update", (MATRIX, *STATISTICS, 0.1, 1e-5), "batch_norm_training", {"affine": 2}, 1),
    ("_weight_norm_interface", (MATRIX, VECTOR), "weight_norm", {}, 1),
    ("log_sigmoid_forward", (MATRIX,), "log_sigmoid", {}, 1),
    ("fake_quantize_per_tensor_affine_cachemask", (MATRIX, 0.1, 0, 0, 255), "fake_quantize", {}, 1),
    (
        "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams",
        (MATRIX, VECTOR, VECTOR, VECTOR, 0, 255), "fake_quantize", {}, 1,
    ),
    ("_fake_quantize_learnable_per_tensor_affine", (MATRIX, VECTOR, VECTOR, 0, 255), "fake_quantize", {}, 1),
    ("native_dropout", (MATRIX, 0.5, True), "dropout", {}, 1),
    ("nll_loss_forward", (MATRIX, VECTOR, None, 2, -100), "nll_loss", {"reduction": "sum"}, 1),
    ("_ctc_loss", (MATRIX, VECTOR, [3], [3]), "ctc_loss", {}, 1),
    ("_embedding_bag", (MATRIX, VECTOR, VECTOR, False, 1), "embedding_bag", {"mode": "mean"}, 1),
    ("_scaled_dot_product_flash_attention_for_cpu", (IMAGE, IMAGE, IMAGE, 0.5), "attention", {"dropout": True}, 1),
    # sampling points of a bin in both directions, 4 neighbours each; 0 points depend on the region
    ("torchvision::roi_align", {"input": IMAGE, "rois": MATRIX, "sampling_ratio": 3}, "roi_align", {"taps": 36}, 1),
    ("torchvision::roi_align", {"input": IMAGE, "rois": MATRIX, "sampling_ratio": 1}, "roi_align", {"taps": 4}, 1),
    ("torchvision::roi_align", {"input": IMAGE, "rois": MATRIX, "sampling_ratio": 0}, None, {}, None),
    # neighbours: 1 if nearest, else 2 or 4 in each dimension
    ("upsample_nearest1d", (MATRIX, [6]), "interpolate", {"taps": 1}, None),
    ("_upsample_nearest_exact2d", (IMAGE, [6, 6]), "interpolate", {"taps": 1}, None),
    ("upsample_linear1d", (PIXELS, [6], False), "interpolate", {"taps": 2}, None),
    ("upsample_trilinear3d", (VOLUME, [6, 6, 6], False), "interpolate", {"taps": 8}, None),
    ("upsample_bicubic2d", (IMAGE, [6, 6], False), "interpolate", {"taps": 16}, None),
    ("grid_sampler", (IMAGE, IMAGE, 0, 0, False), "grid_sample", {"taps": 4}, None),
    ("grid_sampler", (IMAGE, IMAGE, 1, 0, False), "grid_sample", {"taps": 1}, None),
    ("grid_sampler", (IMAGE, IMAGE, 2, 0, False), "grid_sample", {"taps": 16}, None),
    ("grid_sampler_3d", (VOLUME, VOLUME, 0, 0, False), "grid_sample", {"taps": 8}, None),
    # 6 to 3 rows and 9 to 2 columns: windows of 2 x 2 by 2 x 4.5, rounded up; of twice that; of thrice that
    ("_upsample_bilinear2d_aa", (IMAGE, [3, 2], False), "interpolate", {"taps": 4 * 9}, None),
    ("_upsample_bicubic2d_aa", (IMAGE, [3, 2], False), "interpolate", {"taps": 8 * 18}, None),
    ("_upsample_lanczos2d_aa", {"self": IMAGE, "output_size": [3, 2]}, "interpolate", {"taps": 12 * 27}, None),
    # rounded down: 6 x 0.5 = 3 and 9 x 0.3 = 2
    (
        "_upsample_bilinear2d_aa", {"input": IMAGE, "output_size": None, "scale_factors": [0.5, 0.3]},
        "interpolate", {"taps": 4 * 9}, None,
    ),
    # one number for every dimension
    ("max_pool1d", (PIXELS, [2]), "max_pool", {"kernel": (2,), "stride": (2,)}, None),
    ("max_pool2d", (IMAGE, [2]), "max_pool", {"kernel": (2, 2), "stride": (2, 2)}, None),
    ("max_pool3d", (VOLUME, [2]), "max_pool", {"kernel": (2, 2, 2), "stride": (2, 2, 2)}, None),
    ("max_pool2d_with_indices", (IMAGE, [2]), "max_pool", {"kernel": (2, 2), "stride": (2, 2)}, None),
    ("adaptive_max_pool1d", (PIXELS, [2]), "adaptive_max_pool", {"dims": 1}, None),
    ("adaptive_max_pool2d", (IMAGE, [2, 2]), "adaptive_max_pool", {"dims": 2}, None),
    ("adaptive_avg_pool2d", (IMAGE, [1, 2]), "adaptive_avg_pool", {"dims": 2}, None),
    ("avg_pool2d", (PIXELS, [4]), "global_avg_pool", {}, None),
    ("avg_pool2d", (PIXELS, [2]), "avg_pool", {"kernel": (2, 2), "stride": (2, 2)}, None),
    ("avg_pool2d", (PIXELS, [2], [1]), "avg_pool", {"kernel": (2, 2), "stride": (1, 1)}, None),
    ("mean", {"self": VOLUME, "dim": [2, 3, 4]}, "global_avg_pool", {}, None),
    ("mean", {"self": IMAGE, "dim": [-1]}, "mean", {}, None),
    ("sort", (meta(),), "sort", {"length": 1}, None),
    *[
        (
            f"conv_transpose{d}d",
            (torch.ones(1, 1, *[2] * d), torch.ones(1, 1, *[2] * d)),
            "conv",
            {"transposed": True, "stride": (1,) * d, "dilation": (1,) * d},
            None,
        )
        for d in (1, 2, 3)
    ],
    (
        "conv2d",
        (PIXELS, torch.ones(2, 2, 1, 1), None, [2], [0, 0], [3, 1]),
        "conv",
        {"stride": (2, 2), "dilation": (3, 1)},
        None,
    ),
    # dropout follows all layers but the last, in both directions
    *[
        (
            "lstm",
            {
                "input": MATRIX, "hx": [VECTOR], "params": [MATRIX], "bidirectional": both,
                "num_layers": 4, "train": True, "dropout": 0.5,
            },
            "lstm", {"states": 1, "layers": 4 * (1 + both), "dropouts": 3 * (1 + both)}, None,
        )
        for both in (False, True)
    ],
    ("put", (MATRIX, VECTOR, VECTOR, True), "scatter_add", {}, None),
    ("put", (MATRIX, VECTOR, VECTOR, False), "scatter", {}, None),
    ("scatter", {"self": MATRIX, "index": VECTOR, "value": 1, "reduce": "add"}, "scatter_add", {"added": 3}, None),
    ("scatter", {"self": MATRIX, "index": VECTOR, "src": VECTOR, "reduce": "add"}, "scatter_add", {}, None),
    ("dist", (MATRIX, MATRIX, 2), "norm_of_difference", {}, None),
    ("dist", (MATRIX, MATRIX, 1), None, {}, None),
    ("dist", (MATRIX, MATRIX, 3), None, {}, None),
    # a factor of 1 is not multiplied
    ("add", {"self": MATRIX, "other": MATRIX, "alpha": 0.5}, "scaled_add", {}, None),
    ("addcmul", {"self": MATRIX, "tensor1": MATRIX, "tensor2": MATRIX, "value": 1}, "addcmul", {}, None),
    ("addcmul", {"self": MATRIX, "tensor1": MATRIX, "tensor2": MATRIX, "value": 2}, "scaled_addcmul", {}, None),
    ("addcdiv", {"self": MATRIX, "tensor1": MATRIX, "tensor2": MATRIX, "value": 0.5}, "scaled_addcdiv", {}, None),
    ("addmm", {"self": MATRIX, "mat1": MATRIX, "mat2": MATRIX, "alpha": 0.5, "beta": 1}, "matmul", {"scales": 1}, None),
    *[
        ("addr", {"self": MATRIX, "vec1": VECTOR, "vec2": VECTOR, "alpha": alpha, "beta": beta}, kind, {}, None)
        for alpha, beta, kind in (
            *((1, 1, "addcmul"), (2, 0, "mul"), (2, 1, "scaled_addcmul"), (0.5, 1, "scaled_addcmul")),
            *((1, 2, "scaled_addcmul"), (1, 0.5, "scaled_addcmul"), (1, -1, "scaled_addcmul")),
        )
    ],
    ("max", {"self": MATRIX, "other": MATRIX}, "maximum", {}, None),
    ("max", {"self": MATRIX}, "reduce", {}, None),
    ("_addmm_activation", {"self": VECTOR, "mat1": MATRIX, "mat2": MATRIX, "use_gelu": True}, "matmul", {"activation": 9}, None),
    ("_addmm_activation", {"self": VECTOR, "mat1": MATRIX, "mat2": MATRIX, "use_gelu": False}, "matmul", {"activation": 1}, None),
    # two matrices are divided along the summed dimension, by as many offsets as groups
    ("_grouped_mm", {"self": MATRIX, "mat2": MATRIX, "offs": meta(5), "bias": None}, "matmul", {"added": 0, "groups": 5}, None),
    ("_grouped_mm", {"self": PIXELS, "mat2": PIXELS, "offs": meta(5), "bias": None}, "matmul", {"added": 0}, None),
    ("_grouped_mm", {"self": MATRIX, "mat2": PIXELS, "offs": meta(5), "bias": None}, "matmul", {"added": 0}, None),
    ("_scaled_grouped_mm", {**SCALED, "offs": None, "bias": VECTOR}, "matmul", {"added": 1, "scales": 2}, None),
    ("_scaled_mm", {**SCALED, "bias": None}, "matmul", {"added": 0, "scales": 2}, None),
    ("_scaled_mm", {**SCALED, "scale_result": VECTOR, "bias": VECTOR}, "matmul", {"added": 1, "scales": 3}, None),
    ("_weight_int8pack_mm", (MATRIX, MATRIX, VECTOR), "matmul", {"added": 0, "scales": 1, "unpacked": False}, None),
    ("_weight_int4pack_mm", (MATRIX, MATRIX, 32, VECTOR), "matmul", {"added": 0, "scales": 0, "unpacked": True}, None),
    ("_euclidean_dist", (MATRIX, MATRIX), "distance", {"order": "2"}, None),
    ("cdist", (MATRIX, MATRIX, torch.inf), "distance", {"order": "inf"}, None),
    # the innermost dimensions of an ellipsis share a letter; an index that occurs once is kept
    ("einsum", ("...ij,...jk->...ik", [IMAGE, PIXELS]), "einsum", {"equation": f"{B}{A}ij,{A}jk->{B}{A}ik"}, None),
    ("einsum", ("ij,jk", [MATRIX, MATRIX]), "einsum", {"equation": "ij,jk->ik"}, None),
    # a sparse matrix that is added is one matrix, whatever tensors store it
    *[
        (
            "sspaddmm", {"self": SPARSE, "mat1": SPARSE, "mat2": MATRIX, "alpha": alpha, "beta": beta},
            "sparse_matmul", {"vectors": 3, "added": 1, "scales": scales}, None,
        )
        for alpha, beta, scales in ((1, 1, 0), (0.5, 1, 1), (0.5, 0.5, 2))
    ],
    *[
        (
            "sparse_sampled_addmm", {"self": SPARSE, "mat1": MATRIX, "mat2": MATRIX, "alpha": alpha, "beta": beta},
            "sampled_matmul", {"length": 3, "added": added, "scales": scales}, None,
        )
        for alpha, beta, added, scales in (
            *((1, 1, 1, 0), (1, 0, 0, 0), (2, 0, 0, 1), (0.5, 1, 1, 1), (2, 2, 1, 2), (1, -1, 1, 1)),
        )
    ],
    # a size of -1 keeps a dimension; the real end of a transform has 2 (n - 1) elements
    ("fft_fftn", (meta(4, 6), [-1, 8]), "fft", {"times": 1, "length": 32, "real": False}, None),
    ("fft_irfftn", (meta(4, 5), [4, -1]), "fft", {"times": 1, "length": 32, "real": True}, None),
    ("fft_irfftn", (meta(4, 5), [-1, 6]), "fft", {"times": 1, "length": 24, "real": True}, None),
    ("fft_fft", (meta(3, 1),), "fft", {"times": 3, "length": 1, "real": False}, None),
    ("_fft_c2c", (meta(7, 4), [1], 0, True), "fft", {"times": 7, "length": 4, "real": False}, None),
    ("_fft_r2c", (meta(7, 4), [1], 0, True), "fft", {"times": 7, "length": 4, "real": True}, None),
    ("_fft_c2r", (meta(2, 4, 5), [0, 1, 2], 0, 8), "fft", {"times": 1, "length": 64, "real": True}, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "attributes", "outputs"),
    [pytest.param(*call, id=f"{number} {call[0]}") for number, call in enumerate(CALLS)],
)
def test_a_call_is_matched(
    name: str,
    arguments: tuple[Any, ...] | dict[str, Any],
    kind: str | None,
    attributes: dict[str, Any],
    outputs: int | None,
) -> None:
    """A call has the kind, the settings and the number of results that its documentation states."""
    if isinstance(arguments, tuple):
        overload = getattr(torch.ops.aten, name)
        arguments = OpSchema(getattr(overload, overload.overloads()[0])).bind(arguments, {})
    match = MATCHERS[name](arguments)

    assert (kind, attributes, outputs) == (
        (match.kind, dict(match.attributes), match.outputs) if match else (None, {}, None)
    )


class Weight:
    """A packed weight of some shape, without a bias."""

    def __init__(self, *shape: int) -> None:
        self.weight = meta(*shape)

    def unpack(self) -> tuple[Tensor, None]:
        """Return the weight, and no bias."""
        return self.weight, None


@pytest.mark.parametrize(
    ("name", "data", "packed", "weight", "attributes"),
    [
        # one dimension is packed as one of two
        ("quantized::conv1d", meta(1, 3, 9), (8, 3, 1, 5), (8, 3, 5), {}),
        ("quantized::conv2d", meta(1, 3, 9, 9), (8, 3, 1, 5), (8, 3, 1, 5), {}),
        ("quantized::conv2d_relu", meta(1, 3, 9, 9), (8, 3, 1, 5), (8, 3, 1, 5), {"activation": 1}),
        ("quantized::conv_transpose2d", meta(1, 3, 9, 9), (3, 8, 1, 5), (3, 8, 1, 5), {"transposed": True}),
        ("quantized::linear", meta(3), (5, 3), (5, 3), {}),
    ],
)
def test_packed_weights(
    name: str, data: Tensor, packed: tuple[int, ...], weight: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    """A packed weight has the dimensions of the layer."""
    holder = Weight(*packed)
    names = ("qx", "packed_weight") if "conv" in name else ("X", "W_prepack")
    match = MATCHERS[name](dict(zip(names, (data, holder), strict=True)))

    assert match is not None
    assert [data.shape, weight] == [operand.shape for operand in match.operands]
    assert attributes == match.attributes


def test_weights_of_a_packed_layer_come_before_its_biases() -> None:
    """The matrices of a packed recurrent layer are first, in whatever order it stores them."""

    class Cell:
        def __getstate__(self) -> tuple[tuple[str, list[Tensor]]]:
            return (("quantized", [VECTOR, MATRIX]),)

    assert [tensor.dim() for tensor in unpacked(Cell())] == [2, 1]


@pytest.mark.parametrize("use_mask", [True, False])
def test_a_deformable_convolution_reads_the_mask_that_it_uses(use_mask: bool) -> None:
    """A mask that is not used is not read."""
    names = ("input", "weight", "offset", "mask", "bias")
    tensors = {name: meta(number) for number, name in enumerate(names)}
    match = MATCHERS["torchvision::deform_conv2d"]({**tensors, "use_mask": use_mask})

    assert match is not None
    assert {"bias": 1, "mask": int(use_mask)} == match.attributes
    assert [0, 1, 2, *([3] if use_mask else []), 4] == [operand.numel() for operand in match.operands]
