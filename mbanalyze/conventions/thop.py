"""thop: modules of some exact classes, at each call; functions count nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod

from mbanalyze.conventions.call_rules import (
    CONV,
    LINEAR,
    each_input,
    each_output,
    first_input,
    in_elements,
    kernel,
    number,
    out_elements,
)
from mbanalyze.conventions.convention import Amount, Convention, Record, Rule, Rules
from mbanalyze.ops.calls import ModuleCall


def _other_channels(call: ModuleCall) -> int:
    """The second input size, by which a convolution is counted, is that of the channels only with a batch."""
    taken, channels = (
        size // number(call, "groups") for size in (first_input(call)[1], number(call, "in_channels"))
    )
    return out_elements(call) * (taken - channels) * kernel(call)


def _affine(call: ModuleCall) -> bool:
    return bool(call.settings.get("affine") or call.settings.get("elementwise_affine"))


def _scaled(call: ModuleCall) -> int:
    return 4 * in_elements(call) if _affine(call) else 0


def _unscaled(call: ModuleCall) -> int:
    return 0 if _affine(call) else 2 * in_elements(call)


def _softmax(call: ModuleCall) -> int:
    """`f` exponentials, f - 1 additions and f divisions for each row of f elements."""
    features = first_input(call)[number(call, "dim")]
    return in_elements(call) // features * (3 * features - 1)


def _adaptive_pool(call: ModuleCall) -> int:
    """The mean window and 1 for each output element, in floating point, of which the fraction is cut off."""
    window = prod(size / to for size, to in zip(first_input(call)[2:], call.outputs[0][2:], strict=True))
    return int((window + 1) * out_elements(call))


def _resized(mode: str, n: int) -> Rule[ModuleCall]:
    """`n` for each output element in one mode."""
    return Rule(
        f"{n} for each output element of mode {mode}",
        lambda call: n * out_elements(call) if call.settings["mode"] == mode else 0,
    )


def _steps(call: ModuleCall) -> int:
    """Images times time steps; of a packed sequence, with the padding that it has no data for."""
    if call.type.endswith("Cell"):
        return first_input(call)[0]
    if len(call.inputs) > 1 and len(first_input(call)) == 2 and len(call.inputs[1]) == 1:
        return call.inputs[1][0] * call.outputs[-1][1]
    return prod(first_input(call)[:2])


def _directions(call: ModuleCall) -> int:
    return 2 if call.settings.get("bidirectional") else 1


def _layers(call: ModuleCall) -> int:
    """The layers, with those in the other direction; a cell is one."""
    return _directions(call) * (1 if call.type.endswith("Cell") else number(call, "num_layers"))


def _products(call: ModuleCall, gates: int) -> int:
    """`g h (c + h)` for each layer; the outputs of both directions are the inputs of the next layer."""
    hidden, directions = number(call, "hidden_size"), _directions(call)
    later = _layers(call) - directions
    inputs = directions * number(call, "input_size") + later * directions * hidden
    return _steps(call) * gates * hidden * (inputs + _layers(call) * hidden)


def _each_unit(call: ModuleCall, n: int) -> int:
    return n * _steps(call) * _layers(call) * number(call, "hidden_size")


def _biases(call: ModuleCall, gates: int) -> int:
    return _each_unit(call, 2 * gates) if call.settings["bias"] else 0


def _recurrent(gates: int, others: int) -> tuple[Rule[ModuleCall], ...]:
    """Products, two biases for each gate, and `others` for each hidden unit at each step."""
    return (
        Rule(
            "1 for each weight of the gates, step and image, as if without projection",
            partial(_products, gates=gates),
        ),
        Rule("2 for each gate of a hidden unit with a bias", partial(_biases, gates=gates), claims=False),
        Rule(f"{others} for each hidden unit", partial(_each_unit, n=others), claims=False),
    )


_UNBATCHED = Rule("the second input size taken for the channels", _other_channels, claims=False)
_CONV = (CONV, _UNBATCHED)
_TRANSPOSED = (Rule(f"as a convolution, {CONV.what}", CONV.count), _UNBATCHED)
_NORM = (
    Rule("4 for each input element with a scale", _scaled),
    Rule("2 for each input element without a scale", _unscaled),
)
_ADAPTIVE_POOL = (Rule("elements of the window and 1, for each output element", _adaptive_pool),)
_RESIZED = tuple(
    _resized(mode, n) for mode, n in (("nearest", 1), ("linear", 5), ("bilinear", 11), ("bicubic", 259))
)
_RNN, _GRU, _LSTM = _recurrent(1, 1), _recurrent(3, 7), _recurrent(4, 8)

_DIMENSIONS = ("1d", "2d", "3d")

CLASSES: Rules[ModuleCall] = {
    **{f"nn.Conv{n}": _CONV for n in _DIMENSIONS},
    **{f"nn.ConvTranspose{n}": _TRANSPOSED for n in _DIMENSIONS},
    "nn.Linear": (LINEAR,),
    **{f"nn.{kind}{n}": _NORM for kind in ("BatchNorm", "InstanceNorm") for n in _DIMENSIONS},
    **dict.fromkeys(("nn.SyncBatchNorm", "nn.LayerNorm"), _NORM),
    "nn.PReLU": (each_input(1),),
    "nn.Softmax": (Rule("3 for each input element, less 1 for each row", _softmax),),
    **{f"nn.AvgPool{n}": (each_output(1),) for n in _DIMENSIONS},
    **{f"nn.AdaptiveAvgPool{n}": _ADAPTIVE_POOL for n in _DIMENSIONS},
    **dict.fromkeys(("nn.Upsample", "nn.UpsamplingBilinear2d", "nn.UpsamplingNearest2d"), _RESIZED),
    **dict.fromkeys(("nn.RNN", "nn.RNNCell"), _RNN),
    **dict.fromkeys(("nn.GRU", "nn.GRUCell"), _GRU),
    **dict.fromkeys(("nn.LSTM", "nn.LSTMCell"), _LSTM),
}
"""The classes with a hook that counts more than 0."""


def _shared(record: Record) -> Iterator[Amount]:
    """A module that several modules hold gets a hook for each of them, and is added for each of them."""
    for call in record.modules:
        if call.places > 1:
            counted = sum(rule.count(call) for rule in CLASSES.get(call.type, ()))
            what = f"{call.type}: counted again for each module that holds it"
            yield Amount(what, counted * (call.places**2 - 1), call.first, call.last, claims=False)


THOP = Convention("thop", "thop", "thop", "0.1.1.post2209072238", classes=CLASSES, record_rules=(_shared,))
