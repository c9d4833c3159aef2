"""The report of one network: its rows, totals and groups."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal

from mbanalyze._version import __version__
from mbanalyze.conventions.convention_names import find_convention, labelled
from mbanalyze.display.records import finite
from mbanalyze.display.result import Result, ResultSequence
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.typed import Sizes
from mbanalyze.ops.cost import ITEM_SIZES, Cost, Count, total
from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import REGISTRY
from mbanalyze.peak_memory.timeline import Timeline
from mbanalyze.report.accounts import PEAKS, Accounts
from mbanalyze.report.convention_rows import convention_notes, convention_rows
from mbanalyze.report.fused_rows import FUSED, fused_rows
from mbanalyze.report.rows import KEYS, Group, Row, Uncounted, group, grouped, trainable_params
from mbanalyze.report.training import TRAINING_COLUMNS, Training, UncountedTraining

if TYPE_CHECKING:
    import pandas as pd

    from mbanalyze.conventions.convention import Convention, Record
    from mbanalyze.ops.calls import Calls

REPORT_SCHEMA = "mbanalyze.report/1"
CONVENTION = "mbanalyze/1"
"""The convention of counting: the number rises when the meaning of a column changes."""

Method = Literal["closed-form", "trace", "file"]

TOTALS = (*Cost().as_dict(), *PEAKS)
"""The totals of a report."""


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of mbanalyze, Python and the installed `packages`, by name."""
    return {
        "mbanalyze": __version__,
        "python": platform.python_version(),
        **{package: _installed(package) for package in packages},
    }


