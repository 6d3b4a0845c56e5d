"""Hostile names, subtitles and notes through the real command: no control character reaches the terminal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

HOSTILE = "\x1b]0;pwned\x07\x9b31m\u202e[bold red]"
SHOWN = r"\x1b]0;pwned\x07\x9b31m\u202e[bold red]"
RAW = (b"\x1b", b"\x07", "\x9b".encode(), "\u202e".encode())
STREAM = f"door{HOSTILE}"
COMMANDS = {
    "ask": ["ask", "What does the narrator say about the parcel?"],
    "search": ["search", "parcel"],
    "timeline": ["timeline"],
    "status": ["status"],
    "pin": ["pin"],
    "doctor": ["doctor"],
}


class Hostile(NamedTuple):
    """A memory of a video whose names, subtitle and pin note hold control characters."""

    memory: Path
    video: Path
    watched: subprocess.CompletedProcess[bytes]


def recollect(*argv: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "recollect.cli.main", *argv],
        capture_output=True,
        check=False,
        env={**os.environ, **variables},
    )


def assert_harmless(process: subprocess.CompletedProcess[bytes], code: int = 0) -> str:
    """Assert the exit code and that no control character was written. Returns the output."""
    written = process.stdout + process.stderr
    assert process.returncode == code, written
    assert not [raw for raw in RAW if raw in written], written
    return written.decode()


@pytest.fixture(scope="module")
def hostile(short_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    folder = tmp_path_factory.mktemp("hostile")
    video = folder / f"a{HOSTILE}.mp4"
    shutil.copy(short_video, video)
    video.with_suffix(".srt").write_text(
        f"1\n00:00:00,200 --> 00:00:01,800\nthe parcel {HOSTILE} is gone\n", encoding="utf-8"
    )
    memory = folder / "m\u202e[bold red].lance"  # LanceDB refuses other control characters in a path
    watched = recollect("watch", str(video), "--stream", STREAM, "--no-ocr", "--memory", str(memory))
    pinned = recollect("pin", STREAM, "--note", f"note {HOSTILE}", "--memory", str(memory))
    assert pinned.returncode == 0, pinned.stderr
    return Hostile(memory, video, watched)


@pytest.mark.slow
def test_watching_prints_a_hostile_name_escaped(hostile: Hostile) -> None:
    written = assert_harmless(hostile.watched)

    assert f"door{SHOWN}: watched to 0:02.0" in written


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_hostile_text_escaped(hostile: Hostile, name: str) -> None:
    written = assert_harmless(recollect(*COMMANDS[name], "--memory", str(hostile.memory)))

    assert (r"m\u202e[bold red].lance" if name == "doctor" else SHOWN) in written


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "doctor"])
def test_json_of_hostile_text_comes_back_whole(hostile: Hostile, name: str) -> None:
    written = assert_harmless(recollect(*COMMANDS[name], "--json", "--memory", str(hostile.memory)))

    assert STREAM in strings_of(json.loads(written))


def strings_of(value: object) -> list[str]:
    """Every string in a JSON value."""
    if isinstance(value, dict):
        return [text for part in value.items() for piece in part for text in strings_of(piece)]
    if isinstance(value, list):
        return [text for piece in value for text in strings_of(piece)]
    return [value] if isinstance(value, str) else []


@pytest.mark.slow
def test_events_of_watching_are_harmless_json(hostile: Hostile, tmp_path: Path) -> None:
    memory = str(tmp_path / "other.lance")

    written = assert_harmless(
        recollect("watch", str(hostile.video), "--stream", STREAM, "--no-ocr", "--json", "--memory", memory)
    )

    events = [json.loads(line) for line in written.splitlines()]
    assert events[-1]["event"] == "Finished"
    assert events[-1]["stream"] == STREAM


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_stored_question_is_printed_escaped(hostile: Hostile, options: list[str]) -> None:
    memory = ["--memory", str(hostile.memory)]
    answer = json.loads(recollect("ask", f"What about the parcel {HOSTILE}?", "--json", *memory).stdout)

    written = assert_harmless(recollect("trace", answer["trace_id"], *options, *memory))

    assert r"\u001b]0;pwned" in written


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv",
    [
        ["watch", f"missing{HOSTILE}.mp4"],
        ["ask", "What?", "--stream", f"nowhere{HOSTILE}"],
        ["status", f"--{HOSTILE}"],
        ["timeline", "--from", HOSTILE],
        [f"dance{HOSTILE}"],
    ],
    ids=lambda argv: argv[0][:5],
)
def test_an_error_prints_hostile_text_escaped(hostile: Hostile, argv: list[str]) -> None:
    written = assert_harmless(recollect("--memory", str(hostile.memory), *argv), code=2)

    assert "[bold red]" in written
    assert r"\x1b]0;pwned" in written


@pytest.mark.slow
def test_a_memory_that_lancedb_refuses_is_printed_escaped(hostile: Hostile, tmp_path: Path) -> None:
    memory = tmp_path / "m\x1b[2J.lance"

    written = assert_harmless(recollect("watch", str(hostile.video), "--memory", str(memory)), code=2)

    assert "Traceback" not in written
    assert r"control characters ('\x1b')" in written


@pytest.mark.slow
def test_an_undecodable_name_is_printed_escaped() -> None:
    written = assert_harmless(recollect("watch", os.fsdecode(b"missing\xff.mp4")), code=2)

    assert r"missing\udcff.mp4" in written


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_output_encoding_never_ends_a_command(hostile: Hostile, encoding: str) -> None:
    for argv in (*COMMANDS.values(), ["search", "parcel", "--json"], ["eval", "--help"]):
        process = recollect(*argv, "--memory", str(hostile.memory), PYTHONIOENCODING=encoding)

        assert process.returncode == 0, process.stderr
        process.stdout.decode(encoding)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_progress_bar_on_a_terminal_shows_names_literally(hostile: Hostile, tmp_path: Path) -> None:
    import pty

    main_end, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "recollect.cli.main", "watch", str(hostile.video), "--no-ocr",
         "--memory", str(tmp_path / "other.lance")],
        stdout=subprocess.DEVNULL, stderr=terminal, env={**os.environ, "COLUMNS": "200", "TERM": "xterm"},
    )  # fmt: skip
    os.close(terminal)
    drawn = b""
    try:
        while piece := os.read(main_end, 65536):
            drawn += piece
    except OSError:  # how Linux reports that the other end was closed
        pass
    os.close(main_end)

    assert process.wait() == 0
    assert SHOWN.encode() in drawn
    assert not [raw for raw in (b"\x1b]", b"\x07", *RAW[2:]) if raw in drawn]


@pytest.mark.slow
def test_a_receipt_prints_a_hostile_name_escaped(hostile: Hostile, tmp_path: Path) -> None:
    copy = tmp_path / "copy.lance"
    shutil.copytree(hostile.memory, copy)

    written = assert_harmless(recollect("forget", STREAM, "--all", "--memory", str(copy)))

    assert f"erased: all of door{SHOWN}" in written
