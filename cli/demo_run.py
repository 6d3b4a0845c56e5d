"""The demonstration: a video is rendered (or yours taken), watched, and asked about.

Everything it makes lies in one folder, ``./demo`` by default: the video, the memory, and
``evidence.png``, a contact sheet of what the answers rest on.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from ..client import Recollect
from ..common.terminal import print_line
from ..contact_sheet import write_contact_sheet
from ..worlds.demo_video import render_demo, render_demo_subtitles
from .printing import print_answer
from .progress import watch_with_progress

QUESTIONS: tuple[str, ...] = (
    "When does the sign say CLOSED?",
    "Which command is typed in the terminal?",
    "How many visits are there?",
    "When is the yellow box taken away?",
    "When is the second cut?",
    "What does the QR code say?",
    "When is it darkest?",
    "What does the narrator say about the parcel?",
    "When does a dog appear?",
)
"""Asked of the rendered video: text, order, counts, movement, light, speech, and one without an answer."""
OWN_QUESTIONS = ("What happens?", "How many cuts are there?", "What text is to be read?")
"""Asked of the user's own video where no question is given."""


def run_demo(folder: Path, *, video: str | None = None, question: str | None = None) -> int:
    """Render or take a video, watch it, ask about it, and draw the evidence; returns the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "demo.mp4"
    if video is None and not path.exists():
        print_line(f"Rendering {path} …", flush=True)
        render_demo_subtitles(path.with_suffix(".srt"))
        render_demo(path)
    source = video or str(path)
    prepared = (question,) if question else QUESTIONS if video is None else OWN_QUESTIONS
    with Recollect(folder / "recollect.lance") as memory:
        print_line(f"Watching {source} …", flush=True)
        report = watch_with_progress(memory, source)
        again = " (it was already remembered)" if report.already_done else ""
        print_line(f"Remembered as {report.stream!r}: {report.until_s:.0f} s of video{again}.")
        print_line()
        asked = []
        for text in prepared:
            print_line(f"? {text}")
            answer = memory.ask(text, stream=report.stream)
            print_answer(answer)
            print_line()
            asked.append((text, answer))
        sheet = folder / "evidence.png"
        write_contact_sheet(sheet, asked, memory.frames)
    print_line(f"The evidence as pictures: {sheet}")
    command = "recollect" if shutil.which("recollect") else sys.argv[0]
    print_line(f'Ask more: {command} ask "…" --memory {folder / "recollect.lance"}')
    return 0
