"""Searches: compared with trying every variant."""

from __future__ import annotations

import functools
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbanalyze import count
from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.literature.figures import families
from mbanalyze.profiles.profile_file import read_profile
from mbanalyze.sweep.best_variants import BlockingLimit, Search, search
from mbanalyze.sweep.candidates import SearchError, variant_reference
from mbanalyze.sweep.grid import GridError
from mbanalyze.sweep.objectives import LIMITS, OBJECTIVES, limit_name

PROFILE = read_profile(Path(__file__).parent / "data/time_profile.json")
ALPHAS = [i / 100 for i in range(10, 150)]


@pytest.mark.parametrize("network", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"])
@settings(max_examples=4)
@given(data=st.data())
def test_the_largest_fitting_alpha_is_found(network: str, data: st.DataObject) -> None:
    """Of 140 alphas, the best has the most macs that a report counts within the limit."""
    most = data.draw(st.integers(5_000_000, 600_000_000), label="max_macs")
    found = search(network, max_macs=most, objective="macs", alpha=ALPHAS, resolution=192, **_plain(network))
    fits = [(macs, alpha) for alpha in ALPHAS if (macs := _macs(network, alpha)) <= most]

    assert len(fits) == len(found.frame())
    if not fits:
        assert found.best is None
        return
    assert found.best is not None
    assert max(fits)[0] == found.best["macs"]
    assert (max(fits)[0], found.best["alpha"]) in fits
    if len(fits) == len(ALPHAS):
        assert found.blocking_limits == ()
    else:
        (blocking,) = found.blocking_limits
        assert blocking.needed == min(_macs(network, alpha) for alpha in ALPHAS if alpha > max(fits)[1])


@functools.cache
def _macs(network: str, alpha: float) -> int:
    """The macs of one report."""
    return count(network, alpha=alpha, resolution=192).totals.macs or 0


def _plain(network: str) -> dict[str, Any]:
    """Options that fix all others but alpha and resolution."""
    if network == "mobilenet_v3_small":
        return {"width_rule": "torchvision", "head": 1024, "minimalistic": False, "tail": "efficient"}
    return {"shallow": False, "separable": True} if network == "mobilenet_v1" else {}


def test_the_front_has_no_dominated_variant() -> None:
    """A fitting variant is on the front if no other has an accuracy as high and costs as low."""
    found = search("all", max_macs=300_000_000, max_params=4_000_000)
    rows = [row for row in found.records() if row["top1"] is not None]

    def dominates(a: dict[Any, Any], b: dict[Any, Any]) -> bool:
        mine, other = (-a["top1"], a["macs"], a["params"]), (-b["top1"], b["macs"], b["params"])
        return mine != other and all(x <= y for x, y in zip(mine, other, strict=True))

    expected = {id(row) for row in rows if not any(dominates(other, row) for other in rows)}
    ties = {(row["top1"], row["macs"], row["params"]) for row in rows if id(row) in expected}
    front = found.frame("front")
    assert ties == set(zip(front["top1"], front["macs"], front["params"], strict=True))
    assert len(front) > 10
    assert max(row["top1"] for row in rows) == found.best["top1"]  # type: ignore[index]


@settings(max_examples=12)
@given(
    limits=st.fixed_dictionaries(
        {},
        optional={
            "max_macs": st.integers(10**7, 5 * 10**8),
            "max_params": st.sampled_from([2_054_476, 3_000_000]) | st.integers(10**6, 5 * 10**6),
            "max_memory_access": st.integers(2 * 10**6, 5 * 10**7),
            "max_activations": st.integers(5 * 10**5, 10**7),
            "max_peak": st.integers(5 * 10**5, 10**7),
            "max_peak_deployed": st.integers(5 * 10**5, 10**7),
            "max_ms": st.floats(3, 20),
        },
    ),
    objective=st.sampled_from([*OBJECTIVES]),
)
def test_the_best_is_on_the_front(limits: dict[str, float], objective: str) -> None:
    """With any limits and objective, no fitting variant is as good as the best at lower costs."""
    found = search("mobilenet", objective=objective, profile=PROFILE, **limits)  # type: ignore[arg-type]
    if (best := found.best) is None:
        assert found.records() == []
        return
    costs = {"macs", "params", "predicted_ms", *found.limits} - {found.ranked_by}
    sign = -1 if found.ranked_by == "predicted_ms" else 1
    assert set(limits) == set(map(limit_name, found.limits))
    for row in found.records():
        assert row[found.ranked_by] is None or sign * row[found.ranked_by] <= sign * best[found.ranked_by]
        if row[found.ranked_by] == best[found.ranked_by]:
            assert any(row[cost] > best[cost] for cost in costs) or all(
                row[cost] == best[cost] for cost in costs
            )


@pytest.mark.parametrize(
    ("family", "limits"), [("all", {"max_params": 3_000_000}), ("mobilenet", {"max_params": 2_054_476})]
)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_best_is_the_first_of_the_front(family: str, limits: dict[str, int], objective: str) -> None:
    """The front is sorted, with the best variant first."""
    profile = PROFILE if objective == "predicted_ms" else None
    found = search(family, objective=objective, profile=profile, **limits)  # type: ignore[arg-type]

    assert found.records("front")[0] == found.best
    assert found.frame("front")["front"].all()


def test_rows_are_chosen_by_name() -> None:
    """`frame` and `records` have the same rows, and an unknown name raises ChoiceError."""
    found = search("mobilenet_v2", max_macs=60_000_000)

    for which in ("variants", "considered", "front", "unpublished"):
        assert len(found.frame(which)) == len(found.records(which))
    assert len(found.frame("considered")) > len(found.frame()) > len(found.frame("front"))
    with pytest.raises(
        ChoiceError, match="unknown rows 'best': choose one of variants, considered, front, un"
    ):
        found.frame("best")


def test_every_limit_is_kept() -> None:
    """A fitting variant meets all limits, and any other exceeds at least one."""
    limits = {
        "macs": 200_000_000,
        "params": 4_000_000,
        "memory_access": 25_000_000,
        "activations": 4_000_000,
        "peak_bytes": 3_000_000,
        "peak_bytes_deployed": 2_500_000,
        "predicted_ms": 9,
    }
    given: dict[str, Any] = {limit_name(total): most for total, most in limits.items()}
    found = search("mobilenet", profile=PROFILE, **given)

    assert limits.keys() == LIMITS.keys()
    assert {True, False} == set(found.frame("considered")["fits"])
    for row in found.records("considered"):
        assert all(row[name] <= most for name, most in limits.items()) == row["fits"]


def test_blocking_limits_are_those_that_allow_more() -> None:
    """Raising a blocking limit to `needed` allows a better variant, and one below does not."""
    limits = {"macs": 150_000_000, "params": 3_000_000}
    found = search("all", max_macs=150_000_000, max_params=3_000_000)

    assert [blocking.quantity for blocking in found.blocking_limits] == ["macs", "params"]
    for blocking in found.blocking_limits:
        assert blocking.limit == limits[blocking.quantity]
        for raised, better in ((blocking.needed, True), (blocking.needed - 1, False)):
            given_limits = {
                f"max_{name}": most for name, most in {**limits, blocking.quantity: raised}.items()
            }
            best = search("all", **given_limits).best  # type: ignore[arg-type]
            assert (best["top1"] > found.best["top1"]) == better  # type: ignore[index]


def test_nothing_fits() -> None:
    """The variant with the lowest total is named for each limit."""
    found = search("mobilenet_v2", max_macs=1000, max_params=1000)

    assert found.best is None
    assert found.blocking_limits == ()
    assert {"macs", "params"} == set(found.smallest)
    assert found.frame("considered")["macs"].min() == found.smallest["macs"]["macs"]
    assert "nothing fits within 1 k multiply-accumulates and 1 k params" in text(found)
    assert "lowest params of 45 variants: " in text(found)


def text(found: Search) -> str:
    """The table of a search on one line."""
    return " ".join(repr(found).split())


def test_variants_without_accuracy_are_not_ranked() -> None:
    """The table shows the three with the most macs, and a note has their number."""
    found = search("mobilenet_v2", max_macs=60_000_000)
    unpublished = found.frame("unpublished")
    largest = unpublished.iloc[0]
    cells = [line.split() for line in repr(found).splitlines() if line.endswith("?")]

    assert not unpublished["front"].any()
    assert unpublished["macs"].max() == largest["macs"]
    assert len(cells) == 3
    assert ["mobilenet_v2", f"{largest['alpha']:g}", str(largest["resolution"])] == cells[0][:3]
    note = "9 fitting variants have no published accuracy and are not ranked"
    assert f"{note}; the 3 with the most macs are shown" in text(found)


def test_macs_rank_variants_if_no_accuracy_is_published() -> None:
    """Without any published accuracy among the fitting variants, the one with the most macs is the best."""
    found = search("mnasnet", max_macs=300_000_000)

    assert found.best is not None
    assert (found.best["top1"], found.best["alpha"]) == (None, 0.75)
    assert (found.objective, found.ranked_by) == ("top1", "macs")
    assert list(found.frame("front")["alpha"]) == [0.75, 0.5]
    assert "ranked by multiply-accumulates, because none has a published accuracy" in text(found)


def test_a_better_variant_is_named_with_its_objective() -> None:
    """The advice names the flag of the limit, and the params of the variant that more would allow."""
    found = search("all", max_params=3_000_000, objective="params")
    # 3,170,208 rounded up to four digits, and 3,170,208 - 2,946,568 = 223,640 params more than the best
    assert found.best is not None
    assert found.best["params"] == 2946568
    advice = "raising max_params to 3.171 M would allow mnasnet@alpha=0.75,resolution=224"
    assert f"{advice} (3.170 M params, +223.6 k)" in text(found)
    assert advice.replace("max_params", "--max-params") in " ".join(found.to("table", flags=True).split())


def test_several_limits_can_exclude_a_variant_together() -> None:
    """If every better variant exceeds both limits, the advice says so."""
    # alpha 0.5 at 160 px: 76,524,800 macs, 1,331,592 params; all better ones have more of both
    found = search("mobilenet_v1", max_macs=76_524_800, max_params=1_331_592, alpha=[0.5, 1], resolution=160)

    assert found.blocking_limits == ()
    assert len(found.better) == 1
    assert "raising one limit is not enough: 1 better variant exceeds several limits" in text(found)
    alone = search("mobilenet_v1", max_macs=10**9, resolution=160)
    assert "no limit excludes a better variant" in text(alone)


def test_variants_are_spelled_as_references() -> None:
    """A reference has all options of its variant, and alpha is not rounded."""
    alphas = [0.4999999, 0.1, 1e-5]
    found = search("mobilenet_v3_small", alpha=alphas, resolution=96)
    for row in found.records("considered"):
        assert count(variant_reference(row)).totals.macs == row["macs"]
        assert row["alpha"] in alphas
    assert found.best is not None
    assert f"best: {variant_reference(found.best)} (no published accuracy;" in text(found)


def test_limits_are_for_the_whole_batch() -> None:
    """A batch of eight fits eight times the macs, and has no figures of one image."""
    one = search("mobilenet_v2", max_macs=100_000_000)
    eight = search("mobilenet_v2", max_macs=800_000_000, batch=8)

    assert len(one.frame()) == len(eight.frame())
    assert {8} == set(eight.frame("considered")["batch"])
    assert "batch" not in one.frame("considered")
    assert one.best is not None
    assert eight.best is not None
    assert (8 * one.best["macs"], one.best["top1"]) == (eight.best["macs"], eight.best["top1"])
    assert eight.frame("considered")["published_macs"].isna().all()
    note = "published macs and latency hold for one image, and are left out for a batch of 8"
    assert note in text(eight)
    assert "hold for one image" not in text(one)


def test_dtype_sets_the_bytes() -> None:
    """Half as many bytes for each element, and the same counts."""
    full, half = (search("vgg16", dtype=dtype).records("considered")[0] for dtype in ("float32", "float16"))

    assert full["params_bytes"] == 2 * half["params_bytes"]
    assert full["memory_access"] == half["memory_access"]


def test_html_has_the_sources_and_notes() -> None:
    """A notebook shows the same notes as a terminal."""
    found = search("mobilenet", max_macs=60_000_000, max_params=2_500_000)

    assert "[1] arXiv:1905.02244 Table 9, latest version" in found._repr_html_()
    assert "9 fitting variants have no published accuracy" in found._repr_html_()
    assert ">[3]</td>" in found._repr_html_()


@pytest.mark.parametrize("width", [20, 80])
def test_options_stay_in_narrow_tables(width: int) -> None:
    """Options that distinguish rows are never dropped."""
    found = search("mobilenet_v3_small", max_params=3_000_000, objective="params")

    assert "head=1280" in found.to("table", width=width).split("best within")[0]


def test_every_published_variant_is_considered() -> None:
    """Without options, each published combination is a variant, at each published alpha and resolution."""
    frame = search("shufflenet").frame("considered")
    pairs = set(zip(frame["model"], frame["options"], strict=True))

    assert {("shufflenet_v1", f"groups={g}") for g in (1, 2, 4, 8)} <= pairs
    assert {("shufflenet_v2", ""), ("shufflenet_v2", "layout=paper")} <= pairs
    assert not frame.duplicated(["model", "alpha", "resolution", "macs", "params", "memory_access"]).any()
    assert families()["mobilenet"] == [
        "mobilenet_v1",
        "mobilenet_v2",
        "mobilenet_v3_large",
        "mobilenet_v3_small",
    ]


def test_figures_do_not_depend_on_other_variants() -> None:
    """A published variant has the same figures and source in a small grid and in a large one."""
    shown = ["model", "alpha", "options", "top1", "published_macs", "latency_ms", "source"]
    frame = search("mobilenet").frame("considered")
    for resolution in (224, 160):
        alone = search("mobilenet", resolution=resolution).frame("considered").dropna(subset="top1")
        among = frame[frame["resolution"] == resolution].dropna(subset="top1")

        assert len(among) > 5
        assert among[shown].merge(alone[shown], how="left", indicator=True)["_merge"].eq("both").all()


def test_given_values_replace_the_published_ones() -> None:
    """A network leaves out alphas that it does not have."""
    frame = search("all", alpha=[0.5, 0.6], resolution=[160, 192]).frame("considered")

    assert {(0.5, 160), (0.5, 192), (0.6, 160), (0.6, 192)} == set(
        product(set(frame["alpha"].dropna()), set(frame["resolution"]))
    )
    assert {0.5} == set(frame[frame["model"] == "shufflenet_v2"]["alpha"])
    assert frame[frame["model"] == "resnet50"]["alpha"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "mobilnet"}, "no family 'mobilnet': nearest are mobilenet, "),
        ({"family": "7"}, "no family '7': families are all, mobilenet"),
        ({"max_macs": 0}, "max_macs must be a whole number above 0, not 0"),
        ({"max_params": 1.5}, "max_params must be a whole number above 0, not 1.5"),
        ({"max_macs": 60.5}, "max_macs must be a whole number above 0, not 60.5: give 150e6 or '150M'"),
        ({"max_macs": float("nan")}, "max_macs must be a whole number above 0, not nan"),
        ({"max_macs": float("inf")}, "max_macs must be a whole number above 0, not inf"),
        ({"max_macs": -60e6}, "max_macs must be a whole number above 0, not -60000000.0"),
        ({"max_macs": True}, "max_macs must be a whole number above 0, not True"),
        ({"max_macs": "60.5"}, "max_macs: malformed count '60.5': give a whole number"),
        ({"max_macs": "-5"}, "max_macs: malformed count '-5'"),
        ({"max_macs": 1e101}, "max_macs must be at most 1e\\+100"),
        (
            {"max_macs": "320 KB"},
            "max_macs: malformed count '320 KB': give a whole number, such as 5000, 150M",
        ),
        ({"max_peak": 0.5}, "max_peak must be a whole number above 0, not 0.5: give 320e3 or '320 KB'"),
        ({"max_peak_deployed": "320 kb"}, "max_peak_deployed: malformed count '320 kb': .* 120 MB or 12 MiB"),
        ({"max_peak_deployed": 1e101}, "max_peak_deployed must be at most"),
        (
            {"alpha": 0.6, "family": "shufflenet_v2"},
            "no variant of shufflenet_v2 has the given values of alpha",
        ),
    ],
)
def test_invalid_searches_raise(arguments: dict[str, Any], message: str) -> None:
    """The message names the argument and the problem."""
    with pytest.raises(SearchError, match=message):
        search(**arguments)


