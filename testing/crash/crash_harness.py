"""Crash harness: kills a writing process again and again, and checks the integrity of what it leaves.

    with CrashHarness(Path("kitchen"), seed=0) as harness:
        for stage in STAGES:
            outcome = harness.kill(stage)      # the next writer opens the memory, gets an order, and is killed over it
            assert not outcome.faults

A writer is a process of its own. It reports each step before and after it. It is killed at a random time of such a
step, within about the time that the step took before. The next writer opens the memory, which rolls back what was left
unfinished. Then the whole memory is checked before the writer goes on.
"""

from __future__ import annotations

import json
import os
import queue
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from ...memory.keeping.disk_budget import MIN_BUDGET_BYTES
from ...memory.keeping.stage_hooks import Stage
from ...memory.ladder.builder import Ladder
from ...memory.storage.commits import COMMIT_LOCK_NAME
from ...memory.storage.file_sizes import size_on_disk
from ...memory.store import MemoryStore
from ...memory.values import Gap, KeyFrame, Moment, Span, Stream
from ..integrity import STREAMS, ExpectedContents, IntegrityFault, PlannedErasure, end_s, find_faults, life
from ..simulated_moments import WALL_START_S
from ..simulated_months import LifeEncoder, SimulatedMoment

STAGES = ("append", "consolidate", "index", "forget", "compact", "erase", "open")
"""The stages that a writer can be killed over. If several are in progress, the later in this list counts."""
HOURS = 72.0
"""The greatest length of a life."""
_KEEP_S = 1.0
_PATIENCE_S = 120.0
"""How long to wait for a step."""
_SAMPLE_S = 0.02
_USUAL_S = 2.0
"""The assumed length of a step that has not finished yet."""
_SMALL, _LARGE = 4, 64
"""Moments in a commit: few, with a parent now and then; many, with some parents."""
_NEEDLE_BYTES = 64


# -- the writer that is killed -----------------------------------------------------------------------------


def say(*fields: object) -> None:
    """Report a line to the process that started this one, at once and in one write."""
    os.write(1, (" ".join(map(str, fields)) + "\n").encode())


@contextmanager
def step(name: str, *fields: object) -> Iterator[None]:
    """Report the begin and the end of a step of this thread."""
    thread = threading.current_thread().name
    say("begin", name, thread, *fields)
    yield
    say("end", name, thread, *fields)


def maintenance_step(stage: Stage) -> AbstractContextManager[None]:
    """Report a stage of maintenance as a step."""
    return step({"index": "index", "evict": "forget"}[stage])


class CrashWriter:
    """Writes a simulated life into a memory, and continues after its last row."""

    def __init__(self, store: MemoryStore, life: Iterator[SimulatedMoment | Gap]) -> None:
        self._store = store
        if not store.streams():
            for name in STREAMS:
                store.put_stream(
                    Stream(
                        name, "live", f"simulated://{name}", name, "watching", 4.0, origin_wall_s=WALL_START_S
                    )
                )
        points = {name: store.resume(name) for name in STREAMS}
        ends_s = {name: -1.0 if point is None else point.end_s for name, point in points.items()}
        self._ladders = {name: Ladder.restore(store.snapshot(), name) for name in STREAMS}
        self.position = 0
        """The number of moments and gaps of the life that are in the memory."""
        for item in life:
            if end_s(item) > ends_s[item.stream if isinstance(item, Gap) else item.moment.stream]:
                self._life = chain([item], life)
                break
            self.position += 1

    def go_on(self, batch: int, *, commits: int | None = None) -> None:
        """Append the next items, ``batch`` moments a commit, for ``commits`` commits or without end."""
        rows: list[Moment] = []
        frames: list[KeyFrame] = []
        count = 0
        for position, item in enumerate(self._life, self.position):
            if isinstance(item, Gap):
                self._commit([*rows, *self._ladders[item.stream].flush()], frames, position)
                rows, frames = [], []
                with step("append", position + 1):
                    self._store.put_gap(item, written_at_s=WALL_START_S + item.span.end_s)
                self.position = position + 1
                continue
            rows += [item.moment, *self._ladders[item.moment.stream].push(item.moment, item.frames)]
            frames += item.frames
            if sum(row.rung == "moment" for row in rows) == batch:
                self._commit(rows, frames, position + 1)
                rows, frames = [], []
                count += 1
                if count == commits:
                    return

    def _commit(self, rows: list[Moment], frames: list[KeyFrame], until: int) -> None:
        consolidates = any(row.rung != "moment" for row in rows)
        with step("consolidate" if consolidates else "append", until):
            self._store.append(rows, frames)
        self.position = until

    def work(self, order: dict[str, Any]) -> None:
        """Execute an order as often as it says, then continue to append."""
        batch = order["batch"]
        for _ in range(order["times"]):
            self.go_on(batch, commits=order["commits"])
            match order["stage"]:
                case "compact":
                    with step("compact"):
                        self._store.compact()
                case "maintain":
                    self._store.maintain()
                case "erase":
                    stream, *ends_s = order["erase"]
                    with step("erase"):
                        self._store.erase(stream, Span(*ends_s))
                    # An erasure removes parents, so the ladders restart from what is stored.
                    self._ladders = {name: Ladder.restore(self._store.snapshot(), name) for name in STREAMS}
        say("done")
        self.go_on(batch)


