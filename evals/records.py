"""What an evaluation reads and writes: one JSON object a line.

    with RecordFile(folder / "predictions.jsonl", Prediction) as predictions:
        predictions.append(Prediction(sample="world/7/3", system="recollect", status="ok", answer="B"))
    list(read(folder / "predictions.jsonl", Prediction))

A file only grows, and a line that was appended is on the disk. What a killed run left half written is cut off when
the file is next opened. Predictions hold nothing that the clock decides, so that a run that was resumed writes the
same bytes as one that was not; how long things took is told apart, by ``Timing`` and ``Ingest``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ..memory.values import Span
from .errors import BadRun

Kind = Literal["choice", "yes_no", "number", "text", "order", "span", "alerts", "checklist"]
"""What an answer is: a letter, ``yes`` or ``no``, a number, words, words in order, stretches of time, times at which
somebody was to be told, facts in any order."""
Value = str | float | tuple[str, ...] | tuple[tuple[float, float], ...] | tuple[float, ...]
"""An answer, as its kind has it. A choice is the letter of an option, ``A`` for the first."""
Status = Literal["ok", "abstained", "over_budget", "error"]
LAGS: tuple[tuple[str, float, float], ...] = (
    ("0–10 s", 0.0, 10.0),
    ("10–60 s", 10.0, 60.0),
    ("1–5 min", 60.0, 300.0),
    ("5–30 min", 300.0, 1800.0),
    ("30 min–2 h", 1800.0, 7200.0),
    ("more than 2 h", 7200.0, math.inf),
)
"""How long before a question the last of its evidence ended: name, from, to."""


class Record(BaseModel):
    """One line of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sample(Record):
    """A question about a video, with its answer and what proves it."""

    id: str
    """Unique among all suites: ``ovo/17``."""
    suite: str
    video: str
    """The suite's own name for it. It is watched once, and its questions are asked in the order of time."""
    cluster: str
    """What is not independent of it shares this: the recording it was cut from, the person, the pair of twins."""
    kind: Kind
    question: str
    options: tuple[str, ...] = ()
    """Without their letters."""
    gold: Value | None = None
    """None where the suite keeps it to itself."""
    accepted: tuple[str, ...] = ()
    """Other words that are as right."""
    asked_at_s: float | None = None
    """Nothing that comes later may be used; None: asked when the video is over."""
    from_s: float = 0.0
    """Nothing that came earlier may be used either."""
    evidence: tuple[tuple[float, float], ...] = ()
    """The stretches that prove the answer, in seconds; empty where the suite does not tell."""
    group: str | None = None
    """Samples that are scored together, such as the same question with its options in another order."""
    tags: dict[str, str] = {}
    """By what the report may split: the suite's tasks, levels and lengths."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """The evidence."""
        return tuple(Span(start_s, end_s) for start_s, end_s in self.evidence)

    @property
    def lag_s(self) -> float | None:
        """How long before the question the last of its evidence ended; None where either is not known."""
        if self.asked_at_s is None or not self.evidence:
            return None
        return max(0.0, self.asked_at_s - max(end_s for _, end_s in self.evidence))


def name_of_lag(lag_s: float) -> str:
    """In which of ``LAGS`` so many seconds are."""
    return next(name for name, from_s, to_s in LAGS if from_s <= lag_s < to_s)


class RecordedUsage(Record):
    """What an answer, or watching, cost, by what can be counted."""

    lmm_calls: int = 0
    tokens: int = 0
    """Of prompts and of replies."""
    pictures: int = 0
    """Shown to the model, from the video or from the memory."""


class Prediction(Record):
    """What a system said to a question."""

    sample: str
    system: str
    repeat: int = 0
    status: Status
    answer: Value | None = None
    """As the strict parser reads it; None where there is none."""
    said: str = ""
    """In the system's own words: what a suite's official parser reads."""
    confidence: float | None = None
    spans: tuple[tuple[float, float], ...] = ()
    """What it says it rests on."""
    found: tuple[tuple[float, float], ...] = ()
    """What it retrieved, best first, whatever it then made of it."""
    encoded: bool | None = None
    """Whether what is remembered of the evidence names the answer; told by who is given the evidence."""
    usage: RecordedUsage = RecordedUsage()
    latest_s: float | None = None
    """The latest picture it was given, in seconds of the video; None where it was given none."""
    error: str = ""
    """Why there is no answer, where something failed."""


class Timing(Record):
    """How long an answer took."""

    sample: str
    system: str
    repeat: int = 0
    seconds: float
    memory_bytes: int = 0
    """What the memory that was asked took on the disk then."""


class Ingest(Record):
    """How a video was watched, once for every system that asks the memory."""

    video: str
    memory: str
    """Which kind of memory: its settings, named."""
    duration_s: float
    seconds: float
    moments: int
    memory_bytes: int
    usage: RecordedUsage = RecordedUsage()


class RunManifest(Record):
    """What a run was: with the same, the same predictions come out."""

    suite: str
    systems: tuple[str, ...]
    version: str
    """Of Recollect."""
    settings: dict[str, str]
    """All that the predictions depend on: seeds, lengths, encoder, model, prompts, budgets, parser."""
    files: dict[str, str] = {}
    """The SHA-256 of every file of the suite that was read."""
    begun_at: str


R = TypeVar("R", bound=Record)


class RecordFile(Generic[R]):
    """A file of records that can only grow. One process appends at a time."""

    def __init__(self, path: Path, kind: type[R]) -> None:
        """``kind`` is of the records, for the type checker alone."""
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = _whole_lines_bytes(path)
        self._file = path.open("ab")
        self._file.truncate(whole)

    def append(self, record: R) -> None:
        """Add a record; when this returns it is on the disk."""
        self._file.write(record.model_dump_json(exclude_defaults=True).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read(path: Path, kind: type[R]) -> Iterator[R]:
    """The records of a file, in order; none where there is no file. What was left half written is passed over.

    Raises ``BadRun`` for a line that is no such record.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield kind.model_validate_json(line)
            except ValidationError as error:
                what = error.errors(include_url=False)[0]
                where = ".".join(map(str, what["loc"])) or "the line"
                raise BadRun(
                    path, f"line {number} is no {kind.__name__.lower()}: {where}: {what['msg']}"
                ) from None


def _whole_lines_bytes(path: Path) -> int:
    if not path.exists():
        return 0
    content = path.read_bytes()
    return content.rfind(b"\n") + 1
