"""Stored answers: finds the answer to a request in a run's folder, or in the folder of the model ``recollect``.

    stored = StoredAnswers.read(Path("run"), sample="videomme/{row[question_id]}")
    stored.answer(request).text               # "B", or NotStored is raised: no answer is invented

A run names its questions as its suite does. ``sample`` is a template that makes this name from the name of a task, the
number of a row and the row. If the run stored the options, they must be those of the task.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import BadRun, NotStored
from ..records import Prediction, Sample, read_records
from .answering import QUESTIONS, AnsweredRequest, Tokens, answered_request, read_tokens
from .eval_requests import EvalRequest

BY_NUMBER = "{task}/{doc_id}"
"""The names that the model ``recollect`` gives to questions."""


@dataclass(frozen=True)
class StoredAnswers:
    """The first answers of one system in a run, by the names of the questions."""

    path: Path
    system: str
    sample: str
    """The template of the names of the questions."""
    predictions: Mapping[str, Prediction]
    samples: Mapping[str, Sample]
    tokens: Mapping[str, Tokens]

    @classmethod
    def read(cls, path: Path, *, system: str = "recollect", sample: str = BY_NUMBER) -> StoredAnswers:
        """Read a run's folder, or its ``predictions.jsonl`` alone.

        Raises ``BadRun`` if there are no predictions of the system.
        """
        file = path / "predictions.jsonl" if path.is_dir() else path
        all_predictions = list(read_records(file, Prediction))
        predictions = {
            prediction.sample: prediction
            for prediction in all_predictions
            if prediction.system == system and prediction.repeat == 0
        }
        if not predictions:
            raise BadRun(path, _why_empty(file, system, all_predictions))
        samples = {
            stored.id: stored
            for name in (QUESTIONS, "samples.jsonl")
            for stored in read_records(file.parent / name, Sample)
        }
        return cls(file, system, sample, predictions, samples, read_tokens(file.parent))

    def answer(self, request: EvalRequest) -> AnsweredRequest:
        """The stored answer to a request. Raises ``NotStored``."""
        name = self._name(request)
        prediction = self.predictions.get(name)
        if prediction is None:
            raise NotStored(name, self.path, f"there is no answer of {self.system!r} to it")
        sample, options = self.samples.get(name), request.prompt.options
        # A letter is only valid for the same options in the same order.
        if sample is not None and options and _normalized(sample.options) != _normalized(options):
            raise NotStored(
                name,
                self.path,
                f"its options were {list(sample.options)}, but those of {request.id} are {list(options)}",
            )
        return answered_request(request, prediction, self.tokens.get(name))

    def _name(self, request: EvalRequest) -> str:
        try:
            return self.sample.format(task=request.task, doc_id=request.doc_id, row=request.row)
        except (KeyError, IndexError, AttributeError, ValueError) as error:
            columns = ", ".join(request.row)
            raise NotStored(
                request.id,
                self.path,
                f"the template {self.sample!r} does not fit ({type(error).__name__}: {error}). "
                f"The row has the columns {columns}",
            ) from None


def _why_empty(file: Path, system: str, predictions: list[Prediction]) -> str:
    if not file.exists():
        return f"there is no such file as {file.name}"
    others = ", ".join(sorted({prediction.system for prediction in predictions}))
    return f"it has no answers of {system!r}" + (f", only of {others}" if others else "")


def _normalized(options: tuple[str, ...]) -> list[str]:
    return [" ".join(re.findall(r"\w+", option.casefold())) for option in options]
