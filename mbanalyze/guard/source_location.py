"""The source line of a layer: the class of the innermost module around it that belongs to the user's project."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbanalyze.guard.policy import Policy
from mbanalyze.guard.runner import MeasuredModel
from mbanalyze.sources.references import module_name

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A line of the user's project.

    Attributes:
        file: path relative to the top of the repository, with forward slashes.
        line: line, counted from 1.
        name: class or function that begins there, or name of the model in the policy.
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


def layer_locations(
    measured: MeasuredModel, policy: Policy, paths: Iterable[str]
) -> dict[str, SourceLocation]:
    """Return the location of each layer by path: a class of the user, else the factory, else the policy."""
    root, modules, factory = repository_root(policy), _modules(measured), find_factory(measured)
    fallback = policy_location(policy, measured.model.name)
    cache: dict[int, SourceLocation | None] = {}

    def locate(candidate: Any) -> SourceLocation | None:
        if id(candidate) not in cache:
            cache[id(candidate)] = _location(candidate, root)
        return cache[id(candidate)]

    with measured.importable():  # inspect looks up the module of a class in sys.modules
        return {
            path: next(filter(None, map(locate, (*_classes(modules, path), factory))), fallback)
            for path in paths
        }


def _location(candidate: Any, root: Path) -> SourceLocation | None:
    """The location of a class or function; None if the user's repository does not contain it."""
    with suppress(TypeError, OSError, ValueError):
        file = Path(inspect.getsourcefile(candidate) or "").resolve()
        if file.is_relative_to(root) and "site-packages" not in file.parts:
            _, line = inspect.getsourcelines(candidate)
            return SourceLocation(file.relative_to(root).as_posix(), max(line, 1), candidate.__qualname__)
    return None


def _modules(measured: MeasuredModel) -> dict[str, Module]:
    """The modules of a model by path; empty if it was counted in closed form."""
    resolved = measured.resolved
    if resolved is None or (resolved.spec is not None and not measured.model.settings.get("trace")):
        return {}
    return dict(resolved.module.named_modules(remove_duplicate=False))


def _classes(modules: Mapping[str, Module], path: str) -> Iterator[type]:
    """The classes of the module at `path` and of the modules around it, from the inside out."""
    parts = path.split(".") if path else []
    for length in range(len(parts), -1, -1):
        module = modules.get(".".join(parts[:length]))
        if module is not None:
            yield type(module)


def find_factory(measured: MeasuredModel) -> Any:
    """Return the function or class of the user's project that makes a model; None if there is none."""
    place, _, name = measured.model.source.rpartition(":")
    imported_name = module_name(Path(place)) if place.endswith(".py") else place
    found: Any = measured.modules.get(imported_name) or sys.modules.get(imported_name)
    for part in name.split("."):
        found = getattr(found, part, None)
    return inspect.unwrap(found) if callable(found) else found
