"""Relative times by the data sheets of GPUs order networks as GPUs do."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Mapping
from math import fsum
from pathlib import Path
from typing import Any

import pytest
import torch
from commandline import Run
from torch import Tensor, nn
from witness import timm

from mbanalyze import count, predict
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.profiles.data_sheet import DataSheet, data_sheets
from mbanalyze.report.network import Report
from mbanalyze.timing.prediction import PredictionError
from mbanalyze.timing.relative_time import relative_time
from mbanalyze.timing.sheet_rows import EXECUTIONS, sum_ns

TABLE = Path(__file__).parent / "data" / "timm_speed.csv"
PROFILE = Path(__file__).parent / "data" / "time_profile.json"
DOCS = Path(__file__).parents[1] / "docs" / "time.md"

# cores for float32, clock in GHz, flops of tensor cores for one of them, bits of memory and 10^9 transfers a second
HARDWARE = [
    ("v100", 5120, 1.53, 8, 4096, 1.757),
    ("t4", 2560, 1.59, 8, 256, 10),
    ("a100", 6912, 1.41, 16, 5120, 3.186),
    # tensor cores have a clock of 1.83 GHz: 16 * 1.83 / 1.98
    ("h100", 16896, 1.98, 14.79, 5120, 5.235),
    ("rtx3090", 10496, 1.695, 2, 384, 19.5),
    ("rtx4090", 16384, 2.52, 2, 384, 21),
    ("rtx5090", 21760, 2.407, 2, 512, 28),
]


@pytest.mark.parametrize(("device", "cores", "ghz", "tensor", "bits", "transfers"), HARDWARE)
def test_a_sheet_agrees_with_the_hardware(
    device: str, cores: int, ghz: float, tensor: float, bits: int, transfers: float
) -> None:
    """The numbers of a sheet follow from the cores, the clock and the memory bus."""
    sheet = data_sheets()[device]
    float32 = 2 * cores * ghz / 1000  # a core multiplies and accumulates once in each cycle

    assert sheet.teraflops["float32"] == pytest.approx(float32, rel=0.01)
    assert sheet.teraflops["float16"] == pytest.approx(tensor * float32, rel=0.01)
    assert sheet.bandwidth_gb_s == pytest.approx(bits / 8 * transfers, rel=0.001)
    assert sheet.source.startswith("NVIDIA")


def test_every_sheet_is_checked_against_hardware() -> None:
    """The list above has every device."""
    assert [device for device, *_ in HARDWARE] == list(data_sheets())


def test_every_sheet_is_documented() -> None:
    """The table of the documentation has the numbers and the source of each sheet."""
    lines = DOCS.read_text(encoding="utf-8").splitlines()

    for name, sheet in data_sheets().items():
        peaks = " | ".join(f"{peak:g}" for peak in sheet.teraflops.values())
        assert f"| `{name}` | {peaks} | {sheet.bandwidth_gb_s:g} | {sheet.source} |" in lines


SHEET = DataSheet("card", "A card", {"float16": 2.0, "float32": 0.5}, 10.0, 7.0, "a sheet")


@pytest.mark.parametrize(
    ("flops", "moved", "dtype", "ns", "roof"),
    [
        # 40,000 flops at 2 flops in 10^-3 ns take 20 ns, 100 bytes at 10 bytes in 1 ns take 10 ns; overhead is 7 ns
        (40_000, 100, "float16", 27.0, "compute"),
        # 40,000 flops at 0.5 in 10^-3 ns take 80 ns
        (40_000, 100, "float32", 87.0, "compute"),
        # 300 bytes take 30 ns
        (40_000, 300, "float16", 37.0, "memory"),
        # 2,000 flops take 1 ns, 20 bytes take 2 ns
        (2_000, 20, "float16", 9.0, "overhead"),
        (0, 0, "float16", 7.0, "overhead"),
    ],
)
def test_the_roofline(flops: int, moved: int, dtype: str, ns: float, roof: str) -> None:
    """An operator takes the longer of compute and memory, and the overhead; its roof is the longest part."""
    time = SHEET.time_of(flops, moved, dtype)

    assert ns == pytest.approx(time.ns)
    assert roof == time.roof


def test_the_time_of_a_module() -> None:
    """Rows take time for their flops and bytes in the element type of the report."""
    report = count(nn.Sequential(nn.Linear(20, 50, bias=False), nn.ReLU()), (10, 20), dtype="float16")

    # linear: 2 * 10 * 20 * 50 flops take 10 ns; 200 + 1000 + 500 elements of 2 bytes take 340 ns
    # relu: 500 flops take 0.25 ns; 2 * 500 elements of 2 bytes take 200 ns; overhead 7 ns each
    expected = 340 + 7 + 200 + 7
    assert expected == pytest.approx(sum_ns(report.rows, report, SHEET))


@pytest.mark.parametrize("device", data_sheets())
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(("batch", "dtype"), [(1, "float16"), (1, "float32"), (64, "float16")])
def test_mobilenet_v2_is_the_unit(device: str, execution: Any, batch: int, dtype: str) -> None:
    """MobileNetV2 takes one unit of time with every batch, type, device and execution."""
    found = relative_time("mobilenet_v2", batch=batch, device=device, execution=execution, dtype=dtype)

    assert found.relative_time == 1


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("by", [None, "op", "module", "block", "kind"])
def test_rows_sum_to_the_total(execution: Any, by: str | None) -> None:
    """Relative times add up to the whole, and shares to 1, by every key."""
    found = relative_time("shufflenet_v2", batch=8, device="t4", execution=execution)
    records = found.records(by)

    assert found.relative_time == pytest.approx(fsum(record["relative_time"] for record in records))
    assert pytest.approx(1) == fsum(record["share"] for record in records)
    assert pytest.approx(1) == fsum(found.roofs(found.report.rows).values())
    assert list(records[0]) == found.columns(by)


def test_fused_execution_merges_operators() -> None:
    """An inference engine runs a batch norm and an activation as a part of the convolution before them."""
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    eager, fused = [
        relative_time(module, (1, 3, 16, 16), device="a100", execution=execution) for execution in EXECUTIONS
    ]

    # of the eager operators, the convolution has two merged into it; pooling stays
    expected: list[list[list[str]]] = [[[], [], [], []], [["batch_norm", "relu"], []]]
    assert expected == [[record["merged"] for record in found.records()] for found in (eager, fused)]


@pytest.mark.parametrize("trace", [False, True])
def test_the_relative_time_is_that_of_a_report(trace: bool) -> None:
    """A network and its report have the same relative time, in closed form and traced."""
    report = count("resnet18", batch=4, trace=trace, dtype="float16")

    expected = relative_time("resnet18", batch=4, device="v100").relative_time
    assert expected == pytest.approx(relative_time(report, device="v100").relative_time)


def test_a_network_without_operators() -> None:
    """It takes no time, which has no roof and no share."""
    found = relative_time(nn.Identity(), (1, 3, 8, 8), device="h100")

    assert found.relative_time == 0
    assert found.roofs(found.report.rows) == {}
    assert "total" not in found.to("table")


def test_overhead_alone_is_noted() -> None:
    """A note says that most of the time is overhead, which is the case with one image and not with many."""
    one, many = [relative_time("mobilenet_v2", batch=batch, device="h100") for batch in (1, 256)]

    # one image: the largest operator moves 2 * 96 * 112 * 112 elements of 2 bytes, in 1438 ns at 3350 bytes a ns
    assert any("100 % of the time is overhead, assumed to be 4000 ns" in note for note in one.notes)
    assert not any("assumed" in note for note in many.notes)


class Unknown(nn.Module):
    """A module of an operator without a formula."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a Bessel function of each element."""
        y: Tensor = torch.special.bessel_j0(x)
        return y


