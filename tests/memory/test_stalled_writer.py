"""A writer that is stopped inside a commit: what others write has a deadline, and answers come."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recollect import Recollect
from recollect.memory import MemoryStore, Observation, Span, Use
from recollect.memory.errors import WriterStalled
from recollect.memory.storage.commits import COMMIT_LOCK_NAME
from recollect.memory.store import WRITE_BACK_WAIT_S

WRITER = """
import sys, time
from dataclasses import replace
from recollect.memory import MemoryStore
with MemoryStore.open(sys.argv[1], write=True) as store:
    stream = store.streams()[0]
    while True:
        store.put_stream(stream)
"""


def is_inside_a_commit(memory: Path) -> bool:
    return (memory / COMMIT_LOCK_NAME).read_text() != ""


@pytest.fixture
def stalled(door) -> Iterator[Path]:
    """A memory whose writer is stopped inside a commit."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(door.memory)])
    until = time.monotonic() + 60
    try:
        while not is_inside_a_commit(door.memory):
            assert time.monotonic() < until
            time.sleep(0.001)
        writer.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        while not is_inside_a_commit(door.memory):
            # It finished that commit just before it was stopped.
            writer.send_signal(signal.SIGCONT)
            time.sleep(0.003)
            writer.send_signal(signal.SIGSTOP)
            time.sleep(0.05)
            assert time.monotonic() < until
        yield door.memory
    finally:
        writer.kill()
        writer.wait()


@pytest.mark.slow
def test_an_answer_comes_while_the_writer_is_stopped(stalled, caplog):
    with Recollect(stalled) as memory:
        # Loads every library, and writes nothing.
        memory.search("a dog")
        begun = time.monotonic()
        with caplog.at_level(logging.WARNING):
            answer = memory.ask("When does a dog bark beside the wall?", from_s=60.0, to_s=600.0)
        seconds = time.monotonic() - begun

    assert answer.text
    assert seconds < WRITE_BACK_WAIT_S + 5.0
    assert [record.message for record in caplog.records if "another process" in record.message]


@pytest.mark.slow
def test_only_the_first_write_waits_for_a_stalled_writer(stalled):
    with MemoryStore.open(stalled) as store:
        moment = store.snapshot().timeline("door", limit=1)[0]
        use = Use("door", Span(0.0, 5.0), "cited", time.time())

        begun = time.monotonic()
        with pytest.raises(WriterStalled, match="commit lock"):
            store.write_back(moment, Observation("a dent", (), "inspect/1", time.time()))
        first_s = time.monotonic() - begun
        with pytest.raises(WriterStalled):
            store.note_uses([use])
        second_s = time.monotonic() - begun - first_s

    assert WRITE_BACK_WAIT_S <= first_s < WRITE_BACK_WAIT_S + 2.0
    assert second_s < 1.0
