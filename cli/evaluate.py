"""``recollect eval`` measures Recollect and baselines on a benchmark, and compares runs."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..common.errors import RecollectError
from ..common.terminal import print_block, print_json, print_line
from ..evals.errors import BadRun, BadSuite, NoMatplotlib
from .arguments import add_lmm_flags, fps, limit, lmm_flags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..evals.report import ReportedRun
    from ..evals.runner import EvaluationRun, Shard
    from ..evals.suites.suite import Suite
    from ..evals.systems import System
    from ..perception.lmm import ServedLmm

_LMM_CONCURRENCY = 8
"""A server computes this many answers at once nearly as fast as one."""
DESCRIPTION = "Measure Recollect and baselines on a benchmark, with intervals."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "suite",
        help="'world', which is synthetic, or a published benchmark such as 'ovo'. 'list' lists the benchmarks,"
        " 'compare' compares runs",
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="for 'compare': folders of runs")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="the folder with the official files of a published benchmark"
    )
    parser.add_argument(
        "--system",
        action="append",
        default=[],
        metavar="NAME",
        help="only this system. Can be repeated (default: all)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the folder for results (default: ./eval-SUITE)"
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in the folder")
    parser.add_argument("--retry-errors", action="store_true", help="ask questions that failed again")
    parser.add_argument("--report", action="store_true", help="only score and print the answers so far")
    parser.add_argument("--limit", type=limit, metavar="N", help="the largest number of questions")
    parser.add_argument(
        "--shard", type=shard, metavar="I/N", help="only the videos of part I of N, counted from 1"
    )
    parser.add_argument(
        "--fps", type=fps, default=4.0, metavar="F", help="frames a second for the observers (default: 4)"
    )
    parser.add_argument("--no-ocr", action="store_true", help="do not read text in the picture")
    parser.add_argument(
        "--disk-budget", metavar="SIZE", help="disk budget of a memory, such as '100 MB' (default: no bound)"
    )
    parser.add_argument(
        "--without-parts", action="store_true", help="also measure Recollect with each part left out"
    )
    parser.add_argument(
        "--calls",
        type=limit,
        action="append",
        default=[],
        metavar="N",
        help="also measure Recollect with at most N model calls for a question. Can be repeated",
    )
    parser.add_argument(
        "--at-once",
        type=limit,
        metavar="N",
        help="how many answers are computed at a time (default: 1, and 8 with a model)",
    )
    add_lmm_flags(parser)
    parser.add_argument(
        "--lmm",
        nargs="?",
        const="recollect-tiny",
        metavar="MODEL",
        help="serve recollect-tiny, or a checkpoint of it, with vLLM during the run, and measure with it",
    )
    world = parser.add_argument_group("options of the world")
    world.add_argument(
        "--minutes", type=minutes, default=10.0, metavar="M", help="length of a video (default: 10)"
    )
    world.add_argument(
        "--videos",
        type=limit,
        default=5,
        metavar="N",
        help="number of videos, each with a twin (default: 5)",
    )
    world.add_argument(
        "--questions", type=limit, default=20, metavar="N", help="questions about each video (default: 20)"
    )
    world.add_argument(
        "--no-twins",
        action="store_true",
        help="use only one of each pair of twins, which halves the video to watch",
    )
    world.add_argument(
        "--seed", default="public", metavar="TEXT", help="each seed is a different world (default: public)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command. Returns the exit code."""
    if arguments.suite == "compare":
        return _compare(arguments.runs, arguments.out or Path("eval-compare"), as_json=arguments.json)
    if arguments.runs:
        raise RecollectError(
            f"unexpected argument {str(arguments.runs[0])!r}: only 'compare' takes folders of runs"
        )
    if arguments.suite == "list":
        from ..evals.suites import PUBLISHED  # noqa: PLC0415

        suites = {"world": "a synthetic house, in which everything that happens is known"}
        suites |= {name: description for name, (_, description) in PUBLISHED.items()}
        if arguments.json:
            print_json({"suites": suites})
            return 0
        for name, description in suites.items():
            print_line(f"{name:16} {description}")
        return 0
    folder = arguments.out or Path(f"eval-{arguments.suite}")
    if not arguments.report:
        if (folder / "manifest.json").exists() and not (arguments.resume or arguments.retry_errors):
            raise BadRun(folder, "it exists already. --resume continues it, --report prints it")
        _run_evaluation(arguments, folder)
    published = _suite(arguments) if arguments.data is not None else None
    return _report(folder, published, as_json=arguments.json)


