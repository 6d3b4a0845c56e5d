"""EgoSchema: three minutes of a person's day, and one question about them with five long options.

    suite = EgoSchema(Path("EgoSchema"))     # the 500 questions with public answers: questions.json, subset_answers.json
    suite.official(sample, "C")              # 1.0 where C is right
    EgoSchema(Path("EgoSchema"), subset=False).export(samples, predictions, folder)   # all 5,031, for submission

The makers publish no parser of replies. This one follows lmms-eval: it accepts a letter alone, the exact text of an
option, or both.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Annotated

from pydantic import Field, TypeAdapter

from ..records import Prediction, Sample
from .annotation_files import (
    AnnotationItem,
    PublishedSource,
    add_letters,
    exact_match_score,
    first_file,
    means_by_tag,
    replies_by_run,
    video_file,
    write_json,
)

SOURCE = PublishedSource(
    "EgoSchema",
    "Get it from https://github.com/egoschema/EgoSchema.",
)


class _Question(AnnotationItem):
    q_uid: str
    question: str
    option_0: str = Field(alias="option 0")
    option_1: str = Field(alias="option 1")
    option_2: str = Field(alias="option 2")
    option_3: str = Field(alias="option 3")
    option_4: str = Field(alias="option 4")

    @property
    def options(self) -> tuple[str, ...]:
        return (self.option_0, self.option_1, self.option_2, self.option_3, self.option_4)


class _Clip(AnnotationItem):
    video_uid: str


_QUESTIONS: TypeAdapter[list[_Question]] = TypeAdapter(list[_Question])
_ANSWERS: TypeAdapter[dict[str, int]] = TypeAdapter(dict[str, Annotated[int, Field(ge=0, le=4)]])
_CLIPS: TypeAdapter[dict[str, _Clip]] = TypeAdapter(dict[str, _Clip])


class EgoSchema:
    """Reads ``questions.json``, ``subset_answers.json`` and, if it exists, ``uid_to_ego4d.json``."""

    name = "egoschema"

    def __init__(self, folder: Path, *, subset: bool = True) -> None:
        """``subset``: only the questions with public answers. The makers' server scores the others."""
        self._folder, self._subset = folder, subset

    @property
    def settings(self) -> Mapping[str, str]:
        """Whether only questions with public answers are asked."""
        return {"subset": str(self._subset)}

    def files(self) -> Sequence[Path]:
        """The questions, the public answers, and, if available, the recording of each clip."""
        files = [first_file(SOURCE, self._folder, name) for name in ("questions.json", "subset_answers.json")]
        clips = self._folder / "uid_to_ego4d.json"
        return [*files, clips] if clips.is_file() else files

    def samples(self) -> Iterator[Sample]:
        """Every question, in the order of the file."""
        questions, answers, *rest = self.files()
        answer_of = SOURCE.read(answers, _ANSWERS)
        clips = SOURCE.read(rest[0], _CLIPS) if rest else {}
        for item in SOURCE.read(questions, _QUESTIONS):
            if item.q_uid in answer_of or not self._subset:
                yield Sample(
                    id=f"egoschema/{item.q_uid}",
                    suite=self.name,
                    video=item.q_uid,
                    cluster=clips[item.q_uid].video_uid if item.q_uid in clips else item.q_uid,
                    kind="choice",
                    question=item.question,
                    options=item.options,
                    gold=ascii_uppercase[answer_of[item.q_uid]] if item.q_uid in answer_of else None,
                )

    def video(self, name: str) -> Path:
        """The file of a clip, named after its ``q_uid``."""
        return video_file(SOURCE, self._folder, name, "videos", "")

    def official(self, sample: Sample, reply: str) -> float:
        """Whether the reply is the right option."""
        number = chosen_option(sample, reply)
        return exact_match_score(sample, ascii_uppercase[number] if number >= 0 else "")

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The overall accuracy."""
        return means_by_tag(scored)

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run the number of every chosen option, or -1: JSON for the server, and CSV for Kaggle."""
        files = []
        for run, run_replies in replies_by_run(predictions).items():
            numbers = {
                sample.id.removeprefix("egoschema/"): chosen_option(sample, run_replies.get(sample.id) or "")
                for sample in samples
            }
            files.append(write_json(folder / run / "egoschema_submission.json", numbers))
            files.append(folder / run / "egoschema_submission.csv")
            with files[-1].open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([("q_uid", "answer"), *numbers.items()])
        return files


def chosen_option(sample: Sample, reply: str) -> int:
    """The number of the option that a reply names, from 0. -1 if it names none."""
    reply = reply.strip()
    lines = [line if line.endswith(".") else f"{line}." for line in add_letters(sample.options)]
    # Only the first sentence of an option counts as its text.
    texts = [line.split(". ")[1] for line in lines]
    letters = [ascii_uppercase[index] for index in range(len(lines))]
    for accepted in (lines, texts, letters):
        if reply in accepted:
            return accepted.index(reply)
    return -1
