"""Six sources watched into one memory at once: questions run, one camera is killed and one erased."""

from __future__ import annotations

from pathlib import Path

import pytest

from recollect import WatchOptions
from recollect.memory import MemoryStore
from recollect.perception.watching import watch
from recollect.testing.many_streams import ERASED, FILMS, KILLED, SECRET, ManyStreams

FILM_S = 40.0


def moments_of(memory: Path, stream: str) -> list[tuple[str, str]]:
    with MemoryStore.open(memory) as store:
        moments = store.snapshot().timeline(stream, limit=1000)
        return [(moment.id, moment.caption) for moment in moments]


@pytest.mark.slow  # six sources at once: some 20 s
def test_four_streams_lose_nothing_when_two_others_end(tmp_path):
    run = ManyStreams(tmp_path, film_s=FILM_S).run("home", disturbed=True)

    assert run.answers
    assert run.errors == []
    for name in FILMS:
        report = run.reports[name]
        assert (report.state, report.gaps, report.counts.captured) == ("done", 0, FILM_S * 10)
        assert report.counts.balanced
        assert report.until_s == pytest.approx(FILM_S, abs=0.2)
        # The result equals that of watching the file on its own.
        watch(tmp_path / f"{name} alone", tmp_path / f"{name}.mp4", options=WatchOptions(ocr=False))
        assert moments_of(run.memory, name) == moments_of(tmp_path / f"{name} alone", name)
    with MemoryStore.open(run.memory) as store:
        assert {stream.name for stream in store.streams()} == {*FILMS, KILLED}
        snapshot = store.snapshot()
        door = snapshot.coverage(KILLED)
        gaps = snapshot.gaps(KILLED)
        assert gaps[-1].span.end_s == pytest.approx(door.span.end_s, abs=1.0)
        assert snapshot.counts(KILLED).balanced
    assert run.reports[ERASED].state == "erased"
    holders = [
        path for path in run.memory.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert holders == []
