"""Charts of evaluation runs: accuracy by video length, by the age of the evidence, and by cost.

    plot([read_run(Path("world-10")), read_run(Path("world-1440"))], Path("charts"))

Needs the extra ``plots`` (matplotlib). The numbers come from ``curves``: this module computes no score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from .chart_drawing import (
    CHANCE_LABEL,
    CHANCE_STYLE,
    CHART_STYLE,
    GREY,
    LABEL_POINTS,
    CurveEnd,
    LineStyle,
    all_lags,
    draw_chance_level,
    draw_curve,
    draw_legend,
    finish_axes,
    label_curve_ends,
    label_points,
    make_panels,
    memory_style,
    pareto_points,
    set_lag_ticks,
    system_styles,
)
from .conditions import Condition, conditions_of, lags_of, name_of_length, ours_of
from .curves import MeasuredSystem, chance_level, measure
from .errors import NoMatplotlib
from .report import ReportedRun, ScoredAnswer, mean_of
from .statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot(runs: Sequence[ReportedRun], folder: Path) -> list[Path]:
    """Draw the charts for which the runs have enough data. Returns the files that were written.

    ``by-length.png`` needs two lengths, ``by-lag.png`` questions with known evidence, ``by-cost.png`` systems that use
    tokens, and ``retention.png`` memories of different sizes.

    Raises ``NoMatplotlib`` if matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context  # noqa: PLC0415
    except ImportError:
        raise NoMatplotlib from None
    conditions = conditions_of(runs)
    written = []
    if conditions:
        folder.mkdir(parents=True, exist_ok=True)
    for name, draw in _CHARTS.items():
        with rc_context(CHART_STYLE):
            figure = draw(conditions)
            if figure is not None:
                figure.savefig(folder / name)
                written.append(folder / name)
    return written


def _by_length(conditions: Sequence[Condition]) -> Figure | None:
    """One panel for each kind of memory with at least two lengths."""
    groups: dict[tuple[str, str], list[Condition]] = {}
    for condition in conditions:
        if condition.length_s:
            groups.setdefault(condition.kind, []).append(condition)
    kinds = [group for group in groups.values() if len(group) > 1]
    if not kinds:
        return None
    styles = system_styles(conditions)
    figure, panels = make_panels(len(kinds), 1, (6.0, max(3.8, 0.2 * len(styles) + 1.0)))
    ends = [_draw_length_panel(axes, group, styles) for axes, group in zip(panels, kinds, strict=True)]
    finish_axes(panels, 1, "length of video")
    for axes, curve_ends in zip(panels, ends, strict=True):
        label_curve_ends(axes, curve_ends)
    return figure


def _draw_length_panel(
    axes: Axes, conditions: Sequence[Condition], styles: dict[str, LineStyle]
) -> list[CurveEnd]:
    """Draw the curves of one kind of memory. Returns their ends, which are labelled when the axes are finished."""
    lengths_s = [condition.length_s or 1.0 for condition in conditions]
    axes.set_xscale("log")
    axes.set_xticks(lengths_s, [name_of_length(length_s) for length_s in lengths_s])
    axes.minorticks_off()
    axes.set_title(", ".join(part for part in (conditions[0].traits, conditions[0].budget_name) if part))
    draw_chance_level(axes, conditions)
    ends = [CurveEnd(CHANCE_LABEL, math.inf, chance_level(conditions), CHANCE_STYLE)]
    for number, (system, style) in enumerate(styles.items()):
        measured = [condition for condition in conditions if system in condition.systems]
        if not measured:
            continue
        # The points lie side by side, so that no interval bar hides another.
        shift = 1.0 if style.is_ours else 1.016 ** (number - len(styles) / 2)
        estimates = [mean_of(condition.of(system)) for condition in measured]
        xs = [(condition.length_s or 1.0) * shift for condition in measured]
        draw_curve(axes, xs, estimates, style)
        is_complete = measured[-1] is conditions[-1]
        name = system if is_complete else f"{system}, to {name_of_length(measured[-1].length_s)}"
        ends.append(CurveEnd(name, xs[-1], estimates[-1].value, style, is_complete))
    return ends


def _by_lag(conditions: Sequence[Condition]) -> Figure | None:
    """One panel for each condition. Only our system has interval bars."""
    with_lags = [condition for condition in conditions if all_lags([condition])]
    if not with_lags:
        return None
    styles, lags, columns = system_styles(conditions), all_lags(with_lags), min(2, len(with_lags))
    figure, panels = make_panels(len(with_lags), columns, (4.3, 3.0))
    for axes, condition in zip(panels, with_lags, strict=True):
        draw_chance_level(axes, [condition])
        for system, style in styles.items():
            system_lags = lags_of([condition], system)
            mean = mean_of if style.is_ours else _mean_without_interval
            estimates = [mean(condition.of(system, lag)) for lag in system_lags]
            draw_curve(axes, [lags.index(lag) for lag in system_lags], estimates, style)
        axes.set_title(condition.name)
        set_lag_ticks(axes, lags)
    finish_axes(panels, columns, "time since the evidence")
    draw_legend(figure, styles)
    return figure


