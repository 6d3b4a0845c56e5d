"""Import time: the modules that a fresh interpreter loads, and its output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import recollect

HEAVY = {
    "lancedb", "pyarrow", "av", "cv2", "numpy", "langgraph", "rapidocr", "onnxruntime", "rich", "PIL", "openai",
}  # fmt: skip
SHOW_LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"


def loaded_by(code: str, folder: Path) -> tuple[set[str], str]:
    """The modules that ``code`` loads beyond those of a bare start, and its output."""
    bare = run(SHOW_LOADED, folder).stderr
    process = run(f"{code}\n{SHOW_LOADED}", folder)
    *messages, modules = process.stderr.splitlines()
    assert not messages, f"it wrote to stderr: {messages}"
    return set(json.loads(modules)) - set(json.loads(bare)), process.stdout


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )


def foreign(modules: set[str]) -> set[str]:
    """The packages among ``modules`` outside Recollect and the standard library."""
    names = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"recollect"}
    return {name for name in names if not name.startswith("__editable__")}


def test_importing_recollect_is_silent_and_loads_light_modules(tmp_path: Path) -> None:
    modules, printed = loaded_by("import recollect", tmp_path)

    assert printed == ""
    assert foreign(modules) == set()
    assert {module for module in modules if module.partition(".")[0] == "recollect"} == {
        "recollect",
        "recollect.agent",
        "recollect.agent.errors",
        "recollect.argument_checks",
        "recollect.client",
        "recollect.common",
        "recollect.common.errors",
        "recollect.common.file_names",
        "recollect.common.finding_kinds",
        "recollect.common.terminal",
        "recollect.common.text",
        "recollect.memory",
        "recollect.memory.errors",
        "recollect.memory.values",
        "recollect.memory.watch_rate",
        "recollect.perception",
        "recollect.perception.errors",
        "recollect.resources",
        "recollect.stream_activity",
        "recollect.stream_status",
        "recollect.writing",
    }
    assert list(tmp_path.iterdir()) == []


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(recollect, name) is not None for name in recollect.__all__)


def test_asking_the_command_for_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import runpy, sys\n"
        "sys.argv = ['recollect', '--help']\n"
        "try: runpy.run_module('recollect.cli.main', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code"
    )

    modules, printed = loaded_by(code, tmp_path)

    assert printed.startswith("usage: recollect")
    assert foreign(modules) & HEAVY == set()


def test_an_lmm_client_loads_nothing_heavy_before_a_request(tmp_path: Path) -> None:
    code = (
        "from recollect.perception.lmm import ServedLmm\n"
        "from recollect.settings import read_settings\n"
        "ServedLmm(read_settings(lmm={'url': 'http://127.0.0.1:1/v1'}).lmm).close()"
    )

    modules, printed = loaded_by(code, tmp_path)

    assert printed == ""
    assert foreign(modules) & HEAVY == set()
