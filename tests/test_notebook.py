"""Watching shows a progress bar in a notebook, and nothing elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recollect.notebook import notebook_progress

NOTEBOOK = """
import sys, types

class Handle:
    def update(self, bundle, raw): pages.append(bundle)

class ZMQInteractiveShell: pass

def display(bundle, display_id, raw):
    pages.append(bundle)
    return Handle()

pages = []
ipython, ipython_display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
ipython.get_ipython = ZMQInteractiveShell
ipython_display.display = display
sys.modules |= {"IPython": ipython, "IPython.display": ipython_display}

from recollect import Recollect, WatchOptions
Recollect(sys.argv[1]).watch(sys.argv[2], stream="a<b>", options=WatchOptions(ocr=False))
print(pages[0]["text/plain"])
print(pages[-1]["text/html"])
"""
"""A kernel that records what is displayed."""


def test_no_bar_is_made_outside_a_notebook() -> None:
    assert notebook_progress() is None


@pytest.mark.slow
def test_watching_in_a_notebook_ends_with_a_full_escaped_bar(short_video: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", NOTEBOOK, str(tmp_path / "memory.lance"), str(short_video)]

    first, last = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    assert first == "starting …"
    assert last == '<progress value="1.000"></progress> <span>a&lt;b&gt;: done</span>'
