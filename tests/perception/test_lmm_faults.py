"""Faults between the LMM client and its server, on a real socket."""

from __future__ import annotations

import email.utils
import json
import socket
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, quote_plus

import openai  # noqa: F401 - loading it takes a while, which must not count in the measured times
import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from recollect.common.errors import BadSettings
from recollect.perception.errors import (
    LmmError,
    LmmNotServed,
    LmmOverloaded,
    LmmRedirected,
    LmmRefused,
    LmmReplyOutOfSchema,
    LmmTimedOut,
    LmmUnreachable,
)
from recollect.perception.lmm import Prompt, ServedLmm, TextPart
from recollect.perception.lmm.lmm_settings import LmmSettings
from recollect.testing.lmm_server import LmmServer


class Caption(BaseModel):
    caption: str


PROMPT = Prompt("caption", 1, "Describe.", (TextPart("What is it?"),))
GOOD = '{"caption": "A kettle boils."}'


@pytest.fixture
def server():
    with LmmServer(GOOD) as server:
        yield server


@pytest.fixture
def client(server):
    """A function that makes clients of the server. They are closed after the test."""
    clients: list[ServedLmm] = []

    def make(**settings) -> ServedLmm:
        fields = {"url": server.url, "model": server.model, "max_retries": 1} | settings
        clients.append(ServedLmm(LmmSettings(**fields)))
        return clients[-1]

    yield make
    for lmm in clients:
        lmm.close()


def failure(lmm: ServedLmm, **how) -> tuple[LmmError, float]:
    """The error of a request, and the seconds that the request took."""
    began = time.monotonic()
    with pytest.raises(LmmError) as failed:
        lmm.ask_now(PROMPT, Caption, **how)
    return failed.value, time.monotonic() - began


def test_a_closed_port_is_unreachable(server, client):
    server.refuse()

    error, _ = failure(client())

    assert type(error) is LmmUnreachable
    assert "Connection refused" in str(error)
    assert (error.calls, error.tokens) == (2, 0)


@pytest.mark.parametrize("until", [0, 30, 60, -10])
def test_a_dropped_request_is_sent_again(server, client, until):
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Length: 20\r\n\r\n" + b"x" * 20

    with socket.create_connection(("127.0.0.1", server.port)) as half:
        half.sendall(request[:until])
        half.shutdown(socket.SHUT_WR)
        answered = half.recv(1)

    assert answered == b""
    assert server.requests == []
    assert client().ask_now(PROMPT, Caption).value.caption == "A kettle boils."


def test_an_unknown_host_is_unreachable(client):
    error, _ = failure(client(url="http://no.such.host.invalid/v1", max_retries=0))

    assert type(error) is LmmUnreachable
    assert "http://no.such.host.invalid/v1" in str(error)


def test_a_silent_server_takes_no_longer_than_the_deadline(server, client):
    server.stall()

    error, took_s = failure(client(), deadline_s=0.9)

    assert type(error) is LmmTimedOut
    assert 0.8 < took_s < 2.5
    assert len(server.requests) == 1


@pytest.mark.slow
def test_without_a_deadline_a_silent_server_is_retried(server, client):
    server.stall()

    error, _ = failure(client(timeout_s=0.8))

    assert type(error) is LmmTimedOut
    assert len(server.requests) == 2


def test_the_deadline_holds_while_a_reply_arrives_slowly(server, client):
    server.trickle()

    error, took_s = failure(client(), deadline_s=1.0)

    assert type(error) is LmmTimedOut
    assert "waiting for the reply" in str(error)
    assert took_s < 2.5


def test_a_connection_reset_in_mid_reply_is_an_error(server, client):
    server.reset()

    error, _ = failure(client())

    assert type(error) is LmmUnreachable
    assert len(server.requests) == 2


def test_after_one_reset_the_second_attempt_succeeds(server, client):
    server.reset(times=1)

    reply = client().ask_now(PROMPT, Caption)

    assert reply.value.caption == "A kettle boils."
    assert (reply.usage.calls, reply.usage.retries) == (2, 1)


def test_a_server_killed_during_a_request_is_noticed_at_once(server, client):
    server.stall()
    lmm = client(max_retries=0)

    with ThreadPoolExecutor(1) as elsewhere:
        asking = elsewhere.submit(failure, lmm, deadline_s=30)
        while not server.requests:
            time.sleep(0.01)
        server.refuse()
        error, took_s = asking.result()

    assert type(error) is LmmUnreachable
    assert took_s < 5


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_temporary_failure_of_the_server_is_retried(server, client, status):
    server.answer_with(status, times=1)

    assert client().ask_now(PROMPT, Caption).usage.retries == 1


