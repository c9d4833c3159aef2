"""Fixtures of all tests: a check of every report, and the command line in this process."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commandline import Ran, Run
from guarded import write_project
from hypothesis import settings
from outcomes import NET, OUTCOMES, Project

from mbanalyze import cli, guard
from mbanalyze.guard import Outcome
from mbanalyze.report.network import Report
from mbanalyze.report.rows import KEYS
from mbanalyze.sources import processes

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
"""The names that a Chromium may have on PATH."""

# no deadlines, and no randomness in CI
settings.register_profile("mbanalyze", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("mbanalyze")


# the network of the guard's tests needs it, and each process would import it again
processes.SERVER = f"import torch.fx.experimental.symbolic_shapes\n{processes.SERVER}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that need POSIX on Windows."""
    if sys.platform == "win32" and item.get_closest_marker("posix"):
        pytest.skip("Windows is no POSIX")


def pytest_collection_finish() -> None:
    """Leave everything that is imported out of garbage collections, which would visit a million objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def rows_sum_to_totals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check after each test that the rows of every report sum to its totals, in every column and grouping."""
    reports: list[Report] = []
    validate = Report.__post_init__

    def remember(report: Report) -> None:
        validate(report)
        reports.append(report)

    monkeypatch.setattr(Report, "__post_init__", remember)
    yield
    for report in reports:
        totals = report.totals.as_dict(report.itemsize)
        del totals["arithmetic_intensity"]
        for by in (None, *(key for key in KEYS if key != "op")):  # a group of each row sums nothing
            rows = report if by is None else report.by(by)
            records = rows.records()
            for column in totals.keys() & set(rows.columns()):
                known = [record[column] for record in records if record[column] is not None]
                assert totals[column] == (sum(known) if known or not records else None), (by, column)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a Chromium on PATH; without one, skip the test, or fail in CI."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None and "CI" not in os.environ:
        pytest.skip(f"none of {', '.join(CHROMIUM)} on PATH")
    assert found, f"none of {', '.join(CHROMIUM)} on PATH"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found)
        yield browser
        browser.close()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command line in this process."""

    def run_(*args: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["mbanalyze", *args])
        monkeypatch.setenv("COLUMNS", "80")
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        with pytest.raises(SystemExit) as left:
            cli.main()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        captured = capsys.readouterr()
        return Ran(int(left.value.code or 0), captured.out, captured.err)

    return run_


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a guarded network and a current lock, as the working directory."""
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    guard.update(guard.load(tmp_path / "pyproject.toml"))
    return tmp_path


@pytest.fixture(scope="session")
def outcomes_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A folder with the network of `outcomes.py`, in a file with a blank in its name."""
    folder = tmp_path_factory.mktemp("outcomes")
    (folder / "my net.py").write_text(NET, encoding="utf-8")
    return Project(folder)


@pytest.fixture(scope="session")
def outcomes(outcomes_project: Project) -> dict[str, Outcome]:
    """An outcome of each kind, by name."""
    return {name: make(outcomes_project) for name, make in OUTCOMES.items()}
