"""Errors of an evaluation."""

from __future__ import annotations

from pathlib import Path

from ..common.errors import RecollectError


class EvaluationError(RecollectError):
    """An evaluation cannot continue."""


class BadSuite(EvaluationError):
    """The files of a benchmark are missing or do not match the published format."""

    def __init__(self, suite: str, where: Path, why: str, get: str = "") -> None:
        super().__init__(f"cannot read {suite} in {where}: {why}." + (f" {get}" if get else ""))
        self.suite, self.where, self.why = suite, where, why


class BadRun(EvaluationError):
    """The files in a run's folder cannot be read or belong to a different run."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"cannot continue the run in {path}: {why}. Name another folder, or delete this one."
        )
        self.path, self.why = path, why


class NoRun(EvaluationError):
    """A folder holds no evaluation run."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds no evaluation run. Name the folder that was given to `out`.")
        self.path = path


class NoMatplotlib(EvaluationError):
    """Charts were requested, but matplotlib is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "charts need matplotlib, which is not installed. Run: pip install 'recollect[plots]'"
        )


class LookedAhead(EvaluationError):
    """A system requested a frame outside the part of the video that its question may use."""

    def __init__(self, time_s: float, from_s: float, until_s: float) -> None:
        super().__init__(
            f"The system requested a frame at {time_s:.3f} s, but the question may use only {from_s:.3f} to"
            f" {until_s:.3f} s. This is look-ahead leakage: the answer could not be given live. Fix the system."
        )
        self.time_s, self.from_s, self.until_s = time_s, from_s, until_s


class UnfitTask(EvaluationError):
    """A task of lmms-eval is not a question about one video."""

    def __init__(self, task: str, why: str) -> None:
        super().__init__(
            f"cannot answer the task {task}: {why}. Recollect supports tasks of lmms-eval that generate an answer "
            "to a question about one video file."
        )
        self.task, self.why = task, why


class NotStored(EvaluationError):
    """A question has no stored answer, or the stored answer belongs to a different question."""

    def __init__(self, sample: str, path: Path, why: str) -> None:
        super().__init__(
            f"cannot replay {sample} from {path}: {why}. Correct the model args `predictions`, `system` and "
            "`sample`, which names a stored answer, such as sample=videomme/{row[question_id]}. Or answer the "
            "question first."
        )
        self.sample, self.path, self.why = sample, path, why
