"""Imports of torchvision and timm for the processes of counters that import them."""

from __future__ import annotations

from contextlib import suppress

from mbanalyze.sources.deferred_compiler import compiler_deferred


def import_packages() -> None:
    """Import torchvision and timm, where they are installed; the counter that needs them says why one fails."""
    with suppress(Exception), compiler_deferred():
        _import_torchvision()
    with suppress(Exception), compiler_deferred():
        import timm  # noqa: F401


def _import_torchvision() -> None:
    """Import torchvision, also if its compiled part does not load with the installed torch.

    Its import then stops where it looks for two operators. They are defined without a body: models that do not call
    them need no more.
    """
    try:
        import torchvision
    except RuntimeError:
        import torch

        for name in ("nms", "qnms"):
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", schema)
        import torchvision  # noqa: F401
