"""The names of all conventions, and the convention of a name: rules are loaded when one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mbanalyze.inputs.choices import ChoiceError, meant

if TYPE_CHECKING:
    from mbanalyze.conventions.convention import Convention

NAMES = (
    *("fvcore", "flop-counter", "flop-counter-meta", "torchinfo", "ptflops", "ptflops-aten", "torchprofile"),
    *("calflops", "thop", "torchvision", "timm", "paper"),
)
"""The names of all conventions, as on the command line."""


def find_convention(name: str) -> Convention:
    """Return the convention with a name.

    Raises:
        ChoiceError: the name is unknown. The message lists the known names.
    """
    if not isinstance(name, str) or name not in NAMES:
        hint = meant(name, NAMES)
        raise ChoiceError(f"unknown convention {name!r}: {hint}choose one of {', '.join(NAMES)}")
    from mbanalyze.conventions.known import CONVENTIONS

    return CONVENTIONS[name]


def labelled(label: str) -> Convention | None:
    """Return the convention with a label such as 'thop/0.1.1'; None for ours."""
    name = label.partition("/")[0]
    return find_convention(name) if name in NAMES else None
