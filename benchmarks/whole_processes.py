"""Whole commands against `python -c "import torch"`, and the guard against the construction of its models."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks import commands, targets, timing
from benchmarks.commands import Command, Ran, mbanalyze, script
from benchmarks.markdown import failed, table
from benchmarks.targets import Target

TORCH, COMPLETION = 'python -c "import torch"', "completion of a model's name"
CONSTRUCT, GUARD = "import torch and construct the ten", "mbanalyze guard, ten models"
HEADER = ("process", "seconds", "CPU seconds", "ratio", "target", "reached", "CPU ratio", "peak MiB")

GUARDED = (
    *("MobileNetV1", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small", "ShuffleNetV1"),
    *("ShuffleNetV2", "SqueezeNet1_0", "Xception", "GoogLeNet", "ResNet50"),
)
CONSTRUCTION = "import torch; from mbanalyze import models; [getattr(models, name)() for name in {names!r}]"
COMPLETION_REQUEST = {
    "_MBANALYZE_COMPLETE": "complete_bash",
    "COMP_WORDS": "mbanalyze report mob",
    "COMP_CWORD": "2",
}
FAMILIES = ("squeezenet", "mobilenet")
"""Families with few and with many published figures."""

LINES: dict[str, Target | None] = {
    "mbanalyze --help": targets.HELP,
    "mbanalyze report mobilenet_v2": None,
    "mbanalyze report torchvision:mobilenet_v2": targets.TORCHVISION,
    "mbanalyze report timm:mobilenetv3_large_100": targets.TIMM,
    "mbanalyze report mobilenet_v2 --trace": targets.TRACE,
    "mbanalyze ablate mobilenet_v2": targets.ABLATE,
    "mbanalyze search all": targets.SEARCH,
    "mbanalyze published": targets.PUBLISHED,
}
"""Command lines of mbanalyze, and their targets."""


def figures(*family: str) -> int:
    """Return the number of published figures that `published` prints."""
    return len(json.loads(commands.output(mbanalyze("published", *family, "--format", "json"))))


def goals() -> dict[str, Target | None]:
    """Return the target of each process."""
    known = figures()
    parts = {
        f"mbanalyze published {each}": targets.published_part(figures(each) / known) for each in FAMILIES
    }
    return {**LINES, **parts, COMPLETION: targets.HELP, GUARD: targets.GUARD}


def processes(policy: Path) -> dict[str, Command]:
    """Return the command of each row; the guard has the policy of a file."""
    lines = [*LINES, *(f"mbanalyze published {each}" for each in FAMILIES)]
    return {
        TORCH: script("import torch"),
        **{line: mbanalyze(*line.split()[1:]) for line in lines},
        COMPLETION: Command(("-m", "mbanalyze"), COMPLETION_REQUEST),
        CONSTRUCT: script(CONSTRUCTION.format(names=GUARDED)),
        GUARD: mbanalyze("guard", "--config", str(policy)),
    }


def rows(runs: Mapping[str, list[Ran]], known: Mapping[str, Target | None]) -> list[list[str]]:
    """Return the cells of each process that ran."""
    made = []
    for name, own in runs.items():
        yardstick = runs.get(CONSTRUCT if name == GUARD else TORCH, [])
        ratio = commands.seconds(own) / commands.seconds(yardstick) if yardstick else None
        cpu_ratio = f"{commands.cpu(own) / commands.cpu(yardstick):.2f}" if yardstick else "-"
        noise = timing.noise([run.seconds for run in own])
        made.append(
            [
                name,
                f"{commands.seconds(own):.3f} ± {100 * noise:.0f} %",
                f"{commands.cpu(own):.2f}",
                "-" if ratio is None else f"**{ratio:.2f}**",
                *(("-", "-") if ratio is None else targets.cells(ratio, known.get(name))),
                cpu_ratio,
                f"{max(run.peak for run in own) / commands.MEBIBYTE:.0f}",
            ]
        )
    return made


def policy(folder: Path) -> Path:
    """Write a policy of ten models and its lock to a folder, and return the policy's file."""
    file = folder / "mbanalyze.toml"
    file.write_text(
        "".join(
            f'[models.{name}]\nsource = "mbanalyze.models:{name}"\ninputs = ["1,3,224,224"]\n'
            for name in GUARDED
        )
    )
    commands.output(mbanalyze("guard", "update", "--config", str(file)))
    return file


def measure(rounds: int) -> str:
    """Measure every process."""
    known = goals()
    with tempfile.TemporaryDirectory() as folder:
        made = processes(policy(Path(folder)))
        runs, errors = commands.alternating(made, rounds)
    note = (
        f"A ratio is to `{TORCH}`, and that of the guard is to the construction of its models. "
        "Output is discarded. CPU seconds include those of started processes, and the peak is the largest process."
    )
    return f"{table(HEADER, rows(runs, known))}\n\n{note}\n\n{failed(errors)}"
