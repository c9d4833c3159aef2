"""Growth with operators, modules, nesting, image size, batch size and parameters."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

import mbanalyze
from benchmarks import commands, targets, timing
from benchmarks.commands import script
from benchmarks.markdown import table
from benchmarks.networks import network

CHAINS = (1_000, 10_000, 100_000)
MODULES = (1_000, 5_000, 20_000)
DEPTHS = (100, 300, 900)
FEW = 3
"""The most rounds of the long chains."""

NESTING = """
import sys
import torch
from torch import nn
import mbanalyze

def nested(depth):
    net = nn.Linear(4, 4)
    for _ in range(depth):
        net = nn.Sequential(net)
    return net.eval()

def runs(depth):
    return works(lambda: nested(depth)(torch.rand(1, 4)))

def counts(depth):
    return works(lambda: mbanalyze.count(nested(depth), (1, 4)))

def works(call):
    try:
        call()
    except Exception:
        return False
    return True

def deepest(works):
    low, high = 0, 1000
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if works(middle) else (low, middle - 1)
    return low

print(deepest(runs), deepest(counts))
for depth in map(int, sys.argv[1:]):
    print(depth, runs(depth), counts(depth))
"""

BILLION = """
import sys, time
import torch
import torchvision
make = torchvision.models.VisionTransformer
shape = dict(image_size=224, patch_size=14, num_layers=36, num_heads=20, hidden_dim=1600, mlp_dim=6400)
if sys.argv[1] == "count":
    import mbanalyze
    def vision_transformer():
        return make(**shape)
    start = time.perf_counter()
    params = mbanalyze.count(vision_transformer, (1, 3, 224, 224)).totals.params
else:
    start = time.perf_counter()
    params = sum(p.numel() for p in make(**shape).parameters())
seconds = time.perf_counter() - start
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, 1024 * int(peak), params)
"""


class Chain(nn.Module):
    """One module that runs operators in a loop: a convolution and a ReLU in turn."""

    def __init__(self, operators: int) -> None:
        super().__init__()
        self.pairs = operators // 2
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Run the loop."""
        weight, bias = self.conv.weight, self.conv.bias
        for _ in range(self.pairs):
            x = functional.relu(functional.conv2d(x, weight, bias))
        return x


def modules(number: int) -> nn.Module:
    """Return a chain of modules, a convolution and a ReLU in turn."""
    return nn.Sequential(*(nn.Conv2d(4, 4, 1) if i % 2 == 0 else nn.ReLU() for i in range(number)))


def per_operator(module: nn.Module, rounds: int) -> list[float]:
    """Return the microseconds per operator of each count of a module, after a count that is left out."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        report = mbanalyze.count(module, (1, 4, 8, 8))
        times.append(1e6 * (time.perf_counter() - start) / len(report.rows))
    return times[1:]


def chain_rows(what: str, measured: dict[int, list[float]]) -> list[list[str]]:
    """Return a row for each length of a chain, and one for the growth from the shortest to the longest."""
    medians = {length: statistics.median(times) for length, times in measured.items()}
    rows = [
        [
            f"{length:,} {what}",
            f"{medians[length]:.1f}",
            *targets.cells(medians[length], targets.OPERATOR_MICROSECONDS),
            f"{100 * timing.noise(times):.0f} %",
        ]
        for length, times in measured.items()
    ]
    growth = medians[max(medians)] / medians[min(medians)]
    last = [
        f"{max(medians):,} {what} / {min(medians):,}",
        f"{growth:.2f}",
        *targets.cells(growth, targets.FLAT),
        "-",
    ]
    return [*rows, last]


def chains(rounds: int) -> str:
    """Time long chains of operators in one module, and of modules."""
    kinds: tuple[tuple[str, Callable[[int], nn.Module], tuple[int, ...]], ...] = (
        ("operators in one module", Chain, CHAINS),
        ("modules", modules, MODULES),
    )
    rows: list[list[str]] = []
    for what, make, lengths in kinds:
        measured = {n: per_operator(make(n).eval(), min(rounds, FEW)) for n in timing.tracked(lengths, what)}
        rows += chain_rows(what, measured)
    header = ["microseconds per operator", "measured", "target", "reached", "noise"]
    return f"{table(header, rows)}\n\nThe chains have {min(rounds, FEW)} rounds."


def nesting_table(printed: str) -> str:
    """Return the table of what the nesting script prints."""
    first, *rest = printed.splitlines()
    runs, counts = map(int, first.split())
    header = ["`Sequential` in `Sequential`", "runs", "counts", "target", "reached"]
    deepest = [
        "deepest that works, with Python's default recursion limit",
        f"{runs:,}",
        f"{counts:,}",
        *targets.cells(counts, targets.Target(runs, least=True)),
    ]
    return table(header, [deepest, *map(depth_row, rest)])


def depth_row(line: str) -> list[str]:
    """Return the cells of one depth: "300 True False"."""
    depth, runs, counts = line.split()
    words = {"True": "yes", "False": "no"}
    reached = "-" if runs == "False" else {"True": "yes", "False": "**no**"}[counts]
    return [f"{depth} deep", words[runs], words[counts], "counts if it runs", reached]


def nesting() -> str:
    """Find the deepest nesting that runs by itself, and the deepest that can be counted."""
    return nesting_table(commands.output(script(NESTING, *map(str, DEPTHS))))


def inputs(rounds: int) -> str:
    """Time counts with larger images and batches; both should make no difference."""
    module = network("mobilenet_v2", 224)
    shapes = [(1, 3, 224, 224), (1, 3, 1024, 1024), (256, 3, 224, 224)]
    work = {"x".join(map(str, s)): lambda s=s: mbanalyze.count(module, s).totals.macs for s in shapes}
    timed = timing.alternating(work, 5 * rounds)
    rows = [[name, f"{1e3 * t.median:.2f}", f"{100 * t.noise:.0f} %"] for name, t in timed.items()]
    return table(["mobilenet_v2 on", "milliseconds", "noise"], rows)


def billion() -> str:
    """Time a vision transformer of a billion parameters: counted from its factory, and constructed with its weights."""
    rows = []
    for how, what in (("count", "factory to totals"), ("construct", "constructed with its weights")):
        seconds, peak, params = commands.output(script(BILLION, how)).split()
        rows.append([what, f"{int(params):,}", f"{float(seconds):.2f}", f"{int(peak) / 2**30:.2f}"])
    return table(["ViT of 36 layers", "params", "seconds", "peak GiB, torch included"], rows)


def measure(rounds: int) -> str:
    """Measure each kind of growth."""
    return "\n\n".join([chains(rounds), nesting(), inputs(rounds), billion()])
