"""Every report that any test makes has rows that sum to its totals, in every column and grouping."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from mbanalyze.report import KEYS, Report

# no test depends on how fast the machine is, and in CI none on chance
settings.register_profile("patient", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def rows_sum_to_totals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After the test, add up each column of each report it made."""
    made: list[Report] = []
    check = Report.__post_init__

    def remember(report: Report) -> None:
        check(report)
        made.append(report)

    monkeypatch.setattr(Report, "__post_init__", remember)
    yield
    for report in made:
        totals = report.totals.as_dict(report.itemsize)
        del totals["arithmetic_intensity"]
        for by in (None, *KEYS):
            records = report.records(by)
            for column in totals.keys() & set(report.columns(by)):
                known = [record[column] for record in records if record[column] is not None]
                assert totals[column] == (sum(known) if known or not records else None), (by, column)
