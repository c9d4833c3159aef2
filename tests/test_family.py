"""Every built-in network: its exact counts, and its equality with the network of torchvision or timm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from witness import timm, torchvision

from mbanalyze import count
from mbanalyze.archs import ALIASES, ARCHS
from mbanalyze.archs.options import OptionError
from mbanalyze.models import MODELS

EXACT: list[tuple[str, dict[str, Any], int, int]] = [
    ("mobilenet_v1", {}, 568_740_352, 4_231_976),
    ("mobilenet_v2", {}, 300_774_272, 3_504_872),
    ("mobilenet_v2", {"alpha": 1.4}, 582_195_824, 6_108_776),
    ("mobilenet_v3_large", {}, 216_589_760, 5_483_032),
    ("mobilenet_v3_small", {}, 56_510_400, 2_542_856),
    ("shufflenet_v1", {"groups": 1}, 143_078_976, 1_530_936),
    ("shufflenet_v1", {"groups": 2}, 140_836_512, 1_732_848),
    ("shufflenet_v1", {"groups": 3}, 137_460_672, 1_864_728),
    ("shufflenet_v1", {"groups": 4}, 134_339_776, 1_967_344),
    ("shufflenet_v1", {"groups": 8}, 138_365_952, 2_433_768),
    ("shufflenet_v2", {"alpha": 0.5}, 40_476_448, 1_366_792),
    ("shufflenet_v2", {"alpha": 1.0}, 144_907_992, 2_278_604),
    ("shufflenet_v2", {"alpha": 1.5}, 295_759_392, 3_503_624),
    ("shufflenet_v2", {"alpha": 2.0}, 583_253_464, 7_393_996),
    ("squeezenet1_0", {}, 818_924_576, 1_248_424),
    ("squeezenet1_0", {"resolution": 227}, 832_667_936, 1_248_424),
    ("squeezenet1_1", {}, 349_151_936, 1_235_496),
    ("xception", {}, 8_357_403_496, 22_855_952),
    # torchvision publishes 0.314 G and these parameters; fvcore counts the same convolutions and classifier
    ("mnasnet", {}, 314_415_872, 4_383_312),
    ("alexnet", {}, 714_188_480, 61_100_840),
    ("alexnet", {"grouped": True, "resolution": 227}, 724_406_816, 60_965_224),
    ("vgg16", {}, 15_470_264_320, 138_357_544),
    ("googlenet", {}, 1_498_376_192, 6_624_904),
    ("inception_v3", {}, 5_713_216_096, 23_834_568),
    # torchvision's published 1.814 G and parameters
    ("resnet18", {}, 1_814_073_344, 11_689_512),
    ("resnet50", {}, 4_089_184_256, 25_557_032),
    ("resnet50", {"stride_on": "1x1"}, 3_857_973_248, 25_557_032),
    # the paper's Table 9, whose head is not scaled, as timm builds it
    ("mobilenet_v3_large", {"alpha": 0.75, "width_rule": "paper"}, 154_560_624, 3_993_528),
    ("mobilenet_v3_small", {"alpha": 0.75, "width_rule": "paper"}, 43_399_344, 2_041_872),
    # the head of the paper's first versions: 256 more outputs of 577 values, read by 1000 classes
    ("mobilenet_v3_small", {"head": 1280}, 56_510_400 + 256 * 1576, 2_542_856 + 256 * 1577),
]


@pytest.mark.parametrize(("name", "options", "macs", "params"), EXACT)
def test_exact_counts(name: str, options: dict[str, Any], macs: int, params: int) -> None:
    """The network has exactly these macs and params."""
    totals = count(name, **options).totals

    assert (macs, params) == (totals.macs, totals.params)


def test_every_architecture_has_exact_counts() -> None:
    """The table of exact counts names every architecture, and no other."""
    assert {name for name, *_ in EXACT} == set(ARCHS)


@pytest.mark.parametrize(
    ("alpha", "millions", "params"),
    [
        (0.5, "40.476", 1_365_792),
        (1.0, "145.814", 2_278_760),
        (1.5, "298.971", 3_506_720),
        (2.0, "590.783", 7_402_600),
    ],
)
def test_shufflenet_v2_in_the_authors_layout(alpha: float, millions: str, params: int) -> None:
    """The authors' layout has these macs and params."""
    totals = count("shufflenet_v2", alpha=alpha, layout="paper").totals

    assert f"{(totals.macs or 0) / 1e6:.3f}" == millions
    assert totals.params == params


