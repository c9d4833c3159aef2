"""One overload of an ATen or custom operator, read from its schema once: names, defaults, what it is handed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

Arguments = Mapping[str, Any]
"""The arguments of one call, by their names in its schema, defaults included, without outputs given."""


class Call:
    """How one overload is called.

    Attributes:
        name: as PyTorch has it, without `aten::` and without the overload.
        kind: the same, without the `_` of what works in place.
        qualified: with the library in front, as in `aten::relu`.
        mutable: whether it writes to an argument.
        has_out: whether it is handed the tensors for its outputs.
        views: whether it returns views of its first argument, and does not write; some copy if they must.
        composite: whether PyTorch itself writes it in other operators.
        places_nothing: whether it takes no device to put its outputs on.
    """

    def __init__(self, func: Any) -> None:
        schema = func._schema  # noqa: SLF001 (torch offers no other way to it)
        self._func = func  # alive, so that its address stays its own
        self.qualified: str = schema.name
        self.name = self.qualified.removeprefix("aten::")
        self.mutable: bool = schema.is_mutable
        self.kind = self.name.removesuffix("_") if self.mutable else self.name
        returns = [returned.alias_info for returned in schema.returns]
        self.views = bool(returns) and all(alias and not alias.is_write for alias in returns)
        self.composite: bool = func._can_decompose()  # noqa: SLF001 (as above)
        read = [argument for argument in schema.arguments if not argument.is_out]
        self.has_out = len(read) < len(schema.arguments)
        self._outs = tuple(argument.name for argument in schema.arguments if argument.is_out)
        self._names = tuple(argument.name for argument in read)
        self._defaults = {argument.name: argument.default_value for argument in read}
        types = {argument.name: str(argument.type) for argument in read}
        self._tensors = tuple(name for name in self._names if types[name] in ("Tensor", "Optional[Tensor]"))
        self._lists = any("List" in kind and "Tensor" in kind for kind in types.values())
        self.places_nothing = not any("Device" in kind for kind in types.values())
        self._writes = tuple(a.name for a in schema.arguments if a.alias_info and a.alias_info.is_write)

    def handed(self, bound: Arguments) -> tuple[Tensor, ...]:
        """The tensors among the arguments."""
        if self._lists:
            return handed(bound.values())
        return tuple([bound[name] for name in self._tensors if isinstance(bound[name], Tensor)])

    def written(self, bound: Arguments, kwargs: Arguments) -> tuple[Tensor, ...]:
        """The tensors that the call writes to."""
        return handed([(kwargs if name in self._outs else bound)[name] for name in self._writes])

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, in the order of the schema."""
        bound = self._defaults.copy()
        bound.update(zip(self._names, args))  # noqa: B905 (the rest have their defaults)
        if kwargs:
            bound.update(kwargs)
            for name in self._outs:
                bound.pop(name, None)
        return bound


def handed(arguments: Iterable[Any]) -> tuple[Tensor, ...]:
    """The tensors among `arguments` and in lists there, in order."""
    found: list[Tensor] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            found.append(argument)
        elif isinstance(argument, list | tuple):
            found += handed(argument)
    return tuple(found)
