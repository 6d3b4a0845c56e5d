"""Records: the files that an evaluation writes and reads, with one JSON object a line.

    with RecordFile(folder / "predictions.jsonl", Prediction) as predictions:
        predictions.append(Prediction(sample="world/7/3", system="recollect", status="ok", answer="B"))
    list(read_records(folder / "predictions.jsonl", Prediction))

A file only grows, and an appended line is on disk when ``append`` returns. If a process was killed while it wrote a
line, the incomplete line is cut off when the file is opened for writing again. Predictions hold nothing that depends
on the clock, so a resumed run writes the same bytes as an uninterrupted one. Durations go into ``Timing`` and
``Ingest`` instead.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ..memory.values import Span
from .errors import BadRun

Kind = Literal["choice", "yes_no", "number", "text", "order", "span", "alerts", "checklist"]
"""The form of an answer: a letter, ``yes`` or ``no``, a number, text, an ordered list of texts, spans of time, times
of alerts, or a set of facts."""
Value = str | float | tuple[str, ...] | tuple[tuple[float, float], ...] | tuple[float, ...]
"""An answer in the form of its ``Kind``. A choice is the letter of an option, ``A`` for the first."""
Status = Literal["ok", "abstained", "over_budget", "error"]
LAGS: tuple[tuple[str, float, float], ...] = (
    ("0–10 s", 0.0, 10.0),
    ("10–60 s", 10.0, 60.0),
    ("1–5 min", 60.0, 300.0),
    ("5–30 min", 300.0, 1800.0),
    ("30 min–2 h", 1800.0, 7200.0),
    ("more than 2 h", 7200.0, math.inf),
)
"""Classes of the time between the end of the evidence and the question: name, from and to in seconds."""


class Record(BaseModel):
    """One line of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    record_name: ClassVar[str] = "record"
    """What messages call it."""


class Sample(Record):
    """A question about a video, with the correct answer and its evidence."""

    record_name: ClassVar[str] = "sample"

    id: str
    """Unique among all suites: ``ovo/17``."""
    suite: str
    video: str
    """The name that the suite gives the video. It is watched once, and its questions are asked in time order."""
    cluster: str
    """Samples that are not independent share this, for example the recording, the person, or the pair of twins."""
    kind: Kind
    question: str
    options: tuple[str, ...] = ()
    """Without their letters."""
    gold: Value | None = None
    """The correct answer. None if the suite does not publish it."""
    accepted: tuple[str, ...] = ()
    """Other texts that are correct too."""
    asked_at_s: float | None = None
    """Nothing after this time may be used. None: the question is asked when the video is over."""
    from_s: float = 0.0
    """Nothing before this time may be used."""
    evidence: tuple[tuple[float, float], ...] = ()
    """The spans that prove the answer, in seconds. Empty if the suite does not state them."""
    group: str | None = None
    """Samples that are scored together, such as the same question with its options in another order."""
    tags: dict[str, str] = {}
    """Categories by which a report may split: the suite's tasks, levels and lengths."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """The evidence as spans."""
        return tuple(Span(start_s, end_s) for start_s, end_s in self.evidence)

    @property
    def lag_s(self) -> float | None:
        """Seconds from the end of the evidence to the question. None if either is unknown."""
        if self.asked_at_s is None or not self.evidence:
            return None
        return max(0.0, self.asked_at_s - max(end_s for _, end_s in self.evidence))


def name_of_lag(lag_s: float) -> str:
    """The name of the class in ``LAGS`` that holds ``lag_s``."""
    return next(name for name, from_s, to_s in LAGS if from_s <= lag_s < to_s)


class RecordedUsage(Record):
    """What an answer, or watching a video, cost."""

    record_name: ClassVar[str] = "usage"

    lmm_calls: int = 0
    tokens: int = 0
    """Prompt and reply tokens together."""
    pictures: int = 0
    """Shown to the model, from the video or from the memory."""


class Prediction(Record):
    """What a system answered to a question."""

    record_name: ClassVar[str] = "prediction"

    sample: str
    system: str
    repeat: int = 0
    status: Status
    answer: Value | None = None
    """The answer as the strict parser read it. None if there is no answer."""
    said: str = ""
    """The raw reply of the system, which a suite's official parser reads."""
    confidence: float | None = None
    spans: tuple[tuple[float, float], ...] = ()
    """The spans that the answer cites."""
    found: tuple[tuple[float, float], ...] = ()
    """The spans that the system retrieved, best first, whether it used them or not."""
    encoded: bool | None = None
    """Whether the moments of the evidence name the answer. Only systems that are given the evidence set it."""
    usage: RecordedUsage = RecordedUsage()
    latest_s: float | None = None
    """The time in the video of the latest picture the system was given, in seconds. None without pictures."""
    error: str = ""
    """Why there is no answer, if an error occurred."""


class Timing(Record):
    """How long an answer took."""

    record_name: ClassVar[str] = "timing"

    sample: str
    system: str
    repeat: int = 0
    seconds: float
    memory_bytes: int = 0
    """The size on disk of the memory that was asked."""


class Ingest(Record):
    """How a video was watched. All systems that use the memory share it."""

    record_name: ClassVar[str] = "ingest"

    video: str
    memory: str
    """The settings of the memory, in words."""
    duration_s: float
    seconds: float
    moments: int
    memory_bytes: int
    usage: RecordedUsage = RecordedUsage()


class RunManifest(Record):
    """The inputs of a run. The same inputs give the same predictions."""

    record_name: ClassVar[str] = "run manifest"

    suite: str
    systems: tuple[str, ...]
    version: str
    """The version of Recollect."""
    settings: dict[str, str]
    """Everything that the predictions depend on: seeds, lengths, encoder, model, prompts, budgets, parser."""
    files: dict[str, str] = {}
    """The SHA-256 of every annotation file of the suite."""
    begun_at: str


R = TypeVar("R", bound=Record)


class RecordFile(Generic[R]):
    """A file of records that only grows. One process appends at a time."""

    def __init__(self, path: Path, kind: type[R]) -> None:
        """``kind`` is the class of the records. Only type checkers use it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        complete_bytes = _complete_lines_bytes(path)
        self._file = path.open("ab")
        self._file.truncate(complete_bytes)

    def append(self, record: R) -> None:
        """Append a record. It is on disk when this returns."""
        self._file.write(record.model_dump_json(exclude_defaults=True).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read_records(path: Path, kind: type[R]) -> Iterator[R]:
    """The records of a file, in order. Empty if the file does not exist. An incomplete last line is skipped.

    Raises ``BadRun`` for a line that is not such a record.
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
                details = error.errors(include_url=False)[0]
                field = ".".join(map(str, details["loc"])) or "the line"
                raise BadRun(
                    path, f"line {number} is not a valid {kind.record_name}: {field}: {details['msg']}"
                ) from None


def _complete_lines_bytes(path: Path) -> int:
    if not path.exists():
        return 0
    content = path.read_bytes()
    return content.rfind(b"\n") + 1