@cache
def _installed(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def share_of(part: float | None, whole: float | None) -> float | None:
    """Return `part / whole`; None if either is unknown, or `whole` is zero."""
    return None if part is None or not whole else part / whole


@dataclass(frozen=True, repr=False)
class Groups(ResultSequence[Group]):
    """The rows of a report by one key: a sequence of `Group`s, in order of first appearance.

    Attributes:
        report: the report.
        key: the grouping, one of `KEYS`.
        items: the groups.
    """

    report: Report
    key: str
    items: tuple[Group, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report's document, with one row for each group."""
        return {**self.report.as_dict(), "rows": self.records()}

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each group: its key, its number of operators, its totals and its share."""
        return [
            {
                "key": group.key,
                "ops": len(group.rows),
                **group.cost.as_dict(self.report.itemsize),
                "trainable_params": group.trainable_params,
                "live_bytes": self.report.live_bytes(group.rows),
                "macs_share": share_of(group.cost.macs, self.report.totals.macs),
                **self.report.training_counts(group.rows),
                **self.report.convention_column,
            }
            for group in self
        ]

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return [
            "key",
            "ops",
            *Cost().as_dict(),
            "trainable_params",
            "live_bytes",
            "macs_share",
            *self.report.training_columns,
            *self.report.convention_column,
        ]


@dataclass(frozen=True, repr=False)
class Report(Accounts, Result):
    """The cost of a network, operator by operator.

    Attributes:
        model: the reference or name that was counted.
        options: its hyper-parameters.
        input: shapes of the inputs.
        method: `closed-form`, `trace`, or `file` for the nodes of a file.
        rows: every operator in order, with its cost.
        dtype: the element type assumed for byte counts, a key of `ITEM_SIZES`.
        free: operators that cost nothing, and the number of calls of each; empty for a closed form.
        unused_params: names of the parameters that the forward pass never reads.
        omitted: uncounted operators among those that `only` left out.
        versions: versions of the software that made the report.
        notes: settings that differ from the usual ones.
        real: True if the network ran on values, not only on shapes.
        unseen: reasons to believe that a trace missed some work; empty for a complete report.
        defaults: the values of options that the model's name alone stands for.
        ops: every operator of the network, with those that `only` left out.
        outputs: the numbers of the activations that a traced network returned; None for a closed form.
        run: returns the activations in memory while PyTorch ran a traced network; None for a closed form.
        is_fused: True if batch norms and activations are merged into the product before them.
        frozen_weights: the numbers of the weights that require no gradient.
        training: the cost of a training step; None unless it was asked for.
        calls: the calls of modules and functions behind the operators; None unless they were followed.
        convention: the convention of its macs: `CONVENTION`, or another counter's with its version.
    """

    model: str
    options: Mapping[str, Any]
    input: tuple[Sizes, ...]
    method: Method
    rows: tuple[Row, ...]
    dtype: str = "float32"
    free: Mapping[str, int] = field(default_factory=dict)
    unused_params: tuple[str, ...] = ()
    omitted: tuple[Uncounted, ...] = ()
    versions: Mapping[str, str] = field(default_factory=versions)
    notes: tuple[str, ...] = ()
    real: bool = False
    unseen: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    ops: tuple[Op, ...] = ()
    outputs: tuple[int, ...] | None = None
    run: Callable[[], Timeline] | None = field(default=None, compare=False)
    is_fused: bool = False
    frozen_weights: frozenset[int] = frozenset()
    training: Training | None = None
    calls: Calls | None = field(default=None, compare=False)
    convention: str = CONVENTION

    def __post_init__(self) -> None:
        choose("dtype", self.dtype, ITEM_SIZES)
        if not self._has_ops():
            recorded = [op for row in self.rows for op in (row.parts or (row.op,))]
            object.__setattr__(self, "ops", tuple(recorded))

    def _has_ops(self) -> bool:
        """True if `ops` are those of the rows, and not of other rows that these replace."""
        known = set(map(id, self.ops))
        return bool(known) and all(id(op) in known for row in self.rows for op in row.recorded)

    @property
    def reference(self) -> str:
        """The model and its options as every command takes them, without defaults: 'mobilenet_v2@alpha=0.75'."""
        default = self.defaults.items()
        return spell_reference(self.model, dict(o for o in self.options.items() if o not in default))

    @property
    def record(self) -> Record:
        """The forward pass as conventions of counting read it."""
        from mbanalyze.conventions.convention import Record

        return Record(self.ops, self.calls, self.outputs)

    @property
    def other_convention(self) -> Convention | None:
        """The convention of another counter that gave its macs; None for ours."""
        return labelled(self.convention)

    @cached_property
    def totals(self) -> Cost:
        """The sum over all rows; macs and flops are lower bounds unless the report is `complete`."""
        return total([row.cost for row in self.rows])

    def training_counts(self, rows: Iterable[Row]) -> dict[str, Count]:
        """Return the cost of training some rows, by `TRAINING_COLUMNS`; nothing without training."""
        return self.training.of(rows)._asdict() if self.training else {}

    @cached_property
    def uncounted_training(self) -> tuple[UncountedTraining, ...]:
        """Every operator of which a count of training is unknown; empty without training."""
        return self.training.uncounted(self.rows) if self.training else ()

    def total_counts(self) -> dict[str, int | float | None]:
        """Return each of `TOTALS`, and with training each of `TRAINING_TOTALS`."""
        peaks = {name: self.peak_bytes(account) for name, account in PEAKS.items()}
        training = self.training.totals(self.rows) if self.training else {}
        return {**self.totals.as_dict(self.itemsize), **peaks, **training}

    @cached_property
    def trainable_params(self) -> int:
        """The learned scalars that require a gradient; all of them in a closed form."""
        return trainable_params(self.totals, self.rows)

    @cached_property
    def uncounted(self) -> tuple[Uncounted, ...]:
        """Every operator without a count; empty if the report is complete."""
        times = Counter((r.op.kind, r.op.path) for r in self.rows if r.cost.flops is None)
        return (*(Uncounted(kind, path, n) for (kind, path), n in times.items()), *self.omitted)

    @property
    def complete(self) -> bool:
        """True if every operator of the forward pass is counted."""
        return not self.uncounted and not self.unseen

    def by(self, key: str) -> Groups:
        """Return the rows grouped by `op`, `module`, `block` or `kind`, in order of first appearance.

        Raises:
            ChoiceError: unknown grouping.
        """
        of = KEYS[choose("grouping", key, KEYS)]
        if key == "op":
            return Groups(self, key, tuple(Group(of(row), (row,), row.cost) for row in self.rows))
        groups = grouped(self.rows, map(of, self.rows))
        return Groups(self, key, tuple(group(name, rows) for name, rows in groups.items()))

    def only(self, *kinds: str) -> Report:
        """Return the same report with the rows of some kinds alone.

        `only("conv", "linear", "matmul")` is the convention of counters that see nothing else. An uncounted
        operator may be of any kind, so an incomplete report stays incomplete.

        Raises:
            ChoiceError: a kind without a formula and without a row.
        """
        present = dict.fromkeys([*REGISTRY, *(row.op.kind for row in self.rows)])
        for kind in kinds:
            choose("kind", kind, present)
        omitted = tuple(u for u in self.uncounted if u.operator not in kinds)
        rows = tuple(row for row in self.rows if row.op.kind in kinds)
        return replace(self, rows=rows, omitted=omitted)

    def fused(self) -> Report:
        """Return the same report with memory access as an inference engine moves it.

        A batch norm and an activation that alone read the output of a convolution or linear layer are merged into
        its row. The row has the sums of their params, macs and flops. It reads the input, the weight, a bias, and
        the weight of a PReLU, and writes the last output. The peaks of memory are unchanged.
        """
        if self.is_fused:
            return self
        merged = tuple(fused_rows(self.rows, self.ops, self.outputs))
        report = replace(self, rows=merged, notes=(*self.notes, FUSED), is_fused=True)
        return report.under(self.other_convention.name) if self.other_convention else report

    def under(self, convention: str) -> Report:
        """Return the same report with the macs that another counter counts.

        The amount of a module's or function's call is in the row of the first operator that it ran.
        All other columns are unchanged.

        Args:
            convention: the name of the convention, such as `thop`. Most need `count(..., convention=...)`, which
                traces the module and follows its calls.

        Raises:
            ChoiceError: the name is unknown.
            ConventionError: the report lacks what the convention counts, or has the cost of a training step.
        """
        from mbanalyze.conventions.convention import ConventionError

        chosen = find_convention(convention)
        if self.training:
            raise ConventionError("a convention counts one forward pass: count without train=True")
        record = self.record
        old = convention_notes(self.other_convention, record) if self.other_convention else []
        notes = [note for note in self.notes if note not in old] + convention_notes(chosen, record)
        rows = convention_rows(self.rows, record, chosen)
        return replace(self, rows=rows, notes=tuple(notes), convention=chosen.label)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as the JSON document of schema `REPORT_SCHEMA`."""
        return {
            "schema": REPORT_SCHEMA,
            "model": self.model,
            "options": {name: finite(value) for name, value in self.options.items()},
            "input": [list(sizes) for sizes in self.input],
            "method": self.method,
            "fused": self.is_fused,
            "convention": self.convention,
            "versions": dict(self.versions),
            "dtype": self.dtype,
            "complete": self.complete,
            "totals": {
                **self.total_counts(),
                "trainable_params": self.trainable_params,
            },
            "rows": self.records(),
            "uncounted": [asdict(uncounted) for uncounted in self.uncounted],
            "free": dict(self.free),
            "unused_params": list(self.unused_params),
            "notes": list(self.notes),
            "real": self.real,
            "unseen": list(self.unseen),
            **({"training": self.training.as_dict(self.rows)} if self.training else {}),
        }

    def records(self, by: str | None = None) -> list[dict[str, Any]]:
        """Return one record for each operator, or for each group of `by`."""
        if by is not None:
            return self.by(by).records()
        macs = self.totals.macs
        return [
            {
                **row.as_dict(),
                "live_bytes": self.live_bytes((row,)),
                "macs_share": share_of(row.cost.macs, macs),
                **self.training_counts((row,)),
                **self.convention_column,
            }
            for row in self.rows
        ]

    def columns(self, by: str | None = None) -> list[str]:
        """Return the keys of each record."""
        if by is not None:
            return self.by(by).columns()
        return [
            *Row(Op("", "", (), ()), Cost()).as_dict(),
            "live_bytes",
            "macs_share",
            *self.training_columns,
            *self.convention_column,
        ]

    @property
    def convention_column(self) -> dict[str, str]:
        """The column of its rows that names the convention; empty for ours."""
        return {"convention": self.convention} if self.other_convention else {}

    @property
    def training_columns(self) -> tuple[str, ...]:
        """The columns of its rows that training adds."""
        return TRAINING_COLUMNS if self.training else ()

    def frame(self, by: str | None = None) -> pd.DataFrame:
        """Return `records(by)` as a pandas DataFrame; counts that may be unknown are nullable integers."""
        return super().frame() if by is None else self.by(by).frame()

    def to(self, format: str = "table", by: str | None = None, **options: Any) -> str:
        """Return the report as text.

        Args:
            format: `table`, `markdown`, `csv`, `json`, or `html` for a page of its own.
            by: the grouping of its rows; by default `module` in tables, and none in `csv` and `json`.
            options: settings of the view.
                `sort` is a column of numbers, the largest first. `top` is a number of rows, by `sort` or else macs.
                Tables sum the other rows in one; data leave them out.
                `columns` is a list of names. For tables and Markdown, `depth` is a number of levels of modules,
                `collapse=False` keeps repeated blocks apart, and `width` limits a table.

        Raises:
            ChoiceError: unknown format, grouping, column or setting.
            SelectionError: settings that contradict each other or the format.
            PageError: `html` without the packages of `mbanalyze[html]`.
        """
        return super().to(format, **options) if by is None else self.by(by).to(format, **options)
