"""Bad input on the command line: one line of error, an exit code, and an unchanged memory."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from recollect import Recollect, WatchOptions
from recollect.cli.main import main
from recollect.memory import MemoryStore

Refused = Callable[..., str]


@pytest.fixture
def refused(capfd) -> Refused:
    """Runs the command, which must fail with one line on standard error and no output. Returns that line."""

    def running(*argv: str, memory: Path, code: int = 2) -> str:
        capfd.readouterr()
        try:
            exit_code = main([*argv, "--memory", str(memory)])
        except SystemExit as exit_:  # how argparse ends
            exit_code = exit_.code
        out, err = capfd.readouterr()
        assert (exit_code, out) == (code, ""), (exit_code, out, err)
        assert err.startswith("recollect: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        assert "Traceback" not in err
        return err

    return running


@pytest.fixture(scope="module")
def kept(short_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small memory that holds moments."""
    path = tmp_path_factory.mktemp("kept") / "kept.lance"
    with Recollect(path) as memory:
        memory.watch(short_video, stream="short", options=WatchOptions(ocr=False))
    return path


@pytest.fixture
def unharmed(kept: Path) -> Iterator[Path]:
    """The small memory, which must hold the same moments after the test."""
    with Recollect(kept) as memory:
        before = memory.timeline()
    assert before
    yield kept
    with Recollect(kept) as memory:
        assert memory.timeline() == before


def sound(path: Path) -> Path:
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def written(content: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda path: path, "there is no file", id="missing"),
        pytest.param(folder, "it is a folder", id="folder"),
        pytest.param(written(b""), "the file is empty", id="empty"),
        pytest.param(written(b"Dear diary, today I watched a video.\n" * 50), "it holds text", id="text"),
        pytest.param(written(bytes(range(256)) * 200), "is not a video", id="noise"),
        pytest.param(sound, "sound", id="sound"),
    ],
)
def test_a_source_that_is_no_video_is_refused(refused, unharmed, tmp_path, make, message):
    path = make(tmp_path / "clip.mp4")

    assert message in refused("watch", str(path), memory=unharmed)


def test_an_unusable_source_creates_no_memory(refused, tmp_path):
    memory = tmp_path / "new.lance"

    refused("watch", str(tmp_path / "none.mp4"), memory=memory)

    assert not memory.exists()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host/clip.mp4", "concat://a|b", "data://x", "subfile://x", "://x"]
)
def test_a_url_of_another_scheme_is_refused_with_those_that_work(refused, unharmed, url):
    assert "rtsp, rtsps, http, https" in refused("watch", url, memory=unharmed)


def test_a_password_in_a_url_is_not_repeated(refused, unharmed):
    assert "secret" not in refused("watch", "ftp://me:secret@host/clip.mp4", memory=unharmed)


