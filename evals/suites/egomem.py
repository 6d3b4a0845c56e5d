"""EgoMem (VideoLucy): questions about details and events of whole days that six people filmed for EgoLife.

    suite = EgoMem(Path("EgoMem"))                             # holds EgoMem.json and videos/A1_JAKE_DAY1.mp4
    suite = EgoMem(Path("EgoMem"), egolife=Path("EgoLife"))    # adds where in a day's video an hour is

A question is asked when the day is over. Some questions name hours of the day, but a day's video was spliced from
clips with gaps between them. The names of EgoLife's clips say when each clip began. If these clips are available, the
question text states which seconds of the video its hours are.
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
    first_file,
    lone_letter,
    means_by_tag,
    replies_by_run,
    strip_letters,
    video_file,
    write_json,
)
from .wall_clock import ClockSpan, clock_spans, day_s, format_day_time, spliced_s

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
    """Reads EgoMem from a folder in the layout of the dataset."""

    name = "egomem"

    def __init__(self, folder: Path, *, egolife: Path | None = None) -> None:
        self._folder, self._egolife = folder, egolife
        self._starts = cache(self._clip_starts)

    @property
    def settings(self) -> Mapping[str, str]:
        """Whether clock times are translated into seconds of the video."""
        return {"egolife": str(self._egolife is not None)}

    def files(self) -> Sequence[Path]:
        """The file of questions."""
        return (first_file(SOURCE, self._folder, "EgoMem.json"),)

    def samples(self) -> Iterator[Sample]:
        """Every question, in the order of the file."""
        (path,) = self.files()
        for item in SOURCE.read(path, _QUESTIONS):
            yield Sample(
                id=f"egomem/{item.question_id}",
                suite=self.name,
                video=item.videoID,
                cluster=item.videoID,
                kind="choice",
                question=self._question_text(item),
                options=strip_letters(item.options),
                gold=item.answer,
                tags={"type": item.type, "person": item.videoID.rpartition("_")[0]},
            )

    def video(self, name: str) -> Path:
        """The video of a day, in ``videos``."""
        return video_file(SOURCE, self._folder, name, "videos")

    def official(self, sample: Sample, reply: str) -> float:
        """Whether EgoLife's parser finds the right letter. EgoMem publishes no parser."""
        return float(lone_letter(reply) == sample.gold)

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy overall and by type of question."""
        return means_by_tag(scored, "type")

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run ``<run>.json``: the questions as published, with ``response``."""
        (path,) = self.files()
        wanted = {sample.id for sample in samples}
        items = [item for item in SOURCE.read(path, _QUESTIONS) if f"egomem/{item.question_id}" in wanted]
        return [
            write_json(
                folder / f"{run}.json",
                [
                    {**item.model_dump(), "response": run_replies.get(f"egomem/{item.question_id}") or ""}
                    for item in items
                ],
            )
            for run, run_replies in replies_by_run(predictions).items()
        ]

    def _question_text(self, item: _Question) -> str:
        """The question, with the seconds of the hours that it and its options name, as far as they are known."""
        day = re.search(r"_DAY(\d+)$", item.videoID)
        if day is None or not (starts := self._starts(item.videoID)):
            return item.question
        spans = clock_spans("\n".join((item.question, *item.options)), day=int(day[1]))
        notes = [_span_note(span, starts) for span in dict.fromkeys(spans) if span.day == int(day[1])]
        return f"{item.question} ({' '.join(notes)})" if notes else item.question

    def _clip_starts(self, video: str) -> tuple[float, ...]:
        """The start of each clip of a day's video, on the timeline over the days."""
        person, _, day = video.rpartition("_")
        if self._egolife is None:
            return ()
        names = (
            re.fullmatch(r".*_(\d{8})", path.stem) for path in (self._egolife / person / day).glob("*.mp4")
        )
        return tuple(sorted(day_s(day, name[1]) for name in names if name))


def _span_note(span: ClockSpan, starts: Sequence[float]) -> str:
    start_s, end_s = span.timeline_s
    video = f"{spliced_s(start_s, starts):.0f} to {spliced_s(end_s, starts):.0f}"
    return f"{format_day_time(start_s)} to {format_day_time(end_s)} is about seconds {video} of the video."
