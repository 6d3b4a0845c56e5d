"""``recollect doctor``: check the installation."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..common.terminal import print_block, print_json
from ..serialization import to_plain

DESCRIPTION = "Check what is installed, what works, and what to do. Exit code: 0, or 1 if a check fails."
_MARKS = {"ok": "ok  ", "warning": "warn", "absent": "–   ", "broken": "FAIL"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no arguments of its own."""


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from .diagnostics import examine  # noqa: PLC0415

    checks = []
    for check in examine(Path(arguments.memory)):
        checks.append(check)
        if not arguments.json:
            print_block(f"{_MARKS[check.state]} {check.name}: {_indented(check.detail)}")
            if check.advice:
                print_block(f"     {_indented(check.advice)}")
    if arguments.json:
        print_json({"checks": to_plain(checks)})
    return 1 if any(check.state == "broken" for check in checks) else 0


def _indented(text: str) -> str:
    """Indent all lines but the first, so that none of them looks like another check."""
    return text.replace("\n", "\n     ")
