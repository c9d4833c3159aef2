"""Conventions of published numbers give the numbers that torchvision, timm and papers publish."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from witness import timm, torchvision

from mbanalyze.conventions.convention import Record
from mbanalyze.conventions.known import CONVENTIONS
from mbanalyze.literature.errata import spec_of
from mbanalyze.literature.interpretations import rounding_of
from mbanalyze.literature.verdicts import published
from mbanalyze.sources.resolve import resolve


class EveryKind(nn.Module):
    """A convolution, a linear layer, attention, two ways to multiply matrices, and an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.linear, self.lstm = nn.Linear(4, 4), nn.LSTM(4, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Run each on 10 tokens of 4 channels."""
        tokens = self.norm(self.conv(x)).relu().flatten(2).transpose(1, 2)
        tokens = self.linear(tokens)
        attended = functional.scaled_dot_product_attention(tokens, tokens, tokens)
        pairs = tokens @ tokens.transpose(1, 2)
        return attended, pairs, torch.einsum("bic,bjc->bij", tokens, tokens), self.lstm(tokens)[0]


# 1x1 of 3 channels and a linear layer of 4, each with 4 x 10 outputs
PAPER = 40 * 3 + 40 * 4
# attention multiplies two matrices of 10 x 10 x 4; the product and the einsum one each
OTHERS = 2 * 400 + 400 + 400


@pytest.mark.parametrize(("name", "expected"), [("paper", PAPER), ("torchvision", PAPER + OTHERS)])
def test_the_kinds_that_publications_count(name: str, expected: int) -> None:
    """Papers count convolutions and linear layers, torchvision products and attention too; neither counts an LSTM."""
    report = resolve(EveryKind(), (1, 3, 2, 5)).report()

    assert CONVENTIONS[name].total(report.record) == expected
    # an LSTM of 10 steps has four gates, each with 4 x 4 weights for the input and for the state
    assert sum(report.record.macs) == PAPER + OTHERS + 10 * 4 * (4 * 4 + 4 * 4)


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", "regnet_y_400mf", "vit_b_16", "maxvit_t", "swin_t", "r3d_18"]
)
def test_torchvisions_published_operations(name: str) -> None:
    """The convention gives the published number to its last digit, for networks of every kind that it counts."""
    weights = torchvision().models.get_model_weights(name).DEFAULT
    record = resolve(f"torchvision:{name}").report().record

    assert weights.meta["_ops"] == round(CONVENTIONS["torchvision"].total(record) / 1e9, 3)


# models with few layers, rows of timm's results/benchmark-infer-amp-nchw-pt291-cu128-4090.csv
TIMM = [
    # our multiply-accumulates are 0.30: batch norm has 13 million flops
    ("mobilenetv2_100", 224, "0.31"),
    # attention has 0.18, layer norm 0.005
    ("vit_tiny_patch16_224", 224, "1.26"),
    # batch norm of the filters has 0.02
    ("nf_regnet_b0", 192, "0.37"),
    # its LSTMs have 3.4, which are not counted
    ("sequencer2d_s", 224, "4.96"),
    # convolutions with padding='same' are not counted
    ("convmixer_1024_20_ks9_p14", 224, "5.55"),
    # its branches and batch norms are merged into convolutions first, as those of the next are
    ("repvgg_a0", 224, "1.36"),
    ("levit_128s", 224, "0.3"),
]


@pytest.mark.parametrize(("name", "side", "expected"), TIMM)
def test_timms_published_results(name: str, side: int, expected: str) -> None:
    """The convention gives the published number, with the batch norms and branches that timm merges first."""
    merged = timm().utils.reparameterize_model(resolve(f"timm:{name}").module)
    record = resolve(merged, (1, 3, side, side)).report(calls=True).record

    assert float(expected) == round(CONVENTIONS["timm"].total(record) / 1e9, 2)


def test_the_rows_of_timms_table() -> None:
    """The convention gives 60 rows for mobile sizes, of 26 families, to their last digit.

    They are rows of timm's results/benchmark-infer-amp-nchw-pt291-cu128-4090.csv, at commit aa4b5850.
    """
    counted, package = {}, timm()
    with (Path(__file__).parent / "data" / "timm_gmacs.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["model"], int(row["side"]), float(row["gmacs"])) for row in csv.DictReader(file)]
    for name, side, _ in rows:
        with torch.device("meta"):
            module = package.utils.reparameterize_model(package.create_model(name).eval())
        record = resolve(module, (1, 3, side, side)).report(calls=True).record
        counted[name, side] = round(CONVENTIONS["timm"].total(record) / 1e9, 2)

    assert len(rows) == 60
    assert {(name, side): gmacs for name, side, gmacs in rows} == counted


def test_timm_and_fvcore_differ_by_attention() -> None:
    """Timm's results count the products of attention, for which fvcore has no rule."""
    record = resolve(EveryKind(), (1, 3, 2, 5)).report(calls=True).record

    # attention multiplies two matrices of 10 x 10 x 4
    assert CONVENTIONS["timm"].total(record) - CONVENTIONS["fvcore"].total(record) == 2 * 400


def test_the_figures_of_papers() -> None:
    """The convention of papers gives every printed figure whose verdict is `exact`, in closed form."""
    exact = [v for v in published() if v.category == "exact" and v.figure.quantity == "macs"]

    assert len(exact) > 150
    for verdict in exact:
        counted = CONVENTIONS["paper"].total(Record(tuple(spec_of(verdict.figure).ops())))
        assert verdict.figure.matches(counted, rounding_of(verdict.figure)), verdict
