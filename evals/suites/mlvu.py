"""MLVU: videos of three minutes to two hours, and nine tasks of which seven have options.

    suite = Mlvu(Path("MLVU"))                     # with json/1_plotQA.json ..., and the videos in video/1_plotQA/ ...
    suite.official(sample, "B) the red one")       # 1.0 where B is right

The official parser takes the sign before the first ")", and a reply without one as it is: "The answer is C." is
nothing. ``overall`` is M-Avg, the mean of the tasks' means; ``micro`` is what the official script calls ``Avg``.

Sub-scene captioning and summaries are left out unless they are asked for, as only the official judge, GPT-4, can
score them: with ``generation=True`` they are samples whose answers are not known here, and files for the judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

from pydantic import Field, TypeAdapter

from ..records import Prediction, Sample
from .annotation_files import (
    AnnotationItem,
    PublishedSource,
    first_file,
    mean,
    means_by_name,
    replies_by_run,
    exact_match_score,
    video_file,
    write_json,
)

TASKS = {
    "plotQA": "1_plotQA",
    "needle": "2_needle",
    "ego": "3_ego",
    "count": "4_count",
    "order": "5_order",
    "anomaly_reco": "6_anomaly_reco",
    "topic_reasoning": "7_topic_reasoning",
}
"""The tasks with options of the dev set, and the name of their file and folder."""
GENERATION = {"subPlot": "8_sub_scene", "summary": "9_summary"}
"""Those that are answered in words."""
_TEST = ("test-ground-truth/test_mcq_gt.json", "test_mcq_gt.json", "test_question.json")


class _Words(AnnotationItem):
    video: str
    question: str
    answer: str
    question_type: str


class _Choice(AnnotationItem):
    video: str
    question: str
    question_type: str
    candidates: list[str] = Field(min_length=2, max_length=26)
    answer: str


class _TestChoice(AnnotationItem):
    question_id: str
    video: str
    question: str
    question_type: str
    candidates: list[str] = Field(min_length=2, max_length=26)
    answer: str | None = None


_WORDS: TypeAdapter[list[_Words]] = TypeAdapter(list[_Words])
_CHOICES: TypeAdapter[list[_Choice]] = TypeAdapter(list[_Choice])
_TEST_CHOICES: TypeAdapter[list[_TestChoice]] = TypeAdapter(list[_TestChoice])


class Mlvu:
    """Reads the official files of the dev set, one a task, or the one of the test set."""

    name = "mlvu"

    def __init__(
        self, folder: Path, split: Literal["dev", "test"] = "dev", *, generation: bool = False
    ) -> None:
        """``generation``: with the two tasks of the dev set that are answered in words."""
        where = "MLVU/MVLU" if split == "dev" else "MLVU/MLVU_Test"
        get = f"Get it from https://huggingface.co/datasets/{where} (code: https://github.com/JUNJIE99/MLVU)."
        self._source, self._folder = PublishedSource("MLVU", get), folder
        self._test = split == "test"
        self._generation = generation and not self._test

    @property
    def settings(self) -> Mapping[str, str]:
        """Which set, and whether with the tasks in words."""
        return {"split": "test" if self._test else "dev", "generation": str(self._generation)}

    def files(self) -> Sequence[Path]:
        """A file a task, or that of the test set: with its answers, where they are there."""
        if self._test:
            return [first_file(self._source, self._folder, *_TEST)]
        names = [*TASKS.values(), *(GENERATION.values() if self._generation else ())]
        return [first_file(self._source, self._folder, f"json/{name}.json", f"{name}.json") for name in names]

    def samples(self) -> Iterator[Sample]:
        """Every question, in the order of the tasks and of their files."""
        for path in self.files():
            if self._test:
                yield from (self._tested(path, item) for item in self._source.read(path, _TEST_CHOICES))
            elif path.stem in GENERATION.values():
                told = self._source.read(path, _WORDS)
                yield from (self._told(path, at, item) for at, item in enumerate(told))
            else:
                chosen = self._source.read(path, _CHOICES)
                yield from (self._chosen(path, at, item) for at, item in enumerate(chosen))

    def video(self, name: str) -> Path:
        """The file of a video: in the dev set its task's folder and its name."""
        return video_file(self._source, self._folder, name, "video", "videos", "")

    def official(self, sample: Sample, reply: str) -> float:
        """Whether what the official parser finds is the right letter; left out where a judge is needed."""
        return exact_match_score(sample, before_bracket(reply))

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """Every task, M-Avg as ``overall``, and the mean of all questions as ``micro``."""
        table = means_by_name(scored, lambda sample: [sample.tags["task"]])
        return {**table, "micro": mean(score for _, score in scored), "overall": mean(table.values())}

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run the letters as the test server takes them, and what the judge reads of the tasks in words."""
        files = []
        answers = self._answers()
        for run, run_replies in replies_by_run(predictions).items():
            letters: list[dict[str, str]] = []
            words: dict[str, list[dict[str, Any]]] = {}
            for sample in samples:
                reply, task = run_replies.get(sample.id) or "", sample.tags["task"]
                if sample.kind == "choice":
                    key, option = sample.id.removeprefix("mlvu/"), before_bracket(reply)
                    letters.append({"question_id": key, "question_type": task, "option": option})
                else:
                    name = Path(sample.video).name
                    judged = {
                        "video_name": name,
                        "Q": sample.question,
                        "A": answers[sample.id],
                        "pred": reply,
                    }
                    words.setdefault(task, []).append(judged)
            files.append(write_json(folder / run / "test_res.json", letters))
            files += [
                write_json(folder / run / f"{task.lower()}_all.json", judged) for task, judged in words.items()
            ]
        return files

    def _answers(self) -> dict[str, str]:
        """What the judge compares with."""
        answers: dict[str, str] = {}
        for path in self.files():
            if path.stem in GENERATION.values():
                told = self._source.read(path, _WORDS)
                answers |= {f"mlvu/{path.stem}/{at}": item.answer for at, item in enumerate(told)}
        return answers

    def _told(self, path: Path, at: int, item: _Words) -> Sample:
        return Sample(
            id=f"mlvu/{path.stem}/{at}",
            suite=self.name,
            video=f"{path.stem}/{item.video}",
            cluster=f"{path.stem}/{item.video}",
            kind="checklist" if item.question_type == "subPlot" else "text",
            question=item.question,
            tags={"task": item.question_type},
        )

    def _chosen(self, path: Path, at: int, item: _Choice) -> Sample:
        return Sample(
            id=f"mlvu/{path.stem}/{at}",
            suite=self.name,
            video=f"{path.stem}/{item.video}",
            cluster=f"{path.stem}/{item.video}",
            kind="choice",
            question=item.question,
            options=tuple(item.candidates),
            gold=self._gold(path, f"question {at}", item.candidates, item.answer),
            tags={"task": item.question_type},
        )

    def _tested(self, path: Path, item: _TestChoice) -> Sample:
        known = item.answer is not None
        return Sample(
            id=f"mlvu/{item.question_id}",
            suite=self.name,
            video=item.video,
            cluster=item.video,
            kind="choice",
            question=item.question,
            options=tuple(item.candidates),
            gold=self._gold(path, item.question_id, item.candidates, item.answer or "") if known else None,
            tags={"task": item.question_type},
        )

    def _gold(self, path: Path, which: str, candidates: Sequence[str], answer: str) -> str:
        if answer not in candidates:
            raise self._source.bad_suite(path, f"`answer` of {which} is none of its `candidates`")
        # The official code keeps the last where options are the same.
        return ascii_uppercase[max(at for at, option in enumerate(candidates) if option == answer)]


def before_bracket(reply: str) -> str:
    """A reply as the official code reads it: the sign before the first ")", or all of it where there is none."""
    if ")" not in reply:
        return reply
    at = reply.index(")")
    return reply[at - 1 : at] if at else ""
