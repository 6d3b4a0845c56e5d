"""HLS playlists: the newest segment is found, and the time at which it was listed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from recollect.perception.sources.hls_playlist import PlaylistWatcher, first_variant, newest_segment

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
        assert changed_s <= watcher.listed_s(received_s + 0.1) <= received_s


def test_what_comes_when_the_next_segment_is_due_counts_as_new():
    texts = {"http://camera/live.m3u8": media(5, 3)}
    with watching(texts) as watcher:
        time.sleep(0.3)
        texts["http://camera/live.m3u8"] = media(6, 3)
        watcher.wait(5.0)
        late_s = time.monotonic() + 1.5

        assert watcher.listed_s(late_s) == late_s


def test_a_playlist_that_has_ended_is_not_waited_for():
    with watching({"http://camera/live.m3u8": media(5, 3, end="#EXT-X-ENDLIST")}) as watcher:
        time.sleep(0.5)

        assert not watcher.is_waiting


def test_before_a_listing_a_segment_counts_from_its_arrival():
    with watching({"http://camera/live.m3u8": media(5, 3)}) as watcher:
        assert watcher.listed_s(12.5) == 12.5
