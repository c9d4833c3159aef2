"""The facts that are committed: `mbanalyze.lock.json`, a line a layer, sorted, so that a diff shows what grew."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mbanalyze._version import __version__
from mbanalyze.display.files import write
from mbanalyze.guard.facts import Facts, Layer, natural, totals_of
from mbanalyze.guard.limits import COUNTS, UNUSED
from mbanalyze.report.network import CONVENTION

NAME, NUMBER = "mbanalyze.lock", 1
UPDATE = "mbanalyze guard update"


class LockError(ValueError):
    """A lock that cannot be read, or not by this version.

    Attributes:
        remedy: the command that mends it; "" where none does.
    """

    remedy = ""


class DamagedLockError(LockError):
    """A lock that a new one replaces."""

    remedy = UPDATE


class NewerLockError(LockError):
    """A lock of a schema that is not known yet."""

    remedy = "pip install --upgrade mbanalyze"


@dataclass(frozen=True, slots=True)
class Lock:
    """What each model cost when that was last agreed to.

    Attributes:
        models: by name.
        convention, version: of the tool that counted.
    """

    models: Mapping[str, Facts] = field(default_factory=dict)
    convention: str = CONVENTION
    version: str = __version__

    @property
    def is_ours(self) -> bool:
        """Whether this version of the tool counted."""
        return (self.convention, self.version) == (CONVENTION, __version__)


def read(path: Path) -> Lock | None:
    """The lock in a file; None where there is no file.

    Raises:
        LockError: it cannot be read, is damaged, or is newer than this version of the tool; the message says
            what to do.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    return loads(text, path.name)


def loads(text: str, name: str) -> Lock:
    """The lock in a text, which messages call `name`.

    Raises:
        LockError: as `read`.
    """
    if any(line.startswith(("<<<<<<<", ">>>>>>>")) for line in text.splitlines()):
        raise DamagedLockError(
            f"{name} has the marks of a merge conflict: run '{UPDATE}' and commit what it writes"
        )
    try:
        document = json.loads(text, object_pairs_hook=_once)
        schema, _, number = document["schema"].partition("/")
        if schema == NAME and int(number) > NUMBER:
            raise NewerLockError(
                f"{name} has schema {NAME}/{number}: upgrade mbanalyze, {__version__} knows {NUMBER}"
            )
        return _lock(document)
    except LockError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        raise DamagedLockError(
            f"{name} is damaged ({why}): run '{UPDATE}' and look at the difference"
        ) from error


def _lock(document: Mapping[str, Any]) -> Lock:
    if document["schema"] != f"{NAME}/{NUMBER}":
        raise ValueError(f"schema {document['schema']!r}")
    models = {name: _facts(name, given) for name, given in document["models"].items()}
    return Lock(models, str(document["convention"]), str(document["version"]))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object that names nothing twice, as one does that was merged without a conflict."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"{next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))!r} twice")
    return found


def _facts(name: str, given: Mapping[str, Any]) -> Facts:
    layers = tuple(
        Layer(path, tuple(layer["kinds"].split(" + ")), str(layer["output"]), _counts(layer))
        for path, layer in given["layers"].items()
    )
    totals = _counts(given["totals"], (*COUNTS, UNUSED))
    if totals_of(layers) != {name: totals[name] for name in COUNTS}:
        raise ValueError(f"the layers of {name!r} do not add up to its totals")
    input = tuple(map(str, given["input"]))
    return Facts(
        given["source"], dict(given["options"]), given["method"], input, given["dtype"], totals, layers
    )


def _counts(given: Mapping[str, Any], names: Sequence[str] = COUNTS) -> dict[str, int | None]:
    counts = {name: given[name] for name in names}
    for name, count in counts.items():
        if not (count is None or (type(count) is int and count >= 0)):
            raise ValueError(f"{name} is {count!r}")
    return counts


def dumps(lock: Lock) -> str:
    """The text of a lock: indented down to the models, and then a line each."""
    head = {"schema": f"{NAME}/{NUMBER}", "convention": lock.convention, "version": lock.version}
    models = sorted(lock.models.items(), key=lambda model: natural(model[0]))
    lines = [f"  {_json(key)}: {_json(value)}," for key, value in head.items()]
    body = ",\n".join(f"    {_json(name)}: {_model(facts)}" for name, facts in models)
    return "{\n" + "\n".join(lines) + '\n  "models": {\n' + body + "\n  }\n}\n"


def _model(facts: Facts) -> str:
    head = {
        "source": facts.source,
        "options": dict(facts.options),
        "method": facts.method,
        "input": list(facts.input),
        "dtype": facts.dtype,
        "totals": {name: facts.totals[name] for name in (*COUNTS, UNUSED)},
    }
    lines = [f"      {_json(key)}: {_json(value)},\n" for key, value in head.items()]
    layers = ",\n".join(f"        {_json(layer.path)}: {_json(_layer(layer))}" for layer in facts.layers)
    return "{\n" + "".join(lines) + '      "layers": {\n' + layers + "\n      }\n    }"


def _layer(layer: Layer) -> dict[str, Any]:
    return {"kinds": layer.kind, "output": layer.output, **{name: layer.counts[name] for name in COUNTS}}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def save(path: Path, lock: Lock) -> None:
    """Write a lock, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write(path, dumps(lock))


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Inside the `with`, nobody else on this machine who asks so too changes a lock in that folder.

    Where the system has no such locks (Windows), of two that write at once the last one stays.

    Raises:
        LockError: there is no such folder.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise LockError(f"cannot write {path}: {error.strerror}: {path.parent}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
