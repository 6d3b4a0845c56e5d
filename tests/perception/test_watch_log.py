"""The log has each event once, a dead camera does not fill it, and an outage that is new is always in it."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator

import pytest

from recollect.cli.log_lines import LogLineFormatter
from recollect.perception.sources.connection_progress import LiveTimeouts
from recollect.perception.watch_events import Connected, Connecting, Disconnected, Progress, Stalled
from recollect.perception.watch_log import WatchLog, log

DAY_S = 86_400.0


class Recorder(logging.Handler):
    """Keeps the records, and counts the bytes that the command would write."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.bytes = {"text": 0, "json": 0}

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        for log_format in self.bytes:
            self.bytes[log_format] += len(LogLineFormatter(log_format).format(record).encode()) + 1

    @property
    def texts(self) -> list[str]:
        return [record.text for record in self.records]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder, level = Recorder(), log.level
    log.addHandler(recorder)
    log.setLevel(logging.INFO)
    yield recorder
    log.setLevel(level)
    log.removeHandler(recorder)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    "detail", ["Connection refused", "Server returned 401 Unauthorized", "nothing came for 5.0 s"]
)
def test_a_camera_that_is_dead_for_a_day_writes_little(recorder, detail):
    clock, rng, failures = Clock(), random.Random(7), 0
    watch_log, backoff = WatchLog("door", clock), LiveTimeouts().backoff
    watch_log.note(Connected("door", "frames come"))
    while clock.now_s < DAY_S:
        failures += 1
        pause_s = backoff.pause_s(failures)
        watch_log.note(Connecting("door", "connecting to rtsp://camera.example/live"))
        watch_log.note(Stalled("door", detail))
        watch_log.note(Disconnected("door", f"{detail}; then nothing came; trying again in {pause_s:.1f} s"))
        clock.now_s += max(0.5, pause_s) + rng.random()

    assert failures > 1000
    assert recorder.bytes["text"] <= 200_000
    assert recorder.bytes["json"] <= 200_000
    assert len(recorder.records) >= DAY_S / 600
    assert "times since this was last logged" in recorder.texts[-1]


def test_every_outage_of_a_quiet_day_is_logged(recorder):
    clock = Clock()
    watch_log = WatchLog("door", clock)
    for _ in range(10):
        watch_log.note(Connected("door", "frames come"))
        clock.now_s += 60.0
        watch_log.note(Disconnected("door", "the source closed the connection; trying again in 0.5 s"))

    assert [text.split()[0] for text in recorder.texts] == ["live", "disconnected"] * 10


def test_a_camera_that_comes_and_goes_is_collapsed(recorder):
    clock = Clock()
    watch_log = WatchLog("door", clock)
    for _ in range(int(DAY_S / 10)):
        watch_log.note(Connected("door", "frames come"))
        watch_log.note(Disconnected("door", "the source closed the connection"))
        clock.now_s += 10.0

    assert recorder.bytes["text"] < 400_000


def test_a_record_names_its_level_stream_and_event(recorder):
    watch_log = WatchLog("door", Clock())
    watch_log.note(Disconnected("door", "Connection refused"))
    watch_log.note(Progress("door", 1.0, None, 1.0, 1, 0))

    [record] = recorder.records
    assert (record.levelname, record.stream, record.event) == ("WARNING", "door", "Disconnected")
    assert record.getMessage() == "door: disconnected (Connection refused)"
