"""What a benchmark is to the runner.

    suite = OvoBench(Path("OVO-Bench"))
    for sample in suite.samples():
        suite.video(sample.video)                         # where the file lies
        suite.official(sample, "The answer is C.")        # 1.0, as the benchmark's own code has it
    suite.export(samples, predictions, Path("results"))   # files to submit

A suite only reads the files it was given. It knows no system and no memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ..causal_video import Footage
from ..records import Prediction, Sample


class Suite(Protocol):
    """Questions about videos, and how their makers score answers."""

    @property
    def name(self) -> str:
        """As the command has it: ``ovo``."""

    @property
    def settings(self) -> Mapping[str, str]:
        """What the samples depend on beside the files, for the manifest."""

    def files(self) -> Sequence[Path]:
        """The files that the samples are made of, for the manifest."""

    def samples(self) -> Iterator[Sample]:
        """Every question, in an order that is always the same.

        Raises ``BadSuite`` where a file is missing or has not the official schema, with where to get it.
        """

    def video(self, name: str) -> Path | Footage:
        """The file of a video, or what draws it.

        Raises ``BadSuite`` where it is not there.
        """

    def official(self, sample: Sample, said: str) -> float:
        """What the benchmark's own parser and score make of a reply, 0 to 1; odd replies as it takes them."""

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The numbers that the benchmark's own table has, ``overall`` among them: its splits and its means."""

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """Write what is submitted or scored elsewhere, in the official layout; the files it wrote."""
