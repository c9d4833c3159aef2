"""Ablations: the cost of each variant, and its published figures."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn
from witness import DATA, Bessel

from mbanalyze import Shape, archs, count
from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.literature.figures import Entry, entries
from mbanalyze.ops.cost import Cost
from mbanalyze.sweep.ablation import ablate
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.grid import GridError
from mbanalyze.sweep.peak_grids import TIMELINES
from mbanalyze.sweep.traced import VariantError

NETS = str(DATA / "nets.py")
TOTALS = (*Cost().as_dict(), *TIMELINES)


def assert_counts(what: Any, ablation: Ablation, *inputs: Any, options: tuple[str, ...]) -> None:
    """Assert that each row equals the report of its variant."""
    for row in ablation.records():
        expected = count(what, *inputs, **{name: row[name] for name in options}).total_counts()
        assert {name: expected[name] for name in TOTALS} == {name: row[name] for name in TOTALS}


def published(variant: str, source: str, label: str = "") -> list[Entry]:
    """The published rows of a network in one table."""
    return [e for e in entries() if (e.variant, e.source, e.label) == (variant, source, label) and e.spec]


def row_of(entry: Entry) -> tuple[object, ...]:
    """A published row in the columns of an ablation, after its network."""
    return (
        entry.spec,
        entry.macs or None,
        entry.params or None,
        entry.top1,
        entry.latency_ms,
        entry.source,
    )


def published_rows(arch: type[Any], ablation: Ablation) -> list[tuple[object, ...]]:
    """The rows of an ablation with published figures, in the same columns."""
    columns = ["published_macs", "published_params", "top1", "latency_ms", "source"]
    return [
        (arch(alpha=row["alpha"], resolution=row["resolution"]), *(row[name] for name in columns))
        for row in ablation.records()
        if row["source"]
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
def test_one_call_gives_a_published_table(
    network: str, grid: dict[str, Any], source: str, label: str, variants: int
) -> None:
    """An ablation has every row of a published table, with the counts of `count`."""
    ablation = ablate(network, source=source, **grid)
    expected = published(network, source, label)

    assert variants == len(expected)
    found = published_rows(archs.ARCHS[network], ablation)
    assert sorted(map(str, map(row_of, expected))) == sorted(map(str, found))
    assert_counts(network, ablation, options=("alpha", "resolution"))


@pytest.mark.parametrize("size", ["large", "small"])
def test_mobilenet_v3_multipliers(size: str) -> None:
    """The paper's rule for widths gives every row of MobileNetV3's Table 9."""
    network = f"mobilenet_v3_{size}"
    ablation = ablate(
        network,
        alpha=[1.25, 1, 0.75, 0.5, 0.35],
        resolution=[256, 224, 192, 160, 128, 96],
        width_rule="paper",
        source="arXiv:1905.02244 Table 9, latest version",
    )
    known = ablation.frame().dropna(subset="top1")
    expected = published(network, "arXiv:1905.02244 Table 9, latest version")

    assert len(expected) == len(known)
    assert {(e.spec.alpha, e.spec.resolution, e.top1, e.latency_ms) for e in expected} == set(  # type: ignore[union-attr]
        zip(known["alpha"], known["resolution"], known["top1"], known["latency_ms"], strict=True)
    )


def test_shufflenet_multipliers() -> None:
    """One call gives the published table of each ShuffleNet, with the groups of the first."""
    first = ablate("shufflenet_v1", alpha=[1, 0.5, 0.25], groups=[1, 2, 3, 4, 8], skip_invalid=True).frame()
    second = ablate(
        "shufflenet_v2", alpha=[0.5, 1, 1.5, 2], layout="paper", source="arXiv:1807.11164 Table 5"
    ).frame()

    assert {"arXiv:1707.01083 Table 2"} == set(first["source"])
    assert len(published("shufflenet_v1", "arXiv:1707.01083 Table 2")) == len(first)
    assert list(second["published_macs"]) == ["41 M", "146 M", "299 M", "591 M"]
    assert list(second["macs"]) == [40476448, 145814296, 298970656, 590783000]


def test_the_first_source_that_publishes_a_variant_is_used() -> None:
    """Sources have the order in which they are given; other sources are ignored."""
    paper, slim = "arXiv:1704.04861", SLIM_V1
    found = {
        order: ablate("mobilenet_v1", alpha=[1, 0.75], resolution=[224, 96], source=order).frame()["source"]
        for order in ((paper, slim), (slim, paper), ())
    }

    assert [f"{paper} Table 6", f"{paper} Table 6"] == list(found[paper, slim].dropna())
    assert [slim, slim] == list(found[slim, paper].dropna())
    assert not found[()].notna().any()


def test_rho_is_a_fraction_of_the_default_resolution() -> None:
    """Half of Xception's 299 px rounds up to 150 px; the frame has both columns."""
    frame = ablate("xception", rho=[1, 0.5]).frame()

    # 299 / 2 = 149.5
    assert list(zip(frame["rho"], frame["resolution"], strict=True)) == [(1.0, 299), (0.5, 150)]
    assert ["rho", "resolution", *TOTALS] == list(frame.columns)[: 2 + len(TOTALS)]


