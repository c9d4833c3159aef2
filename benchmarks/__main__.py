"""Run every measurement and write `benchmarks/DATE.md`."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch
from rich.progress import track
from torch import nn

import mbanalyze
from benchmarks import timing
from benchmarks.peers import PEERS, ours, versions
from mbanalyze import guard
from mbanalyze.display.files import write
from mbanalyze.guard import load

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from witness import timm, torchvision  # noqa: E402 (the tests' import of packages built for another torch)

MODELS = (
    *("mobilenet_v2", "mobilenet_v3_large", "shufflenet_v2_x1_0", "squeezenet1_0"),
    *("resnet50", "vit_b_16", "swin_t", "convnext_tiny"),
)
SIDES = (224, 512)
ROUNDS = 7
HUNDRED = 100

BILLION = """
import sys, time
import torch
sys.path.insert(0, {tests!r})
from witness import torchvision
make = torchvision().models.VisionTransformer
shape = dict(image_size=224, patch_size=14, num_layers=36, num_heads=20, hidden_dim=1600, mlp_dim=6400)
if {how!r} == "count":
    import mbanalyze
    from mbanalyze.sources.resolve import ResolvedModel
    from mbanalyze.sources.building import build_once
start = time.perf_counter()
if {how!r} == "count":
    subject = ResolvedModel("ViT", {{}}, ((1, 3, 224, 224),), build_once("ViT", lambda: make(**shape)))
    params = subject.report().totals.params
else:
    params = sum(p.numel() for p in make(**shape).parameters())
seconds = time.perf_counter() - start
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, peak, params)
"""

GUARDED = (
    *("MobileNetV1", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small", "ShuffleNetV1"),
    *("ShuffleNetV2", "SqueezeNet1_0", "Xception", "GoogLeNet", "ResNet50"),
)
CONSTRUCT = "import torch; from mbanalyze import models; [getattr(models, name)() for name in {names!r}]"

MILLION = """
import statistics, time
import numpy as np
from mbanalyze import archs
from mbanalyze.sweep.closed_form import count_grid
from mbanalyze.ops.cost import total
from mbanalyze.ops.registry import cost
alphas, sides = np.linspace(0.25, 1.5, 1000), np.arange(32, 1032)
def peak():
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))) / 1024
def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
def one_by_one():
    for alpha, side in zip(alphas.tolist(), sides.tolist()):
        total([cost(op) for op in archs.MobileNetV2(alpha=alpha, resolution=side).ops()])
before = peak()
grid = lambda: count_grid(archs.MobileNetV2, {{"alpha": alphas}}, sides)
first = seconds(grid)
after = peak()
times = [seconds(grid) for _ in range({rounds})]
print(first, statistics.median(times), statistics.quantiles(times, n=4)[2] - statistics.quantiles(times, n=4)[0],
      statistics.median([seconds(one_by_one) for _ in range(3)]), before, after)
