"""Charts are drawn if the runs have enough data for them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from recollect.evals.errors import NoMatplotlib
from recollect.evals.label_placement import spread
from recollect.evals.plots import plot

from .test_curves import PLAIN, run_of

HAVE_MATPLOTLIB = find_spec("matplotlib") is not None
needs_matplotlib = pytest.mark.skipif(not HAVE_MATPLOTLIB, reason="the extra `plots` is not installed")

RIGHT = {"recollect": 0.75, "all captions": 0.5, "blind": 0.25, "oracle evidence": 1.0, "random": 0.25}
TOKENS = {"recollect": 5_000, "all captions": 9_000, "blind": 180, "oracle evidence": 700, "random": 0}


@pytest.mark.slow
@needs_matplotlib
def test_several_lengths_and_sizes_give_every_chart(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path / "short", RIGHT, tokens=TOKENS),
        run_of(tmp_path / "long", RIGHT, tokens=TOKENS, lasts_s=86_400.0, memory_bytes=2_000_000_000),
    ]

    written = plot(runs, tmp_path / "new" / "pictures")

    assert [path.name for path in written] == ["by-length.png", "by-lag.png", "by-cost.png", "retention.png"]
    for path in written:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert len(picture.convert("RGB").getcolors(maxcolors=1 << 24) or ()) > len(RIGHT)


@needs_matplotlib
def test_single_run_has_no_length_chart(tmp_path: Path) -> None:
    written = plot([run_of(tmp_path / "run", RIGHT, tokens=TOKENS)], tmp_path)

    assert [path.name for path in written] == ["by-lag.png", "by-cost.png"]


@needs_matplotlib
def test_no_cost_chart_without_tokens(tmp_path: Path) -> None:
    written = plot([run_of(tmp_path / "run", {"recollect": 0.5}, tokens={"recollect": 0})], tmp_path)

    assert [path.name for path in written] == ["by-lag.png"]


@needs_matplotlib
def test_several_memory_sizes_give_a_retention_chart(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path / "few", {"recollect": 0.5}, memory=f"{PLAIN}, 16,000,000 bytes"),
        run_of(tmp_path / "all", {"recollect": 1.0}),
    ]

    assert [path.name for path in plot(runs, tmp_path)] == ["by-lag.png", "by-cost.png", "retention.png"]


@needs_matplotlib
def test_system_is_drawn_only_where_it_was_measured(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path / "short", RIGHT, tokens=TOKENS, videos=1),
        run_of(tmp_path / "long", {"recollect": 0.0}, tokens=TOKENS, lasts_s=3_600.0, videos=1),
        run_of(tmp_path / "other", {"blind": 0.0}, tokens=TOKENS, lasts_s=86_400.0, watches=False, videos=1),
    ]

    assert len(plot(runs, tmp_path)) == 3


@needs_matplotlib
def test_equal_runs_give_identical_charts(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", RIGHT, tokens=TOKENS, videos=2)

    first, second = (plot([run], tmp_path / name) for name in ("one", "other"))

    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@needs_matplotlib
def test_no_answers_give_no_charts(tmp_path: Path) -> None:
    empty = run_of(tmp_path / "begun", RIGHT, videos=0)

    assert plot([empty], tmp_path / "pictures") == []
    assert not (tmp_path / "pictures").exists()


@pytest.mark.skipif(HAVE_MATPLOTLIB, reason="the extra `plots` is installed")
def test_missing_matplotlib_error_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(NoMatplotlib, match=r"pip install 'recollect\[plots\]'"):
        plot([], tmp_path)


@pytest.mark.parametrize(
    ("targets", "gap", "heights"),
    [
        ([], 0.1, []),
        ([0.2, 0.5], 0.1, [0.2, 0.5]),
        ([0.5, 0.5], 0.1, [0.45, 0.55]),
        ([0.0, 0.0, 0.9], 0.1, [0.0, 0.1, 0.9]),
        ([0.5, 0.98, 1.0], 0.1, [0.5, 0.9, 1.0]),
        ([0.3, 0.3, 0.3], 0.8, [0.0, 0.5, 1.0]),
    ],
)
def test_spread_moves_labels_as_little_as_possible(
    targets: list[float], gap: float, heights: list[float]
) -> None:
    assert spread(targets, gap) == pytest.approx(heights)
