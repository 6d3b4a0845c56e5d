"""The ``recollect`` command. Prints for people, or with ``--json`` for programs.

Bad input gives one clear line on standard error and exit code 2; whatever else goes wrong, 1.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__
from .errors import RecollectError
from .sdk import DEFAULT_FPS
from .serve_lmm import command as serve_lmm
from .times import between, clock, parse_as_of, parse_time_s

if TYPE_CHECKING:
    from .agent.answer import Answer
    from .memory.reindexing import ReindexReport
    from .perception.captioner import CaptionReport
    from .perception.worker import WatchReport
    from .sdk import Recollect, StreamStatus

DEFAULT_MEMORY = "recollect.lance"
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        code = int(arguments.run(arguments))
        # What is left in the buffer is written here, where a reader that has gone can be told from a failure.
        sys.stdout.flush()
        return code
    except RecollectError as error:
        print(f"recollect: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("recollect: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone. Python writes what is left once more when it ends: let it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"recollect: {_one_line(error)}", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments, and where to read more."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Keep what follows ``--`` as it is, for a command that passes it on as ``beyond``."""
        if self.get_default("beyond") is None or "--" not in args:
            return super().parse_known_args(args, namespace)
        at = args.index("--")
        found, unknown = super().parse_known_args(args[:at], namespace)
        found.beyond = tuple(args[at + 1 :])
        return found, unknown

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"recollect: {message}. See: {self.prog} --help\n")


def _time(text: str) -> float:
    try:
        return parse_time_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _as_of(text: str) -> float:
    try:
        return parse_as_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fps(text: str) -> float:
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 0.1 <= fps <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate between 0.1 and 60 frames a second")
    return fps


def _limit(text: str) -> int:
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if not 1 <= limit <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 1 and 100,000")
    return limit


def _picture(text: str) -> Path:
    """Where a picture can be put. Looked at before the question is: its answer must not be lost to a typo."""
    path = Path(text)
    if path.suffix.lower() not in PICTURE_ENDINGS:
        raise argparse.ArgumentTypeError(f"{text!r} does not end in {', '.join(PICTURE_ENDINGS)}")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written there")
    return path


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def build_parser() -> argparse.ArgumentParser:
    """What the command understands."""
    parser = _Parser(
        prog="recollect",
        description="Watch video, remember it, and answer questions about it with evidence.",
        epilog="Start with: recollect demo",
    )
    parser.add_argument("--version", action="version", version=f"recollect {__version__}")
    # Accepted before and after the sub-command; the later one wins.
    shared = _Parser(add_help=False)
    shared.add_argument(
        "--memory",
        metavar="DIR",
        default=argparse.SUPPRESS,
        help=f"the memory's folder (default: ./{DEFAULT_MEMORY})",
    )
    parser.add_argument("--memory", metavar="DIR", default=DEFAULT_MEMORY, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, parents=[shared])
        sub.set_defaults(run=run)
        return sub

    watch = command("watch", _watch, "Watch files to their end, or a live URL until stopped.")
    watch.add_argument("source", nargs="+", help="a file, or a URL (rtsp, rtsps, http, https)")
    watch.add_argument("--stream", metavar="NAME", help="the name to know it by (one source only)")
    watch.add_argument("--fps", type=_fps, default=DEFAULT_FPS, help="frames a second looked at (default: 4)")
    watch.add_argument("--no-ocr", action="store_true", help="do not read text in the picture")
    watch.add_argument(
        "--max-outage", type=_time, metavar="T", help="give up on a live source after this long without it"
    )
    watch.add_argument("--quiet", action="store_true", help="no progress bar")
    _lmm_flags(watch)

    caption = command("caption", _caption, "Have a video LMM describe what was watched and waits for it.")
    caption.add_argument("--stream", metavar="NAME", help="only this stream")
    caption.add_argument(
        "--all",
        action="store_true",
        help="also what was watched without a model, described by another, or given up",
    )
    caption.add_argument("--quiet", action="store_true", help="no progress bar")
    _lmm_flags(caption)

    ask = command("ask", _ask, "Ask a question; the answer comes with its evidence.")
    ask.add_argument("question")
    ask.add_argument(
        "--option", action="append", default=[], metavar="TEXT", help="an answer to choose from; repeat it"
    )
    _scope(ask)
    ask.add_argument(
        "--as-of", type=_as_of, metavar="TIME", help="use only what had been written by then (ISO 8601)"
    )
    ask.add_argument("--json", action="store_true", help="print one JSON object")
    ask.add_argument("--show", type=_picture, metavar="PNG", help="draw the evidence into this picture")

    search = command("search", _search, "Find moments by words.")
    search.add_argument("words")
    _scope(search)
    search.add_argument("--limit", type=_limit, default=10, metavar="N", help="how many (default: 10)")
    search.add_argument("--json", action="store_true", help="print one JSON object")

    timeline = command("timeline", _timeline, "Print what is remembered, in time order.")
    _scope(timeline)
    timeline.add_argument(
        "--rung",
        choices=("moment", "event", "hour", "day"),
        default="moment",
        help="how coarse (default: moment)",
    )
    timeline.add_argument(
        "--limit", type=_limit, default=1000, metavar="N", help="at most so many (default: 1000)"
    )
    timeline.add_argument("--json", action="store_true", help="print one JSON object")

    status = command("status", _status, "Print what is in the memory, and how completely it was watched.")
    status.add_argument("--json", action="store_true", help="print one JSON object")

    reindex = command(
        "reindex", _reindex, "Make the vectors of a memory anew with the model in the settings, or drop them."
    )
    reindex.add_argument("--quiet", action="store_true", help="no progress bar")

    command("doctor", _doctor, "Check what is installed, what works, and what to do.")

    serve = command("serve-lmm", serve_lmm.run, serve_lmm.DESCRIPTION)
    serve.set_defaults(beyond=())
    serve_lmm.add_arguments(serve)

    demo = command("demo", _demo, "Render a short video (or take yours), watch it, and ask about it.")
    what = demo.add_mutually_exclusive_group()
    what.add_argument("--video", metavar="PATH", help="watch this instead of the rendered one")
    demo.add_argument("--ask", metavar="QUESTION", help="ask this instead of the prepared questions")
    what.add_argument(
        "--lmm", action="store_true",
        help="serve recollect-tiny by vLLM, and watch a drawn house with the whole agent",
    )  # fmt: skip
    demo.add_argument(
        "--out", metavar="DIR", help="where everything is put (default: ./demo, or ./demo-lmm with --lmm)"
    )
    return parser


