"""The two models that lmms-eval loads: one watches and answers, one hands out what was answered.

    lmms-eval eval --model recollect --model_args memory=run,endpoint=http://127.0.0.1:8000/v1,time_field=query_time …
    lmms-eval eval --model recollect_replay --model_args 'predictions=run,sample=videomme/{row[question_id]}' …

Only lmms-eval makes models of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
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
except ModuleNotFoundError:  # whoever loads every module there is can load this one, and make no model of it
    lmms = object


class _Model(lmms):  # type: ignore[misc]  # nothing is known of its types
    """What both have in common: they answer questions about a video, one text each."""

    is_simple = False

    def __init__(self) -> None:
        super().__init__()
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise EvaluationError(
                "Recollect answers in one process: started in several by accelerate or torchrun, each would watch "
                "every video again into the same folder. Start lmms-eval alone."
            )

    def loglikelihood(self, requests: Sequence[RequestInstance]) -> NoReturn:
        """Raise ``UnfitTask``: an agent gives answers, not how likely they are."""
        raise UnfitTask(_task_of(requests), "it asks how likely given answers are")

    def generate_until_multi_round(self, requests: Sequence[RequestInstance]) -> NoReturn:
        """Raise ``UnfitTask``."""
        raise UnfitTask(_task_of(requests), "it asks in several rounds")

    def _read(self, requests: Sequence[RequestInstance]) -> list[EvalRequest]:
        return [read_request(instance, self.task_dict) for instance in requests]


class WatchingModel(_Model):
    """Watches every video once and answers what is asked about it, in the order of time.

    Args:
        memory: The folder for the memories and the answers. A run that was killed goes on there.
        endpoint: Where a video LMM is served; without, Recollect uses what comes with it.
        model: Its id there; by default the only one that is served.
        fps: Frames a second that are looked at.
        ocr: Whether text in the picture is read.
        time_field: The column of the data that says when in the video a question is asked; nothing that comes later
            is used. By default, all are asked when the video is over.
        retry_errors: Ask again what failed in an earlier run.
        batch_size, max_batch_size, device: lmms-eval gives them to every model; they change nothing here.

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
        batch_size: object = None,
        max_batch_size: object = None,
        device: object = None,
    ) -> None:
        super().__init__()
        # lmms-eval makes numbers of all model args that look like one.
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
        """Answer, or give again what was answered in an earlier run."""
        from tqdm import tqdm  # noqa: PLC0415 - lmms-eval has it

        asked = self._read(requests)
        with tqdm(desc="Recollect", unit="answer") as bar:

            def show(progress: RunProgress) -> None:
                bar.total, bar.n = progress.of, progress.answered
                bar.refresh()

            answers = answer(asked, self._folder, self._settings, on_progress=show)
        return [_result(answers[request.id]) for request in asked]


class ReplayingModel(_Model):
    """Hands out stored answers, and asks nothing.

    Args:
        predictions: A run's folder or its ``predictions.jsonl``, or the folder that ``recollect`` kept.
        system: Which of the run's systems.
        sample: How the run names a question, made of ``{task}``, ``{doc_id}`` and ``{row[…]}``.
        batch_size, max_batch_size, device: lmms-eval gives them to every model; they change nothing here.

    """

    def __init__(
        self,
        *,
        predictions: str,
        system: str = "recollect",
        sample: str = BY_NUMBER,
        batch_size: object = None,
        max_batch_size: object = None,
        device: object = None,
    ) -> None:
        super().__init__()
        self._stored = StoredAnswers.read(
            Path(str(predictions)).expanduser(), system=str(system), sample=str(sample)
        )

    def generate_until(self, requests: Sequence[RequestInstance]) -> list[GenerationResult]:
        """Find every answer. Raises ``NotStored`` where one is missing."""
        return [_result(self._stored.answer(request)) for request in self._read(requests)]


def _result(answer: AnsweredRequest) -> GenerationResult:
    from lmms_eval.api.instance import GenerationResult, TokenCounts  # noqa: PLC0415

    return GenerationResult(answer.text, TokenCounts(answer.input_tokens, answer.output_tokens))


def _task_of(requests: Sequence[RequestInstance]) -> str:
    return str(requests[0].args[-2]) if requests else "of this kind"
