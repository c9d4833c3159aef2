"""Networks in closed form: their counts, their options, and how both scale."""

from __future__ import annotations

from collections import Counter
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from witness import table, variants

from mbanalyze import count
from mbanalyze.archs import ARCHS, MobileNetV1, MobileNetV2
from mbanalyze.archs.options import OptionError
from mbanalyze.ops.cost import Cost
from mbanalyze.report.network import Report


def counts(report: Report) -> tuple[int, int]:
    """The macs and params of a report."""
    assert report.totals.macs is not None
    return report.totals.macs, report.totals.params


@pytest.mark.parametrize(
    ("options", "macs", "params"),
    [
        ({}, 568_740_352, 4_231_976),
        ({"alpha": 0.75}, 325_400_448, 2_585_560),
        ({"alpha": 0.5}, 149_497_088, 1_331_592),
        ({"alpha": 0.25}, 41_030_272, 470_072),
        ({"shallow": True}, 307_323_392, 2_887_976),
    ],
)
def test_mobilenet_v1(options: dict[str, float], macs: int, params: int) -> None:
    """MobileNetV1 has the exact counts that the paper's tables round."""
    assert counts(count("mobilenet_v1", **options)) == (macs, params)


def test_mobilenet_v1_of_full_convolutions() -> None:
    """The paper's Table 4 prints 4866 million macs without the classifier, and 29.3 million weights."""
    report = count("mobilenet_v1", separable=False)
    products = report.only("conv", "linear")
    weights = products.totals.params - 1000  # the classifier's bias

    assert report.totals.macs == 4_867_293_184
    assert report.only("conv").totals.macs == 4_866_269_184
    assert weights == 29_281_120


def test_mobilenet_v2() -> None:
    """MobileNetV2 has these counts in every column."""
    ours = count("mobilenet_v2").totals

    assert ours == Cost(
        params=3_504_872,
        macs=300_774_272,
        flops=621_290_664,
        activations=6_679_112,
        reads=23_585_576,
        writes=19_680_680,
    )


def test_mobilenet_v2_wide() -> None:
    """Above alpha 1 the head has more than 1280 channels."""
    assert counts(count("mobilenet_v2", alpha=1.4)) == (582_195_824, 6_108_776)


def residuals(alpha: float) -> int:
    """The number of blocks of MobileNetV2 that add their input."""
    return Counter(op.kind for op in MobileNetV2(alpha=alpha).ops())["add"]


def test_mobilenet_v2_has_an_eleventh_residual_at_a_quarter() -> None:
    """At alpha 0.25 the stem and the first block both have 8 channels, so the first block adds its input."""
    adds = [op.path for op in MobileNetV2(alpha=0.25).ops() if op.kind == "add"]

    assert residuals(1.0) == 10
    assert residuals(0.25) == 11
    assert adds[0] == "features.1"


def test_shares_by_layer_type() -> None:
    """MobileNetV1's Table 2 is exact except for one misprint: 1.19 for 1.91, with which the column sums to 100."""
    report = count("mobilenet_v1")
    rows = {
        "Conv 1x1": [row for row in report.rows if row.op.variant == "pointwise"],
        "Conv DW 3x3": [row for row in report.rows if row.op.variant == "depthwise"],
        "Conv 3x3": [row for row in report.rows if row.op.variant == "standard"],
        "Fully Connected": [row for row in report.rows if row.op.kind == "linear"],
    }
    macs = {name: sum(row.cost.macs or 0 for row in group) for name, group in rows.items()}
    # the paper's share of parameters is of weights, without batch norm and biases
    weights = {name: sum(row.op.weights[0].size for row in group) for name, group in rows.items()}
    corrections = {"Conv 3x3": ("1.19", "1.91")}
    published = [row for row in table("mobilenet_v1_layer_types.csv") if row["table"] == "2"]

    assert {row["row"] for row in published} == set(rows)
    assert sum(macs.values()) == 568_740_352
    for row in published:
        name = row["row"]
        share = 100 * macs[name] / sum(macs.values())
        assert (int(row["computed_mult_adds"]), int(row["computed_params"])) == (macs[name], weights[name])
        printed, correct = corrections.get(name, (row["mult_adds_percent"],) * 2)
        assert row["mult_adds_percent"] == printed
        assert f"{share:.2f}" == correct
        assert f"{100 * weights[name] / sum(weights.values()):.2f}" == row["params_percent"]
    printed_sum = sum(float(row["mult_adds_percent"]) for row in published)
    assert f"{printed_sum:.2f}" == "99.29"
    assert f"{printed_sum - 1.19 + 1.91:.2f}" == "100.01"


