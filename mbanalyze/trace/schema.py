"""The signature of one ATen or custom operator overload: its names, defaults and tensor arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from mbanalyze.trace.torch_internals import can_decompose, schema_of

Tensors = tuple[Tensor, ...]

Arguments = Mapping[str, Any]
"""The arguments of one call by name, defaults included, without the tensors given as `out`."""


_UPDATING_STATISTICS = frozenset(
    {
        "_batch_norm_impl_index",
        "batch_norm",
        "batch_norm_gather_stats",
        "batch_norm_gather_stats_with_counts",
        "batch_norm_update_stats",
        "cudnn_batch_norm",
        "instance_norm",
        "miopen_batch_norm",
        "native_batch_norm",
    }
)
"""The operators of ATen that write to arguments without saying so in their schema."""


_NO_TENSORS = frozenset({type(None), bool, int, float, str})
"""The types of most arguments."""


class OpSchema:
    """The signature of one operator overload, parsed once.

    Attributes:
        overload: the operator, kept alive because schemas are cached by its id.
        qualified_name: the name with its library, such as `aten::relu_`.
        name: the qualified name without `aten::`.
        base_name: the name of the out-of-place variant, such as `relu`.
        mutable: True if the operator writes to an argument, as its schema says.
        in_place: True if every output is an argument that the operator writes to.
        writes: True if the operator may write to an argument, also if its schema does not say so.
        has_out: True if the caller passes the output tensors.
        has_device: True if the operator takes a device for its outputs.
        is_data_assignment: True for the question whether a tensor may be assigned to `tensor.data`.
        returns_views: True if the operator returns views of its first argument and writes nothing. Some
            operators copy when no view is possible.
        composite: True if PyTorch implements the operator in terms of others.
    """

    def __init__(self, overload: Any) -> None:
        schema = schema_of(overload)
        self.overload = overload
        self.qualified_name: str = schema.name
        self.name = self.qualified_name.removeprefix("aten::")
        self.mutable: bool = schema.is_mutable
        marked = self.mutable and not self.name.endswith("__")  # `__ior__` ends in no in-place mark
        self.base_name = self.name.removesuffix("_") if marked else self.name
        returns = [returned.alias_info for returned in schema.returns]
        self.returns_views = bool(returns) and all(alias and not alias.is_write for alias in returns)
        self.in_place = self.mutable and all(returns)
        self.composite: bool = can_decompose(overload)
        self._outs = tuple(argument.name for argument in schema.arguments if argument.is_out)
        self.has_out = bool(self._outs)
        self._defaults = {a.name: a.default_value for a in schema.arguments if not a.is_out}
        types = {a.name: str(a.type) for a in schema.arguments if not a.is_out}
        self._tensors = tuple(name for name in types if types[name] in ("Tensor", "Optional[Tensor]"))
        self._has_lists = any("List" in kind and "Tensor" in kind for kind in types.values())
        self.has_device = any("Device" in kind for kind in types.values())
        self.is_data_assignment = self.name == "_has_compatible_shallow_copy_type"
        annotated = tuple(a.name for a in schema.arguments if a.alias_info and a.alias_info.is_write)
        self._writes = annotated or self._hidden_writes(types)
        self.writes = bool(self._writes)

    def _hidden_writes(self, types: Mapping[str, str]) -> tuple[str, ...]:
        """Return the arguments that may be written to although the schema does not say so."""
        if "::" in self.name.removeprefix("prims::"):  # an operator of a user
            return tuple(name for name, kind in types.items() if "Tensor" in kind)
        return ("running_mean", "running_var") if self.name in _UPDATING_STATISTICS else ()

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, in the order of the schema."""
        bound = self._defaults.copy()
        bound.update(zip(self._defaults, args))  # noqa: B905 (the rest keep their defaults)
        if kwargs:
            bound.update(kwargs)
            for name in self._outs:
                bound.pop(name, None)
        return bound

    def tensor_args(self, bound: Arguments) -> tuple[Tensor, ...]:
        """Return the tensors among the arguments, those in lists included."""
        if self._has_lists:
            return flat_tensors(bound.values())
        return tuple([bound[name] for name in self._tensors if isinstance(bound[name], Tensor)])

    def written_args(self, bound: Arguments, kwargs: Arguments) -> tuple[Tensor, ...]:
        """Return the tensors that the operator may write to."""
        return flat_tensors([(kwargs if name in self._outs else bound)[name] for name in self._writes])

    def outputs_given(self, kwargs: Arguments) -> tuple[Tensor, ...]:
        """Return the tensors that the caller passes as outputs."""
        return flat_tensors([kwargs[name] for name in self._outs]) if self._outs else ()


def flat_tensors(arguments: Iterable[Any]) -> tuple[Tensor, ...]:
    """Return the tensors in `arguments` and in nested lists and tuples, in order."""
    found: list[Tensor] = []
    for argument in arguments:
        if type(argument) in _NO_TENSORS:
            continue
        if isinstance(argument, Tensor):
            found.append(argument)
        elif isinstance(argument, list | tuple):
            found += flat_tensors(argument)
    return tuple(found)


def per_dimension(sizes: Sequence[int], dims: int) -> tuple[int, ...]:
    """Return one size for each of `dims` dimensions; a single size applies to all."""
    return tuple(sizes) * dims if len(sizes) == 1 else tuple(sizes)
