"""Maintenance requests: a process asks the writer of a memory for maintenance through files in the memory's folder.

    server = RequestServer(folder, execute, used)                              # in the process that writes
    server.start()
    receipt = run_or_request(folder, EraseRequest("door", None), run_here)     # in another process

A request is a JSON file in the folder ``requests``, written atomically. The server looks for requests several times
a second, executes one at a time, and writes an answer beside it. While it waits, the requester holds the lock of a
file beside its request. The server holds the lock of ``server.lock``. The kernel releases a lock when its process
ends. The server drops a request whose requester has ended. If the server ends first, the requester takes the writer
lock and executes its request itself.
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

from ...common.errors import RecollectError
from ..errors import MemoryInUse, RequestFailed
from ..storage.disk_space import require_free_space
from ..storage.file_lock import delete_locked, is_locked, try_lock, wait_for_lock
from ..values import RUNGS, Span
from .erasure import ErasureReceipt, OnWait
from .reindexing import OnProgress, ReindexReport

log = logging.getLogger(__name__)

REQUESTS = "requests"
SERVER_LOCK_NAME = "server.lock"
POLL_S = 0.2
"""How often the server looks for requests."""
ACCEPT_S = 5.0
"""How long a requester waits for a live server that executes no other request to take its own."""
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
    """Erase a span of a stream, or the whole stream."""

    stream: str
    span: Span | None

    @property
    def purpose(self) -> str:
        """The reason for taking the writer lock, for other processes that want it."""
        return f"forget {self.stream}"


@dataclass(frozen=True, slots=True)
class CompactRequest:
    """Evict to the disk budget, merge files and indexes, delete old versions."""

    purpose: str = "compact"


@dataclass(frozen=True, slots=True)
class ReindexRequest:
    """Rebuild all vectors with the encoder of these settings, or drop them.

    The memory does not interpret the settings: the process that writes opens the encoder.
    """

    encoder_model: str | None
    """None drops the vectors."""
    device: str


StoreRequest = EraseRequest | CompactRequest
"""A request that an open store can execute without further settings."""
MaintenanceRequest = StoreRequest | ReindexRequest
MaintenanceResult = ErasureReceipt | ReindexReport | None
"""The receipt of an erasure, the report of a reindexing, or None after a compaction."""
Execute = Callable[[MaintenanceRequest, OnWait, OnProgress], MaintenanceResult]
"""Executes a request in the writing process."""


class Maintainable(Protocol):
    """A store that is open for writing, on which requests are executed."""

    def erase(self, stream: str, span: Span | None, *, on_wait: OnWait | None = None) -> ErasureReceipt:
        """Erase a span of a stream, or the whole stream."""

    def compact(self) -> None:
        """Evict to the disk budget, merge files and indexes, delete old versions."""


def execute(
    store: Maintainable, request: StoreRequest, on_wait: OnWait | None = None
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
        """Inside the block of ``used`` the memory stays open. It yields False if the memory is being closed."""
        self._folder = folder / REQUESTS
        self._execute = execute
        self._used = used
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._main, name="requests", daemon=True)
        self._lock: IO[str] | None = None

    def start(self) -> None:
        """Start to take requests."""
        try:
            self._folder.mkdir(exist_ok=True)
            self._lock = (self._folder / SERVER_LOCK_NAME).open("a", encoding="utf-8")
            _lock_soon(self._lock)
        except OSError:
            # For example on a full disk. Other processes cannot send requests then, and get MemoryInUse.
            log.warning("the writer of %s cannot take requests of other processes", self._folder.parent)
            return
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests. Waits until the current one is executed."""
        self._closing.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def close(self) -> None:
        """Let requesters know that the writer has ended. Call it after the writer lock is released."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _main(self) -> None:
        while not self._closing.wait(POLL_S):
            try:
                for name in sorted(os.listdir(self._folder)):
                    if self._closing.is_set():
                        return
                    self._process(name)
            except OSError:
                log.warning("could not look for requests in %s", self._folder, exc_info=True)

    def _process(self, name: str) -> None:
        """Execute a request, or delete a file that is no longer needed."""
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
            _write_atomically(path.with_suffix(_WAITING), {"readers": readers})

        def on_progress(done: int, total: int) -> None:
            _write_atomically(path.with_suffix(_WAITING), {"done": done, "total": total})

        try:
            request = _request_from(json.loads(taken.read_text(encoding="utf-8")))
            answer = _result_record(self._execute(request, on_wait, on_progress))
        except Exception as error:
            if not isinstance(error, RecollectError):
                log.warning("a request in %s failed", self._folder, exc_info=True)
            answer = {"error": str(error) or type(error).__name__}
        path.with_suffix(_WAITING).unlink(missing_ok=True)
        try:
            _write_atomically(path.with_suffix(_ANSWER), answer)
        finally:
            # While this file exists, other requesters wait for their turn.
            taken.unlink(missing_ok=True)


def run_or_request(
    folder: Path,
    request: MaintenanceRequest,
    run_here: Callable[[], T],
    *,
    on_wait: OnWait | None = None,
    on_progress: OnProgress | None = None,
) -> T | MaintenanceResult:
    """Call ``run_here``, which takes the writer lock, or send the request to the process that holds that lock.

    ``on_wait`` and ``on_progress`` are called while that process executes the request. ``run_here`` must report
    by itself. Raises ``MemoryInUse`` if that process takes no requests, ``RequestFailed`` if it could not
    execute the request, and the errors of ``run_here``.
    """
    while True:
        try:
            return run_here()
        except MemoryInUse as in_use:
            if not is_served(folder):
                raise
            with require_free_space(folder, 0), _PendingRequest(folder / REQUESTS, request) as pending:
                answer = _wait_for_answer(folder, pending, in_use, _Listener(on_wait, on_progress))
        if answer is None:
            continue  # the writer has ended
        if "error" in answer:
            raise RequestFailed(folder, answer["error"])
        return _result_from(answer)


def is_served(folder: Path) -> bool:
    """Whether a process that writes to the memory takes requests."""
    return is_locked(folder / REQUESTS / SERVER_LOCK_NAME)


def _is_busy(folder: Path) -> bool:
    """Whether the server executes a request."""
    return any(name.endswith(_TAKEN) for name in os.listdir(folder / REQUESTS))


class _Listener:
    """Calls the requester's functions with what the server reports while it executes a request."""

    def __init__(self, on_wait: OnWait | None, on_progress: OnProgress | None) -> None:
        self._on_wait, self._on_progress = on_wait, on_progress
        self._progress = (0, 0)

    def report(self, record: Mapping[str, int]) -> None:
        """``record`` is the content of the ``.waiting`` file."""
        if self._on_wait is not None and (readers := record.get("readers")):
            self._on_wait(readers)
        if self._on_progress is not None and "total" in record:
            progress = record["done"], record["total"]
            if progress != self._progress:
                self._progress = progress
                self._on_progress(*progress)


