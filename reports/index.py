"""The page that shows the reports."""

from __future__ import annotations

from collections import Counter

from mbanalyze.archs import ARCHS
from mbanalyze.literature.verdicts import CATEGORIES, published
from mbanalyze.plots.drawing import title
from reports.pictures import COSTS, NETWORKS, source_of
from reports.tables import FAMILIES, variants

PAGE = """# Reports

`make reports` writes this folder with the versions pinned in `constraints.txt`. The tests fail if it is out of date.
All counts are in closed form. Published figures are listed with their sources.

## Families

Each table of variants has one row for each network with a published figure.
It lists our params, multiply-accumulates, FLOPs, activations and memory access, and the published figures, accuracy and latency.
The verdicts compare each published figure with our count: it is exact, follows another convention, is an erratum, or is unresolved.

| family | networks | files | variants | exact | convention | erratum | unresolved |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |
{families}

`mbanalyze/data/published.csv` has no figures for {others}.

## Pareto fronts

The pictures show every network with a published accuracy, by one cost at a time.
For a network on a front, no other is both cheaper and more accurate. Labels are alpha and resolution.
The accuracies come from several sources, which train in different ways.

{fronts}

## Width and resolution

For each network, the first picture shows the accuracy of its variants, all from one source.
The second shows the effect of alpha and rho on params and multiply-accumulates. Dashed lines are the quadratic laws.

{scales}

## Costs within a network

Each figure has four pictures of a network at its own resolution:

- the share of each operator in the totals, along the depth;
- the shares by kind of operator;
- the memory access of each convolution, and its lower bound;
- the FLOPs of each operator for a byte read or written.

`mbanalyze report NAME --format html --output NAME.html` makes a page about any network.

{networks}

## Other files

- [guidelines.md](guidelines.md): ShuffleNet V2's experiments on memory access, with printed and predicted speeds.
- [mbanalyze.lock.json](mbanalyze.lock.json): the costs of the known networks, layer by layer. `mbanalyze guard` compares them.

Each picture carries its data as JSON in its description.
Benchmarks differ between runs and are in another folder: `make benchmark` writes [benchmarks/](../benchmarks/).
"""


def index() -> str:
    """Return the page in Markdown."""
    known = {name for family in FAMILIES for name in variants(family)["model"]}
    return PAGE.format(
        families="\n".join(map(_family, FAMILIES)),
        others=" and ".join(f"`{name}`" for name in ARCHS if name not in known),
        fronts="\n\n".join(_image(f"pareto_{cost}", f"Top-1 accuracy by {title(cost)}") for cost in COSTS),
        scales="\n\n".join(map(_scales, NETWORKS)),
        networks="\n\n".join(
            f"### {name}\n\n{_image(f'network_{name}', f'Costs of {name}')}" for name in NETWORKS
        ),
    )


def _family(family: str) -> str:
    """A row of the table: networks, files, and how many figures have which verdict."""
    frame, times = variants(family), Counter(verdict.category for verdict in published(family))
    files = {
        "table": f"variants_{family}.md",
        "CSV": f"variants_{family}.csv",
        "verdicts": f"published_{family}.md",
    }
    cells = [
        family,
        ", ".join(dict.fromkeys(frame["model"])),
        ", ".join(f"[{what}]({file})" for what, file in files.items()),
        len(frame),
        *(times[category] for category in CATEGORIES),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _scales(name: str) -> str:
    """Return the two pictures of a network's variants, and the source of the accuracy."""
    accuracy = _image(f"tradeoff_{name}", f"Top-1 accuracy of {name} by multiply-accumulates")
    both = _image(f"scaling_{name}", f"{name} by alpha and by rho")
    return f"### {name}\n\nAccuracy from {source_of(name)}.\n\n{accuracy}\n\n{both}"


def _image(name: str, text: str) -> str:
    return f"![{text}](plots/{name}.svg)"
