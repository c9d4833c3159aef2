"""Every convention by its name."""

from __future__ import annotations

from mbanalyze.conventions.calflops import CALFLOPS
from mbanalyze.conventions.convention import Convention
from mbanalyze.conventions.flop_counter import FLOP_COUNTER, FLOP_COUNTER_META
from mbanalyze.conventions.fvcore import FVCORE
from mbanalyze.conventions.ptflops import PTFLOPS
from mbanalyze.conventions.ptflops_aten import PTFLOPS_ATEN
from mbanalyze.conventions.publications import PAPER, TIMM, TORCHVISION
from mbanalyze.conventions.thop import THOP
from mbanalyze.conventions.torchinfo import TORCHINFO
from mbanalyze.conventions.torchprofile import TORCHPROFILE

CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        FVCORE,
        FLOP_COUNTER,
        FLOP_COUNTER_META,
        TORCHINFO,
        PTFLOPS,
        PTFLOPS_ATEN,
        TORCHPROFILE,
        CALFLOPS,
        THOP,
        TORCHVISION,
        TIMM,
        PAPER,
    )
}
"""The name of a convention -> its rules."""

FOLLOWED = tuple(sorted({name for convention in CONVENTIONS.values() for name in convention.functions}))
"""The functions that a trace follows for them."""
