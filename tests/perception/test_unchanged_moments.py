"""A picture that does not change is described once, and whatever changes is described again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect import Recollect, WatchOptions
from recollect.memory import MemoryStore
from recollect.memory.values import Finding, KeyFrame, Moment, Observation, Span, moment_id
from recollect.perception.describing.backlog_captioning import queue_undescribed
from recollect.perception.describing.captioner import Captioner, CaptionReport
from recollect.perception.describing.describer import DescriptionReply, MomentDescriptionReply
from recollect.perception.describing.description_queue import backlog_entries
from recollect.perception.describing.unchanged_moments import LONGEST_S, UnchangedMoments
from recollect.perception.lmm import Prompt
from recollect.testing.scripted_lmm import ScriptedLmm

WIDTH, HEIGHT = 640, 360
Change = tuple[str, str, str]
"""The field, kind and text of a finding."""


def slide(number: int = 0) -> np.ndarray:
    """A slide: a title bar and lines of text."""
    picture = np.full((HEIGHT, WIDTH, 3), 245, np.uint8)
    picture[:40] = (110, 60, 40)
    for row in range(4):
        text = f"slide {number} line {row}"
        cv2.putText(picture, text, (30, 90 + 50 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2)
    return picture


def noisy(picture: np.ndarray, seed: int, sigma: float = 4.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0.0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def moment(
    number: int,
    *pictures: np.ndarray,
    found: Sequence[Change] = (("attribute", "empty", "nothing moves"),),
    epoch: int = 0,
    start_s: float | None = None,
    length_s: float = 5.0,
) -> tuple[Moment, list[KeyFrame]]:
    """A moment with these pictures and findings, of 5 s if nothing else is given."""
    start_s = number * length_s if start_s is None else start_s
    span = Span(start_s, start_s + length_s)
    frames = [
        KeyFrame(
            f"f{number}-{index}",
            "screen",
            start_s + index,
            number * 10 + index,
            "1/1",
            WIDTH,
            HEIGHT,
            cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes(),
        )
        for index, picture in enumerate(pictures)
    ]
    findings = tuple(Finding(field, kind, text, span, "test/1") for field, kind, text in found)
    seen = Observation(f"seen {number}", findings, "observers/1", 1000.0)
    key = moment_id("screen", epoch, "moment", start_s)
    return Moment(key, "screen", epoch, span, (seen,), frame_ids=tuple(frame.id for frame in frames)), frames


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore.open(tmp_path / "memory", write=True) as opened:
        yield opened


def fill(store: MemoryStore, *pairs: tuple[Moment, list[KeyFrame]]) -> list[Moment]:
    moments = [item for item, _ in pairs]
    store.append(moments, [frame for _, frames in pairs for frame in frames], backlog_entries(moments))
    return moments


def line(prompt: Prompt) -> MomentDescriptionReply | DescriptionReply:
    rest: dict = {"actors": [], "actions": [], "objects": ["a slide"], "place": ""}
    if prompt.name == "summary":
        return DescriptionReply(caption="Some slides.", **rest)
    return MomentDescriptionReply(caption="A slide is shown.", visible_text=[], **rest)


def finished(store: MemoryStore, lmm: ScriptedLmm) -> CaptionReport:
    with Captioner(store, lmm) as captioner:
        return captioner.finish()


def calls(store: MemoryStore) -> int:
    """Describe the whole backlog, and return the number of calls that it cost."""
    lmm = ScriptedLmm(otherwise=line)
    report = finished(store, lmm)
    assert (report.waiting, report.given_up) == (0, 0)
    assert all(len(item.observations) == 2 for item in store.snapshot().timeline("screen"))
    return len(lmm.asked)


def test_an_unchanged_picture_is_described_once(store):
    moments = fill(store, *(moment(number, noisy(slide(), number)) for number in range(40)))

    assert calls(store) == 1

    first, *others = store.snapshot().timeline("screen")
    assert first.id == moments[0].id
    assert not [finding for finding in first.findings if finding.kind == "carried_over"]
    for item in others:
        description = item.observations[1]
        (note,) = [finding for finding in description.findings if finding.kind == "carried_over"]
        assert (description.caption, description.written_by) == (
            "A slide is shown.",
            "lmm:scripted/caption.1",
        )
        assert note.detail["moment"] == first.id
        assert {finding.span for finding in description.findings} == {item.span}


@pytest.mark.slow
def test_each_of_several_slides_is_described_once(store):
    fill(store, *(moment(number, slide(number // 10)) for number in range(60)))

    assert calls(store) == 6


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryStore]:
    with MemoryStore.open(tmp_path_factory.mktemp("unchanged") / "memory", write=True) as opened:
        yield opened


counter = iter(range(10_000))


def is_same(store: MemoryStore, earlier: np.ndarray, later: np.ndarray) -> bool:
    """Whether a moment with the second picture is unchanged from one with the first."""
    number = 100 * next(counter)
    first, second = fill(store, moment(number, earlier), moment(number + 1, later))
    return UnchangedMoments().origin_of(second, store.snapshot()) is not None or first is second


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, WIDTH - 12),
    st.integers(0, HEIGHT - 18),
    st.integers(30, 120),
    st.sampled_from([0, 1, 2]),
    st.integers(0, 99),
)
def test_a_change_of_the_size_of_a_cursor_is_seen(shared_store, left, top, levels, channel, seed):
    before = slide()
    after = before.copy().astype(np.int16)
    spot = after[top : top + 18, left : left + 12, channel]
    spot += np.where(spot > 127, -levels, levels).astype(np.int16)

    assert not is_same(shared_store, noisy(before, seed, 2.0), noisy(after.astype(np.uint8), seed + 1, 2.0))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.floats(0.0, 5.0), st.integers(-3, 3))
def test_noise_and_flicker_are_no_change(shared_store, seed, sigma, flicker):
    flickering = np.clip(slide().astype(np.int16) + flicker, 0, 255).astype(np.uint8)

    assert is_same(shared_store, noisy(slide(), seed, sigma), noisy(flickering, seed + 1000, sigma))


@pytest.mark.parametrize(
    "found",
    [
        [("action", "enters", "a shape enters")],
        [("actor", "face", "a face")],
        [("speech", "cue", "Good morning.")],
        [("visible_text", "line", "EXIT")],
        [("attribute", "moving", "movement on the left")],
        [("action", "cut", "a cut")],
        [("object", "of_a_plugin", "a parcel")],
    ],
    ids=lambda found: found[0][1],
)
@pytest.mark.parametrize("place", ["before", "in it"])
def test_a_moment_in_which_something_was_found_is_described(store, found, place):
    first, second = (found, ()) if place == "before" else ((), found)
    fill(store, moment(0, slide(), found=first), moment(1, slide(), found=second))

    is_text_that_stays = (place, found[0][0]) == ("before", "visible_text")
    assert calls(store) == (1 if is_text_that_stays else 2)


def test_only_moments_that_follow_each_other_share_a_description(store):
    fill(
        store,
        moment(0, slide()),
        moment(1, slide(), start_s=8.0),
        moment(2, slide(), start_s=13.0, epoch=1),
    )

    assert calls(store) == 3


def test_a_moment_with_two_pictures_is_described(store):
    fill(store, moment(0, slide(0), slide(1)), moment(1, slide(1)), moment(2, slide(1)))

    assert calls(store) == 2


@pytest.mark.slow
def test_a_slow_change_is_described_again(store):
    """A sunset: no step shows, and all of them together do."""
    fading = [np.full((HEIGHT, WIDTH, 3), 200 - 2 * number, np.uint8) for number in range(60)]
    fill(store, *(moment(number, picture) for number, picture in enumerate(fading)))

    assert 5 <= calls(store) <= 20


@pytest.mark.slow
def test_a_still_picture_is_described_every_ten_minutes(store):
    count = round(2.5 * LONGEST_S / 25)
    fill(store, *(moment(number, slide(), length_s=25.0) for number in range(count)))

    assert calls(store) == 3


def test_if_the_first_moment_fails_the_next_is_described_itself(store):
    pairs = [moment(number, slide()) for number in range(4)]
    fill(store, *pairs)
    lmm = ScriptedLmm("nonsense", otherwise=line)

    report = finished(store, lmm)

    assert (report.described, report.waiting, report.given_up) == (4, 0, 0)
    assert len(lmm.asked) <= 4


def test_an_unchanged_moment_watched_later_costs_at_most_a_call(store):
    fill(store, *(moment(number, slide()) for number in range(5)))
    assert calls(store) == 1

    fill(store, *(moment(number, slide()) for number in range(5, 10)))

    assert calls(store) <= 1


def test_a_description_of_another_model_is_not_carried_over(store):
    fill(store, *(moment(number, slide()) for number in range(5)))
    assert calls(store) == 1
    large = ScriptedLmm(otherwise=line, name="large")

    queue_undescribed(store, "large")
    finished(store, large)

    assert len(large.asked) == 1
    writers = {item.observations[2].written_by for item in store.snapshot().timeline("screen")}
    assert writers == {"lmm:large/caption.1"}


def test_a_moment_without_its_picture_is_not_called_unchanged(store):
    first, frames = moment(0, slide())
    second = moment(1, slide())
    damaged = [replace(frame, jpeg=b"no jpeg") for frame in frames]
    fill(store, (first, damaged), second)

    assert UnchangedMoments().origin_of(second[0], store.snapshot()) is None


@pytest.mark.slow
def test_calls_follow_change_in_a_film_of_slides(tmp_path):
    film = tmp_path / "slides.mp4"
    with av.open(str(film), "w") as container:
        stream = container.add_stream("libx264", rate=2, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(2 * 180):
            frame = av.VideoFrame.from_ndarray(slide(number // 60), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    lmm = ScriptedLmm(otherwise=line)

    with Recollect(tmp_path / "memory", lmm=lmm) as memory:
        report = memory.watch(film, options=WatchOptions(ocr=False))

    captions = [request for request in lmm.asked if request.prompt.name == "caption"]
    assert (report.state, report.waiting) == ("done", 0)
    assert report.moments >= 18
    assert 6 <= len(captions) <= 12, "one for each slide, and at most one for each change"
