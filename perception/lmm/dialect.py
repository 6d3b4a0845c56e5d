"""Dialects of OpenAI's chat API: what a server accepts, learnt from what it refuses.

    learner = DialectLearner(Dialect())
    search = learner.search(shape, refusal)     # the server refused a request of this shape
    while (dialect := search.next()) is not None:
        ...                                     # send the request, and call search.accepted or search.refused
    learner.learn(search)

A refusal rarely says in a reliable way what it is about. So the request is written in other ways, in a fixed
order that begins with what costs least, until the server takes it. The words of a refusal only change the order.
What the server took once is not doubted later. This module sends nothing and knows no server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

_MAX_SCHEMA_TRIALS = 3
"""How many replies out of schema are followed by a request with the schema in the prompt."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How requests to a server are written. The default is that of vLLM."""

    clips: bool = True
    """Send a clip as a video with its times. Otherwise as pictures."""
    max_pictures: int | None = None
    """A request with more pictures than this sends them as one contact sheet."""
    reply_format: Literal["json_schema", "json_object", "text"] = "json_schema"
    """What the server is told of the reply. All but ``json_schema`` have the schema in the prompt."""
    schema_in_prompt: bool = False
    """Send the schema in the prompt too: the server takes it but does not keep to it."""
    token_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The key for the longest reply."""
    temperature: bool = True
    priority: bool = True
    """Send the key ``priority`` if the settings ask for it."""


@dataclass(frozen=True, slots=True)
class RequestShape:
    """What a request contains that a server may refuse."""

    schema: str
    """The name of the schema of its reply."""
    pictures: int = 0
    """The number of its pictures, frames of clips included."""
    clip_frames: int = 0
    """Those of them that can be sent as one video."""
    has_priority: bool = False


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Something that a server does not accept, and what is sent instead."""

    step: str
    """The name of what is refused: ``clips``, ``pictures``, ``schema``, ``max_tokens``, ``temperature``, ``priority``."""
    sentence: str
    """What is sent instead."""
    reason: str
    """What the server answered to the request that was refused."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One change of the dialect, away from what a server may refuse."""

    name: str
    words: tuple[str, ...]
    """By these words a refusal may name it."""
    is_doubted: Callable[[Dialect, RequestShape], bool]
    """Whether the step changes a request of this shape."""
    change: Callable[[Dialect, int], Dialect]
    """The changed dialect. The number is that of the pictures that the server has taken in one request."""
    sentence: str
    is_per_schema: bool = False
    """Whether a server may take it with one schema and refuse it with another."""


_STEPS = (
    _Step(
        "priority",
        ("priority",),
        lambda dialect, shape: shape.has_priority and dialect.priority,
        lambda dialect, _: replace(dialect, priority=False),
        "requests are sent without priorities",
    ),
    _Step(
        "schema",
        ("response_format", "json_schema", "schema", "structured"),
        lambda dialect, _: dialect.reply_format == "json_schema",
        lambda dialect, _: replace(dialect, reply_format="json_object"),
        "schemas are sent in the prompt, and the server is asked for JSON only",
        is_per_schema=True,
    ),
    _Step(
        "max_tokens",
        ("max_tokens", "max_completion_tokens"),
        lambda dialect, _: dialect.token_limit == "max_tokens",
        lambda dialect, _: replace(dialect, token_limit="max_completion_tokens"),
        "the longest reply is sent as max_completion_tokens",
    ),
    _Step(
        "temperature",
        ("temperature",),
        lambda dialect, _: dialect.temperature,
        lambda dialect, _: replace(dialect, temperature=False),
        "lmm.temperature is not sent, so the same request may get different replies",
    ),
    _Step(
        "clips",
        ("video", "media_io_kwargs", "mm_processor_kwargs"),
        lambda dialect, shape: dialect.clips and shape.clip_frames > 0,
        lambda dialect, _: replace(dialect, clips=False),
        "clips are sent as pictures with their times",
    ),
    _Step(
        "json_object",
        (),  # refusals name it as what they take too
        lambda dialect, _: dialect.reply_format != "text",
        lambda dialect, _: replace(dialect, reply_format="text"),
        "schemas are sent in the prompt only",
        is_per_schema=True,
    ),
    _Step(
        "pictures",
        ("image", "picture", "too large", "context length"),
        lambda dialect, shape: shape.pictures > (dialect.max_pictures or 1),
        lambda dialect, taken: replace(dialect, max_pictures=max(1, taken)),
        "several pictures are sent as one contact sheet",
    ),
)
_CLIPS = next(step for step in _STEPS if step.name == "clips")


