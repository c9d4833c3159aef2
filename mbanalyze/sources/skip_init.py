"""Modules built without initialising large weights, so that a model of any size takes little memory."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import prod
from typing import Any

import torch
from torch import Tensor

from mbanalyze.trace.torch_internals import DispatchMode, address, schema_of, tree_leaves, tree_map

_MAX_FILLED = 2**16
"""The most elements of a tensor that is initialised all the same: its values may decide what a forward does."""

_KINDS = {
    "empty": {"empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided"},
    "fill": {
        *("normal_", "uniform_", "random_", "exponential_", "bernoulli_", "geometric_", "log_normal_"),
        "cauchy_",
    },
    "in place": {
        *("mul_", "add_", "sub_", "div_", "clamp_", "clamp_min_", "clamp_max_", "erfinv_", "pow_"),
        *("abs_", "neg_", "sqrt_", "exp_", "log_", "tanh_", "sin_", "cos_", "copy_", "masked_fill_"),
    },
    "random": {"rand", "randn", "rand_like", "randn_like", "normal"},
}
"""The operators whose output is left uninitialised, by the source of its values."""


def skip_init(make: Callable[[], Any]) -> Any:
    """Return the result of `make()`, in which the elements of large random tensors are arbitrary."""
    with _SkipInitMode():
        return make()


def keep_random_state() -> AbstractContextManager[None]:
    """Return a context after which torch's random state on the CPU is unchanged."""
    return torch.random.fork_rng(devices=[])


class _SkipInitMode(DispatchMode):
    """Leaves large random tensors, and large tensors computed from them, uninitialised.

    An initialiser may sample until a condition holds. Conditions on uninitialised tensors are therefore all
    false, except `all`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._uninitialised: dict[int, torch.UntypedStorage] = {}  # kept alive, so that addresses stay unique

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name, kind = _classify(func)
        if kind == "empty":
            return self._mark(func(*args, **kwargs))
        sized = args[-1 if name == "normal" else 0] if args else ()
        if kind == "other" or _numel(sized) <= _MAX_FILLED:
            return func(*args, **kwargs)
        uninitialised = any(map(self._is_uninitialised, args[name == "copy_" : 2]))
        if kind == "fill" or (kind == "in place" and uninitialised):
            return self._mark(args[0])
        if (kind == "random" or (kind == "computed" and uninitialised)) and "out" not in kwargs:
            return self._uncomputed(func, name, args, kwargs)
        return func(*args, **kwargs)

    def _uncomputed(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The outputs of an operator without their elements; small ones are zero, or true for `all`."""
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        device = kwargs.get("device") or (tensors[0].device if tensors else None)
        try:
            shaped = func(*tree_map(_to_meta, args), **tree_map(_to_meta, _on_meta_device(kwargs)))
        except (NotImplementedError, RuntimeError):  # the shape depends on values
            return func(*args, **kwargs)

        def output(like: Any) -> Any:
            """Return a real tensor of the same layout."""
            if not isinstance(like, Tensor):
                return like
            if like.numel() <= _MAX_FILLED and tensors:
                return torch.full(like.shape, name == "all", dtype=like.dtype, device=device)
            return self._mark(torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=device))

        return tree_map(output, shaped)

    def _mark(self, tensor: Tensor) -> Tensor:
        if tensor.numel() > _MAX_FILLED:
            storage = tensor.untyped_storage()
            self._uninitialised[address(storage)] = storage
        return tensor

    def _is_uninitialised(self, value: object) -> bool:
        return isinstance(value, Tensor) and address(value.untyped_storage()) in self._uninitialised


@functools.cache
def _classify(func: Any) -> tuple[str, str]:
    """The name and kind of an operator: one of `_KINDS`, "computed" for a tensor of its own, or "other"."""
    schema = schema_of(func)
    name = schema.name.removeprefix("aten::")
    for kind, names in _KINDS.items():
        if name in names:
            return name, kind
    views = any(result.alias_info for result in schema.returns)
    return name, "other" if schema.is_mutable or views else "computed"


def _to_meta(value: Any) -> Any:
    return torch.empty_like(value, device="meta") if isinstance(value, Tensor) else value


def _on_meta_device(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments with the meta device, and without a generator."""
    device = {"device": torch.device("meta")} if "device" in kwargs else {}
    return {name: value for name, value in kwargs.items() if name != "generator"} | device


def _numel(sized: Any) -> int:
    """The number of elements of a tensor, or of a list of sizes."""
    if isinstance(sized, Tensor):
        return sized.numel()
    return prod(sized) if isinstance(sized, list) and all(isinstance(size, int) for size in sized) else 0
