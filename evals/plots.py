"""The same as ``curves`` in pictures: accuracy by length of video, by time since the evidence, and by cost.

    plot([read_run(Path("world-10")), read_run(Path("world-1440"))], Path("pictures"))

For the extra ``plots``. Colours are told apart by people who see red and green alike, and every system has a mark and
a line of its own as well. Hollow marks are of what is given the evidence, bars are 95 % intervals. Nothing here
computes a score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from .curves import (
    GIVEN,
    Condition,
    MeasuredSystem,
    chance_of,
    conditions_of,
    front_of,
    lags_of,
    measured,
    name_of_length,
    ours_of,
    systems_of,
)
from .errors import NoMatplotlib
from .records import LAGS
from .report import ReportedRun, ScoredAnswer, mean_of
from .statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
}
_OURS = "#D55E00"
_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
"""Of the others; with ``_OURS`` those of Okabe and Ito, without the yellow, which is lost on white."""
_MARKS = ("s", "^", "D", "v", "P", "X", "p")
"""One more than there are colours: no two of 42 systems share both."""
_LINES = ("-", "--", "-.", ":")
_SOFT = "#8A8A8A"
_GUESSING = "by guessing"
_LABEL_POINTS = 8.0
"""The size of a name in a picture; points are of 1/72 inch."""
_Place = tuple[int, int, float]
"""Where the name of a mark may stand: to the right (1) or left (-1), above (1) or below (-1), how many points away."""
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_PLACES: list[_Place] = [(*side, away) for away in (6.0, 12.0, 20.0, 28.0, 38.0, 50.0) for side in _SIDES]
"""Best first."""
_Box = tuple[float, float, float, float]
"""Left, bottom, right and top of a part of a picture, in pixels."""


@dataclass(frozen=True)
class _Look:
    """How a system, or a memory, is drawn."""

    colour: str
    mark: str
    line: str
    is_ours: bool = False
    is_hollow: bool = False

    @property
    def of_line(self) -> dict[str, Any]:
        """As matplotlib takes it."""
        return {
            "color": self.colour,
            "marker": self.mark,
            "markerfacecolor": "white" if self.is_hollow else self.colour,
            "linestyle": self.line,
            "linewidth": 2.4 if self.is_ours else 0.9,
            "markersize": 6.0 if self.is_ours else 4.0,
            "zorder": 5 if self.is_ours else 3,
        }


_CHANCE = _Look(_SOFT, "", ":")


def plot(runs: Sequence[ReportedRun], folder: Path) -> list[Path]:
    """Draw all that the runs have enough for; tells which files were written.

    ``by-length.png`` is of two lengths or more, ``by-lag.png`` of questions whose evidence is known, ``by-cost.png``
    of systems that take tokens, ``retention.png`` of memories that are not all of one size.

    Raises ``NoMatplotlib`` where matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context  # noqa: PLC0415
    except ImportError:
        raise NoMatplotlib from None
    conditions = conditions_of(runs)
    written = []
    if conditions:
        folder.mkdir(parents=True, exist_ok=True)
    for name, draw in _PICTURES.items():
        with rc_context(_STYLE):
            figure = draw(conditions)
            if figure is not None:
                figure.savefig(folder / name)
                written.append(folder / name)
    return written


# -- the pictures -------------------------------------------------------------------------------------


