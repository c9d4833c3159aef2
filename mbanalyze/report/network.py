"""What was analysed and what it costs: rows, totals, groupings and filters."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal

from mbanalyze._version import __version__
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.typed import Shape
from mbanalyze.ops.cost import ITEM_SIZES, Cost, total
from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import REGISTRY
from mbanalyze.report.rows import KEYS, Group, Row, Uncounted, group

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderResult

CONVENTION = "mbanalyze/1"
"""The meaning of every column; a change to any raises the number."""

Method = Literal["closed-form", "trace"]


class Groups(tuple[Group, ...]):  # noqa: SLOT001 (a tuple has no room for slots)
    """The rows of a report by one key: a tuple that a notebook shows as the report's table."""

    report: Report
    key: str

    def _repr_html_(self) -> str:
        from mbanalyze.report.view import html

        return html(self.report, self.key)


def versions(*packages: str) -> dict[str, str]:
    """Versions of mbanalyze, of Python, and of the installed `packages`, by name."""
    return {
        "mbanalyze": __version__,
        "python": platform.python_version(),
        **{package: _installed(package) for package in packages},
    }


@cache
def _installed(package: str) -> str:
    from importlib.metadata import version

    return version(package)


@dataclass(frozen=True)
class Report:
    """What a network costs, operator by operator, and how that was found.

    Attributes:
        model: what the user called it.
        options: its hyper-parameters.
        input: shapes of the inputs.
        method: `closed-form` or `trace`.
        rows: every operator in order, with its cost.
        dtype: what an element is taken to be where bytes are asked for: a key of `ITEM_SIZES`.
        free: what ran at no cost, by name, with how often (a closed form lists none).
        unused_params: names of the parameters that the forward never read.
        omitted: operators that nobody could count, among those that `only` left out.
        versions: of what produced the report.
        notes: how it was produced, where that was not the usual way.
    """

    model: str
    options: Mapping[str, Any]
    input: tuple[Shape, ...]
    method: Method
    rows: tuple[Row, ...]
    dtype: str = "float32"
    free: Mapping[str, int] = field(default_factory=dict)
    unused_params: tuple[str, ...] = ()
    omitted: tuple[Uncounted, ...] = ()
    versions: Mapping[str, str] = field(default_factory=versions)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        choose("dtype", self.dtype, ITEM_SIZES)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return ITEM_SIZES[self.dtype]

    @cached_property
    def totals(self) -> Cost:
        """The sum over all rows: a lower bound unless the report is `complete`."""
        return total([row.cost for row in self.rows])

    @cached_property
    def uncounted(self) -> tuple[Uncounted, ...]:
        """Every operator that nobody could count; empty when the report is complete."""
        times = Counter((r.op.kind, r.op.path) for r in self.rows if r.cost.flops is None)
        return (*(Uncounted(kind, path, n) for (kind, path), n in times.items()), *self.omitted)

    @property
    def complete(self) -> bool:
        """Whether every operator was counted."""
        return not self.uncounted

    def by(self, key: str) -> Groups:
        """Rows grouped by `op`, `module`, `block` or `kind`, in order of first appearance.

        Raises:
            ChoiceError: `key` is none of these.
        """
        found = Groups(self._grouped(choose("grouping", key, KEYS)))
        found.report, found.key = self, key
        return found

    def _grouped(self, key: str) -> Iterator[Group]:
        of = KEYS[key]
        if key == "op":
            yield from (Group(of(row), (row,), row.cost) for row in self.rows)
            return
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(of(row), []).append(row)
        yield from (group(name, rows) for name, rows in groups.items())

    def only(self, *kinds: str) -> Report:
        """The same report with rows of these kinds alone.

        `only("conv", "linear", "matmul")` is the convention of counters that see nothing else. What nobody
        could count may be of any kind, so a report that was not complete does not become so.

        Raises:
            ChoiceError: no formula and no row is of such a kind.
        """
        present = dict.fromkeys([*REGISTRY, *(row.op.kind for row in self.rows)])
        for kind in kinds:
            choose("kind", kind, present)
        rest = tuple(u for u in self.uncounted if u.operator not in kinds)
        rows = tuple(row for row in self.rows if row.op.kind in kinds)
        return replace(self, rows=rows, omitted=rest)

    def columns(self, by: str | None = None) -> list[str]:
        """The names that each of `records(by)` has."""
        if by is None:
            return list(Row(Op("", "", (), ()), Cost()).as_dict())
        return ["key", "ops", *Cost().as_dict()]

    def records(self, by: str | None = None) -> list[dict[str, Any]]:
        """Rows as dicts: one an operator, or one a group with its key, size and totals."""
        if by is None:
            return [row.as_dict() for row in self.rows]
        return [
            {"key": group.key, "ops": len(group.rows), **group.cost.as_dict(self.itemsize)}
            for group in self.by(by)
        ]

    def frame(self, by: str | None = None) -> pd.DataFrame:
        """`records(by)` as a pandas DataFrame; counts that may be unknown are nullable integers."""
        import pandas as pd

        frame = pd.DataFrame(self.records(by), columns=self.columns(by))
        unknown = ("macs", "flops", "activations")
        counts = [name for name in unknown if not (frame[name].dropna() >= 2**63).any()]
        return frame.astype(dict.fromkeys(counts, "Int64"))

    def to(self, format: str, by: str | None = None) -> str:
        """The report as text: a `table`, `markdown`, `csv`, `json` or `html`, a page of its own.

        Args:
            format: a key of `render.FORMATS`.
            by: the grouping of its rows; by default modules where people read, operators elsewhere.

        Raises:
            ChoiceError: unknown format or grouping.
            PageError: `html` without the packages of `mbanalyze[html]`.
        """
        from mbanalyze.report.view import FORMATS

        return FORMATS[choose("format", format, FORMATS)](self, by)

    def __repr__(self) -> str:
        return self.to("table")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from mbanalyze.report.view import table

        yield table(self, None, options.max_width)

    def _repr_html_(self) -> str:
        from mbanalyze.report.view import html

        return html(self)