def _mean_without_interval(answers: Sequence[ScoredAnswer]) -> Interval:
    """The mean score alone, because many interval bars would hide one another."""
    return Interval.of_value(fmean(answer.score for answer in answers))


def _by_cost(conditions: Sequence[Condition]) -> Figure | None:
    """One panel for each condition, with a line through the Pareto front."""
    measured = [[measure(condition, system) for system in condition.systems] for condition in conditions]
    groups = [group for group in measured if any(system.tokens for system in group)]
    if not groups:
        return None
    styles, columns = system_styles(conditions), min(2, len(groups))
    figure, panels = make_panels(len(groups), columns, (5.4, 4.0))
    costs = [system.tokens for group in groups for system in group if system.tokens]
    for axes, group in zip(panels, groups, strict=True):
        _draw_cost_panel(axes, group, styles, costs)
    finish_axes(panels, columns, "tokens a question")
    for number, (axes, group) in enumerate(zip(panels, groups, strict=True), start=1):
        label_points(axes, group, styles)
        # Only the last panel of a row has room to its right.
        if number % columns == 0 or number == len(panels):
            axes.text(
                1.01,
                chance_level([group[0].condition]),
                CHANCE_LABEL,
                transform=axes.get_yaxis_transform(),
                verticalalignment="center",
                color=GREY,
                fontsize=LABEL_POINTS,
            )
    return figure


def _draw_cost_panel(
    axes: Axes, measured: Sequence[MeasuredSystem], styles: dict[str, LineStyle], costs: Sequence[float]
) -> None:
    """Draw the systems of one condition. ``costs`` are the tokens in all panels, which share the scale."""
    from matplotlib.ticker import FuncFormatter  # noqa: PLC0415

    # The axis is logarithmic above the smallest cost and linear below, so that it can show 0 tokens too.
    threshold = 10.0 ** math.floor(math.log10(min(costs)))
    axes.set_xscale("symlog", linthresh=threshold, linscale=0.6)
    axes.set_xlim(-0.2 * threshold, 5.0 * max(costs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tokens, _: f"{tokens:,.0f}"))
    draw_chance_level(axes, [measured[0].condition])
    xs, ys = zip(*pareto_points(measured), strict=True)
    axes.plot(xs, ys, drawstyle="steps-post", color=GREY, linewidth=0.8, zorder=1)
    for system in measured:
        draw_curve(axes, [system.tokens], [system.accuracy], styles[system.system])
    axes.set_title(measured[0].condition.name)


def _retention(conditions: Sequence[Condition]) -> Figure | None:
    """The accuracy of our system by the age of the evidence, with one curve for each condition."""
    if len({condition.memory_size for condition in conditions if condition.memory_size}) < 2:
        return None
    system, lags = ours_of(conditions), all_lags(conditions)
    with_lags = [condition for condition in conditions if lags_of([condition], system)]
    if not with_lags:
        return None
    figure, (axes,) = make_panels(1, 1, (6.0, 3.6))
    draw_chance_level(axes, with_lags)
    ends = []
    for number, condition in enumerate(with_lags):
        style = memory_style(number, len(with_lags))
        condition_lags = lags_of([condition], system)
        estimates = [mean_of(condition.of(system, lag)) for lag in condition_lags]
        shift = 0.05 * (number - (len(with_lags) - 1) / 2)
        xs = [lags.index(lag) + shift for lag in condition_lags]
        draw_curve(axes, xs, estimates, style)
        is_complete = condition_lags[-1] == lags[-1]
        ends.append(CurveEnd(condition.name_and_size, xs[-1], estimates[-1].value, style, is_complete))
    set_lag_ticks(axes, lags)
    finish_axes([axes], 1, "time since the evidence", y_label=f"accuracy of {system}")
    chance = CurveEnd(CHANCE_LABEL, math.inf, chance_level(with_lags), CHANCE_STYLE)
    label_curve_ends(axes, [*ends, chance])
    return figure


_CHARTS: dict[str, Callable[[Sequence[Condition]], Figure | None]] = {
    "by-length.png": _by_length,
    "by-lag.png": _by_lag,
    "by-cost.png": _by_cost,
    "retention.png": _retention,
}
