"""Phrase vocabulary of ``recollect-tiny``: phrases of the house and system texts as single tokens, bytes for the rest.

    vocabulary = phrase_vocabulary()
    vocabulary.tokenizer.tokenize("In the kitchen, the man in the red coat opens the fridge.")

Fixed phrases are single tokens. So prompts are short, and comparing two people means comparing two tokens. A system
text that changed after the training is read byte by byte, and the model does not understand it. ``knows_prompts``
checks for that.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...worlds.house.vocabulary_words import PEOPLE, ROOMS, THINGS
from .vocabulary import Vocabulary, learn_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SIZE = 2048
_READ = 240
"""Samples of each task from which the vocabulary is learnt."""


def system_texts() -> tuple[str, ...]:
    """The system text of each task, in the order of the tasks."""
    from .tasks import TASKS, make_sample  # noqa: PLC0415

    return tuple(make_sample(task, "words 0").prompt.system for task in TASKS)


def knows_prompts(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the vocabulary has every current system text as one token."""
    return all(len(tokenizer.encode(text)) == 1 for text in system_texts())


def kept_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of a checkpoint."""
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    return Vocabulary(PreTrainedTokenizerFast.from_pretrained(folder))


def phrase_vocabulary() -> Vocabulary:
    """Learn the vocabulary from training samples. The result is always the same."""
    return learn_vocabulary(_texts(), size=_SIZE, cut=_pattern(), whole=system_texts())


def _phrases() -> list[str]:
    places = [place for room in ROOMS for place in room.places]
    openers = [room.opens for room in ROOMS]
    phrases = [*map(str, PEOPLE), *map(str, THINGS), *(f"In {room}" for room in ROOMS), *map(str, ROOMS)]
    phrases += [f"{preposition} the {place}" for preposition in ("is on", "on", "from") for place in places]
    phrases += [f"{verb} the {name}" for verb in ("opens", "closes", "opened", "closed") for name in openers]
    phrases += [f"the {name} is open" for name in openers] + [f"the {name}" for name in openers]
    phrases += [
        "the sign says",
        "nobody is there",
        "comes in from the left",
        "comes in from the right",
        "comes in",
    ]
    phrases += ["leaves to the left", "leaves to the right", "walks to the left", "walks to the right"]
    phrases += ["is on the left", "is in the middle", "is on the right", "from the left", "from the right"]
    phrases += ["to the left", "to the right", "read in the picture", "Mostly", "with some"]
    return sorted(phrases, key=len, reverse=True)


def _pattern() -> str:
    """The pattern that splits text before tokens are learnt. No token crosses a split."""
    alternatives = [
        r'[\[{\]}",]*"[a-z_]+":[\["\]]*(?:null)?',  # from the end of a field of a reply to the next field's value
        rf" ?(?:{'|'.join(map(re.escape, _phrases()))})(?![a-z])",
        r'<data name="|">\n|\n</data>\n?',
        r'[MO]\d{1,2}(?=")',  # the name of a moment
        r"[A-Z](?![a-z])",  # a letter of a sign, or of an option
        r"–?\d{1,2}:(?=\d\d)|\d{2}|\.\d(?!\d)|\d",
        r'\.(?=")',
        r" ?[^\W\d_]+",
        r" ?[^\s\w]+",
        r"\s+",
    ]
    return "|".join(alternatives)


def _texts() -> list[str]:
    from ...perception.lmm import TextPart  # noqa: PLC0415
    from .tasks import TASKS, make_sample  # noqa: PLC0415

    samples = [make_sample(task, f"words {number}") for task in TASKS for number in range(_READ)]
    prompts = [part.text for sample in samples for part in sample.prompt.parts if isinstance(part, TextPart)]
    numbers = [f"At {number / 4:.2f} s:<{number / 10:.1f} seconds>" for number in range(100)]
    times = [f"0:{n:02}.{n % 10}–{n}:{n:02}.{n % 10}\n–{n}:00.0" for n in range(60)] * 20
    # Each name is repeated often enough to become one token.
    names = [f'{mark}{number}"' for mark in "MO" for number in range(1, 13)] * 50
    roles = [f"{role}\n" for role in ("system", "user", "assistant")] * 50
    phrases = [f'{before}{phrase}"' for phrase in _phrases() for before in ("", " ")] * 20
    return [*prompts, *(sample.said for sample in samples), *numbers, *times, *names, *roles, *phrases]
