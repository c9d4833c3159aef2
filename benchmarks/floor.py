"""The floor of a trace: calls of all modules, in which those that call no other give a kept result at once."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def floor(module: nn.Module, side: int) -> Callable[[], object]:
    """Return a call of all modules on shapes, in which modules that call no other return a kept result at once.

    Operators in the other modules, such as an addition, run on the meta device.
    """
    blank = copy.deepcopy(module).to("meta").eval()
    image = torch.empty(1, 3, side, side, device="meta")
    for innermost, results in kept_results(blank, image).items():
        innermost.forward = free(results)

    def call() -> object:
        with torch.inference_mode():
            return blank(image)

    return call


def free(results: Sequence[Any]) -> Callable[..., Any]:
    """Return a forward that gives the results in turn, over and over."""
    left = itertools.cycle(results)
    return lambda *_, **__: next(left)


def kept_results(module: nn.Module, image: Tensor) -> dict[nn.Module, list[Any]]:
    """Return the results of the modules that call no other, in the order of their calls."""
    results: dict[nn.Module, list[Any]] = {}
    running: list[nn.Module] = []
    outer: set[nn.Module] = set()

    def enter(entered: nn.Module, _: Any) -> None:
        """Note the modules that call another."""
        outer.update(running[-1:])
        running.append(entered)

    def leave(_: nn.Module, __: Any, result: Any) -> None:
        """Keep the result."""
        results.setdefault(running.pop(), []).append(result)

    hooks = [
        hook
        for each in module.modules()
        for hook in (each.register_forward_pre_hook(enter), each.register_forward_hook(leave))
    ]
    with torch.inference_mode():
        module(image)
    for hook in hooks:
        hook.remove()
    return {each: results[each] for each in results.keys() - outer}
