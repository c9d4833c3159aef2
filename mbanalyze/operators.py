"""Which kind of operator an ATen call is, what it reads, and which settings its formula needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from mbanalyze.cost import Attribute

Arguments = Mapping[str, Any]
"""The arguments of one ATen call, by their names in its schema, defaults included."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One ATen call, recognised: its kind, what it reads in the order of our signature, its settings."""

    kind: str
    operands: tuple[Tensor, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


Rule = Callable[[Arguments], Sighting | None]


def tensors(tree: Any) -> tuple[Tensor, ...]:
    """The tensors in nested containers, in order."""
    return tuple(leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _reads(kind: str, *names: str, **neutral: float | None) -> Rule:
    """The tensors called `names` are read, in this order; without names all are, in the schema's.

    Unrecognised when an argument is not at its `neutral` value, since that means further work.
    """

    def rule(call: Arguments) -> Sighting | None:
        if any(call.get(name, value) != value for name, value in neutral.items()):
            return None
        return Sighting(kind, tensors([call.get(name) for name in names or call]))

    return rule


def _conv(transposed: bool | None) -> Rule:
    """A convolution; None: the call's own `transposed` argument tells."""

    def rule(call: Arguments) -> Sighting:
        operands = tensors([call["input"], call["weight"], call["bias"]])
        is_transposed = call["transposed"] if transposed is None else transposed
        return Sighting("conv", operands, {"transposed": True} if is_transposed else {})

    return rule


def _clamp(low: str, high: str) -> Rule:
    def rule(call: Arguments) -> Sighting:
        operands = tensors(list(call.values()))
        plain = len(operands) == 1 and (call[low], call[high]) == (0, 6)
        return Sighting("relu6" if plain else "clamp", operands)

    return rule


def _batch_norm(call: Arguments) -> Sighting | None:
    if call["training"]:
        return None
    names = ("input", "weight", "bias", "running_mean", "running_var")
    return Sighting("batch_norm", tensors([call[name] for name in names]))


def _window(sizes: list[int], dims: int) -> tuple[int, ...]:
    return tuple(sizes) * dims if len(sizes) == 1 else tuple(sizes)


def _max_pool(dims: int) -> Rule:
    def rule(call: Arguments) -> Sighting:
        return Sighting("max_pool", tensors([call["self"]]), {"kernel": _window(call["kernel_size"], dims)})

    return rule


def _avg_pool(dims: int) -> Rule:
    def rule(call: Arguments) -> Sighting:
        image = call["self"]
        window = _window(call["kernel_size"], dims)
        if window == tuple(image.shape[-dims:]) and not any(call["padding"]):
            return Sighting("global_avg_pool", (image,))
        return Sighting("avg_pool", (image,), {"kernel": window})

    return rule


def _adaptive_avg_pool(dims: int) -> Rule:
    def rule(call: Arguments) -> Sighting:
        if set(call["output_size"]) == {1}:
            return Sighting("global_avg_pool", (call["self"],))
        return Sighting("adaptive_avg_pool", (call["self"],), {"dims": dims})

    return rule


def _mean(call: Arguments) -> Sighting:
    image = call["self"]
    dims = sorted(d % max(image.dim(), 1) for d in call.get("dim") or ())
    whole_image = image.dim() in (4, 5) and dims == list(range(2, image.dim()))
    return Sighting("global_avg_pool" if whole_image else "mean", (image,))


_ONE_KIND = {
    "linear": "linear",
    "matmul": "matmul",
    "mm": "matmul",
    "bmm": "matmul",
    "mv": "matmul",
    "dot": "matmul",
    "relu": "relu",
    "relu6": "relu6",
    "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_swish",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "mul": "mul",
    "pow": "pow",
    "cat": "cat",
    "concat": "cat",
    "concatenate": "cat",
    "stack": "cat",
    "constant_pad_nd": "pad",
    "pad": "pad",
    "clone": "copy",
    "contiguous": "copy",
    "flatten": "copy",
    "reshape": "copy",
    "to": "copy",
    "_to_copy": "copy",
}

RULES: dict[str, Rule] = {
    **{name: _reads(kind) for name, kind in _ONE_KIND.items()},
    **{f"conv{d}d": _conv(transposed=False) for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": _conv(transposed=True) for d in (1, 2, 3)},
    "convolution": _conv(transposed=None),
    "_convolution": _conv(transposed=None),
    "addmm": _reads("matmul", "mat1", "mat2", "self", alpha=1, beta=1),
    "baddbmm": _reads("matmul", "batch1", "batch2", "self", alpha=1, beta=1),
    "batch_norm": _batch_norm,
    "hardtanh": _clamp("min_val", "max_val"),
    "clamp": _clamp("min", "max"),
    "add": _reads("add", alpha=1),
    "div": _reads("div", rounding_mode=None),
    "sub": _reads("sub", alpha=1),
    "copy": _reads("copy", "src"),
    **{f"max_pool{d}d": _max_pool(d) for d in (1, 2, 3)},
    **{f"max_pool{d}d_with_indices": _max_pool(d) for d in (2, 3)},
    **{f"avg_pool{d}d": _avg_pool(d) for d in (1, 2, 3)},
    **{f"adaptive_avg_pool{d}d": _adaptive_avg_pool(d) for d in (1, 2, 3)},
    "mean": _mean,
}
"""ATen name (an in-place one without its `_`) -> what it is. What is not here is unknown, unless it is free."""

ALLOCATIONS = frozenset(
    {
        "empty_like",
        "zeros_like",
        "ones_like",
        "full_like",
        "new_empty",
        "new_empty_strided",
        "new_zeros",
        "new_ones",
        "new_full",
        "zero",
        "fill",
    }
)
"""Calls that are handed a tensor and only make or set one."""

_IN_PLACE_VIEWS = frozenset(
    {"as_strided", "detach", "rename", "resize", "squeeze", "swapaxes", "t", "transpose", "unsqueeze"}
)
_DROPOUTS = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})


def is_free(name: str, call: Arguments) -> bool:
    """Whether a call that is handed a tensor, and is no view out of place, does no work on what it holds."""
    if name in _DROPOUTS:
        return not call["train"]
    return name in ALLOCATIONS or name in _IN_PLACE_VIEWS


def arguments(schema: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
    """The call's arguments by name, defaults filled in, in the order of the schema, without outputs given."""

    def fill() -> Iterator[tuple[str, Any]]:
        for position, argument in enumerate(schema.arguments):
            if argument.is_out:
                continue
            if position < len(args):
                yield argument.name, args[position]
            elif argument.name in kwargs:
                yield argument.name, kwargs[argument.name]
            elif argument.has_default_value():
                yield argument.name, argument.default_value

    return dict(fill())
