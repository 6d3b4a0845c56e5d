"""An event loop in a thread of its own, for threads and for other loops to send work to.

    loop = BackgroundLoop("lmm", closed=lambda: LmmUnreachable(url, "closed"))
    loop.wait(work())               # from a thread
    await loop.wait_async(work())   # from another loop
    loop.close(last_words())

The thread begins with the first work. It knows nothing of what the work is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

R = TypeVar("R")


class BackgroundLoop:
    """Runs coroutines; whoever waits for one that ``close`` cuts off gets the error ``closed`` makes."""

    def __init__(self, name: str, *, closed: Callable[[], Exception]) -> None:
        self._name, self._error = name, closed
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def wait(self, work: Coroutine[Any, Any, R]) -> R:
        """Run it, and block until it is done."""
        future = self._submit(work)
        try:
            return future.result()
        finally:
            future.cancel()  # where Ctrl-C ended the waiting; elsewhere it is done already

    async def wait_async(self, work: Coroutine[Any, Any, R]) -> R:
        """Run it, and wait until it is done; it is cancelled with whoever waits."""
        return await asyncio.wrap_future(self._submit(work))

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Cut off what is under way, run ``last``, and end the thread. May be called twice."""
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
                raise self._error()
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(self._run(work), self._loop)

    async def _run(self, work: Coroutine[Any, Any, R]) -> R:
        if (task := asyncio.current_task()) is not None:
            # Who waits is told of an error; where nobody waits any more, asyncio would complain of that.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await work
        except asyncio.CancelledError:
            if self._closed:
                raise self._error() from None
            raise

    async def _wind_up(self, last: Coroutine[Any, Any, None]) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await last
        # The loop's executor is not waited for: a name that is being looked up can take very long.
        await asyncio.get_running_loop().shutdown_asyncgens()
