"""A training step that ran on tensors without data: its peak of memory, and its counts beside those of the rules."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from mbanalyze.ops.cost import Count

UNSEEN = (
    "detach, no_grad, checkpoints, custom gradients, views of larger tensors, unused results or kernels of the CPU "
    "may explain this: "
    "the rules do not see them"
)
"""The usual reason for a difference between a step and the rules."""


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """A training step that ran on tensors without data, and was counted without the rules.

    Attributes:
        phase: the phase at the peak of memory: `forward`, `backward` or `optimizer`.
        peak: the bytes in memory at the peak, by content; parameters and buffers are among them.
        counts: totals that the rules give too, by name; None is unknown.
    """

    phase: str
    peak: Mapping[str, int]
    counts: Mapping[str, Count]

    @property
    def peak_bytes(self) -> int:
        """The most bytes in memory at once during the step."""
        return sum(self.peak.values())


def differences(step: MeasuredStep, rules: Mapping[str, Count], bounds: Collection[str]) -> Iterator[str]:
    """Yield one line for each total that the step and the rules count differently, and the usual reason.

    Args:
        step: the step.
        rules: the totals by the rules.
        bounds: the totals among `rules` that are lower bounds.
    """
    different = {name: n for name, n in step.counts.items() if n is not None and n != rules[name]}
    for name, count in different.items():
        ours = _spelled(rules[name], is_bound=name in bounds)
        yield f"{name.replace('_', ' ')}: {count:,} in a training step without data, {ours} by the rules"
    if different.keys() - set(bounds):
        yield UNSEEN


def _spelled(count: Count, *, is_bound: bool) -> str:
    return "unknown" if count is None else f"{'at least ' if is_bound else ''}{count:,}"
