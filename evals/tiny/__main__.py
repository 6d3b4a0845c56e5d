"""``python -m recollect.evals.tiny FOLDER``: makes a tiny LMM with random weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...common.terminal import print_line
from .tiny_checkpoint import build_checkpoint


def main() -> None:
    """Make the checkpoint and print its size."""
    parser = argparse.ArgumentParser(
        prog="python -m recollect.evals.tiny",
        description="Make a tiny LMM with random weights.",
    )
    parser.add_argument("folder", type=Path, help="the folder of the checkpoint")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same weights (default: 0)"
    )
    parser.add_argument(
        "--texts", type=Path, nargs="*", default=[], metavar="FILE", help="texts to learn the vocabulary from"
    )
    arguments = parser.parse_args()
    texts = (file.read_text(encoding="utf-8") for file in arguments.texts)
    parameters = build_checkpoint(arguments.folder, seed=arguments.seed, texts=texts)
    print_line(f"{arguments.folder}: {parameters / 1e6:.2f} million parameters")


if __name__ == "__main__":
    main()
