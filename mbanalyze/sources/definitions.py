"""The models that source files define, found by reading the files without running them."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path

PACKAGES_OF_IMAGE_MODELS = ("torchvision", "timm")
"""The packages whose models `packages_with` finds."""

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_TORCH_MODULE = re.compile(r"(torch\.)?nn\.[A-Z]\w*|Module")


def split_factory(reference: str) -> tuple[str, str]:
    r"""Split `file.py:factory` or `package.module:factory`; the factory is "" if there is none.

    The colon after the letter of a drive separates nothing.

    >>> split_factory("net.py:build"), split_factory("package.module"), split_factory(r"C:\x\net.py")
    (('net.py', 'build'), ('package.module', ''), ('C:\\x\\net.py', ''))
    """
    place, colon, name = reference.rpartition(":")
    if not colon or name.endswith(".py") or _DRIVE.fullmatch(f"{place}:{name[:1]}"):
        return reference, ""
    return place, name


def module_file(name: str) -> Path | None:
    """Return the file of a module; None if there is none. A name without a dot is searched in the current directory.

    Parent packages are not imported.
    """
    parts = name.split(".")
    search = [str(Path.cwd()), *(sys.path if len(parts) > 1 else ())]
    origin: str | None = None
    for end in range(1, len(parts) + 1):
        with suppress(Exception):  # a name with odd characters, or a folder that cannot be read
            found = PathFinder.find_spec(".".join(parts[:end]), search)
            if found is None:
                return None
            origin, search = found.origin, list(found.submodule_search_locations or ())
    return Path(origin) if origin and origin.endswith(".py") else None


def factories(file: Path) -> list[str]:
    """Return the names in a file that stand for a module: classes, functions that return one, and instances.

    A class counts if it inherits from a class of `torch.nn` or from one that counts.
    A function counts by its annotation or by what it returns. Names with a leading underscore are left out.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: list[str] = []
    for node in tree.body:
        found += _defined(node, found)
    return [name for name in dict.fromkeys(found) if not name.startswith("_")]


def _defined(node: ast.stmt, known: list[str]) -> list[str]:
    """The names that a statement defines as modules."""
    if isinstance(node, ast.ClassDef):
        return [node.name] if any(_names_module(base, known) for base in node.bases) else []
    if isinstance(node, ast.FunctionDef):
        return [node.name] if _returns_module(node, known) else []
    return list(_assigned(node, known))


def _assigned(node: ast.AST, known: list[str]) -> Iterator[str]:
    """The names to which a statement assigns a new module."""
    if isinstance(node, ast.Assign | ast.AnnAssign) and _makes_module(node.value, known):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _returns_module(function: ast.FunctionDef, known: list[str]) -> bool:
    """True if the annotation of a function is a module, or if it returns a new one."""
    if function.returns is not None:
        return _names_module(function.returns, known)
    local = [name for node in ast.walk(function) for name in _assigned(node, known)]
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    return any(
        _makes_module(value, known) or (isinstance(value, ast.Name) and value.id in local)
        for value in returned
    )


def _makes_module(value: ast.expr | None, known: list[str]) -> bool:
    """True for a call of a class or function that makes a module."""
    return isinstance(value, ast.Call) and _names_module(value.func, known)


def _names_module(expression: ast.expr, known: list[str]) -> bool:
    """True for the name of a class of `torch.nn`, or a known name; an annotation may be in quotes."""
    name = ast.unparse(expression).strip("'\"")
    return name in known or _TORCH_MODULE.fullmatch(name) is not None


def packages_with(name: str) -> list[str]:
    """Return the installed packages of image models that have a model of this name.

    Both register a model by a decorator of the function that makes it.
    """
    own = {"torchvision": name, "timm": name.partition(".")[0]}  # timm: resnet34.a1_in1k
    return [package for package in PACKAGES_OF_IMAGE_MODELS if _registers(package, own[package])]


def _registers(package: str, name: str) -> bool:
    pattern = re.compile(
        rf'^@register_model(?:\(name="{re.escape(name)}"\)|\b.*\n(?:[@ )].*\n)*def {re.escape(name)}\()',
        re.MULTILINE,
    )
    folders: list[Path] = []
    with suppress(ImportError, ValueError):  # a broken package
        spec = importlib.util.find_spec(package)
        folders += (Path(each, "models") for each in (spec and spec.submodule_search_locations) or ())
    files = (file for folder in folders for file in folder.rglob("*.py"))
    return any(pattern.search(file.read_text(encoding="utf-8", errors="replace")) for file in files)
