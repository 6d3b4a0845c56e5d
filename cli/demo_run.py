"""The demonstration: renders a video (or takes yours), watches it, and asks about it.

Everything it makes lies in one folder, ``./demo`` by default: the video, the memory, and
``evidence.png``, a contact sheet of what the answers rest on.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..client import Recollect
from ..common.terminal import print_json, print_line
from ..contact_sheet import write_contact_sheet
from ..serialization import to_plain
from ..worlds.demo_video import render_demo, render_demo_subtitles
from .printing import print_answer
from .progress import watch_with_progress

if TYPE_CHECKING:
    from ..agent.answer import Answer

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
"""Questions about the rendered video: text, order, counts, movement, light, speech, and one without an answer."""
OWN_QUESTIONS = ("What happens?", "How many cuts are there?", "What text is to be read?")
"""Questions about the user's video if none is given."""


def run_demo(
    folder: Path, *, video: str | None = None, question: str | None = None, as_json: bool = False
) -> int:
    """Render or take a video, watch it, ask about it, and draw the evidence. Return the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "demo.mp4"
    progress = sys.stderr if as_json else sys.stdout
    if video is None and not path.exists():
        print_line(f"Rendering {path} …", file=progress, flush=True)
        render_demo_subtitles(path.with_suffix(".srt"))
        render_demo(path)
    source = video or str(path)
    prepared = (question,) if question else QUESTIONS if video is None else OWN_QUESTIONS
    answers: list[tuple[str, Answer]] = []
    with Recollect(folder / "recollect.lance") as memory:
        print_line(f"Watching {source} …", file=progress, flush=True)
        report = watch_with_progress(memory, source)
        again = " (it was watched before)" if report.already_done else ""
        print_line(f"Stored as {report.stream!r}: {report.until_s:.0f} s of video{again}.", file=progress)
        print_line(file=progress)
        for text in prepared:
            answer = memory.ask(text, stream=report.stream)
            answers.append((text, answer))
            if not as_json:
                print_line(f"? {text}")
                print_answer(answer)
                print_line()
        sheet = folder / "evidence.png"
        write_contact_sheet(sheet, answers, memory.frames)
    if as_json:
        plain = [{"question": text, "answer": to_plain(answer)} for text, answer in answers]
        print_json({"answers": plain, "evidence": str(sheet)})
        return 0
    print_line(f"Pictures of the evidence: {sheet}")
    command = "recollect" if shutil.which("recollect") else sys.argv[0]
    print_line(f'Ask more: {command} ask "…" --memory {folder / "recollect.lance"}')
    return 0
