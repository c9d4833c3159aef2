"""A forward pass on shapes: each method takes and returns values, and notes the operator it stands for.

Sizes may be integers or NumPy integer arrays, which broadcast; only arithmetic is done on them.
Convolution and pooling follow PyTorch: `out = (in + 2 padding - dilation (kernel - 1) - 1) // stride + 1`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Literal

from mbanalyze.cost import Attribute, Op, Role, Shape, Value

Pair = int | tuple[int, int]


class ShapeError(ValueError):
    """An operator does not fit what it is applied to."""


def pair(size: Pair) -> tuple[int, int]:
    """`size` for height and width: one integer stands for both."""
    return size if isinstance(size, tuple) else (size, size)


def never(condition: object) -> bool:
    """Whether `condition` is false, in every element where it is an array."""
    return not (condition.any() if hasattr(condition, "any") else condition)


class Sketch:
    """A network being written down: `ops` is the list so far, in order."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self._path: list[str] = []
        self._numbers: Counter[Role] = Counter()

    @contextmanager
    def at(self, *names: object) -> Iterator[None]:
        """Inside the `with`, operators belong to the submodule `names` of the current one."""
        depth = len(self._path)
        self._path += map(str, names)
        yield
        del self._path[depth:]

    def _new(self, role: Role, shape: Shape) -> Value:
        number = self._numbers[role]
        self._numbers[role] += 1
        return Value(role, number, shape)

    def input(self, *shape: int) -> Value:
        """An input of the network, with this shape."""
        return self._new("activation", shape)

    def _note(
        self,
        name: object,
        kind: str,
        inputs: tuple[Value, ...],
        shape: Shape,
        *,
        weights: tuple[Shape, ...] = (),
        buffers: tuple[Shape, ...] = (),
        **attributes: Attribute,
    ) -> Value:
        path = [*self._path, str(name)] if name != "" else self._path
        output = self._new("activation", shape)
        learned = tuple(self._new("weight", weight) for weight in weights)
        stored = tuple(self._new("buffer", buffer) for buffer in buffers)
        params = sum(weight.size for weight in learned)
        operands = (*inputs, *learned, *stored)
        settings = tuple(sorted(attributes.items()))
        self.ops.append(Op(".".join(path), kind, operands, (output,), params, settings))
        return output

    def _fail(self, name: object, problem: str) -> ShapeError:
        path = ".".join([*self._path, *([str(name)] if name != "" else [])])
        return ShapeError(f"{path or 'the network'}: {problem}")

    def _check_groups(self, name: object, c: int, k: int, groups: int) -> None:
        if not (never(c % groups) and never(k % groups)):
            raise self._fail(name, f"{groups} groups do not divide {c} -> {k} channels")

    def _window(
        self, name: object, x: Value, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
    ) -> Shape:
        settings = zip(x.shape[-2:], pair(kernel), pair(stride), pair(padding), pair(dilation), strict=True)
        out = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in settings)
        if not all(never(n < 1) for n in out):
            h, w = x.shape[-2:]
            raise self._fail(
                name, f"a window of {kernel} does not fit its {h} x {w} input; use a larger resolution"
            )
        return out

    def conv(
        self,
        x: Value,
        channels: int,
        kernel: Pair,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = False,
        name: object = "",
    ) -> Value:
        """[n, c, h, w] -> [n, channels, h', w'], weight [channels, c / groups, *kernel]."""
        n, c, *_ = x.shape
        self._check_groups(name, c, channels, groups)
        size = self._window(name, x, kernel, stride, padding, dilation)
        weights = ((channels, c // groups, *pair(kernel)),) + ((channels,),) * bias
        return self._note(name, "conv", (x,), (n, channels, *size), weights=weights)

    def conv_transpose(
        self,
        x: Value,
        channels: int,
        kernel: Pair,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        output_padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = False,
        name: object = "",
    ) -> Value:
        """[n, c, h, w] -> [n, channels, h', w'], weight [c, channels / groups, *kernel].

        `h' = (h - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1`.
        """
        n, c, *image = x.shape
        self._check_groups(name, c, channels, groups)
        settings = zip(image, *map(pair, (kernel, stride, padding, output_padding, dilation)), strict=True)
        size = tuple((i - 1) * s - 2 * p + d * (k - 1) + extra + 1 for i, k, s, p, extra, d in settings)
        if not all(never(i < 1) for i in size):
            raise self._fail(name, f"padding {padding} leaves nothing of the output")
        weights = ((c, channels // groups, *pair(kernel)),) + ((channels,),) * bias
        return self._note(name, "conv", (x,), (n, channels, *size), weights=weights, transposed=True)

    def linear(self, x: Value, features: int, *, bias: bool = True, name: object = "") -> Value:
        """[*, c] -> [*, features], weight [features, c]."""
        weights = ((features, x.shape[-1]),) + ((features,),) * bias
        return self._note(name, "linear", (x,), (*x.shape[:-1], features), weights=weights)

    def batch_norm(self, x: Value, *, name: object = "") -> Value:
        """Same shape; a scale and a shift are learned, a mean and a variance stored, for each channel."""
        c = (x.shape[1],)
        return self._note(name, "batch_norm", (x,), x.shape, weights=(c, c), buffers=(c, c))

    def elementwise(self, kind: str, *inputs: Value, name: object = "") -> Value:
        """One output element for each of the broadcast inputs: activations, `add`, `mul` and so on."""
        rank = max(len(x.shape) for x in inputs)
        padded = [(1,) * (rank - len(x.shape)) + x.shape for x in inputs]
        shape = tuple(self._broadcast(name, sizes) for sizes in zip(*padded, strict=True))
        return self._note(name, kind, inputs, shape)

    def _broadcast(self, name: object, sizes: tuple[int, ...]) -> int:
        size = sizes[0]
        for other in sizes[1:]:
            if never(size != other) or never(other != 1):
                continue
            if not never(size != 1):
                raise self._fail(name, f"sizes {size} and {other} do not broadcast")
            size = other
        return size

    def pool(
        self,
        which: Literal["max", "avg"],
        x: Value,
        kernel: Pair,
        *,
        stride: Pair | None = None,
        padding: Pair = 0,
        name: object = "",
    ) -> Value:
        """[n, c, h, w] -> [n, c, h', w']; the stride is the kernel unless given."""
        size = self._window(name, x, kernel, kernel if stride is None else stride, padding, 1)
        shape = (*x.shape[:-2], *size)
        return self._note(name, f"{which}_pool", (x,), shape, kernel=pair(kernel))

    def global_avg_pool(self, x: Value, *, name: object = "") -> Value:
        """[n, c, h, w] -> [n, c, 1, 1]."""
        return self._note(name, "global_avg_pool", (x,), (*x.shape[:2], 1, 1))

    def cat(self, *inputs: Value, name: object = "") -> Value:
        """Concatenation along the channels, [n, c_i, h, w] -> [n, sum c_i, h, w]."""
        n, _, *image = inputs[0].shape
        if not all(never(a != b) for x in inputs for a, b in zip(image, x.shape[2:], strict=True)):
            sizes = ", ".join("x".join(map(str, x.shape)) for x in inputs)
            raise self._fail(name, f"cannot concatenate {sizes} along the channels")
        return self._note(name, "cat", inputs, (n, sum(x.shape[1] for x in inputs), *image))

    def flatten(self, x: Value) -> Value:
        """[n, c, h, w] -> [n, c h w]: a view, so no operator."""
        return Value(x.role, x.number, (x.shape[0], prod(x.shape[1:])))