def _scope(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stream", metavar="NAME", help="only this stream")
    parser.add_argument(
        "--from", dest="from_s", type=_time, metavar="T", help="from this stream time on, such as 1:20"
    )
    parser.add_argument("--to", dest="to_s", type=_time, metavar="T", help="up to this stream time")


def _lmm_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lmm-url", metavar="URL", help="where the video LMM is served (default: lmm.url of the settings)"
    )
    parser.add_argument(
        "--lmm-model", metavar="ID", help="the served model, where there are several (default: lmm.model)"
    )


def _memory(arguments: argparse.Namespace) -> Recollect:
    from .sdk import Recollect  # noqa: PLC0415

    flags = {"url": getattr(arguments, "lmm_url", None), "model": getattr(arguments, "lmm_model", None)}
    given = {name: value for name, value in flags.items() if value is not None}
    if not given:
        return Recollect(arguments.memory)
    from .settings import read_settings  # noqa: PLC0415

    return Recollect(arguments.memory, lmm=read_settings(lmm=given).lmm)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


# -- watch --------------------------------------------------------------------------------------------


def _watch(arguments: argparse.Namespace) -> int:
    if arguments.stream and len(arguments.source) > 1:
        print("recollect: --stream names one source, and several were given.", file=sys.stderr)
        return 2
    failed = 0
    with _memory(arguments) as memory:
        for source in arguments.source:
            try:
                report = watch_with_progress(
                    memory,
                    source,
                    stream=arguments.stream,
                    fps=arguments.fps,
                    ocr=not arguments.no_ocr,
                    # What the model has not described yet must not keep the next one waiting.
                    drain=source is arguments.source[-1],
                    quiet=arguments.quiet,
                    max_outage_s=arguments.max_outage,
                )
            except RecollectError as error:
                if len(arguments.source) == 1:
                    raise
                print(f"recollect: {error}", file=sys.stderr)
                failed += 1
                continue
            print(_told(report))
            if report.state == "stopped" and "://" not in source:
                return 130
    return 2 if failed else 0


