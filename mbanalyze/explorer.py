"""`explore`: widgets for the options of a network, above its costs as a table and pictures."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from mbanalyze.archs import ARCHS
from mbanalyze.archs.builder import ShapeError
from mbanalyze.archs.options import OptionError, describe
from mbanalyze.display.html import notes
from mbanalyze.inputs.choices import nearest
from mbanalyze.report.network import Report
from mbanalyze.report.pictures import pictures
from mbanalyze.sources.resolve import count

ALPHAS = tuple(twentieths / 20 for twentieths in range(2, 41))
"""The values of the alpha widget, if the architecture allows any alpha."""
RESOLUTION_RANGE = {"min": 32, "max": 640}
"""The range of the resolution widget, in pixels."""


class ExploreError(LookupError):
    """An unknown architecture, or ipywidgets is not installed."""


def explore(architecture: str = "mobilenet_v2") -> Explorer:
    """Return an explorer of the known architectures; a notebook displays it.

    Args:
        architecture: the architecture to show first.

    Raises:
        ExploreError: the architecture is unknown, or ipywidgets is not installed.
    """
    if architecture not in ARCHS:
        near = ", ".join(nearest(architecture, ARCHS) or ARCHS)
        raise ExploreError(f"no architecture {architecture!r}: nearest are {near}")
    return Explorer(architecture)


class Explorer:
    """Widgets for the options of an architecture, and the cost of the chosen variant in closed form.

    Attributes:
        family, alpha, resolution, groups: the widgets; set `value` to change an option.
        table, pictures: widgets with the costs.
        report: the report of the variant; None if the options make no network.
    """

    def __init__(self, architecture: str) -> None:
        widgets = _ipywidgets()
        wide = {"style": {"description_width": "6em"}, "layout": {"width": "26em"}}
        self.report: Report | None = None
        self.family = widgets.Dropdown(options=list(ARCHS), value=architecture, description="family", **wide)
        self.alpha = widgets.SelectionSlider(options=ALPHAS, value=1.0, description="alpha", **wide)
        self.resolution = widgets.IntSlider(description="resolution", **RESOLUTION_RANGE, **wide)
        self.groups = widgets.Dropdown(description="groups", **wide)
        self.table = widgets.HTML()
        self.pictures = widgets.HTML()
        rows = ((self.family, self.groups), (self.alpha, self.resolution))
        self._box = widgets.VBox([*map(widgets.HBox, rows), self.table, self.pictures])
        self._resetting = False
        self._reset()
        self.family.observe(self._reset, "value")
        for widget in (self.alpha, self.resolution, self.groups):
            widget.observe(self._update, "value")

    @property
    def options(self) -> dict[str, Any]:
        """The chosen values of the options that the architecture has."""
        chosen = {"alpha": self.alpha, "resolution": self.resolution, "groups": self.groups}
        return {name: widget.value for name, widget in chosen.items() if not widget.disabled}

    def _repr_mimebundle_(self, **settings: Any) -> Any:
        """The widgets, with the table and pictures as HTML for viewers without widgets."""
        static = {"text/html": self.table.value + self.pictures.value}
        return self._box._repr_mimebundle_(**settings) | static

    def _reset(self, _: object = None) -> None:
        """Set all widgets to the defaults of the family."""
        declared = {option["name"]: option for option in describe(ARCHS[self.family.value])}
        self._resetting = True
        _set_choices(self.alpha, declared.get("alpha"), ALPHAS)
        _set_choices(self.groups, declared.get("groups"))
        self.resolution.value = declared["resolution"]["default"]
        self._resetting = False
        self._update()

    def _update(self, _: object = None) -> None:
        """Show the costs of the variant, or the error that it raises."""
        if self._resetting:
            return
        try:
            self.report = count(self.family.value, **self.options)
        except (OptionError, ShapeError) as error:
            self.report, self.table.value, self.pictures.value = None, notes([str(error)]), ""
        else:
            self.table.value = self.report.by("kind")._repr_html_()
            self.pictures.value = pictures(self.report)


def _ipywidgets() -> ModuleType:
    try:
        import ipywidgets
    except ImportError as error:
        raise ExploreError("explore needs ipywidgets: pip install 'mbanalyze[notebook]'") from error
    return ipywidgets  # type: ignore[no-any-return]


def _set_choices(widget: Any, option: dict[str, Any] | None, default: tuple[float, ...] = ()) -> None:
    """Set the values of a widget: the choices of `option`, or `default`; disable it without an option."""
    widget.disabled = option is None
    values = (option["choices"] or default) if option else ()
    widget.options = [(f"{value:g}", value) for value in values] or [("none", 0)]
    widget.value = option["default"] if option else 0