def test_options_have_the_order_of_the_architecture() -> None:
    """The order of the arguments is ignored, and the resolution varies fastest."""
    frame = ablate("shufflenet_v1", resolution=[224, 192], groups=[3, 8], alpha=[1, 2]).frame()

    assert list(frame.columns)[:3] == ["alpha", "groups", "resolution"]
    variants = [tuple(row[:3]) for row in frame.itertuples(index=False)]
    assert variants[:4] == [(1, 3, 224), (1, 3, 192), (1, 8, 224), (1, 8, 192)]


def test_architectures_are_named_in_four_ways() -> None:
    """A spec, a class, a name and an alias name an architecture; an alias fixes its own options."""
    spec = archs.MobileNetV2(alpha=0.5, resolution=96)

    assert [count(spec).totals.macs] == macs(ablate(spec))
    assert [count(spec, alpha=1.0).totals.macs] == macs(ablate(spec, alpha=1))
    assert [count("mobilenet_v2").totals.macs] == macs(ablate(archs.MobileNetV2))
    assert [count("mnasnet0_5").totals.macs] == macs(ablate("mnasnet0_5"))
    with pytest.raises(OptionError, match=r"mnasnet0_5 implies alpha=0\.5: leave alpha out"):
        ablate("mnasnet0_5", alpha=1)


def test_references_have_options() -> None:
    """Options behind an @ are options of every variant, for architectures and factories."""
    (shallow,) = ablate("mobilenet_v1@shallow=true,alpha=0.5").records()
    assert count("mobilenet_v1", shallow=True, alpha=0.5).totals.macs == shallow["macs"]
    assert (shallow["shallow"], shallow["alpha"]) == (True, 0.5)

    inputs = (1, 3, 8, 8)
    grid = ablate(f"{NETS}:small@width=4", inputs, resolution=[8, 16]).records()
    assert [(row["width"], row["resolution"]) for row in grid] == [(4, 8), (4, 16)]
    (chain,) = ablate(f"{__file__}:build@widths=[8,16]", inputs).records()
    assert chain["widths"] == [8, 16]
    with pytest.raises(OptionError, match="alpha is given twice"):
        ablate("mobilenet_v1@alpha=0.5", alpha=[1])


def macs(ablation: Ablation) -> list[Any]:
    """The macs of each variant."""
    return [row["macs"] for row in ablation.records()]


def test_bytes_and_bits() -> None:
    """`dtype` sets the bytes of all elements, also at the peak, `bits` those of stored parameters, rounded up."""
    (plain,), (half,) = (ablate("vgg16", dtype=d).records() for d in ("float32", "float16"))

    assert plain["memory_access_bytes"] == 2 * half["memory_access_bytes"]
    # the first two convolutions write 64 x 224 x 224 elements
    assert (plain["peak_bytes"], half["peak_bytes"]) == (4 * 2 * 64 * 224**2, 2 * 2 * 64 * 224**2)
    assert 2 * plain["arithmetic_intensity"] == half["arithmetic_intensity"]
    # 138,357,544 params of 3 bits: 51,884,079 bytes
    assert ablate("vgg16", bits=3).records()[0]["params_bytes"] == 51884079
    (narrow,) = ablate("mobilenet_v1", alpha=0.25, bits=3).records()
    assert math.ceil(count("mobilenet_v1", alpha=0.25).totals.params * 3 / 8) == narrow["params_bytes"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": []}, "alpha has no values"),
        ({"alpha": [1, 0.5, 1.0]}, "alpha has 1.0 twice"),
        ({"alpha": [{0.5}, {0.5}]}, "alpha has {0.5} twice"),
        ({"alpha": [([1],), 1]}, "alpha must be a number above 0"),
        ({"rho": [1, 0.0001]}, "rho 0.0001 of 224 px rounds to 0 px"),
        (
            {"alpha": range(1, 10_002), "resolution": range(1, 1001)},
            "10,001,000 variants exceed the limit of 10,000,000",
        ),
        ({"rho": [1], "resolution": [224]}, "rho and resolution both set the input size: give one of them"),
        ({"rho": [1, 1.001]}, "rho 1 and 1.001 both make 224 px"),
        ({"rho": [0]}, "rho must be a number above 0, not 0"),
        ({"bits": 0}, "bits must be a whole number from 1 to 64, not 0"),
        ({"batch": [1, 2]}, "batch must be one whole number"),
        ({"source": "no such"}, "no source starts with 'no such': 'mbanalyze published' lists the sources"),
        ({"alpha": [1, -1]}, "alpha must be a number above 0"),
        ({"alpha": [1, "x"]}, "alpha must be a number above 0"),
        ({"resolution": [224, 0.5]}, "resolution must be a whole number"),
        ({"alhpa": [1]}, "has no option 'alhpa': did you mean alpha"),
        ({"dtype": "int3"}, "unknown dtype 'int3'"),
    ],
)
def test_invalid_grids_raise(options: dict[str, Any], message: str) -> None:
    """The message names the option and the problem."""
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        ablate("mobilenet_v2", **options)


