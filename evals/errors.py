"""Errors of an evaluation."""

from __future__ import annotations

from pathlib import Path

from ..common.errors import RecollectError


class EvaluationError(RecollectError):
    """An evaluation cannot go on."""


class BadSuite(EvaluationError):
    """The files of a benchmark are not there, or are something else."""

    def __init__(self, suite: str, where: Path, why: str, get: str = "") -> None:
        super().__init__(f"cannot read {suite} in {where}: {why}." + (f" {get}" if get else ""))
        self.suite, self.where, self.why = suite, where, why


class BadRun(EvaluationError):
    """What an earlier run left in its folder is something else, or of another run."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"cannot go on with the run in {path}: {why}. Name another folder, or delete this one."
        )
        self.path, self.why = path, why


class NoRun(EvaluationError):
    """What an evaluation left is to be read where there is nothing of one."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"no evaluation was run in {path}. Name the folder of a run (`out`).")
        self.path = path


class NoMatplotlib(EvaluationError):
    """Pictures of an evaluation are to be drawn, and there is nothing to draw them with."""

    def __init__(self) -> None:
        super().__init__(
            "pictures are drawn by matplotlib, which is not installed. Run: pip install 'recollect[plots]'"
        )


class LookedAhead(EvaluationError):
    """A system asked for what comes after the question, or before what may be used."""

    def __init__(self, time_s: float, from_s: float, until_s: float) -> None:
        super().__init__(
            f"a system asked for {time_s:.3f} s of a video of which only {from_s:.3f} to {until_s:.3f} s may be used."
            " Its answer would not be one that can be given live; mend the system."
        )
        self.time_s, self.from_s, self.until_s = time_s, from_s, until_s


class UnfitTask(EvaluationError):
    """A task asks something that is no question about one video."""

    def __init__(self, task: str, why: str) -> None:
        super().__init__(
            f"cannot answer the task {task}: {why}. Recollect takes tasks of lmms-eval that generate an answer "
            "to a question about one video file."
        )
        self.task, self.why = task, why


class NotStored(EvaluationError):
    """A question has no stored answer, or one to something else."""

    def __init__(self, sample: str, path: Path, why: str) -> None:
        super().__init__(
            f"cannot replay {sample} from {path}: {why}. Correct the model args `predictions`, `system` and "
            "`sample`, which names a stored answer, such as sample=videomme/{row[question_id]}; or have it answered first."
        )
        self.sample, self.path, self.why = sample, path, why
