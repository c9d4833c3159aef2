"""Imports of torchvision and timm for the processes of counters that import them.

The compiled part of torchvision may not load with the installed torch. Its import then stops where it looks for two
operators, which are defined here without a body: models that do not call them need no more.
"""

from __future__ import annotations

from contextlib import suppress

from mbanalyze.sources.deferred_compiler import compiler_deferred

with suppress(Exception), compiler_deferred():  # the counter that needs the packages says why they fail
    try:
        import torchvision
    except RuntimeError:
        import torch

        for name in ("nms", "qnms"):
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", schema)
        import torchvision  # noqa: F401
with suppress(Exception), compiler_deferred():
    import timm  # noqa: F401
