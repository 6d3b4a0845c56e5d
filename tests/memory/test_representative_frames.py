"""Representative frames: which pictures an event, an hour or a day shows."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.memory import KeyFrame, MemoryStore, Moment, Span
from recollect.memory.ladder.builder import Ladder
from recollect.memory.ladder.representative_frames import MAX_FRAMES, choose_frames
from recollect.memory.ladder.summaries import evenly

CELLS = 48
GREY = bytes([90]) * CELLS
_levels = st.binary(min_size=CELLS, max_size=CELLS)


def named(signatures: list[bytes]) -> dict[str, bytes]:
    return {f"f{number:02}": signature for number, signature in enumerate(signatures)}


def with_a_spot(cell: int) -> bytes:
    """The grey picture with a bright spot at one place."""
    return GREY[:cell] + b"\xff\xff" + GREY[cell + 2 :]


@given(st.permutations([*range(10), "a", "b", "c"]), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_pictures_that_differ_are_chosen(order: list[int | str], chance: random.Random) -> None:
    """Ten pictures differ only by grain, and three by a bright spot."""
    spots = {"a": with_a_spot(3), "b": with_a_spot(20), "c": with_a_spot(40)}
    looks = [
        spots[item] if isinstance(item, str) else bytes(90 + chance.randint(-1, 1) for _ in range(CELLS))
        for item in order
    ]
    pictures = named(looks)

    chosen = choose_frames(list(pictures), pictures)

    different = {key for key, look in pictures.items() if look in spots.values()}
    assert len(chosen) == MAX_FRAMES
    assert different < set(chosen)


@given(st.lists(_levels, max_size=30), st.lists(st.floats(0, 10), min_size=30, max_size=30))
@settings(max_examples=50, deadline=None)
def test_the_choice_is_small_ordered_and_deterministic(looks: list[bytes], weights: list[float]) -> None:
    pictures = named(looks)

    chosen = choose_frames(list(pictures), pictures, weights[: len(looks)])

    assert chosen == sorted(chosen)
    assert len(set(chosen)) == len(chosen) == min(MAX_FRAMES, len(looks))
    assert chosen == choose_frames(list(pictures), dict(reversed(pictures.items())), weights[: len(looks)])


def test_of_similar_pictures_those_far_apart_in_time_are_chosen() -> None:
    pictures = named([GREY] * 21)

    chosen = choose_frames(list(pictures), pictures)

    assert {"f00", "f10", "f20"} < set(chosen)


def test_a_visitor_counts_more_than_a_change_of_brightness() -> None:
    cloudy = [bytes([90 - 3 * step]) * CELLS for step in range(8)]
    pictures = named([*cloudy, with_a_spot(3), with_a_spot(20), *reversed(cloudy)])

    assert {"f08", "f09"} < set(choose_frames(list(pictures), pictures))


def test_a_used_picture_is_preferred_to_similar_ones() -> None:
    pictures = named([GREY] * 5 + [with_a_spot(3)] * 4 + [GREY] * 5)
    names = list(pictures)

    for used in range(len(names)):
        weights = [float(number == used) for number in range(len(names))]
        assert names[used] in choose_frames(names, pictures, weights)


def test_used_pictures_leave_room_for_different_ones() -> None:
    looks = [GREY] * 8 + [with_a_spot(3), with_a_spot(20)]
    pictures = named(looks)

    chosen = choose_frames(list(pictures), pictures, [9.0] * 8 + [0.0] * 2)

    assert {"f08", "f09"} < set(chosen)


def test_without_a_signature_pictures_are_spread_evenly() -> None:
    pictures = named([GREY, with_a_spot(3)] * 8)
    names = list(pictures)
    del pictures["f07"]

    assert choose_frames(names, pictures) == evenly(names, MAX_FRAMES)
    assert choose_frames(names, {}) == evenly(names, MAX_FRAMES)
    assert choose_frames(names, {**pictures, "f07": b"\x00" * 12}) == evenly(names, MAX_FRAMES)


def picture(number: int, look: bytes) -> KeyFrame:
    return KeyFrame(f"f{number:02}", "kitchen", number * 5.0, 0, "1/1", 4, 3, b"jpeg", look)


def test_signatures_are_read_without_their_pictures(store: MemoryStore) -> None:
    store.append([], [picture(0, GREY), picture(1, with_a_spot(9)), picture(2, b"")])

    read = store.snapshot().signatures(["f01", "f00", "f02", "gone"])

    assert read == {"f00": GREY, "f01": with_a_spot(9), "f02": b""}


def build_parents(ladder: Ladder, moment: Callable[..., Moment], looks: list[bytes]) -> list[Moment]:
    parents: list[Moment] = []
    for number, look in enumerate(looks):
        with_picture = replace(moment(number), frame_ids=(f"f{number:02}",))
        parents += ladder.push(with_picture, [picture(number, look)])
    return parents + ladder.flush()


def test_an_hour_chooses_among_the_pictures_of_its_events(
    moment: Callable[..., Moment],
) -> None:
    looks = [GREY] * 130
    for number in (7, 30, 41, 70, 100):
        looks[number] = with_a_spot(number // 3)

    first, second, third, hour = build_parents(Ladder("kitchen"), moment, looks)

    assert {"f07", "f30", "f41"} < set(first.frame_ids)
    assert {"f70", "f100"} < set(second.frame_ids)
    assert hour.rung == "hour"
    assert set(hour.frame_ids) < {*first.frame_ids, *second.frame_ids, *third.frame_ids}
    assert len({"f07", "f30", "f41", "f70", "f100"} & set(hour.frame_ids)) == MAX_FRAMES - 1, (
        "the fourth is a grey one"
    )


def test_a_parent_shows_a_picture_of_a_used_span(moment: Callable[..., Moment]) -> None:
    requested: list[Span] = []

    def used(span: Span) -> float:
        requested.append(span)
        return float(span.contains(87.0))

    unused = build_parents(Ladder("kitchen"), moment, [GREY] * 40)[0]
    event = build_parents(Ladder("kitchen", used), moment, [GREY] * 40)[0]

    assert "f17" not in unused.frame_ids
    assert "f17" in event.frame_ids
    assert requested[0] == Span(0.0, 200.0), "an unused event needs no query for each moment"


def test_a_ladder_keeps_a_bounded_number_of_signatures(moment: Callable[..., Moment]) -> None:
    ladder = Ladder("kitchen")
    max_signatures = 0
    for number in range(3600):
        with_picture = replace(moment(number), frame_ids=(f"f{number:02}",))
        ladder.push(with_picture, [picture(number, GREY)])
        max_signatures = max(max_signatures, len(ladder._signatures))

    open_moments, open_events, hours = 60, 12, 5
    assert max_signatures <= open_moments + 1 + MAX_FRAMES * (open_events + 1 + hours)
