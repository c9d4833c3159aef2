"""What was analysed and what it costs: rows, totals, groupings and filters."""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal

from mbanalyze._version import __version__
from mbanalyze.cost import ITEM_SIZES, Cost, Op, Shape, Value, total
from mbanalyze.formulas import ARITHMETIC, cost

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderResult

CONVENTION = "mbanalyze/1"
"""The meaning of every column; a change to any raises the number."""

Method = Literal["closed-form", "trace"]


class ReportError(ValueError):
    """A grouping, format or dtype that reports do not have."""


@dataclass(frozen=True, slots=True)
class Row:
    """One operator and what it costs."""

    op: Op
    cost: Cost

    @property
    def sort(self) -> str:
        """The kind of operator, with its variant: 'conv depthwise', 'linear'."""
        return f"{self.op.kind} {self.op.variant or ''}".strip()

    def as_dict(self) -> dict[str, Any]:
        """The columns of a row, by name; unknown counts are None."""
        return {
            "path": self.op.path,
            "kind": self.op.kind,
            "variant": self.op.variant,
            "inputs": _shapes(self.op.inputs),
            "weights": _shapes(self.op.weights),
            "output": _shapes(self.op.output),
            "params": self.cost.params,
            "macs": self.cost.macs,
            "flops": self.cost.flops,
            "activations": self.cost.activations,
            "reads": self.cost.reads,
            "writes": self.cost.writes,
        }


def _shapes(values: tuple[Value, ...]) -> list[list[int]]:
    return [list(value.shape) for value in values]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that share a key, and what they cost together."""

    key: str
    rows: tuple[Row, ...]
    cost: Cost

    @property
    def complete(self) -> bool:
        """Whether every operator was counted."""
        return all(row.cost.flops is not None for row in self.rows)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of operators, each with its variant and once: ('conv depthwise', 'add')."""
        return tuple(dict.fromkeys(row.sort for row in self.rows))

    @property
    def output(self) -> tuple[Shape, ...]:
        """Shapes of what the last operator writes."""
        return tuple(value.shape for value in self.rows[-1].op.output) if self.rows else ()


def group(key: str, rows: Sequence[Row]) -> Group:
    """Rows under a name, with what they cost together; none cost nothing."""
    return Group(key, tuple(rows), total([row.cost for row in rows]))


class Groups(tuple[Group, ...]):  # noqa: SLOT001 (a tuple has no room for slots)
    """The rows of a report by one key: a tuple that a notebook shows as the report's table."""

    report: Report
    key: str

    def _repr_html_(self) -> str:
        from mbanalyze.render.report import html

        return html(self.report, self.key)


@dataclass(frozen=True, slots=True)
class Uncounted:
    """An operator that no formula counts, where it ran and how often."""

    operator: str
    path: str
    times: int


def block(path: str) -> str:
    """The block that a module is part of: its path up to the first number, else its first name.

    >>> block("features.3.conv.0.0"), block("layer1.0.bn1"), block("classifier")
    ('features.3', 'layer1.0', 'classifier')
    """
    numbered = re.match(r"(?:[^.]+\.)*?\d+(?=\.|$)", path)
    return numbered.group() if numbered else path.split(".", 1)[0]


KEYS: dict[str, Callable[[Row], str]] = {
    "op": lambda row: row.op.path,
    "module": lambda row: row.op.path,
    "block": lambda row: block(row.op.path),
    "kind": lambda row: row.op.kind,
}
"""What rows can be grouped by. `op` leaves each row on its own."""


def choose(what: str, given: str, known: Mapping[str, object]) -> str:
    """`given`, if it is one of `known`.

    Raises:
        ReportError: it is not; the message lists what is.
    """
    if not isinstance(given, str) or given not in known:
        raise ReportError(f"unknown {what} {given!r}: choose one of {', '.join(known)}")
    return given


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
            ReportError: `key` is none of these.
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
            ReportError: no formula and no row is of such a kind.
        """
        present = dict.fromkeys([*ARITHMETIC, *(row.op.kind for row in self.rows)])
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
            ReportError: unknown format or grouping.
            PageError: `html` without the packages of `mbanalyze[html]`.
        """
        from mbanalyze.render.report import FORMATS

        return FORMATS[choose("format", format, FORMATS)](self, by)

    def __repr__(self) -> str:
        return self.to("table")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from mbanalyze.render.report import table

        yield table(self, None, options.max_width)

    def _repr_html_(self) -> str:
        from mbanalyze.render.report import html

        return html(self)


def rows(ops: list[Op] | tuple[Op, ...]) -> tuple[Row, ...]:
    """Each operator with its cost."""
    return tuple(Row(op, cost(op)) for op in ops)
