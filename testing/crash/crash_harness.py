"""Kills a writer at its work again and again, and looks at what it leaves.

    with CrashHarness(Path("kitchen"), seed=0) as killer:
        for stage in STAGES:
            kill = killer.kill(stage)      # the next writer opens the memory, is told what to do, and dies over it
            assert not kill.faults

A writer is a process of its own that tells, step by step, what it is about to do and what it has done. It is killed
at a random moment of such a step, within about as long as the step took before. The next one opens the memory, which
undoes what was left half done; then all of it is looked through before it may go on.
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
from ..integrity import STREAMS, ExpectedContents, IntegrityFault, PlannedErasure, end_s, faults, life
from ..simulated_moments import WALL_START_S
from ..simulated_months import LifeEncoder, SimulatedMoment

STAGES = ("append", "consolidate", "index", "forget", "compact", "erase", "open")
"""What a writer can be killed over. Where several are under way at once, the later in this list counts."""
HOURS = 72.0
"""How long a life is at most."""
_KEEP_S = 1.0
_PATIENCE_S = 120.0
"""So long a step is waited for."""
_SAMPLE_S = 0.02
_USUAL_S = 2.0
"""How long a step takes of which none was finished yet."""
_SMALL, _LARGE = 4, 64
"""Moments of a commit: few, with a parent now and then; many, with some."""
_NEEDLE_BYTES = 64


# -- the writer that is killed -----------------------------------------------------------------------------


def say(*words: object) -> None:
    """Tell whoever started this process, in one piece and at once."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


@contextmanager
def step(name: str, *words: object) -> Iterator[None]:
    """Tell what is under way in this thread."""
    thread = threading.current_thread().name
    say("begin", name, thread, *words)
    yield
    say("end", name, thread, *words)


def maintenance_step(stage: Stage) -> AbstractContextManager[None]:
    """Report a stage of maintenance as a step."""
    return step({"index": "index", "evict": "forget"}[stage])


class CrashWriter:
    """Has a memory told of a life, going on where it ends."""

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
        """So many moments and gaps of the life are in the memory."""
        for seen in life:
            if end_s(seen) > ends_s[seen.stream if isinstance(seen, Gap) else seen.moment.stream]:
                self._life = chain([seen], life)
                break
            self.position += 1

    def go_on(self, batch: int, *, commits: int | None = None) -> None:
        """Append what comes next, so many moments a commit, until there were so many commits, or for ever."""
        rows: list[Moment] = []
        frames: list[KeyFrame] = []
        count = 0
        for at, seen in enumerate(self._life, self.position):
            if isinstance(seen, Gap):
                self._commit([*rows, *self._ladders[seen.stream].flush()], frames, at)
                rows, frames = [], []
                with step("append", at + 1):
                    self._store.put_gap(seen, written_at_s=WALL_START_S + seen.span.end_s)
                self.position = at + 1
                continue
            rows += [seen.moment, *self._ladders[seen.moment.stream].push(seen.moment, seen.frames)]
            frames += seen.frames
            if sum(one.rung == "moment" for one in rows) == batch:
                self._commit(rows, frames, at + 1)
                rows, frames = [], []
                count += 1
                if count == commits:
                    return

    def _commit(self, rows: list[Moment], frames: list[KeyFrame], until: int) -> None:
        consolidates = any(one.rung != "moment" for one in rows)
        with step("consolidate" if consolidates else "append", until):
            self._store.append(rows, frames)
        self.position = until

    def work(self, order: dict[str, Any]) -> None:
        """Do what the order says, as often as it says, and go on appending."""
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
                    # Nobody watches while something is erased: who goes on begins with what is left.
                    self._ladders = {name: Ladder.restore(self._store.snapshot(), name) for name in STREAMS}
        say("done")
        self.go_on(batch)


def be_killed() -> None:
    """Be the writer: what to open and what to do comes on standard input, one line each."""
    say("ready")
    setting = json.loads(sys.stdin.readline())
    encoder = LifeEncoder()
    begun = time.perf_counter()
    with step("open"):
        store = MemoryStore.open(
            setting["folder"],
            write=True,
            encoder=encoder,
            budget_bytes=setting["budget_bytes"],
            keep_versions_s=_KEEP_S,
        )
    store.maintenance.on_stage = maintenance_step
    opened_ms = 1e3 * (time.perf_counter() - begun)
    writer = CrashWriter(store, life(setting["seed"], HOURS, picture_bytes=setting["picture_bytes"]))
    say("opened", opened_ms, writer.position)
    writer.work(json.loads(sys.stdin.readline()))


