"""A name for each of some reports, which tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from mbanalyze.archs import find
from mbanalyze.display import records
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.report.network import Report


def labels_of(reports: Sequence[Report]) -> tuple[str, ...]:
    """Return a name for each report: its model, the options that differ, and the least that makes it unique.

    Conventions that differ are in every name.
    """
    options = _differing(reports)
    names = [
        spell_reference(r.model, {name: value for name, value in r.options.items() if name in options})
        for r in reports
    ]
    if len({r.convention for r in reports}) > 1:
        names = [f"{name} {report.convention}" for name, report in zip(names, reports, strict=True)]
    for distinguish in (_inputs, lambda r: r.method, lambda r: r.dtype, _fusion):
        if len({*names}) < len(names) and len({distinguish(r) for r in reports}) > 1:
            names = [f"{name} {distinguish(r)}" for name, r in zip(names, reports, strict=True)]
    names = [records.one_line(name) for name in names]
    if len({*names}) == len(names):
        return tuple(names)
    return tuple(f"{name} ({i})" for i, name in enumerate(names, 1))


def _inputs(report: Report) -> str:
    return " ".join(map(records.shape, report.input))


def _fusion(report: Report) -> str:
    return "fused" if report.is_fused else "unfused"


def _differing(reports: Sequence[Report]) -> set[str]:
    """The options with different values in two reports, or with a value in only one report of a model."""
    found = set()
    for name in {name for report in reports for name in report.options}:
        models = {report.model for report in reports if name in report.options}
        values = {_option(r, name) for r in reports if r.model in models or _option(r, name)}
        found |= {name} if len(values) > 1 else set()
    return found


def _option(report: Report, name: str) -> str:
    """The value of an option as text, perhaps the default of an architecture; "" if the report has none."""
    arch, implied = find(report.model) or (None, {})
    default = (
        {field.name: field.default for field in fields(arch) if field.name not in implied} if arch else {}
    )
    values = {**default, **report.options}
    return repr(values[name]) if name in values else ""
