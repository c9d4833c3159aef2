"""The references that name model files, and the reasons why files of other formats are refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType

ONNX, PT2 = ".onnx", ".pt2"

MODEL_SUFFIXES = (ONNX, PT2)
"""The suffixes of the files that can be counted."""

_RUNS_CODE = "it is a pickle, which can run any code when it is read"
_ONLY_WEIGHTS = "it holds weights, and no operators"
_OTHER_TOOL = "it is a file of another framework"
_EXPORT = "export the model with torch.export.save (.pt2) or torch.onnx.export (.onnx)"

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin"), _RUNS_CODE),
        **dict.fromkeys((".safetensors", ".npz", ".gguf"), _ONLY_WEIGHTS),
        **dict.fromkeys((".tflite", ".h5", ".keras", ".pb", ".mlmodel", ".engine"), _OTHER_TOOL),
    }
)
"""The suffixes of files that are not read, and why."""


def suffix_of(reference: str) -> str:
    """Return the suffix of a file's name in small letters: `.onnx`; "" without one."""
    return PurePath(reference).suffix.lower()


def refusal(reference: str) -> str | None:
    """Return why a file of this name is not read, and what to do instead; None for other names."""
    reason = REFUSED.get(suffix_of(reference))
    return None if reason is None else f"{reference} is not read, because {reason}: {_EXPORT}"


def other_content(start: bytes, suffix: str) -> str | None:
    """Return why a file with the suffix `.onnx` or `.pt2` is not read, by its first bytes; None if they fit."""
    is_zip = start.startswith(b"PK")
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return f"is not read, because {_RUNS_CODE}: {_EXPORT}"
    if suffix == ONNX and is_zip:
        return "is a zip archive and no file of ONNX: if torch.export.save wrote it, its name ends in .pt2"
    if suffix == PT2 and not is_zip:
        return "is no file of torch.export.save, which writes a zip archive: a file of ONNX has a name ending in .onnx"
    return None
