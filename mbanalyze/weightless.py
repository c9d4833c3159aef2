"""Building a module without filling its weights, so that one of any size takes no memory to speak of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

SMALL = 2**16
"""Tensors of up to this many elements are filled even so: what they hold may decide what the forward does."""

_DRAWS = frozenset(
    {
        *("normal_", "uniform_", "random_", "exponential_", "bernoulli_", "geometric_"),
        *("log_normal_", "cauchy_"),
    }
)
_ARITHMETIC = frozenset(
    {
        *("mul_", "add_", "sub_", "div_", "clamp_", "clamp_min_", "clamp_max_", "erfinv_", "pow_"),
        *("abs_", "neg_", "sqrt_", "exp_", "log_", "tanh_", "sin_", "cos_"),
    }
)
_EMPTIES = frozenset({"empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided"})
_RANDOM = frozenset({"rand", "randn"})


class _Blank(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Large random tensors are left as memory that nobody wrote to; so is what is computed in place on them."""

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
        name = func._schema.name.removeprefix("aten::")  # noqa: SLF001 (torch offers no other way to it)
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if name in _RANDOM and "out" not in kwargs and _elements(args[0]) > SMALL:
            return self._note(torch.empty(args[0], **{k: v for k, v in kwargs.items() if k != "generator"}))
        if name in _EMPTIES:
            return self._note(func(*args, **kwargs))
        if first is not None and func._schema.is_mutable and first.numel() > SMALL:  # noqa: SLF001 (as above)
            if name in _DRAWS:
                return self._note(first)
            if self._is_blank(first) and name in _ARITHMETIC:
                return first
        return func(*args, **kwargs)

    def _note(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self._blank[storage._cdata] = storage  # noqa: SLF001 (a tensor's only lasting address)
        return tensor

    def _is_blank(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._blank  # noqa: SLF001 (as above)


def _elements(size: Any) -> int:
    elements = 1
    for n in size if isinstance(size, list | tuple) else [size]:
        elements *= int(n)
    return elements


def weightless(make: Callable[[], Any]) -> Any:
    """What `make` returns; large tensors that it would fill with random numbers hold anything."""
    with _Blank():
        return make()
