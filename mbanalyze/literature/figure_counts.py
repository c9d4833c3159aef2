"""The counts of networks by the ways of counting behind figures."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import cast

from mbanalyze.archs.options import Architecture
from mbanalyze.conventions.convention import Record
from mbanalyze.conventions.printed_figures import PrintedConvention


@functools.cache
def _record(spec: Hashable) -> Record:
    return Record(tuple(cast("Architecture", spec).ops()))


@functools.cache
def _count(how: Callable[[Record], int], spec: Hashable) -> int:
    return how(_record(spec))


def count_by(convention: PrintedConvention, spec: Architecture) -> int:
    """Return the count of `spec` by a convention."""
    counted = replace(spec, **convention.options) if convention.options else spec
    return _count(convention.count, cast("Hashable", counted))