def watch_with_progress(
    memory: Recollect,
    source: str,
    *,
    stream: str | None = None,
    fps: float = DEFAULT_FPS,
    ocr: bool = True,
    drain: bool = True,
    quiet: bool = False,
    max_outage_s: float | None = None,
) -> WatchReport:
    """Watch with a progress bar on standard error; Ctrl-C and SIGTERM stop cleanly and keep everything."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(
            "{task.fields[at]}  {task.fields[speed]}  {task.fields[moments]} moments{task.fields[waiting]}"
        ),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )
    shown = source.rpartition("/")[2].rpartition("@")[2] or source
    task = bar.add_task(shown, total=None, at="", speed="", moments=0, waiting="")

    def on_progress(progress: Any) -> None:
        at = clock(progress.time_s) + (f" of {clock(progress.duration_s)}" if progress.duration_s else "")
        speed = f"{progress.speed:.1f}× real time"
        bar.update(
            task,
            completed=progress.time_s,
            total=progress.duration_s,
            at=at,
            speed=speed,
            moments=progress.moments,
            waiting=f", {progress.waiting} to describe" if progress.waiting else "",
        )

    def on_state(state: str, detail: str) -> None:
        if not quiet:
            bar.console.print(
                f"{shown}: {state}{f' ({detail})' if detail else ''}", highlight=False, markup=False
            )

    with _stopping(memory), bar:
        return memory.watch(
            source,
            stream=stream,
            fps=fps,
            ocr=ocr,
            drain=drain,
            on_progress=on_progress,
            on_state=on_state,
            max_outage_s=max_outage_s,
        )


@contextmanager
def _stopping(memory: Recollect) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM stop cleanly, and a second one at once."""
    asked_to_stop: list[int] = []

    def interrupted(number: int, frame: object) -> None:
        if asked_to_stop:
            # Stopping cleanly takes too long for whoever asks again; what was committed is safe anyway.
            raise KeyboardInterrupt
        asked_to_stop.append(number)
        memory.stop()

    handlers = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _told(report: WatchReport) -> str:
    waiting = f" {_waiting(report.waiting)}" if report.waiting else ""
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


# -- caption ------------------------------------------------------------------------------------------


def _caption(arguments: argparse.Namespace) -> int:
    with _memory(arguments) as memory:
        report = _caption_with_progress(memory, arguments)
    given_up = f" {report.given_up} given up (see: recollect status)." if report.given_up else ""
    waiting = f" {_waiting(report.waiting)}" if report.waiting else ""
    print(f"{report.described} described.{given_up}{waiting}")
    return 1 if report.waiting else 0


def _caption_with_progress(memory: Recollect, arguments: argparse.Namespace) -> CaptionReport:
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True)

    def on_state(state: str, detail: str) -> None:
        if not arguments.quiet:
            console.print(f"{state}{f' ({detail})' if detail else ''}", highlight=False, markup=False)

    with _stopping(memory), console.status("describing…") as line:
        if arguments.quiet or not console.is_terminal:
            line.stop()
        return memory.caption(
            arguments.stream,
            everything=arguments.all,
            on_progress=lambda done: line.update(f"{done.described} described, {done.waiting} to go"),
            on_state=on_state,
        )


def _waiting(count: int) -> str:
    """How to go on with what is not described yet."""
    return f"{count} wait{'s' if count == 1 else ''} for the video LMM; go on with: recollect caption"


# -- ask ----------------------------------------------------------------------------------------------


def _ask(arguments: argparse.Namespace) -> int:
    with _memory(arguments) as memory:
        answer = memory.ask(
            arguments.question,
            options=arguments.option,
            stream=arguments.stream,
            from_s=arguments.from_s,
            to_s=arguments.to_s,
            as_of=arguments.as_of,
        )
        if arguments.show:
            _show(memory, arguments.question, answer, arguments.show)
    if arguments.json:
        _print_json(answer.model_dump(mode="json"))
    else:
        print_answer(answer)
    return 0


def _show(memory: Recollect, question: str, answer: Answer, path: Path) -> None:
    from .contact_sheet import write_contact_sheet  # noqa: PLC0415

    try:
        write_contact_sheet(path, [(question, answer)], memory.frames)
    except (OSError, ValueError) as error:
        raise RecollectError(
            f"the evidence could not be drawn into {str(path)!r}: {_one_line(error)}."
        ) from error


