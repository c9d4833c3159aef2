"""The modules and parameters of a model, found without asking its own attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mbanalyze.trace.matching.quantised import is_packed, unpacked
from mbanalyze.trace.torch_internals import MODULES, PARAMETERS


def named_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return the same as `dict(model.named_modules())`, but faster. TorchScript modules count as one."""
    found = {"": model}
    seen = {id(model)}

    def add_children(prefix: str, children: dict[str, nn.Module | None]) -> None:
        for name, child in children.items():
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                path = prefix + name
                found[path] = child
                if held := child.__dict__.get(MODULES):  # attribute access on a module is slow
                    add_children(f"{path}.", held)

    add_children("", model.__dict__.get(MODULES, {}))
    return found


def named_params(modules: Mapping[str, nn.Module]) -> dict[str, nn.Parameter]:
    """Return the same as `dict(named_parameters())`, but faster.

    Quantised modules hold the weight and bias inside packed objects, which are no parameters to PyTorch.
    """
    found: dict[str, Any] = {}
    seen: set[int] = set()
    packing = {kind for kind in set(map(type, modules.values())) if kind.__module__.startswith("torch.ao.")}
    for path, module in modules.items():
        held = module.__dict__.get(PARAMETERS)
        if held is None:  # a TorchScript module
            held = dict(module.named_parameters())
        elif packing and type(module) in packing:
            held = {**held, **_packed_params(module)}
        for name, param in held.items():
            if param is not None and id(param) not in seen:
                seen.add(id(param))
                found[f"{path}.{name}" if path else name] = param
    return found


def _packed_params(module: nn.Module) -> dict[str, Tensor]:
    """The weight and bias in the packed objects of a quantised module."""
    packed = [value for value in vars(module).values() if is_packed(value)]
    return {name: tensor for each in packed for name, tensor in zip(("weight", "bias"), unpacked(each))}  # noqa: B905 (the bias is optional)


def lazy_param(params: Mapping[str, nn.Parameter]) -> str | None:
    """Return the name of a parameter that has no shape yet."""
    if set(map(type, params.values())) <= {nn.Parameter}:
        return None
    return next((name for name, param in params.items() if is_lazy(param)), None)
