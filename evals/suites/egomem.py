"""EgoMem, of VideoLucy: details and courses of whole days that six people filmed for EgoLife.

    suite = EgoMem(Path("EgoMem"))                             # holds EgoMem.json and videos/A1_JAKE_DAY1.mp4
    suite = EgoMem(Path("EgoMem"), egolife=Path("EgoLife"))    # and says where in a day's video an hour is

A question comes when the day is over. Some name hours of the day by the clock, and a day's video was spliced from
clips with gaps between them; with EgoLife's clips at hand, whose names tell when each began, such a question says to
which seconds of the video its hours belong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter

from ..records import Prediction, Sample
from .annotation_files import (
    AnnotationItem,
    PublishedSource,
    by_tags,
    found,
    replies,
    unlettered,
    video,
    write,
)
from .wall_clock import ClockSpan, clock_spans, day_s, spliced_s, told

SOURCE = PublishedSource(
    "EgoMem",
    "Get EgoMem.json from https://huggingface.co/datasets/jlongzuo/EgoMem (code: "
    "https://github.com/Zplusdragon/VideoLucy), and splice the days' videos from "
    "https://huggingface.co/datasets/lmms-lab/EgoLife.",
)


class _Question(AnnotationItem):
    videoID: str  # noqa: N815  as published
    question_id: int | str
    type: str
    question: str
    options: list[str] = Field(min_length=4, max_length=4)
    answer: Literal["A", "B", "C", "D"]


_QUESTIONS: TypeAdapter[list[_Question]] = TypeAdapter(list[_Question])


class EgoMem:
    """Reads EgoMem from a folder as the dataset has it."""

    name = "egomem"

    def __init__(self, folder: Path, *, egolife: Path | None = None) -> None:
        self._folder, self._egolife = folder, egolife
        self._starts = cache(self._clip_starts)

    @property
    def settings(self) -> Mapping[str, str]:
        """Whether hours are read as those of the day."""
        return {"egolife": str(self._egolife is not None)}

    def files(self) -> Sequence[Path]:
        """The questions."""
        return (found(SOURCE, self._folder, "EgoMem.json"),)

    def samples(self) -> Iterator[Sample]:
        """In the order of the file."""
        (path,) = self.files()
        for item in SOURCE.read(path, _QUESTIONS):
            yield Sample(
                id=f"egomem/{item.question_id}",
                suite=self.name,
                video=item.videoID,
                cluster=item.videoID,
                kind="choice",
                question=self._asked(item),
                options=unlettered(item.options),
                gold=item.answer,
                tags={"type": item.type, "person": item.videoID.rpartition("_")[0]},
            )

    def video(self, name: str) -> Path:
        """A day's video, in ``videos``."""
        return video(SOURCE, self._folder, name, "videos")

    def official(self, sample: Sample, said: str) -> float:
        """The first capital letter from A to D that stands alone: as EgoLife does it, as no parser is published."""
        found = re.search(r"\b([A-D])\b", said)
        return float(found is not None and found[1] == sample.gold)

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """By type of question, and overall: the mean of the questions."""
        return by_tags(scored, "type")

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run ``<run>.json``: the questions as published, with ``response``."""
        (path,) = self.files()
        wanted = {sample.id for sample in samples}
        items = [item for item in SOURCE.read(path, _QUESTIONS) if f"egomem/{item.question_id}" in wanted]
        return [
            write(
                folder / f"{run}.json",
                [
                    {**item.model_dump(), "response": said.get(f"egomem/{item.question_id}") or ""}
                    for item in items
                ],
            )
            for run, said in replies(predictions).items()
        ]

    def _asked(self, item: _Question) -> str:
        """A question with the seconds of the hours that it and its options name, where they can be known."""
        day = re.search(r"_DAY(\d+)$", item.videoID)
        if day is None or not (starts := self._starts(item.videoID)):
            return item.question
        spans = clock_spans("\n".join((item.question, *item.options)), day=int(day[1]))
        notes = [_note(span, starts) for span in dict.fromkeys(spans) if span.day == int(day[1])]
        return f"{item.question} ({' '.join(notes)})" if notes else item.question

    def _clip_starts(self, video: str) -> tuple[float, ...]:
        """When each clip began from which a day's video was spliced, on the timeline over the days."""
        person, _, day = video.rpartition("_")
        if self._egolife is None:
            return ()
        names = (
            re.fullmatch(r".*_(\d{8})", path.stem) for path in (self._egolife / person / day).glob("*.mp4")
        )
        return tuple(sorted(day_s(day, name[1]) for name in names if name))


def _note(span: ClockSpan, starts: Sequence[float]) -> str:
    start_s, end_s = span.timeline_s
    video = f"{spliced_s(start_s, starts):.0f} to {spliced_s(end_s, starts):.0f}"
    return f"{told(start_s)} to {told(end_s)} is about seconds {video} of the video."
