"""Pictures are drawn of what the runs have enough for, and of nothing else."""

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
def test_runs_of_several_lengths_and_sizes_have_every_picture(tmp_path: Path) -> None:
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
def test_one_run_has_no_curve(tmp_path: Path) -> None:
    written = plot([run_of(tmp_path / "run", RIGHT, tokens=TOKENS)], tmp_path)

    assert [path.name for path in written] == ["by-lag.png", "by-cost.png"]


@needs_matplotlib
def test_where_no_system_takes_tokens_cost_is_not_drawn(tmp_path: Path) -> None:
    written = plot([run_of(tmp_path / "run", {"recollect": 0.5}, tokens={"recollect": 0})], tmp_path)

    assert [path.name for path in written] == ["by-lag.png"]


@needs_matplotlib
def test_memories_of_several_sizes_are_compared_by_age(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path / "few", {"recollect": 0.5}, memory=f"{PLAIN}, 16,000,000 bytes"),
        run_of(tmp_path / "all", {"recollect": 1.0}),
    ]

    assert [path.name for path in plot(runs, tmp_path)] == ["by-lag.png", "by-cost.png", "retention.png"]


@needs_matplotlib
def test_a_system_that_was_not_measured_everywhere_is_drawn_where_it_was(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path / "short", RIGHT, tokens=TOKENS, videos=1),
        run_of(tmp_path / "long", {"recollect": 0.0}, tokens=TOKENS, lasts_s=3_600.0, videos=1),
        run_of(tmp_path / "other", {"blind": 0.0}, tokens=TOKENS, lasts_s=86_400.0, watches=False, videos=1),
    ]

    assert len(plot(runs, tmp_path)) == 3


@needs_matplotlib
def test_the_same_runs_have_the_same_pictures(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", RIGHT, tokens=TOKENS, videos=2)

    one, other = (plot([run], tmp_path / name) for name in ("one", "other"))

    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


@needs_matplotlib
def test_where_nothing_was_answered_nothing_is_drawn(tmp_path: Path) -> None:
    begun = run_of(tmp_path / "begun", RIGHT, videos=0)

    assert plot([begun], tmp_path / "pictures") == []
    assert not (tmp_path / "pictures").exists()


@pytest.mark.skipif(HAVE_MATPLOTLIB, reason="the extra `plots` is installed")
def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(NoMatplotlib, match=r"pip install 'recollect\[plots\]'"):
        plot([], tmp_path)


@pytest.mark.parametrize(
    ("wanted", "gap", "heights"),
    [
        ([], 0.1, []),
        ([0.2, 0.5], 0.1, [0.2, 0.5]),
        ([0.5, 0.5], 0.1, [0.45, 0.55]),
        ([0.0, 0.0, 0.9], 0.1, [0.0, 0.1, 0.9]),
        ([0.5, 0.98, 1.0], 0.1, [0.5, 0.9, 1.0]),
        ([0.3, 0.3, 0.3], 0.8, [0.0, 0.5, 1.0]),
    ],
)
def test_names_are_moved_apart_as_little_as_can_be(
    wanted: list[float], gap: float, heights: list[float]
) -> None:
    assert spread(wanted, gap) == pytest.approx(heights)
