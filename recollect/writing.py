"""Writing to one memory: the writer session of this object, and maintenance in whichever process writes.

writing = MemoryWriting(resources)
with writing.session() as session: session.start(…)
writing.maintain(CompactRequest())
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .memory.errors import MemoryInUse
from .resources import MemoryResources

if TYPE_CHECKING:
    from .memory.encoder import Encoder
    from .memory.keeping.erasure import ErasureReceipt
    from .memory.keeping.reindexing import OnProgress, ReindexReport
    from .memory.keeping.requests import StoreRequest
    from .perception.writer_session import WriterSession


_UNNAMED_ENCODER = (
    "It cannot reindex with this encoder, because `vision.model` cannot name an encoder of this class. "
    "Call `reindex` on the Recollect object that watches, or stop that process first."
)


class MemoryWriting:
    """Gives a ``Recollect`` object its writer session."""

    def __init__(self, resources: MemoryResources) -> None:
        self._resources = resources
        self._opening = threading.Lock()
        self._session: WriterSession | None = None

    @contextmanager
    def session(self, purpose: str = "a writer") -> Iterator[WriterSession]:
        """Use the session that is watching, or a new one."""
        from .perception.writer_session import WriterSession  # noqa: PLC0415 - heavy

        with self._opening:
            session = self._session
            if session is None or not session.retain():
                if session is not None:
                    session.wait_until_ended()
                # Only now: the session that ended may have reindexed with another encoder.
                settings = self._resources.writer_settings(purpose)
                session = self._session = WriterSession(
                    self._resources.path, settings, on_new_encoder=self._resources.use_encoder
                )
        try:
            yield session
        finally:
            session.release()

    def reindex(self, encoder: Encoder | None, on_progress: OnProgress | None) -> ReindexReport:
        """Rebuild the vectors: in the session that is watching, in this process, or in the process that writes.

        Raises ``MemoryInUse`` if another process writes and settings cannot name the encoder.
        """
        from .memory.keeping.reindexing import ReindexReport, reindex  # noqa: PLC0415 - LanceDB takes seconds
        from .memory.keeping.requests import ReindexRequest, run_or_request  # noqa: PLC0415
        from .perception.vision import encoder_settings  # noqa: PLC0415 - loads OpenCV

        session = self._session
        if session is not None and session.retain():
            try:
                return session.reindex(encoder, on_progress=on_progress)
            finally:
                session.release()
        if session is not None:
            session.wait_until_ended()

        path, settings = self._resources.path, encoder_settings(encoder)

        def run_here() -> ReindexReport:
            return reindex(path, encoder, on_progress=on_progress)

        if settings is None:
            try:
                return run_here()
            except MemoryInUse as in_use:
                raise MemoryInUse(path, in_use.holder, _UNNAMED_ENCODER) from None
        request = ReindexRequest(settings.model, settings.device)
        report = run_or_request(path, request, run_here, on_progress=on_progress)
        assert isinstance(report, ReindexReport)
        return report

    def maintain(
        self, request: StoreRequest, on_wait: Callable[[int], None] | None = None
    ) -> ErasureReceipt | None:
        """Erase or compact: in the session that is watching, in this process, or in the process that writes."""
        from .memory.keeping.erasure import ErasureReceipt  # noqa: PLC0415 - LanceDB takes seconds to load
        from .memory.keeping.requests import execute, run_or_request  # noqa: PLC0415

        session = self._session
        if session is not None and session.retain():
            try:
                return session.execute(request, on_wait)
            finally:
                session.release()
        if session is not None:
            session.wait_until_ended()

        def run_here() -> ErasureReceipt | None:
            with self._resources.open_writer(request.purpose) as store:
                return execute(store, request, on_wait)

        receipt = run_or_request(self._resources.path, request, run_here, on_wait=on_wait)
        assert receipt is None or isinstance(receipt, ErasureReceipt)
        return receipt
