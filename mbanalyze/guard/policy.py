"""What people decide: which models are guarded, and how; `[tool.mbanalyze]` of pyproject.toml, or mbanalyze.toml."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

from mbanalyze.archs.options import OptionError
from mbanalyze.guard.limits import TOTALS, UNUSED, Budget, Growth, Level, budget, checked_level, growths
from mbanalyze.inputs.parsing import ParseError, parse_input
from mbanalyze.inputs.typed import InputError, Mode
from mbanalyze.ops.cost import ITEM_SIZES

LOCK = "mbanalyze.lock.json"
EXAMPLE = '[tool.mbanalyze.models.small] source = "net.py:build", inputs = ["1,3,64,64"]'


class PolicyError(ValueError):
    """A policy that is not there, or cannot be understood."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for a model, or for some of its layers.

    Attributes:
        budget: the most of each total that is limited.
        growth: by how much each count may grow.
    """

    budget: Mapping[str, Budget]
    growth: Mapping[str, Growth]


@dataclass(frozen=True, slots=True)
class Model:
    """A guarded model.

    Attributes:
        name: what the policy calls it.
        source: a reference as `mbanalyze report` takes it.
        options: of the architecture, or arguments of the factory.
        inputs: its shapes by position, each as text.
        settings: how it is counted: `dtype`, `mode`, `trace`, `real` and `keep`.
        rules: what holds for the whole.
        layers: what holds for layers whose path fits a pattern; the first that fits is the one.
        strict: whether a lock that is out of date fails even where nothing grew.
        allow_uncounted: operators that may do without a count.
        line: where the policy defines it, counted from 1.
    """

    name: str
    source: str
    options: Mapping[str, Any]
    inputs: tuple[str, ...]
    settings: Mapping[str, Any]
    rules: Rules
    layers: tuple[tuple[str, Rules], ...] = ()
    strict: bool = False
    allow_uncounted: frozenset[str] = frozenset()
    line: int = 1

    def rules_of(self, path: str) -> Rules:
        """What holds for one layer: no budget, and the model's growth, unless a pattern says otherwise."""
        for pattern, rules in self.layers:
            if fnmatchcase(path, pattern):
                return rules
        return Rules({}, self.rules.growth)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a project guards.

    Attributes:
        path: of the file that says so.
        lock: where the facts are kept.
        models: by name.
        python_path: folders in which imports look first; `src`, where there is one, unless others are named.
    """

    path: Path
    lock: Path
    models: Mapping[str, Model] = field(default_factory=dict)
    python_path: tuple[Path, ...] = ()


def find(start: Path) -> Path:
    """The file with the policy: in `start`, or in the nearest folder above that has one.

    Raises:
        PolicyError: there is none, or two in one folder.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        found = [file for file in (folder / "mbanalyze.toml", folder / "pyproject.toml") if _has_policy(file)]
        if len(found) > 1:
            raise PolicyError(f"{folder} has a policy in mbanalyze.toml and in pyproject.toml: keep one")
        if found:
            return found[0]
    raise PolicyError(f"no policy in mbanalyze.toml or pyproject.toml, here or above: write {EXAMPLE}")


def _has_policy(file: Path) -> bool:
    if not file.is_file():
        return False
    return file.name == "mbanalyze.toml" or "mbanalyze" in _parsed(file).get("tool", {})


def load(path: Path) -> Policy:
    """The policy in a file.

    Raises:
        PolicyError: it cannot be read, or says something that makes no sense; the message says where.
    """
    document = _parsed(path)
    table = document if "tool" not in document else document["tool"].get("mbanalyze")
    if not isinstance(table, Mapping):
        raise PolicyError(f"{path} has no [tool.mbanalyze]: write {EXAMPLE}")
    try:
        return _policy(path, table)
    except (OptionError, ParseError, InputError) as error:
        raise PolicyError(f"{path}: {error}") from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{path} is not TOML: {error}") from error


ROOT = ("lock", "python_path", "max_increase", "level", "strict", "allow_uncounted", "models")
MODEL = (
    *("source", "options", "inputs", "dtype", "mode", "trace", "real", "keep"),
    *("budget", "max_increase", "level", "strict", "allow_uncounted", "layers"),
)
LAYER = ("budget", "max_increase", "level")


