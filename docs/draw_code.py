"""Draw the packages of mbanalyze on the floors of their import contract: `python docs/draw_code.py` writes `code.svg`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
FILE = Path(__file__).parent / "images/code.svg"
Floors = Sequence[Sequence[str]]
Imports = Mapping[str, set[str]]
Lane = tuple[str, str, int]
"""The part of an arrow that crosses a floor: importing package, imported package, number of the floor."""

HEIGHT, BOX, GAP, LANE, MARGIN, LETTER = 52, 28, 18, 10, 34, 8.0
"""Sizes in pixels: a floor, a box, the space between boxes, the width of a lane, the left margin, a letter."""
SWEEPS = 120
"""Passes over the floors that order and align the boxes."""

STYLE = """
    rect { fill: #f4f5fb; stroke: #5c6bc0; stroke-width: 1.5 }
    text { font: 13px ui-monospace, monospace; text-anchor: middle; fill: #1f2430 }
    text.floor { font: 11px system-ui, sans-serif; fill: #50576b }
    line { stroke: #c5cae9; stroke-dasharray: 2 4 }
    path { fill: none; stroke: #6b7285; stroke-width: 1.3 }
    path.head { fill: #6b7285; stroke: none }
    @media (prefers-color-scheme: dark) {
      rect { fill: #262b3d; stroke: #7986cb }
      text { fill: #e6e8f0 }
      text.floor { fill: #aab1c6 }
      line { stroke: #3d4563 }
      path { stroke: #9aa3ba }
      path.head { fill: #9aa3ba }
    }"""


def floors() -> list[list[str]]:
    """Return the packages by layer, from top to bottom, as `[tool.importlinter]` of pyproject.toml states them."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (contract["layers"] for contract in config["contracts"] if contract["type"] == "layers")
    return [layer.split(" | ") for layer in layers]


def imports(levels: Floors) -> dict[str, set[str]]:
    """Return the packages that each package imports, as grimp reads them from the source files."""
    graph = grimp.build_graph("mbanalyze", cache_dir=None)
    found: dict[str, set[str]] = {name: set() for level in levels for name in level}
    for module in graph.modules:
        importer = package(module)
        if importer in found:
            found[importer] |= {package(other) for other in graph.find_modules_directly_imported_by(module)}
    return {name: others & found.keys() - {name} for name, others in found.items()}


def package(module: str) -> str:
    """Return the name of a module's package: `mbanalyze.ops.cost` -> "ops"."""
    return module.partition(".")[2].partition(".")[0]


def reduced(levels: Floors, known: Imports) -> dict[str, set[str]]:
    """Keep the imports that lead down and that no chain of other imports implies."""
    below: dict[str, set[str]] = {}
    kept: dict[str, set[str]] = {}
    for level in reversed(levels):
        for name in level:
            down = known[name] & below.keys()
            kept[name] = {other for other in down if not any(other in below[via] for via in down)}
            below[name] = down.union(*(below[via] for via in down))
        below |= {name: below[name] for name in level}
    return kept


class Layout:
    """Places for boxes and lanes: the order on each floor, then the x coordinate of each centre."""

    def __init__(self, levels: Floors, arrows: Imports) -> None:
        """Place every package and every lane of every arrow."""
        self.floor = {name: number for number, level in enumerate(levels) for name in level}
        self.rows: list[list[str | Lane]] = [list(level) for level in levels]
        self.chains = [self._chain(name, other) for name in self.floor for other in sorted(arrows[name])]
        self.x: dict[str | Lane, float] = {}
        for row in self.rows:
            self._place(row, {item: float(i) for i, item in enumerate(row)})
        for sweep in range(SWEEPS):
            for row in self.rows if sweep % 2 else reversed(self.rows):
                self._align(row, reorder=sweep < SWEEPS // 10)
        left = min(x - width(item) / 2 for item, x in self.x.items())
        self.x = {item: round(x - left + MARGIN) for item, x in self.x.items()}

    def _chain(self, name: str, other: str) -> list[str | Lane]:
        """Add a lane to each floor between two packages, and return all points of their arrow."""
        lanes: list[Lane] = [(name, other, n) for n in range(self.floor[name] + 1, self.floor[other])]
        for lane in lanes:
            self.rows[lane[2]].append(lane)
        return [name, *lanes, other]

    def _neighbours(self, item: str | Lane) -> list[str | Lane]:
        """The items that arrows connect with an item, on the floors above and below."""
        pairs = [pair for chain in self.chains for pair in pairwise(chain)]
        return [b if a == item else a for a, b in pairs if item in (a, b)]

    def _align(self, row: list[str | Lane], *, reorder: bool) -> None:
        """Move the items of a floor towards the mean of their neighbours."""
        wanted = {}
        for item in row:
            others = self._neighbours(item) or [item]
            pulls = [(1 if reorder else pull(item, other), self.x[other]) for other in others]
            wanted[item] = sum(weight * x for weight, x in pulls) / sum(weight for weight, _ in pulls)
        if reorder:
            row.sort(key=lambda item: wanted[item])
        self._place(row, wanted)

    def _place(self, row: Sequence[str | Lane], wanted: Mapping[str | Lane, float]) -> None:
        """Set the coordinates of a floor: as wanted, with the items in order and apart."""
        right = left = 0.0
        forward, backward = {}, {}
        for n, item in enumerate(row):
            right = wanted[item] if n == 0 else max(wanted[item], right + apart(row[n - 1], item))
            forward[item] = right
        for n, item in enumerate(reversed(row)):
            left = wanted[item] if n == 0 else min(wanted[item], left - apart(item, row[len(row) - n]))
            backward[item] = left
        self.x |= {item: (forward[item] + backward[item]) / 2 for item in row}


def width(item: str | Lane) -> float:
    """The width of a box around a name, or of a lane."""
    return LETTER * len(item) + 22 if isinstance(item, str) else LANE


def pull(item: str | Lane, other: str | Lane) -> int:
    """The weight of a neighbour: lanes follow each other, so that long arrows are straight."""
    return 16 if isinstance(item, tuple) and isinstance(other, tuple) else 1


def apart(left: str | Lane, right: str | Lane) -> float:
    """The least distance between the centres of two items side by side."""
    return (width(left) + width(right)) / 2 + GAP


def curve(points: Sequence[tuple[float, float, float]]) -> str:
    """A path through points of x, upper y and lower y: straight on a floor, curved between floors."""
    x, _, y = points[0]
    steps = [f"M{x:g} {y:g}"]
    for to, top, bottom in points[1:]:
        middle = (y + top) / 2
        steps += [f"C{x:g} {middle:g} {to:g} {middle:g} {to:g} {top:g}", f"L{to:g} {bottom:g}"]
        x, y = to, bottom
    return " ".join(steps)


def draw(levels: Floors, known: Imports) -> str:
    """Return the picture as SVG."""
    layout = Layout(levels, reduced(levels, known))
    right = max(x + width(item) / 2 for item, x in layout.x.items()) + GAP
    parts = []
    for number, _ in enumerate(levels):
        y = number * HEIGHT + HEIGHT / 2
        parts.append(f'<line x1="{MARGIN - 8}" y1="{y:g}" x2="{right:g}" y2="{y:g}"/>')
        parts.append(f'<text class="floor" x="14" y="{y + 4:g}">{len(levels) - number}</text>')
    for chain in layout.chains:
        points = [(layout.x[item], *_span(layout.floor, item)) for item in chain]
        x, y, _ = points[-1]
        parts.append(f'<path d="{curve([*points[:-1], (x, y - 5, y - 4)])}"/>')
        parts.append(f'<path class="head" d="M{x - 4:g} {y - 7:g} L{x + 4:g} {y - 7:g} L{x:g} {y:g} z"/>')
    for name, number in layout.floor.items():
        x, y, wide = layout.x[name], number * HEIGHT + HEIGHT / 2, width(name)
        parts.append(
            f'<rect x="{x - wide / 2:g}" y="{y - BOX / 2:g}" width="{wide:g}" height="{BOX}" rx="6"/>'
        )
        parts.append(f'<text x="{x:g}" y="{y + 4.5:g}">{name}</text>')
    return _page(right, len(levels) * HEIGHT, parts)


def _span(floor: Mapping[str, int], item: str | Lane) -> tuple[float, float]:
    """The upper and the lower edge of an item."""
    number = floor[item] if isinstance(item, str) else item[2]
    half = BOX / 2
    return number * HEIGHT + HEIGHT / 2 - half, number * HEIGHT + HEIGHT / 2 + half


def _page(right: float, bottom: int, parts: Sequence[str]) -> str:
    """An SVG document with a title and a description for readers who do not see it."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right:g} {bottom}" role="img" '
    text = 'aria-labelledby="name story">\n  <title id="name">The packages of mbanalyze</title>\n'
    story = (
        "The packages stand on numbered floors. An arrow leads from a package to one that it imports. "
        "All arrows lead down. Imports that a chain of arrows implies are not drawn."
    )
    lines = [
        f'  <desc id="story">{story}</desc>',
        f"  <style>{STYLE}\n  </style>",
        *(f"  {part}" for part in parts),
    ]
    return head + text + "\n".join(lines) + "\n</svg>\n"


def main() -> None:
    """Write the picture."""
    levels = floors()
    FILE.write_text(draw(levels, imports(levels)))


if __name__ == "__main__":
    main()
