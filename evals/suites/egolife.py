"""EgoLifeQA: questions that people ask about a week of their own life, which they filmed.

    suite = EgoLife(Path("EgoLife"))          # EgoLifeQA/EgoLifeQA_A1_JAKE.json; the clips in A1_JAKE/DAY1/...
    suite.clips("A1_JAKE")                    # ((DAY1_A1_JAKE_11093000.mp4, 40170.0), ...)

A person's week is one video, in seconds since the midnight before day 1. Hours that were not filmed are gaps in it.
Nothing after ``query_time`` may be used. The question text states when it is asked, because it may say "yesterday",
and which seconds of the video its hours are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import TypeAdapter

from ..records import Prediction, Sample
from .annotation_files import (
    AnnotationItem,
    PublishedSource,
    first_file,
    lone_letter,
    mean,
    means_by_tag,
    read_raw_json,
    replies_by_run,
    write_json,
)
from .wall_clock import clock_spans, day_s, format_day_time

PEOPLE = ("A1_JAKE",)
"""The people whose questions papers report."""
CLIP_S = 30.0
"""The length of a clip. Clips start on a full or a half minute."""
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
    """Reads EgoLifeQA from a folder in the layout of the dataset, or from a folder with only its question files."""

    name = "egolife"

    def __init__(self, folder: Path, *, people: Sequence[str] = PEOPLE) -> None:
        self._folder, self._people = folder, tuple(people)

    @property
    def settings(self) -> Mapping[str, str]:
        """The people whose questions are asked."""
        return {"people": " ".join(self._people)}

    def files(self) -> Sequence[Path]:
        """One file of questions for each person."""
        return tuple(map(self._file, self._people))

    def samples(self) -> Iterator[Sample]:
        """Every question, by person and in the order of the files."""
        for person, path in zip(self._people, self.files(), strict=True):
            for item in SOURCE.read(path, _QUESTIONS):
                yield self._sample(person, item, path)

    def video(self, name: str) -> Path:
        """The folder of the person's clips. ``clips`` returns when each begins."""
        folder = self._folder / name
        if not folder.is_dir():
            raise SOURCE.bad_suite(folder, "there is no such folder of clips")
        return folder

    def clips(self, name: str) -> Sequence[tuple[Path, float]]:
        """A person's clips in time order, each with the second of the week at which it begins."""
        clips = []
        for path in self.video(name).glob("DAY*/*.mp4"):
            match = re.fullmatch(r"(DAY\d+)_.*_(\d{8})", path.stem)
            if match is None:
                raise SOURCE.bad_suite(
                    path, "its name does not state when it begins, as DAY1_A1_JAKE_11093000 does"
                )
            clips.append((path, day_s(match[1], match[2])))
        return sorted(clips, key=lambda clip: (clip[1], clip[0]))

    def official(self, sample: Sample, reply: str) -> float:
        """Whether the official parser, ``lone_letter``, finds the right letter."""
        return float(lone_letter(reply) == sample.gold)

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy overall and by type of question."""
        return means_by_tag(scored, "type")

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run ``<run>_results.json`` as the official code writes it: the accuracy and the results."""
        items = {}
        for person, path in zip(self._people, self.files(), strict=True):
            for item in cast(list[dict[str, Any]], read_raw_json(path)):
                items[f"egolife/{person}/{item['ID']}"] = item
        written = []
        for run, run_replies in replies_by_run(predictions).items():
            results = [_result(items[sample.id], sample, run_replies.get(sample.id)) for sample in samples]
            accuracy = mean(float(result["is_correct"]) for result in results)
            written.append(
                write_json(folder / f"{run}_results.json", {"accuracy": accuracy, "results": results})
            )
        return written

    def _file(self, person: str) -> Path:
        return first_file(
            SOURCE, self._folder, f"EgoLifeQA/EgoLifeQA_{person}.json", f"EgoLifeQA_{person}.json"
        )

    def _sample(self, person: str, item: _Question, path: Path) -> Sample:
        key = f"egolife/{person}/{item.ID}"
        try:
            asked_at_s = day_s(item.query_time.date, item.query_time.time)
        except ValueError as error:
            raise SOURCE.bad_suite(path, f"`query_time` of {key}: {error}") from None
        date, hour = item.query_time.date.strip().upper(), int(asked_at_s % 86_400 // 3600)
        return Sample(
            id=key,
            suite=self.name,
            video=person,
            # A person as a cluster would give too few clusters for statistics, so each hour of a day is one.
            cluster=f"{person}/{date}/{hour:02d}h",
            kind="choice",
            question=_question_text(item.question, asked_at_s),
            options=(item.choice_a, item.choice_b, item.choice_c, item.choice_d),
            gold=item.answer,
            asked_at_s=asked_at_s,
            evidence=_evidence(item.target_time, asked_at_s),
            tags={"type": item.type, "person": person, "audio": "yes" if item.need_audio else "no"},
        )


def _question_text(question: str, asked_at_s: float) -> str:
    """The question, with the time at which it is asked and the seconds of the hours that it names."""
    notes = [f"Asked on {format_day_time(asked_at_s)}."]
    for span in clock_spans(question, day=int(asked_at_s // 86_400) + 1):
        start_s, end_s = span.timeline_s
        notes.append(
            f"{format_day_time(start_s)} to {format_day_time(end_s)} is seconds {start_s:.0f} to {end_s:.0f} of the video."
        )
    return f"{question} ({' '.join(notes)})"


def _evidence(target: object, asked_at_s: float) -> tuple[tuple[float, float], ...]:
    """The spans of ``target_time``. Empty if its format is not known.

    The formats are a time, a list of times, and a start with an end, which may state another day: ``18304214``,
    ``18304214-18310000``, ``18304214DAY4_10000000``. A single time means the clip that holds it.
    """
    if not isinstance(target, dict):
        return ()
    date, listed = str(target.get("date", "")), target.get("time_list")
    times = listed if isinstance(listed, list) else [target.get("time")]
    spans = []
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
            spans.append((start_s, min(end_s, asked_at_s)))
    return tuple(spans)


def _result(item: dict[str, Any], sample: Sample, reply: str | None) -> dict[str, Any]:
    letter = lone_letter(reply or "")
    return {
        "metadata": item,
        "model_answer": reply or "",
        "model_option": letter,
        "evidence_card": [],
        "is_correct": letter == sample.gold,
    }