def _by_length(conditions: Sequence[Condition]) -> Figure | None:
    """One panel for each kind of memory of which there are two lengths."""
    known = [one for one in conditions if one.length_s]
    kinds = list(dict.fromkeys(one.kind for one in known))
    panels = [some for kind in kinds if len(some := [one for one in known if one.kind == kind]) > 1]
    if not panels:
        return None
    looks = _looks(conditions)
    figure, each = _panels(len(panels), 1, (6.0, max(3.8, 0.2 * len(looks) + 1.0)))
    ends: list[list[_End]] = []
    for axes, some in zip(each, panels, strict=True):
        lengths_s = [one.length_s or 1.0 for one in some]
        axes.set_xscale("log")
        axes.set_xticks(lengths_s, [name_of_length(length_s) for length_s in lengths_s])
        axes.minorticks_off()
        _draw_chance(axes, some)
        at_end = [_End(_GUESSING, math.inf, chance_of(some), _CHANCE)]
        for number, (system, look) in enumerate(looks.items()):
            # Side by side, so that no bar hides another.
            aside = 1.0 if look.is_ours else 1.016 ** (number - len(looks) / 2)
            there = [one for one in some if system in one.systems]
            if there:
                found = [mean_of(one.of(system)) for one in there]
                places = [(one.length_s or 1.0) * aside for one in there]
                _draw(axes, places, found, look)
                reaches = there[-1] is some[-1]
                name = system if reaches else f"{system}, to {name_of_length(there[-1].length_s)}"
                at_end.append(_End(name, places[-1], found[-1].value, look, reaches))
        ends.append(at_end)
        axes.set_title(", ".join(part for part in (some[0].apart, some[0].bound) if part))
    _finish(each, 1, "length of video")
    for axes, at_end in zip(each, ends, strict=True):
        _name_ends(axes, at_end)
    return figure


def _by_lag(conditions: Sequence[Condition]) -> Figure | None:
    """One panel for each condition; only ours has bars."""
    panels = [one for one in conditions if _all_lags([one])]
    if not panels:
        return None
    looks, lags, columns = _looks(conditions), _all_lags(panels), min(2, len(panels))
    figure, each = _panels(len(panels), columns, (4.3, 3.0))
    for axes, condition in zip(each, panels, strict=True):
        _draw_chance(axes, [condition])
        for system, look in looks.items():
            there = lags_of([condition], system)
            mean = mean_of if look.is_ours else _bare_mean
            found = [mean(condition.of(system, lag)) for lag in there]
            _draw(axes, [lags.index(lag) for lag in there], found, look)
        axes.set_title(condition.name)
        _name_lags(axes, lags)
    _finish(each, columns, "time since the evidence")
    _legend(figure, looks)
    return figure


def _by_cost(conditions: Sequence[Condition]) -> Figure | None:
    """One panel for each condition, with a line through what none is better than for as little."""
    from matplotlib.ticker import FuncFormatter  # noqa: PLC0415

    found = [[measured(one, system) for system in one.systems] for one in conditions]
    panels = [some for some in found if any(one.tokens for one in some)]
    if not panels:
        return None
    looks, columns = _looks(conditions), min(2, len(panels))
    figure, each = _panels(len(panels), columns, (5.4, 4.0))
    paid = [one.tokens for some in panels for one in some if one.tokens]
    # Nothing is far from little, on an axis of powers of ten.
    least = 10.0 ** math.floor(math.log10(min(paid)))
    for axes, some in zip(each, panels, strict=True):
        axes.set_xscale("symlog", linthresh=least, linscale=0.6)
        axes.set_xlim(-0.2 * least, 5.0 * max(paid))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda tokens, _: f"{tokens:,.0f}"))
        _draw_chance(axes, [some[0].condition])
        best = zip(*_front(some), strict=True)
        axes.plot(*best, drawstyle="steps-post", color=_SOFT, linewidth=0.8, zorder=1)
        for one in some:
            _draw(axes, [one.tokens], [one.accuracy], looks[one.system])
        axes.set_title(some[0].condition.name)
    _finish(each, columns, "tokens a question")
    for number, (axes, some) in enumerate(zip(each, panels, strict=True), start=1):
        _name_marks(axes, some, looks)
        if number % columns == 0 or number == len(each):
            # Where there is room for it.
            axes.text(
                1.01,
                chance_of([some[0].condition]),
                _GUESSING,
                transform=axes.get_yaxis_transform(),
                verticalalignment="center",
                color=_SOFT,
                fontsize=_LABEL_POINTS,
            )
    return figure


def _front(found: Sequence[MeasuredSystem]) -> list[tuple[float, float]]:
    """Tokens and accuracy of what none is better than for as little."""
    front = front_of(found)
    return sorted((one.tokens, one.accuracy.value) for one in found if one.system in front)


