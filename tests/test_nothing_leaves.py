"""Network privacy: only configured servers are contacted, with any tracing or telemetry variables set."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from recollect.testing.faulty_server import FaultyServer
from recollect.testing.lmm_server import LmmServer, RecordedRequest

BOOTSTRAP = Path(__file__).with_name("nothing_leaves.py")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
NO_TELEMETRY = {
    "ORT_DISABLE_TELEMETRY",
    "CI",
    "TF_BUILD",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "CIRCLECI",
    "TRAVIS",
}
NO_TELEMETRY |= {"JENKINS_URL", "CODEBUILD_BUILD_ID", "BUILDKITE", "TEAMCITY_VERSION", "APPVEYOR"}
"""Variables that turn the telemetry of ONNX Runtime off."""
SENT_TO = re.compile(r"sa_family=AF_INET6?, sin6?_port=htons\((\d+)\).*?\"([0-9a-f.:]+)\"")
TRACE = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg"]


class Sink(FaultyServer):
    """Accepts every connection, as proxy and as server, and keeps the first bytes of each."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        super().__init__()

    def _serve(self, client: socket.socket) -> None:
        self.received.append(client.recv(65536))
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")


def smallest_reply(request: RecordedRequest) -> str:
    """The smallest reply that fits the requested schema."""
    schema = request.body["response_format"]["json_schema"]["schema"]

    def smallest(kind: dict) -> object:
        if "$ref" in kind:
            return smallest(schema["$defs"][kind["$ref"].rpartition("/")[2]])
        if "anyOf" in kind:
            return smallest(kind["anyOf"][-1])
        if "enum" in kind:
            return kind["enum"][0]
        if kind.get("type") == "object":
            return {name: smallest(inner) for name, inner in kind.get("properties", {}).items()}
        return {"string": "a square", "array": [], "boolean": True, "null": None}.get(kind.get("type", ""), 0)

    return json.dumps(smallest(schema))


