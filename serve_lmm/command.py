"""``recollect serve-lmm``: serves a video LMM with vLLM, or prints the command that does."""

from __future__ import annotations

import argparse
import signal
from typing import TYPE_CHECKING

from ..common.terminal import print_block, print_error, print_json

if TYPE_CHECKING:
    from .launch import Launch

DESCRIPTION = "Serve a video LMM with vLLM; flags for vLLM itself follow after --."
_PATIENCE_S = 3600.0
"""The longest time for the download and loading of a model. Ctrl-C ends the wait."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command. Defaults come from the environment and the settings file."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="a folder, a name that vLLM downloads, or recollect-tiny"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the command and what each flag is for")
    parser.add_argument(
        "--name", metavar="ID", help="serve it under this id (default: the model's last part)"
    )
    parser.add_argument("--host", help="listen there (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="listen there (default: 8000)")
    parser.add_argument("--context", dest="context_tokens", type=int, metavar="TOKENS",
                        help="length of a prompt and its reply (default: 32768)")  # fmt: skip
    parser.add_argument("--pictures", type=int, metavar="N", help="pictures in a prompt (default: 64)")
    parser.add_argument("--device", choices=("auto", "gpu", "cpu"), help="what it runs on (default: auto)")
    parser.add_argument("--python", metavar="PATH", help="the Python that has vLLM (default: this one)")
    parser.set_defaults(beyond=())


_SETTINGS = ("model", "name", "host", "port", "context_tokens", "pictures", "device", "python")


def run(arguments: argparse.Namespace) -> int:
    """Serve until it ends, and return its exit code."""
    from ..settings import read_settings  # noqa: PLC0415
    from .errors import VllmNotFound  # noqa: PLC0415
    from .launch import plan_launch  # noqa: PLC0415
    from .vllm import ELSEWHERE, find_vllm  # noqa: PLC0415

    options = {name: getattr(arguments, name) for name in _SETTINGS}
    settings = read_settings(serve={name: value for name, value in options.items() if value is not None})
    if not arguments.dry_run:
        # Check the model first, so that a wrong name is reported even without vLLM.
        plan_launch(settings, ELSEWHERE, arguments.beyond)
        return _serve(plan_launch(settings, find_vllm(settings.serve.python), arguments.beyond))
    try:
        vllm, missing = find_vllm(settings.serve.python), ""
    except VllmNotFound as error:
        vllm, missing = ELSEWHERE, str(error)
    launch = plan_launch(settings, vllm, arguments.beyond)
    if arguments.json:
        print_json(_plain_launch(launch, missing))
        return 0
    print_block(launch.explanation())
    if missing:
        print_block(f"\nIt cannot be run here: {missing}")
    return 0


def _plain_launch(launch: Launch, missing: str) -> dict[str, object]:
    return {
        "command": list(launch.command),
        "variables": {item.name: None if item.secret else item.value for item in launch.variables},
        "url": launch.url,
        "model": launch.name,
        "missing": missing or None,
    }


def _serve(launch: Launch) -> int:
    from .errors import ServerEnded  # noqa: PLC0415
    from .process import VllmServer  # noqa: PLC0415

    server = VllmServer(launch)
    asked_to_stop: list[int] = []

    def interrupted(number: int, frame: object) -> None:
        if asked_to_stop:
            server.kill()  # a second signal asks for an immediate end
        else:
            asked_to_stop.append(number)
            server.terminate()  # not with the received signal: vLLM may ignore SIGINT while it starts

    server.start()
    handlers = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.wait_ready(_PATIENCE_S)
        print_block(f"recollect: {launch.name} is served. To use it:\n  export RECOLLECT_LMM__URL={launch.url}\n"
              "  export RECOLLECT_LMM__SERVER_PRIORITIES=true", flush=True)  # fmt: skip
        return server.wait()
    except ServerEnded as error:
        if not asked_to_stop:
            print_error(error)
        return error.code
    finally:
        server.stop()
        for number, handler in handlers.items():
            signal.signal(number, handler)
