"""The arguments of a forward that a file describes, and those that a user may set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mbanalyze.inputs.resolution import Resolution
from mbanalyze.inputs.shape import Shape, positional
from mbanalyze.inputs.typed import InputError, Sizes
from mbanalyze.model_files.file_inputs import FileInput, input_shapes
from mbanalyze.model_files.pt2_file.input_structure import Structure
from mbanalyze.model_files.pt2_file.pt2_graph import TensorMeta
from mbanalyze.model_files.pt2_file.size_expressions import symbol_of, value_of

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""The positional and keyword arguments of a forward."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """An argument of a forward, or a part of one.

    Attributes:
        name: its name in the graph.
        meta: its description if it is a tensor.
        constant: its value if it is none.
        is_open: True if another value of the same type is possible.
    """

    name: str
    meta: TensorMeta | None = None
    constant: Any = None
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class ProgramInputs:
    """The arguments of a forward.

    Attributes:
        file: the file, for error messages.
        leaves: the arguments, those in containers one by one.
        structure: their nesting.
        names: the names of the outermost arguments.
        ranges: the smallest and largest value of each symbolic size, or None.
        dtype: the element type of a shape without one.
    """

    file: str
    leaves: Sequence[Leaf]
    structure: Structure
    names: tuple[str, ...]
    ranges: Mapping[str, tuple[int | None, int | None]]
    dtype: str

    def __deepcopy__(self, _: Any) -> ProgramInputs:
        return self

    def arguments(
        self,
        given: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
        *,
        batch: int | None = None,
        resolution: Resolution | None = None,
    ) -> Arguments:
        """Return the arguments: those in the file, with the sizes that a user gives.

        Args:
            given: positional arguments, in which a plain tuple of whole numbers is a shape; none for the file's.
            keywords: the same by name.
            batch: the first size of each tensor that leaves it open.
            resolution: the last two sizes of each tensor of at least four dimensions that leaves them open.

        Raises:
            InputError: an argument does not fit the file.
        """
        chosen = self._chosen(given, dict(keywords or {}))
        places = [place for place, leaf in enumerate(self.leaves) if leaf.meta]
        described = [self._described(self.leaves[place]) for place in places]
        shapes = {
            described[i].name: chosen[place] for i, place in enumerate(places) if chosen[place] is not None
        }
        sizes = input_shapes(self.file, described, (), shapes, batch=batch, resolution=resolution)
        self._check_ranges(described, sizes)
        made = [self._constant(leaf, value) for leaf, value in zip(self.leaves, chosen, strict=True)]
        for place, each in zip(places, sizes, strict=True):
            made[place] = self._tensor(self.leaves[place], chosen[place], each)
        args, kwargs = self.structure.built(iter(made))
        return tuple(map(self._plain, args)), kwargs

    def symbols(self, sizes: Sequence[Sizes | None]) -> dict[str, int]:
        """Return the values of symbolic sizes, from the sizes of each argument that is a tensor."""
        found: dict[str, int] = {}
        for leaf, own in zip(self.leaves, sizes, strict=True):
            for size, value in zip(leaf.meta.sizes if leaf.meta else (), own or (), strict=False):
                if isinstance(size, str) and (symbol := symbol_of(size)) is not None:
                    found.setdefault(symbol, value)
        return found

    def _chosen(self, given: Sequence[Any], keywords: dict[str, Any]) -> list[Any]:
        """The value that a user gives for each leaf, or None."""
        if not given and not keywords:
            return [None] * len(self.leaves)
        args, kwargs = self.structure.children
        places = len(args.children)
        given = [*given]
        while (
            len(given) < places
            and self.names[len(given) : len(given) + 1]
            and (self.names[len(given)] in keywords)
        ):
            given.append(keywords.pop(self.names[len(given)]))
        self._check_names(given, keywords)
        outer = [*map(positional, given), *[None] * (places - len(given))]
        pairs = [*zip(args.children, outer, strict=True)]
        pairs += [(child, keywords.get(key)) for child, key in zip(kwargs.children, kwargs.keys, strict=True)]
        return [leaf for child, value in pairs for leaf in self._flat(child, value)]

    def _check_names(self, given: Sequence[Any], keywords: Mapping[str, Any]) -> None:
        """Raise `InputError` for arguments that the forward does not have."""
        args, kwargs = self.structure.children
        unknown = next((name for name in keywords if name not in kwargs.keys), None)
        if unknown is None and len(given) <= len(args.children):
            return
        wrong = f"no input {unknown!r}" if unknown is not None else f"{len(args.children)} inputs by place"
        known = ", ".join(self.names or [leaf.name for leaf in self.leaves])
        raise InputError(f"{self.file} has {wrong}: its inputs are {known}")

    def _flat(self, structure: Structure, value: Any) -> Iterator[Any]:
        if value is None:
            yield from [None] * structure.count()
            return
        try:
            yield from list(structure.flattened(value))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise InputError(f"{self.file} takes an argument of another nesting: {error}") from error

    def _described(self, leaf: Leaf) -> FileInput:
        """A tensor, with the names of its open sizes."""
        assert leaf.meta
        names = [symbol_of(size) or size if isinstance(size, str) else size for size in leaf.meta.sizes]
        pairs = zip(names, leaf.meta.hints, strict=True)
        hints = {name: hint for name, hint in pairs if isinstance(name, str) and hint is not None}
        return FileInput(leaf.name, tuple(names), hints)

    def _check_ranges(self, described: Sequence[FileInput], sizes: Sequence[Sizes]) -> None:
        """Raise `InputError` for an open size outside its range, or unequal to its expression."""
        pairs = [
            (each, name, size)
            for each, own in zip(described, sizes, strict=True)
            for name, size in zip(each.sizes, own, strict=True)
            if isinstance(name, str)
        ]
        symbols = {name: size for _, name, size in pairs}
        for each, name, size in pairs:
            least, most = self.ranges.get(name, (None, None))
            expected = None if name.isidentifier() else _value_if_known(name, symbols)
            if expected is not None and expected != size:
                rule = str(expected)
            elif size < (least or 0) or size > (size if most is None else most):
                rule = f"at least {least}" if most is None else f"from {least} to {most}"
            else:
                continue
            raise InputError(f"{self.file} takes {each.name} as {each.spelled}: {name} is {rule}, not {size}")

    def _constant(self, leaf: Leaf, value: Any) -> Any:
        """An argument that is no tensor."""
        if leaf.meta or value is None or value == leaf.constant:
            return leaf.constant
        if leaf.is_open and type(value) is int:
            return value
        raise InputError(
            f"{self.file} takes {leaf.constant!r} for {leaf.name}: it was fixed when it was exported, "
            f"so that {value!r} is not possible"
        )

    def _tensor(self, leaf: Leaf, value: Any, sizes: Sizes) -> Any:
        """A tensor as a user gives it, or the shape of one with the element type of the file."""
        assert leaf.meta
        if hasattr(value, "numel") or (isinstance(value, Shape) and (value.dtype or value.fill)):
            if isinstance(value, Shape) and not value.dtype:
                return Shape(*sizes, dtype=leaf.meta.dtype, fill=value.fill)
            return value
        return Shape(*sizes, dtype=leaf.meta.dtype)

    def _plain(self, argument: Any) -> Any:
        """A positional shape as its sizes, if its element type is that of the parameters."""
        plain = isinstance(argument, Shape) and argument.dtype == self.dtype and not argument.fill
        return argument.sizes if plain else argument


def _value_if_known(expression: str, symbols: Mapping[str, int]) -> int | None:
    """The value of an expression; None if it has a symbol that no input has by itself, or another form."""
    try:
        return value_of(expression, symbols)
    except (ValueError, ArithmeticError):
        return None
