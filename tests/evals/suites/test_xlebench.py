"""X-LeBench: days of several recordings, their clock, and spans as answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites.xlebench import UNASKED, XLeBench, parse_span_s

KNIFE = {
    "response_start_time_sec": 25_362.5,
    "response_end_time_sec": 25_369.5,
    "query": "Where is the knife?",
    "template": "Objects: where",
    "video_uid": "v1",
}
TALK = KNIFE | {
    "response_start_time_sec": 3600.0,
    "response_end_time_sec": 3604.0,
    "query": "Who came to tea?",
    "template": "People: who",
    "video_uid": "v2",
}


def day(
    objects: list[dict[str, Any]], people: list[dict[str, Any]], *, recordings: int = 2
) -> dict[str, Any]:
    """A day that starts at seven in the morning and whose second recording is at night."""
    simulations = [
        {"video_uid": "v1", "start_time": "07:00", "end_time": "08:13"},
        {"video_uid": "v2", "start_time": "00:30", "end_time": "01:30"},
    ]
    about = {
        "query_metadata": {"query_range": {"start_time": "07:00", "end_time": "08:13"}, "video_uid": "v1"}
    }
    return {
        "metadata": {"persona_id": "p", "memory_id": "m"},
        "simulations": simulations[:recordings],
        "tasks": {
            "objects_retrieval": {"query_list": [about | {"queries": objects}]},
            "people_retrieval": {"query_list": [about | {"queries": people}]},
            "counting": [],
        },
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "simulation_b", day([KNIFE], [], recordings=1))
    write(tmp_path, "simulation_a", day([KNIFE, KNIFE], [TALK]))
    return tmp_path


def write(folder: Path, name: str, content: dict[str, Any]) -> None:
    path = folder / "simulation_annotation" / f"{name}_annotation.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_questions_come_by_day_name(folder):
    samples = list(XLeBench(folder).samples())

    assert [sample.id for sample in samples] == [
        "xlebench/simulation_a/objects_retrieval/0",
        "xlebench/simulation_a/objects_retrieval/1",
        "xlebench/simulation_a/people_retrieval/0",
        "xlebench/simulation_b/objects_retrieval/0",
    ]
    assert samples == list(XLeBench(folder).samples())


def test_times_count_from_the_start_of_the_day_past_midnight(folder):
    knife, _, talk, _ = XLeBench(folder).samples()

    # 25,362.5 s after midnight is 162.5 s after seven. One o'clock is 18 hours after seven.
    assert knife.gold == knife.evidence == ((162.5, 169.5),)
    assert talk.gold == ((64_800.0, 64_804.0),)
    assert XLeBench(folder).playlist("simulation_a") == [(0.0, "v1"), (63_000.0, "v2")]


def test_missing_day_file_error_lists_its_recordings(folder):
    (folder / "videos").mkdir()
    (folder / "videos" / "v1.mp4").write_bytes(b"")
    suite = XLeBench(folder)

    assert suite.video("simulation_b") == folder / "videos" / "v1.mp4"
    with pytest.raises(BadSuite, match="compose it of v1 at 0 s, v2 at 63000 s"):
        suite.video("simulation_a")
    (folder / "lifelogs").mkdir()
    (folder / "lifelogs" / "simulation_a.mp4").write_bytes(b"")
    assert suite.video("simulation_a").is_file()
    with pytest.raises(BadSuite, match="no day simulation_c"):
        suite.video("simulation_c")


@pytest.mark.parametrize(
    ("reply", "span"),
    [
        ("162.5-169.5", (162.5, 169.5)),
        ("It was from 162.5 s to 169.5 s.", (162.5, 169.5)),
        ("00:02:42 – 00:02:49", (162.0, 169.0)),
        ("02:42.5 - 02:49.5", (162.5, 169.5)),
        ("169.5-162.5", None),
        ("162.5", None),
        ("in the kitchen", None),
        ("", None),
    ],
)
def test_reply_is_parsed_as_two_times(reply, span):
    assert parse_span_s(reply) == span


def test_score_is_the_iou_of_the_spans(folder):
    suite = XLeBench(folder)
    knife = next(iter(suite.samples()))

    assert suite.official(knife, "162.5-169.5") == 1.0
    assert suite.official(knife, "162.5-176.5") == 0.5
    assert suite.official(knife, "0-10") == suite.official(knife, "no idea") == 0.0


def test_totals_are_recall_at_two_ious_and_mean_iou_by_task(folder):
    suite = XLeBench(folder)
    knife, again, talk, _ = suite.samples()

    totals = suite.totals([(knife, 0.4), (again, 0.5), (talk, 0.0)])

    assert totals["overall"] == totals["mIoU"] == pytest.approx(0.3)
    assert totals["R1@0.3"] == pytest.approx(2 / 3)
    assert totals["R1@0.5"] == pytest.approx(1 / 3)
    assert totals["objects_retrieval R1@0.3"] == 1.0
    assert totals["people_retrieval mIoU"] == 0.0


def test_unsupported_tasks_have_a_reason():
    assert UNASKED.keys() == {"action_retrieval", "summarisation", "counting", "summary_ordering"}
    assert all(UNASKED.values())


def test_predicted_spans_are_exported(folder, tmp_path):
    suite = XLeBench(folder)
    samples = list(suite.samples())[:2]
    prediction = Prediction(sample=samples[0].id, system="ours", status="ok", said="162.5-170")

    (path,) = suite.export(samples, [prediction], tmp_path / "out")

    assert [result["predicted_s"] for result in json.loads(path.read_text(encoding="utf-8"))] == [
        [162.5, 170.0],
        None,
    ]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (day([{name: value for name, value in KNIFE.items() if name != "query"}], []), "query"),
        (day([KNIFE | {"response_end_time_sec": 1.0}], []), "response_end_time_sec"),
        ({"simulations": [], "tasks": {}}, "simulations"),
        (day([], []) | {"simulations": [{"video_uid": "v1", "start_time": "seven"}]}, "start_time"),
        (day([], []) | {"tasks": {"objects_retrieval": {"query_list": []}}}, "people_retrieval"),
    ],
)
def test_wrong_schema_names_the_field_and_the_source(tmp_path, content, named):
    write(tmp_path, "simulation_a", content)

    with pytest.raises(BadSuite, match=rf"simulation_a_annotation\.json.*{named}.*VvV7/X-LeBench"):
        list(XLeBench(tmp_path).samples())


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(BadSuite, match="no simulation_annotation"):
        list(XLeBench(tmp_path).samples())
