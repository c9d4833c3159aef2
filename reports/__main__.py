"""Write the files of this folder, and remove files that are no longer generated."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

from mbanalyze import plots
from mbanalyze.display.files import write
from reports import pictures
from reports.index import index
from reports.tables import tables

HERE = Path(__file__).parent
MADE = (".csv", ".md", ".svg")
"""The suffixes of generated files."""


def main(folder: Path = HERE) -> None:
    """Write the tables, the pictures, and the page that shows them."""
    mpl.use("agg")
    (folder / "plots").mkdir(exist_ok=True)
    texts = {folder / name: text for name, text in (tables() | {"README.md": index()}).items()}
    drawn = {folder / "plots" / f"{name}.svg": name for name in pictures.PICTURES}
    for file, text in texts.items():
        write(file, text)
    for file, name in drawn.items():
        with pictures.picture(name) as figure:
            plots.save(figure, file, pictures.described(figure))
    for file in folder.rglob("*"):
        if file.suffix in MADE and file not in {*texts, *drawn}:
            file.unlink()
    sys.stderr.write(f"wrote {len(texts) + len(drawn)} files in {folder.name}/\n")


if __name__ == "__main__":
    main()
