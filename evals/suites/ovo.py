"""OVO-Bench: questions while a video runs, about what was, what is, and whether it is time to answer.

    suite = OvoBench(Path("OVO-Bench"))          # holds data/ovo_bench_new.json and data/src_videos/
    suite.totals(scored)["overall"]              # the mean of backward, realtime and forward

Only what was shown up to the question's second, rounded up, may be used. Of REC, SSR and CRR each test point is a
sample. HLD, whose right answer is always that it cannot be told, counts as the makers count it; what comes out
without it is told apart.
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
"""The three tables of tasks, in the order of the official results."""
SOURCE = PublishedSource(
    "OVO-Bench",
    "Get ovo_bench_new.json from https://github.com/JoeLeelyf/OVO-Bench, and the videos (src_videos) "
    "from https://huggingface.co/datasets/JoeLeelyf/OVO-Bench.",
)
_GROUP_OF = {task: group for group, tasks in GROUPS.items() for task in tasks}
_COUNT = "Up to now, how many times has somebody done this: "
_STEP = "Is this being done at this very moment: "
_ENOUGH = "Can this be answered from what has been seen up to now: "


class _Choice(AnnotationItem):
    id: int
    task: Literal["EPM", "ASI", "HLD", "OCR", "ACR", "ATR", "STU", "FPD", "OJR"]
    video: str
    realtime: float
    question: str
    options: list[str] = Field(min_length=2, max_length=26)
    gt: int = Field(ge=0)


class _Count(AnnotationItem):
    realtime: float
    count: int


class _Repetition(AnnotationItem):
    id: int
    task: Literal["REC"]
    video: str
    activity: str
    start_times: object = None
    end_times: object = None
    test_info: list[_Count]


class _Step(AnnotationItem):
    realtime: float
    step: str
    type: Literal[0, 1]


class _Steps(AnnotationItem):
    id: int
    task: Literal["SSR"]
    video: str
    test_info: list[_Step]


class _Moment(AnnotationItem):
    realtime: float
    type: Literal[0, 1]


class _Clue(AnnotationItem):
    id: int
    task: Literal["CRR"]
    video: str
    question: str
    test_info: list[_Moment]


_Any = Annotated[_Choice | _Repetition | _Steps | _Clue, Field(discriminator="task")]
_ITEMS: TypeAdapter[list[_Choice | _Repetition | _Steps | _Clue]] = TypeAdapter(list[_Any])


class OvoBench:
    """Reads OVO-Bench from a folder: a copy of its repository, or just its annotations with the videos beside."""

    name = "ovo"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def settings(self) -> Mapping[str, str]:
        """None: it has one set of questions."""
        return {}

    def files(self) -> Sequence[Path]:
        """The one file of annotations."""
        return (first_file(SOURCE, self._folder, "ovo_bench_new.json", "data/ovo_bench_new.json"),)

    def samples(self) -> Iterator[Sample]:
        """In the order of the file; the test points of an item in their own."""
        (path,) = self.files()
        for item in SOURCE.read(path, _ITEMS):
            if isinstance(item, _Choice) and item.gt >= len(item.options):
                raise SOURCE.bad_suite(path, f"`gt` of item {item.id} is {item.gt}, and it has no such option")
            yield from _samples(item)

    def video(self, name: str) -> Path:
        """The whole source video: what comes after the question is for the runner to hide."""
        return video_file(SOURCE, self._folder, name, "data/src_videos", "src_videos", "data", "")

    def official(self, sample: Sample, reply: str) -> float:
        """A letter anywhere in the reply, all digits of it as one number, or the word Yes or No anywhere."""
        gold = sample.gold
        if sample.kind == "choice":
            return float(str(gold) in reply)
        if sample.kind == "number":
            return float("".join(re.findall(r"\d+", reply)) == str(int(cast(float, gold))))
        word = "Yes" if gold == "yes" else "No"
        return float(reply == word[0] or word in reply)

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """By task; of each group the mean of its tasks; overall the mean of the groups; and both without HLD."""
        tasks = means_by_name(scored, lambda sample: (sample.tags["task"],))
        groups, without = _groups(tasks), _groups({task: one for task, one in tasks.items() if task != "HLD"})
        table = {
            "overall": mean(groups.values()),
            "overall without HLD": mean(without.values()),
            **{f"group/{group}": score for group, score in groups.items()},
            **{f"task/{task}": score for task, score in tasks.items()},
        }
        if "backward" in without:
            table["group/backward without HLD"] = without["backward"]
        return table

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run the file that their ``score.py`` reads: ``<run>/<run>_<tasks>_offline_1.json``."""
        (path,) = self.files()
        items = cast(list[dict[str, Any]], read_raw_json(path))
        wanted = {sample.id for sample in samples}
        tasks = {sample.tags["task"] for sample in samples}
        named = "_".join(task for task in _GROUP_OF if task in tasks)
        return [
            write_json(folder / run / f"{run}_{named}_offline_1.json", _results(items, wanted, run_replies))
            for run, run_replies in replies_by_run(predictions).items()
        ]


