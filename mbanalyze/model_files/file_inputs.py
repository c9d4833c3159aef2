"""The inputs of a network in a file: what the file fixes, and what a user may set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mbanalyze.inputs.resolution import Resolution, sides
from mbanalyze.inputs.typed import InputError, Sizes, is_whole


@dataclass(frozen=True, slots=True)
class FileInput:
    """An input of a network in a file.

    Attributes:
        name: its name.
        sizes: its sizes; a text is the name of one that the file leaves open.
        examples: the sizes with which an open one was exported, by name.
    """

    name: str
    sizes: tuple[int | str, ...]
    examples: Mapping[str, int] = field(default_factory=dict)

    @property
    def spelled(self) -> str:
        """Its sizes as text: `batch,3,224,224`."""
        return ",".join(map(str, self.sizes))


def input_shapes(
    file: str,
    inputs: Sequence[FileInput],
    given: Sequence[Any],
    keywords: Mapping[str, Any],
    *,
    batch: int | None = None,
    resolution: Resolution | None = None,
) -> tuple[Sizes, ...]:
    """Return the shape of each input.

    Args:
        file: the file, for error messages.
        inputs: the inputs of the network.
        given: shapes, or tensors, for the first of them.
        keywords: shapes, or tensors, by name.
        batch: the first size of each input that leaves it open.
        resolution: the last two sizes of each input of at least four dimensions that leaves them open.

    Raises:
        InputError: a shape does not fit the file, or a size that the file leaves open is unknown.
    """
    names = [each.name for each in inputs]
    unknown = next((name for name in keywords if name not in names), None)
    if unknown is not None or len(given) > len(inputs):
        wrong = f"no input {unknown!r}" if unknown is not None else f"{len(inputs)} inputs, not {len(given)}"
        raise InputError(f"{file} has {wrong}: its inputs are {', '.join(names)}")
    chosen = {**dict(zip(names, given, strict=False)), **keywords}
    open_sizes: dict[str, int] = {}
    shapes = []
    for each in inputs:
        sizes = _sizes(chosen[each.name]) if each.name in chosen else _default(file, each, batch, resolution)
        shapes.append(_checked(file, each, sizes, open_sizes))
    return tuple(shapes)


def _sizes(given: Any) -> Sizes:
    """The sizes of a shape or tensor."""
    sizes = getattr(given, "sizes", getattr(given, "shape", given))
    if not isinstance(sizes, Sequence) or not all(is_whole(size) and size >= 0 for size in sizes):
        raise InputError(f"an input of a file is a shape such as (1, 3, 224, 224), not {given!r}")
    return tuple(map(int, sizes))


def _default(file: str, each: FileInput, batch: int | None, resolution: Resolution | None) -> Sizes:
    """The sizes in the file, with the batch and resolution that a user gives."""
    sizes = list(each.sizes)
    if batch is not None and sizes:
        sizes[0] = batch
    if resolution is not None and len(sizes) >= 4:
        sizes[-2:] = sides(resolution)
    if sizes and isinstance(sizes[0], str):
        sizes[0] = each.examples.get(sizes[0], 1)
    found = [each.examples.get(size) if isinstance(size, str) else size for size in sizes]
    if None in found:
        raise InputError(
            f"{file} leaves sizes of its input {each.name} open ({each.spelled}): give --input, such as "
            f"--input {each.name}={','.join(str(size or 224) for size in found)}"
        )
    return tuple(size for size in found if size is not None)


def _checked(file: str, each: FileInput, sizes: Sizes, open_sizes: dict[str, int]) -> Sizes:
    """The sizes, if they fit those of the file and those of earlier inputs with an open size of the same name."""
    if len(sizes) != len(each.sizes):
        raise InputError(
            f"{file} takes an input {each.name} of {len(each.sizes)} dimensions ({each.spelled}), not {len(sizes)}"
        )
    for place, (size, allowed) in enumerate(zip(sizes, each.sizes, strict=True)):
        expected = open_sizes.setdefault(allowed, size) if isinstance(allowed, str) and allowed else allowed
        if isinstance(expected, int) and size != expected:
            reason = (
                "was fixed when it was exported" if isinstance(allowed, int) else "is that of another input"
            )
            raise InputError(
                f"{file} takes {each.name} as {each.spelled}: dimension {place} ({expected}) {reason}"
            )
    return sizes
