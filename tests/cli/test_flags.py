"""Messages name arguments in Python and flags on the command line."""

from __future__ import annotations

import inspect

import pytest

from recollect import Recollect, RecollectError, WatchOptions
from recollect.cli.flags import FLAGS, with_flags
from recollect.cli.main import build_parser, main


def test_the_command_names_the_flag_and_python_the_argument(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("no memory")

    with pytest.raises(RecollectError, match="Give another `path`"):
        Recollect(tmp_path).status()
    code = main(["status", "--memory", str(tmp_path)])

    assert code == 2
    assert "Give another --memory" in capsys.readouterr().err


def test_each_flag_that_a_message_may_name_exists():
    text = "\n".join(
        subparser.format_help()
        for action in build_parser()._actions
        if isinstance(action.choices, dict)
        for subparser in action.choices.values()
    )

    assert all(flag.split()[0] in text for flag in FLAGS.values() if flag.startswith("--"))


def test_most_names_are_arguments_of_the_sdk():
    methods = [method for _, method in inspect.getmembers(Recollect, inspect.isfunction)]
    names = {name for method in methods for name in inspect.signature(method).parameters}
    names |= set(inspect.signature(WatchOptions).parameters)

    assert set(FLAGS) - names <= {"out", "port", "host"}


def test_other_names_in_backticks_stay():
    assert with_flags("Run `recollect pin`; `limit` is 0") == "Run `recollect pin`; --limit is 0"
