"""The packages of the extra `mbanalyze[train]`."""

from __future__ import annotations

import importlib
from types import ModuleType

from mbanalyze.sources.references import summarize, without_image_warning
from mbanalyze.training.data_names import DataError

_PROJECTS = {"sklearn": "scikit-learn"}


def import_extra(name: str) -> ModuleType:
    """Import a module of a package that data sets need.

    Raises:
        DataError: the package is not installed, or its import fails.
    """
    package = name.partition(".")[0]
    project = _PROJECTS.get(package, package)
    try:
        with without_image_warning():
            importlib.import_module(package)
            return importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            raise DataError(f"{project} is not installed: pip install 'mbanalyze[train]'") from error
        raise DataError(f"cannot import {project}: {summarize(error)}") from error
