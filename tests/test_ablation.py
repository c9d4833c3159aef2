"""Frames of variants: what they cost, and what is published beside it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from witness import DATA

from mbanalyze import archs, count
from mbanalyze.archs.options import OptionError
from mbanalyze.literature.figures import Entry, entries
from mbanalyze.sweep.ablation import GridError, ablate
from mbanalyze.sweep.traced import VariantError

NETS = str(DATA / "nets.py")
TOTALS = tuple(count("squeezenet1_0").totals.as_dict())


def assert_counts(what: Any, frame: pd.DataFrame, *inputs: Any, options: tuple[str, ...]) -> None:
    """Each row is the report of its variant."""
    for row in frame.to_dict("records"):
        expected = count(what, *inputs, **{name: row[name] for name in options}).totals.as_dict()
        assert expected == {name: row[name] for name in TOTALS}


def published(variant: str, source: str, label: str = "") -> list[Entry]:
    """The printed rows of a table that are about a network."""
    return [e for e in entries() if (e.variant, e.source, e.label) == (variant, source, label) and e.spec]


def printed(entry: Entry) -> tuple[object, ...]:
    """What a frame shows of a printed row."""
    return entry.spec, entry.macs, entry.params, entry.top1, entry.latency_ms, entry.source


def shown(arch: type[Any], frame: pd.DataFrame, **fixed: Any) -> list[tuple[object, ...]]:
    """The same of a frame's rows that have something printed, the network first."""
    columns = ["published_macs", "published_params", "top1", "latency_ms", "source"]
    return [
        (
            arch(alpha=row["alpha"], resolution=row["resolution"], **fixed),
            *(
                ("" if name.startswith("published") else None) if row[name] != row[name] else row[name]
                for name in columns
            ),
        )
        for row in frame[frame["source"].notna()].to_dict("records")
    ]


SLIM_V1 = "tensorflow/models@02c04f49 research/slim/nets/mobilenet_v1.md"
SLIM_V2 = "tensorflow/models@0ba83cf0 research/slim/nets/mobilenet/README.md (V2)"


@pytest.mark.parametrize(
    ("network", "grid", "source", "label", "variants"),
    [
        ("mobilenet_v1", {"alpha": [1, 0.75, 0.5, 0.25]}, "arXiv:1704.04861 Table 6", "", 4),
        ("mobilenet_v1", {"rho": [1, 0.857, 0.714, 0.571]}, "arXiv:1704.04861 Table 7", "", 4),
        (
            "mobilenet_v1",
            {"alpha": [1, 0.75, 0.5, 0.25], "resolution": [224, 192, 160, 128]},
            SLIM_V1,
            "float",
            16,
        ),
        (
            "mobilenet_v2",
            {"alpha": [1.4, 1.3, 1, 0.75, 0.5, 0.35], "resolution": [224, 192, 160, 128, 96]},
            SLIM_V2,
            "float",
            22,
        ),
    ],
)
def test_published_tables_come_out_of_one_call(
    network: str, grid: dict[str, Any], source: str, label: str, variants: int
) -> None:
    """Our counts stand beside the whole of a published table."""
    frame = ablate(network, **grid)
    expected = published(network, source, label)

    assert variants == len(expected)
    assert sorted(map(str, map(printed, expected))) == sorted(map(str, shown(archs.ARCHS[network], frame)))
    assert_counts(network, frame, options=("alpha", "resolution"))


@pytest.mark.parametrize("size", ["large", "small"])
def test_mobilenet_v3_multipliers(size: str) -> None:
    """By the paper's rule for widths, Table 9 comes out of one call, where alpha is 1 too."""
    network = f"mobilenet_v3_{size}"
    frame = ablate(
        network,
        alpha=[1.25, 1, 0.75, 0.5, 0.35],
        resolution=[256, 224, 192, 160, 128, 96],
        width_rule="paper",
        published="arXiv:1905.02244 Table 9, latest version",
    )
    known = frame[frame["top1"].notna()]
    expected = published(network, "arXiv:1905.02244 Table 9, latest version")

    assert len(expected) == len(known)
    assert {(e.spec.alpha, e.spec.resolution, e.top1, e.latency_ms) for e in expected} == set(  # type: ignore[union-attr]
        zip(known["alpha"], known["resolution"], known["top1"], known["latency_ms"], strict=True)
    )


