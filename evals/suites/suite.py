"""The suite protocol: what the runner needs from a benchmark.

    suite = OvoBench(Path("OVO-Bench"))
    for sample in suite.samples():
        suite.video(sample.video)                         # the path of the file
        suite.official(sample, "The answer is C.")        # 1.0, by the rules of the benchmark's own code
    suite.export(samples, predictions, Path("results"))   # files to submit

A suite only reads the files that it is given. It knows no system and no memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ..causal_video import Footage
from ..records import Prediction, Sample


class Suite(Protocol):
    """Questions about videos, and the official scoring of answers."""

    @property
    def name(self) -> str:
        """The name on the command line: ``ovo``."""

    @property
    def settings(self) -> Mapping[str, str]:
        """What the samples depend on besides the files, for the manifest."""

    def files(self) -> Sequence[Path]:
        """The files that the samples are read from, for the manifest."""

    def samples(self) -> Iterator[Sample]:
        """Every question, in a fixed order.

        Raises ``BadSuite``, with a hint where to get the files, if one is missing or does not match the official schema.
        """

    def video(self, name: str) -> Path | Footage:
        """The file of a video, or a footage that draws it.

        Raises ``BadSuite`` if the file is missing.
        """

    def official(self, sample: Sample, reply: str) -> float:
        """The score of a reply, 0 to 1, by the benchmark's own parser and scorer, including their quirks."""

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The numbers of the benchmark's own table: ``overall``, and the means of its categories."""

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """Write files for submission or external scoring, in the official layout. Returns the files."""
