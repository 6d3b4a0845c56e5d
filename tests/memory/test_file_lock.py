"""File locks: exclusive between processes, and released however their holder ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recollect.memory.storage.file_lock import delete_locked, is_locked, try_lock, wait_for_lock

HOLD = """
import sys
from pathlib import Path
from recollect.memory.storage.file_lock import wait_for_lock
with Path(sys.argv[1]).open("a+") as file:
    wait_for_lock(file)
    file.write("held")
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "some.lock").write_text("free")
    return tmp_path / "some.lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        yield process
        process.kill()


def test_a_lock_excludes_a_second_holder(path: Path) -> None:
    with path.open("a+") as first, path.open("a+") as second:
        assert try_lock(first)
        assert not try_lock(second)


def test_closing_the_file_releases_the_lock(path: Path) -> None:
    with path.open("a+") as first:
        wait_for_lock(first)

    with path.open("a+") as second:
        assert try_lock(second)


def test_a_test_of_the_lock_does_not_take_it(path: Path) -> None:
    assert not is_locked(path)
    with path.open("a+") as holder:
        assert try_lock(holder)
        assert is_locked(path)


def test_a_missing_file_is_not_locked(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "none.lock")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forbids reading a locked file")
def test_the_text_of_a_locked_file_can_be_read(path: Path) -> None:
    with path.open("a+") as holder:
        wait_for_lock(holder)

        assert path.read_text() == "free"


def test_a_waiting_thread_gets_the_lock_when_it_is_released(path: Path) -> None:
    taken = threading.Event()

    def wait() -> None:
        with path.open("a+") as file:
            wait_for_lock(file)
            taken.set()

    thread = threading.Thread(target=wait)
    with path.open("a+") as holder:
        wait_for_lock(holder)
        thread.start()
        assert not taken.wait(0.1)

    assert taken.wait(5)
    thread.join()


def test_a_deleted_file_is_closed_and_its_name_is_gone(path: Path) -> None:
    file = path.open("a+")
    wait_for_lock(file)

    delete_locked(file)

    assert file.closed
    assert not path.exists()


def test_a_file_that_cannot_be_locked_is_an_os_error(path: Path) -> None:
    file = path.open("a+")
    file.close()

    with pytest.raises((OSError, ValueError)):
        wait_for_lock(file)


@pytest.mark.slow
def test_the_kernel_releases_the_lock_of_a_killed_process(
    path: Path, holder: subprocess.Popen[bytes]
) -> None:
    locked_while_alive = is_locked(path)

    holder.send_signal(signal.SIGKILL)
    holder.wait()

    assert locked_while_alive
    with path.open("a+") as file:
        assert try_lock(file)
