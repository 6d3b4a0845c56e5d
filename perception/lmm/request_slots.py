"""Request slots: limit the number of requests under way, with questions before captions.

    slots = RequestSlots(8)
    async with slots.slot("caption"):
        ...     # at most 8 tasks run this at a time, at most 7 of them with captions

They belong to one event loop, and know nothing of time or of the requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .protocol import Priority


class RequestSlots:
    """A priority semaphore. Questions go first, and captions never take the last of several slots."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._for_captions = max(1, count - 1)
        self._waiting: dict[Priority, deque[asyncio.Future[None]]] = {"question": deque(), "caption": deque()}

    @asynccontextmanager
    async def slot(self, priority: Priority) -> AsyncIterator[None]:
        """Wait for a slot, and hold it inside the block."""
        await self._acquire(priority)
        try:
            yield
        finally:
            self._release(priority)

    async def _acquire(self, priority: Priority) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[priority].append(turn)
        self._grant_free_slots()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it got a slot at the moment of its cancellation
                self._release(priority)
            elif turn in self._waiting[priority]:
                self._waiting[priority].remove(turn)
            raise

    def _release(self, priority: Priority) -> None:
        self._free += 1
        self._for_captions += priority == "caption"
        self._grant_free_slots()

    def _grant_free_slots(self) -> None:
        while priority := self._next_priority():
            turn = self._waiting[priority].popleft()
            if turn.cancelled():
                continue
            self._free -= 1
            self._for_captions -= priority == "caption"
            turn.set_result(None)

    def _next_priority(self) -> Priority | None:
        if self._free and self._waiting["question"]:
            return "question"
        if self._free and self._for_captions and self._waiting["caption"]:
            return "caption"
        return None