def test_shufflenet_multipliers() -> None:
    """Both ShuffleNets' scales, with the groups of the first, come out of one call each."""
    first = ablate("shufflenet_v1", alpha=[1, 0.5, 0.25], groups=[1, 2, 3, 4, 8], failed="drop")
    second = ablate(
        "shufflenet_v2", alpha=[0.5, 1, 1.5, 2], layout="paper", published="arXiv:1807.11164 Table 5"
    )

    assert {"arXiv:1707.01083 Table 2"} == set(first["source"])
    assert len(published("shufflenet_v1", "arXiv:1707.01083 Table 2")) == len(first)
    assert list(second["published_macs"]) == ["41 M", "146 M", "299 M", "591 M"]
    assert list(second["macs"]) == [40476448, 145814296, 298970656, 590783000]


def test_sources_have_the_order_in_which_they_are_asked_for() -> None:
    """A variant's figures are from the first that prints it, and from none that is not asked for."""
    paper, slim = "arXiv:1704.04861", SLIM_V1
    by = {
        sources: ablate("mobilenet_v1", alpha=[1, 0.75], resolution=[224, 96], published=sources)["source"]
        for sources in ((paper, slim), (slim, paper), ())
    }

    assert [f"{paper} Table 6", f"{paper} Table 6"] == list(by[paper, slim].dropna())
    assert [slim, slim] == list(by[slim, paper].dropna())
    assert not by[()].notna().any()


def test_rho_is_a_fraction_of_the_own_resolution() -> None:
    """Xception's own is 299 px; a half is rounded up, and both columns are there."""
    frame = ablate("xception", rho=[1, 0.5])

    # 299 / 2 = 149.5
    assert list(zip(frame["rho"], frame["resolution"], strict=True)) == [(1.0, 299), (0.5, 150)]
    assert ["rho", "resolution", *TOTALS] == list(frame.columns)[: 2 + len(TOTALS)]


def test_options_come_in_the_order_of_the_network() -> None:
    """Whatever the order they are given in; the resolution varies fastest."""
    frame = ablate("shufflenet_v1", resolution=[224, 192], groups=[3, 8], alpha=[1, 2])

    assert list(frame.columns)[:3] == ["alpha", "groups", "resolution"]
    variants = [tuple(row[:3]) for row in frame.itertuples(index=False)]
    assert variants[:4] == [(1, 3, 224), (1, 3, 192), (1, 8, 224), (1, 8, 192)]


def test_what_is_given_may_be_a_spec_a_class_or_another_name() -> None:
    """A spec brings its options, and torchvision's names theirs."""
    spec = archs.MobileNetV2(alpha=0.5, resolution=96)

    assert [count(spec).totals.macs] == list(ablate(spec)["macs"])
    assert [count(spec, alpha=1.0).totals.macs] == list(ablate(spec, alpha=1)["macs"])
    assert [count("mobilenet_v2").totals.macs] == list(ablate(archs.MobileNetV2)["macs"])
    assert [count("mnasnet0_5").totals.macs] == list(ablate("mnasnet0_5")["macs"])
    with pytest.raises(OptionError, match=r"mnasnet0_5 has alpha=0\.5: do not give alpha again"):
        ablate("mnasnet0_5", alpha=1)


def test_bytes_and_bits() -> None:
    """`dtype` is what all bytes are counted in, `bits` what the parameters are stored in, rounded up."""
    (plain,), (half,) = (ablate("vgg16", dtype=d).to_dict("records") for d in ("float32", "float16"))

    assert plain["memory_access_bytes"] == 2 * half["memory_access_bytes"]
    assert 2 * plain["arithmetic_intensity"] == half["arithmetic_intensity"]
    # 138,357,544 params of 3 bits: 51,884,079 bytes
    assert list(ablate("vgg16", bits=3)["params_bytes"]) == [51884079]
    assert [math.ceil(count("mobilenet_v1", alpha=0.25).totals.params * 3 / 8)] == list(
        ablate("mobilenet_v1", alpha=0.25, bits=3)["params_bytes"]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": []}, "alpha has no values"),
        ({"alpha": [1, 0.5, 1.0]}, "alpha has 1.0 twice"),
        ({"alpha": [{0.5}, {0.5}]}, "alpha has {0.5} twice"),
        ({"alpha": [([1],), 1]}, "alpha must be a number above 0"),
        ({"rho": [1, 0.0001]}, "rho 0.0001 of 224 px leaves none"),
        (
            {"alpha": range(1, 10_002), "resolution": range(1, 1001)},
            "10,001,000 variants are more than 10,000,000",
        ),
        ({"failed": "ignore"}, "unknown way with failed variants 'ignore': choose one of raise, drop"),
        ({"rho": [1], "resolution": [224]}, "rho stands for a resolution: give one of them"),
        ({"rho": [1, 1.001]}, "rho 1 and 1.001 both make 224 px"),
        ({"rho": [0]}, "rho must be a number above 0, not 0"),
        ({"bits": 0}, "bits must be a whole number from 1 to 64, not 0"),
        ({"batch": [1, 2]}, "batch must be one whole number"),
        ({"published": "no such"}, "no source begins with 'no such': 'mbanalyze published' lists them"),
        ({"alpha": [1, -1]}, "alpha must be a number above 0"),
        ({"alpha": [1, "x"]}, "alpha must be a number above 0"),
        ({"resolution": [224, 0.5]}, "resolution must be a whole number"),
        ({"alhpa": [1]}, "has no option 'alhpa': did you mean alpha"),
        ({"dtype": "int3"}, "unknown dtype 'int3'"),
    ],
)
def test_bad_grids_say_what_is_wrong(options: dict[str, Any], message: str) -> None:
    """One clear line."""
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        ablate("mobilenet_v2", **options)


