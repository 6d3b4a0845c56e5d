"""Reindexing: rebuilds all vectors of a memory with another encoder, or drops them.

    report = reindex(Path("kitchen"), encoder, on_progress=lambda done, total: print(done, total))

The new vectors are written to tables of their own. Naming the new encoder in the manifest is the single step that
switches to them, and only then are the old vectors deleted. If the process is killed before that step, the memory is
unchanged. The next run continues with the vectors that are missing. The memory is only read, a few hundred rows at a
time. Reindexing needs the writer lock. The process that watches has it, and pauses only for the switch.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from ..encoder import Encoder
from ..storage import schema, tables
from ..storage.commits import Commits, Transaction
from ..storage.disk_space import MIN_FREE_BYTES, require_free_space
from ..storage.leases import KEEP_VERSIONS_S
from ..storage.manifest import read_manifest, write_manifest
from ..storage.migrations import apply_migrations
from ..storage.schema import Row
from ..storage.tables import Tables, latest_view, one_of, select
from ..storage.vectors import frame_vector_rows, moments_of_frames, text_vector_rows
from ..storage.writer_lock import WriterLock
from .disk_budget import DiskBudget
from .maintenance import Maintenance

_ROWS = 256
"""Observations read, encoded and committed together."""
_PICTURES = 64
"""Pictures in RAM at a time."""
_COMMITS_PER_COMPACTION = 32

OnProgress = Callable[[int, int], None]
"""Called with the number of observations that are done, and their total."""


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """The vectors that one run added. Vectors that existed before are not counted."""

    encoder: str | None
    """Name of the encoder in use now. None if the vectors were dropped."""
    texts: int
    pictures: int
    seconds: float
    """Wall-clock time of the run."""


def reindex(
    path: str | os.PathLike[str],
    encoder: Encoder | None,
    *,
    on_progress: OnProgress | None = None,
    min_free_bytes: int = MIN_FREE_BYTES,
) -> ReindexReport:
    """Rebuild the text and picture vectors of the memory at ``path`` with ``encoder``. None drops all vectors.

    If the memory uses this encoder already, only missing vectors are added.
    Raises ``NotAMemory``, ``NewerMemory``, ``MemoryInUse``, ``CannotWrite`` or ``DiskFull``, and errors of
    the encoder. The memory is unchanged then, and the next run continues.
    """
    folder = Path(path).expanduser()
    read_manifest(folder)
    with WriterLock(folder, "reindex"):
        return rebuild_vectors(folder, encoder, on_progress=on_progress, min_free_bytes=min_free_bytes)


def rebuild_vectors(
    folder: Path,
    encoder: Encoder | None,
    *,
    on_progress: OnProgress | None = None,
    min_free_bytes: int = MIN_FREE_BYTES,
    paused: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> ReindexReport:
    """Do the work of ``reindex`` for a caller that holds the writer lock.

    The caller may append meanwhile, with the encoder in use, except inside the block of ``paused``. It covers the
    last vectors and the switch to them. The caller must use ``encoder`` when the block ends.
    """
    started_s = time.monotonic()
    counts = Counter[str]()
    commits = Commits(folder)
    with require_free_space(folder, min_free_bytes):
        manifest = apply_migrations(folder)
        in_use = tables.vector_space(manifest.encoder, manifest.dim)
        target = tables.vector_space(encoder.name, encoder.dim) if encoder else None
        tables.drop_vectors(folder, keep={in_use, target})
        builder = None
        if encoder is not None:
            opened = Tables.open(folder, encoder=encoder, create=True)
            builder = _VectorBuilder(folder, opened, encoder, commits, on_progress, min_free_bytes)
            builder.add_missing(counts)
        with paused():
            if builder is not None:
                builder.finish(counts)
            if target != in_use:
                write_manifest(folder, read_manifest(folder).with_encoder(encoder))
                tables.drop_vectors(folder, keep={target})
            commits.publish(Tables.open(folder, encoder=encoder))
    return ReindexReport(
        encoder=None if encoder is None else encoder.name,
        texts=counts["texts"],
        pictures=counts["pictures"],
        seconds=time.monotonic() - started_s,
    )


class _VectorBuilder:
    """Adds the missing vectors of one encoder."""

    def __init__(
        self,
        folder: Path,
        opened: Tables,
        encoder: Encoder,
        commits: Commits,
        on_progress: OnProgress | None,
        min_free_bytes: int,
    ) -> None:
        self._folder, self._tables, self._encoder = folder, opened, encoder
        self._commits, self._on_progress, self._min_free_bytes = commits, on_progress, min_free_bytes
        budget = DiskBudget(folder, read_manifest(folder).budget_bytes)
        self._maintenance = Maintenance(
            folder, opened, commits, budget, min_free_bytes=min_free_bytes, keep_versions_s=KEEP_VERSIONS_S
        )

        self._batches = 0
        self._version: int | None = None
        """Of the observations, when the last pass began."""

    def add_missing(self, counts: Counter[str]) -> None:
        """Add the missing vectors in one pass, and count them as ``texts`` and ``pictures``."""
        self._version = self._tables.observations.version
        total, finished = self._tables.observations.count_rows(), 0
        for rows in self._observations():
            texts, pictures = self._texts(rows), self._pictures(rows)
            if texts or pictures:
                with require_free_space(self._folder, self._min_free_bytes), self._commits.commit() as change:
                    self._append(change, texts, pictures)
                self._batches += 1
                if self._batches % _COMMITS_PER_COMPACTION == 0:
                    self._maintenance.run(thorough=False)
            counts.update(texts=len(texts), pictures=len(pictures))
            finished += len(rows)
            if self._on_progress is not None:
                self._on_progress(finished, total)

    def finish(self, counts: Counter[str]) -> None:
        """Add the vectors of observations that were written meanwhile, and compact the tables."""
        # Second looks are written without the writer lock. Repeat until none was added.
        while self._tables.observations.version != self._version:
            self.add_missing(counts)
        self._maintenance.run(thorough=True)

    def _append(self, change: Transaction, texts: list[Row], pictures: list[Row]) -> None:
        change.append(self._tables.text_vectors, texts)
        change.append(self._tables.frame_vectors, pictures)

    def _observations(self) -> Iterator[list[Row]]:
        """All observations, with the columns that vectors are built from."""
        columns = [*schema.TEXT_VECTOR_COLUMNS, "text", "base", "frame_ids"]
        scanner = latest_view(self._tables.observations).scanner(
            columns=columns, batch_size=_ROWS, batch_readahead=1
        )
        for batch in scanner.to_batches():
            yield batch.to_pylist()

    def _texts(self, rows: list[Row]) -> list[Row]:
        missing = _missing(self._tables.text_vectors, [row["id"] for row in rows])
        return text_vector_rows(self._encoder, [row for row in rows if row["id"] in missing])

    def _pictures(self, rows: list[Row]) -> list[Row]:
        if self._tables.frame_vectors is None:
            return []
        of_frame = moments_of_frames(rows)
        missing = sorted(_missing(self._tables.frame_vectors, list(of_frame)))
        rows_with_vectors: list[Row] = []
        for start in range(0, len(missing), _PICTURES):
            where = one_of("id", missing[start : start + _PICTURES])
            pictures = select(latest_view(self._tables.frames), where=where, columns=["id", "jpeg"])
            rows_with_vectors += frame_vector_rows(
                self._encoder,
                [(picture["id"], picture["jpeg"], of_frame[picture["id"]]) for picture in pictures],
            )
        return rows_with_vectors


def _missing(table: tables.Table, ids: list[str]) -> set[str]:
    """The ids that have no row in the table yet."""
    existing = select(latest_view(table), where=one_of("id", ids), columns=["id"])
    return set(ids) - {row["id"] for row in existing}
