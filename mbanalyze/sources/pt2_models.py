"""Models that arrive as programs of `torch.export`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.resolution import as_resolution
from mbanalyze.inputs.typed import InputError, is_whole
from mbanalyze.model_files.pt2_file.read_pt2 import read_pt2
from mbanalyze.sources.building import Built
from mbanalyze.sources.file_models import require_file
from mbanalyze.sources.forward_inputs import valid_inputs
from mbanalyze.sources.resolved_model import ResolvedModel


def resolve_pt2(
    name: str, options: Mapping[str, Any], inputs: tuple[Any, ...], keywords: Mapping[str, Any]
) -> ResolvedModel:
    """Read a file of `torch.export.save`, and return its program as a model with the inputs of the file.

    Raises:
        ModelFileError: the file cannot be read.
        OptionError: an option is neither `batch` nor `resolution`.
        InputError: an input does not fit the file.
    """
    unknown = next((option for option in options if option not in ("batch", "resolution")), None)
    if unknown is not None:
        raise OptionError(f"{name} is a file and has no option {unknown}: leave it out")
    batch, image = options.get("batch"), options.get("resolution")
    if batch is not None and (not is_whole(batch) or batch < 1):
        raise InputError(f"batch must be a whole number above 0, not {batch!r}")
    require_file(name)
    program = read_pt2(Path(name))
    args, kwargs = program.inputs.arguments(
        valid_inputs(inputs, keywords),
        keywords,
        batch=batch,
        resolution=None if image is None else as_resolution(image),
    )

    @functools.cache
    def build(filled: bool) -> Built:
        from mbanalyze.model_files.pt2_file.exported_module import exported_module

        return Built(exported_module(program, has_values=filled))

    return ResolvedModel(name, options, args, build, None, kwargs)