def test_a_variant_that_is_none_is_named() -> None:
    """With the options that make it so; or it is left out."""
    grid: dict[str, Any] = {"alpha": [1, 0.25], "groups": [2, 3], "num_classes": 10}
    with pytest.raises(
        VariantError, match=r"^shufflenet_v1 with alpha=0\.25 num_classes=10 groups=2 resolution=224: "
    ):
        ablate("shufflenet_v1", **grid)
    frame = ablate("shufflenet_v1", failed="drop", **grid)
    assert list(zip(frame["alpha"], frame["groups"], strict=True)) == [(1.0, 2), (1.0, 3), (0.25, 3)]
    assert list(range(3)) == list(frame.index)


def test_values_that_an_option_does_not_take_are_left_out() -> None:
    """With `failed="drop"`, as choices that make no network are; if nothing is left, the reason is raised."""
    frame = ablate("shufflenet_v2", alpha=[0.5, 0.6, 1, -1, "x"], resolution=[224, 0.5], failed="drop")

    assert list(zip(frame["alpha"], frame["resolution"], strict=True)) == [(0.5, 224), (1.0, 224)]
    with pytest.raises(OptionError, match=r"alpha must be one of .*, not 0\.6"):
        ablate("shufflenet_v2", alpha=[0.6, 0.7], failed="drop")
    with pytest.raises(VariantError, match=r"shufflenet_v1 with alpha=0\.31 .*do not divide"):
        ablate("shufflenet_v1", alpha=[0.31, 0.32], failed="drop")
    with pytest.raises(OptionError, match="no option 'beta'"):
        ablate("shufflenet_v2", beta=[1], failed="drop")


def test_numpy_values_are_numbers() -> None:
    """Whatever the option."""
    expected = ablate("mobilenet_v1", alpha=[0.5, 1], rho=[0.5, 1])

    for kind in (np.float32, np.float64):
        assert expected.equals(ablate("mobilenet_v1", alpha=[kind(0.5), kind(1)], rho=[kind(0.5), kind(1)]))
        assert expected.equals(ablate("mobilenet_v1", alpha=np.array([0.5, 1], kind), rho=[kind(0.5), 1]))


def test_a_batch_is_counted_and_said() -> None:
    """Beside it stands what does not depend on it: accuracy and params, and no macs or latency of one image."""
    one, eight = (
        ablate("mobilenet_v2", batch=n, published="arXiv:1801.04381").to_dict("records")[0] for n in (1, 8)
    )

    assert (one["batch"], eight["batch"]) == (1, 8)
    assert "batch" not in ablate("mobilenet_v2")
    assert count("mobilenet_v2", batch=8).totals.macs == eight["macs"] == 8 * one["macs"]
    assert (one["top1"], one["published_params"]) == (eight["top1"], eight["published_params"])
    assert (one["published_macs"], one["latency_ms"]) == ("300 M", 75)
    assert pd.isna([eight["published_macs"], eight["latency_ms"], eight["device"]]).all()


def build(width: int = 8, widths: tuple[int, ...] = (), kernel: int = 3) -> nn.Module:
    """A factory in a test."""
    channels = [3, width, *widths]
    return nn.Sequential(*(nn.Conv2d(a, b, kernel) for a, b in itertools.pairwise(channels)))


