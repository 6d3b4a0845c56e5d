"""``recollect eval`` measures Recollect, and what it is measured against, on a benchmark."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..common.errors import RecollectError
from ..common.terminal import print_block, print_line
from ..evals.errors import BadRun, BadSuite, NoMatplotlib
from .arguments import add_lmm_flags, fps, limit, lmm_flags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..evals.report import ReportedRun
    from ..evals.runner import EvaluationRun, Shard
    from ..evals.suites.suite import Suite
    from ..evals.systems import System
    from ..perception.lmm import ServedLmm

_AT_ONCE = 8
"""A server answers so many nearly as quickly as one."""
DESCRIPTION = "Measure Recollect and baselines on a benchmark, with intervals."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command understands."""
    parser.add_argument(
        "suite",
        help="'world', which is drawn here, or a published benchmark such as 'ovo'; 'list' lists them;"
        " 'compare' puts runs side by side",
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="of 'compare': folders of runs")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="where the official files of a published benchmark are"
    )
    parser.add_argument(
        "--system",
        action="append",
        default=[],
        metavar="NAME",
        help="only this system; repeat it (default: all)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where everything is put (default: ./eval-SUITE)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run that is there")
    parser.add_argument("--retry-errors", action="store_true", help="ask again what failed")
    parser.add_argument("--report", action="store_true", help="only score and print what was answered so far")
    parser.add_argument("--limit", type=limit, metavar="N", help="at most so many questions")
    parser.add_argument(
        "--shard", type=shard, metavar="I/N", help="only the videos of part I of N, from 1 on"
    )
    parser.add_argument(
        "--fps", type=fps, default=4.0, metavar="F", help="frames a second that are looked at (default: 4)"
    )
    parser.add_argument("--no-ocr", action="store_true", help="do not read text in the picture")
    parser.add_argument(
        "--budget", metavar="SIZE", help="what a memory may take, such as '100 MB' (default: no bound)"
    )
    parser.add_argument(
        "--without-parts", action="store_true", help="measure Recollect without each of its parts, too"
    )
    parser.add_argument(
        "--calls",
        type=limit,
        action="append",
        default=[],
        metavar="N",
        help="measure Recollect that may ask the model N times for a question, too; repeat it",
    )
    parser.add_argument(
        "--at-once",
        type=limit,
        metavar="N",
        help="so many answers are under way at a time (default: 1, and 8 with a model)",
    )
    add_lmm_flags(parser)
    parser.add_argument(
        "--lmm",
        nargs="?",
        const="recollect-tiny",
        metavar="MODEL",
        help="serve recollect-tiny, or a checkpoint of it, by vLLM for as long as it takes, and measure with it",
    )
    world = parser.add_argument_group("of the world")
    world.add_argument(
        "--minutes", type=minutes, default=10.0, metavar="M", help="how long a video is (default: 10)"
    )
    world.add_argument(
        "--videos",
        type=limit,
        default=5,
        metavar="N",
        help="how many there are, each with a twin (default: 5)",
    )
    world.add_argument("--questions", type=limit, default=20, metavar="N", help="about each (default: 20)")
    world.add_argument(
        "--no-twins", action="store_true", help="ask of one of each two twins alone: half as much is watched"
    )
    world.add_argument(
        "--seed", default="public", metavar="TEXT", help="another one is another world (default: public)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    if arguments.suite == "compare":
        return _compare(arguments.runs, arguments.out or Path("eval-compare"))
    if arguments.runs:
        raise RecollectError(
            f"{str(arguments.runs[0])!r} is one word too many; folders of runs are for 'compare'"
        )
    if arguments.suite == "list":
        from ..evals.suites import PUBLISHED  # noqa: PLC0415

        print_line(f"{'world':16} a house that is drawn here, in which everything that happens is known")
        for name, (_, about) in PUBLISHED.items():
            print_line(f"{name:16} {about}")
        return 0
    folder = arguments.out or Path(f"eval-{arguments.suite}")
    if not arguments.report:
        if (folder / "manifest.json").exists() and not (arguments.resume or arguments.retry_errors):
            raise BadRun(folder, "there is one already; --resume goes on with it, --report prints it")
        _go(arguments, folder)
    return _report(folder, _suite(arguments) if arguments.data is not None else None)


def shard(text: str) -> Shard:
    """A part of the videos, such as ``1/4``."""
    from ..evals.runner import Shard  # noqa: PLC0415

    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part such as 1/4")
    return Shard(int(number) - 1, int(of))


def minutes(text: str) -> float:
    """How long."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.2 <= found <= 24 * 60:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes between 0.2 and 1440")
    return found


def _go(arguments: argparse.Namespace, folder: Path) -> None:
    """Ask what is left to be asked."""
    from ..memory.keeping.byte_sizes import parse_bytes  # noqa: PLC0415
    from ..memory.keeping.disk_budget import check_budget  # noqa: PLC0415
    from ..memory.storage.manifest import UNBOUNDED_BYTES  # noqa: PLC0415
    from ..settings import read_settings  # noqa: PLC0415

    budget_bytes = UNBOUNDED_BYTES if arguments.budget is None else parse_bytes(arguments.budget)
    check_budget(budget_bytes)
    # First: a process that is to start others must not have loaded LanceDB.
    with _lmm(arguments, folder) as lmm:
        from ..evals.ingestion import WatchSettings  # noqa: PLC0415
        from ..evals.presets import embedded_systems, with_calls, with_model, without_parts  # noqa: PLC0415
        from ..evals.runner import EvaluationRun  # noqa: PLC0415
        from ..perception.vision import open_encoder  # noqa: PLC0415

        suite = _suite(arguments)
        vision = read_settings().vision
        encoder = None if vision.model is None else open_encoder(vision)
        line_up = embedded_systems(encoder) if lmm is None else with_model(lmm, encoder)
        line_up += without_parts() if arguments.without_parts else []
        line_up += with_calls(arguments.calls)
        systems = _chosen(line_up, arguments.system)
        watching = WatchSettings(
            encoder=encoder,
            lmm=lmm,
            fps=arguments.fps,
            ocr=not arguments.no_ocr,
            budget_bytes=budget_bytes,
        )
        _with_progress(
            EvaluationRun(
                folder,
                suite,
                systems,
                watching,
                limit=arguments.limit,
                shard=arguments.shard,
                at_once=arguments.at_once or (1 if lmm is None else _AT_ONCE),
                retry_errors=arguments.retry_errors,
            )
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
        raise BadSuite(
            arguments.suite, Path(), "its official files are not here; name their folder with --data"
        )
    return open_suite(arguments.suite, arguments.data or Path())


@contextmanager
def _lmm(arguments: argparse.Namespace, folder: Path) -> Iterator[ServedLmm | None]:
    """The video LMM that the settings or the command name, or ``recollect-tiny``, served as long as it is needed."""
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


def _chosen(systems: Sequence[System], names: Sequence[str]) -> list[System]:
    """Those that are named, or all."""
    known = {system.name: system for system in systems}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise RecollectError(f"there is no system {unknown[0]!r}. There are: {', '.join(known)}.")
    return [known[name] for name in names] if names else list(systems)


def _with_progress(run: EvaluationRun) -> None:
    """Show how far it is, and for how long it goes on."""
    from ..common.clock_times import clock  # noqa: PLC0415
    from . import rich_output as rich  # noqa: PLC0415

    bar = rich.progress_bar(
        rich.SafeColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.SafeColumn("{task.fields[left]}"),
    )
    with bar:
        task = bar.add_task("watching", total=None, left="")
        for progress in run.go():
            left = "" if progress.left_s is None else f"{clock(progress.left_s)} left"
            bar.update(
                task, description=progress.video, completed=progress.answered, total=progress.of, left=left
            )


def _compare(folders: Sequence[Path], folder: Path) -> int:
    """Put runs side by side: by the lengths of their videos, by the sizes of their memories, by what they cost."""
    from ..evals.curves import compared, write_curves  # noqa: PLC0415
    from ..evals.report import read_run  # noqa: PLC0415

    if not folders:
        raise RecollectError("name the folders of some runs: recollect eval compare eval-10 eval-60")
    found = [read_run(one) for one in folders]
    told = compared(found)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(told, encoding="utf-8")
    write_curves(found, folder / "curves.csv")
    print_block(told)
    _draw(found, folder)
    return 0


def _draw(runs: Sequence[ReportedRun], folder: Path) -> None:
    """Draw the same, where there is something to draw with."""
    from ..evals.plots import plot  # noqa: PLC0415

    try:
        for path in plot(runs, folder):
            print_line(str(path), file=sys.stderr)
    except NoMatplotlib as missing:
        print_line(f"No pictures are drawn: {missing}", file=sys.stderr)


def _report(folder: Path, published: Suite | None) -> int:
    """Score, print and keep the report; of a published benchmark with its own scores and files to submit."""
    from ..evals.records import Prediction, Sample, read  # noqa: PLC0415
    from ..evals.report import markdown, official, read_run, write_csv  # noqa: PLC0415

    found = read_run(folder)
    told = markdown(found)
    if published is not None:
        if found.scored:
            told += "\n" + official(found, published)
        samples = list(read(folder / "samples.jsonl", Sample))
        predictions = list(read(folder / "predictions.jsonl", Prediction))
        published.export(samples, predictions, folder / "official")
    (folder / "report.md").write_text(told, encoding="utf-8")
    write_csv(found, folder / "scores.csv")
    print_block(told)
    _draw([found], folder)
    return 0
