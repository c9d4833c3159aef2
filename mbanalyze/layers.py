"""Closed-form cost of one layer, from its hyper-parameters.

Every size may be an integer or a NumPy integer array; arrays broadcast, and so do the counts in the
`Cost` that comes back. A `size` or `kernel` is one integer for both sides, or (height, width).
Memory access counts each element read and written once, in elements.

>>> conv((14, 14), 512, 512, 3, padding=1, bias=False).macs
462422016
>>> depthwise_separable((14, 14), 512, 512, 3, padding=1, normalised=False).macs
52283392
"""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, cast

from mbanalyze.archs.builder import Pair, ShapeError, Sketch, pair
from mbanalyze.ops.cost import Cost, total
from mbanalyze.ops.elementwise import BINARY, ELEMENTWISE
from mbanalyze.ops.numbers import anywhere
from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import cost

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Size = int | NDArray[np.integer]
    Sizes = Size | tuple[Size, Size]


def _whole(name: str, size: Size, least: int = 1) -> int:
    """`size` as an exact integer, or an int64 array that the same arithmetic runs on."""
    if getattr(size, "ndim", 0):
        array = cast("NDArray[np.integer]", size)
        if array.dtype.kind not in "iu" or array.size == 0:
            raise ShapeError(f"{name} must hold integers, not {array.size} of {array.dtype}")
        whole = cast("int", array.astype("int64"))
    else:
        try:
            whole = operator.index(cast("int", size if not isinstance(size, bool) else None))
        except TypeError:
            raise ShapeError(f"{name} must be an integer, not {size!r}") from None
    if anywhere(whole < least):
        raise ShapeError(f"{name} must be at least {least}, not {size}")
    return whole


def _both(name: str, sizes: Sizes, least: int = 1) -> tuple[int, int]:
    """`sizes` for height and width."""
    if isinstance(sizes, tuple) and len(sizes) != 2:
        raise ShapeError(f"{name} must be one size or (height, width), not {sizes!r}")
    h, w = pair(cast("Pair", sizes))
    return _whole(name, h, least), _whole(name, w, least)


def _image(sketch: Sketch, size: Sizes, channels: Size, batch: Size) -> Value:
    return sketch.input(_whole("batch", batch), _whole("channels", channels), *_both("size", size))


def _windows(**sizes: Sizes) -> dict[str, Any]:
    """Kernel, stride and so on for height and width; paddings may be 0."""
    return {name: _both(name, given, least=0 if "padding" in name else 1) for name, given in sizes.items()}


