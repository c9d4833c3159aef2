"""The best within a budget: checked by trying every variant."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbanalyze import count
from mbanalyze.archs.options import OptionError
from mbanalyze.display.records import rows_of
from mbanalyze.display.tables import plain
from mbanalyze.sweep.budget import Objective, SearchError, families, search
from mbanalyze.sweep.view import name, table

ALPHAS = [i / 100 for i in range(10, 150)]


@pytest.mark.parametrize("network", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"])
@settings(max_examples=4)
@given(data=st.data())
def test_the_largest_alpha_is_that_of_trying_each(network: str, data: st.DataObject) -> None:
    """Of 140 alphas, the one found is the last that a report says fits."""
    most = data.draw(st.integers(5_000_000, 600_000_000), label="max_macs")
    found = search(network, max_macs=most, objective="macs", alpha=ALPHAS, resolution=192, **_plain(network))
    fits = [
        (macs, alpha)
        for alpha in ALPHAS
        if (macs := count(network, alpha=alpha, resolution=192).totals.macs or 0) <= most
    ]

    assert len(fits) == found.frame["fits"].sum()
    if not fits:
        assert found.best is None
        return
    assert found.best is not None
    assert max(fits)[0] == found.best["macs"]
    assert (max(fits)[0], found.best["alpha"]) in fits
    if len(fits) == len(ALPHAS):
        assert found.binding == ()
    else:
        (bound,) = found.binding
        assert min(
            count(network, alpha=a, resolution=192).totals.macs or 0 for a in ALPHAS if a > max(fits)[1]
        ) == (bound.needed)


def _plain(network: str) -> dict[str, Any]:
    """Options that leave one choice of the others."""
    if network == "mobilenet_v3_small":
        return {"width_rule": "torchvision", "head": 1024, "minimalistic": False, "tail": "efficient"}
    return {"shallow": False, "separable": True} if network == "mobilenet_v1" else {}


def test_the_front_is_what_nothing_beats() -> None:
    """A variant is on the front if no other that fits has as much accuracy and costs as little."""
    found = search("all", max_macs=300_000_000, max_params=4_000_000)
    rows = [row for row in found.frame.to_dict("records") if row["fits"] and row["top1"] == row["top1"]]

    def beats(a: dict[Any, Any], b: dict[Any, Any]) -> bool:
        mine, other = (-a["top1"], a["macs"], a["params"]), (-b["top1"], b["macs"], b["params"])
        return mine != other and all(x <= y for x, y in zip(mine, other, strict=True))

    expected = {id(row) for row in rows if not any(beats(other, row) for other in rows)}
    ties = {(row["top1"], row["macs"], row["params"]) for row in rows if id(row) in expected}
    front = found.frame[found.frame["front"]]
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
        },
    ),
    objective=st.sampled_from(get_args(Objective)),
)
def test_the_best_is_on_the_front(limits: dict[str, int], objective: Objective) -> None:
    """Whatever is limited and sought: nothing that fits is as good and costs less of anything."""
    found = search("mobilenet", objective=objective, **limits)
    if (best := found.best) is None:
        assert not found.frame["fits"].any()
        return
    costs = {"macs", "params", *(name.removeprefix("max_") for name in limits)} - {found.ranked_by}
    for row in found.frame[found.frame["fits"]].to_dict("records"):
        assert not row[found.ranked_by] > best[found.ranked_by]
        if row[found.ranked_by] == best[found.ranked_by]:
            assert any(row[cost] > best[cost] for cost in costs) or all(
                row[cost] == best[cost] for cost in costs
            )


@pytest.mark.parametrize(
    ("family", "limits"), [("all", {"max_params": 3_000_000}), ("mobilenet", {"max_params": 2_054_476})]
)
@pytest.mark.parametrize("objective", get_args(Objective))
def test_the_best_is_the_first_row_of_the_table(
    family: str, limits: dict[str, int], objective: Objective
) -> None:
    """The verdict names a variant that is on the front."""
    found = search(family, objective=objective, **limits)

    assert rows_of(found.front)[0] == found.best
    assert found.front["front"].all()


def test_every_limit_is_kept() -> None:
    """What fits has no more of anything than the limits allow, and what does not has more of something."""
    limits = {"macs": 200_000_000, "params": 4_000_000, "memory_access": 25_000_000, "activations": 4_000_000}
    found = search("mobilenet", **{f"max_{name}": most for name, most in limits.items()})  # type: ignore[arg-type]

    assert {True, False} == set(found.frame["fits"])
    for row in found.frame.to_dict("records"):
        assert all(row[name] <= most for name, most in limits.items()) == row["fits"]


def test_binding_limits_are_those_that_admit_more() -> None:
    """Lifting a limit that binds to what it says admits a better variant, and one below that does not."""
    given_limits = {"macs": 150_000_000, "params": 3_000_000}
    found = search("all", max_macs=150_000_000, max_params=3_000_000)

    assert [bound.quantity for bound in found.binding] == ["macs", "params"]
    for bound in found.binding:
        for more, better in ((bound.needed, True), (bound.needed - 1, False)):
            raised = {f"max_{name}": most for name, most in {**given_limits, bound.quantity: more}.items()}
            best = search("all", **raised).best  # type: ignore[arg-type]
            assert (best["top1"] > found.best["top1"]) == better  # type: ignore[index]


def test_nothing_fits() -> None:
    """The variant that needs least of each limit is named."""
    found = search("mobilenet_v2", max_macs=1000, max_params=1000)

    assert found.best is None
    assert found.binding == ()
    assert {"macs", "params"} == set(found.smallest)
    assert found.frame["macs"].min() == found.smallest["macs"]["macs"]
    assert "nothing fits under 1 k multiply-accumulates and 1 k params" in repr(found)


def test_variants_without_accuracy_are_no_candidates_for_it() -> None:
    """They are marked, the largest in macs among them; where there are no others, macs stand in for accuracy."""
    found = search("mobilenet_v2", max_macs=60_000_000)
    cells = [line.split() for line in repr(found).splitlines() if "?" in line and "[" not in line]
    largest = found.unpublished.iloc[0]

    assert not found.unpublished["front"].any()
    assert found.unpublished["macs"].max() == largest["macs"]
    assert ["mobilenet_v2", f"{largest['alpha']:g}", str(largest["resolution"])] == cells[0][:3]
    assert "? no accuracy is published of 9 that fit" in repr(found)

    found = search("mnasnet", max_macs=300_000_000)
    assert {name: found.best[name] for name in ("top1", "alpha")} == {"top1": None, "alpha": 0.75}  # type: ignore[index]
    assert (found.objective, found.ranked_by) == ("top1", "macs")
    assert list(found.front["alpha"]) == [0.75, 0.5]
    assert "by multiply-accumulates, as no accuracy is published of what fits" in " ".join(
        repr(found).split()
    )


def test_what_a_limit_keeps_out_is_said_in_what_is_sought() -> None:
    """A variant with more params is none with more macs."""
    found = search("all", max_params=3_000_000, objective="params")

    assert (
        "3.170 M (3,170,208) would admit mnasnet@alpha=0.75,resolution=224 (3.170 M (3,170,208) params)"
        in (" ".join(repr(found).split()))
    )


def test_variants_are_named_exactly_and_as_compare_takes_them() -> None:
    """Alpha is not rounded, and the options that make the variant are all there."""
    alphas = [0.4999999, 0.1, 1e-5]
    for row in rows_of(search("mobilenet_v3_small", alpha=alphas, resolution=96).frame):
        assert count(name(row)).totals.macs == row["macs"]
        assert row["alpha"] in alphas


def test_a_notebook_is_told_as_much() -> None:
    """The sources of figures, and what has none."""
    found = search("mobilenet", max_macs=60_000_000, max_params=2_500_000)

    assert "[1] arXiv:1905.02244 Table 9, latest version" in found._repr_html_()
    assert "no accuracy is published of 9 that fit" in found._repr_html_()
    assert ">[3]</td>" in found._repr_html_()


@pytest.mark.parametrize("width", [20, 80])
def test_options_that_tell_rows_apart_stay(width: int) -> None:
    """However narrow a table is."""
    found = search("mobilenet_v3_small", max_params=3_000_000, objective="params")

    assert "head=1280" in plain(table(found, width), 200).split("best under")[0]


def test_each_published_network_is_looked_at() -> None:
    """Without options, every published choice of them is a variant, at every published alpha and resolution."""
    frame = search("shufflenet").frame
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


def test_an_accuracy_is_the_same_whatever_else_is_looked_at() -> None:
    """Each published variant alone has the figures and the source that it has among all."""
    shown = ["model", "alpha", "options", "top1", "published_macs", "latency_ms", "source"]
    frame = search("mobilenet").frame
    for resolution in (224, 160):
        alone = search("mobilenet", resolution=resolution).frame.dropna(subset="top1")
        among = frame[frame["resolution"] == resolution].dropna(subset="top1")

        assert len(among) > 5
        assert among[shown].merge(alone[shown], how="left", indicator=True)["_merge"].eq("both").all()


def test_given_values_are_the_only_ones() -> None:
    """Alphas that a network does not come in are left out."""
    frame = search("all", alpha=[0.5, 0.6], resolution=[160, 192]).frame

    assert {(0.5, 160), (0.5, 192), (0.6, 160), (0.6, 192)} == set(
        product(set(frame["alpha"].dropna()), set(frame["resolution"]))
    )
    assert {0.5} == set(frame[frame["model"] == "shufflenet_v2"]["alpha"])
    assert frame[frame["model"] == "resnet50"]["alpha"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "mobilnet"}, "no family 'mobilnet': nearest are mobilenet"),
        ({"objective": "speed"}, "unknown objective 'speed': choose one of top1, params, macs"),
        ({"max_macs": 0}, "max_macs must be a whole number above 0, not 0"),
        ({"max_params": 1.5}, "max_params must be a whole number above 0, not 1.5"),
        ({"alpha": 0.6, "family": "shufflenet_v2"}, "shufflenet_v2 has no variant with alpha=0.6"),
    ],
)
def test_bad_searches_say_what_is_wrong(arguments: dict[str, Any], message: str) -> None:
    """One clear line."""
    with pytest.raises(SearchError, match=message):
        search(**arguments)


def test_an_option_that_no_network_has() -> None:
    """Is one too many."""
    with pytest.raises(OptionError, match="no option 'groups' of mobilenet_v2: options are alpha"):
        search("mobilenet_v2", groups=3)


def test_the_document_is_whole() -> None:
    """It holds the best, the limits and every variant that fits, in words that JSON has."""
    found = search("mobilenet_v1", max_macs=150_000_000, max_params=3_000_000)
    document = found.as_dict()

    assert document["schema"] == "mbanalyze.search/1"
    assert found.best == document["best"]
    assert found.frame["fits"].sum() == len(document["variants"])
    assert document["variants"][0]["latency_ms"] is None
    assert "<table" in found._repr_html_()
