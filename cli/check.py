"""``recollect check``: examine a whole memory, and with --repair rebuild what can be rebuilt."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..common.clock_times import format_interval
from ..common.terminal import print_json, print_line
from ..serialization import to_plain
from .arguments import open_memory
from .printing import plural

if TYPE_CHECKING:
    from ..memory.keeping.memory_check import CheckReport, FoundDamage

DESCRIPTION = "Examine a whole memory and say what is damaged. With --repair, rebuild what can be rebuilt."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--repair",
        action="store_true",
        help="make indexes, vectors and summaries again, keep every intact row, and record what is lost",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code: 0 if the memory is whole, 1 if it is damaged."""
    with open_memory(arguments) as memory:
        report = memory.check(repair=arguments.repair)
    if arguments.json:
        print_json(
            {
                "is_whole": report.is_whole,
                "damages": to_plain(report.damages),
                "rows": report.rows,
                "rows_without_digest": report.rows_without_digest,
                "repaired": to_plain(report.repaired),
                "lost": to_plain(report.lost),
                "remaining": to_plain(report.remaining),
            }
        )
    else:
        _print_report(report)
    return 0 if report.is_whole else 1


def _print_report(report: CheckReport) -> None:
    if not report.damages:
        print_line(f"{report.path}: whole. {plural(report.rows, 'row')} and every file were read.")
    else:
        print_line(f"{report.path}: {plural(len(report.damages), 'damage')} found")
        _print_damages(report.damages)
    if report.rows_without_digest:
        print_line(
            f"  {plural(report.rows_without_digest, 'row')} of an earlier version have no digest: "
            "a changed letter in them is not noticed"
        )
    for text in report.repaired:
        print_line(f"  rebuilt: {text}")
    for text in report.lost:
        print_line(f"  lost: {text}")
    if report.damages and report.was_repaired:
        print_line("repaired." if report.is_whole else "still damaged:")
        _print_damages(report.remaining)
    elif report.damages:
        print_line("`recollect check --repair` rebuilds what can be rebuilt.")


def _print_damages(damages: tuple[FoundDamage, ...]) -> None:
    for damage in damages:
        place = "" if damage.stream is None else f" ({damage.stream}"
        if place and damage.span is not None:
            place += f" {format_interval(damage.span.start_s, damage.span.end_s)}"
        print_line(f"  {damage.part}: {damage.what}{place and place + ')'}")
