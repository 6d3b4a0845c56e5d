"""``recollect watch``: watch files and live URLs, with a progress bar for each.

Live sources are watched together. Files are watched one after the other in the given order, beside the live
sources: a file uses the processor as much as it can, so two at once would not be done sooner.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..common.clock_times import format_time
from ..common.errors import RecollectError
from ..common.terminal import print_error, print_line
from ..perception.sources.source_list import NamedSource, read_source_list, resolve_source
from ..perception.sources.urls import redact_text
from ..perception.watch_options import DEFAULT_FPS, WatchOptions
from .arguments import add_disk_budget, add_lmm_flags, fps, open_memory, time_s
from .flags import with_flags
from .log_lines import LOG_FORMATS
from .printing import plural, waiting_hint
from .progress import StopRequest, WatchDisplay, stopping

if TYPE_CHECKING:
    from ..client import Recollect
    from ..perception.watch_events import WatchReport
    from ..perception.watch_handle import Watch

DESCRIPTION = (
    "Watch files to their end, and live URLs, all together, until stopped. Ctrl-C, SIGTERM and SIGHUP end all of them "
    "cleanly. "
    "With --json, one line of JSON for each event. Exit code: 0, or 130 if a file was stopped before its end, or 2 "
    "if a source failed."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "source",
        nargs="*",
        help="a file, an http(s) URL of a file, a folder or quoted pattern of pictures ('frames/*.jpg'), a live URL "
        "(rtsp, rtsps, rtmp, srt, http, https), a camera device (/dev/video0), or env:NAME for what a variable holds",
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
    parser.add_argument(
        "--follow",
        action="store_true",
        help="watch files that are still being written until they stop growing",
    )
    parser.add_argument(
        "--follow-idle",
        type=time_s,
        default=30.0,
        metavar="T",
        help="a followed file has ended when it has not grown for so long (default: 30)",
    )
    parser.add_argument(
        "--image-fps",
        type=float,
        default=1.0,
        metavar="RATE",
        help="pictures of a folder shown a second (default: 1)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar, and only warnings in the log")
    parser.add_argument(
        "--log-format",
        choices=LOG_FORMATS,
        default="text",
        help="the log on standard error: a line of text (default) or of JSON for each event",
    )
    add_disk_budget(parser)
    parser.add_argument(
        "--stream-disk-budget",
        metavar="SIZE",
        help="bytes that each given stream may take of the memory's disk budget",
    )
    add_lmm_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Watch all given sources and return the exit code."""
    sources = _sources(arguments)
    if not sources:
        print_error("nothing to watch was given. Give a file or URL, or --url-file.")
        return 2
    if arguments.stream is not None and len(sources) > 1:
        print_error("--stream names one source, and several were given.")
        return 2
    beside = [named for named in sources if arguments.follow or _may_be_live(named)]
    files = [named for named in sources if named not in beside]
    with (
        open_memory(arguments) as memory,
        stopping(memory) as stop,
        WatchDisplay(
            quiet=arguments.quiet, as_json=arguments.json, log_format=arguments.log_format
        ) as display,
    ):
        progress = _Run(memory, arguments, display, stop, is_only_one=len(sources) == 1)
        watches = [watch for named in beside if (watch := progress.start(named)) is not None]
        for named in files:
            # What the model has not described yet must not keep the next file waiting, nor the cameras.
            watch = progress.start(named, drain=named is files[-1] and not beside)
            if watch is not None:
                progress.wait(watch)
        for watch in watches:
            progress.wait(watch)
    return progress.exit_code()


def _sources(arguments: argparse.Namespace) -> list[NamedSource]:
    """Those given on the command line, then those of ``--url-file``."""
    sources = [NamedSource(None, resolve_source(source)) for source in arguments.source]
    return sources + (read_source_list(arguments.url_file) if arguments.url_file else [])


def _may_be_live(named: NamedSource) -> bool:
    """Whether a source may go on for ever. Whether a URL is a file is known when it was opened."""
    return "://" in named.source or named.source.startswith("/dev/")


class _Run:
    """What one run of the command has watched."""

    def __init__(
        self,
        memory: Recollect,
        arguments: argparse.Namespace,
        display: WatchDisplay,
        stop: StopRequest,
        *,
        is_only_one: bool,
    ) -> None:
        self._memory, self._arguments, self._display = memory, arguments, display
        self._stop = stop
        self._is_only_one = is_only_one
        self._failed = 0
        self._has_stopped_file = False
        """Whether a file was not watched to its end, because the command was stopped."""

    def start(self, named: NamedSource, *, drain: bool = True) -> Watch | None:
        """Begin to watch a source. None if that fails, while other sources are given, or after Ctrl-C."""
        if self._stop.received:
            self._has_stopped_file = self._has_stopped_file or not _may_be_live(named)
            return None
        arguments = self._arguments
        options = WatchOptions(
            fps=arguments.fps,
            ocr=not arguments.no_ocr,
            drain=drain,
            image_fps=arguments.image_fps,
            follow=arguments.follow,
            follow_idle_s=arguments.follow_idle,
            disk_budget=arguments.stream_disk_budget,
            max_outage_s=arguments.max_outage,
        )
        stream = named.name if arguments.stream is None else arguments.stream
        try:
            watch = self._memory.start(
                named.source,
                stream=stream,
                options=options,
                on_event=self._display.handler(named.source, stream),
            )
            if self._stop.received:
                # Ctrl-C came before the watch existed.
                watch.stop()
            return watch
        except RecollectError as error:
            self._note_failure(error)
            return None

    def wait(self, watch: Watch) -> None:
        """Wait for a watch to end, and print what it did."""
        try:
            report = watch.wait()
        except RecollectError as error:
            self._note_failure(error)
            return
        if not self._arguments.json:
            print_line(_report_line(report))
        if watch.kind == "file" and report.state == "stopped":
            self._has_stopped_file = True

    def exit_code(self) -> int:
        """130 where a file was not watched to its end, 2 where a source failed, else 0."""
        if self._has_stopped_file and self._stop.received:
            return 130
        return 2 if self._failed else 0

    def _note_failure(self, error: RecollectError) -> None:
        if self._is_only_one:
            raise error
        print_error(redact_text(with_flags(str(error))))
        self._failed += 1


def _report_line(report: WatchReport) -> str:
    waiting = f" {waiting_hint(report.waiting)}" if report.waiting else ""
    if report.already_done:
        return f"{report.stream}: already watched to its end ({format_time(report.until_s)}); nothing to do.{waiting}"
    begun = "" if report.resumed_at_s is None else f", resumed at {format_time(report.resumed_at_s)}"
    speed = report.until_s - (report.resumed_at_s or 0.0)
    dropped = sum(report.counts.dropped.values())
    parts = [
        f"{report.stream}: watched to {format_time(report.until_s)}{begun}",
        plural(report.moments, "moment"),
        f"{report.counts.captured} frames ({report.counts.stored} kept, {report.counts.merged} merged,"
        f" {report.counts.sampled_out} between samples, {dropped} lost)",
        plural(report.gaps, "gap"),
        f"{report.seconds:.1f} s ({speed / max(report.seconds, 1e-6):.1f}× real time)",
    ]
    stopped = {
        "stopped": " Stopped; watch it again to continue.",
        "erased": " Stopped, because the whole stream was erased.",
    }.get(report.state, "")
    return f"{'; '.join(parts)}.{stopped}{waiting}"
