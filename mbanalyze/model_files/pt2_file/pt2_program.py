"""A program of `torch.export`: its graph, the tensors that it holds, and the arguments that it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mbanalyze.model_files.pt2_file.damage import reading
from mbanalyze.model_files.pt2_file.input_structure import LEAF, Structure, of_arguments, read_structure
from mbanalyze.model_files.pt2_file.module_paths import children_of, valid_path
from mbanalyze.model_files.pt2_file.program_inputs import Leaf, ProgramInputs
from mbanalyze.model_files.pt2_file.pt2_archive import Pt2Archive
from mbanalyze.model_files.pt2_file.pt2_graph import (
    Graph,
    TensorMeta,
    names_in,
    read_graph,
)

_HELD = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
"""The kinds of tensors that a program holds, and the key of their names."""


@dataclass(frozen=True, slots=True)
class HeldTensor:
    """A tensor that a program holds.

    Attributes:
        name: its qualified name in the module.
        kind: "parameter", "buffer" or "tensor_constant".
        meta: its description.
        persistent: False for a buffer that is not saved with the module.
        entry: the folder and the name of its values in the archive; None if they cannot be read.
    """

    name: str
    kind: str
    meta: TensorMeta
    persistent: bool
    entry: tuple[str, str] | None


class Pt2Program:
    """A program in a file, read without its weights.

    Attributes:
        archive: the file.
        graph: its operators.
        held: the tensors of its module, in order.
        sources: for each input of the graph, the name of the tensor that it is; the place of an argument; or None.
        results: the places of the forward's results among the outputs of the graph.
        inputs: the arguments of its forward.
        structure, result: the nesting of the arguments and of the result.
        modules: the paths of its modules, in order.
    """

    def __init__(self, archive: Pt2Archive) -> None:
        """Read the program of an archive.

        Raises:
            ModelFileError: it is damaged.
        """
        self.archive = archive
        content = archive.program
        with reading(str(archive.path)):
            module = content["graph_module"]
            signature = module["signature"]
            calls = module.get("module_call_graph") or []
            self.modules = tuple(valid_path(str(each["fqn"])) for each in calls if "@" not in each["fqn"])
            self.graph: Graph = read_graph(module["graph"], str(archive.path), children_of(self.modules))
            held: dict[str, HeldTensor] = {}
            self.sources: list[str | int | None] = []
            leaves = list(self._read_inputs(module["graph"], signature["input_specs"], held))
            self.held = self._with_unused(held)
            outputs = [next(iter(each)) for each in signature["output_specs"]]
            self.results = [place for place, kind in enumerate(outputs) if kind == "user_output"]
            self.structure, self.result, names = _structures(calls, len(leaves), len(self.results))
            ranges = {name: _range(each) for name, each in content.get("range_constraints", {}).items()}
            self.inputs = ProgramInputs(str(archive.path), leaves, self.structure, names, ranges, self._dtype)

    def __deepcopy__(self, _: Any) -> Pt2Program:
        return self

    @cached_property
    def _dtype(self) -> str:
        """The element type of the first parameter of floating-point numbers."""
        params = [each.meta.dtype for each in self.held if each.kind == "parameter"]
        return next((dtype for dtype in params if "float" in dtype), "float32")

    def _with_unused(self, held: Mapping[str, HeldTensor]) -> list[HeldTensor]:
        """The tensors that the graph names, and the weights that it does not, in the order of the module."""
        weights = self.archive.weights
        unused = {
            name: HeldTensor(
                valid_path(name), "parameter" if each.is_param else "buffer", each.meta, True, each.place
            )
            for name, each in weights.items()
            if name not in held and each.meta
        }
        if not unused:
            return [*held.values()]
        order = [name for name in weights if name in held or name in unused]
        order += [name for name in held if name not in weights]
        return [held.get(name) or unused[name] for name in order]

    def _read_inputs(
        self, graph: Mapping[str, Any], specs: list[Any], held: dict[str, HeldTensor]
    ) -> Iterator[Leaf]:
        """Read the inputs of the graph: add those that are tensors of the module, and yield the arguments."""
        place = 0
        if len(specs) != len(graph["inputs"]):
            raise ValueError("the signature has another number of inputs than the graph")
        for spec, content in zip(specs, graph["inputs"], strict=True):
            ((kind, value),) = spec.items()
            if kind in _HELD:
                name = str(value[_HELD[kind]])
                held[name] = self._held(kind, name, value)
                self.sources.append(name)
            elif kind in ("user_input", "constant_input"):
                self.sources.append(place)
                place += 1
                yield self._leaf(graph, kind, value, content)
            else:
                self.sources.append(None)

    def _held(self, kind: str, name: str, value: Mapping[str, Any]) -> HeldTensor:
        stored = self.archive.weights.get(name) or self.archive.constants.get(name)
        meta = stored.meta if stored and stored.meta else self.graph.tensors[value["arg"]["name"]]
        place = stored.place if stored else None
        return HeldTensor(valid_path(name), kind, meta, value.get("persistent") is not False, place)

    def _leaf(self, graph: Mapping[str, Any], kind: str, value: Mapping[str, Any], content: Any) -> Leaf:
        """An argument of the forward: a tensor, a symbolic number, or a constant."""
        if kind == "constant_input":
            ((what, constant),) = value["value"].items()
            return Leaf(str(value["name"]), constant=None if what == "as_none" else constant)
        ((what, constant),) = value["arg"].items()
        name = next(names_in(content), "")
        if what == "as_tensor":
            return Leaf(name, meta=self.graph.tensors[constant["name"]])
        if what == "as_sym_int":
            size = graph["sym_int_values"][name]
            hint = (size.get("as_expr", {}).get("hint") or {}).get("as_int")
            return Leaf(name, constant=size.get("as_int", hint), is_open=True)
        return Leaf(name, constant=None if what == "as_none" else constant)


def _structures(calls: list[Any], leaves: int, results: int) -> tuple[Structure, Structure, tuple[str, ...]]:
    """The nesting of arguments and results, and the names of the arguments."""
    signature = next((each.get("signature") for each in calls if each["fqn"] == ""), None)
    if not signature:
        result = LEAF if results == 1 else Structure("tuple", (LEAF,) * results)
        return of_arguments(leaves), result, ()
    given, result = read_structure(signature["in_spec"]), read_structure(signature["out_spec"])
    if given.count() != leaves:
        raise ValueError("the signature has another number of arguments than its nesting")
    return given, result, tuple(map(str, signature.get("forward_arg_names") or ()))


def _range(content: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """The smallest and largest value of a symbolic size; None without a limit."""
    least, most = (content.get(key) for key in ("min_val", "max_val"))
    return None if least is None else int(least), None if most is None else int(most)
