"""Question runner: answers one question with the agent, on one snapshot of the memory.

    runner = QuestionRunner(resources, reasoner=None, limits=Limits(), overrides=AgentOverrides())
    for step, update in runner.steps(question): …

It chooses the reasoner and the tools, and stores the steps as a trace.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from .agent.answer import Question
from .agent.cancellation import Cancellation
from .agent.extractive_reasoner import ExtractiveReasoner
from .agent.graph import build_agent
from .agent.limits import Limits, Spending
from .agent.lmm_reasoner import LmmReasoner
from .agent.overrides import AgentOverrides
from .agent.reasoner import Reasoner
from .agent.state import AgentDependencies
from .memory.errors import UnknownStream
from .memory.query.snapshot import Snapshot
from .memory.values import Moment, Observation
from .resources import MemoryResources
from .tools.toolbox import Inspector, Scope, Toolbox


class QuestionRunner:
    """Answers questions about one memory."""

    def __init__(
        self,
        resources: MemoryResources,
        *,
        reasoner: Reasoner | None,
        limits: Limits | None,
        overrides: AgentOverrides | None,
    ) -> None:
        self._resources = resources
        self._reasoner = reasoner
        self._limits = limits or Limits()
        self._overrides = overrides or AgentOverrides()

    def steps(
        self, question: Question, cancellation: Cancellation | None = None
    ) -> Iterator[tuple[str, dict[str, object]]]:
        """Answer a question, yielding each step's name and the state that it changed.

        Raises:
            UnknownStream: The question names a stream that is not in the memory.
            QuestionCancelled: ``cancellation`` was cancelled.
            MemoryStoreError: There is no memory at the path, or it cannot be read.
        """
        spending = Spending(self._limits, cancellation)
        store = self._resources.reader()
        with store.snapshot(as_of_s=question.as_of_s) as snapshot:
            check_stream_names(snapshot, question.streams)
            trace_id = uuid.uuid4().hex
            dependencies = self._dependencies(question, snapshot, spending, trace_id)
            traces = self._resources.traces()
            updates = build_agent(traces, tracing=self._resources.tracing()).stream(
                {"question": question.model_dump()},
                {"configurable": {"thread_id": trace_id}},
                context=dependencies,
                stream_mode="updates",
                durability="async",
            )
            for update in updates:
                for step, changes in update.items():
                    yield step, changes or {}
                if cancellation is not None:
                    cancellation.raise_if_cancelled()
            traces.trim()

    def _dependencies(
        self, question: Question, snapshot: Snapshot, spending: Spending, trace_id: str
    ) -> AgentDependencies:
        reasoner = self._make_reasoner(spending)
        streams = {stream.name: stream for stream in snapshot.streams()}

        def inspector(moment: Moment) -> Observation | None:
            from .perception.describing.inspection import moment_pictures  # noqa: PLC0415 - heavy, and seldom needed

            if spending.cancellation is not None:
                spending.cancellation.raise_if_cancelled()
            stream, frames = streams[moment.stream], snapshot.frames(moment.frame_ids)
            return reasoner.look(
                question, moment, lambda limit: moment_pictures(stream, moment, frames, limit=limit)
            )

        as_of_s = time.time() if question.as_of_s is None else question.as_of_s
        return AgentDependencies(
            tools=self._make_toolbox(snapshot, Scope(question.streams, question.span), inspector),
            snapshot=snapshot,
            store=self._resources.reader(),
            reasoner=reasoner,
            spending=spending,
            trace_id=trace_id,
            as_of=datetime.fromtimestamp(as_of_s, UTC).isoformat(timespec="milliseconds"),
        )

    def _make_reasoner(self, spending: Spending) -> Reasoner:
        """The reasoner for one question: the given one, or the LMM's, or the extractive one."""
        reasoner = self._reasoner
        if reasoner is None:
            lmm = self._resources.lmm()
            reasoner = ExtractiveReasoner() if lmm is None else LmmReasoner(lmm, spending)
        wrap = self._overrides.wrap_reasoner
        return reasoner if wrap is None else wrap(reasoner)

    def _make_toolbox(self, snapshot: Snapshot, scope: Scope, inspector: Inspector) -> Toolbox:
        make = self._overrides.make_toolbox or Toolbox
        return make(snapshot, scope, inspector)


def check_stream_names(snapshot: Snapshot, names: Sequence[str]) -> None:
    """Raise ``UnknownStream`` if a stream of these names is not in the memory."""
    stored = sorted(stream.name for stream in snapshot.streams())
    for name in names:
        if name not in stored:
            raise UnknownStream(name, tuple(stored))
