"""The ``recollect`` command on a memory of the demo's video: text output and JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from recollect.cli.main import main

ANSWER_KEYS = {
    "text", "choice", "confidence", "abstained", "why", "evidence", "coverage", "as_of", "usage",
    "stop_reason", "trace_id", "note", "reasoner",
}  # fmt: skip


@pytest.fixture
def run(watched_demo, capfd):
    """Runs the command on the demo's memory. Returns exit code, standard output and standard error."""

    def running(*argv: str, memory: Path | None = watched_demo) -> tuple[int, str, str]:
        # capfd, not capsys, also captures what native libraries write.
        capfd.readouterr()
        code = main([*argv, *([] if memory is None else ["--memory", str(memory)])])
        return (code, *capfd.readouterr())

    return running


def json_object(result: tuple[int, str, str]) -> dict[str, Any]:
    """The single JSON object on standard output. The command must print nothing else."""
    code, out, err = result
    assert (code, err) == (0, "")
    return json.loads(out)


def test_an_answer_as_text_has_confidence_and_evidence(run):
    code, out, err = run("ask", "When does the sign say CLOSED?")

    assert (code, err) == (0, "")
    assert "CLOSED" in out.splitlines()[0]
    assert "confidence 0." in out
    assert "demo" in out
    assert "picture" in out


def test_an_answer_in_json_is_one_object_with_every_key(run):
    answer = json_object(run("ask", "When does the sign say CLOSED?", "--json"))

    assert set(answer) == ANSWER_KEYS
    assert 0 <= answer["confidence"] <= 1
    assert (answer["abstained"], answer["why"], answer["choice"]) == (False, None, None)
    assert set(answer["usage"]) == {"lmm_calls", "tokens", "pictures", "seconds", "rounds"}
    assert answer["usage"]["lmm_calls"] == answer["usage"]["tokens"] == 0
    assert answer["usage"]["seconds"] > 0
    evidence = answer["evidence"][0]
    assert set(evidence) == {"stream", "start_s", "end_s", "text", "frame_ids", "memory_id", "score"}
    assert evidence["stream"] == "demo"
    assert evidence["start_s"] < 45  # the truth: about 40 to 45 s
    assert evidence["end_s"] > 40
    assert evidence["frame_ids"]
    (coverage,) = answer["coverage"]
    assert coverage["stream"] == "demo"
    assert coverage["watched_s"] == pytest.approx(70, abs=0.2)


def test_an_abstention_says_what_was_missing(run):
    answer = json_object(run("ask", "When does a dog appear?", "--json"))

    assert (answer["abstained"], answer["why"]) == (True, "needs_model")
    assert answer["confidence"] <= 0.3
    assert "dog" in answer["text"]


def test_an_option_is_chosen_by_its_letter(run):
    answer = json_object(
        run(
            "ask", "What does the QR code say?", "--option", "HELLO", "--option", "RECOLLECT-DEMO-7", "--json"
        )
    )

    assert answer["choice"] == "B"


def test_the_scope_holds_for_evidence_and_coverage(run):
    answer = json_object(
        run("ask", "What happens?", "--stream", "demo", "--from", "0:20", "--to", "30s", "--json")
    )

    assert all(item["end_s"] > 20 and item["start_s"] < 30 for item in answer["evidence"])
    assert [(item["start_s"], item["end_s"]) for item in answer["coverage"]] == [(20, 30)]


def test_as_of_before_watching_the_answer_is_not_watched(run):
    question = "When does the sign say CLOSED?"

    answer = json_object(run("ask", question, "--as-of", "2020-01-01T00:00:00Z", "--json"))
    code, out, err = run("ask", question, "--as-of", "2020-01-01T00:00:00Z")

    assert (answer["abstained"], answer["why"]) == (True, "not_watched")
    assert (answer["evidence"], answer["coverage"]) == ([], [])
    assert answer["as_of"] == "2020-01-01T00:00:00.000+00:00"
    assert answer["stop_reason"] == "nothing_remembered"
    assert (code, err) == (0, "")
    assert "not watched" in out


def test_memory_may_stand_before_or_after_the_subcommand(run, watched_demo):
    before = run("--memory", str(watched_demo), "status", "--json", memory=None)
    after = run("status", "--memory", str(watched_demo), "--json", memory=None)
    both = run("--memory", "elsewhere", "status", "--memory", str(watched_demo), "--json", memory=None)

    assert json_object(before)["streams"] == json_object(after)["streams"] == json_object(both)["streams"]


def test_show_writes_a_picture_of_the_evidence(run, tmp_path):
    sheet = tmp_path / "evidence.png"

    code, _, err = run("ask", "When does the sign say CLOSED?", "--show", str(sheet))

    assert (code, err) == (0, "")
    with Image.open(sheet) as picture:
        picture.load()
        assert picture.width > 1000
        assert picture.height > 200
        assert len(picture.getcolors(1 << 24) or []) > 1000  # it shows photographs, not only text


