"""Finds the stored answer to a request: in a run of ours, or in the folder that the first model keeps.

    stored = Stored.read(Path("run"), sample="videomme/{row[question_id]}")
    stored.answer(request).text               # "B", or NotStored: no answer is made up

A run names its questions as its suite does; ``sample`` says how that name is made of a task's name, the number of a
row and the row. Where the run kept the options, they must be those that the task gives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import BadRun, NotStored
from ..records import Prediction, Sample, read
from .answering import QUESTIONS, AnsweredRequest, Tokens, answered, tokens_in
from .eval_requests import EvalRequest

BY_NUMBER = "{task}/{doc_id}"
"""How the first model names questions."""


@dataclass(frozen=True)
class StoredAnswers:
    """The first answers of one system in a run, by the names of the questions."""

    path: Path
    system: str
    sample: str
    predictions: Mapping[str, Prediction]
    samples: Mapping[str, Sample]
    tokens: Mapping[str, Tokens]

    @classmethod
    def read(cls, path: Path, *, system: str = "recollect", sample: str = BY_NUMBER) -> StoredAnswers:
        """Read a run's folder, or its ``predictions.jsonl`` alone.

        Raises ``BadRun`` where there are no predictions of the system.
        """
        file = path / "predictions.jsonl" if path.is_dir() else path
        every = list(read(file, Prediction))
        predictions = {one.sample: one for one in every if one.system == system and one.repeat == 0}
        if not predictions:
            there = ", ".join(sorted({one.system for one in every}))
            why = (
                f"there is no such file as {file.name}"
                if not file.exists()
                else f"{system!r} answered nothing there"
            )
            raise BadRun(path, why + (f", but only {there}" if there else ""))
        samples = {
            one.id: one for name in (QUESTIONS, "samples.jsonl") for one in read(file.parent / name, Sample)
        }
        return cls(file, system, sample, predictions, samples, tokens_in(file.parent))

    def answer(self, request: EvalRequest) -> AnsweredRequest:
        """What is stored for a request. Raises ``NotStored``."""
        name = self._name(request)
        prediction = self.predictions.get(name)
        if prediction is None:
            raise NotStored(name, self.path, f"there is no answer of {self.system!r} to it")
        kept, options = self.samples.get(name), request.asked.options
        # Letters mean nothing among other options, or the same in another order.
        if kept is not None and options and _plain(kept.options) != _plain(options):
            raise NotStored(
                name,
                self.path,
                f"it was answered among {list(kept.options)}, and {request.id} gives {list(options)}",
            )
        return answered(request, prediction, self.tokens.get(name))

    def _name(self, request: EvalRequest) -> str:
        try:
            return self.sample.format(task=request.task, doc_id=request.doc_id, row=request.row)
        except (KeyError, IndexError, AttributeError, ValueError) as error:
            columns = ", ".join(request.row)
            raise NotStored(
                request.id,
                self.path,
                f"{self.sample!r} makes no name of it ({type(error).__name__}: {error}); its row has {columns}",
            ) from None


def _plain(options: tuple[str, ...]) -> list[str]:
    return [" ".join(re.findall(r"\w+", option.casefold())) for option in options]
