"""ShuffleNet V2's guidelines, and the experiments behind them."""

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
from mbanalyze.memory_access.analysis import Convolution, _width, convolution, guidelines
from mbanalyze.memory_access.experiments import BLOCKS, TITLES, Run, records, runs, series
from mbanalyze.memory_access.timing import Measured, MeasureError, measure, network
from mbanalyze.memory_access.view import experiments, experiments_markdown
from mbanalyze.ops.registry import cost
from mbanalyze.report.rows import Row


def judge(size: int, c1: int, c2: int, kernel: int = 1, **settings: Any) -> Convolution:
    """What the guidelines say of one convolution."""
    builder = Builder()
    builder.conv(builder.input(1, c1, size, size), c2, kernel, padding=kernel // 2, **settings)
    return convolution(Row(builder.ops[0], cost(builder.ops[0])))


def test_equal_channels_meet_the_bound() -> None:
    """The paper's first row: 2 x 56 x 56 x 128 + 128 x 128 elements, as few as its work allows."""
    judged = judge(56, 128, 128)

    assert judged.memory_access == 2 * 56 * 56 * 128 + 128 * 128 == 819_200
    assert judged.bound == 819_200
    assert (judged.imbalance, judged.grouping, judged.bias, judged.excess) == (0, 0, 0, 0)


@given(st.integers(1, 64), st.integers(1, 300), st.integers(1, 300))
def test_the_bound_is_the_papers(size: int, c1: int, c2: int) -> None:
    """Equation 1 for 1x1 convolutions: 2 sqrt(hwB) + B / hw."""
    judged = judge(size, c1, c2)

    assert isclose(layers.memory_access_bound(size, judged.macs), judged.bound, rel_tol=1e-12)


@given(
    st.integers(3, 30), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3]), st.integers(1, 8),
    st.integers(1, 2), st.booleans(),
)  # fmt: skip
def test_the_parts_sum_to_memory_access(
    size: int, a: int, b: int, kernel: int, groups: int, stride: int, bias: bool
) -> None:
    """Bound, imbalance, groups and bias are all there is; nothing accesses less than its bound."""
    judged = judge(size, a * groups, b * groups, kernel, groups=groups, stride=stride, bias=bias)
    parts = judged.bound + judged.imbalance + judged.grouping + judged.bias

    assert isclose(judged.memory_access, parts, rel_tol=1e-12)
    assert min(judged.imbalance, judged.grouping) >= 0
    assert judged.bias == b * groups * bias


