"""Paths of the modules in which nodes run, as PyTorch writes them in different releases."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from mbanalyze.model_files.file_error import ModelFileError

_CALL_NUMBER = re.compile(r"@\d+$")
_MAX_DEPTH = 200
_NO_STACK = "_empty_nn_module_stack_from_metadata_hook"
_MAX_LENGTH = 2000
_SLICE = re.compile(r"(?:slice\([^()]*\)|_modules)(?:\.|$)")
_LAST = re.compile(r"-[1-9]\d{0,8}")


def module_path(stack: str, modules: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return the path of the innermost module of a stack.

    Args:
        stack: the modules from outside to inside, as a file writes them.
        modules: the names of the children of each module, by its path.

    Raises:
        ModelFileError: a module cannot have the path.

    >>> module_path("L__self__,,net.Net;L__self__body@1,body@1,torch.nn.modules.container.Sequential")
    'body'
    >>> module_path("fn_0,getattr(L['self'].body, '0'),torch.nn.modules.conv.Conv2d")
    'body.0'
    >>> module_path("L__self___l__1,l.-1,torch.nn.modules.linear.Linear", {"": ["l"], "l": ["0", "1"]})
    'l.1'
    """
    known = modules or {}
    written = _written(stack.rpartition(";")[2], known)
    if written == _NO_STACK:
        return ""
    path = _evaluated(written) if "L['" in written else written
    clean = _SLICE.sub("", path).removesuffix(".")
    names = clean.split(".")
    if clean != path or any(map(_LAST.fullmatch, names)):
        clean = ".".join(_known(names, known))
    return valid_path(clean)


def children_of(paths: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return the names of the children of each module, by its path.

    >>> children_of(["", "a", "a.0", "a.1"])
    {'': ['a'], 'a': ['0', '1'], 'a.0': [], 'a.1': []}
    """
    found: dict[str, list[str]] = {path: [] for path in paths}
    for path in filter(None, paths):
        outer, _, name = path.rpartition(".")
        found.setdefault(outer, []).append(name)
    return found


def valid_path(path: str) -> str:
    """Return the path of a module.

    Raises:
        ModelFileError: a module cannot have it.
    """
    if path and (not all(path.split(".")) or path.count(".") >= _MAX_DEPTH):
        raise ModelFileError(_malformed(path))
    return path


def _malformed(path: str) -> str:
    return f"the module path {path[:80]!r} is malformed: a module has no such path"


def _written(module: str, modules: Mapping[str, Sequence[str]]) -> str:
    """The path in the text of a module, which is an identifier, the path, and a class; the first two may have commas."""
    parts = module.split(",")
    paths = [_CALL_NUMBER.sub("", ",".join(parts[start:-1])) for start in range(1, len(parts) - 1)]
    return next((path for path in paths if path in modules), paths[0] if paths else "")


def _evaluated(expression: str) -> str:
    """The path in an expression such as `getattr(L['self'].body, '0')`, which is not run."""
    if len(expression) > _MAX_LENGTH:
        raise ModelFileError("the path of a module is too long")
    names: list[str] = []
    node: ast.AST = ast.parse(expression, mode="eval").body
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            name, node = node.attr, node.value
        elif isinstance(node, ast.Subscript):
            name, node = _key(node.slice), node.value
        elif isinstance(node, ast.Call) and len(node.args) == 2:
            name, node = _key(node.args[1]), node.args[0]
        else:
            raise ModelFileError(_malformed(expression))
        names.append(name)
    return ".".join(reversed(names[:-1]))


def _key(node: ast.expr) -> str:
    """The name of a child; that of a slice is no child."""
    is_slice = isinstance(node, ast.Slice | ast.Call)
    return "slice()" if is_slice else str(ast.literal_eval(node))


def _known(names: Sequence[str], modules: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The names up to the first that no module has; -1 is the last child of its module."""
    path = ""
    for written in names:
        children, name = modules.get(path, ()), written
        if name not in children and _LAST.fullmatch(name) and -int(name) <= len(children):
            name = children[int(name)]
        if name not in children:
            return
        yield name
        path = f"{path}.{name}" if path else name
