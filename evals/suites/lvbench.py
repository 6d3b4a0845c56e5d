"""LVBench: 103 videos of about an hour, 1,549 questions with four options, and the time of the evidence.

    suite = LVBench(Path("LVBench"))     # with video_info.meta.jsonl, and the videos in videos/ or all_videos/
    suite.official(sample, "(C) red")    # 1.0 where C is right

The official parser takes the text before the first ")", after a "(" if there is one, and of it the first character:
"The answer is C." is T. The official accuracy leaves out questions that are missing in the file of answers. Here the
file holds all questions, and an empty answer is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter

from ...common.clock_times import parse_clock_fields_s
from ..records import Prediction, Sample
from .annotation_files import (
    AnnotationItem,
    PublishedSource,
    exact_match_score,
    first_file,
    mean,
    means_by_name,
    read_json_lines,
    replies_by_run,
    video_file,
    whole_second_spans,
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
"""The abilities that questions test, with their short names in the official table. A question can test several."""
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
        """Empty: the samples depend only on the file."""
        return {}

    def files(self) -> Sequence[Path]:
        """The file of questions."""
        return [first_file(SOURCE, self._folder, "video_info.meta.jsonl", "data/video_info.meta.jsonl")]

    def samples(self) -> Iterator[Sample]:
        """Every question, in the order of the file."""
        for line in read_json_lines(SOURCE, self.files()[0], _LINE):
            for item in line.qa:
                yield self._sample(line, item)

    def video(self, name: str) -> Path:
        """The file of a video, named after its YouTube key."""
        return video_file(SOURCE, self._folder, name, "videos", "all_videos", "scripts/videos", "")

    def official(self, sample: Sample, reply: str) -> float:
        """Whether the official parser finds the right letter."""
        return exact_match_score(sample, parse_letter(reply))

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy overall and by ability, under its short name. A question counts for each of its abilities."""
        table = means_by_name(
            scored, lambda sample: [ABILITIES[ability] for ability in sample.tags["ability"].split(_AND)]
        )
        return {**table, "overall": mean(score for _, score in scored)}

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run ``answers.json`` for the official scorer, and ``result.json`` for the leaderboard."""
        files = []
        for run, run_replies in replies_by_run(predictions).items():
            answers = {
                sample.id.removeprefix("lvbench/"): parse_letter(run_replies.get(sample.id) or "")
                for sample in samples
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
                self.files()[0], f"`answer` of the question with the uid {item.uid} is not an option"
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


def parse_letter(reply: str) -> str:
    """The character that the official code reads as the answer. Empty for an empty reply."""
    reply = reply.strip().split(")")[0].strip()
    if "(" in reply:
        reply = reply.split("(")[1].strip()
    return reply.split(" ")[0][:1]


def spans_s(reference: str) -> tuple[tuple[float, float], ...]:
    """The spans of a ``time_reference`` such as ``33:10-33:25``, in seconds. Empty if it states none."""
    pairs = re.findall(r"(\d+(?::\d+){1,2})\s*[-–~]\s*(\d+(?::\d+){1,2})", reference)
    return whole_second_spans(
        (parse_clock_fields_s(start), parse_clock_fields_s(end)) for start, end in pairs
    )
