"""The option `stages`: the paper's table, random stages in closed form and by trace, and malformed texts."""

from __future__ import annotations

from typing import Any

import pytest
import stage_texts
import torch
from commandline import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from witness import variants

from mbanalyze import ablate, count
from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import OptionError
from mbanalyze.archs.stage_text import parse_stages, spell_stages
from mbanalyze.models import build
from mbanalyze.trace.tracer import trace

NAMES = list(stage_texts.PAPERS)
V2 = stage_texts.PAPERS["mobilenet_v2"]


@pytest.mark.parametrize("name", NAMES)
def test_the_papers_own_table_as_stages(name: str) -> None:
    """The paper's table as stages gives the operators of the network without stages, for every option."""
    for options in variants(name):
        spec = ARCHS[name](**options)
        staged = ARCHS[name](**{**options, "stages": stage_texts.PAPERS[name]})
        assert staged.ops() == spec.ops(), options


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(data=st.data())
def test_random_stages_are_equal_in_closed_form_and_by_trace(name: str, data: st.DataObject) -> None:
    """Random stages have equal operators, params and peaks in closed form and by trace, at random widths."""
    stages = data.draw(stage_texts.texts(stage_texts.number(name)))
    options: dict[str, Any] = {"alpha": data.draw(st.sampled_from([0.25, 0.5, 1.0, 1.4])), "stages": stages}
    if "minimalistic" in {each.name for each in ARCHS[name].__dataclass_fields__.values()}:
        options |= data.draw(
            st.sampled_from([{}, {"minimalistic": True}, {"width_rule": "paper"}, {"tail": "original"}])
        )
    else:
        options |= data.draw(st.sampled_from([{}, {"head": 320}, {"round_nearest": 4}]))
    options |= {"resolution": 64, "num_classes": 10}
    spec = ARCHS[name](**options)
    with torch.device("meta"):
        model = build(spec)

    assert list(trace(model, torch.empty(1, 3, 64, 64, device="meta")).ops) == spec.ops()
    closed, traced = (count(spec, trace=way, dtype="int8") for way in (False, True))
    assert closed.totals == traced.totals
    assert closed.totals.params == sum(weight.numel() for weight in model.parameters())
    assert [closed.peak_bytes(account) for account in ("ideal", "deployed")] == [
        traced.peak_bytes(account) for account in ("ideal", "deployed")
    ]


def test_a_block_of_a_stage_by_hand() -> None:
    """The second block of a stage of 5x5 kernels has these macs, by hand."""
    stages = V2.replace("k3e6d2c24", "k5e3d2c24")
    rows = count("mobilenet_v2", resolution=32, stages=stages).by("block")
    # at 8 x 8: 24 x 72 pointwise, 72 x 25 depthwise, 72 x 24 pointwise
    assert {row.key: row.cost.macs for row in rows}["features.3"] == 64 * (24 * 72 + 72 * 25 + 72 * 24)


@pytest.mark.parametrize(
    ("stages", "problem"),
    [
        ("k3e6d2c24", "stages has 1 stages, and the network has 7"),
        (V2.replace("d2", "d0"), "stage 2 of stages is 'k3e6d0c24': the depth must be from 1 to 100"),
        (V2.replace("k3e6d4", "k4e6d4"), "stage 4 of stages is 'k4e6d4c64': a kernel must be odd"),
        (V2.replace("e6d4", "e0d4"), "stage 4 of stages is 'k3e0d4c64': an expansion must be above 0"),
        (V2.replace("c16-", "c0-"), "stage 1 of stages is 'k3e1d1c0': the channels must be from 1"),
        (V2.replace("e6d4", "e6+3d4"), "give one number, or one for each of 4 blocks"),
        (
            V2.replace("k3e6d4", "e6d4"),
            "stage 4 of stages is 'e6d4c64': write kernel, expansion, depth, channels",
        ),
        (V2.replace("k3e6d4", "k3.5e6d4"), "a kernel must be odd"),
        (V2 + "-", "stage 8 of stages is ''"),
        (7, "stages must be text, not 7"),
    ],
)
def test_malformed_stages(stages: object, problem: str, run: Run) -> None:
    """A malformed text is one line that names the stage and the rule."""
    with pytest.raises(OptionError) as raised:
        count("mobilenet_v2", stages=stages)
    assert problem in str(raised.value)

    failed = run("report", "mobilenet_v2", "--set", f"stages={stages}")
    assert (failed.code, failed.err.count("\n"), failed.out) == (2, 1, "")


@pytest.mark.parametrize("name", NAMES)
def test_default_stages_are_not_shown(name: str) -> None:
    """Reports spell `stages` only if it is given."""
    stages = stage_texts.PAPERS[name]

    assert "stages" not in count(name).options
    assert count(name, stages=stages).options["stages"] == stages
    assert count(name, stages=stages).reference == f"{name}@stages={stages}"
    assert count(f"{name}@stages={stages},alpha=0.5").totals == count(name, alpha=0.5).totals


def test_stages_are_an_option_of_a_grid() -> None:
    """A grid of stages, widths and resolutions has the counts of each variant alone."""
    other = V2.replace("k3e6d4", "k7e4d1")
    grid = ablate("mobilenet_v2", stages=["", other], alpha=[0.25, 0.5, 1.0], resolution=[64, 96, 128, 160])

    assert len(grid) == 24
    for row in grid.records():
        options = {name: row[name] for name in ("stages", "alpha", "resolution")}
        alone = count("mobilenet_v2", **options)
        expected = (alone.totals.macs, alone.totals.params, alone.peak_bytes("deployed"))
        assert (row["macs"], row["params"], row["peak_bytes_deployed"]) == expected, options


@given(stage_texts.texts(5))
def test_stages_are_spelled_as_they_are_read(text: str) -> None:
    """A spelled list of stages is read as the same stages."""
    stages = parse_stages(text, 5)

    assert parse_stages(spell_stages(stages), 5) == stages


@pytest.mark.parametrize("text", ["k1000001e6d1c24", "k3e0.000001d1c8", "k3e4+3.666667d2c1000000"])
def test_spelled_stages_are_read_again(text: str) -> None:
    """Large and small numbers are spelled without an exponent."""
    assert spell_stages(parse_stages(text, 1)) == text
