"""The best within a budget: checked by trying every variant."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbanalyze import count
from mbanalyze.archs.options import OptionError
from mbanalyze.budget import SearchError, families, search

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
    """They are marked; where there are no others, the largest in macs is named, and that it is a stand-in."""
    found = search("mnasnet", max_macs=150_000_000)

    assert {name: found.best[name] for name in ("top1", "alpha")} == {"top1": None, "alpha": 0.5}  # type: ignore[index]
    assert not found.frame["front"].any()
    assert "no accuracy is published" in repr(found)


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
