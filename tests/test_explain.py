"""The totals of other counters, run in processes of their own, and the parts of their gaps from our macs."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commandline import Run
from torch import Tensor, nn

from mbanalyze.conventions.convention import Amount, ConventionError, Record
from mbanalyze.conventions.known import CONVENTIONS
from mbanalyze.crosscheck.counters import COUNTERS
from mbanalyze.crosscheck.explained_totals import CounterResult, ExplainedTotals
from mbanalyze.crosscheck.explaining import TimeLimitError, counter_result, explain
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.inputs.shape import Shape
from mbanalyze.sources.processes import Answer
from mbanalyze.sources.references import SourceError
from mbanalyze.trace.forward_errors import TraceError

NET = '''
import os, signal, time
from torch import nn
from torch.nn.utils import prune

def pruned():
    return prune.identity(nn.Linear(8, 8, bias=False), "weight")

def build(width=4):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), nn.Linear(64 * width, 5)
    )

class Named(nn.Module):
    """Takes keyword arguments only."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, *, image, times=1):
        for _ in range(times):
            image = self.conv(image)
        return image

class Odd(nn.Module):
    """Behaves in another way on tensors with data, which most counters use and a trace does not."""

    def __init__(self, way):
        super().__init__()
        self.layer = nn.Linear(8, 8, bias=False)
        self.way = way

    def forward(self, x):
        if not x.is_meta:
            x = getattr(self, self.way)(x)
        return self.layer(x)

    def twice(self, x):
        return self.layer(x)

    def raises(self, x):
        raise RuntimeError("out of luck\\nand more lines")

    def asserts(self, x):
        assert x is None

    def imports(self, x):
        import not_here

    def leaves(self, x):
        os._exit(3)

    def quits(self, x):
        raise SystemExit("enough")

    def dies(self, x):
        os.kill(os.getpid(), signal.SIGKILL)

    def hangs(self, x):
        time.sleep(60)

    def prints(self, x):
        print("noise")
        os.write(1, b"noise")
        os.write(2, b"noise")
        return x
