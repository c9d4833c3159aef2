"""The changes of a model as tables: its totals, and its layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mbanalyze.display.views import Cell, Column, Section, filled, words
from mbanalyze.guard import wording
from mbanalyze.guard.changes import Change, CountChange, Rename, most_severe
from mbanalyze.guard.model_result import ModelResult
from mbanalyze.guard.wording import count_cell, label, layer_label, metric_label

LAYERS_PER_MODEL = 10
"""The number of layers of each model that a view lists."""
LAYER_DROP_ORDER = ("kind", "activations", "flops", "memory access bytes", "memory access")


def change_sections(result: ModelResult, *, accepted: bool = False) -> Iterator[Section]:
    """Yield the changes of a model in total and by layer, as far as there are any.

    Args:
        result: result of the model.
        accepted: True if an update has accepted the changes.
    """
    yield from total_sections(result, accepted=accepted)
    layers: dict[str, list[Change]] = {}
    for change in result.changes:
        if change.layer:
            layers.setdefault(change.layer.path, []).append(change)
    if layers:
        order = sorted(layers.values(), key=_importance)
        heading = f"Layers of {label(result.name)}"
        columns = _layer_columns(order[:LAYERS_PER_MODEL], order, accepted=accepted)
        yield Section(heading, columns, LAYER_DROP_ORDER, notes=more_layers(len(order) - LAYERS_PER_MODEL))


def total_sections(result: ModelResult, *, accepted: bool = False) -> Iterator[Section]:
    """Yield the changes of the totals of a model, if there are any."""
    of_model = [change for change in result.changes if isinstance(change, CountChange) and not change.layer]
    if of_model:
        columns = _total_columns(of_model, accepted=accepted)
        yield Section(f"Total of {label(result.name)}", columns, notes=tuple(_places(of_model)))


def _places(changes: Sequence[CountChange]) -> Iterator[str]:
    """The places of the peaks among some changes; a comparison, which also has the former place, comes last."""
    for metric, change in {change.metric: change for change in changes}.items():
        if wording.place(change):
            yield f"{metric_label(metric)} at {wording.place(change)}"


def more_layers(number: int) -> tuple[str, ...]:
    """Return a note on the layers that a table leaves out."""
    return (f"{number} more layers",) if number > 0 else ()


def _importance(changes: Sequence[Change]) -> tuple[bool, int]:
    """A sort key of the changes of a layer: first those that fail, then the largest growth."""
    return not any(change.fails for change in changes), -max(abs(change.growth) for change in changes)


def _total_columns(changes: Sequence[CountChange], *, accepted: bool) -> tuple[Column, ...]:
    before = [count_cell(c.before, c.metric, c.after) if c.before is not None else "" for c in changes]
    limiting = [c.limit is not None and (c.verdict == "over budget" or not accepted) for c in changes]
    limits = [
        count_cell(c.limit, c.metric, c.after) if on else "" for c, on in zip(changes, limiting, strict=True)
    ]
    limited = any(on and c.limit != c.before for c, on in zip(changes, limiting, strict=True))
    columns = (
        words("what", [metric_label(change.metric) for change in changes]),
        Column("before", before),
        Column("after", [count_cell(c.after, c.metric, c.before, c.limit) for c in changes]),
        Column("change", [wording.format_growth_and_percent(change) for change in changes]),
        *([Column("at most", limits)] if limited else []),
        words("verdict", [_verdict([change], accepted=accepted) for change in changes]),
    )
    return filled(columns)


def _layer_columns(
    shown: Sequence[Sequence[Change]], order: Sequence[Sequence[Change]], *, accepted: bool
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
        words("verdict", [_verdict(some, accepted=accepted) for some in shown]),
    )
    return filled(columns)


def _metric_cell(metric: str, changes: Sequence[Change]) -> Cell:
    """The growth of one count of a layer, and its budget if it exceeds that."""
    parts = [_growth_cell(c) for c in changes if isinstance(c, CountChange) and c.metric == metric]
    return Cell(", ".join(part.short for part in parts), ", ".join(part.exact for part in parts))


def _growth_cell(change: CountChange) -> Cell:
    before = count_cell(change.before, change.metric)
    after = count_cell(change.after, change.metric, change.limit)
    limit = count_cell(change.limit, change.metric, change.after)
    if change.verdict == "over budget":
        return Cell(f"{after.short} > {limit.short}", f"{after.exact} > {limit.exact}")
    if change.before is None or change.after is None:
        return Cell(f"{before.short} -> {after.short}", f"{before.exact} -> {after.exact}")
    return Cell(wording.format_growth(change), f"{change.growth:+,}")


def _verdict(changes: Sequence[Change], *, accepted: bool) -> str:
    """The most severe verdict of some changes, marked if it is only a warning."""
    severest = most_severe(changes)
    if accepted and severest in ("ok", "better", "worse"):
        return wording.ACCEPTED
    warning = severest in ("over budget", "worse") and not any(change.fails for change in changes)
    return f"{severest} (warning)" if warning else severest
