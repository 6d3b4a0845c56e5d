"""``recollect doctor``: checks of the video LMM, on a loopback server, and of the image–text model."""

from __future__ import annotations

import json

import pytest

from recollect.cli.diagnostic_check import DiagnosticCheck
from recollect.cli.diagnostics import examine_vision
from recollect.cli.lmm_diagnostics import examine_lmm
from recollect.memory import MemoryStore
from recollect.perception.vision import PaletteEncoder
from recollect.settings import Settings, read_settings
from recollect.testing.lmm_server import LmmServer, RecordedRequest


def well_behaved(request: RecordedRequest) -> str:
    """A reply that fits the requested schema."""
    schema = request.body["response_format"]["json_schema"]["schema"]
    return json.dumps({name: kind.get("enum", [7])[0] for name, kind in schema["properties"].items()})


@pytest.fixture
def server():
    with LmmServer(well_behaved) as server:
        yield server


def lmm_checks(settings: Settings | None) -> dict[str, DiagnosticCheck]:
    """The checks of the LMM by name, without the prefix ``video LMM``."""
    return {check.name.removeprefix("video LMM").removeprefix(", "): check for check in examine_lmm(settings)}


def states(checks: dict[str, DiagnosticCheck]) -> dict[str, str]:
    return {name: check.state for name, check in checks.items()}


def test_no_server_is_not_a_failure():
    assert states(lmm_checks(Settings(lmm={}))) == {"": "absent"}


def test_a_server_is_tried_with_a_picture_a_clip_and_a_schema(server):
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


def test_a_model_that_ignores_the_schema_is_reported(server):
    server.says = "Good morning!"

    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    assert states(checks) == {"": "ok", "pictures": "ok", "clips": "ok", "schemas": "broken"}
    assert "--structured-outputs-config" in checks["schemas"].advice


def test_a_server_that_refuses_clips_gets_advice(server):
    server.says = lambda request: 400 if "media_io_kwargs" in request.body else well_behaved(request)

    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    assert states(checks) == {"": "ok", "pictures": "ok", "clips": "ok", "schemas": "ok"}
    assert "clips are sent as pictures" in checks["clips"].detail
    assert "400" in checks["clips"].detail
    assert "--trust-request-mm-kwargs" in checks["clips"].advice
    assert checks["schemas"].advice == ""


def test_what_a_server_gets_instead_is_told(server):
    def keeps_to_the_prompt(request: RecordedRequest) -> str:
        text = request.body["messages"][-1]["content"][-1]["text"]
        schema = json.loads(text[text.index('{"prop') :])
        return json.dumps({name: kind.get("enum", [7])[0] for name, kind in schema["properties"].items()})

    server.says = keeps_to_the_prompt
    server.refuses = ("clips", "several pictures", "schemas", "max_tokens")

    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    expected = {"": "ok", "pictures": "ok", "clips": "ok", "schemas": "ok", "requests": "ok"}
    assert states(checks) == expected
    assert "contact sheet" in checks["clips"].detail
    assert "in the prompt" in checks["schemas"].detail
    assert "max_completion_tokens" in checks["requests"].detail


def test_a_model_that_calls_red_blue_is_a_warning(server):
    server.says = lambda request: (
        '{"colour": "blue"}' if "colour" in str(request.body["response_format"]) else '{"digit": 3}'
    )

    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    assert states(checks) == {"": "ok", "pictures": "warning", "clips": "warning", "schemas": "ok"}
    assert "it calls red blue" in checks["pictures"].detail
    assert "vision model" in checks["pictures"].advice


@pytest.mark.parametrize(
    ("refuses", "advice"),
    [("everything", "refuses text alone too"), ("pictures", "Serve a model that takes pictures")],
)
def test_the_advice_follows_the_refusal(server, refuses, advice):
    server.refuses = ("clips", refuses)

    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    assert checks["pictures"].state == "broken"
    assert advice in checks["pictures"].advice


def test_a_model_that_thinks_at_length_gets_the_room(server):
    thought = "Let me look at it again. " * 20
    server.says = lambda request: f"<think>{thought}</think>{well_behaved(request)}"

    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    assert states(checks) == {"": "ok", "pictures": "ok", "clips": "ok", "schemas": "ok"}


def test_a_server_without_a_list_of_models_is_tried(server):
    server.listed = []

    checks = lmm_checks(read_settings(lmm={"url": server.url, "model": server.model}))

    assert states(checks) == {"": "ok", "pictures": "ok", "clips": "ok", "schemas": "ok"}
    assert "does not list its models" in checks[""].detail


def test_a_wrong_model_is_reported_with_those_available(server):
    checks = lmm_checks(read_settings(lmm={"url": server.url, "model": "qwen"}))

    assert states(checks) == {"": "broken"}
    assert "Models there: loopback" in checks[""].detail


def test_a_server_that_needs_a_key_is_reported_with_the_setting(server):
    server.answer_with(401)

    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    assert states(checks) == {"": "broken"}
    assert "lmm.api_key" in checks[""].detail


def test_an_unreachable_server_is_reported(server):
    server.refuse()

    checks = lmm_checks(read_settings(lmm={"url": server.url}))

    assert states(checks) == {"": "broken"}
    assert "Connection refused" in checks[""].detail


def test_a_server_that_redirects_is_reported_and_not_followed(server):
    with LmmServer(well_behaved) as target:
        server.redirect_to(f"{target.url}/models")

        checks = lmm_checks(read_settings(lmm={"url": server.url}))

        assert target.connections == 0
    assert states(checks) == {"": "broken"}
    assert f"set lmm.url to {target.url}" in checks[""].detail


def test_a_misspelt_setting_is_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recollect.toml").write_text("[lmm]\nurll = 3\n")

    assert "did you mean url" in lmm_checks(None)[""].detail


def vision_checks(folder, **vision: str) -> list[tuple[str, str, str]]:
    """Name, state and text of the checks of the image–text model and of the memory's vectors."""
    checks = examine_vision(read_settings(vision=vision), memory=folder / "memory.lance")
    return [(check.name, check.state, check.detail + check.advice) for check in checks]


def test_no_image_text_model_is_not_a_failure(tmp_path):
    ((name, state, text),) = vision_checks(tmp_path, model="")

    assert (name, state) == ("image–text model", "absent")
    assert "RECOLLECT_VISION__MODEL" in text


def test_an_image_text_model_is_tried_with_a_picture_and_text(tmp_path):
    ((_, state, text),) = vision_checks(tmp_path, model="palette")

    assert state == "ok"
    assert "it labels a red picture red" in text


def test_a_missing_image_text_model_is_reported(tmp_path):
    ((_, state, text),) = vision_checks(tmp_path, model="./no-such-model")

    assert state == "broken"
    assert "no such folder" in text


def test_the_vectors_of_a_memory_are_compared_with_the_model(tmp_path):
    folder = tmp_path / "memory.lance"
    MemoryStore.open(folder, write=True).close()
    before = vision_checks(tmp_path, model="palette")
    MemoryStore.open(tmp_path / "other" / "memory.lance", write=True, encoder=PaletteEncoder()).close()
    after = vision_checks(tmp_path / "other", model="palette")

    assert [state for _, state, _ in before] == ["ok", "broken"]
    assert "recollect reindex" in before[1][2]
    assert [state for _, state, _ in after] == ["ok", "ok"]
