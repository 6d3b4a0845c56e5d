"""OVBench: what was, is and will be at a moment of a video, in films, instructions and street scenes.

    suite = OvBench(Path("OVBench"))                 # everything from the question's own start
    suite = OvBench(Path("OVBench"), window_s=32.0)  # the sliding window

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
_SIGNS = ';/[]"{}()=+\\_-><@`,?!'
"""What the official parser takes out of a reply."""


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
    """Reads OVBench from a folder of its JSON files, with the videos in it too."""

    name = "ovbench"

    def __init__(self, folder: Path, *, window_s: float | None = None) -> None:
        self._folder, self._window_s = folder, window_s

    @property
    def settings(self) -> Mapping[str, str]:
        """How far back may be looked."""
        return {"window_s": str(self._window_s)}

    def files(self) -> Sequence[Path]:
        """The subsets."""
        found = sorted(self._folder.glob("*.json")) or sorted(self._folder.glob("json/*.json"))
        if not found:
            raise SOURCE.bad_suite(self._folder, "there is no JSON file of questions in it")
        return found

    def samples(self) -> Iterator[Sample]:
        """Subset by subset, by name, each in the order of its file."""
        for path in self.files():
            items = SOURCE.read(path, _QUESTIONS)
            for at, item in enumerate(items):
                yield self._sample(path, at, item)

    def video(self, name: str) -> Path:
        """A file, or for some subsets a folder of pictures. The subset is the first part of the name."""
        subset, _, rest = name.partition("/")
        folders = (subset, subset.lower(), f"videos/{subset}", "videos", "")
        for folder in folders:
            pictures = self._folder / folder / rest
            if pictures.is_dir():
                return pictures
        return video_file(SOURCE, self._folder, rest, *folders)

    def official(self, sample: Sample, reply: str) -> float:
        """The first letter from A to E that stands alone, in either case; an empty reply is left out, so NaN."""
        return float(_letter(reply) == sample.gold) if reply else LEFT_OUT

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """By subset, by kind of question and by its finer kinds; overall the mean of all that was answered."""
        return means_by_tag(scored, "subset", "task", "subtask")

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run a ``result.json`` as is sent to the makers: the questions with ``pred`` and the letters."""
        wanted = {sample.id: sample for sample in samples}
        return [
            write_json(folder / run / "result.json", self._results(wanted, run_replies))
            for run, run_replies in replies_by_run(predictions).items()
        ]

    def _sample(self, path: Path, at: int, item: _Question) -> Sample:
        if item.answer not in item.candidates:
            raise SOURCE.bad_suite(path, f"`answer` of question {at} is none of its `candidates`")
        from_s = item.start if self._window_s is None else max(item.start, item.end - self._window_s)
        video = f"{path.stem}/{item.video}"
        return Sample(
            id=f"ovbench/{path.stem}/{at}",
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

    def _results(self, wanted: Mapping[str, Sample], run_replies: Mapping[str, str | None]) -> list[dict[str, Any]]:
        results = []
        for path in self.files():
            for at, item in enumerate(cast(list[dict[str, Any]], read_raw_json(path))):
                sample = wanted.get(f"ovbench/{path.stem}/{at}")
                if sample is not None:
                    reply = run_replies.get(sample.id) or ""
                    score = int(bool(reply) and self.official(sample, reply))
                    results.append({**item, "pred": reply, "gt": sample.gold, "score": score})
        return results


def _letter(reply: str) -> str:
    """The letter that the official parser finds; else what it leaves of the reply."""
    reply = reply.strip()
    if match := re.match(r"([A-E])\.\s*.+$", reply, re.IGNORECASE):
        return match[1].upper()
    reply = (
        _without_signs(re.sub(r"[\n\t]", " ", reply))
        .strip("'")
        .strip('"')
        .strip(")")
        .strip("(")
        .strip()
        .lower()
    )
    found = re.search(r"\b([a-e])\b", reply)
    return found[1].upper() if found else reply


def _without_signs(reply: str) -> str:
    """A sign goes where it touches a space, and otherwise becomes one; a comma inside a number takes all away."""
    in_number = re.search(r"\d,\d", reply) is not None
    clean = reply
    for sign in _SIGNS:
        touches = sign + " " in reply or " " + sign in reply
        clean = clean.replace(sign, "" if touches or in_number else " ")
    return re.sub(r"\.(?!\d)", "", clean, count=32)
