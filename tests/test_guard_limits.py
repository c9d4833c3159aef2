"""Budgets and allowed growth of guarded models."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from commandline import Run
from guarded import BUDGETS, NET, POLICY, document_of, edit, layers_in, model_in, total_in

from mbanalyze import count
from mbanalyze.guard import load
from mbanalyze.guard.changes import CountChange, differences, over_budget, unknown_budgets
from mbanalyze.guard.limits import (
    GROWTH_METRICS,
    Budget,
    Growth,
    LimitError,
    parse_budget,
    parse_growth,
    parse_uniform_growth,
    with_bytes,
)
from mbanalyze.guard.measurement import LayerCost, Measurement
from mbanalyze.guard.policy import GuardedModel, Rules


def test_unused_params_are_counted(project: Path, run: Run) -> None:
    """Parameters that the forward pass never reads are counted and can have a budget."""
    edit(
        project / "net.py",
        ("        self.head = ", "        self.aux = nn.Linear(64, 64)\n        self.head = "),
    )
    said = document_of(run)

    assert (said["exit"], model_in(said)["verdict"]) == (1, "worse")
    assert total_in(said, "unused_params") == (0, 64 * 64 + 64)
    (project / "pyproject.toml").write_text(BUDGETS.format(budget='{ unused_params = "4 k" }'))
    assert run("guard", "update").code == 0
    assert model_in(document_of(run))["verdict"] == "over budget"


def test_bytes_can_have_their_own_rule(project: Path, run: Run) -> None:
    """A rule on bytes applies although elements may grow; a uniform amount is in elements."""
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    counts = ("params", "macs", "flops", "activations", "memory_access")
    off = ", ".join(f'{count} = {{ max = "0", level = "off" }}' for count in counts)
    (project / "pyproject.toml").write_text(
        POLICY.replace("source", f'max_increase = {{ {off}, memory_access_bytes = "0" }}\nsource')
    )
    assert layers_in(document_of(run), "worse") == {"head": {"memory_access_bytes"}}
    # 34 elements more: 33 params and an output, 136 bytes
    (project / "pyproject.toml").write_text(POLICY.replace("source", 'max_increase = "+65"\nsource'))
    assert document_of(run)["exit"] == 0
    (project / "pyproject.toml").write_text(POLICY.replace("source", 'max_increase = "+33"\nsource'))
    assert layers_in(document_of(run), "worse").keys() == {"head"}


def test_a_level_keeps_the_unit_of_inherited_limits(project: Path) -> None:
    """An amount for all counts stays in elements, also for bytes, if a model sets another level."""
    text = '[tool.mbanalyze]\nmax_increase = "+3"\n' + POLICY.replace("source", 'level = "warn"\nsource')
    (project / "pyproject.toml").write_text(text)
    growth = load(project / "pyproject.toml").models["small"].rules.growth

    # 3 elements of 4 bytes
    assert growth["memory_access_bytes"].allowed(100, 4) == 12
    assert {each.level for each in growth.values()} == {"warn"}


def test_a_shadowed_pattern_fails(project: Path, run: Run) -> None:
    """A pattern whose layers all match an earlier pattern fails."""
    rules = '[tool.mbanalyze.models.small.layers.{}]\nlevel = "warn"\n'
    (project / "pyproject.toml").write_text(POLICY + rules.format('"*"') + rules.format("head"))

    assert "no layer is left for 'head'" in model_in(document_of(run))["reason"]
    (project / "pyproject.toml").write_text(POLICY + rules.format("head") + rules.format('"*"'))
    assert document_of(run)["exit"] == 0


def test_a_budget_on_an_unknown_count_fails(project: Path, run: Run) -> None:
    """A budget on an unknown count exits with 2, also if allow_uncounted lists the operator."""
    (project / "net.py").write_text(
        "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return torch.special.bessel_j0(x)\nbuild = Net\n"
    )
    allowed = 'allow_uncounted = ["aten::special_bessel_j0"]\nbudget = { macs = "1 G" }\n'
    (project / "pyproject.toml").write_text(POLICY + allowed)
    said = document_of(run)

    assert (said["exit"], model_in(said)["verdict"]) == (2, "could not measure")
    assert "budget on an unknown count: macs" in model_in(said)["reason"]
    rules = '[tool.mbanalyze.models.small.layers."*"]\nbudget = {{ flops = {} }}\n'
    for budget, code in (('"1 G"', 2), ('{ max = "1 G", level = "off" }', 1)):
        (project / "pyproject.toml").write_text(
            POLICY + allowed.splitlines()[0] + "\n" + rules.format(budget)
        )
        said = document_of(run)
        assert (said["exit"], "budget on an unknown count: flops" in (model_in(said)["reason"] or "")) == (
            code,
            code == 2,
        )


def test_a_count_that_becomes_unknown_is_worse(project: Path, run: Run) -> None:
    """A count that becomes unknown, or that was unknown before, is worse."""
    # no engine is known to merge the operator into a convolution, so that the peak of a deployed network grows
    allowed = POLICY + (
        'allow_uncounted = ["aten::special_bessel_j0"]\nmax_increase = { peak_bytes_deployed = "70%" }\n'
    )
    (project / "pyproject.toml").write_text(allowed)
    edit(project / "net.py", ("functional.relu(self.filter(", "torch.special.bessel_j0(self.filter("))
    said = document_of(run)
    unknown = [
        c for c in model_in(said)["changes"] if c["kind"] != "total" and None in (c["before"], c["after"])
    ]

    assert (said["exit"], unknown) == (0, [])  # of each block a ReLU is left, whose flops are known
    edit(project / "net.py", ("functional.relu(self.expand(x))", "self.expand(x)"))
    said = document_of(run)
    unknown = [c for c in model_in(said)["changes"] if c["path"] == "blocks.0" and c["metric"] == "flops"]
    assert [(c["after"], c["verdict"]) for c in unknown] == [(None, "worse")]
    assert run("guard", "update").code == 0
    (project / "net.py").write_text(NET)
    unknown = [
        c for c in model_in(document_of(run))["changes"] if c["path"] == "blocks.0" and c["metric"] == "flops"
    ]
    assert [(c["before"], c["verdict"]) for c in unknown] == [(None, "worse")]


def test_percentages_are_rounded_down() -> None:
    """One per cent of 199 allows a growth of 1; an amount of elements is multiplied by their size for bytes."""
    assert [parse_uniform_growth("1%", "error")["macs"].allowed(n, 4) for n in (99, 100, 199, 200)] == [
        0,
        1,
        1,
        2,
    ]
    assert [
        parse_uniform_growth("+3", "error")[count].allowed(199, 4)
        for count in ("macs", "memory_access_bytes")
    ] == [
        3,
        12,
    ]
    assert parse_growth("memory_access_bytes", "+3", "error").allowed(199, 4) == 3


@pytest.mark.parametrize(
    ("budget", "code", "over"),
    [
        ('{ macs = "20 M", params = "20 k", memory_access_bytes = "12 MiB" }', 0, set()),
        ('{ macs = "1 M" }', 1, {"macs"}),
        ("{ params = 9000, flops = 1 }", 1, {"params", "flops"}),
        (
            '{ memory_access_bytes = "100 kB", params_bytes = "12 MB", activations = "1 M" }',
            1,
            {"memory_access_bytes"},
        ),
        ("{ arithmetic_intensity = 0.5 }", 1, {"arithmetic_intensity"}),
        ('{ reads = "1k", writes = "1k", memory_access = "1k" }', 1, {"reads", "writes", "memory_access"}),
        ('{ macs = { max = "1 M", level = "warn" } }', 0, {"macs"}),
        ('{ macs = { max = "1 M", level = "off" } }', 0, set()),
    ],
)
def test_budgets(budget: str, code: int, over: set[str], project: Path, run: Run) -> None:
    """A budget can limit any total of a report, with a unit and a level."""
    (project / "pyproject.toml").write_text(BUDGETS.format(budget=budget))
    said = document_of(run)

    assert said["exit"] == code
    assert {c["metric"] for c in model_in(said)["changes"] if c["verdict"] == "over budget"} == over
    assert model_in(said)["verdict"] == ("over budget" if over else "ok")
    if code:
        assert said["command"] == "mbanalyze guard explain small"


def test_a_budget_of_layers(project: Path, run: Run) -> None:
    """A budget applies to each layer that matches its pattern; a pattern without a layer fails."""
    rules = '[tool.mbanalyze.models.small.layers."blocks.*.filter"]\nbudget = { params = 600 }\n'
    (project / "pyproject.toml").write_text(POLICY + rules)

    # 9 x 4 x 16 = 576, 9 x 5 x 16 = 720, and 576 weights
    assert layers_in(document_of(run), "over budget") == {"blocks.1.filter": {"params"}}
    (project / "pyproject.toml").write_text(POLICY + rules.replace("filter", "filtered"))
    said = document_of(run)
    assert (said["exit"], model_in(said)["verdict"]) == (2, "could not measure")
    assert "no layer is left for 'blocks.*.filtered'" in model_in(said)["reason"]
    assert said["command"] is None


@pytest.mark.parametrize(
    "rule",
    [
        '[tool.mbanalyze.models.small.layers."no.such"]\nlevel = "warn"\n',
        '[tool.mbanalyze.models.small.layers.head]\nlevel = "warn"\n[tool.mbanalyze.models.small.layers."hea?"]\nlevel = "off"\n',
    ],
)  # fmt: skip
def test_a_pattern_without_a_layer_is_not_accepted(rule: str, project: Path, run: Run) -> None:
    """Neither an update nor a first run writes the lock if a rule has no effect."""
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    (project / "pyproject.toml").write_text(POLICY + rule)
    file = project / "mbanalyze.lock.json"
    before = file.read_text()
    for command in (["update"], ["update", "small"]):
        assert document_of(run, *command)["exit"] == 2
        assert file.read_text() == before
    file.unlink()
    for command in ([], ["update"]):
        assert document_of(run, *command)["exit"] == 2
        assert not file.exists()


@pytest.mark.parametrize(
    ("rule", "code", "verdict"),
    [
        ('max_increase = "0"', 1, "worse"),
        ('max_increase = "0.5%"', 1, "worse"),
        ('max_increase = "1%"', 0, "ok"),
        ('max_increase = "+2 M"', 0, "ok"),
        (
            'max_increase = { params = "+100", flops = "1 k", macs = "1k", activations = 9, memory_access = "1k" }',
            0,
            "ok",
        ),
        ('max_increase = { params = "+100" }', 1, "worse"),
        ('level = "warn"', 0, "worse"),
        ('level = "off"', 0, "ok"),
        ('max_increase = { max = "0", level = "warn" }', 0, "worse"),
    ],
)
@pytest.mark.parametrize(
    "where", ["[tool.mbanalyze]\n{rule}\n", "[tool.mbanalyze.models.small]\n{rule}\n", "both"]
)
def test_tolerated_growth(rule: str, code: int, verdict: str, where: str, project: Path, run: Run) -> None:
    """The project and the model can tolerate growth; the rule of the model takes precedence."""
    # 2 x 33 params of 8,810 are 0.7 %
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 12)"))
    heading = "[tool.mbanalyze.models.small]\n"
    text = POLICY if where.startswith("[tool.mbanalyze]") else POLICY.replace(heading, f"{heading}{rule}\n")
    top = {"both": '[tool.mbanalyze]\nmax_increase = "0"\nlevel = "error"\n'}.get(
        where, f"[tool.mbanalyze]\n{rule}\n" if where.startswith("[tool.mbanalyze]") else ""
    )
    (project / "pyproject.toml").write_text(top + text)
    said = document_of(run)

    assert (said["exit"], model_in(said)["verdict"]) == (code, verdict)


def test_tolerated_growth_of_layers(project: Path, run: Run) -> None:
    """Layers can have their own allowed growth; a percentage is relative to the whole model."""
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 12)"))
    rules = '[tool.mbanalyze.models.small.layers.head]\nmax_increase = "{}"\n'
    (project / "pyproject.toml").write_text(
        POLICY.replace("source", 'max_increase = "1%"\nsource') + rules.format("0")
    )
    assert layers_in(document_of(run), "worse").keys() == {"head"}
    (project / "pyproject.toml").write_text(POLICY + rules.format("50%"))
    said = document_of(run)
    assert not layers_in(said, "worse")
    assert {c["kind"] for c in model_in(said)["changes"] if c["verdict"] == "worse"} == {"total"}


def test_similar_counts_are_printed_in_full(project: Path, run: Run) -> None:
    """A budget that is exceeded by one is printed with all digits."""
    macs = count((project / "net.py:build").as_posix(), (1, 3, 64, 64)).totals.macs or 0
    (project / "pyproject.toml").write_text(BUDGETS.format(budget=f"{{ macs = {macs - 1} }}"))
    out = run("guard").out

    # 100 / 2,052,415 %
    assert f"macs {macs:,}, 1 (5e-05 %) over the budget of {macs - 1:,}" in out
    assert f"{macs - 1:,}" in run("guard", "--format", "markdown").out


def measured(bytes_: int, **counts: int) -> Measurement:
    """Return a measurement in float32 whose root module has some counts, and else zeros."""
    totals = dict.fromkeys(GROWTH_METRICS, 0) | counts | {"memory_access_bytes": bytes_}
    layer = LayerCost("", ("linear",), "1x2", totals)
    return Measurement("net.py:build", {}, "trace", ("1x2",), "float32", totals, (layer,))


def changes(before: Measurement, after: Measurement, **growth: str) -> list[tuple[str, int, str]]:
    """Return the metric, growth and verdict of each change of the whole model, with some allowed growths."""
    rules = Rules(
        {}, {metric: parse_growth(metric, growth.get(metric, "0"), "error") for metric in GROWTH_METRICS}
    )
    model = GuardedModel("small", "net.py:build", {}, ("1,2",), {}, rules)
    return [(c.metric, c.growth, c.verdict) for c in differences(model, before, after) if c.layer is None]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((40, 10), (52, 13), [("memory_access", 3, "worse")]),
        ((52, 13), (40, 10), [("memory_access", -3, "better")]),
        ((40, 10), (56, 13), [("memory_access", 3, "worse"), ("memory_access_bytes", 16, "worse")]),
        ((40, 10), (48, 13), [("memory_access", 3, "worse"), ("memory_access_bytes", 8, "worse")]),
        ((40, 10), (36, 13), [("memory_access", 3, "worse"), ("memory_access_bytes", -4, "better")]),
    ],
)
def test_bytes_that_change_as_the_elements_do_are_not_reported(
    before: tuple[int, int], after: tuple[int, int], expected: list[tuple[str, int, str]]
) -> None:
    """Bytes are reported unless they changed by four times the change of the elements."""
    old, new = (measured(bytes_, memory_access=elements) for bytes_, elements in (before, after))

    assert expected == changes(old, new)


def test_bytes_of_another_verdict_are_reported() -> None:
    """Bytes that grow too much are reported although the growth of the elements is allowed."""
    old, new = measured(40, memory_access=10), measured(52, memory_access=13)

    assert changes(old, new, memory_access="3") == [
        ("memory_access", 3, "ok"),
        ("memory_access_bytes", 12, "worse"),
    ]
    assert changes(old, new, memory_access_bytes="12") == [
        ("memory_access", 3, "worse"),
        ("memory_access_bytes", 12, "ok"),
    ]
    assert changes(old, new, memory_access="3", memory_access_bytes="12") == [("memory_access", 3, "ok")]


def test_the_limits_of_a_change() -> None:
    """A growth up to the limit is allowed; a change has the difference of its counts."""
    old, new = measured(0, params=10), measured(0, params=13)

    assert changes(old, new, params="3") == [("params", 3, "ok")]
    assert changes(old, new, params="2") == [("params", 3, "worse")]
    assert changes(old, new, params="30%") == [("params", 3, "ok")]
    assert changes(old, new, params="29.9%") == [("params", 3, "worse")]


@pytest.mark.parametrize("given", ["x%", "-1%", "1000000001%", "%"])
def test_a_malformed_percentage(given: str) -> None:
    """A percentage is a number from 0 to a thousand million."""
    with pytest.raises(
        LimitError, match=re.escape(f"malformed number {given[:-1]!r}: give a number from 0 to 1e+9")
    ):
        parse_growth("macs", given, "error")


def test_limits_that_are_tables() -> None:
    """A table has a maximum and may have a level; a percentage is read to its last digit."""
    assert parse_budget("macs", {"max": "20"}, "warn") == Budget(20, "warn")
    assert parse_budget("macs", {"max": "20", "level": "off"}, "warn") == Budget(20, "off")
    assert parse_growth("macs", "12.34%", "error").allowed(10_000, 4) == 1234
    for given in ({"level": "off"}, {}, {"max": 1, "most": 2}):
        with pytest.raises(LimitError, match="expected a limit such as"):
            parse_budget("macs", given, "error")


def test_budgets_of_unknown_counts() -> None:
    """A budget on an unknown count names the layer, and the root module by these words."""
    totals = dict.fromkeys(GROWTH_METRICS)
    layers = tuple(LayerCost(path, ("linear",), "1x2", totals) for path in ("", "head"))
    found = Measurement("net.py:build", {}, "trace", ("1x2",), "float32", totals, layers)
    rules = Rules({"macs": Budget(1, "error")}, {})
    model = GuardedModel("small", "net.py:build", {}, ("1,2",), {}, rules, (("*", rules),))

    assert unknown_budgets(model, found) == (
        "budget on an unknown count: macs, macs of the root module, macs of head"
    )


def test_the_limits_of_policies() -> None:
    """The smallest and the largest limits are allowed; the limit of bytes is that of elements by default."""
    assert parse_growth("macs", "0%", "error") == Growth(Decimal(0), 0, "error")
    assert parse_growth("macs", "1000000000%", "error") == Growth(Decimal(10**9), 0, "error")
    assert parse_budget("macs", "1" + 100 * "0", "error").maximum == 10**100
    with pytest.raises(LimitError, match="the count has more than 100 digits"):
        parse_budget("macs", "2" + 100 * "0", "error")
    growth = parse_growth("memory_access", "3", "error")
    assert with_bytes({"memory_access": growth})["memory_access_bytes"].allowed(0, 4) == 12


def test_counts_at_their_budget() -> None:
    """A count may be as large as its budget."""
    model = GuardedModel("small", "net.py:build", {}, ("1,2",), {}, Rules({"macs": Budget(10, "error")}, {}))

    assert over_budget(model, measured(0, macs=10)) == ()
    assert over_budget(model, measured(0, macs=11)) == (
        CountChange("macs", None, 11, "over budget", "error", 10),
    )


def test_layers_that_were_added_and_removed() -> None:
    """Removed layers come first, and the counts of a layer that is not there are zeros."""
    zeros = dict.fromkeys(GROWTH_METRICS, 0)

    def of(**params: int) -> Measurement:
        layers = (LayerCost(path, (path,), "1x2", zeros | {"params": n}) for path, n in params.items())
        return Measurement("net.py:build", {}, "trace", ("1x2",), "float32", zeros, tuple(layers))

    allowed = parse_growth("params", "1", "error")
    rules = Rules({}, dict.fromkeys(GROWTH_METRICS, allowed))
    model = GuardedModel("small", "net.py:build", {}, ("1,2",), {}, rules)
    found = [
        c for c in differences(model, of(a=1, b=2, c=3), of(a=5, c=4, d=6)) if isinstance(c, CountChange)
    ]

    assert [(c.layer and c.layer.path, c.before, c.after, c.limit, c.verdict) for c in found] == [
        ("b", 2, 0, 3, "better"),
        ("a", 1, 5, 2, "worse"),
        ("c", 3, 4, 4, "ok"),
        ("d", 0, 6, 1, "worse"),
    ]


@pytest.mark.parametrize(("before", "after"), [(None, 3), (3, None)])
def test_a_count_that_is_or_was_unknown(before: int | None, after: int | None) -> None:
    """A change from or to unknown is worse, and has no growth."""
    old, new = (measured(0) for _ in range(2))
    for each, value in ((old, before), (new, after)):
        each.totals.update(macs=value)  # type: ignore[attr-defined]

    assert changes(old, new, macs="50%") == [("macs", 0, "worse")]
