"""HourVideo: recordings of about an hour of a person's life, and questions with five options in 18 tasks.

    suite = HourVideo(Path("HourVideo"))                   # the dev split: v1.0_release/json/dev_v1.0_annotations.json
    suite.official(sample, '{"YOUR_ANSWER": "C. Red"}')    # 1.0 where C is right

The makers do not publish the answers of the test split. The official protocol asks the questions of a task together,
unless one gives away another. Here each is asked alone, which gives a system less information. Questions about the
future are asked before the event: nothing after the start of its span may be used. Tasks whose options are pictures
are left out by default. The official parser takes the first letter of a reply, or of its field ``YOUR_ANSWER`` if the
reply is JSON: "Answer: C" is A, and "(C)" is no answer.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from ...common.clock_times import parse_clock_fields_s
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
    whole_second_spans,
    write_json,
)

SOURCE = PublishedSource(
    "HourVideo",
    "Get it from https://huggingface.co/datasets/HourVideo/HourVideo, and the recordings from Ego4D "
    "(code: https://github.com/keshik6/HourVideo).",
)
PICTURES = (
    "navigation/room_to_room_image",
    "navigation/object_retrieval_image",
    "reasoning/spatial/layout",
)
"""The tasks whose options are picture files."""
PREDICTIVE = "reasoning/predictive"
_FILES = {"dev": "dev_v1.0_annotations.json", "test": "test_v1.0.json", "samples": "samples_v1.0.json"}
_FOLDERS = ("v1.0_release/json/", "json/", "")


class _Question(AnnotationItem):
    qid: str
    task: str
    question: str
    answer_1: str
    answer_2: str
    answer_3: str
    answer_4: str
    answer_5: str
    correct_answer_label: str | None = None
    relevant_timestamps: str | list[str] | None = None


class _Recording(AnnotationItem):
    benchmark_dataset: list[_Question]


# Besides the recordings the file may hold texts of its makers, such as a canary.
_RECORDINGS: TypeAdapter[dict[str, _Recording | str]] = TypeAdapter(dict[str, _Recording | str])


class HourVideo:
    """Reads the official JSON file of a split."""

    name = "hourvideo"

    def __init__(
        self, folder: Path, split: Literal["dev", "test", "samples"] = "dev", *, pictures: bool = False
    ) -> None:
        """``pictures``: include the tasks whose options are pictures. Their options are the names of the files."""
        self._folder, self._pictures = folder, pictures
        self._split: Literal["dev", "test", "samples"] = split

    @property
    def settings(self) -> Mapping[str, str]:
        """The split, and whether tasks with picture options are included."""
        return {"split": self._split, "pictures": str(self._pictures)}

    def files(self) -> Sequence[Path]:
        """The file of questions."""
        return [first_file(SOURCE, self._folder, *(folder + _FILES[self._split] for folder in _FOLDERS))]

    def samples(self) -> Iterator[Sample]:
        """Every question, in the order of the file."""
        for uid, item in self._read():
            yield self._sample(uid, item)

    def video(self, name: str) -> Path:
        """The file of a recording, named after its Ego4D uid."""
        return video_file(
            SOURCE, self._folder, name, "videos", "v2/full_scale", "full_scale", "v2/video_540ss", ""
        )

    def official(self, sample: Sample, reply: str) -> float:
        """Whether the official parser finds the right letter."""
        return exact_match_score(sample, parse_letter(reply))

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy overall, by task, and by family of tasks."""
        table = means_by_name(scored, lambda sample: [sample.tags["family"], sample.tags["task"]])
        return {**table, "overall": mean(score for _, score in scored)}

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run a table for each recording and task, for the official scorer, and all letters by ``qid``."""
        files = []
        for run, run_replies in replies_by_run(predictions).items():
            letters: dict[str, str] = {}
            tables: dict[Path, list[tuple[str, str, str]]] = {}
            for sample in samples:
                qid = sample.id.removeprefix("hourvideo/")
                letters[qid] = parse_letter(run_replies.get(sample.id) or "")
                path = folder / run / sample.video / f"{_table_name(sample.tags['task'])}.csv"
                tables.setdefault(path, []).append((qid, str(sample.gold or ""), letters[qid]))
            for path, rows in tables.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("w", encoding="utf-8", newline="") as file:
                    # The official scorer reads the column with this name by default.
                    header = ("qid", "correct_answer_label", "gemini_answer")
                    csv.writer(file, lineterminator="\n").writerows([header, *rows])
            files += [*tables, write_json(folder / run / "answers.json", letters)]
        return files

    def _read(self) -> Iterator[tuple[str, _Question]]:
        for uid, recording in SOURCE.read(self.files()[0], _RECORDINGS).items():
            if isinstance(recording, _Recording):
                for item in recording.benchmark_dataset:
                    if self._pictures or item.task not in PICTURES:
                        yield uid, item

    def _sample(self, uid: str, item: _Question) -> Sample:
        predictive = item.task == PREDICTIVE
        stamps = item.relevant_timestamps or ""
        spans = spans_s(stamps if isinstance(stamps, str) else "; ".join(stamps))
        if predictive and not spans:
            raise SOURCE.bad_suite(
                self.files()[0], f"`relevant_timestamps` of {item.qid} does not state when to ask"
            )
        has_answers = self._split != "test"
        if has_answers and item.correct_answer_label not in tuple("ABCDE"):
            raise SOURCE.bad_suite(
                self.files()[0], f"`correct_answer_label` of {item.qid} is not a letter from A to E"
            )
        return Sample(
            id=f"hourvideo/{item.qid}",
            suite=self.name,
            video=uid,
            cluster=uid,
            kind="choice",
            question=item.question,
            options=(item.answer_1, item.answer_2, item.answer_3, item.answer_4, item.answer_5),
            gold=item.correct_answer_label if has_answers else None,
            asked_at_s=spans[0][0] if predictive else None,
            evidence=() if predictive else spans,
            tags={"task": item.task, "family": item.task.split("/")[0]},
        )


def parse_letter(reply: str) -> str:
    """The letter that the official code finds in a reply. Empty if the answer does not begin with a letter."""
    match = re.match("[A-Za-z]", _answer_field(reply))
    return match[0] if match else ""


def spans_s(stamps: str) -> tuple[tuple[float, float], ...]:
    """The spans of ``relevant_timestamps``, such as ``00:10:05-00:12:00``, in seconds."""
    pairs = re.findall(r"(\d+:\d\d:\d\d)\s*-\s*(\d+:\d\d:\d\d)", stamps)
    return whole_second_spans(
        (parse_clock_fields_s(start), parse_clock_fields_s(end)) for start, end in pairs
    )


def _table_name(task: str) -> str:
    """The name of a task's table. The official scorer expects both kinds of summaries in one table."""
    return "summarization" if task.startswith("summarization/") else task.replace("/", "_")


def _answer_field(reply: str) -> str:
    """The field ``YOUR_ANSWER``, or one with a similar name, of a reply in JSON. Other replies are returned unchanged."""
    # The official code removes Markdown in this way.
    bare = reply.replace("json", "").replace("`", "")
    try:
        value: Any = json.loads(bare)
    except ValueError:
        return reply
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return reply
    return next((str(answer) for name, answer in value.items() if name.startswith("YOUR_")), "")
