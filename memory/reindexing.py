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

from . import schema, tables
from .encoder import Encoder
from .leases import needed_since_s
from .lock import WriterLock
from .manifest import read_manifest, write_manifest
from .tables import MIN_FREE_BYTES, Tables, one_of, room_to_write, select
from .vectors import frame_vector_rows, moments_of_frames, text_vector_rows

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
    Raises ``NotAMemory``, ``NewerMemory``, ``MemoryInUse`` or ``DiskFull``, and what the encoder raises;
    the memory is then as it was, and what was made so far is kept for the next run.
    """
    begun = time.monotonic()
    folder = Path(path).expanduser()
    read_manifest(folder)
    texts = pictures = 0
    with WriterLock(folder, "reindex"), room_to_write(folder, min_free_bytes):
        manifest = read_manifest(folder)
        in_use = tables.vector_space(manifest.encoder, manifest.dim)
        wanted = tables.vector_space(encoder.name, encoder.dim) if encoder else None
        tables.drop_vectors(folder, keep={in_use, wanted})
        if encoder is not None:
            opened = Tables.open(folder, encoder=encoder, create=True)
            for made_texts, made_pictures in _fill(folder, opened, encoder, on_progress, min_free_bytes):
                texts += made_texts
                pictures += made_pictures
        if wanted != in_use:
            write_manifest(folder, encoder, created_at_s=manifest.created_at_s)
            tables.drop_vectors(folder, keep={wanted})
    return ReindexReport(
        encoder=None if encoder is None else encoder.name,
        texts=texts,
        pictures=pictures,
        seconds=time.monotonic() - begun,
    )


def _fill(
    folder: Path, opened: Tables, encoder: Encoder, on_progress: OnProgress | None, min_free_bytes: int
) -> Iterator[tuple[int, int]]:
    """Make what is missing, and say after each batch how many vectors of words and of pictures it was."""
    commits = 0
    while True:
        seen = opened.observations.version
        total, done = opened.observations.count_rows(), 0
        for rows in _observations(opened):
            with room_to_write(folder, min_free_bytes):
                made = (_fill_texts(opened, encoder, rows), _fill_pictures(opened, encoder, rows))
                commits += any(made)
                if commits == _TIDY_COMMITS:
                    commits = 0
                    _tidy(folder, opened)
            yield made
            done += len(rows)
            if on_progress is not None:
                on_progress(done, total)
        # Second looks are written down without the lock: once more, for those that came meanwhile.
        if opened.observations.version == seen:
            break
    with room_to_write(folder, min_free_bytes):
        _tidy(folder, opened, thorough=True)


def _observations(opened: Tables) -> Iterator[list[schema.Row]]:
    """All observations, with what vectors are made of."""
    columns = [*schema.TEXT_VECTOR_COLUMNS, "text", "base", "frame_ids"]
    scanner = opened.observations.to_lance().scanner(columns=columns, batch_size=_ROWS, batch_readahead=1)
    for batch in scanner.to_batches():
        yield batch.to_pylist()


def _fill_texts(opened: Tables, encoder: Encoder, rows: list[schema.Row]) -> int:
    missing = _missing(opened.text_vectors, [row["id"] for row in rows])
    made = text_vector_rows(encoder, [row for row in rows if row["id"] in missing])
    if made:
        tables.append(opened.text_vectors, made)
    return len(made)


def _fill_pictures(opened: Tables, encoder: Encoder, rows: list[schema.Row]) -> int:
    if opened.frame_vectors is None:
        return 0
    of_frame = moments_of_frames(rows)
    missing = sorted(_missing(opened.frame_vectors, list(of_frame)))
    made: list[schema.Row] = []
    for at in range(0, len(missing), _PICTURES):
        where = one_of("id", missing[at : at + _PICTURES])
        pictures = select(opened.frames, where=where, columns=["id", "jpeg"])
        made += frame_vector_rows(
            encoder, [(one["id"], one["jpeg"], of_frame[one["id"]]) for one in pictures]
        )
    if made:
        tables.append(opened.frame_vectors, made)
    return len(made)


def _missing(table: tables.Table, ids: list[str]) -> set[str]:
    """Those of ``ids`` that have no row yet."""
    there = select(table, where=one_of("id", ids), columns=["id"])
    return set(ids) - {row["id"] for row in there}


def _tidy(folder: Path, opened: Tables, *, thorough: bool = False) -> None:
    for table in (opened.text_vectors, opened.frame_vectors):
        if table is not None:
            tables.tidy(table, needed_since_s=needed_since_s(folder), thorough=thorough)
