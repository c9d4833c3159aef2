"""Outcomes of the guard of every kind, for tests of their formats."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mbanalyze import guard
from mbanalyze.guard import Outcome, Policy, load

LAYER = "<script>|\n::error::x [bold](y)\x07]]>`*z*"
COMMAND = "::error file=a::b"
OLD = "##[error]c"
MODEL = "<script>|\n```\n::error::x,y:z 100%0A {0} [bold](y)\x07]]>`"
NET = f"""\
from torch import nn

class Block(nn.Module):
    def __init__(self, width, bias):
        super().__init__()
        self.dw = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=bias)
        self.pw = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x):
        return x + self.pw(self.dw(x))

class Net(nn.Module):
    def __init__(self, width=8, blocks=2, bias=False, classes=10):
        super().__init__()
        self.blocks = nn.Sequential(*[Block(width, bias) for _ in range(blocks)])
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.blocks(x).mean((2, 3)))

class Hostile(nn.Module):
    def __init__(self, bias=False):
        super().__init__()
        for name in {[LAYER, COMMAND, OLD]!r}:
            self.add_module(name, nn.Conv2d(3, 3, 1, bias=bias))

    def forward(self, x):
        for module in self.children():
            x = module(x)
        return x

def broken():
    raise RuntimeError("no weights\\n::error::here")
"""


def line_of(text: str) -> int:
    """Return the line of the network that contains a text, counted from 1."""
    return NET[: NET.index(text)].count("\n") + 1


DW, PW, ADDED = map(line_of, ("self.dw =", "self.pw =", "self.add_module("))
"""The lines that make these layers."""


@dataclass(frozen=True)
class Project:
    """A folder with a network, a policy and a lock."""

    folder: Path

    def policy(self, models: dict[str, str], head: str = "") -> Policy:
        """Write and load a policy.

        Args:
            models: lines of TOML by the name of the model; without a source, the model is a small network.
            head: lines before the models.
        """
        lines = [head]
        for name, body in models.items():
            lines.append(f"[models.{json.dumps(name)}]" if name == MODEL else f"[models.{name}]")
            lines.append("" if "source" in body else 'source = "my net.py:Net"\ninputs = ["1,8,8,8"]')
            lines.append(body)
        path = self.folder / "mbanalyze.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return load(path)

    def check(self, before: dict[str, str], after: dict[str, str], head: str = "") -> Outcome:
        """Accept the models `before`, and check the models `after`."""
        guard.update(self.policy(before))
        return guard.check(self.policy(after, head))


def hostile(bias: bool) -> dict[str, str]:
    """Return a model whose name, and whose layers' names, are markup in some format."""
    options = "true" if bias else "false"
    return {MODEL: f'source = "my net.py:Hostile"\ninputs = ["1,3,4,4"]\noptions = {{ bias = {options} }}'}


def damaged(project: Project) -> Outcome:
    """Return the outcome of a lock without its last characters."""
    policy = project.policy({"small": ""})
    policy.lock.write_text(policy.lock.read_text(encoding="utf-8")[:-10], encoding="utf-8")
    return guard.check(policy)


BIAS = "options = { bias = true }"
OUTCOMES = {
    "ok": lambda p: p.check({"small": ""}, {"small": ""}),
    "worse": lambda p: p.check({"small": ""}, {"small": BIAS}),
    "over budget": lambda p: p.check({"small": ""}, {"small": 'budget = { macs = "1 k" }'}),
    "layer over budget": lambda p: p.check(
        {"small": ""}, {"small": 'layers = { "*.pw" = { budget = { params = 60 } } }'}
    ),
    "missing from lock": lambda p: p.check({"small": ""}, {"small": "", "other": ""}),
    "gone": lambda p: p.check({"small": "", "other": ""}, {"small": ""}),
    "not comparable": lambda p: p.check({"small": ""}, {"small": 'dtype = "float16"'}),
    "could not measure": lambda p: p.check(
        {"small": "", "other": ""},
        {"small": BIAS, "other": 'source = "my net.py:broken"\ninputs = ["1,3,4,4"]'},
    ),
    "better": lambda p: p.check({"small": BIAS}, {"small": ""}),
    "strict": lambda p: p.check({"small": BIAS}, {"small": ""}, "strict = true"),
    "warning": lambda p: p.check({"small": ""}, {"small": BIAS}, 'level = "warn"'),
    "hostile": lambda p: p.check(hostile(False), hostile(True)),
    "damaged": damaged,
}


def spelled(text: str) -> str:
    """Return a name with its unprintable characters escaped."""
    return text.replace("\n", "\\n").replace("\x07", "\\x07")
