"""Text of live streams is read beside watching: frames never wait, and late text is told as not read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from recollect.memory.values import Finding, Span
from recollect.perception.observers.background_text import BackgroundTextObserver
from recollect.perception.observers.default_observers import default_observers
from recollect.perception.observers.text_observer import TextObserver
from recollect.perception.sources.frame import THUMB_SHAPE, Frame
from recollect.perception.sources.source import SourceInfo


class SlowReader(TextObserver):
    """Reads a picture only when it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed = threading.Semaphore(0)
        self.done: list[str] = []

    def push(self, frame: Frame) -> None:
        self.allowed.acquire()
        if frame.time_s < 0:
            raise FileNotFoundError("no model")
        self.done.append(f"{frame.time_s:g}")

    def cut(self, time_s: float) -> None:
        self.done.append(f"cut {time_s:g}")

    def findings(self, span: Span) -> list[Finding]:
        return [Finding("visible_text", "line", text, span, "ocr/1") for text in self.done]


def frame(time_s: float) -> Frame:
    thumb = np.zeros(THUMB_SHAPE, np.uint8)
    return Frame(time_s, round(time_s * 1000), Fraction(1, 1000), thumb)


def wait_until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 10.0
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.005)


def test_frames_do_not_wait_and_only_the_newest_is_read():
    reader = SlowReader()
    observer = BackgroundTextObserver(reader)
    observer.push(frame(0.0))
    wait_until(lambda: observer._reading_s == 0.0)

    for time_s in (0.25, 0.5, 0.75):
        observer.push(frame(time_s))
    observer.cut(1.0)
    observer.push(frame(1.25))

    assert observer.findings(Span(0.0, 1.0)) == []
    assert not observer.has_read(Span(0.0, 1.0))
    reader.allowed.release(3)
    wait_until(lambda: len(reader.done) == 4)
    wait_until(lambda: observer.has_read(Span(0.0, 2.0)))
    assert reader.done == ["0", "0.75", "cut 1", "1.25"]


@pytest.mark.parametrize(("last_s", "is_read"), [(0.9, True), (4.0, False)])
def test_pictures_skipped_for_longer_than_a_second_are_unread(last_s, is_read):
    reader = SlowReader()
    observer = BackgroundTextObserver(reader)
    observer.push(frame(0.0))
    wait_until(lambda: observer._reading_s == 0.0)
    observer.push(frame(0.25))
    observer.push(frame(last_s))
    reader.allowed.release(2)
    wait_until(lambda: len(reader.done) == 2 and observer._reading_s is None)

    assert observer.has_read(Span(0.0, 5.0)) == is_read


def test_streams_take_turns():
    readers = [SlowReader(), SlowReader()]
    observers = [BackgroundTextObserver(reader) for reader in readers]
    observers[0].push(frame(0.0))
    wait_until(lambda: observers[0]._reading_s == 0.0)
    observers[0].push(frame(1.0))
    observers[1].push(frame(0.0))
    for reader in readers:
        reader.allowed.release(2)

    wait_until(lambda: [len(reader.done) for reader in readers] == [2, 1])


def test_an_error_of_the_reader_reaches_the_one_that_watches():
    reader = SlowReader()
    observer = BackgroundTextObserver(reader)
    reader.allowed.release()
    observer.push(frame(-1.0))

    wait_until(lambda: observer._error is not None)

    with pytest.raises(FileNotFoundError, match="no model"):
        observer.findings(Span(0.0, 1.0))


def test_only_live_streams_are_read_in_the_background(tmp_path):
    def kinds(kind: str) -> set[type]:
        info = SourceInfo(kind, str(tmp_path / "film.mp4"), "id")
        return {type(observer) for observer in default_observers(info)}

    assert BackgroundTextObserver in kinds("live")
    assert TextObserver in kinds("file")
    assert BackgroundTextObserver not in kinds("file")
