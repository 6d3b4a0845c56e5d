"""The runner: a resumed run equals an uninterrupted one, and later events change no answer."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from time import sleep

import pytest

from recollect.evals.errors import BadRun, LookedAhead
from recollect.evals.ingestion import WatchSettings
from recollect.evals.presets import embedded_systems
from recollect.evals.records import Ingest, Prediction, RecordedUsage, Sample, Timing, read_records
from recollect.evals.runner import EvaluationRun, RunOptions, Shard, in_order, merge, ordered_map
from recollect.evals.systems import PosedQuestion, RecollectSystem, SystemAnswer, guessing_systems
from recollect.worlds.demo_video import render
from recollect.worlds.house import furnish

from .conftest import HouseSuite

WATCHING = WatchSettings(ocr=False)


def run_suite(folder: Path, suite: HouseSuite, **options: object) -> bytes:
    for _ in EvaluationRun(folder, suite, embedded_systems(), WATCHING, RunOptions(**options)).go():  # type: ignore[arg-type]
        pass
    return (folder / "predictions.jsonl").read_bytes()


@pytest.fixture(scope="session")
def complete_run(tmp_path_factory: pytest.TempPathFactory, suite: HouseSuite) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run_suite(folder, suite)
    return folder


def test_every_system_answers_every_question_once(complete_run: Path, suite: HouseSuite) -> None:
    predictions = list(read_records(complete_run / "predictions.jsonl", Prediction))

    assert len({(prediction.sample, prediction.system) for prediction in predictions}) == len(predictions)
    assert len(predictions) == len(suite.questions) * len(embedded_systems())
    assert {prediction.status for prediction in predictions} <= {"ok", "abstained"}


def test_no_retrieved_span_ends_after_the_question(complete_run: Path, suite: HouseSuite) -> None:
    asked_at_s = {sample.id: sample.asked_at_s for sample in suite.questions}
    retrieved = [
        (prediction, span)
        for prediction in read_records(complete_run / "predictions.jsonl", Prediction)
        for span in prediction.found
    ]

    assert retrieved
    assert all(span[1] <= asked_at_s[prediction.sample] for prediction, span in retrieved)  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_interrupted_run_writes_the_same_bytes_when_resumed(
    tmp_path: Path, complete_run: Path, suite: HouseSuite, seed: int
) -> None:
    rng = random.Random(seed)
    path = tmp_path / "predictions.jsonl"
    for _ in range(2):
        run = EvaluationRun(tmp_path, suite, embedded_systems(), WATCHING)
        for _ in islice(run.go(), rng.randrange(1, 12)):
            pass
        # The state after a kill inside a line.
        path.write_bytes(path.read_bytes()[: -rng.randrange(1, 60)])

    assert run_suite(tmp_path, suite) == (complete_run / "predictions.jsonl").read_bytes()


@pytest.mark.slow
def test_interrupted_ingestion_starts_again(tmp_path: Path, complete_run: Path, suite: HouseSuite) -> None:
    run_suite(tmp_path, suite, limit=1)
    (tmp_path / "ingests.jsonl").write_bytes(b"")
    (tmp_path / "predictions.jsonl").write_bytes(b"")
    memory = next((tmp_path / "memories").iterdir())
    (memory / "head.json").write_text("half written")

    first = run_suite(tmp_path, suite, limit=1)

    assert first == b"".join(
        (complete_run / "predictions.jsonl").read_bytes().splitlines(keepends=True)[: len(embedded_systems())]
    )
    assert len(list(read_records(tmp_path / "ingests.jsonl", Ingest))) == 1


@pytest.mark.slow
def test_events_after_a_question_change_no_answer(
    tmp_path: Path, suite: HouseSuite, complete_run: Path
) -> None:
    """The same house until 14 s, and then a different one."""
    before_cut, after_cut = furnish("running", 24.0), furnish("another", 24.0)
    cut_s = 14.0
    early_questions = [sample for sample in suite.questions if (sample.asked_at_s or 0.0) < cut_s - 1.0]
    assert early_questions, "nothing is asked early enough"

    class Poisoned:
        duration_s = 24.0

        def draw(self, time_s: float) -> object:
            return (before_cut if time_s < cut_s else after_cut).timeline.draw(time_s)

        def truths(self) -> list[object]:
            return []

    video = tmp_path / "poisoned.mp4"
    render(Poisoned(), video, seed=1)  # type: ignore[arg-type]
    run_suite(tmp_path / "run", suite.but(videos={"house": video}, questions=early_questions))

    ids = {sample.id for sample in early_questions}
    before = [
        prediction
        for prediction in read_records(complete_run / "predictions.jsonl", Prediction)
        if prediction.sample in ids
    ]
    assert any(prediction.found for prediction in before)
    assert list(read_records(tmp_path / "run" / "predictions.jsonl", Prediction)) == before


@pytest.mark.slow
def test_order_and_choice_of_questions_change_no_answer(
    tmp_path: Path, suite: HouseSuite, complete_run: Path
) -> None:
    every_second = list(reversed(suite.questions))[::2]
    run_suite(tmp_path, suite.but(questions=every_second))

    ids = {sample.id for sample in every_second}
    before = [
        prediction
        for prediction in read_records(complete_run / "predictions.jsonl", Prediction)
        if prediction.sample in ids
    ]
    assert list(read_records(tmp_path / "predictions.jsonl", Prediction)) == before


@pytest.mark.slow
def test_concurrent_answers_are_written_in_the_same_order(
    tmp_path: Path, complete_run: Path, suite: HouseSuite
) -> None:
    assert run_suite(tmp_path, suite, concurrency=4) == (complete_run / "predictions.jsonl").read_bytes()


def test_ordered_map_limits_concurrency_and_stops_when_closed() -> None:
    under_way, peak, started = 0, 0, []
    lock = Lock()

    def work(number: int) -> int:
        nonlocal under_way, peak
        with lock:
            under_way += 1
            peak = max(peak, under_way)
            started.append(number)
        sleep(0.001 * (7 - number % 7))
        with lock:
            under_way -= 1
        return number

    assert list(ordered_map(work, range(40), concurrency=3)) == list(range(40))
    assert peak <= 3

    started.clear()
    results = ordered_map(work, range(1000), concurrency=3)
    assert next(results) == 0
    results.close()
    assert len(started) < 20


@dataclass
class Failing:
    """Fails some times, or always."""

    times: int
    name: str = "failing"
    remembers: bool = False
    tries: int = 0

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        self.tries += 1
        if self.tries <= self.times:
            raise RuntimeError("the server burns")
        return SystemAnswer("A", "A")


def test_failing_answer_is_retried_then_stored_as_error(tmp_path: Path, suite: HouseSuite) -> None:
    for failing, status in ((Failing(2), "ok"), (Failing(99), "error")):
        folder = tmp_path / status
        for _ in EvaluationRun(folder, suite, [failing], WATCHING, RunOptions(limit=1)).go():
            pass
        (prediction,) = read_records(folder / "predictions.jsonl", Prediction)
        assert (prediction.status, failing.tries) == (status, 3)
    assert prediction.error == "RuntimeError: the server burns"
    assert prediction.answer is None


def test_errors_can_be_retried(tmp_path: Path, suite: HouseSuite) -> None:
    for failing in (Failing(99), Failing(0)):
        for _ in EvaluationRun(
            tmp_path, suite, [failing], WATCHING, RunOptions(limit=2, retry_errors=True)
        ).go():
            pass

    assert [prediction.status for prediction in read_records(tmp_path / "predictions.jsonl", Prediction)] == [
        "ok",
        "ok",
    ]


def test_nothing_is_watched_if_no_system_uses_memory(tmp_path: Path, suite: HouseSuite) -> None:
    for _ in EvaluationRun(tmp_path, suite, guessing_systems(), WATCHING).go():
        pass

    assert len(list(read_records(tmp_path / "predictions.jsonl", Prediction))) == len(suite.questions) * len(
        guessing_systems()
    )
    assert list(read_records(tmp_path / "ingests.jsonl", Ingest)) == []
    assert not (tmp_path / "memories").exists()


def test_system_must_declare_that_it_uses_memory(tmp_path: Path, suite: HouseSuite) -> None:
    for _ in EvaluationRun(
        tmp_path, suite, [RecollectSystem(remembers=False)], WATCHING, RunOptions(limit=1)
    ).go():
        pass

    (prediction,) = read_records(tmp_path / "predictions.jsonl", Prediction)
    assert (
        prediction.error
        == "ValueError: the system uses the memory but does not declare it: set its attribute `remembers` to True"
    )


class Peeking:
    """Requests a frame after the question."""

    name, remembers = "peeking", False

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        posed.video.pictures([posed.video.until_s + 0.1])
        return SystemAnswer("A", "A")


def test_look_ahead_ends_the_run(tmp_path: Path, suite: HouseSuite) -> None:
    with pytest.raises(LookedAhead, match="This is look-ahead leakage"):
        next(EvaluationRun(tmp_path, suite, [Peeking()], WATCHING).go())


class Looking:
    """Uses three pictures of the video, and two of the memory."""

    name, remembers = "looking", False

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        posed.video.spread(3)
        return SystemAnswer("A", "A", usage=RecordedUsage(pictures=2))


@pytest.mark.slow
def test_all_pictures_count_and_the_latest_time_is_recorded(tmp_path: Path, suite: HouseSuite) -> None:
    for _ in EvaluationRun(tmp_path, suite, [Looking()], WATCHING).go():
        pass

    predictions = {
        prediction.sample: prediction
        for prediction in read_records(tmp_path / "predictions.jsonl", Prediction)
    }
    for sample in suite.questions:
        assert predictions[sample.id].usage.pictures == 5
        assert 0.0 < (predictions[sample.id].latest_s or 0.0) < (sample.asked_at_s or 0.0)


def test_different_run_in_the_same_folder_is_refused(tmp_path: Path, suite: HouseSuite) -> None:
    next(EvaluationRun(tmp_path, suite, [Looking()], WATCHING).go())

    with pytest.raises(BadRun, match="different questions, systems or settings"):
        next(EvaluationRun(tmp_path, suite, [Failing(0)], WATCHING).go())


def test_run_starts_over_after_an_incomplete_manifest(tmp_path: Path, suite: HouseSuite) -> None:
    (tmp_path / "manifest.json").write_text('{"suite":"ho')

    next(EvaluationRun(tmp_path, suite, [Looking()], WATCHING).go())

    assert (tmp_path / "manifest.json").read_text().startswith('{"suite":"house"')


def test_each_video_belongs_to_exactly_one_shard(tmp_path: Path) -> None:
    names = [f"video {number}" for number in range(100)]
    shards = [Shard(number, 3) for number in range(3)]

    assert all(sum(shard.has(name) for shard in shards) == 1 for name in names)
    assert all(20 < sum(shard.has(name) for name in names) < 50 for shard in shards)


def test_merging_shards_refuses_duplicate_answers(
    tmp_path: Path, suite: HouseSuite, complete_run: Path
) -> None:
    merge([complete_run], tmp_path / "alone")
    assert (tmp_path / "alone" / "predictions.jsonl").read_bytes() == (
        complete_run / "predictions.jsonl"
    ).read_bytes()
    assert len(list(read_records(tmp_path / "alone" / "timings.jsonl", Timing))) == len(
        suite.questions
    ) * len(embedded_systems())

    again = tmp_path / "again"
    merge([complete_run], again)
    with pytest.raises(BadRun, match="it answers house/house"):
        merge([complete_run, again], tmp_path / "both")


def test_questions_of_a_video_are_asked_in_time_order() -> None:
    def sample(number: int, video: str, asked_at_s: float | None) -> Sample:
        return Sample(
            id=str(number),
            suite="s",
            video=video,
            cluster=video,
            kind="text",
            question="?",
            asked_at_s=asked_at_s,
        )

    mixed = [sample(1, "b", 9.0), sample(2, "a", None), sample(3, "b", 3.0), sample(4, "a", 5.0)]

    assert [sample.id for sample in in_order(mixed)] == ["3", "1", "4", "2"]