def test_factories_are_traced() -> None:
    """Every variant of a function or a reference is what `count` says of it; images are resized."""
    frame = ablate(build, (2, 3, 32, 32), width=[8, 16], rho=[1, 0.5])

    assert ["width", "rho", "resolution", *TOTALS, "complete"] == list(frame.columns)
    for row in frame.to_dict("records"):
        side = row["resolution"]
        expected = count(build, (2, 3, side, side), width=row["width"]).totals.as_dict()
        assert expected == {name: row[name] for name in TOTALS}
    assert frame["complete"].all()
    assert list(ablate(build, (1, 3, 9, 9), widths=[[8, 16], [4]])["widths"]) == [[8, 16], [4]]
    assert_counts(
        f"{NETS}:small", ablate(f"{NETS}:small", (1, 3, 8, 8), width=[4, 8]), (1, 3, 8, 8), options=("width",)
    )


def test_a_factorys_variants_that_fail_are_left_out() -> None:
    """With `failed="drop"`, unless all do; no source prints figures of one."""
    grid: dict[str, Any] = {"width": [8, -1, 4], "failed": "drop"}

    assert list(ablate(f"{NETS}:small", (1, 3, 8, 8), **grid)["width"]) == [8, 4]
    with pytest.raises(VariantError, match="with width=-1"):
        ablate(f"{NETS}:small", (1, 3, 8, 8), width=[-1, -2], failed="drop")
    with pytest.raises(GridError, match="no source prints figures of a factory's networks"):
        ablate(f"{NETS}:small", (1, 3, 8, 8), published="arXiv")


def test_inputs_by_name_are_resized() -> None:
    """As those by position are; what is no image stays as it is."""

    class Named(nn.Module):
        def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
            return x * scale

    inputs = {"x": (1, 3, 32, 32), "scale": (1,)}
    frame = ablate(Named, kwargs=inputs, rho=[1, 0.5])

    # a multiplication a value
    assert list(zip(frame["resolution"], frame["flops"], strict=True)) == [
        (32, 3 * 32 * 32),
        (16, 3 * 16 * 16),
    ]
    assert frame.drop(columns="rho").equals(ablate(Named, kwargs=inputs, resolution=[32, 16]))


def test_what_is_not_counted_is_not_zero() -> None:
    """A lower bound is marked, and nothing at all is null."""
    (row,) = ablate(f"{NETS}:strange", (1, 3, 8, 8)).to_dict("records")

    assert row["complete"] is False
    assert count(f"{NETS}:strange", (1, 3, 8, 8)).totals.flops == row["flops"]


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ([(1, 3, 8, 8)], {"width": [4, -1]}, r"nets.py:small with width=-1: .* raised RuntimeError"),
        ([(1, 3, 8, 8)], {"wdth": [4]}, r"nets.py:small with wdth=4: .*unexpected keyword argument 'wdth'"),
        ([(1, 3, 8, 8)], {"resolution": [8, 2]}, r"nets.py:small: the forward raised"),
        (
            [(1, 3)],
            {"resolution": [8]},
            "resolution resizes an image n,c,h,w, and there is none among the inputs",
        ),
        ([(1, 3, 8, 9)], {"rho": [1]}, "rho is a fraction of a square image: give resolution instead"),
        ([], {"width": [4]}, "needs the shape of its input"),
    ],
)
def test_a_factory_that_fails_is_named(inputs: list[Any], options: dict[str, Any], message: str) -> None:
    """With the options that made it fail."""
    with pytest.raises(ValueError, match=message):
        ablate(f"{NETS}:small", *inputs, **options)


@pytest.fixture(params=["processes", "dask"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Whatever has the interface of `concurrent.futures.Executor`."""
    if request.param == "processes":
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            yield pool
        return
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,  # type: ignore[no-untyped-call]
        Client(cluster) as client,  # type: ignore[no-untyped-call]
        client.get_executor() as pool,
    ):
        yield pool


@pytest.mark.slow
def test_any_executor_traces(executor: Executor) -> None:
    """Processes, or a Dask cluster, find what this process does, and say how far they are."""
    shares: list[float] = []
    what, grid = f"{NETS}:small", cast("dict[str, Any]", {"width": [4, 8, 16], "resolution": [8, 16]})
    expected = ablate(what, (1, 3, 8, 8), **grid)

    assert expected.equals(ablate(what, (1, 3, 8, 8), executor=executor, progress=shares.append, **grid))
    assert [pytest.approx((i + 1) / 6) for i in range(6)] == shares
    with pytest.raises(VariantError, match="with width=-1"):
        ablate(what, (1, 3, 8, 8), width=[4, -1], executor=executor)
    kept = ablate(what, (1, 3, 8, 8), width=[-2, 5], executor=executor, failed="drop")
    assert list(kept["width"]) == [5]
