"""Redaction: credentials in a source URL appear in no output, file of the memory or process list."""

from __future__ import annotations

import io
import itertools
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from recollect import Recollect, RecollectError, WatchOptions
from recollect.cli.main import main
from recollect.errors import BadSourceList, SourceVariableUnset, StreamNameNeeded
from recollect.perception.sources.live_source import LiveSource
from recollect.perception.sources.reader_messages import ReaderTask
from recollect.perception.sources.reader_process import ReaderProcess
from recollect.perception.sources.source_list import NamedSource, read_source_list, resolve_source
from recollect.perception.writer_session import find_source
from recollect.testing.stream_servers import HttpStreamServer, RtspServer

SECRET = "Zq7secretZq7"
AWAY = "http://anna:{0}@127.0.0.1:1/user=anna&password={0}?token={0}#{0}"
"""Nothing listens on this port."""


@pytest.fixture
def shown(capfd) -> Callable[..., str]:
    """Runs the command and returns both outputs, which must hold no secret."""

    def running(*argv: str, code: int = 2) -> str:
        capfd.readouterr()
        try:
            exit_code = main(argv)
        except SystemExit as exit_:  # how argparse ends
            exit_code = exit_.code
        output = "".join(capfd.readouterr())
        assert exit_code == code, output
        assert SECRET not in output.replace("\n", "")
        return output

    return running


