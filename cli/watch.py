"""``recollect watch`` watches files and live URLs, telling how it goes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..client import DEFAULT_FPS
from ..common.clock_times import clock
from ..common.errors import RecollectError
from ..common.terminal import print_error, print_line
from ..perception.sources.source_list import NamedSource, read_source_list, resolve_source
from ..perception.sources.urls import redact_text
from .arguments import add_budget, add_lmm_flags, fps, open_memory, time_s
from .printing import waiting_words
from .progress import watch_with_progress

if TYPE_CHECKING:
    from ..perception.stages.stream_worker import WatchReport

DESCRIPTION = "Watch files to their end, or a live URL until stopped."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command understands."""
    parser.add_argument(
        "source",
        nargs="*",
        help="a file, a URL (rtsp, rtsps, http, https), or env:NAME for what a variable holds",
    )
    parser.add_argument(
        "--url-file",
        metavar="PATH",
        help="also watch the sources in this file, one on each line; - reads standard input. Keeps credentials "
        "out of the process list",
    )
    parser.add_argument("--stream", metavar="NAME", help="the name to know it by (one source only)")
    parser.add_argument("--fps", type=fps, default=DEFAULT_FPS, help="frames a second looked at (default: 4)")
    parser.add_argument("--no-ocr", action="store_true", help="do not read text in the picture")
    parser.add_argument(
        "--max-outage", type=time_s, metavar="T", help="give up on a live source after this long without it"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_budget(parser)
    parser.add_argument(
        "--stream-budget", metavar="SIZE", help="what each stream given may take of the memory's budget"
    )
    add_lmm_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    sources = _sources(arguments)
    if not sources:
        print_error("nothing to watch was given. Give a file or URL, or --url-file.")
        return 2
    if arguments.stream and len(sources) > 1:
        print_error("--stream names one source, and several were given.")
        return 2
    failed = 0
    with open_memory(arguments) as memory:
        for number, named in enumerate(sources, start=1):
            try:
                report = watch_with_progress(
                    memory,
                    named.source,
                    stream=arguments.stream or named.name,
                    fps=arguments.fps,
                    ocr=not arguments.no_ocr,
                    # What the model has not described yet must not keep the next one waiting.
                    drain=number == len(sources),
                    budget=arguments.stream_budget,
                    quiet=arguments.quiet,
                    max_outage_s=arguments.max_outage,
                )
            except RecollectError as error:
                if len(sources) == 1:
                    raise
                print_error(redact_text(str(error)))
                failed += 1
                continue
            print_line(_told(report))
            if report.state == "stopped" and "://" not in named.source:
                return 130
    return 2 if failed else 0


def _sources(arguments: argparse.Namespace) -> list[NamedSource]:
    """Those given on the command line, then those of ``--url-file``."""
    sources = [NamedSource(None, resolve_source(source)) for source in arguments.source]
    return sources + (read_source_list(arguments.url_file) if arguments.url_file else [])


def _told(report: WatchReport) -> str:
    waiting = f" {waiting_words(report.waiting)}" if report.waiting else ""
    if report.already_done:
        return (
            f"{report.stream}: already watched to its end ({clock(report.until_s)}); nothing to do.{waiting}"
        )
    begun = "" if report.resumed_at_s is None else f", going on from {clock(report.resumed_at_s)}"
    speed = report.until_s - (report.resumed_at_s or 0.0)
    dropped = sum(report.counts.dropped.values())
    parts = [
        f"{report.stream}: watched to {clock(report.until_s)}{begun}",
        f"{report.moments} moments",
        f"{report.counts.captured} frames ({report.counts.stored} kept, {report.counts.merged} merged,"
        f" {report.counts.sampled_out} between samples, {dropped} lost)",
        f"{report.gaps} gap{'' if report.gaps == 1 else 's'}",
        f"{report.seconds:.1f} s ({speed / max(report.seconds, 1e-6):.1f}× real time)",
    ]
    stopped = " Stopped; watch it again to go on." if report.state == "stopped" else ""
    return f"{'; '.join(parts)}.{stopped}{waiting}"
