"""Every convention by its name."""

from __future__ import annotations

from mbanalyze.conventions.convention import Convention
from mbanalyze.conventions.flop_counter import FLOP_COUNTER, FLOP_COUNTER_META
from mbanalyze.conventions.fvcore import FVCORE
from mbanalyze.conventions.thop import THOP

CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        FLOP_COUNTER,
        FLOP_COUNTER_META,
        FVCORE,
        THOP,
    )
}
"""The name of a convention -> its rules."""

FOLLOWED = tuple(sorted({name for convention in CONVENTIONS.values() for name in convention.functions}))
"""The functions that a trace follows for them."""