"""


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table with its first column aligned to the left."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def network(name: str, side: int) -> nn.Module:
    """Return a network of torchvision for images of `side` x `side` pixels."""
    options = {"image_size": side} if name.startswith("vit") else {}
    made: nn.Module = torchvision().models.get_model(name, weights=None, **options)
    return made.eval()


def against_peers() -> str:
    """Time each counter on every model at every size."""
    rows, errors = [], dict[str, str]()
    for side in SIDES:
        for name in track(MODELS, f"{side} px", transient=True):
            timed = timing.counters(network(name, side), side, {"mbanalyze": ours, **PEERS}, ROUNDS)
            mine = timed.pop("mbanalyze")
            errors |= {f"{peer} on {name}": t.error for peer, t in timed.items() if t.error}
            fastest = min((t for t in timed.values() if not t.error), key=lambda t: t.median)
            cells = ["-" if t.error else f"{1e3 * t.median:.0f}" for t in timed.values()]
            ratio = f"**{fastest.median / mine.median:.1f}**"
            fvcore = timed["fvcore"]
            to_fvcore = "-" if fvcore.error else f"{fvcore.median / mine.median:.0f}"
            own = f"{1e3 * mine.median:.2f} ± {100 * mine.noise:.0f} %"
            rows.append([f"{name}, {side} px", own, ratio, to_fvcore, *cells])
    header = ["milliseconds", "mbanalyze", "fastest peer / ours", "fvcore / ours", *PEERS]
    failed = "\n".join(f"- {who}: {why}" for who, why in errors.items())
    return f"{table(header, rows)}\n\nFailed:\n\n{failed or '- none'}"


def starting() -> str:
    """Time a closed form as a process, and the import of torch for comparison."""
    commands = {
        "`mbanalyze report mobilenet_v2`": ["-m", "mbanalyze", "report", "mobilenet_v2"],
        '`python -c "import torch"`': ["-c", "import torch"],
    }
    timed = timing.processes(commands, ROUNDS)
    report, torch_alone = timed.values()
    rows = [[name, f"{t.median:.3f}", f"{100 * t.noise:.0f} %"] for name, t in timed.items()]
    share = f"The report takes {report.median / torch_alone.median:.2f} times as long as the import."
    return f"{table(['process', 'seconds', 'noise'], rows)}\n\n{share}"


def growing() -> str:
    """Time counting at larger resolutions and batches; both should make no difference."""
    module = network("mobilenet_v2", 224)
    shapes = [(1, 3, 224, 224), (1, 3, 1024, 1024), (256, 3, 224, 224)]
    work = {"x".join(map(str, s)): lambda s=s: mbanalyze.count(module, s).totals.macs for s in shapes}
    timed = timing.alternating(work, 5 * ROUNDS)
    rows = [[name, f"{1e3 * t.median:.2f}", f"{100 * t.noise:.0f} %"] for name, t in timed.items()]
    return table(["mobilenet_v2 on", "milliseconds", "noise"], rows)


def billion() -> str:
    """Time a vision transformer of a billion parameters: counted from its factory, and constructed with its weights."""
    rows = []
    for how, what in (("count", "factory to totals"), ("construct", "constructed with its weights")):
        code = BILLION.format(tests=str(HERE.parent / "tests"), how=how)
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
        seconds, peak, params = ran.stdout.split()
        rows.append([what, f"{int(params):,}", f"{float(seconds):.2f}", f"{int(peak) / 1024**2:.2f}"])
    return table(["ViT of 36 layers", "params", "seconds", "peak GiB, torch included"], rows)


def million() -> str:
    """Time all totals of a million variants at once, and of a thousand variants one by one."""
    code = MILLION.format(rounds=ROUNDS)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    first, median, spread, thousand, before, after = map(float, ran.stdout.split())
    rows = [
        ["1,000 alphas x 1,000 resolutions", f"{median:.3f} ± {50 * spread / median:.0f} %", f"{after:.0f}"],
        ["the same, first call", f"{first:.3f}", f"{after:.0f}"],
        ["1,000 of them, one by one", f"{thousand:.3f}", "-"],
        ["the imports alone", "-", f"{before:.0f}"],
    ]
    share = f"A million variants at once take {median / thousand:.2f} times as long as a thousand one by one."
    return f"{table(['mobilenet_v2, all totals', 'seconds', 'peak MiB of the process'], rows)}\n\n{share}"


def guarding() -> str:
    """Time the guard on ten modules, and a process that imports torch and constructs them."""
    policy = "".join(
        f'[models.{name}]\nsource = "mbanalyze.models:{name}"\ninputs = ["1,3,224,224"]\n' for name in GUARDED
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mbanalyze.toml"
        file.write_text(policy)
        guard.update(load(file))
        commands = {
            "`mbanalyze guard`, ten models": ["-m", "mbanalyze", "guard", "--config", str(file)],
            "import torch and construct the ten": ["-c", CONSTRUCT.format(names=GUARDED)],
        }
        timed = timing.processes(commands, ROUNDS)
    ours, construct = timed.values()
    rows = [[name, f"{t.median:.3f}", f"{100 * t.noise:.0f} %"] for name, t in timed.items()]
    share = f"The guard takes {ours.median / construct.median:.2f} times as long as their construction."
    return f"{table(['process', 'seconds', 'noise'], rows)}\n\n{share}"


def hundred() -> str:
    """Time the construction and counting of a hundred timm models."""
    known = timm().list_models()
    chosen = known[:: len(known) // HUNDRED][:HUNDRED]
    start, incomplete = time.perf_counter(), []
    for name in track(chosen, "timm", transient=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not mbanalyze.count(f"timm:{name}").complete:
                incomplete.append(name)
    seconds = time.perf_counter() - start
    return f"{len(chosen)} models in {seconds:.1f} s; incomplete: {', '.join(incomplete) or 'none'}."


def main() -> None:
    """Run all measurements in turn and write the table."""
    torchvision()
    date = dt.datetime.now(tz=dt.UTC).date().isoformat()
    machine = f"{os.cpu_count()} CPUs, {platform.machine()}, {platform.system()}"
    sections = {
        "From a module to its totals": against_peers(),
        "Start-up": starting(),
        "Growth": f"{growing()}\n\n{billion()}",
        "A million variants": million(),
        "Ten guarded models": guarding(),
        "A hundred timm models": hundred(),
    }
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    text = f"# Benchmark, {date}\n\n`make benchmark` wrote this file on {machine}, {torch.get_num_threads()} threads.\n\nVersions: {packages}.\n\n"
    text += f"Times are medians of {ROUNDS} alternating rounds in one process. Noise is half the interquartile range.\n"
    text += "".join(f"\n## {title}\n\n{body}\n" for title, body in sections.items())
    write(HERE / f"{date}.md", text)
    sys.stderr.write(f"wrote {HERE.name}/{date}.md\n")


if __name__ == "__main__":
    main()
