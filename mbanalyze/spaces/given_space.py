"""The space that a user names, with the user's values of options in place of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import validate_values
from mbanalyze.inputs.resolution import spell_resolution
from mbanalyze.spaces.known_spaces import SPACES
from mbanalyze.spaces.space import Space, SpaceError
from mbanalyze.sweep.grid import option_values


def given_space(space: str | Space, options: Mapping[str, Any]) -> Space:
    """Return a space, or the known one with a name, with values of options: of one or of several to choose from.

    Raises:
        SpaceError: the space is unknown, or an option is `stages` or `rho`.
        OptionError: the architecture lacks an option, or a value is invalid.
        GridError: an option has no values, or one twice.
    """
    found = space if isinstance(space, Space) else SPACES.get(space)
    if found is None:
        raise SpaceError(f"no space {space!r}: the spaces are {', '.join(SPACES)}")
    if "stages" in options:
        raise SpaceError("a space chooses the stages: leave stages out, or count one network with report")
    if "rho" in options:
        raise SpaceError("a space has resolutions in pixels: give resolution instead of rho")
    arch = ARCHS[found.architecture]
    given = {
        name: tuple(validate_values(found.name, arch, name, option_values(name, values)))
        for name, values in options.items()
    }
    chosen = {**found.options, **given}
    if "resolution" in chosen:
        chosen["resolution"] = tuple(map(spell_resolution, chosen["resolution"]))
    order = [declared.name for declared in fields(arch) if declared.name in chosen]
    return replace(found, options={name: chosen[name] for name in order})
