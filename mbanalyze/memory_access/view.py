"""What ShuffleNet V2's guidelines say of a network, and their experiments, as text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from mbanalyze.display.tables import grid_of, html_notes, html_sections, markdown_table
from mbanalyze.display.units import si
from mbanalyze.memory_access.analysis import Block, Convolution, Guidelines
from mbanalyze.memory_access.experiments import TITLES, Run, records, runs, series

if TYPE_CHECKING:
    from mbanalyze.memory_access.timing import Measured

Columns = dict[str, list[str]]
Part = Callable[[Convolution], float]


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0.0 %"


def _convolutions(found: Sequence[Convolution], cause: str, part: Part) -> Columns:
    return {
        "path": [c.path or "(model)" for c in found],
        "channels": [f"{c.channels[0]}>{c.channels[1]}" for c in found],
        "groups": [str(c.groups) for c in found],
        "memory access": [si(c.memory_access) for c in found],
        "least possible": [si(round(c.bound)) for c in found],
        "excess": [si(round(c.excess)) for c in found],
        f"by {cause}": [si(round(part(c))) for c in found],
        "share": [_percent(part(c), c.memory_access) for c in found],
    }


def _worst(judged: Guidelines, top: int, cause: str, part: Part) -> tuple[str, Columns]:
    """The share of all memory access that has this cause, and the convolutions that have most of it."""
    found = sorted((c for c in judged.convolutions if round(part(c))), key=lambda c: -part(c))
    share = _percent(sum(map(part, judged.convolutions)), judged.report.totals.memory_access)
    return share, _convolutions(found[:top], cause, part)


def _fragmented(found: Sequence[Block]) -> Columns:
    return {
        "block": [b.path or "(model)" for b in found],
        "fragments": [str(b.fragments) for b in found],
        "branches": [str(b.branches) for b in found],
    }


def _elementwise(found: Sequence[Block]) -> Columns:
    return {
        "block": [b.path or "(model)" for b in found],
        "memory access": [si(b.memory_access) for b in found],
        "element-wise": [si(b.elementwise) for b in found],
        "share": [_percent(b.elementwise, b.memory_access) for b in found],
    }


def _shares(judged: Guidelines) -> Columns:
    shares = sorted(judged.shares.items(), key=lambda share: -share[1])
    accessed = judged.report.totals.memory_access
    return {
        "operators": [name for name, _ in shares],
        "memory access": [si(n) for _, n in shares],
        "share": [_percent(n, accessed) for _, n in shares],
    }


def _sections(judged: Guidelines, top: int) -> list[tuple[str, Columns]]:
    """A heading and a table for each guideline, the worst offenders first."""
    unequal, imbalanced = _worst(judged, top, "imbalance", lambda c: c.imbalance)
    grouping, grouped = _worst(judged, top, "groups", lambda c: c.grouping)
    branching = sorted((b for b in judged.blocks if b.fragments), key=lambda b: (-b.branches, -b.fragments))
    most = branching[0].branches if branching else 0
    elementwise = sorted((b for b in branching if b.elementwise), key=lambda b: -b.elementwise)
    return [
        (f"G1: input and output of unequal size cost {unequal} of all memory access", imbalanced),
        (f"G2: groups cost {grouping} of all memory access", grouped),
        (
            f"G3: {judged.fragmentation:.2f} branches in a block of several convolutions or poolings, {most} at most",
            _fragmented(branching[:top]),
        ),
        (
            f"G4: element-wise operators have {100 * judged.elementwise_share:.1f} % of all memory access",
            _shares(judged),
        ),
        ("G4: the blocks with most of that", _elementwise(elementwise[:top])),
    ]


def table(judged: Guidelines, top: int = 10, width: int = 80) -> RenderableType:
    """A network for people: for each guideline the `top` layers or blocks that break it most."""
    return _stacked(_sections(judged, top), width)


def markdown(judged: Guidelines, top: int = 10) -> str:
    """The same as Markdown."""
    return _as_markdown(_sections(judged, top))


def html(judged: Guidelines, top: int = 10) -> str:
    """The same as HTML, for notebooks."""
    return html_sections(_sections(judged, top))


def _stacked(sections: Sequence[tuple[str, Columns]], width: int) -> Group:
    parts: list[RenderableType] = []
    for heading, columns in sections:
        parts.append(Text(heading, style="bold"))
        parts += [grid_of(columns, width)] if next(iter(columns.values())) else [Text("none", style="dim")]
        parts.append(Text())
    return Group(*parts[:-1])


def _as_markdown(sections: Sequence[tuple[str, Columns]]) -> str:
    return "\n".join(
        f"## {heading}\n\n{markdown_table(list(columns), list(zip(*columns.values(), strict=True)))}"
        for heading, columns in sections
        if next(iter(columns.values()))
    )


def _experiments(measured: Measured | None) -> list[tuple[str, Columns]]:
    """A table for each experiment; speeds are relative to its first setting."""
    found = {(r["guideline"], r["setting"], r["platform"], r["scale"]): r for r in records()}

    def printed(run: Run, platform: str) -> str:
        return " ".join(
            f"{found[run.guideline, run.setting, platform, scale]['relative_speed']:.2f}"
            for scale in (1, 2, 4)
        )

    def record(run: Run) -> Mapping[str, Any]:
        return found[run.guideline, run.setting, run.platform, run.scale]

    sections = []
    for guideline, title in TITLES.items():
        settings = series(guideline, "GPU", 1)
        columns = {
            "setting": [run.setting for run in settings],
            "macs change": [f"{100 * record(run)['macs_change']:+.1f} %" for run in settings],
            "memory access": [si(record(run)["memory_access"]) for run in settings],
            "predicted speed": [f"{record(run)['predicted']:.2f}" for run in settings],
            "GPU x1 x2 x4": [printed(run, "GPU") for run in settings],
            "ARM x1 x2 x4": [printed(run, "ARM") for run in settings],
        }
        if measured is not None:
            columns["measured here"] = [
                f"{measured.relative_speed(guideline, run.setting):.2f}" for run in settings
            ]
        sections.append((f"{guideline}: {title}", columns))
    return sections


def _remarks(measured: Measured | None) -> list[str]:
    least = {
        guideline: min(r["macs_change"] for r in records() if r["guideline"] == guideline)
        for guideline in ("G1", "G2")
    }
    changes = " and ".join(f"{-100 * change:.1f} % ({guideline})" for guideline, change in least.items())
    unbuildable = ", ".join(
        f"{run.setting} on {run.platform} with {run.channels[0]} channels"
        for run in runs()
        if not run.buildable
    )
    lines = [
        "Speeds are relative to the first setting. The predicted one is by memory access alone, for GPU x1.",
        f"'Constant' multiply-accumulates fall by up to {changes}.",
        f"Groups do not divide the channels: {unbuildable}.",
        "Table 3 does not print its blocks: we take fragments of c / sqrt(f) channels, added if side by side.",
        "Nor does Table 4: we take bottlenecks a quarter as wide inside, on 56 x 56 pixels.",
    ]
    if measured is not None:
        lines.append(f"Measured on {measured.device}: medians of {measured.rounds} rounds.")
    return lines


def experiments_table(measured: Measured | None = None, width: int = 80) -> RenderableType:
    """The paper's experiments for people."""
    remarks = [Text(line, style="dim") for text in _remarks(measured) for line in wrap(text, max(width, 30))]
    return Group(_stacked(_experiments(measured), width), Text(), *remarks)


