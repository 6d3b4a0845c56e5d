"""A background event loop in a thread, to which threads and other event loops submit coroutines.

    loop = BackgroundLoop("lmm", closed=lambda: LmmUnreachable(url, "closed"))
    loop.wait(work())               # from a thread
    await loop.wait_async(work())   # from another event loop
    loop.close(last_work())

The thread starts with the first work. The loop knows nothing of what the work does.

It is not anyio's blocking portal, for two reasons. A program that ends without closing the portal hangs at
exit. And closing the portal waits for the loop's executor, in which a look-up of a host name may hang.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

R = TypeVar("R")


class BackgroundLoop:
    """Runs coroutines in a thread. Work that ``close`` cancels raises the error that ``closed`` makes."""

    def __init__(self, name: str, *, closed: Callable[[], Exception]) -> None:
        self._name, self._make_error = name, closed
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def wait(self, work: Coroutine[Any, Any, R]) -> R:
        """Run ``work``, and block until it is done."""
        future = self._submit(work)
        try:
            return future.result()
        finally:
            future.cancel()  # if Ctrl-C interrupted the wait; otherwise the future is done

    async def wait_async(self, work: Coroutine[Any, Any, R]) -> R:
        """Run ``work``, and wait until it is done. Cancelling the caller cancels the work."""
        return await asyncio.wrap_future(self._submit(work))

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancel the work under way, run ``last``, and end the thread. May be called twice."""
        with self._lock:
            self._closed = True
            loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            last.close()
            return
        asyncio.run_coroutine_threadsafe(self._wind_up(last), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()

    def _submit(self, work: Coroutine[Any, Any, R]) -> Future[R]:
        with self._lock:
            if self._closed:
                work.close()
                raise self._make_error()
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(self._run(work), self._loop)

    async def _run(self, work: Coroutine[Any, Any, R]) -> R:
        if (task := asyncio.current_task()) is not None:
            # Retrieve the error: after a cancelled caller, asyncio would log it as never retrieved.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await work
        except asyncio.CancelledError:
            if self._closed:
                raise self._make_error() from None
            raise

    async def _wind_up(self, last: Coroutine[Any, Any, None]) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await last
        # The executor is not shut down: that would wait for a look-up of a host name.
        await asyncio.get_running_loop().shutdown_asyncgens()
