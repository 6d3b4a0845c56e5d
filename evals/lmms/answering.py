"""Has our own runner answer requests: each video is watched once, each answer is on the disk before the next is sought.

    answers = answer(requests, Path("run"), AnsweringSettings(time_field="query_time"))
    answers["videomme/17"].text, answers["videomme/17"].input_tokens      # "B", 5120

The folder is one of a run of ``evals.runner``, which goes on where it was killed; beside its files there are
``questions.jsonl``, all that was ever asked there, and ``tokens.jsonl``, what answers cost by prompts and replies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...perception.errors import NoLmm
from ...perception.lmm import Lmm, open_lmm
from ...settings import read_settings
from ..errors import BadRun
from ..ingestion import WatchSettings
from ..records import Kind, Prediction, Record, RecordFile, Sample, read
from ..runner import EvaluationRun, RunProgress
from ..scorers import reply
from ..systems import PosedQuestion, RecollectSystem, SystemAnswer
from .eval_requests import EvalRequest, RequestSuite

QUESTIONS = "questions.jsonl"
TOKENS = "tokens.jsonl"


class Tokens(Record):
    """What a model read and wrote for an answer; describing the video comes on top, and is counted in ``ingests.jsonl``."""

    sample: str
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True)
class AnsweringSettings:
    """How videos are watched and questions are answered."""

    endpoint: str | None = None
    """Where a video LMM is served. None: nothing but what comes with Recollect watches and answers."""
    model: str | None = None
    """Its id there; None: the one that is served."""
    fps: float = 4.0
    ocr: bool = True
    time_field: str | None = None
    """The column of the data that says when a question is asked."""
    retry_errors: bool = False
    """Whether what failed in an earlier run is asked again."""


@dataclass(frozen=True)
class AnsweredRequest:
    """An answer as a task takes it."""

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    """None where they are not known."""


def answer(
    requests: Sequence[EvalRequest],
    folder: Path,
    settings: AnsweringSettings,
    *,
    on_progress: Callable[[RunProgress], None] = lambda _: None,
    lmm: Lmm | None = None,
) -> dict[str, AnsweredRequest]:
    """Answer requests, or find what was answered in an earlier run, by their ids; ``lmm`` instead of an endpoint.

    Raises ``UnfitTask``, ``BadRun`` where the folder holds other answers, ``SourceError``, ``MemoryStoreError`` and,
    where a model is named, ``LmmError``.
    """
    suite = RequestSuite(requests, time_field=settings.time_field)
    with ExitStack() as stack:
        lmm = lmm or stack.enter_context(_opened(settings))
        watching = WatchSettings(lmm=lmm, fps=settings.fps, ocr=settings.ocr)
        _note(folder, suite.samples())
        tokens = stack.enter_context(RecordFile(folder / TOKENS, Tokens))
        run = EvaluationRun(
            folder,
            suite,
            [_Counting(lmm, tokens)],
            watching,
            retry_errors=settings.retry_errors,
        )
        for progress in run.go():
            on_progress(progress)
    return answers_in(folder, requests)


def answers_in(folder: Path, requests: Iterable[EvalRequest]) -> dict[str, AnsweredRequest]:
    """What is stored for requests, all of which were answered."""
    predictions = {one.sample: one for one in read(folder / "predictions.jsonl", Prediction)}
    tokens = tokens_in(folder)
    return {
        request.id: answered(request, predictions[request.id], tokens.get(request.id)) for request in requests
    }


def tokens_in(folder: Path) -> Mapping[str, Tokens]:
    """What answers cost, as far as it was counted."""
    return {one.sample: one for one in read(folder / TOKENS, Tokens)}


def answered(request: EvalRequest, prediction: Prediction, tokens: Tokens | None) -> AnsweredRequest:
    """A prediction as the task takes it."""
    text = request.cut(told(prediction, request.asked.kind))
    return (
        AnsweredRequest(text)
        if tokens is None
        else AnsweredRequest(text, tokens.input_tokens, tokens.output_tokens)
    )


def told(prediction: Prediction, kind: Kind) -> str:
    """What is handed to a task's parser: of a choice the bare letter, and nothing where none was made.

    What an abstention from a choice or a failure says is no answer; parsers would find letters in it.
    """
    if prediction.answer is None and kind not in ("choice", "yes_no") and prediction.status != "error":
        return prediction.said
    return reply(prediction)


class _Counting(RecollectSystem):
    """The agent; what its model reads and writes is noted."""

    def __init__(self, lmm: Lmm | None, tokens: RecordFile[Tokens]) -> None:
        self._lmm, self._tokens = lmm, tokens

    def answer(self, posed: PosedQuestion) -> SystemAnswer:
        read_before, written_before = self._spent()
        said = super().answer(posed)
        read_now, written_now = self._spent()
        self._tokens.append(
            Tokens(
                sample=posed.sample.id,
                input_tokens=read_now - read_before,
                output_tokens=written_now - written_before,
            )
        )
        return said

    def _spent(self) -> tuple[int, int]:
        if self._lmm is None:
            return 0, 0
        usage = self._lmm.usage["question"]
        return usage.prompt_tokens, usage.completion_tokens


@contextmanager
def _opened(settings: AnsweringSettings) -> Iterator[Lmm | None]:
    """The video LMM that is named, with what else the settings of Recollect say of it, such as its key."""
    if settings.endpoint is None:
        if settings.model is not None:
            raise NoLmm(f"answer with {settings.model}")
        yield None
        return
    found = read_settings(
        lmm={"url": settings.endpoint, **({"model": settings.model} if settings.model else {})}
    )
    lmm = open_lmm(found.lmm)
    try:
        yield lmm
    finally:
        if lmm is not None:
            lmm.close()


def _note(folder: Path, samples: Iterable[Sample]) -> None:
    """Keep what is asked. Raises ``BadRun`` where it was something else: the answers would be to that."""
    path = folder / QUESTIONS
    known = {one.id: one for one in read(path, Sample)}
    with RecordFile(path, Sample) as lines:
        for sample in samples:
            before = known.get(sample.id)
            if before is None:
                lines.append(sample)
            elif before != sample:
                why = f"{sample.id} was asked in other words, of another video, or at another time"
                raise BadRun(folder, why)
