"""Cancellation of one question: stops it between steps, and in the middle of a call of the video LMM.

cancellation = Cancellation()
threading.Timer(1.0, cancellation.cancel).start()
Spending(Limits(), cancellation)          # the agent raises QuestionCancelled at its next step or call
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .errors import QuestionCancelled

T = TypeVar("T")


class Cancellation:
    """Asks the thread that answers a question to stop. May be cancelled from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._interrupt: Callable[[], object] | None = None

    def cancel(self) -> None:
        """Stop the question: the call of a model that is under way is aborted, and no further step starts."""
        with self._lock:
            self._is_cancelled = True
            if self._interrupt is not None:
                self._interrupt()

    def raise_if_cancelled(self) -> None:
        """Raise ``QuestionCancelled`` after ``cancel``."""
        if self._is_cancelled:
            raise QuestionCancelled

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run an asynchronous call on the present thread, which must have no event loop, until it is cancelled.

        Raises:
            QuestionCancelled: ``cancel`` was called before or meanwhile.
        """
        return asyncio.run(self._interruptible(call))

    async def _interruptible(self, call: Coroutine[Any, Any, T]) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(call)
        with self._lock:
            if self._is_cancelled:
                task.cancel()
            self._interrupt = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            raise QuestionCancelled from None
        finally:
            with self._lock:
                self._interrupt = None
