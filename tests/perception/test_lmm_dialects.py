"""Servers that speak other dialects: replies in every place, requests that adapt, and bounds on answers."""

from __future__ import annotations

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from recollect.perception.errors import LmmError, LmmNotServed, LmmOverloaded, LmmRefused, LmmReplyOutOfSchema
from recollect.perception.lmm import ClipPart, PicturePart, Prompt, ServedLmm, TextPart
from recollect.perception.lmm.dialect import Dialect, DialectLearner, RequestShape
from recollect.perception.lmm.lmm_settings import LmmSettings
from recollect.testing.lmm_dialects import REPLY_DIALECTS, UNREADABLE_DIALECTS
from recollect.testing.lmm_server import LmmServer, RecordedRequest


class Caption(BaseModel):
    caption: str


GOOD = '{"caption": "A kettle boils."}'
TEXT = Prompt("caption", 1, "Describe.", (TextPart("What is it?"),))


def jpeg(level: int) -> bytes:
    return cv2.imencode(".jpg", np.full((48, 64, 3), level, np.uint8))[1].tobytes()


CLIP = Prompt(
    "caption", 1, "", (ClipPart((jpeg(0), jpeg(90), jpeg(180)), (0.0, 1.5, 3.25)), TextPart("What?"))
)
PICTURES = Prompt("judge", 1, "", tuple(PicturePart(jpeg(10 * number), float(number)) for number in range(6)))


@pytest.fixture
def server():
    with LmmServer(GOOD) as server:
        yield server


@pytest.fixture
def client(server):
    """A function that makes clients of the server. They are closed after the test."""
    clients: list[ServedLmm] = []

    def make(**settings) -> ServedLmm:
        fields = {"url": server.url, "model": server.model, "max_retries": 0} | settings
        clients.append(ServedLmm(LmmSettings(**fields)))
        return clients[-1]

    yield make
    for lmm in clients:
        lmm.close()


def content_of(request: RecordedRequest) -> list[dict]:
    return request.body["messages"][-1]["content"]


def kinds_of(request: RecordedRequest) -> list[str]:
    return [part["type"] for part in content_of(request)]


def texts_of(request: RecordedRequest) -> str:
    return "\n".join(part["text"] for part in content_of(request) if part["type"] == "text")


def sheet_of(request: RecordedRequest) -> np.ndarray:
    (url,) = [part["image_url"]["url"] for part in content_of(request) if part["type"] == "image_url"]
    return cv2.imdecode(np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)