def test_unknown_flops_are_noted() -> None:
    """An operator without a formula takes the time of its bytes, and a note names its kind."""
    found = relative_time(Unknown(), (4, 4), device="v100")

    assert found.relative_time > 0
    assert "flops are unknown, so the time is that of bytes: aten::special_bessel_j0 x 1" in found.notes


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        ({}, "the machine is missing"),
        ({"profile": PROFILE, "device": "t4"}, "not both"),
        ({"profile": PROFILE, "execution": "eager"}, "leave out execution"),
        ({"execution": "fused"}, "the machine is missing"),
    ],
)
def test_one_machine_is_given(machine: dict[str, Any], message: str) -> None:
    """A prediction is by a profile or by a device; the execution is that of a device."""
    with pytest.raises(PredictionError, match=message):
        predict("resnet18", **machine)


def test_the_command(run: Run) -> None:
    """The command gives the relative time of the function, and the rows that take longest."""
    ran = run(
        "predict", "resnet18", "--device", "t4", "--execution", "fused", "--top", "2", "--format", "json"
    )
    found, expected = json.loads(ran.out), predict("resnet18", device="t4", execution="fused")

    longest = sorted((row["relative_time"] for row in expected.records()), reverse=True)[:2]
    assert found["totals"] == {"relative_time": expected.relative_time, "reference": "mobilenet_v2"}
    assert [row["relative_time"] for row in found["rows"]] == longest
    assert "predicted_ms" not in ran.out


def test_the_table_sums_the_rows_left_out() -> None:
    """The rows of a table are the longest in order, the sum of the others, and the total."""
    found = predict("resnet18", device="t4", batch=64)
    lines = [line.split() for line in found.to("table", by="kind", top=2).splitlines()]
    times = [float(line[-4]) for line in lines if line[-1:] in (["memory"], ["compute"], ["overhead"])]

    *parts, total = times
    assert len(parts) == 3
    assert parts[0] > parts[1]
    assert total == pytest.approx(sum(parts), abs=0.02)
    assert total == pytest.approx(found.relative_time, abs=0.005)
    # seven kinds
    assert "1 other" in found.to("table", by="kind", top=6)


