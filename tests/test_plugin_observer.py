"""Plug-in observers: an installed package adds an observer and a finding kind to an unchanged Recollect."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

PACKAGE = Path(__file__).with_name("plugin_package")
RINGS_S = (8, 21, 33)
"""The picture is yellow for a second from each of these times on."""
WATCH = """
import json, sys
from recollect import Recollect, WatchOptions
with Recollect("porch.lance") as memory:
    report = memory.watch("porch.mp4", options=WatchOptions(ocr=False))
    print(json.dumps([report.state, report.moments, *report.disabled_observers]))
"""
ASK = """
import json, sys
from recollect import Recollect
with Recollect("porch.lance") as memory:
    answer = memory.ask(sys.argv[1])
    print(json.dumps([answer.text, [[e.span.start_s, e.span.end_s] for e in answer.evidence]]))
"""


@pytest.fixture(scope="module")
def porch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video of 40 s and an installed package that offers the bell observer."""
    folder = tmp_path_factory.mktemp("porch")
    write_video(folder / "porch.mp4")
    install(folder, bell="bell_observer:BellObserver")
    process = run(folder, "-c", WATCH)
    assert json.loads(process.stdout)[0] == "done", process.stderr
    return folder


def write_video(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.bit_rate = 400_000
        grey = np.random.default_rng(7).integers(60, 90, (120, 160, 1)).repeat(3, axis=2).astype(np.uint8)
        yellow = np.broadcast_to(np.array([250, 240, 20], np.uint8), grey.shape)
        for number in range(8 * 40):
            picture = yellow if number // 8 in RINGS_S else grey
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def install(folder: Path, **entry_points: str) -> None:
    """Put the package and its metadata on the path, as an installer does."""
    site = folder / "site"
    shutil.copytree(PACKAGE, site, ignore=shutil.ignore_patterns("__pycache__"))
    info = site / "bell_observer-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bell-observer\nVersion: 1.0\n")
    lines = ["[recollect.observers]", *(f"{name} = {target}" for name, target in entry_points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(folder / "site")}
    process = subprocess.run(
        [sys.executable, *arguments],
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr
    return process


def command(folder: Path, *arguments: str) -> str:
    return run(folder, "-m", "recollect.cli.main", "--memory", "porch.lance", *arguments).stdout


@pytest.mark.slow
def test_the_new_kind_is_stored_and_captioned(porch: Path) -> None:
    moments = json.loads(command(porch, "timeline", "--json"))["moments"]

    captions = [moment["caption"] for moment in moments]
    assert sum("the bell rings" in caption.casefold() for caption in captions) == len(RINGS_S)


@pytest.mark.slow
def test_the_new_kind_is_summarised_with_its_nouns(porch: Path) -> None:
    events = json.loads(command(porch, "timeline", "--rung", "event", "--json"))["moments"]

    captions = [event["caption"] for event in events]
    assert any("rings of the bell" in caption or "1 ring of the bell" in caption for caption in captions)


@pytest.mark.slow
def test_the_new_kind_is_counted(porch: Path) -> None:
    answer, _ = json.loads(run(porch, "-c", ASK, "How often does the bell ring?").stdout)

    assert "3 rings of the bell" in answer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("question", "start_s"),
    [
        ("When does the bell ring?", RINGS_S[0]),
        ("When did the doorbell ring for the second time?", RINGS_S[1]),
        ("When did the bell last ring?", RINGS_S[2]),
    ],
)
def test_the_new_kind_answers_when(porch: Path, question: str, start_s: float) -> None:
    answer, spans = json.loads(run(porch, "-c", ASK, question).stdout)

    assert "the bell rings" in answer
    assert spans[0][0] == pytest.approx(start_s, abs=0.6)


@pytest.mark.slow
def test_the_new_kind_is_found_and_shown_by_the_command(porch: Path) -> None:
    hits = json.loads(command(porch, "search", "the bell rings", "--json"))["hits"]
    answer = command(porch, "ask", "When does the bell ring?")

    assert "bell rings" in json.dumps(hits[0])
    assert "the bell rings" in answer


@pytest.mark.slow
def test_broken_observers_do_not_stop_watching(tmp_path: Path) -> None:
    write_video(tmp_path / "porch.mp4")
    install(
        tmp_path,
        bell="bell_observer:BellObserver",
        failing="bell_observer.faulty:FailingObserver",
        missing="bell_observer.unimportable:Observer",
        undeclared="bell_observer.faulty:UndeclaredObserver",
        useless="bell_observer:BELL_RINGS",
    )

    process = run(tmp_path, "-c", WATCH)

    state, moments, *disabled = json.loads(process.stdout)
    assert (state, moments > 0) == ("done", True)
    assert sorted(reason.partition(" ")[0] for reason in disabled) == [
        "failing",
        "missing",
        "undeclared",
        "useless",
    ]
    reasons = " ".join(disabled)
    assert "RuntimeError: the bell is broken" in reasons
    assert "no bell is installed" in reasons
    assert "'horn_sounds'" in reasons
    assert "observer failing is disabled" in process.stderr
    answer, _ = json.loads(run(tmp_path, "-c", ASK, "How often does the bell ring?").stdout)
    assert "3 rings of the bell" in answer


@pytest.mark.slow
def test_an_observer_passed_as_argument_watches_a_custom_source(porch: Path) -> None:
    code = """
import json, sys
sys.path.insert(0, "site")
from bell_observer import BELL_RINGS, BellObserver
from recollect import Recollect, WatchOptions
from recollect.perception.sources.file_source import FileSource

class LateSource:
    # A custom source: a file without its first ten seconds.
    def __init__(self, path):
        self._file = FileSource(path, fps=4)
        self.info = self._file.info
        self.stop, self.close = self._file.stop, self._file.close

    def frames(self, from_s=0.0):
        return self._file.frames(max(10.0, from_s))

with Recollect("late.lance") as memory:
    options = WatchOptions(ocr=False, observers=(BellObserver,))
    report = memory.watch(LateSource("porch.mp4"), stream="late", options=options)
    print(json.dumps([list(report.disabled_observers), memory.ask("How often did the bell ring?").text]))
"""
    without_entry_point = os.environ | {"PYTHONPATH": ""}

    process = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=porch,
        env=without_entry_point,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert process.returncode == 0, process.stderr
    disabled, answer = json.loads(process.stdout)
    assert disabled == []
    assert "2 rings of the bell" in answer
