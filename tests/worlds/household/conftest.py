"""Questions about many houses, drawn once for all tests."""

from __future__ import annotations

import pytest

from recollect.evals.records import Sample
from recollect.worlds.house import furnish
from recollect.worlds.household import questions_about, seeds


@pytest.fixture(scope="session")
def many() -> list[Sample]:
    """A few hundred questions of every kind."""
    return [sample for seed in seeds("dev", 20) for sample in questions_about(furnish(seed, 900.0), limit=36)]
