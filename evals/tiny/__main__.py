"""``python -m recollect.evals.tiny FOLDER``: make a tiny LMM whose weights are drawn by chance."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...common.terminal import print_line
from .tiny_checkpoint import build_checkpoint


def main() -> None:
    """Make it, and say what was made."""
    parser = argparse.ArgumentParser(
        prog="python -m recollect.evals.tiny",
        description="Make a tiny LMM whose weights are drawn by chance.",
    )
    parser.add_argument("folder", type=Path, help="where it is put")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same one gives the same weights (default: 0)"
    )
    parser.add_argument(
        "--texts", type=Path, nargs="*", default=[], metavar="FILE", help="learn the vocabulary from these"
    )
    arguments = parser.parse_args()
    texts = (file.read_text(encoding="utf-8") for file in arguments.texts)
    parameters = build_checkpoint(arguments.folder, seed=arguments.seed, texts=texts)
    print_line(f"{arguments.folder}: {parameters / 1e6:.2f} million parameters")


if __name__ == "__main__":
    main()
