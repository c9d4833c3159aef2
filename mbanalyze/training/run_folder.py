"""The folder of a run: the record, the best weights, and the state after the last epoch.

The record names the other files with their digests, and is replaced last. A kill at any moment leaves the run as
it was after some epoch. Files that the record does not name are left from a kill, and are removed.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mbanalyze.display import records
from mbanalyze.display.files import OutputError, write
from mbanalyze.literature.accuracy.run_tables import HISTORY
from mbanalyze.training.record_file import History, StoredFile, read_history
from mbanalyze.training.run_record import RunError, RunRecord

_STATE = r"(?:weights|checkpoint)-\d+\.pt"
_BESIDE = re.compile(rf"{_STATE}|\.(?:{_STATE}|{re.escape(HISTORY)})\..*", re.ASCII)
"""The names of files that a run writes beside its record; those with a dot are left from a kill."""


@dataclass(slots=True)
class RunFolder:
    """The folder of a run.

    Attributes:
        path: the folder.
        history: its record.
    """

    path: Path
    history: History

    def commit(
        self, record: RunRecord, best: Mapping[str, Any] | None, checkpoint: Mapping[str, Any] | None
    ) -> None:
        """Write the state after an epoch.

        Args:
            record: the record with that epoch.
            best: the weights, if the epoch is the best so far; None keeps those of before.
            checkpoint: the state that a resumed run needs; None after the last epoch.

        Raises:
            OutputError: a file cannot be written; the folder is as it was before the epoch.
        """
        number = len(record.epochs)
        weights = self.history.weights if best is None else self._store(f"weights-{number}.pt", best)
        state = None if checkpoint is None else self._store(f"checkpoint-{number}.pt", checkpoint)
        self.replace(History(record, weights, state))

    def weights(self) -> dict[str, Any]:
        """Return the state dict of the best epoch; `RunError` if it is missing or damaged."""
        return self._load(self.history.weights, "weights")

    def checkpoint(self) -> dict[str, Any]:
        """Return the state after the last epoch; `RunError` if it is missing or damaged."""
        return self._load(self.history.checkpoint, "checkpoint")

    def _store(self, name: str, state: Mapping[str, Any]) -> StoredFile:
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        content = buffer.getvalue()
        write(self.path / name, content)
        return StoredFile(name, len(content), hashlib.sha256(content).hexdigest())

    def replace(self, history: History) -> None:
        """Replace the record, and remove the files that it does not name.

        Raises:
            OutputError: it cannot be written.
        """
        write(self.path / HISTORY, records.json(history.as_dict()))
        self.history = history
        self.clean()

    def clean(self) -> None:
        """Remove the files of a run that the record does not name."""
        named = {file.name for file in (self.history.weights, self.history.checkpoint) if file}
        for each in self.path.iterdir():
            if _BESIDE.fullmatch(each.name) and each.name not in named:
                each.unlink(missing_ok=True)

    def _load(self, file: StoredFile | None, what: str) -> dict[str, Any]:
        """The content of a file that the record names.

        Raises:
            RunError: the record names none, or the file is missing or damaged.
        """
        if file is None:
            raise RunError(f"{self.path} has no {what}: no epoch is finished")
        path = self.path / file.name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise RunError(
                f"{self.path} is damaged: {file.name} is missing; train again in another folder"
            ) from None
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror or error}") from error
        if (len(content), hashlib.sha256(content).hexdigest()) != (file.bytes, file.sha256):
            raise RunError(
                f"{self.path} is damaged: {file.name} differs from its digest in {HISTORY}; train again in another folder"
            )
        loaded: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return loaded


def open_folder(path: Path) -> RunFolder:
    """Return the folder of a run.

    Raises:
        RunError: the folder is no run, or its record is malformed.
    """
    return RunFolder(path, read_history(path))


def start_folder(path: Path, record: RunRecord, *, resume: bool) -> RunFolder:
    """Return the folder of a run that starts or goes on; a run without epochs starts again.

    Args:
        path: the folder; it is made if there is none.
        record: the record of a run without epochs.
        resume: go on with the run in the folder, if there is one.

    Raises:
        RunError: the folder has other files, or a run and `resume` is False, or a run with other settings.
        OutputError: the folder cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file: give a folder")
    if path.exists() and any(not each.name.startswith(f".{HISTORY}.") for each in path.iterdir()):
        found = open_folder(path)
        if not found.history.record.epochs:
            found.replace(History(record))
            return found
        if not resume:
            raise RunError(f"{path} has a run: --resume goes on with it, or give another folder")
        _require_equal(path, found.history.record.settings(), record.settings())
        found.clean()
        return found
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    started = RunFolder(path, History(record))
    started.replace(started.history)
    return started


def _require_equal(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise `RunError` if a run was asked for something else."""
    for name, value in _as_read(ours).items():
        if theirs[name] != value:
            nested = isinstance(value, dict)
            old, new = (theirs[name], value) if not nested else _first_difference(theirs[name], value)
            raise RunError(
                f"{path} has a run with {name} {old}, not {new}: give the same settings, or another folder"
            )


def _as_read(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as a record has them when it is read."""
    read: dict[str, Any] = json.loads(records.json(settings))
    return read


def _first_difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[str, str]:
    """The first option that differs, as both sides spell it."""
    name = next(each for each in {**theirs, **ours} if theirs.get(each) != ours.get(each))
    return f"{name}={theirs.get(name)}", f"{name}={ours.get(name)}"