class _PendingRequest:
    """A request file. The requester holds the lock of a file beside it while it waits."""

    def __init__(self, folder: Path, request: MaintenanceRequest) -> None:
        self._path = folder / f"{uuid.uuid4().hex}{_REQUEST}"
        self._record = {"kind": type(request).__name__, **asdict(request)}
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        self._lock = _lock_path(self._path).open("x", encoding="utf-8")
        try:
            wait_for_lock(self._lock)
            _write_atomically(self._path, self._record)
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
        """Delete the request. False if the server has taken it already."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True

    @property
    def is_taken(self) -> bool:
        """Whether the server has begun to execute the request."""
        return not self._path.exists()

    @property
    def answer(self) -> dict[str, Any] | None:
        """The server's answer. None while it has not answered."""
        return _read(self._path.with_suffix(_ANSWER))

    @property
    def state(self) -> dict[str, int]:
        """What the server last reported: the readers that it waits for, or its progress. Empty before that."""
        return _read(self._path.with_suffix(_WAITING)) or {}


def _wait_for_answer(
    folder: Path, pending: _PendingRequest, in_use: MemoryInUse, listener: _Listener
) -> dict[str, Any] | None:
    """The answer. None if the server has ended without answering."""
    accept_until_s = time.monotonic() + ACCEPT_S
    while True:
        served = is_served(folder)
        # Read after the check above: the server may have answered just before it ended.
        if (answer := pending.answer) is not None:
            return answer
        if not served:
            return None
        if pending.is_taken or _is_busy(folder):
            # Requests are executed one after the other, and a reindexing may take hours.
            accept_until_s = time.monotonic() + ACCEPT_S
        elif time.monotonic() > accept_until_s and pending.withdraw():
            raise in_use
        listener.report(pending.state)
        time.sleep(_ANSWER_POLL_S)


def _lock_soon(file: IO[str]) -> None:
    """Lock a file that other processes lock only for an instant, to test whether it is locked."""
    until_s = time.monotonic() + _LOCK_S
    while not try_lock(file):
        if time.monotonic() > until_s:
            raise TimeoutError(f"another process holds the lock on {file.name}")
        time.sleep(_ANSWER_POLL_S)


def _lock_path(path: Path) -> Path:
    """The lock file of the requester, beside a file of its request."""
    return path.with_name(path.name.partition(".")[0] + _REQUESTER_LOCK)


def _has_requester(path: Path) -> bool:
    """Whether the requester of a file in the folder of requests is still waiting."""
    return is_locked(_lock_path(path))


def _write_atomically(path: Path, record: Mapping[str, Any]) -> None:
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
    if record["kind"] == ReindexRequest.__name__:
        return ReindexRequest(record["encoder_model"], record["device"])
    raise ValueError(f"the request {record['kind']!r} is unknown to this version of Recollect")


def _result_record(result: MaintenanceResult) -> dict[str, Any]:
    if isinstance(result, ReindexReport):
        return {"reindexed": asdict(result)}
    if result is None:
        return {"receipt": None}
    return {"receipt": asdict(result) | {"memory_ids": sorted(result.memory_ids)}}


def _result_from(answer: Mapping[str, Any]) -> MaintenanceResult:
    if "reindexed" in answer:
        return ReindexReport(**answer["reindexed"])
    receipt = answer["receipt"]
    return None if receipt is None else _receipt_from(receipt)


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
