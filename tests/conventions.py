"""A small module counted by a counter, and by our rules of its convention."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import Tensor, nn
from witness import torchvision_operators

from benchmarks.peers import quietly
from mbanalyze.conventions.convention import Record
from mbanalyze.conventions.known import CONVENTIONS
from mbanalyze.crosscheck.counters import COUNTERS
from mbanalyze.sources.resolve import resolve


def counted(
    name: str, module: nn.Module, *inputs: Tensor, keywords: Mapping[str, Tensor] | None = None
) -> int:
    """Return the total of a counter for a copy of the module in eval mode."""
    torchvision_operators()  # some counters import torchvision
    with quietly():
        return COUNTERS[name](copy.deepcopy(module).eval(), inputs, keywords or {})


def recorded(module: nn.Module, *inputs: Tensor, keywords: Mapping[str, Tensor] | None = None) -> Record:
    """Return the forward pass of the module as conventions read it."""
    return resolve(module, *inputs, kwargs=dict(keywords or {})).report(calls=True).record


def both(
    name: str, module: nn.Module, *inputs: Tensor, keywords: Mapping[str, Tensor] | None = None
) -> tuple[int, int]:
    """Return the counter's total and the convention's total, each in the counter's unit."""
    record = recorded(module, *inputs, keywords=keywords)
    return counted(name, module, *inputs, keywords=keywords), CONVENTIONS[name].total(record)


def differences(
    name: str, module: nn.Module, *inputs: Tensor, keywords: Mapping[str, Tensor] | None = None
) -> dict[str, int]:
    """Return the differences of the convention from our macs, by their names."""
    return total_and_differences(name, recorded(module, *inputs, keywords=keywords))[1]


def total_and_differences(name: str, record: Record) -> tuple[int, dict[str, int]]:
    """Return the total of a convention, and its differences from our macs by their names."""
    convention = CONVENTIONS[name]
    total, found = convention.total(record), dict(convention.differences(record))
    assert sum(record.macs) + sum(found.values()) == total
    return total, found