@pytest.mark.parametrize(
    ("name", "alpha", "millions"),
    [
        ("mobilenet_v3_large", 0.35, "39.47"),
        ("mobilenet_v3_large", 0.5, "69.25"),
        ("mobilenet_v3_large", 0.75, "154.56"),
        ("mobilenet_v3_large", 1.25, "355.22"),
        ("mobilenet_v3_small", 0.5, "21.05"),
        ("mobilenet_v3_small", 1.25, "90.80"),
    ],
)
def test_mobilenet_v3_by_the_papers_width_rule(name: str, alpha: float, millions: str) -> None:
    """The paper's width rule gives the counts that its Table 9 rounds to 40, 69, 155, 356, 21 and 91 M."""
    assert f"{(count(name, alpha=alpha, width_rule='paper').totals.macs or 0) / 1e6:.2f}" == millions


@pytest.mark.parametrize(
    ("name", "millions", "params"),
    [("mobilenet_v3_large", "209.14", 3_924_288), ("mobilenet_v3_small", "52.29", 2_044_736)],
)
def test_minimalistic_mobilenet_v3(name: str, millions: str, params: int) -> None:
    """A minimalistic network has no squeeze-and-excitation, hard swish or 5x5 kernel."""
    report = count(name, minimalistic=True)

    assert f"{(report.totals.macs or 0) / 1e6:.2f}" == millions
    assert report.totals.params == params
    assert {row.op.kind for row in report.rows} == {
        "conv",
        "batch_norm",
        "relu",
        "add",
        "global_avg_pool",
        "linear",
    }
    assert all(row.op.weights[0].shape[2:] != (5, 5) for row in report.only("conv").rows)


@pytest.mark.parametrize("size", ["large", "small"])
def test_the_head_reaches_closed_form_and_module(size: str) -> None:
    """The closed form and the module have the same number of features before the classifier."""
    closed, traced = (count(f"mobilenet_v3_{size}", head=200, trace=trace) for trace in (False, True))

    assert [row.op for row in closed.rows] == [row.op for row in traced.rows]


def test_the_efficient_last_stage_saves_thirty_million() -> None:
    """The efficient last stage saves 34.3 M macs, which the paper's section 5.1 rounds to 30 million."""
    efficient, original = (
        count("mobilenet_v3_large", tail=tail).totals.macs or 0 for tail in ("efficient", "original")
    )

    # original: expand 160 x 960, filter 9 x 960, project 960 x 320 and widen 320 x 1280, at 7 x 7, and classify
    # efficient: expand 160 x 960 at 7 x 7, widen 960 x 1280 once pooled, and classify
    assert original - efficient == 49 * (9 * 960 + 960 * 320 + 320 * 1280) - 960 * 1280 == 34_317_760


def test_googlenet_with_5x5_branches() -> None:
    """With 5x5 windows, and a bias instead of each batch norm, GoogLeNet has the paper's parameters."""
    report = count("googlenet", branch="5x5")
    channels = sum(row.op.output[0].shape[1] for row in report.only("conv").rows)

    assert f"{(report.totals.macs or 0) / 1e6:.2f}" == "1582.67"
    # two scalars of batch norm per channel, instead of one bias
    assert report.totals.params - 2 * channels + channels == 6_998_552


@pytest.mark.parametrize(
    ("name", "macs", "all_params"),
    [("googlenet", 1_498_376_192, 13_004_888), ("inception_v3", 5_713_216_096, 27_161_264)],
)
def test_auxiliary_classifiers_add_only_parameters(name: str, macs: int, all_params: int) -> None:
    """An auxiliary classifier adds parameters that inference does not read, and no other count."""
    report, without = count(name), count(name, aux=False)
    module = dict(MODELS[name]().named_parameters())

    assert report.totals == without.totals
    assert report.totals.macs == macs
    assert without.unused_params == ()
    assert report.totals.params + sum(module[p].numel() for p in report.unused_params) == all_params


@pytest.mark.parametrize(("groups", "alpha"), [(2, 0.5), (4, 0.5), (2, 0.25), (4, 0.25)])
def test_shufflenets_with_indivisible_bottlenecks(groups: int, alpha: float) -> None:
    """The paper lists these variants, but their groups do not divide the bottlenecks."""
    with pytest.raises(OptionError, match=f"groups={groups} do not divide the bottlenecks"):
        count("shufflenet_v1", groups=groups, alpha=alpha)


