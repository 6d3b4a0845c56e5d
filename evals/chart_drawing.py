"""Chart drawing: colours and markers of systems, panels, axes, curves, legends and labels, with matplotlib.

The colours are distinguishable with red-green colour blindness, and every system also has its own marker and line style.
Hollow markers are systems that are given the evidence. Vertical bars are 95 % intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .conditions import Condition, lags_of, ours_of, systems_of
from .curves import ORACLE_SYSTEMS, MeasuredSystem, chance_level, pareto_front
from .label_placement import POSITIONS, PixelBox, best_position, spread
from .records import LAGS
from .statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHART_STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
}
_OUR_COLOUR = "#D55E00"
_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
"""The colours of the other systems: those of Okabe and Ito without ours, and without yellow, which is weak on white."""
_MARKERS = ("s", "^", "D", "v", "P", "X", "p")
"""One more than there are colours, so that the first 42 systems differ in colour or marker."""
_LINES = ("-", "--", "-.", ":")
GREY = "#8A8A8A"
CHANCE_LABEL = "by guessing"
LABEL_POINTS = 8.0
"""The font size of labels, in points of 1/72 inch."""


@dataclass(frozen=True)
class LineStyle:
    """How a system, or a memory, is drawn."""

    colour: str
    marker: str
    line: str
    is_ours: bool = False
    is_hollow: bool = False

    @property
    def plot_options(self) -> dict[str, Any]:
        """The options of matplotlib's ``plot``."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "markerfacecolor": "white" if self.is_hollow else self.colour,
            "linestyle": self.line,
            "linewidth": 2.4 if self.is_ours else 0.9,
            "markersize": 6.0 if self.is_ours else 4.0,
            "zorder": 5 if self.is_ours else 3,
        }

    @property
    def font_weight(self) -> str:
        """The weight of the font of its label."""
        return "bold" if self.is_ours else "normal"


CHANCE_STYLE = LineStyle(GREY, "", ":")


def system_styles(conditions: Sequence[Condition]) -> dict[str, LineStyle]:
    """The style of each system, which is the same in every chart."""
    ours, systems = ours_of(conditions), systems_of(conditions)
    baselines = [system for system in systems if system != ours]
    styles = {ours: LineStyle(_OUR_COLOUR, "o", "-", is_ours=True)}
    for number, system in enumerate(baselines):
        colour, marker, line = (options[number % len(options)] for options in (_COLOURS, _MARKERS, _LINES))
        styles[system] = LineStyle(colour, marker, line, is_hollow=system in ORACLE_SYSTEMS)
    return {system: styles[system] for system in systems}


def memory_style(number: int, count: int) -> LineStyle:
    """The style of the memory ``number`` of ``count``, from light to dark as memories grow."""
    from matplotlib import colormaps  # noqa: PLC0415
    from matplotlib.colors import to_hex  # noqa: PLC0415

    colour = str(to_hex(colormaps["viridis"](0.8 * (1 - number / max(1, count - 1)))))
    return LineStyle(colour, ("o", *_MARKERS)[number % 8], "-", is_ours=True)


# -- panels and axes ----------------------------------------------------------------------------------


def make_panels(count: int, columns: int, inches: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels of this size (width, height), row by row, with a shared accuracy axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    rows = math.ceil(count / columns)
    figure = Figure(figsize=(inches[0] * columns, inches[1] * rows))
    FigureCanvasAgg(figure)
    spacing = {"wspace": 0.3 / inches[0], "hspace": 0.8 / inches[1]}
    # Saving with a tight bounding box adds the space for the labels around the panels.
    grid = {"left": 0.0, "right": 1.0, "bottom": 0.0, "top": 1.0, **spacing}
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False, gridspec_kw=grid).ravel().tolist()
    for unused in panels[count:]:
        unused.remove()
    return figure, panels[:count]


