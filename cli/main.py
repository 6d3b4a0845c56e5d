"""The ``recollect`` command: prints for people, or with ``--json`` for programs.

Exit codes: 0 for done; 1 if the work is incomplete or something failed unexpectedly; 2 for wrong input and whatever
Recollect refuses, with one clear line on standard error; 130 after Ctrl-C. Each subcommand is a module of this
package.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Sequence

from .. import __version__
from ..common.errors import RecollectError
from ..common.terminal import print_block, print_error, safe_text
from ..perception.sources.urls import redact_text
from ..serve_lmm import command as serve_lmm
from . import (
    ask,
    caption,
    check,
    compact,
    demo,
    doctor,
    evaluate,
    forget,
    pin,
    reindex,
    search,
    status,
    timeline,
    trace,
    watch,
)
from .arguments import Parser
from .flags import with_flags
from .printing import one_line

DEFAULT_MEMORY = "recollect.lance"
COMMANDS = {
    "watch": watch,
    "caption": caption,
    "ask": ask,
    "trace": trace,
    "search": search,
    "timeline": timeline,
    "status": status,
    "pin": pin,
    "forget": forget,
    "check": check,
    "compact": compact,
    "reindex": reindex,
    "doctor": doctor,
    "serve-lmm": serve_lmm,
    "demo": demo,
    "eval": evaluate,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    warnings = logging.StreamHandler()
    warnings.setFormatter(_OneLineFormatter())
    logging.getLogger("recollect").addHandler(warnings)
    try:
        code = int(arguments.run(arguments))
        # Flush here, so that a closed pipe is told apart from a failure.
        sys.stdout.flush()
        return code
    except RecollectError as error:
        print_error(redact_text(with_flags(str(error))))
        return 2
    except KeyboardInterrupt:
        print_error("stopped.")
        return 130
    except BrokenPipeError:
        # The reader of our output has closed it. Python flushes once more at exit: let it succeed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print_error(redact_text(one_line(error)))
        return 1
    except Exception:
        # A bug of ours. Its message may quote untrusted text, so Python must not print it.
        print_block(redact_text(traceback.format_exc().rstrip()), file=sys.stderr)
        return 1
    finally:
        logging.getLogger("recollect").removeHandler(warnings)


class _OneLineFormatter(logging.Formatter):
    """A log record in one line with its reason, without a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The record in one line."""
        error = record.exc_info[1] if record.exc_info else None
        why = f": {one_line(error)}" if isinstance(error, Exception) else ""
        return safe_text(redact_text(f"recollect: {record.getMessage()}{why}"))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command and its subcommands."""
    parser = Parser(
        prog="recollect",
        description="Watch video, remember it, and answer questions about it with evidence.",
        epilog="Start with: recollect demo",
    )
    parser.add_argument("--version", action="version", version=f"recollect {__version__}")
    # Accepted before and after the subcommand; the later one wins.
    shared = Parser(add_help=False)
    shared.add_argument(
        "--memory",
        metavar="DIR",
        default=argparse.SUPPRESS,
        help=f"the memory's folder (default: ./{DEFAULT_MEMORY})",
    )
    shared.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for programs"
    )
    parser.add_argument("--memory", metavar="DIR", default=DEFAULT_MEMORY, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", default=False, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name, help=command.DESCRIPTION, description=command.DESCRIPTION, parents=[shared]
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
