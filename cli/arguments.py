"""Arguments that several commands share: times, limits, scope, disk budget, the video LMM, the memory."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..common.clock_times import parse_as_of, parse_time_s
from ..common.terminal import print_block, print_error
from ..perception.sources.urls import redact_text

if TYPE_CHECKING:
    from ..client import Recollect

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, with where to read more."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Keep the arguments after ``--`` unparsed, as ``beyond``, for a command that passes them on."""
        self._urls = [text for text in (sys.argv[1:] if args is None else args) if "://" in text]
        if self.get_default("beyond") is None or "--" not in args:
            return super().parse_known_args(args, namespace)
        separator = args.index("--")
        parsed, unknown = super().parse_known_args(args[:separator], namespace)
        parsed.beyond = tuple(args[separator + 1 :])
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        """Print the error in one line and exit with code 2."""
        message = redact_text(message, getattr(self, "_urls", ()))
        print_error(f"{' '.join(message.split())}. See: {self.prog} --help")
        self.exit(2)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help and version, whatever characters the output encoding lacks."""
        print_block(message.removesuffix("\n"), file=file)


def time_s(text: str) -> float:
    """Parse a time as a player shows it; seconds."""
    try:
        return parse_time_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def as_of_s(text: str) -> float:
    """Parse a time with a zone; Unix seconds."""
    try:
        return parse_as_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def fps(text: str) -> float:
    """Parse a rate in frames a second."""
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.1 <= rate <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate between 0.1 and 60 frames a second")
    return rate


def limit(text: str) -> int:
    """Parse the most results to return."""
    try:
        count = int(text)
    except ValueError:
        count = 0
    if not 1 <= count <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 1 and 100,000")
    return count


def picture_path(text: str) -> Path:
    """Parse the path of a picture to write, checked before the question is asked: a typo must not lose its answer."""
    path = Path(text)
    if path.suffix.lower() not in PICTURE_ENDINGS:
        raise argparse.ArgumentTypeError(f"{text!r} does not end in {', '.join(PICTURE_ENDINGS)}")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written there")
    return path


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Add ``--stream``, ``--from`` and ``--to``."""
    parser.add_argument("--stream", metavar="NAME", help="only this stream")
    add_span(parser)


def add_span(parser: argparse.ArgumentParser) -> None:
    """Add ``--from`` and ``--to``."""
    parser.add_argument(
        "--from", dest="from_s", type=time_s, metavar="T", help="from this stream time on, such as 1:20"
    )
    parser.add_argument("--to", dest="to_s", type=time_s, metavar="T", help="up to this stream time")


def add_disk_budget(parser: argparse.ArgumentParser) -> None:
    """Add ``--disk-budget``."""
    parser.add_argument(
        "--disk-budget",
        metavar="SIZE",
        help="bytes the memory may take on disk from now on, such as '20 GB', or 'unbounded'",
    )


def add_lmm_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--lmm-url`` and ``--lmm-model``."""
    parser.add_argument(
        "--lmm-url",
        metavar="URL",
        help="address of the video LMM's server (default: lmm.url of the settings)",
    )
    parser.add_argument(
        "--lmm-model", metavar="ID", help="the served model, if there are several (default: lmm.model)"
    )


def lmm_flags(arguments: argparse.Namespace) -> dict[str, str]:
    """The settings of the video LMM that were given as flags."""
    flags = {"url": getattr(arguments, "lmm_url", None), "model": getattr(arguments, "lmm_model", None)}
    return {name: value for name, value in flags.items() if value is not None}


def open_memory(arguments: argparse.Namespace) -> Recollect:
    """Open the memory that ``--memory`` names, with the disk budget and the video LMM given as flags."""
    from ..client import Recollect  # noqa: PLC0415

    flags = lmm_flags(arguments)
    disk_budget = getattr(arguments, "disk_budget", None)
    if not flags:
        return Recollect(arguments.memory, disk_budget=disk_budget)
    from ..settings import read_settings  # noqa: PLC0415

    return Recollect(arguments.memory, lmm=read_settings(lmm=flags).lmm, disk_budget=disk_budget)
