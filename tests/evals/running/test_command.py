"""``recollect eval`` on a world of less than a minute, and its messages about wrong arguments."""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from recollect.cli.main import main

QUICK = ["--minutes", "0.7", "--videos", "1", "--questions", "8", "--no-ocr"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)

    def run(*argv: str) -> tuple[int, str, str]:
        try:
            code = main(["eval", *argv])
        except SystemExit as ended:
            code = int(str(ended.code))
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


@pytest.mark.slow
def test_eval_world_runs_and_writes_its_report(run, tmp_path: Path) -> None:
    code, out, _ = run("world", *QUICK)
    report = (tmp_path / "eval-world" / "report.md").read_text()
    with (tmp_path / "eval-world" / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert code == 0
    assert out == report + "\n"
    for system in ("recollect", "one-shot retrieval", "all captions", "oracle evidence", "random"):
        assert f"| {system} | " in out
    assert len(rows) == 7 * len({row["sample"] for row in rows})
    assert "error" not in {row["status"] for row in rows}


def test_existing_run_needs_resume_and_report_asks_nothing(run) -> None:
    first = run("world", *QUICK, "--limit", "1", "--system", "random")
    refused = run("world", *QUICK, "--limit", "1", "--system", "random")
    again = run("world", *QUICK, "--limit", "1", "--system", "random", "--resume")
    printed = run("world", "--report")

    assert refused[0] == 2
    assert "--resume continues it" in refused[2]
    assert first[1] == again[1] == printed[1]


def test_eval_compare_writes_table_and_csv(run, tmp_path: Path) -> None:
    few = ["--limit", "4", "--system", "random"]
    run("world", *QUICK, *few, "--out", "unbounded")
    run("world", *QUICK, *few, "--out", "bounded", "--disk-budget", "64 MB")
    code, out, err = run("compare", "unbounded", "bounded")
    with (tmp_path / "eval-compare" / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert code == 0
    assert out == (tmp_path / "eval-compare" / "report.md").read_text() + "\n"
    assert "at most 64 MB" in out
    assert len({row["memory"] for row in rows}) == 2
    assert "by-lag.png" in err or "pip install 'recollect[plots]'" in err


@pytest.mark.slow
def test_flags_add_ablations_and_call_limits(run) -> None:
    code, out, _ = run("world", *QUICK, "--limit", "1", "--without-parts", "--calls", "1", "--no-twins")

    assert code == 0
    for system in ("recollect", "recollect without ladder", "recollect without times", "recollect, 1 call"):
        assert f"| {system} | " in out


def test_eval_list_names_the_benchmarks(run) -> None:
    code, out, _ = run("list")

    assert code == 0
    assert out.startswith("world ")
    assert "\novo " in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nothing"], "there is no such benchmark; there are world, ovo"),
        (["ovo"], "Name their folder with --data"),
        (["ovo", "--data", "none"], "there is no such folder"),
        (["world", "--system", "magic"], "unknown system 'magic'. The systems are: recollect"),
        (["world", "--minutes", "0"], "not a number of minutes"),
        (["world", "--shard", "4/3"], "is not a part such as 1/4"),
        (["world", "--report"], "eval-world holds no evaluation run"),
        (["world", "--disk-budget", "much"], "'much' is no budget for a memory"),
        (["world", "--disk-budget", "1 MB"], "do not hold its indexes"),
        (["world", "eval-10"], "unexpected argument 'eval-10'"),
        (["compare"], "'compare' needs folders of runs"),
        (["compare", "none"], "none holds no evaluation run"),
    ],
)
def test_wrong_arguments_give_a_one_line_error(run, argv: list[str], message: str) -> None:
    code, _, err = run(*argv)

    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_killed_and_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, seed: int) -> None:
    """The process is killed with ``kill -9`` several times at random points."""
    rng = random.Random(seed)
    command = [sys.executable, "-m", "recollect.cli.main", "eval", "world", *QUICK]

    def predictions(name: str) -> Path:
        return tmp_path / name / "predictions.jsonl"

    subprocess.run(
        [*command, "--out", "uninterrupted"], cwd=tmp_path, check=True, capture_output=True, timeout=300
    )
    for _ in range(4):
        running = subprocess.Popen(
            [*command, "--out", "broken", "--resume"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with suppress(subprocess.TimeoutExpired):
            running.wait(rng.uniform(0.5, 9.0))
        running.kill()
        running.wait()
    subprocess.run(
        [*command, "--out", "broken", "--resume"], cwd=tmp_path, check=True, capture_output=True, timeout=300
    )

    assert predictions("broken").read_bytes() == predictions("uninterrupted").read_bytes()
