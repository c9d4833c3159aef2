"""Reading of a policy from `[tool.mbanalyze]` of pyproject.toml, or from mbanalyze.toml."""

from __future__ import annotations

import errno
import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

from mbanalyze.guard import limits
from mbanalyze.guard.limits import (
    BUDGET_METRICS,
    GROWTH_METRICS,
    LAYER_METRICS,
    LOCKED_METRICS,
    Growth,
    Level,
)
from mbanalyze.guard.policy import GuardedModel, Policy, PolicyError, Rules
from mbanalyze.guard.toml_table import TomlTable, parse_flag, parse_text
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.documents import DocumentError, read_text, require_shallow
from mbanalyze.inputs.input_text import parse_input, spell_input
from mbanalyze.inputs.parsing import split_reference
from mbanalyze.inputs.typed import AnyPath, Mode
from mbanalyze.ops.cost import ITEM_SIZES

ADVICE = "run 'mbanalyze guard init net.py:build --input 1,3,64,64' with your model and its input"
ROOT_KEYS = ("lock", "python_path", "profile", "max_increase", "level", "strict", "allow_uncounted", "models")
MODEL_KEYS = (
    *("source", "options", "inputs", "dtype", "mode", "trace", "real", "keep", "profile"),
    *("budget", "max_increase", "level", "strict", "allow_uncounted", "layers"),
)
LAYER_KEYS = ("budget", "max_increase", "level")


class MissingPolicyError(PolicyError):
    """A file without a policy, or a folder without such a file."""


def find(start: AnyPath) -> Path:
    """Return the policy file in `start`, or in the nearest parent folder that has one.

    Raises:
        PolicyError: there is no policy file, or a folder has two.
    """
    here = Path(start).resolve()
    for folder in (here, *here.parents):
        found = [file for file in (folder / "mbanalyze.toml", folder / "pyproject.toml") if _has_policy(file)]
        if len(found) > 1:
            raise PolicyError(f"{folder} has a policy in mbanalyze.toml and in pyproject.toml: keep one")
        if found:
            return found[0]
    raise MissingPolicyError(
        f"no policy in mbanalyze.toml or pyproject.toml, here or in a parent folder: {ADVICE}"
    )


def _has_policy(file: Path) -> bool:
    if not file.is_file():
        return False
    if file.name == "mbanalyze.toml":
        return True
    document = parse(file)[1]
    if "mbanalyze" in document:
        raise PolicyError(f"{file}: rename [mbanalyze] to [tool.mbanalyze]")
    return "mbanalyze" in _tools(document)


def load(path: AnyPath) -> Policy:
    """Read the policy from a file.

    Raises:
        PolicyError: the file cannot be read, or has mistakes; the error lists all of them.
    """
    file = Path(path)
    text, document = parse(file)
    return _load(file, text, document)


def loads(path: Path, text: str) -> Policy:
    """Read the policy from the text of a file; errors as for `load`."""
    return _load(path, text, _parse_text(path, lambda: text)[1])


def tables(document: Mapping[str, Any]) -> Any:
    """Return the table of the policy in the values of a file; None if there is none."""
    return _tools(document).get("mbanalyze") if "tool" in document else document


def _load(path: Path, text: str, document: Mapping[str, Any]) -> Policy:
    values = _tools(document).get("mbanalyze") if path.name == "pyproject.toml" else tables(document)
    if not isinstance(values, Mapping):
        raise MissingPolicyError(f"{path} has no [tool.mbanalyze]: {ADVICE}")
    problems: list[str] = []
    policy = _read_policy(path, text, TomlTable("", values, problems))
    if problems:
        raise PolicyError(*(f"{path}: {problem}" for problem in problems))
    return policy


