"""The view of an explanation: a summary, and the way from our macs to the total of each counter."""

from __future__ import annotations

from collections.abc import Iterator

from mbanalyze.crosscheck.explained_totals import UNEXPLAINED, CounterResult, ExplainedTotals
from mbanalyze.display.result import view
from mbanalyze.display.views import Cell, Column, Section, View, words
from mbanalyze.report.network import share_of
from mbanalyze.report.summary import doubts, origin, places, subject

WRONG = "bold red"


@view.register
def explained_view(explanation: ExplainedTotals) -> View:
    """Lay out an explanation: the counters, then for each of them the parts that lead from our macs to its total."""
    ways = (
        _way(each, each.total, explanation.macs) for each in explanation.counters if each.total is not None
    )
    return View(
        (_summary(explanation), *ways),
        tuple(_notes(explanation)),
        (origin(explanation.report),),
    )


def _summary(explanation: ExplainedTotals) -> Section:
    """A row for each counter."""
    found, macs = explanation.counters, explanation.macs
    bound = "" if explanation.report.complete else "at least "
    return Section(
        f"{subject(explanation.report)}, in eval mode: {bound}{macs:,} macs",
        (
            words("counter", [_name(each) for each in found]),
            Column("total", [_total(each) for each in found]),
            words("unit", ["" if each.total is None else each.unit for each in found]),
            Column("gap", ["" if each.total is None else _share(each.total - macs, macs) for each in found]),
            Column(UNEXPLAINED, [_rest(each.unexplained) for each in found]),
        ),
    )


def _name(found: CounterResult) -> str:
    """The counter and its version."""
    return f"{found.counter} {found.version}".rstrip()


def _total(found: CounterResult) -> str | Cell:
    """The total; if there is none, whether the counter failed or is not there."""
    if found.total is not None:
        return f"{found.total:,}"
    return Cell("failed", "failed", WRONG) if found.version else Cell("not installed", "not installed", "dim")


def _rest(amount: int | None) -> str | Cell:
    """The unexplained rest, which should be 0."""
    if not amount:
        return "" if amount is None else "0"
    return Cell(f"{amount:+,}", f"{amount:+,}", WRONG)


def _share(amount: int, macs: int) -> str:
    """An amount as a share of our macs, with its sign."""
    share = share_of(amount, macs)
    if share is None or not amount:
        return "" if amount else "0 %"
    text = f"{100 * share:+,.2f} %"
    return "< 0.01 %" if text[1:] == "0.00 %" else text


def _way(found: CounterResult, total: int, macs: int) -> Section:
    """The parts that lead from our macs to the total of a counter."""
    amounts = [amount for _, amount in found.differences]
    return Section(
        f"{_name(found)}: {total:,} {found.unit}",
        (
            words(
                "",
                ["mbanalyze", *(what for what, _ in found.differences), UNEXPLAINED, found.counter],
                wrap=True,
            ),
            Column(
                "amount", [f"{macs:,}", *(f"{n:+,}" for n in amounts), _rest(found.unexplained), f"{total:,}"]
            ),
            Column(
                "share",
                [
                    "",
                    *(_share(n, macs) for n in (*amounts, found.unexplained or 0)),
                    _share(total - macs, macs),
                ],
            ),
        ),
        total=True,
    )


def _notes(explanation: ExplainedTotals) -> Iterator[str]:
    """Yield the reasons of failures, versions without rules, and what our count lacks."""
    for each in explanation.counters:
        if each.error:
            yield f"{each.counter}: {each.error}"
        rules = each.convention
        if each.total is not None and rules and rules.version != each.version.partition("+")[0]:
            yield f"{each.counter}: the rules are those of version {rules.version}, not of {each.version}"
        if each.unexplained and rules and rules.note:
            yield f"{each.counter}: {rules.note}"
    for operator, where in places(explanation.report.uncounted).items():
        yield f"without a formula, and counted as 0 here: {operator} {where}"
    yield from doubts(explanation.report)
    yield "A gap is the total less our macs. Gaps and shares are relative to our macs."
