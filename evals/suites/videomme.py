"""Video-MME: 900 videos of three lengths, with three questions with four options about each.

    suite = VideoMme(Path("Video-MME"), "long")   # with videomme/test-00000-of-00001.parquet, and the videos in data/
    suite.official(sample, "The answer is C.")    # 1.0 where C is right

The setting is the one without subtitles. The official parser removes some phrases and takes the first of A, B, C and D
in the rest, so that "Answer: C" is A. Replies without such a letter are left out of the official accuracy. Two commas
are missing in the official list of phrases, which joins some of them. The list here has the same phrases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, TypeAdapter

from ..records import Prediction, Sample
from .annotation_files import (
    LEFT_OUT,
    AnnotationItem,
    PublishedSource,
    add_letters,
    exact_match_score,
    first_file,
    first_letter,
    means_by_name,
    means_by_tag,
    read_parquet,
    replies_by_run,
    strip_letters,
    video_file,
    write_json,
)

SOURCE = PublishedSource(
    "Video-MME",
    "Get it from https://huggingface.co/datasets/lmms-lab/Video-MME (code: https://github.com/BradyFU/Video-MME).",
)
Length = Literal["short", "medium", "long"]
_FILES = (
    "videomme/test-00000-of-00001.parquet",
    "test-00000-of-00001.parquet",
    "videomme.json",
    "output_test_template.json",
)
_PREFIXES = (
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option isThe correct option is",
    "Best answer:Best option:",
)


class _Question(AnnotationItem):
    question_id: str
    task_type: str
    question: str
    options: list[str] = Field(min_length=4, max_length=4)
    answer: Literal["A", "B", "C", "D"]


class _Video(AnnotationItem):
    video_id: str
    duration: Length
    domain: str
    sub_category: str
    videoID: str | None = None  # noqa: N815 - as it is published


class _Row(_Video, _Question):
    """A row of the Parquet table."""


class _VideoWithQuestions(_Video):
    """A video of the JSON file."""

    questions: list[_Question]


_ROWS: TypeAdapter[list[_Row]] = TypeAdapter(list[_Row])
_VIDEOS: TypeAdapter[list[_VideoWithQuestions]] = TypeAdapter(list[_VideoWithQuestions])


class VideoMme:
    """Reads the official Parquet table, or the official JSON file, which groups questions by video."""

    name = "videomme"

    def __init__(self, folder: Path, length: Length | None = None, *, questions: Path | None = None) -> None:
        """``length``: only videos of this length. ``questions``: a file without an official name."""
        self._folder = folder
        self._length, self._questions = length, questions

    @property
    def settings(self) -> Mapping[str, str]:
        """The length of the videos."""
        return {"length": self._length or "all"}

    def files(self) -> Sequence[Path]:
        """The file of questions."""
        return [self._questions or first_file(SOURCE, self._folder, *_FILES)]

    def samples(self) -> Iterator[Sample]:
        """Every question, in the order of the file."""
        for video, item in self._read():
            if self._length in (None, video.duration):
                yield self._sample(video, item)

    def video(self, name: str) -> Path:
        """The file of a video, named after its ``videoID`` or, without one, after its number."""
        return video_file(SOURCE, self._folder, name, "data", "videos", "video", "")

    def official(self, sample: Sample, reply: str) -> float:
        """Whether the official parser finds the right letter. ``LEFT_OUT`` if it finds none."""
        letter = parse_letter(reply)
        return exact_match_score(sample, letter) if letter else LEFT_OUT

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy overall, by length, domain, sub-category and task, and by length and domain together."""
        by_length_and_domain = means_by_name(
            scored, lambda sample: [f"{sample.tags['duration']} {sample.tags['domain']}"]
        )
        return means_by_tag(scored, "duration", "domain", "sub_category", "task_type") | by_length_and_domain

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run the results in the official template: by video, with ``response``."""
        return [
            write_json(folder / run / "videomme_results.json", _results(samples, run_replies))
            for run, run_replies in replies_by_run(predictions).items()
        ]

    def _read(self) -> Iterator[tuple[_Video, _Question]]:
        path = self.files()[0]
        if path.suffix == ".parquet":
            yield from ((row, row) for row in read_parquet(SOURCE, path, _ROWS))
        else:
            for video in SOURCE.read(path, _VIDEOS):
                yield from ((video, item) for item in video.questions)

    def _sample(self, video: _Video, item: _Question) -> Sample:
        name = video.videoID or video.video_id
        return Sample(
            id=f"videomme/{item.question_id}",
            suite=self.name,
            video=name,
            cluster=name,
            kind="choice",
            question=item.question,
            options=strip_letters(item.options),
            gold=item.answer,
            tags={
                "video_id": video.video_id,
                "duration": video.duration,
                "domain": video.domain,
                "sub_category": video.sub_category,
                "task_type": item.task_type,
            },
        )


def parse_letter(reply: str) -> str:
    """The letter that the official code finds in a reply. Empty if it finds none."""
    return first_letter(reply, _PREFIXES, "ABCD")


def _results(samples: Sequence[Sample], run_replies: Mapping[str, str | None]) -> list[dict[str, Any]]:
    videos: dict[str, dict[str, Any]] = {}
    for sample in samples:
        tags = sample.tags
        fields = {name: tags[name] for name in ("video_id", "duration", "domain", "sub_category")}
        videos.setdefault(tags["video_id"], {**fields, "questions": []})["questions"].append(
            {
                "question_id": sample.id.removeprefix("videomme/"),
                "task_type": tags["task_type"],
                "question": sample.question,
                "options": add_letters(sample.options),
                "answer": sample.gold,
                "response": run_replies.get(sample.id) or "",
            }
        )
    return list(videos.values())
