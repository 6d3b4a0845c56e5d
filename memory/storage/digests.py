"""Row digests: tell whether a row that answers rest on is what was written.

    row = with_digest({"id": "g1", "cause": "stalled", …}, schema.GAPS)
    intact_rows("gaps", rows)          # without those whose content has changed since

LanceDB verifies no checksum when it reads, so one flipped bit changes a picture or a text without an error. The digest
of an observation covers its record, from which everything that is shown of it is built. The digest of any other row
covers all of its columns. Rows from before schema 4 have no digest, and are taken as they are.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from . import schema
from .schema import Row

log = logging.getLogger(__name__)

DIGEST_BYTES = 16
_MOST_TOLD = 1000
"""A process warns of so many damaged rows at most, and of each once."""


def sealed_json(facts: Mapping[str, Any], indent: int | None = None) -> str:
    """A JSON object with the digest of its other members, for small files."""
    return json.dumps({**facts, "digest": _json_digest(facts)}, indent=indent)


def unsealed_json(text: str) -> dict[str, Any]:
    """The members of a JSON object, without the digest. Raises ``ValueError`` if they do not match it.

    An object without a digest is taken as it is: Recollect wrote none before schema 4.
    """
    facts: dict[str, Any] = json.loads(text)
    digest = facts.pop("digest", None)
    if digest is not None and digest != _json_digest(facts):
        raise ValueError("its content does not match its digest")
    return facts


def _json_digest(facts: Mapping[str, Any]) -> str:
    encoded = json.dumps(facts, sort_keys=True).encode()
    return blake2b(encoded, digest_size=DIGEST_BYTES).hexdigest()


def with_digest(row: Row, columns: pa.Schema) -> Row:
    """The row with its digest, if its table has a column for digests."""
    return {**row, "digest": row_digest(row, columns)} if "digest" in columns.names else row


def row_digest(row: Mapping[str, Any], columns: pa.Schema) -> bytes:
    """The digest of the record of a row, or of all its columns if it has no record."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    if "record" in columns.names:
        digest.update(row["record"].encode())
        return digest.digest()
    for name in _covered(columns):
        value = row.get(name)
        if value is not None and pa.types.is_floating(columns.field(name).type):
            value = float(value)
        encoded = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
        # The length keeps a byte from moving to the next column unnoticed.
        digest.update(f"{name}:{len(encoded)}:".encode())
        digest.update(encoded)
    return digest.digest()


@cache
def _covered(columns: pa.Schema) -> tuple[str, ...]:
    return tuple(sorted(name for name in columns.names if name != "digest"))


def is_intact(row: Mapping[str, Any], columns: pa.Schema) -> bool:
    """Whether the row is what was written, as far as its digest tells."""
    return row.get("digest") is None or row["digest"] == row_digest(row, columns)


def intact_rows(kind: str, rows: Iterable[Row]) -> list[Row]:
    """The rows of a kind of table without the damaged ones, of which a warning is logged."""
    columns, intact = schema.TABLES[kind], []
    for row in rows:
        if is_intact(row, columns):
            intact.append(row)
        else:
            _warn(kind, row["digest"])
    return intact


def _warn(kind: str, digest: bytes) -> None:
    if (kind, digest) not in _told and len(_told) < _MOST_TOLD:
        _told.add((kind, digest))
        log.warning(
            "a row of %s is damaged and is left out. `recollect check` says what else is, "
            "and `recollect check --repair` mends what can be mended",
            kind,
        )


_told: set[tuple[str, bytes]] = set()