# -- replies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", REPLY_DIALECTS)
def test_a_reply_is_read_in_every_dialect(server, client, dialect):
    server.reply_dialect = dialect

    reply = client().ask_now(TEXT, Caption)

    assert reply.value.caption == "A kettle boils."
    assert reply.usage.calls == 1
    assert reply.usage.completion_tokens == -(-len(GOOD) // 4)


@pytest.mark.parametrize(
    ("dialect", "why"),
    [
        ("only thinking", "thinking and no reply"),
        ("only reasoning with a draft", "reasoning and no reply"),
        ("a refusal", "the model refused .I cannot help"),
        ("a filtered reply", "a filter of the server"),
        ("reasoning that is cut off", "lmm.max_tokens"),
        ("nothing", "it is empty"),
    ],
)
def test_a_completion_without_a_reply_says_why(server, client, dialect, why):
    server.reply_dialect = dialect

    with pytest.raises(LmmReplyOutOfSchema, match=why):
        client().ask_now(TEXT, Caption)


def test_every_unreadable_dialect_is_tried():
    assert len(UNREADABLE_DIALECTS) == 6


# -- requests --------------------------------------------------------------------------------------------


def test_a_server_that_refuses_clips_gets_pictures(server, client):
    server.refuses = ("clips",)
    lmm = client()

    lmm.ask_now(CLIP, Caption)
    lmm.ask_now(CLIP, Caption)

    assert kinds_of(server.requests[-1]) == ["text", "image_url"] * 3 + ["text"]
    assert "At 3.25 s:" in texts_of(server.requests[-1])
    assert kinds_of(server.requests[-2]) == kinds_of(server.requests[-1]), "what was learnt is kept"
    assert [item.step for item in lmm.adaptations] == ["clips"]
    assert "video_url" in lmm.adaptations[0].reason


def test_a_server_of_one_picture_gets_a_contact_sheet(server, client):
    server.refuses = ("clips", "several pictures")
    lmm = client()

    lmm.ask_now(CLIP, Caption)

    assert kinds_of(server.requests[-1]) == ["text", "image_url", "text"]
    texts = texts_of(server.requests[-1])
    assert "3 pictures on one sheet" in texts
    assert texts.index("Picture 1, at 0.00 s.") < texts.index("Picture 3, at 3.25 s.") < texts.index("What?")
    sheet = sheet_of(server.requests[-1])
    height, width = sheet.shape[0] // 2, sheet.shape[1] // 2
    middles = [sheet[24 + row * height, 32 + column * width, 0] for row, column in ((0, 0), (0, 1), (1, 0))]
    assert middles == pytest.approx([0, 90, 180], abs=4)
    assert "pictures" in {item.step for item in lmm.adaptations}


def test_a_limit_on_pictures_is_kept_where_it_is(server, client):
    """A request with fewer pictures than were taken once is sent as before."""
    server.refuses = ("five pictures",)
    lmm = client()
    few = Prompt("judge", 1, "", PICTURES.parts[:3])
    lmm.ask_now(few, Caption)

    lmm.ask_now(PICTURES, Caption)
    lmm.ask_now(few, Caption)

    counts = [kinds_of(request).count("image_url") for request in server.requests]
    assert (counts[0], counts[-2], counts[-1]) == (3, 1, 3)


@pytest.mark.parametrize(
    ("refuses", "formats"),
    [
        (("schemas",), ["json_schema", "json_object"]),
        (("schemas", "JSON objects"), ["json_schema", "json_object", None]),
        (("response formats",), ["json_schema", "json_object", None]),
    ],
)
def test_a_server_without_schemas_gets_them_in_the_prompt(server, client, refuses, formats):
    server.refuses = refuses

    assert client().ask_now(TEXT, Caption).value.caption == "A kettle boils."

    sent = [request.body.get("response_format", {}).get("type") for request in server.requests]
    assert list(dict.fromkeys(sent)) == formats
    assert sent[-1] == formats[-1]
    assert '"required": ["caption"]' in texts_of(server.requests[-1])
    assert '"required"' not in texts_of(server.requests[0])


@pytest.mark.parametrize("refuses", ["max_tokens", "temperatures", "unknown keys"])
def test_a_key_that_is_refused_is_left_out(server, client, refuses):
    server.refuses = (refuses,)
    lmm = client(server_priorities=refuses == "unknown keys")

    assert lmm.ask_now(TEXT, Caption).value.caption == "A kettle boils."
    before = len(server.requests)
    assert lmm.ask_now(TEXT, Caption).usage.calls == 1

    body = server.requests[before].body
    assert ("max_completion_tokens" in body) == (refuses == "max_tokens")
    assert ("temperature" in body) == (refuses != "temperatures")
    assert "priority" not in body
    assert body["response_format"]["type"] == "json_schema", "what it takes is still sent"


def test_a_server_that_ignores_schemas_gets_them_in_the_prompt(server, client):
    server.says = lambda request: GOOD if '"required"' in texts_of(request) else "It is a kettle."
    lmm = client()

    lmm.ask_now(TEXT, Caption)
    reply = lmm.ask_now(TEXT, Caption)

    assert (reply.value.caption, reply.usage.calls) == ("A kettle boils.", 1)
    assert [item.step for item in lmm.adaptations] == ["schema"]


def test_a_request_that_is_refused_in_any_form_is_given_up(server, client):
    server.refuses = ("everything",)
    lmm = client()

    for _ in range(2):
        with pytest.raises(LmmRefused, match="2048 tokens"):
            lmm.ask_now(CLIP, Caption)

    assert lmm.adaptations == ()
    assert len(server.requests) <= 12, "and only the first such request is written in other ways"


def test_a_request_that_is_too_large_is_made_smaller(server, client):
    noise = np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)
    picture = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 10])[1].tobytes()
    large = Prompt("judge", 1, "", tuple(PicturePart(picture) for _ in range(3)))
    server.refuses = ("large requests",)

    with pytest.raises(LmmRefused) as refused:
        client().ask_now(large, Caption)

    assert refused.value.status == 413
    assert {request.body["response_format"]["type"] for request in server.requests} == {"json_schema"}
    assert kinds_of(server.requests[-1]).count("image_url") == 1


def test_a_model_without_eyes_is_reported_with_its_words(server, client):
    server.refuses = ("clips", "pictures")
    lmm = client()

    with pytest.raises(LmmOverloaded, match="image input is not supported"):
        lmm.ask_now(CLIP, Caption)

    assert lmm.ask_now(TEXT, Caption).usage.calls == 1


def test_a_failure_that_passes_teaches_nothing(server, client):
    server.answer_with(500, times=2)
    lmm = client()

    assert lmm.ask_now(CLIP, Caption)

    assert lmm.adaptations == ()
    assert kinds_of(server.requests[-1])[0] == "video_url"


def test_requests_at_once_learn_once(server, client):
    server.refuses = ("clips", "schemas")
    lmm = client(concurrency=8)
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda _: lmm.ask_now(CLIP, Caption, deadline_s=30), range(8)))

    assert {reply.value.caption for reply in replies} == {"A kettle boils."}
    assert sorted(item.step for item in lmm.adaptations) == ["clips", "schema"]


def test_the_deadline_covers_the_search(server, client):
    server.refuses = ("clips",)
    lmm = client()
    done = threading.Event()

    def slow(request: RecordedRequest) -> str | int:
        done.wait(0.4)
        return 400

    server.says = slow
    began_s = time.monotonic()
    with pytest.raises(LmmError):
        lmm.ask_now(TEXT, Caption, deadline_s=1.0)

    assert time.monotonic() - began_s < 3


FEATURES = ("priority", "json_schema", "json_object", "max_tokens", "temperature", "clips", "pictures")


