"""A way of counting multiply-accumulates, as tables of rules, and how its total differs from ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

from mbanalyze.ops.calls import Calls, FunctionCall, ModuleCall
from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import cost

Counted = TypeVar("Counted", Op, ModuleCall, FunctionCall)


class ConventionError(ValueError):
    """A record that lacks what a convention counts."""


class Amount(NamedTuple):
    """An amount that a convention counts for one operator or one call.

    Attributes:
        what: the rule in words: 'batch_norm: 2 for each output element'.
        macs: the amount, in multiply-accumulates.
        first, last: the operators `ops[first:last]` of the record that it belongs to.
        claims: True if it replaces our macs of these operators, False if it is added to them.
    """

    what: str
    macs: int
    first: int
    last: int
    claims: bool = True


class Difference(NamedTuple):
    """A part of the gap between a convention's total and our macs.

    Attributes:
        what: the rule in words.
        amount: the part of the gap, in the unit of the total; below zero if the convention counts less.
    """

    what: str
    amount: int


@dataclass(frozen=True)
class Record:
    """One forward pass as conventions read it.

    Attributes:
        ops: its operators.
        calls: the calls behind them; None if they were not followed, or for a closed form.
        outputs: the numbers of the activations that it returned; None for a closed form.
    """

    ops: tuple[Op, ...]
    calls: Calls | None = None
    outputs: tuple[int, ...] | None = None

    @cached_property
    def macs(self) -> tuple[int, ...]:
        """Our macs of each operator; 0 where they are unknown."""
        return tuple(cost(op).macs or 0 for op in self.ops)

    @property
    def modules(self) -> tuple[ModuleCall, ...]:
        """The calls of modules; empty if calls were not followed."""
        return self.calls.modules if self.calls else ()

    @property
    def functions(self) -> tuple[FunctionCall, ...]:
        """The calls of functions; empty if calls were not followed."""
        return self.calls.functions if self.calls else ()

    @property
    def batch(self) -> int:
        """The length of the model's first positional argument, a tensor or a list; 1 without one."""
        return self.modules[0].batch if self.modules else 1


@dataclass(frozen=True, slots=True)
class Rule(Generic[Counted]):
    """A rule that gives an amount for each operator of a kind, or for each call.

    Attributes:
        what: the rule in words, after the name of the kind, class or function.
        count: returns the amount.
        claims: as in `Amount`.
    """

    what: str
    count: Callable[[Counted], int]
    claims: bool = True


Rules = Mapping[str, tuple[Rule[Counted], ...]]
"""The rules of each kind of operator, class of modules, or function; all others count nothing."""
RecordRule = Callable[[Record], Iterable[Amount]]
"""A rule that needs the whole record."""


