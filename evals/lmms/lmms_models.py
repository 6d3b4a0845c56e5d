"""The two models that lmms-eval loads: one watches videos and answers, the other replays stored answers.

    lmms-eval eval --model recollect --model_args memory=run,endpoint=http://127.0.0.1:8000/v1,time_field=query_time …
    lmms-eval eval --model recollect_replay --model_args 'predictions=run,sample=videomme/{row[question_id]}' …

Only lmms-eval creates instances of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..errors import EvaluationError, UnfitTask
from ..runner import RunProgress
from .answering import AnsweredRequest, AnsweringSettings, answer
from .eval_requests import EvalRequest, RequestInstance, read_request
from .stored_answers import BY_NUMBER, StoredAnswers

if TYPE_CHECKING:
    from lmms_eval.api.instance import GenerationResult

try:
    from lmms_eval.api.model import lmms
except ModuleNotFoundError:  # tools that import every module can import this one without lmms-eval
    lmms = object


_IGNORED_OPTIONS = frozenset({"batch_size", "max_batch_size", "device"})


class _Model(lmms):  # type: ignore[misc]  # lmms-eval has no type information
    """The base of both models, which answer each question about a video with one text."""

    is_simple = False

    def __init__(self, options: Mapping[str, object]) -> None:
        """Check the environment and ``options``, the arguments that lmms-eval passes to every model."""
        super().__init__()
        unknown = sorted(set(options) - _IGNORED_OPTIONS)
        if unknown:
            raise TypeError(f"unknown model args: {', '.join(unknown)}")
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise EvaluationError(
                "Recollect answers in one process. With accelerate or torchrun, every process would watch all videos "
                "into the same folder. Start lmms-eval without them."
            )

    def loglikelihood(self, requests: Sequence[RequestInstance]) -> NoReturn:
        """Raise ``UnfitTask``: an agent gives answers, not likelihoods."""
        raise UnfitTask(_task_of(requests), "it needs the likelihood of given answers")

    def generate_until_multi_round(self, requests: Sequence[RequestInstance]) -> NoReturn:
        """Raise ``UnfitTask``: questions of several rounds are not supported."""
        raise UnfitTask(_task_of(requests), "it asks in several rounds")

    def _read(self, requests: Sequence[RequestInstance]) -> list[EvalRequest]:
        return [read_request(instance, self.task_dict) for instance in requests]


class WatchingModel(_Model):
    """Watches every video once and answers the questions about it in time order.

    Args:
        memory: The folder for the memories and the answers. A killed run is resumed there.
        endpoint: The URL of a served video LMM. By default only the embedded parts of Recollect are used.
        model: The id of the model at the endpoint. By default the only one.
        fps: Frames a second for the observers.
        ocr: Whether text in the picture is read.
        time_field: The column of the data that states when in the video a question is asked. Nothing after that time
            is used. By default, all questions are asked when the video is over.
        retry_errors: Ask questions that failed in an earlier run again.
        options: ``batch_size``, ``max_batch_size`` and ``device``, which lmms-eval passes to every model. Ignored.

    """

    def __init__(
        self,
        *,
        memory: str = "recollect-lmms",
        endpoint: str | None = None,
        model: str | None = None,
        fps: float = 4.0,
        ocr: bool = True,
        time_field: str | None = None,
        retry_errors: bool = False,
        **options: object,
    ) -> None:
        super().__init__(options)
        # lmms-eval converts model args that look like numbers, so texts may arrive as numbers.
        self._folder = Path(str(memory)).expanduser()
        self._settings = AnsweringSettings(
            endpoint=endpoint,
            model=None if model is None else str(model),
            fps=float(fps),
            ocr=ocr,
            time_field=None if time_field is None else str(time_field),
            retry_errors=retry_errors,
        )

    def generate_until(self, requests: Sequence[RequestInstance]) -> list[GenerationResult]:
        """Answer the requests, or return the answers of an earlier run."""
        from tqdm import tqdm  # noqa: PLC0415 - lmms-eval has it

        read_requests = self._read(requests)
        with tqdm(desc="Recollect", unit="answer") as bar:

            def show(progress: RunProgress) -> None:
                bar.total, bar.n = progress.total, progress.answered
                bar.refresh()

            answers = answer(read_requests, self._folder, self._settings, on_progress=show)
        return [_result(answers[request.id]) for request in read_requests]


class ReplayingModel(_Model):
    """Replays stored answers, and computes none.

    Args:
        predictions: The folder of a run, its ``predictions.jsonl``, or the folder of the model ``recollect``.
        system: The system of the run.
        sample: A template of the run's names of questions, with ``{task}``, ``{doc_id}`` and ``{row[…]}``.
        options: ``batch_size``, ``max_batch_size`` and ``device``, which lmms-eval passes to every model. Ignored.

    """

    def __init__(
        self,
        *,
        predictions: str,
        system: str = "recollect",
        sample: str = BY_NUMBER,
        **options: object,
    ) -> None:
        super().__init__(options)
        self._stored = StoredAnswers.read(
            Path(str(predictions)).expanduser(), system=str(system), sample=str(sample)
        )

    def generate_until(self, requests: Sequence[RequestInstance]) -> list[GenerationResult]:
        """The stored answers. Raises ``NotStored`` if one is missing."""
        return [_result(self._stored.answer(request)) for request in self._read(requests)]


def _result(answer: AnsweredRequest) -> GenerationResult:
    from lmms_eval.api.instance import GenerationResult, TokenCounts  # noqa: PLC0415

    return GenerationResult(answer.text, TokenCounts(answer.input_tokens, answer.output_tokens))


def _task_of(requests: Sequence[RequestInstance]) -> str:
    return str(requests[0].args[-2]) if requests else "of this kind"