def _policy(path: Path, table: Mapping[str, Any]) -> Policy:
    _check_keys("the policy", table, ROOT)
    level = checked_level(table.get("level", "error"))
    base = Rules({}, growths("0", level) | growths(table.get("max_increase", "0"), level))
    models = _table("models", table.get("models", {}))
    if not models:
        raise PolicyError(f"{path} guards no model: write {EXAMPLE}")
    folder = path.resolve().parent
    text = path.read_text(encoding="utf-8")
    source = ["src"] if (folder / "src").is_dir() else []
    return Policy(
        path,
        folder / _text("lock", table.get("lock", LOCK)),
        {name: _model(name, _table(name, given), table, base, text) for name, given in models.items()},
        tuple((folder / each).resolve() for each in _texts("python_path", table.get("python_path", source))),
    )


def _model(name: str, given: Mapping[str, Any], table: Mapping[str, Any], base: Rules, text: str) -> Model:
    where = f"models.{name}"
    _check_keys(where, given, MODEL)
    if "source" not in given:
        raise OptionError(f'{where} needs a source, such as source = "net.py:build"')
    level = checked_level(given.get("level", table.get("level", "error")))
    rules = _rules(where, given, base, level)
    layers = _table(f"{where}.layers", given.get("layers", {}))
    inputs = _texts(f"{where}.inputs", given.get("inputs", []))
    for each in inputs:
        parse_input(each)
    return Model(
        name,
        _text(f"{where}.source", given["source"]),
        _table(f"{where}.options", given.get("options", {})),
        inputs,
        _settings(where, given),
        rules,
        tuple((glob, _layer(f"{where}.layers.{glob}", part, rules, level)) for glob, part in layers.items()),
        _flag("strict", given.get("strict", table.get("strict", False))),
        frozenset(
            each
            for some in (table, given)
            for each in _texts("allow_uncounted", some.get("allow_uncounted", []))
        ),
        _line(text, name),
    )


def _layer(where: str, given: Any, rules: Rules, level: Level) -> Rules:
    _check_keys(where, _table(where, given), LAYER)
    return _rules(where, given, rules, checked_level(given.get("level", level)))


def _rules(where: str, given: Mapping[str, Any], base: Rules, level: Level) -> Rules:
    """The rules of one table, which inherits by how much counts may grow."""
    budgets = _table(f"{where}.budget", given.get("budget", {}))
    _check_keys(
        f"{where}.budget", budgets, [total for total in TOTALS if total != UNUSED or ".layers." not in where]
    )
    try:
        inherited = {
            count: _at(growth, level) if "level" in given else growth for count, growth in base.growth.items()
        }
        return Rules(
            {total: budget(total, most, level) for total, most in budgets.items()},
            inherited | growths(given.get("max_increase", {}), level),
        )
    except (OptionError, ParseError) as error:
        raise OptionError(f"{where}: {error}") from error


def _at(growth: Growth, level: Level) -> Growth:
    return Growth(growth.percent, growth.amount, level)


def _settings(where: str, given: Mapping[str, Any]) -> dict[str, Any]:
    choices: dict[str, Iterable[Any]] = {"dtype": ITEM_SIZES, "mode": get_args(Mode)}
    choices |= dict.fromkeys(("trace", "real", "keep"), (False, True))
    settings = {name: given[name] for name in choices if name in given}
    for name, value in settings.items():
        if value not in choices[name] or isinstance(value, bool) != (True in choices[name]):
            raise OptionError(f"{where}.{name} is one of {', '.join(map(str, choices[name]))}, not {value!r}")
    return settings


def _check_keys(where: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise OptionError(f"{where} has {key!r}: {hint}known are {', '.join(known)}")


def _table(where: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise OptionError(f"{where} is a table, not {given!r}")
    return given


def _text(where: str, given: Any) -> str:
    if not isinstance(given, str) or not given:
        raise OptionError(f"{where} is a text, not {given!r}")
    return given


def _texts(where: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, list):
        raise OptionError(f"{where} is a list of texts in brackets, not {given!r}")
    return tuple(_text(where, each) for each in given)


def _flag(where: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise OptionError(f"{where} is true or false, not {given!r}")
    return given


def _line(text: str, name: str) -> int:
    """The line of a file where the table of a model begins, or else the first."""
    known = rf"""models\s*\.\s*["']?{re.escape(name)}["']?\s*"""
    begins = re.compile(
        rf"""\s*(\[\s*(tool\s*\.\s*mbanalyze\s*\.\s*)?{known}[\].]|({known}|["']?{re.escape(name)}["']?\s*)=)"""
    )
    return next((i for i, line in enumerate(text.splitlines(), 1) if begins.match(line)), 1)
