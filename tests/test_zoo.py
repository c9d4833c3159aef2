"""Other packages' models, traced by name, against what is published about them and against another counter."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from witness import detectors, other_counts, timm, torchvision

from mbanalyze import count
from mbanalyze.report.rows import Row
from mbanalyze.sources.resolve import resolve
from mbanalyze.trace.tracer import Trace, TraceError, as_inputs, trace

VIDEO_FRAMES = 16


def weights(kind: str) -> list[Any]:
    """Torchvision's published weights whose transforms are of this kind, with the model's name."""
    return list(_weights(kind))


def _weights(kind: str) -> Iterator[Any]:
    """Torchvision's published weights whose transforms are of these kinds, with the model's name."""
    models = torchvision().models
    for name in models.list_models(exclude="quantized_*"):
        for weight in models.get_model_weights(name):
            if getattr(getattr(weight.transforms, "func", None), "__name__", "") == kind:
                yield pytest.param(name, weight, id=f"{name}-{weight.name}")


def names(package: str) -> list[str]:
    """Every classification network of torchvision; the sample of timm's."""
    if package == "timm":
        return [f"timm:{name}" for name in TIMM]
    models = torchvision().models
    return [f"torchvision:{name}" for name in models.list_models(module=models)]


def image(weight: Any) -> tuple[int, int]:
    """The height and width that weights are evaluated at."""
    settings = weight.transforms.keywords
    size = settings.get("crop_size") or settings["resize_size"]
    sides = tuple(size) if isinstance(size, list | tuple) else (size,)
    return (sides * 2)[:2] if len(sides) == 1 else sides[:2]


def sizes() -> dict[tuple[str, tuple[int, int]], list[Any]]:
    """Classification weights by model and image size."""
    found: dict[tuple[str, tuple[int, int]], list[Any]] = {}
    for given in weights("ImageClassification"):
        name, weight = given.values
        found.setdefault((name, image(weight)), []).append(weight)
    return found


SIZES = sizes()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), SIZES, ids=[f"{name}-{side}" for name, (side, _) in SIZES])
def test_classification_networks_cost_what_torchvision_publishes(name: str, size: tuple[int, int]) -> None:
    """Macs to three decimals of a billion, every parameter, and nothing uncounted."""
    options = {"image_size": size[0]} if name.startswith("vit") else {}
    subject_ = resolve(f"torchvision:{name}", (1, 3, *size), **options)
    report = subject_.report()
    named = dict(subject_.module.named_parameters())
    unused = sum(named[path].numel() for path in report.unused_params)
    # GoogLeNet's weights are published without the auxiliary heads that the class has
    auxiliary = {"googlenet": 13_004_888 - 6_624_904}.get(name, 0)

    assert report.complete
    for weight in SIZES[name, size]:
        assert f"{weight.meta['_ops']:.3f}" == f"{(report.totals.macs or 0) / 1e9:.3f}"
        assert weight.meta["num_params"] == report.totals.params + unused - auxiliary


def test_all_classification_weights_are_there() -> None:
    """None is left out above."""
    assert sum(map(len, SIZES.values())) == 115


@pytest.mark.slow
@pytest.mark.parametrize(("name", "weight"), weights("SemanticSegmentation"))
def test_segmentation_networks_cost_what_torchvision_publishes(name: str, weight: Any) -> None:
    """At 520 pixels, with the auxiliary head that runs beside the classifier where there is one."""
    options = {} if name.startswith("lraspp") else {"aux_loss": True}
    report = count(f"torchvision:{name}", (1, 3, *image(weight)), **options)

    assert report.complete
    assert f"{weight.meta['_ops']:.3f}" == f"{(report.totals.macs or 0) / 1e9:.3f}"
    assert weight.meta["num_params"] == report.totals.params


@pytest.mark.slow
@pytest.mark.parametrize(("name", "weight"), weights("VideoClassification"))
def test_video_networks_cost_what_torchvision_publishes(name: str, weight: Any) -> None:
    """Clips of 16 frames."""
    report = count(f"torchvision:{name}", (1, 3, VIDEO_FRAMES, *image(weight)))

    assert report.complete
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
    """Without an input, the source's own is taken."""
    torchvision()
    options = {"num_hidden_layers": 1} if reference.startswith("transformers") else {}

    assert count(reference, **options).input == (size,)


def test_published_inputs_take_a_batch_and_a_resolution() -> None:
    """As architectures do."""
    timm()

    assert count("timm:resnet10t", batch=2, resolution=64).input == ((2, 3, 64, 64),)


