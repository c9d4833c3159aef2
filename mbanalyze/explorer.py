"""`explore`: widgets for the options of a network, above its costs as a table and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from mbanalyze.archs import ARCHS
from mbanalyze.archs.builder import ShapeError
from mbanalyze.archs.options import OptionError, describe
from mbanalyze.comparison.comparison import Comparison, compare
from mbanalyze.comparison.view import TOTAL_NAMES, shown_totals
from mbanalyze.display.html import html, notes
from mbanalyze.display.records import shape
from mbanalyze.display.views import Column, Section, View, words
from mbanalyze.inputs.choices import nearest, nearest_are
from mbanalyze.inputs.resolution import as_resolution, spell_resolution
from mbanalyze.report.network import Report
from mbanalyze.report.pictures import pictures
from mbanalyze.sources.resolve import count

ALPHAS = tuple(twentieths / 20 for twentieths in range(2, 41))
"""The values of the alpha widget, if the architecture allows any alpha."""
SIDES = {"min": 32, "max": 640}
"""The range of the height and width widgets, in pixels."""
MOST = 1024
"""The largest batch and the largest number of channels."""
CHANNELS = 3
"""The channels of the input at first."""


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
        near = nearest_are(nearest(architecture, ARCHS)) or f"known are {', '.join(ARCHS)}"
        raise ExploreError(f"no architecture {architecture!r}: {near}")
    return Explorer(architecture)


class Explorer:
    """Widgets for the options of an architecture, and the cost of the chosen variant in closed form.

    Attributes:
        network, alpha, groups, height, width, square, batch, channels: the widgets; set `value` to change
            an option. While `square` is True, height and width are equal.
        pin, unpin: buttons that keep the shown variant as the reference, and drop it.
        status, changes, table, pictures, comparison: widgets with the costs, in this order.
        report: the report of the variant; None if the options make no network.
        pinned: the report to compare with; None without one.
    """

    def __init__(self, architecture: str) -> None:
        self.report: Report | None = None
        self.pinned: Report | None = None
        self._setting = False
        self._make_widgets(_ipywidgets(), architecture)
        start = _declared(architecture)
        self.height.value = self.width.value = start["resolution"]["default"]
        self._wanted_alpha, self._wanted_size = 1.0, (self.height.value, self.width.value)
        self._change_network()
        self.network.observe(self._change_network, "value")
        for widget in (
            self.alpha,
            self.groups,
            self.height,
            self.width,
            self.square,
            self.batch,
            self.channels,
        ):
            widget.observe(self._change_option, "value")
        self.pin.on_click(lambda _: self._keep(self.report))
        self.unpin.on_click(lambda _: self._keep(None))

    def _make_widgets(self, widgets: ModuleType, architecture: str) -> None:
        wide = {"style": {"description_width": "6em"}, "layout": {"width": "26em"}}
        short = {"style": {"description_width": "6em"}, "layout": {"width": "12.5em"}}
        self.network = widgets.Dropdown(
            options=list(ARCHS), value=architecture, description="network", **wide
        )
        self.groups = widgets.Dropdown(description="groups", **wide)
        self.alpha = widgets.SelectionSlider(options=ALPHAS, value=1.0, description="alpha", **wide)
        self.height = widgets.IntSlider(description="height", **SIDES, **wide)
        self.width = widgets.IntSlider(description="width", **SIDES, **wide)
        self.square = widgets.Checkbox(
            value=True, description="square", indent=False, layout={"width": "6em"}
        )
        self.batch = widgets.BoundedIntText(1, min=1, max=MOST, description="batch", **short)
        self.channels = widgets.BoundedIntText(CHANNELS, min=1, max=MOST, description="channels", **short)
        self.pin = widgets.Button(description="pin", tooltip="Compare other variants with this one")
        self.unpin = widgets.Button(description="unpin", tooltip="Stop comparing")
        self.status, self.changes, self.table = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.pictures, self.comparison = widgets.HTML(), widgets.HTML()
        rows = (
            (self.network, self.groups),
            (self.alpha, self.batch, self.channels),
            (self.height, self.width, self.square),
            (self.pin, self.unpin),
        )
        wrapped = {"layout": {"flex_flow": "row wrap"}}
        self._box = widgets.VBox([*(widgets.HBox(row, **wrapped) for row in rows), *self._outputs])

    @property
    def _outputs(self) -> tuple[Any, ...]:
        return self.status, self.changes, self.table, self.pictures, self.comparison

    @property
    def options(self) -> dict[str, Any]:
        """The chosen values of the options that the architecture has; batch and channels unless they are the usual ones."""
        chosen = {"alpha": self.alpha, "groups": self.groups}
        extra = {"batch": (self.batch.value, 1), "in_channels": (self.channels.value, CHANNELS)}
        return {
            **{name: widget.value for name, widget in chosen.items() if not widget.disabled},
            "resolution": as_resolution((self.height.value, self.width.value)),
            **{name: value for name, (value, usual) in extra.items() if value != usual},
        }

    def _repr_mimebundle_(self, **settings: Any) -> Any:
        """The widgets, with the table and pictures as HTML for viewers without widgets."""
        static = {"text/html": "".join(widget.value for widget in self._outputs)}
        return self._box._repr_mimebundle_(**settings) | static

    @contextmanager
    def _set(self) -> Iterator[None]:
        """Set several widgets with a single update at the end."""
        self._setting = True
        try:
            yield
        finally:
            self._setting = False
        self._update()

    def _change_network(self, _: object = None) -> None:
        """Set the widgets to the wanted values, or to the nearest that the network allows."""
        declared = _declared(self.network.value)
        with self._set():
            _set_choices(self.alpha, declared.get("alpha"), self._wanted_alpha, ALPHAS)
            groups = declared.get("groups")
            _set_choices(self.groups, groups, groups["default"] if groups else 0)
            self.height.value, self.width.value = self._wanted_size
            for side in range(min(self._wanted_size), SIDES["max"] + 1):
                self.height.value, self.width.value = (max(side, wanted) for wanted in self._wanted_size)
                if not isinstance(self._count(), ShapeError):
                    break

    def _change_option(self, change: Any) -> None:
        """Remember the values that the user wants, and show their costs."""
        if self._setting:
            return
        changed = change["owner"]
        with self._set():
            if changed in (self.height, self.width, self.square):
                if self.square.value:
                    side = self.width if changed is self.width else self.height
                    self.height.value = self.width.value = side.value
                self._wanted_size = self.height.value, self.width.value
            if changed is self.alpha:
                self._wanted_alpha = self.alpha.value

    def _keep(self, report: Report | None) -> None:
        self.pinned = report
        self._update()

    def _count(self) -> Report | Exception:
        try:
            return count(self.network.value, **self.options)
        except (OptionError, ShapeError) as error:
            return error

    def _update(self) -> None:
        """Show the costs of the variant, or the error that it raises."""
        counted = self._count()
        self.report = counted if isinstance(counted, Report) else None
        self.status.value = notes(lines) if (lines := list(self._adjusted())) else ""
        if self.report:
            self.table.value = self.report.by("kind")._repr_html_()
            self.pictures.value = pictures(self.report)
        else:
            self.table.value, self.pictures.value = notes([str(counted)]), ""
        both = compare(self.pinned, self.report) if self.pinned and self.report else None
        self.changes.value = _changes(both) if both else ""
        self.comparison.value = both._repr_html_() if both else ""
        self.pin.disabled, self.unpin.disabled = self.report is None, self.pinned is None

    def _adjusted(self) -> Iterator[str]:
        """The wanted values that the network does not allow, and its default resolution."""
        name, alpha, size = self.network.value, self._wanted_alpha, self._wanted_size
        if self.alpha.disabled and alpha != 1:
            yield f"{name} has no alpha"
        elif not self.alpha.disabled and self.alpha.value != alpha:
            yield f"{name} has no alpha {alpha:g}: {self.alpha.value:g} is the nearest"
        shown, wanted = (
            spell_resolution(as_resolution(each)) for each in ((self.height.value, self.width.value), size)
        )
        if shown != wanted:
            yield f"{wanted} pixels are too few for {name}: {shown} is the nearest size"
        default = _declared(name)["resolution"]["default"]
        if shown != default and self.report:
            yield f"the default resolution of {name} is {default}"


def _ipywidgets() -> ModuleType:
    try:
        import ipywidgets
    except ImportError as error:
        raise ExploreError("explore needs ipywidgets: pip install 'mbanalyze[notebook]'") from error
    return ipywidgets  # type: ignore[no-any-return]


def _declared(architecture: str) -> dict[str, dict[str, Any]]:
    """The options of an architecture by name."""
    return {option["name"]: option for option in describe(ARCHS[architecture])}


def _set_choices(
    widget: Any, option: dict[str, Any] | None, wanted: float, default: Iterable[float] = ()
) -> None:
    """Set a widget to the choice nearest to `wanted`: one of `option`, or of `default`; disable it without an option."""
    widget.disabled = option is None
    values = (option["choices"] or default) if option else ()
    widget.options = [(f"{value:g}", value) for value in values] or [("none", 0)]
    widget.value = min(values, key=lambda value: (abs(value - wanted), value)) if option else 0


def _changes(comparison: Comparison) -> str:
    """The change of each total as a table."""
    names = [name for name in shown_totals(comparison) if name != "arithmetic_intensity"]
    changes = [comparison.changes(name)[1] for name in names]
    ratios = [comparison.ratios[1][name] for name in names]
    pinned, shown = (
        f"{label}, input {' '.join(map(shape, report.input))}"
        for label, report in zip(comparison.labels, comparison.reports, strict=True)
    )
    columns = (
        words("total", [TOTAL_NAMES[name] for name in names]),
        Column("change", ["?" if change is None else f"{change:+,}" for change in changes]),
        Column("in per cent", ["?" if ratio is None else f"{100 * (ratio - 1):+.1f} %" for ratio in ratios]),
    )
    labels = (f"pinned: {pinned}", f"shown: {shown}")
    return html(View((Section("Change from the pinned network", columns, notes=labels),)))
