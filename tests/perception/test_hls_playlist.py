"""HLS playlists: the newest segment is found, and the time at which it was listed."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.perception.sources.hls_playlist import (
    PlaylistWatcher,
    SegmentTimes,
    first_variant,
    newest_segment,
)

MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1280000\n\n# a comment\nhigh/index.m3u8?t=1\n"


def media(first: int, count: int, *, end: str = "") -> str:
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    for number in range(first, first + count):
        lines += ["#EXTINF:2.0,", f"{number}.ts"]
    return "\n".join([*lines, end])


@contextmanager
def watching(texts: dict[str, str]) -> Iterator[PlaylistWatcher]:
    watcher = PlaylistWatcher(lambda url: texts[url], "http://camera/live.m3u8")
    yield watcher
    watcher.close()


@pytest.mark.parametrize(
    ("text", "number"), [(media(5, 3), 7), (media(0, 1), 0), (media(9, 0), None), (MASTER, None), ("", None)]
)
def test_the_newest_segment_has_the_last_number(text, number):
    assert newest_segment(text) == number


def test_the_first_variant_of_a_master_playlist_is_found():
    assert first_variant(MASTER) == "high/index.m3u8?t=1"
    assert first_variant(media(0, 3)) is None


def test_a_new_segment_is_listed_when_the_playlist_names_it():
    texts = {"http://camera/live.m3u8": MASTER, "http://camera/high/index.m3u8?t=1": media(5, 3)}
    with watching(texts) as watcher:
        time.sleep(0.3)
        assert watcher.is_waiting
        changed_s = time.monotonic()
        texts["http://camera/high/index.m3u8?t=1"] = media(6, 3)
        watcher.wait(5.0)
        received_s = time.monotonic()

        assert not watcher.is_waiting
        assert changed_s <= watcher.listings_s[0] <= received_s


def test_a_playlist_that_has_ended_is_not_waited_for():
    with watching({"http://camera/live.m3u8": media(5, 3, end="#EXT-X-ENDLIST")}) as watcher:
        time.sleep(0.5)

        assert not watcher.is_waiting


@pytest.mark.parametrize("segment_s", [2.0, 6.0, 10.0])
@pytest.mark.parametrize("creep", [-0.001, 0.0, 0.01, 0.05])
@given(seed=st.integers(0, 1000))
def test_each_segment_counts_from_its_own_listing(segment_s, creep, seed):
    """A player that comes a little later with every segment, and a watcher that sees each a little late."""
    chance, times = random.Random(seed), SegmentTimes()
    listings_s = [1000.0 + n * segment_s + chance.uniform(0.0, 0.2) for n in range(120)]
    late_s = 0.3
    for n in range(100):
        late_s = (late_s + creep * segment_s) % (1.5 * segment_s)
        received_s = max(1000.0 + n * segment_s + late_s, listings_s[n] if n == 0 else 0.0)
        for key in range(2):
            times.note_key_frame(received_s, 5.0 + (n + key / 2) * segment_s, listings_s)
        offered_s = times.offered_s(received_s + 0.05)

        assert 1000.0 + n * segment_s <= offered_s
        assert offered_s <= 1000.0 + n * segment_s + 0.4


def test_a_restarted_encoder_goes_on_with_the_next_listing():
    times = SegmentTimes()
    listings_s = [1000.0 + 6 * n for n in range(20)]
    for n in range(10):
        media_s = 6.0 * n if n < 5 else 900_000.0 + 6.0 * n
        times.note_key_frame(1000.5 + 6 * n, media_s, listings_s)

        assert times.offered_s(1000.6 + 6 * n) == 1000.0 + 6 * n


def test_before_a_listing_a_segment_counts_from_its_arrival():
    times = SegmentTimes()
    times.note_key_frame(12.5, 0.0, [])

    assert times.offered_s(12.5) == 12.5
