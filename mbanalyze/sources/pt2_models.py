"""Models that arrive as programs of `torch.export`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbanalyze.model_files.pt2_file.read_pt2 import read_pt2
from mbanalyze.sources.building import Built
from mbanalyze.sources.file_models import open_sizes
from mbanalyze.sources.forward_inputs import valid_inputs
from mbanalyze.sources.resolved_model import ResolvedModel


def resolve_pt2(
    name: str, options: Mapping[str, Any], inputs: tuple[Any, ...], keywords: Mapping[str, Any]
) -> ResolvedModel:
    """Read a file of `torch.export.save`, and return its program as a model with the inputs of the file.

    Raises:
        ModelFileError: the file cannot be read.
        OptionError, InputError: as `open_sizes`, or an input does not fit the file.
    """
    batch, resolution = open_sizes(name, options)
    program = read_pt2(Path(name))
    args, kwargs = program.inputs.arguments(
        valid_inputs(inputs, keywords),
        keywords,
        batch=batch,
        resolution=resolution,
    )

    @functools.cache
    def build(filled: bool) -> Built:
        from mbanalyze.model_files.pt2_file.exported_module import exported_module

        return Built(exported_module(program, has_values=filled))

    return ResolvedModel(name, options, args, build, None, kwargs)
