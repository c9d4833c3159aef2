"""Draw the README's picture of a report: `python docs/draw_report.py` writes `report.svg`."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from subprocess import run

from rich.console import Console
from rich.text import Text

FILE = Path(__file__).parent / "images/report.svg"
COMMAND = "mbanalyze report mobilenet_v2 --alpha 0.75 --resolution 192 --by block"
WIDTH = 100


def draw() -> str:
    """Run the command and return what it prints as SVG, without the version of Python and without web fonts."""
    ran = run(  # noqa: S603 (a command of this project)
        [sys.executable, "-m", *COMMAND.split(), "--width", str(WIDTH)],
        capture_output=True,
        check=True,
        encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8"},
    )
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text(f"$ {COMMAND}\n", style="bold"))
    console.print(Text(re.sub(r", python \S+", "", ran.stdout).rstrip()), soft_wrap=False)
    picture = console.export_svg(title="mbanalyze", unique_id="report")
    local = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    return re.sub(r"[ \t]+$", "", local, flags=re.MULTILINE)


def main() -> None:
    """Write the picture."""
    FILE.write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
