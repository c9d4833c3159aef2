"""The lock file `mbanalyze.lock.json`: the accepted measurements, sorted and with one line for each layer."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mbanalyze._version import __version__
from mbanalyze.display.files import write
from mbanalyze.guard.limits import GROWTH_METRICS, LOCKED_METRICS
from mbanalyze.guard.measurement import LayerCost, Measurement, natural_key, sum_of_layers
from mbanalyze.report.network import CONVENTION

SCHEMA_NAME, SCHEMA_NUMBER = "mbanalyze.lock", 1
SCHEMA = f"{SCHEMA_NAME}/{SCHEMA_NUMBER}"
HEAD_KEYS = ("source", "options", "method", "input", "dtype")
"""The attributes of a measurement that precede its totals."""
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
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
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
        document = json.loads(text, object_pairs_hook=_without_duplicates)
        schema, _, number = document["schema"].partition("/")
        if schema == SCHEMA_NAME and int(number) > SCHEMA_NUMBER:
            fix = f"upgrade mbanalyze; version {__version__} reads schema {SCHEMA_NUMBER}"
            raise NewerLockError(f"{name} has schema {SCHEMA_NAME}/{number}: {fix}")
        return _parse_lock(document)
    except LockError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        why = f"key {error} is missing" if isinstance(error, KeyError) else error
        fix = f"run '{UPDATE_COMMAND}' and review the difference"
        raise DamagedLockError(f"{name} is damaged ({why}): {fix}") from error


def _parse_lock(document: Mapping[str, Any]) -> Lock:
    if document["schema"] != SCHEMA:
        raise ValueError(f"unknown schema {document['schema']!r}")
    models = {name: _parse_measurement(name, given) for name, given in document["models"].items()}
    return Lock(models, str(document["convention"]), str(document["version"]))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object without duplicate keys, which a merge without conflict markers can leave behind."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        duplicate = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise ValueError(f"duplicate key {duplicate!r}")
    return found


def _parse_measurement(name: str, given: Mapping[str, Any]) -> Measurement:
    layers = tuple(
        LayerCost(path, tuple(layer["kinds"].split(" + ")), str(layer["output"]), _parse_counts(layer))
        for path, layer in given["layers"].items()
    )
    totals = _parse_counts(given["totals"], GROWTH_METRICS)
    if sum_of_layers(layers) != {metric: totals[metric] for metric in LOCKED_METRICS}:
        raise ValueError(f"the layers of {name!r} do not add up to its totals")
    source, options, method, input, dtype = (given[key] for key in HEAD_KEYS)
    return Measurement(source, dict(options), method, tuple(map(str, input)), dtype, totals, layers)


def _parse_counts(given: Mapping[str, Any], metrics: Sequence[str] = LOCKED_METRICS) -> dict[str, int | None]:
    counts = {metric: given[metric] for metric in metrics}
    for metric, count in counts.items():
        if not (count is None or (type(count) is int and count >= 0)):
            raise ValueError(f"{metric} is {count!r}")
    return counts


def dumps(lock: Lock) -> str:
    """Return the text of a lock: indented to the level of the models, with one line for each key and layer."""
    head = {"schema": SCHEMA, "convention": lock.convention, "version": lock.version}
    models = sorted(lock.models.items(), key=lambda model: natural_key(model[0]))
    lines = [f"  {_json(key)}: {_json(value)}," for key, value in head.items()]
    body = ",\n".join(f"    {_json(name)}: {_dump_measurement(each)}" for name, each in models)
    return "{\n" + "\n".join(lines) + '\n  "models": {\n' + body + "\n  }\n}\n"


def _dump_measurement(measurement: Measurement) -> str:
    head = {key: getattr(measurement, key) for key in HEAD_KEYS}
    head["totals"] = {metric: measurement.totals[metric] for metric in GROWTH_METRICS}
    lines = "".join(f"      {_json(key)}: {_json(value)},\n" for key, value in head.items())
    layers = ",\n".join(f"        {_json(x.path)}: {_json(_layer_record(x))}" for x in measurement.layers)
    return "{\n" + lines + '      "layers": {\n' + layers + "\n      }\n    }"


def _layer_record(layer: LayerCost) -> dict[str, Any]:
    counts = {metric: layer.counts[metric] for metric in LOCKED_METRICS}
    return {"kinds": layer.kind, "output": layer.output, **counts}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


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
