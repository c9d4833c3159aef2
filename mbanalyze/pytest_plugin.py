"""The pytest plugin: the fixture `model_cost`, and the option that updates its snapshots."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from mbanalyze.guard.counting import MeasuredModel
    from mbanalyze.guard.lock import Lock
    from mbanalyze.guard.model_result import ModelResult
    from mbanalyze.guard.policy import Rules
    from mbanalyze.report.network import Report

UPDATE_OPTION = "--model-cost-update"
REMARK = "model_cost"
"""The name of the user property of a test that says what its snapshot lacks; JUnit reports of pytest have it too."""
SNAPSHOT_FOLDER = "__model_costs__"
"""The folder of the snapshots, with one file for each test file."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    help = "write the costs of models into the snapshots of model_cost instead of comparing them"
    parser.getgroup("mbanalyze").addoption(UPDATE_OPTION, action="store_true", help=help)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to update snapshots in CI."""
    if config.getoption(UPDATE_OPTION):
        from mbanalyze.guard import in_ci

        if in_ci():
            raise pytest.UsageError(f"{UPDATE_OPTION} does not work in CI: a person reviews each snapshot")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which snapshots an earlier version wrote; the processes of pytest-xdist send theirs with their reports."""
    found = [each for some in terminalreporter.stats.values() for each in some]
    properties = [pair for each in found for pair in getattr(each, "user_properties", ())]
    for remark in dict.fromkeys(value for name, value in properties if name == REMARK):
        terminalreporter.write_line(f"{REMARK}: {remark}")


@dataclass(frozen=True, slots=True)
class ModelCost:
    """The fixture `model_cost`: a test's checks of models against limits and snapshots.

    Attributes:
        test: name of the test, with its parameters.
        snapshots: file with the accepted costs.
        update: True to write snapshots instead of comparing them.
        taken: names of the snapshots that the test has used.
        properties: user properties of the test, to which remarks on snapshots are added.
    """

    test: str
    snapshots: Path
    update: bool
    taken: set[str] = field(default_factory=set)
    properties: list[tuple[str, object]] = field(default_factory=list)

    def check(
        self,
        model: Any,
        inputs: Any,
        *,
        allow_uncounted: Iterable[str] = (),
        options: dict[str, Any] | None = None,
        profile: str | Path | None = None,
        **limits: Any,
    ) -> Report:
        """Fail the test if a total of a model exceeds its limit.

        Args:
            model: module, function that makes one, or model reference, as `mbanalyze.count` takes it.
            inputs: an input of the forward, or a list of inputs, which may be empty. An input is a text as for
                `--input`, such as `"ids=1,128:int64"`, or a value as for `mbanalyze.count`, such as `(1, 3, 64, 64)`.
            allow_uncounted: operators that are allowed to have no count.
            options: options for `mbanalyze.count`.
            profile: file with the speed of a machine, which the limit `max_predicted_ms` needs.
            limits: limit for each total, such as `max_macs="320 M"` or `max_peak_bytes="320 KB"`: a number, or a
                text with a unit.

        Returns:
            report of the model.

        Raises:
            LimitError: a limit is unknown or malformed, or there are no limits.
            ParseError: the number of a limit is malformed.
        """
        from mbanalyze.guard.changes import over_budget, unknown_budgets
        from mbanalyze.guard.wording import describe

        __tracebackhide__ = True
        rules = _rules(limits)
        measured, report = _measure("the model", model, inputs, allow_uncounted, options, rules, profile)
        assert measured.measurement is not None
        unknown = unknown_budgets(measured.model, measured.measurement)
        if unknown:
            _fail([unknown])
        exceeded = over_budget(measured.model, measured.measurement)
        if exceeded:
            _fail([f"{report.model} costs too much:", *map(describe, exceeded)])
        return report

    def snapshot(
        self,
        model: Any,
        inputs: Any,
        *,
        name: str | None = None,
        max_increase: str = "0",
        allow_uncounted: Iterable[str] = (),
        options: dict[str, Any] | None = None,
    ) -> Report:
        """Fail the test if a model or one of its layers costs more than the snapshot records.

        The first run writes the snapshot and fails, so that a person reviews it. In CI, nothing is written.

        Args:
            model: model, as for `check`.
            inputs: inputs, as for `check`.
            name: name of the snapshot; by default that of the test.
            max_increase: allowed growth of each count: "0", "1%" or "+2 M".
            allow_uncounted: operators that are allowed to have no count.
            options: options for `mbanalyze.count`.

        Returns:
            report of the model.
        """
        from mbanalyze.guard import in_ci
        from mbanalyze.guard.model_result import evaluate

        name = name or self.test
        if name in self.taken:
            _fail([f"{self.test} has two snapshots named {name!r}: give each its own name"])
        self.taken.add(name)
        rules = _rules(max_increase=max_increase)
        measured, report = _measure(name, model, inputs, allow_uncounted, options, rules)
        known = self._accepted(measured, write=self.update, write_new=not in_ci())
        if self.update:
            return report
        if name not in known.models:
            missing = f"{self.snapshots.name} has no cost of {name!r}"
            if in_ci():
                _fail(
                    [
                        f"{missing}: write it outside of CI, review it, and commit it",
                        f"pytest {UPDATE_OPTION}",
                    ]
                )
            _fail([f"{missing}: it was written: review and commit it"])
        result = evaluate(measured, known)
        if result.exit_code:
            _fail([*_describe_result(result), f"pytest {UPDATE_OPTION}"])
        if result.unrecorded:
            lacks = f"{self.snapshots.name} lacks {' and '.join(result.unrecorded)}"
            self.properties.append((REMARK, f"{lacks}: to record them, run 'pytest {UPDATE_OPTION}'"))
        return report

    def _accepted(self, measured: MeasuredModel, *, write: bool, write_new: bool) -> Lock:
        """The snapshots before this call; it writes that of a model if `write`, or if it is new and `write_new`."""
        from mbanalyze.guard import lock

        assert measured.measurement is not None
        problem, known = "", lock.Lock()
        if write or write_new:
            self.snapshots.parent.mkdir(exist_ok=True)
        with lock.exclusive(self.snapshots):
            try:
                known = lock.read(self.snapshots) or known
            except lock.LockError as error:
                problem = str(error) if not (write and error.fix == lock.UPDATE_COMMAND) else ""
            if not problem and (write or (write_new and measured.model.name not in known.models)):
                # Snapshots of another version are dropped: this version may count those models differently.
                kept = known.models if known.is_current else {}
                lock.save(self.snapshots, lock.Lock({**kept, measured.model.name: measured.measurement}))
        if problem:
            _fail([problem.replace(f"'{lock.UPDATE_COMMAND}'", f"'pytest {UPDATE_OPTION}'")])
        return known


