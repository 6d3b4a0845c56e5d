"""Damage harness: damages copies of a memory at random, and judges what is then served, told and repaired.

    harness = DamageHarness(Path("kitchen"), LifeEncoder)
    for number in range(100):
        trial = harness.try_flip(Path("copy"), seed=number)
        assert not trial.faults, trial

Each trial damages one copy, opens it, asks for everything that it holds, checks it, repairs it and asks again. Faults
are: an error that is not Recollect's own, a memory that is served and differs from the undamaged one, a loss of which
nothing is said, and a memory that is still damaged after its repair. The same seed gives the same damage.
"""

from __future__ import annotations

import logging
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from .. import Recollect
from ..common.errors import RecollectError
from ..memory.encoder import Encoder
from ..memory.query.coverage import MEMORY_DAMAGED
from ..memory.values import RUNGS, KeyFrame, Moment

DamageKind = Literal["flip", "cut", "zero", "delete"]
FILE_DAMAGES: tuple[DamageKind, ...] = ("cut", "zero", "delete")
_QUERY = "a red shape enters"
_QUESTION = "When does a red shape enter?"
_LIMIT = 100_000
_SPARED = ("readers", "requests", ".lock", "erasing.pending", "latest_version_hint.json")
"""Parts of the names of files that hold no data: locks, leases, and a hint that LanceDB does without."""


@dataclass(slots=True)
class Served:
    """What a memory served when it was asked for everything."""

    moments: dict[str, Moment] = field(default_factory=dict)
    pictures: dict[str, KeyFrame] = field(default_factory=dict)
    hits: dict[str, Moment] = field(default_factory=dict)
    streams: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """What the status of each stream says: the stream, its end, and its gaps."""
    answer: str = ""
    errors: list[str] = field(default_factory=list)
    """Errors of Recollect's own, by which damage is told."""
    raw_errors: list[str] = field(default_factory=list)
    """Errors of other libraries."""
    warnings: list[str] = field(default_factory=list)

    @property
    def is_told(self) -> bool:
        """Whether an error, a warning or a gap tells of damage."""
        gaps = [gap for _, _, gaps in self.streams.values() for gap in gaps]
        return bool(self.errors or self.warnings or any(gap.cause == MEMORY_DAMAGED for gap in gaps))


@dataclass(slots=True)
class Trial:
    """One damaged copy."""

    file: str
    """The damaged file, in the memory's folder."""
    kind: DamageKind
    faults: list[str] = field(default_factory=list)
    told_by: str = "nothing"
    """``reading``, ``check``, or ``nothing`` if nothing that matters was damaged."""
    lost: int = 0
    """Moments, summaries and pictures that were lost for good."""
    repaired: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.file}: told by {self.told_by}, {self.lost} lost, {'; '.join(self.faults) or 'ok'}"