def test_the_command_draws_milliseconds_alone(run: Run, tmp_path: Path) -> None:
    """A relative time has no picture, and the command says so in one line."""
    ran = run("predict", "resnet18", "--device", "t4", "--plot", str(tmp_path / "t.png"))

    assert ran.code == 2
    assert ran.err == (
        "mbanalyze: error: --plot draws milliseconds: give --profile FILE.json instead of --device\n"
    )


REFUSED: list[tuple[Callable[[], Any], dict[str, Any], type[Exception], str]] = [
    (lambda: "resnet18", {"device": "rtx9090"}, ChoiceError, "unknown device 'rtx9090': choose one of v100"),
    (lambda: "resnet18", {"execution": "compiled"}, ChoiceError, "choose one of eager, fused"),
    (lambda: "resnet18", {"dtype": "int8"}, ChoiceError, "unknown dtype 'int8': choose one of float16"),
    (lambda: "resnet18", {"fused": True}, PredictionError, "give execution='fused'"),
    (lambda: "resnet18", {"train": True}, PredictionError, "leave out train"),
    (lambda: "resnet18", {"mode": "train", "trace": True}, PredictionError, "leave out train and mode"),
    (lambda: count("resnet18"), {"resolution": 192}, PredictionError, "one that is not counted yet"),
    (lambda: count("resnet18", dtype="int8"), {}, ChoiceError, "unknown dtype 'int8'"),
]


@pytest.mark.parametrize(("what", "options", "error", "message"), REFUSED)
def test_refusals(
    what: Callable[[], Any], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Each wrong argument has one clear line."""
    with pytest.raises(error) as caught:
        relative_time(what(), **{"device": "t4", **options})

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def right(value: Mapping[str, float], speed: Mapping[str, float], macs: Mapping[str, int]) -> tuple[int, int]:
    """Count pairs of networks with equal macs that a value orders as their speed does, and all such pairs.

    Macs are equal within 25 %, and speeds differ by more than 10 %. The faster network should have the lower value.
    """
    pairs = [
        (slow, fast)
        for slow, fast in itertools.permutations(speed, 2)
        if speed[fast] > 1.1 * speed[slow] and 0.8 <= macs[fast] / macs[slow] <= 1.25
    ]
    return sum(value[fast] < value[slow] for slow, fast in pairs), len(pairs)


def test_pairs_are_counted() -> None:
    """A pair counts if macs are within 25 % and speeds more than 10 % apart."""
    macs, speed = {"a": 100, "b": 125, "c": 126, "d": 110}, {"a": 10.0, "b": 12.0, "c": 20.0, "d": 10.5}

    # b is faster than a and d, c than b and d; a and c differ by 26 %, and a and d are equally fast
    assert right(macs, speed, macs) == (0, 4)
    assert right({name: -each for name, each in speed.items()}, speed, macs) == (4, 4)


def timm_rows() -> list[dict[str, str]]:
    """Return the published speeds: throughput of timm's models on an RTX 4090 with automatic mixed precision.

    Source: huggingface/pytorch-image-models, commit aa4b5850c1543fa488abf260f18390eda46cf85d of 2026-08-08,
    results/benchmark-infer-amp-nchw-pt240-cu124-rtx4090.csv (eager) and ...-rtx4090-dynamo.csv (compiled).
    The rows are light families below 1.2 gmacs, without twins named `tf_`, each model at its smallest size.
    In alphabetical order, every third of them is left out.
    """
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """The reports of timm's models in float16, at the batch of the compiled table."""
    timm()
    shapes = {
        row["model"]: (int(row["compiled_batch"]), 3, int(row["side"]), int(row["side"]))
        for row in timm_rows()
    }
    return {name: count(f"timm:{name}", shape, dtype="float16") for name, shape in shapes.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("table", "execution"), [("eager", "eager"), ("compiled", "fused")])
def test_relative_times_order_timms_networks(reports: dict[str, Report], table: str, execution: Any) -> None:
    """Equal macs, different speed: relative times order at least 85 % of the pairs, macs half of them."""
    speed = {row["model"]: float(row[f"{table}_images_s"]) for row in timm_rows()}
    macs = {name: report.totals.macs or 0 for name, report in reports.items()}
    values: dict[str, Mapping[str, float]] = {
        "macs": macs,
        "memory access": {name: report.totals.memory_access for name, report in reports.items()},
        "relative time": {
            name: relative_time(report, device="rtx4090", execution=execution).relative_time
            for name, report in reports.items()
        },
    }
    found = {name: right(value, speed, macs) for name, value in values.items()}
    pairs = found["macs"][1]
    shares = {name: ordered / pairs for name, (ordered, _) in found.items()}
    line = f"| {table} | {execution} | {pairs} | {' | '.join(f'{share:.2f}' for share in shares.values())} |"
    print(f"\n{line}")
    assert line in DOCS.read_text(encoding="utf-8").splitlines()

    assert len(speed) == 58
    assert pairs > 150
    assert shares["macs"] < 0.6
    assert shares["relative time"] >= 0.85