def _retention(conditions: Sequence[Condition]) -> Figure | None:
    """One line for each condition."""
    if len({one.taken for one in conditions if one.taken}) < 2:
        return None
    system, lags = ours_of(conditions), _all_lags(conditions)
    there = [one for one in conditions if lags_of([one], system)]
    if not there:
        return None
    figure, (axes,) = _panels(1, 1, (6.0, 3.6))
    _draw_chance(axes, there)
    ends = []
    for number, condition in enumerate(there):
        look = _Look(_shade(number, len(there)), ("o", *_MARKS)[number % 8], "-", is_ours=True)
        mine = lags_of([condition], system)
        found = [mean_of(condition.of(system, lag)) for lag in mine]
        aside = 0.05 * (number - (len(there) - 1) / 2)
        places = [lags.index(lag) + aside for lag in mine]
        _draw(axes, places, found, look)
        reaches = mine[-1] == lags[-1]
        ends.append(_End(condition.name_and_size, places[-1], found[-1].value, look, reaches))
    _name_lags(axes, lags)
    _finish([axes], 1, "time since the evidence", accuracy=f"accuracy of {system}")
    _name_ends(axes, [*ends, _End(_GUESSING, math.inf, chance_of(there), _CHANCE)])
    return figure


_PICTURES: dict[str, Callable[[Sequence[Condition]], Figure | None]] = {
    "by-length.png": _by_length,
    "by-lag.png": _by_lag,
    "by-cost.png": _by_cost,
    "retention.png": _retention,
}


# -- what they are made of ----------------------------------------------------------------------------


def _looks(conditions: Sequence[Condition]) -> dict[str, _Look]:
    """How each system is drawn, in every picture."""
    ours, systems = ours_of(conditions), systems_of(conditions)
    others = [system for system in systems if system != ours]
    looks = {ours: _Look(_OURS, "o", "-", is_ours=True)}
    for number, system in enumerate(others):
        colour, mark, line = (each[number % len(each)] for each in (_COLOURS, _MARKS, _LINES))
        looks[system] = _Look(colour, mark, line, is_hollow=system in GIVEN)
    return {system: looks[system] for system in systems}


def _shade(number: int, of: int) -> str:
    """From light to dark, as memories grow."""
    from matplotlib import colormaps  # noqa: PLC0415
    from matplotlib.colors import to_hex  # noqa: PLC0415

    return str(to_hex(colormaps["viridis"](0.8 * (1 - number / max(1, of - 1)))))