@given(st.integers(2, 30), st.integers(1, 400))
def test_no_other_channels_do_better(size: int, product: int) -> None:
    """G1: of all 1x1 convolutions with the same work, none accesses less than the bound."""
    pairs = [(c, product // c) for c in range(1, product + 1) if product % c == 0]
    judged = [judge(size, *pair) for pair in pairs]

    assert len({c.macs for c in judged}) == 1
    assert min(c.memory_access for c in judged) >= judged[0].bound * (1 - 1e-12)


def test_depthwise_convolutions_pay_for_their_groups() -> None:
    """G2: of 2hwc + 9c elements, all but 2hw sqrt(c) + 9c are the price of c groups."""
    judged = judge(14, 64, 64, 3, groups=64)

    assert judged.memory_access == 2 * 14 * 14 * 64 + 9 * 64
    assert judged.grouping == 2 * 14 * 14 * 64 * (1 - 1 / 8)
    assert judged.imbalance == 0


def test_a_convolution_traced_without_a_batch() -> None:
    """Channels are found from the back."""
    from torch import nn

    (judged,) = guidelines(count(nn.Conv2d(8, 16, 1, bias=False), (8, 5, 5))).convolutions

    assert judged.channels == (8, 16)
    assert isclose(judged.bound + judged.imbalance, judged.memory_access)


def widest(waits: list[set[int]]) -> int:
    """The largest set of which none waits for another, by trying all sets."""
    everything = range(len(waits))
    for size in range(len(waits), 0, -1):
        for chosen in itertools.combinations(everything, size):
            if not any(a in waits[b] for a in chosen for b in chosen):
                return size
    return 0


@given(st.lists(st.sets(st.integers(0, 6)), max_size=7))
def test_branches_are_the_largest_set_that_runs_side_by_side(parents: list[set[int]]) -> None:
    """G3, against all sets of fragments."""
    waits: list[set[int]] = []
    for i, direct in enumerate(parents):
        before = {parent for parent in direct if parent < i}
        waits.append(before.union(*(waits[parent] for parent in before)))
    bits = [(1 << i, sum(1 << j for j in some)) for i, some in enumerate(waits)]

    assert widest(waits) == _width(bits)


@pytest.mark.parametrize(
    ("name", "block", "fragments", "branches"),
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
def test_fragments_and_branches_of_known_blocks(name: str, block: str, fragments: int, branches: int) -> None:
    """G3, from the papers' drawings."""
    (found,) = (b for b in guidelines(count(name)).blocks if b.path == block)

    assert (fragments, branches) == (found.fragments, found.branches)


@pytest.mark.parametrize("name", ARCHS)
def test_everything_is_somewhere(name: str) -> None:
    """Blocks and classes of operators each hold all memory access; blocks all fragments."""
    report = count(name)
    judged = guidelines(report)

    assert sum(b.memory_access for b in judged.blocks) == report.totals.memory_access
    assert sum(judged.shares.values()) == report.totals.memory_access
    assert len(judged.convolutions) == len(report.only("conv").rows)
    assert sum(b.elementwise for b in judged.blocks) == judged.shares.get("element-wise", 0)


def test_a_value_that_stays_alive_does_not_join_blocks() -> None:
    """Blocks that are scaled by a shared value, or whose outputs are read much later, stay apart."""
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

    judged = guidelines(count(Scaled(), (1, 4, 8, 8)))
    paths = [b.path for b in judged.blocks if b.fragments]

    assert paths == ["shared", "blocks.0", "blocks.1", "blocks.2", "decoder"]
    assert {b.branches for b in judged.blocks if b.fragments} == {1}


def test_a_block_of_a_thousand_fragments() -> None:
    """Two chains that cross have two branches, however long they are, and no recursion ends them."""
    bits = [(1 << i, sum(1 << j for j in range(i - 2, -1, -2))) for i in range(1200)]

    assert _width(bits) == 2


def test_a_model_without_convolutions() -> None:
    """Nothing to say is said without dividing by zero."""
    from torch import nn

    judged = guidelines(count(nn.Linear(3, 2), (1, 3)))

    assert (judged.convolutions, judged.fragmentation, judged.elementwise_share) == ((), 1.0, 0.0)
    assert judged.as_dict()["g3"] == {"fragmentation": 1.0, "most_branches": 0}


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
    """Tables 1 and 2."""
    (run,) = (run for run in series(guideline, platform, scale) if run.setting == setting)
    layers_ = 2 if guideline == "G1" else 1

    assert (layers_ * macs, layers_ * memory_access) == (run.block.macs, run.block.memory_access)


def test_where_constant_is_not() -> None:
    """Table 1 at 1:12 does 5.1 % less, on ARM at 1:2 5.5 %; Table 2 1.1 % for 2 and 8 groups."""
    changes = {
        (r["guideline"], r["setting"], r["platform"]): f"{100 * r['macs_change']:.1f}"
        for r in records()
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
    """180 channels do not go into 8 groups."""
    assert {(r.setting, r.platform, r.channels) for r in runs() if not r.buildable} == {
        ("g=8", "ARM", (180, 180))
    }


@pytest.mark.parametrize(
    "run",
    [run for run in runs() if run.scale == 1 and run.buildable],
    ids=lambda run: f"{run.guideline} {run.setting} {run.platform}",
)
def test_what_is_timed_is_what_is_counted(run: Run) -> None:
    """The module of an experiment, traced, does ten times the work of the block in closed form."""
    module, image = network(run)
    traced = count(module, image).totals

    assert BLOCKS * (run.block.macs or 0) == traced.macs
    assert BLOCKS * run.block.memory_access == traced.memory_access


def test_a_measurement_beside_the_papers() -> None:
    """A column more, a line on where it was taken, and the same numbers in JSON."""
    settings = [(g, run.setting) for g in TITLES for run in series(g, "GPU", 1)]
    measured = Measured({key: 1.0 + i for i, key in enumerate(settings)}, 7, "an abacus")
    text, document = experiments_markdown(measured), experiments(measured)

    assert "measured here" in text
    assert "Measured on an abacus: medians of 7 rounds." in text
    assert len(document["records"]) == 102
    assert document["measured"]["settings"][1] == {
        "guideline": "G1", "setting": "1:2", "seconds": 2.0, "relative_speed": 0.5,
    }  # fmt: skip


def test_a_device_that_is_not_there() -> None:
    """One line says which."""
    with pytest.raises(MeasureError, match="cannot measure on 'nowhere'"):
        measure(0, "nowhere")
