"""Erasure proof: shows from the files of a memory that nothing of what was erased is left, before a receipt is given.

    require_no_references(folder, tables)           # before: no branch or tag keeps old rows
    samples = ErasedSamples.take(tables, …)         # before: ids, texts and bytes of pictures
    require_erased(folder, tables, commits, samples)         # afterwards: a scan over every file

Two things are proved. Every file in the folder of a table belongs to the newest version of the table, which does not
have the rows: compressed pages can hide bytes from a scan. And no file of the memory holds the sampled bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ErasureBlocked, ErasureIncomplete
from ..storage.commits import Commits
from ..storage.tables import Table, Tables, batches, latest_view, one_of, select, tracked_paths

_SAMPLES = 8
"""Ids, pictures and texts that are looked for, each. They are spread evenly over what is erased."""
_PICTURE_BYTES = 32
_TEXT_BYTES = 24
"""Shorter texts are not looked for, because other moments may have them by chance."""
_CHUNK_BYTES = 32 << 20
_VERSION_HINT = "latest_version_hint.json"
_TRACES = "questions.sqlite"
"""Prefix of the files whose erasure follows the receipt: see ``Recollect.forget``."""


@dataclass(slots=True)
class ErasedSamples:
    """Bytes that only the erased rows have."""

    ids: list[bytes] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)
    """Bytes from the middle of pictures. Another picture may be the same."""
    texts: list[bytes] = field(default_factory=list)
    """Texts of observations. Others may say the same, so only files of no table are searched for them."""

    @classmethod
    def take(cls, opened: Tables, memory_ids: Iterable[str], frames_where: str | None) -> ErasedSamples:
        """Samples of the memories of these ids, and of the pictures that pass ``frames_where``."""
        ids = _spread(sorted(memory_ids))
        where = one_of("moment_id", ids)
        texts = select(latest_view(opened.observations), where=where, columns=["text"])
        frames = latest_view(opened.frames)
        picture_ids = [row["id"] for row in select(frames, where=frames_where, columns=["id"])]
        pictures = select(frames, where=one_of("id", _spread(picture_ids)), columns=["jpeg"])
        return cls(
            ids=[key.encode() for key in ids],
            pictures=[_middle(row["jpeg"]) for row in pictures if len(row["jpeg"]) >= _PICTURE_BYTES],
            texts=[text for row in texts if len(text := row["text"].encode()) >= _TEXT_BYTES],
        )


def require_no_references(folder: Path, opened: Tables) -> None:
    """Raise ``ErasureBlocked`` if a branch or a tag of a table keeps versions that an erasure must delete."""
    kept_by = [reference for table in opened.all() for reference in _references(folder, table.name)]
    if kept_by:
        raise ErasureBlocked(folder, tuple(kept_by))


def _references(folder: Path, name: str) -> Iterator[str]:
    for kind, noun in (("tags", "tag"), ("branches", "branch")):
        for path in sorted((folder / f"{name}.lance" / "_refs" / kind).glob("*.json")):
            yield f"the {noun} {path.stem} of {name}.lance"


def require_erased(folder: Path, opened: Tables, commits: Commits, samples: ErasedSamples) -> int:
    """Raise ``ErasureIncomplete`` if a file may hold what was erased. Returns the number of files that were scanned.

    The caller holds the maintenance lock, and has deleted all old versions.
    """
    with commits.paused(opened):
        left = {path for table in opened.all() for path in _strays(folder / f"{table.name}.lance", table)}
    table_folders = [folder / f"{table.name}.lance" for table in opened.all()]
    scanned = [path for path in sorted(folder.rglob("*")) if _is_scanned(path)]
    for path in scanned:
        if any(path.is_relative_to(table_folder) for table_folder in table_folders):
            hits = _found_in(path, [*samples.ids, *samples.pictures])
            if hits and not _are_of_others(hits, samples, opened):
                left.add(path)
        elif _found_in(path, [*samples.ids, *samples.pictures, *samples.texts]):
            left.add(path)
    if left:
        raise ErasureIncomplete(folder, tuple(str(path.relative_to(folder)) for path in sorted(left)))
    return len(scanned)


def _strays(table_folder: Path, table: Table) -> Iterator[Path]:
    """The files in the folder of a table that do not belong to its newest version."""
    tracked = {table_folder / path for path in tracked_paths(latest_view(table))}
    for path in table_folder.rglob("*"):
        if path.is_file() and path not in tracked and path.name != _VERSION_HINT:
            yield path


def _is_scanned(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(_TRACES)


def _found_in(path: Path, needles: Sequence[bytes]) -> set[bytes]:
    """Which of these bytes a file contains: none if it was deleted meanwhile."""
    overlap = max(map(len, needles), default=1) - 1
    hits: set[bytes] = set()
    try:
        with path.open("rb") as file:
            tail = b""
            while chunk := file.read(_CHUNK_BYTES):
                window = tail + chunk
                hits |= {needle for needle in needles if needle in window}
                tail = window[-overlap:] if overlap else b""
    except FileNotFoundError:
        return set()
    return hits


def _are_of_others(hits: set[bytes], samples: ErasedSamples, opened: Tables) -> bool:
    """Whether all of these bytes are of pictures that are still stored, and the same as an erased one."""
    missing = set(hits)
    if missing & set(samples.ids):
        return False
    for batch in batches(latest_view(opened.frames), ["jpeg"]):
        for jpeg in batch["jpeg"].to_pylist():
            missing = {needle for needle in missing if needle not in jpeg}
        if not missing:
            return True
    return False


def _middle(jpeg: bytes) -> bytes:
    start = (len(jpeg) - _PICTURE_BYTES) // 2
    return jpeg[start : start + _PICTURE_BYTES]


def _spread(items: Sequence[str]) -> list[str]:
    """A few of the items, evenly spread."""
    step = max(1, len(items) // _SAMPLES)
    return list(items[::step][:_SAMPLES])
