"""The modules and parameters of a model, found without asking its own attributes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from mbanalyze.trace.matching.quantised import is_packed, unpacked


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside a result of `torch.compile`, or `model` itself."""
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    if dynamo and isinstance(model, dynamo.OptimizedModule):
        inner: nn.Module = model._orig_mod  # noqa: SLF001 (PyTorch has no public access to it)
        return inner
    return model


def named_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return the same as `dict(model.named_modules())`, but faster. TorchScript modules count as one."""
    found: dict[str, nn.Module] = {}
    seen: set[int] = set()

    def visit(path: str, module: nn.Module) -> None:
        seen.add(id(module))
        found[path] = module
        for name, child in module.__dict__.get(
            "_modules", {}
        ).items():  # attribute access on a module is slow
            if child is not None and id(child) not in seen:
                visit(f"{path}.{name}" if path else name, child)

    visit("", model)
    return found


def named_params(modules: Mapping[str, nn.Module]) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the same as `named_parameters()`, but faster."""
    seen: set[int] = set()
    for path, module in modules.items():
        for name, param in _own_params(module):
            if param is not None and id(param) not in seen:
                seen.add(id(param))
                yield f"{path}.{name}" if path else name, param


def _own_params(module: nn.Module) -> Iterable[tuple[str, Any]]:
    """The parameters that `named_params` takes from a module: its own, or all of a TorchScript module.

    Quantised modules hold the weight and bias inside packed objects, which are no parameters to PyTorch.
    """
    held: dict[str, Any] | None = module.__dict__.get("_parameters")
    if held is None:
        return module.named_parameters()
    if not type(module).__module__.startswith("torch.ao."):
        return held.items()
    packed = [value for value in vars(module).values() if is_packed(value)]
    return [*held.items(), *(pair for each in packed for pair in zip(("weight", "bias"), unpacked(each)))]  # noqa: B905 (the bias is optional)


def lazy_param(params: Iterable[tuple[str, nn.Parameter]]) -> str | None:
    """Return the name of a parameter that has no shape yet."""
    return next((name for name, param in params if is_lazy(param)), None)
