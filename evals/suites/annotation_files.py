"""Annotation files: what the readers of published benchmarks share.

    source = PublishedSource("OVO-Bench", "Get it from https://github.com/JoeLeelyf/OVO-Bench.")
    items = source.read(folder / "ovo_bench_new.json", TypeAdapter(list[Item]))   # or BadSuite, which names the field
    means_by_name(scored, lambda sample: (sample.tags["task"],))                 # {"EPM": 0.5, "ASI": 1.0}

It checks that files match the published schema, handles the letters of options, and computes tables of means. It knows
no particular benchmark.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ..errors import BadSuite
from ..records import Prediction, Sample
from ..scorers import reply_text

T = TypeVar("T")

_SUFFIXES = ("", ".mp4", ".MP4", ".mkv", ".webm")
LEFT_OUT = math.nan
"""The result of ``official`` if the official code leaves a reply out of its means, or needs a judge to score it."""


class AnnotationItem(BaseModel):
    """One entry of a published file. Fields that are not declared are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


@dataclass(frozen=True, slots=True)
class PublishedSource:
    """The name of a published benchmark, and where to get it."""

    name: str
    get: str
    """A sentence that says where to get it."""

    def bad_suite(self, where: Path, why: str) -> BadSuite:
        """An error about one of its files."""
        return BadSuite(self.name, where, why, self.get)

    def read(self, path: Path, kind: TypeAdapter[T]) -> T:
        """The content of a JSON file. Raises ``BadSuite`` if it is missing or does not match the schema."""
        try:
            content = path.read_bytes()
        except OSError as error:
            why = "it cannot be read" if path.exists() else "there is no such file"
            raise self.bad_suite(path, why) from error
        try:
            return kind.validate_json(content)
        except ValidationError as error:
            raise self.schema_error(path, error) from None

    def schema_error(self, path: Path, error: ValidationError, place: str = "") -> BadSuite:
        """An error that names the field that differs from the published schema. ``place`` says where it is."""
        details = error.errors(include_url=False)[0]
        if details["type"] == "json_invalid":
            return self.bad_suite(path, f"it is no JSON{place}: {details['msg']}")
        field = ".".join(map(str, details["loc"])) or "the whole"
        return self.bad_suite(path, f"its field `{field}`{place} is not as published: {details['msg']}")

    def first_existing(self, candidates: Iterable[Path], description: str) -> Path:
        """The first path that exists. Raises ``BadSuite`` if none does."""
        paths = list(candidates)
        for path in paths:
            if path.exists():
                return path
        raise self.bad_suite(paths[0], f"there is no {description}")


def read_json_lines(source: PublishedSource, path: Path, kind: TypeAdapter[T]) -> Iterator[T]:
    """The values of a file with one JSON value a line. Raises ``BadSuite`` if a line does not match the schema."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield kind.validate_json(line)
                except ValidationError as error:
                    raise source.schema_error(path, error, f" of line {number}") from None


def read_parquet(source: PublishedSource, path: Path, kind: TypeAdapter[T]) -> T:
    """The rows of a Parquet file. Raises ``BadSuite`` if they do not match the schema."""
    import pyarrow  # noqa: PLC0415 - only benchmarks that come as tables need it
    import pyarrow.parquet  # noqa: PLC0415

    try:
        rows: list[Any] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise source.bad_suite(path, f"it cannot be read as a table in Parquet: {error}") from None
    try:
        return kind.validate_python(rows)
    except ValidationError as error:
        raise source.schema_error(path, error) from None


def first_file(source: PublishedSource, folder: Path, *names: str) -> Path:
    """The first of these files that exists. Raises ``BadSuite`` if none does."""
    return source.first_existing((folder / name for name in names), " or ".join(names))


def video_file(source: PublishedSource, folder: Path, name: str, *places: str) -> Path:
    """The file of a video in one of these folders. Its suffix may be omitted. Raises ``BadSuite`` if it is missing."""
    paths = [folder / place / (name + suffix) for place in places for suffix in _SUFFIXES]
    # A folder can have the name of a video without its suffix.
    return source.first_existing((path for path in paths if not path.is_dir()), f"video {name}")


def read_raw_json(path: Path) -> object:
    """The full content of a JSON file whose schema was already checked."""
    content: object = json.loads(path.read_bytes())
    return content


def write_json(path: Path, content: object) -> Path:
    """Write a JSON file in the layout of the official codes. Returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def strip_letters(options: Sequence[str]) -> tuple[str, ...]:
    """Options without their letters, if every option has one: ``A. red``, ``B.blue``, ``(C) green``.

    Otherwise they stay unchanged: ``U.S. Army``.
    """
    marks = [
        re.match(rf"\(?{letter}[.):]\s*", option)
        for letter, option in zip(ascii_uppercase, options, strict=False)
    ]
    if len(marks) < len(options) or not all(marks):
        return tuple(options)
    return tuple(option[mark.end() :] for option, mark in zip(options, marks, strict=True) if mark)