def shard(text: str) -> Shard:
    """Parse a part of the videos, such as ``1/4``."""
    from ..evals.runner import Shard  # noqa: PLC0415

    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a part such as 1/4")
    return Shard(int(number) - 1, int(count))


def minutes(text: str) -> float:
    """Parse the length of a video in minutes."""
    try:
        count = float(text)
    except ValueError:
        count = 0.0
    if not 0.2 <= count <= 24 * 60:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes between 0.2 and 1440")
    return count


def _run_evaluation(arguments: argparse.Namespace, folder: Path) -> None:
    """Compute the missing answers of the run."""
    from ..memory.keeping.byte_sizes import parse_bytes  # noqa: PLC0415
    from ..memory.keeping.disk_budget import check_budget  # noqa: PLC0415
    from ..memory.storage.manifest import UNBOUNDED_BYTES  # noqa: PLC0415
    from ..settings import read_settings  # noqa: PLC0415

    budget_bytes = UNBOUNDED_BYTES if arguments.disk_budget is None else parse_bytes(arguments.disk_budget)
    check_budget(budget_bytes)
    # The model comes first: a process that starts others must not have loaded LanceDB.
    with _lmm(arguments, folder) as lmm:
        from ..evals.ingestion import WatchSettings  # noqa: PLC0415
        from ..evals.presets import (  # noqa: PLC0415
            ablated_systems,
            call_limited_systems,
            embedded_systems,
            systems_with_lmm,
        )
        from ..evals.runner import EvaluationRun, RunOptions, Shard  # noqa: PLC0415
        from ..perception.vision import open_encoder  # noqa: PLC0415

        suite = _suite(arguments)
        vision = read_settings().vision
        encoder = None if vision.model is None else open_encoder(vision)
        systems = embedded_systems(encoder) if lmm is None else systems_with_lmm(lmm, encoder)
        systems += ablated_systems() if arguments.without_parts else []
        systems += call_limited_systems(arguments.calls)
        watching = WatchSettings(
            encoder=encoder,
            lmm=lmm,
            fps=arguments.fps,
            ocr=not arguments.no_ocr,
            budget_bytes=budget_bytes,
        )
        options = RunOptions(
            limit=arguments.limit,
            shard=arguments.shard or Shard(),
            concurrency=arguments.at_once or (1 if lmm is None else _LMM_CONCURRENCY),
            retry_errors=arguments.retry_errors,
        )
        _run_with_progress(
            EvaluationRun(folder, suite, _selected(systems, arguments.system), watching, options)
        )


def _suite(arguments: argparse.Namespace) -> Suite:
    from ..evals.suites import PUBLISHED, open_suite  # noqa: PLC0415
    from ..evals.suites.world_suite import WorldSuite  # noqa: PLC0415

    if arguments.suite == "world":
        return WorldSuite(
            seed=arguments.seed,
            videos=arguments.videos,
            lasts_s=60 * arguments.minutes,
            questions=arguments.questions,
            both=not arguments.no_twins,
        )
    if arguments.suite in PUBLISHED and arguments.data is None:
        raise BadSuite(arguments.suite, Path(), "it needs its official files. Name their folder with --data")
    return open_suite(arguments.suite, arguments.data or Path())


