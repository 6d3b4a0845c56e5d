"""Key frames: the choice of the representative pictures of a moment."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from recollect.memory.values import Span
from recollect.perception.sources.frame import THUMB_SHAPE, Frame
from recollect.perception.stages.key_frames import MAX_FRAMES, MAX_SIDE, KeyFrameChooser, encode_jpeg


def frame(time_s: float, level: int, *, epoch: int = 0) -> Frame:
    picture = np.full((48, 64, 3), level, np.uint8)
    return Frame(
        time_s=time_s,
        pts=round(time_s * 1000),
        time_base=Fraction(1, 1000),
        thumb=np.full(THUMB_SHAPE, level, np.uint8),
        epoch=epoch,
        small=picture,
        read_picture=lambda: picture,
    )


def test_one_picture_of_a_still_moment_is_kept():
    chooser = KeyFrameChooser("door")

    for index in range(40):
        chooser.push(frame(index / 4, 90), 0.0)

    (kept,) = chooser.take(Span(0.0, 10.0))
    assert kept.time_s == 0.0


def test_differing_pictures_are_kept_evenly_up_to_a_limit():
    chooser = KeyFrameChooser("door")

    for index in range(24):
        chooser.push(frame(index / 4, 30 * (index % 8)), 0.0)

    kept = chooser.take(Span(0.0, 6.0))
    assert len(kept) == MAX_FRAMES
    assert kept[0].time_s == 0.0
    assert kept[-1].time_s == 5.5


def test_a_small_change_late_in_a_lively_moment_is_kept():
    """A person walks for four seconds, and then a bag is put down."""
    chooser = KeyFrameChooser("door")
    for index in range(20):
        shown = frame(index / 4, 90)
        walked = min(index, 16)
        shown.thumb[10:30, walked : walked + 6] = 200
        if index >= 18:
            shown.thumb[20:24, 50:54] = 10
        chooser.push(shown, 0.0)

    assert chooser.take(Span(0.0, 5.0))[-1].time_s >= 4.5


def test_grain_of_a_still_picture_is_not_a_change():
    chooser, grain = KeyFrameChooser("door"), np.random.default_rng(0)
    for index in range(40):
        shown = frame(index / 4, 90)
        shown.thumb[:] = grain.normal(90, 6, THUMB_SHAPE).round()
        chooser.push(shown, 0.0)

    assert len(chooser.take(Span(0.0, 10.0))) == 1


def test_every_moment_keeps_a_picture_without_any_change():
    chooser = KeyFrameChooser("door")

    for index in range(40):
        chooser.push(frame(index / 4, 90), 0.0 if index < 20 else 5.0)

    assert [kept.time_s for kept in chooser.take(Span(0.0, 5.0))] == [0.0]
    assert [kept.time_s for kept in chooser.take(Span(5.0, 10.0))] == [5.0]


def test_a_picture_is_returned_once():
    chooser = KeyFrameChooser("door")
    chooser.push(frame(1.0, 90), 0.0)

    assert len(chooser.take(Span(0.0, 5.0))) == 1
    assert chooser.take(Span(0.0, 5.0)) == []


def test_a_picture_id_depends_on_the_epoch_and_not_the_run():
    def kept_id(stream: str, epoch: int) -> str:
        chooser = KeyFrameChooser(stream)
        chooser.push(frame(1.0, 90, epoch=epoch), 0.0)
        return chooser.take(Span(0.0, 5.0))[0].id

    assert kept_id("door", 0) == kept_id("door", 0)
    assert len({kept_id("door", 0), kept_id("door", 1), kept_id("yard", 0)}) == 3


def test_the_signature_of_a_picture_is_the_grey_of_its_cells():
    chooser, shown = KeyFrameChooser("door"), frame(0.0, 90)
    shown.thumb[:6, :8] = 30  # the cell at the top left
    shown.thumb[30:, 56:] = 210  # at the bottom right
    shown.thumb[6:9, 8:16] = 190  # half of a cell
    chooser.push(shown, 0.0)

    (kept,) = chooser.take(Span(0.0, 5.0))

    levels = np.frombuffer(kept.signature, np.uint8).reshape(6, 8)
    assert (levels[0, 0], levels[5, 7], levels[1, 1]) == (30, 210, 140)
    assert np.count_nonzero(levels == 90) == 45


def test_a_large_picture_is_scaled_with_its_aspect_ratio():
    data, width, height = encode_jpeg(np.full((2160, 3840, 3), 120, np.uint8))

    assert (width, height) == (MAX_SIDE, 720)
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (720, MAX_SIDE, 3)


def test_a_very_long_picture_can_be_encoded():
    _, width, height = encode_jpeg(np.full((1, 9000, 3), 120, np.uint8))

    assert (width, height) == (MAX_SIDE, 1)
