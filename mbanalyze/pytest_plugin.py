"""The pytest plugin: the fixture `model_cost`, and the option that writes what its snapshots hold."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from mbanalyze.guard.judging import Judged
    from mbanalyze.guard.lock import Lock
    from mbanalyze.guard.measuring import Measured
    from mbanalyze.report.network import Report

UPDATE = "--model-cost-update"
FOLDER = "__model_costs__"
"""Where the snapshots of the tests in a folder are, a file for each file of tests."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    help = "write what models cost into the snapshots of model_cost, instead of comparing"
    parser.getgroup("mbanalyze").addoption(UPDATE, action="store_true", help=help)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to write snapshots that nobody has reviewed."""
    if config.getoption(UPDATE):
        from mbanalyze.guard.commands import in_ci

        if in_ci():
            raise pytest.UsageError(f"{UPDATE} is for people: a snapshot is reviewed before it is committed")


@dataclass(frozen=True, slots=True)
class ModelCost:
    """Holds models against limits and snapshots in a test; what the fixture `model_cost` gives.

    Attributes:
        test: the test's name, with its parameters.
        snapshots: the file with what models cost when that was last agreed to.
        update: whether snapshots are written.
        taken: the names of the snapshots so far.
    """

    test: str
    snapshots: Path
    update: bool
    taken: set[str] = field(default_factory=set)

    def check(
        self,
        model: Any,
        inputs: Any,
        *,
        allow_uncounted: Iterable[str] = (),
        options: dict[str, Any] | None = None,
        **limits: Any,
    ) -> Report:
        """Fail the test where a total is more than its limit.

        Args:
            model: a module, a function that makes one, or a reference, as `mbanalyze.count` takes them.
            inputs: the shape of its input, such as `(1, 3, 224, 224)` or `"1,3,224,224"`; a tensor; or a list.
            allow_uncounted: operators that may do without a count.
            options: as `mbanalyze.count` takes them.
            limits: `max_macs="320 M"`, and so for every total of a report; a number or a text with a unit.

        Returns:
            The report.

        Raises:
            OptionError: a limit that is none.
        """
        from mbanalyze.archs.options import OptionError
        from mbanalyze.guard.formats.wording import phrase
        from mbanalyze.guard.judging import budgets_exceeded, budgets_unknown
        from mbanalyze.guard.limits import TOTALS, budget

        wrong = [
            name for name in limits if name.removeprefix("max_") not in TOTALS or not name.startswith("max_")
        ]
        if wrong or not limits:
            known = ", ".join(f"max_{total}" for total in TOTALS)
            raise OptionError(
                f"{'no limit ' + repr(wrong[0]) if wrong else 'no limits'}: choose from {known}"
            )
        budgets = {name.removeprefix("max_"): most for name, most in limits.items()}
        rules = {total: budget(total, most, "error") for total, most in budgets.items()}
        measured, report = _counted("the model", model, inputs, allow_uncounted, options, rules, "0")
        unknown = budgets_unknown(measured)
        if unknown:
            _fail([unknown])
        over = budgets_exceeded(measured)
        if over:
            _fail([f"{report.model} costs too much:", *map(phrase, over)])
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
        """Fail the test where a model costs more, in total or in a layer, than when that was last agreed to.

        The first time, the cost is written and the test fails, so that it is reviewed; a CI writes nothing.

        Args:
            model, inputs, allow_uncounted, options: as for `check`.
            name: of the snapshot; by default the test's.
            max_increase: by how much a count may grow: "0", "1%" or "+2 M".

        Returns:
            The report.
        """
        from mbanalyze.guard.commands import in_ci
        from mbanalyze.guard.judging import judge

        name = name or self.test
        if name in self.taken:
            _fail([f"{self.test} has two snapshots called {name!r}: give each a name"])
        self.taken.add(name)
        measured, report = _counted(name, model, inputs, allow_uncounted, options, {}, max_increase)
        known = self._agreed(measured, write=self.update, write_new=not in_ci())
        if self.update:
            return report
        if name not in known.models:
            what = "there is none" if in_ci() else "it was written: review and commit it"
            _fail([f"{self.snapshots.name} has no cost of {name!r}: {what}", f"pytest {UPDATE}"])
        judged = judge(measured, known)
        if judged.exit:
            _fail([*_told(judged), f"pytest {UPDATE}"])
        return report

    def _agreed(self, measured: Measured, *, write: bool, write_new: bool) -> Lock:
        """The snapshots as they were; that of a model is written if asked for, or if it is new."""
        from mbanalyze.guard import lock

        assert measured.facts is not None
        problem, known = "", lock.Lock()
        if write or write_new:
            self.snapshots.parent.mkdir(exist_ok=True)
        with lock.held(self.snapshots) if self.snapshots.parent.exists() else nullcontext():
            try:
                known = lock.read(self.snapshots) or known
            except lock.LockError as error:
                problem = str(error) if not (write and error.remedy == lock.UPDATE) else ""
            if not problem and (write or (write_new and measured.model.name not in known.models)):
                # what another version counted is asked for again
                kept = known.models if known.is_ours else {}
                lock.save(self.snapshots, lock.Lock({**kept, measured.model.name: measured.facts}))
        if problem:
            _fail([problem.replace(f"'{lock.UPDATE}'", f"'pytest {UPDATE}'")])
        return known


@pytest.fixture
def model_cost(request: pytest.FixtureRequest) -> ModelCost:
    """Holds models against limits (`check`) and against what they cost before (`snapshot`)."""
    file = request.path
    snapshots = file.parent / FOLDER / f"{file.stem}.json"
    test = request.node.nodeid.partition("::")[2]
    return ModelCost(test, snapshots, bool(request.config.getoption(UPDATE)))


def _counted(
    name: str,
    model: Any,
    inputs: Any,
    allowed: Iterable[str],
    options: dict[str, Any] | None,
    budgets: dict[str, Any],
    max_increase: str,
) -> tuple[Measured, Report]:
    """A model as the guard has it, and its report; the test fails where it cannot be measured."""
    from mbanalyze.guard.facts import facts
    from mbanalyze.guard.limits import growths
    from mbanalyze.guard.measuring import Measured, uncounted_in, unused_in
    from mbanalyze.guard.policy import Model, Rules
    from mbanalyze.sources.resolve import resolve

    rules = Rules(budgets, growths(max_increase, "error"))
    source = model if isinstance(model, str) else getattr(model, "__name__", type(model).__name__)
    guarded = Model(name, source, {}, (), {}, rules)
    try:
        subject = resolve(model, *_inputs(inputs), **(options or {}))
        report = subject.report()
    except (ValueError, LookupError) as error:
        _fail([f"could not measure {name}: {error}"])
    uncounted = uncounted_in(report, frozenset(allowed))
    if uncounted:
        _fail([f"could not measure {name}: {uncounted}"])
    return Measured(guarded, facts(guarded, report, unused_in(report, subject)), subject=subject), report


def _inputs(inputs: Any) -> list[Any]:
    """What a forward takes, one by one."""
    from mbanalyze.inputs.parsing import parse_shape
    from mbanalyze.inputs.typed import is_shape

    many = (
        [inputs]
        if isinstance(inputs, str) or is_shape(inputs) or not isinstance(inputs, list | tuple)
        else inputs
    )
    return [parse_shape(each) if isinstance(each, str) else each for each in many]


def _told(judged: Judged) -> list[str]:
    """A verdict and the changes behind it."""
    from rich.console import Group

    from mbanalyze.display.tables import plain
    from mbanalyze.guard.formats.text import told

    return [plain(Group(*told(judged)), 80)]


def _fail(lines: list[str]) -> NoReturn:
    pytest.fail("\n".join(lines), pytrace=False)
