"""Feeds: give an observer the pictures or the sound that it declared to need.

    feed = feed_for(observer, source_info)
    feed.push(frame)          # every sampled frame of the stream
    feed.flush(9.0)           # a shot or moment ends at 9.0 s: give an incomplete batch now

A picture feed thins the pictures to the observer's rate and gathers batches. An audio feed reads the sound of a file
up to the time of the pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ..sources.audio_reader import FileAudioReader
from ..sources.frame import Frame
from ..sources.source import SourceInfo
from .observer import (
    AnyObserver,
    AudioChunk,
    AudioNeeds,
    AudioObserver,
    BatchObserver,
    Observer,
    PictureNeeds,
)

_SAME_S = 1e-6


class ObserverFeed(Protocol):
    """Gives one observer its input."""

    def push(self, frame: Frame) -> None:
        """Take the next sampled frame of the stream."""

    def flush(self, time_s: float) -> None:
        """Give the observer everything before ``time_s`` now."""

    def restart(self) -> None:
        """Another shot begins."""

    def close(self) -> None:
        """Release files."""


class PictureFeed:
    """Thins pictures to a rate and gathers them in batches."""

    def __init__(self, give: Callable[[list[Frame]], None], needs: PictureNeeds) -> None:
        """``give`` receives one to ``needs.batch_size`` frames."""
        self._give = give
        self._needs = needs
        self._interval_s = 0.0 if needs.fps is None else 1 / needs.fps
        self._taken_s = -math.inf
        self._batch: list[Frame] = []

    def push(self, frame: Frame) -> None:
        """Take a frame, unless it comes too soon after the last."""
        if 0 <= frame.time_s - self._taken_s < self._interval_s - _SAME_S:
            return
        self._taken_s = frame.time_s
        if self._needs.batch_size > 1:
            self._batch.append(self._kept(frame))
            if len(self._batch) == self._needs.batch_size:
                self._give_batch()
        else:
            self._give([frame])

    def flush(self, time_s: float) -> None:
        """Give an incomplete batch too."""
        self._give_batch()

    def restart(self) -> None:
        """Take the first frame of the next shot at any rate."""
        self._taken_s = -math.inf

    def close(self) -> None:
        """Drop an incomplete batch."""
        self._batch = []

    def _kept(self, frame: Frame) -> Frame:
        """A frame that can be used after the next one was decoded."""
        if not self._needs.full_size or frame.read_picture is None:
            return replace(frame, read_picture=None)
        picture = frame.picture()
        return replace(frame, read_picture=lambda: picture)

    def _give_batch(self) -> None:
        if self._batch:
            batch, self._batch = self._batch, []
            self._give(batch)


class AudioFeed:
    """Reads a file's sound up to the time of the pictures."""

    def __init__(self, observer: AudioObserver, needs: AudioNeeds, path: Path) -> None:
        self._observer = observer
        self._needs = needs
        self._path = path
        self._reader: FileAudioReader | None = None

    def push(self, frame: Frame) -> None:
        """Give the sound before a frame; the first frame of a run says from when on."""
        if self._reader is None:
            self._reader = FileAudioReader(
                self._path,
                rate_hz=self._needs.rate_hz,
                from_s=frame.time_s,
                origin_s=float(frame.pts * frame.time_base) - frame.time_s,
            )
        self.flush(frame.time_s)

    def flush(self, time_s: float) -> None:
        """Give the sound before ``time_s``."""
        if self._reader is not None:
            for start_s, samples in self._reader.until(time_s):
                self._observer.push_audio(AudioChunk(start_s, self._needs.rate_hz, samples))

    def restart(self) -> None:
        """Sound goes on across cuts."""

    def close(self) -> None:
        """Close the file."""
        if self._reader is not None:
            self._reader.close()


def feed_for(observer: AnyObserver, source: SourceInfo) -> ObserverFeed | None:
    """The feed that an observer needs; None for sound where the file has none.

    Raises:
        ValueError: Its needs are unknown, it lacks the method for them, or the source cannot provide them.
    """
    needs = getattr(observer, "needs", PictureNeeds())
    if isinstance(needs, AudioNeeds) and isinstance(observer, AudioObserver):
        if source.kind != "file" or not Path(source.source).is_file():
            raise ValueError("it needs sound, which is read from files only")
        if not source.has_audio:
            return None
        return AudioFeed(observer, needs, Path(source.source))
    if isinstance(needs, PictureNeeds) and needs.batch_size > 1 and isinstance(observer, BatchObserver):
        return PictureFeed(observer.push_batch, needs)
    if isinstance(needs, PictureNeeds) and needs.batch_size == 1 and isinstance(observer, Observer):
        return PictureFeed(lambda frames: observer.push(frames[0]), needs)
    raise ValueError(
        f"it lacks a method for what it needs ({needs!r}): push for single pictures, push_batch for batches, "
        "push_audio for sound; and written_by, finding_kinds, cut and findings in any case"
    )
