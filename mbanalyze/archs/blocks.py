"""Building blocks that several papers share, in closed form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from math import floor

from mbanalyze.archs.builder import Builder, Pair, pair
from mbanalyze.ops.numbers import at_least
from mbanalyze.ops.record import Op, Value


def round_width(channels: float, step: int = 8) -> int:
    """Return the multiple of `step` nearest to `channels`, at least `step` and at least nine tenths of `channels`.

    MobileNetV2 and MobileNetV3 scale their widths by this rule.
    """
    rounded = at_least(step, floor(channels + step / 2) // step * step)
    return rounded + step * (rounded < 0.9 * channels)


def conv_unit(
    builder: Builder,
    x: Value,
    channels: int,
    kernel: Pair,
    activation: str | None,
    *,
    stride: int = 1,
    padding: Pair | None = None,
    groups: int = 1,
    names: tuple[object, object, object] = (0, 1, 2),
) -> Value:
    """Record a convolution without bias, a batch norm, and an activation unless it is None.

    The default padding keeps the image size at stride 1. `names` are the submodules of the three parts.
    """
    if padding is None:
        h, w = pair(kernel)
        padding = (h // 2, w // 2)
    x = builder.conv(x, channels, kernel, stride=stride, padding=padding, groups=groups, name=names[0])
    x = builder.batch_norm(x, name=names[1])
    return x if activation is None else builder.elementwise(activation, x, name=names[2])


def depthwise_unit(
    builder: Builder,
    x: Value,
    kernel: Pair,
    activation: str | None,
    *,
    stride: int = 1,
    names: tuple[object, object, object] = (0, 1, 2),
) -> Value:
    """Record a `conv_unit` whose convolution is depthwise."""
    c = x.shape[1]
    return conv_unit(builder, x, c, kernel, activation, stride=stride, groups=c, names=names)


def squeeze_excitation(builder: Builder, x: Value, squeezed: int, gate: str) -> Value:
    """Record squeeze-and-excitation (arXiv:1709.01507): pool, reduce, ReLU, expand, gate, scale.

    The 1x1 convolutions that reduce and expand have a bias.
    """
    scale = builder.global_avg_pool(x, name="avgpool")
    scale = builder.conv(scale, squeezed, 1, bias=True, name="fc1")
    scale = builder.elementwise("relu", scale, name="activation")
    scale = builder.conv(scale, x.shape[1], 1, bias=True, name="fc2")
    return builder.elementwise("mul", builder.elementwise(gate, scale, name="scale_activation"), x)


def inverted_residual(
    builder: Builder,
    x: Value,
    hidden: int,
    channels: int,
    activation: str,
    *,
    kernel: int = 3,
    stride: int = 1,
    squeezed: int | None = None,
    submodule: str = "conv",
    wrap_projection: bool = False,
) -> Value:
    """Record an inverted residual: expand, filter depthwise, squeeze-and-excite, project, add the input.

    The expansion is left out if the input already has `hidden` channels.
    The addition needs stride 1 and as many output channels as input channels.

    Args:
        hidden: channels after the expansion.
        activation: elementwise kind after the expansion and after the depthwise convolution.
        squeezed: channels inside the squeeze-and-excitation, or None to leave it out.
        submodule: name of the submodule that holds the parts.
        wrap_projection: True if the projection and its batch norm are in a submodule of their own.
    """
    y, part = x, count()
    with builder.scope(submodule):
        if hidden != x.shape[1]:
            with builder.scope(next(part)):
                y = conv_unit(builder, y, hidden, 1, activation)
        with builder.scope(next(part)):
            y = depthwise_unit(builder, y, kernel, activation, stride=stride)
        if squeezed is not None:
            with builder.scope(next(part)):
                y = squeeze_excitation(builder, y, squeezed, "hard_sigmoid")
        last = next(part)
        names = (f"{last}.0", f"{last}.1", "") if wrap_projection else (last, last + 1, "")
        y = conv_unit(builder, y, channels, 1, None, names=names)
    return builder.elementwise("add", x, y) if stride == 1 and x.shape[1] == channels else y


def fire(builder: Builder, x: Value, squeezed: int, expanded: int) -> Value:
    """Record SqueezeNet's Fire module: a 1x1 squeeze, then `expanded` 1x1 filters and `expanded` 3x3 filters."""

    def expand(kernel: int) -> Value:
        name = f"expand{kernel}x{kernel}"
        y = builder.conv(squeeze, expanded, kernel, padding=kernel // 2, bias=True, name=name)
        return builder.elementwise("relu", y, name=f"{name}_activation")

    squeeze = builder.conv(x, squeezed, 1, bias=True, name="squeeze")
    squeeze = builder.elementwise("relu", squeeze, name="squeeze_activation")
    return builder.cat(expand(1), expand(3))


def separable_conv(builder: Builder, x: Value, channels: int, kernel: int) -> Value:
    """Record Xception's separable convolution: depthwise, then pointwise, without bias or activation."""
    c = x.shape[1]
    x = builder.conv(x, c, kernel, padding=kernel // 2, groups=c, name="conv1")
    return builder.conv(x, channels, 1, name="pointwise")


def parameter_names(ops: Iterable[Op]) -> Iterator[str]:
    """Yield the qualified names of the parameters that `ops` read."""
    for op in ops:
        for _, name in zip(op.weights, ("weight", "bias"), strict=False):
            yield f"{op.path}.{name}"
