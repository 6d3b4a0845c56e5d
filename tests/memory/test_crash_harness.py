"""A writer that is killed in any stage leaves a whole memory, and the integrity check finds damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recollect.memory import MemoryStore
from recollect.memory.keeping.maintenance_lock import maintenance_lock
from recollect.memory.storage.commits import Transaction
from recollect.memory.storage.tables import append, latest_view, select
from recollect.testing.crash.crash_harness import STAGES, CrashHarness, CrashWriter
from recollect.testing.integrity import ExpectedContents, find_faults, life
from recollect.testing.simulated_months import LifeEncoder

LIFE = {"picture_bytes": 300}
Damage = Callable[[MemoryStore, Transaction], None]


@pytest.fixture
def watching(folder: Path) -> Iterator[MemoryStore]:
    """An empty memory with vectors, open for writing."""
    with MemoryStore.open(folder, write=True, encoder=LifeEncoder()) as store:
        yield store


@pytest.fixture
def expected(watching: MemoryStore) -> ExpectedContents:
    """The expected contents: a quarter of an hour of two cameras."""
    writer = CrashWriter(watching, life(0, 1.0, **LIFE))
    writer.go_on(32, commits=12)
    contents = ExpectedContents(life(0, 1.0, **LIFE))
    contents.go_to(writer.position)
    return contents


@pytest.mark.slow
def test_a_writer_killed_in_any_stage_leaves_a_whole_memory(folder: Path) -> None:
    with CrashHarness(folder, moments=640, picture_bytes=60_000) as killer:
        kills = [killer.kill(stage) for stage in (*STAGES, "forget")]

    assert [fault.message for kill in kills for fault in kill.faults] == []
    assert len({kill.stage for kill in kills}) >= len(STAGES) // 2, "the kills hit the intended stages"
    assert max(kill.open_ms for kill in kills) < 2000


def test_a_complete_memory_passes_the_integrity_check(
    watching: MemoryStore, expected: ExpectedContents
) -> None:
    assert find_faults(watching.path, expected) == []
    assert expected.rows > 384


def _delete(table: str, where: str) -> Damage:
    def damage(store: MemoryStore, change: Transaction) -> None:
        change.delete(store._tables.by_kind()[table], where)

    return damage


def _duplicate(table: str) -> Damage:
    def damage(store: MemoryStore, change: Transaction) -> None:
        rows = select(latest_view(store._tables.by_kind()[table]))
        change.append(store._tables.by_kind()[table], rows[-3:])

    return damage


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "reported"),
    [
        pytest.param(
            _delete("observations", "start_s = 300.0"),
            [
                "1 moments missing",
                "lost some children and not all",
                "frames it accounts for",
            ],
            id="a moment lost",
        ),
        pytest.param(_delete("observations", "rung = 'event'"), ["parents missing"], id="parents lost"),
        pytest.param(_delete("frames", "time_s < 20.0"), ["pictures missing"], id="pictures lost"),
        pytest.param(_delete("text_vectors", "start_s = 300.0"), ["vectors of words"], id="vectors lost"),
        pytest.param(_duplicate("observations"), ["3 rows doubled in observations"], id="memories doubled"),
        pytest.param(_duplicate("frames"), ["3 rows doubled in frames"], id="pictures doubled"),
    ],
)
def test_lost_and_duplicated_rows_are_reported(
    watching: MemoryStore, expected: ExpectedContents, damage: Damage, reported: list[str]
) -> None:
    with watching._commits.commit() as change:
        damage(watching, change)

    messages = [fault.message for fault in find_faults(watching.path, expected)]

    missing = [words for words in reported if not any(words in message for message in messages)]
    assert missing == [], messages


def test_unfinished_commits_are_reported(watching: MemoryStore, expected: ExpectedContents) -> None:
    row = select(latest_view(watching._tables.frames), limit=1)[0]
    with maintenance_lock(watching.path):  # otherwise maintenance would adopt the row
        append(watching._tables.frames, [row | {"id": "of nobody"}])
        messages = [fault.message for fault in find_faults(watching.path, expected)]

    assert messages == ["the newest version of frames has other rows than the one that the head names"]


def test_unacknowledged_rows_are_reported(watching: MemoryStore, expected: ExpectedContents) -> None:
    shorter = ExpectedContents(life(0, 1.0, **LIFE))
    shorter.go_to(expected.position - 1)

    messages = [fault.message for fault in find_faults(watching.path, shorter)]

    assert any("of a commit that was cut off" in message for message in messages), messages
