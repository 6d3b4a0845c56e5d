"""What callers may rely on: exported types, typed async forms, clear errors, one serialization, cancellation."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
import threading
import time
import typing
from datetime import datetime
from pathlib import Path

import pytest

import recollect
from recollect import Limits, Recollect, RecollectError, WatchEvent, WatchOptions, to_plain
from recollect.errors import BadArgument
from recollect.perception.lmm.lmm_settings import LmmSettings
from recollect.testing.lmm_server import LmmServer

ASYNC_FORMS = sorted(
    name
    for name in dir(Recollect)
    if name.startswith("a") and inspect.iscoroutinefunction(getattr(Recollect, name))
)
LONG_CALLS = {
    "watch",
    "start",
    "caption",
    "compact",
    "forget",
    "reindex",
    "ask",
    "search",
    "timeline",
    "close",
}


@pytest.fixture
def memory(watched_demo: Path) -> typing.Iterator[Recollect]:
    with Recollect(watched_demo) as memory:
        yield memory


@pytest.mark.parametrize("name", ASYNC_FORMS)
def test_an_async_form_has_the_signature_of_its_method(name: str) -> None:
    blocking = inspect.signature(getattr(Recollect, name[1:]))

    assert inspect.signature(getattr(Recollect, name)) == blocking


def test_each_long_call_has_an_async_form() -> None:
    assert {name[1:] for name in ASYNC_FORMS} >= LONG_CALLS


def test_every_type_that_a_method_returns_is_exported() -> None:
    returned = [
        inspect.signature(method).return_annotation
        for name, method in inspect.getmembers(Recollect, inspect.isfunction)
        if not name.startswith("_")
    ]
    names = {name for annotation in returned for name in _names_in(annotation) if name[0].isupper()}

    assert names - {"None", "Any", "Iterator"} <= set(recollect.__all__)


def _names_in(annotation: str) -> list[str]:
    return annotation.replace("[", " ").replace("]", " ").replace(",", " ").split()


def test_every_public_name_is_documented() -> None:
    undocumented = [
        name
        for name in recollect.__all__
        if inspect.isclass(getattr(recollect, name)) and not getattr(recollect, name).__doc__
    ]

    assert undocumented == []


WRONG_CALLS = {
    "rung": lambda memory: memory.timeline(rung="week"),
    "limit": lambda memory: memory.timeline(limit=-1),
    "limit of a search": lambda memory: memory.search("door", limit=0),
    "question": lambda memory: memory.ask(None),
    "as_of": lambda memory: memory.ask("What happens?", as_of="2026-01-01"),
    "as_of without a zone": lambda memory: memory.ask("What happens?", as_of=datetime(2026, 1, 1)),
    "options": lambda memory: memory.ask("What happens?", options="AB"),
    "stream": lambda memory: memory.ask("What happens?", stream=3),
    "from_s": lambda memory: memory.ask("What happens?", from_s="1:20"),
    "steps": lambda memory: memory.steps(b"What happens?"),
    "source": lambda memory: memory.watch(None),
    "pin": lambda memory: memory.pin(None),
    "gaps": lambda memory: memory.gaps(None),
    "trace_id": lambda memory: memory.trace(5),
    "ids": lambda memory: memory.frames([3]),
    "ids in a text": lambda memory: memory.frames("abc"),
    "a query that is not UTF-8": lambda memory: memory.search("\udcff"),
    "as_of beyond a float": lambda memory: memory.ask("What happens?", as_of=10**400),
    "encoder of reindex": lambda memory: memory.reindex("siglip"),
    "on_progress": lambda memory: memory.reindex(on_progress=3),
    "on_wait": lambda memory: memory.forget("demo", on_wait=3),
    "on_event": lambda memory: memory.watch("kitchen.mp4", on_event=3),
    "stream of caption": lambda memory: memory.caption(3),
    "an empty stream name": lambda memory: memory.watch("kitchen.mp4", stream=" "),
    "an endless stream name": lambda memory: memory.watch("kitchen.mp4", stream="x" * 5000),
    "an empty source": lambda memory: memory.watch(""),
    "a list of sources": lambda memory: memory.watch(["kitchen.mp4"]),
    "a URL without a host": lambda memory: memory.watch("http://"),
    "a URL with a wrong port": lambda memory: memory.watch("rtsp://camera.local:99999999/live"),
    "watch options": lambda memory: memory.watch("kitchen.mp4", options={}),
    "fps 0": lambda memory: WatchOptions(fps=0),
    "fps nan": lambda memory: WatchOptions(fps=float("nan")),
    "fps infinite": lambda memory: WatchOptions(fps=float("inf")),
    "fps in a text": lambda memory: WatchOptions(fps="4"),
    "ocr": lambda memory: WatchOptions(ocr="no"),
    "observers": lambda memory: WatchOptions(observers="faces"),
    "disk_budget of a stream": lambda memory: WatchOptions(disk_budget=1.5),
    "max_outage_s": lambda memory: WatchOptions(max_outage_s=-1),
    "written_at": lambda memory: WatchOptions(written_at=3),
    "an empty path": lambda memory: Recollect(""),
    "a path with a null character": lambda memory: Recollect("a\0b"),
    "lmm": lambda memory: Recollect("x.lance", lmm="http://127.0.0.1:8000/v1"),
    "encoder": lambda memory: Recollect("x.lance", encoder="siglip"),
    "reasoner": lambda memory: Recollect("x.lance", reasoner=3),
    "limits": lambda memory: Recollect("x.lance", limits=5),
    "overrides": lambda memory: Recollect("x.lance", overrides={}),
    "seconds": lambda memory: Limits(seconds=-1),
    "rounds": lambda memory: Limits(rounds="many"),
    "an unknown limit": lambda memory: Limits(minutes=3),
}


@pytest.mark.parametrize("call", WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_a_wrong_argument_is_named_with_what_is_expected(call: typing.Any, memory: Recollect) -> None:
    with pytest.raises(BadArgument, match=r"^`\w+` is .+, but must be .+\.$"):
        call(memory)


def test_everything_a_method_returns_has_a_plain_form(memory: Recollect) -> None:
    answer = memory.ask("When does the sign say CLOSED?")
    values = [
        answer,
        memory.status(),
        memory.usage(),
        memory.timeline(limit=2),
        memory.search("closed", limit=2),
        memory.pins(),
        memory.gaps("demo"),
        memory.frames(answer.evidence[0].frame_ids),
        memory.trace(answer.trace_id),
    ]

    plain = json.loads(json.dumps(to_plain(values), allow_nan=False))

    assert plain[0]["trace_id"] == answer.trace_id
    assert plain[1][0]["stream"] == "demo"
    assert {"start_s", "end_s", "caption"} <= set(plain[3][0])
    assert "score" in plain[4][0]
    assert "jpeg" not in plain[7][0]


def test_an_unknown_object_has_no_plain_form() -> None:
    with pytest.raises(TypeError, match="has no plain form"):
        to_plain(object())


def test_an_answer_is_shown_as_escaped_html(memory: Recollect) -> None:
    answer = memory.ask("When does the sign say CLOSED?")
    hostile = answer.model_copy(update={"text": "<script>alert(1)</script>\x1b[31m"})

    page = hostile._repr_html_()

    assert "<script>" not in page
    assert "\x1b" not in page
    assert answer.evidence[0].stream in page


def test_a_memory_is_an_async_context(watched_demo: Path) -> None:
    async def ask() -> str:
        async with Recollect(watched_demo) as memory:
            return (await memory.aask("When does the sign say CLOSED?")).text

    assert "CLOSED" in asyncio.run(ask())


def test_a_cancelled_question_stops_within_a_second(watched_demo: Path) -> None:
    """The server accepts the request and never answers."""

    async def ask_and_cancel(url: str) -> float:
        async with Recollect(watched_demo, lmm=LmmSettings(url=url, model="tiny", max_retries=0)) as memory:
            question = asyncio.create_task(memory.aask("Who opens the door?"))
            while not server.requests:
                await asyncio.sleep(0.02)
            question.cancel()
            began_s = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await question
            return time.monotonic() - began_s

    with LmmServer() as server:
        server.trickle()
        took_s = asyncio.run(ask_and_cancel(server.url))

    assert took_s < 1.0


def test_a_question_can_be_asked_again_after_one_was_cancelled(watched_demo: Path) -> None:
    async def cancel_then_ask() -> str:
        async with Recollect(watched_demo) as memory:
            first = asyncio.create_task(memory.aask("When does the sign say CLOSED?"))
            await asyncio.sleep(0)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            return (await memory.aask("When does the sign say CLOSED?")).text

    assert "CLOSED" in asyncio.run(cancel_then_ask())


def test_a_cancelled_awatch_stops_no_other_watch(tmp_path: Path) -> None:
    """The cameras do not answer, so they are tried until they are stopped."""

    async def cancel_one() -> tuple[bool, list[str]]:
        async with Recollect(tmp_path / "home.lance") as memory:
            door = await memory.astart("rtsp://127.0.0.1:9/door", stream="door")
            yard = asyncio.create_task(memory.awatch("rtsp://127.0.0.1:9/yard", stream="yard"))
            while len(watch_threads()) < 2:
                await asyncio.sleep(0.02)
            yard.cancel()
            with pytest.raises(asyncio.CancelledError):
                await yard
            return door.is_active, watch_threads()

    assert asyncio.run(cancel_one()) == (True, ["watch door"])


def test_a_cancelled_astart_leaves_no_watch(tmp_path: Path) -> None:
    async def start_and_cancel() -> list[str]:
        async with Recollect(tmp_path / "home.lance") as memory:
            start = asyncio.create_task(memory.astart("rtsp://127.0.0.1:9/door", stream="door"))
            await asyncio.sleep(0)
            start.cancel()
            with pytest.raises(asyncio.CancelledError):
                await start
            until_s = time.monotonic() + 5.0
            while watch_threads() and time.monotonic() < until_s:
                await asyncio.sleep(0.02)
            return watch_threads()

    assert asyncio.run(start_and_cancel()) == []


def watch_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("watch ")]


def test_closing_during_a_question_does_not_crash(watched_demo: Path) -> None:
    for _ in range(5):
        memory = Recollect(watched_demo)
        steps = memory.steps("When does the sign say CLOSED?")
        next(steps)

        memory.close()

        assert [name for name, _ in steps][-1] == "answer"


def test_a_failing_handler_ends_its_watch_with_its_error(
    short_video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: WatchEvent) -> None:
        raise RuntimeError("no room on the screen")

    with Recollect(tmp_path / "home.lance") as memory:
        watch = memory.start(short_video, on_event=fail)
        with pytest.raises(RuntimeError, match="no room on the screen"):
            watch.wait()

    assert watch.status().last_error == "no room on the screen"
    assert "failed on its last event" in caplog.text


def test_the_documented_error_tree_matches_the_classes() -> None:
    from recollect import errors

    drawn: dict[str, str] = {}
    parents: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.strip(" │├└─").partition(" ")[0]
        cls = getattr(errors, name, None) if name.isidentifier() else None
        if (
            inspect.isclass(cls)
            and issubclass(cls, RecollectError)
            and ("─" in line or name == "RecollectError")
        ):
            depth = (len(line) - len(line.lstrip(" │├└─"))) // 4
            parents = [*parents[: depth - 1], name] if depth > 1 else ["RecollectError"]
            drawn[name] = parents[-2] if len(parents) > 1 else ""

    actual = {
        name: next((base.__name__ for base in cls.__mro__[1:] if issubclass(base, RecollectError)), "")
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, RecollectError)
    }

    assert drawn == actual
    assert set(actual) == set(errors.__all__)


def test_the_first_question_of_a_process_is_cancelled_at_once(watched_demo: Path) -> None:
    """LangGraph is still being loaded then."""
    code = (
        "import asyncio, sys, time\n"
        "from recollect import Recollect\n"
        "async def main():\n"
        "    question = asyncio.create_task(Recollect(sys.argv[1]).aask('When does the sign say CLOSED?'))\n"
        "    await asyncio.sleep(0.05)\n"
        "    began_s = time.monotonic()\n"
        "    question.cancel()\n"
        "    await asyncio.wait([question])\n"
        "    print(time.monotonic() - began_s, question.cancelled())\n"
        "asyncio.run(main())\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(watched_demo)], capture_output=True, text=True, check=True
    )

    took_s, is_cancelled = done.stdout.split()
    assert is_cancelled == "True"
    assert float(took_s) < 1.0
