"""The peak memory of a network by each account, and the tensors that are alive at the peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mbanalyze.display.records import finite, shape
from mbanalyze.display.result import Result
from mbanalyze.inputs.choices import choose
from mbanalyze.ops.record import Op
from mbanalyze.peak_memory.fusion import fused
from mbanalyze.peak_memory.timeline import ACCOUNTS, Account, Lifetime, Step, Timeline
from mbanalyze.report.network import CONVENTION, Report, share_of
from mbanalyze.sources.file_models import is_graph
from mbanalyze.sources.resolve import Countable, count

MEMORY_SCHEMA = "mbanalyze.memory/1"


class CapacityError(ValueError):
    """Arguments that contradict each other."""


@dataclass(frozen=True, repr=False)
class Memory(Result):
    """The peak memory of a network.

    Attributes:
        report: the report of the network.
        account: the account whose tensors are listed.
    """

    report: Report
    account: Account = "ideal"

    @property
    def timeline(self) -> Timeline:
        """The activations in memory, step by step, by the account."""
        return self.report.timeline(self.account)

    @property
    def peak_bytes(self) -> int:
        """The most bytes of activations that are alive at once."""
        return self.timeline.peak_bytes

    @property
    def peak(self) -> Step | None:
        """The first operator that runs while `peak_bytes` are alive; None for a network without operators."""
        return peak_of(self.timeline)

    @cached_property
    def tensors(self) -> tuple[Lifetime, ...]:
        """The activations that are alive at the peak, the largest first."""
        timeline = self.timeline
        return tuple(timeline.alive(timeline.peak)) if timeline.steps else ()

    def stored_bytes(self, account: Account | None = None) -> int:
        """Return the bytes of the weights and buffers that the operators of an account read, each once.

        In `deployed`, a batch norm that is merged into a convolution leaves one bias for each channel.
        """
        ops: Sequence[Op] = self.report.ops
        if (account or self.account) == "deployed":
            ops = [each.op for each in fused(ops, self.report.outputs)]
        sizes: dict[tuple[str, int], int] = {}
        for value in (operand for op in ops for operand in op.operands if operand.role != "activation"):
            key, size = (value.role, value.number), value.extent * (value.itemsize or self.report.itemsize)
            sizes[key] = max(sizes.get(key, 0), size)
        return sum(sizes.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the result as the JSON document of schema `MEMORY_SCHEMA`."""
        report, timeline = self.report, self.timeline
        return {
            "schema": MEMORY_SCHEMA,
            "model": report.model,
            "options": {name: finite(value) for name, value in report.options.items()},
            "input": [list(sizes) for sizes in report.input],
            "method": report.method,
            "convention": CONVENTION,
            "versions": dict(report.versions),
            "dtype": report.dtype,
            "accounts": [self._summary(account) for account in report.accounts],
            "account": self.account,
            "tensors": [
                {**record, "shape": list(tensor.shape)}
                for record, tensor in zip(self.records(), self.tensors, strict=True)
            ],
            "steps": [
                {"path": step.path, "kind": step.kind, "live_bytes": live}
                for step, live in zip(timeline.steps, timeline.live_bytes, strict=True)
            ],
            "notes": list(report.notes),
            "unseen": list(report.unseen),
        }

    def _summary(self, account: Account) -> dict[str, Any]:
        """The peak of an account, the operator that runs there, and the bytes of its weights and buffers."""
        timeline = self.report.timeline(account)
        step = peak_of(timeline)
        return {
            "account": account,
            "peak_bytes": timeline.peak_bytes,
            "path": step and step.path,
            "kind": step and step.kind,
            "stored_bytes": self.stored_bytes(account),
        }

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each tensor that is alive at the peak: its writer, shape, bytes and share."""
        peak = self.peak_bytes
        return [
            {
                "path": tensor.path,
                "kind": tensor.kind,
                "shape": shape(tensor.shape),
                "bytes": tensor.bytes,
                "share": share_of(tensor.bytes, peak),
            }
            for tensor in self.tensors
        ]

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return ["path", "kind", "shape", "bytes", "share"]


def peak_of(timeline: Timeline) -> Step | None:
    """Return the first operator that runs while the most bytes are alive; None without operators."""
    return timeline.steps[timeline.peak] if timeline.steps else None


def memory(what: Countable | Report, /, *inputs: Any, account: Account = "ideal", **options: Any) -> Memory:
    """Return the peak memory of a network: the most bytes of activations that are alive at once.

    Args:
        what: a network, as `mbanalyze.count` takes it, or its report.
        inputs: the inputs of its forward pass, as for `count`.
        account: the account whose tensors are listed: `ideal` for the least memory that the order of the operators
            needs, `eager` for what PyTorch holds in Python, `deployed` for an inference engine. `eager` traces.
        options: hyper-parameters of the network, as for `count`.

    Raises:
        ChoiceError: unknown account.
        CapacityError: inputs or options with a report.
        AccountError: `eager` with the report of a closed form, or of a file without a module.
        OptionError, InputError, ShapeError, SourceError, TraceError: the network cannot be counted.

    >>> memory("mobilenet_v2", dtype="int8", account="deployed").peak_bytes
    1404928
    """
    choose("account", account, ACCOUNTS)
    if not isinstance(what, Report):
        trace = options.pop("trace", False)
        needs_trace = account == "eager" and not is_graph(what)
        what = count(what, *inputs, trace=trace or needs_trace, **options)
    elif inputs or options:
        raise CapacityError("inputs and options describe a network: give one that is not counted yet")
    what.timeline(account)  # its error comes with the call, not with the first display
    return Memory(what, account)
