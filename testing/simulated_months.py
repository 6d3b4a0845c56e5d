"""Simulated months: weeks of several cameras with pictures and outages, written by the real store in minutes.

    with MemoryStore.open("month.lance", write=True, budget_bytes=400 << 20) as store:
        fill(store, ["door", "yard"], hours=30 * 24, picture_bytes=2000)

``simulated_moments`` makes the moments. This module adds pictures (as many as perception would keep, of bytes that do
not compress, like those of a JPEG), outages with their gaps and epochs, and the ladder. The same arguments give the
same data. Only the video is simulated: moments are appended as a stream worker appends them.
"""

from __future__ import annotations

import heapq
import math
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..memory.encoder import HashingEncoder, Vectors
from ..memory.ladder.builder import Ladder
from ..memory.store import MemoryStore
from ..memory.values import FrameCounts, Gap, KeyFrame, Moment, Span, Stream, make_id, moment_id
from .simulated_moments import FPS, WALL_START_S, simulated_moments

BATCH = 64
"""Moments in a commit: the most that a stream worker commits at once."""
_SIGNATURE = 48
"""Grey levels of a picture's signature."""
_OF_SCENE, _OF_LIGHT, _OF_WORDS, _OF_CHANCE = 0.7, 0.4, 0.45, 0.4
"""Weights of the components of a picture's vector."""
_OUTAGE_CAUSES = ("stalled", "dropped", "refused")


@dataclass(frozen=True, slots=True)
class SimulatedMoment:
    """A moment with its pictures."""

    moment: Moment
    frames: tuple[KeyFrame, ...]


class LifeEncoder(HashingEncoder):
    """Encodes pictures too. Pictures of the same camera in the same light have similar vectors.

    Real image-text encoders behave like this: two pictures of one scene are far more similar than a picture and its
    caption. A simulated picture states camera, light and caption in its JPEG comment.
    """

    @property
    def name(self) -> str:
        """The method and its dimension."""
        return f"life/{self.dim}"

    def encode_images(self, jpegs: Sequence[bytes]) -> Vectors:
        """One unit vector for each picture, from its scene, its caption, and noise that depends on its bytes."""
        comments = [_comment(jpeg).partition(": ") for jpeg in jpegs]
        scenes = np.stack([self._scene(*scene.split(" in ")) for scene, _, _ in comments])
        chance = np.stack([_direction(zlib.crc32(jpeg), self.dim) for jpeg in jpegs])
        shown = self.encode_texts([text for _, _, text in comments])
        vectors = scenes + _OF_WORDS * shown + _OF_CHANCE * chance
        unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def _scene(self, camera: str, light: str) -> Vectors:
        return _OF_SCENE * _direction(zlib.crc32(camera.encode()), self.dim) + _OF_LIGHT * _direction(
            zlib.crc32(f"{camera} in {light}".encode()), self.dim
        )


def _direction(seed: int, dim: int) -> Vectors:
    drawn = np.random.Generator(np.random.SFC64(seed)).standard_normal(dim, np.float32)
    unit: Vectors = drawn / np.linalg.norm(drawn)
    return unit


def _comment(jpeg: bytes) -> str:
    length = int.from_bytes(jpeg[4:6], "big")
    return jpeg[6 : 4 + length].decode()


def lived(
    seed: int, hours: float, stream: str, *, picture_bytes: int = 35_000, outages_a_day: float = 4.0
) -> Iterator[SimulatedMoment | Gap]:
    """The moments and gaps of one camera, in order of time.

    A quiet moment has one picture of about ``picture_bytes``, an eventful one up to four. An outage lasts
    seconds to minutes and begins a new epoch. With ``picture_bytes=0`` there are no pictures.
    """
    rng = random.Random(f"{seed} {stream} outages")
    outages = _outages(rng, outages_a_day)
    outage, epoch = next(outages), 0
    away: list[Moment] = []
    for moment in simulated_moments(seed, hours, stream):
        if moment.span.start_s >= outage.start_s and moment.span.start_s < outage.end_s:
            away.append(moment)
            continue
        if away:
            yield _gap(stream, epoch, Span(away[0].span.start_s, away[-1].span.end_s), rng)
            away, epoch = [], epoch + 1
        while outage.end_s <= moment.span.start_s:
            outage = next(outages)
        yield _with_pictures(moment, epoch, picture_bytes)
    if away:
        yield _gap(stream, epoch, Span(away[0].span.start_s, away[-1].span.end_s), rng)


