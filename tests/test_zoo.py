"""Models of torchvision, timm and transformers cost what is published, and what another counter counts."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from witness import detectors, other_counts, timm, torchvision

from mbanalyze import count
from mbanalyze.conventions.known import CONVENTIONS
from mbanalyze.report.rows import Row
from mbanalyze.sources.resolve import resolve
from mbanalyze.trace.forward_args import as_inputs
from mbanalyze.trace.forward_errors import TraceError
from mbanalyze.trace.tracer import Trace, trace

TORCHVISION = [
    *("alexnet", "convnext_base", "convnext_large", "convnext_small", "convnext_tiny"),
    *("densenet121", "densenet161", "densenet169", "densenet201"),
    *("efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4"),
    *("efficientnet_b5", "efficientnet_b6", "efficientnet_b7"),
    *("efficientnet_v2_l", "efficientnet_v2_m", "efficientnet_v2_s"),
    *("googlenet", "inception_v3", "maxvit_t", "mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    *("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"),
    *("regnet_x_16gf", "regnet_x_1_6gf", "regnet_x_32gf", "regnet_x_3_2gf", "regnet_x_400mf"),
    *("regnet_x_800mf", "regnet_x_8gf", "regnet_y_128gf", "regnet_y_16gf", "regnet_y_1_6gf"),
    *("regnet_y_32gf", "regnet_y_3_2gf", "regnet_y_400mf", "regnet_y_800mf", "regnet_y_8gf"),
    *("resnet101", "resnet152", "resnet18", "resnet34", "resnet50"),
    *("resnext101_32x8d", "resnext101_64x4d", "resnext50_32x4d"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
    *("squeezenet1_0", "squeezenet1_1", "swin_b", "swin_s", "swin_t", "swin_v2_b", "swin_v2_s", "swin_v2_t"),
    *("vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"),
    *("vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32", "wide_resnet101_2", "wide_resnet50_2"),
]
SEGMENTATION = [
    *("deeplabv3_mobilenet_v3_large", "deeplabv3_resnet101", "deeplabv3_resnet50"),
    *("fcn_resnet101", "fcn_resnet50", "lraspp_mobilenet_v3_large"),
]
VIDEO = [
    *("mc3_18", "mvit_v1_b", "mvit_v2_s", "r2plus1d_18", "r3d_18"),
    *("s3d", "swin3d_b", "swin3d_s", "swin3d_t"),
]
VIDEO_FRAMES = 16


def published(name: str) -> list[Any]:
    """Return the published weights of a torchvision model."""
    return list(torchvision().models.get_model_weights(name))


def task(weight: Any) -> str:
    """Return the task of published weights, by their transforms."""
    return getattr(getattr(weight.transforms, "func", None), "__name__", "")


def image_size(weight: Any) -> tuple[int, int]:
    """Return the height and width at which weights are evaluated."""
    settings = weight.transforms.keywords
    size = settings.get("crop_size") or settings["resize_size"]
    sides = tuple(size) if isinstance(size, list | tuple) else (size,)
    return (sides * 2)[:2] if len(sides) == 1 else sides[:2]


@pytest.mark.parametrize(
    ("kind", "names", "weights"),
    [
        ("ImageClassification", TORCHVISION, 115),
        ("SemanticSegmentation", SEGMENTATION, 6),
        ("VideoClassification", VIDEO, 10),
    ],
)
def test_every_published_weight_is_tested(kind: str, names: list[str], weights: int) -> None:
    """The lists above name every torchvision model of a task, with all of its weights."""
    models = torchvision().models.list_models(exclude="quantized_*")

    assert names == [name for name in models if kind in map(task, published(name))]
    assert weights == sum(len(published(name)) for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_classification_networks_cost_what_torchvision_publishes(name: str) -> None:
    """Macs agree to three decimals of a billion, parameters exactly, and no operator is uncounted."""
    by_size: dict[tuple[int, int], list[Any]] = {}
    for weight in published(name):
        by_size.setdefault(image_size(weight), []).append(weight)
    # GoogLeNet's weights are published without the auxiliary heads that the class has
    auxiliary = {"googlenet": 13_004_888 - 6_624_904}.get(name, 0)

    for size, weights in by_size.items():
        options = {"image_size": size[0]} if name.startswith("vit") else {}
        subject_ = resolve(f"torchvision:{name}", (1, 3, *size), **options)
        report = subject_.report()
        named = dict(subject_.module.named_parameters())
        unused = sum(named[path].numel() for path in report.unused_params)

        assert report.complete
        assert CONVENTIONS["torchvision"].total(report.record) == report.totals.macs
        for weight in weights:
            assert f"{weight.meta['_ops']:.3f}" == f"{(report.totals.macs or 0) / 1e9:.3f}"
            assert weight.meta["num_params"] == report.totals.params + unused - auxiliary


@pytest.mark.slow
@pytest.mark.parametrize("name", SEGMENTATION)
def test_segmentation_networks_cost_what_torchvision_publishes(name: str) -> None:
    """Macs and parameters agree at 520 pixels, with the auxiliary head if there is one."""
    options = {} if name.startswith("lraspp") else {"aux_loss": True}

    for weight in published(name):
        report = count(f"torchvision:{name}", (1, 3, *image_size(weight)), **options)
        assert report.complete
        assert CONVENTIONS["torchvision"].total(report.record) == report.totals.macs
        assert f"{weight.meta['_ops']:.3f}" == f"{(report.totals.macs or 0) / 1e9:.3f}"
        assert weight.meta["num_params"] == report.totals.params


@pytest.mark.slow
@pytest.mark.parametrize("name", VIDEO)
def test_video_networks_cost_what_torchvision_publishes(name: str) -> None:
    """Macs and parameters agree for clips of 16 frames."""
    for weight in published(name):
        report = count(f"torchvision:{name}", (1, 3, VIDEO_FRAMES, *image_size(weight)))
        assert report.complete
        assert CONVENTIONS["torchvision"].total(report.record) == report.totals.macs
        assert f"{weight.meta['_ops']:.3f}" == f"{(report.totals.macs or 0) / 1e9:.3f}"
        assert weight.meta["num_params"] == report.totals.params


@pytest.mark.parametrize(
    ("reference", "size"),
    [
        ("torchvision:efficientnet_b1", (1, 3, 240, 240)),
        ("torchvision:r3d_18", (1, 3, 16, 112, 112)),
        ("torchvision:lraspp_mobilenet_v3_large", (1, 3, 520, 520)),
        ("timm:resnet10t", (1, 3, 176, 176)),
        ("transformers:ViTConfig", (1, 3, 224, 224)),
    ],
)
def test_published_inputs(reference: str, size: tuple[int, ...]) -> None:
    """A reference without an input takes the input that its source publishes."""
    torchvision()
    options = {"num_hidden_layers": 1} if reference.startswith("transformers") else {}

    assert count(reference, **options).input == (size,)


def test_published_inputs_take_a_batch_and_a_resolution() -> None:
    """A published input takes `batch` and `resolution`."""
    timm()

    assert count("timm:resnet10t", batch=2, resolution=64).input == ((2, 3, 64, 64),)


# one model each of many families of timm
TIMM = [
    "bat_resnext26ts",
    "beit_base_patch16_224",
    "botnet26t_256",
    "cait_xxs24_224",
    "coat_tiny",
    "coatnet_nano_rw_224",
    "convformer_s18",
    "convit_tiny",
    "convmixer_768_32",
    "convnext_tiny",
    "crossvit_9_240",
    "cs3darknet_m",
    "cspresnet50",
    "davit_tiny",
    "deit_tiny_patch16_224",
    "densenet121",
    "dla34",
    "dpn68",
    "eca_nfnet_l0",
    "edgenext_xx_small",
    "efficientformer_l1",
    "efficientnet_b0",
    "efficientvit_b0",
    "eva02_tiny_patch14_224",
    "fastvit_t8",
    "fbnetc_100",
    "focalnet_tiny_srf",
    "gcresnet33ts",
    "ghostnet_100",
    "gmixer_24_224",
    "halonet26t",
    "hardcorenas_a",
    "hgnet_tiny",
    "hrnet_w18_small",
    "inception_next_tiny",
    "inception_resnet_v2",
    "lcnet_050",
    "levit_128s",
    "maxvit_nano_rw_256",
    "mixer_s32_224",
    "mixnet_s",
    "mnasnet_small",
    "mobilenetv1_100",
    "mobilenetv4_conv_small",
    "mobileone_s0",
    "mobilevit_xxs",
    "mvitv2_tiny",
    "nest_tiny",
    "nf_regnet_b0",
    "pit_ti_224",
    "poolformer_s12",
    "pvt_v2_b0",
    "regnetx_002",
    "repvgg_a0",
    "res2net50_26w_4s",
    "resmlp_12_224",
    "resnest14d",
    "rexnet_100",
    "selecsls42b",
    "skresnet18",
    "swin_tiny_patch4_window7_224",
    "tf_efficientnet_lite0",
    "tinynet_e",
    "tiny_vit_5m_224",
    "tnt_s_patch16_224",
    "twins_pcpvt_small",
    "vgg11",
    "visformer_tiny",
    "vit_tiny_patch16_224",
    "volo_d1_224",
    "xcit_nano_12_p16_224",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_timm_networks_agree_with_another_counter(name: str) -> None:
    """Parameters equal `sum(p.numel())`; macs and activations equal those of torch's counter and of a hook."""
    timm()
    subject_ = resolve(f"timm:{name}")
    report, module = subject_.report(), subject_.module
    named = dict(module.named_parameters())
    unused = sum(named[path].numel() for path in report.unused_params)
    macs, activations = other_counts(module, *subject_.inputs)

    assert report.complete, report.uncounted
    assert report.totals.params + unused == sum(p.numel() for p in module.parameters())
    assert (macs, activations) == (report.totals.macs, report.totals.activations)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "options", "inputs"),
    [
        ("BertConfig", {}, {"input_ids": (1, 128)}),
        ("GPT2Config", {}, {"input_ids": (1, 64)}),
        ("ViTConfig", {}, {}),
        (
            "LlamaConfig",
            {
                "num_hidden_layers": 2,
                "hidden_size": 256,
                "intermediate_size": 512,
                "num_attention_heads": 8,
                "num_key_value_heads": 2,
            },
            {"input_ids": (1, 32)},
        ),
        ("DistilBertConfig", {}, {"input_ids": (1, 16)}),
        ("T5Config", {}, {"input_ids": (1, 16), "decoder_input_ids": (1, 8)}),
    ],
)
def test_transformers_agree_with_another_counter(
    config: str, options: dict[str, Any], inputs: dict[str, tuple[int, ...]]
) -> None:
    """A model built from a config has the macs and parameters that the other counter finds."""
    torchvision()
    kwargs = {name: torch.zeros(shape, dtype=torch.int64, device="meta") for name, shape in inputs.items()}
    subject_ = resolve(f"transformers:{config}", kwargs=kwargs, **options)
    report, module = subject_.report(), subject_.module
    given = kwargs or as_inputs(module, (), subject_.keywords)[1]
    macs, _ = other_counts(module, **given)

    assert report.complete, report.uncounted
    assert macs == report.totals.macs
    named = dict(module.named_parameters())
    unused = sum(named[path].numel() for path in report.unused_params)
    assert report.totals.params + unused == sum(p.numel() for p in module.parameters())