@pytest.mark.parametrize(
    "limit", [60e6, "60M", "60e6", "60,000,000", 60_000_000, np.float64(60e6), np.int64(60e6)]
)
def test_limits_are_whole_numbers_or_texts(limit: Any) -> None:
    """A whole float, a text with a prefix or a power of ten, and an integer are the same limit."""
    assert dict(search("vgg16", max_macs=limit).limits) == {"macs": 60_000_000}
    assert type(search("vgg16", max_macs=limit).limits["macs"]) is int


def test_the_answer_names_its_command() -> None:
    """The text and the document have the reference of the best variant, which every command takes."""
    found = search("mobilenet_v3_small", max_macs="60M")
    empty = search("mobilenet_v2", max_macs=1)

    assert found.reference == found.as_dict()["reference"]
    assert found.best is not None
    assert count(str(found.reference)).totals.macs == found.best["macs"]
    assert repr(found).splitlines()[-1] == f"mbanalyze report {found.reference}"
    assert f"```sh\nmbanalyze report {found.reference}\n```" in found.to("markdown")
    assert empty.as_dict()["reference"] is None
    assert "mbanalyze report" not in repr(empty)


def test_unknown_choices_raise() -> None:
    """An option that no network has raises OptionError; an unknown objective or dtype, ChoiceError."""
    with pytest.raises(OptionError, match="mobilenet_v2 has no option 'groups': its options are alpha"):
        search("mobilenet_v2", groups=3)
    with pytest.raises(OptionError, match=r"has no option 'max_mac': did you mean max_macs\? its options"):
        search("mobilenet_v2", max_mac="60M")
    with pytest.raises(
        OptionError, match=r"has no option 'max_flops': .*; the limits are max_macs, max_params,"
    ):
        search("mobilenet_v2", max_flops="60M")
    with pytest.raises(OptionError, match=r"did you mean max_peak\?"):
        search("mobilenet_v2", max_peaks="60M")
    with pytest.raises(ChoiceError, match="unknown objective 'speed': choose one of top1, params, macs"):
        search(objective="speed")
    with pytest.raises(ChoiceError, match="unknown dtype 'int3'"):
        search("vgg16", dtype="int3")
    with pytest.raises(GridError, match="batch must be one whole number"):
        search("vgg16", batch=0)