# a sample across timm's families, each traced complete
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
    """Parameters with `sum(p.numel())`; macs and activations with torch's and a hook's account of products."""
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
    """Built from a config, with inputs by name; attention and matrix products alike."""
    torchvision()
    kwargs = {name: torch.zeros(shape, dtype=torch.int64, device="meta") for name, shape in inputs.items()}
    subject_ = resolve(f"transformers:{config}", kwargs=kwargs, **options)
    report, module = subject_.report(), subject_.module
    given = kwargs or {name: torch.empty(shape, device="meta") for name, shape in subject_.keywords.items()}
    macs, _ = other_counts(module, **given)

    assert report.complete, report.uncounted
    assert macs == report.totals.macs
    named = dict(module.named_parameters())
    unused = sum(named[path].numel() for path in report.unused_params)
    assert report.totals.params + unused == sum(p.numel() for p in module.parameters())


def seen(row: Row) -> tuple[Any, ...]:
    """An operator but for strides."""
    shapes = [(v.role, v.number, v.shape, v.itemsize) for v in (*row.op.operands, *row.op.output)]
    return row.op.path, row.op.kind, shapes, row.op.params, row.op.attributes


def traced_both_ways(reference: str, **options: Any) -> tuple[Trace, Trace]:
    """With shortcuts and without."""
    chosen = resolve(reference, **options)
    module = chosen.module
    inputs, keywords = as_inputs(module, chosen.inputs, chosen.keywords)
    fast, slow = (trace(module, *inputs, keywords=keywords, shortcuts=on) for on in (True, False))
    return fast, slow


@pytest.mark.slow
@pytest.mark.parametrize("name", [*names("torchvision"), *names("timm")])
def test_shortcuts_change_nothing(name: str) -> None:
    """The operators, their shapes, strides and types, what was free and what was unused, as torch has them."""
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
    """The same list and shapes on tensors with data, whose memory CPU kernels may lay out otherwise."""
    models = torchvision().models
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = models.get_model(name, weights=None)
    size = (1, 3, 96, 96)
    blank = count(module, size)
    real = count(module, torch.zeros(size), real=True)

    pairs = zip(map(seen, blank.rows), map(seen, real.rows), strict=True)

    assert [pair for pair in pairs if pair[0] != pair[1]][:1] == []
    assert "run on real tensors" in real.notes


# those of one stage, whose published count is that of keeping all
@pytest.mark.parametrize("name", ["retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn"])
def test_detectors_cost_what_torchvision_publishes(name: str) -> None:
    """Every candidate is kept, and the report says so; without that it stops and says where."""
    weights = detectors().models.get_model_weights(name)
    report = count(f"torchvision:{name}", (1, 3, 800, 800), keep=True)

    assert report.totals.macs is not None
    assert round(report.totals.macs / 1e9, 3) == next(iter(weights)).meta["_ops"]
    assert report.complete
    assert report.notes == ("assumed to keep every candidate: index, where, torchvision::nms",)
    with pytest.raises(TraceError, match=r"^aten::index in .* --keep assumes that every candidate is kept"):
        count(f"torchvision:{name}", (1, 3, 800, 800))


def test_what_detectors_do_to_boxes() -> None:
    """Regions are aligned: 60 outputs of 4 samples of 4 neighbours; 5 boxes suppressed: 10 pairs."""
    detectors()
    operators = torch.ops.torchvision

    class Boxes(nn.Module):
        def forward(self, image: Tensor, rois: Tensor) -> Any:
            regions = operators.roi_align(image, rois, 1.0, 2, 2, 2, False)
            return regions, operators.nms(rois[:, 1:], rois[:, 0], 0.5)

    report = count(Boxes(), (1, 3, 8, 8), (5, 5), keep=True)

    # sorting 5 scores takes 3 comparisons each
    assert [row.cost.flops for row in report.rows] == [60 * (2 * 16 - 1), 10 * 13 + 5 * (3 + 3)]


def test_what_depends_on_values_says_where_it_stops() -> None:
    """The error names the module and the operator; kept, all candidates go on."""

    class Detector(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[x > 0.5]

    net = nn.Sequential(nn.Conv2d(3, 4, 1), Detector())
    with pytest.raises(TraceError, match=r"^aten::index in module '1' needs the values of a tensor"):
        count(net, (1, 3, 4, 4))
    kept = count(net, (1, 3, 4, 4), keep=True)

    assert kept.notes == ("assumed to keep every candidate: index",)
    assert [row.op.output[0].shape for row in kept.rows][-1] == (4 * 4 * 4,)
    assert kept.complete


def test_places_that_depend_on_values() -> None:
    """`where` and `nonzero` give every place when all candidates are kept."""

    class Places(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            rows, _ = torch.where(x > 0)
            return x[rows] + x[x.nonzero()[:, 0]]

    report = count(Places(), (2, 3), keep=True)

    assert report.notes == ("assumed to keep every candidate: where, nonzero",)
    assert report.rows[-1].op.output[0].shape == (6, 3)
    assert report.complete
