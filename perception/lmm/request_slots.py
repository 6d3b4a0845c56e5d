"""Who may send a request next.

    slots = RequestSlots(8)
    async with slots.one("caption"):
        ...     # at most 8 are here at a time, and at most 7 of them captions

It belongs to one event loop, keeps no clock, and knows nothing of what is sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .protocol import Priority


class RequestSlots:
    """A number of places; waiting questions go first, and captions never take the last place of several."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._for_captions = max(1, count - 1)
        self._waiting: dict[Priority, deque[asyncio.Future[None]]] = {"question": deque(), "caption": deque()}

    @asynccontextmanager
    async def one(self, priority: Priority) -> AsyncIterator[None]:
        """Wait for a place, and hold it inside the block."""
        await self._take(priority)
        try:
            yield
        finally:
            self._give_back(priority)

    async def _take(self, priority: Priority) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[priority].append(turn)
        self._hand_out()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given a place at the very moment it gave up
                self._give_back(priority)
            elif turn in self._waiting[priority]:
                self._waiting[priority].remove(turn)
            raise

    def _give_back(self, priority: Priority) -> None:
        self._free += 1
        self._for_captions += priority == "caption"
        self._hand_out()

    def _hand_out(self) -> None:
        while priority := self._next():
            turn = self._waiting[priority].popleft()
            if turn.cancelled():
                continue
            self._free -= 1
            self._for_captions -= priority == "caption"
            turn.set_result(None)

    def _next(self) -> Priority | None:
        if self._free and self._waiting["question"]:
            return "question"
        if self._free and self._for_captions and self._waiting["caption"]:
            return "caption"
        return None
