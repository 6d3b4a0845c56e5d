"""Maintenance requests: what one process has the writer of a memory do, through files in the memory's folder.

    server = RequestServer(folder, execute)                     # in the process that writes
    server.start()
    receipt = run_or_request(folder, EraseRequest("door", None), run_here)     # in any other

A request is a JSON file in the folder ``requests``, which appears whole. The server looks for requests several times
a second, executes one at a time and puts an answer beside it. The requester locks a file beside its request as long
as it waits, and the server locks ``server.lock``. The kernel releases both locks, however their holder dies. The
server drops a request whose requester died. If the server dies, the requester takes the writer lock and executes the
request itself.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self, TypeVar

from ..errors import MemoryInUse, MemoryStoreError, RequestFailed
from ..storage.file_lock import delete_locked, is_locked, try_lock, wait_for_lock
from ..storage.tables import require_free_space
from ..values import RUNGS, Span
from .erasure import ErasureReceipt, OnWait

log = logging.getLogger(__name__)

REQUESTS = "requests"
SERVER_LOCK_NAME = "server.lock"
POLL_S = 0.2
"""How often the server looks for requests."""
ACCEPT_S = 5.0
"""How long a requester waits for a live server to take its request."""
STALE_S = 600.0
"""Unread answers are deleted after this many seconds."""
_ANSWER_POLL_S = 0.05
_LOCK_S = 2.0
_REQUEST, _TAKEN, _WAITING, _ANSWER = ".json", ".taken", ".waiting", ".done.json"
_DRAFT = ".new"
_REQUESTER_LOCK = ".lock"
"""Locked by the requester. The request itself stays unlocked, so that Windows can rename it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EraseRequest:
    """Erase a stretch of a stream, or all of it."""

    stream: str
    span: Span | None

    @property
    def purpose(self) -> str:
        """What the writer's lock is taken for."""
        return f"forget {self.stream}"


@dataclass(frozen=True, slots=True)
class CompactRequest:
    """Evict to the disk budget, merge files and indexes, delete old versions."""

    purpose: str = "compact"


MaintenanceRequest = EraseRequest | CompactRequest
Execute = Callable[[MaintenanceRequest, OnWait], ErasureReceipt | None]
"""Executes a request in the writing process. Returns the receipt of an erasure, and None for a compaction."""


class Maintainable(Protocol):
    """What requests are executed on: a store that is open for writing."""

    def erase(self, stream: str, span: Span | None, *, on_wait: OnWait | None = None) -> ErasureReceipt:
        """Erase a stretch of a stream, or all of it."""

    def compact(self) -> None:
        """Evict to the disk budget, merge files and indexes, delete old versions."""


def execute(
    store: Maintainable, request: MaintenanceRequest, on_wait: OnWait | None = None
) -> ErasureReceipt | None:
    """Execute the request. Returns the receipt of an erasure."""
    match request:
        case EraseRequest():
            return store.erase(request.stream, request.span, on_wait=on_wait)
        case CompactRequest():
            store.compact()
    return None


class RequestServer:
    """Executes other processes' requests, in a thread of the process that writes."""

    def __init__(
        self, folder: Path, execute: Execute, used: Callable[[], AbstractContextManager[bool]]
    ) -> None:
        """Inside the block of ``used`` the memory stays open. It gives False if it is being closed."""
        self._folder = folder / REQUESTS
        self._execute = execute
        self._used = used
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._main, name="requests", daemon=True)
        self._lock: IO[str] | None = None

    def start(self) -> None:
        """Take requests from now on."""
        try:
            self._folder.mkdir(exist_ok=True)
            self._lock = (self._folder / SERVER_LOCK_NAME).open("a", encoding="utf-8")
            _lock_soon(self._lock)
        except OSError:
            # A full disk, say: other processes cannot request anything, and get MemoryInUse.
            log.warning("other processes cannot request anything of the writer of %s", self._folder.parent)
            return
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests. Waits for the one that is being executed."""
        self._closing.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def close(self) -> None:
        """Let requesters know that the writer has ended. To be called after the writer's lock is released."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _main(self) -> None:
        while not self._closing.wait(POLL_S):
            try:
                for name in sorted(entry.name for entry in os.scandir(self._folder)):
                    if self._closing.is_set():
                        return
                    self._look_at(name)
            except OSError:
                log.warning("could not look for requests in %s", self._folder, exc_info=True)

    def _look_at(self, name: str) -> None:
        path = self._folder / name
        if name.endswith((_ANSWER, _WAITING, _TAKEN, _REQUESTER_LOCK)):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > STALE_S and not _has_requester(path):
                    path.unlink()
        elif name.endswith(_REQUEST):
            with suppress(FileNotFoundError):
                if _has_requester(path):
                    # The answer must exist before the memory may be closed.
                    with self._used() as is_open:
                        if is_open:
                            self._serve(path)
                else:
                    log.info("dropped a request in %s whose requester has ended", self._folder)
                    path.unlink()
                    _lock_path(path).unlink(missing_ok=True)

    def _serve(self, path: Path) -> None:
        taken = path.with_suffix(_TAKEN)
        path.replace(taken)

        def on_wait(readers: int) -> None:
            _write_whole(path.with_suffix(_WAITING), {"readers": readers})

        try:
            receipt = self._execute(_request_from(json.loads(taken.read_text(encoding="utf-8"))), on_wait)
            answer: dict[str, Any] = {"receipt": None if receipt is None else _receipt_record(receipt)}
        except Exception as error:
            if not isinstance(error, MemoryStoreError):
                log.warning("a request in %s failed", self._folder, exc_info=True)
            answer = {"error": str(error) or type(error).__name__}
        path.with_suffix(_WAITING).unlink(missing_ok=True)
        _write_whole(path.with_suffix(_ANSWER), answer)


