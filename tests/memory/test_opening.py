"""Opening a memory: what is refused, and that refusals change nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recollect.memory import HashingEncoder, MemoryStore
from recollect.memory.errors import DiskFull, EncoderMismatch, MemoryInUse, NewerMemory, NotAMemory

HOLD_THE_LOCK = """
import sys
from recollect.memory import MemoryStore
store = MemoryStore.open(sys.argv[1], write=True, what="watch kitchen.mp4")
print("open", flush=True)
sys.stdin.read()
"""


def test_opening_for_writing_creates_a_memory(folder: Path) -> None:
    MemoryStore.open(folder / "deep" / "down", write=True).close()

    with MemoryStore.open(folder / "deep" / "down") as reader:
        assert reader.streams() == []
        assert reader.snapshot().search("anything") == []
        assert reader.snapshot().cover("kitchen") == []


def test_reading_an_empty_folder_raises_not_a_memory(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(NotAMemory, match="nothing has been watched there yet"):
            MemoryStore.open(path)
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("write", [False, True])
def test_a_folder_with_other_files_is_refused_unchanged(tmp_path: Path, write: bool) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(NotAMemory, match="holds other files"):
        MemoryStore.open(tmp_path, write=write)

    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("write", [False, True])
def test_a_file_is_refused(tmp_path: Path, write: bool) -> None:
    (tmp_path / "video.mp4").write_bytes(b"x")

    with pytest.raises(NotAMemory, match="it is a file"):
        MemoryStore.open(tmp_path / "video.mp4", write=write)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "other", "schema": 1}'])
def test_a_foreign_memory_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "memory.json").write_text(content)

    with pytest.raises(NotAMemory):
        MemoryStore.open(tmp_path, write=True)


@pytest.mark.parametrize("write", [False, True])
def test_a_newer_memory_is_refused_unchanged(folder: Path, write: bool) -> None:
    MemoryStore.open(folder, write=True).close()
    facts = json.loads((folder / "memory.json").read_text())
    (folder / "memory.json").write_text(json.dumps({**facts, "schema": 99, "surprise": True, "digest": None}))
    paths_before = sorted(folder.rglob("*"))

    with pytest.raises(NewerMemory, match="schema 99"):
        MemoryStore.open(folder, write=write)

    assert sorted(folder.rglob("*")) == paths_before


def test_the_files_of_a_writer_killed_at_creation_do_no_harm(folder: Path) -> None:
    folder.mkdir()
    (folder / "writer.lock").write_text("")
    (folder / "memory.json.4711.new").write_text("{")

    with MemoryStore.open(folder, write=True) as store:
        assert store.streams() == []


def test_a_second_writer_is_refused_with_the_name_of_the_first(folder: Path, store: MemoryStore) -> None:
    with pytest.raises(MemoryInUse, match=f"process {os.getpid()} on "):
        MemoryStore.open(folder, write=True)

    with MemoryStore.open(folder) as reader:
        assert reader.streams() == []


@pytest.mark.slow
def test_the_lock_of_a_killed_process_is_released(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        start_s = time.monotonic()
        with pytest.raises(MemoryInUse, match=rf"process {holder.pid} on .* \(watch kitchen.mp4\)"):
            MemoryStore.open(folder, write=True)
        refused_s = time.monotonic() - start_s

        holder.send_signal(signal.SIGKILL)
        holder.wait()

    start_s = time.monotonic()
    with MemoryStore.open(folder, write=True) as store:
        assert store.streams() == []
    assert max(refused_s, time.monotonic() - start_s) < 1.0, "opening waited for the lock"


def test_closing_releases_the_writer_lock(folder: Path) -> None:
    MemoryStore.open(folder, write=True).close()

    MemoryStore.open(folder, write=True).close()


def test_a_full_disk_is_refused_before_anything_is_written(folder: Path) -> None:
    with pytest.raises(DiskFull, match="bytes are free"):
        MemoryStore.open(folder, write=True, min_free_bytes=1 << 60)

    MemoryStore.open(folder, write=True).close()


def test_another_encoder_is_refused(folder: Path) -> None:
    MemoryStore.open(folder, write=True, encoder=HashingEncoder(64)).close()

    with pytest.raises(EncoderMismatch, match=r"trigrams/64.*trigrams/128"):
        MemoryStore.open(folder, encoder=HashingEncoder(128))
    with pytest.raises(EncoderMismatch, match="no encoder"):
        MemoryStore.open(folder, write=True)
    MemoryStore.open(folder).close()


def test_an_encoder_is_refused_by_a_memory_without_vectors(folder: Path) -> None:
    MemoryStore.open(folder, write=True).close()

    with pytest.raises(EncoderMismatch, match="no vectors"):
        MemoryStore.open(folder, encoder=HashingEncoder())
