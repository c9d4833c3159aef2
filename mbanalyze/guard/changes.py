"""The changes of a model against its accepted measurement, and its counts above their budgets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias, get_args

from mbanalyze.comparison.alignment import aligned
from mbanalyze.comparison.parts import PREDICTED_MS
from mbanalyze.guard.limits import EAGER_PEAK, GROWTH_METRICS, LOCKED_METRICS, Budget, Level
from mbanalyze.guard.measurement import Counts, LayerCost, Measurement
from mbanalyze.guard.memory_peaks import Peak
from mbanalyze.guard.policy import GuardedModel, Rules
from mbanalyze.ops.cost import ITEM_SIZES, Count

ChangeVerdict = Literal["ok", "renamed", "better", "worse", "over budget"]
CHANGE_VERDICTS: tuple[ChangeVerdict, ...] = get_args(ChangeVerdict)
"""Verdicts on a change, from the least to the most severe."""


@dataclass(frozen=True, slots=True)
class LayerId:
    """A layer with its path in the measured model, or in the accepted one if it was removed.

    Attributes:
        path: path of the module, "" for the root.
        kind: kinds of its operators.
    """

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class CountChange:
    """A count that changed, or that is above its budget.

    Attributes:
        metric: metric of the count.
        before: accepted count; None if it is unknown or was not compared.
        after: measured count; None is unknown.
        verdict: verdict; `ok` is a tolerated growth.
        level: level of the rule that applies.
        limit: largest allowed value of `after`; None if no rule limits it.
        layer: layer that the count belongs to; None for the whole model.
        peak_before: accepted peak, if the count is its bytes and it is known.
        peak_after: measured peak, if the count is its bytes.
    """

    metric: str
    before: Count
    after: Count
    verdict: ChangeVerdict
    level: Level = "error"
    limit: int | float | None = None
    layer: LayerId | None = None
    peak_before: Peak | None = None
    peak_after: Peak | None = None

    @property
    def fails(self) -> bool:
        """True if the change fails the check."""
        return self.verdict in ("worse", "over budget") and self.level == "error"

    @property
    def growth(self) -> int:
        """The difference of the counts; 0 if one of them is unknown."""
        return 0 if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True, slots=True)
class Rename:
    """A layer that has another path than in the accepted measurement.

    Attributes:
        layer: layer of the measured model.
        before: path in the accepted measurement.
    """

    layer: LayerId
    before: str
    verdict: ClassVar[ChangeVerdict] = "renamed"
    level: ClassVar[Level] = "error"
    fails: ClassVar[bool] = False
    growth: ClassVar[int] = 0


Change: TypeAlias = CountChange | Rename


def most_severe(changes: Sequence[Change]) -> ChangeVerdict:
    """Return the most severe verdict of some changes, `ok` if there are none."""
    return max((change.verdict for change in changes), key=CHANGE_VERDICTS.index, default="ok")


def over_budget(model: GuardedModel, measured: Measurement) -> tuple[CountChange, ...]:
    """Return every total of the model, and every count of a layer, that is above its budget."""
    return tuple(
        CountChange(
            *(metric, None, count, "over budget", budget.level, budget.maximum, layer),
            peak_after=measured.peaks.get(metric),
        )
        for layer, metric, count, budget in _budgets(model, measured)
        if count is not None and count > budget.maximum
    )


def unknown_budgets(model: GuardedModel, measured: Measurement) -> str:
    """Return a message about budgets of unknown counts; "" if there are none."""
    unknown = [(layer, metric) for layer, metric, count, _ in _budgets(model, measured) if count is None]
    if not unknown:
        return ""
    named = [
        f"{metric} of {layer.path or 'the root module'}" if layer else metric for layer, metric in unknown
    ]
    needs = [f"; {text}" for metric, text in _NEEDS.items() if metric in [each for _, each in unknown]]
    return f"budget on an unknown count: {', '.join(named)}{''.join(needs)}"


_NEEDS = {
    EAGER_PEAK: f"{EAGER_PEAK} needs a trace: set trace = true",
    PREDICTED_MS: f'{PREDICTED_MS} needs a profile: set profile = "FILE.json"',
}
"""The settings without which a total is unknown."""


def _budgets(
    model: GuardedModel, measured: Measurement
) -> Iterator[tuple[LayerId | None, str, Count, Budget]]:
    """Each budget of the model and its layers that is not off, with its layer, metric and count."""
    layers = [(LayerId(x.path, x.kind), x.counts, model.rules_of(x.path)) for x in measured.layers]
    for layer, counts, rules in [(None, measured.totals, model.rules), *layers]:
        for metric, budget in rules.budget.items():
            if budget.level != "off":
                yield layer, metric, counts[metric], budget


def differences(model: GuardedModel, before: Measurement, after: Measurement) -> Iterator[Change]:
    """Yield every changed count, of the whole model and of each layer, and every renamed layer."""
    for change in _count_changes(None, before.totals, after.totals, model.rules, before):
        peaks = before.peaks.get(change.metric), after.peaks.get(change.metric)
        yield replace(change, peak_before=peaks[0], peak_after=peaks[1])
    pairs = aligned([x.alignable for x in before.layers], [x.alignable for x in after.layers])
    order = sorted(pairs, key=lambda p: (p[1] if p[1] is not None else -1, p[0] if p[0] is not None else -1))
    absent = LayerCost("", (), "", dict.fromkeys(LOCKED_METRICS, 0))
    for i, j in order:
        old = absent if i is None else before.layers[i]
        new = absent if j is None else after.layers[j]
        shown = old if j is None else new
        layer = LayerId(shown.path, shown.kind)
        if old.path != shown.path and i is not None:
            yield Rename(layer, old.path)
        yield from _count_changes(layer, old.counts, new.counts, model.rules_of(layer.path), before)


def _count_changes(
    layer: LayerId | None, old: Counts, new: Counts, rules: Rules, before: Measurement
) -> Iterator[CountChange]:
    """The counts that differ; a percentage is relative to the whole model `before`."""
    itemsize = ITEM_SIZES[before.dtype]
    found: dict[str, CountChange] = {}
    for metric in LOCKED_METRICS if layer else [metric for metric in GROWTH_METRICS if metric in old]:
        growth = rules.growth[metric]
        if old[metric] != new[metric] and growth.level != "off":
            allowed = growth.allowed(before.totals[metric] or 0, itemsize)
            found[metric] = _count_change(layer, metric, old[metric], new[metric], growth.level, allowed)
    elements, of_bytes = found.get("memory_access"), found.get("memory_access_bytes")
    if elements and of_bytes and _is_redundant(of_bytes, elements, itemsize):
        del found["memory_access_bytes"]
    yield from found.values()


def _count_change(
    layer: LayerId | None, metric: str, before: Count, after: Count, level: Level, allowed: int
) -> CountChange:
    """The change of a count that is allowed to grow by `allowed`; a change from or to unknown is worse."""
    if before is None or after is None:
        return CountChange(metric, before, after, "worse", level, layer=layer)
    verdict: ChangeVerdict = "worse" if after > before + allowed else "ok" if after > before else "better"
    return CountChange(metric, before, after, verdict, level, before + allowed, layer)


def _is_redundant(of_bytes: CountChange, elements: CountChange, itemsize: int) -> bool:
    """True if the bytes changed exactly as the elements did, with the same verdict."""
    alike = (elements.verdict, elements.level) == (of_bytes.verdict, of_bytes.level)
    return alike and of_bytes.growth == itemsize * elements.growth
