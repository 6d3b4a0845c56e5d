"""The Python client on the demo's memory: answers, steps, traces, threads, tasks and errors."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

import recollect
from recollect import Limits, Recollect, RecollectError, WatchOptions
from recollect.agent.errors import BadQuestion
from recollect.memory.errors import NotAMemory, UnknownStream

SIGN = "When does the sign say CLOSED?"


def test_the_example_of_the_readme_works(demo_video, tmp_path, watched_demo):
    with Recollect(watched_demo) as memory:
        report = memory.watch(demo_video)
        answer = memory.ask(SIGN)

    assert report.already_done
    assert answer.evidence[0].span.start_s == answer.evidence[0].start_s
    assert (answer.abstained, answer.choice) == (False, None)
    assert 0 <= answer.confidence <= 1


def truth_of(demo, kind: str, text: str = "") -> list[float]:
    return [truth.span.start_s for truth in demo.truths if truth.kind == kind and text in truth.text]


def test_the_sign_is_found_at_its_time(demo, watched_demo):
    with Recollect(watched_demo) as memory:
        best = memory.ask(SIGN).evidence[0]

    assert "CLOSED" in best.text
    assert best.start_s < 45
    assert best.end_s > 40


def test_visits_are_counted(watched_demo):
    with Recollect(watched_demo) as memory:
        assert memory.ask("How many visits are there?").text.startswith("3 visits")


def test_the_second_cut_is_located(demo, watched_demo):
    with Recollect(watched_demo) as memory:
        best = memory.ask("When is the second cut?").evidence[0]

    assert best.start_s == pytest.approx(truth_of(demo, "cut")[1], abs=0.05)


def test_a_qr_code_is_read(watched_demo):
    with Recollect(watched_demo) as memory:
        assert "RECOLLECT-DEMO-7" in memory.ask("What does the QR code say?").text


def test_speech_is_quoted(watched_demo):
    with Recollect(watched_demo) as memory:
        assert "parcel on the counter" in memory.ask("What is said about the parcel?").text


def test_an_option_is_chosen(watched_demo):
    with Recollect(watched_demo) as memory:
        answer = memory.ask("Which sign comes first?", options=["CLOSED: STOCKTAKING", "OPEN 9-17"])

    assert answer.choice in ("B", None)


def test_steps_come_in_order_and_the_trace_can_be_read_later(watched_demo):
    with Recollect(watched_demo) as memory:
        steps = list(memory.steps(SIGN))
    answer = steps[-1][1]["answer"]
    with Recollect(watched_demo) as second:
        trace = second.trace(answer["trace_id"])
        unknown = second.trace("no such trace")

    assert [name for name, _ in steps] == ["overview", "read", "recall", "inspect", "judge", "answer"]
    assert [step["next"] for step in trace] == [["__start__"], *([name] for name, _ in steps), []]
    assert trace[-1]["state"]["answer"] == answer
    assert trace[-1]["state"]["question"]["text"] == SIGN
    assert unknown == []


def test_the_first_step_comes_before_the_answer(watched_demo):
    with Recollect(watched_demo) as memory:
        steps = memory.steps(SIGN)

        name, change = next(steps)
        steps.close()

    assert name == "overview"
    assert change["overview"]


def test_a_memory_can_be_closed_twice_and_asked_again(watched_demo):
    memory = Recollect(watched_demo)
    first = memory.ask(SIGN)
    memory.close()
    memory.close()

    again = memory.ask(SIGN)
    memory.close()

    assert again.text == first.text


def test_a_memory_that_was_never_used_can_be_closed(tmp_path):
    with Recollect(tmp_path / "none.lance") as memory:
        memory.stop()

    assert list(tmp_path.iterdir()) == []


def test_two_threads_may_ask_at_once(watched_demo):
    questions = [
        SIGN,
        "How many visits are there?",
        "What does the QR code say?",
        "When is the second cut?",
    ] * 2
    with Recollect(watched_demo) as memory:
        alone = [memory.ask(question).text for question in questions]
        with ThreadPoolExecutor(2) as pool:
            together = list(pool.map(memory.ask, questions))

    assert [answer.text for answer in together] == alone
    assert len({answer.trace_id for answer in together}) == len(questions)


def test_two_objects_may_ask_the_same_memory_at_once(watched_demo):
    def ask(question: str) -> str:
        with Recollect(watched_demo) as memory:
            return memory.ask(question).text

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(ask, [SIGN] * 6))

    assert len(set(together)) == 1


def test_questions_are_answered_while_a_stream_is_being_watched(demo_video, tmp_path):
    async def watch_and_ask() -> tuple[list[str], recollect.WatchReport]:
        async with asyncio.timeout(60):
            states = []
            started = asyncio.Event()
            loop = asyncio.get_running_loop()

            def show(event: recollect.WatchEvent) -> None:
                # The memory holds moments to ask about.
                if isinstance(event, recollect.Progress) and event.moments:
                    loop.call_soon_threadsafe(started.set)

            with Recollect(tmp_path / "memory.lance") as memory:
                watching = asyncio.create_task(
                    memory.awatch(demo_video, options=WatchOptions(fps=25), on_event=show)
                )
                await started.wait()
                answer = await memory.aask("What happens?")
                states.append((await memory.astatus())[0].stream.state)
                assert answer.coverage[0].watched_s > 0
                assert await memory.atimeline()
                assert await memory.asearch("shape") is not None
                memory.stop()
                return states, await watching

    states, report = asyncio.run(watch_and_ask())

    assert states == ["watching"]
    assert report.state == "stopped"


@pytest.mark.slow
def test_cancelling_a_watch_stops_it_and_keeps_its_moments(demo_video, tmp_path):
    async def watch_and_cancel() -> None:
        async with asyncio.timeout(60):
            started = asyncio.Event()
            loop = asyncio.get_running_loop()

            def show(event: recollect.WatchEvent) -> None:
                if isinstance(event, recollect.Progress) and event.moments:
                    loop.call_soon_threadsafe(started.set)

            watching = asyncio.create_task(
                memory.awatch(demo_video, options=WatchOptions(fps=25), on_event=show)
            )
            await started.wait()
            watching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await watching

    with Recollect(tmp_path / "memory.lance") as memory:
        asyncio.run(watch_and_cancel())
        (stopped,) = memory.status()
        report = memory.watch(demo_video, options=WatchOptions(fps=25, ocr=False))
        (finished,) = memory.status()

    assert stopped.stream.state == "stopped"
    assert 0 < stopped.coverage.watched_s < 70
    assert report.resumed_at_s == pytest.approx(stopped.coverage.span.end_s)
    assert finished.coverage.watched_s == pytest.approx(70, abs=0.1)
    assert finished.counts.captured == 1750
    assert finished.counts.balanced


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.1])
def test_a_watch_cancelled_before_it_began_does_not_run_on(demo_video, tmp_path, after_s):
    async def watch_and_cancel() -> None:
        watching = asyncio.create_task(memory.awatch(demo_video))
        await asyncio.sleep(after_s)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching

    with Recollect(tmp_path / "memory.lance") as memory:
        began = time.monotonic()
        asyncio.run(watch_and_cancel())

    assert time.monotonic() - began < 10  # watching the whole video takes longer


def test_stop_from_another_thread_ends_a_watch(demo_video, tmp_path):
    with Recollect(tmp_path / "memory.lance") as memory:
        timer = threading.Timer(0.2, memory.stop)
        timer.start()
        report = memory.watch(demo_video, options=WatchOptions(ocr=False))
        timer.join()

    assert report.state == "stopped"
    assert report.until_s < 70


def test_an_earlier_stop_does_not_stop_a_later_watch(short_video, tmp_path):
    with Recollect(tmp_path / "memory.lance") as memory:
        memory.stop()

        assert memory.watch(short_video, options=WatchOptions(ocr=False)).state == "done"


def test_as_of_is_a_date_or_seconds_and_hides_later_moments(watched_demo):
    early = datetime(2020, 1, 1, tzinfo=UTC)
    with Recollect(watched_demo) as memory:
        by_date = memory.ask(SIGN, as_of=early)
        by_seconds = memory.ask(SIGN, as_of=early.timestamp())
        epoch = memory.ask(SIGN, as_of=0)
        now = memory.ask(SIGN, as_of=datetime.now(UTC))

    assert (
        (by_date.why, by_date.as_of)
        == (by_seconds.why, by_seconds.as_of)
        == ("not_watched", "2020-01-01T00:00:00.000+00:00")
    )
    assert epoch.why == "not_watched"
    assert not now.abstained


def test_the_time_limit_ends_a_question(watched_demo):
    with Recollect(watched_demo, limits=Limits(seconds=1e-6)) as memory:
        answer = memory.ask("When does a dog bark at the sign?")

    assert answer.usage.rounds == 1


def test_frames_returns_the_pictures_of_the_evidence(watched_demo):
    with Recollect(watched_demo) as memory:
        evidence = memory.ask(SIGN).evidence[0]
        frames = memory.frames([*evidence.frame_ids, "no such picture"])

    assert [frame.id for frame in frames] == list(evidence.frame_ids)
    assert all(frame.jpeg.startswith(b"\xff\xd8") for frame in frames)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"stream": "nowhere"}, UnknownStream),
        ({"stream": ["demo", "nowhere"]}, UnknownStream),
        ({"options": ["one"]}, BadQuestion),
        ({"from_s": 20, "to_s": 10}, BadQuestion),
        ({"from_s": -1.0}, BadQuestion),
        ({"to_s": float("nan")}, BadQuestion),
        ({"from_s": float("inf")}, BadQuestion),
        ({"as_of": float("nan")}, BadQuestion),
        ({"as_of": 1e30}, BadQuestion),
    ],
)
def test_an_invalid_question_raises_a_recollect_error(watched_demo, options, error):
    with Recollect(watched_demo) as memory, pytest.raises(error) as raised:
        memory.ask(SIGN, **options)

    assert isinstance(raised.value, RecollectError)


def test_an_empty_search_raises_bad_question(watched_demo):
    with Recollect(watched_demo) as memory, pytest.raises(BadQuestion):
        memory.search("  ")


def test_a_missing_memory_raises_not_a_memory(tmp_path: Path):
    with Recollect(tmp_path / "none.lance") as memory, pytest.raises(NotAMemory):
        memory.ask(SIGN)


def test_every_public_name_exists_and_no_other(watched_demo):
    assert sorted(recollect.__all__) == recollect.__all__
    assert all(hasattr(recollect, name) for name in recollect.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Recolect'"):
        _ = recollect.Recolect
