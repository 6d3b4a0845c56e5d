"""``recollect doctor`` checks what is installed."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = "Check what is installed, what works, and what to do."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It understands nothing but the memory."""


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from .diagnostics import examine  # noqa: PLC0415

    healthy = True
    for check in examine(Path(arguments.memory)):
        mark = {"ok": "ok  ", "absent": "–   ", "broken": "FAIL"}[check.state]
        print(f"{mark} {check.name}: {check.detail}")
        if check.advice:
            print(f"     {check.advice}")
        healthy &= check.state != "broken"
    return 0 if healthy else 1
