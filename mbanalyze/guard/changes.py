"""The changes of a model against its accepted measurement, and its counts above their budgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from mbanalyze.comparison.alignment import aligned
from mbanalyze.guard.limits import LOCKED_METRICS, UNUSED_PARAMS, Level
from mbanalyze.guard.measurement import Counts, LayerCost, Measurement
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
    """

    metric: str
    before: Count
    after: Count
    verdict: ChangeVerdict
    level: Level = "error"
    limit: int | float | None = None
    layer: LayerId | None = None

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
        CountChange(metric, None, totals[metric], "over budget", budget.level, budget.maximum, layer)
        for layer, totals, rules in _scopes(model, measured)
        for metric, budget in rules.budget.items()
        if totals[metric] is not None and totals[metric] > budget.maximum and budget.level != "off"
    )


def unknown_budgets(model: GuardedModel, measured: Measurement) -> str:
    """Return a message about budgets of unknown counts; "" if there are none."""
    unknown = [
        f"{metric} of {layer.path or 'the root module'}" if layer else metric
        for layer, totals, rules in _scopes(model, measured)
        for metric, budget in rules.budget.items()
        if totals[metric] is None and budget.level != "off"
    ]
    return f"budget on an unknown count: {', '.join(unknown)}" if unknown else ""


def _scopes(model: GuardedModel, measured: Measurement) -> Iterator[tuple[LayerId | None, Counts, Rules]]:
    """The whole model and each layer, with their counts and rules."""
    yield None, measured.totals, model.rules
    for layer in measured.layers:
        yield LayerId(layer.path, layer.kind), layer.counts, model.rules_of(layer.path)


def differences(model: GuardedModel, before: Measurement, after: Measurement) -> Iterator[Change]:
    """Yield every changed count, of the whole model and of each layer, and every renamed layer."""
    yield from _count_changes(
        None, before.totals, after.totals, model.rules, before, (*LOCKED_METRICS, UNUSED_PARAMS)
    )
    pairs = aligned([x.alignable for x in before.layers], [x.alignable for x in after.layers])
    order = sorted(pairs, key=lambda p: (p[1] if p[1] is not None else -1, p[0] if p[0] is not None else -1))
    for i, j in order:
        old = None if i is None else before.layers[i]
        new = None if j is None else after.layers[j]
        yield from _layer_changes(model, old, new, before)


def _layer_changes(
    model: GuardedModel, old: LayerCost | None, new: LayerCost | None, before: Measurement
) -> Iterator[Change]:
    shown = new or old
    assert shown is not None
    layer = LayerId(shown.path, shown.kind)
    if old and new and old.path != new.path:
        yield Rename(layer, old.path)
    zero = dict.fromkeys(LOCKED_METRICS, 0)
    was, is_ = (side.counts if side else zero for side in (old, new))
    yield from _count_changes(layer, was, is_, model.rules_of(layer.path), before, LOCKED_METRICS)


def _count_changes(
    layer: LayerId | None,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    rules: Rules,
    before: Measurement,
    metrics: Sequence[str],
) -> Iterator[CountChange]:
    """The counts that differ; a percentage is relative to the whole model `before`."""
    itemsize = ITEM_SIZES[before.dtype]
    found: dict[str, CountChange] = {}
    for metric in metrics:
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