class DialectLearner:
    """The dialect of one server, as far as it is known."""

    def __init__(self, first: Dialect) -> None:
        self.current = first
        self.adaptations: list[Adaptation] = []
        """What was learnt, in order."""
        self._accepted: set[tuple[str, str]] = set()
        self._accepted_pictures = 0
        self._hopeless: set[frozenset[str]] = set()
        self._schema_trials = 0

    def accepted(self, dialect: Dialect, shape: RequestShape) -> None:
        """The server took a request."""
        taken = (step for step in _STEPS if step.name != "pictures" and step.is_doubted(dialect, shape))
        self._accepted |= {(step.name, shape.schema if step.is_per_schema else "") for step in taken}
        pictures = shape.pictures - (shape.clip_frames if dialect.clips else 0)
        if pictures <= (dialect.max_pictures or pictures):
            self._accepted_pictures = max(self._accepted_pictures, pictures)

    def matched(self, dialect: Dialect) -> None:
        """A reply matched its schema. If that was not in the prompt, it need not be."""
        if not dialect.schema_in_prompt:
            self._schema_trials = _MAX_SCHEMA_TRIALS

    def search(self, shape: RequestShape, reason: str, *, is_too_large: bool = False) -> DialectSearch:
        """Other ways to write a request that was refused.

        There are none if all that it holds was accepted before.

        Args:
            shape: What the request contains.
            reason: What the server answered.
            is_too_large: Try only ways that make the request smaller.

        """
        doubted = [step for step in _STEPS if self._is_doubted(step, shape)]
        if is_too_large:
            doubted = [step for step in doubted if step.name == "pictures"]
        is_hopeless = frozenset(step.name for step in doubted) in self._hopeless
        return DialectSearch(self, [] if is_hopeless else doubted, self._accepted_pictures, reason)

    def learn(self, search: DialectSearch) -> None:
        """Keep the best dialect of a search. A search that found none is not made again."""
        if search.best is None:
            self._hopeless.add(frozenset(step.name for step in search.steps))
            return
        learnt = (Adaptation(step.name, step.sentence, search.reason) for step in search.changes())
        self.adaptations = [*search.earlier, *learnt]
        self.current = search.best

    def with_schema_in_prompt(self) -> Dialect | None:
        """The dialect for a server that accepts schemas and does not keep to them. None if that was tried enough."""
        if self.current.reply_format != "json_schema" or self.current.schema_in_prompt:
            return None
        if self._schema_trials >= _MAX_SCHEMA_TRIALS:
            return None
        self._schema_trials += 1
        return replace(self.current, schema_in_prompt=True)

    def learn_schema_in_prompt(self, reason: str) -> None:
        """The schema in the prompt helped."""
        self.current = replace(self.current, schema_in_prompt=True)
        self.adaptations.append(Adaptation("schema", "schemas are sent in the prompt too", reason))

    def _is_doubted(self, step: _Step, shape: RequestShape) -> bool:
        if not step.is_doubted(self.current, shape):
            return False
        if step.name != "pictures":
            return (step.name, shape.schema if step.is_per_schema else "") not in self._accepted
        takes_clips = self.current.clips and ("clips", "") in self._accepted
        return shape.pictures - (shape.clip_frames if takes_clips else 0) > max(1, self._accepted_pictures)


class DialectSearch:
    """The order in which a refused request is written anew.

    First each change alone, and all that the refusals name. Then all changes at once. If the server takes that,
    they are taken back one by one, so that it gets the most that it takes.
    """

    def __init__(
        self, learner: DialectLearner, steps: list[_Step], accepted_pictures: int, reason: str
    ) -> None:
        self.reason = reason
        """What the server answered to the first request."""
        self.steps = tuple(steps)
        self.earlier = tuple(learner.adaptations)
        """What was learnt before."""
        self.best: Dialect | None = None
        """The dialect that the server took last."""
        self._base, self._accepted_pictures = learner.current, accepted_pictures
        self._lowest = self._changed(self.steps)
        self._named: list[_Step] = []
        self._tried: dict[Dialect, tuple[_Step, ...]] = {self._base: ()}
        self._order = self._in_order()
        self._is_done = not steps
        self._kept: list[_Step] | None = None
        """The changes that are still made while others are taken back."""
        self.refused(self._base, reason)

    def refused(self, dialect: Dialect, reason: str) -> None:
        """The server refused the request in this dialect too. Its words may name what it refuses."""
        words = reason.lower()
        self._named += [
            step
            for step in self.steps
            if step not in self._named and any(word in words for word in step.words)
        ]
        self._is_done |= dialect == self._lowest

    def accepted(self, dialect: Dialect) -> None:
        """The server took the request in this dialect."""
        self.best = dialect
        if self._kept is None and dialect == self._lowest and len(self.steps) > 1:
            self._order = self._in_order_of_return()
        elif self._kept is not None:
            self._kept = list(self._tried[dialect])
        else:
            self._is_done = True

    def next(self) -> Dialect | None:
        """The next way to write the request. None if there is no other."""
        while not self._is_done and (steps := next(self._order, None)) is not None:
            dialect = self._changed(steps)
            if dialect not in self._tried:
                self._tried[dialect] = steps
                return dialect
        return None

    def changes(self) -> tuple[_Step, ...]:
        """The changes that lead to the best dialect."""
        return () if self.best is None else self._tried[self.best]

    def _in_order(self) -> Iterator[tuple[_Step, ...]]:
        for step in [*self._named, *self.steps]:
            yield (step,)
            if len(self._named) > 1:
                yield tuple(self._named)
        yield self.steps

    def _in_order_of_return(self) -> Iterator[tuple[_Step, ...]]:
        """All changes but one, the one that costs most first."""
        self._kept = list(self._tried[self._lowest])
        # Some servers take schemas and refuse the lesser format, so both changes are taken back together first.
        yield tuple(kept for kept in self._kept if not kept.is_per_schema)
        for step in reversed(self.steps):
            if step in self._kept:
                yield tuple(kept for kept in self._kept if kept is not step)

    def _changed(self, steps: tuple[_Step, ...]) -> Dialect:
        dialect = self._base
        for step in _STEPS:  # in one order, so that equal sets of changes give equal dialects
            if step in steps:
                dialect = step.change(dialect, self._accepted_pictures)
        # A clip goes onto a contact sheet too, unless clips are known to be taken.
        is_sheet = dialect.max_pictures != self._base.max_pictures
        return replace(dialect, clips=False) if is_sheet and _CLIPS in self.steps else dialect