def files_with(secret: str, folder: Path) -> list[Path]:
    """The files below ``folder`` whose name or content has the secret."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if secret in str(path) or secret.encode() in path.read_bytes()]


def refuse_once_watched(server, memory):
    """Have the server refuse connections as soon as something of the stream is stored, or after a minute."""
    give_up_at = time.monotonic() + 60
    is_watched = False
    while not is_watched and time.monotonic() < give_up_at:
        time.sleep(0.2)
        with suppress(RecollectError), Recollect(memory) as reader:
            is_watched = any(status.coverage.watched_s > 0 for status in reader.status())
    server.refuse()


@pytest.mark.slow
@pytest.mark.parametrize("server_kind", [HttpStreamServer, RtspServer])
def test_a_watched_stream_leaves_no_secret_anywhere(server_kind, tmp_path, shown, monkeypatch):
    memory = tmp_path / "memory.lance"
    with server_kind(fps=25) as server:
        scheme, _, rest = server.url.partition("://")
        place = rest.partition("/")[0]
        url = f"{scheme}://anna:{SECRET}@{place}/user=anna&password={SECRET}/live;key={SECRET}?token={SECRET}&k={SECRET}"
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(url.encode())))
        leaving = threading.Thread(target=refuse_once_watched, args=(server, memory))
        leaving.start()

        output = shown("watch", "--url-file", "-", "--no-ocr", "--max-outage", "5", "--memory", str(memory))

        leaving.join()
    status = shown("status", "--json", "--memory", str(memory), code=0)
    output = " ".join(output.split())
    assert "frames come from" in output
    assert "could not be reached" in output
    assert f"{scheme}://{place}/user=***&password=***/live;key=***?token=***&k=***" in output
    assert SECRET not in status
    assert not files_with(SECRET, memory)
    [stream] = json.loads(status)["streams"]
    assert stream["stream"] == "127.0.0.1-live"


@pytest.mark.parametrize(
    "url",
    [
        f"rtsp://anna:{SECRET}@127.0.0.1:1/",
        f"rtsp://127.0.0.1:1/ch1?token={SECRET}",
        f"rtsp://127.0.0.1:1/user=admin&password={SECRET}&channel=1",
        AWAY.format(SECRET),
    ],
)
def test_an_unreachable_source_is_named_without_secrets(url, tmp_path, shown):
    memory = tmp_path / "memory.lance"

    output = shown("watch", url, "--max-outage", "0.1", "--memory", str(memory))

    assert "127.0.0.1:1" in output
    assert not files_with(SECRET, memory)


@pytest.mark.parametrize(
    "argv",
    [
        ("watch", f"ftp://anna:{SECRET}@host/x?token={SECRET}"),
        ("watch", f"anna:{SECRET}@host/ch1"),
        ("watch", f"rtsp:/anna:{SECRET}@host/password={SECRET}"),
        ("watch", f"anna:{SECRET}@host/?next=http://h/?{SECRET}"),
        ("watch", "a.mp4", "--fps", f"rtsp://anna:{SECRET}@host/"),
        ("watch", "a.mp4", f"--address=rtsp://anna:{SECRET}@host/"),
        ("status", f"rtsp://an na:x {SECRET}@host/"),
        ("doctor", "--lmm", f"http://host/v1?key={SECRET}"),
    ],
)
def test_an_error_message_repeats_no_secret(argv, tmp_path, shown):
    output = shown(*argv, *(["--memory", str(tmp_path / "m.lance")] if argv[0] != "doctor" else []))

    assert output.startswith("recollect: ")


def test_the_reader_process_shows_no_url(monkeypatch):
    url = AWAY.format(SECRET)
    monkeypatch.setenv("DOOR_URL", f" {url}\n")
    child = ReaderProcess(task := ReaderTask(url, 4.0, 5.0, 5.0))

    process = Path("/proc", str(child._process.pid))
    give_up_at = time.monotonic() + 10
    while not (arguments := (process / "cmdline").read_bytes()) and time.monotonic() < give_up_at:
        time.sleep(0.01)  # until the interpreter has replaced the forked process
    environment = (process / "environ").read_bytes()
    child.kill()

    assert b"json" in arguments
    assert b"PATH=" in environment
    assert SECRET.encode() not in arguments + environment
    assert SECRET not in repr(task)


def test_a_source_shows_no_url_before_it_is_watched():
    found = find_source(AWAY.format(SECRET), WatchOptions())

    with closing(found.opened):
        assert SECRET not in repr(found)


def test_a_changed_password_is_the_same_camera():
    sources = [LiveSource(AWAY.format(secret), 4) for secret in ("old", "new")]

    with closing(sources[0]), closing(sources[1]):
        assert sources[0].info == sources[1].info


def test_stream_names_distinguish_cameras_of_one_address(tmp_path):
    url = AWAY.format(SECRET)
    with Recollect(tmp_path / "memory.lance") as memory:
        for name in ("door", "yard", "door"):
            with pytest.raises(Exception, match=r"127\.0\.0\.1"):
                memory.watch(url, stream=name, options=WatchOptions(max_outage_s=0.1))
        with pytest.raises(StreamNameNeeded, match="door") as error:
            memory.watch(url)

        assert [status.stream.name for status in memory.status()] == ["door", "yard"]
        assert SECRET not in str(error.value)


def test_a_variable_can_hold_the_source(tmp_path, shown, monkeypatch):
    monkeypatch.setenv("DOOR_URL", AWAY.format(SECRET))

    output = shown("watch", "env:DOOR_URL", "--max-outage", "0.1", "--memory", str(tmp_path / "m.lance"))

    assert "connecting to http://127.0.0.1:1/user=***&password=***?token=***" in " ".join(output.split())


def test_a_video_of_a_variable_can_be_watched_from_python(short_video, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIP", str(short_video))

    with Recollect(tmp_path / "memory.lance") as memory:
        report = memory.watch("env:CLIP", options=WatchOptions(ocr=False))

    assert report.state == "done"


def test_a_list_holds_names_comments_and_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("YARD_URL", "rtsp://b:c@yard/1")
    path = tmp_path / "cameras.txt"
    path.write_text(
        "# cameras\n\n door = rtsp://a:b@door/user=x&password=y\nyard env:YARD_URL\n"
        "http://hall/1?name = rtsp://x\nmy clip 1.mp4\nenv:YARD_URL\n"
    )

    sources = read_source_list(str(path))

    assert sources == [
        NamedSource("door", "rtsp://a:b@door/user=x&password=y"),
        NamedSource("yard", "rtsp://b:c@yard/1"),
        NamedSource(None, "http://hall/1?name = rtsp://x"),
        NamedSource(None, "my clip 1.mp4"),
        NamedSource(None, "rtsp://b:c@yard/1"),
    ]
    assert "b:c" not in repr(sources)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"", "lists no source"),
        (b"# nothing\n\n", "lists no source"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"env:NOT_SET_ANYWHERE\n", "NOT_SET_ANYWHERE"),
    ],
)
def test_a_bad_list_of_sources_says_what_is_wrong(content, why, tmp_path, shown):
    path = tmp_path / "cameras.txt"
    if content is not None:
        path.write_bytes(content)

    output = shown("watch", "--url-file", str(path), "--memory", str(tmp_path / "m.lance"))

    assert output.startswith("recollect: ")
    assert output.count("\n") == 1
    assert why in output
    assert not (tmp_path / "m.lance").exists()


def test_watch_without_any_source_says_what_to_give(shown):
    assert "--url-file" in shown("watch")


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_an_unset_variable_is_named(value, monkeypatch):
    if value is not None:
        monkeypatch.setenv("DOOR_URL", value)

    with pytest.raises(SourceVariableUnset, match="DOOR_URL"):
        resolve_source("env:DOOR_URL")


def test_a_folder_is_not_a_list_of_sources(tmp_path):
    with pytest.raises(BadSourceList, match="directory"):
        read_source_list(str(tmp_path))


def test_sources_of_both_kinds_are_watched_in_order(short_video, tmp_path, shown):
    path = tmp_path / "more.txt"
    path.write_text("missing.mp4\n")

    output = shown(
        "watch", str(short_video), "--url-file", str(path), "--no-ocr", "--memory", str(tmp_path / "m.lance")
    )

    watched, missing = itertools.islice(output.splitlines(), 2)
    assert "watched to" in watched
    assert "there is no file" in missing
