"""A normal installation gives type checkers full types: a user's file sees no ``Any`` of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USER_FILE = """
import asyncio
from datetime import UTC, datetime

from recollect import (
    Answer, CaptionReport, Connected, DiskUsage, ErasureReceipt, Evidence, Hit, KeyFrame, Limits, Moment, Pin,
    Progress, Recollect, ReindexReport, StreamStatus, TraceStep, Watch, WatchEvent, WatchOptions, WatchReport,
    to_plain,
)
from recollect.errors import BadArgument, RecollectError


def show(event: WatchEvent) -> None:
    if isinstance(event, Connected):
        print(event.stream)
    elif isinstance(event, Progress):
        print(event.time_s, event.duration_s)


def use(memory: Recollect) -> None:
    report: WatchReport = memory.watch("a.mp4", stream="a", options=WatchOptions(fps=2), on_event=show)
    watch: Watch = memory.start("rtsp://camera/1")
    print(watch.status().state, watch.wait(timeout_s=1.0).moments, report.until_s)
    described: CaptionReport = memory.caption(everything=True)
    answer: Answer = memory.ask("What?", options=["a", "b"], as_of=datetime.now(UTC))
    evidence: list[Evidence] = answer.evidence
    print(evidence[0].span.start_s, answer.usage.tokens, answer.coverage[0].gaps, described.waiting)
    for step, changes in memory.steps("What?"):
        print(step, sorted(changes))
    trace: list[TraceStep] = memory.trace(answer.trace_id)
    print(trace[0]["next"])
    hits: list[Hit] = memory.search("door", limit=3)
    moments: list[Moment] = memory.timeline(rung="event")
    frames: list[KeyFrame] = memory.frames(moments[0].frame_ids)
    statuses: list[StreamStatus] = memory.status()
    usage: DiskUsage = memory.usage()
    pins: list[Pin] = memory.pins()
    receipt: ErasureReceipt = memory.forget("a", 1.0, 2.0)
    reindexed: ReindexReport = memory.reindex()
    print(hits[0].score, frames[0].jpeg, statuses[0].gaps[0].cause, usage.used_bytes, pins, receipt.erased)
    print(to_plain(reindexed), reindexed.texts)


async def use_async() -> Answer:
    async with Recollect("m.lance", disk_budget="20 GB", limits=Limits(seconds=5)) as memory:
        try:
            return await memory.aask("What?", stream="a")
        except (BadArgument, RecollectError) as error:
            print(error)
            raise


print(asyncio.run(use_async()).text)
"""
WRONG = "await_me = memory.aask('What?', streem='a')"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a normal installation lays it out."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", site, ROOT], check=True, cwd=site)
    return site


def checked(code: str, installed: Path, folder: Path) -> str:
    """What mypy prints of a user's file, with everything that is ``Any`` reported."""
    file = folder / "user.py"
    file.write_text(code)
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--disallow-any-expr", "--disallow-any-unimported",
            "--config-file", os.devnull, file,
        ],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "MYPYPATH": str(installed)},
    )  # fmt: skip
    return "\n".join(line for line in done.stdout.splitlines() if line.startswith("user.py"))


@pytest.mark.slow
def test_a_users_file_sees_no_any_of_ours(installed: Path, tmp_path: Path) -> None:
    assert checked(USER_FILE, installed, tmp_path) == ""


@pytest.mark.slow
def test_a_misspelt_argument_of_an_async_form_is_found(installed: Path, tmp_path: Path) -> None:
    code = f"from recollect import Recollect\nmemory = Recollect()\n{WRONG}\n"

    assert 'Unexpected keyword argument "streem"' in checked(code, installed, tmp_path)