def test_a_search_has_every_format() -> None:
    """JSON has the fitting variants and the blocking limits; CSV has a line for each fitting variant."""
    found = search("mobilenet_v1", max_macs=150_000_000, max_params=3_000_000)
    document = found.as_dict()

    assert document == json.loads(found.to("json"))
    assert document["schema"] == "mbanalyze.search/1"
    assert found.best == document["best"]
    assert len(found.frame()) == len(document["variants"])
    assert document["variants"][0]["latency_ms"] is None
    fields = set(BlockingLimit.__dataclass_fields__)
    assert [fields] * len(found.blocking_limits) == [set(blocking) for blocking in document["binding"]]
    lines = found.to("csv").splitlines()
    assert list(found.frame("considered")) == lines[0].split(",")
    assert len(lines) == 1 + len(document["variants"])
    assert "- best within 150 M multiply-accumulates and 3 M params: mobilenet" in found.to("markdown")
    assert "<table" in found._repr_html_()
    empty = search("mobilenet_v1", max_macs=1)
    assert [",".join(empty.columns())] == empty.to("csv").splitlines()


@pytest.mark.parametrize("limit", ["320KB", "320 kB", "320e3", 320_000, 320e3, "312.5 KiB"])
def test_limits_of_memory_have_units(limit: Any) -> None:
    """A limit of memory is a number of bytes, or a text with a unit of bytes; it depends on the dtype."""
    found = search("mobilenet", max_peak_deployed=limit, dtype="int8")

    assert found.limits == {"peak_bytes_deployed": 320_000}
    assert found.best is not None
    assert found.best["peak_bytes_deployed"] == count(str(found.reference), dtype="int8").peak_bytes(
        "deployed"
    )
    assert search("mobilenet", max_peak_deployed=limit).best != found.best


def test_limits_of_memory_are_explained() -> None:
    """The verdict has the limit, the peak of the best variant and a larger limit, each with its unit."""
    found = search("mobilenet_v2", max_peak_deployed="1.4 MB", dtype="int8", alpha=1)
    text = repr(found)

    # the second block expands 16 channels to 96 at 112 x 112: (16 + 96) * 112 * 112 bytes
    assert [blocking.needed for blocking in found.blocking_limits] == [1_404_928]
    assert "best within 1.4 MB deployed peak memory (int8):" in text
    # at 192 pixels: (16 + 96) * 96 * 96 bytes
    assert "1.032 MB (1,032,192) deployed peak memory" in " ".join(text.split())
    assert "raising max_peak_deployed to 1.405 MB would allow" in text
    assert "nothing fits within 1 kB ideal peak memory" in repr(search("mobilenet_v2", max_peak="1 kB"))
