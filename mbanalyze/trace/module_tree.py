"""The modules and parameters of a model, found without asking its own attributes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mbanalyze.trace.matching.quantised import is_packed, unpacked

READS_WEIGHT = (
    *(nn.Linear, nn.Bilinear, nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.GroupNorm, nn.PReLU),
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
)
"""The modules of PyTorch whose forward always reads their parameter `weight`."""


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


def silent_modules(modules: Mapping[str, nn.Module], ran: set[str], unread: set[str]) -> list[str]:
    """Return the paths of modules whose forward has run, although no operator was seen to read their weight."""
    prefixed = ((path, f"{path}.weight" if path else "weight") for path in modules if path in ran)
    return [path for path, weight in prefixed if weight in unread and type(modules[path]) in READS_WEIGHT]


def held_tensors(modules: Mapping[str, nn.Module]) -> list[Tensor]:
    """Return the tensors that modules hold, in containers and objects of any depth too."""
    found: list[Tensor] = []
    queue: list[Any] = [vars(module) for module in modules.values()]
    seen: set[int] = set()
    while queue:
        value = queue.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, dict):
            queue += value.values()
        elif isinstance(value, list | tuple | set | frozenset):
            queue += value
        elif not isinstance(value, type) and isinstance(state := getattr(value, "__dict__", None), dict):
            queue.append(state)
    return found
