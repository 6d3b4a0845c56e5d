"""The README and the pages in ``docs/``: every command parses, every block of Python runs."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

import recollect
from recollect.cli.main import COMMANDS, build_parser
from recollect.settings import read_settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = "\n".join([README, *(page.read_text(encoding="utf-8") for page in sorted(ROOT.glob("docs/*.md")))])


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """The commands in console blocks that run ``program``, as a shell would split them."""
    lines = [line for block in blocks("console") for line in block.splitlines()]
    lines += re.findall(rf"^\|.*`({program} .*?)` \|$", PAGES, re.MULTILINE)  # in tables
    split = [shlex.split(line, comments=True) for line in lines]
    return [argv for argv in split if argv and argv[0] == program]


def test_the_readme_shows_commands_and_python():
    assert len(commands("recollect")) >= 8
    assert blocks("python")


@pytest.mark.parametrize("argv", commands("recollect"), ids=" ".join)
def test_every_command_shown_parses(argv):
    arguments = build_parser().parse_args(argv[1:])

    assert callable(arguments.run)


def test_each_command_is_shown():
    shown = {argv[1] for argv in commands("recollect")}

    assert shown == set(COMMANDS)


@pytest.mark.parametrize("argv", commands("make"), ids=" ".join)
def test_every_make_command_shown_has_its_target(argv):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert re.search(rf"^{re.escape(argv[1])}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("block", blocks("python"))
def test_every_name_in_a_python_block_exists(block):
    tree = ast.parse(block)
    imported = [
        name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "recollect"
        for name in node.names
    ]
    used = {
        (node.value.id, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    fields = {
        "memory": set(dir(recollect.Recollect)),
        "answer": set(recollect.Answer.model_fields),
        "evidence": set(recollect.Evidence.model_fields) | {"span"},
    }

    assert set(imported) <= set(recollect.__all__)
    assert {(owner, name) for owner, name in used if owner in fields and name not in fields[owner]} == set()


def test_every_method_named_in_the_text_exists():
    methods = set(re.findall(r"`(?:await )?memory\.(\w+)\(", PAGES))

    assert methods
    assert methods <= set(dir(recollect.Recollect))


@pytest.mark.parametrize("block", blocks("toml"))
def test_every_settings_file_shown_is_valid(block, tmp_path, monkeypatch):
    (tmp_path / "shown.toml").write_text(block)
    monkeypatch.setenv("RECOLLECT_CONFIG", str(tmp_path / "shown.toml"))

    settings = read_settings()
    assert settings.lmm.url or settings.vision.model or settings.memory.disk_budget


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("python"))
def test_every_python_block_runs_on_the_video_of_the_demo(block, demo_video, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kitchen.mp4").symlink_to(demo_video)

    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})

    output = capsys.readouterr().out
    assert "CLOSED" in output or (output and block not in README)
