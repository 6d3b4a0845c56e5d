"""The manifest of a memory: its schema, encoder and disk budgets, read before any table is opened.

    manifest = read_manifest(Path("kitchen"))   # raises NotAMemory, NewerMemory
    manifest.encoder                            # "trigrams/256", or None

The manifest is the file ``memory.json``. Every version of Recollect can read it, so a memory of a newer version
is refused and not misread.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..encoder import Encoder
from ..errors import EncoderMismatch, MemoryDamaged, NewerMemory, NotAMemory
from .digests import sealed_json, unsealed_json
from .schema import SCHEMA_VERSION, TABLES
from .writer_lock import LOCK_NAME

MANIFEST_NAME = "memory.json"
FORMAT_NAME = "recollect-memory"

DEFAULT_BUDGET_BYTES = 20_000_000_000
"""The disk budget of a memory that is created without one."""
UNBOUNDED_BYTES = sys.maxsize
"""No limit but the size of the disk."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of ``memory.json``."""

    schema: int
    created_at_s: float
    """Unix seconds of creation."""
    encoder: str | None = None
    """Name of the encoder that made its vectors. None if it holds no vectors."""
    dim: int | None = None
    """Length of its vectors. None if it holds no vectors."""
    migrations: tuple[str, ...] = ()
    """The migrations that were applied to it, by function name."""
    budget_bytes: int = UNBOUNDED_BYTES
    """The disk budget of the folder."""
    stream_budgets: Mapping[str, int] = field(default_factory=dict)
    """Disk budgets of single streams in bytes, by stream name."""

    def with_encoder(self, encoder: Encoder | None) -> Manifest:
        """A copy for the vectors of another encoder, or without vectors."""
        return replace(
            self,
            encoder=None if encoder is None else encoder.name,
            dim=None if encoder is None else encoder.dim,
        )

    def with_budgets(self, budget_bytes: int | None, stream_budgets: Mapping[str, int] | None) -> Manifest:
        """A copy with other budgets. None leaves a budget unchanged."""
        return replace(
            self,
            budget_bytes=self.budget_bytes if budget_bytes is None else budget_bytes,
            stream_budgets={**self.stream_budgets, **(stream_budgets or {})},
        )

    def check_encoder(self, folder: Path, encoder: Encoder | None, *, required: bool) -> None:
        """Raise ``EncoderMismatch`` unless ``encoder`` made these vectors.

        Without an encoder, only ``required`` raises. Writers set it, because a memory with vectors must not get rows
        without vectors.
        """
        if encoder is None and not required:
            return
        stored = _describe(self.encoder, self.dim)
        offered = None if encoder is None else _describe(encoder.name, encoder.dim)
        if stored != offered:
            raise EncoderMismatch(folder, stored, offered)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the memory in ``folder``.

    Raises ``NotAMemory`` if the folder holds no memory, ``NewerMemory`` if a newer Recollect wrote it, and
    ``MemoryDamaged`` if the file was lost or its content has changed.
    """
    if not folder.exists() or is_unused_folder(folder):
        raise NotAMemory(folder, "nothing has been watched there yet")
    if not folder.is_dir():
        raise NotAMemory(folder, "it is a file")
    try:
        facts = unsealed_json((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        if facts["format"] != FORMAT_NAME:
            raise NotAMemory(folder, f"its {MANIFEST_NAME} belongs to another program")
        schema = int(facts["schema"])
    except FileNotFoundError:
        if _holds_tables(folder):
            raise MemoryDamaged(folder, MANIFEST_NAME, "the file is missing") from None
        raise NotAMemory(folder, f"the folder holds other files and no {MANIFEST_NAME}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if _holds_tables(folder):
            raise MemoryDamaged(folder, MANIFEST_NAME, str(error)) from None
        raise NotAMemory(folder, f"its {MANIFEST_NAME} cannot be read ({error})") from None
    if schema > SCHEMA_VERSION:
        raise NewerMemory(folder, schema, SCHEMA_VERSION)
    return Manifest(
        schema,
        float(facts["created_at_s"]),
        facts.get("encoder"),
        facts.get("dim"),
        tuple(facts.get("migrations", ())),
        int(facts.get("budget_bytes", UNBOUNDED_BYTES)),
        {str(name): int(size) for name, size in facts.get("stream_budgets", {}).items()},
    )


def new_manifest(encoder: Encoder | None) -> Manifest:
    """The manifest of a memory that is created now."""
    manifest = Manifest(SCHEMA_VERSION, created_at_s=time.time(), budget_bytes=DEFAULT_BUDGET_BYTES)
    return manifest.with_encoder(encoder)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest to ``folder`` atomically."""
    draft = folder / f"{MANIFEST_NAME}.{os.getpid()}.new"
    with draft.open("w", encoding="utf-8") as file:
        file.write(sealed_json({"format": FORMAT_NAME, **asdict(manifest)}, indent=2))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / MANIFEST_NAME)


@contextmanager
def detect_replaced_vectors(folder: Path, encoder: Encoder | None) -> Iterator[None]:
    """Raise ``EncoderMismatch`` if the block fails because another process replaced the vectors.

    Any other error of the block passes unchanged.
    """
    try:
        yield
    except Exception:
        read_manifest(folder).check_encoder(folder, encoder, required=False)
        raise


def is_unused_folder(folder: Path) -> bool:
    """Whether ``folder`` is empty, so that a memory can be created in it."""
    if not folder.is_dir():
        return False
    # A writer that was killed while it created the memory leaves its lock and perhaps a draft.
    return all(
        entry.name == LOCK_NAME or (entry.name.startswith(MANIFEST_NAME) and entry.name.endswith(".new"))
        for entry in folder.iterdir()
    )


def _holds_tables(folder: Path) -> bool:
    return any((folder / f"{name}.lance").is_dir() for name in TABLES)


def _describe(name: str | None, dim: int | None) -> str | None:
    return None if name is None else f"{name} ({dim} numbers)"