def print_answer(answer: Answer) -> None:
    """Print an answer for people: what, how sure, and the evidence to check it by."""
    if answer.choice:
        print(f"({answer.choice}) {answer.text}")
    else:
        print(answer.text)
    told = (
        f"abstained: {(answer.why or 'unclear').replace('_', ' ')}"
        if answer.abstained
        else f"confidence {answer.confidence:.2f}"
    )
    rounds = f"{answer.usage.rounds} round{'' if answer.usage.rounds == 1 else 's'}"
    if answer.usage.lmm_calls:
        calls = f"{answer.usage.lmm_calls} call{'' if answer.usage.lmm_calls == 1 else 's'}"
        rounds += f", {calls} of the model, {answer.usage.tokens:,} tokens"
    print(
        f"  [{told}; stopped: {answer.stop_reason.replace('_', ' ')}; {rounds}, {answer.usage.seconds:.2f} s;"
        f" trace {answer.trace_id}]"
    )
    if answer.note:
        print(f"  {answer.note}")
    for evidence in answer.evidence[:5]:
        span = evidence.span
        times = between(span.start_s, span.end_s)
        print(
            f"  {times}  {evidence.stream}  "
            f"{_shortened(evidence.text)}  ({len(evidence.frame_ids)} picture{'' if len(evidence.frame_ids) == 1 else 's'})"
        )
    for coverage in answer.coverage:
        for gap in coverage.gaps[:3]:
            print(f"  not seen: {clock(gap.start_s)}–{clock(gap.end_s)} of {coverage.stream} ({gap.cause})")


def _shortened(text: str, limit: int = 90) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


# -- search, timeline, status -------------------------------------------------------------------------


def _moment_dict(moment: Any) -> dict[str, Any]:
    return {
        "id": moment.id,
        "stream": moment.stream,
        "rung": moment.rung,
        "epoch": moment.epoch,
        "shot": moment.shot,
        "start_s": round(moment.span.start_s, 3),
        "end_s": round(moment.span.end_s, 3),
        "wall_start_s": moment.wall_start_s,
        "caption": moment.caption,
        "findings": [
            {
                "field": finding.field,
                "kind": finding.kind,
                "text": finding.text,
                "start_s": round(finding.span.start_s, 3),
                "end_s": round(finding.span.end_s, 3),
                "written_by": finding.written_by,
                "confidence": finding.confidence,
            }
            for finding in moment.findings
        ],
        "frame_ids": list(moment.frame_ids),
    }


def _search(arguments: argparse.Namespace) -> int:
    with _memory(arguments) as memory:
        hits = memory.search(
            arguments.words,
            stream=arguments.stream,
            from_s=arguments.from_s,
            to_s=arguments.to_s,
            limit=arguments.limit,
        )
    if arguments.json:
        _print_json({"hits": [{"score": round(hit.score, 4), **_moment_dict(hit.moment)} for hit in hits]})
        return 0
    if not hits:
        print("Nothing found.")
    for hit in hits:
        print(_line(hit.moment))
    return 0


def _timeline(arguments: argparse.Namespace) -> int:
    with _memory(arguments) as memory:
        moments = memory.timeline(
            arguments.stream,
            rung=arguments.rung,
            from_s=arguments.from_s,
            to_s=arguments.to_s,
            limit=arguments.limit,
        )
        names = (
            [arguments.stream]
            if arguments.stream
            else sorted({status.stream.name for status in memory.status()})
        )
        gaps = {name: memory.gaps(name) for name in names}
    if arguments.json:
        _print_json(
            {
                "moments": [_moment_dict(moment) for moment in moments],
                "gaps": [
                    {
                        "stream": name,
                        "start_s": round(gap.span.start_s, 3),
                        "end_s": round(gap.span.end_s, 3),
                        "cause": gap.cause,
                    }
                    for name, found in gaps.items()
                    for gap in found
                ],
            }
        )
        return 0
    for name in names:
        lines = [(moment.span.start_s, _line(moment)) for moment in moments if moment.stream == name]
        lines += [
            (
                gap.span.start_s,
                f"{clock(gap.span.start_s)}–{clock(gap.span.end_s)}  {name}  — not seen: {gap.cause} —",
            )
            for gap in gaps[name]
        ]
        for _, line in sorted(lines):
            print(line)
    return 0


