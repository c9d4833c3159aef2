"""Small modules cost what the tests of other counters expect, or differ by a convention that has a name."""

from __future__ import annotations

import pytest
from peer_cases import CASES, CONVENTIONS, Case
from torch import nn

from mbanalyze import Report, count
from mbanalyze.ops.cost import Cost, total


def measured(report: Report, measure: str) -> int:
    """Return a total of a report, or of a module: "macs", "products", or "layer1.conv macs"."""
    *path, name = measure.split()
    rows = [row.cost for row in report.rows if path in ([], [row.op.path])]
    costs: Cost = total(rows)
    if name == "products":
        assert costs.macs is not None
        return 2 * costs.macs
    number: int = getattr(costs, name)
    return number


def ours(case: Case) -> tuple[nn.Module, Report]:
    """Return the module of a case and its report."""
    module = case.build()
    return module, count(module, *case.inputs, **case.options)


def marked(case: Case) -> object:
    """The case as a parameter of a test; it is expected to fail if ours has a fault."""
    marks = [pytest.mark.xfail(strict=True, reason=case.fault)] if case.fault else []
    return pytest.param(case, marks=marks, id=f"{case.peer}: {case.name}: {case.measure}")


@pytest.mark.filterwarnings("ignore")  # of TorchScript, which is deprecated
@pytest.mark.parametrize("case", list(map(marked, CASES)))
def test_peer(case: Case) -> None:
    """The other counter's number is ours plus what its conventions add."""
    module, report = ours(case)

    added = sum(CONVENTIONS[name](module, report) for name in case.conventions)
    assert case.expected == measured(report, case.measure) + added


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_each_convention_makes_a_difference(convention: str) -> None:
    """Each convention changes a number of some case."""
    cases = [case for case in CASES if convention in case.conventions and not case.fault]

    assert any(CONVENTIONS[convention](*ours(case)) != 0 for case in cases)


def test_residual_networks() -> None:
    """Torch's tests expect the products of ResNet-18, and torchinfo's the parameters of both networks.

    Forward and backward take 10,884,440,064 flops, a third each for outputs, inputs and weights.
    """
    small, large = count("resnet18"), count("resnet50")
    first_stage = sum(2 * (row.cost.macs or 0) for row in small.rows if row.op.path.startswith("layer1"))
    products, params = (measured(small, "products"), first_stage), (small.totals.params, large.totals.params)

    assert products == (10884440064 // 3, 924844032)
    assert params == (11689512, 25557032)
