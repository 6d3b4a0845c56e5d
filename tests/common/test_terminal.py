"""Terminal escaping of untrusted text, and a check that all output passes through it."""

from __future__ import annotations

import ast
import io
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from recollect.cli.rich_output import SafeColumn, print_above, progress_bar
from recollect.common.terminal import json_text, print_block, print_line, safe_text

ROOT = Path(__file__).parents[2]
PRINTERS = {ROOT / "common" / "terminal.py", ROOT / "cli" / "rich_output.py"}
CONTROLS = (
    *map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)),
    *"\xad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e",
    *"\u2060\u2066\u2067\u2068\u2069\u3164\ufeff\ud800\udcff\udfff", *map(chr, range(0xE0000, 0xE0080)),
)  # fmt: skip
HOSTILE = st.text(
    st.one_of(st.characters(), st.characters(categories=["Cs", "Cc", "Cf"]), st.sampled_from("a\u200dم\\x"))
)
VISIBLE_FORMATS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
"""Characters of the category Cf that have a shape, such as the Arabic number sign."""


def acts_on_a_terminal(character: str) -> bool:
    if character in "\u200c\u200d":  # emoji and Indic scripts need these joiners, which another test covers
        return False
    if ord(character) in VISIBLE_FORMATS or 0x13430 <= ord(character) <= 0x1343F:
        return False
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(HOSTILE)
def test_safe_text_has_no_control_characters(text: str) -> None:
    safe = safe_text(text)

    assert not [character for character in safe if character in CONTROLS or acts_on_a_terminal(character)]
    safe.encode("utf-8")


@given(HOSTILE)
@example("م\u200d\x1b\u200cم")
def test_escaping_twice_changes_nothing_more(text: str) -> None:
    assert safe_text(safe_text(text)) == safe_text(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_plain_text_is_unchanged(text: str) -> None:
    plain = text.translate(dict.fromkeys((0x115F, 0x1160, 0x3164, 0xFFA0)))  # letters without a shape

    assert safe_text(plain) == plain


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("\x1b]0;pwned\x07", r"\x1b]0;pwned\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("exe.\u202egpj", r"exe.\u202egpj"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("b\udcff.mp4", r"b\udcff.mp4"),
        ("\U000e0041", r"\U000e0041"),
        ("pay\u200dpal", r"pay\u200dpal"),
        ("👩\u200d🍳", "👩\u200d🍳"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a[bold red]x.mp4", "a[bold red]x.mp4"),
        (r"already \x1b", r"already \x1b"),
    ],
)
def test_escapes_are_those_of_python(text: str, safe: str) -> None:
    assert safe_text(text) == safe


def test_a_caller_may_keep_newlines() -> None:
    assert safe_text("a\nb\x07", keep="\n") == "a\nb\\x07"


@given(HOSTILE, st.sampled_from(["utf-8", "ascii", "cp1252"]))
def test_json_comes_back_whole_and_is_safe(text: str, encoding: str) -> None:
    written = json_text({"stream": text}, encoding=encoding)

    assert json.loads(written.encode(encoding).decode(encoding)) == json.loads(json.dumps({"stream": text}))
    assert not [character for character in written if acts_on_a_terminal(character) and character != "\n"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_no_output_encoding_makes_printing_fail(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="\n")

    print_line("0:01–0:02 … 1.5× → 猫 😀\x1b\udcff", file=stream, flush=True)

    written = raw.getvalue().decode(encoding)
    assert written.endswith("\\x1b\\udcff\n")
    assert "\x1b" not in written


def test_ascii_output_spells_our_typography_readably() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="\n")

    print_block("0:01–0:02\n1.5× → …", file=stream, flush=True)

    assert raw.getvalue() == b"0:01-0:02\n1.5x -> ...\n"


def test_a_newline_in_a_name_starts_no_line(capsys) -> None:
    print_line("door\nrecollect: all is well")

    assert capsys.readouterr().out == "door\\nrecollect: all is well\n"


def test_a_progress_bar_shows_markup_and_controls_literally() -> None:
    drawn = io.StringIO()
    console = Console(file=drawn, width=120)
    bar = progress_bar(SafeColumn("{task.description}"), quiet=True)
    bar.add_task("a[bold red]x\x1b]0;pwned\x07\x9b31m\u202e.mp4")

    console.print(bar)
    print_above(console, "[bold red]camera\x1b[2J")

    assert r"a[bold red]x\x1b]0;pwned\x07\x9b31m\u202e.mp4" in drawn.getvalue()
    assert r"[bold red]camera\x1b[2J" in drawn.getvalue()


def modules() -> Iterator[Path]:
    outside = {"tests", "benchmarks", "build", "docs", "examples", "scripts"}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts
        if path not in PRINTERS and parts[0] not in outside and not parts[0].startswith("."):
            yield path


def test_only_two_modules_write_to_the_terminal() -> None:
    writes = [
        f"{path.relative_to(ROOT)}, line {line}"
        for path in modules()
        for line in terminal_writes(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert not writes, f"use print_line, print_block or print_json of recollect.common.terminal: {writes}"


def terminal_writes(module: ast.Module) -> Iterator[int]:
    """Lines that call print, a method called print, or write of a standard stream, or that import rich."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            writes = called.startswith(("sys.stdout.write", "sys.stderr.write"))
            if called == "print" or called.endswith(".print") or writes:
                yield node.lineno
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
            if any((name or "").split(".")[0] == "rich" for name in names) and not getattr(node, "level", 0):
                yield node.lineno


def test_the_search_for_prints_reports_each_kind() -> None:
    module = ast.parse("import sys\nfrom rich import x\nprint(1)\nc.print(2)\nsys.stderr.write('')\n")

    assert list(terminal_writes(module)) == [2, 3, 4, 5]
