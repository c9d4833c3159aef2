"""Where in the user's source a layer comes from: the class of the nearest module around it that is theirs."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbanalyze.guard.measuring import Measured
from mbanalyze.guard.policy import Policy
from mbanalyze.sources.references import module_name

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the user's source.

    Attributes:
        file: relative to the top of the repository, with forward slashes.
        line: counted from 1.
        what: the class or function there, or the model's name in the policy.
    """

    file: str
    line: int
    what: str


def top_of(policy: Policy) -> Path:
    """The top of the repository that a policy is in, or its folder where it is in none."""
    folder = policy.path.resolve().parent
    return next((f for f in (folder, *folder.parents) if (f / ".git").exists()), folder)


def definition(policy: Policy, name: str) -> Place:
    """Where the policy defines a model, or would."""
    file = policy.path.resolve().relative_to(top_of(policy)).as_posix()
    return Place(file, policy.models[name].line if name in policy.models else 1, name)


def places_of(measured: Measured, policy: Policy, paths: Iterable[str]) -> dict[str, Place]:
    """Where each of these layers comes from: a class of the user's, else the factory, else the policy."""
    top, modules, made = top_of(policy), _modules(measured), factory(measured)
    otherwise = definition(policy, measured.model.name)
    seen: dict[int, Place | None] = {}
    found = {}
    with measured.importable():  # as inspect asks where a class is from
        for path in paths:
            for candidate in (*_classes(modules, path), made):
                if id(candidate) not in seen:
                    seen[id(candidate)] = _place(candidate, top)
                place = seen[id(candidate)]
                if place:
                    break
            found[path] = place or otherwise
    return found


def _place(candidate: Any, top: Path) -> Place | None:
    """Where a class or function is written, if that is in the user's repository."""
    with suppress(TypeError, OSError, ValueError):
        file = Path(inspect.getsourcefile(candidate) or "").resolve()
        if file.is_relative_to(top) and "site-packages" not in file.parts:
            _, line = inspect.getsourcelines(candidate)
            return Place(file.relative_to(top).as_posix(), max(line, 1), candidate.__qualname__)
    return None


def _modules(measured: Measured) -> dict[str, nn.Module]:
    """The modules of a model by path; none of one that was counted in closed form."""
    subject = measured.subject
    if subject is None or (subject.spec is not None and not measured.model.settings.get("trace")):
        return {}
    return dict(subject.module.named_modules(remove_duplicate=False))


def _classes(modules: Mapping[str, nn.Module], path: str) -> Iterator[type]:
    """The classes of the module at `path` and of those around it, the innermost first."""
    parts = path.split(".") if path else []
    for length in range(len(parts), -1, -1):
        module = modules.get(".".join(parts[:length]))
        if module is not None:
            yield type(module)


def factory(measured: Measured) -> Any:
    """What makes the model, if it is the user's; None else."""
    place, _, name = measured.model.source.rpartition(":")
    name_of_module = module_name(Path(place)) if place.endswith(".py") else place
    module = measured.modules.get(name_of_module) or sys.modules.get(name_of_module)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return inspect.unwrap(found) if callable(found) else found