def _panels(count: int, columns: int, inches: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """So many axes of that size, line by line, with one scale of accuracy."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    rows = math.ceil(count / columns)
    figure = Figure(figsize=(inches[0] * columns, inches[1] * rows))
    FigureCanvasAgg(figure)
    between = {"wspace": 0.3 / inches[0], "hspace": 0.8 / inches[1]}
    # What is written around them is added when the picture is saved.
    grid = {"left": 0.0, "right": 1.0, "bottom": 0.0, "top": 1.0, **between}
    each = figure.subplots(rows, columns, sharey=True, squeeze=False, gridspec_kw=grid).ravel().tolist()
    for spare in each[count:]:
        spare.remove()
    return figure, each[:count]


def _draw(axes: Axes, places: Sequence[float], found: Sequence[Interval], look: _Look) -> None:
    """A line through what was measured, with its intervals."""
    axes.plot(places, [one.value for one in found], **look.of_line)
    known = [(place, one) for place, one in zip(places, found, strict=True) if one.known]
    axes.vlines(
        [place for place, _ in known],
        [one.low for _, one in known],
        [one.high for _, one in known],
        color=look.colour,
        linewidth=1.6 if look.is_ours else 0.7,
        zorder=4 if look.is_ours else 2,
    )


def _bare_mean(scored: Sequence[ScoredAnswer]) -> Interval:
    """Without an interval, where bars would hide one another."""
    return Interval(fmean(one.score for one in scored), math.nan, math.nan)


def _draw_chance(axes: Axes, conditions: Sequence[Condition]) -> None:
    axes.axhline(chance_of(conditions), **_CHANCE.of_line)


def _finish(each: Sequence[Axes], columns: int, across: str, *, accuracy: str = "accuracy") -> None:
    """Say what the axes are, and show all from nothing on."""
    top = max(float(axes.dataLim.y1) for axes in each)
    for number, axes in enumerate(each):
        axes.set_ylim(0.0, min(1.03, 1.08 * top) or 1.0)
        if number % columns == 0:
            axes.set_ylabel(accuracy)
        if number + columns >= len(each):
            axes.set_xlabel(across)


def _name_lags(axes: Axes, lags: Sequence[str]) -> None:
    axes.set_xticks(range(len(lags)), [_folded(lag) for lag in lags])
    axes.set_xlim(-0.4, len(lags) - 0.6)


def _folded(lag: str) -> str:
    """In two lines where one is too long for its place."""
    return lag if len(lag) < 9 else lag.replace("–", "–\n").replace("than ", "than\n")


def _all_lags(conditions: Sequence[Condition]) -> list[str]:
    """The ages of evidence that any system was asked about."""
    there = {lag for system in systems_of(conditions) for lag in lags_of(conditions, system)}
    return [name for name, *_ in LAGS if name in there]


# -- names --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _End:
    """The last point of a line."""

    name: str
    place: float
    """Infinite where it goes on to the edge."""
    accuracy: float
    look: _Look
    reaches: bool = True
    """Whether the line goes as far as any: what leads from its end to its name is then not taken for a part of it."""


def _name_ends(axes: Axes, ends: Sequence[_End]) -> None:
    """Write the name of each line beside its end, and none over another."""
    low, high = axes.get_ylim()
    height_points = 72.0 / axes.figure.dpi * axes.get_window_extent().height
    ends = sorted(ends, key=lambda end: end.accuracy)
    heights = spread(
        [(end.accuracy - low) / (high - low) for end in ends], 1.25 * _LABEL_POINTS / height_points
    )
    for end, height in zip(ends, heights, strict=True):
        axes.text(
            1.075,
            height,
            end.name,
            transform=axes.transAxes,
            verticalalignment="center",
            color=end.look.colour,
            fontsize=_LABEL_POINTS,
            fontweight="bold" if end.look.is_ours else "normal",
        )
        axes.plot([1.055], [height], transform=axes.transAxes, clip_on=False, **end.look.of_line)
        if end.reaches:
            axes.annotate(
                "",
                (min(end.place, axes.get_xlim()[1]), end.accuracy),
                (1.045, height),
                textcoords="axes fraction",
                annotation_clip=False,
                arrowprops=_pointer(end.look.colour, (0.5, 0.5)),
            )


def _pointer(colour: str, begin: tuple[float, float]) -> dict[str, Any]:
    """A line to what is named, from that place of the name: (0, 0) is its left lower corner, (1, 1) the other."""
    return {
        "arrowstyle": "-",
        "color": colour,
        "linewidth": 0.5,
        "shrinkA": 1,
        "shrinkB": 3,
        "relpos": begin,
    }


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Heights from 0 to 1 that are as near as can be to those wanted, in rising order, and at least so far apart.

    Where they cannot be, they are as far apart as they can.
    """
    gap = min(gap, 1.0 / max(1, len(wanted) - 1))
    # Without their gaps they only must not fall: runs that do are replaced by their mean.
    runs: list[tuple[float, int]] = []
    for number, height in enumerate(wanted):
        mean, count = height - number * gap, 1
        while runs and runs[-1][0] > mean:
            before, of = runs.pop()
            mean, count = (before * of + mean * count) / (of + count), of + count
        runs.append((mean, count))
    highest = 1.0 - gap * (len(wanted) - 1)
    without = [min(max(mean, 0.0), highest) for mean, count in runs for _ in range(count)]
    return [height + number * gap for number, height in enumerate(without)]


def _name_marks(axes: Axes, found: Sequence[MeasuredSystem], looks: dict[str, _Look]) -> None:
    """Write the name of each mark beside it, where there is most room."""
    from matplotlib.font_manager import FontProperties  # noqa: PLC0415
    from matplotlib.patheffects import withStroke  # noqa: PLC0415

    # Only the canvas that draws pixels knows how wide a text will be.
    canvas: Any = axes.figure.canvas
    renderer, pixels = canvas.get_renderer(), axes.figure.dpi / 72.0
    inside = axes.get_window_extent()
    frame = (inside.x0, inside.y0, inside.x1, inside.y1)
    taken: list[_Box] = []
    for one in found:
        low, high = (one.accuracy.low, one.accuracy.high) if one.accuracy.known else (one.accuracy.value,) * 2
        x, y = axes.transData.transform((one.tokens, one.accuracy.value))
        taken.append((x - 4 * pixels, y - 4 * pixels, x + 4 * pixels, y + 4 * pixels))
        bottom, top = (axes.transData.transform((one.tokens, end))[1] for end in (low, high))
        taken.append((x - pixels, bottom, x + pixels, top))
    chance = axes.transData.transform((0.0, chance_of([found[0].condition])))[1]
    taken.append((inside.x0, chance - pixels, inside.x1, chance + pixels))
    corners = [axes.transData.transform(corner) for corner in _front(found)]
    for (x, y), (next_x, next_y) in pairwise(corners):
        taken.append((x, y - pixels, next_x, y + pixels))
        taken.append((next_x - pixels, y, next_x + pixels, next_y))
    # Ours has the first choice.
    for one in sorted(found, key=lambda one: not looks[one.system].is_ours):
        look = looks[one.system]
        font = FontProperties(size=_LABEL_POINTS, weight="bold" if look.is_ours else "normal")
        wide, tall, _ = renderer.get_text_width_height_descent(one.system, font, ismath=False)
        x, y = axes.transData.transform((one.tokens, one.accuracy.value))
        boxes = {place: _box(place, (x, y), (wide, tall), pixels) for place in _PLACES}
        place, box = min(boxes.items(), key=lambda item: _hidden(item[1], taken, frame))
        taken.append(box)
        across, up, away = place
        pointer = _pointer(look.colour, ((1 - across) / 2, (1 - up) / 2))
        axes.annotate(
            one.system,
            (one.tokens, one.accuracy.value),
            (across * away, up * away),
            textcoords="offset points",
            horizontalalignment={1: "left", 0: "center", -1: "right"}[across],
            verticalalignment={1: "bottom", 0: "center", -1: "top"}[up],
            color=look.colour,
            fontproperties=font,
            zorder=6,
            path_effects=[withStroke(linewidth=2.0, foreground="white")],
            arrowprops=pointer if away > _PLACES[0][2] else None,
        )


def _box(place: _Place, mark: tuple[float, float], size: tuple[float, float], pixels: float) -> _Box:
    """What a name of that size takes at a place by a mark; ``pixels`` are how many a point has."""
    across, up, away = place
    left = mark[0] + across * away * pixels + (across - 1) / 2 * size[0]
    bottom = mark[1] + up * away * pixels + (up - 1) / 2 * size[1]
    return left, bottom, left + size[0], bottom + size[1]


def _hidden(box: _Box, taken: Sequence[_Box], frame: _Box) -> float:
    """How much of a box is over others or outside of the frame, in square pixels."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    return sum(_shared(box, other) for other in taken) + area - _shared(box, frame)


def _shared(one: _Box, other: _Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, high)


def _legend(figure: Figure, looks: dict[str, _Look]) -> None:
    """To the right of all panels."""
    from matplotlib.lines import Line2D  # noqa: PLC0415

    lines = [Line2D([], [], label=system, **look.of_line) for system, look in looks.items()]
    lines.append(Line2D([], [], label=_GUESSING, **_CHANCE.of_line))
    figure.legend(handles=lines, loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=3.2)
