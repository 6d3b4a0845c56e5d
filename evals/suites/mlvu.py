"""MLVU: videos of three minutes to two hours, and nine tasks, seven of them with options.

    suite = Mlvu(Path("MLVU"))                     # with json/1_plotQA.json ..., and the videos in video/1_plotQA/ ...
    suite.official(sample, "B) the red one")       # 1.0 where B is right

The official parser takes the character before the first ")", or the whole reply if there is none: "The answer is C."
is no answer. ``overall`` is M-Avg, the mean of the tasks' means. ``micro`` is what the official script calls ``Avg``.

Sub-scene captioning and summaries are left out by default, because only the official judge, GPT-4, can score them.
With ``generation=True`` they are samples without a gold answer, and ``export`` writes files for the judge.
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
    exact_match_score,
    first_file,
    mean,
    means_by_name,
    replies_by_run,
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
"""The tasks with options of the dev set, with the name of their file and folder."""
GENERATION = {"subPlot": "8_sub_scene", "summary": "9_summary"}
"""The tasks that are answered in free text."""
_TEST = ("test-ground-truth/test_mcq_gt.json", "test_mcq_gt.json", "test_question.json")


class _OpenQuestion(AnnotationItem):
    video: str
    question: str
    answer: str
    question_type: str


class _ChoiceQuestion(AnnotationItem):
    video: str
    question: str
    question_type: str
    candidates: list[str] = Field(min_length=2, max_length=26)
    answer: str


class _TestQuestion(AnnotationItem):
    question_id: str
    video: str
    question: str
    question_type: str
    candidates: list[str] = Field(min_length=2, max_length=26)
    answer: str | None = None


_OPEN_QUESTIONS: TypeAdapter[list[_OpenQuestion]] = TypeAdapter(list[_OpenQuestion])
_CHOICE_QUESTIONS: TypeAdapter[list[_ChoiceQuestion]] = TypeAdapter(list[_ChoiceQuestion])
_TEST_QUESTIONS: TypeAdapter[list[_TestQuestion]] = TypeAdapter(list[_TestQuestion])


class Mlvu:
    """Reads the official files of the dev set, one for each task, or the single file of the test set."""

    name = "mlvu"

    def __init__(
        self, folder: Path, split: Literal["dev", "test"] = "dev", *, generation: bool = False
    ) -> None:
        """``generation``: include the two tasks of the dev set that are answered in free text."""
        dataset = "MLVU/MVLU" if split == "dev" else "MLVU/MLVU_Test"
        get = (
            f"Get it from https://huggingface.co/datasets/{dataset} (code: https://github.com/JUNJIE99/MLVU)."
        )
        self._source, self._folder = PublishedSource("MLVU", get), folder
        self._test = split == "test"
        self._generation = generation and not self._test

    @property
    def settings(self) -> Mapping[str, str]:
        """The set, and whether the tasks in free text are included."""
        return {"split": "test" if self._test else "dev", "generation": str(self._generation)}

    def files(self) -> Sequence[Path]:
        """One file for each task, or the file of the test set, with answers if available."""
        if self._test:
            return [first_file(self._source, self._folder, *_TEST)]
        names = [*TASKS.values(), *(GENERATION.values() if self._generation else ())]
        return [first_file(self._source, self._folder, f"json/{name}.json", f"{name}.json") for name in names]

    def samples(self) -> Iterator[Sample]:
        """Every question, in the order of the tasks and of their files."""
        for path in self.files():
            if self._test:
                for test_question in self._source.read(path, _TEST_QUESTIONS):
                    yield self._test_sample(path, test_question)
            elif path.stem in GENERATION.values():
                open_questions = self._source.read(path, _OPEN_QUESTIONS)
                for number, open_question in enumerate(open_questions):
                    yield self._open_sample(path, number, open_question)
            else:
                choice_questions = self._source.read(path, _CHOICE_QUESTIONS)
                for number, choice_question in enumerate(choice_questions):
                    yield self._choice_sample(path, number, choice_question)

    def video(self, name: str) -> Path:
        """The file of a video. In the dev set its name begins with the folder of the task."""
        return video_file(self._source, self._folder, name, "video", "videos", "")

    def official(self, sample: Sample, reply: str) -> float:
        """Whether the official parser finds the right letter. ``LEFT_OUT`` for tasks that need a judge."""
        return exact_match_score(sample, parse_letter(reply))

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy of every task, M-Avg as ``overall``, and the mean of all questions as ``micro``."""
        table = means_by_name(scored, lambda sample: [sample.tags["task"]])
        return {**table, "micro": mean(score for _, score in scored), "overall": mean(table.values())}

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run the letters for the test server, and the replies in free text for the judge."""
        files = []
        answers = self._answers()
        for run, run_replies in replies_by_run(predictions).items():
            letters: list[dict[str, str]] = []
            for_judge: dict[str, list[dict[str, Any]]] = {}
            for sample in samples:
                reply, task = run_replies.get(sample.id) or "", sample.tags["task"]
                if sample.kind == "choice":
                    key, option = sample.id.removeprefix("mlvu/"), parse_letter(reply)
                    letters.append({"question_id": key, "question_type": task, "option": option})
                else:
                    name = Path(sample.video).name
                    entry = {
                        "video_name": name,
                        "Q": sample.question,
                        "A": answers[sample.id],
                        "pred": reply,
                    }
                    for_judge.setdefault(task, []).append(entry)
            files.append(write_json(folder / run / "test_res.json", letters))
            files += [
                write_json(folder / run / f"{task.lower()}_all.json", entries)
                for task, entries in for_judge.items()
            ]
        return files

    def _answers(self) -> dict[str, str]:
        """The reference answers in free text, by the id of the sample, for the judge."""
        answers: dict[str, str] = {}
        for path in self.files():
            if path.stem in GENERATION.values():
                items = self._source.read(path, _OPEN_QUESTIONS)
                for number, item in enumerate(items):
                    answers[f"mlvu/{path.stem}/{number}"] = item.answer
        return answers

    def _open_sample(self, path: Path, number: int, item: _OpenQuestion) -> Sample:
        return Sample(
            id=f"mlvu/{path.stem}/{number}",
            suite=self.name,
            video=f"{path.stem}/{item.video}",
            cluster=f"{path.stem}/{item.video}",
            kind="checklist" if item.question_type == "subPlot" else "text",
            question=item.question,
            tags={"task": item.question_type},
        )

    def _choice_sample(self, path: Path, number: int, item: _ChoiceQuestion) -> Sample:
        return Sample(
            id=f"mlvu/{path.stem}/{number}",
            suite=self.name,
            video=f"{path.stem}/{item.video}",
            cluster=f"{path.stem}/{item.video}",
            kind="choice",
            question=item.question,
            options=tuple(item.candidates),
            gold=self._gold(path, f"question {number}", item.candidates, item.answer),
            tags={"task": item.question_type},
        )

    def _test_sample(self, path: Path, item: _TestQuestion) -> Sample:
        gold = None
        if item.answer is not None:
            gold = self._gold(path, item.question_id, item.candidates, item.answer)
        return Sample(
            id=f"mlvu/{item.question_id}",
            suite=self.name,
            video=item.video,
            cluster=item.video,
            kind="choice",
            question=item.question,
            options=tuple(item.candidates),
            gold=gold,
            tags={"task": item.question_type},
        )

    def _gold(self, path: Path, question: str, candidates: Sequence[str], answer: str) -> str:
        if answer not in candidates:
            raise self._source.bad_suite(path, f"`answer` of {question} is not one of its `candidates`")
        # Of equal options the official code uses the last.
        return ascii_uppercase[max(index for index, option in enumerate(candidates) if option == answer)]


def parse_letter(reply: str) -> str:
    """What the official code reads as the answer: the character before the first ")", or the reply without one."""
    if ")" not in reply:
        return reply
    index = reply.index(")")
    return reply[index - 1 : index] if index else ""
