"""Comparison of runs by the length of their videos and by the size of their memories."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from recollect.evals.comparison import comparison_markdown, write_curves
from recollect.evals.conditions import conditions_of, format_bytes, name_of_length
from recollect.evals.curves import chance_level, length_slope, measure, pareto_front
from recollect.evals.records import (
    Ingest,
    Kind,
    Prediction,
    RecordedUsage,
    RecordFile,
    RunManifest,
    Sample,
    Timing,
)
from recollect.evals.report import ReportedRun, format_estimate, mean_of, read_run

PLAIN = "4 fps, no model"
QUESTIONS = 4
"""Questions about each video. The evidence of the second half is a minute and a half old."""


def run_of(
    folder: Path,
    right: Mapping[str, float],
    *,
    lasts_s: float = 600.0,
    videos: int = 5,
    named: str = "",
    memory: str = PLAIN,
    memory_bytes: int = 15_000_000,
    tokens: Mapping[str, int] | None = None,
    suite: str = "made",
    watches: bool = True,
    kind: Kind = "choice",
) -> ReportedRun:
    """A run whose systems answer a given share of the questions about each video right, the first ones."""
    named = named or folder.name
    with RecordFile(folder / "manifest.json", RunManifest) as manifest:
        settings = {"lasts_s": f"{lasts_s:g}", "watching": memory}
        manifest.append(
            RunManifest(
                suite=suite, systems=tuple(right), version="0", settings=settings, begun_at="2026-11-28"
            )
        )
    with (
        RecordFile(folder / "samples.jsonl", Sample) as samples,
        RecordFile(folder / "predictions.jsonl", Prediction) as predictions,
        RecordFile(folder / "timings.jsonl", Timing) as timings,
        RecordFile(folder / "ingests.jsonl", Ingest) as ingests,
    ):
        for video in (f"{named}-{number}" for number in range(videos)):
            if watches:
                cost = RecordedUsage(lmm_calls=12, tokens=3_000)
                ingests.append(
                    Ingest(
                        video=video, memory=memory, duration_s=lasts_s, seconds=lasts_s / 20, moments=9,
                        memory_bytes=memory_bytes, usage=cost,
                    )
                )  # fmt: skip
            for number in range(QUESTIONS):
                end_s = 105.0 if number < QUESTIONS / 2 else 15.0
                sample = Sample(
                    id=f"{video}/{number}", suite=suite, video=video, cluster=video, kind=kind, question="?",
                    options=("a", "b", "c", "d") if kind == "choice" else (), gold="A", asked_at_s=110.0,
                    evidence=((10.0, end_s),),
                )  # fmt: skip
                samples.append(sample)
                for system, share in right.items():
                    answer = "A" if number < share * QUESTIONS else "B"
                    usage = RecordedUsage(lmm_calls=2, tokens=(tokens or {}).get(system, 100), pictures=1)
                    predictions.append(
                        Prediction(sample=sample.id, system=system, status="ok", answer=answer, usage=usage)
                    )
                    timings.append(Timing(sample=sample.id, system=system, seconds=0.5))
    return read_run(folder)


def table(text: str, named: str) -> list[list[str]]:
    """The cells of one table, with its header."""
    lines = text[text.index(f"| {named}") :].split("\n\n", maxsplit=1)[0].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if not line.startswith("|---")]


def test_unmeasured_length_has_an_empty_cell(tmp_path: Path) -> None:
    short = run_of(tmp_path / "short", {"recollect": 1.0, "all captions": 0.75})
    long = run_of(tmp_path / "long", {"recollect": 0.5}, lasts_s=86_400.0)

    head, *rows = table(comparison_markdown([long, short]), "accuracy by length")

    assert head == ["accuracy by length", "10 min", "24 h", "per tenfold"]
    assert [row[0] for row in rows] == ["recollect", "all captions"]
    assert rows[0][1:3] == ["1.00 (1.00 to 1.00)", "0.50 (0.50 to 0.50)"]
    assert rows[1][1:] == ["0.75 (0.75 to 0.75)", "–", "–"]


def test_slope_is_the_change_for_ten_times_the_length(tmp_path: Path) -> None:
    shares = (1.0, 0.75, 0.5)
    runs = [
        run_of(tmp_path / f"{power}", {"recollect": share}, lasts_s=600.0 * 10**power)
        for power, share in enumerate(shares)
    ]

    assert table(comparison_markdown(runs), "accuracy by length")[1][-1] == "-0.25 (-0.25 to -0.25)"


def test_slope_needs_two_lengths_without_any_cluster(tmp_path: Path) -> None:
    short = run_of(tmp_path / "short", {"recollect": 1.0}, videos=6)
    long = run_of(tmp_path / "long", {"recollect": 0.5}, videos=1, lasts_s=6_000.0)

    slope = length_slope(conditions_of([short, long]), "recollect")

    assert slope is not None
    assert slope.value == pytest.approx(-0.5)
    assert not slope.known


def test_slope_ignores_which_memory_was_measured_more_often(tmp_path: Path) -> None:
    """The small memory is measured more often on long videos. That alone must not look like forgetting."""
    small, large = f"{PLAIN}, 1,000,000 bytes", f"{PLAIN}, 9,000,000 bytes"
    runs = [
        run_of(tmp_path / "a", {"recollect": 0.25}, memory=small, videos=2),
        run_of(tmp_path / "b", {"recollect": 0.25}, memory=small, videos=8, lasts_s=6_000.0),
        run_of(tmp_path / "c", {"recollect": 0.75}, memory=large, videos=8),
        run_of(tmp_path / "d", {"recollect": 0.75}, memory=large, videos=2, lasts_s=6_000.0),
    ]

    slope = length_slope(conditions_of(runs), "recollect")

    assert slope is not None
    assert slope.value == pytest.approx(0.0)
    assert slope.known


def test_runs_of_equal_length_and_memory_are_pooled(tmp_path: Path) -> None:
    first = run_of(tmp_path / "one", {"recollect": 1.0}, lasts_s=600.0, videos=3)
    second = run_of(tmp_path / "other", {"recollect": 0.5, "blind": 0.25}, lasts_s=614.0, videos=3)

    head, *rows = table(comparison_markdown([first, second]), "accuracy by length")

    assert head == ["accuracy by length", "10 min"]
    assert [row[1].split(" (")[0] for row in rows] == ["0.75", "0.25"]
    assert "- 10 min: 24 questions of 6 independent videos." in comparison_markdown([first, second])


def test_each_memory_budget_has_its_own_column(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path / "all", {"recollect": 1.0}, named="same"),
        run_of(tmp_path / "few", {"recollect": 0.5}, named="same", memory=f"{PLAIN}, 8,000,000 bytes"),
        run_of(tmp_path / "some", {"recollect": 0.75}, named="same", memory=f"{PLAIN}, 64,000,000 bytes"),
    ]

    head, row = table(comparison_markdown(runs), "accuracy by length")

    assert head[1:] == ["10 min, at most 8 MB", "10 min, at most 64 MB", "10 min, no bound"]
    assert [cell.split(" (")[0] for cell in row[1:]] == ["0.50", "0.75", "1.00"]


def test_column_is_named_after_its_distinguishing_traits(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path / "one", {"recollect": 1.0}, memory="4 fps, text read, no model"),
        run_of(tmp_path / "other", {"recollect": 1.0}, memory="4 fps, text not read, no model"),
        run_of(tmp_path / "third", {"recollect": 1.0}, memory="4 fps, text read, no model", suite="another"),
    ]

    names = [condition.name for condition in conditions_of(runs)]

    assert names == ["10 min, made, text not read", "10 min, made, text read", "10 min, another, text read"]


def test_retention_table_has_ages_and_memory_sizes(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path / "few", {"recollect": 0.75, "blind": 0.0}, memory=f"{PLAIN}, 16,000,000 bytes"),
        run_of(tmp_path / "all", {"recollect": 1.0}, memory_bytes=2_120_000_000),
    ]

    head, *rows = table(comparison_markdown(runs), "retention of recollect")

    assert head[1:] == ["10 min: 15 MB of 16 MB", "10 min: 2.12 GB"]
    assert rows == [
        ["0–10 s", "1.00 (1.00 to 1.00) of 10", "1.00 (1.00 to 1.00) of 10"],
        ["1–5 min", "0.50 (0.50 to 0.50) of 10", "1.00 (1.00 to 1.00) of 10"],
    ]


def test_retention_uses_the_first_system_without_recollect(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {"all captions": 0.5, "blind": 0.25})

    assert "| retention of all captions |" in comparison_markdown([run])


def test_fewer_than_five_videos_give_no_interval(tmp_path: Path) -> None:
    few = run_of(tmp_path / "few", {"recollect": 0.75}, videos=4)
    enough = run_of(tmp_path / "enough", {"recollect": 0.75}, videos=5)

    assert format_estimate(mean_of(few.scored)) == "0.75"
    assert format_estimate(mean_of(enough.scored)) == "0.75 (0.75 to 0.75)"
    assert math.isnan(mean_of(few.scored).low)


def test_cost_of_watching_is_stated_per_hour_of_video(tmp_path: Path) -> None:
    text = comparison_markdown([run_of(tmp_path / "run", {"recollect": 0.5})])

    assert (
        "Watched 20.0 times as fast as they last, with 72 LMM calls and 18,000 tokens an hour of video,"
        " into 15 MB a video, 90 MB an hour."
    ) in text


def test_cost_table_has_every_system_and_length(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path / "short", {"recollect": 0.5, "blind": 0.25}, tokens={"recollect": 5_000}),
        run_of(tmp_path / "long", {"recollect": 0.5}, lasts_s=3_600.0, tokens={"recollect": 6_000}),
    ]

    _, *rows = table(comparison_markdown(runs), "a question costs")

    assert rows == [
        ["recollect", "10 min", "2.0", "5,000", "1.0", "0.50"],
        ["recollect", "1 h", "2.0", "6,000", "1.0", "0.50"],
        ["blind", "10 min", "2.0", "100", "1.0", "0.50"],
    ]


def test_dominated_systems_are_not_on_the_pareto_front(tmp_path: Path) -> None:
    right = {"recollect": 0.75, "all captions": 0.75, "blind": 0.25, "one frame": 0.0, "oracle evidence": 1.0}
    tokens = {"recollect": 500, "all captions": 900, "blind": 100, "one frame": 300, "oracle evidence": 50}
    run = run_of(tmp_path / "run", right, tokens=tokens)
    (condition,) = conditions_of([run])

    rows = table(comparison_markdown([run]), "accuracy against cost")[1:]

    assert [(row[1], row[2], row[5]) for row in rows] == [
        ("oracle evidence", "50", "given the evidence"),
        ("blind", "100", "yes"),
        ("one frame", "300", ""),
        ("recollect", "500", "yes"),
        ("all captions", "900", ""),
    ]
    assert pareto_front([measure(condition, system) for system in right]) == {"recollect", "blind"}


def test_csv_has_one_row_for_each_length_system_and_age(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path / "short", {"recollect": 0.75, "blind": 0.25}),
        run_of(tmp_path / "long", {"recollect": 0.5}, lasts_s=3_600.0, videos=2),
    ]

    write_curves(runs, tmp_path / "curves.csv")
    with (tmp_path / "curves.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    ages = ["all", "0–10 s", "1–5 min"]
    assert [(row["length_s"], row["system"], row["lag"]) for row in rows] == [
        *(("600.0", system, age) for system in ("recollect", "blind") for age in ages),
        *(("3600.0", "recollect", age) for age in ages),
    ]
    assert [row["accuracy"] for row in rows[:3]] == ["0.75", "1.0", "0.5"]
    assert [(row["questions"], row["low"]) for row in rows[::6]] == [("20", "0.75"), ("8", "")]
    assert {(row["suite"], row["memory"], row["memory_bytes"]) for row in rows} == {
        ("made", PLAIN, "15000000")
    }
    assert {(row["lmm_calls"], row["tokens"], row["pictures"], row["seconds"]) for row in rows} == {
        ("2.0", "100.0", "1.0", "0.5")
    }


def test_requested_length_is_used_when_nothing_was_watched(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {"blind": 0.25}, lasts_s=21_600.0, watches=False)

    (condition,) = conditions_of([run])

    assert condition.name == condition.name_and_size == "6 h"
    assert condition.memory_bytes is None


def test_runs_without_answers_are_left_out(tmp_path: Path) -> None:
    empty = run_of(tmp_path / "begun", {"recollect": 1.0}, videos=0, lasts_s=86_400.0)

    assert comparison_markdown([empty]) == "Nothing that can be scored was answered yet.\n"
    assert "24 h" not in comparison_markdown([empty, run_of(tmp_path / "done", {"recollect": 1.0})])


def test_chance_level_is_zero_without_options(tmp_path: Path) -> None:
    choices = run_of(tmp_path / "choices", {"blind": 0.0})
    free_text = run_of(tmp_path / "words", {"blind": 0.0}, kind="text")

    assert chance_level(conditions_of([choices])) == 0.25
    assert chance_level(conditions_of([choices, free_text])) == 0.125


@pytest.mark.parametrize(
    ("length_s", "name"),
    [
        (12.8, "13 s"),
        (59.7, "1 min"),
        (615.25, "10 min"),
        (3_569.0, "59 min"),
        (3_590.0, "1 h"),
        (5_400.0, "1.5 h"),
        (86_415.0, "24 h"),
        (7 * 86_400.0, "7 days"),
        (None, "of unknown length"),
    ],
)
def test_length_is_named_to_two_digits(length_s: float | None, name: str) -> None:
    assert name_of_length(length_s) == name


@pytest.mark.parametrize(
    ("count_bytes", "name"),
    [(64_000_000, "64 MB"), (62_140_000, "62.1 MB"), (999_700_000, "1 GB"), (2.12e9, "2.12 GB")],
)
def test_size_is_formatted_to_three_digits(count_bytes: float, name: str) -> None:
    assert format_bytes(count_bytes) == name
