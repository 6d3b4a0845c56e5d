"""LVBench: 103 videos of about an hour, 1,549 questions with four options, and where in the video the answer is.

    suite = LVBench(Path("LVBench"))     # with video_info.meta.jsonl, and the videos in videos/ or all_videos/
    suite.official(sample, "(C) red")    # 1.0 where C is right

The official parser takes what stands before the first ")", after a "(" if there is one, and of its first word the
first sign: "The answer is C." is T. The official accuracy leaves out questions that are not in the file of answers;
here all of them are, and an empty answer is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter

from ..records import Prediction, Sample
from .annotation_files import (
    AnnotationItem,
    PublishedSource,
    first_file,
    read_json_lines,
    mean,
    means_by_name,
    replies_by_run,
    exact_match_score,
    video_file,
    write_json,
)

SOURCE = PublishedSource(
    "LVBench",
    "Get it from https://huggingface.co/datasets/THUDM/LVBench (code: https://github.com/THUDM/LVBench).",
)
ABILITIES = {
    "entity recognition": "ER",
    "event understanding": "EU",
    "key information retrieval": "KIR",
    "temporal grounding": "TG",
    "reasoning": "Rea",
    "summarization": "Sum",
}
"""What questions are about, and its short name in the official table. A question may be about several."""
_AND = " + "


class _Question(AnnotationItem):
    uid: str | int
    question: str = Field(pattern=r"\n\s*\(A\)")
    answer: str = Field(pattern="^[A-H]$")
    question_type: list[
        Literal[
            "entity recognition",
            "event understanding",
            "key information retrieval",
            "temporal grounding",
            "reasoning",
            "summarization",
        ]
    ]
    time_reference: str | None = None


class _Video(AnnotationItem):
    key: str
    type: str
    qa: list[_Question]


_LINE = TypeAdapter(_Video)


class LVBench:
    """Reads the official ``video_info.meta.jsonl``."""

    name = "lvbench"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def settings(self) -> Mapping[str, str]:
        """Nothing: the file is all."""
        return {}

    def files(self) -> Sequence[Path]:
        """The one file of questions."""
        return [first_file(SOURCE, self._folder, "video_info.meta.jsonl", "data/video_info.meta.jsonl")]

    def samples(self) -> Iterator[Sample]:
        """Every question, in the order of the file."""
        for line in read_json_lines(SOURCE, self.files()[0], _LINE):
            for item in line.qa:
                yield self._sample(line, item)

    def video(self, name: str) -> Path:
        """The file of a video, by its key at YouTube."""
        return video_file(SOURCE, self._folder, name, "videos", "all_videos", "scripts/videos", "")

    def official(self, sample: Sample, reply: str) -> float:
        """Whether what the official parser finds is the right letter."""
        return exact_match_score(sample, polished(reply))

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy overall and of each ability, under its short name; a question counts for all its abilities."""
        table = means_by_name(scored, lambda sample: [ABILITIES[one] for one in sample.tags["ability"].split(_AND)])
        return {**table, "overall": mean(score for _, score in scored)}

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run the ``answers.json`` that the official scorer reads, and ``result.json`` for the leaderboard."""
        files = []
        for run, run_replies in replies_by_run(predictions).items():
            answers = {
                sample.id.removeprefix("lvbench/"): polished(run_replies.get(sample.id) or "") for sample in samples
            }
            totals = self.totals(
                [(sample, self.official(sample, run_replies.get(sample.id) or "")) for sample in samples]
            )
            result = {"Overall" if name == "overall" else name: value for name, value in totals.items()}
            files += [
                write_json(folder / run / "answers.json", answers),
                write_json(folder / run / "result.json", result),
            ]
        return files

    def _sample(self, line: _Video, item: _Question) -> Sample:
        question, *options = re.split(r"\n\s*\([A-H]\)\s*", item.question)
        if item.answer not in "ABCDEFGH"[: len(options)]:
            raise SOURCE.bad_suite(
                self.files()[0], f"`answer` of the question with the uid {item.uid} is no option"
            )
        return Sample(
            id=f"lvbench/{item.uid}",
            suite=self.name,
            video=line.key,
            cluster=line.key,
            kind="choice",
            question=question.strip(),
            options=tuple(option.strip() for option in options),
            gold=item.answer,
            evidence=spans_s(item.time_reference or ""),
            tags={"ability": _AND.join(item.question_type), "type": line.type},
        )


def polished(reply: str) -> str:
    """A reply as the official code reads it: one sign, or nothing where nothing was said."""
    reply = reply.strip().split(")")[0].strip()
    if "(" in reply:
        reply = reply.split("(")[1].strip()
    return reply.split(" ")[0][:1]


def spans_s(reference: str) -> tuple[tuple[float, float], ...]:
    """The stretches of a ``time_reference`` such as ``33:10-33:25``, in seconds; none where it has none."""
    pairs = re.findall(r"(\d+(?::\d+){1,2})\s*[-–~]\s*(\d+(?::\d+){1,2})", reference)
    spans = [(_seconds(start), _seconds(end)) for start, end in pairs]
    # Times are whole seconds: one that ends when it starts is that second.
    return tuple((start_s, max(end_s, start_s + 1.0)) for start_s, end_s in spans if end_s >= start_s)


def _seconds(clock: str) -> float:
    seconds = 0.0
    for part in clock.split(":"):
        seconds = 60.0 * seconds + int(part)
    return seconds