def fill(
    store: MemoryStore,
    streams: Sequence[str],
    hours: float,
    *,
    seed: int = 0,
    picture_bytes: int = 35_000,
    outages_a_day: float = 4.0,
    batch: int = BATCH,
    on_batch: Callable[[float], None] | None = None,
) -> int:
    """Write the moments of several cameras into a store, and return their number.

    ``on_batch`` is called after each commit with the stream time that was reached, in seconds.
    """
    ladders = {name: Ladder(name) for name in streams}
    for name in streams:
        store.put_stream(
            Stream(name, "live", f"simulated://{name}", name, "watching", 4.0, origin_wall_s=WALL_START_S)
        )
    lives = heapq.merge(
        *(
            lived(seed + index, hours, name, picture_bytes=picture_bytes, outages_a_day=outages_a_day)
            for index, name in enumerate(streams)
        ),
        key=_end_s,
    )
    moments: list[Moment] = []
    frames: list[KeyFrame] = []
    count = 0

    def commit(until_s: float) -> None:
        nonlocal moments, frames
        store.append(moments, frames)
        moments, frames = [], []
        if on_batch is not None:
            on_batch(until_s)

    for item in lives:
        if isinstance(item, Gap):
            moments += ladders[item.stream].flush()
            commit(item.span.end_s)
            store.put_gap(item, written_at_s=WALL_START_S + item.span.end_s)
            continue
        moments += [item.moment, *ladders[item.moment.stream].push(item.moment, item.frames)]
        frames += item.frames
        count += 1
        if count % batch == 0:
            commit(item.moment.span.end_s)
    for ladder in ladders.values():
        moments += ladder.flush()
    commit(hours * 3600)
    return count


def _end_s(item: SimulatedMoment | Gap) -> float:
    return item.span.end_s if isinstance(item, Gap) else item.moment.span.end_s


def _outages(rng: random.Random, a_day: float) -> Iterator[Span]:
    time_s = 0.0
    while True:
        time_s += rng.expovariate(a_day / 86_400) if a_day else math.inf
        lasts_s = min(3600.0, rng.lognormvariate(3.5, 1.2))
        yield Span(time_s, time_s + lasts_s)
        time_s += lasts_s


def _gap(stream: str, epoch: int, span: Span, rng: random.Random) -> Gap:
    lost = round(span.duration_s * FPS * rng.random())
    return Gap(
        id=make_id(stream, epoch, "gap", round(span.start_s * 1000)),
        stream=stream,
        epoch=epoch,
        span=span,
        cause=rng.choice(_OUTAGE_CAUSES),
        attempts=1 + int(span.duration_s // 20),
        wall_start_s=WALL_START_S + span.start_s,
        counts=FrameCounts(captured=lost, dropped={"overload": lost}),
    )


def _with_pictures(moment: Moment, epoch: int, picture_bytes: int) -> SimulatedMoment:
    moment = replace(moment, epoch=epoch, id=moment_id(moment.stream, epoch, "moment", moment.span.start_s))
    if not picture_bytes:
        return SimulatedMoment(moment, ())
    happens = sum(finding.kind in ("enters", "leaves", "cut") for finding in moment.of("action"))
    count = min(4, 1 + happens)
    level = next((float(f.detail["value"]) for f in moment.of("attribute") if f.kind == "brightness"), 0.3)
    rng = random.Random(moment.id)
    frames = tuple(
        _picture(
            moment,
            moment.span.start_s + (index + 0.5) * moment.span.duration_s / count,
            level,
            picture_bytes,
            rng,
        )
        for index in range(count)
    )
    counts = moment.counts
    counts = replace(counts, stored=count, merged=counts.merged - count)
    return SimulatedMoment(
        replace(moment, frame_ids=tuple(frame.id for frame in frames), counts=counts), frames
    )


def _picture(moment: Moment, time_s: float, level: float, picture_bytes: int, rng: random.Random) -> KeyFrame:
    pts = round(time_s * 90_000)
    size = max(200, round(picture_bytes * rng.lognormvariate(-0.08, 0.4)))
    grey = bytearray([round(200 * level)] * _SIGNATURE)
    actors = [finding for finding in moment.of("actor") if finding.span.contains(time_s)]
    shown = "; ".join(actor.text for actor in actors) or "nobody"
    comment = f"{moment.stream} in light {level:.1f}: {shown}".encode()
    head = b"\xff\xd8\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment
    for actor in actors:
        offset = int(float(actor.detail["track"]) * 7 + time_s) % (_SIGNATURE - 6)
        grey[offset : offset + 6] = b"\xe6" * 6
    return KeyFrame(
        id=make_id(moment.stream, moment.epoch, "frame", pts),
        stream=moment.stream,
        time_s=time_s,
        pts=pts,
        time_base="1/90000",
        width=1280,
        height=720,
        jpeg=head + rng.randbytes(max(2, size - len(head))),
        signature=bytes(grey),
    )
