"""Print the lowest versions that pyproject.toml allows, as constraints for pip; `make lowest` installs them.

`make compat` tries releases of PyTorch, and the tools of the tests and of the documentation are never at their lowest.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

TOOLS = ("docs", "test")
"""The extras of tools."""
PYTORCH = ("torch", "torchvision")


def main() -> None:
    """Print a line for each package."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = (given for name, given in project["optional-dependencies"].items() if name not in TOOLS)
    bounds = sorted({*project["dependencies"], *(bound for given in extras for bound in given)})
    for name, version in (bound.split(">=") for bound in bounds):
        if name not in PYTORCH:
            print(f"{name}=={version}")


if __name__ == "__main__":
    main()
