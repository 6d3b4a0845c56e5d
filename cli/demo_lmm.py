"""The demonstration with a video LMM: a real vLLM serves ``recollect-tiny``, and the whole agent runs on it.

A house is drawn that the model has never seen, watched, described, and asked about; each answer stands
beside what is true, with its evidence and what it cost. All it makes lies in one folder, ``./demo-lmm`` by
default. The model knows drawn houses and nothing else.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ..client import Recollect
from ..common.clock_times import format_interval
from ..common.terminal import print_block, print_line
from ..contact_sheet import write_contact_sheet
from ..serve_lmm.tiny import client_of, start_tiny
from ..worlds.demo_video import render
from ..worlds.house import House, HouseQuestion, Verdict, ask_about, furnish, mark
from .printing import print_answer
from .progress import watch_with_progress

if TYPE_CHECKING:
    from ..perception.lmm import Lmm

_SEED = "demo"
_LASTS_S = 240.0
_QUESTIONS = 12


def run_lmm_demo(folder: Path) -> int:
    """Serve the model, draw a house, watch it and ask about it; returns the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    house, log, begun_s = furnish(_SEED, _LASTS_S), folder / "vllm.log", time.monotonic()
    print_line(f"Starting vLLM with recollect-tiny; what it prints goes to {log} …", flush=True)
    server = start_tiny(log)
    try:
        video = folder / "house.mp4"
        if not video.exists():
            print_line(f"Rendering {video}, {house.duration_s:.0f} s …", flush=True)
            render(house.timeline, video, seed=house.seed)
        with client_of(server) as lmm:
            print_line(f"vLLM is ready, {time.monotonic() - begun_s:.0f} s after it was started.", flush=True)
            marks = show(folder, video, house, lmm)
            spent = lmm.usage["question"]
    finally:
        server.stop()
    print_line(f"{marks['right']} right, {marks['wrong']} wrong, {marks['abstained']} abstained.")
    print_line(f"The questions took {spent.calls} calls of the model and {spent.tokens:,} tokens.")
    print_line("vLLM is stopped.")
    return 0


def show(
    folder: Path, video: Path, house: House, lmm: Lmm, *, questions: int = _QUESTIONS
) -> Counter[Verdict]:
    """Watch a house and ask about it, printing answers and what is true; returns how many were right, and not."""
    with Recollect(folder / "recollect.lance", lmm=lmm) as memory:
        print_line(f"Watching {video} …", flush=True)
        report = watch_with_progress(memory, str(video))
        spent = lmm.usage["caption"]
        print_block(f"Remembered as {report.stream!r}: {report.until_s:.0f} s of video. To describe it took"
              f" {spent.calls} calls of the model and {spent.tokens:,} tokens.\n")  # fmt: skip
        marks, answered = Counter[Verdict](), []
        for asked in ask_about(house, limit=questions):
            print_line(f"? {asked.text}{_options(asked)}")
            answer = memory.ask(asked.text, options=asked.options, stream=report.stream)
            print_answer(answer)
            verdict = mark(asked, answer).verdict
            print_block(f"  → {verdict}; true is: {_truth(asked)}\n")
            marks[verdict] += 1
            answered.append((asked.text, answer))
        sheet = folder / "evidence.png"
        write_contact_sheet(sheet, answered, memory.frames)
    print_line(f"The evidence as pictures: {sheet}")
    return marks


def _options(asked: HouseQuestion) -> str:
    return "".join(f"  ({chr(ord('A') + number)}) {option}" for number, option in enumerate(asked.options))


def _truth(asked: HouseQuestion) -> str:
    when = ", ".join(format_interval(span.start_s, span.end_s) for span in asked.evidence)
    return f"{asked.gold}, {when}" if asked.gold else when
