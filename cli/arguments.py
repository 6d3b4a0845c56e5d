"""What several commands understand: times, limits, a scope, the video LMM, the memory itself."""

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
    """Says in one line what is wrong with the arguments, and where to read more."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Keep what follows ``--`` as it is, for a command that passes it on as ``beyond``."""
        self._urls = [text for text in (sys.argv[1:] if args is None else args) if "://" in text]
        if self.get_default("beyond") is None or "--" not in args:
            return super().parse_known_args(args, namespace)
        at = args.index("--")
        found, unknown = super().parse_known_args(args[:at], namespace)
        found.beyond = tuple(args[at + 1 :])
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong, and end."""
        message = redact_text(message, getattr(self, "_urls", ()))
        print_error(f"{' '.join(message.split())}. See: {self.prog} --help")
        self.exit(2)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help and version; an output encoding that lacks a character of them is no failure."""
        print_block(message.removesuffix("\n"), file=file)


def time_s(text: str) -> float:
    """A time as a player shows it, in seconds."""
    try:
        return parse_time_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def as_of_s(text: str) -> float:
    """A time with a zone, in Unix seconds."""
    try:
        return parse_as_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def fps(text: str) -> float:
    """Frames a second."""
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 0.1 <= fps <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate between 0.1 and 60 frames a second")
    return fps


def limit(text: str) -> int:
    """How many."""
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if not 1 <= limit <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 1 and 100,000")
    return limit


def picture(text: str) -> Path:
    """Where a picture can be put. Looked at before the question is: its answer must not be lost to a typo."""
    path = Path(text)
    if path.suffix.lower() not in PICTURE_ENDINGS:
        raise argparse.ArgumentTypeError(f"{text!r} does not end in {', '.join(PICTURE_ENDINGS)}")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written there")
    return path


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Add which stream, and which part of it."""
    parser.add_argument("--stream", metavar="NAME", help="only this stream")
    add_span(parser)


def add_span(parser: argparse.ArgumentParser) -> None:
    """Add which part of a stream."""
    parser.add_argument(
        "--from", dest="from_s", type=time_s, metavar="T", help="from this stream time on, such as 1:20"
    )
    parser.add_argument("--to", dest="to_s", type=time_s, metavar="T", help="up to this stream time")


def add_budget(parser: argparse.ArgumentParser) -> None:
    """Add what the memory may take on the disk."""
    parser.add_argument(
        "--budget",
        metavar="SIZE",
        help="what the memory may take on the disk from now on, such as '20 GB', or 'unbounded'",
    )


def add_lmm_flags(parser: argparse.ArgumentParser) -> None:
    """Add where the video LMM is served."""
    parser.add_argument(
        "--lmm-url", metavar="URL", help="where the video LMM is served (default: lmm.url of the settings)"
    )
    parser.add_argument(
        "--lmm-model", metavar="ID", help="the served model, where there are several (default: lmm.model)"
    )


def lmm_flags(arguments: argparse.Namespace) -> dict[str, str]:
    """What the command says of the video LMM, as settings; nothing where it leaves that to the settings."""
    flags = {"url": getattr(arguments, "lmm_url", None), "model": getattr(arguments, "lmm_model", None)}
    return {name: value for name, value in flags.items() if value is not None}


def open_memory(arguments: argparse.Namespace) -> Recollect:
    """Open the memory that is named, with the video LMM that is."""
    from ..client import Recollect  # noqa: PLC0415

    given = lmm_flags(arguments)
    budget = getattr(arguments, "budget", None)
    if not given:
        return Recollect(arguments.memory, budget=budget)
    from ..settings import read_settings  # noqa: PLC0415

    return Recollect(arguments.memory, lmm=read_settings(lmm=given).lmm, budget=budget)
