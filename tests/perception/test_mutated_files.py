"""Mutated files of ten containers: no crash, no hang, and no second told as seen that no decoder shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from recollect.testing.lenient_decoding import lenient_decode
from recollect.testing.mutated_videos import CLEAN_S, CONTAINERS, FPS, MUTATIONS, mutate, write_clean
from recollect.testing.mutated_watching import watch_mutated

SEED = 17
FILES_EACH = 6


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_clean(tmp_path_factory.mktemp("clean"))


def test_the_same_seed_makes_the_same_files() -> None:
    data = bytes(range(256)) * 40
    made = [mutate(data, SEED, index) for index in range(200)]

    assert made == [mutate(data, SEED, index) for index in range(200)]
    assert {name for _, names in made for name in names} == set(MUTATIONS)
    assert sum(mutated != data for mutated, _ in made) > 190


def test_a_lenient_decoder_shows_a_clean_file_whole(clean: dict[str, Path]) -> None:
    shown = lenient_decode(clean["mkv"], FPS)

    assert shown is not None
    assert shown.frames == CLEAN_S * FPS
    assert shown.seconds == pytest.approx(CLEAN_S, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("container", CONTAINERS)
def test_mutated_files_are_told_truly(clean: dict[str, Path], tmp_path: Path, container: str) -> None:
    results = [
        watch_mutated(clean[container], tmp_path, container, seed=SEED, index=index)
        for index in range(FILES_EACH)
    ]

    assert [result for result in results if result.problem is not None] == []
    assert any(result.covered_s > 1 for result in results)