def test_a_truncated_file_is_watched_and_ends_with_a_gap(tmp_path, capfd):
    complete, truncated = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    with av.open(complete, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        noise = np.random.default_rng(1)
        for _ in range(150):
            picture = noise.integers(0, 255, (96, 160, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    truncated.write_bytes(complete.read_bytes()[: complete.stat().st_size // 2])
    memory = tmp_path / "memory.lance"

    code = main(["watch", str(truncated), "--no-ocr", "--memory", str(memory)])

    out, err = capfd.readouterr()
    with Recollect(memory) as opened:
        (status,) = opened.status()
    assert (code, err) == (0, "")
    assert "1 gap" in out
    assert 2.0 < status.coverage.watched_s < 4.0
    (gap,) = status.gaps
    assert gap.cause == "damaged"
    assert gap.span.end_s == pytest.approx(6.0, abs=0.1)
    assert status.counts.balanced


def test_a_memory_of_a_newer_version_is_refused_unchanged(refused, kept, tmp_path, short_video):
    newer = tmp_path / "newer.lance"
    shutil.copytree(kept, newer)
    manifest = newer / "memory.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "schema": 99, "digest": None}))
    files = {path: path.stat().st_mtime_ns for path in newer.rglob("*")}

    for argv in (("ask", "What happens?"), ("status",), ("watch", str(short_video)), ("timeline",)):
        assert "has schema 99" in refused(*argv, memory=newer)
    assert {path: path.stat().st_mtime_ns for path in newer.rglob("*")} == files


@pytest.mark.slow
def test_a_locked_memory_refuses_a_second_writer_and_answers(refused, unharmed, demo_video, capfd):
    with MemoryStore.open(unharmed, write=True, what="watch door"):
        message = refused("watch", str(demo_video), memory=unharmed)
        ask_code = main(["ask", "What happens?", "--memory", str(unharmed)])

    assert f"process {os.getpid()} " in message
    assert "watch door" in message
    assert ask_code == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "argv",
    [["forget", "short", "--from", "0", "--to", "1"], ["forget", "short", "--all"], ["compact"]],
    ids=" ".join,
)
def test_a_writing_command_names_the_writer_and_does_not_wait(refused, unharmed, argv):
    with MemoryStore.open(unharmed, write=True, what="watch door"):
        message = refused(*argv, memory=unharmed)

    assert f"is being written by process {os.getpid()} on " in message
    assert "(watch door)" in message
    assert "stop that process" in message


def test_a_full_disk_is_reported_and_loses_nothing(refused, disk, kept, demo_video, capfd):
    small = disk(80)
    memory = small.path / "memory.lance"
    shutil.copytree(kept, memory)
    with Recollect(memory) as opened:
        before = opened.timeline()
    small.leave(4096)

    message = refused("watch", str(demo_video), memory=memory)
    capfd.readouterr()
    ask_code = main(["ask", "What moves?", "--memory", str(memory), "--json"])

    assert "no room to write" in message
    out, err = capfd.readouterr()
    assert (ask_code, err) == (0, "")
    assert json.loads(out)["trace_id"]
    small.empty()
    with Recollect(memory) as opened:
        assert opened.timeline() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["ask", ""], "the question is empty"),
        (["ask", " \n\t "], "the question is empty"),
        (["ask", "a" * 100_000], "it has 100,000 characters, and a question may have 4,000"),
        (["ask", "Which?", "--option", "this"], "1 option(s); give none, or from 2 to 26"),
        (["ask", "Which?", *["--option", "x"] * 27], "27 option(s)"),
        (["ask", "Which?", "--option", "this", "--option", " "], "an option is empty"),
        (["ask", "", "--option", "this", "--option", "that"], "the question is empty, though options were given"),
        (["ask", "What?", "--stream", "nowhere"], "there is no stream 'nowhere' in this memory. Streams here: short"),
        (["ask", "What?", "--from", "0:20", "--to", "0:10"], "ends (10 s) before it starts (20 s)"),
        (["ask", "What?", "--from", "5", "--to", "5"], "before it starts"),
        (["ask", "What?", "--from", "soon"], "'soon' is not a time; write it as 80, 1:20"),
        (["ask", "What?", "--from", "-5"], "'-5' is not a time"),
        (["ask", "What?", "--to", "nan"], "'nan' is not a time"),
        (["ask", "What?", "--as-of", "yesterday"], "'yesterday' is not a time; write it as 2026"),
        (["ask", "What?", "--as-of", "nan"], "'nan' is not a time"),
        (["ask", "What?", "--as-of", "1e30"], "'1e30' is not a time"),
        (["ask", "What?", "--show", "no/such/folder/sheet.png"], "cannot be written there"),
        (["ask", "What?", "--show", "sheet.txt"], "does not end in .png"),
        (["ask", "What?", "--show", "sheet"], "does not end in .png"),
        (["ask"], "question"),
        (["search", ""], "the query is empty"),
        (["search", "a" * 100_000], "4,000"),
        (["search", "box", "--limit", "0"], "'0' is not a number between 1 and"),
        (["search", "box", "--limit", "-3"], "'-3' is not a number"),
        (["search", "box", "--limit", "ten"], "'ten' is not a number"),
        (["search", "box", "--stream", "nowhere"], "there is no stream 'nowhere'"),
        (["search", "box", "--from", "20", "--to", "10"], "before it starts"),
        (["timeline", "--limit", "0"], "'0' is not a number"),
        (["timeline", "--rung", "week"], "'week'"),
        (["timeline", "--stream", "nowhere"], "there is no stream 'nowhere'"),
        (["timeline", "--from", "20", "--to", "10"], "before it starts"),
        (["watch", "clip.mp4", "--disk-budget", "lots"], "'lots' is no budget for a memory"),
        (["watch", "clip.mp4", "--disk-budget", ""], "'' is no budget for a memory"),
        (["watch", "clip.mp4", "--disk-budget", "1 MB"], "Give a size such as 20 GB"),
        (["watch", "clip.mp4", "--stream-disk-budget", "-3 GB"], "'-3 GB' is no budget"),
        (["watch", "clip.mp4", "--stream-disk-budget", "0"], "less than 64,000,000 bytes do not hold its indexes"),
        (["compact", "--disk-budget", "lots"], "Give a size such as 20 GB"),
        (["compact", "--disk-budget", "63.9 MB"], "63,900,000 bytes is no budget for a memory"),
        (["compact", "short"], "short"),
        (["pin", "nowhere"], "there is no stream 'nowhere' in this memory. Streams here: short"),
        (["pin", "short", "--from", "20", "--to", "10"], "ends (10 s) before it starts (20 s)"),
        (["pin", "short", "--from", "soon"], "'soon' is not a time; write it as 80, 1:20"),
        (["pin", "short", "--from", "1:00:00"], "nothing to pin after 3600 s of 'short'"),
        (["pin", "short", "--from", "50", "--to", "60"], "`recollect timeline` shows what it holds"),
        (["pin", "--from", "5"], "need the name of the stream to pin"),
        (["pin", "--note", "the parcel"], "need the name of the stream to pin"),
        (["pin", "--remove", "none"], "there is no pin 'none'. `recollect pin` lists the pins"),
        (["pin", "short", "--remove", "none"], "Give only one of them"),
        (["forget"], "stream"),
        (["forget", "short"], "--from and --to, or the whole stream with --all"),
        (["forget", "short", "--all", "--from", "1"], "--from and --to, or the whole stream with --all"),
        (["forget", "nowhere", "--all"], "there is no stream 'nowhere' in this memory. Streams here: short"),
        (["forget", "short", "--from", "20", "--to", "10"], "ends (10 s) before it starts (20 s)"),
        (["forget", "short", "--to", "never"], "'never' is not a time"),
        (["watch"], "nothing to watch was given"),
        (["watch", "clip.mp4", "--stream", ""], "--stream is '', but must be a name"),
        (["watch", "http://"], "the source is 'http://', but must be a URL with a host"),
        (["search", "\udcff"], "the query is '\\udcff', but must be a text that can be encoded"),
        (["trace", "\udcff"], "the trace id is '\\udcff', but must be a text that can be encoded"),
        (["watch", "clip.mp4", "--fps", "0"], "'0' is not a rate"),
        (["watch", "clip.mp4", "--fps", "fast"], "'fast' is not a rate"),
        (["watch", "clip.mp4", "--max-outage", "long"], "'long' is not a time"),
        (["dance"], "'dance'"),
        (["status", "--loud"], "--loud"),
    ],
    ids=lambda value: "_".join(value)[:40] if isinstance(value, list) else "",
)  # fmt: skip
def test_a_wrong_argument_is_refused(refused, unharmed, argv, message):
    assert message in refused(*argv, memory=unharmed)


@pytest.mark.parametrize(
    "argv",
    [
        ["ask", "What?"],
        ["search", "box"],
        ["timeline"],
        ["status"],
        ["pin"],
        ["pin", "door"],
        ["pin", "--remove", "it"],
        ["forget", "door", "--all"],
        ["forget", "door", "--from", "5"],
        ["compact"],
        ["compact", "--disk-budget", "1 GB"],
    ],
    ids=" ".join,
)
def test_a_missing_memory_is_reported_and_not_created(refused, tmp_path, argv):
    memory = tmp_path / "none.lance"

    assert "nothing has been watched there yet" in refused(*argv, memory=memory)
    assert not memory.exists()


@pytest.mark.parametrize(
    "argv",
    [["ask", "What?"], ["status"], ["watch"], ["pin"], ["forget", "door", "--all"], ["compact"]],
    ids=" ".join,
)
def test_a_path_that_is_no_memory_is_refused_unchanged(refused, tmp_path, short_video, argv):
    argv = [*argv, str(short_video)] if argv == ["watch"] else argv
    file, foreign = tmp_path / "letter.txt", tmp_path / "letters"
    file.write_text("dear")
    foreign.mkdir()
    (foreign / "one.txt").write_text("dear")

    assert "it is a file" in refused(*argv, memory=file)
    assert "holds other files" in refused(*argv, memory=foreign)
    assert "is not a Recollect memory" in refused(*argv, memory=file / "below")
    assert file.read_text() == "dear"
    assert [path.name for path in foreign.iterdir()] == ["one.txt"]


def test_a_stream_name_of_another_source_is_refused(refused, unharmed, demo_video):
    message = refused("watch", str(demo_video), "--stream", "short", memory=unharmed)

    assert "the stream 'short' in this memory is another source" in message
