"""Makes the vectors of a memory anew with another encoder, or drops them.

    report = reindex(Path("kitchen"), encoder, on_progress=lambda done, total: …)

The new vectors are filled in beside those in use; naming the new encoder in the manifest is the one
step that switches over, and only then are the old ones deleted. Killed before it, the memory is as
it was; after it, as it shall be; and run again, this goes on with what is missing. What is
remembered is only read, a few hundred rows at a time. It takes the writer's lock: questions are
asked meanwhile, nothing is watched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..encoder import Encoder
from ..storage import schema, tables
from ..storage.commits import Commits, Transaction
from ..storage.leases import KEEP_VERSIONS_S
from ..storage.manifest import read_manifest, write_manifest
from ..storage.migrations import apply_migrations
from ..storage.schema import Row
from ..storage.tables import MIN_FREE_BYTES, Tables, latest_view, one_of, require_free_space, select
from ..storage.vectors import frame_vector_rows, moments_of_frames, text_vector_rows
from ..storage.writer_lock import WriterLock
from .disk_budget import DiskBudget
from .maintenance import Maintenance

_ROWS = 256
"""Observations read, encoded and committed together."""
_PICTURES = 64
"""Pictures in memory at a time."""
_TIDY_COMMITS = 32

OnProgress = Callable[[int, int], None]
"""Is told how many observations are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """What one run made; vectors that were there already are not counted."""

    encoder: str | None
    """Whose vectors the memory has now; None where they were dropped."""
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
    """Give the memory at ``path`` the vectors of ``encoder``, of words and of pictures; None drops them.

    With the encoder it has already, only what is missing is made.
    Raises ``NotAMemory``, ``NewerMemory``, ``MemoryInUse``, ``CannotWrite`` or ``DiskFull``, and what the
    encoder raises; the memory is then as it was, and what was made so far is kept for the next run.
    """
    begun = time.monotonic()
    folder = Path(path).expanduser()
    read_manifest(folder)
    texts = pictures = 0
    commits = Commits(folder)
    with WriterLock(folder, "reindex"), require_free_space(folder, min_free_bytes):
        manifest = apply_migrations(folder)
        in_use = tables.vector_space(manifest.encoder, manifest.dim)
        wanted = tables.vector_space(encoder.name, encoder.dim) if encoder else None
        tables.drop_vectors(folder, keep={in_use, wanted})
        if encoder is not None:
            opened = Tables.open(folder, encoder=encoder, create=True)
            filling = _Filling(folder, opened, encoder, commits, on_progress, min_free_bytes)
            for made_texts, made_pictures in filling.run():
                texts += made_texts
                pictures += made_pictures
        if wanted != in_use:
            write_manifest(folder, manifest.with_encoder(encoder))
            tables.drop_vectors(folder, keep={wanted})
        commits.publish(Tables.open(folder, encoder=encoder))
    return ReindexReport(
        encoder=None if encoder is None else encoder.name,
        texts=texts,
        pictures=pictures,
        seconds=time.monotonic() - begun,
    )


class _Filling:
    """Makes what is missing of one encoder's vectors."""

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
        ledger = DiskBudget(folder, read_manifest(folder).budget_bytes)
        self._upkeep = Maintenance(
            folder, opened, commits, ledger, min_free_bytes=min_free_bytes, keep_versions_s=KEEP_VERSIONS_S
        )

    def run(self) -> Iterator[tuple[int, int]]:
        """Make it, and say after each batch how many vectors of words and of pictures it was."""
        batches = 0
        while True:
            seen = self._tables.observations.version
            total, done = self._tables.observations.count_rows(), 0
            for rows in self._observations():
                texts, pictures = self._texts(rows), self._pictures(rows)
                if texts or pictures:
                    with (
                        require_free_space(self._folder, self._min_free_bytes),
                        self._commits.commit() as change,
                    ):
                        self._append(change, texts, pictures)
                    batches += 1
                    if batches % _TIDY_COMMITS == 0:
                        self._upkeep.run(thorough=False)
                yield len(texts), len(pictures)
                done += len(rows)
                if self._on_progress is not None:
                    self._on_progress(done, total)
            # Second looks are written down without the lock: once more, for those that came meanwhile.
            if self._tables.observations.version == seen:
                break
        self._upkeep.run(thorough=True)

    def _append(self, change: Transaction, texts: list[Row], pictures: list[Row]) -> None:
        change.append(self._tables.text_vectors, texts)
        change.append(self._tables.frame_vectors, pictures)

    def _observations(self) -> Iterator[list[Row]]:
        """All observations, with what vectors are made of."""
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
        made: list[Row] = []
        for at in range(0, len(missing), _PICTURES):
            where = one_of("id", missing[at : at + _PICTURES])
            pictures = select(latest_view(self._tables.frames), where=where, columns=["id", "jpeg"])
            made += frame_vector_rows(
                self._encoder, [(one["id"], one["jpeg"], of_frame[one["id"]]) for one in pictures]
            )
        return made


def _missing(table: tables.Table, ids: list[str]) -> set[str]:
    """Those of ``ids`` that have no row yet."""
    there = select(latest_view(table), where=one_of("id", ids), columns=["id"])
    return set(ids) - {row["id"] for row in there}
