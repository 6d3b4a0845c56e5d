"""Requests of lmms-eval as questions of a suite, so that our own runner can put them.

    requests = [read_request(instance, model.task_dict) for instance in instances]
    suite = RequestSuite(requests, time_field="query_time")
    list(suite.samples())       # Sample(id="videomme/17", kind="choice", asked_at_s=61.5, …)

Whatever lmms-eval hands over is taken as it is; nothing of it is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from ...common.clock_times import parse_time_s
from ...perception.errors import SourceNotFound
from ...perception.sources.file_source import content_id_of
from ..errors import UnfitTask
from ..records import Prediction, Sample
from ..suites.annotation_files import LEFT_OUT
from .prompt_parsing import ParsedPrompt, read_prompt

SUITE = "lmms-eval"


class RequestInstance(Protocol):
    """A request as lmms-eval makes it."""

    @property
    def args(self) -> tuple[Any, ...]:
        """Text, what makes messages of a row, generation settings, number of the row, task, split."""


@dataclass(frozen=True)
class EvalRequest:
    """A question of a task about a row of its data."""

    task: str
    doc_id: int
    row: Mapping[str, Any]
    text: str
    """All words of the prompt."""
    media: tuple[Mapping[str, Any], ...]
    """What else it holds: its type and where it is."""
    until: tuple[str, ...] = ()
    """An answer ends before any of these."""

    @property
    def id(self) -> str:
        """Unique among all tasks."""
        return f"{self.task}/{self.doc_id}"

    @property
    def asked(self) -> ParsedPrompt:
        """What the prompt asks."""
        return read_prompt(self.text)

    def cut(self, reply: str) -> str:
        """A reply as far as the task takes it."""
        for stop in self.until:
            reply = reply.split(stop, maxsplit=1)[0]
        return reply.strip()


def read_request(instance: RequestInstance, task_dict: Mapping[str, Any]) -> EvalRequest:
    """What an instance asks; ``task_dict`` has the rows by task, split and number."""
    _, doc_to_messages, settings, doc_id, task, split = instance.args
    row = task_dict[task][split][doc_id]
    words: list[str] = []
    media: list[Mapping[str, Any]] = []
    for message in doc_to_messages(row):
        for part in message["content"]:
            if part["type"] == "text":
                words.append(part["text"])
            else:
                media.append(part)
    until = settings.get("until") or ()
    return EvalRequest(
        task,
        doc_id,
        row,
        "\n".join(words),
        tuple(media),
        (until,) if isinstance(until, str) else tuple(until),
    )


class RequestSuite:
    """Requests, as the runner takes the questions of a benchmark. They have no answers: lmms-eval has those.

    Args:
        requests: In any order; one that is there more than once is asked once.
        time_field: The column of the rows that says when a question is asked, in seconds of the video or as a
            player shows times. None: all are asked when the video is over, as those are whose row says nothing.

    """

    name = SUITE

    def __init__(self, requests: Sequence[EvalRequest], *, time_field: str | None = None) -> None:
        self._time_field = time_field
        self._paths: dict[str, Path] = {}
        self._samples: dict[str, Sample] = {}
        for request in requests:
            sample = self._sample(request)
            if self._samples.setdefault(sample.id, sample) != sample:
                raise UnfitTask(request.task, f"it asks two different things about row {request.doc_id}")

    @property
    def settings(self) -> Mapping[str, str]:
        """Where the time of a question comes from."""
        return {"time_field": self._time_field or "none"}

    def files(self) -> Sequence[Path]:
        """None: videos are known by their content, and rows are compared one by one."""
        return ()

    def samples(self) -> Iterator[Sample]:
        """One for each request."""
        return iter(self._samples.values())

    def video(self, name: str) -> Path:
        """The file of that content."""
        return self._paths[name]

    def official(self, sample: Sample, reply: str) -> float:
        """Left out: lmms-eval scores."""
        return LEFT_OUT

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """None: lmms-eval makes its own table."""
        return {}

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """Nothing: lmms-eval writes what it scored."""
        return ()

    def _sample(self, request: EvalRequest) -> Sample:
        path, from_s, to_s = _video(request)
        # The same film under two names is watched once, and another film under a name that is known is another film.
        video = _content_id(path, path.stat().st_size, path.stat().st_mtime_ns)
        self._paths[video] = path
        asked, at_s = request.asked, self._asked_at_s(request)
        return Sample(
            id=request.id,
            suite=SUITE,
            video=video,
            cluster=video,
            kind=asked.kind,
            question=asked.question,
            options=asked.options,
            asked_at_s=min((time_s for time_s in (at_s, to_s) if time_s is not None), default=None),
            from_s=from_s,
            tags={"task": request.task},
        )

    def _asked_at_s(self, request: EvalRequest) -> float | None:
        if self._time_field is None:
            return None
        if self._time_field not in request.row:
            # Silently given the whole video, it would be told the future.
            raise UnfitTask(
                request.task,
                f"its rows have no column {self._time_field!r}, which time_field names, but {', '.join(request.row)}",
            )
        return _seconds(request, request.row[self._time_field])


def _video(request: EvalRequest) -> tuple[Path, float, float | None]:
    """The file, and from when to when of it may be seen."""
    kinds = [str(part["type"]) for part in request.media]
    if kinds != ["video"]:
        raise UnfitTask(request.task, f"row {request.doc_id} comes with {', '.join(kinds) or 'no video'}")
    where: Any = request.media[0]["url"]
    start: Any = None
    end: Any = None
    if isinstance(where, Mapping):
        start, end = where.get("video_start"), where.get("video_end")
        where = where.get("url") or where.get("path") or where.get("video")
    if not isinstance(where, str | Path):
        raise UnfitTask(
            request.task, f"the video of row {request.doc_id} is no file but {type(where).__name__}"
        )
    path = Path(str(where).removeprefix("file://"))
    if not path.is_file():
        raise SourceNotFound(str(where))
    return path, _seconds(request, start) or 0.0, _seconds(request, end)


def _seconds(request: EvalRequest, value: object) -> float | None:
    """A time in a row; None where it says none."""
    if value is None or value == "":
        return None
    try:
        found = float(value) if isinstance(value, int | float) else parse_time_s(str(value))
    except ValueError as error:
        raise UnfitTask(request.task, f"in row {request.doc_id}, {error}") from None
    if not 0 <= found < float("inf"):
        raise UnfitTask(request.task, f"in row {request.doc_id}, {found:g} s is no time of a video")
    return found


@cache
def _content_id(path: Path, size: int, changed_ns: int) -> str:
    return content_id_of(path)
