"""The learned scalars in a module, those of quantised modules by the modules' own methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module


def numel(module: Module) -> int:
    """Return the number of learned scalars in `module`: its parameters, and the weights that it holds quantised."""
    return sum(param.numel() for param in module.parameters()) + sum(map(_quantised, module.modules()))


def _quantised(module: Module) -> int:
    """The learned scalars that one quantised module holds instead of parameters; 0 for another module."""
    kinds = type(module).__mro__
    has_params = any(True for _ in module.parameters(recurse=False))
    if has_params or not any(kind.__module__.startswith("torch.ao.nn.") for kind in kinds):
        return 0
    slopes = [value for value in vars(module).values() if getattr(value, "is_quantized", False)]
    return sum(map(_elements, (*_called(module, "weight", "bias"), *slopes))) or sum(
        map(_elements, _called(module, "get_weight", "get_bias"))
    )


def _called(module: Module, *names: str) -> list[Any]:
    """The results of those methods of a module that exist."""
    return [method() for name in names if callable(method := getattr(module, name, None))]


def _elements(held: Any) -> int:
    """The elements of a tensor, or of the tensors in nested dicts."""
    if isinstance(held, dict):
        return sum(map(_elements, held.values()))
    return 0 if held is None else int(held.numel())
