r"""Finding kinds: what an observer can report, declared once for every table that needs to know it.

    BELL = FindingKind(
        "bell_rings",
        field="action",
        nouns=("ring of the bell", "rings of the bell"),
        asked_by=(QuestionCue(r"\b(door)?bells?\b"),),
        reliability=0.8,
        importance=0.4,
    )

A declaration says how questions ask for the kind, how far it can be trusted, how important it is, and how it is
counted and phrased. Captions, summaries, event boundaries, the question parser, counts and answers all read it from
the registry (``kind_registry``). A kind that nobody declared is still stored, summarised and listed: the defaults of
this class apply to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

FindingField = Literal["actor", "action", "object", "place", "visible_text", "speech", "attribute"]
"""What of an observation a finding fills. Text that was read or heard never mixes with the rest."""

CaptionStyle = Literal["told", "counted", "if_quiet", "appearance", "omitted"]
"""How a moment's caption uses a kind: its text among the actions, a sentence with the number of findings, a sentence
where no action is told, its text among how the picture looks, or not at all."""

KindTrait = Literal[
    "moving_shape",
    "presence",
    "done_by_presence",
    "readable",
    "shot_change",
    "constant",
    "no_activity",
    "same_when_repeated",
    "counted_over_all",
    "colour_shares",
]
"""A fact about a kind that changes how it is handled:

- ``moving_shape``: its findings are of somebody or something that moves about,
- ``presence``: it says that somebody is there for a while,
- ``done_by_presence``: somebody who is there at the time may have done it,
- ``readable``: its text or detail holds the very words that were read or heard,
- ``shot_change``: one shot becomes another by it, and nobody in the picture does it,
- ``constant``: every moment has it, whatever happens,
- ``no_activity``: it does not show that something goes on at its time, though it is an action,
- ``same_when_repeated``: two findings of it are the same whatever their texts are,
- ``counted_over_all``: a count of it is about the whole time that was watched,
- ``colour_shares``: its detail holds the share of the picture that each colour has.
"""

GeneralQuestion = Literal["people", "text", "appearance"]
"""What a question asks for in general: who was there, which text was there, when something came into the picture."""

DEFAULT_RELIABILITY = 0.6
LAST_RANK = 1000


@dataclass(frozen=True, slots=True)
class QuestionCue:
    """A phrase by which questions ask for a kind."""

    pattern: str
    """A regular expression, matched anywhere in the question in lower case."""
    also: tuple[str, ...] = ()
    """Other kinds that the phrase may mean too."""


@dataclass(frozen=True, slots=True)
class FindingKind:
    """One kind of finding, with all that memory, captions, questions and answers need to know of it.

    Raises:
        ValueError: A pattern or a number is not usable.
    """

    name: str
    """What ``Finding.kind`` holds: lower case letters, digits and underscores."""
    field: FindingField
    """What ``Finding.field`` holds."""

    nouns: tuple[str, str] | None = None
    """One of it and many of it, in summaries: ``("arrival", "arrivals")``. Without nouns, a summary counts it under
    its name if it is an action, and does not mention it otherwise."""
    answer_nouns: tuple[str, str] | None = None
    """The same in answers; by default ``nouns``, or else the quoted name."""
    summary_rank: int = LAST_RANK
    """Lower ranks are counted first in a summary; equal ones by name."""

    asked_by: tuple[QuestionCue, ...] = ()
    supersedes: tuple[str, ...] = ()
    """Kinds that a question does not mean where it asks for this one: a zoom out is no zoom in."""
    combines: tuple[str, ...] = ()
    """Where a question asks for all of these, it means this kind instead."""
    default_for: tuple[GeneralQuestion, ...] = ()
    """General questions that this kind answers."""
    search_text: str = ""
    """What observers write of it, with ``{}`` where a colour may stand; searched for beside the question's words."""
    reliability: float = DEFAULT_RELIABILITY
    """How far one finding of it can be trusted, 0 to 1."""

    importance: float | None = None
    """How much one finding means that something happened, 0 to 1: what is described first by a video LMM. By default
    0.2 for speech, 0.1 for visible text and 0 otherwise."""
    activity_from: float | None = None
    """Something goes on where ``detail["value"]`` reaches this."""
    traits: tuple[KindTrait, ...] = ()

    caption: CaptionStyle | None = None
    """By default ``told`` for an action and ``omitted`` otherwise. Text and speech are quoted for their field."""
    caption_rank: int = LAST_RANK
    """Lower ranks are told first, where a caption has no room for all."""
    caption_sentences: tuple[str, ...] = ()
    """For ``counted``, the sentence for one and for ``{count}``; for ``if_quiet``, the sentence."""

    def __post_init__(self) -> None:
        if self.field not in get_args(FindingField):
            raise ValueError(
                f"finding kind {self.name!r}: unknown field {self.field!r}; use one of {get_args(FindingField)}"
            )
        if unknown := set(self.traits) - set(get_args(KindTrait)):
            raise ValueError(f"finding kind {self.name!r}: unknown traits {sorted(unknown)}")
        for name, share in (("reliability", self.reliability), ("importance", self.importance)):
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"finding kind {self.name!r}: {name} is {share}, which is not from 0 to 1")
        needed = {"counted": 2, "if_quiet": 1}.get(self.caption or "", 0)
        if len(self.caption_sentences) != needed:
            raise ValueError(
                f"finding kind {self.name!r}: caption {self.caption!r} needs {needed} caption "
                f"sentence{'' if needed == 1 else 's'}, not {len(self.caption_sentences)}"
            )
        for cue in self.asked_by:
            try:
                re.compile(cue.pattern)
            except re.error as error:
                raise ValueError(
                    f"finding kind {self.name!r}: the pattern {cue.pattern!r} is no regular expression: {error}"
                ) from error

    def has(self, trait: KindTrait) -> bool:
        """Whether the kind has a trait."""
        return trait in self.traits

    @property
    def description_importance(self) -> float:
        """How important it is, with the default of its field."""
        defaults = {"speech": 0.2, "visible_text": 0.1}
        return defaults.get(self.field, 0.0) if self.importance is None else self.importance

    @property
    def label(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def caption_style(self) -> CaptionStyle:
        """How captions use it, with the default of its field."""
        return self.caption or ("told" if self.field == "action" else "omitted")

    def summary_count(self, count: int) -> str:
        """A count as summaries have it: ``3 arrivals``."""
        return f"{count} × {self.label}" if self.nouns is None else f"{count} {self.nouns[count != 1]}"

    def answer_count(self, count: int) -> str:
        """A count as answers have it."""
        nouns = self.answer_nouns or self.nouns or (f"“{self.name}”", f"“{self.name}”")
        return f"{count} {nouns[count != 1]}"
