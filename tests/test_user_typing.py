"""Type checking of a user's file against a normal installation reports no ``Any`` from Recollect."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
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
def user_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python whose environment has the package as a normal installation lays it out."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    # The dependencies are those of the tests. A link file inside that folder, such as an editable install's, is not followed.
    (site / "dependencies.pth").write_text("\n".join(path for path in sys.path if "site-packages" in path))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "--target", site, ROOT], check=True, cwd=environment)
    return python


def checked(code: str, user_python: Path, folder: Path) -> str:
    """The output of mypy for a user's file, with every ``Any`` reported."""
    file = folder / "user.py"
    file.write_text(code)
    process = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--disallow-any-expr", "--disallow-any-unimported",
            "--python-executable", user_python, "--config-file", os.devnull, file.name,
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "user.py" in process.stdout or "no issues found in 1 source file" in process.stdout, (
        process.stdout + process.stderr
    )
    return "\n".join(line for line in process.stdout.splitlines() if line.startswith("user.py"))


@pytest.mark.slow
def test_a_users_file_has_no_any_from_recollect(user_python: Path, tmp_path: Path) -> None:
    assert checked(USER_FILE, user_python, tmp_path) == ""


@pytest.mark.slow
def test_a_misspelt_argument_of_an_async_form_is_reported(user_python: Path, tmp_path: Path) -> None:
    code = f"from recollect import Recollect\nmemory = Recollect()\n{WRONG}\n"

    assert 'Unexpected keyword argument "streem"' in checked(code, user_python, tmp_path)
