"""A small module counted by a counter, and by our rules of its convention."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mbanalyze.conventions.convention import Record
from mbanalyze.conventions.known import CONVENTIONS
from mbanalyze.crosscheck.counters import COUNTERS
from mbanalyze.sources.resolve import resolve


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Suppress output, logs and warnings of a counter, and restore the names of PyTorch that it replaced."""
    places: tuple[Any, ...] = (torch, functional, Tensor)
    before = [dict(vars(place)) for place in places]
    text, disabled = io.StringIO(), logging.root.manager.disable
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(text),
        contextlib.redirect_stderr(text),
        contextlib.ExitStack() as stack,
    ):
        warnings.simplefilter("ignore")
        logging.disable()
        stack.callback(logging.disable, disabled)
        try:
            yield
        finally:
            for place, names in zip(places, before, strict=True):
                for name, value in dict(vars(place)).items():
                    if name in names and names[name] is not value:
                        setattr(place, name, names[name])


def counted(
    name: str, module: nn.Module, *inputs: Tensor, keywords: Mapping[str, Tensor] | None = None
) -> int:
    """Return the total of a counter for a copy of the module in eval mode."""
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
    return explained(name, recorded(module, *inputs, keywords=keywords))[1]


def explained(name: str, record: Record) -> tuple[int, dict[str, int]]:
    """Return the total of a convention, and its differences from our macs by their names."""
    convention = CONVENTIONS[name]
    total, found = convention.total(record), dict(convention.differences(record))
    assert sum(record.macs) + sum(found.values()) == total
    return total, found
