"""What adapters share: files that must be as they are published, letters and times as they are written, tables of means.

    source = PublishedSource("OVO-Bench", "Get it from https://github.com/JoeLeelyf/OVO-Bench.")
    items = source.read(folder / "ovo_bench_new.json", TypeAdapter(list[Item]))   # or BadSuite, naming the field
    means(scored, lambda sample: (sample.tags["task"],))                         # {"EPM": 0.5, "ASI": 1.0}

It knows no benchmark.
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
from ..scorers import reply

T = TypeVar("T")

_SUFFIXES = ("", ".mp4", ".MP4", ".mkv", ".webm")
LEFT_OUT = math.nan
"""What ``official`` gives where the official code drops a reply from its means, or cannot score it without a judge."""


class AnnotationItem(BaseModel):
    """One entry of a published file. Fields that nobody asks for may be there too."""

    model_config = ConfigDict(frozen=True, extra="ignore")


@dataclass(frozen=True, slots=True)
class PublishedSource:
    """A benchmark as a publication: what it is called and where it is to be had."""

    name: str
    get: str
    """A sentence."""

    def refuse(self, where: Path, why: str) -> BadSuite:
        """The error that says so."""
        return BadSuite(self.name, where, why, self.get)

    def read(self, path: Path, kind: TypeAdapter[T]) -> T:
        """What a JSON file holds. Raises ``BadSuite`` where there is none, or it is something else."""
        try:
            content = path.read_bytes()
        except OSError as error:
            there = "it cannot be read" if path.exists() else "there is no such file"
            raise self.refuse(path, there) from error
        try:
            return kind.validate_json(content)
        except ValidationError as error:
            raise self.unlike(path, error) from None

    def unlike(self, path: Path, error: ValidationError, of: str = "") -> BadSuite:
        """The error that says in which field, of what, a file is another than the published one."""
        what = error.errors(include_url=False)[0]
        if what["type"] == "json_invalid":
            return self.refuse(path, f"it is no JSON{of}: {what['msg']}")
        field = ".".join(map(str, what["loc"])) or "the whole"
        return self.refuse(path, f"its field `{field}`{of} is not as published: {what['msg']}")

    def first(self, candidates: Iterable[Path], what: str) -> Path:
        """The first of these that is there. Raises ``BadSuite`` where none is."""
        paths = list(candidates)
        for path in paths:
            if path.exists():
                return path
        raise self.refuse(paths[0], f"there is no {what}")


def lines(source: PublishedSource, path: Path, kind: TypeAdapter[T]) -> Iterator[T]:
    """What a file holds that has one JSON value a line. Raises ``BadSuite`` where it is something else."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield kind.validate_json(line)
                except ValidationError as error:
                    raise source.unlike(path, error, f" of line {number}") from None


def table(source: PublishedSource, path: Path, kind: TypeAdapter[T]) -> T:
    """What a file in Parquet holds, as a list of rows. Raises ``BadSuite`` where it is something else."""
    import pyarrow  # noqa: PLC0415 - only benchmarks that come as tables need it
    import pyarrow.parquet  # noqa: PLC0415

    try:
        rows: list[Any] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise source.refuse(path, f"it cannot be read as a table in Parquet: {error}") from None
    try:
        return kind.validate_python(rows)
    except ValidationError as error:
        raise source.unlike(path, error) from None


def found(source: PublishedSource, folder: Path, *names: str) -> Path:
    """The first of these files that is there. Raises ``BadSuite`` where none is."""
    return source.first((folder / name for name in names), " or ".join(names))


def video(source: PublishedSource, folder: Path, name: str, *places: str) -> Path:
    """The file of a video in one of these folders; its suffix may be left out. Raises ``BadSuite`` where none is."""
    paths = [folder / place / (name + suffix) for place in places for suffix in _SUFFIXES]
    # A folder may have the name of a video, as a file without a suffix would.
    return source.first((path for path in paths if not path.is_dir()), f"video {name}")


def raw(path: Path) -> object:
    """A JSON file that was found to be as published, with all that is in it."""
    content: object = json.loads(path.read_bytes())
    return content


def write(path: Path, content: object) -> Path:
    """Write a JSON file as the official codes do; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def unlettered(options: Sequence[str]) -> tuple[str, ...]:
    """Options without their letters, where every one has its own: ``A. red``, ``B.blue``, ``(C) green``.

    Others stay as they are: ``U.S. Army``.
    """
    marks = [
        re.match(rf"\(?{letter}[.):]\s*", option)
        for letter, option in zip(ascii_uppercase, options, strict=False)
    ]
    if len(marks) < len(options) or not all(marks):
        return tuple(options)
    return tuple(option[mark.end() :] for option, mark in zip(options, marks, strict=True) if mark)


def lettered(options: Sequence[str]) -> list[str]:
    """``A. red``, ``B. blue``."""
    return [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]


def first_letter(said: str, prefixes: Sequence[str], letters: str) -> str:
    """The first of these letters in a reply from which some phrases are struck out wherever they stand; else nothing.

    So Video-MME and LongVideoBench read replies. "Answer: A" and "A boat, so C" are A.
    """
    for prefix in prefixes:
        said = said.replace(prefix, "")
    match = re.search(f"[{letters}]", said)
    return match[0] if match else ""


def clock_s(time: str) -> float:
    """``00:03:10`` in seconds. Raises ``ValueError`` where it is no such time."""
    if not re.fullmatch(r"\s*\d+(:\d+){0,2}\s*", time):
        raise ValueError(f"{time!r} is no time such as 00:03:10")
    return float(sum(int(part) * 60**place for place, part in enumerate(reversed(time.split(":")))))


def means(
    scored: Iterable[tuple[Sample, float]], names: Callable[[Sample], Iterable[str]]
) -> dict[str, float]:
    """The mean score under each name that some samples have. What is left out counts nowhere."""
    under: dict[str, list[float]] = {}
    for sample, score in scored:
        if not math.isnan(score):
            for name in names(sample):
                under.setdefault(name, []).append(score)
    return {name: sum(scores) / len(scores) for name, scores in under.items()}


def mean(scores: Iterable[float]) -> float:
    """Of those that count; 0 where none does."""
    counted = [score for score in scores if not math.isnan(score)]
    return sum(counted) / len(counted) if counted else 0.0


def right(sample: Sample, answer: str) -> float:
    """Whether that is the answer; left out where the makers keep the answer to themselves."""
    return LEFT_OUT if sample.gold is None else float(answer == sample.gold)


def by_tags(scored: Sequence[tuple[Sample, float]], *tags: str) -> dict[str, float]:
    """The mean of all as ``overall``, and that of every value of these tags as ``tag/value``."""
    split = means(scored, lambda sample: [f"{tag}/{sample.tags[tag]}" for tag in tags if tag in sample.tags])
    return {"overall": mean(score for _, score in scored), **split}


def replies(predictions: Iterable[Prediction]) -> dict[str, dict[str, str | None]]:
    """By run, what was said to each sample; None where it failed or nothing was said.

    A run is named after its system, and after the repeat where it is not the first.
    """
    said: dict[str, dict[str, str | None]] = {}
    for one in predictions:
        run = one.system if one.repeat == 0 else f"{one.system}_{one.repeat + 1}"
        # What an abstention or a failure says is no reply: official parsers would find letters in it.
        words = one.said if one.answer is None and one.status == "ok" else reply(one)
        said.setdefault(re.sub(r"[^\w.+-]+", "-", run), {})[one.sample] = words or None
    return said