# -- who kills it ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class KillOutcome:
    """What came of one."""

    aimed: str
    """The stage that it was to be killed over."""
    stage: str | None = None
    """The one that was under way; None where it had just ended."""
    steps: tuple[str, ...] = ()
    """All that was under way in any thread, with its parts."""
    outcome: Literal["whole", "undone", "nothing"] = "nothing"
    """What was under way, and not acknowledged, is there, or was undone; or it had changed nothing yet."""
    open_ms: float = 0.0
    """How long the next writer took to open the memory."""
    most_bytes: int = 0
    """What the folder took at most, from the kill before."""
    faults: list[IntegrityFault] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Said:
    """A line of a writer."""

    words: list[str]
    at_s: float


class _Process:
    """A writer in a process of its own, that has imported what it needs and waits."""

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
        self._lines: queue.Queue[_Said | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(_Said(line.split(), time.perf_counter()))
        self._lines.put(None)

    def tell(self, order: dict[str, Any]) -> None:
        """Give it a line to read."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()

    def hear(self, timeout_s: float) -> _Said | None:
        """Its next line; None where it ended, or said nothing for so long."""
        try:
            return self._lines.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None

    def hear_until(self, *words: str) -> list[_Said]:
        """Its lines up to one that begins so."""
        lines: list[_Said] = []
        while (said := self.hear(_PATIENCE_S)) is not None:
            lines.append(said)
            if said.words[: len(words)] == list(words):
                return lines
        raise RuntimeError(f"a writer never said {words}; it ended with {self._process.poll()}")

    def kill(self) -> list[_Said]:
        """Kill it; what it had said that was not heard yet."""
        ended = self._process.poll()
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if ended is not None:
            raise RuntimeError(f"a writer ended by itself, with {ended}")
        lines = []
        while (said := self._lines.get()) is not None:
            lines.append(said)
        return lines


class CrashHarness:
    """Kills the writers of one memory, one after the other."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = 0,
        moments: int = 3800,
        picture_bytes: int = 10_000,
        budget_bytes: int = MIN_BUDGET_BYTES,
    ) -> None:
        """The first writer lives to append about so many ``moments``."""
        self.folder = folder
        self._rng = random.Random(f"{seed} kills")
        self._budget_bytes = budget_bytes
        self._setting = {
            "folder": str(folder),
            "seed": seed,
            "picture_bytes": picture_bytes,
            "budget_bytes": budget_bytes,
        }
        self.told = ExpectedContents(life(seed, HOURS, picture_bytes=picture_bytes))
        self._acknowledged = self._begun = 0
        """Of the life so much was acknowledged, and so much begun."""
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
            raise RuntimeError(f"{folder} is not whole, and nobody was killed yet: {filled.faults}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self._writer, self._next):
            if process is not None:
                with suppress(RuntimeError):  # it ended, and whoever leaves knows
                    process.kill()

    def kill(self, stage: str) -> KillOutcome:
        """Have a writer do that, kill it over it, and look at what it left."""
        kill = KillOutcome(stage)
        self._next = _Process()
        with _most_bytes(self.folder) as most:
            order, number = self._order("append" if stage == "open" else stage)
            self._writer.tell(order)
            under_way = self._take(
                self._kill_over(self._writer, "append" if stage == "open" else stage, number)
            )
            if stage == "open":
                # What the next one finds half done, and dies over in its turn.
                under_way = self._take(self._kill_over(self._start(), stage, 1))
            unfinished = (self.folder / COMMIT_LOCK_NAME).read_text(encoding="utf-8") != ""
            kill.steps = tuple(dict.fromkeys(under_way))
            kill.stage = stage if stage in under_way else max(under_way, key=STAGES.index, default=None)
            begun = self._begun
            self._look(kill)
        kill.most_bytes = max(most)
        if kill.most_bytes > self._budget_bytes:
            kill.faults.append(
                IntegrityFault(f"the folder took {kill.most_bytes:,} bytes, of {self._budget_bytes:,}")
            )
        if kill.stage in ("append", "consolidate"):
            kill.outcome = "whole" if self.told.position == begun else "undone"
        elif kill.stage == "erase" and self._erasing is not None:
            kill.outcome = "whole" if self._erasing.done else "undone"
        elif unfinished:
            kill.outcome = "undone"
        return kill

    def _start(self) -> _Process:
        """The next writer; it is about to open the memory."""
        writer, self._next = self._next or _Process(), None
        writer.hear_until("ready")
        writer.tell(self._setting)
        return writer

    def _look(self, kill: KillOutcome) -> None:
        """Have the next writer open the memory, and see what there is."""
        self._writer = self._start()
        said = self._writer.hear_until("opened")[-1]
        kill.open_ms, position = float(said.words[1]), int(said.words[2])
        if position not in (self._acknowledged, self._begun):
            known = f"{self._acknowledged} was acknowledged, and {self._begun} begun"
            kill.faults.append(IntegrityFault(f"it goes on from {position}; {known}"))
        self.told.go_to(position)
        self._acknowledged = self._begun = position
        kill.faults += faults(self.folder, self.told)

    def _order(self, stage: str) -> tuple[dict[str, Any], int]:
        """What to do, and which of the steps of that stage is the one to be killed over."""
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
                # By the writer's own thread, or all at once.
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
        """A stretch to erase, of the last minutes or of any."""
        rng, name = self._rng, self._rng.choice(STREAMS)
        with MemoryStore.open(self.folder, encoder=LifeEncoder()) as store:
            snapshot = store.snapshot()
            moments = snapshot.timeline(name, limit=1_000_000)
            moment = rng.choice(moments[-120:] if rng.random() < 0.5 else moments)
            pictures = snapshot.frames(moment.frame_ids)
            snapshot.release()
        span = Span(moment.span.start_s + 1.0, moment.span.start_s + rng.choice([2.0, 30.0, 300.0]))
        there = frozenset(one.id for one in moments if one.span.overlaps(span))
        return PlannedErasure(name, span, there, pictures[0].jpeg[:_NEEDLE_BYTES] if pictures else None)

    def _kill_over(self, writer: _Process, stage: str, number: int) -> list[_Said]:
        """Kill it over the step of that stage that comes as so many; what it said."""
        lines: list[_Said] = []
        until_s = time.perf_counter() + _PATIENCE_S
        while (said := writer.hear(until_s - time.perf_counter())) is not None:
            lines.append(said)
            if said.words[:2] == ["begin", stage]:
                number -= 1
                if number == 0:
                    lasts_s = self._rng.choice(self._lasts_s[stage][-20:] or [_USUAL_S])
                    delay_s = self._rng.uniform(0.0, 1.1 * lasts_s)
                    time.sleep(max(0.0, said.at_s + delay_s - time.perf_counter()))
                    break
        return lines + writer.kill()

    def _take(self, lines: list[_Said]) -> list[str]:
        """Note what a writer did; the steps that were under way when it died."""
        begun: list[_Said] = []
        for said in lines:
            match said.words:
                case ["begin", name, _, *until]:
                    begun.append(said)
                    if until:
                        self._begun = int(until[0])
                    if name == "erase" and self._erasing is not None:
                        self.told.erasings.append(self._erasing)
                        self.told.erasing = True
                case ["end", name, thread, *until]:
                    first = next(one for one in reversed(begun) if one.words[1:3] == [name, thread])
                    begun.remove(first)
                    self._lasts_s[name].append(said.at_s - first.at_s)
                    if until:
                        self._acknowledged = int(until[0])
                    if name == "erase" and self._erasing is not None:
                        self._erasing.done = True
                    if name in ("erase", "compact"):
                        self.told.erasing = False
                        for one in self.told.erasings:
                            one.purged = one.purged or bool(one.done)
        return [said.words[1] for said in begun]


@contextmanager
def _most_bytes(folder: Path) -> Iterator[list[int]]:
    """What the folder takes inside the block, looked at all the time."""
    found, over = [size_on_disk(folder)], threading.Event()

    def look() -> None:
        while not over.wait(_SAMPLE_S):
            found.append(size_on_disk(folder))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
