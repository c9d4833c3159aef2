"""The record of a run as JSON, checked when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mbanalyze._version import __version__
from mbanalyze.inputs.documents import DocumentError, read_text, require_shallow
from mbanalyze.inputs.json_values import RecordError, expect, is_newer, present, value_of, without_duplicates
from mbanalyze.literature.accuracy.run_tables import HISTORY, RUN_SCHEMA
from mbanalyze.training.epochs import Epoch
from mbanalyze.training.recipes import Recipe
from mbanalyze.training.run_record import RunError, RunRecord

_FLOATS = ("loss", "train_accuracy", "test_accuracy", "learning_rate", "seconds")


class StoredFile(NamedTuple):
    """A file beside the record.

    Attributes:
        name: its name in the folder.
        bytes: its size.
        sha256: the digest of its content, in hexadecimal digits.
    """

    name: str
    bytes: int
    sha256: str


class History(NamedTuple):
    """The content of a record's file.

    Attributes:
        record: the record.
        weights: the weights of the best epoch; None before the first epoch is finished.
        checkpoint: the state after the last epoch; None before the first and after the last.
    """

    record: RunRecord
    weights: StoredFile | None = None
    checkpoint: StoredFile | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the document."""
        files = {"weights": self.weights, "checkpoint": self.checkpoint}
        return {**self.record.as_dict(), **{name: file and file._asdict() for name, file in files.items()}}


def read_history(folder: Path) -> History:
    """Return the record in the folder of a run.

    Raises:
        RunError: the folder has no record, or a malformed one, or one of a newer version.
    """
    path = folder / HISTORY
    try:
        text = read_text(path)
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{folder} is no run: it has no {HISTORY}") from None
    except DocumentError as error:
        raise RunError(f"cannot read {path}: {error}") from error
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        document = expect(dict, json.loads(text, object_pairs_hook=without_duplicates), "the document")
        require_shallow(document)
        _require_schema(value_of(document, "schema", str), path)
        return _history(document)
    except RunError:
        raise
    except (ValueError, RecursionError) as error:
        why = "its values are nested too deeply" if isinstance(error, RecursionError) else error
        raise RunError(f"{path} is no record of a run ({why}): train again in another folder") from error


def _require_schema(schema: str, path: Path) -> None:
    name, number = RUN_SCHEMA.split("/")
    if is_newer(schema, name, int(number)):
        raise RunError(
            f"{path} has schema {schema}: upgrade mbanalyze; version {__version__} reads {RUN_SCHEMA}"
        )
    if schema != RUN_SCHEMA:
        raise RecordError(f"its schema is {schema!r}, not {RUN_SCHEMA!r}")


def _history(document: Mapping[str, Any]) -> History:
    return History(_record(document), _file(document, "weights"), _file(document, "checkpoint"))


def _record(document: Mapping[str, Any]) -> RunRecord:
    height, width = (expect(int, side, "size") for side in value_of(document, "size", list))
    versions = value_of(document, "versions", dict)
    return RunRecord(
        value_of(document, "model", str),
        value_of(document, "options", dict),
        (height, width),
        value_of(document, "channels", int),
        value_of(document, "data", str),
        tuple(expect(str, name, "classes") for name in value_of(document, "classes", list)),
        (value_of(document, "train_images", int), value_of(document, "test_images", int)),
        _recipe(value_of(document, "recipe", dict)),
        value_of(document, "seed", int),
        value_of(document, "device", str),
        {name: expect(str, version, name) for name, version in versions.items()},
        tuple(_epoch(each, number) for number, each in enumerate(value_of(document, "epochs", list), 1)),
    )


def _recipe(settings: Mapping[str, Any]) -> Recipe:
    try:
        return Recipe(**settings)
    except TypeError as error:
        raise RecordError(f"recipe is {dict(settings)}") from error


def _epoch(given: object, number: int) -> Epoch:
    """An epoch of the document, which has this number."""
    record = expect(dict, given, "an epoch")
    floats = (value_of(record, name, float) for name in _FLOATS)
    epoch = Epoch._make((value_of(record, "epoch", int), *floats, _optional(record, "macs")))
    fractions = (epoch.train_accuracy, epoch.test_accuracy)
    if epoch.epoch != number or not all(0 <= each <= 1 for each in fractions):
        raise RecordError(f"epoch {number} is {record}")
    return epoch


def _optional(record: Mapping[str, object], key: str) -> int | None:
    found = present(record, key)
    return None if found is None else expect(int, found, key)


def _file(document: Mapping[str, object], key: str) -> StoredFile | None:
    found = present(document, key)
    if found is None:
        return None
    record = expect(dict, found, key)
    name = value_of(record, "name", str)
    if Path(name).name != name or not name.startswith(f"{key}-"):
        raise RecordError(f"{key} is in {name!r}")
    return StoredFile(name, value_of(record, "bytes", int), value_of(record, "sha256", str))
