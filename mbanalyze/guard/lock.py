"""The lock file `mbanalyze.lock.json`: the accepted measurements, sorted and with one line for each layer."""

from __future__ import annotations

import hashlib
import json
import os
import reprlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mbanalyze._version import __version__
from mbanalyze.display.files import write
from mbanalyze.guard.limits import GROWTH_METRICS, LOCKED_METRICS, LOCKED_PEAKS
from mbanalyze.guard.measurement import Measurement, natural_key, sum_of_layers
from mbanalyze.guard.measurement_record import head_record, layer_record, parse_measurement, peak_records
from mbanalyze.inputs.documents import DocumentError, read_text, require_shallow
from mbanalyze.inputs.json_values import expect, is_newer, value_of, without_duplicates
from mbanalyze.report.network import CONVENTION

SCHEMA_NAME, SCHEMA_NUMBER = "mbanalyze.lock", 1
SCHEMA = f"{SCHEMA_NAME}/{SCHEMA_NUMBER}"
UPDATE_COMMAND = "mbanalyze guard update"


class LockError(ValueError):
    """A lock that this version cannot read.

    Attributes:
        fix: command that repairs the lock; "" if no command does.
    """

    fix = ""


class DamagedLockError(LockError):
    """A damaged lock, which an update replaces."""

    fix = UPDATE_COMMAND


class NewerLockError(LockError):
    """A lock whose schema is newer than this version."""

    fix = "pip install --upgrade mbanalyze"


@dataclass(frozen=True, slots=True)
class Lock:
    """The accepted measurements of a project.

    Attributes:
        models: measurements by the name of the model.
        convention: counting convention of the mbanalyze that wrote the lock.
        version: version of the mbanalyze that wrote the lock.
    """

    models: Mapping[str, Measurement] = field(default_factory=dict)
    convention: str = CONVENTION
    version: str = __version__

    @property
    def is_current(self) -> bool:
        """True if this version of mbanalyze wrote the lock."""
        return (self.convention, self.version) == (CONVENTION, __version__)


def read(path: Path) -> Lock | None:
    """Return the lock in a file; None if the file does not exist.

    Raises:
        LockError: the file cannot be read, or is damaged or newer than this version. The message says how to
            fix it.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        return None
    except DocumentError as error:
        raise LockError(f"cannot read {path}: {error}; remove it and run '{UPDATE_COMMAND}'") from error
    except OSError as error:
        raise LockError(f"cannot read {path}: {error.strerror or error}") from error
    return loads(text, path.name)


def loads(text: str, name: str) -> Lock:
    """Parse the text of a lock, which error messages call `name`.

    Raises:
        LockError: the text is damaged or newer than this version.
    """
    if any(line.startswith(("<<<<<<<", ">>>>>>>")) for line in text.splitlines()):
        problem = f"{name} contains merge conflict markers"
        raise DamagedLockError(f"{problem}: run '{UPDATE_COMMAND}' and commit the result")
    try:
        document = expect(dict, json.loads(text, object_pairs_hook=without_duplicates), "the document")
        require_shallow(document)
        schema = value_of(document, "schema", str)
        if is_newer(schema, SCHEMA_NAME, SCHEMA_NUMBER):
            fix = f"upgrade mbanalyze; version {__version__} reads schema {SCHEMA_NUMBER}"
            raise NewerLockError(f"{name} has schema {schema}: {fix}")
        return _parse_lock(document)
    except LockError:
        raise
    except (ValueError, RecursionError) as error:
        why = "its values are nested too deeply" if isinstance(error, RecursionError) else error
        fix = f"run '{UPDATE_COMMAND}' and review the difference"
        raise DamagedLockError(f"{name} is damaged ({why}): {fix}") from error


def _parse_lock(document: Mapping[str, object]) -> Lock:
    if document["schema"] != SCHEMA:
        raise ValueError(f"unknown schema {reprlib.repr(document['schema'])}")
    models = value_of(document, "models", dict)
    return Lock(
        {name: _parse_model(name, given) for name, given in models.items()},
        value_of(document, "convention", str),
        value_of(document, "version", str),
    )


def _parse_model(name: str, given: object) -> Measurement:
    required = [metric for metric in GROWTH_METRICS if metric not in LOCKED_PEAKS]
    measurement = parse_measurement(given, required, LOCKED_METRICS, LOCKED_PEAKS)
    totals = {metric: measurement.totals[metric] for metric in LOCKED_METRICS}
    if sum_of_layers(measurement.layers) != totals:
        raise ValueError(f"the layers of {reprlib.repr(name)} do not add up to its totals")
    return measurement


def dumps(lock: Lock) -> str:
    """Return the text of a lock: indented to the level of the models, with one line for each key and layer."""
    head = {"schema": SCHEMA, "convention": lock.convention, "version": lock.version}
    models = sorted(lock.models.items(), key=lambda model: natural_key(model[0]))
    lines = [f"  {_json(key)}: {_json(value)}," for key, value in head.items()]
    body = ",\n".join(f"    {_json(name)}: {_dump_measurement(each)}" for name, each in models)
    return "{\n" + "\n".join(lines) + '\n  "models": {\n' + body + "\n  }\n}\n"


def _dump_measurement(measurement: Measurement) -> str:
    head = head_record(measurement, [metric for metric in GROWTH_METRICS if metric in measurement.totals])
    peaks = peak_records(measurement, LOCKED_PEAKS, held=False)
    head |= {"peaks": peaks} if peaks else {}
    lines = "".join(f"      {_json(key)}: {_json(value)},\n" for key, value in head.items())
    layers = ",\n".join(
        f"        {_json(layer.path)}: {_json(layer_record(layer, LOCKED_METRICS))}"
        for layer in measurement.layers
    )
    return "{\n" + lines + '      "layers": {\n' + layers + "\n      }\n    }"


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    # Half of a surrogate pair, which the name of a module may contain, has no UTF-8.
    return text if text.isprintable() else json.dumps(value)


def save(path: Path, lock: Lock) -> None:
    """Write a lock completely or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write(path, dumps(lock))


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keep other processes of this machine from updating the lock `path` inside the `with` statement."""
    from filelock import FileLock  # loads asyncio, which other commands do without

    # The system's temporary folder and not the folder of the lock, where git would show the file: filelock
    # leaves it behind, because removing it while another process waits for it would let both proceed.
    key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    with FileLock(Path(tempfile.gettempdir()) / f"mbanalyze-{key}.lock", mode=0o666):
        yield
