"""Answers requests with the evaluation runner: each video is watched once, and each answer is stored at once.

    answers = answer(requests, Path("run"), AnsweringSettings(time_field="query_time"))
    answers["videomme/17"].text, answers["videomme/17"].input_tokens      # "B", 5120

The folder is that of a run of ``evals.runner``, and a killed run is resumed there. It has two more files:
``questions.jsonl`` has all questions that were ever asked there, and ``tokens.jsonl`` has the prompt and reply tokens of
each answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ...perception.errors import NoLmm
from ...perception.lmm import Lmm, open_lmm
from ...settings import read_settings
from ..errors import BadRun
from ..ingestion import WatchSettings
from ..records import Kind, Prediction, Record, RecordFile, Sample, read_records
from ..runner import EvaluationRun, RunOptions, RunProgress
from ..scorers import reply_text
from ..systems import PosedQuestion, RecollectSystem, SystemAnswer
from .eval_requests import EvalRequest, RequestSuite

QUESTIONS = "questions.jsonl"
TOKENS = "tokens.jsonl"


class Tokens(Record):
    """The tokens of an answer. Those for describing the video are not included: ``ingests.jsonl`` has them."""

    record_name: ClassVar[str] = "token count"

    sample: str
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True)
class AnsweringSettings:
    """How videos are watched and questions are answered."""

    endpoint: str | None = None
    """The URL of a served video LMM. None: only the embedded observers and the extractive reasoner."""
    model: str | None = None
    """The id of the model at the endpoint. None: the only one."""
    fps: float = 4.0
    ocr: bool = True
    time_field: str | None = None
    """The column of the data that states when a question is asked."""
    retry_errors: bool = False
    """Whether questions that failed in an earlier run are asked again."""


@dataclass(frozen=True)
class AnsweredRequest:
    """An answer in the form of a task."""

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    """None, like ``input_tokens``, if the tokens are not known."""


def answer(
    requests: Sequence[EvalRequest],
    folder: Path,
    settings: AnsweringSettings,
    *,
    on_progress: Callable[[RunProgress], None] = lambda _: None,
    lmm: Lmm | None = None,
) -> dict[str, AnsweredRequest]:
    """Answer requests, or find the answers of an earlier run. Returns the answers by the ids of the requests.

    ``lmm`` replaces the model at the endpoint.

    Raises ``UnfitTask``, ``BadRun`` if the folder holds answers to different questions, ``SourceError``,
    ``MemoryStoreError`` and, with an endpoint, ``LmmError``.
    """
    suite = RequestSuite(requests, time_field=settings.time_field)
    with ExitStack() as stack:
        lmm = lmm or stack.enter_context(_open_lmm(settings))
        watching = WatchSettings(lmm=lmm, fps=settings.fps, ocr=settings.ocr)
        _store_questions(folder, suite.samples())
        tokens = stack.enter_context(RecordFile(folder / TOKENS, Tokens))
        run = EvaluationRun(
            folder,
            suite,
            [_TokenCountingSystem(lmm, tokens)],
            watching,
            RunOptions(retry_errors=settings.retry_errors),
        )
        for progress in run.go():
            on_progress(progress)
    return stored_answers(folder, requests)


def stored_answers(folder: Path, requests: Iterable[EvalRequest]) -> dict[str, AnsweredRequest]:
    """The answers to requests that were all answered before."""
    predictions = {
        prediction.sample: prediction for prediction in read_records(folder / "predictions.jsonl", Prediction)
    }
    tokens = read_tokens(folder)
    return {
        request.id: answered_request(request, predictions[request.id], tokens.get(request.id))
        for request in requests
    }


def read_tokens(folder: Path) -> Mapping[str, Tokens]:
    """The tokens of answers, as far as they were counted, by the names of the questions."""
    return {tokens.sample: tokens for tokens in read_records(folder / TOKENS, Tokens)}


def answered_request(request: EvalRequest, prediction: Prediction, tokens: Tokens | None) -> AnsweredRequest:
    """A prediction in the form of the task."""
    text = request.cut(task_text(prediction, request.prompt.kind))
    if tokens is None:
        return AnsweredRequest(text)
    return AnsweredRequest(text, tokens.input_tokens, tokens.output_tokens)


def task_text(prediction: Prediction, kind: Kind) -> str:
    """The text for a task's parser: of a choice the bare letter, or nothing if none was made.

    The text of an error, or of an abstention from a choice, is not passed on: parsers would find letters in it.
    """
    if prediction.answer is None and kind not in ("choice", "yes_no") and prediction.status != "error":
        return prediction.said
    return reply_text(prediction)


class _TokenCountingSystem(RecollectSystem):
    """Recollect, which also stores the tokens of each answer."""

    def __init__(self, lmm: Lmm | None, tokens: RecordFile[Tokens]) -> None:
        self._lmm, self._tokens = lmm, tokens

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        input_before, output_before = self._total_tokens()
        answer = super().answer(posed)
        input_after, output_after = self._total_tokens()
        self._tokens.append(
            Tokens(
                sample=posed.sample.id,
                input_tokens=input_after - input_before,
                output_tokens=output_after - output_before,
            )
        )
        return answer

    def _total_tokens(self) -> tuple[int, int]:
        """Prompt and reply tokens of all questions so far."""
        if self._lmm is None:
            return 0, 0
        usage = self._lmm.usage["question"]
        return usage.prompt_tokens, usage.completion_tokens


@contextmanager
def _open_lmm(settings: AnsweringSettings) -> Iterator[Lmm | None]:
    """The video LMM of the endpoint. Recollect's own settings add the rest, such as its key."""
    if settings.endpoint is None:
        if settings.model is not None:
            raise NoLmm(f"answer with {settings.model}")
        yield None
        return
    model = {"model": settings.model} if settings.model else {}
    lmm = open_lmm(read_settings(lmm={"url": settings.endpoint, **model}).lmm)
    try:
        yield lmm
    finally:
        if lmm is not None:
            lmm.close()


def _store_questions(folder: Path, samples: Iterable[Sample]) -> None:
    """Store the questions. Raises ``BadRun`` if one differs from a stored one: its answer would not fit."""
    path = folder / QUESTIONS
    stored = {sample.id: sample for sample in read_records(path, Sample)}
    with RecordFile(path, Sample) as file:
        for sample in samples:
            earlier = stored.get(sample.id)
            if earlier is None:
                file.append(sample)
            elif earlier != sample:
                why = f"{sample.id} was asked in other words, about another video, or at another time"
                raise BadRun(folder, why)
