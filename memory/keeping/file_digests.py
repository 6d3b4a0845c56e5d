"""File digests: the digest of every file of a memory's tables, by which ``check`` finds any changed bit.

    digests = FileDigests(folder)
    digests.record(tables.all())            # by the writer, from time to time: hashes the files that are new
    digests.damaged(view)                   # {"data/01….lance": "its content has changed", …}

LanceDB never changes a file, so each file is hashed once. The digests are in ``files.json``. A file that is not in it
yet has been written since the last record.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

from ..storage.digests import sealed_json, unsealed_json
from ..storage.tables import Table, View, latest_view, tracked_paths

log = logging.getLogger(__name__)

FILE_NAME = "files.json"
_DIGEST_BYTES = 16
_CHUNK_BYTES = 1 << 20


class FileDigests:
    """The recorded digests of the files of one memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def is_readable(self) -> bool:
        """Whether the record is intact, or there is none yet."""
        try:
            self._read()
        except ValueError:
            return False
        return True

    def record(self, opened: Iterable[Table]) -> None:
        """Hash the new files of these tables, and drop the digests of deleted files. A failure is logged."""
        try:
            self._record(opened)
        except Exception:
            log.warning("could not record the digests of files in %s", self._folder, exc_info=True)

    def _record(self, opened: Iterable[Table]) -> None:
        try:
            known = self._read()
        except ValueError:
            known = {}
        digests: dict[str, str] = {}
        for table in opened:
            for path in sorted(tracked_paths(latest_view(table))):
                name = f"{table.name}.lance/{path}"
                digest = known.get(name) or file_digest(self._folder / name)
                if digest is not None:
                    digests[name] = digest
        if digests != known:
            draft = self._folder / f"{FILE_NAME}.{os.getpid()}.new"
            draft.write_text(sealed_json({"files": digests}), encoding="utf-8")
            draft.replace(self._folder / FILE_NAME)

    def damaged(self, view: View) -> dict[str, str]:
        """What is wrong with files of a view, by path in the table's folder."""
        table_folder = Path(view.uri)
        try:
            known = self._read()
        except ValueError:
            known = {}
        wrong: dict[str, str] = {}
        for path in sorted(tracked_paths(view)):
            digest = file_digest(table_folder / path)
            expected = known.get(f"{table_folder.name}/{path}", digest)
            if digest is None:
                wrong[path] = "it is missing"
            elif digest != expected:
                wrong[path] = "its content has changed"
        return wrong

    def _read(self) -> dict[str, str]:
        """The recorded digests. Raises ``ValueError`` if they cannot be read."""
        try:
            files: dict[str, str] = unsealed_json((self._folder / FILE_NAME).read_text(encoding="utf-8"))[
                "files"
            ]
        except FileNotFoundError:
            return {}
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(str(error)) from error
        return files


def file_digest(path: Path) -> str | None:
    """The digest of a file's content. None if it does not exist."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    return digest.hexdigest()
