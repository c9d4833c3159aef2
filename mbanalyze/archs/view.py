"""The view of the catalog: a table of options for each architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mbanalyze.archs.catalog import Catalog
from mbanalyze.display.result import view
from mbanalyze.display.views import Section, View, words


@view.register
def catalog_view(catalog: Catalog) -> View:
    """Lay out the catalog."""
    return View(tuple(map(_section, catalog.as_dict()["models"])))


def _section(model: Mapping[str, Any]) -> Section:
    options = model["options"]
    values = [option["choices"] or (option["type"],) for option in options]
    return Section(
        f"{model['name']}  {model['paper']}",
        (
            words("option", [option["name"] for option in options]),
            words("default", [str(option["default"]) for option in options]),
            words("values", ["|".join(map(str, allowed)) for allowed in values]),
            words("meaning", [option["help"] for option in options], wrap=True),
        ),
    )
