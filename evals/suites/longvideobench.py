"""LongVideoBench: 3,763 videos of four lengths, and questions that refer to a moment in a video.

    suite = LongVideoBench(Path("LongVideoBench"))   # with lvb_val.json or its table, and the videos in videos/
    suite.official(sample, "The answer is C.")       # 1.0 where C is right

The makers do not publish the answers of the test split: replies to ``LongVideoBench(folder, "test")`` can only be
exported. The setting is the one without subtitles. The parser, which the makers contributed to lmms-eval, removes some
phrases and takes the first of A to E in the rest. If there is none it draws a random option, which here depends only on
a seed and the question. The samples have no evidence, because ``position`` counts frames and the file states no frame
rate.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Literal

from pydantic import TypeAdapter

from ..records import Prediction, Sample
from .annotation_files import (
    AnnotationItem,
    PublishedSource,
    exact_match_score,
    first_file,
    first_letter,
    means_by_tag,
    read_parquet,
    replies_by_run,
    video_file,
    write_json,
)

SOURCE = PublishedSource(
    "LongVideoBench",
    "Get it from https://huggingface.co/datasets/longvideobench/LongVideoBench "
    "(code: https://github.com/longvideobench/LongVideoBench).",
)
_FILES = {
    "val": ("lvb_val.json", "validation-00000-of-00001.parquet"),
    "test": ("lvb_test_wo_gt.json", "test-00000-of-00001.parquet"),
}
_PREFIXES = (
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option is",
    "The correct option is",
    "Best answer:",
    "Best option:",
)
_NONE = "N/A"
"""The table's placeholder for a missing option."""


class _Question(AnnotationItem):
    id: str
    video_id: str
    video_path: str
    question: str
    correct_choice: int | None = None
    duration_group: int
    question_category: str
    topic_category: str
    level: str | None = None


class _Listed(_Question):
    """An entry of the JSON."""

    candidates: list[str]


class _Row(_Question):
    """A row of the table."""

    option0: str
    option1: str
    option2: str = _NONE
    option3: str = _NONE
    option4: str = _NONE


_LISTED: TypeAdapter[list[_Listed]] = TypeAdapter(list[_Listed])
_ROWS: TypeAdapter[list[_Row]] = TypeAdapter(list[_Row])


class LongVideoBench:
    """Reads the official JSON file of a split, or its Parquet table."""

    name = "longvideobench"

    def __init__(self, folder: Path, split: Literal["val", "test"] = "val", *, seed: int = 0) -> None:
        """``seed`` determines the random option for a reply without a letter."""
        self._folder, self._seed = folder, seed
        self._split: Literal["val", "test"] = split

    @property
    def settings(self) -> Mapping[str, str]:
        """The split, and the seed of the random options."""
        return {"split": self._split, "seed": str(self._seed)}

    def files(self) -> Sequence[Path]:
        """The file of questions."""
        return [first_file(SOURCE, self._folder, *_FILES[self._split])]

    def samples(self) -> Iterator[Sample]:
        """Every question, in the order of the file."""
        path = self.files()[0]
        if path.suffix == ".parquet":
            for row in read_parquet(SOURCE, path, _ROWS):
                cells = (row.option0, row.option1, row.option2, row.option3, row.option4)
                yield self._sample(row, [option for option in cells if option != _NONE])
        else:
            for item in SOURCE.read(path, _LISTED):
                yield self._sample(item, item.candidates)

    def video(self, name: str) -> Path:
        """The file of a video, at its ``video_path``."""
        return video_file(SOURCE, self._folder, name, "videos", "")

    def official(self, sample: Sample, reply: str) -> float:
        """Whether the official parser finds, or draws, the right letter."""
        return exact_match_score(sample, self.parse_letter(sample, reply))

    def parse_letter(self, sample: Sample, reply: str) -> str:
        """The letter in a reply, or a random one if there is none."""
        index = random.Random(f"{self._seed} {sample.id}").randrange(len(sample.options))
        return first_letter(reply, _PREFIXES, "ABCDE") or ascii_uppercase[index]

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy overall, by group of lengths, by category of question, and by level."""
        return means_by_tag(scored, "duration_group", "question_category", "level")

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run every reply by the question's id, for submission to the leaderboard."""
        return [
            write_json(
                folder / run / "longvideobench_submission.json",
                {
                    sample.id.removeprefix("longvideobench/"): run_replies.get(sample.id) or ""
                    for sample in samples
                },
            )
            for run, run_replies in replies_by_run(predictions).items()
        ]

    def _sample(self, item: _Question, options: Sequence[str]) -> Sample:
        gold = None
        if self._split == "val":
            if item.correct_choice is None or item.correct_choice not in range(len(options)):
                raise SOURCE.bad_suite(
                    self.files()[0], f"`correct_choice` of {item.id} is not one of its options"
                )
            gold = ascii_uppercase[item.correct_choice]
        tags = {
            "duration_group": str(item.duration_group),
            "question_category": item.question_category,
            "topic_category": item.topic_category,
        }
        return Sample(
            id=f"longvideobench/{item.id}",
            suite=self.name,
            video=item.video_path,
            cluster=item.video_id,
            kind="choice",
            question=item.question,
            options=tuple(options),
            gold=gold,
            tags=tags if item.level is None else {**tags, "level": item.level},
        )