def parse(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a file, and its values.

    Raises:
        PolicyError: the file cannot be read, or is not valid TOML.
    """
    return _parse_text(path, lambda: read_text(path))


def _parse_text(path: Path, read: Callable[[], str]) -> tuple[str, dict[str, Any]]:
    """The text that `read` returns for a file, and its values; errors as for `parse`."""
    try:
        text = read()
        document = tomllib.loads(text)
        require_shallow(_tools(document).get("mbanalyze", document))
    except (OSError, DocumentError) as error:
        raise PolicyError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    except ValueError as error:
        raise PolicyError(f"{path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise PolicyError(f"cannot read {path}: its values are nested too deeply") from error
    return text, document


def _tools(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table `tool`; empty if there is none."""
    tools = document.get("tool")
    return tools if isinstance(tools, Mapping) else {}


@dataclass(frozen=True, slots=True)
class _Defaults:
    """The values that a policy sets for all of its models."""

    folder: Path
    profile: Path | None
    rules: Rules
    level: Level
    strict: bool
    allow_uncounted: tuple[str, ...]


def _read_policy(path: Path, text: str, root: TomlTable) -> Policy:
    root.check_keys(ROOT_KEYS)
    models = root.table("models")
    if not models.values and not root.problems:
        root.report(f"no guarded model: {ADVICE}")
    folder = path.resolve().parent
    default_path = ("src",) if (folder / "src").is_dir() else ()
    defaults = _read_defaults(root, folder)
    return Policy(
        path,
        root.get("lock", partial(_parse_lock, folder), folder / "mbanalyze.lock.json"),
        {
            name: _read_model(name, table, defaults, _line_of(text, name))
            for name, table in models.tables().items()
        },
        tuple(
            (folder / each).resolve()
            for each in root.get_list("python_path", partial(_parse_place, folder), default_path)
        ),
    )


def _read_defaults(root: TomlTable, folder: Path) -> _Defaults:
    default: Level = "error"
    level = root.get("level", limits.parse_level, default)
    return _Defaults(
        folder,
        _read_profile(root, folder, None),
        Rules({}, limits.parse_uniform_growth("0", level) | _read_growth(root, level, GROWTH_METRICS)),
        level,
        root.get("strict", parse_flag, default=False),
        root.get_list("allow_uncounted", parse_text),
    )


def _read_model(name: str, table: TomlTable, defaults: _Defaults, line: int) -> GuardedModel:
    table.check_keys(MODEL_KEYS)
    if "source" not in table.values:
        table.report('no source: write such as source = "net.py:build"')
    source, options = _read_reference(table)
    level = table.get("level", limits.parse_level, defaults.level)
    rules = _read_rules(table, defaults.rules, level, BUDGET_METRICS, GROWTH_METRICS)
    return GuardedModel(
        name,
        source,
        options,
        _read_inputs(table),
        _read_settings(table),
        rules,
        tuple(
            (pattern, _read_layer_rules(layer, rules, level))
            for pattern, layer in table.table("layers").tables().items()
        ),
        table.get("strict", parse_flag, defaults.strict),
        frozenset((*defaults.allow_uncounted, *table.get_list("allow_uncounted", parse_text))),
        line,
        _read_profile(table, defaults.folder, defaults.profile),
    )


def _read_profile(table: TomlTable, folder: Path, default: Path | None) -> Path | None:
    """The file of the profile, whose path is relative to the policy."""
    return table.get("profile", lambda given: folder / _parse_place(folder, given), default)


def _read_reference(table: TomlTable) -> tuple[str, dict[str, Any]]:
    """The source of a model without options, and its options from `source` and `options`."""
    nothing: tuple[str, dict[str, Any]] = "", {}
    source, options = table.get("source", lambda given: split_reference(parse_text(given)), nothing)
    given = table.table("options")
    for option in options:
        if option in given.values:
            given.report("this option is in source too: give it once", option)
    return source, {**options, **given.values}


def _read_settings(table: TomlTable) -> dict[str, Any]:
    parsers: dict[str, Callable[[Any], Any]] = {
        "dtype": partial(choose, "dtype", known=ITEM_SIZES),
        "mode": partial(choose, "mode", known=get_args(Mode)),
        **dict.fromkeys(("trace", "real", "keep"), parse_flag),
    }
    return {name: table.get(name, parse, None) for name, parse in parsers.items() if name in table.values}


def _read_layer_rules(table: TomlTable, inherited: Rules, level: Level) -> Rules:
    table.check_keys(LAYER_KEYS)
    level = table.get("level", limits.parse_level, level)
    return _read_rules(table, inherited, level, LAYER_METRICS, LOCKED_METRICS)


def _read_rules(
    table: TomlTable, inherited: Rules, level: Level, totals: Collection[str], growing: Collection[str]
) -> Rules:
    """The rules of a model or of layers, which inherit the allowed growth.

    Args:
        table: table of the model or of the layers.
        inherited: rules of the project or of the model.
        level: level of the rules that state none.
        totals: metrics that have a budget.
        growing: metrics whose growth is limited.
    """
    growth = inherited.growth
    if "level" in table.values:
        growth = {metric: replace(each, level=level) for metric, each in growth.items()}
    budget = table.table("budget").get_each(totals, partial(limits.parse_budget, level=level))
    return Rules(budget, {**growth, **_read_growth(table, level, growing)})


def _read_growth(table: TomlTable, level: Level, metrics: Collection[str]) -> dict[str, Growth]:
    """The allowed growth that a table states: for all metrics, or a table by metric."""
    given = table.values.get("max_increase", {})
    if isinstance(given, Mapping) and "max" not in given:
        each = table.table("max_increase").get_each(metrics, partial(limits.parse_growth, level=level))
        return limits.with_bytes(each)
    return table.get("max_increase", partial(limits.parse_uniform_growth, level=level), {})


def _read_inputs(table: TomlTable) -> tuple[str, ...]:
    """The inputs of a model as text: a list of them, or a table by name."""
    if not isinstance(table.values.get("inputs"), Mapping):
        return table.get_list("inputs", partial(_parse_input, None))
    named = table.table("inputs")
    return tuple(named.get_each(named.values, _parse_input).values())


def _parse_input(name: str | None, given: Any) -> str:
    """An input as `spell_input` writes it, from a text as for `--input` or any other value of TOML."""
    text = given if isinstance(given, str) else spell_input(None, given)
    return spell_input(*parse_input(text if name is None else f"{name}={text}"))


def _parse_lock(folder: Path, given: Any) -> Path:
    """The path of the lock, which a policy may place nowhere but in its own folder."""
    place = _resolve(folder, given)
    if not place.is_relative_to(folder):
        raise PolicyError(f"the lock must be inside the folder of the policy, not {place}")
    return folder / str(given)


def _parse_place(folder: Path, given: Any) -> str:
    _resolve(folder, given)
    return str(given)


def _resolve(folder: Path, given: Any) -> Path:
    """The place that a path means, relative to a folder."""
    try:
        place = (folder / parse_text(given)).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, PolicyError):
            raise
        raise PolicyError(f"{given!r} is no path: {error}") from error
    if any(each.is_symlink() for each in (place, *place.parents)):  # Python 3.13 and newer leave a loop
        raise PolicyError(f"{given!r} is no path: {os.strerror(errno.ELOOP)}")
    return place


def _line_of(text: str, name: str) -> int:
    """The line on which the table of a model begins; 1 if no line matches."""
    known = rf"""models\s*\.\s*["']?{re.escape(name)}["']?\s*"""
    begins = re.compile(
        rf"""\s*(\[\s*(tool\s*\.\s*mbanalyze\s*\.\s*)?{known}[\].]|({known}|["']?{re.escape(name)}["']?\s*)=)"""
    )
    return next((i for i, line in enumerate(text.splitlines(), 1) if begins.match(line)), 1)
