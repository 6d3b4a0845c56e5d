"""X-LeBench: days put together of recordings of Ego4D, 23 minutes to 16.4 hours, and where in them something was.

    suite = XLeBench(Path("X-LeBench"))          # with simulation_annotation/*_annotation.json
    suite.playlist(sample.video)                 # which recordings make a day, and when in it each begins
    suite.official(sample, "812.0-815.5")        # what that shares with the true stretch, of both together

Times are seconds since the day's first recording began, by the day's clock: between recordings nothing is seen. A day
is one file in ``lifelogs/``, made of its playlist with each recording at its time; where a day has one recording
only, that will do.

Two tasks are asked: where objects and where people were. The others are in ``UNASKED`` with the reason. The makers
publish no scorer: replies are read as two times, in seconds or by the clock, and the numbers are those of Ego4D's
language queries, recall of the first stretch at IoU 0.3 and 0.5, and the mean IoU, which is ``overall``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from pydantic import Field, TypeAdapter

from ..records import Prediction, Sample
from ..scorers import iou
from .annotation_files import (
    AnnotationItem,
    PublishedSource,
    mean,
    replies_by_run,
    video_file,
    write_json,
)

SOURCE = PublishedSource(
    "X-LeBench",
    "Get it from https://huggingface.co/datasets/VvV7/X-LeBench, and the recordings from Ego4D "
    "(code: https://github.com/X-Intelligence-Labs/X-LeBench).",
)
UNASKED = {
    "action_retrieval": "the fields of its queries are not published where we could read them",
    "summarisation": "scored by a judge that is not published",
    "counting": "the fields of its pairs of verb and noun are not published where we could read them",
    "summary_ordering": "the fields of its summaries are not published where we could read them",
}
"""The tasks that are not asked, and why."""
_CLOCK = r"^\d{1,2}:\d\d$"
_DAY_S = 24 * 3600.0


class _Recording(AnnotationItem):
    video_uid: str
    start_time: str = Field(pattern=_CLOCK)


class _Query(AnnotationItem):
    query: str
    template: str
    video_uid: str
    response_start_time_sec: float
    response_end_time_sec: float


class _Queries(AnnotationItem):
    queries: list[_Query]


class _Task(AnnotationItem):
    query_list: list[_Queries]


class _Tasks(AnnotationItem):
    objects_retrieval: _Task
    people_retrieval: _Task


class _Day(AnnotationItem):
    simulations: list[_Recording] = Field(min_length=1)
    tasks: _Tasks

    def since_s(self, clock_s: float) -> float:
        """Seconds since the day began. It may go on after midnight."""
        return (clock_s - _clock_s(self.simulations[0].start_time)) % _DAY_S


_DAY = TypeAdapter(_Day)


class XLeBench:
    """Reads the official annotation of every day."""

    name = "xlebench"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def settings(self) -> Mapping[str, str]:
        """Nothing: the files are all."""
        return {}

    def files(self) -> Sequence[Path]:
        """A file a day, by name."""
        for folder in (self._folder / "simulation_annotation", self._folder):
            if found := sorted(folder.glob("*_annotation.json")):
                return found
        raise SOURCE.bad_suite(self._folder, "there is no simulation_annotation/ with files *_annotation.json")

    def samples(self) -> Iterator[Sample]:
        """Every question about a place in time, by day, by task, and in the order of the file."""
        for path in self.files():
            day = SOURCE.read(path, _DAY)
            for task in ("objects_retrieval", "people_retrieval"):
                of_it = cast(_Task, getattr(day.tasks, task))
                items = [item for together in of_it.query_list for item in together.queries]
                for at, item in enumerate(items):
                    yield self._sample(path, day, f"{task}/{at}", item)

    def playlist(self, name: str) -> Sequence[tuple[float, str]]:
        """When in a day each of its recordings begins, in seconds, and its name at Ego4D."""
        path = next((path for path in self.files() if _name(path) == name), None)
        if path is None:
            raise SOURCE.bad_suite(self._folder, f"there is no day {name}")
        day = SOURCE.read(path, _DAY)
        return [(day.since_s(_clock_s(one.start_time)), one.video_uid) for one in day.simulations]

    def video(self, name: str) -> Path:
        """The file of a day."""
        parts = self.playlist(name)
        if len(parts) == 1:
            return video_file(SOURCE, self._folder, parts[0][1], "videos", "full_scale", "v2/full_scale", "")
        made = self._folder / "lifelogs" / f"{name}.mp4"
        if not made.is_file():
            listed = ", ".join(f"{uid} at {start_s:.0f} s" for start_s, uid in parts)
            raise SOURCE.bad_suite(made, f"there is no such file: make it of {listed}")
        return made

    def official(self, sample: Sample, reply: str) -> float:
        """What the first stretch in the reply shares with the true one, of both together; 0 where there is none."""
        span = stretch_s(reply)
        return iou(span, sample.evidence[0]) if span else 0.0

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The mean IoU as ``overall``, recall at 0.3 and 0.5, and all three of each task."""
        table = _numbers("", [score for _, score in scored])
        for task in dict.fromkeys(sample.tags["task"] for sample, _ in scored):
            table |= _numbers(f"{task} ", [score for sample, score in scored if sample.tags["task"] == task])
        return {**table, "overall": table["mIoU"]}

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run the stretch that was named to every question, in a layout of ours, as none is published."""
        return [
            write_json(
                folder / run / "xlebench_predictions.json",
                [
                    {"id": one.id, "query": one.question, "predicted_s": stretch_s(run_replies.get(one.id) or "")}
                    for one in samples
                ],
            )
            for run, run_replies in replies_by_run(predictions).items()
        ]

    def _sample(self, path: Path, day: _Day, which: str, item: _Query) -> Sample:
        lasts_s = item.response_end_time_sec - item.response_start_time_sec
        if lasts_s < 0.0:
            raise SOURCE.bad_suite(path, f"`response_end_time_sec` of {which} is before its start")
        start_s = day.since_s(item.response_start_time_sec)
        return Sample(
            id=f"xlebench/{_name(path)}/{which}",
            suite=self.name,
            video=_name(path),
            cluster=item.video_uid,
            kind="span",
            question=item.query,
            gold=((start_s, start_s + lasts_s),),
            evidence=((start_s, start_s + lasts_s),),
            tags={"task": which.split("/", maxsplit=1)[0], "template": item.template},
        )


def stretch_s(reply: str) -> tuple[float, float] | None:
    """The first two times in a reply that are joined by a dash or by "to", in seconds; None where there are none."""
    time = r"(\d+(?::\d{1,2}){0,2}(?:\.\d+)?)\s*s?"
    match = re.search(rf"{time}\s*(?:-|–|to)\s*{time}", reply)
    if match is None:
        return None
    start_s, end_s = map(_plain_s, match.groups())
    return (start_s, end_s) if start_s <= end_s else None


def _plain_s(time: str) -> float:
    seconds = 0.0
    for part in time.split(":"):
        seconds = 60.0 * seconds + float(part)
    return seconds


def _clock_s(time: str) -> float:
    hours, minutes = time.split(":")
    return 3600.0 * int(hours) + 60.0 * int(minutes)


def _numbers(prefix: str, scores: Sequence[float]) -> dict[str, float]:
    return {
        f"{prefix}mIoU": mean(scores),
        f"{prefix}R1@0.3": mean(score >= 0.3 for score in scores),
        f"{prefix}R1@0.5": mean(score >= 0.5 for score in scores),
    }


def _name(path: Path) -> str:
    return path.name.removesuffix("_annotation.json")
