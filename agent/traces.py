"""Where the steps of questions are kept, so that they can be read back.

    traces = open_traces(Path("questions.sqlite"), most_bytes=50_000_000)
    agent = build_agent(traces)
    traces.trim()                                  # after each question

A trace is a convenience: where it cannot be written (a full disk, a memory that may only be read), the
question is answered all the same and leaves none. The newest ``MAX_TRACES`` are kept, or as many as fit.
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
"""Some 20 kB each."""
_BUSY_S = 10.0
"""How long to wait for another process that writes its trace."""
_ID = re.compile(rb"(?=([0-9a-f]{20}))")
"""Where the id of a memory may stand."""


class TraceStep(TypedDict):
    """One stored step of a question."""

    next: list[str]
    """The names of the steps that come next; empty at the end."""
    state: dict[str, object]
    """The agent's state before them, as plain data."""


class TraceStore(SqliteSaver):
    """LangGraph's checkpointer for SQLite, except that a disk that takes no more is not an error."""

    def __init__(self, connection: sqlite3.Connection, most_bytes: int) -> None:
        super().__init__(connection)
        self.most_bytes = most_bytes
        """What they may take, about."""

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep the state after a step, if that can be."""
        try:
            return super().put(config, checkpoint, metadata, new_versions)
        except sqlite3.Error:
            self._give_up()
            place = config["configurable"]
            return {
                "configurable": {
                    "thread_id": place["thread_id"],
                    "checkpoint_ns": place["checkpoint_ns"],
                    "checkpoint_id": checkpoint["id"],
                }
            }

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a step wrote, if that can be."""
        try:
            super().put_writes(config, writes, task_id, task_path)
        except sqlite3.Error:
            self._give_up()

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The last state kept, if there is one to be read."""
        try:
            return super().get_tuple(config)
        except sqlite3.Error:
            return None

    def trim(self, keep: int = MAX_TRACES) -> None:
        """Delete all but the newest traces: so many, and fewer where these take too much."""
        with suppress(sqlite3.Error):
            self._keep_newest(keep)
            if self._bytes() > self.most_bytes:
                # It may be that only the file is too large, for what was in it before.
                self._rewrite()
            while self._bytes() > self.most_bytes and (there := self._count()):
                self._keep_newest(there // 2)
                self._rewrite()
            return
        self._give_up()

    def forget(self, words: Set[str]) -> int:
        """Delete the traces in which any of these words stands, such as the id of a memory; how many.

        Nothing of them is left in the file. Raises ``TracesInUse`` where others keep it from being rewritten.
        """
        sought = {word.encode() for word in words if word}
        ids = {word for word in sought if _ID.match(word) and len(word) == 20}
        others = sought - ids

        def told(blob: bytes) -> bool:
            # Of a stream of months there are a million ids, and looking for each of them would take hours.
            return any(word in blob for word in others) or any(at[1] in ids for at in _ID.finditer(blob))

        return self._delete(told)

    def forget_all(self) -> int:
        """Delete every trace; how many. Raises ``TracesInUse`` as ``forget`` does."""
        return self._delete(lambda blob: True)

    def _delete(self, told: Callable[[bytes], bool]) -> int:
        """Delete the traces of which it is ``told`` by any of their blobs, so that no file holds them."""
        try:
            with self.cursor() as cursor:
                doomed: set[str] = set()
                for table, column in (("checkpoints", "checkpoint"), ("writes", "value")):
                    for thread_id, blob in cursor.execute(f"SELECT thread_id, {column} FROM {table}"):
                        if thread_id not in doomed and told(blob or b""):
                            doomed.add(thread_id)
                for table in ("writes", "checkpoints"):
                    cursor.executemany(
                        f"DELETE FROM {table} WHERE thread_id = ?", [(thread_id,) for thread_id in doomed]
                    )
            rewritten = self._rewrite()
        except sqlite3.Error as error:
            self._give_up()
            raise TracesInUse(str(error)) from error
        if not rewritten:
            raise TracesInUse("another process is reading them")
        return len(doomed)

    def _rewrite(self) -> bool:
        """Write the file anew without what was deleted; whether the old one is gone, or somebody reads it still."""
        with self.cursor(transaction=False) as cursor:
            cursor.execute("VACUUM")
            # What was written goes into a file beside it first, and leaves that one here.
            (busy, _, _) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def _keep_newest(self, keep: int) -> None:
        # The ids of checkpoints begin with their time, so they sort by age.
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
        """Let go of the file."""
        self.conn.close()

    def _give_up(self) -> None:
        with suppress(sqlite3.Error):
            self.conn.rollback()


def open_traces(path: Path, most_bytes: int = MAX_TRACES * 20_000) -> TraceStore:
    """The traces in the file at ``path``, which is made if need be; in RAM where it cannot be.

    They take no more than ``most_bytes``, about.
    """
    try:
        connection = sqlite3.connect(path, check_same_thread=False, timeout=_BUSY_S)
        # What is deleted is overwritten: somebody may have asked for it to be forgotten.
        connection.execute("PRAGMA secure_delete = ON")
    except sqlite3.Error:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
    traces = TraceStore(connection, most_bytes)
    traces.trim()
    return traces
