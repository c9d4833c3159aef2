"""The calls of modules and Python functions behind the operators of a trace, for conventions that count these."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from mbanalyze.inputs.typed import Sizes
from mbanalyze.ops.record import Attribute

Setting = Attribute | float | tuple[float, ...] | None


class ModuleCall(NamedTuple):
    """One call of a module, which runs its hooks; a direct call of its `forward` is not recorded.

    Attributes:
        path: qualified name of the module, "" for the root.
        type: the class: `nn.Conv2d` for those of `torch.nn`, else with its module, `torchvision.ops.misc.Permute`.
        inputs: shapes of the tensors among its positional arguments.
        batch: the length of its first positional argument: the first size of a tensor, the tensors of a list;
            1 if there is no such argument.
        outputs: shapes of the tensors that it returned.
        params: shapes of its own parameters by name, without those of modules inside.
        settings: its public attributes that are numbers, texts, None, or tuples of numbers, by name.
        kept: the elements that a mask of `torch.nn.utils.prune` keeps of a parameter, by the parameter's name;
            None if the mask has no values.
        is_leaf: True if it has no modules inside, or only empty containers.
        places: the places of the module in the tree of modules, more than one if several modules hold it.
        first, last: the operators that it ran are `ops[first:last]`.
        arguments: its arguments by position or name, if they are settings, and the element types of tensors: `float32`.
    """

    path: str
    type: str
    inputs: tuple[Sizes, ...]
    batch: int
    outputs: tuple[Sizes, ...]
    params: Mapping[str, Sizes]
    settings: Mapping[str, Setting]
    kept: Mapping[str, int | None]
    is_leaf: bool
    places: int
    first: int
    last: int
    arguments: Mapping[int | str, Setting] = MappingProxyType({})


class FunctionCall(NamedTuple):
    """One call of a Python function of PyTorch by its name, such as `torch.matmul`; the operator `@` calls none.

    Attributes:
        name: the function: `torch.nn.functional.relu`, `torch.matmul`, `torch.Tensor.matmul`.
        path: qualified name of the module whose forward called it.
        inputs: shapes of the tensors among its arguments, the positional ones first.
        outputs: shapes of the tensors that it returned.
        arguments: its other arguments, by position or name, if they are numbers, texts, None or tuples of numbers.
        first, last: the operators that it ran are `ops[first:last]`.
    """

    name: str
    path: str
    inputs: tuple[Sizes, ...]
    outputs: tuple[Sizes, ...]
    arguments: Mapping[int | str, Setting]
    first: int
    last: int


class Calls(NamedTuple):
    """The calls of one forward pass, each in the order in which they began.

    Attributes:
        modules: the calls of modules.
        functions: the calls of those functions that were followed.
        size_products: the multiplications of sizes of tensors (`x.shape[0] * heads`) whose result an operator took,
            each as the number of operators before it.
    """

    modules: tuple[ModuleCall, ...]
    functions: tuple[FunctionCall, ...]
    size_products: tuple[int, ...] = ()