def run_or_request(
    folder: Path,
    request: MaintenanceRequest,
    run_here: Callable[[], T],
    *,
    on_wait: OnWait | None = None,
) -> T | ErasureReceipt | None:
    """Have it done by ``run_here``, which takes the writer's lock, or by the process that holds that lock.

    Raises ``MemoryInUse`` if that process takes no requests, ``RequestFailed`` if it failed to do it, and
    what ``run_here`` raises.
    """
    while True:
        try:
            return run_here()
        except MemoryInUse as in_use:
            if not is_served(folder):
                raise
            with require_free_space(folder, 0), _PendingRequest(folder / REQUESTS, request) as pending:
                answer = _wait_for_answer(folder, pending, in_use, on_wait)
        if answer is None:
            continue  # the writer has ended
        if "error" in answer:
            raise RequestFailed(folder, answer["error"])
        receipt = answer["receipt"]
        return None if receipt is None else _receipt_from(receipt)


def is_served(folder: Path) -> bool:
    """Whether a process writes to the memory that takes requests."""
    return is_locked(folder / REQUESTS / SERVER_LOCK_NAME)


class _PendingRequest:
    """A request file. A lock beside it is held as long as its requester waits."""

    def __init__(self, folder: Path, request: MaintenanceRequest) -> None:
        self._path = folder / f"{uuid.uuid4().hex}{_REQUEST}"
        self._record = {"kind": type(request).__name__, **asdict(request)}
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        self._lock = _lock_path(self._path).open("x", encoding="utf-8")
        try:
            wait_for_lock(self._lock)
            _write_whole(self._path, self._record)
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean_up()

    def _clean_up(self) -> None:
        for suffix in (_DRAFT, _REQUEST, _TAKEN, _WAITING, _ANSWER):
            self._path.with_suffix(suffix).unlink(missing_ok=True)
        if self._lock is not None:
            delete_locked(self._lock)

    def withdraw(self) -> bool:
        """Take it back. False where the server has taken it."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True

    @property
    def is_taken(self) -> bool:
        """Whether the server is executing it, or has."""
        return not self._path.exists()

    @property
    def answer(self) -> dict[str, Any] | None:
        """What the server answered."""
        return _read(self._path.with_suffix(_ANSWER))

    @property
    def readers_waited_for(self) -> int:
        """How many readers the server waits for."""
        return int((_read(self._path.with_suffix(_WAITING)) or {}).get("readers", 0))


def _wait_for_answer(
    folder: Path, pending: _PendingRequest, in_use: MemoryInUse, on_wait: OnWait | None
) -> dict[str, Any] | None:
    """The answer. None where the server has ended without one."""
    until = time.monotonic() + ACCEPT_S
    while True:
        served = is_served(folder)
        # In this order: an answer may have been written just before the server ended.
        if (answer := pending.answer) is not None:
            return answer
        if not served:
            return None
        if not pending.is_taken and time.monotonic() > until and pending.withdraw():
            raise in_use
        if on_wait is not None and (readers := pending.readers_waited_for):
            on_wait(readers)
        time.sleep(_ANSWER_POLL_S)


def _lock_soon(file: IO[str]) -> None:
    """Lock a file that others hold for an instant at most."""
    until = time.monotonic() + _LOCK_S
    while not try_lock(file):
        if time.monotonic() > until:
            raise TimeoutError(f"another process holds the lock on {file.name}")
        time.sleep(_ANSWER_POLL_S)


def _lock_path(path: Path) -> Path:
    """The lock file of the requester, beside a file of its request."""
    return path.with_name(path.name.partition(".")[0] + _REQUESTER_LOCK)


def _has_requester(path: Path) -> bool:
    """Whether the requester of a file in the folder of requests still waits."""
    return is_locked(_lock_path(path))


def _write_whole(path: Path, record: Mapping[str, Any]) -> None:
    draft = path.with_suffix(_DRAFT)
    draft.write_text(json.dumps(record), encoding="utf-8")
    draft.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return record


def _request_from(record: Mapping[str, Any]) -> MaintenanceRequest:
    if record["kind"] == EraseRequest.__name__:
        return EraseRequest(record["stream"], record["span"] and Span(**record["span"]))
    if record["kind"] == CompactRequest.__name__:
        return CompactRequest()
    raise ValueError(f"the request {record['kind']!r} is unknown to this version of Recollect")


def _receipt_record(receipt: ErasureReceipt) -> dict[str, Any]:
    return asdict(receipt) | {"memory_ids": sorted(receipt.memory_ids)}


def _receipt_from(record: Mapping[str, Any]) -> ErasureReceipt:
    return ErasureReceipt(
        **{
            **record,
            "asked": record["asked"] and Span(**record["asked"]),
            "erased": tuple(Span(**span) for span in record["erased"]),
            "memories": {rung: record["memories"][rung] for rung in RUNGS},
            "memory_ids": frozenset(record["memory_ids"]),
        }
    )