def without_strides(row: Row) -> tuple[Any, ...]:
    """Return an operator without its strides."""
    shapes = [(v.role, v.number, v.shape, v.itemsize) for v in (*row.op.operands, *row.op.output)]
    return row.op.path, row.op.kind, shapes, row.op.params, row.op.attributes


def traced_both_ways(reference: str, **options: Any) -> tuple[Trace, Trace]:
    """Return the traces with and without shortcuts."""
    chosen = resolve(reference, **options)
    module = chosen.module
    inputs, keywords = as_inputs(module, chosen.inputs, chosen.keywords)
    fast, slow = (trace(module, *inputs, keywords=keywords, shortcuts=on) for on in (True, False))
    return fast, slow


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [*(f"torchvision:{name}" for name in TORCHVISION), *(f"timm:{name}" for name in TIMM)]
)
def test_shortcuts_change_nothing(name: str) -> None:
    """Operators, shapes, strides, dtypes, free operators and unused parameters are the same without shortcuts."""
    fast, slow = traced_both_ways(name)

    assert [pair for pair in zip(fast.ops, slow.ops, strict=True) if pair[0] != pair[1]][:1] == []
    assert [op.operator for op in fast.ops] == [op.operator for op in slow.ops]
    assert (fast.free, fast.unused_params) == (slow.free, slow.unused_params)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["resnet18", "densenet121", "efficientnet_b0", "convnext_tiny", "regnet_y_400mf", "mobilenet_v3_small"],
)
def test_operators_are_those_of_a_real_run(name: str) -> None:
    """A run on tensors with data has the same operators and shapes; CPU kernels may choose other strides."""
    models = torchvision().models
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = models.get_model(name, weights=None)
    size = (1, 3, 96, 96)
    on_meta = count(module, size)
    real = count(module, torch.zeros(size), real=True)

    pairs = zip(map(without_strides, on_meta.rows), map(without_strides, real.rows), strict=True)

    assert [pair for pair in pairs if pair[0] != pair[1]][:1] == []
    assert "run on real tensors" in real.notes