def finish_axes(panels: Sequence[Axes], columns: int, x_label: str, *, y_label: str = "accuracy") -> None:
    """Label the outer axes, and start the accuracy axis at 0."""
    top = max(float(axes.dataLim.y1) for axes in panels)
    for number, axes in enumerate(panels):
        axes.set_ylim(0.0, min(1.03, 1.08 * top) or 1.0)
        if number % columns == 0:
            axes.set_ylabel(y_label)
        if number + columns >= len(panels):
            axes.set_xlabel(x_label)


def all_lags(conditions: Sequence[Condition]) -> list[str]:
    """The names of ``LAGS`` that occur among the answers of any system."""
    existing = {lag for system in systems_of(conditions) for lag in lags_of(conditions, system)}
    return [name for name, *_ in LAGS if name in existing]


def set_lag_ticks(axes: Axes, lags: Sequence[str]) -> None:
    """One tick for each age of the evidence."""
    axes.set_xticks(range(len(lags)), [_wrapped(lag) for lag in lags])
    axes.set_xlim(-0.4, len(lags) - 0.6)


def _wrapped(lag: str) -> str:
    """The name on two lines if it is long."""
    return lag if len(lag) < 9 else lag.replace("–", "–\n").replace("than ", "than\n")


# -- curves and legends -------------------------------------------------------------------------------


def draw_curve(axes: Axes, xs: Sequence[float], estimates: Sequence[Interval], style: LineStyle) -> None:
    """A line through the estimates, with their intervals as vertical bars."""
    axes.plot(xs, [estimate.value for estimate in estimates], **style.plot_options)
    bars = [(x, estimate) for x, estimate in zip(xs, estimates, strict=True) if estimate.known]
    axes.vlines(
        [x for x, _ in bars],
        [estimate.low for _, estimate in bars],
        [estimate.high for _, estimate in bars],
        color=style.colour,
        linewidth=1.6 if style.is_ours else 0.7,
        zorder=4 if style.is_ours else 2,
    )


def draw_chance_level(axes: Axes, conditions: Sequence[Condition]) -> None:
    """A horizontal line at the score of guessing."""
    axes.axhline(chance_level(conditions), **CHANCE_STYLE.plot_options)


def draw_legend(figure: Figure, styles: dict[str, LineStyle]) -> None:
    """A legend to the right of all panels."""
    from matplotlib.lines import Line2D  # noqa: PLC0415

    lines = [Line2D([], [], label=system, **style.plot_options) for system, style in styles.items()]
    lines.append(Line2D([], [], label=CHANCE_LABEL, **CHANCE_STYLE.plot_options))
    figure.legend(handles=lines, loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=3.2)


def pareto_points(measured: Sequence[MeasuredSystem]) -> list[tuple[float, float]]:
    """Tokens and accuracy of the systems on the Pareto front, in rising order."""
    front = pareto_front(measured)
    return sorted((system.tokens, system.accuracy.value) for system in measured if system.system in front)


# -- labels -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CurveEnd:
    """The last point of a curve."""

    name: str
    x: float
    """Infinite for a line that continues to the edge."""
    accuracy: float
    style: LineStyle
    is_complete: bool = True
    """Whether the curve reaches the right edge. Otherwise a leader line would look like a part of the curve."""


def label_curve_ends(axes: Axes, ends: Sequence[CurveEnd]) -> None:
    """Write the name of each curve to the right of the panel, without overlaps."""
    low, high = axes.get_ylim()
    height_points = 72.0 / axes.figure.dpi * axes.get_window_extent().height
    ends = sorted(ends, key=lambda end: end.accuracy)
    heights = spread(
        [(end.accuracy - low) / (high - low) for end in ends], 1.25 * LABEL_POINTS / height_points
    )
    for end, height in zip(ends, heights, strict=True):
        axes.text(
            1.075,
            height,
            end.name,
            transform=axes.transAxes,
            verticalalignment="center",
            color=end.style.colour,
            fontsize=LABEL_POINTS,
            fontweight=end.style.font_weight,
        )
        axes.plot([1.055], [height], transform=axes.transAxes, clip_on=False, **end.style.plot_options)
        if end.is_complete:
            axes.annotate(
                "",
                (min(end.x, axes.get_xlim()[1]), end.accuracy),
                (1.045, height),
                textcoords="axes fraction",
                annotation_clip=False,
                arrowprops=_leader_line(end.style.colour, (0.5, 0.5)),
            )