def _largest(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The largest element of each size that is an array, and the sizes that are integers."""
    return tuple(int(n.max()) if hasattr(n, "max") else n for n in sizes)


def _bound(op: Op) -> Cost:
    """What `op` costs at most, in Python's integers, which do not overflow."""

    def largest(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(Value(value.role, value.number, _largest(value.shape)) for value in values)

    settings = tuple((name, _largest(v) if isinstance(v, tuple) else v) for name, v in op.attributes)
    return cost(replace(op, operands=largest(op.operands), output=largest(op.output), attributes=settings))


def _cost(sketch: Sketch) -> Cost:
    if any(hasattr(n, "dtype") for op in sketch.ops for n in op.output[0].shape):
        bound = total([_bound(op) for op in sketch.ops])
        if max(bound.flops or 0, bound.memory_access) >= 2**63:
            raise ShapeError("these counts may not fit 64 bits: give integers instead of arrays")
    return total([cost(op) for op in sketch.ops])


def conv(
    size: Sizes,
    in_channels: Size,
    out_channels: Size,
    kernel: Sizes,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: Size = 1,
    bias: bool = True,
    batch: Size = 1,
) -> Cost:
    """Standard convolution, `groups=1`, or grouped: `h' w' k^2 c1 c2 / g` multiply-accumulates.

    Args:
        size: height and width of the input, in pixels.
        in_channels, out_channels: `c1` and `c2`; both divisible by `groups`.
        kernel, stride, padding, dilation: as in `torch.nn.Conv2d`.

    Raises:
        ShapeError: a size is not a whole number in range, groups do not divide the channels, or the
            window does not fit the input.

    Source: MobileNets (arXiv:1704.04861) eq. 2; grouped: ShuffleNet V2 (arXiv:1807.11164) section 2.
    """
    sketch = Sketch()
    sketch.conv(
        _image(sketch, size, in_channels, batch),
        _whole("out_channels", out_channels),
        **_windows(kernel=kernel, stride=stride, padding=padding, dilation=dilation),
        groups=_whole("groups", groups),
        bias=bias,
    )
    return _cost(sketch)


class Window(TypedDict, total=False):
    """The settings of `conv` that its special cases hand on."""

    stride: Sizes
    padding: Sizes
    dilation: Sizes
    bias: bool
    batch: Size


def grouped_conv(
    size: Sizes,
    in_channels: Size,
    out_channels: Size,
    kernel: Sizes,
    groups: Size,
    **window: Unpack[Window],
) -> Cost:
    """Convolution in `groups` groups that do not see each other; the rest as in `conv`."""
    return conv(size, in_channels, out_channels, kernel, groups=groups, **window)


def depthwise_conv(
    size: Sizes, channels: Size, kernel: Sizes, *, multiplier: Size = 1, **window: Unpack[Window]
) -> Cost:
    """`multiplier` filters for each channel: `h' w' k^2 c m` multiply-accumulates; the rest as in `conv`.

    Source: MobileNets (arXiv:1704.04861) eq. 4.
    """
    filters = _whole("channels", channels) * _whole("multiplier", multiplier)
    return conv(size, channels, filters, kernel, groups=channels, **window)


def pointwise_conv(size: Sizes, in_channels: Size, out_channels: Size, **window: Unpack[Window]) -> Cost:
    """1x1 convolution: `h w c1 c2` multiply-accumulates; the rest as in `conv`.

    Without bias its memory access is `hw(c1 + c2) + c1 c2`: ShuffleNet V2 (arXiv:1807.11164) section 2, G1.
    """
    return conv(size, in_channels, out_channels, 1, **window)


def conv_transpose(
    size: Sizes,
    in_channels: Size,
    out_channels: Size,
    kernel: Sizes,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: Size = 1,
    bias: bool = True,
    batch: Size = 1,
) -> Cost:
    """Transposed convolution: every input element meets the kernel, `h w k^2 c1 c2 / g` in all.

    Products that `padding` crops from the output are counted: they are the ones the definition makes.
    Arguments as in `torch.nn.ConvTranspose2d`; errors as in `conv`.
    """
    sketch = Sketch()
    sketch.conv_transpose(
        _image(sketch, size, in_channels, batch),
        _whole("out_channels", out_channels),
        **_windows(
            kernel=kernel,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            dilation=dilation,
        ),
        groups=_whole("groups", groups),
        bias=bias,
    )
    return _cost(sketch)


def depthwise_separable(
    size: Sizes,
    in_channels: Size,
    out_channels: Size,
    kernel: Sizes,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    normalised: bool = True,
    batch: Size = 1,
) -> Cost:
    """A depthwise convolution, then a pointwise one: `h' w' (k^2 c1 + c1 c2)` multiply-accumulates.

    Args:
        normalised: each of the two is followed by batch norm and ReLU, and has no bias, as in MobileNets.
            False: the two convolutions alone, also without bias.

    Source: MobileNets (arXiv:1704.04861) eq. 5. Errors as in `conv`.
    """
    sketch = Sketch()
    x = _image(sketch, size, in_channels, batch)
    channels = x.shape[1]
    depthwise = _windows(kernel=kernel, stride=stride, padding=padding)
    pointwise = _windows(kernel=1, stride=1, padding=0)
    for filters, groups, window in (
        (channels, channels, depthwise),
        (_whole("out_channels", out_channels), 1, pointwise),
    ):
        x = sketch.conv(x, filters, groups=groups, **window)
        if normalised:
            x = sketch.elementwise("relu", sketch.batch_norm(x))
    return _cost(sketch)


def separable_reduction(out_channels: Size, kernel: Size) -> float:
    """Work of a depthwise separable convolution over that of the standard one: `1/N + 1/D_K^2`.

    `N` output channels, a square kernel of side `D_K`. Source: MobileNets (arXiv:1704.04861), end of
    section 3.1.

    >>> round(1 / separable_reduction(512, 3), 2)
    8.84
    """
    n, side = _whole("out_channels", out_channels), _whole("kernel", kernel)
    return 1 / n + 1 / side**2


def memory_access_bound(size: Sizes, macs: Size) -> float:
    """The least memory access of a 1x1 convolution of `macs` = B: `2 sqrt(hwB) + B / hw` elements.

    Met with equality where input and output channels agree. Source: ShuffleNet V2 (arXiv:1807.11164)
    eq. 1, G1; `size` is that of the feature map.

    >>> memory_access_bound(56, pointwise_conv(56, 128, 128, bias=False).macs)
    819200.0
    """
    h, w = _both("size", size)
    b = _whole("macs", macs, least=0)
    return cast("float", 2 * (1.0 * h * w * b) ** 0.5 + b / (1.0 * h * w))


def linear(in_features: Size, out_features: Size, *, bias: bool = True, batch: Size = 1) -> Cost:
    """Fully connected layer: `batch c1 c2` multiply-accumulates."""
    sketch = Sketch()
    x = sketch.input(_whole("batch", batch), _whole("in_features", in_features))
    sketch.linear(x, _whole("out_features", out_features), bias=bias)
    return _cost(sketch)


def batch_norm(size: Sizes, channels: Size, *, batch: Size = 1) -> Cost:
    """Batch normalisation at inference: two flops an element, two scalars learned for each channel."""
    sketch = Sketch()
    sketch.batch_norm(_image(sketch, size, channels, batch))
    return _cost(sketch)


def pool(
    which: Literal["max", "avg"],
    size: Sizes,
    channels: Size,
    kernel: Sizes,
    *,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    batch: Size = 1,
) -> Cost:
    """Pooling over windows; the stride is the kernel unless given.

    A window of `a` elements costs `a` flops to average and `a - 1` to take the largest of. Errors as in
    `conv`.
    """
    if which not in ("max", "avg"):
        raise ShapeError(f"pooling is 'max' or 'avg', not {which!r}")
    sketch = Sketch()
    sketch.pool(
        which,
        _image(sketch, size, channels, batch),
        **_windows(kernel=kernel, stride=kernel if stride is None else stride, padding=padding),
    )
    return _cost(sketch)


def global_avg_pool(size: Sizes, channels: Size, *, batch: Size = 1) -> Cost:
    """The mean of each channel: one flop for every element read."""
    sketch = Sketch()
    sketch.global_avg_pool(_image(sketch, size, channels, batch))
    return _cost(sketch)


def _known(kind: str, inputs: int = 1) -> None:
    if kind not in ELEMENTWISE:
        raise ShapeError(f"no element-wise kind {kind!r}; there are {', '.join(ELEMENTWISE)}")
    if inputs > 1 and kind not in BINARY:
        raise ShapeError(f"{kind} has one input, not {inputs}")


def elementwise(kind: str, size: Sizes, channels: Size, *, inputs: int = 1, batch: Size = 1) -> Cost:
    """An activation (`relu`, `hard_swish`, ...), or with `inputs=2` an `add`, `mul` and so on.

    Every kind costs a fixed number of flops an element: `elementwise.STEPS` lists them.
    """
    _known(kind, inputs)
    sketch = Sketch()
    sketch.elementwise(
        kind, *(_image(sketch, size, channels, batch) for _ in range(_whole("inputs", inputs)))
    )
    return _cost(sketch)


def concatenation(size: Sizes, *channels: Size, batch: Size = 1) -> Cost:
    """Feature maps of one size laid one after the other: no arithmetic, every element read and written."""
    _whole("the number of inputs", len(channels))
    sketch = Sketch()
    sketch.cat(*(_image(sketch, size, c, batch) for c in channels))
    return _cost(sketch)


def squeeze_excitation(
    size: Sizes,
    channels: Size,
    squeezed: Size,
    *,
    gate: str = "sigmoid",
    batch: Size = 1,
) -> Cost:
    """Squeeze-and-excitation: pool, reduce, ReLU, expand, gate, scale; both 1x1 convolutions have a bias.

    Args:
        squeezed: channels between the two convolutions.
        gate: the element-wise kind that turns expanded values into factors; MobileNetV3's is `hard_sigmoid`.

    Source: Squeeze-and-Excitation Networks (arXiv:1709.01507) section 3. Errors as in `conv`.
    """
    _known(gate)
    if gate in BINARY:
        raise ShapeError(f"a gate has one input, which {gate} does not")
    sketch = Sketch()
    x = _image(sketch, size, channels, batch)
    pooled = sketch.global_avg_pool(x)
    reduced = sketch.elementwise("relu", sketch.conv(pooled, _whole("squeezed", squeezed), 1, bias=True))
    factors = sketch.elementwise(gate, sketch.conv(reduced, x.shape[1], 1, bias=True))
    sketch.elementwise("mul", factors, x)
    return _cost(sketch)
