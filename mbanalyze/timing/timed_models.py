"""Resolved models on a device, ready to be timed."""

from __future__ import annotations

import torch

from mbanalyze.clock.timed_module import TimedModule, on_device
from mbanalyze.sources.resolved_model import ResolvedModel
from mbanalyze.trace.forward_args import as_inputs


def timed_model(resolved: ResolvedModel, name: str, device: str, dtype: str | None = None) -> TimedModule:
    """Return a resolved model on a device, with filled weights, ready to be timed."""
    module = resolved.build(True).module
    args, keywords = as_inputs(module, resolved.inputs, resolved.keywords, real=True)
    return on_device(name, module, args, keywords, device, getattr(torch, dtype) if dtype else None)
