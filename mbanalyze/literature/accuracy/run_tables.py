"""The accuracy of runs that `mbanalyze train` wrote: a row for each network, with its mean over seeds."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mbanalyze.inputs.documents import DocumentError, read_text
from mbanalyze.inputs.json_values import RecordError, expect, value_of, without_duplicates
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.resolution import as_resolution, spell_resolution
from mbanalyze.literature.accuracy.cells import AccuracyError
from mbanalyze.literature.accuracy.raw_table import RawTable

RUN_SCHEMA = "mbanalyze.run/1"
"""The schema of the record of a run."""
HISTORY = "history.json"
"""The name of the record in the folder of a run."""
COLUMNS = ("model", "top1", "top1_spread", "seeds")
"""The columns of the table: the spread is the sample standard deviation, for several seeds."""


class MeasuredRun(NamedTuple):
    """A finished run.

    Attributes:
        place: its folder, or its reference and seed.
        model: the name of the model, without options.
        options: its options, with the size of its images as `resolution`.
        settings: the data and the settings of the training as text, equal for runs that differ in the seed alone.
        seed: the seed.
        accuracy: the highest fraction of test images that were classified correctly after an epoch.
    """

    place: str
    model: str
    options: Mapping[str, Any]
    settings: str
    seed: int
    accuracy: float


def read_runs(folder: Path) -> RawTable:
    """Return the table of the finished runs in a folder, or of the run that the folder is.

    Raises:
        AccuracyError: there is no finished run, a record is malformed, or runs of one network differ in more than
            the seed.
    """
    try:
        found = sorted({folder / HISTORY, *folder.glob(f"*/{HISTORY}")})
    except OSError as error:
        raise AccuracyError(f"it cannot be read: {error.strerror or error}") from error
    runs = [_run(path) for path in found if path.is_file()]
    if not runs:
        raise AccuracyError(
            "it has no runs: 'mbanalyze train --output' and 'mbanalyze ablate --train' write them"
        )
    if finished := [run for run in runs if run]:
        return run_table(finished)
    raise AccuracyError("it has no finished run: --resume goes on with one")


def measured_run(document: Mapping[str, Any], place: str) -> MeasuredRun | None:
    """Return the run of a record; None if it is not finished.

    Raises:
        RecordError: a value of the record is missing or has another type.
    """
    if value_of(document, "schema", str) != RUN_SCHEMA:
        raise RecordError(f"its schema is {document['schema']!r}, not {RUN_SCHEMA!r}")
    recipe, epochs = value_of(document, "recipe", dict), value_of(document, "epochs", list)
    if len(epochs) < value_of(recipe, "epochs", int):
        return None
    accuracies = [value_of(expect(dict, each, "an epoch"), "test_accuracy", float) for each in epochs]
    height, width = (expect(int, side, "size") for side in value_of(document, "size", list))
    settings = {"data": value_of(document, "data", str), **recipe}
    return MeasuredRun(
        place,
        value_of(document, "model", str),
        {
            **value_of(document, "options", dict),
            "resolution": spell_resolution(as_resolution((height, width))),
        },
        ", ".join(f"{name} {value}" for name, value in settings.items()),
        value_of(document, "seed", int),
        max(accuracies),
    )


def _run(path: Path) -> MeasuredRun | None:
    """The run of a file."""
    try:
        document = expect(
            dict, json.loads(read_text(path), object_pairs_hook=without_duplicates), "the document"
        )
        return measured_run(document, path.parent.name)
    except (OSError, DocumentError, ValueError, RecursionError) as error:
        raise AccuracyError(f"{path.parent.name}/{HISTORY} is no record of a run ({error})") from error


def run_table(runs: Sequence[MeasuredRun]) -> RawTable:
    """Return a row for each network: the mean of its accuracy in per cent, its spread, and the number of seeds.

    Raises:
        AccuracyError: runs of one network differ in more than the seed, or have the same seed.
    """
    groups = defaultdict[str, list[MeasuredRun]](list)
    for run in runs:
        groups[spell_reference(run.model, run.options)].append(run)
    rows = tuple((_place(group), _cells(reference, group)) for reference, group in groups.items())
    columns = tuple(name for name in COLUMNS if any(name in cells for _, cells in rows))
    return RawTable("the runs", columns, rows)


def _place(group: Sequence[MeasuredRun]) -> str:
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    return f"{group[0].place}{more}"


def _cells(reference: str, group: Sequence[MeasuredRun]) -> dict[str, Any]:
    """The cells of a network's row."""
    first, *others = sorted(group, key=lambda run: run.seed)
    for run in others:
        if run.settings != first.settings:
            raise AccuracyError(
                f"{first.place} and {run.place} train one network with {first.settings}, and {run.settings}: "
                "give a folder with one of them"
            )
    _require_seeds(group)
    accuracies = [100 * run.accuracy for run in group]
    spread = {"top1_spread": statistics.stdev(accuracies)} if others else {}
    return {"model": reference, "top1": statistics.fmean(accuracies), **spread, "seeds": len(group)}


def _require_seeds(group: Iterable[MeasuredRun]) -> None:
    """Raise `AccuracyError` if two runs of a network have one seed."""
    seeds = dict[int, str]()
    for run in group:
        if run.seed in seeds:
            raise AccuracyError(f"{seeds[run.seed]} and {run.place} train one network with seed {run.seed}")
        seeds[run.seed] = run.place
