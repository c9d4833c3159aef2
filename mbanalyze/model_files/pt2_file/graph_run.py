"""One run of a graph, node by node, each in its module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.pt2_file.allowed_operators import is_check, overload_of, qualified_name
from mbanalyze.model_files.pt2_file.branch_operators import BRANCH_OPERATORS
from mbanalyze.model_files.pt2_file.damage import first_line
from mbanalyze.model_files.pt2_file.node_arguments import Opaque, argument_of
from mbanalyze.model_files.pt2_file.plain_functions import FUNCTIONS
from mbanalyze.model_files.pt2_file.pt2_graph import Graph, ProgramNode, evaluated, names_in
from mbanalyze.model_files.pt2_file.value_limits import require_size, without_large_values
from mbanalyze.trace.torch_internals import DisableTorchDispatch, schema_of, tree_leaves
from mbanalyze.trace.unknown_operator import active_recorder, record_unknown


class GraphRun:
    """One run of a graph, and of the graphs that its nodes run."""

    def __init__(
        self, parts: Mapping[str, nn.Module], symbols: Mapping[str, int], *, has_values: bool
    ) -> None:
        """Start a run.

        Args:
            parts: the modules by path.
            symbols: the values of symbolic sizes.
            has_values: True if every tensor has values, and no operator may be left out.
        """
        self._parts = parts
        self._symbols = symbols
        self._has_values = has_values

    def run(self, graph: Graph, given: Sequence[Any]) -> list[Any]:
        """Return the outputs of a graph.

        Raises:
            ModelFileError: a node fails; the message names it.
        """
        values = dict(zip(map(_name, graph.inputs), given, strict=True))
        for node in graph.nodes:
            try:
                self._run_node(graph, node, values)
            except ModelFileError as error:
                text = str(error)
                raise ModelFileError(text if text.startswith("node ") else _place(node, text)) from error
            except (Exception, SystemExit) as error:
                raise ModelFileError(_place(node, first_line(error))) from error
            for name in node.last_used:
                values.pop(name, None)
        try:
            return [self._argument(each, values) for each in graph.outputs]
        except ModelFileError as error:
            raise ModelFileError(f"the output of the graph: {error}") from error

    def _run_node(self, graph: Graph, node: ProgramNode, values: dict[str, Any]) -> None:
        """Run a node in its module, and keep its results."""
        if is_check(node.target):
            results: Any = [None] * len(node.outputs)
        else:
            call = self._call(graph, node, values)
            part = self._parts.get(node.path) if node.path else None
            results = part(call) if part is not None else call()
        _keep(node.outputs, results, values)

    def _call(self, graph: Graph, node: ProgramNode, values: Mapping[str, Any]) -> Callable[[], Any]:
        """The function without arguments that runs a node."""
        arguments = [(name, place, self._argument(value, values)) for name, place, value in node.inputs]
        in_order = [value for _, place, value in arguments if place != "keyword"]
        if function := FUNCTIONS.get(node.target) or BRANCH_OPERATORS.get(node.target):
            named = {name: value for name, place, value in arguments if place == "keyword"}
            return partial(function, *in_order, **named)
        overload = overload_of(node.target)
        if overload is None or any(isinstance(each, Opaque) for _, _, each in arguments):
            return partial(self._stand_in, graph, node, arguments)
        args, kwargs = _bound(overload, arguments)
        if self._has_values:
            require_size(overload, args, kwargs)
        elif recorder := active_recorder():
            args, kwargs = without_large_values(recorder, overload, args, kwargs)
        return partial(overload, *args, **kwargs)

    def _argument(self, content: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        return argument_of(content, values, lambda graph: partial(self._part, graph))

    def _part(self, graph: Graph, *given: Any) -> Any:
        """Run a graph that is an argument of a node."""
        outputs = self.run(graph, given)
        return outputs[0] if graph.is_single else tuple(outputs)

    def _stand_in(self, graph: Graph, node: ProgramNode, arguments: list[tuple[str, str, Any]]) -> Any:
        """Record an unknown operator, and return its outputs without values."""
        recorder, name = active_recorder(), qualified_name(node.target)
        if recorder is None or self._has_values:
            raise ModelFileError(f"{name} is unknown here, and cannot run on values")
        with DisableTorchDispatch():
            made = [_made(each, partial(self._empty, graph)) for each in node.outputs]
        read = tuple(
            each for each in tree_leaves([value for _, _, value in arguments]) if isinstance(each, Tensor)
        )
        record_unknown(
            recorder, name, read, tuple(each for each in tree_leaves(made) if isinstance(each, Tensor))
        )
        return made if len(made) != 1 else made[0]

    def _empty(self, graph: Graph, name: str) -> Tensor:
        """A tensor without values, as the file describes it."""
        meta = graph.tensors[name]
        sizes, strides = evaluated(meta.sizes, self._symbols), evaluated(meta.strides, self._symbols)
        return torch.empty_strided(sizes, strides, dtype=getattr(torch, meta.dtype), device="meta")


def _bound(overload: Any, arguments: list[tuple[str, str, Any]]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and keyword arguments of an operator, in the order of its signature."""
    schema = schema_of(overload)
    given = {name: value for name, _, value in arguments}
    args: list[Any] = []
    for argument in schema.arguments:
        if argument.kwarg_only or argument.name not in given:
            break
        args.append(given.pop(argument.name))
    return tuple(args), given


def _name(content: Mapping[str, Any]) -> str:
    """The name of an input of a graph; "" for one that is a number."""
    return next(names_in(content), "")


def _place(node: ProgramNode, text: str) -> str:
    return f"node {node.name} ({node.target}): {text}"


def _keep(outputs: Sequence[Mapping[str, Any]], results: Any, values: dict[str, Any]) -> None:
    """Keep the results of a node by the names of its outputs."""
    if not outputs:
        return
    if len(outputs) == 1:
        ((kind, _),) = outputs[0].items()
        nested = kind.endswith("s") and kind != "as_none"
        if not nested and isinstance(results, list | tuple):
            (results,) = results
        results = [results]
    for content, result in zip(outputs, results, strict=True):
        _keep_one(content, result, values)


def _keep_one(content: Any, result: Any, values: dict[str, Any]) -> None:
    if isinstance(content, list):
        for each, part in zip(content, result, strict=True):
            _keep_one(each, part, values)
        return
    for key, each in content.items():
        if key in ("name", "as_name"):
            values[each] = result
        elif key != "as_none" and isinstance(each, list | dict):
            _keep_one(each, result, values)


def _made(content: Mapping[str, Any], empty: Callable[[str], Tensor]) -> Any:
    """The outputs of an unknown operator: a tensor, a list of these, or None."""
    ((kind, value),) = content.items()
    if kind == "as_none":
        return None
    if kind == "as_tensor":
        return empty(value["name"])
    if kind == "as_tensors":
        return [empty(each["name"]) for each in value]
    raise ModelFileError("it is unknown here, and returns a number")
