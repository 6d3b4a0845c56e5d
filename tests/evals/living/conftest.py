"""Questions about many houses, drawn once for all tests."""

from __future__ import annotations

import pytest

from recollect.evals.house import furnish
from recollect.evals.living import questions_about, seeds
from recollect.evals.records import Sample


@pytest.fixture(scope="session")
def many() -> list[Sample]:
    """A few hundred questions of every kind."""
    return [sample for seed in seeds("dev", 20) for sample in questions_about(furnish(seed, 900.0), limit=36)]
