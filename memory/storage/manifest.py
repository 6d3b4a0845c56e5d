"""What a memory's folder says about itself before any of its tables is opened.

    manifest = read_manifest(Path("kitchen"))   # raises NotAMemory, NewerMemory
    manifest.encoder                            # "trigrams/256", or None

Every version of Recollect can read this one small file, so a memory that a newer one wrote is
refused instead of misread.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..encoder import Encoder
from ..errors import EncoderMismatch, NewerMemory, NotAMemory
from .schema import SCHEMA_VERSION
from .writer_lock import LOCK_NAME

MANIFEST_NAME = "memory.json"
FORMAT_NAME = "recollect-memory"

DEFAULT_BUDGET_BYTES = 20_000_000_000
"""The disk budget of a memory that is created without one."""
UNBOUNDED_BYTES = sys.maxsize
"""No limit but the size of the disk."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts of ``memory.json``."""

    schema: int
    created_at_s: float
    """Unix seconds."""
    encoder: str | None = None
    """Name of the encoder whose vectors it holds; None where it holds none."""
    dim: int | None = None
    migrations: tuple[str, ...] = ()
    """The steps that brought it to its schema, where it was made with an older one."""
    budget_bytes: int = UNBOUNDED_BYTES
    """What the folder may take on the disk."""
    stream_budgets: Mapping[str, int] = field(default_factory=dict)
    """What some streams may take of that, in bytes by name."""

    def with_encoder(self, encoder: Encoder | None) -> Manifest:
        """The same with the vectors of another encoder, or with none."""
        return replace(
            self,
            encoder=None if encoder is None else encoder.name,
            dim=None if encoder is None else encoder.dim,
        )

    def with_budgets(self, budget_bytes: int | None, stream_budgets: Mapping[str, int] | None) -> Manifest:
        """The same with other budgets, as far as they are given."""
        return replace(
            self,
            budget_bytes=self.budget_bytes if budget_bytes is None else budget_bytes,
            stream_budgets={**self.stream_budgets, **(stream_budgets or {})},
        )

    def check_encoder(self, folder: Path, encoder: Encoder | None, *, required: bool) -> None:
        """Raise ``EncoderMismatch`` unless ``encoder`` made these vectors.

        ``required`` where rows will be written: a memory with vectors must not get rows without.
        """
        if encoder is None and not required:
            return
        stored, given = _named(self.encoder, self.dim), _of(encoder)
        if stored != given:
            raise EncoderMismatch(folder, stored, given)


def read_manifest(folder: Path) -> Manifest:
    """What the memory in ``folder`` says of itself.

    Raises ``NotAMemory`` where there is none (yet) and ``NewerMemory`` where it cannot be read safely.
    """
    if not folder.exists() or is_unused_folder(folder):
        raise NotAMemory(folder, "nothing has been watched there yet")
    if not folder.is_dir():
        raise NotAMemory(folder, "it is a file")
    try:
        facts = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        if facts["format"] != FORMAT_NAME:
            raise NotAMemory(folder, f"its {MANIFEST_NAME} belongs to something else")
        found = int(facts["schema"])
    except FileNotFoundError:
        raise NotAMemory(folder, f"the folder holds other files and no {MANIFEST_NAME}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise NotAMemory(folder, f"its {MANIFEST_NAME} cannot be read ({error})") from None
    if found > SCHEMA_VERSION:
        raise NewerMemory(folder, found, SCHEMA_VERSION)
    return Manifest(
        found,
        float(facts["created_at_s"]),
        facts.get("encoder"),
        facts.get("dim"),
        tuple(facts.get("migrations", ())),
        int(facts.get("budget_bytes", UNBOUNDED_BYTES)),
        {str(name): int(size) for name, size in facts.get("stream_budgets", {}).items()},
    )


def new_manifest(encoder: Encoder | None) -> Manifest:
    """What a memory made now says of itself."""
    made = Manifest(SCHEMA_VERSION, created_at_s=time.time(), budget_bytes=DEFAULT_BUDGET_BYTES)
    return made.with_encoder(encoder)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make ``folder`` the memory that ``manifest`` describes: the file appears whole or not at all."""
    draft = folder / f"{MANIFEST_NAME}.{os.getpid()}.new"
    with draft.open("w", encoding="utf-8") as file:
        json.dump({"format": FORMAT_NAME, **asdict(manifest)}, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / MANIFEST_NAME)


@contextmanager
def detect_replaced_vectors(folder: Path, encoder: Encoder | None) -> Iterator[None]:
    """Around the use of vectors: where it fails because they were replaced meanwhile, that is said.

    Raises ``EncoderMismatch``.
    """
    try:
        yield
    except Exception:
        read_manifest(folder).check_encoder(folder, encoder, required=False)
        raise


def is_unused_folder(folder: Path) -> bool:
    """Whether it is a folder that nobody put anything into: a memory may be made there."""
    if not folder.is_dir():
        return False
    # A writer killed while it made the memory leaves its lock and perhaps a draft.
    return all(
        entry.name == LOCK_NAME or (entry.name.startswith(MANIFEST_NAME) and entry.name.endswith(".new"))
        for entry in folder.iterdir()
    )


def _of(encoder: Encoder | None) -> str | None:
    return None if encoder is None else _named(encoder.name, encoder.dim)


def _named(name: str | None, dim: int | None) -> str | None:
    return None if name is None else f"{name} ({dim} numbers)"