def _line(moment: Any) -> str:
    return f"{clock(moment.span.start_s)}–{clock(moment.span.end_s)}  {moment.stream}  {_shortened(moment.caption, 160)}"


def _status(arguments: argparse.Namespace) -> int:
    with _memory(arguments) as memory:
        statuses = memory.status()
        size_bytes = sum(file.stat().st_size for file in memory.path.rglob("*") if file.is_file())
    if arguments.json:
        _print_json(
            {
                "memory": str(arguments.memory),
                "bytes": size_bytes,
                "streams": [status.to_dict() for status in statuses],
            }
        )
        return 0
    print(
        f"{arguments.memory}: {len(statuses)} stream{'' if len(statuses) == 1 else 's'}, {size_bytes / 1e6:.1f} MB"
    )
    for status in statuses:
        counts, span = status.counts, status.coverage.span
        of = f" of {clock(status.stream.duration_s)}" if status.stream.duration_s else ""
        print(
            f"  {status.stream.name} ({status.stream.kind}, {status.stream.state}): "
            f"{clock(span.start_s)}–{clock(span.end_s)}{of}, watched {status.coverage.watched_s:.1f} s"
        )
        dropped = ", ".join(f"{count} {cause}" for cause, count in counts.dropped.items()) or "0"
        print(
            f"    frames: {counts.captured} captured = {counts.stored} stored + {counts.sampled_out} sampled out "
            f"+ {counts.merged} merged + {dropped} dropped"
        )
        if text := _backlog(status):
            print(f"    {text}")
        for gap in status.gaps[-10:]:
            print(
                f"    gap {clock(gap.span.start_s)}–{clock(gap.span.end_s)}: {gap.cause} {gap.detail}".rstrip()
            )
    return 0


def _backlog(status: StreamStatus) -> str:
    """What of a stream waits for the video LMM, for people; empty where nothing does."""
    backlog, parts = status.backlog, []
    if status.oldest_waiting_s is not None:
        parts.append(f"{backlog.waiting} waiting, the oldest for {clock(status.oldest_waiting_s)}")
    if backlog.given_up:
        parts.append(f"{backlog.given_up} given up")
    if backlog.last_error:
        parts.append(f"last error: {_shortened(backlog.last_error, 200)}")
    return f"to be described: {'; '.join(parts)}" if parts else ""


# -- doctor and demo ----------------------------------------------------------------------------------


def _reindex(arguments: argparse.Namespace) -> int:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    console = Console(stderr=True)
    with (
        _memory(arguments) as memory,
        Progress(console=console, disable=arguments.quiet or not console.is_terminal) as bar,
    ):
        task = bar.add_task("making vectors", total=None)
        report = memory.reindex(on_progress=lambda done, total: bar.update(task, completed=done, total=total))
    print(f"{arguments.memory}: {_reindexed(report)}")
    return 0


def _reindexed(report: ReindexReport) -> str:
    if report.encoder is None:
        return "no model is configured (vision.model), so it has no vectors now; it is searched by words."
    return (
        f"searched by {report.encoder} now; {report.texts} texts and {report.pictures} pictures"
        f" encoded in {report.seconds:.1f} s."
    )


def _doctor(arguments: argparse.Namespace) -> int:
    from .doctor import examine  # noqa: PLC0415

    healthy = True
    for check in examine(Path(arguments.memory)):
        mark = {"ok": "ok  ", "absent": "–   ", "broken": "FAIL"}[check.state]
        print(f"{mark} {check.name}: {check.detail}")
        if check.advice:
            print(f"     {check.advice}")
        healthy &= check.state != "broken"
    return 0 if healthy else 1


def _demo(arguments: argparse.Namespace) -> int:
    if arguments.lmm and arguments.ask:
        print(
            "recollect: the model of --lmm knows its own house alone, so --ask cannot go with it",
            file=sys.stderr,
        )
        return 2
    if arguments.lmm:
        from .demo_lmm import run_lmm_demo  # noqa: PLC0415

        return run_lmm_demo(Path(arguments.out or "demo-lmm"))
    from .demo import run_demo  # noqa: PLC0415

    return run_demo(Path(arguments.out or "demo"), video=arguments.video, question=arguments.ask)


if __name__ == "__main__":
    sys.exit(main())
