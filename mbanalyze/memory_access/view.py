"""The views of the guidelines applied to a network, and of the experiments behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from mbanalyze.display.result import view
from mbanalyze.display.units import count_cell
from mbanalyze.display.views import Column, Section, View, words
from mbanalyze.memory_access.analysis import BlockAnalysis, ConvolutionAnalysis, Guidelines
from mbanalyze.memory_access.experiments import TITLES, Experiments, Timings, trials
from mbanalyze.report.fused_rows import FUSED


@view.register
def guidelines_view(guidelines: Guidelines, top: int = 10) -> View:
    """Lay out a network: for each guideline, the `top` convolutions or blocks with the highest cost."""
    blocks = [block for block in guidelines.blocks if block.fragments]
    fragmented = sorted(blocks, key=lambda block: (-block.branches, -block.fragments))
    elementwise = [block for block in fragmented if block.elementwise]
    elementwise.sort(key=lambda block: -block.elementwise)
    sections = (
        _convolutions(guidelines, top, "G1: unequal input and output sizes", "imbalance"),
        _convolutions(guidelines, top, "G2: groups", "grouping"),
        _fragments(guidelines, fragmented[:top]),
        _classes(guidelines),
        _elementwise(elementwise[:top]),
    )
    return View(sections, (f"note: {FUSED}",) if guidelines.report.is_fused else ())


def _convolutions(guidelines: Guidelines, top: int, cause: str, part: str) -> Section:
    """The convolutions whose memory access has the largest part of one kind."""
    size: Callable[[ConvolutionAnalysis], float] = attrgetter(part)
    whole = guidelines.report.totals.memory_access
    found = sorted((c for c in guidelines.convolutions if round(size(c))), key=size, reverse=True)[:top]
    return Section(
        f"{cause} cause {_percent(sum(map(size, guidelines.convolutions)), whole)} of memory access",
        (
            _paths("path", found),
            words("channels", [f"{c.channels[0]}>{c.channels[1]}" for c in found]),
            Column("groups", [str(c.groups) for c in found]),
            Column("memory access", [count_cell(c.memory_access) for c in found]),
            Column("lower bound", [count_cell(round(c.bound)) for c in found]),
            Column(part, [count_cell(round(size(c))) for c in found]),
            Column("share", [_percent(size(c), c.memory_access) for c in found]),
        ),
        drop_order=("lower bound", "memory access"),
    )


def _fragments(guidelines: Guidelines, blocks: Sequence[BlockAnalysis]) -> Section:
    mean, most = guidelines.fragmentation, guidelines.most_branches
    heading = f"G3: {mean:.2f} branches per block on average, {most} at most"
    fragments = Column("fragments", [str(block.fragments) for block in blocks])
    branches = Column("branches", [str(block.branches) for block in blocks])
    return Section(heading, (_paths("block", blocks), fragments, branches))


def _classes(guidelines: Guidelines) -> Section:
    """Memory access by class of operators, the largest first."""
    heading = f"G4: element-wise operators cause {100 * guidelines.elementwise_share:.1f} % of memory access"
    shares = sorted(guidelines.shares.items(), key=lambda share: -share[1])
    whole = guidelines.report.totals.memory_access
    operators = words("operators", [name for name, _ in shares])
    accessed = Column("memory access", [count_cell(elements) for _, elements in shares])
    share = Column("share", [_percent(elements, whole) for _, elements in shares])
    return Section(heading, (operators, accessed, share))


def _elementwise(blocks: Sequence[BlockAnalysis]) -> Section:
    heading = "G4: blocks with the most element-wise memory access"
    accessed = Column("memory access", [count_cell(block.memory_access) for block in blocks])
    elementwise = Column("element-wise", [count_cell(block.elementwise) for block in blocks])
    share = Column("share", [_percent(block.elementwise, block.memory_access) for block in blocks])
    return Section(heading, (_paths("block", blocks), accessed, elementwise, share))


def _paths(heading: str, found: Sequence[ConvolutionAnalysis | BlockAnalysis]) -> Column:
    return words(heading, [analysis.path or "(model)" for analysis in found])


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0.0 %"


@view.register
def experiments_view(experiments: Experiments) -> View:
    """Lay out the experiments: a table for each guideline, and notes if all are included."""
    timings = experiments.timings
    sections = tuple(_experiment(guideline, timings) for guideline in experiments.guidelines)
    return View(sections, _notes(timings) if len(sections) == len(TITLES) else ())


def _experiment(guideline: str, timings: Timings | None) -> Section:
    """One experiment; speeds are relative to its first setting."""
    records = Experiments((guideline,)).records()
    narrow = [r for r in records if (r["platform"], r["scale"]) == ("GPU", 1)]

    def speeds(platform: str) -> Column:
        printed = [r for r in records if r["platform"] == platform]
        cells = [[f"{r['relative_speed']:.2f}" for r in printed if r["setting"] == name] for name in settings]
        return Column(f"{platform} x1 x2 x4", list(map(" ".join, cells)))

    settings = [record["setting"] for record in narrow]
    columns = [
        words("setting", settings),
        Column("macs change", [f"{100 * record['macs_change']:+.1f} %" for record in narrow]),
        Column("memory access", [count_cell(record["memory_access"]) for record in narrow]),
        Column("predicted speed", [f"{record['predicted']:.2f}" for record in narrow]),
        speeds("GPU"),
        speeds("ARM"),
    ]
    if timings is not None:
        measured = [f"{timings.relative_speed(guideline, name):.2f}" for name in settings]
        columns.append(Column("measured here", measured))
    return Section(f"{guideline}: {TITLES[guideline]}", tuple(columns), drop_order=("macs change",))


def _notes(timings: Timings | None) -> tuple[str, ...]:
    records = Experiments().records()
    falls = {name: -min(r["macs_change"] for r in records if r["guideline"] == name) for name in ("G1", "G2")}
    changes = " and ".join(f"{100 * fall:.1f} % ({name})" for name, fall in falls.items())
    undivided = [trial for trial in trials() if not trial.buildable]
    unbuildable = " and ".join(f"{t.channels[0]} channels ({t.setting} on {t.platform})" for t in undivided)
    notes = (
        "Speeds are relative to the first setting.",
        "The predicted speed is that of GPU x1 if memory access alone decided.",
        f"The multiply-accumulates are not quite constant: they fall by up to {changes}.",
        f"The groups do not divide {unbuildable}.",
        "The paper does not define the blocks of Tables 3 and 4.",
        "Fragments are assumed to have c / sqrt(f) channels, and parallel ones to be added.",
        "Bottlenecks are assumed to have a quarter of the channels inside, on 56 x 56 pixels.",
    )
    if timings is None:
        return notes
    return (*notes, f"Measured on {timings.device}: medians of {timings.rounds} rounds.")
