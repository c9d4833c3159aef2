"""A forward pass on shapes: each method of `Builder` takes and returns values, and records an operator.

Sizes may be integers or NumPy integer arrays, which broadcast; the methods use only arithmetic on them.
Convolution and pooling follow PyTorch: `out = (in + 2 padding - dilation (kernel - 1) - 1) // stride + 1`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Literal

from mbanalyze.inputs.typed import Sizes
from mbanalyze.ops.numbers import any_true
from mbanalyze.ops.record import Attribute, Op, Role, Value, canonical_strides, contiguous_strides

Pair = int | tuple[int, int]

BATCHES_ITEMSIZE = 8
"""Bytes of a batch norm's number of batches, an int64."""


class ShapeError(ValueError):
    """An operator that does not fit its operands."""


def pair(size: Pair) -> tuple[int, int]:
    """Return `size` as (height, width); an integer stands for both."""
    return size if isinstance(size, tuple) else (size, size)


def _output_size(n: int, k: int, s: int, p: int, d: int, ceil: bool) -> int:
    """The number of windows along a dimension; `ceil` adds one that starts inside and ends outside."""
    span = n + 2 * p - d * (k - 1) - 1
    if not ceil:
        return span // s + 1
    out = -(-span // s) + 1
    return out - ((out - 1) * s >= n + p)


class Builder:
    """A builder of an operator list.

    Attributes:
        ops: the operators recorded so far, in order.
        training: True to record the operators of training mode.
    """

    def __init__(self, *, training: bool = False) -> None:
        self.ops: list[Op] = []
        self.training = training
        self._path: list[str] = []
        self._numbers: Counter[Role] = Counter()

    @contextmanager
    def scope(self, *names: object) -> Iterator[None]:
        """Enter the submodule `names` of the current one: operators recorded in the `with` block belong to it."""
        depth = len(self._path)
        self._path += map(str, names)
        yield
        del self._path[depth:]

    def _new_values(self, role: Role, shapes: Sequence[Sizes]) -> tuple[Value, ...]:
        first = self._numbers[role]
        self._numbers[role] += len(shapes)
        return tuple([Value(role, number, shape) for number, shape in enumerate(shapes, first)])

    def input(self, *shape: int) -> Value:
        """Return a network input of this shape."""
        return self._new_values("activation", [shape])[0]

    def _record(
        self,
        name: object,
        kind: str,
        inputs: tuple[Value, ...],
        shape: Sizes,
        *,
        weights: tuple[Sizes, ...] = (),
        buffers: tuple[Sizes, ...] = (),
        **attributes: Attribute,
    ) -> Value:
        output = self._new_values("activation", [shape])
        operands = inputs
        if weights:
            operands += self._new_values("weight", weights)
        if buffers:
            operands += self._new_values("buffer", buffers)
        params = sum(map(prod, weights))
        settings = tuple(sorted(attributes.items()))
        self.ops.append(Op(self._qualified(name), kind, operands, output, params, settings))
        return output[0]

    def _qualified(self, name: object) -> str:
        return ".".join(self._path if name == "" else [*self._path, str(name)])

    def _shape_error(self, name: object, problem: str) -> ShapeError:
        return ShapeError(f"{self._qualified(name) or 'the network'}: {problem}")

    def _check_groups(self, name: object, c: int, k: int, groups: int) -> None:
        if any_true(c % groups) or any_true(k % groups):
            raise self._shape_error(name, f"{groups} groups do not divide {c} -> {k} channels")

    def _output_sizes(
        self,
        name: object,
        x: Value,
        kernel: Pair,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        *,
        ceil: bool = False,
    ) -> Sizes:
        h, w = x.shape[-2:]
        (kh, kw), (sh, sw), (ph, pw), (dh, dw) = pair(kernel), pair(stride), pair(padding), pair(dilation)
        out = _output_size(h, kh, sh, ph, dh, ceil), _output_size(w, kw, sw, pw, dw, ceil)
        if any_true(out[0] < 1) or any_true(out[1] < 1):
            problem = f"a window of {kernel} does not fit its {h} x {w} input; use a larger resolution"
            raise self._shape_error(name, problem)
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
        """Record a convolution: [n, c, h, w] -> [n, channels, h', w'], weight [channels, c / groups, *kernel]."""
        n, c, *_ = x.shape
        self._check_groups(name, c, channels, groups)
        size = self._output_sizes(name, x, kernel, stride, padding, dilation)
        weights = ((channels, c // groups, *pair(kernel)),) + ((channels,),) * bias
        shape, steps = (n, channels, *size), pair(stride)
        return self._record(name, "conv", (x,), shape, weights=weights, stride=steps, dilation=pair(dilation))

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
        """Record a transposed convolution: [n, c, h, w] -> [n, channels, h', w'].

        The weight is [c, channels / groups, *kernel].
        `h' = (h - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1`.
        """
        n, c, *image = x.shape
        self._check_groups(name, c, channels, groups)
        for extra, s, d in zip(*map(pair, (output_padding, stride, dilation)), strict=True):
            if any_true((extra >= s) & (extra >= d)):
                raise self._shape_error(
                    name, f"output padding {extra} must be less than the stride or the dilation"
                )
        settings = zip(image, *map(pair, (kernel, stride, padding, output_padding, dilation)), strict=True)
        size = tuple((i - 1) * s - 2 * p + d * (k - 1) + extra + 1 for i, k, s, p, extra, d in settings)
        if any(any_true(i < 1) for i in size):
            raise self._shape_error(name, f"padding {padding} leaves no output; use a smaller padding")
        weights = ((c, channels // groups, *pair(kernel)),) + ((channels,),) * bias
        shape, steps = (n, channels, *size), pair(stride)
        return self._record(
            name, "conv", (x,), shape, weights=weights, transposed=True, stride=steps, dilation=pair(dilation)
        )

    def linear(self, x: Value, features: int, *, bias: bool = True, name: object = "") -> Value:
        """Record a linear layer: [*, c] -> [*, features], weight [features, c]."""
        weights = ((features, x.shape[-1]),) + ((features,),) * bias
        return self._record(name, "linear", (x,), (*x.shape[:-1], features), weights=weights)

    def batch_norm(self, x: Value, *, name: object = "") -> Value:
        """Record a batch norm: a learned scale and shift, and a stored mean and variance, per channel.

        In training it counts the batches, and normalises by the mean and variance of the batch.
        """
        c = (x.shape[1],)
        if not self.training:
            return self._record(name, "batch_norm", (x,), x.shape, weights=(c, c), buffers=(c, c))
        if not any_true(prod(x.shape) != x.shape[1]):
            raise self._shape_error(name, "training needs several values per channel; use a larger batch")
        batches = Value("buffer", self._new_values("buffer", [()])[0].number, (), itemsize=BATCHES_ITEMSIZE)
        self.ops.append(Op(self._qualified(name), "add", (batches,), (batches,)))
        kind = "batch_norm_training"
        return self._record(name, kind, (x,), x.shape, weights=(c, c), buffers=(c, c), affine=2)

    def dropout(self, x: Value, *, name: object = "") -> Value:
        """Record a dropout in training; at inference it does nothing."""
        return self._record(name, "dropout", (x,), x.shape) if self.training else x

    def elementwise(self, kind: str, *inputs: Value, name: object = "") -> Value:
        """Record an elementwise operator (an activation, `add`, `mul`, ...) on inputs that broadcast."""
        if len(inputs) == 1:
            return self._record(name, kind, inputs, inputs[0].shape)
        rank = max(len(x.shape) for x in inputs)
        padded = [(1,) * (rank - len(x.shape)) + x.shape for x in inputs]
        shape = tuple(self._broadcast(name, sizes) for sizes in zip(*padded, strict=True))
        return self._record(name, kind, inputs, shape)

    def _broadcast(self, name: object, sizes: tuple[int, ...]) -> int:
        size = sizes[0]
        for other in sizes[1:]:
            if not any_true(size != other) or not any_true(other != 1):
                continue
            if any_true(size != 1):
                raise self._shape_error(name, f"sizes {size} and {other} do not broadcast")
            size = other
        return size

    def pool(
        self,
        kind: Literal["max", "avg"],
        x: Value,
        kernel: Pair,
        *,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil: bool = False,
        name: object = "",
    ) -> Value:
        """Record a pooling: [n, c, h, w] -> [n, c, h', w']; the stride defaults to the kernel."""
        if any(any_true(2 * p > k) for p, k in zip(pair(padding), pair(kernel), strict=True)):
            raise self._shape_error(name, f"padding {padding} is more than half of the window {kernel}")
        stride = kernel if stride is None else stride
        size = self._output_sizes(name, x, kernel, stride, padding, 1, ceil=ceil)
        shape = (*x.shape[:-2], *size)
        return self._record(name, f"{kind}_pool", (x,), shape, kernel=pair(kernel), stride=pair(stride))

    def global_avg_pool(self, x: Value, *, keepdim: bool = True, name: object = "") -> Value:
        """Record a global average pooling: [n, c, h, w] -> [n, c, 1, 1], or [n, c] if `keepdim` is False."""
        return self._record(name, "global_avg_pool", (x,), (*x.shape[:2], 1, 1)[: 4 if keepdim else 2])

    def adaptive_avg_pool(self, x: Value, size: Pair, *, name: object = "") -> Value:
        """Record an adaptive average pooling: [n, c, h, w] -> [n, c, *size]."""
        return self._record(name, "adaptive_avg_pool", (x,), (*x.shape[:2], *pair(size)), dims=2)

    def cat(self, *inputs: Value, name: object = "") -> Value:
        """Record a concatenation along the channels: [n, c_i, h, w] -> [n, sum c_i, h, w]."""
        n, _, *image = inputs[0].shape
        if any(any_true(a != b) for x in inputs for a, b in zip(image, x.shape[2:], strict=True)):
            sizes = ", ".join("x".join(map(str, x.shape)) for x in inputs)
            raise self._shape_error(name, f"cannot concatenate {sizes} along the channels")
        return self._record(name, "cat", inputs, (n, sum(x.shape[1] for x in inputs), *image))

    def local_response_norm(self, x: Value, size: int = 5, *, name: object = "") -> Value:
        """Record `x / (k + alpha mean of squares over size channels) ** beta`, in PyTorch's sequence of operators."""
        n, c, h, w = x.shape
        square = self.elementwise("mul", x, x, name=name)
        square = Value(square.role, square.number, (n, 1, c, h, w))
        padded = self._record(name, "pad", (square,), (n, 1, c + size - 1, h, w))
        window, step = (size, 1, 1), (1, 1, 1)
        mean = self._record(name, "avg_pool", (padded,), (n, 1, c, h, w), kernel=window, stride=step)
        scale = Value(mean.role, mean.number, x.shape)
        for kind in ("mul", "add", "pow"):
            scale = self.elementwise(kind, scale, name=name)
        return self.elementwise("div", x, scale, name=name)

    def split_channels(self, x: Value) -> tuple[Value, Value]:
        """Return two views of [n, c, h, w], each half of the channels; a view is no operator."""
        n, c, h, w = x.shape
        shape = (n, c // 2, h, w)
        strides = canonical_strides(shape, contiguous_strides(x.shape))
        first, second = (Value(x.role, x.number, shape, i * (c // 2) * h * w, strides) for i in (0, 1))
        return first, second

    def channel_shuffle(self, x: Value, groups: int, *, name: object = "") -> Value:
        """Record the copy that interleaves the channels of all groups: [n, c, h, w] -> the same; one group needs none."""
        n, c, h, w = x.shape
        if not any_true(groups != 1):
            return x
        shape = (n, c // groups, groups, h, w)
        by_group = contiguous_strides((n, groups, c // groups, h, w))
        strides = canonical_strides(shape, [by_group[i] for i in (0, 2, 1, 3, 4)])
        interleaved = Value(x.role, x.number, shape, x.offset, strides)
        return self._record(name, "copy", (interleaved,), x.shape)

    def flatten(self, x: Value) -> Value:
        """Return a view [n, c h w] of [n, c, h, w]; a view is no operator."""
        return Value(x.role, x.number, (x.shape[0], prod(x.shape[1:])))
