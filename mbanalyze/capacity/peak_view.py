"""The view of a peak: each account with its peak, and the tensors that are alive there."""

from __future__ import annotations

from collections.abc import Iterator

from mbanalyze.capacity.peak import Memory, peak_of
from mbanalyze.display.records import shape
from mbanalyze.display.result import view
from mbanalyze.display.units import si_bytes
from mbanalyze.display.views import Column, Section, View, words
from mbanalyze.peak_memory.timeline import Lifetime
from mbanalyze.report.summary import doubts, origin, subject


@view.register
def memory_view(memory: Memory) -> View:
    """Lay out a peak: the peak of each account, then the tensors of one account."""
    return View((_accounts(memory), _tensors(memory)), tuple(_notes(memory)), (origin(memory.report),))


def _accounts(memory: Memory) -> Section:
    """The peak of each account, the operator that runs there, and the weights."""
    report = memory.report
    timelines = [report.timeline(account) for account in report.accounts]
    steps = [peak_of(timeline) for timeline in timelines]
    return Section(
        f"{subject(report)}, {report.dtype}",
        (
            words("account", list(report.accounts)),
            Column("peak bytes", [f"{timeline.peak_bytes:,}" for timeline in timelines]),
            Column("", [si_bytes(timeline.peak_bytes) for timeline in timelines]),
            words("at", [step.path or "(model)" if step else "" for step in steps]),
            words("operator", [step.kind if step else "" for step in steps]),
            Column("stored bytes", [f"{memory.stored_bytes(account):,}" for account in report.accounts]),
        ),
        drop_order=("operator", "stored bytes"),
    )


def _tensors(memory: Memory) -> Section:
    """The tensors that are alive at the peak of the account, and their sum."""
    tensors, peak = memory.tensors, memory.peak_bytes
    rows = [*(_row(tensor, peak) for tensor in tensors), ("total", "", "", f"{peak:,}", "")]
    writers, kinds, shapes, sizes, shares = (
        zip(*(rows if tensors else []), strict=True) if tensors else [()] * 5
    )
    return Section(
        f"alive at the peak, account {memory.account}",
        (
            words("written by", writers),
            words("operator", kinds),
            words("shape", shapes),
            Column("bytes", sizes),
            Column("share", shares),
        ),
        drop_order=("share", "operator"),
        total=bool(tensors),
    )


def _row(tensor: Lifetime, peak: int) -> tuple[str, str, str, str, str]:
    """The cells of a tensor: its writer, its shape, its bytes and their share of the peak."""
    share = f"{100 * tensor.bytes / peak:.1f} %" if peak else ""
    writer = tensor.path or ("(input)" if tensor.kind == "input" else "(model)")
    return writer, tensor.kind, shape(tensor.shape), f"{tensor.bytes:,}", share


def _notes(memory: Memory) -> Iterator[str]:
    """Yield the meaning of the two columns of bytes, and doubts about the report."""
    yield "peak bytes: the activations alive at once (RAM)"
    yield "stored bytes: the params and buffers that the operators read (flash)"
    if "eager" in memory.report.accounts:
        yield "eager: elements have the types that the module computes with"
    yield from doubts(memory.report)
