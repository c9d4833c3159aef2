"""Closed-form cost of one layer, from its hyper-parameters.

Every size may be an integer or a NumPy integer array.
Arrays broadcast, and the counts of the returned `Cost` are then arrays.
A `size` or `kernel` is one integer for both sides, or (height, width).
Memory access counts each element once per read and once per write.

>>> conv((14, 14), 512, 512, 3, padding=1, bias=False).macs
462422016
>>> depthwise_separable((14, 14), 512, 512, 3, padding=1, normalised=False).macs
52283392
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, cast

from mbanalyze.archs.builder import Builder, Pair, ShapeError, pair
from mbanalyze.inputs.choices import choose
from mbanalyze.ops.cost import Cost, total
from mbanalyze.ops.elementwise import BINARY, ELEMENTWISE
from mbanalyze.ops.numbers import any_true
from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import cost

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Size = int | NDArray[np.integer]
    SizePair = Size | tuple[Size, Size]

__all__ = [
    "ConvOptions",
    "batch_norm",
    "concatenation",
    "conv",
    "conv_transpose",
    "depthwise_conv",
    "depthwise_separable",
    "elementwise",
    "global_avg_pool",
    "grouped_conv",
    "linear",
    "memory_access_bound",
    "pointwise_conv",
    "pool",
    "separable_reduction",
    "squeeze_excitation",
]


def __dir__() -> list[str]:
    return __all__


def _integer(name: str, size: Size, minimum: int = 1) -> int:
    """The size as a Python integer, or as an int64 array that supports the same arithmetic."""
    if getattr(size, "ndim", 0):
        array = cast("NDArray[np.integer]", size)
        if array.dtype.kind not in "iu" or array.size == 0:
            raise ShapeError(f"{name} must hold integers, not {array.size} of {array.dtype}")
        integer = cast("int", array.astype("int64"))
    else:
        try:
            integer = operator.index(cast("int", size if not isinstance(size, bool) else None))
        except TypeError:
            raise ShapeError(f"{name} must be an integer, not {size!r}") from None
    if any_true(integer < minimum):
        raise ShapeError(f"{name} must be at least {minimum}, not {size}")
    return integer


def _integers(name: str, sizes: SizePair, minimum: int = 1) -> tuple[int, int]:
    """The sizes as (height, width)."""
    if isinstance(sizes, tuple) and len(sizes) != 2:
        raise ShapeError(f"{name} must be one size or (height, width), not {sizes!r}")
    h, w = pair(cast("Pair", sizes))
    return _integer(name, h, minimum), _integer(name, w, minimum)


def _image(builder: Builder, size: SizePair, channels: Size, batch: Size) -> Value:
    return builder.input(_integer("batch", batch), _integer("channels", channels), *_integers("size", size))


def _window_settings(**sizes: SizePair) -> dict[str, Any]:
    """The settings of a window (kernel, stride, ...) as (height, width); only paddings may be 0."""
    return {
        name: _integers(name, given, minimum=0 if "padding" in name else 1) for name, given in sizes.items()
    }


def _maxima(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes, with each array replaced by its largest element."""
    return tuple(int(n.max()) if hasattr(n, "max") else n for n in sizes)