@pytest.mark.parametrize(
    ("alpha", "groups", "printed"),
    [
        (0.25, 3, "13"),
        (0.5, 3, "38"),
        (1.5, 3, "292"),
        (2.0, 3, "524"),
        (0.5, 8, "40"),
        (1.5, 8, "290"),
        (2.0, 8, "522"),
    ],
)
def test_the_stem_of_shufflenet_v1(alpha: float, groups: int, printed: str) -> None:
    """A stem of 12, 24 or 48 channels gives the macs that the paper and its authors' repository print."""
    assert f"{(count('shufflenet_v1', alpha=alpha, groups=groups).totals.macs or 0) / 1e6:.0f}" == printed


def test_squeezenet_bypasses() -> None:
    """Simple bypasses add four inputs; complex ones also add the other four through a convolution."""
    plain, simple, complex_ = (
        count("squeezenet1_0", bypass=bypass) for bypass in ("none", "simple", "complex")
    )

    assert [len(report.only("add").rows) for report in (plain, simple, complex_)] == [0, 4, 8]
    assert plain.totals.params == simple.totals.params
    # 1x1 convolutions 96 -> 128, 128 -> 256, 256 -> 384, 384 -> 512, each with a bias
    bypasses = [(96, 128), (128, 256), (256, 384), (384, 512)]
    assert complex_.totals.params - simple.totals.params == sum(c * k + k for c, k in bypasses)


@pytest.mark.parametrize("name", ARCHS)
def test_default_resolutions(name: str) -> None:
    """The default input has 299 pixels in Xception and Inception V3, and 224 in the others."""
    side = 299 if name in ("xception", "inception_v3") else 224

    assert count(name).input == ((1, 3, side, side),)


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_are_torchvisions_names(alias: str) -> None:
    """An alias implies options; repeating one with another value raises OptionError."""
    name, options = ALIASES[alias]

    assert count(alias, resolution=96).totals == count(name, **options, resolution=96).totals
    assert hasattr(torchvision().models, alias)
    assert count(f"{alias}@alpha={options['alpha']}").totals == count(alias).totals
    with pytest.raises(OptionError, match=f"{alias} implies alpha={options['alpha']}: leave alpha out"):
        count(alias, alpha=options["alpha"] + 0.1)


def randomise(module: nn.Module) -> None:
    """Randomise scales, shifts and running statistics, so that no batch norm is the identity."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                tensor.data.uniform_(0.5, 1.5, generator=generator)


def same_outputs(ours: nn.Module, theirs: nn.Module, side: int) -> bool:
    """Return True if two modules in eval mode give equal bits for an image."""
    image = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return torch.equal(theirs.eval()(image), ours.eval()(image))


def pairs() -> Iterator[tuple[str, dict[str, Any], str, dict[str, Any]]]:
    """Yield the name and options of a network here, and those of the same network in torchvision."""
    for alpha in (0.5, 1.0, 1.4):
        yield "mobilenet_v2", {"alpha": alpha}, "mobilenet_v2", {"width_mult": alpha}
    for size in ("large", "small"):
        for alpha in (0.5, 1.0, 1.25):
            yield f"mobilenet_v3_{size}", {"alpha": alpha}, f"mobilenet_v3_{size}", {"width_mult": alpha}
    for alias, (name, options) in ALIASES.items():
        yield name, options, alias, {}
    for name in ("squeezenet1_0", "squeezenet1_1", "alexnet", "resnet18", "resnet50"):
        yield name, {}, name, {}
    yield "vgg16", {}, "vgg16", {"init_weights": False}
    for name in ("googlenet", "inception_v3"):
        for aux in (False, True):
            yield name, {"aux": aux}, name, {"aux_logits": aux, "init_weights": False}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "theirs", "their_options"), list(pairs()))
def test_modules_equal_torchvisions(
    name: str, options: dict[str, Any], theirs: str, their_options: dict[str, Any]
) -> None:
    """State dicts load strictly in both directions, and equal weights give equal outputs."""
    original = getattr(torchvision().models, theirs)(**their_options)
    ours = MODELS[name](**options)
    randomise(original)
    ours.load_state_dict(original.state_dict(), strict=True)
    original.load_state_dict(ours.state_dict(), strict=True)

    assert same_outputs(ours, original, 128 if name == "inception_v3" else 96)


@pytest.mark.parametrize("name", sorted({theirs for _, _, theirs, _ in pairs()}))
def test_published_figures_of_torchvision(name: str) -> None:
    """The macs and parameters are those in the metadata of torchvision's weights."""
    meta = next(iter(torchvision().models.get_model_weights(name))).meta
    report = count(name)
    auxiliary = {"inception_v3": 27_161_264 - 23_834_568}  # published with the auxiliary classifier

    assert f"{(report.totals.macs or 0) / 1e9:.3f}" == f"{meta['_ops']:.3f}"
    assert report.totals.params + auxiliary.get(name, 0) == meta["num_params"]


