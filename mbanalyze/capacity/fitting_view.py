"""The view of the largest batches: the batch for each purpose, and the content of the memory at its peak."""

from __future__ import annotations

from collections.abc import Iterator

from mbanalyze.capacity.fitting import CONTENTS, Fit, LargestBatch
from mbanalyze.display.records import shape
from mbanalyze.display.result import view
from mbanalyze.display.units import si_bytes
from mbanalyze.display.views import Cell, Column, Section, View, words


@view.register
def fit_view(fit: Fit) -> View:
    """Lay out the largest batches: a row for training and one for inference."""
    versions = ", ".join(f"{name} {version}" for name, version in fit.as_dict()["versions"].items())
    way = f"counted by the account {fit.account}" if fit.account else "measured without data"
    return View((_batches(fit), _contents(fit)), tuple(_notes(fit)), (f"{way}, {versions}",))


def _batches(fit: Fit) -> Section:
    """The batches and their peaks."""
    found = fit.batches
    sizes = " ".join(map(shape, fit.input))
    cast = f", {fit.dtype}" if fit.dtype else ""
    return Section(
        f"{fit.reference}, batches of {sizes}{cast}, in {si_bytes(fit.memory_bytes)}",
        (
            words("", [_purpose(fit, each) for each in found]),
            Column("largest batch", [f"{each.batch:,}" for each in found]),
            Column("peak bytes", [_bytes(each.peak.bytes if each.peak else None) for each in found]),
            Column("one more", [_bytes(each.next_bytes) for each in found]),
            words("peak in", [each.peak.phase if each.peak else "" for each in found]),
        ),
    )


def _purpose(fit: Fit, found: LargestBatch) -> str:
    """The purpose, with the optimizer of the training."""
    return f"training, {fit.optimizer}" if found.purpose == "training" else found.purpose


def _contents(fit: Fit) -> Section:
    """The content of the memory at each peak."""
    fitting = [each for each in fit.batches if each.peak]
    columns = [
        Column(each.purpose, [_bytes(size) for size in each.peak.split] if each.peak else [])
        for each in fitting
    ]
    names = [name.replace("_", " ") for name in CONTENTS] if fitting else []
    return Section("content at the peak", (words("", names), *columns))


def _bytes(count: int | None) -> Cell:
    """A number of bytes as a cell; "?" if it is unknown."""
    return Cell("?", "?") if count is None else Cell(si_bytes(count), f"{count:,}")


def _notes(fit: Fit) -> Iterator[str]:
    """Yield the purposes that do not fit, and what a peak leaves out."""
    for each in fit.batches:
        if each.reason:
            yield f"no batch for {each.purpose}: {each.reason}"
        elif not each.batch:
            needed = "?" if each.next_bytes is None else si_bytes(each.next_bytes)
            yield f"no batch fits for {each.purpose}: the smallest takes {needed}"
    yield "The peaks leave out the framework, the scratch memory of kernels, and gaps between allocations."
