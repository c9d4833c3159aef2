"""A small project with a guarded network, in a folder of a test."""

from __future__ import annotations

import subprocess
from pathlib import Path

NET = """
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, c, out, stride=1, expansion=4):
        super().__init__()
        wide = expansion * c
        self.expand = nn.Conv2d(c, wide, 1, bias=False)
        self.filter = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False)
        self.project = nn.Conv2d(wide, out, 1, bias=False)

    def forward(self, x):
        return self.project(functional.relu(self.filter(functional.relu(self.expand(x)))))


class Net(nn.Module):
    def __init__(self, alpha=1.0, size=32):
        super().__init__()
        c = round(16 * alpha)
        self.size = size
        self.stem = nn.Conv2d(3, c, 3, 2, 1, bias=False)
        self.blocks = nn.Sequential(
            Block(c, c),
            Block(c, c, expansion=5),
            Block(c, 2 * c, 2),
        )
        self.head = nn.Linear(2 * c, 10)

    def forward(self, x):
        x = functional.interpolate(x, (self.size, self.size))
        x = self.blocks(self.stem(x))
        return self.head(x.mean((2, 3)))


def build(alpha=1.0):
    return Net(alpha)
"""

POLICY = """
[tool.mbanalyze.models.small]
source = "net.py:build"
inputs = ["1,3,64,64"]
"""


def write_project(folder: Path, policy: str = POLICY, net: str = NET) -> Path:
    """A policy and a network."""
    (folder / "pyproject.toml").write_text(policy)
    (folder / "net.py").write_text(net)
    return folder


def edit(file: Path, *changes: tuple[str, str]) -> None:
    """Replace text that is there, once or more."""
    text = file.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text)


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder."""
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def repository(folder: Path) -> Path:
    """A folder's files as the first commit of a repository, on `main`."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")
    return folder
