"""X-LeBench: life logs of 23 minutes to 16.4 hours, composed of Ego4D recordings, and when something happened in them.

    suite = XLeBench(Path("X-LeBench"))          # with simulation_annotation/*_annotation.json
    suite.playlist(sample.video)                 # the recordings of a day, and when each begins
    suite.official(sample, "812.0-815.5")        # intersection over union with the gold span

Times are seconds since the day's first recording began, by the day's clock. Nothing is seen between recordings. A day
is one file in ``lifelogs/``, composed of its playlist with each recording at its time. For a day with a single
recording that recording is used.

Two tasks are supported: when objects and when people were seen. ``UNASKED`` lists the others with the reason. The
makers publish no scorer. Replies are parsed as two times, in seconds or by the clock. The metrics are those of Ego4D's
natural language queries: recall of the first span at IoU 0.3 and 0.5, and the mean IoU, which is ``overall``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from pydantic import Field, TypeAdapter

from ...common.clock_times import parse_clock_fields_s
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
    "action_retrieval": "the fields of its queries are not documented in the files that we could read",
    "summarisation": "scored by a judge that is not published",
    "counting": "the fields of its pairs of verb and noun are not documented in the files that we could read",
    "summary_ordering": "the fields of its summaries are not documented in the files that we could read",
}
"""The tasks that are not supported, with the reason."""
_CLOCK = r"^\d{1,2}:\d\d$"
_DAY_S = 24 * 3600.0


class _Recording(AnnotationItem):
    video_uid: str
    start_time: str = Field(pattern=_CLOCK)

    @property
    def start_clock_s(self) -> float:
        return 60.0 * parse_clock_fields_s(self.start_time)


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

    def since_start_s(self, clock_s: float) -> float:
        """Seconds from the start of the day's video to a time of the day. The video may continue after midnight."""
        return (clock_s - self.simulations[0].start_clock_s) % _DAY_S


_DAY = TypeAdapter(_Day)


class XLeBench:
    """Reads the official annotation of every day."""

    name = "xlebench"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def settings(self) -> Mapping[str, str]:
        """Empty: the samples depend only on the files."""
        return {}

    def files(self) -> Sequence[Path]:
        """One file for each day, sorted by name."""
        for folder in (self._folder / "simulation_annotation", self._folder):
            if files := sorted(folder.glob("*_annotation.json")):
                return files
        raise SOURCE.bad_suite(
            self._folder, "there is no simulation_annotation/ with files *_annotation.json"
        )

    def samples(self) -> Iterator[Sample]:
        """Every question of the supported tasks, by day, by task, and in the order of the file."""
        for path in self.files():
            day = SOURCE.read(path, _DAY)
            for task in ("objects_retrieval", "people_retrieval"):
                query_list = cast(_Task, getattr(day.tasks, task)).query_list
                items = [item for queries in query_list for item in queries.queries]
                for number, item in enumerate(items):
                    yield self._sample(path, day, f"{task}/{number}", item)

    def playlist(self, name: str) -> Sequence[tuple[float, str]]:
        """The start of each recording of a day, in seconds, and its Ego4D uid."""
        path = next((path for path in self.files() if _name(path) == name), None)
        if path is None:
            raise SOURCE.bad_suite(self._folder, f"there is no day {name}")
        day = SOURCE.read(path, _DAY)
        return [
            (day.since_start_s(recording.start_clock_s), recording.video_uid) for recording in day.simulations
        ]

    def video(self, name: str) -> Path:
        """The file of a day."""
        parts = self.playlist(name)
        if len(parts) == 1:
            return video_file(SOURCE, self._folder, parts[0][1], "videos", "full_scale", "v2/full_scale", "")
        path = self._folder / "lifelogs" / f"{name}.mp4"
        if not path.is_file():
            listed = ", ".join(f"{uid} at {start_s:.0f} s" for start_s, uid in parts)
            raise SOURCE.bad_suite(path, f"there is no such file: compose it of {listed}")
        return path

    def official(self, sample: Sample, reply: str) -> float:
        """The IoU of the first span in the reply with the gold span. 0 without a span."""
        span = parse_span_s(reply)
        return iou(span, sample.evidence[0]) if span else 0.0

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The mean IoU as ``overall``, recall at IoU 0.3 and 0.5, and all three for each task."""
        table = _metrics("", [score for _, score in scored])
        for task in dict.fromkeys(sample.tags["task"] for sample, _ in scored):
            table |= _metrics(f"{task} ", [score for sample, score in scored if sample.tags["task"] == task])
        return {**table, "overall": table["mIoU"]}

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run the predicted span of every question. The layout is ours, because none is published."""
        return [
            write_json(
                folder / run / "xlebench_predictions.json",
                [
                    {
                        "id": sample.id,
                        "query": sample.question,
                        "predicted_s": parse_span_s(run_replies.get(sample.id) or ""),
                    }
                    for sample in samples
                ],
            )
            for run, run_replies in replies_by_run(predictions).items()
        ]

    def _sample(self, path: Path, day: _Day, place: str, item: _Query) -> Sample:
        lasts_s = item.response_end_time_sec - item.response_start_time_sec
        if lasts_s < 0.0:
            raise SOURCE.bad_suite(path, f"`response_end_time_sec` of {place} is before its start")
        start_s = day.since_start_s(item.response_start_time_sec)
        return Sample(
            id=f"xlebench/{_name(path)}/{place}",
            suite=self.name,
            video=_name(path),
            cluster=item.video_uid,
            kind="span",
            question=item.query,
            gold=((start_s, start_s + lasts_s),),
            evidence=((start_s, start_s + lasts_s),),
            tags={"task": place.split("/", maxsplit=1)[0], "template": item.template},
        )


def parse_span_s(reply: str) -> tuple[float, float] | None:
    """The first two times in a reply that are joined by a dash or by "to", in seconds. None if there are none."""
    time = r"(\d+(?::\d{1,2}){0,2}(?:\.\d+)?)\s*s?"
    match = re.search(rf"{time}\s*(?:-|–|to)\s*{time}", reply)
    if match is None:
        return None
    start_s, end_s = map(parse_clock_fields_s, match.groups())
    return (start_s, end_s) if start_s <= end_s else None


def _metrics(prefix: str, scores: Sequence[float]) -> dict[str, float]:
    return {
        f"{prefix}mIoU": mean(scores),
        f"{prefix}R1@0.3": mean(score >= 0.3 for score in scores),
        f"{prefix}R1@0.5": mean(score >= 0.5 for score in scores),
    }


def _name(path: Path) -> str:
    return path.name.removesuffix("_annotation.json")
