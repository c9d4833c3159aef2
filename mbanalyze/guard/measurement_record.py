"""A measurement as JSON: written into locks, sent by the processes of models, and checked when read."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from mbanalyze.guard.limits import FRACTIONS, LARGEST_COUNT
from mbanalyze.guard.measurement import LayerCost, Measurement
from mbanalyze.guard.memory_peaks import LayerMemory, Peak
from mbanalyze.inputs.json_values import RecordError, expect, present, value_of
from mbanalyze.ops.cost import ITEM_SIZES

HEAD_KEYS = ("source", "options", "method", "input", "dtype")
"""The attributes of a measurement that precede its totals."""


def head_record(measurement: Measurement, totals: Sequence[str]) -> dict[str, Any]:
    """Return a measurement without its layers and peaks, with some of its totals."""
    head = {key: getattr(measurement, key) for key in HEAD_KEYS}
    return {**head, "totals": {metric: measurement.totals[metric] for metric in totals}}


def peak_records(measurement: Measurement, totals: Sequence[str], *, held: bool) -> dict[str, Any]:
    """Return the peaks of some totals, with what is in memory if `held`."""
    return {
        metric: {
            "path": peak.path,
            "kind": peak.kind,
            **({"held": list(map(list, peak.held))} if held else {}),
        }
        for metric, peak in measurement.peaks.items()
        if metric in totals
    }


def layer_record(layer: LayerCost, counts: Sequence[str]) -> dict[str, Any]:
    """Return a layer without its path, with some of its counts."""
    return {
        "kinds": layer.kind,
        "output": layer.output,
        **{metric: layer.counts[metric] for metric in counts},
    }


def parse_measurement(
    given: object, totals: Sequence[str], counts: Sequence[str], optional: Sequence[str] = ()
) -> Measurement:
    """Return the measurement in a record.

    Args:
        given: record of the measurement.
        totals: metrics of the whole model.
        counts: metrics of each layer.
        optional: metrics of the whole model that the record may lack.

    Raises:
        RecordError: a value is missing, or no measurement has it.
    """
    record = expect(dict, given, "a model")
    dtype = value_of(record, "dtype", str)
    if dtype not in ITEM_SIZES:
        raise RecordError(f"dtype is {reprlib.repr(dtype)}")
    sums = value_of(record, "totals", dict)
    known = [metric for metric in (*totals, *optional) if metric in sums or metric not in optional]
    return Measurement(
        value_of(record, "source", str),
        value_of(record, "options", dict),
        value_of(record, "method", str),
        tuple(expect(str, shape, "a shape of input") for shape in value_of(record, "input", list)),
        dtype,
        parse_counts(sums, known),
        tuple(_parse_layer(path, layer, counts) for path, layer in value_of(record, "layers", dict).items()),
        _parse_peaks(expect(dict, record.get("peaks", {}), "peaks"), known),
    )


def _parse_peaks(record: Mapping[str, object], metrics: Sequence[str]) -> dict[str, Peak]:
    return {metric: _parse_peak(record[metric]) for metric in metrics if metric in record}


def _parse_peak(given: object) -> Peak:
    record = expect(dict, given, "a peak")
    held = expect(list, record.get("held", []), "held")
    return Peak(value_of(record, "path", str), value_of(record, "kind", str), tuple(map(_parse_held, held)))


def _parse_held(given: object) -> LayerMemory:
    parts = expect(list, given, "what a layer holds")
    if list(map(type, parts)) != [str, str, int]:
        raise RecordError(f"what a layer holds is {reprlib.repr(given)}")
    return LayerMemory(*parts)


def _parse_layer(path: str, given: object, counts: Sequence[str]) -> LayerCost:
    record = expect(dict, given, f"layer {reprlib.repr(path)}")
    kinds = tuple(value_of(record, "kinds", str).split(" + "))
    return LayerCost(path, kinds, value_of(record, "output", str), parse_counts(record, counts))


def parse_counts(record: Mapping[str, object], metrics: Sequence[str]) -> dict[str, Any]:
    """Return the counts of some metrics; None is unknown.

    Raises:
        RecordError: a count is missing, or is none.
    """
    return {metric: _parse_count(present(record, metric), metric) for metric in metrics}


def _parse_count(given: object, metric: str) -> int | float | None:
    """A count; only `FRACTIONS` may be fractions."""
    kinds = (int, float) if metric in FRACTIONS else (int,)
    return None if given is None else _within(given, kinds, metric)


def parse_number(record: Mapping[str, object], key: str) -> int | float:
    """Return a number that is not negative.

    Raises:
        RecordError: it is missing, or is none.
    """
    return _within(present(record, key), (int, float), key)


def _within(given: object, kinds: tuple[type, ...], what: str) -> int | float:
    if type(given) not in kinds or not 0 <= cast("float", given) <= LARGEST_COUNT:  # false for NaN
        raise RecordError(f"{what} is {reprlib.repr(given)}")
    return cast("int | float", given)
