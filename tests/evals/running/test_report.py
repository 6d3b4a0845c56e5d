"""A report counts every question for every system, with intervals and the causes of failures."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from recollect.evals.errors import BadRun, NoRun
from recollect.evals.records import Prediction, RecordFile, RunManifest, Sample, Timing
from recollect.evals.report import markdown, official, read_run, write_csv
from recollect.evals.scorers import reply_text

EVIDENCE = ((10.0, 12.0),)


def sample(number: int, **changed: Any) -> Sample:
    return Sample(
        id=f"s/{number}", suite="made", video=f"v{number % 5}", cluster=f"v{number % 5}", kind="choice",
        question="?", options=("a", "b", "c", "d"), gold="A", asked_at_s=20.0 + 100 * (number % 2),
        evidence=EVIDENCE, group=f"pair {number // 2}", **changed,
    )  # fmt: skip


def prediction_of(number: int, system: str, right: bool, **changed: Any) -> Prediction:
    status, answer = changed.pop("status", "ok"), "A" if right else "B"
    return Prediction(
        sample=f"s/{number}",
        system=system,
        status=status,
        answer=answer if status == "ok" else None,
        **changed,
    )


def written(folder: Path, predictions: list[Prediction], count: int = 20) -> Path:
    systems = tuple(dict.fromkeys(prediction.system for prediction in predictions))
    with RecordFile(folder / "manifest.json", RunManifest) as manifest:
        manifest.append(
            RunManifest(
                suite="made", systems=systems, version="0", settings={}, begun_at="2026-11-28T00:00:00Z"
            )
        )
    with RecordFile(folder / "samples.jsonl", Sample) as samples:
        for number in range(count):
            samples.append(sample(number))
    with (
        RecordFile(folder / "predictions.jsonl", Prediction) as lines,
        RecordFile(folder / "timings.jsonl", Timing) as timings,
    ):
        for prediction in predictions:
            lines.append(prediction)
            timings.append(Timing(sample=prediction.sample, system=prediction.system, seconds=0.5))
    return folder


def row_of(text: str, system: str, table: str = "| system |") -> list[str]:
    lines = text[text.index(table) :].splitlines()
    return [
        cell.strip()
        for cell in next(line for line in lines if line.startswith(f"| {system} |")).split("|")[1:-1]
    ]


def test_errors_and_abstentions_score_zero(tmp_path: Path) -> None:
    status = {0: "error", 1: "abstained", 2: "over_budget"}
    run = read_run(
        written(
            tmp_path, [prediction_of(n, "recollect", True, status=status.get(n, "ok")) for n in range(20)]
        )
    )
    row = row_of(markdown(run), "recollect")

    assert row[1].startswith("0.85 (")
    assert row[2] == "0.89", "what was not answered is a guess of one in four"
    assert row[4:6] == ["0.05", "0.05"]


def test_group_counts_only_if_all_are_right(tmp_path: Path) -> None:
    run = read_run(written(tmp_path, [prediction_of(n, "recollect", n % 2 == 0 or n > 9) for n in range(20)]))

    assert row_of(markdown(run), "recollect")[3] == "0.50"


def test_lead_has_interval_p_value_and_detectable_difference(tmp_path: Path) -> None:
    recollect = [prediction_of(n, "recollect", n % 4 > 0) for n in range(20)]
    another = [prediction_of(n, "another", n in (1, 2, 5, 13, 17)) for n in range(20)]
    text = markdown(read_run(written(tmp_path, [*recollect, *another])))
    lead, p = row_of(text, "another")[6:8]

    assert lead.startswith("+0.50 (+")
    assert 0.0 < float(p) < 0.2
    assert "are not detectable here" in text
    assert "With 5 independent videos no adjusted p-value can be below 0.06." in text
    assert "By chance: 0.25." in text


def test_few_videos_give_no_interval(tmp_path: Path) -> None:
    numbers = [number for number in range(20) if number % 5 < 4]
    recollect = [prediction_of(n, "recollect", n % 4 > 0) for n in numbers]
    another = [prediction_of(n, "another", n % 4 > 1) for n in numbers]
    text = markdown(read_run(written(tmp_path, [*recollect, *another])))

    assert row_of(text, "recollect")[1] == "0.75"
    assert row_of(text, "another")[6] == "+0.25"


def test_scores_are_split_by_the_age_of_the_evidence(tmp_path: Path) -> None:
    text = markdown(
        read_run(written(tmp_path, [prediction_of(n, "recollect", n % 2 == 0) for n in range(20)]))
    )

    assert "| time since the evidence | questions | recollect |" in text
    assert row_of(text, "0–10 s", "| time since")[1:] == ["10", "1.00 (1.00 to 1.00)"]
    assert row_of(text, "1–5 min", "| time since")[1:] == ["10", "0.00 (0.00 to 0.00)"]


@pytest.mark.parametrize(
    ("retrieved", "oracle_right", "encoded", "cause"),
    [
        (EVIDENCE, True, True, "not used"),
        (((40.0, 50.0),), True, True, "not retrieved"),
        ((), True, True, "not retrieved"),
        (EVIDENCE, False, False, "not encoded"),
        (EVIDENCE, False, True, "misread"),
    ],
)
def test_each_failure_has_one_cause(
    tmp_path: Path, retrieved: Any, oracle_right: bool, encoded: bool, cause: str
) -> None:
    recollect = [prediction_of(n, "recollect", n > 3, found=retrieved) for n in range(20)]
    oracle = [prediction_of(n, "oracle evidence", oracle_right, encoded=encoded) for n in range(20)]
    text = markdown(read_run(written(tmp_path, [*recollect, *oracle])))
    causes = {
        line.split(":")[0].lstrip("| "): line.split("|")[2].strip()
        for line in text.splitlines()
        if ": " in line and line.startswith("| ")
    }

    assert causes.pop(cause) == "4"
    assert set(causes.values()) == {"0"}


def test_csv_has_one_row_for_each_answer(tmp_path: Path) -> None:
    run = read_run(written(tmp_path, [prediction_of(n, "recollect", n % 2 == 0) for n in range(20)]))
    write_csv(run, tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == 20
    assert [row["score"] for row in rows[:2]] == ["1.0", "0.0"]
    assert {row["seconds"] for row in rows} == {"0.5"}
    assert rows[1]["lag_s"] == "108.0"


def test_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoRun, match="holds no evaluation run"):
        read_run(tmp_path)


def test_answer_without_its_question_is_refused(tmp_path: Path) -> None:
    written(tmp_path, [prediction_of(30, "recollect", True)])

    with pytest.raises(BadRun, match="not among its questions"):
        read_run(tmp_path)


def test_official_table_scores_bare_answers_and_skips_left_out(tmp_path: Path) -> None:
    class OfficialSuite:
        name = "made"

        def official(self, sample: Sample, reply: str) -> float:
            return float("nan") if not reply else float(reply == "A")

        def totals(self, scored: Any) -> dict[str, float]:
            return {"overall": sum(value for _, value in scored) / len(scored), "answers": float(len(scored))}

    predictions = [
        prediction_of(n, "recollect", n > 9, status="abstained" if n < 5 else "ok") for n in range(20)
    ]
    table = official(read_run(written(tmp_path, predictions)), OfficialSuite())  # type: ignore[arg-type]

    assert row_of(table, "recollect", "| made, as its makers score |") == ["recollect", "0.667", "15.000"]


@pytest.mark.parametrize(
    ("answer", "text"),
    [(None, ""), ("B", "B"), ("yes", "Yes"), (3.0, "3"), (2.5, "2.5"), (("a", "b"), "a; b")],
)
def test_reply_text_is_the_bare_answer(answer: Any, text: str) -> None:
    prediction = Prediction(sample="s", system="x", status="ok", answer=answer, said="a; b")

    assert reply_text(prediction) == text
