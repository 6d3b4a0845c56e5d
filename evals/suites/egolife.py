"""EgoLifeQA: what somebody asks about a week of their own life, which they filmed.

    suite = EgoLife(Path("EgoLife"))          # EgoLifeQA/EgoLifeQA_A1_JAKE.json; the clips in A1_JAKE/DAY1/...
    suite.clips("A1_JAKE")                    # ((DAY1_A1_JAKE_11093000.mp4, 40170.0), ...)

A person's week is one video, in seconds since the midnight before day 1: the hours that were not filmed are gaps in
it. Nothing after ``query_time`` may be used. A question says when it is asked, as it speaks of yesterday, and where
it names hours, to which seconds they belong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import TypeAdapter

from ..records import Prediction, Sample
from .annotation_files import AnnotationItem, PublishedSource, by_tags, found, mean, raw, replies, write
from .wall_clock import clock_spans, day_s, told

PEOPLE = ("A1_JAKE",)
"""Whose questions papers report."""
CLIP_S = 30.0
"""A clip of the week is that long, and begins on the minute or half past it."""
SOURCE = PublishedSource(
    "EgoLifeQA",
    "Get EgoLifeQA/EgoLifeQA_A1_JAKE.json and the clips from https://huggingface.co/datasets/lmms-lab/EgoLife "
    "(code: https://github.com/EvolvingLMMs-Lab/EgoLife).",
)


class _When(AnnotationItem):
    date: str
    time: str


class _Question(AnnotationItem):
    ID: int | str
    query_time: _When
    type: str
    question: str
    choice_a: str
    choice_b: str
    choice_c: str
    choice_d: str
    answer: Literal["A", "B", "C", "D"]
    need_audio: bool = False
    target_time: object = None


_QUESTIONS: TypeAdapter[list[_Question]] = TypeAdapter(list[_Question])


class EgoLife:
    """Reads EgoLifeQA from a folder as the dataset has it, or just of its files of questions."""

    name = "egolife"

    def __init__(self, folder: Path, *, people: Sequence[str] = PEOPLE) -> None:
        self._folder, self._people = folder, tuple(people)

    @property
    def settings(self) -> Mapping[str, str]:
        """Whose lives are asked about."""
        return {"people": " ".join(self._people)}

    def files(self) -> Sequence[Path]:
        """One of questions for each person."""
        return tuple(map(self._file, self._people))

    def samples(self) -> Iterator[Sample]:
        """Person by person, in the order of the files."""
        for person, path in zip(self._people, self.files(), strict=True):
            for item in SOURCE.read(path, _QUESTIONS):
                yield self._sample(person, item, path)

    def video(self, name: str) -> Path:
        """The folder of the person's clips: ``clips`` tells when each begins."""
        folder = self._folder / name
        if not folder.is_dir():
            raise SOURCE.refuse(folder, "there is no such folder of clips")
        return folder

    def clips(self, name: str) -> Sequence[tuple[Path, float]]:
        """A person's clips in the order of time, each with the second of the week at which it begins."""
        found = []
        for path in self.video(name).glob("DAY*/*.mp4"):
            match = re.fullmatch(r"(DAY\d+)_.*_(\d{8})", path.stem)
            if match is None:
                raise SOURCE.refuse(
                    path, "its name does not tell when it begins, as DAY1_A1_JAKE_11093000 does"
                )
            found.append((path, day_s(match[1], match[2])))
        return sorted(found, key=lambda clip: (clip[1], clip[0]))

    def official(self, sample: Sample, said: str) -> float:
        """The first capital letter from A to D that stands alone, be it an article; none is wrong."""
        return float(_letter(said) == sample.gold)

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """By type of question, and overall: the mean of the questions."""
        return by_tags(scored, "type")

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run ``<run>_results.json`` as the makers' code writes it: the accuracy, and what led to it."""
        items = {}
        for person, path in zip(self._people, self.files(), strict=True):
            for item in cast(list[dict[str, Any]], raw(path)):
                items[f"egolife/{person}/{item['ID']}"] = item
        written = []
        for run, said in replies(predictions).items():
            results = [_result(items[sample.id], sample, said.get(sample.id)) for sample in samples]
            accuracy = mean(float(one["is_correct"]) for one in results)
            written.append(write(folder / f"{run}_results.json", {"accuracy": accuracy, "results": results}))
        return written

    def _file(self, person: str) -> Path:
        return found(SOURCE, self._folder, f"EgoLifeQA/EgoLifeQA_{person}.json", f"EgoLifeQA_{person}.json")

    def _sample(self, person: str, item: _Question, path: Path) -> Sample:
        key = f"egolife/{person}/{item.ID}"
        try:
            asked_at_s = day_s(item.query_time.date, item.query_time.time)
        except ValueError as error:
            raise SOURCE.refuse(path, f"`query_time` of {key}: {error}") from None
        date, hour = item.query_time.date.strip().upper(), int(asked_at_s % 86_400 // 3600)
        return Sample(
            id=key,
            suite=self.name,
            video=person,
            # One person is one cluster, too few for any statistics: an hour of a day stands for itself.
            cluster=f"{person}/{date}/{hour:02d}h",
            kind="choice",
            question=_asked(item.question, asked_at_s),
            options=(item.choice_a, item.choice_b, item.choice_c, item.choice_d),
            gold=item.answer,
            asked_at_s=asked_at_s,
            evidence=_evidence(item.target_time, asked_at_s),
            tags={"type": item.type, "person": person, "audio": "yes" if item.need_audio else "no"},
        )


def _asked(question: str, asked_at_s: float) -> str:
    """A question with when it is asked, and the seconds of the hours that it names."""
    notes = [f"Asked on {told(asked_at_s)}."]
    for span in clock_spans(question, day=int(asked_at_s // 86_400) + 1):
        start_s, end_s = span.timeline_s
        notes.append(
            f"{told(start_s)} to {told(end_s)} is seconds {start_s:.0f} to {end_s:.0f} of the video."
        )
    return f"{question} ({' '.join(notes)})"


def _evidence(target: object, asked_at_s: float) -> tuple[tuple[float, float], ...]:
    """The stretches that ``target_time`` names; none where it is written in no known way.

    It is one time, a list of them, or two with the second day between: ``18304214``, ``18304214-18310000``,
    ``18304214DAY4_10000000``. Of a time alone the clip that holds it is meant.
    """
    if not isinstance(target, dict):
        return ()
    date, listed = str(target.get("date", "")), target.get("time_list")
    times = listed if isinstance(listed, list) else [target.get("time")]
    found = []
    for time in map(str, times):
        ends = re.fullmatch(r"(\d+)(?:(?:-|(DAY\d+)_)(\d+))?", time.strip(), re.IGNORECASE)
        if ends is None:
            continue
        try:
            start_s = day_s(date, ends[1])
            if ends[3]:
                end_s = day_s(ends[2] or date, ends[3])
            else:
                start_s -= start_s % CLIP_S
                end_s = start_s + CLIP_S
        except ValueError:
            continue
        if start_s < min(end_s, asked_at_s):
            found.append((start_s, min(end_s, asked_at_s)))
    return tuple(found)


def _letter(said: str) -> str | None:
    found = re.search(r"\b([A-D])\b", said)
    return found[1] if found else None


def _result(item: dict[str, Any], sample: Sample, said: str | None) -> dict[str, Any]:
    letter = _letter(said or "")
    return {
        "metadata": item,
        "model_answer": said or "",
        "model_option": letter,
        "evidence_card": [],
        "is_correct": letter == sample.gold,
    }
