"""Trace store: keeps the steps of questions in SQLite, so that they can be read back.

    traces = open_traces(Path("questions.sqlite"), most_bytes=50_000_000)
    agent = build_agent(traces)
    traces.trim()                                  # after each question

If a trace cannot be written (a full disk, a read-only memory), the question is still answered. The newest
``MAX_TRACES`` are kept, or as many as fit.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.sqlite import SqliteSaver

from .errors import TracesInUse

MAX_TRACES = 1000
"""About 20 kB each."""
_BUSY_S = 10.0
"""How long to wait for another process that is writing its trace."""
_ID = re.compile(rb"(?=([0-9a-f]{20}))")
"""Matches at every position where the id of a memory may be."""


class TraceStep(TypedDict):
    """One stored step of a question."""

    next: list[str]
    """The names of the steps that come next; empty at the end."""
    state: dict[str, object]
    """The agent's state before them, as plain data."""


class TraceStore(SqliteSaver):
    """LangGraph's checkpointer for SQLite. A full disk is not an error."""

    def __init__(self, connection: sqlite3.Connection, most_bytes: int) -> None:
        super().__init__(connection)
        self.most_bytes = most_bytes
        """About how many bytes all traces together may take."""

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep the state after a step, if possible."""
        try:
            return super().put(config, checkpoint, metadata, new_versions)
        except sqlite3.Error:
            self._roll_back()
            configurable = config["configurable"]
            return {
                "configurable": {
                    "thread_id": configurable["thread_id"],
                    "checkpoint_ns": configurable["checkpoint_ns"],
                    "checkpoint_id": checkpoint["id"],
                }
            }

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a step wrote, if possible."""
        try:
            super().put_writes(config, writes, task_id, task_path)
        except sqlite3.Error:
            self._roll_back()

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The last state that was kept, if it can be read."""
        try:
            return super().get_tuple(config)
        except sqlite3.Error:
            return None

    def trim(self, keep: int = MAX_TRACES) -> None:
        """Delete all but the newest ``keep`` traces, and more of them if these take too many bytes."""
        with suppress(sqlite3.Error):
            self._keep_newest(keep)
            if self._bytes() > self.most_bytes:
                # Perhaps the file only holds the space of deleted traces.
                self._rewrite()
            while self._bytes() > self.most_bytes and (count := self._count()):
                self._keep_newest(count // 2)
                self._rewrite()
            return
        self._roll_back()

    def forget(self, words: Set[str]) -> int:
        """Delete the traces that contain any of these words, such as the id of a memory.

        Nothing of them is left in the file. Returns how many were deleted.

        Raises:
            TracesInUse: Another process prevents the file from being rewritten.
        """
        encoded = {word.encode() for word in words if word}
        ids = {word for word in encoded if _ID.match(word) and len(word) == 20}
        texts = encoded - ids

        def mentions(blob: bytes) -> bool:
            # A stream of months has a million ids. A search for each of them would take hours.
            return any(text in blob for text in texts) or any(match[1] in ids for match in _ID.finditer(blob))

        return self._delete(mentions)

    def forget_all(self) -> int:
        """Delete every trace. Returns how many there were.

        Raises:
            TracesInUse: Another process prevents the file from being rewritten.
        """
        return self._delete(lambda blob: True)

    def _delete(self, matches: Callable[[bytes], bool]) -> int:
        """Delete the traces with a blob that matches, so that no file holds them."""
        try:
            with self.cursor() as cursor:
                doomed: set[str] = set()
                for table, column in (("checkpoints", "checkpoint"), ("writes", "value")):
                    for thread_id, blob in cursor.execute(f"SELECT thread_id, {column} FROM {table}"):
                        if thread_id not in doomed and matches(blob or b""):
                            doomed.add(thread_id)
                for table in ("writes", "checkpoints"):
                    cursor.executemany(
                        f"DELETE FROM {table} WHERE thread_id = ?", [(thread_id,) for thread_id in doomed]
                    )
            rewritten = self._rewrite()
        except sqlite3.Error as error:
            self._roll_back()
            raise TracesInUse(str(error)) from error
        if not rewritten:
            raise TracesInUse("another process is reading them")
        return len(doomed)

    def _rewrite(self) -> bool:
        """Rewrite the file without the deleted traces. False if another process still reads the old file."""
        with self.cursor(transaction=False) as cursor:
            cursor.execute("VACUUM")
            # The changes are in the write-ahead log until a checkpoint moves them into the file.
            (busy, _, _) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def _keep_newest(self, keep: int) -> None:
        # Checkpoint ids begin with their time, so they sort by age.
        newest = (
            "SELECT thread_id FROM checkpoints GROUP BY thread_id ORDER BY max(checkpoint_id) DESC LIMIT ?"
        )
        if self._count() > keep:
            with self.cursor() as cursor:
                for table in ("writes", "checkpoints"):
                    cursor.execute(f"DELETE FROM {table} WHERE thread_id NOT IN ({newest})", (keep,))

    def _count(self) -> int:
        with self.cursor(transaction=False) as cursor:
            return int(cursor.execute("SELECT count(DISTINCT thread_id) FROM checkpoints").fetchone()[0])

    def _bytes(self) -> int:
        with self.cursor(transaction=False) as cursor:
            return int(
                cursor.execute(
                    "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
                ).fetchone()[0]
            )

    def close(self) -> None:
        """Close the file. A question that still runs loses the rest of its trace."""
        # Without the lock, SQLite crashes the process if another thread is inside a statement.
        with self.lock:
            self.conn.close()

    def _roll_back(self) -> None:
        with self.lock, suppress(sqlite3.Error):
            self.conn.rollback()


def open_traces(path: Path, most_bytes: int = MAX_TRACES * 20_000) -> TraceStore:
    """Open the traces in the file at ``path``, which is created if needed. If it cannot be, they are kept in RAM.

    They take about ``most_bytes`` at most.
    """
    try:
        connection = sqlite3.connect(path, check_same_thread=False, timeout=_BUSY_S)
        # Deleted bytes are overwritten, because their erasure may have been requested.
        connection.execute("PRAGMA secure_delete = ON")
    except sqlite3.Error:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
    traces = TraceStore(connection, most_bytes)
    traces.trim()
    return traces
