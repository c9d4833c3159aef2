"""ShuffleNet V2's guidelines and the experiments behind them."""

from __future__ import annotations

import itertools
from math import isclose
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbanalyze import count, layers
from mbanalyze.archs import ARCHS
from mbanalyze.archs.builder import Builder
from mbanalyze.clock.machine import DeviceError
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.memory_access.analysis import (
    ConvolutionAnalysis,
    GuidelinesError,
    convolution_analysis,
    guidelines,
)
from mbanalyze.memory_access.branches import branches
from mbanalyze.memory_access.experiments import (
    BLOCKS_PER_NETWORK,
    TITLES,
    Experiments,
    Timings,
    series,
    trials,
)
from mbanalyze.memory_access.timed_experiments import trial_network
from mbanalyze.ops.registry import cost
from mbanalyze.report.rows import Row


def analysed(size: int, c1: int, c2: int, kernel: int = 1, **settings: Any) -> ConvolutionAnalysis:
    """Return the analysis of one convolution."""
    builder = Builder()
    builder.conv(builder.input(1, c1, size, size), c2, kernel, padding=kernel // 2, **settings)
    return convolution_analysis(Row(builder.ops[0], cost(builder.ops[0])))


def test_equal_channels_meet_the_bound() -> None:
    """The paper's first row accesses its lower bound, 2 x 56 x 56 x 128 + 128 x 128 elements."""
    analysis = analysed(56, 128, 128)

    assert analysis.memory_access == 2 * 56 * 56 * 128 + 128 * 128 == 819_200
    assert analysis.bound == 819_200
    assert (analysis.imbalance, analysis.grouping, analysis.bias, analysis.excess) == (0, 0, 0, 0)


@given(st.integers(1, 64), st.integers(1, 300), st.integers(1, 300))
def test_the_bound_is_the_papers(size: int, c1: int, c2: int) -> None:
    """The lower bound of a 1x1 convolution is that of Equation 1: 2 sqrt(hwB) + B / hw."""
    analysis = analysed(size, c1, c2)

    assert isclose(layers.memory_access_bound(size, analysis.macs), analysis.bound, rel_tol=1e-12)


@given(
    st.integers(3, 30), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3]), st.integers(1, 8),
    st.integers(1, 2), st.booleans(),
)  # fmt: skip
def test_the_parts_sum_to_memory_access(
    size: int, a: int, b: int, kernel: int, groups: int, stride: int, bias: bool
) -> None:
    """Bound, imbalance, grouping and bias add up to memory access, and none is negative."""
    analysis = analysed(size, a * groups, b * groups, kernel, groups=groups, stride=stride, bias=bias)
    parts = analysis.bound + analysis.imbalance + analysis.grouping + analysis.bias

    assert isclose(analysis.memory_access, parts, rel_tol=1e-12)
    assert min(analysis.imbalance, analysis.grouping) >= 0
    assert analysis.bias == b * groups * bias


