"""The disk budget counts bytes before they are written, and its figure is never too low."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from recollect.memory.errors import BadBudget
from recollect.memory.keeping.disk_budget import MIN_BUDGET_BYTES, DiskBudget, check_budget
from recollect.memory.storage.file_sizes import size_on_disk

BUDGET = 100_000_000


def write(path: Path, size_bytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size_bytes)


def test_files_take_whole_blocks_and_folders_one_block(tmp_path: Path) -> None:
    write(tmp_path / "one", 1)
    write(tmp_path / "deep" / "down" / "two", 4097)

    assert size_on_disk(tmp_path) == 4096 + 2 * 4096 + 2 * 4096


def test_a_missing_folder_has_size_zero(tmp_path: Path) -> None:
    assert size_on_disk(tmp_path / "absent") == 0


def test_written_bytes_count_before_the_next_measurement(tmp_path: Path) -> None:
    budget = DiskBudget(tmp_path, BUDGET)
    before_bytes = budget.used_bytes

    write(tmp_path / "new", 3_000_000)

    assert budget.used_bytes - before_bytes >= 3_000_000
    assert budget.measure() - before_bytes < 3_100_000


def test_small_files_count_as_blocks_before_a_measurement(tmp_path: Path) -> None:
    budget = DiskBudget(tmp_path, BUDGET)
    budget.measure()

    for number in range(300):
        write(tmp_path / f"{number}", 100)

    assert budget.used_bytes >= size_on_disk(tmp_path)


def test_a_write_in_progress_counts_before_any_byte_is_written(tmp_path: Path) -> None:
    budget = DiskBudget(tmp_path, BUDGET)
    open_bytes = budget.open_bytes

    with budget.writing(open_bytes - 1_000_000):
        fits_during_write = budget.fits(2_000_000)

    assert not fits_during_write
    assert budget.fits(2_000_000)


def test_deleted_files_make_room_when_it_is_needed(tmp_path: Path) -> None:
    budget = DiskBudget(tmp_path, BUDGET)
    write(tmp_path / "large", 60_000_000)
    used_bytes = budget.used_bytes
    (tmp_path / "large").unlink()

    assert used_bytes >= 60_000_000
    assert budget.fits(60_000_000)


def test_a_measurement_during_writes_is_never_too_low(tmp_path: Path) -> None:
    budget = DiskBudget(tmp_path, 10 * BUDGET)
    budget.measure()
    written, finished = [0], threading.Event()

    def write_files() -> None:
        for number in range(300):
            write(tmp_path / f"{number % 7}" / f"{number}", 50_000)
            written[0] += 50_000
        finished.set()

    thread = threading.Thread(target=write_files)
    thread.start()
    while not finished.is_set():
        min_bytes = written[0]
        assert budget.measure() >= min_bytes
    thread.join()


def test_maintenance_has_reserved_room(tmp_path: Path) -> None:
    budget = DiskBudget(tmp_path, BUDGET)
    default_bytes = budget.open_bytes
    budget.reserve(15_000_000)
    larger_reserve_bytes = budget.open_bytes
    budget.reserve(90_000_000)

    assert default_bytes == 95_000_000
    assert larger_reserve_bytes == 85_000_000
    assert budget.open_bytes == 80_000_000, "at most a fifth of the budget is reserved"


@pytest.mark.parametrize("size_bytes", [-1, 0, 1, MIN_BUDGET_BYTES - 1])
def test_a_budget_too_small_for_the_indexes_is_refused(size_bytes: int) -> None:
    with pytest.raises(BadBudget, match="do not hold its indexes"):
        check_budget(size_bytes)


def test_no_budget_and_a_large_budget_are_accepted() -> None:
    check_budget(None)
    check_budget(MIN_BUDGET_BYTES)