def test_an_invalid_variant_is_named() -> None:
    """The error has the reference of the variant; `skip_invalid` leaves the variant out."""
    grid: dict[str, Any] = {"alpha": [1, 0.25], "groups": [2, 3], "num_classes": 10}
    with pytest.raises(
        VariantError, match=r"^shufflenet_v1@alpha=0\.25,num_classes=10,groups=2,resolution=224: "
    ):
        ablate("shufflenet_v1", **grid)
    frame = ablate("shufflenet_v1", skip_invalid=True, **grid).frame()
    assert list(zip(frame["alpha"], frame["groups"], strict=True)) == [(1.0, 2), (1.0, 3), (0.25, 3)]
    assert list(range(3)) == list(frame.index)


def test_invalid_values_are_skipped() -> None:
    """`skip_invalid` leaves out values that an option does not take, unless no variant is left."""
    ablation = ablate("shufflenet_v2", alpha=[0.5, 0.6, 1, -1, "x"], resolution=[224, 0.5], skip_invalid=True)

    assert [(row["alpha"], row["resolution"]) for row in ablation.records()] == [(0.5, 224), (1.0, 224)]
    with pytest.raises(OptionError, match=r"alpha must be one of .*, not 0\.6"):
        ablate("shufflenet_v2", alpha=[0.6, 0.7], skip_invalid=True)
    with pytest.raises(VariantError, match=r"shufflenet_v1@alpha=0\.31,.*do not divide"):
        ablate("shufflenet_v1", alpha=[0.31, 0.32], skip_invalid=True)
    with pytest.raises(OptionError, match="no option 'beta'"):
        ablate("shufflenet_v2", beta=[1], skip_invalid=True)


def test_numpy_values_are_numbers() -> None:
    """NumPy scalars and arrays give the same frame as Python numbers."""
    expected = ablate("mobilenet_v1", alpha=[0.5, 1], rho=[0.5, 1]).frame()

    for kind in (np.float32, np.float64):
        scalars = ablate("mobilenet_v1", alpha=[kind(0.5), kind(1)], rho=[kind(0.5), kind(1)])
        array = ablate("mobilenet_v1", alpha=np.array([0.5, 1], kind), rho=[kind(0.5), 1])
        assert expected.equals(scalars.frame())
        assert expected.equals(array.frame())


def test_a_batch_has_no_figures_of_one_image() -> None:
    """With a batch of eight, accuracy and params stay, and the macs and latency of one image are left out."""
    (one,), (eight,) = (ablate("mobilenet_v2", batch=n, source="arXiv:1801.04381").records() for n in (1, 8))

    assert (one["batch"], eight["batch"]) == (1, 8)
    assert "batch" not in ablate("mobilenet_v2").frame()
    assert count("mobilenet_v2", batch=8).totals.macs == eight["macs"] == 8 * one["macs"]
    assert (one["top1"], one["published_params"]) == (eight["top1"], eight["published_params"])
    assert (one["published_macs"], one["latency_ms"]) == ("300 M", 75)
    assert [eight["published_macs"], eight["latency_ms"], eight["device"]] == [None, None, None]
    note = "published macs and latency hold for one image"
    assert note in ablate("mobilenet_v2", batch=8).to("markdown")
    assert note not in ablate("mobilenet_v2", batch=1).to("markdown")


