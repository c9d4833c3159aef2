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
from mbanalyze.inputs.choices import ChoiceError, meant

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


def find_convention(name: str) -> Convention:
    """Return the convention with a name.

    Raises:
        ChoiceError: the name is unknown. The message lists the known names.
    """
    found = CONVENTIONS.get(name) if isinstance(name, str) else None
    if found is None:
        hint = meant(name, CONVENTIONS)
        raise ChoiceError(f"unknown convention {name!r}: {hint}choose one of {', '.join(CONVENTIONS)}")
    return found


def convention_by_label(label: str) -> Convention | None:
    """Return the convention of another counter with a label such as 'thop/0.1.1'; None for ours."""
    return CONVENTIONS.get(label.partition("/")[0])
