"""Request slots: the order of waiting requests, on a bare event loop."""

from __future__ import annotations

import asyncio

from recollect.perception.lmm.request_slots import RequestSlots


class Crowd:
    """Tasks that take a slot, record it in ``inside``, and keep it until ``leave`` is called."""

    def __init__(self, count: int) -> None:
        self.slots = RequestSlots(count)
        self.inside: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._doors: dict[str, asyncio.Event] = {}

    async def come(self, *names: str) -> None:
        for name in names:
            self._doors[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._stay(name))
            await asyncio.sleep(0)
        await settle()

    async def leave(self, name: str) -> None:
        self._doors[name].set()
        await settle()

    async def _stay(self, name: str) -> None:
        async with self.slots.slot("question" if name.startswith("q") else "caption"):
            self.inside.append(name)
            try:
                await self._doors[name].wait()
            finally:
                self.inside.remove(name)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_question_goes_before_every_waiting_caption():
    async def scene():
        crowd = Crowd(1)
        await crowd.come("c1", "c2", "c3", "q1")
        await crowd.leave("c1")
        assert crowd.inside == ["q1"]
        await crowd.leave("q1")
        assert crowd.inside == ["c2"]

    asyncio.run(scene())


def test_captions_leave_one_slot_of_several_to_questions():
    async def scene():
        crowd = Crowd(3)
        await crowd.come("c1", "c2", "c3")
        assert crowd.inside == ["c1", "c2"]
        await crowd.come("q1", "q2")
        assert crowd.inside == ["c1", "c2", "q1"]
        await crowd.leave("c1")
        assert crowd.inside == ["c2", "q1", "q2"]

    asyncio.run(scene())


def test_a_cancelled_waiter_is_skipped():
    async def scene():
        crowd = Crowd(1)
        await crowd.come("q1", "q2", "q3")
        crowd.tasks["q2"].cancel()
        await crowd.leave("q1")
        assert crowd.inside == ["q3"]

    asyncio.run(scene())


def test_a_slot_granted_during_cancellation_is_passed_on():
    async def scene():
        crowd = Crowd(1)
        await crowd.come("q1", "q2", "q3")
        crowd.tasks["q1"].cancel()
        await asyncio.sleep(0)  # q1 has left, and its slot was granted to q2, which has not run yet
        crowd.tasks["q2"].cancel()
        await settle()
        assert crowd.inside == ["q3"]

    asyncio.run(scene())


def test_cancellation_inside_releases_the_slot():
    async def scene():
        crowd = Crowd(1)
        await crowd.come("c1", "c2")
        crowd.tasks["c1"].cancel()
        await settle()
        assert crowd.inside == ["c2"]

    asyncio.run(scene())
