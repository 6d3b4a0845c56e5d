"""A writer session: many sources into one memory, maintained while they are watched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from recollect import Finished, Recollect, WatchOptions
from recollect.errors import AlreadyWatched, MemoryInUse, RequestFailed, StreamNameTaken, UnknownStream
from recollect.memory import HashingEncoder, MemoryStore
from recollect.memory.keeping.reindexing import OnProgress, ReindexReport
from recollect.memory.keeping.requests import (
    ACCEPT_S,
    REQUESTS,
    SERVER_LOCK_NAME,
    CompactRequest,
    Execute,
    MaintenanceRequest,
    ReindexRequest,
    RequestServer,
    run_or_request,
)
from recollect.memory.values import RUNGS
from recollect.perception.vision import PaletteEncoder, SiglipEncoder
from recollect.testing.stream_servers import HttpStreamServer

QUICK = WatchOptions(ocr=False)
SECRET = "xylophonequartz"
SECRET_FROM_S, SECRET_TO_S = 5.0, 8.0


def wait_until(happened: Callable[[], object], timeout_s: float = 60.0) -> None:
    until = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


def draw(time_s: float) -> np.ndarray:
    """A moving square and, for three seconds, a QR code with the secret."""
    picture = np.full((240, 320, 3), 90, np.uint8)
    left_px = int(time_s * 40) % 260
    picture[180:220, left_px : left_px + 40] = (40, 200, 240)
    if SECRET_FROM_S <= time_s < SECRET_TO_S:
        code = cv2.QRCodeEncoder.create().encode(SECRET)
        picture[8:168, 8:168] = cv2.resize(code, (160, 160), interpolation=cv2.INTER_NEAREST)[..., None]
    return picture


@pytest.fixture
def camera() -> Iterator[HttpStreamServer]:
    with HttpStreamServer(draw) as server:
        yield server


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Recollect]:
    with Recollect(tmp_path / "home.lance") as opened:
        yield opened


def files_with(folder: Path, word: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def spans_of(path: Path, stream: str) -> list[tuple[float, float]]:
    with MemoryStore.open(path) as store:
        return [(moment.span.start_s, moment.span.end_s) for moment in store.snapshot().timeline(stream)]


def children_exist(path: Path, stream: str) -> bool:
    """Whether every child that a parent names is in the memory."""
    with MemoryStore.open(path) as store:
        snapshot = store.snapshot()
        parents = [moment for rung in RUNGS[1:] for moment in snapshot.timeline(stream, rung=rung)]
        named = {child for parent in parents for child in parent.child_ids}
        return named == set(snapshot.get(named))


# -- many watches --------------------------------------------------------------------------------------


def test_a_started_watch_returns_at_once_and_reports_later(memory, short_video):
    events: list[Any] = []

    watch = memory.start(short_video, options=QUICK, on_event=events.append)
    report = watch.wait(timeout_s=60)

    assert (watch.stream, report.state, report.counts.captured) == ("short", "done", 50)
    assert watch.status().state == "ended"
    assert events[-1] == Finished("short", report)
    assert list(watch.events()) == [events[-1]]


def test_a_failed_source_does_not_leave_the_memory_locked(memory, short_video, tmp_path):
    with pytest.raises(Exception, match="there is no file"):
        memory.start(tmp_path / "none.mp4")

    assert memory.watch(short_video, options=QUICK).state == "done"
    with MemoryStore.open(memory.path, write=True) as store:
        assert [stream.name for stream in store.streams()] == ["short"]


def test_files_and_a_camera_are_watched_at_once(memory, short_video, camera):
    door = memory.start(camera.url, stream="door", options=QUICK)
    wait_until(lambda: door.status().state == "connected")

    report = memory.watch(short_video, options=QUICK)

    assert report.state == "done"
    assert door.status().state == "connected"
    door.stop()
    assert door.wait(timeout_s=30).state == "stopped"
    assert {status.stream.name for status in memory.status()} == {"door", "short"}


def test_a_source_cannot_be_watched_twice_at_once(memory, camera, short_video):
    memory.start(camera.url, stream="door", options=QUICK)

    with pytest.raises(AlreadyWatched, match="door"):
        memory.start(camera.url, options=QUICK)
    with pytest.raises(AlreadyWatched, match="door"):
        memory.start(short_video, stream="door", options=QUICK)


def test_a_name_of_another_source_is_refused(memory, camera, short_video):
    memory.watch(short_video, stream="door", options=QUICK)

    with pytest.raises(StreamNameTaken):
        memory.start(camera.url, stream="door", options=QUICK)


def test_a_wait_with_a_timeout_does_not_end_the_watch(memory, camera):
    door = memory.start(camera.url, stream="door", options=QUICK)

    with pytest.raises(TimeoutError, match="still being watched"):
        door.wait(timeout_s=0.2)

    assert door.status().state != "ended"


def test_closing_the_memory_ends_every_watch(tmp_path, camera):
    with Recollect(tmp_path / "home.lance") as memory:
        door = memory.start(camera.url, stream="door", options=QUICK)

    assert door.status().state == "ended"
    with MemoryStore.open(tmp_path / "home.lance", write=True) as store:
        assert store.streams()


def test_another_object_cannot_watch_into_the_same_memory(memory, camera, short_video):
    memory.start(camera.url, stream="door", options=QUICK)

    with Recollect(memory.path) as second_client, pytest.raises(MemoryInUse):
        second_client.watch(short_video, options=QUICK)


# -- erasing while watching ----------------------------------------------------------------------------


def watch_past_the_secret(memory: Recollect, camera: HttpStreamServer) -> Any:
    """Watch the camera until the secret is committed, and return the watch handle."""
    door = memory.start(camera.url, stream="door", options=QUICK)
    wait_until(lambda: files_with(memory.path, SECRET))
    wait_until(lambda: door.status().time_s > SECRET_TO_S)
    return door


@pytest.mark.slow  # 15 s of a camera
def test_a_span_is_erased_while_its_camera_is_watched(memory, camera):
    door = watch_past_the_secret(memory, camera)
    at_s = door.status().time_s

    receipt = memory.forget("door", 0.0, at_s)

    assert receipt.memories["moment"] > 0
    assert files_with(memory.path, SECRET) == []
    wait_until(lambda: door.status().time_s > at_s + 6)
    door.stop()
    report = door.wait(timeout_s=30)
    assert report.state == "stopped"
    assert files_with(memory.path, SECRET) == []
    assert min(start_s for start_s, _ in spans_of(memory.path, "door")) >= receipt.erased[-1].end_s - 1e-6
    assert children_exist(memory.path, "door")


@pytest.mark.slow  # 15 s of a camera
def test_another_process_erases_while_cameras_are_watched(memory, camera):
    door = watch_past_the_secret(memory, camera)
    command = ["forget", "door", "--from", "0", "--to", str(SECRET_TO_S + 2), "--memory", str(memory.path)]

    process = subprocess.run(
        [sys.executable, "-m", "recollect.cli.main", *command, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["memories"]["moment"] > 0
    assert files_with(memory.path, SECRET) == []
    assert door.status().state == "connected"
    assert [path.name for path in (memory.path / REQUESTS).iterdir()] == [SERVER_LOCK_NAME]


@pytest.mark.slow  # 10 s of a camera
def test_a_stream_that_is_erased_is_no_longer_watched(memory, camera, short_video):
    door = watch_past_the_secret(memory, camera)
    with HttpStreamServer(draw) as second_camera:
        yard = memory.start(second_camera.url, stream="yard", options=QUICK)
        wait_until(lambda: yard.status().state == "connected")

        memory.forget("door")

        assert door.wait(timeout_s=30).state == "erased"
        assert [status.stream.name for status in memory.status()] == ["yard"]
        assert yard.status().state == "connected"
        yard.stop()
        yard.wait(timeout_s=30)
    memory.forget("yard")
    assert files_with(memory.path, SECRET) == []


@pytest.mark.slow  # 10 s of a camera
def test_the_only_stream_is_erased_by_another_process(memory, camera):
    door = watch_past_the_secret(memory, camera)
    command = ["forget", "door", "--all", "--memory", str(memory.path)]

    process = subprocess.run(
        [sys.executable, "-m", "recollect.cli.main", *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert process.returncode == 0, process.stderr
    assert "erased: all of door" in process.stdout
    assert door.wait(timeout_s=30).state == "erased"
    assert files_with(memory.path, SECRET) == []


def test_an_unknown_stream_cannot_be_erased_while_watching(memory, camera):
    memory.start(camera.url, stream="door", options=QUICK)

    with pytest.raises(UnknownStream):
        memory.forget("garden")


@pytest.mark.slow
def test_a_memory_is_compacted_while_it_is_watched(memory, camera, short_video):
    memory.watch(short_video, options=QUICK)
    door = memory.start(camera.url, stream="door", options=QUICK)
    wait_until(lambda: door.status().state == "connected")

    with Recollect(memory.path) as second_client:
        usage = second_client.compact()

    assert usage.used_bytes > 0
    assert door.status().state == "connected"


# -- requests ------------------------------------------------------------------------------------------


def refuse() -> None:
    raise MemoryInUse(Path("memory"), "process 1")


def test_a_writer_that_takes_no_requests_is_in_use(memory, short_video):
    memory.watch(short_video, options=QUICK)

    with MemoryStore.open(memory.path, write=True), pytest.raises(MemoryInUse):
        run_or_request(memory.path, CompactRequest(), refuse)


def test_a_request_whose_requester_died_is_dropped(memory, camera, short_video):
    memory.watch(short_video, options=QUICK)
    door = memory.start(camera.url, stream="door", options=QUICK)
    left_behind = memory.path / REQUESTS / "0123.json"
    left_behind.write_text(json.dumps({"kind": "EraseRequest", "stream": "short", "span": None}))

    wait_until(lambda: not left_behind.exists(), timeout_s=5)

    door.stop()
    door.wait(timeout_s=30)
    assert "short" in {status.stream.name for status in memory.status()}


@contextmanager
def serving(folder: Path, execute: Execute) -> Iterator[None]:
    server = RequestServer(folder, execute, lambda: nullcontext(True))
    server.start()
    try:
        yield
    finally:
        server.stop()
        server.close()


def test_the_progress_of_a_reindexing_reaches_the_requester(tmp_path):
    has_arrived = threading.Event()
    progress: list[tuple[int, int]] = []

    def reindex(request: object, on_wait: object, on_progress: OnProgress) -> ReindexReport:
        on_progress(256, 300)
        assert has_arrived.wait(timeout=30)
        return ReindexReport("palette/1", 300, 20, 1.5)

    def on_progress(finished: int, total: int) -> None:
        progress.append((finished, total))
        has_arrived.set()

    with serving(tmp_path, reindex):
        report = run_or_request(tmp_path, ReindexRequest("palette", "cpu"), refuse, on_progress=on_progress)

    assert progress == [(256, 300)]
    assert report == ReindexReport("palette/1", 300, 20, 1.5)


@pytest.mark.slow  # a request that takes 7 s
def test_a_request_waits_for_the_one_before_it(tmp_path):
    executed: list[MaintenanceRequest] = []

    def execute_slowly(request: MaintenanceRequest, on_wait: object, on_progress: object) -> None:
        executed.append(request)
        if isinstance(request, ReindexRequest):
            time.sleep(ACCEPT_S + 2)

    with serving(tmp_path, execute_slowly):
        first = threading.Thread(
            target=run_or_request, args=(tmp_path, ReindexRequest(None, "auto"), refuse), daemon=True
        )
        first.start()
        wait_until(lambda: executed, timeout_s=5)

        run_or_request(tmp_path, CompactRequest(), refuse)

        first.join(timeout=30)
    assert executed == [ReindexRequest(None, "auto"), CompactRequest()]
    assert [path.name for path in (tmp_path / REQUESTS).iterdir()] == [SERVER_LOCK_NAME]


@pytest.mark.slow  # starts Python: some 5 s
def test_a_requester_continues_when_the_writer_is_killed(tmp_path, camera, short_video):
    path = tmp_path / "home.lance"
    with Recollect(path) as memory:
        memory.watch(short_video, options=QUICK)
    writer = subprocess.Popen(
        [sys.executable, "-m", "recollect.cli.main", "watch", camera.url, "--quiet", "--memory", str(path)]
    )
    try:
        wait_until((path / REQUESTS / SERVER_LOCK_NAME).exists)
        writer.send_signal(signal.SIGSTOP)
        with Recollect(path) as memory:
            receipts: list[Any] = []
            thread = threading.Thread(target=lambda: receipts.append(memory.forget("short")))
            thread.start()
            time.sleep(1.0)

            writer.kill()
            thread.join(timeout=30)

        assert [receipt.stream for receipt in receipts] == ["short"]
    finally:
        writer.kill()
        writer.wait()


# -- reindexing and pinning while watching -----------------------------------------------------------------


def reindex_in_another_process(path: Path, settings: dict[str, str]) -> dict[str, Any]:
    """The report of ``recollect reindex``, with these variables as the only settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RECOLLECT_")}
    process = subprocess.run(
        [sys.executable, "-m", "recollect.cli.main", "reindex", "--quiet", "--json", "--memory", str(path)],
        env=inherited | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    report: dict[str, Any] = json.loads(process.stdout)
    return report


@pytest.mark.slow  # 15 s of a camera
def test_vectors_are_made_while_a_camera_is_watched(memory, camera):
    door = memory.start(camera.url, stream="door", options=QUICK)
    wait_until(lambda: door.status().moments > 0)

    report = memory.reindex(HashingEncoder(64))

    at_s = door.status().time_s
    wait_until(lambda: door.status().time_s > at_s + 8)
    door.stop()
    assert door.wait(timeout_s=30).state == "stopped"
    assert (report.encoder, report.texts > 0) == ("trigrams/64", True)
    with MemoryStore.open(memory.path, encoder=HashingEncoder(64)) as store:
        assert store.snapshot().search("something moves")
    with Recollect(memory.path, encoder=HashingEncoder(64)) as second_client:
        # Nothing is missing: moments watched after the reindexing have vectors too.
        assert second_client.reindex().texts == 0


@pytest.mark.slow  # 15 s of a camera, and starts Python
def test_another_process_reindexes_while_a_camera_is_watched(memory, camera):
    door = memory.start(camera.url, stream="door", options=QUICK)
    wait_until(lambda: door.status().moments > 0)

    report = reindex_in_another_process(memory.path, {"RECOLLECT_VISION__MODEL": "palette"})

    at_s = door.status().time_s
    wait_until(lambda: door.status().time_s > at_s + 8)
    assert (report["encoder"], report["texts"] > 0) == ("palette/1", True)
    assert memory.search("something moves")
    door.stop()
    assert door.wait(timeout_s=30).state == "stopped"
    with Recollect(memory.path, encoder=PaletteEncoder()) as second_client:
        # Moments written after the switch also have vectors of the new encoder.
        assert second_client.reindex().texts == 0
    with MemoryStore.open(memory.path, encoder=PaletteEncoder()) as store:
        assert store.snapshot().search("something moves")


@pytest.mark.slow  # 8 s of a camera, and starts Python
def test_another_process_drops_the_vectors_while_watching(tmp_path, camera):
    with Recollect(tmp_path / "home.lance", encoder=PaletteEncoder()) as memory:
        door = memory.start(camera.url, stream="door", options=QUICK)
        wait_until(lambda: door.status().moments > 0)

        report = reindex_in_another_process(memory.path, {})

        assert report["encoder"] is None
        assert memory.search("something moves")
        assert door.status().state == "connected"
        door.stop()
        door.wait(timeout_s=30)
        # The next session of the same object opens the memory without an encoder.
        memory.start(camera.url, stream="door", options=QUICK)


def test_the_memory_is_in_use_for_an_encoder_without_settings(memory, camera):
    memory.start(camera.url, stream="door", options=QUICK)

    with (
        Recollect(memory.path) as second_client,
        pytest.raises(MemoryInUse, match="Call `reindex` on the Recollect object that watches"),
    ):
        second_client.reindex(HashingEncoder(64))


def test_a_missing_model_is_reported_to_the_requester(memory, camera, tmp_path):
    door = memory.start(camera.url, stream="door", options=QUICK)

    with (
        Recollect(memory.path) as second_client,
        pytest.raises(RequestFailed, match="there is no such folder"),
    ):
        second_client.reindex(SiglipEncoder(str(tmp_path / "siglip")))

    assert door.is_active


@pytest.mark.slow  # 8 s of a camera
def test_a_span_is_pinned_while_its_camera_is_watched(memory, camera):
    door = memory.start(camera.url, stream="door", options=QUICK)
    wait_until(lambda: door.status().moments > 0)

    pin = memory.pin("door", note="the parcel")

    assert [stored.id for stored in memory.pins()] == [pin.id]
    assert door.status().state == "connected"
