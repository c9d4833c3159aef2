"""The views of an outcome and of explanations, and the formats of an outcome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mbanalyze.display.records import one_line
from mbanalyze.display.result import FORMATS, Renderer, formats, view
from mbanalyze.display.views import Cell, Column, Section, View, filled, words
from mbanalyze.guard import wording
from mbanalyze.guard.changes import Change, CountChange, Rename, most_severe
from mbanalyze.guard.explanation import Cause, Contribution, Explanation, Explanations
from mbanalyze.guard.formats.github import github
from mbanalyze.guard.formats.junit import junit
from mbanalyze.guard.formats.sarif import sarif
from mbanalyze.guard.model_result import ModelResult
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.suggestions import Suggestion
from mbanalyze.guard.wording import format_count, label, layer_label, metric_label

LAYERS_PER_MODEL = 10
"""The number of layers of each model that a view lists."""
LAYERS_PER_CAUSE = 5
"""The number of layers of each cause that a view lists by default."""
LAYER_DROP_ORDER = ("kind", "activations", "flops", "memory access bytes", "memory access")
CONTRIBUTION_DROP_ORDER = ("kind", "from")


@view.register
def outcome_view(outcome: Outcome) -> View:
    """Lay out an outcome: the verdicts, the changes of each model, and the next step."""
    sections = [section for result in outcome.models for section in change_sections(result)]
    advice = outcome.advice
    notes = filter(None, [wording.summarize(outcome), outcome.problem, f"{advice.text}:" if advice else ""])
    commands = (advice.command,) if advice else ()
    return View((_verdicts(outcome), *sections), tuple(notes), commands=commands)


def _verdicts(outcome: Outcome) -> Section:
    models = outcome.models
    columns = (
        words("model", [label(result.name) for result in models]),
        words("verdict", [Cell(result.verdict, result.verdict, _style(result)) for result in models]),
        words("details", [wording.details(result) for result in models], wrap=True),
    )
    return Section(f"Model costs against {outcome.against}", filled(columns))


def _style(result: ModelResult) -> str:
    if result.exit_code:
        return "red"
    return "green" if result.verdict in ("ok", "better") else "yellow"


def change_sections(result: ModelResult) -> Iterator[Section]:
    """Yield the changes of a model in total and by layer, as far as there are any."""
    of_model = [change for change in result.changes if isinstance(change, CountChange) and not change.layer]
    if of_model:
        yield Section(f"Total of {label(result.name)}", _total_columns(of_model))
    layers: dict[str, list[Change]] = {}
    for change in result.changes:
        if change.layer:
            layers.setdefault(change.layer.path, []).append(change)
    if layers:
        order = sorted(layers.values(), key=_importance)
        heading = f"Layers of {label(result.name)}"
        columns = _layer_columns(order[:LAYERS_PER_MODEL], order)
        yield Section(heading, columns, LAYER_DROP_ORDER, notes=_more_layers(len(order) - LAYERS_PER_MODEL))


def _importance(changes: Sequence[Change]) -> tuple[bool, int]:
    """A sort key of the changes of a layer: first those that fail, then the largest growth."""
    return not any(change.fails for change in changes), -max(abs(change.growth) for change in changes)


def _more_layers(number: int) -> tuple[str, ...]:
    return (f"{number} more layers",) if number > 0 else ()


def _total_columns(changes: Sequence[CountChange]) -> tuple[Column, ...]:
    before = [_count_cell(c.before, c.metric, c.after) if c.before is not None else "" for c in changes]
    limits = [_count_cell(c.limit, c.metric, c.after) if c.limit is not None else "" for c in changes]
    limited = any(change.limit != change.before for change in changes)
    columns = (
        words("what", [metric_label(change.metric) for change in changes]),
        Column("before", before),
        Column("after", [_count_cell(c.after, c.metric, c.before, c.limit) for c in changes]),
        Column("change", [wording.format_growth_and_percent(change) for change in changes]),
        *([Column("at most", limits)] if limited else []),
        words("verdict", [_verdict([change]) for change in changes]),
    )
    return filled(columns)


def _layer_columns(
    shown: Sequence[Sequence[Change]], order: Sequence[Sequence[Change]]
) -> tuple[Column, ...]:
    """The columns of some layers, with every metric that changed in any layer."""
    changes = [change for some in order for change in some]
    metrics = dict.fromkeys(change.metric for change in changes if isinstance(change, CountChange))
    renames = [next((c for c in some if isinstance(c, Rename)), None) for some in shown]
    kinds = [some[0].layer.kind if some[0].layer else "" for some in shown]
    columns = (
        words("layer", [layer_label(some[0]) for some in shown]),
        words("was", [label(rename.before) if rename else "" for rename in renames]),
        words("kind", kinds),
        *(Column(metric_label(metric), [_metric_cell(metric, some) for some in shown]) for metric in metrics),
        words("verdict", [_verdict(some) for some in shown]),
    )
    return filled(columns)


def _metric_cell(metric: str, changes: Sequence[Change]) -> Cell:
    """The growth of one count of a layer, and its budget if it exceeds that."""
    parts = [_growth_cell(c) for c in changes if isinstance(c, CountChange) and c.metric == metric]
    return Cell(", ".join(part.short for part in parts), ", ".join(part.exact for part in parts))


def _growth_cell(change: CountChange) -> Cell:
    before = _count_cell(change.before, change.metric)
    after = _count_cell(change.after, change.metric, change.limit)
    limit = _count_cell(change.limit, change.metric, change.after)
    if change.verdict == "over budget":
        return Cell(f"{after.short} > {limit.short}", f"{after.exact} > {limit.exact}")
    if change.before is None or change.after is None:
        return Cell(f"{before.short} -> {after.short}", f"{before.exact} -> {after.exact}")
    return Cell(wording.format_growth(change), f"{change.growth:+,}")


def _count_cell(count: float | None, metric: str, *others: float | None) -> Cell:
    return Cell(format_count(count, metric, *others), "?" if count is None else f"{count:,}")


def _verdict(changes: Sequence[Change]) -> str:
    """The most severe verdict of some changes, marked if it is only a warning."""
    severest = most_severe(changes)
    warning = severest in ("over budget", "worse") and not any(change.fails for change in changes)
    return f"{severest} (warning)" if warning else severest


@view.register
def explanations_view(explanations: Explanations, *, top: int = LAYERS_PER_CAUSE) -> View:
    """Lay out explanations: the verdicts, the layers behind each cause, and suggestions.

    Args:
        explanations: explanations to lay out.
        top: number of layers of each cause to list.
    """
    if not explanations.models:
        return View((), ("nothing fails",))
    sections = [
        _cause_section(each, cause, top)
        for each in explanations.models
        for cause in each.causes
        if cause.contributions
    ]
    notes = [note for each in explanations.models for note in _explanation_notes(each)]
    return View((_verdicts(explanations.outcome), *sections), tuple(notes))


def _cause_section(explanation: Explanation, cause: Cause, top: int) -> Section:
    parts = "growth by layer" if cause.grew else "by layer"
    return Section(
        f"{_cause_heading(explanation, cause)}; {parts}",
        _contribution_columns(cause.contributions[:top], cause.metric),
        CONTRIBUTION_DROP_ORDER,
        notes=_more_layers(len(cause.contributions) - top),
    )


def _cause_heading(explanation: Explanation, cause: Cause) -> str:
    """The model, and the total with its limit: 'small: macs 1.2 M -> 1.3 M, at most 1.2 M'."""
    metric, before, after, limit = cause.metric, cause.before, cause.after, cause.limit
    was = "" if before in (None, after) else f" {format_count(before, metric, after)} ->"
    most = "" if limit is None else f", at most {format_count(limit, metric, after)}"
    shown = format_count(after, metric, before, limit)
    return f"{label(explanation.result.name)}: {metric_label(metric)}{was} {shown}{most}"


def _contribution_columns(contributions: Sequence[Contribution], metric: str) -> tuple[Column, ...]:
    locations = [each.location for each in contributions]
    return (
        words("layer", [label(each.path) or "(model)" for each in contributions]),
        words("kind", [each.kind for each in contributions]),
        Column(metric_label(metric), [_count_cell(each.amount, metric) for each in contributions]),
        Column("share", [f"{100 * each.share:.1f} %" for each in contributions]),
        words("from", [one_line(f"{each.file}:{each.line} {each.name}") for each in locations]),
    )


def _explanation_notes(explanation: Explanation) -> Iterator[str]:
    """The causes that no layer contributes to, and the options that fit, or do not."""
    name = label(explanation.result.name)
    for cause in explanation.causes:
        if not cause.contributions:
            yield _cause_heading(explanation, cause)
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
    macs, params = (format_count(suggestion.totals[metric], metric) for metric in ("macs", "params"))
    value, current = f"{suggestion.option}={suggestion.value:g}", f"{suggestion.current:g}"
    return f"{value} fits instead of {current}: {macs} macs, {params} params"


OUTCOME_FORMATS: Mapping[str, Renderer] = {**FORMATS, "github": github, "junit": junit, "sarif": sarif}
"""The formats of an outcome, by name."""


@formats.register
def outcome_formats(_: Outcome) -> Mapping[str, Renderer]:
    """Return the formats of an outcome."""
    return OUTCOME_FORMATS