class DamageHarness:
    """Damages copies of one memory."""

    def __init__(self, memory: Path, make_encoder: Callable[[], Encoder | None]) -> None:
        self._memory, self._make_encoder = memory, make_encoder
        self.whole = self._serve(memory)
        """What the undamaged memory serves."""
        if self.whole.errors or self.whole.raw_errors:
            raise ValueError(f"the memory is damaged already: {self.whole.errors or self.whole.raw_errors}")

    def try_flip(self, copy: Path, seed: int) -> Trial:
        """Flip one bit of one file of a new copy."""
        return self._try(copy, "flip", seed)

    def try_file(self, copy: Path, seed: int) -> Trial:
        """Cut off half of a file of a new copy, fill it with zeros, or delete it."""
        return self._try(copy, FILE_DAMAGES[seed % len(FILE_DAMAGES)], seed)

    def _try(self, copy: Path, kind: DamageKind, seed: int) -> Trial:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self._memory, copy)
        trial = Trial(_damage(copy, kind, random.Random(f"{kind} {seed}")), kind)
        served = self._serve(copy)
        self._judge(trial, served, "damaged")
        with Recollect(copy, encoder=self._make_encoder()) as memory:
            try:
                is_whole = memory.check().is_whole
                report = memory.check(repair=True)
            except RecollectError as error:
                trial.faults.append(f"check failed: {error}")
                return trial
            except BaseException as error:
                trial.faults.append(f"raw error in check: {type(error).__name__}: {error}")
                return trial
        trial.repaired = report.repaired
        trial.told_by = "reading" if served.is_told else "nothing" if is_whole else "check"
        if not report.is_whole:
            trial.faults.append(f"still damaged: {[damage.what for damage in report.remaining][:3]}")
        if trial.told_by == "nothing" and _differ(served, self.whole):
            trial.faults.append("what is served differs, and nothing tells of damage")
        mended = self._serve(copy)
        self._judge(trial, mended, "repaired")
        if mended.errors:
            trial.faults.append(f"cannot be read after its repair: {mended.errors[0]}")
        trial.lost = len(self.whole.moments.keys() - mended.moments.keys()) + len(
            self.whole.pictures.keys() - mended.pictures.keys()
        )
        if trial.lost and not report.lost:
            trial.faults.append(f"{trial.lost} were lost, and the repair does not say so")
        if not report.lost and _differ(mended, self.whole):
            trial.faults.append("nothing is lost, and what is served differs after the repair")
        return trial

    def _judge(self, trial: Trial, served: Served, state: str) -> None:
        """Add what a memory may not serve in any state."""
        trial.faults += [f"raw error while {state}: {error}" for error in served.raw_errors]
        for name, own, whole in (
            ("moments", served.moments, self.whole.moments),
            ("pictures", served.pictures, self.whole.pictures),
            ("hits", served.hits, self.whole.moments),
        ):
            wrong = [key for key, value in own.items() if key not in whole or value != whole[key]]
            if wrong:
                trial.faults.append(f"{len(wrong)} false {name} served while {state}")

    def _serve(self, folder: Path) -> Served:
        """Ask a memory for everything that it holds, in every way."""
        served = Served()
        handler = _Collector(served.warnings)
        logging.getLogger("recollect").addHandler(handler)
        try:
            with Recollect(folder, encoder=self._make_encoder()) as memory:
                for read in (_read_status, _read_timeline, _read_pictures, _search, _ask):
                    _collect(served, memory, read)
        finally:
            logging.getLogger("recollect").removeHandler(handler)
        return served


class _Collector(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self._messages.append(record.getMessage())


def _collect(served: Served, memory: Recollect, read: Callable[[Recollect, Served], None]) -> None:
    try:
        read(memory, served)
    except RecollectError as error:
        served.errors.append(str(error))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        served.raw_errors.append(f"{read.__name__}: {type(error).__name__}: {error}")


def _read_status(memory: Recollect, served: Served) -> None:
    for status in memory.status():
        served.streams[status.stream.name] = (status.stream, status.coverage.span.end_s, status.gaps)


def _read_timeline(memory: Recollect, served: Served) -> None:
    for rung in RUNGS:
        for moment in memory.timeline(rung=rung, limit=_LIMIT):
            served.moments[moment.id] = replace(moment, sameness=0.0)


def _read_pictures(memory: Recollect, served: Served) -> None:
    ids = {key for moment in served.moments.values() for key in moment.frame_ids}
    served.pictures |= {frame.id: frame for frame in memory.frames(sorted(ids))}


def _search(memory: Recollect, served: Served) -> None:
    hits = memory.search(_QUERY, limit=10)
    served.hits |= {hit.moment.id: replace(hit.moment, sameness=0.0) for hit in hits}


def _ask(memory: Recollect, served: Served) -> None:
    served.answer = memory.ask(_QUESTION).text


def _differ(served: Served, whole: Served) -> bool:
    return (
        served.moments.keys() != whole.moments.keys()
        or served.pictures.keys() != whole.pictures.keys()
        or served.streams != whole.streams
    )


def _damage(folder: Path, kind: DamageKind, rng: random.Random) -> str:
    """Damage one file, and return its path in the folder. Every folder of files is as likely as any other."""
    groups: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and path.stat().st_size and not any(part in name for part in _SPARED):
            place = path.parent.parent if "_indices" in path.parts else path.parent
            groups.setdefault(place, []).append(path)
    path = rng.choice(groups[rng.choice(sorted(groups))])
    content = bytearray(path.read_bytes())
    if kind == "flip":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del content[rng.randrange(len(content)) :]
    elif kind == "zero":
        start = rng.randrange(len(content))
        content[start : start + 4096] = bytes(len(content[start : start + 4096]))
    if kind == "delete":
        path.unlink()
    else:
        path.write_bytes(content)
    return str(path.relative_to(folder))