def be_killed() -> None:
    """Run as the writer. Standard input gives the settings and the order, one line each."""
    say("ready")
    setting = json.loads(sys.stdin.readline())
    encoder = LifeEncoder()
    started_s = time.perf_counter()
    with step("open"):
        store = MemoryStore.open(
            setting["folder"],
            write=True,
            encoder=encoder,
            budget_bytes=setting["budget_bytes"],
            keep_versions_s=_KEEP_S,
        )
    store.maintenance.on_stage = maintenance_step
    opened_ms = 1e3 * (time.perf_counter() - started_s)
    writer = CrashWriter(store, life(setting["seed"], HOURS, picture_bytes=setting["picture_bytes"]))
    say("opened", opened_ms, writer.position)
    writer.work(json.loads(sys.stdin.readline()))


# -- the harness ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class KillOutcome:
    """The outcome of one kill."""

    aimed: str
    """The stage that the writer was to be killed over."""
    stage: str | None = None
    """The stage that was in progress; None if it had just ended."""
    steps: tuple[str, ...] = ()
    """All steps in progress in any thread, with their parts."""
    outcome: Literal["whole", "undone", "nothing"] = "nothing"
    """Whether the unacknowledged step is complete or was rolled back, or had changed nothing yet."""
    open_ms: float = 0.0
    """How long the next writer took to open the memory."""
    most_bytes: int = 0
    """The greatest size of the folder since the kill before."""
    faults: list[IntegrityFault] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that a writer printed, split at spaces."""

    fields: list[str]
    at_s: float


class _Process:
    """A writer in a process of its own, which has imported its modules and waits for orders."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from recollect.testing.crash.crash_harness import be_killed; be_killed()",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"LANCE_LOG": "error"},
        )
        self._lines: queue.Queue[_Line | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(_Line(line.split(), time.perf_counter()))
        self._lines.put(None)

    def tell(self, order: dict[str, Any]) -> None:
        """Send it an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()

    def hear(self, timeout_s: float) -> _Line | None:
        """Its next line; None if it ended, or printed nothing in time."""
        try:
            return self._lines.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None

    def hear_until(self, *fields: str) -> list[_Line]:
        """Its lines up to the first one with these fields."""
        lines: list[_Line] = []
        while (line := self.hear(_PATIENCE_S)) is not None:
            lines.append(line)
            if line.fields[: len(fields)] == list(fields):
                return lines
        raise RuntimeError(
            f"the writer did not report {fields} in time; its exit code is {self._process.poll()}"
        )

    def kill(self) -> list[_Line]:
        """Kill it, and return its unread lines."""
        ended = self._process.poll()
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if ended is not None:
            raise RuntimeError(f"the writer ended by itself with exit code {ended}")
        lines = []
        while (line := self._lines.get()) is not None:
            lines.append(line)
        return lines


class CrashHarness:
    """Kills the writers of one memory, one after another."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = 0,
        moments: int = 3800,
        picture_bytes: int = 10_000,
        budget_bytes: int = MIN_BUDGET_BYTES,
    ) -> None:
        """Fill a memory with about ``moments`` moments.

        Raises:
            RuntimeError: The memory has faults before any writer was killed.

        """
        self.folder = folder
        self._rng = random.Random(f"{seed} kills")
        self._budget_bytes = budget_bytes
        self._setting = {
            "folder": str(folder),
            "seed": seed,
            "picture_bytes": picture_bytes,
            "budget_bytes": budget_bytes,
        }
        self.expected = ExpectedContents(life(seed, HOURS, picture_bytes=picture_bytes))
        self._acknowledged = self._begun = 0
        """The positions in the life up to which commits were acknowledged, and were begun."""
        self._erasing: PlannedErasure | None = None
        self._lasts_s: dict[str, list[float]] = defaultdict(list)
        self._next: _Process | None = None
        self._writer = self._start()
        self._writer.hear_until("opened")
        self._writer.tell({"stage": "compact", "batch": _LARGE, "commits": moments // _LARGE, "times": 1})
        self._take(self._writer.hear_until("done") + self._writer.kill())
        filled = KillOutcome("compact")
        self._look(filled)
        if filled.faults:
            raise RuntimeError(f"{folder} has faults before the first kill: {filled.faults}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self._writer, self._next):
            if process is not None:
                with suppress(RuntimeError):  # it has ended
                    process.kill()

    def kill(self, stage: str) -> KillOutcome:
        """Order a writer to do a stage, kill it over that, and check what it left."""
        kill = KillOutcome(stage)
        self._next = _Process()
        with _most_bytes(self.folder) as sizes_bytes:
            order, number = self._order("append" if stage == "open" else stage)
            self._writer.tell(order)
            under_way = self._take(
                self._kill_over(self._writer, "append" if stage == "open" else stage, number)
            )
            if stage == "open":
                # The next writer is killed while it rolls back what the first one left unfinished.
                under_way = self._take(self._kill_over(self._start(), stage, 1))
            unfinished = (self.folder / COMMIT_LOCK_NAME).read_text(encoding="utf-8") != ""
            kill.steps = tuple(dict.fromkeys(under_way))
            kill.stage = stage if stage in under_way else max(under_way, key=STAGES.index, default=None)
            begun_position = self._begun
            self._look(kill)
        kill.most_bytes = max(sizes_bytes)
        if kill.most_bytes > self._budget_bytes:
            kill.faults.append(
                IntegrityFault(f"the folder took {kill.most_bytes:,} bytes, of {self._budget_bytes:,}")
            )
        if kill.stage in ("append", "consolidate"):
            kill.outcome = "whole" if self.expected.position == begun_position else "undone"
        elif kill.stage == "erase" and self._erasing is not None:
            kill.outcome = "whole" if self._erasing.done else "undone"
        elif unfinished:
            kill.outcome = "undone"
        return kill

    def _start(self) -> _Process:
        """Start the next writer, and have it open the memory."""
        writer, self._next = self._next or _Process(), None
        writer.hear_until("ready")
        writer.tell(self._setting)
        return writer

    def _look(self, kill: KillOutcome) -> None:
        """Have the next writer open the memory, and check the memory."""
        self._writer = self._start()
        line = self._writer.hear_until("opened")[-1]
        kill.open_ms, position = float(line.fields[1]), int(line.fields[2])
        if position not in (self._acknowledged, self._begun):
            positions = f"{self._acknowledged} was acknowledged and {self._begun} begun"
            kill.faults.append(IntegrityFault(f"the writer continues from {position}, but {positions}"))
        self.expected.go_to(position)
        self._acknowledged = self._begun = position
        kill.faults += find_faults(self.folder, self.expected)

    def _order(self, stage: str) -> tuple[dict[str, Any], int]:
        """The order for a stage, and the number of the step of that stage to kill the writer over."""
        rng = self._rng
        order = {"stage": stage, "batch": _LARGE, "commits": 1, "times": 1}
        match stage:
            case "append":
                return order | {"batch": _SMALL}, rng.randint(1, 16)
            case "consolidate":
                return order, rng.randint(1, 4)
            case "forget":
                return order, 1
            case "index":
                # In the writer's own thread, or all at once.
                stage = rng.choice(["append", "maintain"])
                return order | {"stage": stage, "batch": _SMALL, "commits": 17}, rng.randint(1, 4)
            case "compact":
                times = rng.randint(1, 2)
                return order | {"times": times}, times
            case "erase":
                self._erasing = self._choose()
                span = self._erasing.span
                return order | {"erase": [self._erasing.stream, span.start_s, span.end_s]}, 1
        raise ValueError(stage)

    def _choose(self) -> PlannedErasure:
        """A span to erase, among the last minutes or anywhere."""
        rng, name = self._rng, self._rng.choice(STREAMS)
        with MemoryStore.open(self.folder, encoder=LifeEncoder()) as store:
            snapshot = store.snapshot()
            moments = snapshot.timeline(name, limit=1_000_000)
            moment = rng.choice(moments[-120:] if rng.random() < 0.5 else moments)
            pictures = snapshot.frames(moment.frame_ids)
            snapshot.release()
        span = Span(moment.span.start_s + 1.0, moment.span.start_s + rng.choice([2.0, 30.0, 300.0]))
        moment_ids = frozenset(stored.id for stored in moments if stored.span.overlaps(span))
        return PlannedErasure(name, span, moment_ids, pictures[0].jpeg[:_NEEDLE_BYTES] if pictures else None)

    def _kill_over(self, writer: _Process, stage: str, number: int) -> list[_Line]:
        """Kill a writer over the step of a stage with this number, and return its lines."""
        lines: list[_Line] = []
        until_s = time.perf_counter() + _PATIENCE_S
        while (line := writer.hear(until_s - time.perf_counter())) is not None:
            lines.append(line)
            if line.fields[:2] == ["begin", stage]:
                number -= 1
                if number == 0:
                    lasts_s = self._rng.choice(self._lasts_s[stage][-20:] or [_USUAL_S])
                    delay_s = self._rng.uniform(0.0, 1.1 * lasts_s)
                    time.sleep(max(0.0, line.at_s + delay_s - time.perf_counter()))
                    break
        return lines + writer.kill()

    def _take(self, lines: list[_Line]) -> list[str]:
        """Note what a writer did; return the steps that were in progress when it died."""
        in_progress: list[_Line] = []
        for line in lines:
            match line.fields:
                case ["begin", name, _, *until]:
                    in_progress.append(line)
                    self._step_began(name, until)
                case ["end", name, thread, *until]:
                    begin = next(
                        earlier for earlier in reversed(in_progress) if earlier.fields[1:3] == [name, thread]
                    )
                    in_progress.remove(begin)
                    self._lasts_s[name].append(line.at_s - begin.at_s)
                    self._step_ended(name, until)
        return [line.fields[1] for line in in_progress]

    def _step_began(self, name: str, until: list[str]) -> None:
        if until:
            self._begun = int(until[0])
        if name == "erase" and self._erasing is not None:
            self.expected.erasures.append(self._erasing)
            self.expected.erasure_pending = True

    def _step_ended(self, name: str, until: list[str]) -> None:
        if until:
            self._acknowledged = int(until[0])
        if name == "erase" and self._erasing is not None:
            self._erasing.done = True
        if name in ("erase", "compact"):
            self.expected.erasure_pending = False
            for erasure in self.expected.erasures:
                erasure.purged = erasure.purged or bool(erasure.done)


@contextmanager
def _most_bytes(folder: Path) -> Iterator[list[int]]:
    """The sizes of the folder, sampled all through the block."""
    sizes_bytes, over = [size_on_disk(folder)], threading.Event()

    def look() -> None:
        while not over.wait(_SAMPLE_S):
            sizes_bytes.append(size_on_disk(folder))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield sizes_bytes
    finally:
        over.set()
        thread.join()
