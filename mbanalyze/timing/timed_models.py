"""Resolved models on a device, ready to be timed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mbanalyze.archs import find, name_of
from mbanalyze.clock.timed_module import TimedModule, on_device
from mbanalyze.inputs.parsing import split_reference
from mbanalyze.sources.file_models import no_module
from mbanalyze.sources.references import summarize
from mbanalyze.sources.resolve import Countable, resolve
from mbanalyze.sources.resolved_model import ResolvedModel
from mbanalyze.trace.forward_args import as_inputs
from mbanalyze.trace.forward_errors import TraceError
from mbanalyze.trace.torch_internals import tree_leaves

_Forward = tuple[nn.Module, tuple[Any, ...], Mapping[str, Any]]
"""A module and the arguments of its forward."""


def resolve_all(
    models: Sequence[Countable], inputs: Sequence[Any], options: Mapping[str, Any]
) -> list[ResolvedModel]:
    """Resolve models with the same options, and the same inputs for all but known architectures.

    If all are known architectures, inputs are an error, as for one.
    """
    known = [bool(find(split_reference(m)[0]) if isinstance(m, str) else name_of(m)) for m in models]
    own = {name: value for name, value in options.items() if name != "kwargs"}
    return [
        resolve(model, **own) if each and not all(known) else resolve(model, *inputs, **options)
        for model, each in zip(models, known, strict=True)
    ]


def timed_model(resolved: ResolvedModel, name: str, device: str, dtype: str | None = None) -> TimedModule:
    """Return a copy of a resolved model on a device, with filled weights, ready to be timed: it has run once.

    The module and the inputs may be the user's objects, which a run must not change.

    Raises:
        TraceError: the model cannot be copied, moved to the device, or run.
        ModelFileError: it has no module.
    """
    if resolved.graph is not None:
        no_module(name, "mbanalyze predict needs none")
    module = resolved.build(True).module
    args, keywords = as_inputs(module, resolved.inputs, resolved.keywords, real=True)
    try:
        copied = _copied((module, args, keywords))
        timed = on_device(name, *copied, device, getattr(torch, dtype) if dtype else None)
        timed.run()
    except (Exception, SystemExit) as error:
        raise TraceError(f"{name} does not run on {device}: {summarize(error)}") from error
    return timed


def _copied(forward: _Forward) -> _Forward:
    """A deep copy, for which tensors with a history of operators are detached: torch refuses to copy these."""
    module, *arguments = forward
    held = [value for part in module.modules() for value in vars(part).values()]
    tensors = [value for value in (*held, *tree_leaves(arguments)) if isinstance(value, Tensor)]
    return copy.deepcopy(forward, {id(t): t.detach().clone() for t in tensors if not t.is_leaf})