'''
CONV = 64 * 3 * 9 * 4
"""The macs of the convolution of `build`: 8 x 8 places, 3 x 3 x 3 weights of each of 4 filters."""
LINEAR = 256 * 5
"""Those of its linear layer."""


class Pickled(nn.Module):
    """A module that other processes can import."""

    def forward(self, x: Tensor) -> Tensor:
        """Return twice the input."""
        return x + x


@pytest.fixture(scope="session")
def net(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a file with small networks."""
    path = tmp_path_factory.mktemp("explain") / "net.py"
    path.write_text(NET, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def everything(net: str) -> ExplainedTotals:
    """The totals of all counters for one small network."""
    return explain(f"{net}:build", (2, 3, 8, 8))


def one(net: str, way: str, counter: str = "thop", **options: Any) -> CounterResult:
    """Return the result of one counter for a network that behaves in another way on tensors with data."""
    (result,) = explain(f"{net}:Odd", (1, 8), way=way, counters=[counter], **options).counters
    return result


def test_every_counter_runs_and_is_explained(everything: ExplainedTotals) -> None:
    """Each counter has a total and its version, and nothing of its gap is left."""
    assert [*COUNTERS] == [each.counter for each in everything.counters]
    assert {each.counter: None for each in everything.counters} == {
        each.counter: each.error for each in everything.counters
    }
    assert {each.counter: 0 for each in everything.counters} == {
        each.counter: each.unexplained for each in everything.counters
    }
    assert all(each.version for each in everything.counters)
    assert everything.explained
    assert everything.macs == 2 * (CONV + LINEAR)


def test_every_counter_has_a_convention() -> None:
    """The name of each counter is that of a convention, which names its package."""
    assert [name for name in COUNTERS if not CONVENTIONS[name].package] == []


def test_the_parts_sum_to_the_total(everything: ExplainedTotals) -> None:
    """Our macs, the parts and the unexplained rest sum to the total; the largest part is first."""
    document = everything.as_dict()

    for each in document["counters"]:
        amounts = [part["amount"] for part in each["differences"]]
        assert each["total"] == document["macs"] + sum(amounts) + each["unexplained"]
        assert amounts == sorted(amounts, key=abs, reverse=True)
    (thop,) = [each for each in document["counters"] if each["counter"] == "thop"]
    # of a batch norm 4 for each of its 2 x 4 x 8 x 8 elements
    assert [part["amount"] for part in thop["differences"]] == [4 * 2 * 4 * 64]


def test_the_document_has_its_keys(everything: ExplainedTotals) -> None:
    """The keys are those of the schema."""
    document = everything.as_dict()

    assert list(document) == ["schema", "model", "options", "input", "macs", "complete", "counters"]
    assert (document["schema"], document["input"]) == ("mbanalyze.explain/1", [[2, 3, 8, 8]])
    keys = ["counter", "version", "total", "unit", "differences", "unexplained", "error"]
    assert [keys] * len(COUNTERS) == [list(each) for each in document["counters"]]
    assert {"what", "amount"} == {
        key for each in document["counters"] for part in each["differences"] for key in part
    }
    assert document == json.loads(everything.to("json"))


def test_a_table_leads_to_each_total(everything: ExplainedTotals) -> None:
    """A table has a summary, and for each counter the parts between our macs and its total, in 80 columns."""
    lines = everything.to("table", width=80).splitlines()

    assert max(map(len, lines)) <= 80
    (heading,) = [
        number for number, line in enumerate(lines) if line.startswith("thop ") and line.endswith(" macs")
    ]
    rows = [line.split() for line in lines[heading + 3 : heading + 8]]
    # 2 x (6,912 + 1,280) macs, and 2,048 for the batch norm
    assert rows[0] == ["mbanalyze", "16,384"]
    assert rows[1][-3:] == ["+2,048", "+12.50", "%"]
    assert rows[2:] == [["unexplained", "0", "0", "%"], [], ["thop", "18,432", "+12.50", "%"]]


def test_records_sum_to_the_totals(everything: ExplainedTotals) -> None:
    """CSV has a row for each part and each unexplained rest."""
    rows = list(csv.DictReader(io.StringIO(everything.to("csv"))))

    assert list(rows[0]) == ["counter", "version", "unit", "macs", "total", "what", "amount", "error"]
    for name in COUNTERS:
        own = [row for row in rows if row["counter"] == name]
        assert int(own[0]["total"]) == int(own[0]["macs"]) + sum(int(row["amount"]) for row in own)
        assert own[-1]["what"] == "unexplained"


@pytest.mark.posix
@pytest.mark.parametrize(
    ("way", "error"),
    [
        ("raises", "RuntimeError: out of luck"),
        ("quits", "SystemExit: enough"),
        ("leaves", "its code ended the process with exit code 3"),
        ("dies", "its process was ended by SIGKILL, perhaps because it needs too much memory"),
    ],
)
def test_a_counter_that_fails_spoils_nothing_else(net: str, way: str, error: str) -> None:
    """It has the error in place of a total, and the counter beside it is explained."""
    result = explain(f"{net}:Odd", (1, 8), way=way, counters=["thop", "flop-counter-meta"])
    failed, other = result.counters

    assert (None, (), None, error) == (failed.total, failed.differences, failed.unexplained, failed.error)
    assert (other.total, other.unexplained, other.error) == (2 * 64, 0, None)
    assert not result.explained
    assert f"thop: {error}" in result.to("table")
    assert [record["amount"] for record in result.records()] == [None, 64, 0]


def test_the_error_is_that_of_the_network(net: str) -> None:
    """Counters that end with another error than the network's are named with the network's own."""
    names = ["torchinfo", "calflops", "ptflops", "ptflops-aten"]
    result = explain(f"{net}:Odd", (1, 8), way="raises", counters=names)
    errors = {each.counter: each.error or "" for each in result.counters}

    assert dict.fromkeys(names, "RuntimeError: out of luck") == {
        name: error.removeprefix("ptflops stopped at ") for name, error in errors.items()
    }


def test_an_error_without_words_has_its_place(net: str) -> None:
    """The reason names the line of code that raised it."""
    lines = NET.splitlines()
    line = lines.index("        assert x is None") + 1

    assert one(net, "asserts").error == f"AssertionError at net.py:{line}: assert x is None"


def test_an_import_that_a_counter_lacks_has_the_command(net: str) -> None:
    """A counter whose own imports are not installed is named with the command that installs them."""
    error = "ModuleNotFoundError: No module named 'not_here': pip install 'mbanalyze[counters]'"

    assert one(net, "imports").error == error


@pytest.mark.parametrize(
    ("stopped", "reason"),
    [
        (ConventionError("a call has no input"), "a call has no input"),
        (IndexError("tuple index out of range"), "IndexError: tuple index out of range"),
    ],
)
def test_rules_that_stop_leave_the_whole_gap(
    everything: ExplainedTotals, stopped: Exception, reason: str
) -> None:
    """The total stays, all of its gap is unexplained, and the error says that the rules do not cover the network."""

    def stop(record: Record) -> list[Amount]:
        raise stopped

    record = everything.report.record
    rules = replace(CONVENTIONS["thop"], record_rules=(stop,))
    result = counter_result(rules, "1.0", Answer(everything.macs + 7), record)
    equal = counter_result(rules, "1.0", Answer(everything.macs), record)

    assert (everything.macs + 7, (), 7) == (result.total, result.differences, result.unexplained)
    assert result.error == f"the rules do not cover this network: {reason}"
    assert (equal.unexplained, equal.explained) == (0, False)
    table = ExplainedTotals(everything.report, (result,)).to("table")
    assert f"thop: the rules do not cover this network: {reason}" in " ".join(table.split())


def test_pruned_weights_are_counted_without_data(net: str) -> None:
    """FlopCounterMode on meta takes a module that cannot be copied, whose weight another tensor gives."""
    (result,) = explain(f"{net}:pruned", (1, 8), counters=["flop-counter-meta"]).counters

    assert (result.total, result.unexplained, result.error) == (2 * 64, 0, None)


def test_a_counter_that_hangs_is_ended(net: str) -> None:
    """After the time limit, its process is ended."""
    assert one(net, "hangs", time_limit=0.5).error == "it took longer than 0.5 s"


def test_more_work_than_the_trace_saw_is_unexplained(net: str) -> None:
    """The network runs its layer twice on tensors with data, and once in the trace."""
    result = one(net, "twice")

    assert (result.total, result.differences, result.unexplained) == (2 * 64, (), 64)
    assert not result.explained


def test_a_counter_that_is_not_installed_is_skipped(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the command that installs it in place of a total."""
    monkeypatch.setitem(sys.modules, "thop", None)  # its import fails, and it cannot be found
    result = explain(f"{net}:build", (1, 3, 8, 8), counters=["thop"])
    (missing,) = result.counters

    assert (missing.version, missing.total) == ("", None)
    assert missing.error == "not installed: pip install 'mbanalyze[counters]'"
    assert "not installed" in result.to("table").split("thop", 1)[1].splitlines()[0]


def test_rules_of_another_version_are_named(net: str) -> None:
    """A total of a version that the rules were not made for is compared, with a note."""
    report = explain(f"{net}:build", (1, 3, 8, 8), counters=[]).report
    total = CONVENTIONS["thop"].total(report.record)
    newer = counter_result(CONVENTIONS["thop"], "9.9", Answer(total), report.record)
    table = ExplainedTotals(report, (newer,)).to("table")

    assert newer.unexplained == 0
    assert f"thop: the rules are those of version {CONVENTIONS['thop'].version}, not of 9.9" in table
    assert "the rules are those" not in ExplainedTotals(report, ()).to("table")


def test_counters_take_keyword_arguments(net: str) -> None:
    """Counters run on the same arguments as the trace, which takes these by name."""
    names = ["fvcore", "thop", "torchinfo", "flop-counter-meta"]
    kwargs = {"image": Shape(1, 3, 8, 8), "times": 2}
    result = explain(f"{net}:Named", kwargs=kwargs, counters=names)

    # 2 x 64 places x 3 x 3 weights
    assert result.macs == 2 * 64 * 9
    assert names == [each.counter for each in result.counters]
    assert {None} == {each.error for each in result.counters}
    assert (result.counters[0].total, result.counters[0].unexplained) == (2 * 64 * 9, 0)


def test_a_module_is_sent_to_the_processes() -> None:
    """A module is pickled; the module itself keeps its mode."""
    module = nn.Sequential(nn.Linear(8, 8, bias=False), Pickled()).train()
    (result,) = explain(module, (1, 8), counters="thop").counters  # a name alone is one counter

    assert (result.total, result.unexplained) == (64, 0)
    assert module.training


def test_a_module_that_cannot_be_sent_is_refused() -> None:
    """The error says to give a reference."""

    class Local(nn.Module):
        """A module of a class that no other process can import."""

        def forward(self, x: Tensor) -> Tensor:
            """Return twice the input."""
            return x + x

    with pytest.raises(
        SourceError, match=r"^Local cannot be sent .*: give a reference, such as net\.py:build$"
    ):
        explain(Local(), (1, 8), counters=["thop"])


def test_wrong_arguments_are_refused(net: str) -> None:
    """Unknown counters, impossible time limits and inputs that do not fit are errors before a counter runs."""
    with pytest.raises(ChoiceError, match="unknown counter 'cost': choose one of fvcore, "):
        explain(f"{net}:build", (1, 3, 8, 8), counters=["cost"])
    with pytest.raises(TimeLimitError, match=r"above 0, not 0$"):
        explain(f"{net}:build", (1, 3, 8, 8), time_limit=0)
    with pytest.raises(TraceError):
        explain(f"{net}:build", (1, 3, 9, 9), counters=["thop"])


def test_the_command_prints_what_the_library_returns(net: str, run: Run) -> None:
    """The output of a counter is not shown; --strict accepts a total that is explained."""
    args = ("explain", f"{net}:Odd", "--set", "way=prints", "--input", "1,8", "--strict")
    code, out, err = run(*args, "--counter", "thop", "--counter", "flop-counter-meta", "--format", "json")

    assert (code, err) == (0, "")
    assert [each["total"] for each in json.loads(out)["counters"]] == [64, 128]


@pytest.mark.parametrize("way", ["twice", "raises"])
def test_strict_refuses_what_is_unexplained(net: str, run: Run, tmp_path: Path, way: str) -> None:
    """The exit code is 1 with --strict, and the result is written all the same."""
    file = tmp_path / "explained.csv"
    args = (
        "explain",
        f"{net}:Odd",
        "--set",
        f"way={way}",
        "--input",
        "1,8",
        "--counter",
        "thop",
        "-o",
        str(file),
    )

    assert run(*args, "--strict") == (1, "", "")
    assert [way == "twice"] == [
        row["amount"] == "64" for row in csv.DictReader(io.StringIO(file.read_text()))
    ]
    assert run(*args).code == 0


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("--counter", "cost"), "--counter: unknown counter 'cost': choose one of fvcore, "),
        (("--time-limit", "0"), "the time limit must be a number of seconds above 0, not 0.0"),
        (("--time-limit", "soon"), "--time-limit must be a number, not 'soon'"),
        (("--format", "html"), "--format: unknown format 'html'"),
    ],
)
def test_wrong_options_are_one_line(run: Run, args: tuple[str, str], error: str) -> None:
    """A wrong option is named on stderr, with exit code 2."""
    code, out, err = run("explain", "mobilenet_v2", *args)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"mbanalyze: error: {error}")