def add_letters(options: Sequence[str]) -> list[str]:
    """``A. red``, ``B. blue``."""
    return [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]


def first_letter(reply: str, prefixes: Sequence[str], letters: str) -> str:
    """The first of these letters in a reply after the prefixes are removed anywhere in it. Empty if there is none.

    This is the parser of Video-MME and LongVideoBench. "Answer: A" and "A boat, so C" are A.
    """
    for prefix in prefixes:
        reply = reply.replace(prefix, "")
    match = re.search(f"[{letters}]", reply)
    return match[0] if match else ""


def lone_letter(reply: str) -> str | None:
    """The first capital letter from A to D that is a word of its own, even if it is an article. None without one.

    This is the parser of EgoLife.
    """
    match = re.search(r"\b([A-D])\b", reply)
    return match[1] if match else None


def whole_second_spans(pairs: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Spans from pairs of start and end in whole seconds. Pairs in the wrong order are dropped.

    A span that ends when it starts covers that second.
    """
    return tuple((start_s, max(end_s, start_s + 1.0)) for start_s, end_s in pairs if end_s >= start_s)


def means_by_name(
    scored: Iterable[tuple[Sample, float]], names_of: Callable[[Sample], Iterable[str]]
) -> dict[str, float]:
    """The mean score of the samples under each name. ``LEFT_OUT`` scores do not count."""
    scores_of: dict[str, list[float]] = {}
    for sample, score in scored:
        if not math.isnan(score):
            for name in names_of(sample):
                scores_of.setdefault(name, []).append(score)
    return {name: sum(scores) / len(scores) for name, scores in scores_of.items()}


def mean(scores: Iterable[float]) -> float:
    """The mean of the scores that are not ``LEFT_OUT``. 0 if there are none."""
    counted = [score for score in scores if not math.isnan(score)]
    return sum(counted) / len(counted) if counted else 0.0


def exact_match_score(sample: Sample, answer: str) -> float:
    """1 if the answer is the gold answer, else 0. ``LEFT_OUT`` if the makers do not publish the gold answer."""
    return LEFT_OUT if sample.gold is None else float(answer == sample.gold)


def means_by_tag(scored: Sequence[tuple[Sample, float]], *tags: str) -> dict[str, float]:
    """The mean of all scores as ``overall``, and the mean of each value of these tags as ``tag/value``."""
    split = means_by_name(
        scored, lambda sample: [f"{tag}/{sample.tags[tag]}" for tag in tags if tag in sample.tags]
    )
    return {"overall": mean(score for _, score in scored), **split}


def replies_by_run(predictions: Iterable[Prediction]) -> dict[str, dict[str, str | None]]:
    """The reply to each sample, by run. None if there is no reply.

    A run is named after its system, and after the repeat if it is not the first.
    """
    replies: dict[str, dict[str, str | None]] = {}
    for prediction in predictions:
        repeat = "" if prediction.repeat == 0 else f"_{prediction.repeat + 1}"
        run = re.sub(r"[^\w.+-]+", "-", prediction.system + repeat)
        # The text of an abstention or an error is no reply: official parsers would find letters in it.
        has_raw_reply = prediction.answer is None and prediction.status == "ok"
        reply = prediction.said if has_raw_reply else reply_text(prediction)
        replies.setdefault(run, {})[prediction.sample] = reply or None
    return replies
