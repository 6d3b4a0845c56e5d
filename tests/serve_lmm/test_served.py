"""A real vLLM on the CPU, started as ``recollect serve-lmm`` starts it, and asked by the real client.

The model's weights are drawn by chance: what it says means nothing, and that it keeps to its schema
is vLLM's doing. It is started twice, half a minute each.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from pydantic import BaseModel, Field

from recollect.cli.lmm_diagnostics import examine_lmm
from recollect.perception.errors import LmmNotServed, LmmRefused, LmmReplyOutOfSchema, LmmUnreachable
from recollect.perception.lmm import ClipPart, PicturePart, Prompt, ServedLmm, TextPart
from recollect.perception.lmm.chat_format import request_body
from recollect.perception.lmm.lmm_settings import LmmSettings
from recollect.serve_lmm.launch import plan_launch
from recollect.serve_lmm.process import VllmServer
from recollect.serve_lmm.vllm import find_vllm
from recollect.settings import Settings

from .conftest import RECOLLECT, REPLY_S, post, said_by_transformers, said_by_vllm

pytestmark = pytest.mark.slow

START_S = 300.0
FURTHER = ("--kv-cache-memory-bytes", "128M", "--enable-scale-out")  # the second shows prompts as they arrive
PICTURES = 4


class Seen(BaseModel):
    """Something bounded: a model of chance could go on for ever."""

    colour: Literal["red", "green", "blue"]
    count: int = Field(ge=0, le=99)
    moving: bool


class Numbers(BaseModel):
    """Something long."""

    numbers: list[Literal[0, 1]] = Field(min_length=2000, max_length=2000)


def serve(tiny: Path, python: Path) -> dict[str, object]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {"model": str(tiny), "python": python, "port": port, "pictures": PICTURES, "context_tokens": 8192}


@pytest.fixture(scope="module")
def server(serving_python, tiny_checkpoint, tmp_path_factory) -> Iterator[VllmServer]:
    settings = Settings(serve=serve(tiny_checkpoint, serving_python))
    launch = plan_launch(settings, find_vllm(settings.serve.python), FURTHER)
    with pytest.MonkeyPatch.context() as environment:
        # Threads that share two cores with other tests mostly wait for each other.
        environment.setenv("OMP_NUM_THREADS", "1")
        with VllmServer(launch, log=tmp_path_factory.mktemp("log") / "vllm.log") as server:
            server.wait_ready(START_S)
            yield server


@pytest.fixture
def lmm(server) -> Iterator[ServedLmm]:
    settings = LmmSettings(url=server.launch.url, server_priorities=True, max_retries=0, timeout_s=REPLY_S)
    with ServedLmm(settings) as lmm:
        yield lmm


def picture(level: int = 255) -> bytes:
    """A grey JPEG of the shape a camera has."""
    return cv2.imencode(".jpg", np.full((180, 320, 3), level, np.uint8))[1].tobytes()


CLIP = ClipPart((picture(50), picture(100), picture(150), picture(200)), (12.0, 12.5, 14.0, 15.25))


def asking(*parts: TextPart | PicturePart | ClipPart) -> Prompt:
    return Prompt("test", 1, "Answer in JSON.", (*parts, TextPart("What is seen?")))


def test_the_server_says_what_it_serves(lmm):
    served = lmm.describe_now()

    assert (served.model, served.models, served.context_tokens) == ("tiny", ("tiny",), 8192)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((), id="words"),
        pytest.param((PicturePart(picture()),), id="a picture"),
        pytest.param((PicturePart(picture(), 1.0), PicturePart(picture(0), 2.0)), id="two pictures"),
        pytest.param((CLIP,), id="a clip"),
        pytest.param((ClipPart(CLIP.jpegs[:3], CLIP.times_s[:3]),), id="a clip of an odd number of frames"),
        pytest.param((ClipPart(CLIP.jpegs[:1], CLIP.times_s[:1]),), id="a clip of one frame"),
        pytest.param((ClipPart(CLIP.jpegs[:2], (0.0, 0.5)),) * 2, id="two clips"),
    ],
)
def test_it_takes_and_its_reply_keeps_to_the_schema(lmm, parts):
    reply = lmm.ask_now(asking(*parts), Seen, deadline_s=REPLY_S, max_tokens=64)

    assert isinstance(reply.value, Seen)
    assert reply.written_by == "lmm:tiny/test.1"
    assert (reply.usage.calls, reply.usage.retries) == (1, 0)
    assert reply.usage.prompt_tokens > 15 * (len(parts) > 0)
    assert reply.usage.completion_tokens > 10


def test_the_prompt_says_when_the_frames_of_a_clip_were_seen(server):
    body = request_body(asking(CLIP), Seen)
    extra = body.pop("extra_body")

    tokens = post(server, "/v1/chat/completions/render", {**body, **extra})["token_ids"]

    prompt = post(server, "/detokenize", {"tokens": tokens})["prompt"]
    assert re.findall(r"<([\d.]+) seconds>", prompt) == ["12.2", "14.6"]  # the middles of two frames each
    assert prompt.count("<|video_pad|>") == 2 * 15


def test_both_priorities_are_taken(lmm):
    for priority in ("question", "caption"):
        assert lmm.ask_now(asking(), Seen, priority=priority, deadline_s=REPLY_S, max_tokens=64).value


def test_the_common_beginning_of_prompts_is_cached(lmm):
    for _ in range(2):
        reply = lmm.ask_now(asking(CLIP), Seen, deadline_s=REPLY_S, max_tokens=64)

    assert reply.usage.cached_tokens >= 32


def test_many_can_ask_at_a_time(lmm):
    def ask(level: int) -> Seen:
        return lmm.ask_now(asking(PicturePart(picture(level))), Seen, deadline_s=REPLY_S, max_tokens=64).value

    with ThreadPoolExecutor(12) as together:
        replies = list(together.map(ask, range(0, 240, 20)))

    assert len(replies) == 12


def test_a_reply_that_is_too_long_is_an_error(lmm):
    with pytest.raises(LmmReplyOutOfSchema) as raised:
        lmm.ask_now(asking(), Numbers, deadline_s=REPLY_S, max_tokens=20)

    assert raised.value.cut_at_tokens == 20


def test_more_pictures_than_allowed_come_as_a_contact_sheet(lmm):
    reply = lmm.ask_now(asking(*[PicturePart(picture())] * (PICTURES + 1)), Seen, deadline_s=REPLY_S)

    (learnt,) = lmm.adaptations
    assert isinstance(reply.value, Seen)
    assert learnt.step == "pictures"
    assert f"At most {PICTURES} image" in learnt.reason


def test_a_prompt_that_is_too_long_is_refused(lmm):
    with pytest.raises(LmmRefused, match="8192"):
        lmm.ask_now(asking(TextPart("so much " * 10_000)), Seen, deadline_s=REPLY_S)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1/picture.jpg", "media.invalid"),
        ("file:///etc/hostname", "Cannot load local files"),
    ],
)
def test_the_server_fetches_no_picture_from_other_hosts(server, url, why):
    content = [{"type": "image_url", "image_url": {"url": url}}]

    with pytest.raises(urllib.error.HTTPError) as raised:
        post(server, "/v1/chat/completions", {"messages": [{"role": "user", "content": content}]})

    assert why in raised.value.read().decode()


def test_another_model_is_not_served(server):
    with (
        ServedLmm(LmmSettings(url=server.launch.url, model="qwen")) as lmm,
        pytest.raises(LmmNotServed, match="Models there: tiny"),
    ):
        lmm.ask_now(asking(), Seen, deadline_s=REPLY_S)


def test_the_doctor_warns_of_random_weights_alone(server):
    checks = list(examine_lmm(Settings(lmm=LmmSettings(url=server.launch.url))))

    assert [check.name for check in checks] == [
        "video LMM",
        "video LMM, pictures",
        "video LMM, clips",
        "video LMM, schemas",
    ]
    # Random weights cannot tell what they are shown, which the doctor warns of. Whatever else is examined works.
    assert (checks[0].state, checks[3].state) == ("ok", "ok"), checks
    assert all(check.state in ("ok", "warning") for check in checks[1:3]), checks
    assert all("may" in check.advice for check in checks if check.state == "warning"), checks
    assert not [check for check in checks if "no schema" in check.detail]


def is_answering(server: VllmServer) -> bool:
    with urllib.request.urlopen(f"{server.launch.root}/metrics", timeout=REPLY_S) as answer:
        running = re.search(r"^vllm:num_requests_running\S* (\S+)$", answer.read().decode(), re.MULTILINE)
    return running is not None and float(running[1]) > 0


def test_vllm_and_transformers_say_the_same(server, serving_python, tiny_checkpoint):
    prompt = Prompt("test", 1, "", (PicturePart(picture(80)), TextPart("What is seen?")))

    by_vllm = said_by_vllm(server, prompt, Seen, max_tokens=24)

    assert by_vllm == said_by_transformers(serving_python, tiny_checkpoint, prompt, Seen, max_tokens=24)


def test_the_client_recovers_after_the_server_was_killed(server, lmm):
    """The last one: it ends the server, and the command starts it anew."""
    with ThreadPoolExecutor(1) as meanwhile:
        reply = meanwhile.submit(lmm.ask_now, asking(), Numbers, deadline_s=REPLY_S, max_tokens=6000)
        until = time.monotonic() + REPLY_S
        while not is_answering(server) and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(LmmUnreachable):
            reply.result()
    assert server.wait() == 128 + signal.SIGKILL
    with pytest.raises(LmmUnreachable, match="Connection refused"):
        lmm.ask_now(asking(), Seen, deadline_s=REPLY_S)

    port, python = str(server.launch.port), server.launch.vllm.command[0]
    argv = ["serve-lmm", server.launch.model, "--port", port, "--python", python, "--", *FURTHER]
    with subprocess.Popen([*RECOLLECT, *argv], stdout=subprocess.PIPE, text=True) as command:
        try:
            for line in command.stdout:
                if "RECOLLECT_LMM__URL" in line:
                    break
            assert lmm.ask_now(asking(CLIP), Seen, deadline_s=REPLY_S, max_tokens=64).value
            command.send_signal(signal.SIGINT)
            command.communicate(timeout=60)
        finally:
            command.kill()
    assert command.returncode == 0