def from_timm(key: str) -> str:
    """Return the name here of a parameter of timm's `mobilenetv1_100`."""
    module, _, parameter = key.rpartition(".")
    if module in ("conv_stem", "bn1"):
        return f"features.0.{int(module == 'bn1')}.{parameter}"
    if module == "classifier":
        return key
    _, stage, block, layer = module.split(".")
    position = 1 + sum((1, 2, 2, 6)[: int(stage)]) + int(block)
    submodules = {
        "conv_dw": "depthwise.0",
        "bn1": "depthwise.1",
        "conv_pw": "pointwise.0",
        "bn2": "pointwise.1",
    }
    return f"features.{position}.{submodules[layer]}.{parameter}"


@pytest.mark.slow
def test_mobilenet_v1_equals_timms() -> None:
    """The network of timm, with ReLU and renamed parameters, gives equal outputs."""
    original = timm().create_model("mobilenetv1_100", act_layer=nn.ReLU)
    randomise(original)
    ours = MODELS["mobilenet_v1"]()
    ours.load_state_dict({from_timm(key): value for key, value in original.state_dict().items()}, strict=True)

    assert same_outputs(ours, original, 96)


@pytest.mark.slow
def test_xception_equals_timms() -> None:
    """The network of timm has the same parameter names and gives equal outputs."""
    original = timm().create_model("legacy_xception")
    randomise(original)
    ours = MODELS["xception"]()
    ours.load_state_dict(original.state_dict(), strict=True)

    assert same_outputs(ours, original, 96)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.75, 1.0])
@pytest.mark.parametrize("size", ["large", "small"])
def test_the_papers_width_rule_equals_timms(size: str, alpha: float) -> None:
    """The parameters have the shapes of timm's, whose linear layers are 1x1 convolutions."""

    def shapes(module: nn.Module) -> list[tuple[int, ...]]:
        return sorted(tuple(n for n in param.shape if n != 1) for param in module.parameters())

    original = timm().create_model(f"mobilenetv3_{size}_{round(100 * alpha):03}")

    assert shapes(original) == shapes(MODELS[f"mobilenet_v3_{size}"](alpha=alpha, width_rule="paper"))


@pytest.mark.parametrize("name", ARCHS)
def test_num_classes_reaches_closed_form_and_module(name: str) -> None:
    """With 10 classes the last layer has 10 outputs, and closed form and module have equal parameters."""
    module = MODELS[name](num_classes=10)
    report = count(name, num_classes=10)
    *_, last = [row for row in report.rows if row.op.kind in ("conv", "linear")]
    unused = sum(param.numel() for key, param in module.named_parameters() if key in report.unused_params)

    assert last.op.output[0].shape[1] == 10
    assert report.totals.params + unused == sum(param.numel() for param in module.parameters())


def test_other_conventions_of_mobilenet_v1s_parameters() -> None:
    """The parameters are 4,209,088 as weights alone, and 4,253,864 with the moving statistics of batch norm."""
    report = count("mobilenet_v1")
    weights = sum(row.op.weights[0].size for row in report.only("conv", "linear").rows)
    moving = sum(value.size for row in report.only("batch_norm").rows for value in row.op.buffers)

    assert weights == 4_209_088
    assert report.totals.params + moving == 4_253_864


def test_the_multiplications_of_opsummary() -> None:
    """hey-yahei/OpSummary.MXNet prints macs plus batch-norm outputs, minus the 1000 biases."""
    report = count("mobilenet_v1")

    assert (report.totals.macs or 0) + report.only("batch_norm").totals.writes - 1000 == 573_782_040


def test_the_convolutions_of_vgg16() -> None:
    """The convolutions of VGG-16 have the 15.3 billion macs that other papers cite."""
    assert f"{(count('vgg16').only('conv').totals.macs or 0) / 1e6:.1f}" == "15346.6"
