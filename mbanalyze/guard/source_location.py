"""The source line of a layer: the call in the user's project that made it, or else a class around it."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbanalyze.guard.construction import Construction, ConstructorCall
from mbanalyze.guard.policy import GuardedModel, Policy
from mbanalyze.model_files.file_formats import MODEL_SUFFIXES, suffix_of
from mbanalyze.sources.definitions import split_factory
from mbanalyze.sources.references import module_name

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A line of the user's project.

    Attributes:
        file: path relative to the top of the repository, with forward slashes.
        line: line, counted from 1; 1 for a model file.
        name: class or function that begins there or contains the line, name of the model in the policy, or of its file.
    """

    file: str
    line: int
    name: str


def repository_root(policy: Policy) -> Path:
    """Return the top of the repository that contains a policy; the folder of the policy if there is none."""
    folder = policy.path.resolve().parent
    return next((f for f in (folder, *folder.parents) if (f / ".git").exists()), folder)


def policy_location(policy: Policy, name: str) -> SourceLocation:
    """Return the line of the policy that defines a model; line 1 if it does not."""
    file = policy.path.resolve().relative_to(repository_root(policy)).as_posix()
    return SourceLocation(file, policy.models[name].line if name in policy.models else 1, name)


def layer_location(
    known: Mapping[str, SourceLocation], path: str, policy: Policy, name: str
) -> SourceLocation:
    """Return the location of a layer: that of its module or of the nearest one around it, else the policy.

    Args:
        known: locations of modules by path.
        path: path of the layer.
        policy: policy of the project.
        name: name of the model.
    """
    found = (known[around] for around in _around(path) if around in known)
    return next(found, None) or policy_location(policy, name)


def module_locations(
    model: GuardedModel, module: Module, policy: Policy, construction: Construction
) -> dict[str, SourceLocation]:
    """Return the location of each module by path: its own, that of a module around it, or the factory.

    Args:
        model: guarded model.
        module: its module.
        policy: policy of the project.
        construction: calls that made modules.
    """
    root, factory = repository_root(policy), find_factory(model)
    modules = dict(module.named_modules(remove_duplicate=False))
    classes = {kind: _location(kind, root) for kind in dict.fromkeys(map(type, modules.values()))}
    made = {path: _call_location(construction.call_of(each), root) for path, each in modules.items()}
    own = {path: made[path] or classes[type(each)] for path, each in modules.items()}
    own[""] = classes[type(module)] or made[""] or _location(factory, root)
    found = {
        path: next(filter(None, (own[around] for around in _around(path) if around in own)), None)
        for path in modules
    }
    return {path: location for path, location in found.items() if location}


def file_locations(model: GuardedModel, policy: Policy) -> dict[str, SourceLocation]:
    """Return the location of the whole model in a model file of the repository; empty for any other model."""
    if suffix_of(model.source) not in MODEL_SUFFIXES:
        return {}
    place = policy.path.resolve().parent / model.source
    file = _relative(place, repository_root(policy))
    return {"": SourceLocation(file, 1, place.name)} if file else {}


def in_repository(root: Path) -> Callable[[str], bool]:
    """Return a function that tells whether a file is in a repository, and not in an environment inside it."""
    return cache(lambda name: _relative(Path(name), root) is not None)


def _relative(file: Path, root: Path) -> str | None:
    """The path of an existing file below the repository; None if the repository does not contain it."""
    place = file.resolve()
    if not place.is_file() or not place.is_relative_to(root) or "site-packages" in place.parts:
        return None
    return place.relative_to(root).as_posix()


def _call_location(call: ConstructorCall | None, root: Path) -> SourceLocation | None:
    """The location of a call; a class names its `__init__`, and a function its comprehensions."""
    file = _relative(Path(call.file), root) if call else None
    if call is None or file is None:
        return None
    name = re.sub(r"(\.__init__)?(\.<locals>\.<\w+>)*$", "", call.function)
    return SourceLocation(file, call.line, Path(file).name if name == "<module>" else name)


def _around(path: str) -> Iterator[str]:
    """A path and the paths around it, from the inside out."""
    parts = path.split(".") if path else []
    return (".".join(parts[:length]) for length in range(len(parts), -1, -1))


def _location(candidate: Any, root: Path) -> SourceLocation | None:
    """The location of a class or function; None if the user's repository does not contain it."""
    with suppress(TypeError, OSError, ValueError):
        place = Path(inspect.getsourcefile(candidate) or "")
        file = _relative(place, root)
        if file:
            return SourceLocation(file, _line_of(candidate, place.resolve()), candidate.__qualname__)
    return None


def _line_of(candidate: Any, file: Path) -> int:
    """The line on which a class or function begins.

    Raises:
        OSError: its file does not contain it.
    """
    if not inspect.isclass(candidate):
        return max(inspect.getsourcelines(candidate)[1], 1)
    if candidate.__qualname__ not in _class_lines(file):
        raise OSError
    return _class_lines(file)[candidate.__qualname__]


@cache
def _class_lines(file: Path) -> dict[str, int]:
    """The line of each class of a file by its qualified name; `inspect` would read the file for each class."""
    found: dict[str, int] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        """Note the classes inside a node, whose names begin with `prefix`."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                first = child.decorator_list[0] if child.decorator_list else child
                found.setdefault(prefix + child.name, first.lineno)
                visit(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                visit(child, f"{prefix}{child.name}.<locals>.")
            elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                visit(child, prefix)

    with suppress(OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        visit(ast.parse(file.read_bytes()), "")
    return found


def find_factory(model: GuardedModel) -> Any:
    """Return the imported function or class of the project that makes a model; None if there is none."""
    place, name = split_factory(model.source)
    found: Any = sys.modules.get(module_name(Path(place)) if place.endswith(".py") else place)
    for part in name.split("."):
        found = getattr(found, part, None)
    return inspect.unwrap(found) if callable(found) else found
