"""OVO-Bench: questions during a video, about the past, the present, and whether it is time to answer.

    suite = OvoBench(Path("OVO-Bench"))          # holds data/ovo_bench_new.json and data/src_videos/
    suite.totals(scored)["overall"]              # the mean of backward, realtime and forward

Only the video up to the question's second, rounded up, may be used. Each test point of REC, SSR and CRR is a sample.
The right answer of HLD is always that the question cannot be answered. HLD counts in ``overall``, as in the official
table, and there is a separate number without it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Annotated, Any, Literal, cast

from pydantic import Field, TypeAdapter

from ..records import Prediction, Sample
from .annotation_files import (
    AnnotationItem,
    PublishedSource,
    first_file,
    mean,
    means_by_name,
    read_raw_json,
    replies_by_run,
    video_file,
    write_json,
)

GROUPS = {
    "backward": ("EPM", "ASI", "HLD"),
    "realtime": ("OCR", "ACR", "ATR", "STU", "FPD", "OJR"),
    "forward": ("REC", "SSR", "CRR"),
}
"""The three groups of tasks, in the order of the official results."""
SOURCE = PublishedSource(
    "OVO-Bench",
    "Get ovo_bench_new.json from https://github.com/JoeLeelyf/OVO-Bench, and the videos (src_videos) "
    "from https://huggingface.co/datasets/JoeLeelyf/OVO-Bench.",
)
_GROUP_OF = {task: group for group, tasks in GROUPS.items() for task in tasks}
_COUNT = "Up to now, how many times has somebody done this: "
_STEP = "Is this being done at this very moment: "
_ENOUGH = "Can this be answered from what has been seen up to now: "


class _ChoiceItem(AnnotationItem):
    id: int
    task: Literal["EPM", "ASI", "HLD", "OCR", "ACR", "ATR", "STU", "FPD", "OJR"]
    video: str
    realtime: float
    question: str
    options: list[str] = Field(min_length=2, max_length=26)
    gt: int = Field(ge=0)


class _CountPoint(AnnotationItem):
    realtime: float
    count: int


class _RepetitionItem(AnnotationItem):
    id: int
    task: Literal["REC"]
    video: str
    activity: str
    start_times: object = None
    end_times: object = None
    test_info: list[_CountPoint]


class _StepPoint(AnnotationItem):
    realtime: float
    step: str
    type: Literal[0, 1]


class _StepsItem(AnnotationItem):
    id: int
    task: Literal["SSR"]
    video: str
    test_info: list[_StepPoint]


class _CluePoint(AnnotationItem):
    realtime: float
    type: Literal[0, 1]


class _ClueItem(AnnotationItem):
    id: int
    task: Literal["CRR"]
    video: str
    question: str
    test_info: list[_CluePoint]


_ForwardItem = _RepetitionItem | _StepsItem | _ClueItem
_ForwardPoint = _CountPoint | _StepPoint | _CluePoint
_Item = Annotated[_ChoiceItem | _ForwardItem, Field(discriminator="task")]
_ITEMS: TypeAdapter[list[_ChoiceItem | _ForwardItem]] = TypeAdapter(list[_Item])


class OvoBench:
    """Reads OVO-Bench from a copy of its repository, or from a folder with its annotations and videos."""

    name = "ovo"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def settings(self) -> Mapping[str, str]:
        """Empty: there is one set of questions."""
        return {}

    def files(self) -> Sequence[Path]:
        """The file of annotations."""
        return (first_file(SOURCE, self._folder, "ovo_bench_new.json", "data/ovo_bench_new.json"),)

    def samples(self) -> Iterator[Sample]:
        """Every question, in the order of the file. The test points of an item keep their order."""
        (path,) = self.files()
        for item in SOURCE.read(path, _ITEMS):
            if isinstance(item, _ChoiceItem) and item.gt >= len(item.options):
                raise SOURCE.bad_suite(path, f"`gt` of item {item.id} is {item.gt}, which is not an option")
            yield from _samples(item)

    def video(self, name: str) -> Path:
        """The whole source video. The runner hides the part after the question."""
        return video_file(SOURCE, self._folder, name, "data/src_videos", "src_videos", "data", "")

    def official(self, sample: Sample, reply: str) -> float:
        """Whether the reply contains the right letter or word, or its digits, joined, are the right number."""
        gold = sample.gold
        if sample.kind == "choice":
            return float(str(gold) in reply)
        if sample.kind == "number":
            return float("".join(re.findall(r"\d+", reply)) == str(int(cast(float, gold))))
        word = "Yes" if gold == "yes" else "No"
        return float(reply == word[0] or word in reply)

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy by task, the mean of each group's tasks, the mean of the groups, and both without HLD."""
        tasks = means_by_name(scored, lambda sample: (sample.tags["task"],))
        groups, without_hld = (
            _group_means(tasks),
            _group_means({task: value for task, value in tasks.items() if task != "HLD"}),
        )
        table = {
            "overall": mean(groups.values()),
            "overall without HLD": mean(without_hld.values()),
            **{f"group/{group}": score for group, score in groups.items()},
            **{f"task/{task}": score for task, score in tasks.items()},
        }
        if "backward" in without_hld:
            table["group/backward without HLD"] = without_hld["backward"]
        return table

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run the file for the official ``score.py``: ``<run>/<run>_<tasks>_offline_1.json``."""
        (path,) = self.files()
        items = cast(list[dict[str, Any]], read_raw_json(path))
        ids = {sample.id for sample in samples}
        tasks = {sample.tags["task"] for sample in samples}
        task_names = "_".join(task for task in _GROUP_OF if task in tasks)
        return [
            write_json(folder / run / f"{run}_{task_names}_offline_1.json", _results(items, ids, run_replies))
            for run, run_replies in replies_by_run(predictions).items()
        ]


def _samples(item: _ChoiceItem | _ForwardItem) -> Iterator[Sample]:
    common = {
        "suite": "ovo",
        "video": item.video,
        "cluster": item.video,
        "tags": {"group": _GROUP_OF[item.task], "task": item.task},
    }
    if isinstance(item, _ChoiceItem):
        yield Sample.model_validate(
            {
                **common,
                "id": f"ovo/{item.id}",
                "kind": "choice",
                "question": item.question,
                "options": item.options,
                "gold": ascii_uppercase[item.gt],
                "asked_at_s": math.ceil(item.realtime),
            }
        )
        return
    points: Sequence[_ForwardPoint] = item.test_info
    for number, point in enumerate(points):
        asked_at_s = math.ceil(point.realtime)
        yield Sample.model_validate(
            {
                **common,
                "id": f"ovo/{item.id}/{number}",
                "asked_at_s": asked_at_s,
                **_point_fields(item, point, asked_at_s),
            }
        )


def _point_fields(item: _ForwardItem, point: _ForwardPoint, asked_at_s: float) -> dict[str, Any]:
    """The fields of a sample that depend on the test point."""
    if isinstance(item, _RepetitionItem) and isinstance(point, _CountPoint):
        spans = _spans(item.start_times, item.end_times)
        return {
            "kind": "number",
            "question": f"{_COUNT}{item.activity}?",
            "gold": float(point.count),
            "evidence": [span for span in spans if span[1] <= asked_at_s],
        }
    question = (
        _STEP + point.step if isinstance(point, _StepPoint) else _ENOUGH + cast(_ClueItem, item).question
    )
    gold = "yes" if cast(_StepPoint | _CluePoint, point).type else "no"
    return {"kind": "yes_no", "question": question, "gold": gold}


def _spans(starts: object, ends: object) -> list[tuple[float, float]]:
    """The spans of an activity. Empty unless the file states them as two lists of seconds."""
    if not isinstance(starts, list) or not isinstance(ends, list) or len(starts) != len(ends):
        return []
    pairs = list(zip(starts, ends, strict=True))
    return [
        (float(start), float(end))
        for start, end in pairs
        if isinstance(start, int | float) and isinstance(end, int | float)
    ]


def _group_means(tasks: Mapping[str, float]) -> dict[str, float]:
    """The mean of each group's tasks that were measured."""
    return {
        group: mean(tasks[task] for task in names if task in tasks)
        for group, names in GROUPS.items()
        if any(task in tasks for task in names)
    }


def _results(
    items: list[dict[str, Any]], ids: set[str], run_replies: Mapping[str, str | None]
) -> dict[str, list[dict[str, Any]]]:
    """The replies in the layout of the official results, in which no response counts as wrong."""
    results: dict[str, list[dict[str, Any]]] = {group: [] for group in GROUPS}
    for item in items:
        key, group = f"ovo/{item['id']}", _GROUP_OF[item["task"]]
        if group != "forward":
            if key in ids:
                kept = {field: item[field] for field in ("id", "video", "task", "question")}
                gold = ascii_uppercase[item["gt"]]
                results[group].append({**kept, "response": run_replies.get(key), "ground_truth": gold})
            continue
        points = [
            {**point, "response": run_replies.get(f"{key}/{number}")}
            for number, point in enumerate(item["test_info"])
            if f"{key}/{number}" in ids
        ]
        if points:
            results[group].append({**item, "test_info": points})
    return results