def _samples(item: _Choice | _Repetition | _Steps | _Clue) -> Iterator[Sample]:
    about = {
        "suite": "ovo",
        "video": item.video,
        "cluster": item.video,
        "tags": {"group": _GROUP_OF[item.task], "task": item.task},
    }
    if isinstance(item, _Choice):
        yield Sample.model_validate(
            {
                **about,
                "id": f"ovo/{item.id}",
                "kind": "choice",
                "question": item.question,
                "options": item.options,
                "gold": ascii_uppercase[item.gt],
                "asked_at_s": math.ceil(item.realtime),
            }
        )
        return
    points: Sequence[_Count | _Step | _Moment] = item.test_info
    for at, point in enumerate(points):
        asked_at_s = math.ceil(point.realtime)
        yield Sample.model_validate(
            {
                **about,
                "id": f"ovo/{item.id}/{at}",
                "asked_at_s": asked_at_s,
                **_asked(item, point, asked_at_s),
            }
        )


def _asked(
    item: _Repetition | _Steps | _Clue, point: _Count | _Step | _Moment, asked_at_s: float
) -> dict[str, Any]:
    if isinstance(item, _Repetition) and isinstance(point, _Count):
        spans = _spans(item.start_times, item.end_times)
        return {
            "kind": "number",
            "question": f"{_COUNT}{item.activity}?",
            "gold": float(point.count),
            "evidence": [span for span in spans if span[1] <= asked_at_s],
        }
    about = _STEP + point.step if isinstance(point, _Step) else _ENOUGH + cast(_Clue, item).question
    gold = "yes" if cast(_Step | _Moment, point).type else "no"
    return {"kind": "yes_no", "question": about, "gold": gold}


def _spans(starts: object, ends: object) -> list[tuple[float, float]]:
    """When something was done, where the file tells it as two lists of seconds."""
    if not isinstance(starts, list) or not isinstance(ends, list) or len(starts) != len(ends):
        return []
    pairs = list(zip(starts, ends, strict=True))
    return [
        (float(start), float(end))
        for start, end in pairs
        if isinstance(start, int | float) and isinstance(end, int | float)
    ]


def _groups(tasks: Mapping[str, float]) -> dict[str, float]:
    """The mean of each group's tasks, of those that there are."""
    return {
        group: mean(tasks[task] for task in names if task in tasks)
        for group, names in GROUPS.items()
        if any(task in tasks for task in names)
    }


def _results(
    items: list[dict[str, Any]], wanted: set[str], run_replies: Mapping[str, str | None]
) -> dict[str, list[dict[str, Any]]]:
    """What was said, as the official results have it; no response is a wrong one there."""
    results: dict[str, list[dict[str, Any]]] = {group: [] for group in GROUPS}
    for item in items:
        key, group = f"ovo/{item['id']}", _GROUP_OF[item["task"]]
        if group != "forward":
            if key in wanted:
                kept = {field: item[field] for field in ("id", "video", "task", "question")}
                gold = ascii_uppercase[item["gt"]]
                results[group].append({**kept, "response": run_replies.get(key), "ground_truth": gold})
            continue
        points = [
            {**point, "response": run_replies.get(f"{key}/{at}")}
            for at, point in enumerate(item["test_info"])
            if f"{key}/{at}" in wanted
        ]
        if points:
            results[group].append({**item, "test_info": points})
    return results
