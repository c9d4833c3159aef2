"""Files of `torch.export.save` that tests write, and copies of them with changes."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

Edit = Callable[[dict[str, Any]], object]
"""A function that changes the program of a file."""

OLDER_PROGRAM = "serialized_exported_program.json"
"""The program in the layout of PyTorch 2.5 to 2.7."""


def saved(path: Path, module: nn.Module, *args: Any, strict: bool = False, **settings: Any) -> Path:
    """Export a module to a file; `strict` is the way that was the default up to PyTorch 2.7."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module.eval(), args, strict=strict, **settings), path)
    return path


def entries(file: Path) -> dict[str, bytes]:
    """The content of an archive, by name."""
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(file: Path, content: dict[str, bytes]) -> Path:
    """Write an archive."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return file


def program_of(content: dict[str, bytes]) -> str:
    """The name of the entry of a program."""
    (name,) = (name for name in content if name == OLDER_PROGRAM or "/models/" in name)
    return name


def edited(source: Path, target: Path, edit: Edit) -> Path:
    """Write a copy of a file whose program is changed."""
    content = entries(source)
    name = program_of(content)
    program = json.loads(content[name])
    edit(program)
    return written(target, {**content, name: json.dumps(program).encode()})


def in_older_layout(source: Path, target: Path, module: nn.Module) -> Path:
    """Write a copy of a module's file in the layout of PyTorch 2.5 to 2.7, whose weights are archives of `torch.save`."""
    content = entries(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        constants = dict(torch.export.load(source).constants)
    older = {OLDER_PROGRAM: content[program_of(content)], "version": b"8.7"}
    for name, tensors in (("state_dict", module.state_dict(keep_vars=True)), ("constants", constants)):
        older[f"serialized_{name}.pt"] = saved_values(tensors)
    return written(target, older)


def in_layout_of_2_8(older: Path, target: Path) -> Path:
    """Write a copy of a file of the older layout in that of PyTorch 2.8: the same entries with other names."""
    names = {
        OLDER_PROGRAM: "models/model.json",
        "serialized_state_dict.pt": "data/weights/model.pt",
        "serialized_constants.pt": "data/constants/model.pt",
        "version": "archive_version",
    }
    return written(target, {f"net/{names[name]}": data for name, data in entries(older).items()})


def saved_values(values: Any) -> bytes:
    """The content of a file of `torch.save`."""
    content = io.BytesIO()
    torch.save(values, content)
    return content.getvalue()