def test_an_ablation_has_every_format() -> None:
    """CSV and JSON have the columns of the frame; tables have the sources below."""
    ablation = ablate("mobilenet_v1", alpha=[1, 0.5])
    frame = ablation.frame()

    assert len(ablation) == len(frame) == 2
    assert ablation.records() == json.loads(ablation.to("json")) == ablation.as_dict()["variants"]
    assert list(frame) == ablation.to("csv").splitlines()[0].split(",")
    for text in (ablation.to("table", width=200), ablation.to("markdown"), ablation._repr_html_()):
        assert "arXiv:1704.04861 Table 6" in text
        assert "569 M" in text
    assert "| 0.5 | 224 | 1,331,592 | 149,497,088 |" in ablation.to("markdown")
    with pytest.raises(ChoiceError, match="unknown format 'xml'"):
        ablation.to("xml")


def test_a_frame_is_a_copy() -> None:
    """Changes to a frame do not change the ablation."""
    ablation = ablate("vgg16")
    frame = ablation.frame()
    frame.loc[0, "macs"] = 0

    assert macs(ablation) == [count("vgg16").totals.macs]


def build(width: int = 8, widths: tuple[int, ...] = (), kernel: int = 3) -> nn.Module:
    """Build a chain of convolutions."""
    channels = [3, width, *widths]
    return nn.Sequential(*(nn.Conv2d(a, b, kernel) for a, b in itertools.pairwise(channels)))


def test_factories_are_traced() -> None:
    """Each variant of a function or a reference equals its `count`; images are resized."""
    frame = ablate(build, (2, 3, 32, 32), width=[8, 16], rho=[1, 0.5]).frame()

    assert ["width", "rho", "resolution", *TOTALS, "peak_bytes_eager", "complete"] == list(frame.columns)
    for row in frame.to_dict("records"):
        side = row["resolution"]
        expected = count(build, (2, 3, side, side), width=row["width"]).total_counts()
        assert expected == {name: row[name] for name in expected}
        # the input and the output, which are alive together
        assert row["peak_bytes"] == 4 * 2 * (3 * side**2 + row["width"] * (side - 2) ** 2)
    assert frame["complete"].all()
    lists = ablate(build, (1, 3, 9, 9), widths=[[8, 16], [4]])
    assert [row["widths"] for row in lists.records()] == [[8, 16], [4]]
    assert_counts(
        f"{NETS}:small", ablate(f"{NETS}:small", (1, 3, 8, 8), width=[4, 8]), (1, 3, 8, 8), options=("width",)
    )


def test_invalid_variants_of_a_factory_are_skipped() -> None:
    """`skip_invalid` leaves out failing variants, unless all fail; a factory has no published source."""
    ablation = ablate(f"{NETS}:small", (1, 3, 8, 8), width=[8, -1, 4], skip_invalid=True)

    assert [row["width"] for row in ablation.records()] == [8, 4]
    with pytest.raises(VariantError, match="@width=-1: "):
        ablate(f"{NETS}:small", (1, 3, 8, 8), width=[-1, -2], skip_invalid=True)
    with pytest.raises(GridError, match="source selects published figures, which only known architectures"):
        ablate(f"{NETS}:small", (1, 3, 8, 8), source="arXiv")


def test_inputs_by_name_are_resized() -> None:
    """An image input by name is resized as one by position; other inputs keep their shape."""

    class Named(nn.Module):
        def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
            return x * scale

    inputs = {"x": Shape(1, 3, 32, 32), "scale": Shape(1)}
    frame = ablate(Named, kwargs=inputs, rho=[1, 0.5]).frame()

    # a multiplication a value
    assert list(zip(frame["resolution"], frame["flops"], strict=True)) == [
        (32, 3 * 32 * 32),
        (16, 3 * 16 * 16),
    ]
    assert frame.drop(columns="rho").equals(ablate(Named, kwargs=inputs, resolution=[32, 16]).frame())


