"""``recollect ask``: answer a question, with evidence."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..common.errors import RecollectError
from ..common.terminal import print_json
from ..serialization import to_plain
from .arguments import add_scope, as_of_s, open_memory, picture_path
from .printing import one_line, print_answer

if TYPE_CHECKING:
    from ..agent.answer import Answer
    from ..client import Recollect

DESCRIPTION = "Ask a question. The answer comes with its evidence."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("question")
    parser.add_argument(
        "--option", action="append", default=[], metavar="TEXT", help="an option to choose from; repeatable"
    )
    add_scope(parser)
    parser.add_argument(
        "--as-of", type=as_of_s, metavar="TIME", help="use only what had been written by then (ISO 8601)"
    )
    parser.add_argument(
        "--show", type=picture_path, metavar="PNG", help="draw the evidence into this picture"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    with open_memory(arguments) as memory:
        answer = memory.ask(
            arguments.question,
            options=arguments.option,
            stream=arguments.stream,
            from_s=arguments.from_s,
            to_s=arguments.to_s,
            as_of=arguments.as_of,
        )
        if arguments.show:
            _draw_evidence(memory, arguments.question, answer, arguments.show)
    if arguments.json:
        print_json(to_plain(answer))
    else:
        print_answer(answer)
    return 0


def _draw_evidence(memory: Recollect, question: str, answer: Answer, path: Path) -> None:
    from ..contact_sheet import write_contact_sheet  # noqa: PLC0415

    try:
        write_contact_sheet(path, [(question, answer)], memory.frames)
    except (OSError, ValueError) as error:
        raise RecollectError(
            f"the evidence could not be drawn into {str(path)!r}: {one_line(error)}."
        ) from error
