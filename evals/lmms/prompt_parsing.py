r"""Prompt parsing: the question, the options and the kind of answer in a benchmark's prompt.

    >>> parsed = parse_prompt("What is red?\nA. The car.\nB. The hat.\nAnswer with the option's letter.")
    >>> parsed.question, parsed.options, parsed.kind
    ('What is red?', ('The car.', 'The hat.'), 'choice')

Prompts describe the form of the answer in many ways. The agent has its own instructions, so these parts are removed.
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
"""An instruction about the form of the answer, up to the end of its line. It must begin a sentence, because "What did he
answer with?" is a question. There may be no space before it. It does not match at the start of an option."""
_YES_NO = re.compile(r"[Aa]nswer[^\n]*\b[Yy]es\W{1,2}or\W{1,2}[Nn]o\b")
_HEADING = re.compile(r"^(?:Question|Options|Choices|Candidates)\s*:\s*", re.IGNORECASE)
_AT_START = r"^[ \t]*\(?{letter}[.):]\s*(?=\S)"
_INSIDE = r"(?:^|(?<=[\s;,?]))\(?{letter}[.):]\s+(?=\S)"


@dataclass(frozen=True, slots=True)
class ParsedPrompt:
    """The content of a prompt."""

    question: str
    options: tuple[str, ...]
    """The options without their letters. Empty if there are none."""
    kind: Kind


def parse_prompt(prompt: str) -> ParsedPrompt:
    """Parse a prompt."""
    for text in (_FORM.sub("\n", prompt), prompt):
        parsed = _parse_text(text)
        # If no question remains, the supposed instruction was the question: "Choose the best option to call it."
        if parsed.question:
            break
    if not parsed.options and _YES_NO.search(prompt):
        return replace(parsed, kind="yes_no")
    return parsed


def _parse_text(text: str) -> ParsedPrompt:
    marks = _marks(text, _AT_START) or _marks(text, _INSIDE)
    if not marks:
        return ParsedPrompt(_one_line(text), (), "text")
    ends = [*marks[1:], _end_of_last(text, marks[-1])]
    options = [text[mark:end].strip(" \t\n;,") for mark, end in zip(marks, ends, strict=True)]
    # Some prompts have the question after the options.
    question = _one_line(text[: marks[0]] + "\n" + text[ends[-1] :])
    return ParsedPrompt(question, strip_letters(options), "choice")


def _marks(text: str, pattern: str) -> list[int]:
    """The positions of the letters A, B, C, … before options: the longest such sequence, and of equal ones the last."""
    best: list[int] = []
    for first in _letter_starts(text, pattern, "A"):
        row = [first]
        for letter in ascii_uppercase[1:]:
            following = next(
                (start for start in _letter_starts(text, pattern, letter) if start > row[-1]), None
            )
            if following is None:
                break
            row.append(following)
        if len(row) > 1 and len(row) >= len(best):
            best = row
    return best


def _letter_starts(text: str, pattern: str, letter: str) -> Sequence[int]:
    return [match.start() for match in re.finditer(pattern.format(letter=letter), text, re.MULTILINE)]


def _end_of_last(text: str, mark: int) -> int:
    """The end of the last option, which is the end of its line."""
    end = text.find("\n", mark)
    return len(text) if end < 0 else end


def _one_line(text: str) -> str:
    """The text in one line, without headings and empty lines."""
    lines = (_HEADING.sub("", line.strip()) for line in text.splitlines())
    return " ".join(line for line in lines if line)