def experiments_markdown(measured: Measured | None = None) -> str:
    """The paper's experiments as Markdown."""
    remarks = "".join(f"- {remark}\n" for remark in _remarks(measured))
    return f"# ShuffleNet V2's experiments\n\n{_as_markdown(_experiments(measured))}\n{remarks}"


def experiments_html(measured: Measured | None = None, guidelines: Collection[str] = tuple(TITLES)) -> str:
    """The paper's experiments as HTML, those of some guidelines or of all."""
    titles = tuple(f"{guideline}:" for guideline in guidelines)
    sections = [section for section in _experiments(measured) if section[0].startswith(titles)]
    return html_sections(sections) + html_notes(_remarks(measured) if len(titles) == len(TITLES) else [])


def experiments(measured: Measured | None = None) -> dict[str, Any]:
    """The paper's experiments, every width, as a JSON object."""
    if measured is None:
        return {"records": records(), "measured": None}
    return {
        "records": records(),
        "measured": {
            "device": measured.device,
            "rounds": measured.rounds,
            "settings": [
                {
                    "guideline": guideline,
                    "setting": setting,
                    "seconds": seconds,
                    "relative_speed": measured.relative_speed(guideline, setting),
                }
                for (guideline, setting), seconds in measured.seconds.items()
            ],
        },
    }
