"""A model as it is against what was agreed: its changes, count by count and layer by layer, and a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from mbanalyze._version import __version__
from mbanalyze.comparison.alignment import aligned
from mbanalyze.guard.facts import Counts, Facts, Layer
from mbanalyze.guard.limits import COUNTS, UNUSED, Level
from mbanalyze.guard.lock import Lock
from mbanalyze.guard.measuring import Measured
from mbanalyze.guard.policy import Model, Rules
from mbanalyze.ops.cost import ITEM_SIZES, Count
from mbanalyze.report.network import CONVENTION

Verdict = Literal[
    "ok",
    "better",
    "worse",
    "over budget",
    "missing from lock",
    "gone",
    "not comparable",
    "could not measure",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""Each weighs more than those before it."""
Judgement = Literal["ok", "renamed", "better", "worse", "over budget"]
JUDGEMENTS: tuple[Judgement, ...] = get_args(Judgement)
"""Each weighs more than those before it."""
TOTAL = "total"
"""What stands for a kind where a change is about the whole model; its path is ""."""
NOTHING: Counts = dict.fromkeys(COUNTS, 0)


@dataclass(frozen=True, slots=True)
class Change:
    """One count that is not what it was, or more than it may be.

    Attributes:
        path: of the layer, as it is called in the model as it is; "" for the whole model, or for its root.
        kind: of the layer's operators; `total` for the whole model.
        metric: which total; `path` where a layer has another one.
        before, after: the count, None where it is unknown; the paths of a layer that was renamed.
        verdict: `ok` is a growth that is tolerated.
        level: of the rule that says so.
        limit: the most that `after` may be, if a rule says so.
    """

    path: str
    kind: str
    metric: str
    before: Count | str
    after: Count | str
    verdict: Judgement
    level: Level = "error"
    limit: int | float | None = None

    @property
    def fails(self) -> bool:
        """Whether it is one that must not be."""
        return self.verdict in ("worse", "over budget") and self.level == "error"

    @property
    def growth(self) -> int:
        """By how much the count grew; zero where that is unknown."""
        known = isinstance(self.before, int) and isinstance(self.after, int)
        return self.after - self.before if known else 0  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a guarded model.

    Attributes:
        name: of the model.
        verdict: the gravest of all.
        exit: what it makes of the exit code: 0, 1 or 2.
        changes: the whole model's first, then layer by layer.
        reason: what the verdict rests on where that is no change.
        measured: the model as it is; None for one that is gone.
        before: what was agreed; None where nothing was.
        stale: whether the lock is out of date although nothing grew.
    """

    name: str
    verdict: Verdict
    exit: int
    changes: tuple[Change, ...] = ()
    reason: str = ""
    measured: Measured | None = None
    before: Facts | None = None
    stale: bool = False

    @property
    def failing(self) -> tuple[Change, ...]:
        """The changes that must not be."""
        return tuple(change for change in self.changes if change.fails)


def judge(measured: Measured, lock: Lock) -> Judged:
    """What became of a model since the lock."""
    name, before, after = measured.model.name, lock.models.get(measured.model.name), measured.facts
    if after is None:
        return Judged(name, "could not measure", 2, (), measured.reason, measured, before)
    over = tuple(_over_budget(measured.model, after))
    unheld = _unmatched(measured.model, after) or _unknown(measured.model, after)
    if unheld:
        return Judged(name, "could not measure", 2, over, unheld, measured, before)
    if before is None:
        return Judged(name, "missing from lock", 1, over, "", measured)
    changes = (*over, *_changes(measured.model, before, after))
    differing = _differing(before, after) or _other_tool(lock, changes)
    if differing:
        return Judged(name, "not comparable", 2, changes, differing, measured, before)
    return _judged(measured, before, changes)


def budgets_exceeded(measured: Measured) -> tuple[Change, ...]:
    """What of a model is more than its budget."""
    return tuple(_over_budget(measured.model, measured.facts)) if measured.facts else ()


def budgets_unknown(measured: Measured) -> str:
    """Which totals of a model have a budget and are not known; "" where there is none."""
    return _unknown(measured.model, measured.facts) if measured.facts else ""


def gone(name: str, before: Facts) -> Judged:
    """What became of a model that the policy does not name any more."""
    return Judged(name, "gone", 1, (), "the lock has it, the policy has not", None, before)


def _judged(measured: Measured, before: Facts, changes: tuple[Change, ...]) -> Judged:
    grave = gravest(changes)
    verdict: Verdict = "ok" if grave == "renamed" else grave
    fails = any(change.fails for change in changes)
    stale = not fails and any(change.verdict in ("better", "renamed") for change in changes)
    code = int(fails or (stale and measured.model.strict))
    return Judged(measured.model.name, verdict, code, changes, "", measured, before, stale)


def gravest(changes: Sequence[Change]) -> Judgement:
    """What weighs most of some changes; `ok` where there is none."""
    return max((change.verdict for change in changes), key=JUDGEMENTS.index, default="ok")


def _over_budget(model: Model, after: Facts) -> Iterator[Change]:
    """What is more than its budget, of the whole and of each layer."""
    yield from _exceeding("", TOTAL, after.totals, model.rules)
    for layer in after.layers:
        yield from _exceeding(layer.path, layer.kind, layer.counts, model.rules_of(layer.path))


def _exceeding(path: str, kind: str, totals: Mapping[str, Any], rules: Rules) -> Iterator[Change]:
    for total, budget in rules.budget.items():
        value = totals[total]
        if value is not None and value > budget.most and budget.level != "off":
            yield Change(path, kind, total, None, value, "over budget", budget.level, budget.most)


def _unmatched(model: Model, after: Facts) -> str:
    """Patterns whose rules would hold for nothing, as they fit no layer that an earlier one does not."""
    patterns = [pattern for pattern, _ in model.layers]
    firsts = {next((p for p in patterns if fnmatchcase(layer.path, p)), None) for layer in after.layers}
    lost = [repr(pattern) for pattern in patterns if pattern not in firsts]
    return (
        f"no layer is left for {', '.join(lost)}: change the pattern, its place, or take it out"
        if lost
        else ""
    )


def _unknown(model: Model, after: Facts) -> str:
    """Totals of the whole, or of layers, that have a budget and are not known at all."""
    scopes = [("", after.totals, model.rules)]
    scopes += [(f" of {layer.path}", layer.counts, model.rules_of(layer.path)) for layer in after.layers]
    unknown = [
        f"{total}{where}"
        for where, totals, rules in scopes
        for total, budget in rules.budget.items()
        if totals[total] is None and budget.level != "off"
    ]
    return f"nothing is known of {', '.join(unknown)}, so that no budget of it can be held" if unknown else ""


def _differing(before: Facts, after: Facts) -> str:
    """What is not the same about how the two were found."""
    pairs = [(what, old, after.how[what]) for what, old in before.how.items() if old != after.how[what]]
    return "; ".join(f"{what} was {old or 'none'}, is {new or 'none'}" for what, old, new in pairs)


def _other_tool(lock: Lock, changes: Sequence[Change]) -> str:
    """That another convention counted; or another version, as far as that may be why something changed."""
    if lock.convention != CONVENTION:
        return f"convention was {lock.convention}, is {CONVENTION}"
    if lock.version != __version__ and any(change.verdict != "over budget" for change in changes):
        return f"counted by mbanalyze {lock.version} then and {__version__} now, which may be why"
    return ""


def _changes(model: Model, before: Facts, after: Facts) -> Iterator[Change]:
    """Every count that changed, of the whole and of each layer."""
    yield from _changed("", TOTAL, before.totals, after.totals, model.rules, before, UNUSED)
    pairs = aligned([x.alignable for x in before.layers], [x.alignable for x in after.layers])
    order = sorted(pairs, key=lambda p: (p[1] if p[1] is not None else -1, p[0] if p[0] is not None else -1))
    for i, j in order:
        old = None if i is None else before.layers[i]
        new = None if j is None else after.layers[j]
        yield from _layer_changes(model, old, new, before)


def _layer_changes(model: Model, old: Layer | None, new: Layer | None, before: Facts) -> Iterator[Change]:
    layer = new or old
    assert layer is not None
    if old and new and old.path != new.path:
        yield Change(new.path, new.kind, "path", old.path, new.path, "renamed")
    was, is_ = (side.counts if side else NOTHING for side in (old, new))
    yield from _changed(layer.path, layer.kind, was, is_, model.rules_of(layer.path), before)


def _changed(
    path: str, kind: str, old: Counts, new: Counts, rules: Rules, before: Facts, *more: str
) -> Iterator[Change]:
    """The counts that are not what they were; percentages are of the whole model `before`."""
    itemsize = ITEM_SIZES[before.dtype]
    found: dict[str, Change] = {}
    for count in (*COUNTS, *more):
        growth = rules.growth[count]
        if old[count] != new[count] and growth.level != "off":
            allowed = growth.allowed(before.totals[count] or 0, itemsize)
            found[count] = _change(path, kind, count, old[count], new[count], growth.level, allowed)
    elements, of_bytes = found.get("memory_access"), found.get("memory_access_bytes")
    if elements and of_bytes and _says_the_same(elements, of_bytes, itemsize):
        del found["memory_access_bytes"]
    yield from found.values()


def _change(path: str, kind: str, count: str, a: Count, b: Count, level: Level, allowed: int) -> Change:
    """A count that changed, and may grow so much; one that is not known is worse than one that is, or was."""
    if a is None or b is None:
        return Change(path, kind, count, a, b, "worse", level)
    verdict: Judgement = "worse" if b > a + allowed else "ok" if b > a else "better"
    return Change(path, kind, count, a, b, verdict, level, a + allowed)


def _says_the_same(elements: Change, of_bytes: Change, itemsize: int) -> bool:
    """Whether bytes changed just as elements did, and to the same end."""
    alike = (elements.verdict, elements.level) == (of_bytes.verdict, of_bytes.level)
    return alike and of_bytes.growth == itemsize * elements.growth
