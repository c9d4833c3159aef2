"""The page that shows the reports."""

from __future__ import annotations

from collections import Counter

from mbanalyze.archs import ARCHS
from mbanalyze.literature.verdicts import OUTCOMES, verdicts
from mbanalyze.plots.drawing import title
from reports.pictures import COSTS, NETWORKS, source_of
from reports.tables import FAMILIES, variants

PAGE = """# Reports

`make reports` writes this folder from the pinned versions of `constraints.txt`, and the tests fail where it is out of date.
Every number here is counted in closed form; what others print stands beside it, with its source.

## Families

A table has a row for each network that something is printed of: the params, multiply-accumulates, FLOPs, activations and memory access that we count, and the figures, accuracy and latency that are printed.
The verdicts say of each printed figure whether it is our count, follows another convention, is wrong, or remains unresolved.

| family | networks | files | variants | exact | convention | erratum | unresolved |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |
{families}

Nothing is printed of {others} in `mbanalyze/data/published.csv`.

## The Pareto fronts

Every network here of which an accuracy is printed, by one cost at a time.
On a front are those of which no other is as cheap and as accurate; labels are alpha and resolution.
The accuracies are of several sources, and so of several ways to train.

{fronts}

## Width and resolution

For each network, the accuracy that one source prints of its variants, and below it what alpha and rho do to params and multiply-accumulates.
The dashed lines are the quadratic laws.

{scales}

## Where the costs are

For each network at its own resolution: each operator's share of the totals along the depth; the shares by kind; each convolution's memory access above the least that its work allows; and FLOPs for a byte read or written, of each operator.
`mbanalyze report NAME --format html --output NAME.html` makes a page about any other.

{networks}

## Besides

- [guidelines.md](guidelines.md): ShuffleNet V2's experiments on memory access, printed speeds beside what is counted.
- [mbanalyze.lock.json](mbanalyze.lock.json): what the known networks cost, layer by layer; `mbanalyze guard` holds them to it.

Each picture carries the numbers that it shows, as JSON in its description.
Benchmarks are not here, as they differ from run to run: `make benchmark` writes [benchmarks/](../benchmarks/).
"""


def index() -> str:
    """The page, in Markdown."""
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
    frame, times = variants(family), Counter(verdict.outcome for verdict in verdicts(family))
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
        *(times[outcome] for outcome in OUTCOMES),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _scales(name: str) -> str:
    """Both pictures of a network's variants, and where the accuracy is from."""
    accuracy = _image(f"tradeoff_{name}", f"Top-1 accuracy of {name} by multiply-accumulates")
    both = _image(f"scaling_{name}", f"{name} by alpha and by rho")
    return f"### {name}\n\nAccuracy from {source_of(name)}.\n\n{accuracy}\n\n{both}"


def _image(name: str, text: str) -> str:
    return f"![{text}](plots/{name}.svg)"
