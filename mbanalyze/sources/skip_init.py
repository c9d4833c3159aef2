"""Building a module without filling its weights, so that one of any size takes no memory to speak of."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

SMALL = 2**16
"""Tensors of up to this many elements are filled even so: what they hold may decide what the forward does."""

_DRAWS = frozenset(
    {
        *("normal_", "uniform_", "random_", "exponential_", "bernoulli_", "geometric_"),
        *("log_normal_", "cauchy_"),
    }
)
_CHANGES = frozenset(
    {
        *("mul_", "add_", "sub_", "div_", "clamp_", "clamp_min_", "clamp_max_", "erfinv_", "pow_"),
        *("abs_", "neg_", "sqrt_", "exp_", "log_", "tanh_", "sin_", "cos_", "copy_", "masked_fill_"),
    }
)
_RANDOM = frozenset({"rand", "randn", "rand_like", "randn_like", "normal"})
_EMPTIES = frozenset({"empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided"})


class _Blank(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Large random tensors are left as memory that nobody wrote to; so is what is computed from them.

    A maker that draws again until all is well must come to an end, so what is asked of them is never so.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._blank: dict[int, torch.UntypedStorage] = {}  # kept alive, so that no address is used twice

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or torch imports its compiler at the first call

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        schema = func._schema  # noqa: SLF001 (torch offers no other way to it)
        name = schema.name.removeprefix("aten::")
        if name in _EMPTIES:
            return self._note(func(*args, **kwargs))
        blank = self._is_blank(args[1 if name == "copy_" else 0]) if args else False
        if name in _DRAWS or (name in _CHANGES and blank):
            return self._note(args[0]) if _elements(args[0]) > SMALL else func(*args, **kwargs)
        computed = blank and not schema.is_mutable and not _looks(schema)
        sized = args[-1] if name == "normal" else args[0] if args else ()
        if (computed or name in _RANDOM) and "out" not in kwargs and _elements(sized) > SMALL:
            return self._made(func, name, args, kwargs)
        return func(*args, **kwargs)

    def _made(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call returns, not computed: torch says only what it looks like.

        What is small is not blank but zero, or true for `all`.
        """
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        device = kwargs.get("device") or (given[0].device if given else None)
        try:
            shown = func(*tree_map(_on_meta, args), **tree_map(_on_meta, _on_meta_device(kwargs)))
        except (NotImplementedError, RuntimeError):  # what it looks like depends on values
            return func(*args, **kwargs)

        def made(like: Any) -> Any:
            if not isinstance(like, Tensor):
                return like
            if like.numel() <= SMALL and given:
                return torch.full(like.shape, name == "all", dtype=like.dtype, device=device)
            return self._note(torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=device))

        return tree_map(made, shown)

    def _note(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self._blank[storage._cdata] = storage  # noqa: SLF001 (a tensor's only lasting address)
        return tensor

    def _is_blank(self, tensor: object) -> bool:
        return isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata in self._blank  # noqa: SLF001 (as above)


def _looks(schema: Any) -> bool:
    """Whether a call returns another view of its argument, and writes nothing."""
    return not schema.is_mutable and any(result.alias_info is not None for result in schema.returns)


def _on_meta(value: Any) -> Any:
    return torch.empty_like(value, device="meta") if isinstance(value, Tensor) else value


def _on_meta_device(kwargs: dict[str, Any]) -> dict[str, Any]:
    placed = {"device": torch.device("meta")} if "device" in kwargs else {}
    return {name: value for name, value in kwargs.items() if name != "generator"} | placed


def _elements(sized: Any) -> int:
    """How many a tensor has, or one of these sizes."""
    return int(sized.numel()) if isinstance(sized, Tensor) else prod(sized) if isinstance(sized, list) else 0


def weightless(make: Callable[[], Any]) -> Any:
    """What `make` returns; large tensors that it would fill with random numbers hold anything."""
    with _Blank():
        return make()