def _leader_line(colour: str, anchor: tuple[float, float]) -> dict[str, Any]:
    """A line from a label to what it names. It starts at ``anchor`` of the label, from (0, 0) to (1, 1)."""
    return {
        "arrowstyle": "-",
        "color": colour,
        "linewidth": 0.5,
        "shrinkA": 1,
        "shrinkB": 3,
        "relpos": anchor,
    }


def label_points(axes: Axes, measured: Sequence[MeasuredSystem], styles: dict[str, LineStyle]) -> None:
    """Write the name of each system next to its point, at the position that covers least."""
    from matplotlib.font_manager import FontProperties  # noqa: PLC0415
    from matplotlib.patheffects import withStroke  # noqa: PLC0415

    # Only the canvas that draws pixels knows the width of a text.
    canvas: Any = axes.figure.canvas
    renderer, pixels_per_point = canvas.get_renderer(), axes.figure.dpi / 72.0
    extent = axes.get_window_extent()
    frame = PixelBox(extent.x0, extent.y0, extent.x1, extent.y1)
    obstacles = _obstacles(axes, measured, frame, pixels_per_point)
    # Our system is labelled first, so that it gets the best position.
    for system in sorted(measured, key=lambda system: not styles[system.system].is_ours):
        style = styles[system.system]
        font = FontProperties(size=LABEL_POINTS, weight=style.font_weight)
        width, height, _ = renderer.get_text_width_height_descent(system.system, font, ismath=False)
        point = axes.transData.transform((system.tokens, system.accuracy.value))
        boxes = {position: position.box(point, (width, height), pixels_per_point) for position in POSITIONS}
        position = best_position(boxes, obstacles, frame)
        obstacles.append(boxes[position])
        across, up, distance = position.across, position.up, position.distance_points
        needs_leader = distance > POSITIONS[0].distance_points
        axes.annotate(
            system.system,
            (system.tokens, system.accuracy.value),
            (across * distance, up * distance),
            textcoords="offset points",
            horizontalalignment={1: "left", 0: "center", -1: "right"}[across],
            verticalalignment={1: "bottom", 0: "center", -1: "top"}[up],
            color=style.colour,
            fontproperties=font,
            zorder=6,
            path_effects=[withStroke(linewidth=2.0, foreground="white")],
            arrowprops=_leader_line(style.colour, ((1 - across) / 2, (1 - up) / 2)) if needs_leader else None,
        )


def _obstacles(
    axes: Axes, measured: Sequence[MeasuredSystem], frame: PixelBox, pixels_per_point: float
) -> list[PixelBox]:
    """What labels should not cover: points, interval bars, the chance level and the Pareto front."""

    def to_pixels(tokens: float, accuracy: float) -> tuple[float, float]:
        x, y = axes.transData.transform((tokens, accuracy))
        return x, y

    obstacles: list[PixelBox] = []
    for system in measured:
        accuracy = system.accuracy
        low, high = (accuracy.low, accuracy.high) if accuracy.known else (accuracy.value, accuracy.value)
        x, y = to_pixels(system.tokens, accuracy.value)
        obstacles.append(PixelBox.around(x, y, 4 * pixels_per_point))
        bottom, top = (to_pixels(system.tokens, end)[1] for end in (low, high))
        obstacles.append(PixelBox(x - pixels_per_point, bottom, x + pixels_per_point, top))
    chance_y = to_pixels(0.0, chance_level([measured[0].condition]))[1]
    obstacles.append(
        PixelBox(frame.left, chance_y - pixels_per_point, frame.right, chance_y + pixels_per_point)
    )
    corners = [to_pixels(*corner) for corner in pareto_points(measured)]
    for (x, y), (next_x, next_y) in pairwise(corners):
        obstacles.append(PixelBox(x, y - pixels_per_point, next_x, y + pixels_per_point))
        obstacles.append(PixelBox(next_x - pixels_per_point, y, next_x + pixels_per_point, next_y))
    return obstacles
