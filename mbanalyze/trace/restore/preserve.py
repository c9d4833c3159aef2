"""`preserve_state`, which leaves the model, its inputs and global state as they were before a trace."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from mbanalyze.trace.restore.functions import FunctionSnapshot
from mbanalyze.trace.restore.module_attributes import ModuleSnapshot
from mbanalyze.trace.restore.objects import ObjectSnapshot
from mbanalyze.trace.restore.process_settings import GlobalSnapshot
from mbanalyze.trace.restore.tensors import TensorSnapshot
from mbanalyze.trace.torch_internals import GLOBAL_HOOKS


class RestoreError(ValueError):
    """Something that the forward changed could not be restored."""


@contextmanager
def preserve_state(modules: Collection[nn.Module], handed_in: Iterable[Any], *, real: bool) -> Iterator[None]:
    """Restore modules, the arguments of the forward, and global state on exit.

    Restored are attributes, slots, containers, classes, hooks and random generators, to any depth, and the
    tensors among them: shapes, storages, gradients, flags and versions. If `real`, the elements of tensors are
    restored too. Without it, no operator writes to a weight, and the recorder saves other elements.

    Variables outside of the model are restored if the forward stored a tensor in them. Not restored are files,
    iterators, environment variables, and objects of the standard library that are no containers.

    Inside the context, autocast and the fused attention path are off, because they change the operators that run.

    Args:
        modules: the model and all its submodules, the model first.
        handed_in: the arguments of the forward.
        real: the forward runs on data.

    Raises:
        RestoreError: something could not be restored, and the forward did not raise.
    """
    settings, failures = GlobalSnapshot(), _Failures()
    try:
        with _restored(modules, handed_in, settings, failures.attempt, real=real):
            _fix_operators()
            yield
    except BaseException as error:
        settings.restore(failures.attempt)
        if failures.items:
            error.add_note(failures.message(modules))
        raise
    settings.restore(failures.attempt)
    if failures.items:
        raise RestoreError(failures.message(modules))


@contextmanager
def _restored(
    modules: Collection[nn.Module],
    handed_in: Iterable[Any],
    settings: GlobalSnapshot,
    attempt: Callable[..., None],
    *,
    real: bool,
) -> Iterator[None]:
    """Restore modules and arguments."""
    attributes = ModuleSnapshot(modules)
    model = ObjectSnapshot({id(module): module for module in attributes.modules}, attributes.tensors)
    model.look_at(set(map(type, modules)))
    model.add((*attributes.others, *handed_in, *GLOBAL_HOOKS))
    functions = FunctionSnapshot(model)
    tensors = TensorSnapshot([*model.tensors, *functions.tensors], elements=real)
    try:
        yield
    finally:
        settings.restore_modes(attempt)
        for snapshot in attributes, model, functions, tensors:
            snapshot.restore(attempt)
        for generators in model, functions:
            generators.restore_generators(attempt)


def _fix_operators() -> None:
    """Switch off what changes the operators that run."""
    torch.backends.mha.set_fastpath_enabled(value=False)
    for device in ("cpu", "cuda"):
        torch.set_autocast_enabled(device, enabled=False)


class _Failures:
    """The attempts to restore something that failed."""

    def __init__(self) -> None:
        self.items: list[tuple[Any, Exception]] = []

    def attempt(self, restore: Callable[..., object], items: Iterable[tuple[Any, ...]]) -> None:
        """Restore each item, also if another one cannot be restored."""
        for item in items:
            try:
                restore(*item)
            except Exception as error:
                self.items.append((item[0], error))

    def message(self, modules: Collection[nn.Module]) -> str:
        """Return a line that names what could not be restored."""
        model = next(iter(modules))
        names = {id(tensor): name for name, tensor in (*model.named_parameters(), *model.named_buffers())}
        told = [f"{names.get(id(item)) or type(item).__name__} ({error})" for item, error in self.items]
        return f"the forward changed what cannot be restored: {', '.join(told)}"