@dataclass(frozen=True)
class Convention:
    """The way in which a counter counts.

    Attributes:
        name: the name on the command line.
        title: the counter's own name.
        package: the package that has the counter; "" for a convention of publications.
        version: the version whose behaviour the rules state.
        kinds: the rules of kinds of operators, by `Op.kind`.
        classes: the rules of exact classes of modules, by `ModuleCall.type`.
        functions: the rules of the Python functions that the counter replaces, by `FunctionCall.name`.
        record_rules: rules that need the whole record.
        closed: the classes of modules inside which the rules of classes do not count.
        factor: the total of the counter is its amounts times this: 2 for flops.
        needs_trace: True if the rules need the calls of a trace, or the names of PyTorch's operators.
        note: amounts of the counter that the rules leave out; "" for nothing.
    """

    name: str
    title: str
    package: str
    version: str
    kinds: Rules[Op] = field(default_factory=dict)
    classes: Rules[ModuleCall] = field(default_factory=dict)
    functions: Rules[FunctionCall] = field(default_factory=dict)
    record_rules: tuple[RecordRule, ...] = ()
    closed: frozenset[str] = frozenset()
    factor: int = 1
    needs_trace: bool = True
    note: str = ""

    @property
    def label(self) -> str:
        """The convention in one word for outputs: 'fvcore/0.1.5.post20221221'."""
        return f"{self.name}/{self.version}"

    @property
    def counter(self) -> str:
        """The counter with its version, in words: 'FlopCounterMode on meta 2.13.0', 'ptflops 0.7.5, ATen back end'."""
        tool, comma, part = self.title.partition(",")
        return f"{tool} {self.version}{comma}{part}"

    @property
    def unit(self) -> str:
        """The unit of the counter's total, `macs` or `flops`."""
        return "macs" if self.factor == 1 else "flops"

    def amounts(self, record: Record) -> list[Amount]:
        """Return every amount that the convention counts, in macs.

        Raises:
            ConventionError: the record has no calls, and the convention counts calls; or a call lacks what is counted.
        """
        if self.needs_trace and record.calls is None:
            raise ConventionError(
                f"the convention {self.name} needs a trace that follows calls: count with convention={self.name!r}"
            )
        return [
            *_of_ops(self.kinds, record.ops),
            *_of_calls(self.classes, self.hooked(record), lambda call: call.type),
            *_of_calls(self.functions, record.functions, lambda call: call.name),
            *(amount for rule in self.record_rules for amount in rule(record)),
        ]

    def hooked(self, record: Record) -> Iterator[ModuleCall]:
        """Yield the calls of modules that the rules of classes count: those that are not inside a closed module."""
        closed = {call.path for call in record.modules if call.type in self.closed}
        return (call for call in record.modules if closed.isdisjoint(_enclosing(call.path)))

    def total(self, record: Record) -> int:
        """Return the total as the counter gives it, in its unit."""
        return self.factor * sum(amount.macs for amount in self.amounts(record))

    def of_ops(self, record: Record) -> list[int]:
        """Return the amount of each operator, in macs; that of a call belongs to the first operator that it ran.

        Raises:
            ConventionError: as for `amounts`, or an amount is counted and no operator ran.
        """
        counts = [0] * len(record.ops)
        for amount in self.amounts(record):
            if amount.macs and not counts:
                raise ConventionError(f"{self.name} counts {amount.what}, but the network runs no operator")
            if amount.macs:
                counts[min(amount.first, len(counts) - 1)] += amount.macs
        return counts

    def differences(self, record: Record) -> list[Difference]:
        """Return the differences of the total from our macs, whose sum is the gap.

        The difference of a rule is the sum of its amounts, less our macs that they replace.
        Each kind with operators that no rule counts is a difference of its own. Differences of zero are left out.
        """
        parts: dict[str, int] = {}
        left = dict(enumerate(record.macs))
        for what, macs, first, last, claims in self.amounts(record):
            ours = sum(left.pop(i, 0) for i in range(first, last)) if claims else 0
            parts[what] = parts.get(what, 0) + macs - ours
        for i, ours in left.items():
            what = f"{record.ops[i].kind}: not counted"
            parts[what] = parts.get(what, 0) - ours
        if self.factor != 1:
            counted = sum(record.macs) + sum(parts.values())
            parts[f"{self.factor} flops for each multiply-accumulate"] = counted * (self.factor - 1)
        return [Difference(what, amount) for what, amount in parts.items() if amount]


def _of_ops(rules: Rules[Op], ops: Iterable[Op]) -> Iterator[Amount]:
    """The amounts of operators by their kinds."""
    for i, op in enumerate(ops):
        for rule in rules.get(op.kind, ()):
            yield Amount(f"{op.kind}: {rule.what}", rule.count(op), i, i + 1, rule.claims)


def _enclosing(path: str) -> Iterator[str]:
    """The paths of the modules around a module."""
    while path:
        path = path.rpartition(".")[0]
        yield path


Call = TypeVar("Call", ModuleCall, FunctionCall)


def _of_calls(rules: Rules[Call], calls: Iterable[Call], name_of: Callable[[Call], str]) -> Iterator[Amount]:
    """The amounts of calls by their names."""
    for call in calls:
        name = name_of(call)
        for rule in rules.get(name, ()):
            try:
                macs = rule.count(call)
            except (IndexError, KeyError) as error:
                raise ConventionError(
                    f"no rule counts {name} at {call.path or '(model)'} with inputs {list(call.inputs)}"
                ) from error
            yield Amount(f"{name}: {rule.what}", macs, call.first, call.last, rule.claims)
