"""The module of a program: its tree of modules, whose root runs the operators of the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from mbanalyze.model_files.pt2_file.damage import reading
from mbanalyze.model_files.pt2_file.graph_run import GraphRun
from mbanalyze.model_files.pt2_file.pt2_graph import Graph
from mbanalyze.model_files.pt2_file.pt2_program import Pt2Program
from mbanalyze.model_files.pt2_file.stored_tensors import StoredTensors
from mbanalyze.trace.torch_internals import BUFFERS, MODULES, PARAMETERS, tree_leaves


class ExportedPart(nn.Module):
    """A module of a program, in which the root runs operators."""

    def forward(self, run: Callable[[], Any]) -> Any:
        """Run an operator."""
        return run()


class ExportedModel(nn.Module):
    """The root of the modules of a program."""

    def __init__(self, program: Pt2Program, *, has_values: bool) -> None:
        """Take a program. Its modules and tensors are added by `exported_module`."""
        super().__init__()
        self._program = program
        self._has_values = has_values

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the graph on the arguments of the program."""
        program = self._program
        given = list(program.structure.flattened((args, kwargs)))
        sizes = [tuple(each.shape) if isinstance(each, Tensor) else None for each in given]
        parts = dict(self.named_modules(remove_duplicate=False))
        tensors = {
            f"{path}.{name}" if path else name: tensor
            for path, part in parts.items()
            for held in (vars(part)[PARAMETERS], vars(part)[BUFFERS])
            for name, tensor in held.items()
        }
        values = [
            given[source] if isinstance(source, int) else tensors.get(source or "")
            for source in program.sources
        ]
        run = GraphRun(parts, program.inputs.symbols(sizes), has_values=self._has_values)
        outputs = run.run(program.graph, values)
        return program.result.built(iter([outputs[place] for place in program.results]))


def exported_module(program: Pt2Program, *, has_values: bool) -> ExportedModel:
    """Return the module of a program.

    Args:
        program: the program.
        has_values: read the weights too; otherwise only small buffers and constants have values.

    Raises:
        ModelFileError: the names or sizes of its tensors are not possible.
    """
    model = ExportedModel(program, has_values=has_values)
    stored = StoredTensors(program, has_values=has_values)
    with reading(str(program.archive.path)):
        for path in (*program.modules, *_paths(program.graph)):
            _part(model, path)
        for held in program.held:
            path, _, name = held.name.rpartition(".")
            part, tensor = _part(model, path), stored.tensor(held)
            if isinstance(tensor, nn.Parameter):
                part.register_parameter(name, tensor)
            else:
                part.register_buffer(name, tensor, persistent=held.kind == "buffer" and held.persistent)
    return model.eval()


def _part(model: nn.Module, path: str) -> nn.Module:
    """The module at a path, made if there is none."""
    found = model
    for name in path.split(".") if path else ():
        children = vars(found)[MODULES]
        if name not in children:
            found.add_module(name, ExportedPart())
        found = children[name] or found
    return found


def _paths(graph: Graph) -> list[str]:
    """The paths of the modules in which operators run, those of inner graphs too."""
    found = {node.path: None for node in graph.nodes}
    for node in graph.nodes:
        for inner in tree_leaves([value for _, _, value in node.inputs]):
            found |= dict.fromkeys(_paths(inner)) if isinstance(inner, Graph) else {}
    return list(found)
