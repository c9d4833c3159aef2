"""The lines of a report that tables and the HTML page share."""

from __future__ import annotations

from collections import Counter

from mbanalyze.display.records import shape
from mbanalyze.display.units import si_bytes
from mbanalyze.ops.cost import Count
from mbanalyze.peak_memory.timeline import Timeline
from mbanalyze.report.network import CONVENTION, Report
from mbanalyze.report.rows import Group, Uncounted
from mbanalyze.report.training import Training


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


def headline(report: Report) -> dict[str, tuple[Count, str]]:
    """Each total by its name, with a remark."""
    cost, size = report.totals, report.itemsize
    intensity = cost.arithmetic_intensity(size)
    moved = f"{cost.reads:,} read, {cost.writes:,} written: {si_bytes(cost.memory_access_bytes(size))}"
    frozen = cost.params - report.trainable_params
    parts = {"trainable params": (report.trainable_params, ""), "frozen params": (frozen, "")}
    return {
        "params": (cost.params, f"{si_bytes(cost.params_bytes(size))} of {report.dtype}"),
        **(parts if frozen else {}),
        "macs": (cost.macs, ""),
        "flops": (cost.flops, "" if intensity is None else f"{intensity:.2f} per byte accessed"),
        "activations": (cost.activations, ""),
        "memory access": (cost.memory_access, moved),
        **(_training(report, report.training) if report.training else _peaks(report)),
    }


def _peaks(report: Report) -> dict[str, tuple[Count, str]]:
    """The peak of each account, with a remark."""
    return {f"peak bytes, {account}": _peak(report.timeline(account)) for account in report.accounts}


def _training(report: Report, training: Training) -> dict[str, tuple[Count, str]]:
    """The totals of a training step, each with a remark."""
    counts = report.training_counts(report.rows)
    saved, peak = counts["saved_bytes"], training.step_peak_bytes
    held = ", ".join(
        f"{si_bytes(size)} {content.replace('_', ' ')}" for content, size in training.peak.items() if size
    )
    return {
        "backward macs": (counts["backward_macs"], ""),
        "backward flops": (counts["backward_flops"], ""),
        "saved bytes": (
            saved,
            "" if saved is None else f"{si_bytes(saved)} of activations, for the backward pass",
        ),
        "gradient bytes": (training.gradient_bytes, si_bytes(training.gradient_bytes)),
        f"optimizer bytes, {training.optimizer}": (
            training.optimizer_bytes,
            si_bytes(training.optimizer_bytes),
        ),
        "peak bytes, training step": (peak, f"{si_bytes(peak)} in the {training.phase}: {held}"),
    }


def _peak(timeline: Timeline) -> tuple[Count, str]:
    """The peak of an account, and the operator that runs there."""
    peak = timeline.peak_bytes
    if not peak:
        return peak, ""
    return peak, f"{si_bytes(peak)} at {timeline.steps[timeline.peak].path or '(model)'}"


def places(report: Report) -> dict[str, str]:
    """Each operator that is not counted, with its number of calls and the first module that called it."""
    by_operator: dict[str, list[Uncounted]] = {}
    for uncounted in report.uncounted:
        by_operator.setdefault(uncounted.operator, []).append(uncounted)
    return {
        operator: f"{sum(u.times for u in found)} x, in {found[0].path or '(model)'}"
        + (f" and {len(found) - 1} more" if len(found) > 1 else "")
        for operator, found in by_operator.items()
    }


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
    return f"{method} | convention {CONVENTION} | {made_by}"


def provenance(report: Report) -> str:
    """One line: the model and its options, the input, the method, the convention and the versions."""
    return f"{report.reference} | input {_inputs(report)} | {origin(report)}"


def _inputs(report: Report) -> str:
    return " ".join(map(shape, report.input)) or "none"