@cache
def strace_works() -> bool:
    """Whether strace can trace a process on this machine."""
    command = [*TRACE, sys.executable, "-c", ""]
    return (
        shutil.which("strace") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


class Outcome(NamedTuple):
    """The output of a command and the addresses it contacted."""

    output: str
    contacts: set[tuple[str, int]]
    """Hosts and ports of every connection and datagram."""
    lookups: list[str]
    """Host names that it looked up."""


Run = Callable[..., Outcome]

ASK_REPEATEDLY = """
import asyncio, threading
from recollect import Recollect

QUESTION = "When does a square move?"


async def ask_together(memory):
    await asyncio.gather(memory.aask(QUESTION), memory.aask(QUESTION))


with Recollect() as memory:
    memory.ask(QUESTION)
    memory.ask(QUESTION)
    thread = threading.Thread(target=memory.ask, args=(QUESTION,))
    thread.start()
    thread.join()
    asyncio.run(ask_together(memory))
"""


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def server() -> Iterator[LmmServer]:
    with LmmServer(smallest_reply) as server:
        yield server


@pytest.fixture
def run(sink: Sink, tmp_path: Path) -> Run:
    """Runs ``recollect`` in a shell that is set up for LangSmith and OpenAI, with the sink as its proxy."""

    def running(*argv: str, **settings: str) -> Outcome:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in NO_TELEMETRY and not name.startswith(("RECOLLECT_", "LANG", "OPENAI_"))
        }
        url = f"http://127.0.0.1:{sink.port}"
        environment = {
            **kept,
            **dict.fromkeys(PROXIES, url),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
            **dict.fromkeys(("HOME", "XDG_CACHE_HOME", "TMPDIR"), str(home)),
            **dict.fromkeys(("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2"), "true"),
            **dict.fromkeys(("LANGCHAIN_TRACING", "LANGSMITH_OTEL_ENABLED"), "true"),
            **dict.fromkeys(("LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT", "OPENAI_BASE_URL"), url),
            **dict.fromkeys(("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY", "OPENAI_API_KEY"), "s3cret"),
            **dict.fromkeys(("OPENAI_ORG_ID", "OPENAI_PROJECT_ID"), "s3cret"),
            **settings,
        }
        notes, traced = tmp_path / "notes", tmp_path / "traced"
        tracer = [*TRACE, "-o", str(traced)] if strace_works() else []
        process = subprocess.run(
            [*tracer, sys.executable, "-P", BOOTSTRAP, notes, *argv],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert process.returncode == 0, process.stdout + process.stderr
        records = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
        contacts = {(host, port) for kind, host, *ports in records if kind == "connect" for port in ports}
        if traced.exists():
            contacts |= {(match[2], int(match[1])) for match in SENT_TO.finditer(traced.read_text())}
        return Outcome(process.stdout, contacts, [host for kind, host, *_ in records if kind == "lookup"])

    return running


def telemetry_files(folder: Path) -> list[Path]:
    """The files in which ONNX Runtime keeps the machine's id and its unsent events."""
    return [path for path in folder.rglob("*") if "onnxruntime" in path.name.lower()]


@pytest.mark.slow
@pytest.mark.parametrize("with_lmm", [False, True], ids=["without an LMM", "with an LMM"])
def test_watch_ask_and_doctor_contact_configured_servers_only(
    run: Run, sink: Sink, server: LmmServer, tmp_path: Path, short_video: Path, with_lmm: bool
) -> None:
    settings = {"RECOLLECT_LMM__URL": server.url} if with_lmm else {}
    configured = {("127.0.0.1", server.port)} if with_lmm else set()

    outcomes = [
        run("watch", str(short_video), **settings),
        run("ask", "When does a square move?", "--json", **settings),
        run("doctor", **settings),
    ]

    assert sink.received == []
    assert [outcome.contacts - configured for outcome in outcomes] == [set()] * 3
    assert [outcome.lookups for outcome in outcomes] == [[]] * 3
    assert telemetry_files(tmp_path) == []
    assert bool(server.requests) == with_lmm
    assert "s3cret" not in str([request.headers for request in server.requests])


@pytest.mark.slow
def test_an_evaluation_contacts_no_server(run: Run, sink: Sink, tmp_path: Path) -> None:
    outcome = run("eval", "world", "--minutes", "0.5", "--videos", "1", "--questions", "2", "--no-twins")

    assert sink.received == []
    assert (outcome.contacts, outcome.lookups) == (set(), [])
    assert telemetry_files(tmp_path) == []


@pytest.mark.slow
def test_traces_are_sent_if_a_setting_allows_it(run: Run, sink: Sink, short_video: Path) -> None:
    """Proves that the sink and the recorder notice requests."""
    run("watch", str(short_video))

    outcome = run("ask", "When does a square move?", RECOLLECT_AGENT__TRACING="true")

    assert ("127.0.0.1", sink.port) in outcome.contacts
    assert any(b"/runs" in request for request in sink.received)


@pytest.mark.slow
def test_no_later_question_of_a_process_is_traced(run: Run, sink: Sink, short_video: Path) -> None:
    """The compiled graph is shared by all questions, threads and event loops."""
    run("watch", str(short_video))

    done = run("-c", ASK_REPEATEDLY)

    assert sink.received == []
    assert (done.contacts, done.lookups) == (set(), [])


@pytest.mark.slow
def test_native_code_is_recorded_too(tmp_path: Path) -> None:
    if not strace_works():
        pytest.skip("strace is not installed, or processes may not be traced here")
    code = "import ctypes, socket\ns = socket.socket()\nlibc = ctypes.CDLL(None)\n"
    code += (
        "libc.connect(s.fileno(), (2).to_bytes(2, 'little') + bytes([0, 9, 127, 0, 0, 1]) + bytes(8), 16)\n"
    )

    subprocess.run([*TRACE, "-o", tmp_path / "traced", sys.executable, "-c", code], check=True)

    match = SENT_TO.search((tmp_path / "traced").read_text())
    assert match is not None
    assert match.groups() == ("9", "127.0.0.1")