@pytest.fixture
def model_cost(request: pytest.FixtureRequest) -> ModelCost:
    """Compare models with limits (`check`) and with accepted costs (`snapshot`)."""
    file = request.path
    snapshots = file.parent / SNAPSHOT_FOLDER / f"{file.stem}.json"
    test = request.node.nodeid.partition("::")[2]
    update = bool(request.config.getoption(UPDATE_OPTION))
    return ModelCost(test, snapshots, update, properties=request.node.user_properties)


def _rules(limits: Mapping[str, Any] | None = None, max_increase: str = "0") -> Rules:
    """The rules of a check with `limits`, or of a snapshot.

    Raises:
        LimitError, ParseError: a limit is unknown or malformed, or there are no limits.
    """
    from mbanalyze.guard.limits import BUDGET_METRICS, LimitError, parse_budget, parse_uniform_growth
    from mbanalyze.guard.policy import Rules
    from mbanalyze.inputs.parsing import ParseError

    __tracebackhide__ = True
    known = {f"max_{metric}": metric for metric in BUDGET_METRICS}
    unknown = [name for name in limits or () if name not in known]
    if unknown or limits == {}:
        problem = f"unknown limit {unknown[0]!r}" if unknown else "no limits"
        raise LimitError(f"{problem}: choose from {', '.join(known)}")
    budget = {}
    for name, given in (limits or {}).items():
        try:
            budget[known[name]] = parse_budget(known[name], given, "error")
        except ParseError as error:
            raise ParseError(f"{name}: {error}") from None
    return Rules(budget, parse_uniform_growth(max_increase, "error"))


def _measure(
    name: str,
    model: Any,
    inputs: Any,
    allowed: Iterable[str],
    options: dict[str, Any] | None,
    rules: Rules,
    profile: str | Path | None = None,
) -> tuple[MeasuredModel, Report]:
    """The measured model and its report; the test fails if the model cannot be measured."""
    from mbanalyze.guard.counting import measure_report
    from mbanalyze.guard.policy import GuardedModel
    from mbanalyze.sources.resolve import resolve

    model = os.fspath(model) if isinstance(model, os.PathLike) else model
    source = model if isinstance(model, str) else getattr(model, "__name__", type(model).__name__)
    guarded = GuardedModel(
        *(name, source, {}, (), {}, rules),
        allow_uncounted=frozenset(allowed),
        profile=None if profile is None else Path(profile),
    )
    try:
        given, keywords = _inputs(inputs)
        resolved = resolve(model, *given, **_merge(keywords, options or {}))
        report = resolved.report()
    except (ValueError, LookupError) as error:
        _fail([f"could not measure {name}: {error}"])
    measured = measure_report(guarded, resolved, report)
    if measured.measurement is None:
        _fail([f"could not measure {name}: {measured.reason}"])
    return measured, report


def _inputs(inputs: Any) -> tuple[list[Any], dict[str, dict[str, Any]]]:
    """The positional inputs of the forward pass, and `kwargs` with the named ones if there are any."""
    from mbanalyze.inputs.input_text import as_arguments, parse_input
    from mbanalyze.inputs.shape import positional
    from mbanalyze.inputs.typed import is_shape

    several = type(inputs) in (list, tuple) and not is_shape(inputs)
    given = inputs if several else [inputs]
    return as_arguments(
        parse_input(each) if isinstance(each, str) else (None, positional(each)) for each in given
    )


def _merge(keywords: dict[str, dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
    """The options of `count`, whose `kwargs` include the inputs by name; an input given twice raises ParseError."""
    from mbanalyze.inputs.parsing import unique

    named = unique([*keywords.get("kwargs", {}).items(), *(options.get("kwargs") or {}).items()])
    return {**options, "kwargs": named} if named else options


def _describe_result(result: ModelResult) -> list[str]:
    """The verdict on a model, and its changes as tables."""
    from mbanalyze.display.terminal import plain
    from mbanalyze.display.views import View
    from mbanalyze.guard.change_tables import change_sections
    from mbanalyze.guard.wording import headline, label

    return [f"{label(result.name)}  {headline(result)}", plain(View(tuple(change_sections(result))), 80)]


def _fail(lines: list[str]) -> NoReturn:
    pytest.fail("\n".join(lines), pytrace=False)
