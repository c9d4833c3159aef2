"""An explanation as tables: the totals that fail, and the layers behind them with a column for each total."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mbanalyze.display.records import one_line
from mbanalyze.display.views import Cell, Column, Section, filled, words
from mbanalyze.guard.change_tables import more_layers, total_sections
from mbanalyze.guard.explanation import Cause, Contribution, Explanation
from mbanalyze.guard.wording import count_cell, format_growth_of, format_share, label, metric_label
from mbanalyze.report.accounts import PEAKS

DROP_ORDER = ("kind", "memory access bytes", "activations", "flops", "from")


def explanation_sections(explanation: Explanation, top: int) -> Iterator[Section]:
    """Yield the totals that changed, and the layers that contribute to those that fail.

    Args:
        explanation: explanation of one model.
        top: number of layers of each table.
    """
    yield from total_sections(explanation.result)
    name = label(explanation.result.name)
    for content in ("growth by layer", "cost by layer", "in memory at the peak, by layer"):
        causes = [each for each in explanation.causes if each.contributions and _content(each) == content]
        if causes:
            yield _layer_section(f"{name}: {content}", causes, top)


def _content(cause: Cause) -> str:
    """The content of the table that lists the layers of a cause."""
    if cause.metric in PEAKS:
        return "in memory at the peak, by layer"
    return "growth by layer" if cause.grew else "cost by layer"


def _layer_section(heading: str, causes: Sequence[Cause], top: int) -> Section:
    """The layers of some causes, the largest share of any of them first."""
    parts = [{each.path: each for each in cause.contributions} for cause in causes]
    layers = {path: each for of_cause in parts for path, each in of_cause.items()}
    shares = {path: max(part[path].share for part in parts if path in part) for path in layers}
    paths = sorted(layers, key=lambda path: -shares[path])[:top]
    locations = [layers[path].location for path in paths]
    columns = (
        words("layer", [label(path) or "(model)" for path in paths]),
        words("kind", [_kinds(path, parts) for path in paths]),
        *(
            Column(metric_label(cause.metric), [_cell(part.get(path), cause) for path in paths])
            for cause, part in zip(causes, parts, strict=True)
        ),
        words("from", [one_line(f"{each.file}:{each.line} {each.name}") for each in locations]),
    )
    return Section(heading, filled(columns), DROP_ORDER, notes=more_layers(len(layers) - top))


def _kinds(path: str, parts: Sequence[Mapping[str, Contribution]]) -> str:
    """The kinds of a layer's operators; two peaks may have different tensors of the layer in memory."""
    kinds = [kind for part in parts if path in part for kind in part[path].kind.split(" + ")]
    return " + ".join(dict.fromkeys(kinds))


def _cell(contribution: Contribution | None, cause: Cause) -> Cell:
    """The growth of a layer, or its count, with its share in the total."""
    if contribution is None:
        return Cell("", "")
    amount, share = contribution.amount, format_share(100 * contribution.share)
    if cause.grew:
        return Cell(f"{format_growth_of(amount, cause.metric)}{share}", f"{amount:+,}{share}")
    cell = count_cell(amount, cause.metric)
    return Cell(f"{cell.short}{share}", f"{cell.exact}{share}")
