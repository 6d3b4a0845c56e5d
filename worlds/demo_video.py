"""The demo video: a synthetic video with a known ground truth, and the rendering of timelines to MP4.

    truths = render_demo(Path("demo.mp4"))
    truths[1]       # Truth(span=Span(start_s=…, end_s=…), kind="enters", text="a tall red shape enters …")

A ``DemoTimeline`` joins scenes (``worlds.scenes``) with cuts or dissolves. The video is encoded like that of a camera:
H.264 with B-frames and some grain. The same seed draws the same pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np

from ..memory.values import Span
from ..perception.sources.frame import Picture
from .scenes import HEIGHT, WIDTH, PosterScene, Scene, SignBoardScene, TerminalScene, TitleCardScene, Truth
from .shop import Shop, ShopVisitor

FPS = 25
_GRAIN_FIELDS = 12
_GRAIN = 2.2
"""The standard deviation of the camera's noise, in grey levels."""


@dataclass(frozen=True, slots=True)
class PlacedScene:
    """A scene with the time at which it begins."""

    scene: Scene
    start_s: float

    @property
    def end_s(self) -> float:
        """When the scene ends."""
        return self.start_s + self.scene.duration_s


class DemoTimeline:
    """Scenes one after another. ``add`` cuts to the next one, or dissolves."""

    def __init__(self) -> None:
        self._placed: list[PlacedScene] = []

    @property
    def duration_s(self) -> float:
        """The length of the video, in seconds."""
        return self._placed[-1].end_s if self._placed else 0.0

    @property
    def scenes(self) -> Sequence[PlacedScene]:
        """The scenes with their times, in order."""
        return tuple(self._placed)

    def add(self, scene: Scene, *, dissolve_s: float = 0.0) -> DemoTimeline:
        """Append a scene that overlaps the last one by ``dissolve_s``, and return the timeline."""
        self._placed.append(PlacedScene(scene, self.duration_s - dissolve_s))
        return self

    def draw(self, time_s: float) -> Picture:
        """The picture at ``time_s``, without grain."""
        showing = [placed for placed in self._placed if placed.start_s <= time_s < placed.end_s]
        pictures = [placed.scene.draw(time_s - placed.start_s) for placed in showing[:2]]
        if len(pictures) == 1:
            return pictures[0]
        share = (time_s - showing[1].start_s) / (showing[0].end_s - showing[1].start_s)
        return np.asarray(cv2.addWeighted(pictures[0], 1 - share, pictures[1], share, 0), np.uint8)

    def truths(self) -> list[Truth]:
        """The truths of all scenes, and the changes of scene, in order of time."""
        truths = [truth.shifted(placed.start_s) for placed in self._placed for truth in placed.scene.truths()]
        for before, after in pairwise(self._placed):
            overlap = Span(after.start_s, before.end_s)
            if overlap.duration_s > 0:
                truths.append(Truth(overlap, "dissolve", "the picture dissolves into another"))
            else:
                frame = Span(after.start_s, after.start_s + 1 / FPS)
                truths.append(Truth(frame, "cut", "the picture cuts to another"))
        return sorted(truths, key=lambda truth: truth.span)


def demo_timeline(seed: int = 0) -> DemoTimeline:
    """The timeline of the demo, 70 s: a shop by day, a notice board, a terminal, a flash at night, a poster."""
    visitors = (
        ShopVisitor("red", enters_s=2.0, stops_s=4.4, goes_s=7.2, leaves_s=9.6, places_s=5.8),
        ShopVisitor("blue", enters_s=12.0, stops_s=14.4, goes_s=17.2, leaves_s=19.6, takes_s=15.8),
        ShopVisitor("green", enters_s=22.0, stops_s=24.6, goes_s=26.4, leaves_s=29.0, enters_from="right"),
    )
    return (
        DemoTimeline()
        .add(TitleCardScene(("RECOLLECT STORE 12 - CAMERA 1",), 4.0, seed))
        .add(Shop(visitors, 31.0, seed + 1))
        .add(SignBoardScene(("OPEN 9-17", "CLOSED: STOCKTAKING"), 5.0, 11.0, seed + 2), dissolve_s=1.0)
        .add(TerminalScene("backup --all", "3 files copied", 9.0, seed=seed + 3))
        .add(Shop((), 7.0, seed + 1, light=0.12, flash_s=3.4))
        .add(PosterScene("RECOLLECT-DEMO-7", "SCAN ME", 5.0, seed + 4))
        .add(TitleCardScene(("END OF RECORDING", "camera 1 off"), 4.0, seed + 5))
    )


def render(timeline: DemoTimeline, path: Path, *, seed: int = 0) -> list[Truth]:
    """Draw a timeline into an MP4 file at ``FPS`` frames a second, and return its truths.

    The file appears only when it is complete.
    """
    unfinished = path.with_suffix(f".part{path.suffix}")
    grain = np.random.default_rng(seed).normal(0, _GRAIN, (_GRAIN_FIELDS, HEIGHT, WIDTH))
    brighter = np.clip(grain, 0, 255).round().astype(np.uint8)
    darker = np.clip(-grain, 0, 255).round().astype(np.uint8)
    with av.open(unfinished, "w", options={"movflags": "faststart"}) as container:
        # Slower presets take three times as long and remove the grain.
        options = {"preset": "ultrafast", "crf": "23", "bf": "2"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(round(timeline.duration_s * FPS)):
            picture = np.asarray(cv2.cvtColor(timeline.draw(number / FPS), cv2.COLOR_BGR2YUV_I420), np.uint8)
            luma, noise = picture[:HEIGHT], number % _GRAIN_FIELDS
            luma[:] = cv2.subtract(cv2.add(luma, brighter[noise]), darker[noise])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode())
    unfinished.replace(path)
    return timeline.truths()


def render_demo(path: Path, *, seed: int = 0) -> list[Truth]:
    """Draw the demo video, 70 s at 640×360, and return its truths."""
    return render(demo_timeline(seed), path, seed=seed)


_CUES = (
    (Span(6.5, 9.0), "Good morning. The store is open."),
    (Span(9.4, 11.4), "Please leave the parcel on the counter."),
    (Span(19.0, 21.0), "Thank you, I will take it from here."),
    (Span(40.5, 43.5), "We are closing early for stocktaking today."),
)


def render_demo_subtitles(path: Path) -> list[Truth]:
    """Write the subtitles of the demo video as SubRip, and return them as truths."""

    def clock(time_s: float) -> str:
        minutes, milliseconds = divmod(round(time_s * 1000), 60_000)
        return f"00:{minutes:02}:{milliseconds // 1000:02},{milliseconds % 1000:03}"

    blocks = [
        f"{number}\n{clock(span.start_s)} --> {clock(span.end_s)}\n{text}\n"
        for number, (span, text) in enumerate(_CUES, start=1)
    ]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return [Truth(span, "subtitle", text) for span, text in _CUES]
