"""Every report that any test makes has rows that sum to its totals, in every column and grouping."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from commandline import Ran, Run
from hypothesis import settings

from mbanalyze import cli
from mbanalyze.report.network import Report
from mbanalyze.report.rows import KEYS

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


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process."""

    def run_(*args: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["mbanalyze", *args])
        monkeypatch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as left:
            cli.main()
        captured = capsys.readouterr()
        return Ran(int(left.value.code or 0), captured.out, captured.err)

    return run_
