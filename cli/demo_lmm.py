"""The demo with a video LMM: vLLM serves ``recollect-tiny``, and the whole agent runs on it.

It draws a house that the model was not trained on, watches it, has it described, and asks about it. Each answer is
printed with the true answer, its evidence and its cost. All files are in one folder, ``./demo-lmm`` by default. The
model knows drawn houses only.
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
    """Serve the model, draw a house, watch it and ask about it. Return the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    house, log, started_s = furnish(_SEED, _LASTS_S), folder / "vllm.log", time.monotonic()
    print_line(f"Starting vLLM with recollect-tiny; its output goes to {log} …", flush=True)
    server = start_tiny(log)
    try:
        video = folder / "house.mp4"
        if not video.exists():
            print_line(f"Rendering {video}, {house.duration_s:.0f} s …", flush=True)
            render(house.timeline, video, seed=house.seed)
        with client_of(server) as lmm:
            print_line(
                f"vLLM is ready, {time.monotonic() - started_s:.0f} s after it was started.", flush=True
            )
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
    """Watch a house and ask about it. Print the answers beside the true ones, and return the number of each verdict."""
    with Recollect(folder / "recollect.lance", lmm=lmm) as memory:
        print_line(f"Watching {video} …", flush=True)
        report = watch_with_progress(memory, str(video))
        spent = lmm.usage["caption"]
        print_block(f"Remembered as {report.stream!r}: {report.until_s:.0f} s of video. The descriptions took"
              f" {spent.calls} calls of the model and {spent.tokens:,} tokens.\n")  # fmt: skip
        marks, answered = Counter[Verdict](), []
        for question in ask_about(house, limit=questions):
            print_line(f"? {question.text}{_options(question)}")
            answer = memory.ask(question.text, options=question.options, stream=report.stream)
            print_answer(answer)
            verdict = mark(question, answer).verdict
            print_block(f"  → {verdict}; true is: {_truth(question)}\n")
            marks[verdict] += 1
            answered.append((question.text, answer))
        sheet = folder / "evidence.png"
        write_contact_sheet(sheet, answered, memory.frames)
    print_line(f"Pictures of the evidence: {sheet}")
    return marks


def _options(question: HouseQuestion) -> str:
    return "".join(f"  ({chr(ord('A') + number)}) {option}" for number, option in enumerate(question.options))


def _truth(question: HouseQuestion) -> str:
    times = ", ".join(format_interval(span.start_s, span.end_s) for span in question.evidence)
    return f"{question.gold}, {times}" if question.gold else times
