"""The known architectures with their papers and options, as a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import describe
from mbanalyze.display.result import Result


@dataclass(frozen=True, slots=True, repr=False)
class Catalog(Result):
    """The known architectures."""

    json_key: ClassVar[str] = "models"

    def as_dict(self) -> dict[str, Any]:
        """Return the name, paper and options of each architecture, under the key `models`."""
        models = [
            {"name": name, "paper": arch.paper, "options": describe(arch)} for name, arch in ARCHS.items()
        ]
        return {"models": models}

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each option of each architecture."""
        return [
            {
                "model": name,
                "paper": arch.paper,
                **{"option" if key == "name" else key: value for key, value in option.items()},
            }
            for name, arch in ARCHS.items()
            for option in describe(arch)
        ]
