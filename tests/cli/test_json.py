"""``--json`` of every command: only JSON on standard output."""

from __future__ import annotations

import json

import pytest

from recollect.cli.main import COMMANDS, main

READING = {
    "ask": ["ask", "When does the sign say CLOSED?"],
    "search": ["search", "closed"],
    "timeline": ["timeline", "--limit", "3"],
    "status": ["status"],
    "check": ["check"],
    "pin": ["pin"],
    "eval": ["eval", "list"],
    "serve-lmm": ["serve-lmm", "some/model", "--dry-run"],
}
WRITING = {
    "watch": lambda video: ["watch", str(video), "--no-ocr"],
    "compact": lambda video: ["compact"],
    "reindex": lambda video: ["reindex", "--quiet"],
    "forget": lambda video: ["forget", "short", "--all"],
}


@pytest.fixture
def printed(capsys):
    """Runs the command and returns its exit code and standard output."""

    def run(*argv):
        code = main(list(argv))
        return code, capsys.readouterr().out

    return run


@pytest.mark.parametrize("argv", READING.values(), ids=READING)
def test_a_reading_command_prints_one_object(argv, printed, watched_demo):
    code, out = printed(*argv, "--json", "--memory", str(watched_demo))

    assert code == 0
    assert isinstance(json.loads(out), dict)


def test_writing_commands_print_objects(printed, short_video, tmp_path):
    memory = str(tmp_path / "memory.lance")

    for make in WRITING.values():
        code, out = printed(*make(short_video), "--json", "--memory", memory)

        assert code == 0
        assert all(isinstance(json.loads(line), dict) for line in _objects(out))


def _objects(out: str) -> list[str]:
    """Lines of JSON, or one object over several lines."""
    return out.splitlines() if out.startswith('{"') else [out]


def test_watch_prints_one_event_per_line_and_ends_with_a_report(printed, short_video, tmp_path):
    _, out = printed(
        "watch", str(short_video), "--no-ocr", "--json", "--memory", str(tmp_path / "memory.lance")
    )

    events = [json.loads(line) for line in out.splitlines()]
    assert events[-1]["event"] == "Finished"
    assert events[-1]["report"]["state"] == "done"


def test_a_trace_is_printed_by_the_id_of_the_answer(printed, watched_demo):
    _, answer = printed("ask", "When does the sign say CLOSED?", "--json", "--memory", str(watched_demo))
    trace_id = json.loads(answer)["trace_id"]

    code, out = printed("trace", trace_id, "--json", "--memory", str(watched_demo))
    plain_code, plain = printed("trace", trace_id, "--memory", str(watched_demo))

    trace = json.loads(out)
    assert (code, plain_code, trace["trace_id"]) == (0, 0, trace_id)
    assert trace["steps"][-1]["next"] == []
    assert "answer" in trace["steps"][-1]["state"]
    assert plain.startswith("next: ")


def test_an_unknown_trace_is_an_error_with_a_remedy(capsys, watched_demo):
    code = main(["trace", "nothing", "--memory", str(watched_demo)])

    assert code == 2
    assert "recollect ask" in capsys.readouterr().err


def test_every_command_takes_the_flag():
    tested = {*READING, *WRITING, "trace", "caption", "doctor", "demo"}

    assert tested == set(COMMANDS)
