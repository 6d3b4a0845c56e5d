"""Video-MME: 900 videos of three lengths, three questions with four options about each.

    suite = VideoMme(Path("Video-MME"), "long")   # with videomme/test-00000-of-00001.parquet, and the videos in data/
    suite.official(sample, "The answer is C.")    # 1.0 where C is right

The setting is the one without subtitles. The official parser strikes out some phrases and takes the first of A, B, C
and D in what is left, so that "Answer: C" is A; replies without such a letter are left out of the official accuracy.
Two commas are missing in its list of phrases, which joins some that were meant apart: so it is here.
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
    means_by_tag,
    first_letter,
    first_file,
    add_letters,
    means_by_name,
    replies_by_run,
    exact_match_score,
    read_parquet,
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
    """A row of the table."""


class _Together(_Video):
    """A video of the JSON."""

    questions: list[_Question]


_ROWS: TypeAdapter[list[_Row]] = TypeAdapter(list[_Row])
_VIDEOS: TypeAdapter[list[_Together]] = TypeAdapter(list[_Together])


class VideoMme:
    """Reads the official table, or the official JSON, in which the questions of a video are together."""

    name = "videomme"

    def __init__(self, folder: Path, length: Length | None = None, *, questions: Path | None = None) -> None:
        """Of one length only, where it is named. ``questions``: a file that has another name than official ones."""
        self._folder = folder
        self._length, self._questions = length, questions

    @property
    def settings(self) -> Mapping[str, str]:
        """Of which length the questions are."""
        return {"length": self._length or "all"}

    def files(self) -> Sequence[Path]:
        """The one file of questions."""
        return [self._questions or first_file(SOURCE, self._folder, *_FILES)]

    def samples(self) -> Iterator[Sample]:
        """Every question, in the order of the file."""
        for of, item in self._read():
            if self._length in (None, of.duration):
                yield self._sample(of, item)

    def video(self, name: str) -> Path:
        """The file of a video, by its ``videoID``, or by its number where the file has no such name."""
        return video_file(SOURCE, self._folder, name, "data", "videos", "video", "")

    def official(self, sample: Sample, reply: str) -> float:
        """Whether the letter that the official parser finds is the right one; left out where it finds none."""
        letter = extracted(reply)
        return exact_match_score(sample, letter) if letter else LEFT_OUT

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy overall, by length, domain, sub-category and kind of task, and by length and domain."""
        both = means_by_name(scored, lambda sample: [f"{sample.tags['duration']} {sample.tags['domain']}"])
        return means_by_tag(scored, "duration", "domain", "sub_category", "task_type") | both

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run the results as the official template has them: by video, with ``response``."""
        return [
            write_json(folder / run / "videomme_results.json", _results(samples, run_replies))
            for run, run_replies in replies_by_run(predictions).items()
        ]

    def _read(self) -> Iterator[tuple[_Video, _Question]]:
        path = self.files()[0]
        if path.suffix == ".parquet":
            yield from ((row, row) for row in read_parquet(SOURCE, path, _ROWS))
        else:
            for of in SOURCE.read(path, _VIDEOS):
                yield from ((of, item) for item in of.questions)

    def _sample(self, of: _Video, item: _Question) -> Sample:
        name = of.videoID or of.video_id
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
                "video_id": of.video_id,
                "duration": of.duration,
                "domain": of.domain,
                "sub_category": of.sub_category,
                "task_type": item.task_type,
            },
        )


def extracted(reply: str) -> str:
    """The letter that the official code finds in a reply; nothing where it finds none."""
    return first_letter(reply, _PREFIXES, "ABCD")


def _results(samples: Sequence[Sample], run_replies: Mapping[str, str | None]) -> list[dict[str, Any]]:
    videos: dict[str, dict[str, Any]] = {}
    for sample in samples:
        tags = sample.tags
        of = {name: tags[name] for name in ("video_id", "duration", "domain", "sub_category")}
        videos.setdefault(tags["video_id"], {**of, "questions": []})["questions"].append(
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
