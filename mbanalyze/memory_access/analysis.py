"""ShuffleNet V2's four guidelines applied to a network: Ma et al., 2018, arXiv:1807.11164, section 2.

- G1: a convolution has the lowest memory access if its input and its output have equal size.
- G2: groups raise memory access at equal multiply-accumulates.
- G3: parallel branches in a block split the work into small operators.
- G4: element-wise operators have much memory access for little arithmetic.

A convolution reads `S` values of each of `c1` channels and writes `T` values of each of `c2` channels.
With `w` weights it accesses `S c1 + T c2 + w` elements. Let `B` be its multiply-accumulates, in `g` groups.
`B` and `g` fix the product of the first two terms, so that their sum

    S c1 + T c2 = 2 sqrt(S T c1 c2) + (sqrt(S c1) - sqrt(T c2))^2

is smallest where the square is zero: the square is the imbalance of G1. Without groups, the same work takes
`c1 c2 / g` pairs of channels instead of `c1 c2`, which saves `2 sqrt(S T c1 c2) (1 - 1 / sqrt(g))`: G2.
The rest, `2 sqrt(S T c1 c2 / g) + w`, is the lower bound. For 1x1 convolutions it equals the bound of the
paper, `2 sqrt(hwB) + B / hw`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import TYPE_CHECKING, Any, overload

from mbanalyze.display import records
from mbanalyze.display.result import Result
from mbanalyze.inputs.choices import choose
from mbanalyze.memory_access.branches import branches, common_prefix, dependencies, segments
from mbanalyze.memory_access.experiments import Experiments
from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Row, block
from mbanalyze.sources.resolve import Countable, count
from mbanalyze.sources.resolved_model import check_flags

if TYPE_CHECKING:
    import pandas as pd

FRAGMENTS = ("conv", "max_pool", "avg_pool", "global_avg_pool", "adaptive_avg_pool")
"""The kinds that G3 counts: convolutions and poolings."""
COLUMNS = {
    "convolutions": (
        *("path", "variant", "channels", "groups", "macs", "memory_access", "bound", "excess", "ratio"),
        *("imbalance", "grouping", "bias"),
    ),
    "blocks": ("path", "fragments", "branches", "memory_access", "elementwise", "elementwise_share"),
}
"""The keys of the records of each part."""


class GuidelinesError(ValueError):
    """Arguments that contradict each other."""


@dataclass(frozen=True, slots=True)
class ConvolutionAnalysis:
    """G1 and G2 applied to one convolution; all sizes in elements.

    Attributes:
        path: the module.
        variant: `standard`, `grouped`, `depthwise` or `pointwise`.
        channels: input and output channels.
        groups: groups.
        macs: multiply-accumulates.
        memory_access: the sum of `bound`, `imbalance`, `grouping` and `bias`.
        bound: the lower bound of memory access at these multiply-accumulates.
        imbalance: the cost of unequal input and output sizes (G1).
        grouping: the cost of groups (G2).
        bias: elements of the bias, and of the weight of a PReLU that is merged.
    """

    path: str
    variant: str
    channels: tuple[int, int]
    groups: int
    macs: int
    memory_access: int
    bound: float
    imbalance: float
    grouping: float
    bias: int

    @property
    def excess(self) -> float:
        """Memory access above the bound."""
        return self.memory_access - self.bound

    @property
    def ratio(self) -> float:
        """Memory access relative to the bound."""
        return self.memory_access / self.bound


def convolution_analysis(row: Row) -> ConvolutionAnalysis:
    """Apply G1 and G2 to a convolution of any rank, stride and number of groups."""
    op = row.op
    image, weight, *bias = op.operands
    channel = 1 - len(weight.shape)  # from the back, because a batch is optional
    read, written = image.size, op.output[0].size
    geometric = 2 * sqrt(read * written)
    return ConvolutionAnalysis(
        op.path,
        op.variant or "",
        (image.shape[channel], op.output[0].shape[channel]),
        op.groups,
        row.cost.macs or 0,
        row.cost.memory_access,
        bound=geometric / sqrt(op.groups) + weight.size,
        imbalance=(sqrt(read) - sqrt(written)) ** 2,
        grouping=geometric * (1 - 1 / sqrt(op.groups)),
        bias=sum(value.size for value in bias),
    )


@dataclass(frozen=True, slots=True)
class BlockAnalysis:
    """G3 and G4 applied to one block: a named block, or parallel blocks inside one module.

    Attributes:
        path: the block, or the common prefix of its blocks.
        fragments: the number of convolutions and poolings.
        branches: the largest number of fragments that do not depend on each other (G3).
        memory_access: elements accessed by all operators.
        elementwise: elements accessed by element-wise operators (G4).
    """

    path: str
    fragments: int
    branches: int
    memory_access: int
    elementwise: int

    @property
    def elementwise_share(self) -> float:
        """The share of element-wise operators in memory access."""
        return self.elementwise / self.memory_access if self.memory_access else 0.0


@dataclass(frozen=True, repr=False)
class Guidelines(Result):
    """The guidelines applied to a network.

    Attributes:
        report: the report of the network.
        convolutions: G1 and G2 for each convolution.
        blocks: G3 and G4 for each block.
    """

    report: Report
    convolutions: tuple[ConvolutionAnalysis, ...]
    blocks: tuple[BlockAnalysis, ...]

    @cached_property
    def shares(self) -> dict[str, int]:
        """Elements accessed by each class of operators (G4)."""
        shares: dict[str, int] = {}
        for row in self.report.rows:
            name = _operator_class(row)
            shares[name] = shares.get(name, 0) + row.cost.memory_access
        return shares

    @property
    def elementwise_share(self) -> float:
        """The share of element-wise operators in memory access (G4)."""
        accessed = self.report.totals.memory_access
        return self.shares.get("element-wise", 0) / accessed if accessed else 0.0

    @property
    def fragmentation(self) -> float:
        """The mean number of branches over blocks of several fragments (G3); 1 without such a block."""
        found = [block.branches for block in self.blocks if block.fragments > 1]
        return sum(found) / len(found) if found else 1.0

    @property
    def most_branches(self) -> int:
        """The largest number of branches of a block (G3)."""
        return max((block.branches for block in self.blocks), default=0)

    def as_dict(self) -> dict[str, Any]:
        """Return the analysis as a JSON document; memory access in elements."""
        return {
            "model": self.report.model,
            "options": dict(self.report.options),
            "input": [list(shape) for shape in self.report.input],
            "fused": self.report.is_fused,
            "memory_access": self.report.totals.memory_access,
            "g1": {"imbalance": sum(c.imbalance for c in self.convolutions)},
            "g2": {"grouping": sum(c.grouping for c in self.convolutions)},
            "g3": {"fragmentation": self.fragmentation, "most_branches": self.most_branches},
            "g4": {"elementwise_share": self.elementwise_share, "shares": self.shares},
            "convolutions": self.records("convolutions"),
            "blocks": self.records("blocks"),
        }

    def records(self, part: str = "convolutions") -> list[dict[str, Any]]:
        """Return one record for each of the `convolutions` or `blocks`.

        Raises:
            ChoiceError: unknown part.
        """
        names = self.columns(part)
        return [
            {name: _jsonable(getattr(analysis, name)) for name in names} for analysis in getattr(self, part)
        ]

    def columns(self, part: str = "convolutions") -> list[str]:
        """Return the keys of each record."""
        return list(COLUMNS[choose("part", part, COLUMNS)])

    def frame(self, part: str = "convolutions") -> pd.DataFrame:
        """Return `records(part)` as a pandas DataFrame."""
        return records.frame(self.records(part), self.columns(part))


def _jsonable(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@overload
def guidelines(
    what: Countable | Report, /, *inputs: Any, fused: bool = False, **options: Any
) -> Guidelines: ...
@overload
def guidelines(
    *,
    measure: bool = False,
    seconds: float = 60.0,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> Experiments: ...
def guidelines(
    what: Countable | Report | None = None,
    /,
    *inputs: Any,
    fused: bool = False,
    measure: bool = False,
    seconds: float = 60.0,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
    **options: Any,
) -> Guidelines | Experiments:
    """Apply ShuffleNet V2's guidelines to a network, or return the experiments behind them.

    Args:
        what: a network, as `mbanalyze.count` takes it, or its report; the paper's experiments by default.
        inputs: the inputs of its forward pass, as for `count`.
        fused: merge batch norms and activations into the product before them, as `Report.fused` does.
        measure: time the experiments on this machine; needs torch.
        seconds: the time to spend on that.
        device: the name of the device in torch, such as "cpu" or "cuda".
        progress: a callback that receives the completed fraction, up to 1.
        options: hyper-parameters of the network, as for `count`.

    Raises:
        GuidelinesError: `measure` with a network, inputs and options without a network or with a report, `fused`
            without a network, or another counter's convention.
        DeviceError: torch cannot use the device.
        OptionError, InputError, ShapeError, SourceError, TraceError: the network cannot be counted.

    >>> f"{guidelines('mobilenet_v2').elementwise_share:.3f}"
    '0.297'
    """
    if (inputs or options) and (what is None or isinstance(what, Report)):
        raise GuidelinesError("inputs and options describe a network: give one that is not counted yet")
    check_flags(fused=fused)
    if what is not None:
        if measure:
            raise GuidelinesError("measure times the paper's experiments: leave the network out")
        report = what if isinstance(what, Report) else count(what, *inputs, **options)
        if report.other_convention:
            raise GuidelinesError("the guidelines count macs as mbanalyze does: leave convention out")
        return analyse(report.fused() if fused else report)
    if fused:
        raise GuidelinesError("fused merges the operators of a network: give one")
    if not measure:
        return Experiments()
    from mbanalyze.memory_access.timed_experiments import time_experiments

    return Experiments(timings=time_experiments(seconds, device, progress))


def analyse(report: Report) -> Guidelines:
    """Apply the guidelines to a report, its convolutions and its blocks."""
    convolutions = [convolution_analysis(row) for row in report.rows if row.op.kind == "conv"]
    return Guidelines(report, tuple(convolutions), tuple(_blocks(report)))


def _operator_class(row: Row) -> str:
    """The class of an operator in G4."""
    if row.op.kind in ELEMENTWISE:
        return "element-wise"
    if row.op.kind == "conv":
        return f"{row.op.variant} convolution"
    return row.op.kind.replace("_", " ")


def _blocks(report: Report) -> Iterator[BlockAnalysis]:
    depends = dependencies(report.rows)
    for rows in segments(report.rows):
        fragments = [row for row in rows if row.op.kind in FRAGMENTS]
        yield BlockAnalysis(
            common_prefix([block(row.op.path) for row in rows]),
            len(fragments),
            branches([depends[id(row)] for row in fragments]),
            sum(row.cost.memory_access for row in rows),
            sum(row.cost.memory_access for row in rows if row.op.kind in ELEMENTWISE),
        )
