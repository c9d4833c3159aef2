"""`read_pt2`, which reads a file of `torch.export.save`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mbanalyze.model_files.pt2_file.pt2_program import Pt2Program


def read_pt2(path: Path) -> Pt2Program:
    """Read a program of `torch.export`. Nothing in the file is run or unpickled, and weights stay there.

    Raises:
        ModelFileError: the file is missing, damaged, too large or of another format.
    """
    from mbanalyze.model_files.pt2_file.pt2_archive import Pt2Archive
    from mbanalyze.model_files.pt2_file.pt2_program import Pt2Program

    return Pt2Program(Pt2Archive(path))
