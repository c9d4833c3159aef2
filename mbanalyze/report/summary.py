"""The lines of a report that tables and the HTML page share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mbanalyze.display.records import shape
from mbanalyze.display.units import si_bytes
from mbanalyze.ops.cost import Count
from mbanalyze.peak_memory.timeline import Timeline
from mbanalyze.report.columns import complete_total
from mbanalyze.report.convention_rows import macs_name
from mbanalyze.report.measured_step import MeasuredStep
from mbanalyze.report.network import Report, share_of
from mbanalyze.report.rows import Group, Uncounted
from mbanalyze.report.training import TRAINING_COLUMNS, Training, UncountedTraining

PHASES = {"forward": "forward pass", "backward": "backward pass", "optimizer": "optimizer's update"}
"""The parts of a training step, as words."""


def kind_of(group: Group) -> str:
    """The kind and variant of a group's operators if they share it, else their number."""
    kinds = {row.types for row in group.rows}
    if len(kinds) > 1:
        return f"{len(group.rows)} ops"
    (kind,) = kinds
    return kind + (f" x {len(group.rows)}" if len(group.rows) > 1 else "")


def output_of(group: Group) -> str:
    """The shapes that the last operator of a group writes."""
    return " ".join(map(shape, group.output))


class Total(NamedTuple):
    """A total.

    Attributes:
        value: the number.
        remark: the number in other units, or its parts.
        complete: False for a lower bound.
    """

    value: Count
    remark: str = ""
    complete: bool = True


def headline(report: Report) -> dict[str, Total]:
    """Each total by its name."""
    cost, size, complete = report.totals, report.itemsize, report.complete
    intensity = cost.arithmetic_intensity(size)
    moved = f"{cost.reads:,} read, {cost.writes:,} written: {si_bytes(cost.memory_access_bytes(size))}"
    frozen = cost.params - report.trainable_params
    parts = {"trainable params": Total(report.trainable_params), "frozen params": Total(frozen)}
    stored = "" if cost.params_fixed else f" of {report.dtype}"
    return {
        "params": Total(cost.params, f"{si_bytes(cost.params_bytes(size))}{stored}"),
        **(parts if frozen else {}),
        macs_name("macs", report.other_convention): Total(cost.macs, complete=complete),
        "flops": Total(
            cost.flops, "" if intensity is None else f"{intensity:.2f} per byte accessed", complete
        ),
        "activations": Total(cost.activations, complete=complete),
        "memory access": Total(cost.memory_access, moved),
        **(_training(report, report.training) if report.training else _peaks(report)),
    }


def _peaks(report: Report) -> dict[str, Total]:
    """The peak of each account."""
    return {f"peak bytes, {account}": _peak(report.timeline(account)) for account in report.accounts}


def _training(report: Report, training: Training) -> dict[str, Total]:
    """The totals of a training step."""
    counts = training.totals(report.rows)
    whole = {name: complete_total(name, report) for name in TRAINING_COLUMNS}
    macs, saved = counts["backward_macs"], counts["saved_bytes"]
    ratio = share_of(macs, report.totals.macs) if whole["backward_macs"] and report.complete else None
    times = "" if ratio is None else f"{ratio:.2f} times the macs"
    kept = "" if saved is None else f"{si_bytes(saved)} of activations"
    return {
        "backward macs": Total(macs, times, whole["backward_macs"]),
        "backward flops": Total(counts["backward_flops"], complete=whole["backward_flops"]),
        "saved bytes": Total(saved, kept, whole["saved_bytes"]),
        "gradient bytes": _bytes(training.gradient_bytes),
        f"optimizer bytes, {training.optimizer}": _bytes(training.optimizer_bytes),
        **_step_peak(training.step),
    }


def _bytes(count: int) -> Total:
    return Total(count, si_bytes(count))


def _step_peak(step: MeasuredStep | None) -> dict[str, Total]:
    """The peak of a training step, and what is in memory then."""
    name = "peak bytes, training step"
    if step is None:
        return {name: Total(None)}
    contents = {
        f"{content.replace('_', ' ')} at the peak": _bytes(size)
        for content, size in step.peak.items()
        if size
    }
    return {
        name: Total(step.peak_bytes, f"{si_bytes(step.peak_bytes)} in the {PHASES[step.phase]}"),
        **contents,
    }


def _peak(timeline: Timeline) -> Total:
    """The peak of an account, and the operator that runs there."""
    peak = timeline.peak_bytes
    if not peak:
        return Total(peak)
    return Total(peak, f"{si_bytes(peak)} at {timeline.steps[timeline.peak].path or '(model)'}")


def places(found: Iterable[Uncounted | UncountedTraining]) -> dict[str, str]:
    """Each operator of some uncounted ones, with its number of calls and the first module that called it."""
    by_operator: dict[str, list[Uncounted | UncountedTraining]] = {}
    for uncounted in found:
        by_operator.setdefault(uncounted.operator, []).append(uncounted)
    return {
        operator: f"{sum(u.times for u in found)} x, in {found[0].path or '(model)'}"
        + (f" and {len(found) - 1} more" if len(found) > 1 else "")
        for operator, found in by_operator.items()
    }


def training_places(report: Report) -> dict[str, str]:
    """Each operator of which a count of training is unknown: its calls, the first module, and the counts."""
    found = report.uncounted_training
    return {
        operator: f"{where}: {_unknown([u for u in found if u.operator == operator])}"
        for operator, where in places(found).items()
    }


def _unknown(found: Sequence[UncountedTraining]) -> str:
    """The counts that are unknown of some operators."""
    columns = {column for uncounted in found for column in uncounted.columns}
    return ", ".join(name.replace("_", " ") for name in TRAINING_COLUMNS if name in columns)


def remarks(report: Report) -> list[str]:
    """Free operators, unused parameters and notes, one a line."""
    lines = []
    if report.free:
        lines.append("free: " + ", ".join(f"{name} x {n}" for name, n in report.free.items()))
    if report.unused_params:
        tops = Counter(name.split(".")[0] for name in report.unused_params)
        lines.append("parameters never read: " + ", ".join(f"{n} in {top}" for top, n in tops.items()))
    return lines + doubts(report)


def doubts(report: Report) -> list[str]:
    """Work that a trace may have missed, and notes, one a line."""
    missed = [f"incomplete: {reason}" for reason in report.unseen]
    return missed + [f"note: {note}" for note in report.notes]


def subject(report: Report) -> str:
    """The model with its options, and its input: the heading of a table."""
    return f"{report.reference}, input {_inputs(report)}"


def origin(report: Report) -> str:
    """One line: the method, the convention and the versions."""
    made_by = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    method = f"{report.method}, fused" if report.is_fused else report.method
    return f"{method} | convention {report.convention} | {made_by}"


def provenance(report: Report) -> str:
    """One line: the model and its options, the input, the method, the convention and the versions."""
    return f"{report.reference} | input {_inputs(report)} | {origin(report)}"


def _inputs(report: Report) -> str:
    return " ".join(map(shape, report.input)) or "none"
