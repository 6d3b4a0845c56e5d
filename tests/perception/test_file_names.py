"""File names that are not UTF-8 are watched, stored, shown and found again."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect import Recollect, WatchOptions
from recollect.cli.main import main
from recollect.common.file_names import is_storable, path_from, storable_name, storable_path
from recollect.errors import BadArgument, NotAVideo, SourceNotFound
from recollect.perception.describing.inspection import moment_pictures

QUICK = WatchOptions(ocr=False)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")


@pytest.fixture
def latin(tmp_path: Path, short_video: Path) -> Path:
    """A video whose name and folder are Latin-1."""
    folder = tmp_path / os.fsdecode(b"f\xeate")
    folder.mkdir()
    return Path(shutil.copy(short_video, folder / os.fsdecode(b"caf\xe9.mp4")))


@given(st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name and b"/" not in name))
def test_every_name_has_a_stored_form_that_opens_it(name):
    path = Path("/films") / os.fsdecode(name)

    stored = storable_path(path)

    assert is_storable(stored)
    assert path_from(stored) == path
    assert is_storable(storable_name(path.name))


def test_a_file_of_such_a_name_is_watched_and_looked_at(tmp_path, latin):
    with Recollect(tmp_path / "memory.lance") as memory:
        report = memory.watch(latin, options=QUICK)
        assert memory.watch(str(latin), options=QUICK).already_done
        (status,) = memory.status()
        moment = memory.timeline("caf%E9")[0]
        answer = memory.ask("What moves?")

    assert (report.stream, report.state) == ("caf%E9", "done")
    assert status.stream.source.endswith("/f%EAte/caf%E9.mp4")
    assert len(moment_pictures(status.stream, moment, [], limit=2)) == 2
    assert answer.text


def test_the_commands_show_such_a_name(tmp_path, latin, capsys):
    arguments = ["--memory", str(tmp_path / "memory.lance")]

    assert main(["watch", str(latin), "--no-ocr", *arguments]) == 0
    assert main(["status", *arguments]) == 0
    assert "caf%E9" in capsys.readouterr().out
    assert main(["status", "--json", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["streams"][0]["stream"] == "caf%E9"
    assert main(["timeline", "--stream", "caf%E9", *arguments]) == 0


def test_a_missing_file_of_such_a_name_is_told(tmp_path, latin, capsys):
    missing = str(latin) + "x"
    with Recollect(tmp_path / "memory.lance") as memory:
        with pytest.raises(SourceNotFound):
            memory.watch(missing)
        latin.write_bytes(b"text")
        with pytest.raises(NotAVideo):
            memory.watch(latin)

    assert main(["watch", missing, "--memory", str(tmp_path / "memory.lance")]) == 2
    assert "caf" in capsys.readouterr().err


def test_a_memory_of_such_a_name_is_refused(tmp_path, latin, capsys):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/m\xe9moire.lance")

    with pytest.raises(BadArgument, match="UTF-8"):
        Recollect(folder)
    assert main(["watch", str(latin), "--memory", folder]) == 2
    assert main(["status", "--memory", folder]) == 2
    assert "--memory" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["door?cam=1", "two\nlines", "tab\there", "\x7f"])
def test_a_memory_whose_path_the_database_cannot_open_is_refused(tmp_path, name):
    with pytest.raises(BadArgument, match="path"):
        Recollect(tmp_path / name / "memory")

    assert not list(tmp_path.iterdir())


def test_text_that_no_file_name_holds_is_refused(tmp_path):
    with Recollect(tmp_path / "memory.lance") as memory, pytest.raises(BadArgument, match="source"):
        memory.watch("caf\ud800.mp4")


def test_a_name_for_the_stream_that_is_not_utf8_is_refused(tmp_path, latin, capsys):
    arguments = ["--stream", os.fsdecode(b"caf\xe9"), "--memory", str(tmp_path / "memory.lance")]

    assert main(["watch", str(latin), *arguments]) == 2
    assert "--stream" in capsys.readouterr().err
