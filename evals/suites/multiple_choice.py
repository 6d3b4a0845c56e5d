"""What suites of multiple-choice questions share, beyond ``reading``: lines and tables, letters, and files of videos.

    for line in lines(source, folder / "video_info.meta.jsonl", TypeAdapter(_Line)): ...
    first_letter("The answer is C.", ("The answer is",), "ABCD")      # "C"
    by_tags(scored, "duration", "domain")                             # {"overall": 0.6, "duration/long": 0.5, ...}

Each benchmark reads replies in its own way: that is in its own module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ...errors import BadSuite
from ..records import Sample
from .reading import LEFT_OUT, Source, mean, means

T = TypeVar("T")
_SUFFIXES = ("", ".mp4", ".MP4", ".mkv", ".webm")


def lines(source: Source, path: Path, kind: TypeAdapter[T]) -> Iterator[T]:
    """What a file holds that has one JSON value a line. Raises ``BadSuite`` where it is something else."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield kind.validate_json(line)
                except ValidationError as error:
                    raise _refused(source, path, error, f" of line {number}") from None


def table(source: Source, path: Path, kind: TypeAdapter[T]) -> T:
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
        raise _refused(source, path, error) from None


def _refused(source: Source, path: Path, error: ValidationError, of: str = "") -> BadSuite:
    what = error.errors(include_url=False)[0]
    field = ".".join(map(str, what["loc"])) or "the whole"
    return source.refuse(path, f"its field `{field}`{of} is not as published: {what['msg']}")


def found(source: Source, folder: Path, *names: str) -> Path:
    """The first of these files that is there. Raises ``BadSuite`` where none is."""
    return source.first((folder / name for name in names), " or ".join(names))


def video(source: Source, folder: Path, name: str, *places: str) -> Path:
    """The file of a video in one of these folders; its suffix may be left out. Raises ``BadSuite`` where none is."""
    paths = [folder / place / (name + suffix) for place in places for suffix in _SUFFIXES]
    # A folder may have the name of a video, as a file without a suffix would.
    return source.first((path for path in paths if not path.is_dir()), f"video {name}")


def first_letter(said: str, prefixes: Sequence[str], letters: str) -> str:
    """The first of these letters in a reply from which some phrases are struck out wherever they stand; else nothing.

    So Video-MME and LongVideoBench read replies. "Answer: A" and "A boat, so C" are A.
    """
    for prefix in prefixes:
        said = said.replace(prefix, "")
    match = re.search(f"[{letters}]", said)
    return match[0] if match else ""


def letter(number: int) -> str:
    """``A`` for 0."""
    return ascii_uppercase[number]


def right(sample: Sample, answer: str) -> float:
    """Whether that is the answer; left out where the makers keep the answer to themselves."""
    return LEFT_OUT if sample.gold is None else float(answer == sample.gold)


def by_tags(scored: Sequence[tuple[Sample, float]], *tags: str) -> dict[str, float]:
    """The mean of all as ``overall``, and that of every value of these tags as ``tag/value``."""
    split = means(scored, lambda sample: [f"{tag}/{sample.tags[tag]}" for tag in tags if tag in sample.tags])
    return {"overall": mean(score for _, score in scored), **split}