def test_a_lasting_failure_shows_the_reason_of_the_server(server, client):
    server.answer_with(503)

    error, _ = failure(client())

    assert isinstance(error, LmmOverloaded)
    assert error.status == 503
    assert "this server was told to answer 503" in str(error)
    assert len(server.requests) == 2


def test_a_retry_waits_as_long_as_the_server_requests(server, client):
    server.answer_with(429, retry_after="0.8", times=1)

    reply = client().ask_now(PROMPT, Caption, deadline_s=20)

    assert reply.usage.seconds >= 0.8
    assert reply.usage.retries == 1


@pytest.mark.parametrize(("retry_after", "deadline_s"), [("8", 4.0), ("3600", None)])
def test_no_retry_waits_beyond_the_deadline(server, client, retry_after, deadline_s):
    server.answer_with(429, retry_after=retry_after)

    error, took_s = failure(client(), deadline_s=deadline_s)

    assert isinstance(error, LmmOverloaded)
    assert error.retry_after_s == float(retry_after)
    assert took_s < 3
    assert len(server.requests) == 1


def test_retry_after_may_be_a_date(server, client):
    server.answer_with(429, retry_after=email.utils.formatdate(time.time() + 100, usegmt=True))

    error, _ = failure(client(), deadline_s=4.0)

    assert isinstance(error, LmmOverloaded)
    assert error.retry_after_s == pytest.approx(100, abs=4)


@pytest.mark.parametrize("status", [401, 403, 404, 409, 413])
def test_a_refused_request_is_not_sent_again(server, client, status):
    server.answer_with(status)

    error, _ = failure(client(max_retries=5))

    assert isinstance(error, LmmRefused)
    assert error.status == status
    assert f"this server was told to answer {status}" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_and_is_not_followed(server, client, status):
    lmm = client(max_retries=5)
    with LmmServer(GOOD) as target:
        server.redirect_to(f"{target.url}/chat/completions", status=status)

        error, _ = failure(lmm)

        assert target.connections == 0
    assert isinstance(error, LmmRedirected)
    assert (error.status, error.target) == (status, target.url)
    assert f"set lmm.url to {target.url}" in str(error)
    assert len(server.requests) == lmm.usage["question"].calls == 1


def test_a_redirect_of_the_list_of_models_is_not_followed(server, client):
    with LmmServer(GOOD) as target:
        server.redirect_to(f"{target.url}/models")

        with pytest.raises(LmmRedirected):
            client().describe_now()

        assert target.connections == 0


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("http://anna:s3cret@there/v1/chat/completions?token=s3cret#s3cret", "http://there/v1"),
        ("https://there/api/v1/chat/completions/", "https://there/api/v1"),
        ("//there/v1/chat/completions", "http://there/v1"),
        ("file:///etc/passwd", None),
        ("http://[there/", None),
        ("http://there/\x1b[2J/s3cret", None),
        ("http://there/" + "a" * 1000, None),
        ("", None),
    ],
)
def test_a_redirect_is_shown_without_secrets(server, client, location, target):
    server.redirect_to(location)

    error, _ = failure(client())

    assert isinstance(error, (LmmRedirected, LmmUnreachable))
    assert getattr(error, "target", None) == target
    assert "s3cret" not in "".join(traceback.format_exception(error))


def test_a_missing_model_is_reported_with_the_served_ones(server, client):
    error, _ = failure(client(model="qwen"))

    assert isinstance(error, LmmNotServed)
    assert error.served == ("loopback",)
    assert "'qwen' is not served" in str(error)


def test_a_wrong_root_is_distinguished_from_a_wrong_model(server, client):
    error, _ = failure(client(url=server.url.removesuffix("/v1")))

    assert isinstance(error, LmmRefused)
    assert "/v1" in str(error)


@pytest.mark.parametrize("reply", ["It is a kettle.", '{"caption": 3}', '{"caption": "A ket', ""])
def test_greedy_sampling_never_retries_a_reply_out_of_schema(server, client, reply):
    lmm = client()
    lmm.ask_now(PROMPT, Caption)  # the server keeps to schemas, so the next reply is the model's fault
    before = lmm.usage["question"].tokens
    server.says = reply

    error, _ = failure(lmm)

    assert isinstance(error, LmmReplyOutOfSchema)
    assert len(server.requests) == 2
    assert error.tokens == lmm.usage["question"].tokens - before > 0


def test_random_sampling_retries_a_reply_out_of_schema_once(server, client):
    replies = iter([GOOD, "It is a kettle.", GOOD, "It", "is"])
    server.says = lambda _: next(replies)
    lmm = client(temperature=0.8, max_retries=5)
    lmm.ask_now(PROMPT, Caption)

    assert lmm.ask_now(PROMPT, Caption).usage.calls == 2
    assert isinstance(failure(lmm)[0], LmmReplyOutOfSchema)
    assert len(server.requests) == 5


