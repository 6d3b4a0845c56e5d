"""What the doctor says of a video LMM, each thing tried on a real server."""

from __future__ import annotations

import json

import pytest

from recollect.doctor import Check, examine_lmm
from recollect.perception.lmm.loopback import LmmServer, Request
from recollect.settings import Settings, read_settings


def well_behaved(request: Request) -> str:
    """Keep to whichever schema is asked for."""
    schema = request.body["response_format"]["json_schema"]["schema"]
    return json.dumps({name: kind.get("enum", [7])[0] for name, kind in schema["properties"].items()})


@pytest.fixture
def server():
    with LmmServer(well_behaved) as server:
        yield server


def lmm_checks(settings: Settings | None) -> dict[str, Check]:
    """The checks of the LMM by name, ``video LMM`` left out of it."""
    return {check.name.removeprefix("video LMM").removeprefix(", "): check for check in examine_lmm(settings)}


def states(checks: dict[str, Check]) -> dict[str, str]:
    return {name: check.state for name, check in checks.items()}


def test_no_server_is_no_fault():
    assert states(lmm_checks(Settings(lmm={}))) == {"": "absent"}


def test_a_good_server_is_tried_with_a_picture_a_clip_and_a_schema(server):
    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    assert states(checks) == {"": "ok", "pictures": "ok", "clips": "ok", "schemas": "ok"}
    assert "loopback" in checks[""].detail
    assert "4096 tokens" in checks[""].detail
    parts = [part for request in server.requests for part in request.body["messages"][-1]["content"]]
    assert {part["type"] for part in parts} == {"text", "image_url", "video_url"}
    assert all(request.body["max_tokens"] <= 64 for request in server.requests)


def test_a_server_without_video_can_be_sent_pictures(server):
    checks = lmm_checks(read_settings(lmm={"url": server.url, "video": "pictures"}))

    assert checks["clips"].state == "ok"
    assert "video_url" not in str([request.body for request in server.requests])


def test_a_model_that_answers_as_it_likes_is_found_out(server):
    server.says = "Good morning!"

    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    assert states(checks) == {"": "ok", "pictures": "ok", "clips": "ok", "schemas": "broken"}
    assert "--structured-outputs-config" in checks["schemas"].advice


def test_a_server_that_refuses_clips_alone_is_told_how_to_take_them(server):
    server.says = lambda request: 400 if "media_io_kwargs" in request.body else well_behaved(request)

    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    assert states(checks) == {"": "ok", "pictures": "ok", "clips": "broken", "schemas": "ok"}
    assert "--trust-request-mm-kwargs" in checks["clips"].advice


def test_a_wrong_model_is_told_with_the_right_one(server):
    checks = lmm_checks(read_settings(lmm={"url": server.url, "model": "qwen"}))

    assert states(checks) == {"": "broken"}
    assert "Models there: loopback" in checks[""].detail


def test_a_server_that_wants_a_key_is_told_with_the_setting(server):
    server.answer_with(401)

    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    assert states(checks) == {"": "broken"}
    assert "lmm.api_key" in checks[""].detail


def test_a_server_that_is_away_is_told_at_once(server):
    server.refuse()

    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    assert states(checks) == {"": "broken"}
    assert "Connection refused" in checks[""].detail


def test_settings_that_make_no_sense_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recollect.toml").write_text("[lmm]\nurll = 3\n")

    assert "did you mean url" in lmm_checks(None)[""].detail
