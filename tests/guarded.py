"""A small project with a guarded network, and readers of the guard's JSON."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from commandline import Run

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


BUDGETS = POLICY + "budget = {budget}\n"


def write_project(folder: Path, policy: str = POLICY, net: str = NET) -> Path:
    """Write a policy and a network into a folder."""
    (folder / "pyproject.toml").write_text(policy)
    (folder / "net.py").write_text(net)
    return folder


def edit(file: Path, *changes: tuple[str, str]) -> None:
    """Replace text that occurs at least once in a file."""
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return its output."""
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def repository(folder: Path) -> Path:
    """Commit the files of a folder to `main` of a new repository."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


def document_of(run: Run, *arguments: str) -> dict[str, Any]:
    """Run `mbanalyze guard --format json` and return its document."""
    ran = run("guard", *arguments, "--format", "json")
    document: dict[str, Any] = json.loads(ran.out)
    assert document["schema"] == "mbanalyze.guard/1"
    assert document["exit"] == ran.code
    return document


def model_in(document: dict[str, Any], name: str = "small") -> dict[str, Any]:
    """Return one model of a document."""
    (found,) = (each for each in document["models"] if each["name"] == name)
    return found  # type: ignore[no-any-return]


def layers_in(document: dict[str, Any], verdict: str) -> dict[str, set[str]]:
    """Return the changed metrics by path of the layers whose changes have a verdict."""
    found: dict[str, set[str]] = {}
    for change in model_in(document)["changes"]:
        if change["kind"] != "total" and change["verdict"] == verdict:
            found.setdefault(change["path"], set()).add(change["metric"])
    return found


def total_in(document: dict[str, Any], metric: str) -> tuple[int, int] | None:
    """Return a total before and after; None if it did not change."""
    changes = (c for c in model_in(document)["changes"] if (c["kind"], c["metric"]) == ("total", metric))
    return next(((c["before"], c["after"]) for c in changes), None)


def forget_peaks(lock: Path) -> None:
    """Remove the peaks of memory from a lock, as an earlier version wrote it."""
    document = json.loads(lock.read_text(encoding="utf-8"))
    for model in document["models"].values():
        del model["peaks"], model["totals"]["peak_bytes"], model["totals"]["peak_bytes_deployed"]
    lock.write_text(json.dumps(document), encoding="utf-8")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values inside a JSON document, with that of the document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in items for place in places(each, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a JSON document with another value at a path."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy
