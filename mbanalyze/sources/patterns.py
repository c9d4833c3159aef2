"""References with wildcards: `timm:mobilenet*` stands for every model of timm whose name matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase
from types import ModuleType

from mbanalyze.archs import ARCHS, NAMES
from mbanalyze.inputs.choices import nearest, nearest_are
from mbanalyze.inputs.parsing import split_reference
from mbanalyze.sources.references import PACKAGES, SourceError, import_package

WILDCARDS = re.compile(r"[*?]|\[.+\]")
"""Wildcards of a name, as in a shell: `*` for any text, `?` for one character, `[...]` for one of several."""


def is_pattern(reference: str) -> bool:
    """Return True if a reference stands for all models of a package, or all architectures, that match.

    >>> is_pattern("timm:mobilenet*"), is_pattern("mobilenet_v?@alpha=0.5"), is_pattern("net.py:build@widths=[8]")
    (True, True, False)
    """
    package, colon, name = split_reference(reference)[0].rpartition(":")
    named = package in PACKAGES if colon else not re.search(r"[/\\]|\.py$", name)
    return named and bool(WILDCARDS.search(name))


def matching_models(pattern: str) -> list[str]:
    """Return the references that a pattern without options stands for, in the order of their package.

    Raises:
        SourceError: no model matches, or the package cannot be imported.

    >>> matching_models("mobilenet_v3_*")
    ['mobilenet_v3_large', 'mobilenet_v3_small']
    """
    package, colon, name = pattern.rpartition(":")
    known = _MODELS[package](import_package(package), name) if colon else list(NAMES)
    found = [model for model in known if fnmatchcase(model, name)]
    if not colon:  # an alias is a variant of an architecture
        found = [model for model in found if model in ARCHS] or found
    if not found:
        near = _nearest_beginnings(WILDCARDS.sub("", name), known)
        hint = nearest_are([f"{package}{colon}{each}*" for each in near])
        raise SourceError(f"no model matches {pattern}{': ' * bool(hint)}{hint}")
    return [f"{package}{colon}{model}" for model in found]


def _nearest_beginnings(name: str, known: Collection[str]) -> list[str]:
    """The beginnings of known names that are spelled most like `name`."""
    lengths = range(max(1, len(name) - 1), len(name) + 2)
    return nearest(name, {each[:length]: None for each in known for length in lengths})


def _timm_models(timm: ModuleType, name: str) -> list[str]:
    """The architectures of timm, or those with the tag of their weights if the pattern has one."""
    known: list[str] = timm.list_pretrained() if "." in name else timm.list_models()
    return known


_MODELS: dict[str, Callable[[ModuleType, str], list[str]]] = {
    "torchvision": lambda torchvision, _: torchvision.models.list_models(),
    "timm": _timm_models,
    "transformers": lambda transformers, _: [each for each in dir(transformers) if each.endswith("Config")],
}
"""The names of the models of each package, for a pattern."""
