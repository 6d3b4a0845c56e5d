"""``recollect doctor`` checks what is installed."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..common.terminal import print_block

DESCRIPTION = "Check what is installed, what works, and what to do."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It understands nothing but the memory."""


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from .diagnostics import examine  # noqa: PLC0415

    healthy = True
    for check in examine(Path(arguments.memory)):
        mark = {"ok": "ok  ", "absent": "–   ", "broken": "FAIL"}[check.state]
        print_block(f"{mark} {check.name}: {_indented(check.detail)}")
        if check.advice:
            print_block(f"     {_indented(check.advice)}")
        healthy &= check.state != "broken"
    return 0 if healthy else 1


def _indented(text: str) -> str:
    """Later lines stand to the right of the first, so that none of them looks like another check."""
    return text.replace("\n", "\n     ")