def _upper_bound(op: Op) -> Cost:
    """The cost of `op` at its largest sizes, in Python integers, which do not overflow."""

    def largest(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(Value(value.role, value.number, _maxima(value.shape)) for value in values)

    attributes = tuple((name, _maxima(v) if isinstance(v, tuple) else v) for name, v in op.attributes)
    return cost(op._replace(operands=largest(op.operands), output=largest(op.output), attributes=attributes))


def _cost(builder: Builder) -> Cost:
    """The cost of all recorded operators; arrays must fit 64 bits."""
    if any(hasattr(n, "dtype") for op in builder.ops for n in op.output[0].shape):
        bound = total([_upper_bound(op) for op in builder.ops])
        if max(bound.flops or 0, bound.memory_access) >= 2**63:
            raise ShapeError("the counts may not fit 64 bits: give integers instead of arrays")
    return total([cost(op) for op in builder.ops])


def conv(
    size: SizePair,
    in_channels: Size,
    out_channels: Size,
    kernel: SizePair,
    *,
    stride: SizePair = 1,
    padding: SizePair = 0,
    dilation: SizePair = 1,
    groups: Size = 1,
    bias: bool = True,
    batch: Size = 1,
) -> Cost:
    """Count a convolution, standard or grouped: `h' w' k^2 c1 c2 / g` multiply-accumulates.

    Args:
        size: height and width of the input, in pixels.
        in_channels, out_channels: `c1` and `c2`, both divisible by `groups`.
        kernel, stride, padding, dilation: as in `torch.nn.Conv2d`.
        groups: `g`, 1 for a standard convolution.

    Raises:
        ShapeError: a size is not an integer in range, the groups do not divide the channels, or the window does
            not fit the input.

    Source: MobileNets (arXiv:1704.04861) eq. 2; grouped: ShuffleNet V2 (arXiv:1807.11164) section 2.
    """
    builder = Builder()
    builder.conv(
        _image(builder, size, in_channels, batch),
        _integer("out_channels", out_channels),
        **_window_settings(kernel=kernel, stride=stride, padding=padding, dilation=dilation),
        groups=_integer("groups", groups),
        bias=bias,
    )
    return _cost(builder)


class ConvOptions(TypedDict, total=False):
    """Keyword arguments that the special cases of a convolution pass on to `conv`."""

    stride: SizePair
    padding: SizePair
    dilation: SizePair
    bias: bool
    batch: Size


def grouped_conv(
    size: SizePair,
    in_channels: Size,
    out_channels: Size,
    kernel: SizePair,
    groups: Size,
    **options: Unpack[ConvOptions],
) -> Cost:
    """Count a grouped convolution; other arguments as in `conv`."""
    return conv(size, in_channels, out_channels, kernel, groups=groups, **options)


def depthwise_conv(
    size: SizePair, channels: Size, kernel: SizePair, *, multiplier: Size = 1, **options: Unpack[ConvOptions]
) -> Cost:
    """Count a depthwise convolution with `m = multiplier` filters per channel: `h' w' k^2 c m` multiply-accumulates.

    Other arguments as in `conv`.

    Source: MobileNets (arXiv:1704.04861) eq. 4.
    """
    filters = _integer("channels", channels) * _integer("multiplier", multiplier)
    return conv(size, channels, filters, kernel, groups=channels, **options)


def pointwise_conv(
    size: SizePair, in_channels: Size, out_channels: Size, **options: Unpack[ConvOptions]
) -> Cost:
    """Count a 1x1 convolution: `h w c1 c2` multiply-accumulates. Other arguments as in `conv`.

    Without bias the memory access is `hw(c1 + c2) + c1 c2`.

    Source: ShuffleNet V2 (arXiv:1807.11164) section 2, G1.
    """
    return conv(size, in_channels, out_channels, 1, **options)


def conv_transpose(
    size: SizePair,
    in_channels: Size,
    out_channels: Size,
    kernel: SizePair,
    *,
    stride: SizePair = 1,
    padding: SizePair = 0,
    output_padding: SizePair = 0,
    dilation: SizePair = 1,
    groups: Size = 1,
    bias: bool = True,
    batch: Size = 1,
) -> Cost:
    """Count a transposed convolution: `h w k^2 c1 c2 / g` multiply-accumulates.

    The count includes the outputs that `padding` crops, because the definition computes them.
    Arguments are those of `torch.nn.ConvTranspose2d`; errors as in `conv`.
    """
    builder = Builder()
    builder.conv_transpose(
        _image(builder, size, in_channels, batch),
        _integer("out_channels", out_channels),
        **_window_settings(
            kernel=kernel, stride=stride, padding=padding, output_padding=output_padding, dilation=dilation
        ),
        groups=_integer("groups", groups),
        bias=bias,
    )
    return _cost(builder)


def depthwise_separable(
    size: SizePair,
    in_channels: Size,
    out_channels: Size,
    kernel: SizePair,
    *,
    stride: SizePair = 1,
    padding: SizePair = 0,
    normalised: bool = True,
    batch: Size = 1,
) -> Cost:
    """Count a depthwise and a pointwise convolution without bias: `h' w' (k^2 c1 + c1 c2)` multiply-accumulates.

    Other arguments and errors as in `conv`.

    Args:
        normalised: True if each convolution is followed by a batch norm and a ReLU, as in MobileNets.

    Source: MobileNets (arXiv:1704.04861) eq. 5.
    """
    builder = Builder()
    x = _image(builder, size, in_channels, batch)
    channels = x.shape[1]
    depthwise = _window_settings(kernel=kernel, stride=stride, padding=padding)
    pointwise = _window_settings(kernel=1, stride=1, padding=0)
    for filters, groups, window in (
        (channels, channels, depthwise),
        (_integer("out_channels", out_channels), 1, pointwise),
    ):
        x = builder.conv(x, filters, groups=groups, **window)
        if normalised:
            x = builder.elementwise("relu", builder.batch_norm(x))
    return _cost(builder)


def separable_reduction(out_channels: Size, kernel: Size) -> float:
    """Return the multiply-accumulates of a depthwise separable convolution, relative to the standard one.

    The ratio is `1/N + 1/D_K^2` for `N` output channels and a square kernel of side `D_K`.

    Source: MobileNets (arXiv:1704.04861), end of section 3.1.

    >>> round(1 / separable_reduction(512, 3), 2)
    8.84
    """
    n, side = _integer("out_channels", out_channels), _integer("kernel", kernel)
    return 1 / n + 1 / side**2


def memory_access_bound(size: SizePair, macs: Size) -> float:
    """Return the minimum memory access of a 1x1 convolution of `B = macs`: `2 sqrt(hwB) + B / hw` elements.

    A convolution with equal input and output channels reaches the minimum.
    `size` is the height and width of the feature map.

    Source: ShuffleNet V2 (arXiv:1807.11164) eq. 1, G1.

    >>> memory_access_bound(56, pointwise_conv(56, 128, 128, bias=False).macs)
    819200.0
    """
    h, w = _integers("size", size)
    b = _integer("macs", macs, minimum=0)
    return cast("float", 2 * (1.0 * h * w * b) ** 0.5 + b / (1.0 * h * w))


def linear(in_features: Size, out_features: Size, *, bias: bool = True, batch: Size = 1) -> Cost:
    """Count a fully connected layer: `batch c1 c2` multiply-accumulates."""
    builder = Builder()
    x = builder.input(_integer("batch", batch), _integer("in_features", in_features))
    builder.linear(x, _integer("out_features", out_features), bias=bias)
    return _cost(builder)


def batch_norm(size: SizePair, channels: Size, *, batch: Size = 1) -> Cost:
    """Count a batch norm at inference: two flops per element, two learned scalars per channel."""
    builder = Builder()
    builder.batch_norm(_image(builder, size, channels, batch))
    return _cost(builder)


def pool(
    kind: Literal["max", "avg"],
    size: SizePair,
    channels: Size,
    kernel: SizePair,
    *,
    stride: SizePair | None = None,
    padding: SizePair = 0,
    batch: Size = 1,
) -> Cost:
    """Count a max or average pooling; the stride defaults to the kernel.

    A window of `a` elements takes `a - 1` flops for its maximum and `a` for its average.

    Raises:
        ChoiceError: the kind is neither `max` nor `avg`.
        ShapeError: as in `conv`.
    """
    choose("pooling", kind, ("max", "avg"))
    builder = Builder()
    builder.pool(
        kind,
        _image(builder, size, channels, batch),
        **_window_settings(kernel=kernel, stride=kernel if stride is None else stride, padding=padding),
    )
    return _cost(builder)


def global_avg_pool(size: SizePair, channels: Size, *, batch: Size = 1) -> Cost:
    """Count a global average pooling: one flop per element read."""
    builder = Builder()
    builder.global_avg_pool(_image(builder, size, channels, batch))
    return _cost(builder)


def elementwise(kind: str, size: SizePair, channels: Size, *, inputs: int = 1, batch: Size = 1) -> Cost:
    """Count an activation (`relu`, `hard_swish`, ...), or with `inputs=2` a binary operator (`add`, `mul`, ...).

    `mbanalyze.ops.elementwise.ELEMENTWISE` lists the kinds and the flops per element of each.

    Raises:
        ChoiceError: the kind is not elementwise.
        ShapeError: a size is not an integer in range, or the kind has one input and `inputs` is larger.
    """
    choose("elementwise kind", kind, ELEMENTWISE)
    if inputs > 1 and kind not in BINARY:
        raise ShapeError(f"{kind} has one input, not {inputs}")
    builder = Builder()
    images = [_image(builder, size, channels, batch) for _ in range(_integer("inputs", inputs))]
    builder.elementwise(kind, *images)
    return _cost(builder)


def concatenation(size: SizePair, *channels: Size, batch: Size = 1) -> Cost:
    """Count a concatenation of feature maps along the channels: no arithmetic, every element read and written."""
    _integer("number of inputs", len(channels))
    builder = Builder()
    builder.cat(*(_image(builder, size, c, batch) for c in channels))
    return _cost(builder)


def squeeze_excitation(
    size: SizePair, channels: Size, squeezed: Size, *, gate: str = "sigmoid", batch: Size = 1
) -> Cost:
    """Count a squeeze-and-excitation: pool, reduce, ReLU, expand, gate, scale.

    The 1x1 convolutions that reduce and expand have a bias.

    Args:
        squeezed: channels between the two convolutions.
        gate: elementwise kind that maps expanded values to factors; `hard_sigmoid` in MobileNetV3.

    Raises:
        ChoiceError: the gate is not an elementwise kind of one input.
        ShapeError: a size is not an integer in range.

    Source: Squeeze-and-Excitation Networks (arXiv:1709.01507) section 3.
    """
    choose("gate", gate, [kind for kind in ELEMENTWISE if kind not in BINARY])
    builder = Builder()
    x = _image(builder, size, channels, batch)
    pooled = builder.global_avg_pool(x)
    reduced = builder.elementwise("relu", builder.conv(pooled, _integer("squeezed", squeezed), 1, bias=True))
    factors = builder.elementwise(gate, builder.conv(reduced, x.shape[1], 1, bias=True))
    builder.elementwise("mul", factors, x)
    return _cost(builder)
