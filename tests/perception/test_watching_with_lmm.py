"""Watching with a failing video LMM on a real socket: watching continues, and all is described later."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import openai  # noqa: F401 - loading it takes a while, which must not come between a fault and its effect
import pytest

from recollect import Recollect
from recollect.cli.main import main
from recollect.memory import MemoryStore
from recollect.memory.values import RUNGS, Moment
from recollect.perception.lmm import ServedLmm
from recollect.perception.lmm.lmm_settings import LmmSettings
from recollect.perception.stages.moment_writer import FLUSH_MOMENTS
from recollect.perception.watch_events import DescriptionsWaiting, Progress, WatchEvent
from recollect.perception.watch_options import WatchOptions
from recollect.perception.watching import watch
from recollect.testing.lmm_server import LmmServer, RecordedRequest


def caption_reply(request: RecordedRequest) -> str:
    """A caption for a request with pictures, or a summary for a request without."""
    content = request.body["messages"][1]["content"]
    shown = sum(part["type"] != "text" for part in content)
    fields = {"actors": ["a kettle"], "actions": ["boils"], "objects": [], "place": "kitchen"}
    if shown:
        return json.dumps({"caption": "A red kettle boils over.", **fields, "visible_text": []})
    return json.dumps({"caption": "The kettle boils over and over.", **fields})


def write_film(path: Path, shots: int) -> Path:
    """Shots of five seconds in which a square moves, 160×96 at 10 frames a second."""
    colours = np.random.default_rng(3).integers(0, 255, (shots, 3))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(shots * 50):
            picture = np.full((96, 160, 3), colours[number // 50], np.uint8)
            picture[30:60, 2 * (number % 50) :][:, :30] = 255 - colours[number // 50]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty seconds, watched in one commit."""
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", 10)


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight minutes, watched in several commits however fast the machine is."""
    return write_film(tmp_path_factory.mktemp("long") / "film.mp4", FLUSH_MOMENTS + 32)


@pytest.fixture
def server() -> Iterator[LmmServer]:
    with LmmServer(caption_reply) as server:
        yield server


@pytest.fixture
def lmm(server: LmmServer) -> Iterator[ServedLmm]:
    with ServedLmm(settings(server)) as lmm:
        yield lmm


def settings(server: LmmServer, **changed: Any) -> LmmSettings:
    return LmmSettings(
        **{"url": server.url, "model": server.model, "max_retries": 0, "timeout_s": 20} | changed
    )


def everything(memory: Path) -> list[Moment]:
    with MemoryStore.open(memory) as store:
        snapshot = store.snapshot()
        return [
            moment
            for stream in store.streams()
            for rung in RUNGS
            for moment in snapshot.timeline(stream.name, rung=rung, limit=10_000)
        ]


def assert_described(memory: Path) -> None:
    """Check that each memory of every rung has one description by the model, and that none waits."""
    moments = everything(memory)
    for moment in moments:
        by_lmm = [
            observation.written_by
            for observation in moment.observations
            if observation.written_by.startswith("lmm:")
        ]
        name = "caption" if moment.rung == "moment" else "summary"
        assert by_lmm == [f"lmm:loopback/{name}.1"], moment
    assert {moment.rung for moment in moments} >= {"moment", "event"}
    with MemoryStore.open(memory) as store:
        assert store.backlog_counts() == {}


def test_a_film_is_described_when_watching_ends(film, server, lmm, tmp_path):
    events: list[WatchEvent] = []

    report = watch(
        tmp_path / "memory", str(film), options=WatchOptions(ocr=False), lmm=lmm, on_event=events.append
    )

    assert (report.state, report.waiting) == ("done", 0)
    assert_described(tmp_path / "memory")
    assert len(server.requests) == len(everything(tmp_path / "memory"))
    assert [event for event in events if isinstance(event, Progress)][-1].waiting == 0
    with Recollect(tmp_path / "memory") as memory:
        assert memory.search("kettle")[0].moment.caption == "A red kettle boils over."
        assert memory.search("shape")[0].moment.caption == "A red kettle boils over.", (
            "observers are still found"
        )


def test_without_a_server_the_same_is_stored_and_captioned_later(film, server, lmm, tmp_path):
    watch(tmp_path / "without", str(film), options=WatchOptions(ocr=False))
    server.refuse()
    events: list[WatchEvent] = []

    report = watch(
        tmp_path / "with", str(film), options=WatchOptions(ocr=False), lmm=lmm, on_event=events.append
    )

    with_lmm, without = everything(tmp_path / "with"), everything(tmp_path / "without")
    assert [(m.id, m.span, m.caption) for m in with_lmm] == [(m.id, m.span, m.caption) for m in without]
    assert report.state == "done"
    assert report.waiting == len(with_lmm)
    assert server.requests == []
    (waiting,) = [event for event in events if isinstance(event, DescriptionsWaiting)]
    assert "Connection refused" in waiting.reason

    server.resume()
    with Recollect(tmp_path / "with", lmm=lmm) as memory:
        later = memory.caption()

    assert (later.described, later.waiting) == (len(with_lmm), 0)
    assert_described(tmp_path / "with")


def test_watching_ends_before_any_reply(film, server, lmm, tmp_path):
    """The worker never waits for the model: every request is held until watching is done."""
    server.stall()
    described_when_done: list[int] = []

    def resume_when_watched(event: WatchEvent) -> None:
        if not isinstance(event, Progress):
            return
        with MemoryStore.open(tmp_path / "memory") as store:
            if store.stream("film").state != "done" or described_when_done:
                return
        moments = everything(tmp_path / "memory")
        described_when_done.append(sum(len(moment.observations) - 1 for moment in moments))
        server.resume()

    report = watch(
        tmp_path / "memory", str(film), options=WatchOptions(ocr=False), lmm=lmm, on_event=resume_when_watched
    )

    assert described_when_done == [0]
    assert report.waiting == 0
    assert_described(tmp_path / "memory")


@pytest.mark.slow
def test_a_killed_server_loses_nothing_and_the_next_watch_drains(long_film, server, lmm, tmp_path):
    def dying(request: RecordedRequest) -> str:
        if len(server.requests) > 3:
            server.refuse()
        return caption_reply(request)

    server.says = dying
    events: list[WatchEvent] = []

    report = watch(
        tmp_path / "memory", str(long_film), options=WatchOptions(ocr=False), lmm=lmm, on_event=events.append
    )

    total = len(everything(tmp_path / "memory"))
    assert report.state == "done"
    assert 0 < report.waiting < total
    assert [type(event) for event in events if "Descriptions" in type(event).__name__] == [
        DescriptionsWaiting
    ]

    server.says = caption_reply
    server.resume()
    again = watch(tmp_path / "memory", str(long_film), lmm=lmm, options=WatchOptions(ocr=False))

    assert again.already_done
    assert again.waiting == 0
    assert_described(tmp_path / "memory")


@pytest.mark.parametrize(
    "fault",
    [
        LmmServer.stall,
        LmmServer.reset,
        LmmServer.truncate,
        lambda server: server.answer_with(429),
        lambda server: server.answer_with(500),
        lambda server: setattr(server, "model", "another"),
    ],
    ids=["silent", "reset", "truncated", "429", "500", "other model"],
)
@pytest.mark.slow
def test_watching_succeeds_with_any_fault_of_the_server(film, server, tmp_path, fault):
    fault(server)
    with ServedLmm(settings(server, model="loopback", timeout_s=0.5)) as lmm:
        report = watch(tmp_path / "memory", str(film), lmm=lmm, options=WatchOptions(ocr=False))

    assert report.state == "done"
    assert report.waiting == len(everything(tmp_path / "memory"))

    server.resume()
    server.model = "loopback"
    with Recollect(tmp_path / "memory", lmm=settings(server)) as memory:
        assert memory.caption().waiting == 0
    assert_described(tmp_path / "memory")


@pytest.mark.slow
def test_a_stop_ends_describing_at_once_and_keeps_the_backlog(long_film, server, lmm, tmp_path):
    server.stall()
    with Recollect(tmp_path / "memory", lmm=lmm) as memory:

        def stop_after_a_while(event: WatchEvent) -> None:
            if isinstance(event, Progress) and event.time_s > 5:
                memory.stop()

        report = memory.watch(long_film, options=WatchOptions(ocr=False), on_event=stop_after_a_while)

    assert report.state == "stopped"
    assert report.waiting > 0
    server.resume()
    with Recollect(tmp_path / "memory", lmm=lmm) as memory:
        assert memory.watch(long_film, options=WatchOptions(ocr=False)).waiting == 0
    assert_described(tmp_path / "memory")


def test_without_draining_watching_ends_with_the_file(film, server, lmm, tmp_path):
    server.stall()

    report = watch(tmp_path / "memory", str(film), lmm=lmm, options=WatchOptions(ocr=False, drain=False))

    assert report.state == "done"
    assert report.waiting == len(everything(tmp_path / "memory"))


def test_a_memory_watched_without_a_model_can_be_described(film, server, lmm, tmp_path):
    watch(tmp_path / "memory", str(film), options=WatchOptions(ocr=False))
    with Recollect(tmp_path / "memory", lmm=lmm) as memory:
        assert memory.caption().described == 0

        report = memory.caption("film", everything=True)

    assert report.described == len(everything(tmp_path / "memory"))
    assert_described(tmp_path / "memory")


@pytest.mark.slow
def test_cancelling_async_describing_keeps_the_backlog(film, server, lmm, tmp_path):
    watch(tmp_path / "memory", str(film), options=WatchOptions(ocr=False))

    async def cancel_and_go_on(memory: Recollect) -> int:
        server.stall()
        task = asyncio.create_task(memory.acaption(everything=True))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.resume()
        return (await memory.acaption()).described

    with Recollect(tmp_path / "memory", lmm=lmm) as memory:
        described = asyncio.run(cancel_and_go_on(memory))

    assert described == len(everything(tmp_path / "memory"))
    assert_described(tmp_path / "memory")


# -- the command --------------------------------------------------------------------------------------


def test_the_command_watches_describes_and_prints_the_backlog(film, server, tmp_path, capfd):
    memory, flags = str(tmp_path / "memory"), ["--lmm-url", server.url, "--lmm-model", "loopback"]
    server.says = "It is a kettle."

    assert main(["watch", str(film), "--no-ocr", "--memory", memory, *flags]) == 0
    out, err = capfd.readouterr()
    assert "for the video LMM; continue with: recollect caption" in out
    assert "descriptions wait" in err

    assert main(["status", "--memory", memory]) == 0
    text = capfd.readouterr().out
    assert main(["status", "--memory", memory, "--json"]) == 0
    backlog = json.loads(capfd.readouterr().out)["streams"][0]["backlog"]
    assert f"descriptions: {backlog['waiting']} waiting, the oldest for 0:" in text
    assert "replied out of schema" in text
    assert backlog["waiting"] == len(everything(tmp_path / "memory"))
    assert backlog["given_up"] == 0
    assert backlog["oldest_s"] >= 0
    assert "replied out of schema" in backlog["last_error"]

    server.says = caption_reply
    assert main(["caption", "--memory", memory, *flags]) == 0
    assert capfd.readouterr().out == f"{backlog['waiting']} described.\n"
    assert_described(tmp_path / "memory")


@pytest.mark.slow
def test_the_command_reports_an_unreachable_server(film, server, tmp_path, capfd):
    memory = str(tmp_path / "memory")
    watch(tmp_path / "memory", str(film), options=WatchOptions(ocr=False))
    server.refuse()

    code = main(["caption", "--all", "--memory", memory, "--lmm-url", server.url, "--lmm-model", "loopback"])

    out, err = capfd.readouterr()
    assert code == 1
    assert out.startswith("0 described. ")
    assert "Connection refused" in err


def test_without_a_model_the_command_explains_the_setting(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECOLLECT_LMM__URL", raising=False)

    assert main(["caption", "--memory", str(tmp_path / "memory")]) == 2

    assert "RECOLLECT_LMM__URL" in capfd.readouterr().err


def test_a_wrong_path_creates_no_memory(server, tmp_path, capfd):
    assert main(["caption", "--memory", str(tmp_path / "none"), "--lmm-url", server.url]) == 2

    assert not (tmp_path / "none").exists()


def test_a_model_named_by_the_environment_is_used(film, server, tmp_path, monkeypatch):
    monkeypatch.setenv("RECOLLECT_LMM__URL", server.url)

    with Recollect(tmp_path / "memory") as memory:
        memory.watch(film, options=WatchOptions(ocr=False))

    assert_described(tmp_path / "memory")


# -- killed processes -------------------------------------------------------------------------------------------


def start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "recollect.cli.main", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def options(memory: Path, server: LmmServer) -> list[str]:
    return ["--memory", str(memory), "--quiet", "--lmm-url", server.url, "--lmm-model", "loopback"]


@pytest.mark.slow
def test_kills_while_describing_leave_no_duplicates_and_no_gaps(film, server, tmp_path):
    chance = random.Random(4)
    memory = tmp_path / "memory"
    watch(memory, str(film), options=WatchOptions(ocr=False))

    def slowly(request: RecordedRequest) -> str:
        time.sleep(0.15)
        return caption_reply(request)

    server.says = slowly
    everything_else = ["--all"]
    for _ in range(6):
        before = len(server.requests)
        child = start("caption", *options(memory, server), *everything_else)
        while len(server.requests) == before and child.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.5))
        child.kill()
        child.communicate()
        everything_else = []

    _, errors = start("caption", *options(memory, server)).communicate(timeout=120)

    assert errors == b""
    assert_described(memory)


@pytest.mark.slow
def test_kills_while_watching_leave_everything_described(long_film, server, tmp_path):
    chance = random.Random(5)
    memory = tmp_path / "memory"
    for _ in range(6):
        before = len(server.requests)
        child = start("watch", str(long_film), "--no-ocr", *options(memory, server))
        while len(server.requests) == before and child.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.4))
        child.kill()
        child.communicate()

    _, errors = start("watch", str(long_film), "--no-ocr", *options(memory, server)).communicate(timeout=120)

    assert errors == b""
    assert_described(memory)


@pytest.mark.slow
def test_ctrl_c_ends_a_process_that_waits_for_captions_at_once(film, server, tmp_path):
    """The process waits for the model, and Ctrl-C ends this wait."""
    memory = tmp_path / "memory"
    watch(memory, str(film), options=WatchOptions(ocr=False))
    server.stall()
    child = start("caption", *options(memory, server), "--all")
    while not server.requests:
        time.sleep(0.01)

    os.kill(child.pid, signal.SIGINT)

    child.communicate(timeout=10)
    assert child.returncode == 1
    server.resume()
    again = start("caption", *options(memory, server))
    again.communicate(timeout=120)
    assert again.returncode == 0
    assert_described(memory)
