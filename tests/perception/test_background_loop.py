"""The background event loop closes at once, even while work still runs in it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from recollect.perception.lmm.background_loop import BackgroundLoop

UNCLOSED = """
import asyncio
from recollect.perception.lmm.background_loop import BackgroundLoop

loop = BackgroundLoop("unclosed", closed=lambda: RuntimeError("closed"))
print(loop.wait(asyncio.sleep(0.01, "done")))
"""


async def nothing() -> None:
    """Work that ends at once."""


@pytest.fixture
def loop():
    loop = BackgroundLoop("background", closed=lambda: RuntimeError("the loop was closed"))
    yield loop
    loop.close(nothing())


def test_a_program_that_never_closes_the_loop_still_ends():
    ended = subprocess.run(
        [sys.executable, "-c", UNCLOSED], capture_output=True, text=True, timeout=30, check=True
    )

    assert ended.stdout == "done\n"


def test_closing_does_not_wait_for_a_thread_of_the_executor(loop):
    release = threading.Event()
    errors: list[BaseException] = []

    async def block_like_a_name_lookup() -> None:
        await asyncio.get_running_loop().run_in_executor(None, release.wait, 20.0)

    def wait() -> None:
        try:
            loop.wait(block_like_a_name_lookup())
        except RuntimeError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.1)

    start_s = time.monotonic()
    loop.close(nothing())
    took_s = time.monotonic() - start_s
    release.set()
    waiter.join()

    assert took_s < 5.0
    assert [str(error) for error in errors] == ["the loop was closed"]


def test_cancelling_the_caller_cancels_the_work(loop):
    cancelled = threading.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(20.0)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loop.wait_async(work()), 0.1)

    asyncio.run(give_up())

    assert cancelled.wait(5.0)
