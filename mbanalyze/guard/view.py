"""The views of an outcome and of explanations, and the formats of an outcome."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from mbanalyze.comparison.parts import PREDICTED_MS
from mbanalyze.display.records import one_line
from mbanalyze.display.result import FORMATS, Renderer, formats, view
from mbanalyze.display.views import Cell, Column, Section, View, words
from mbanalyze.guard import wording
from mbanalyze.guard.change_tables import LAYERS_PER_MODEL, change_sections
from mbanalyze.guard.command_paths import argument
from mbanalyze.guard.explanation import Explanation, Explanations
from mbanalyze.guard.explanation_tables import explanation_sections
from mbanalyze.guard.formats.github import github
from mbanalyze.guard.formats.junit import junit
from mbanalyze.guard.formats.sarif import sarif
from mbanalyze.guard.initialization import BUDGETED, NewPolicy
from mbanalyze.guard.outcome import Outcome, config_arguments
from mbanalyze.guard.suggestions import Suggestion
from mbanalyze.guard.total_tables import model_sections
from mbanalyze.guard.wording import format_count, label, metric_label


@view.register
def outcome_view(outcome: Outcome) -> View:
    """Lay out an outcome: the verdicts, the changes of each model, and the next step."""
    changes = (change_sections(result, accepted=outcome.written) for result in outcome.models)
    advice = outcome.advice
    notes = [
        wording.summarize(outcome),
        outcome.problem,
        outcome.remark,
        outcome.incomplete,
        _over_budget(outcome),
    ]
    commands = (advice.command,) if advice else ()
    return View(
        (*model_sections(outcome), *(section for sections in changes for section in sections)),
        tuple(filter(None, [*notes, f"{advice.text}:" if advice else ""])),
        commands=commands,
    )


def _over_budget(outcome: Outcome) -> str:
    """A note on the budgets that models exceed although the lock was written."""
    names = [
        label(result.name)
        for result in outcome.models
        if any(c.verdict == "over budget" and c.fails for c in result.changes)
    ]
    if not outcome.written or not names:
        return ""
    return f"the lock changes no budget: 'mbanalyze guard' still fails for {', '.join(names)}"


@view.register
def explanations_view(explanations: Explanations, *, top: int = LAYERS_PER_MODEL) -> View:
    """Lay out explanations: the verdicts, the layers behind each failing total, and suggestions.

    Args:
        explanations: explanations to lay out.
        top: number of layers of each table.
    """
    if not explanations.models:
        return View((), ("nothing fails",))
    sections = [section for each in explanations.models for section in explanation_sections(each, top)]
    notes = [note for each in explanations.models for note in _explanation_notes(each)]
    return View((*model_sections(explanations.outcome), *sections), tuple(notes))


def _explanation_notes(explanation: Explanation) -> Iterator[str]:
    """The causes that no layer contributes to, and the options that fit, or do not."""
    name = label(explanation.result.name)
    for cause in explanation.causes:
        if not cause.contributions:
            yield f"{name}: no layer explains {metric_label(cause.metric)}"
    for suggestion in explanation.suggestions:
        yield f"{name}: {_suggestion(suggestion)}"
    fitting = {suggestion.option for suggestion in explanation.suggestions}
    for option in explanation.tried:
        if option not in fitting:
            yield f"{name}: no smaller {option} alone fits"
    if explanation.problem:
        yield f"{name}: no option could be tried: {one_line(explanation.problem)}"
    elif explanation.causes and not explanation.tried:
        yield f"{name}: no width or resolution option is known, so none was tried"


def _suggestion(suggestion: Suggestion) -> str:
    totals = suggestion.totals
    macs, params, peak = (format_count(totals[metric], metric) for metric in ("macs", "params", "peak_bytes"))
    time = totals.get(PREDICTED_MS)
    milliseconds = "" if time is None else f", {format_count(time, PREDICTED_MS)} predicted ms"
    value, current = f"{suggestion.option}={suggestion.value:g}", f"{suggestion.current:g}"
    counts = f"{macs} macs, {params} params, {peak} peak memory"
    return f"{value} fits instead of {current}: {counts}{milliseconds}"


@view.register
def new_policy_view(new: NewPolicy) -> View:
    """Lay out a policy for new models: their totals and budgets, the lines of the policy, and the next steps."""
    name, lock = new.policy.path.name, new.policy.lock
    text = words("", new.text.splitlines())
    sections = (_budget_section(new), Section(f"{'Written to' if new.written else 'For'} {name}", (text,)))
    if not new.written:
        note = (
            f"{name} is unchanged, because it has the table of the models on one line: add the lines by hand"
        )
        return View(sections, (note,))
    arguments = config_arguments(new.policy)
    commands = (
        shlex.join(["mbanalyze", "guard", "update", *arguments]),
        shlex.join(["git", "add", argument(new.policy.path), argument(lock)]),
        shlex.join(["mbanalyze", "guard", *arguments]),
    )
    return View(
        sections, ("next, record the costs, commit both files, and run the guard in CI:",), commands=commands
    )


def _budget_section(new: NewPolicy) -> Section:
    """The measured totals of new models, and their budgets."""
    rows = list(zip(new.models, new.measured, strict=True))
    columns = (
        words("model", [label(model.name) for model, _ in rows]),
        *(
            Column(
                metric_label(m),
                [_limited_cell(cost.totals[m], model.budget.get(m), m) for model, cost in rows],
            )
            for m in BUDGETED
        ),
    )
    return Section("Measured totals and their budgets", columns, fixed=1)


def _limited_cell(total: int | None, limit: int | None, metric: str) -> Cell:
    """A total with its budget: '1.425 M of 1.497 M'."""
    cells = [wording.count_cell(each, metric) for each in (total, limit)]
    return Cell(" of ".join(cell.short for cell in cells), " of ".join(cell.exact for cell in cells))


OUTCOME_FORMATS: Mapping[str, Renderer] = {**FORMATS, "github": github, "junit": junit, "sarif": sarif}
"""The formats of an outcome, by name."""


@formats.register
def outcome_formats(_: Outcome) -> Mapping[str, Renderer]:
    """Return the formats of an outcome."""
    return OUTCOME_FORMATS
