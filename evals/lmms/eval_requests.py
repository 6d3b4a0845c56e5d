"""Requests of lmms-eval as a suite, so that the evaluation runner can ask them.

    requests = [read_request(instance, model.task_dict) for instance in instances]
    suite = RequestSuite(requests, time_field="query_time")
    list(suite.samples())       # Sample(id="videomme/17", kind="choice", asked_at_s=61.5, …)

This module reads the objects of lmms-eval without importing lmms-eval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from ...common.clock_times import parse_time_s
from ...perception.errors import SourceNotFound
from ...perception.sources.content_identity import content_hash_of
from ..errors import UnfitTask
from ..records import Prediction, Sample
from ..suites.annotation_files import LEFT_OUT
from .prompt_parsing import ParsedPrompt, parse_prompt

SUITE = "lmms-eval"


class RequestInstance(Protocol):
    """A request in the form of lmms-eval."""

    @property
    def args(self) -> tuple[Any, ...]:
        """The text, a function from a row to messages, generation settings, the row number, task and split."""


@dataclass(frozen=True)
class EvalRequest:
    """The question of a task about one row of its data."""

    task: str
    doc_id: int
    row: Mapping[str, Any]
    text: str
    """The text parts of the prompt, joined."""
    media: tuple[Mapping[str, Any], ...]
    """The other parts of the prompt, with their type and location."""
    until: tuple[str, ...] = ()
    """Stop sequences: an answer ends before any of them."""

    @property
    def id(self) -> str:
        """Unique among all tasks."""
        return f"{self.task}/{self.doc_id}"

    @property
    def prompt(self) -> ParsedPrompt:
        """The parsed prompt."""
        return parse_prompt(self.text)

    def cut(self, reply: str) -> str:
        """A reply up to the first stop sequence."""
        for stop in self.until:
            reply = reply.split(stop, maxsplit=1)[0]
        return reply.strip()


def read_request(instance: RequestInstance, task_dict: Mapping[str, Any]) -> EvalRequest:
    """Read a request of lmms-eval. ``task_dict`` holds the rows by task, split and number."""
    _, doc_to_messages, settings, doc_id, task, split = instance.args
    row = task_dict[task][split][doc_id]
    texts: list[str] = []
    media: list[Mapping[str, Any]] = []
    for message in doc_to_messages(row):
        for part in message["content"]:
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                media.append(part)
    until = settings.get("until") or ()
    return EvalRequest(
        task,
        doc_id,
        row,
        "\n".join(texts),
        tuple(media),
        (until,) if isinstance(until, str) else tuple(until),
    )


class RequestSuite:
    """Requests as a suite. The samples have no gold answers: lmms-eval keeps those.

    Args:
        requests: The requests in any order. A repeated request is asked once.
        time_field: The column of the rows that states when a question is asked, in seconds of the video or as a clock
            time. None: all questions are asked when the video is over. So are those whose row states no time.

    """

    name = SUITE

    def __init__(self, requests: Sequence[EvalRequest], *, time_field: str | None = None) -> None:
        self._time_field = time_field
        self._paths: dict[str, Path] = {}
        self._samples: dict[str, Sample] = {}
        for request in requests:
            sample = self._sample(request)
            if self._samples.setdefault(sample.id, sample) != sample:
                raise UnfitTask(request.task, f"it asks two different questions about row {request.doc_id}")

    @property
    def settings(self) -> Mapping[str, str]:
        """The column with the times of the questions."""
        return {"time_field": self._time_field or "none"}

    def files(self) -> Sequence[Path]:
        """Empty: videos are identified by their content, and rows are compared one by one."""
        return ()

    def samples(self) -> Iterator[Sample]:
        """One for each request."""
        return iter(self._samples.values())

    def video(self, name: str) -> Path:
        """The file with this content."""
        return self._paths[name]

    def official(self, sample: Sample, reply: str) -> float:
        """``LEFT_OUT``: lmms-eval scores the replies."""
        return LEFT_OUT

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """Empty: lmms-eval makes its own table."""
        return {}

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """Nothing: lmms-eval writes its own files."""
        return ()

    def _sample(self, request: EvalRequest) -> Sample:
        path, from_s, to_s = _video(request)
        # Videos are identified by content: a copy under another name is not watched again.
        video = _content_hash(path, path.stat().st_size, path.stat().st_mtime_ns)
        self._paths[video] = path
        prompt, asked_at_s = request.prompt, self._asked_at_s(request)
        return Sample(
            id=request.id,
            suite=SUITE,
            video=video,
            cluster=video,
            kind=prompt.kind,
            question=prompt.question,
            options=prompt.options,
            asked_at_s=min((time_s for time_s in (asked_at_s, to_s) if time_s is not None), default=None),
            from_s=from_s,
            tags={"task": request.task},
        )

    def _asked_at_s(self, request: EvalRequest) -> float | None:
        if self._time_field is None:
            return None
        if self._time_field not in request.row:
            # Without the time, the question would get the whole video, including its future.
            raise UnfitTask(
                request.task,
                f"time_field names the column {self._time_field!r}, but its rows have only {', '.join(request.row)}",
            )
        return _seconds(request, request.row[self._time_field])


def _video(request: EvalRequest) -> tuple[Path, float, float | None]:
    """The file of the video, and the start and end of the part that may be used, in seconds."""
    kinds = [str(part["type"]) for part in request.media]
    if kinds != ["video"]:
        raise UnfitTask(request.task, f"row {request.doc_id} comes with {', '.join(kinds) or 'no video'}")
    location: Any = request.media[0]["url"]
    start: Any = None
    end: Any = None
    if isinstance(location, Mapping):
        start, end = location.get("video_start"), location.get("video_end")
        location = location.get("url") or location.get("path") or location.get("video")
    if not isinstance(location, str | Path):
        raise UnfitTask(
            request.task, f"the video of row {request.doc_id} is not a file but {type(location).__name__}"
        )
    path = Path(str(location).removeprefix("file://"))
    if not path.is_file():
        raise SourceNotFound(str(location))
    return path, _seconds(request, start) or 0.0, _seconds(request, end)


def _seconds(request: EvalRequest, value: object) -> float | None:
    """A time of a row in seconds. None if the row states none."""
    if value is None or value == "":
        return None
    try:
        time_s = float(value) if isinstance(value, int | float) else parse_time_s(str(value))
    except ValueError as error:
        raise UnfitTask(request.task, f"in row {request.doc_id}, {error}") from None
    if not 0 <= time_s < float("inf"):
        raise UnfitTask(request.task, f"in row {request.doc_id}, {time_s:g} s is not a time of a video")
    return time_s


@cache
def _content_hash(path: Path, size: int, changed_ns: int) -> str:
    return content_hash_of(path)
