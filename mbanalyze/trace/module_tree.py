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
    packing = {kind for kind in set(map(type, modules.values())) if _may_pack(kind)}
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


def _may_pack(kind: type[nn.Module]) -> bool:
    """True for quantised modules, and for graphs, which hold the packed weights of functions."""
    return any(base.__module__.startswith(("torch.ao.", "torch.fx.graph_module")) for base in kind.__mro__)


def _packed_params(module: nn.Module) -> dict[str, Tensor]:
    """The quantised weights of a module, and its biases in packed objects."""
    found: dict[str, Tensor] = {}
    for attribute, value in vars(module).items():
        if is_packed(value):
            suffix = attribute.partition("_packed_weight")[2]  # `_packed_weight_ih` of a recurrent cell
            tensors = unpacked(value)
            names = _RECURRENT if len(tensors) == len(_RECURRENT) else ("weight", "bias")
            found |= {name + suffix: tensor for name, tensor in zip(names, tensors, strict=False)}
        elif isinstance(value, Tensor) and value.is_quantized:  # the slopes of a `PReLU`
            found[attribute] = value
    return found


_RECURRENT = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""The names of the tensors in the packed parameters of a recurrent layer."""


def lazy_param(params: Mapping[str, nn.Parameter]) -> str | None:
    """Return the name of a parameter that has no shape yet."""
    if set(map(type, params.values())) <= {nn.Parameter}:
        return None
    return next((name for name, param in params.items() if is_lazy(param)), None)
