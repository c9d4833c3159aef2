"""Conventions of publications: no counter gives these numbers.

- torchvision: the `_ops` among the metadata of its weights, in billions.
- timm: the column `infer_gmacs` of its benchmark results, which are fvcore's counts with attention not fused.
- paper: the multiply-adds of papers on light-weight networks, since MobileNetV1 (Table 4).
"""

from __future__ import annotations

from dataclasses import replace

from mbanalyze.conventions.convention import Convention
from mbanalyze.conventions.fvcore import FVCORE
from mbanalyze.conventions.op_rules import MACS

TORCHVISION = Convention(
    "torchvision",
    "torchvision's published operations",
    "",
    "0.28.0",
    kinds=dict.fromkeys(("conv", "linear", "matmul", "einsum", "attention"), (MACS,)),
    needs_trace=False,
)
TIMM = replace(
    FVCORE,
    name="timm",
    title="timm's benchmark results",
    package="",
    version="1.0.29",
    kinds={**FVCORE.kinds, "attention": (MACS,)},
    note="",
)
PAPER = Convention(
    "paper",
    "the multiply-adds of papers on light-weight networks",
    "",
    "arXiv:1704.04861",
    kinds=dict.fromkeys(("conv", "linear"), (MACS,)),
    needs_trace=False,
)