# one-stage detectors, whose published count keeps every candidate
@pytest.mark.parametrize("name", ["retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn"])
def test_detectors_cost_what_torchvision_publishes(name: str) -> None:
    """With `keep` the macs agree and the report notes the assumption; on shapes without it, TraceError names the operator."""
    weights = detectors().models.get_model_weights(name)
    report = count(f"torchvision:{name}", (1, 3, 800, 800), keep=True)

    assert report.totals.macs is not None
    assert round(report.totals.macs / 1e9, 3) == next(iter(weights)).meta["_ops"]
    assert report.complete
    assert report.notes == ("assumed to keep every candidate: index, where, torchvision::nms",)
    with pytest.raises(TraceError, match=r"^aten::index in .* --keep assumes that every candidate is kept"):
        count(f"torchvision:{name}", (1, 3, 800, 800), real=False)


def test_operators_on_boxes() -> None:
    """RoI align takes 60 outputs of 4 samples of 4 neighbours; suppression of 5 boxes compares 10 pairs."""
    detectors()
    operators = torch.ops.torchvision

    class Boxes(nn.Module):
        def forward(self, image: Tensor, rois: Tensor) -> Any:
            regions = operators.roi_align(image, rois, 1.0, 2, 2, 2, False)
            return regions, operators.nms(rois[:, 1:], rois[:, 0], 0.5)

    report = count(Boxes(), (1, 3, 8, 8), (5, 5), keep=True)

    # sorting 5 scores takes 3 comparisons each
    assert [row.cost.flops for row in report.rows] == [60 * (2 * 16 - 1), 10 * 13 + 5 * (3 + 3)]


def test_an_index_that_depends_on_values() -> None:
    """On shapes, the error names the module and the operator; with `keep`, every candidate is counted."""

    class Detector(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[x > 0.5]

    net = nn.Sequential(nn.Conv2d(3, 4, 1), Detector())
    with pytest.raises(TraceError, match=r"^aten::index in module '1' needs the values of a tensor"):
        count(net, (1, 3, 4, 4), real=False)
    kept = count(net, (1, 3, 4, 4), keep=True)

    assert kept.notes == ("assumed to keep every candidate: index",)
    assert [row.op.output[0].shape for row in kept.rows][-1] == (4 * 4 * 4,)
    assert kept.complete


def test_positions_that_depend_on_values() -> None:
    """With `keep`, `where` and `nonzero` return every position."""

    class Positions(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            rows, _ = torch.where(x > 0)
            return x[rows] + x[x.nonzero()[:, 0]]

    report = count(Positions(), (2, 3), keep=True)

    assert report.notes == ("assumed to keep every candidate: where, nonzero",)
    assert report.rows[-1].op.output[0].shape == (6, 3)
    assert report.complete