def test_a_cut_off_reply_names_the_setting_to_raise(server, client):
    error, _ = failure(client(), max_tokens=3)

    assert isinstance(error, LmmReplyOutOfSchema)
    assert error.cut_at_tokens == 3
    assert "cut off after 3 tokens" in str(error)
    assert "lmm.max_tokens" in str(error)


def test_an_incomplete_response_is_out_of_schema(server, client):
    server.truncate()

    error, _ = failure(client())

    assert isinstance(error, LmmReplyOutOfSchema)
    assert "no chat completion" in str(error)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        LmmServer.refuse,
        LmmServer.stall,
        LmmServer.trickle,
        LmmServer.reset,
        LmmServer.truncate,
        lambda server: server.answer_with(429),
        lambda server: server.answer_with(500),
        lambda server: setattr(server, "says", "nonsense"),
        lambda server: setattr(server, "model", "another"),
    ],
    ids=["refused", "silent", "slow", "reset", "truncated", "429", "500", "nonsense", "other model"],
)
def test_the_client_recovers_with_the_server(server, client, fault):
    lmm = client(max_retries=0, timeout_s=0.9)
    fault(server)
    failure(lmm)

    server.resume()
    server.says, server.model = GOOD, "loopback"

    assert lmm.ask_now(PROMPT, Caption).value.caption == "A kettle boils."


def test_a_key_that_the_server_repeats_is_masked(server, client):
    with LmmServer(GOOD, key="sk-right") as guarded:
        lmm = client(url=guarded.url, api_key=SecretStr("sk-s3cret"))
        error, _ = failure(lmm)

    assert isinstance(error, LmmRefused)
    assert "Incorrect API key provided: ***." in str(error)
    assert "s3cret" not in "".join(traceback.format_exception(error))
    assert "lmm.api_key" in str(error)


@pytest.mark.parametrize("write", [str, quote, quote_plus, json.dumps])
def test_a_key_is_masked_in_every_form_of_it(server, client, write):
    key = 'sk  s3cret/"+='
    server.answer_with(401, message=f"bad key {write(key)}")

    error, _ = failure(client(api_key=SecretStr(key)))

    assert "bad key" in str(error)
    assert "s3cret" not in "".join(traceback.format_exception(error))


def test_a_reason_of_the_server_has_no_control_characters(server, client):
    server.answer_with(400, message="no \x1b[2J\x9b \u202e")

    error, _ = failure(client())

    assert r"no \x1b[2J\x9b \u202e" in str(error)


def test_the_right_key_is_accepted(client):
    with LmmServer(GOOD, key="sk-right") as guarded:
        assert client(url=guarded.url, api_key=SecretStr("sk-right")).ask_now(PROMPT, Caption)


def test_a_key_meant_for_another_service_is_not_sent(server, client, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-s3cret")

    client().ask_now(PROMPT, Caption)

    assert "s3cret" not in str(server.requests[0].headers)


def test_the_names_of_another_services_account_are_not_sent(server, client, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-s3cret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-s3cret")

    client().ask_now(PROMPT, Caption)

    assert "s3cret" not in str(server.requests[0].headers)


@pytest.fixture
def proxy(monkeypatch):
    """A server that the environment names as the proxy of every scheme."""
    with LmmServer(GOOD) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy.port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "")
        yield proxy


def test_a_proxy_of_the_environment_is_not_used(server, client, proxy):
    assert client().ask_now(PROMPT, Caption)

    assert proxy.connections == 0
    assert len(server.requests) == 1


def test_a_setting_enables_the_proxy_of_the_environment(server, client, proxy):
    failure(client(environment_proxy=True, max_retries=0))

    assert proxy.connections >= 1
    assert server.requests == []


def test_certificates_that_the_environment_names_are_loaded(client, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))

    with pytest.raises(BadSettings, match="SSL_CERT_FILE"):
        client(url="https://127.0.0.1:9/v1").ask_now(PROMPT, Caption)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/v1?token=s3cret",
        "http://127.0.0.1:9/v1#s3cret",
        "http://127.0.0.1:9/key=s3cret/v1",
        "http://anna:s3cret@127.0.0.1:9/v1",
        "ftp://127.0.0.1/s3cret",
    ],
)
def test_secrets_in_an_address_are_refused_and_not_shown(url):
    """A path is appended to the address, so a query would be sent broken. The HTTP client logs addresses."""
    with pytest.raises(ValidationError) as refused:
        LmmSettings(url=url)

    assert "s3cret" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("key", ["s3cret\x00", "s3cret–"])
def test_a_wrong_key_is_refused_and_not_shown(key):
    with pytest.raises(ValidationError) as refused:
        LmmSettings(api_key=key)

    assert "s3cret" not in "".join(traceback.format_exception(refused.value))
