"""Resources of one memory object: settings, encoder, video LMM, the open store and the trace store.

Each is opened when it is first needed and kept until ``close``. May be used from several threads.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .agent.traces import TraceStore
    from .memory.encoder import Encoder
    from .memory.store import MemoryStore
    from .perception.lmm import Lmm, ServedLmm
    from .perception.lmm.lmm_settings import LmmSettings
    from .perception.writer_session import WriterSettings

_TRACES_SHARE = 20
"""Traces of questions may take one part in so many of a memory's disk budget."""
_TRACES_FILE = "questions.sqlite"


class MemoryResources:
    """What a ``Recollect`` object opens for one memory."""

    def __init__(
        self,
        path: Path,
        *,
        encoder: Encoder | None,
        lmm: Lmm | LmmSettings | None,
        disk_budget: str | int | None,
    ) -> None:
        """Open nothing yet.

        Raises ``BadBudget``.
        """
        self.path = path
        self.has_own_budget = disk_budget is not None
        """Whether the disk budget was given to this object, rather than by the settings or the memory."""
        self._encoder = encoder
        self._encoder_is_resolved = encoder is not None
        self._lmm = lmm
        self._served_lmm: ServedLmm | None = None
        self._own_budget_bytes = None if disk_budget is None else parse_disk_budget(disk_budget)
        self._lock = threading.Lock()
        self._reader: MemoryStore | None = None
        self._traces: TraceStore | None = None

    def close(self) -> None:
        """Close everything that was opened. May be called twice."""
        self.drop_reader()
        with self._lock:
            if self._traces is not None:
                self._traces.close()
                self._traces = None
            if self._served_lmm is not None:
                self._served_lmm.close()
                self._served_lmm = None

    # -- models -----------------------------------------------------------------------------------

    def encoder(self) -> Encoder | None:
        """The given encoder, or the one that the settings name; None without either."""
        with self._lock:
            if not self._encoder_is_resolved:
                from .settings import read_settings  # noqa: PLC0415 - loads pydantic

                vision = read_settings().vision
                if vision.model is not None:
                    from .perception.vision import open_encoder  # noqa: PLC0415 - loads OpenCV

                    self._encoder = open_encoder(vision)
                self._encoder_is_resolved = True
            return self._encoder

    def use_encoder(self, encoder: Encoder | None) -> None:
        """Use this encoder from now on."""
        with self._lock:
            self._encoder, self._encoder_is_resolved = encoder, True
        self.drop_reader()

    def lmm(self) -> Lmm | None:
        """The given video LMM, or a client for the given or configured settings; None without any."""
        from .perception.lmm import open_lmm  # noqa: PLC0415
        from .perception.lmm.lmm_settings import LmmSettings  # noqa: PLC0415
        from .settings import read_settings  # noqa: PLC0415

        if self._lmm is not None and not isinstance(self._lmm, LmmSettings):
            return self._lmm
        with self._lock:
            if self._served_lmm is None:
                self._served_lmm = open_lmm(self._lmm or read_settings().lmm)
            return self._served_lmm

    def tracing(self) -> bool:
        """Whether LangSmith's own variables may turn its tracing on."""
        from .settings import read_settings  # noqa: PLC0415

        return read_settings().agent.tracing

    # -- the disk ---------------------------------------------------------------------------------

    def disk_budget_bytes(self) -> int | None:
        """The given disk budget, or that of the settings; None leaves the memory's own."""
        from .settings import read_settings  # noqa: PLC0415

        if self._own_budget_bytes is not None:
            return self._own_budget_bytes
        configured = read_settings().memory.disk_budget
        return None if configured is None else parse_disk_budget(configured)

    def min_free_bytes(self) -> int:
        """Bytes that writing leaves free on the disk."""
        from .memory.keeping.byte_sizes import parse_bytes  # noqa: PLC0415
        from .settings import read_settings  # noqa: PLC0415

        return parse_bytes(read_settings().memory.min_free)

    def writer_settings(self, purpose: str) -> WriterSettings:
        """How a writer session opens the memory."""
        from .perception.writer_session import WriterSettings  # noqa: PLC0415 - heavy

        return WriterSettings(
            encoder=self.encoder(),
            lmm=self.lmm(),
            budget_bytes=self.disk_budget_bytes(),
            min_free_bytes=self.min_free_bytes(),
            purpose=purpose,
        )

    def reader(self) -> MemoryStore:
        """The memory, open for reading."""
        from .memory.store import MemoryStore  # noqa: PLC0415 - LanceDB takes seconds to load

        encoder, min_free_bytes = self.encoder(), self.min_free_bytes()
        with self._lock:
            if self._reader is None:
                self._reader = MemoryStore.open(self.path, encoder=encoder, min_free_bytes=min_free_bytes)
            return self._reader

    def drop_reader(self) -> None:
        """Open the memory again at the next read, because its vectors or its budget have changed."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def open_writer(self, purpose: str) -> MemoryStore:
        """The memory, open for work that frees space. It must exist, and may use the reserve of free bytes."""
        from .memory.store import MemoryStore  # noqa: PLC0415 - LanceDB takes seconds to load

        self.reader()
        return MemoryStore.open(
            self.path,
            write=True,
            encoder=self.encoder(),
            budget_bytes=self.disk_budget_bytes(),
            min_free_bytes=0,
            what=purpose,
        )

    def traces(self) -> TraceStore:
        """The stored steps of questions, in SQLite beside the tables of the memory."""
        from .agent.traces import open_traces  # noqa: PLC0415

        store = self.reader()
        most_bytes = store.budget_bytes // _TRACES_SHARE
        with self._lock:
            if self._traces is None:
                self._traces = open_traces(store.path / _TRACES_FILE, most_bytes)
            self._traces.most_bytes = most_bytes
            return self._traces


def parse_disk_budget(size: str | int) -> int:
    """A disk budget in bytes, from a size such as ``20 GB``.

    Raises ``BadBudget``.
    """
    from .memory.keeping.byte_sizes import parse_bytes  # noqa: PLC0415
    from .memory.keeping.disk_budget import check_budget  # noqa: PLC0415

    size_bytes = parse_bytes(size)
    check_budget(size_bytes)
    return size_bytes
