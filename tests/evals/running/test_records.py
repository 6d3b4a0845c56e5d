"""Records survive a crash inside a line, and invalid lines are reported with their number."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.evals.errors import BadRun
from recollect.evals.records import Prediction, RecordFile, Sample, read_records

PREDICTION = Prediction(sample="s/1", system="one", status="ok", answer="B")


@pytest.mark.parametrize(
    "answer", ["B", "3", 3.0, ("a red box", "a key"), ((1.0, 2.5), (4.0, 5.0)), (3.5, 7.0), None]
)
def test_answer_survives_a_round_trip(tmp_path: Path, answer: object) -> None:
    prediction = PREDICTION.model_copy(update={"answer": answer})
    with RecordFile(tmp_path / "predictions.jsonl", Prediction) as lines:
        lines.append(prediction)

    assert list(read_records(tmp_path / "predictions.jsonl", Prediction)) == [prediction]


@given(st.integers(0, 400))
def test_truncated_file_keeps_complete_lines_and_continues(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "predictions.jsonl"
    with RecordFile(path, Prediction) as lines:
        for repeat in range(4):
            lines.append(PREDICTION.model_copy(update={"repeat": repeat}))
    complete = path.read_bytes()
    path.write_bytes(complete[: min(cut, len(complete))])

    kept = len(list(read_records(path, Prediction)))
    with RecordFile(path, Prediction) as lines:
        for repeat in range(kept, 4):
            lines.append(PREDICTION.model_copy(update={"repeat": repeat}))

    assert path.read_bytes() == complete


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"sample":"s/1"}', '{"sample":"s","system":"x","status":"maybe"}']
)
def test_invalid_line_is_reported_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_text(PREDICTION.model_dump_json() + "\n" + line + "\n")

    with pytest.raises(BadRun, match="line 2 is not a valid prediction"):
        list(read_records(path, Prediction))


def test_lag_counts_from_the_end_of_the_evidence() -> None:
    sample = Sample(
        id="s", suite="s", video="v", cluster="v", kind="text", question="?", asked_at_s=50.0,
        evidence=((1.0, 2.0), (10.0, 20.0)),
    )  # fmt: skip

    assert sample.lag_s == 30.0
    assert sample.model_copy(update={"evidence": ()}).lag_s is None
    assert sample.model_copy(update={"asked_at_s": None}).lag_s is None