@pytest.mark.parametrize("name", ARCHS)
def test_a_batch_multiplies_the_counts(name: str) -> None:
    """A batch of three triples every count except params and the weights and buffers read."""
    for options in variants(name):
        one, three = (count(name, **options, batch=n).totals for n in (1, 3))

        assert one.params == three.params
        assert (3 * (one.macs or 0), 3 * (one.flops or 0)) == (three.macs, three.flops)
        assert (3 * (one.activations or 0), 3 * one.writes) == (three.activations, three.writes)
        assert one.reads < three.reads < 3 * one.reads


@pytest.mark.parametrize(
    "name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "mnasnet"]
)
@settings(max_examples=50)
@given(alpha=st.floats(0.01, 4), wider=st.floats(0.01, 1), resolution=st.integers(1, 300))
def test_wider_costs_more(name: str, alpha: float, wider: float, resolution: int) -> None:
    """A wider network never has fewer macs or params."""
    narrow, wide = (counts(count(name, alpha=a, resolution=resolution)) for a in (alpha, alpha + wider))

    assert 0 < narrow[0] <= wide[0]
    assert narrow[1] <= wide[1]


def test_strides_round_up() -> None:
    """Five strides of 2 reduce 224 px to 7, and 231 px to 8."""
    assert count("mobilenet_v1").rows[-3].op.output[0].shape == (1, 1024, 7, 7)
    assert count("mobilenet_v1", resolution=231).rows[-3].op.output[0].shape == (1, 1024, 8, 8)


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("mobilenet_v1", {"alpha": 0}, "alpha must be a number above 0"),
        ("mobilenet_v1", {"alpha": -1.0}, "not -1.0"),
        ("mobilenet_v2", {"alpha": float("nan")}, "not nan"),
        ("mobilenet_v2", {"alpha": float("inf")}, "not inf"),
        ("mobilenet_v2", {"alpha": "wide"}, "not 'wide'"),
        ("mobilenet_v2", {"alpha": True}, "not True"),
        ("mobilenet_v2", {"alpha": 1e300}, "at most 1000000000"),
        ("mobilenet_v2", {"resolution": 0}, "resolution must be a whole number from 1"),
        ("mobilenet_v2", {"resolution": 224.0}, "not 224.0"),
        ("mobilenet_v2", {"resolution": 10**400}, "resolution must be"),
        ("mobilenet_v2", {"num_classes": True}, "num_classes must be"),
        ("mobilenet_v2", {"round_nearest": 0}, "round_nearest must be"),
        ("mobilenet_v1", {"shallow": 1}, "shallow must be true or false"),
        ("mobilenet_v1", {"shalow": True}, "did you mean shallow"),
        ("shufflenet_v2", {"alpha": 0.75}, "alpha must be one of 0.5, 1.0, 1.5, 2.0, not 0.75"),
        ("shufflenet_v1", {"groups": 5}, "groups must be one of 1, 2, 3, 4, 8, not 5"),
        ("mobilenet_v3_large", {"tail": "short"}, "tail must be one of efficient, original, not 'short'"),
        ("googlenet", {"branch": 5}, "branch must be one of 3x3, 5x5, not 5"),
        ("resnet18", {"stride_on": "1x1"}, "resnet18 has no option 'stride_on'"),
        (
            "mobilenet_v2",
            {"depth": 3},
            "its options are alpha, resolution, in_channels, num_classes, round_nearest",
        ),
    ],
)
def test_invalid_options(name: str, options: dict[str, object], problem: str) -> None:
    """An unknown option, or a value of the wrong type or out of range, raises OptionError with the valid ones."""
    with pytest.raises(OptionError, match=problem):
        count(name, **options)


def test_an_architecture_is_a_frozen_value() -> None:
    """Architectures with equal options are equal, and their options cannot be assigned."""
    assert MobileNetV1(alpha=0.5) == MobileNetV1(alpha=0.5) != MobileNetV1()
    assert count(MobileNetV1(alpha=0.5)).totals == count("mobilenet_v1", alpha=0.5).totals
    assert count(MobileNetV1(alpha=0.5), resolution=96).options["resolution"] == 96
    with pytest.raises(FrozenInstanceError):
        MobileNetV1().alpha = 2.0  # type: ignore[misc]