@given(st.integers(2, 30), st.integers(1, 400))
def test_no_other_channels_do_better(size: int, product: int) -> None:
    """G1: no 1x1 convolution with the same work accesses less than the bound."""
    pairs = [(c, product // c) for c in range(1, product + 1) if product % c == 0]
    analysis = [analysed(size, *pair) for pair in pairs]

    assert len({c.macs for c in analysis}) == 1
    assert min(c.memory_access for c in analysis) >= analysis[0].bound * (1 - 1e-12)


def test_depthwise_convolutions_pay_for_their_groups() -> None:
    """G2: the c groups cause all of the 2hwc + 9c elements except 2hw sqrt(c) + 9c."""
    analysis = analysed(14, 64, 64, 3, groups=64)

    assert analysis.memory_access == 2 * 14 * 14 * 64 + 9 * 64
    assert analysis.grouping == 2 * 14 * 14 * 64 * (1 - 1 / 8)
    assert analysis.imbalance == 0


def test_a_convolution_traced_without_a_batch() -> None:
    """An input without a batch has the same channels."""
    from torch import nn

    (analysis,) = guidelines(count(nn.Conv2d(8, 16, 1, bias=False), (8, 5, 5))).convolutions

    assert analysis.channels == (8, 16)
    assert isclose(analysis.bound + analysis.imbalance, analysis.memory_access)


def largest_antichain(before: list[set[int]]) -> int:
    """Return the size of the largest set whose members do not depend on each other, by trying all sets."""
    for size in range(len(before), 0, -1):
        for chosen in itertools.combinations(range(len(before)), size):
            if not any(a in before[b] for a in chosen for b in chosen):
                return size
    return 0


@given(st.lists(st.sets(st.integers(0, 6)), max_size=7))
def test_branches_are_the_largest_set_of_independent_operators(parents: list[set[int]]) -> None:
    """G3: the number of branches equals that of an exhaustive search."""
    before: list[set[int]] = []
    for i, direct in enumerate(parents):
        earlier = {parent for parent in direct if parent < i}
        before.append(earlier.union(*(before[parent] for parent in earlier)))
    bits = [(1 << i, sum(1 << j for j in some)) for i, some in enumerate(before)]

    assert largest_antichain(before) == branches(bits)


@pytest.mark.parametrize(
    ("name", "block", "fragments", "parallel"),
    [
        ("mobilenet_v2", "features.3", 3, 1),
        ("shufflenet_v2", "stage2.0", 5, 2),
        ("shufflenet_v2", "stage2.1", 3, 1),
        ("squeezenet1_0", "features.3", 3, 2),
        ("resnet50", "layer1.0", 4, 2),
        # four branches of 1, 2, 2 and 2 (the pooling is one)
        ("googlenet", "inception3a", 7, 4),
        # the two branches that end in 1x3 beside 3x1 are four, the others two more
        ("inception_v3", "Mixed_7b", 10, 6),
        # pooling, reduction and expansion of squeeze-and-excitation
        ("mobilenet_v3_large", "features.4", 6, 1),
    ],
)
def test_fragments_and_branches_of_known_blocks(name: str, block: str, fragments: int, parallel: int) -> None:
    """G3: fragments and branches are those in the figures of the papers."""
    (found,) = (b for b in guidelines(name).blocks if b.path == block)

    assert (fragments, parallel) == (found.fragments, found.branches)


@pytest.mark.parametrize("name", ARCHS)
def test_parts_add_up(name: str) -> None:
    """The memory access of all blocks, and of all classes of operators, is that of the report."""
    report = count(name)
    analysis = guidelines(report)

    assert sum(b.memory_access for b in analysis.blocks) == report.totals.memory_access
    assert sum(analysis.shares.values()) == report.totals.memory_access
    assert len(analysis.convolutions) == len(report.only("conv").rows)
    assert sum(b.elementwise for b in analysis.blocks) == analysis.shares.get("element-wise", 0)


def test_a_live_value_does_not_join_blocks() -> None:
    """Blocks that share an input, or whose outputs are read much later, stay separate."""
    import torch
    from torch import nn

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared = nn.Conv2d(4, 4, 1)
            self.blocks = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(3))
            self.decoder = nn.Conv2d(8, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            shared = self.shared(x)
            first = y = self.blocks[0](x) * shared
            for block in self.blocks[1:]:
                y = block(y) * shared
            joined: torch.Tensor = self.decoder(torch.cat([first, y], 1))
            return joined

    analysis = guidelines(count(Scaled(), (1, 4, 8, 8)))
    paths = [b.path for b in analysis.blocks if b.fragments]

    assert paths == ["shared", "blocks.0", "blocks.1", "blocks.2", "decoder"]
    assert {b.branches for b in analysis.blocks if b.fragments} == {1}


def test_a_block_of_a_thousand_fragments() -> None:
    """Two long chains have two branches; the search does not recurse."""
    bits = [(1 << i, sum(1 << j for j in range(i - 2, -1, -2))) for i in range(1200)]

    assert branches(bits) == 2


def test_a_model_without_convolutions() -> None:
    """A model without convolutions has an empty analysis, in every format."""
    from torch import nn

    analysis = guidelines(count(nn.Linear(3, 2), (1, 3)))

    assert (analysis.convolutions, analysis.fragmentation, analysis.elementwise_share) == ((), 1.0, 0.0)
    assert analysis.as_dict()["g3"] == {"fragmentation": 1.0, "most_branches": 0}
    assert analysis.to("csv").startswith("path,variant,channels,")
    assert "none" in analysis.to("table")


# macs and memory access of one layer of the constant-FLOPs series, from the paper's formulas:
# hw c1 c2 / g and hw (c1 + c2) + c1 c2 / g at 56 x 56
@pytest.mark.parametrize(
    ("guideline", "setting", "platform", "scale", "macs", "memory_access"),
    [
        ("G1", "1:1", "GPU", 1, 51_380_224, 819_200),
        ("G1", "1:2", "ARM", 1, 3_035_648, 207_944),
        ("G1", "1:12", "GPU", 4, 780_337_152, 6_119_424),
        ("G2", "g=1", "ARM", 2, 51_380_224, 819_200),
        ("G2", "g=4", "GPU", 1, 51_380_224, 1_622_016),
        ("G2", "g=8", "ARM", 1, 12_700_800, 1_133_010),
    ],
)
def test_series_of_constant_work(
    guideline: str, setting: str, platform: str, scale: int, macs: int, memory_access: int
) -> None:
    """The blocks of Tables 1 and 2 have the costs of the paper's formulas."""
    (trial,) = (trial for trial in series(guideline, platform, scale) if trial.setting == setting)
    convolutions = 2 if guideline == "G1" else 1
    cost = trial.block_cost

    assert (convolutions * macs, convolutions * memory_access) == (cost.macs, cost.memory_access)


def test_multiply_accumulates_are_not_quite_constant() -> None:
    """They fall by up to 5.5 % in Table 1, and by 1.1 % in Table 2 for 2 and 8 groups."""
    changes = {
        (r["guideline"], r["setting"], r["platform"]): f"{100 * r['macs_change']:.1f}"
        for r in guidelines().records()
        if r["scale"] == 1 and r["guideline"] in ("G1", "G2")
    }

    assert changes == {
        ("G1", "1:1", "GPU"): "0.0", ("G1", "1:1", "ARM"): "0.0",
        ("G1", "1:2", "GPU"): "-1.1", ("G1", "1:2", "ARM"): "-5.5",
        ("G1", "1:6", "GPU"): "-1.0", ("G1", "1:6", "ARM"): "-1.0",
        ("G1", "1:12", "GPU"): "-5.1", ("G1", "1:12", "ARM"): "-5.1",
        ("G2", "g=1", "GPU"): "0.0", ("G2", "g=1", "ARM"): "0.0",
        ("G2", "g=2", "GPU"): "-1.1", ("G2", "g=2", "ARM"): "-1.1",
        ("G2", "g=4", "GPU"): "0.0", ("G2", "g=4", "ARM"): "0.0",
        ("G2", "g=8", "GPU"): "-1.1", ("G2", "g=8", "ARM"): "-1.1",
    }  # fmt: skip


def test_one_printed_width_cannot_be_built() -> None:
    """8 groups do not divide 180 channels."""
    assert {(t.setting, t.platform, t.channels) for t in trials() if not t.buildable} == {
        ("g=8", "ARM", (180, 180))
    }


@pytest.mark.parametrize("guideline", TITLES)
@pytest.mark.parametrize("platform", ["GPU", "ARM"])
def test_timed_modules_have_the_counted_costs(guideline: str, platform: str) -> None:
    """The trace of a timed module has ten times the cost of the block in closed form."""
    buildable = [trial for trial in series(guideline, platform, 1) if trial.buildable]

    assert buildable
    for trial in buildable:
        module, image = trial_network(trial)
        traced = count(module, image).totals
        assert BLOCKS_PER_NETWORK * (trial.block_cost.macs or 0) == traced.macs
        assert BLOCKS_PER_NETWORK * trial.block_cost.memory_access == traced.memory_access


def test_timings_are_displayed_with_the_paper_speeds() -> None:
    """Timed experiments have a column of measured speeds, a note about the device, and the numbers in JSON."""
    settings = [(g, trial.setting) for g in TITLES for trial in series(g, "GPU", 1)]
    timings = Timings({key: 1.0 + i for i, key in enumerate(settings)}, 7, "an abacus")
    timed = Experiments(timings=timings)
    text, document = timed.to("markdown"), timed.as_dict()

    assert "measured here" in text
    assert "Measured on an abacus: medians of 7 rounds." in text
    assert len(document["records"]) == 102
    assert document["measured"]["settings"][1] == {
        "guideline": "G1", "setting": "1:2", "seconds": 2.0, "relative_speed": 0.5,
    }  # fmt: skip


def test_records_have_parts() -> None:
    """Guidelines have records of convolutions and of blocks, in CSV those of convolutions."""
    analysis = guidelines("mobilenet_v1")

    assert len(analysis.convolutions) == len(analysis.records()) == len(analysis.frame())
    assert len(analysis.blocks) == len(analysis.frame("blocks"))
    assert len(analysis.convolutions) + 1 == len(analysis.to("csv").splitlines())
    with pytest.raises(ChoiceError, match="unknown part 'layers': choose one of convolutions, blocks"):
        analysis.records("layers")


def test_an_unknown_experiment() -> None:
    """An unknown guideline raises ChoiceError and lists the known ones."""
    with pytest.raises(ChoiceError, match="unknown guideline 'G5': choose one of G1, G2, G3, G4"):
        Experiments(("G5",))


def test_contradictory_arguments() -> None:
    """Arguments that belong to another kind of result raise GuidelinesError."""
    report = count("vgg16")
    with pytest.raises(GuidelinesError, match="leave the network out"):
        guidelines("vgg16", measure=True)
    with pytest.raises(GuidelinesError, match="inputs and options describe a network"):
        guidelines(alpha=0.5)  # type: ignore[call-overload]
    with pytest.raises(GuidelinesError, match="inputs and options describe a network"):
        guidelines(report, (1, 3, 8, 8))


def test_an_unknown_device() -> None:
    """A device that torch does not have raises DeviceError with its name."""
    with pytest.raises(DeviceError, match=r"cannot measure on 'nowhere': give cpu or cuda"):
        guidelines(measure=True, seconds=0, device="nowhere")
