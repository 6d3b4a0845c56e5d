"""EgoSchema: three minutes of somebody's day, and one question with five long options about it.

    suite = EgoSchema(Path("EgoSchema"))     # the 500 whose answers are public: questions.json, subset_answers.json
    suite.official(sample, "C")              # 1.0 where C is right
    EgoSchema(Path("EgoSchema"), subset=False).export(samples, predictions, folder)   # all 5,031, to be submitted

The makers publish no parser of replies; this one reads them as lmms-eval does: a letter alone, an option word for
word, or both, and nothing else.
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
    means_by_tag,
    first_file,
    add_letters,
    replies_by_run,
    exact_match_score,
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
    """Reads ``questions.json``, ``subset_answers.json`` and, where it is there, ``uid_to_ego4d.json``."""

    name = "egoschema"

    def __init__(self, folder: Path, *, subset: bool = True) -> None:
        """``subset``: only the questions whose answers are public; the others are scored by the makers' server."""
        self._folder, self._subset = folder, subset

    @property
    def settings(self) -> Mapping[str, str]:
        """Whether only what has a public answer is asked."""
        return {"subset": str(self._subset)}

    def files(self) -> Sequence[Path]:
        """The questions, the public answers, and which recording each clip was cut from."""
        read = [first_file(SOURCE, self._folder, name) for name in ("questions.json", "subset_answers.json")]
        clips = self._folder / "uid_to_ego4d.json"
        return [*read, clips] if clips.is_file() else read

    def samples(self) -> Iterator[Sample]:
        """Every question, in the order of the file."""
        questions, answers, *rest = self.files()
        known = SOURCE.read(answers, _ANSWERS)
        clips = SOURCE.read(rest[0], _CLIPS) if rest else {}
        for item in SOURCE.read(questions, _QUESTIONS):
            if item.q_uid in known or not self._subset:
                yield Sample(
                    id=f"egoschema/{item.q_uid}",
                    suite=self.name,
                    video=item.q_uid,
                    cluster=clips[item.q_uid].video_uid if item.q_uid in clips else item.q_uid,
                    kind="choice",
                    question=item.question,
                    options=item.options,
                    gold=ascii_uppercase[known[item.q_uid]] if item.q_uid in known else None,
                )

    def video(self, name: str) -> Path:
        """The file of a clip, by its ``q_uid``."""
        return video_file(SOURCE, self._folder, name, "videos", "")

    def official(self, sample: Sample, reply: str) -> float:
        """Whether the reply is the right option."""
        number = chosen(sample, reply)
        return exact_match_score(sample, ascii_uppercase[number] if number >= 0 else "")

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The accuracy."""
        return means_by_tag(scored)

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """For each run the number of every chosen option, -1 for none: JSON for the server, and CSV for Kaggle."""
        files = []
        for run, run_replies in replies_by_run(predictions).items():
            numbers = {
                sample.id.removeprefix("egoschema/"): chosen(sample, run_replies.get(sample.id) or "")
                for sample in samples
            }
            files.append(write_json(folder / run / "egoschema_submission.json", numbers))
            files.append(folder / run / "egoschema_submission.csv")
            with files[-1].open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([("q_uid", "answer"), *numbers.items()])
        return files


def chosen(sample: Sample, reply: str) -> int:
    """The number of the option that a reply names, from 0; -1 where it names none."""
    reply = reply.strip()
    whole = [line if line.endswith(".") else f"{line}." for line in add_letters(sample.options)]
    # Where an option has several sentences the first alone counts as its words.
    words = [line.split(". ")[1] for line in whole]
    for form in (whole, words, [ascii_uppercase[at] for at in range(len(whole))]):
        if reply in form:
            return form.index(reply)
    return -1