def refused_features(dialect: Dialect, shape: RequestShape) -> set[str]:
    """What a request in this dialect contains."""
    separate = shape.pictures - (shape.clip_frames if dialect.clips else 0)
    is_sheet = dialect.max_pictures is not None and separate > dialect.max_pictures
    return {
        name
        for name, is_sent in {
            "priority": shape.has_priority and dialect.priority,
            "json_schema": dialect.reply_format == "json_schema",
            "json_object": dialect.reply_format == "json_object",
            "max_tokens": dialect.token_limit == "max_tokens",
            "temperature": dialect.temperature,
            "clips": dialect.clips and shape.clip_frames > 0,
            "pictures": separate > 1 and not is_sheet,
        }.items()
        if is_sent
    }


@given(
    st.sets(st.sampled_from(FEATURES)),
    st.integers(0, 6),
    st.sampled_from([0, 2, 3]),
    st.booleans(),
    st.booleans(),
)
def test_whatever_a_server_refuses_is_found_and_no_more(
    refused, pictures, clip_frames, has_priority, is_named
):
    shape = RequestShape("Caption", pictures + clip_frames, clip_frames, has_priority)
    learner = DialectLearner(Dialect())
    reason = " ".join(sorted(refused)) if is_named else "no"
    needed = refused_features(learner.current, shape) & refused

    search = learner.search(shape, reason)
    requests = 0
    while needed and (dialect := search.next()) is not None:
        requests += 1
        if refused_features(dialect, shape) & refused:
            search.refused(dialect, reason)
        else:
            search.accepted(dialect)
            learner.learn(search)

    assert requests <= 22
    assert not refused_features(learner.current, shape) & refused
    # A clip goes onto the sheet with the pictures, unless the server is known to take clips.
    spared = refused | ({"clips"} if "pictures" in refused else set())
    kept = refused_features(Dialect(), shape) - spared
    assert is_named or kept <= refused_features(learner.current, shape)


# -- the list of models ----------------------------------------------------------------------------------


def test_without_a_list_the_model_of_the_settings_is_used(server, client):
    server.listed = []

    assert (client().describe_now().model, client().describe_now().models) == (server.model, ())
    assert client().ask_now(TEXT, Caption)


def test_without_a_list_or_setting_the_error_names_the_setting(server, client):
    server.listed = []

    with pytest.raises(LmmNotServed, match=r"lists no models\. Set lmm\.model"):
        client(model=None).describe_now()


def test_many_models_are_listed_with_the_setting_to_choose(server, client):
    server.listed = [{"id": f"model-{number}"} for number in range(300)] + ["junk", {"id": 3}, {}]

    with pytest.raises(LmmNotServed) as error:
        client(model=None).describe_now()

    assert "model-0, model-1" in str(error.value)
    assert "and 280 more. Set lmm.model to one of them." in str(error.value)
    assert len(str(error.value)) < 700


# -- bounds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 503])
def test_an_answer_of_50_mb_is_not_read(server, client, status):
    server.padding_bytes = 50_000_000
    if status != 200:
        server.answer_with(status)

    with pytest.raises(LmmError, match="longer than 4 MB"):
        client().ask_now(TEXT, Caption)


def test_a_list_of_models_of_50_mb_is_not_read(server, client):
    server.padding_bytes = 50_000_000

    with pytest.raises(LmmError, match="longer than 4 MB"):
        client().describe_now()


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": int("9" * 4000), "completion_tokens": -5},
        {"prompt_tokens": "many", "completion_tokens": None, "prompt_tokens_details": []},
        {"prompt_tokens": True, "completion_tokens": 1e300, "prompt_tokens_details": {"cached_tokens": -1}},
        {"prompt_tokens": {}, "completion_tokens": [1]},
        [],
        "free",
        7,
    ],
)
def test_senseless_costs_count_as_nothing(server, client, usage):
    server.usage = usage
    lmm = client()

    reply = lmm.ask_now(TEXT, Caption)

    assert reply.value.caption == "A kettle boils."
    assert (reply.usage.tokens, reply.usage.cached_tokens, lmm.usage["question"].tokens) == (0, 0, 0)


@pytest.mark.parametrize(
    "wait", ["-5", "nan", "inf", "9" * 400, "soon", "Fri, 31 Dec 9999 23:59:59 GMT", "1e999"]
)
def test_a_senseless_retry_after_neither_hangs_nor_crashes(server, client, wait):
    server.answer_with(429, retry_after=wait)

    began_s = time.monotonic()
    with pytest.raises(LmmOverloaded):
        client().ask_now(TEXT, Caption)

    assert time.monotonic() - began_s < 5


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"choices": []}),
        json.dumps({"choices": [{"message": "no"}]}),
        json.dumps({"choices": {"0": {}}}),
        json.dumps([1, 2]),
        '{"choices":' + "[" * 50_000,
        "data: {",
        "data: [DONE]",
        "",
        "<html>",
    ],
)
def test_what_is_no_completion_is_reported(body):
    from recollect.perception.lmm.completion import read_completion

    with pytest.raises(LmmReplyOutOfSchema, match="no chat completion"):
        read_completion(body.encode(), model="tiny")
