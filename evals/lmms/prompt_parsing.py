r"""Reads a benchmark's prompt: the question, its options, and whether a letter, yes or no, or words are wanted.

    asked = read_prompt("What is red?\nA. The car.\nB. The hat.\nAnswer with the option's letter.")
    asked.question, asked.options, asked.kind      # "What is red?", ("The car.", "The hat."), "choice"

Prompts say in many ways in which form an answer is wanted. The agent has its own: what is about the form alone is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase

from ..records import Kind
from ..suites.annotation_files import strip_letters

_FORM = re.compile(
    r"""(?: ^[ \t]* | (?<=[^\s("']) | (?<=[?!:]\ ) | (?<=[a-z)]\.\ ) )
      (?: Please\ (?:directly|answer|respond|select|choose|provide|give|only)\b
      | (?:Select|Choose)\ (?:the|one)\ (?:best\ |correct\ |right\ |most\ \w+\ )?(?:answer|option|choice|letter)\b
      | (?:Respond|Reply|Answer)\ (?:only\ |directly\ )?(?:with|the\ question|this\ question|using|in|a\ question|yes)\b
      | Only\ (?:give|answer|respond|output)\b | Do\ not\ include\ any\b
      | Best\ [oO]ption: | The\ (?:best|correct)\ answer\ is | (?:Your\ a|A)nswer:
      ) [^\n]*""",
    re.VERBOSE | re.MULTILINE,
)
"""About the form of the answer, to the end of its line; where a sentence begins, as "What did he answer with?" is a
question, and often glued to what stands before; but not where an option begins."""
_YES_NO = re.compile(r"[Aa]nswer[^\n]*\b[Yy]es\W{1,2}or\W{1,2}[Nn]o\b")
_HEADING = re.compile(r"^(?:Question|Options|Choices|Candidates)\s*:\s*", re.IGNORECASE)
_AT_START = r"^[ \t]*\(?{letter}[.):]\s*(?=\S)"
_INSIDE = r"(?:^|(?<=[\s;,?]))\(?{letter}[.):]\s+(?=\S)"


@dataclass(frozen=True, slots=True)
class ParsedPrompt:
    """What a prompt asks."""

    question: str
    options: tuple[str, ...]
    """Without their letters; empty where there is nothing to choose from."""
    kind: Kind


def read_prompt(prompt: str) -> ParsedPrompt:
    """What is asked, in which form."""
    for text in (_FORM.sub("\n", prompt), prompt):
        asked = _read(text)
        # Where nothing is left, what looked like the form was the question: "Choose the best option to call it."
        if asked.question:
            break
    if not asked.options and _YES_NO.search(prompt):
        return replace(asked, kind="yes_no")
    return asked


def _read(text: str) -> ParsedPrompt:
    marks = _marks(text, _AT_START) or _marks(text, _INSIDE)
    if not marks:
        return ParsedPrompt(_plain(text), (), "text")
    ends = [*marks[1:], _end_of_last(text, marks[-1])]
    options = [text[mark:end].strip(" \t\n;,") for mark, end in zip(marks, ends, strict=True)]
    # Some prompts put the question after the options.
    question = _plain(text[: marks[0]] + "\n" + text[ends[-1] :])
    return ParsedPrompt(question, strip_letters(options), "choice")


def _marks(text: str, pattern: str) -> list[int]:
    """Where A, B, C, … stand before options: the longest such row, and of several the last; empty where there is none."""
    best: list[int] = []
    for first in _places(text, pattern, "A"):
        row = [first]
        for letter in ascii_uppercase[1:]:
            following = next((at for at in _places(text, pattern, letter) if at > row[-1]), None)
            if following is None:
                break
            row.append(following)
        if len(row) > 1 and len(row) >= len(best):
            best = row
    return best


def _places(text: str, pattern: str, letter: str) -> Sequence[int]:
    return [found.start() for found in re.finditer(pattern.format(letter=letter), text, re.MULTILINE)]


def _end_of_last(text: str, mark: int) -> int:
    """An option that is the last ends with its line."""
    end = text.find("\n", mark)
    return len(text) if end < 0 else end


def _plain(text: str) -> str:
    """Without headings and empty lines, in one line."""
    lines = (_HEADING.sub("", line.strip()) for line in text.splitlines())
    return " ".join(line for line in lines if line)
