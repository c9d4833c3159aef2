"""Rows as plain columns: what they show is what pandas shows of their frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mbanalyze.display.records import rows_of
from mbanalyze.sweep.ablation import ablate
from mbanalyze.sweep.best_variants import Search, search
from mbanalyze.sweep.plain_columns import Columns, Rows, sorted_rows

OWN = pd.DataFrame({"alpha": [1, 0.5, 0.3], "top1": [72.4, 65.1, 40], "f1": [0.7, None, 0.2]})
ABLATIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mobilenet_v2", {"alpha": [1, 0.5, 0.33], "rho": [1, 0.5]}),
    ("mobilenet_v2", {"alpha": [0.33]}),
    ("mobilenet_v1", {"shallow": [True, False], "resolution": [(160, 224), 224], "batch": 8, "bits": 3}),
    ("shufflenet_v1", {"groups": [1, 3, 5], "alpha": [0.1, 1], "skip_invalid": True}),
    ("mobilenet_v2", {"alpha": [1, 0.5, 0.9], "accuracy": OWN, "published": True}),
    ("mobilenet_v2", {"resolution": [224, 10**8]}),  # counts beyond 64 bits
    ("*net_v1", {"groups": [2, 3]}),
)
SEARCHES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("all", {"max_macs": "150M", "max_params": "3M"}),
    ("shufflenet", {"objective": "macs", "max_params": "2.5M"}),
    ("mobilenet_v2", {"accuracy": OWN, "objective": "f1", "max_macs": "100M"}),
    ("mobilenet", {"resolution": ["160x224", 224], "max_macs": 10**20}),
    ("vgg16", {"resolution": [10**8, 224], "max_macs": 10**20, "objective": "macs"}),
    ("mobilenet", {"max_macs": 1}),
)


@pytest.mark.parametrize(("name", "options"), ABLATIONS)
def test_the_csv_and_the_records_of_a_grid_are_those_of_its_frame(name: str, options: dict[str, Any]) -> None:
    """The CSV of a grid is what pandas writes of its frame, and its records are the frame's rows."""
    ablation = ablate(name, **options)
    frame = ablation.frame()

    assert frame.to_csv(index=False, lineterminator="\n") == ablation.to("csv")
    assert rows_of(frame) == ablation.records()
    assert len(frame) == len(ablation) == len(ablation.records())


@pytest.mark.parametrize(("family", "options"), SEARCHES)
def test_the_rows_of_a_search_are_those_of_its_frame(family: str, options: dict[str, Any]) -> None:
    """Each selection of rows is what pandas selects and sorts of the frame of all rows."""
    found = search(family, **options)
    frame = found.considered
    fitting = frame[frame["fits"]]
    unranked = fitting[fitting[found.ranked_by].isna()]
    front = [found.ranked_by, *found.costs]
    expected = {
        "considered": frame,
        "variants": fitting,
        "front": frame[frame["front"]].sort_values(
            front, ascending=[name != found.ranked_by for name in front], kind="stable"
        ),
        "unpublished": unranked.sort_values(["macs", "params"], ascending=[False, True], kind="stable"),
    }
    for which, rows in expected.items():
        pd.testing.assert_frame_equal(rows, found.frame(which))
        assert rows_of(rows) == found.records(which)
        assert len(rows) == found.size(which)
    assert len(found.better) == found.is_better.sum()
    assert_smallest(found)


def assert_smallest(found: Search) -> None:
    """The row with the lowest limited total is the first one of the sorted frame."""
    frame = found.considered
    for total, row in found.smallest.items():
        lowest = frame.sort_values([total, "macs"], kind="stable").head(1)
        assert rows_of(lowest) == [row]


PARTS: tuple[Columns, ...] = (
    {"size": np.array([224, 224, 96]), "alpha": np.array([1.0, 1.0, np.nan]), "macs": np.array([1, 1, 2])},
    {
        "size": np.array(["96x128", 96, 224], object),
        "alpha": np.array([np.nan, np.nan, 0.5]),
        "macs": np.array([2, 2, 2**70], object),
    },
)


def test_repetitions_are_left_out() -> None:
    """The first of equal rows stays; unknown equals unknown, and a column may have texts and integers of any size."""
    rows = Rows.distinct(PARTS, ["size", "alpha", "macs"])
    whole = pd.concat([pd.DataFrame(part) for part in PARTS], ignore_index=True)
    pd.testing.assert_frame_equal(whole.drop_duplicates(ignore_index=True), rows.frame)

    # the second row repeats the first, and the fifth the third
    kept, sizes = [0, 2, 3, 5], [224, 96, "96x128", 224]
    assert kept == rows.kept.tolist()
    assert sizes == rows.columns["size"].tolist()
    assert list(rows.with_columns(fits=np.array([True] * 4)).frame) == ["size", "alpha", "macs", "fits"]


def test_equal_rows_keep_their_order() -> None:
    """The first column counts most, each in its direction, and ties keep their order."""
    columns = {"top1": np.array([1.5, 2.5, 2.5, 2.5]), "macs": np.array([1, 2**70, 7, 7], object)}

    by_both, by_one = [2, 3, 1, 0], [1, 2, 3, 0]
    assert by_both == sorted_rows(columns, {"top1": False, "macs": True}).tolist()
    assert by_one == sorted_rows(columns, {"macs": False}).tolist()
