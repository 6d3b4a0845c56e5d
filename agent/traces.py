"""Where the steps of questions are kept, so that they can be read back.

    traces = open_traces(Path("questions.sqlite"))
    agent = build_agent(traces)

A trace is a convenience: where it cannot be written (a full disk, a memory that may only be read), the
question is answered all the same and leaves none. The newest ``MAX_TRACES`` are kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.sqlite import SqliteSaver

MAX_TRACES = 1000
"""Some 20 kB each."""
_BUSY_S = 10.0
"""How long to wait for another process that writes its trace."""


class Traces(SqliteSaver):
    """LangGraph's checkpointer for SQLite, except that a disk that takes no more is not an error."""

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

    def forget_old(self, keep: int = MAX_TRACES) -> None:
        """Delete all but the newest traces."""
        # The ids of checkpoints begin with their time, so they sort by age.
        newest = (
            "SELECT thread_id FROM checkpoints GROUP BY thread_id ORDER BY max(checkpoint_id) DESC LIMIT ?"
        )
        try:
            with self.cursor() as cursor:
                for table in ("writes", "checkpoints"):
                    cursor.execute(f"DELETE FROM {table} WHERE thread_id NOT IN ({newest})", (keep,))
        except sqlite3.Error:
            self._give_up()

    def close(self) -> None:
        """Let go of the file."""
        self.conn.close()

    def _give_up(self) -> None:
        with suppress(sqlite3.Error):
            self.conn.rollback()


def open_traces(path: Path) -> Traces:
    """The traces in the file at ``path``, which is made if need be; in RAM where it cannot be."""
    try:
        connection = sqlite3.connect(path, check_same_thread=False, timeout=_BUSY_S)
    except sqlite3.Error:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
    traces = Traces(connection)
    traces.forget_old()
    return traces
