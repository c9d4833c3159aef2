"""The graph of a program: its nodes, and descriptions of its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mbanalyze.model_files.file_error import MAX_NODES, ModelFileError
from mbanalyze.model_files.pt2_file.damage import reading
from mbanalyze.model_files.pt2_file.format_numbers import DTYPES
from mbanalyze.model_files.pt2_file.module_paths import module_path
from mbanalyze.model_files.pt2_file.size_expressions import value_of

Size = int | str
"""A size, or the expression of one."""

Modules = Mapping[str, Sequence[str]]
"""The names of the children of each module, by its path."""


@dataclass(frozen=True, slots=True)
class TensorMeta:
    """A tensor, as the file describes it.

    Attributes:
        dtype: the name of its element type.
        sizes, strides: as numbers or expressions.
        offset: the place of its first element in its storage.
        requires_grad: True if it is trained.
        hints: the values of expressions at export, in order of `sizes`; None if unknown.
    """

    dtype: str
    sizes: tuple[Size, ...]
    strides: tuple[Size, ...]
    offset: Size
    requires_grad: bool
    hints: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ProgramNode:
    """An operator of a graph.

    Attributes:
        name: its name.
        target: the operator, as text.
        path: the module in which it runs.
        inputs: the name, place ("positional", "keyword" or "") and encoded value of each argument.
        outputs: its encoded results.
        last_used: the names of values that no later node uses.
    """

    name: str
    target: str
    path: str
    inputs: tuple[tuple[str, str, Any], ...]
    outputs: tuple[Any, ...]
    last_used: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph, whose values have names.

    Attributes:
        inputs, outputs: encoded values.
        nodes: its operators, in order.
        tensors: descriptions of its tensors, by name.
        is_single: True if its only output is not in a tuple.
    """

    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    nodes: tuple[ProgramNode, ...]
    tensors: Mapping[str, TensorMeta]
    is_single: bool

    def __deepcopy__(self, _: Any) -> Graph:
        return self


def read_graph(content: Mapping[str, Any], where: str, modules: Modules) -> Graph:
    """Return a graph.

    Args:
        content: the graph, as JSON.
        where: its place, for error messages.
        modules: the names of the children of each module, by its path.

    Raises:
        ModelFileError: it is damaged.
    """
    with reading(where):
        outputs = tuple(content["outputs"])
        is_single = content.get("is_single_tensor_return") is True and len(outputs) == 1
        raw = content["nodes"]
        if len(raw) > MAX_NODES:
            raise ModelFileError(f"{where} has over {MAX_NODES:,} nodes, which is too many")
        tensors = {name: tensor_meta(each) for name, each in content["tensor_values"].items()}
        used = set(names_in(outputs))
        nodes: list[ProgramNode] = []
        for place, each in reversed([*enumerate(raw)]):
            here = f"{where}: node {each.get('name') or place}"
            with reading(here):
                nodes.append(_node(each, used, str(place), here, modules))
        return Graph(tuple(content["inputs"]), outputs, tuple(reversed(nodes)), tensors, is_single)


def tensor_meta(content: Mapping[str, Any]) -> TensorMeta:
    """Return the description of a tensor."""
    return TensorMeta(
        DTYPES[content["dtype"]],
        tuple(map(_size, content["sizes"])),
        tuple(map(_size, content["strides"])),
        _size(content["storage_offset"]),
        content["requires_grad"] is True,
        tuple(map(_hint, content["sizes"])),
    )


def evaluated(sizes: tuple[Size, ...], symbols: Mapping[str, int]) -> tuple[int, ...]:
    """Return sizes as numbers; errors as `value_of`."""
    return tuple(value_of(size, symbols) if isinstance(size, str) else size for size in sizes)


def names_in(content: Any) -> Iterator[str]:
    """Yield the names of the values that an encoded value refers to."""
    if isinstance(content, list | tuple):
        for each in content:
            yield from names_in(each)
    elif isinstance(content, dict):
        if "graph" in content:
            return  # the values of a graph are its own
        for key, each in content.items():
            if key in ("name", "as_name") and isinstance(each, str):
                yield each
            else:
                yield from names_in(each)


def _size(content: Mapping[str, Any]) -> Size:
    if "as_int" in content:
        return int(content["as_int"])
    return str(content["as_expr"]["expr_str"])


def _hint(content: Mapping[str, Any]) -> int | None:
    if "as_int" in content:
        return int(content["as_int"])
    hint = (content["as_expr"].get("hint") or {}).get("as_int")
    return hint if type(hint) is int else None


def _node(
    content: Mapping[str, Any], used: set[str], place: str, where: str, modules: Modules
) -> ProgramNode:
    """A node; `used` are the names that later nodes use, to which it adds its own."""
    places = {1: "positional", 2: "keyword"}
    inputs = tuple(
        (str(each["name"]), places.get(each.get("kind"), ""), _with_graph(each["arg"], where, modules))
        for each in content["inputs"]
    )
    outputs = tuple(content["outputs"])
    known = {*names_in(outputs), *names_in([value for _, _, value in inputs])}
    last = tuple(sorted(known - used))
    used |= known
    path = module_path((content.get("metadata") or {}).get("nn_module_stack") or "", modules)
    name = content.get("name") or next(names_in(outputs), place)
    return ProgramNode(str(name), str(content["target"]), path, inputs, outputs, last)


def _with_graph(content: Mapping[str, Any], where: str, modules: Modules) -> Any:
    """An encoded value, with the graph that it may be."""
    if "as_graph" not in content:
        return content
    name, graph = content["as_graph"]["name"], content["as_graph"]["graph"]
    return {"as_graph": {"name": name, "graph": read_graph(graph, f"{where}: graph {name}", modules)}}
