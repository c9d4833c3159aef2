"""Records the calls of modules and of named functions while a forward runs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack, contextmanager
from functools import reduce
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from mbanalyze.inputs.typed import Sizes
from mbanalyze.ops.calls import Calls, FunctionCall, ModuleCall, Setting
from mbanalyze.trace.followed_sizes import SizeProducts
from mbanalyze.trace.module_stack import Forward
from mbanalyze.trace.recorder import Recorder
from mbanalyze.trace.torch_internals import dispatch_mode_count, tree_leaves


class CallRecorder:
    """Records the calls of one trace, in the thread that runs the model."""

    def __init__(self, recorder: Recorder, names: Collection[str], given: Mapping[str, nn.Module]) -> None:
        """Follow calls.

        Args:
            recorder: records the operators of the trace.
            names: the functions to follow, such as `torch.matmul`.
            given: the modules of the model before its first call, at which lazy modules change their class.
        """
        self._ops = recorder.ops
        self._stack = recorder.module_stack
        self._names = names
        self._products = recorder.products = SizeProducts(recorder.ops)
        self._modules: list[ModuleCall] = []
        self._functions: list[FunctionCall] = []
        self._types = {path: type_name(type(module)) for path, module in given.items()}
        self._places = _places(given)

    def calls(self) -> Calls:
        """Return the calls so far."""
        return Calls(tuple(self._modules), tuple(self._functions), self._products.places())

    def followed(self, forward: Forward, module: nn.Module, path: str) -> Forward:
        """Return a forward that records each call of its module."""
        held = module.named_parameters(recurse=False)
        params = {name: tuple(map(int, param.shape)) for name, param in held}
        kept = _kept(module, params)
        leaf = not any(module.children())

        def followed_forward(*args: Any, **kwargs: Any) -> Any:
            """Run the forward."""
            if get_ident() != self._stack.thread or not _called_by_module():
                return forward(*args, **kwargs)
            first, place = len(self._ops), len(self._modules)
            call = ModuleCall(
                path=path,
                type=self._types[path],
                inputs=_shapes(_tensors(args)),
                batch=_length(args),
                outputs=(),
                params=params,
                settings=_settings(vars(module)),
                kept=kept,
                is_leaf=leaf,
                places=self._places[path],
                first=first,
                last=first,
                arguments=_settings({k: _element_type(v) for k, v in (*enumerate(args), *kwargs.items())}),
            )
            self._modules.append(call)
            result = forward(*args, **kwargs)
            self._modules[place] = call._replace(outputs=_shapes(_tensors(result)), last=len(self._ops))
            return result

        followed_forward.__wrapped__ = forward  # type: ignore[attr-defined]  # modules inspect signatures
        return followed_forward

    @contextmanager
    def following(self) -> Iterator[None]:
        """Replace the followed functions in the namespaces of PyTorch by ones that record their calls."""
        with self._products.followed(), ExitStack() as stack:
            for full in self._names:
                holder_name, _, name = full.rpartition(".")
                holder = reduce(getattr, holder_name.split(".")[1:], torch)
                function = getattr(holder, name, None)
                if function is None:
                    continue
                own = name in vars(holder)
                stack.callback(*((setattr, holder, name, function) if own else (delattr, holder, name)))
                setattr(holder, name, self._following(full, function))
            yield

    def _following(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that records its calls."""

        def following(*args: Any, **kwargs: Any) -> Any:
            """Call the function; PyTorch itself calls some while it runs an operator."""
            if get_ident() != self._stack.thread or not dispatch_mode_count():
                return function(*args, **kwargs)
            first, place = len(self._ops), len(self._functions)
            others = _settings({**dict(enumerate(args)), **kwargs})
            shapes = _shapes(_tensors((args, kwargs)))
            call = FunctionCall(name, self._stack.paths[-1], shapes, (), others, first, first)
            self._functions.append(call)
            result = function(*args, **kwargs)
            self._functions[place] = call._replace(outputs=_shapes(_tensors(result)), last=len(self._ops))
            return result

        following.__name__, following.__wrapped__ = name.rpartition(".")[2], function  # type: ignore[attr-defined]
        return following


def type_name(kind: type[nn.Module]) -> str:
    """Return the name of a class of modules: `nn.Conv2d`, or with its module if `torch.nn` has no such class."""
    name = kind.__qualname__
    return f"nn.{name}" if getattr(nn, name, None) is kind else f"{kind.__module__}.{name}"


def _places(modules: Mapping[str, nn.Module]) -> dict[str, int]:
    """The places of each module in the tree, by its path: as many as those of all modules that hold it."""
    places = Counter({id(modules[""]): 1})
    waiting = Counter(id(child) for module in modules.values() for child in module.children())
    ready = [modules[""]]
    while ready:
        module = ready.pop()
        for child in module.children():
            places[id(child)] += places[id(module)]
            waiting[id(child)] -= 1
            if not waiting[id(child)]:
                ready.append(child)
    return {path: places[id(module)] for path, module in modules.items()}


def _kept(module: nn.Module, params: Iterable[str]) -> dict[str, int | None]:
    """The elements that masks of pruning keep, by the names of the parameters."""
    masks = {name: getattr(module, f"{name.removesuffix('_orig')}_mask", None) for name in params}
    return {
        name: None if mask.is_meta else int(mask.sum())
        for name, mask in masks.items()
        if name.endswith("_orig") and isinstance(mask, Tensor)
    }


def _called_by_module() -> bool:
    """Return True if the function that asks was called by `nn.Module.__call__`."""
    return sys._getframe(2).f_code.co_filename == _CALLING_FILE  # noqa: SLF001 (the only access to the caller)


_CALLING_FILE = nn.Module.__call__.__code__.co_filename
"""The file of PyTorch whose functions call a forward and the hooks around it."""


def _length(args: tuple[Any, ...]) -> int:
    """The length of the first argument, by which some counters divide; 1 without one."""
    first = args[0] if args else None
    is_number = isinstance(first, Tensor) and not first.dim()
    return len(first) if isinstance(first, Sized) and not is_number else 1


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _shapes(tensors: Sequence[Tensor]) -> tuple[Sizes, ...]:
    return tuple(tuple(map(int, tensor.shape)) for tensor in tensors)


def _element_type(value: Any) -> Any:
    """The name of the element type of a tensor, or any other value unchanged."""
    return str(value.dtype).removeprefix("torch.") if isinstance(value, Tensor) else value


def _settings(values: Mapping[Any, Any]) -> dict[Any, Setting]:
    """The values that are settings, without those whose name is private."""
    kept = {name: tuple(v) if isinstance(v, list | torch.Size) else v for name, v in values.items()}
    return {name: v for name, v in kept.items() if not str(name).startswith("_") and _is_setting(v)}


def _is_setting(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(each, int | float) for each in value)
    return value is None or isinstance(value, int | float | str)
