"""What the papers share, in closed form: rounding of widths, convolution units, squeeze-and-excitation, Fire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from math import floor

from mbanalyze.archs.builder import Pair, Sketch, pair
from mbanalyze.ops.numbers import at_least
from mbanalyze.ops.record import Op, Value


def round_width(channels: float, step: int = 8) -> int:
    """`channels` to the nearest multiple of `step`, never below `step` nor below nine tenths of `channels`.

    MobileNetV2 and V3 widen and narrow by this rule.
    """
    rounded = at_least(step, floor(channels + step / 2) // step * step)
    return rounded + step * (rounded < 0.9 * channels)


def conv_unit(
    sketch: Sketch,
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
    """Convolution without bias, batch norm, and an activation unless it is None.

    The padding keeps an image's size at stride 1 unless given. `names` are those of the three parts.
    """
    if padding is None:
        h, w = pair(kernel)
        padding = (h // 2, w // 2)
    x = sketch.conv(x, channels, kernel, stride=stride, padding=padding, groups=groups, name=names[0])
    x = sketch.batch_norm(x, name=names[1])
    return x if activation is None else sketch.elementwise(activation, x, name=names[2])


def depthwise_unit(
    sketch: Sketch,
    x: Value,
    kernel: Pair,
    activation: str | None,
    *,
    stride: int = 1,
    names: tuple[object, object, object] = (0, 1, 2),
) -> Value:
    """`conv_unit` with a filter of its own for each channel."""
    c = x.shape[1]
    return conv_unit(sketch, x, c, kernel, activation, stride=stride, groups=c, names=names)


def squeeze_excitation(sketch: Sketch, x: Value, squeezed: int, gate: str) -> Value:
    """Pool, reduce, ReLU, expand, gate, scale: arXiv:1709.01507, with 1x1 convolutions that have a bias."""
    scale = sketch.global_avg_pool(x, name="avgpool")
    scale = sketch.conv(scale, squeezed, 1, bias=True, name="fc1")
    scale = sketch.elementwise("relu", scale, name="activation")
    scale = sketch.conv(scale, x.shape[1], 1, bias=True, name="fc2")
    return sketch.elementwise("mul", sketch.elementwise(gate, scale, name="scale_activation"), x)


def inverted_residual(
    sketch: Sketch,
    x: Value,
    hidden: int,
    channels: int,
    activation: str,
    *,
    kernel: int = 3,
    stride: int = 1,
    squeezed: int | None = None,
    names: tuple[str, bool] = ("conv", False),
) -> Value:
    """Expand by 1x1 unless `hidden` is there already, filter each channel, weigh channels, project by 1x1.

    The input is added where the stride is 1 and the channels agree.

    Args:
        squeezed: channels inside the squeeze-and-excitation, or None to leave it out.
        names: of the submodule that holds the parts, and whether the projection is a submodule too.
    """
    inside, wrapped = names
    y, part = x, count()
    with sketch.at(inside):
        if hidden != x.shape[1]:
            with sketch.at(next(part)):
                y = conv_unit(sketch, y, hidden, 1, activation)
        with sketch.at(next(part)):
            y = depthwise_unit(sketch, y, kernel, activation, stride=stride)
        if squeezed is not None:
            with sketch.at(next(part)):
                y = squeeze_excitation(sketch, y, squeezed, "hard_sigmoid")
        last = next(part)
        project = (f"{last}.0", f"{last}.1", "") if wrapped else (last, last + 1, "")
        y = conv_unit(sketch, y, channels, 1, None, names=project)
    return sketch.elementwise("add", x, y) if stride == 1 and x.shape[1] == channels else y


def fire(sketch: Sketch, x: Value, squeezed: int, expanded: int) -> Value:
    """SqueezeNet's module: 1x1 down to `squeezed`, then as many 1x1 as 3x3 filters, side by side."""

    def expand(kernel: int) -> Value:
        name = f"expand{kernel}x{kernel}"
        y = sketch.conv(down, expanded, kernel, padding=kernel // 2, bias=True, name=name)
        return sketch.elementwise("relu", y, name=f"{name}_activation")

    down = sketch.conv(x, squeezed, 1, bias=True, name="squeeze")
    down = sketch.elementwise("relu", down, name="squeeze_activation")
    return sketch.cat(expand(1), expand(3))


def separable_conv(sketch: Sketch, x: Value, channels: int, kernel: int) -> Value:
    """A depthwise convolution and a pointwise one with nothing between them, without bias: Xception's."""
    c = x.shape[1]
    x = sketch.conv(x, c, kernel, padding=kernel // 2, groups=c, name="conv1")
    return sketch.conv(x, channels, 1, name="pointwise")


def parameter_names(ops: Iterable[Op]) -> Iterator[str]:
    """What the parameters that `ops` read are called in a module."""
    for op in ops:
        for _, name in zip(op.weights, ("weight", "bias"), strict=False):
            yield f"{op.path}.{name}"
