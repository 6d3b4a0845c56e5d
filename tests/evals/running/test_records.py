"""Records survive a crash in the middle of a line, and what is none is refused with where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.evals.errors import BadRun
from recollect.evals.records import Prediction, RecordFile, Sample, read_records

SAID = Prediction(sample="s/1", system="one", status="ok", answer="B")


@pytest.mark.parametrize(
    "answer", ["B", "3", 3.0, ("a red box", "a key"), ((1.0, 2.5), (4.0, 5.0)), (3.5, 7.0), None]
)
def test_an_answer_comes_back_as_it_was(tmp_path: Path, answer: object) -> None:
    said = SAID.model_copy(update={"answer": answer})
    with RecordFile(tmp_path / "said.jsonl", Prediction) as lines:
        lines.append(said)

    assert list(read_records(tmp_path / "said.jsonl", Prediction)) == [said]


@given(st.integers(0, 400))
def test_a_file_that_was_cut_anywhere_keeps_its_whole_lines_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "said.jsonl"
    with RecordFile(path, Prediction) as lines:
        for repeat in range(4):
            lines.append(SAID.model_copy(update={"repeat": repeat}))
    whole = path.read_bytes()
    path.write_bytes(whole[: min(cut, len(whole))])

    left = len(list(read_records(path, Prediction)))
    with RecordFile(path, Prediction) as lines:
        for repeat in range(left, 4):
            lines.append(SAID.model_copy(update={"repeat": repeat}))

    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"sample":"s/1"}', '{"sample":"s","system":"x","status":"maybe"}']
)
def test_a_line_that_is_no_record_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "said.jsonl"
    path.write_text(SAID.model_dump_json() + "\n" + line + "\n")

    with pytest.raises(BadRun, match="line 2 is not a valid prediction"):
        list(read_records(path, Prediction))


def test_a_lag_counts_from_the_end_of_the_last_proof() -> None:
    sample = Sample(
        id="s", suite="s", video="v", cluster="v", kind="text", question="?", asked_at_s=50.0,
        evidence=((1.0, 2.0), (10.0, 20.0)),
    )  # fmt: skip

    assert sample.lag_s == 30.0
    assert sample.model_copy(update={"evidence": ()}).lag_s is None
    assert sample.model_copy(update={"asked_at_s": None}).lag_s is None
