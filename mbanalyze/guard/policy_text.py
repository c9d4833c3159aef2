"""The text of a policy: a TOML table for each model."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from itertools import chain, count
from pathlib import Path, PurePath
from typing import Any

from mbanalyze.guard import policy_file
from mbanalyze.guard.limits import is_bytes
from mbanalyze.guard.policy import Policy, PolicyError
from mbanalyze.inputs.parsing import split_reference
from mbanalyze.model_files.file_formats import MODEL_SUFFIXES, suffix_of

GENERIC = (
    "build",
    "build_model",
    "create",
    "create_model",
    "get_model",
    "main",
    "make",
    "make_model",
    "model",
)
"""Names of factories that tell less about a model than the name of their file."""
DIGITS = 4
"""The significant digits of a budget with headroom."""


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model to add to a policy.

    Attributes:
        name: name in the policy.
        source: model reference with its options.
        inputs: inputs as text.
        budget: largest value of each limited total.
    """

    name: str
    source: str
    inputs: tuple[str, ...] = ()
    budget: Mapping[str, int] = field(default_factory=dict)


def choose_name(source: str, taken: Collection[str]) -> str:
    """Return a name for a model that is not taken: that of its factory, its file, the reference, or a number.

    >>> choose_name("models/net.py:build", ()), choose_name("torchvision:resnet18", ()), choose_name("net.onnx", ())
    ('net', 'resnet18', 'net')
    """
    reference, _ = split_reference(source)
    place, _, factory = reference.rpartition(":")
    if suffix_of(reference) in MODEL_SUFFIXES:
        place, factory = "", PurePath(reference).stem
    stem = PurePath(place).stem if place.endswith(".py") else place.rpartition(".")[2]
    first = stem if factory in GENERIC and stem else factory
    names = [first, *([f"{stem}_{factory}"] if stem else []), source]
    return next(name for name in chain(names, (f"{first}_{i}" for i in count(2))) if name not in taken)


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy file before models are added.

    Attributes:
        path: file.
        content: its bytes.
        values: its values.
    """

    path: Path
    content: bytes = b""
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> PolicyText:
        """Return the content of a file, empty if it does not exist.

        Raises:
            PolicyError: the file cannot be read, or is not valid TOML.
        """
        if not path.exists():
            return cls(path)
        _, values = policy_file.parse(path)
        return cls(path, path.read_bytes(), values)

    @property
    def names(self) -> Collection[str]:
        """The names of the guarded models."""
        policy = policy_file.tables(self.values)
        models = policy.get("models") if isinstance(policy, Mapping) else None
        return models if isinstance(models, Mapping) else ()

    def policy_with(self, models: Sequence[NewModel]) -> Policy | None:
        """Return the policy with models added; None if the file has closed the table that they belong to.

        Raises:
            PolicyError: the policy has mistakes.
        """
        text = (self.content + self.addition(models).encode()).decode("utf-8-sig")
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            return None
        return policy_file.loads(self.path, text)

    def addition(self, models: Sequence[NewModel]) -> str:
        """Return the lines that add models at the end of the file."""
        bare = self.path.name != "pyproject.toml" and "tool" not in self.values
        tables = "\n".join(model_table(model, "" if bare else "tool.mbanalyze.") for model in models)
        gap = "" if not self.content else "\n" if self.content.endswith(b"\n") else "\n\n"
        return (gap + tables).replace("\n", "\r\n" if b"\r\n" in self.content else "\n")


def model_table(model: NewModel, prefix: str) -> str:
    """Return the lines of a model.

    Raises:
        PolicyError: a text has no UTF-8.
    """
    lines = [f"[{prefix}models.{_key(model.name)}]", f"source = {_string(model.source)}"]
    if model.inputs:
        lines.append(f"inputs = [{', '.join(map(_string, model.inputs))}]")
    if model.budget:
        limits = ", ".join(f"{metric} = {_amount(limit, metric)}" for metric, limit in model.budget.items())
        lines.append(f"budget = {{ {limits} }}")
    return "".join(f"{line}\n" for line in lines)


def round_up(total: int, headroom: Decimal) -> int:
    """Return a total plus a headroom in per cent; rounded up to `DIGITS` significant digits if there is any.

    >>> round_up(1_424_896, Decimal(5)), round_up(1_424_896, Decimal(0)), round_up(0, Decimal(5))
    (1497000, 1424896, 0)
    """
    if not headroom:
        return total
    limit = int((total * (1 + headroom / 100)).to_integral_value(ROUND_CEILING))
    unit: int = 10 ** max(len(str(limit)) - DIGITS, 0)
    return -(-limit // unit) * unit


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _string(name)


def _string(text: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PolicyError(f"{text!r} cannot be written as UTF-8") from error
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _amount(limit: int, metric: str) -> str:
    """A limit as a policy states it: '"1.497 M"' if that is exact in `DIGITS` digits, else '1_424_896'."""
    power = min((len(str(limit)) - 1) // 3, 4)
    text = f"{Decimal(limit) / 1000**power:f}"
    short = text.rstrip("0").rstrip(".") if "." in text else text
    if power and len(short.replace(".", "")) <= DIGITS:
        return _string(f"{short} {' kMGT'[power]}{'B' if is_bytes(metric) else ''}")
    return f"{limit:_}"
