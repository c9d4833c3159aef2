"""Forwards that have not run when they return: generators, coroutines and lazy iterators."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from mbanalyze.trace.torch_internals import tree_leaves


class UnfinishedError(RuntimeError):
    """A forward returned something that still has to run."""


def finish(returned: Any) -> list[Tensor]:
    """Run what a forward returned to its end, and return the tensors of its result.

    Raises:
        UnfinishedError: a coroutine waits while an event loop runs, or an iterator is asynchronous.
    """
    tensors: list[Tensor] = []
    queue = deque(tree_leaves(returned))
    while queue:
        value = queue.popleft()
        if isinstance(value, Tensor):
            tensors.append(value)
        elif is_dataclass(value) and not isinstance(value, type):
            queue += tree_leaves([getattr(value, each.name) for each in fields(value)])
        elif inspect.iscoroutine(value):
            queue += tree_leaves(_awaited(value))
        elif inspect.isasyncgen(value):
            raise UnfinishedError(
                "the forward returns an asynchronous generator: count a module that consumes it"
            )
        elif isinstance(value, Future):
            queue += tree_leaves(value.result())
        elif isinstance(value, Iterator):
            queue += tree_leaves(list(value))
    return tensors


def _awaited(coroutine: Any) -> Any:
    """The result of a coroutine, which may only wait if no event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with closing(asyncio.new_event_loop()) as loop:  # `asyncio.run` forgets the loop of the caller
            return loop.run_until_complete(coroutine)
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise UnfinishedError("the forward is a coroutine that waits for something: count a module that runs it")