@contextmanager
def _lmm(arguments: argparse.Namespace, folder: Path) -> Iterator[ServedLmm | None]:
    """The video LMM of the command or the settings, or ``recollect-tiny``, which is served inside the block."""
    from ..perception.lmm import open_lmm  # noqa: PLC0415
    from ..settings import read_settings  # noqa: PLC0415

    if arguments.lmm is not None:
        from ..serve_lmm.tiny import served_tiny  # noqa: PLC0415

        folder.mkdir(parents=True, exist_ok=True)
        with served_tiny(folder / "vllm.log", model=arguments.lmm) as tiny:
            yield tiny
        return
    lmm = open_lmm(read_settings(lmm=lmm_flags(arguments)).lmm)
    try:
        yield lmm
    finally:
        if lmm is not None:
            lmm.close()


def _selected(systems: Sequence[System], names: Sequence[str]) -> list[System]:
    """The systems with these names, or all if there are no names."""
    by_name = {system.name: system for system in systems}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise RecollectError(f"unknown system {unknown[0]!r}. The systems are: {', '.join(by_name)}.")
    return [by_name[name] for name in names] if names else list(systems)


def _run_with_progress(run: EvaluationRun) -> None:
    """Run it, and show its progress and the remaining time."""
    from ..common.clock_times import format_time  # noqa: PLC0415
    from . import rich_output as rich  # noqa: PLC0415

    bar = rich.progress_bar(
        rich.SafeColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.SafeColumn("{task.fields[remaining]}"),
    )
    with bar:
        task = bar.add_task("watching", total=None, remaining="")
        for progress in run.go():
            remaining = "" if progress.remaining_s is None else f"{format_time(progress.remaining_s)} left"
            bar.update(
                task,
                description=progress.video,
                completed=progress.answered,
                total=progress.total,
                remaining=remaining,
            )


def _compare(folders: Sequence[Path], folder: Path, *, as_json: bool) -> int:
    """Compare runs by the length of their videos, the size of their memories, and their cost."""
    from ..evals.comparison import comparison_markdown, write_curves  # noqa: PLC0415
    from ..evals.report import read_run  # noqa: PLC0415

    if not folders:
        raise RecollectError("'compare' needs folders of runs: recollect eval compare eval-10 eval-60")
    runs = [read_run(run_folder) for run_folder in folders]
    text = comparison_markdown(runs)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(text, encoding="utf-8")
    write_curves(runs, folder / "curves.csv")
    _print_result(folder, text, "curves", as_json=as_json)
    _draw_charts(runs, folder)
    return 0


def _print_result(folder: Path, report: str, table: str, *, as_json: bool) -> None:
    """Print the report, or as JSON the rows of the table that was written beside it."""
    if not as_json:
        print_block(report)
        return
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        print_json({"report": str(folder / "report.md"), table: list(csv.DictReader(file))})


def _draw_charts(runs: Sequence[ReportedRun], folder: Path) -> None:
    """Draw the charts, if matplotlib is installed."""
    from ..evals.plots import plot  # noqa: PLC0415

    try:
        for path in plot(runs, folder):
            print_line(str(path), file=sys.stderr)
    except NoMatplotlib as error:
        print_line(f"No charts were drawn: {error}", file=sys.stderr)


def _report(folder: Path, published: Suite | None, *, as_json: bool) -> int:
    """Score, print and store the report. For a published benchmark, add its own scores and the files to submit."""
    from ..evals.records import Prediction, Sample, read_records  # noqa: PLC0415
    from ..evals.report import markdown, official, read_run, write_csv  # noqa: PLC0415

    reported = read_run(folder)
    text = markdown(reported)
    if published is not None:
        if reported.scored:
            text += "\n" + official(reported, published)
        samples = list(read_records(folder / "samples.jsonl", Sample))
        predictions = list(read_records(folder / "predictions.jsonl", Prediction))
        published.export(samples, predictions, folder / "official")
    (folder / "report.md").write_text(text, encoding="utf-8")
    write_csv(reported, folder / "scores.csv")
    _print_result(folder, text, "scores", as_json=as_json)
    _draw_charts([reported], folder)
    return 0
