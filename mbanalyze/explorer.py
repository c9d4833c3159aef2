"""Widgets that turn a network's options, and the table and pictures that follow at once: `mbanalyze.explore`."""

from __future__ import annotations

import difflib
from types import ModuleType
from typing import Any

from mbanalyze.archs import ARCHS
from mbanalyze.archs.builder import ShapeError
from mbanalyze.archs.options import OptionError, describe
from mbanalyze.display.html import notes
from mbanalyze.report.network import Report
from mbanalyze.report.pictures import pictures
from mbanalyze.sources.resolve import count

ALPHAS = tuple(twentieths / 20 for twentieths in range(2, 41))
"""What alpha can be turned to where an architecture takes any."""
SIZES = (32, 640)
"""The least and the largest resolution that can be chosen."""


class ExploreError(LookupError):
    """No such architecture, or no package to draw widgets with."""


def explore(architecture: str = "mobilenet_v2") -> Explorer:
    """An explorer of the known architectures, to be shown in a notebook.

    Args:
        architecture: the one to begin with.

    Raises:
        ExploreError: there is no such architecture, or ipywidgets is not installed.
    """
    if architecture not in ARCHS:
        near = ", ".join(difflib.get_close_matches(str(architecture), ARCHS)) or ", ".join(ARCHS)
        raise ExploreError(f"no architecture {architecture!r}: nearest are {near}")
    return Explorer(architecture)


class Explorer:
    """Widgets for the options of an architecture, and what the variant costs in closed form.

    Attributes:
        family, alpha, resolution, groups: the widgets; whoever sets their `value` turns them.
        table, pictures: what they lead to, in a widget each.
        report: the variant's report; None where the options make no network.
    """

    def __init__(self, architecture: str) -> None:
        widgets = _ipywidgets()
        wide = {"style": {"description_width": "6em"}, "layout": {"width": "26em"}}
        self.report: Report | None = None
        self.family = widgets.Dropdown(options=list(ARCHS), value=architecture, description="family", **wide)
        self.alpha = widgets.SelectionSlider(options=ALPHAS, value=1.0, description="alpha", **wide)
        self.resolution = widgets.IntSlider(min=SIZES[0], max=SIZES[1], description="resolution", **wide)
        self.groups = widgets.Dropdown(description="groups", **wide)
        self.table = widgets.HTML()
        self.pictures = widgets.HTML()
        rows = ((self.family, self.groups), (self.alpha, self.resolution))
        self._box = widgets.VBox([*map(widgets.HBox, rows), self.table, self.pictures])
        self._turning = False
        self._begin()
        self.family.observe(self._begin, "value")
        for widget in (self.alpha, self.resolution, self.groups):
            widget.observe(self._update, "value")

    @property
    def options(self) -> dict[str, Any]:
        """The options that are chosen, of those that the architecture has."""
        chosen = {"alpha": self.alpha, "resolution": self.resolution, "groups": self.groups}
        return {name: widget.value for name, widget in chosen.items() if not widget.disabled}

    def _repr_mimebundle_(self, **settings: Any) -> Any:
        """The widgets; where nothing draws them, the table and pictures as they are."""
        still = {"text/html": self.table.value + self.pictures.value}
        return self._box._repr_mimebundle_(**settings) | still

    def _begin(self, _: object = None) -> None:
        """Offer the options of the family, at their defaults."""
        own = {option["name"]: option for option in describe(ARCHS[self.family.value])}
        self._turning = True
        _offer(self.alpha, own.get("alpha"), ALPHAS)
        _offer(self.groups, own.get("groups"))
        self.resolution.value = own["resolution"]["default"]
        self._turning = False
        self._update()

    def _update(self, _: object = None) -> None:
        """Count the variant and show it, or why it is none."""
        if self._turning:
            return
        try:
            self.report = count(self.family.value, **self.options)
        except (OptionError, ShapeError) as error:
            self.report = None
            self.table.value = notes([str(error)])
            self.pictures.value = ""
            return
        self.table.value = self.report.by("kind")._repr_html_()
        self.pictures.value = pictures(self.report)


def _ipywidgets() -> ModuleType:
    try:
        import ipywidgets
    except ImportError as error:
        raise ExploreError("explore needs ipywidgets: pip install 'mbanalyze[notebook]'") from error
    return ipywidgets  # type: ignore[no-any-return]


def _offer(widget: Any, option: dict[str, Any] | None, otherwise: tuple[float, ...] = ()) -> None:
    """Let `widget` choose among the values of `option`, or nothing where there is none."""
    widget.disabled = option is None
    values = (option["choices"] or otherwise) if option else ()
    widget.options = [(f"{value:g}", value) for value in values] or [("none", 0)]
    widget.value = option["default"] if option else 0
