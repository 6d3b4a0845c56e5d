"""The isolated file source: the same events as in this process, within limits, whatever happens to the decoder."""

from __future__ import annotations

import gc
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from recollect.perception.errors import NotAVideo, SourceNotFound
from recollect.perception.sources import decoder_limits
from recollect.perception.sources.file_source import FileSource
from recollect.perception.sources.frame import Frame
from recollect.perception.sources.isolated_source import IsolatedFileSource, IsolatedPictureSource
from recollect.perception.sources.source import Event, Outage

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


def processes_below(parent: int) -> dict[int, int]:
    """The processes below ``parent``: the parent of each by its number."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(path.parent.name)] = int(ppid)
    below = {pid: ppid for pid, ppid in parents.items() if ppid == parent}
    return below | {pid: ppid for pid, ppid in parents.items() if ppid in below}


def working_decoder() -> int:
    """The process that decodes for this one: a child of a child."""
    (pid,) = [pid for pid, parent in processes_below(os.getpid()).items() if parent != os.getpid()]
    return pid


def all_but_pictures(event: Event) -> tuple[object, ...]:
    if not isinstance(event, Frame):
        return (event,)
    small = None if event.small is None else event.small.tobytes()
    return event.time_s, event.pts, event.time_base, event.size, event.epoch, event.thumb.tobytes(), small


def hostile_gif(path: Path, side: int) -> Path:
    """A GIF below 1 kB that declares pictures of ``side`` × ``side``."""
    screen = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    picture = b"\x2c" + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\x00"
    path.write_bytes(screen + 3 * (b"\x21\xf9\x04\x00\x0a\x00\x00\x00" + picture) + b"\x3b")
    return path


@pytest.mark.parametrize("from_s", [0.0, 0.9])
def test_events_are_those_of_the_file_source(short_video: Path, from_s: float) -> None:
    with (
        closing(FileSource(short_video, 4)) as plain,
        closing(IsolatedFileSource(short_video, 4)) as isolated,
    ):
        expected = list(plain.frames(from_s))
        events = list(isolated.frames(from_s))

        assert isolated.info == plain.info
        assert list(map(all_but_pictures, events)) == list(map(all_but_pictures, expected))
        sampled = [
            (a, b) for a, b in zip(events, expected, strict=True) if isinstance(a, Frame) and a.sampled
        ]
        assert sampled
        for frame, other in sampled:
            assert isinstance(other, Frame)
            assert np.array_equal(frame.picture(), other.picture())


def test_a_picture_can_be_had_after_the_last_frame(short_video: Path) -> None:
    with closing(IsolatedFileSource(short_video, 25)) as source:
        *_, last = source.frames()

        assert isinstance(last, Frame)
        assert last.picture().shape == (96, 160, 3)


def test_after_close_a_frame_gives_its_small_picture(short_video: Path) -> None:
    with closing(IsolatedFileSource(short_video, 4)) as source:
        first = next(iter(source.frames()))
    assert isinstance(first, Frame)

    assert first.picture() is first.small


def test_two_iterators_of_a_file_do_not_disturb_each_other(short_video: Path) -> None:
    with closing(IsolatedFileSource(short_video, 4)) as source:
        pairs = list(zip(source.frames(), source.frames(), strict=True))

    assert len(pairs) == 50
    assert all(all_but_pictures(a) == all_but_pictures(b) for a, b in pairs)


@needs_proc
def test_a_process_serves_one_file_after_the_other(short_video: Path) -> None:
    before, used = set(processes_below(os.getpid())), set()
    for _ in range(3):
        with closing(IsolatedFileSource(short_video, 4)) as source:
            for _ in source.frames():
                used |= {pid for pid, parent in processes_below(os.getpid()).items() if parent == os.getpid()}

    assert len(used) > 0
    assert len(used - before) <= 1


@needs_proc
def test_a_relative_path_is_read_after_a_change_of_folder(
    short_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(IsolatedFileSource(short_video, 4)) as source:
        next(source.frames())
    monkeypatch.chdir(short_video.parent)

    with closing(IsolatedFileSource(short_video.name, 4)) as source:
        assert isinstance(next(source.frames()), Frame)


def test_a_dropped_iterator_frees_its_process(short_video: Path) -> None:
    source = IsolatedFileSource(short_video, 4)
    next(iter(source.frames()))
    gc.collect()

    assert all(parent == os.getpid() for parent in processes_below(os.getpid()).values())


@needs_proc
def test_pictures_of_a_folder_are_decoded_elsewhere_too(tmp_path: Path) -> None:
    for number in range(300):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((48, 64, 3), number % 250, np.uint8))

    with closing(IsolatedPictureSource(tmp_path, 4, image_fps=1)) as source:
        events = source.frames()
        first = next(events)
        os.kill(working_decoder(), signal.SIGKILL)
        *_, outage = events

    assert isinstance(first, Frame)
    assert isinstance(outage, Outage)
    assert (outage.cause, outage.end_s) == ("damaged", 300.0)


@needs_proc
@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGSEGV, "crashed (SIGSEGV)"), (signal.SIGKILL, "was killed"), (signal.SIGABRT, "SIGABRT")],
)
def test_a_dead_decoder_is_an_outage_of_the_rest(demo_video: Path, number: int, reason: str) -> None:
    with closing(IsolatedFileSource(demo_video, 4)) as source:
        events = source.frames()
        seen = [next(events) for _ in range(30)]
        os.kill(working_decoder(), number)
        seen += events

        *frames, outage = seen
        assert all(isinstance(event, Frame) for event in frames)
        assert isinstance(outage, Outage)
        assert outage.cause == "damaged"
        assert reason in outage.detail
        assert outage.start_s == pytest.approx(len(frames) / 25, abs=0.1)
        assert outage.end_s == source.info.duration_s


@pytest.mark.slow
@needs_proc
def test_stop_ends_an_iterator_whose_decoder_hangs(demo_video: Path) -> None:
    with closing(IsolatedFileSource(demo_video, 4)) as source:
        events = source.frames()
        next(events)
        os.kill(working_decoder(), signal.SIGSTOP)
        source.stop()
        start_s = time.monotonic()
        rest = list(events)

    assert time.monotonic() - start_s < 5
    assert not any(isinstance(event, Outage) for event in rest)


@pytest.mark.slow
@needs_proc
def test_a_decoder_that_waits_for_the_processor_is_no_damage(
    demo_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_limits, "SILENCE_S", 1.0)
    with closing(IsolatedFileSource(demo_video, 4)) as source:
        events = source.frames()
        next(events)
        decoder = working_decoder()
        os.kill(decoder, signal.SIGSTOP)
        threading.Timer(1.5, os.kill, (decoder, signal.SIGCONT)).start()

        assert not any(isinstance(event, Outage) for event in events)


def test_errors_keep_their_classes_and_words(tmp_path: Path) -> None:
    text = tmp_path / "a.mp4"
    text.write_text("no video\n" * 100)

    with pytest.raises(SourceNotFound, match=r"there is no file .*missing\.mp4"):
        IsolatedFileSource(tmp_path / "missing.mp4", 4)
    with pytest.raises(NotAVideo, match="it holds text"):
        IsolatedFileSource(text, 4)
    with pytest.raises(ValueError, match="fps must be above 0"):
        IsolatedFileSource(text, 0)


def test_a_file_whose_name_is_not_utf8_is_watched(short_video: Path, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    try:
        path.write_bytes(short_video.read_bytes())
    except OSError:
        pytest.skip("the file system refuses such names")

    with closing(IsolatedFileSource(path, 4)) as source:
        assert len(list(source.frames())) == 50


@pytest.mark.parametrize("side", [9000, 16_000])
def test_a_picture_too_large_is_refused_by_its_size(tmp_path: Path, side: int) -> None:
    with pytest.raises(NotAVideo, match=f"{side}×{side}"):
        IsolatedFileSource(hostile_gif(tmp_path / "a.gif", side), 4)


WATCHES_AND_TELLS_MEMORY = """
import resource, sys
from recollect import Recollect
from recollect.errors import NotAVideo
try:
    with Recollect(sys.argv[1]) as memory:
        memory.watch(sys.argv[2])
except NotAVideo:
    print(*(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
"""
"""Prints the most memory that the process and any of its children took, in the platform's units."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="units of memory are the platform's own")
def test_a_hostile_picture_takes_no_memory(tmp_path: Path) -> None:
    hostile = hostile_gif(tmp_path / "a.gif", 16_000)
    command = [sys.executable, "-c", WATCHES_AND_TELLS_MEMORY, str(tmp_path / "m.lance"), str(hostile)]

    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert all(int(kilobytes) < 1_500_000 for kilobytes in printed.split())
    assert len(printed.split()) == 2
