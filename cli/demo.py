"""``recollect demo``: render a video, watch it and ask about it."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..common.terminal import print_error

DESCRIPTION = "Render a short video (or take yours), watch it, and ask about it."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--video", metavar="PATH", help="watch this instead of the rendered one")
    parser.add_argument("--ask", metavar="QUESTION", help="ask this instead of the prepared questions")
    what.add_argument(
        "--lmm", action="store_true",
        help="serve recollect-tiny by vLLM, and watch a drawn house with the whole agent",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="DIR", help="the folder for all files (default: ./demo, or ./demo-lmm with --lmm)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if arguments.lmm and arguments.ask:
        print_error("--ask cannot be used with --lmm, whose model knows only its own house")
        return 2
    if arguments.lmm:
        from .demo_lmm import run_lmm_demo  # noqa: PLC0415

        return run_lmm_demo(Path(arguments.out or "demo-lmm"))
    from .demo_run import run_demo  # noqa: PLC0415

    return run_demo(
        Path(arguments.out or "demo"), video=arguments.video, question=arguments.ask, as_json=arguments.json
    )
