"""PyTorch's `FlopCounterMode`: products of matrices and convolutions, two flops for each multiply-accumulate."""

from __future__ import annotations

from mbanalyze.conventions.convention import Convention
from mbanalyze.conventions.op_rules import MACS
from mbanalyze.ops.cost import PRODUCTS

FLOP_COUNTER_META = Convention(
    "flop-counter-meta",
    "FlopCounterMode on meta",
    "torch",
    "2.13.0",
    kinds=dict.fromkeys(sorted(PRODUCTS), (MACS,)),
    flops_per_mac=2,
    needs_trace=False,
)
