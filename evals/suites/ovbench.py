"""OVBench: questions about past, present and future at a moment of a video: films, instructions, street scenes.

    suite = OvBench(Path("OVBench"))                 # the whole context of a question
    suite = OvBench(Path("OVBench"), window_s=32.0)  # a sliding window

Every JSON file in the folder is one of its subsets, and is named after the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any, cast

from pydantic import Field, TypeAdapter

from ..records import Prediction, Sample
from .annotation_files import (
    LEFT_OUT,
    AnnotationItem,
    PublishedSource,
    means_by_tag,
    read_raw_json,
    replies_by_run,
    video_file,
    write_json,
)

SOURCE = PublishedSource(
    "OVBench",
    "Get it from https://huggingface.co/datasets/MCG-NJU/OVBench (code: "
    "https://github.com/MCG-NJU/VideoChat-Online), and name the folder of its JSON files.",
)
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
"""The punctuation that the official parser removes from a reply."""


class _Question(AnnotationItem):
    video: str
    question: str
    answer: str
    candidates: list[str] = Field(min_length=2, max_length=26)
    start: float
    end: float
    answer_type: str
    sub_answer_type: str


_QUESTIONS: TypeAdapter[list[_Question]] = TypeAdapter(list[_Question])


class OvBench:
    """Reads OVBench from a folder with its JSON files and the videos."""

    name = "ovbench"

    def __init__(self, folder: Path, *, window_s: float | None = None) -> None:
        self._folder, self._window_s = folder, window_s

    @property
    def settings(self) -> Mapping[str, str]:
        """The length of the context."""
        return {"window_s": str(self._window_s)}

    def files(self) -> Sequence[Path]:
        """One file for each subset."""
        files = sorted(self._folder.glob("*.json")) or sorted(self._folder.glob("json/*.json"))
        if not files:
            raise SOURCE.bad_suite(self._folder, "there is no JSON file of questions in it")
        return files

    def samples(self) -> Iterator[Sample]:
        """Every question, by subset, in the order of the files."""
        for path in self.files():
            items = SOURCE.read(path, _QUESTIONS)
            for number, item in enumerate(items):
                yield self._sample(path, number, item)

    def video(self, name: str) -> Path:
        """A file or, for some subsets, a folder of pictures. The first part of the name is the subset."""
        subset, _, rest = name.partition("/")
        folders = (subset, subset.lower(), f"videos/{subset}", "videos", "")
        for folder in folders:
            pictures = self._folder / folder / rest
            if pictures.is_dir():
                return pictures
        return video_file(SOURCE, self._folder, rest, *folders)

    def official(self, sample: Sample, reply: str) -> float:
        """Whether the official parser finds the right letter. ``LEFT_OUT`` for an empty reply."""
        return float(_parse_letter(reply) == sample.gold) if reply else LEFT_OUT

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy overall, by subset, by task and by subtask, over the replies that are not empty."""
        return means_by_tag(scored, "subset", "task", "subtask")

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run a ``result.json`` for the makers: the questions, with ``pred`` and the letters."""
        by_id = {sample.id: sample for sample in samples}
        return [
            write_json(folder / run / "result.json", self._results(by_id, run_replies))
            for run, run_replies in replies_by_run(predictions).items()
        ]

    def _sample(self, path: Path, number: int, item: _Question) -> Sample:
        if item.answer not in item.candidates:
            raise SOURCE.bad_suite(path, f"`answer` of question {number} is not one of its `candidates`")
        from_s = item.start if self._window_s is None else max(item.start, item.end - self._window_s)
        video = f"{path.stem}/{item.video}"
        return Sample(
            id=f"ovbench/{path.stem}/{number}",
            suite=self.name,
            video=video,
            cluster=video,
            kind="choice",
            question=item.question,
            options=tuple(item.candidates),
            gold=ascii_uppercase[item.candidates.index(item.answer)],
            asked_at_s=item.end,
            from_s=from_s,
            tags={"subset": path.stem, "task": item.answer_type, "subtask": item.sub_answer_type},
        )

    def _results(
        self, samples: Mapping[str, Sample], run_replies: Mapping[str, str | None]
    ) -> list[dict[str, Any]]:
        results = []
        for path in self.files():
            for number, item in enumerate(cast(list[dict[str, Any]], read_raw_json(path))):
                sample = samples.get(f"ovbench/{path.stem}/{number}")
                if sample is not None:
                    reply = run_replies.get(sample.id) or ""
                    score = int(bool(reply) and self.official(sample, reply))
                    results.append({**item, "pred": reply, "gt": sample.gold, "score": score})
        return results


def _parse_letter(reply: str) -> str:
    """The first letter from A to E that is a word of its own, or else the reply as the official parser leaves it."""
    reply = reply.strip()
    if match := re.match(r"([A-E])\.\s*.+$", reply, re.IGNORECASE):
        return match[1].upper()
    reply = (
        _without_punctuation(re.sub(r"[\n\t]", " ", reply))
        .strip("'")
        .strip('"')
        .strip(")")
        .strip("(")
        .strip()
        .lower()
    )
    letter = re.search(r"\b([a-e])\b", reply)
    return letter[1].upper() if letter else reply


def _without_punctuation(reply: str) -> str:
    """Remove a mark that touches a space, and replace it by a space elsewhere. If a number holds a comma, remove all."""
    has_comma = re.search(r"\d,\d", reply) is not None
    clean = reply
    for mark in _PUNCTUATION:
        touches_space = mark + " " in reply or " " + mark in reply
        clean = clean.replace(mark, "" if touches_space or has_comma else " ")
    return re.sub(r"\.(?!\d)", "", clean, count=32)
