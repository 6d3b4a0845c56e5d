"""The LMM client with a working server: order, limits, usage, and sync and async calls."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from pydantic import BaseModel

from recollect.perception.errors import LmmError, LmmNotServed, LmmTimedOut, LmmUnreachable
from recollect.perception.lmm import ClipPart, Lmm, LmmUsage, Prompt, ServedLmm, TextPart, open_lmm
from recollect.perception.lmm.lmm_settings import LmmSettings
from recollect.testing.lmm_server import LmmServer
from recollect.testing.scripted_lmm import ScriptedLmm


class Caption(BaseModel):
    caption: str


GOOD = '{"caption": "A kettle boils."}'


def prompt(name: str = "caption") -> Prompt:
    return Prompt(name, 1, "Describe.", (TextPart(name),))


@pytest.fixture
def server():
    with LmmServer(GOOD) as server:
        yield server


@pytest.fixture
def client(server):
    """A function that makes clients of the server. They are closed after the test."""
    clients: list[ServedLmm] = []

    def make(**settings) -> ServedLmm:
        clients.append(ServedLmm(LmmSettings(**({"url": server.url} | settings))))
        return clients[-1]

    yield make
    for lmm in clients:
        lmm.close()


@pytest.fixture
def threads():
    with ThreadPoolExecutor(16) as pool:
        yield pool


def request_texts(server: LmmServer) -> list[str]:
    """The texts of the received requests, in order."""
    return [request.body["messages"][-1]["content"][0]["text"] for request in server.requests]


def wait_for_requests(server: LmmServer, count: int) -> list[str]:
    """Wait until ``count`` requests have arrived, and then briefly for requests that must not arrive."""
    end = time.monotonic() + 10
    while len(server.requests) < count and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.15)
    return request_texts(server)


def ask(threads: ThreadPoolExecutor, lmm: ServedLmm, name: str) -> Future[object]:
    """Send a request from a thread. The prompt's name begins with the priority's first letter."""
    priority = "question" if name.startswith("q") else "caption"
    return threads.submit(lmm.ask_now, prompt(name), Caption, priority=priority)


def test_a_question_overtakes_waiting_captions(server, client, threads):
    lmm = client(concurrency=1, model="loopback")
    server.stall()
    futures = [ask(threads, lmm, "c1")]
    wait_for_requests(server, 1)
    futures += [ask(threads, lmm, name) for name in ("c2", "c3")]
    time.sleep(0.15)
    futures.append(ask(threads, lmm, "q1"))
    time.sleep(0.15)

    server.resume()

    assert all(future.result() for future in futures)
    assert request_texts(server)[:2] == ["c1", "q1"]
    assert sorted(request_texts(server)[2:]) == ["c2", "c3"]


def test_concurrency_is_limited_and_one_slot_left_to_questions(server, client, threads):
    lmm = client(concurrency=3, model="loopback")
    server.stall()

    futures = [ask(threads, lmm, name) for name in ("c1", "c2", "c3", "c4")]
    assert [name[0] for name in wait_for_requests(server, 2)] == ["c", "c"]
    futures += [ask(threads, lmm, name) for name in ("q1", "q2")]
    assert [name[0] for name in wait_for_requests(server, 3)] == ["c", "c", "q"]

    server.resume()
    assert all(future.result() for future in futures)


def test_the_deadline_covers_the_wait_for_a_slot(server, client, threads):
    lmm = client(concurrency=1, model="loopback")
    server.stall()
    first = ask(threads, lmm, "q1")
    wait_for_requests(server, 1)

    with pytest.raises(LmmTimedOut, match="waiting for a turn"):
        lmm.ask_now(prompt("q2"), Caption, deadline_s=0.3)

    server.resume()
    assert first.result()
    assert request_texts(server) == ["q1"]


def test_a_caller_that_stops_waiting_frees_its_slot(server, client):
    lmm = client(concurrency=1, model="loopback")
    server.stall()

    async def impatient():
        async with asyncio.timeout(0.3):
            await lmm.ask(prompt("q1"), Caption)

    with pytest.raises(TimeoutError):
        asyncio.run(impatient())
    server.resume()

    assert lmm.ask_now(prompt("q2"), Caption, deadline_s=5)


def test_threads_and_event_loops_may_ask_at_once(server, client, threads):
    lmm = client(concurrency=4)

    async def many():
        return await asyncio.gather(*(lmm.ask(prompt(), Caption) for _ in range(8)))

    loops = [threads.submit(asyncio.run, many()) for _ in range(2)]
    futures = [threads.submit(lmm.ask_now, prompt(), Caption) for _ in range(8)]

    replies = [reply for loop in loops for reply in loop.result()] + [future.result() for future in futures]
    assert {reply.value.caption for reply in replies} == {"A kettle boils."}
    assert lmm.usage["question"].calls == len(server.requests) == 24


def test_a_reply_carries_its_cost_and_costs_add_up(server, client):
    lmm = client()

    first = lmm.ask_now(prompt(), Caption, priority="caption")
    second = lmm.ask_now(prompt(), Caption, priority="caption")

    assert first.usage.calls == 1
    assert first.usage.completion_tokens == -(-len(GOOD) // 4)
    assert first.usage.cached_tokens == first.usage.prompt_tokens // 2
    assert 0 < second.usage.seconds < 5
    assert lmm.usage == {"caption": first.usage + second.usage, "question": LmmUsage()}


def test_the_settings_reach_the_server(server, client):
    client(temperature=0.5, max_tokens=70).ask_now(prompt(), Caption)
    client().ask_now(prompt(), Caption, max_tokens=80)

    sampling = [(request.body["temperature"], request.body["max_tokens"]) for request in server.requests]
    assert sampling == [(0.5, 70), (0.0, 80)]


def test_a_clip_arrives_with_its_times(server, client):
    shown = Prompt("caption", 1, "", (ClipPart((b"a", b"b"), (12.0, 12.25)),))

    client().ask_now(shown, Caption)
    client(video="pictures").ask_now(shown, Caption)

    video, pictures = (request.body for request in server.requests)
    assert video["media_io_kwargs"]["video"]["frames_indices"] == [12_000, 12_250]
    assert video["media_io_kwargs"]["video"]["fps"] == 1000
    assert "media_io_kwargs" not in pictures
    assert [part["type"] for part in pictures["messages"][0]["content"]] == ["text", "image_url"] * 2


def test_priorities_are_sent_only_if_the_setting_is_on(server, client):
    client().ask_now(prompt(), Caption)
    lmm = client(server_priorities=True)
    shown = Prompt("caption", 1, "", (ClipPart((b"a", b"b"), (1.0, 2.0)),))
    lmm.ask_now(shown, Caption, priority="caption")
    lmm.ask_now(shown, Caption, priority="question")

    assert [request.body.get("priority") for request in server.requests] == [None, 1, 0]
    assert "media_io_kwargs" in server.requests[1].body


def test_the_only_served_model_is_used(server, client):
    lmm = client()

    reply = lmm.ask_now(prompt(), Caption)

    assert reply.written_by == "lmm:loopback/caption.1"
    assert lmm.name == "loopback"


def test_the_model_name_is_requested_only_if_it_is_not_set(server, client):
    assert client().name == "loopback"

    server.refuse()
    assert client(model="tiny").name == "tiny"
    with pytest.raises(LmmUnreachable):
        client().name  # noqa: B018


def test_a_changed_model_is_followed_if_none_is_set(server, client):
    lmm = client()
    lmm.ask_now(prompt(), Caption)

    server.model = "another"

    assert lmm.ask_now(prompt(), Caption).written_by == "lmm:another/caption.1"
    assert lmm.name == "another"


def test_a_server_describes_itself(server, client):
    served = asyncio.run(client().describe())

    assert (served.model, served.models, served.context_tokens) == ("loopback", ("loopback",), 4096)
    with pytest.raises(LmmNotServed, match="Models there: loopback"):
        client(model="qwen").describe_now()


def test_another_kind_of_server_is_reported(server, client):
    server.truncate()

    with pytest.raises(LmmUnreachable, match="does not speak OpenAI's API"):
        client().describe_now()


def test_describing_has_its_deadline(server, client):
    server.stall()

    with pytest.raises(LmmTimedOut, match="list of models"):
        client().describe_now(deadline_s=0.3)


def test_closing_cancels_waiting_callers_and_ends_the_thread(server, client, threads):
    lmm = client(model="loopback", concurrency=1)
    server.stall()
    waiting = [ask(threads, lmm, name) for name in ("q1", "q2")]
    wait_for_requests(server, 1)

    lmm.close()

    for future in waiting:
        with pytest.raises(LmmUnreachable, match="closed"):
            future.result()
    with pytest.raises(LmmUnreachable, match="closed"):
        lmm.ask_now(prompt(), Caption)
    lmm.close()
    assert "lmm" not in {thread.name for thread in threading.enumerate()}


def test_closing_ends_a_request_of_an_event_loop(server, client):
    lmm = client(model="loopback")
    server.stall()

    async def scene():
        asking = asyncio.create_task(lmm.ask(prompt(), Caption))
        await asyncio.to_thread(wait_for_requests, server, 1)
        await asyncio.to_thread(lmm.close)
        with pytest.raises(LmmUnreachable, match="closed"):
            await asking

    asyncio.run(scene())


def test_cancelling_just_before_closing_logs_nothing(server, client, caplog):
    server.stall()
    lmm = client(model=server.model)

    async def give_up() -> None:
        asking = [asyncio.create_task(lmm.ask(prompt(), Caption)) for _ in range(5)]
        while len(server.requests) < 5:
            await asyncio.sleep(0.01)
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)

    asyncio.run(give_up())
    lmm.close()
    gc.collect()

    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_an_unused_client_can_be_closed(client):
    client().close()


def test_without_an_address_there_is_no_client():
    assert open_lmm(LmmSettings()) is None
    with pytest.raises(ValueError, match="url"):
        ServedLmm(LmmSettings())


@pytest.mark.parametrize("name", ["ask", "ask_now", "describe", "describe_now", "close"])
def test_the_scripted_lmm_has_the_same_signatures(name):
    expected = inspect.signature(getattr(Lmm, name))

    assert inspect.signature(getattr(ServedLmm, name)) == expected
    assert inspect.signature(getattr(ScriptedLmm, name)) == expected


def test_every_failure_is_an_lmm_error():
    assert {LmmUnreachable, LmmTimedOut, LmmNotServed} <= set(LmmError.__subclasses__())