def test_lower_bounds_are_marked() -> None:
    """A variant with uncounted operators is not `complete`, and its flops have a sign in tables."""
    ablation = ablate(f"{NETS}:strange", (1, 3, 8, 8))
    (row,) = ablation.records()

    assert row["complete"] is False
    flops = count(f"{NETS}:strange", (1, 3, 8, 8)).totals.flops
    assert flops == row["flops"]
    assert f"≥ {flops:,}" in ablation.to("markdown")


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ([(1, 3, 8, 8)], {"width": [4, -1]}, r"nets.py:small@width=-1: .* raised RuntimeError"),
        (
            [(1, 3, 8, 8)],
            {"wdth": [4]},
            r"nets.py:small@wdth=4: .*has no argument 'wdth': did you mean width",
        ),
        ([(1, 3, 8, 8)], {"resolution": [8, 2]}, r"nets.py:small: the forward raised"),
        (
            [(1, 3)],
            {"resolution": [8]},
            "resolution needs an image input n,c,h,w, and none of the inputs is one",
        ),
        (
            [(1, 3, 8, 8), (1, 3, 9, 9)],
            {"rho": [1]},
            "rho is a fraction of the size of one image: give resolution",
        ),
        ([], {"width": [4]}, "needs the shape of its input"),
    ],
)
def test_a_factory_that_fails_is_named(inputs: list[Any], options: dict[str, Any], message: str) -> None:
    """The error has the reference of the variant."""
    with pytest.raises(ValueError, match=message):
        ablate(f"{NETS}:small", *inputs, **options)


def test_a_variant_that_ends_its_process_is_named(tmp_path: Path) -> None:
    """Processes trace a factory that is given by reference, and the variant that ends one has its options named."""
    file = tmp_path / "net.py"
    file.write_text(
        "import os\nfrom torch import nn\n"
        "def build(width):\n    return nn.Linear(3, width) if width < 8 else os._exit(3)\n"
    )
    options: dict[str, Any] = {"width": [4, 8, 6], "workers": 2}
    found = ablate(f"{file}:build", (1, 3), skip_invalid=True, **options)

    # 3 weights and a bias for each output
    assert [row["params"] for row in found.records()] == [4 * 4, 6 * 4]
    with pytest.raises(VariantError, match=r"build@width=8: its code ended the process with exit code 3"):
        ablate(f"{file}:build", (1, 3), **options)
    with pytest.raises(GridError, match="workers is for the models of a package"):
        ablate(lambda width: nn.Linear(3, width), (1, 3), **options)


@pytest.fixture(params=["processes", "dask"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Executors with the interface of `concurrent.futures.Executor`."""
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
    """Processes and a Dask cluster give the same frame as this process, and report progress."""
    fractions: list[float] = []
    what, grid = f"{NETS}:small", cast("dict[str, Any]", {"width": [4, 8, 16], "resolution": [8, 16]})
    expected = ablate(what, (1, 3, 8, 8), **grid).frame()
    found = ablate(what, (1, 3, 8, 8), executor=executor, progress=fractions.append, **grid)

    assert expected.equals(found.frame())
    assert [pytest.approx((i + 1) / 6) for i in range(6)] == fractions
    with pytest.raises(VariantError, match="@width=-1: "):
        ablate(what, (1, 3, 8, 8), width=[4, -1], executor=executor)
    kept = ablate(what, (1, 3, 8, 8), width=[-2, 5], executor=executor, skip_invalid=True)
    assert [row["width"] for row in kept.records()] == [5]


def test_unknown_counts_leave_others_exact() -> None:
    """A variant without known macs does not round those of another, and options are one line of CSV."""

    def build(name: str, known: bool) -> nn.Module:
        return nn.Linear(3, 3) if known else Bessel()

    # 2**53 + 1 rows of 3 x 3 products, which no float holds
    rows = 2**53 + 1
    ablation = ablate(build, (rows, 3), name=["a\x1b\n\u202e"], known=[True, False])

    assert [row["macs"] for row in ablation.records()] == [9 * rows, None]
    assert "a\\x1b\\n\\u202e,True" in ablation.to("csv")
    assert len(ablation.to("csv").splitlines()) == 3
    for format in ("table", "markdown", "csv", "json"):
        assert {"\x1b", "\u202e"}.isdisjoint(ablation.to(format))


@pytest.mark.parametrize(
    "norm", [lambda width: nn.BatchNorm2d(2 * width), type("Own", (), {"__module__": "__main__"})]
)
def test_a_value_that_no_process_can_import(norm: Any, tmp_path: Path) -> None:
    """A value that another process cannot get is refused before any work."""
    file = tmp_path / "net.py"
    file.write_text("from torch import nn\n\n\ndef build(norm):\n    return norm(4)\n")

    with pytest.raises(VariantError, match="leave out the number of workers"):
        ablate(f"{file}:build", (1, 4, 2, 2), norm=[norm], workers=2)
