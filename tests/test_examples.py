"""The scripts and notebooks in ``examples/`` run unchanged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def video(short_video: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(short_video, tmp_path / "short.mp4"))


@pytest.mark.slow
def test_the_script_watches_asks_and_prints(video: Path) -> None:
    command = [sys.executable, EXAMPLES / "watch_and_ask.py", video, "What happens first?"]

    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=video.parent).stdout

    assert printed.startswith("watched 2.0 s: ")
    assert "confidence" in printed


@pytest.mark.slow
def test_the_script_reports_an_error_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, EXAMPLES / "watch_and_ask.py", tmp_path / "missing.mp4", "What happens?"]

    process = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert (process.returncode, process.stderr) == (2, "")
    assert "missing.mp4" in process.stdout


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(
    video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIDEO", str(video))
    notebook = json.loads((EXAMPLES / "watch_search_ask.ipynb").read_text("utf-8"))
    namespace: dict[str, object] = {}

    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), namespace)

    assert "2.0 s watched" in capsys.readouterr().out