def test_show_writes_a_picture_without_evidence_too(run, tmp_path):
    sheet = tmp_path / "nothing.jpg"

    code, _, _ = run("ask", "What is said?", "--as-of", "0", "--show", str(sheet))

    assert code == 0
    with Image.open(sheet) as picture:
        picture.load()


def test_search_finds_text_read_in_the_video(run):
    hits = json_object(run("search", "backup", "--json", "--limit", "3"))["hits"]
    code, out, _ = run("search", "backup", "--limit", "3")

    assert 1 <= len(hits) <= 3
    assert "backup" in json.dumps(hits[0]["findings"])
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert code == 0
    assert len(out.splitlines()) == len(hits)


def test_search_reports_that_nothing_matched(run):
    assert run("search", "zyzzyva") == (0, "Nothing found.\n", "")
    assert json_object(run("search", "zyzzyva", "--json")) == {"hits": []}


def test_the_timeline_covers_the_video_in_order_without_holes(run):
    timeline = json_object(run("timeline", "--json"))
    spans = [(moment["start_s"], moment["end_s"]) for moment in timeline["moments"]]

    assert timeline["gaps"] == []
    assert (spans[0][0], spans[-1][1]) == (0, pytest.approx(70, abs=0.1))
    assert all(end_s == next_s for (_, end_s), (next_s, _) in pairwise(spans))


def test_the_timeline_as_text_has_one_line_per_moment(run):
    code, out, err = run("timeline", "--from", "10", "--to", "0:30", "--limit", "2")

    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize("rung", ["moment", "event", "hour", "day"])
def test_every_rung_has_a_timeline(run, rung):
    moments = json_object(run("timeline", "--rung", rung, "--json"))["moments"]

    assert {moment["rung"] for moment in moments} <= {rung}


def test_status_accounts_for_every_frame(run):
    (stream,) = json_object(run("status", "--json"))["streams"]
    frames = stream["frames"]
    _, out, err = run("status")

    assert (stream["stream"], stream["kind"], stream["state"]) == ("demo", "file", "done")
    assert frames["captured"] == 70 * 25
    assert frames["captured"] == frames["stored"] + frames["sampled_out"] + frames["merged"] + sum(
        frames["dropped"].values()
    )
    assert err == ""
    assert "1750 captured = " in out


def test_watching_a_finished_file_again_does_nothing(run, watched_demo, demo_video, tmp_path):
    copy = tmp_path / "copy.lance"
    shutil.copytree(watched_demo, copy)

    code, out, err = run("watch", str(demo_video), "--quiet", memory=copy)

    assert (code, err) == (0, "")
    assert "already watched to its end" in out


def test_watch_goes_on_after_a_source_that_fails(run, tmp_path, short_video):
    memory = tmp_path / "memory.lance"

    code, out, err = run("watch", str(tmp_path / "none.mp4"), str(short_video), "--no-ocr", memory=memory)

    assert code == 2
    assert err.count("\n") == 1
    assert "there is no file" in err
    assert "watched to 0:02.0" in out
    assert "50 frames" in out


def test_one_name_for_two_sources_is_refused(run, tmp_path):
    code, out, err = run("watch", "a.mp4", "b.mp4", "--stream", "one", memory=tmp_path / "memory.lance")

    assert (code, out) == (2, "")
    assert "--stream names one source" in err


@pytest.mark.parametrize("exists", [True, False])
def test_the_doctor_checks_everything_with_or_without_a_memory(run, watched_demo, tmp_path, exists):
    code, out, err = run("doctor", memory=watched_demo if exists else tmp_path / "none.lance")

    assert (code, err) == (0, "")
    for name in ("Python", "storage", "decoding", "pictures", "reading text", "agent", "video LMM", "disk"):
        assert name in out
    assert ("holds 1 stream" if exists else "recollect watch FILE") in out
    assert "FAIL" not in out


def test_the_doctor_reports_a_bad_memory(run, tmp_path):
    (tmp_path / "letters.txt").write_text("dear")

    code, out, err = run("doctor", memory=tmp_path)

    assert (code, err) == (1, "")
    assert "FAIL memory" in out


@pytest.mark.slow  # starts Python: some 5 s
def test_a_closed_pipe_is_no_error(watched_demo):
    """As in ``recollect timeline | head``, through a real pipe that is closed before anything is written."""
    with subprocess.Popen(
        [sys.executable, "-m", "recollect.cli.main", "timeline", "--json", "--memory", str(watched_demo)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        child.stdout.close()
        errors = child.stderr.read()

    assert errors == b""


def test_a_connection_line_names_the_stream(run, tmp_path):
    """Port 9 of loopback refuses connections."""
    url = "rtsp://127.0.0.1:9/live"

    code, _, err = run("watch", url, "--stream", "door", "--max-outage", "0.2", memory=tmp_path / "m.lance")

    assert code == 2
    assert f"door: connecting (connecting to {url})" in err
