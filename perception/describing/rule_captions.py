"""Rule-made captions: composes a moment's caption from the findings of the observers.

"A tall grey shape enters from the left and stays in the middle. Text: “EXIT”. Mostly grey, bright."
A caption states only findings. Text that was read is quoted, so that it cannot be mistaken for a statement
of Recollect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...common.finding_kinds import FindingKind
from ...common.kind_registry import kind_of
from ...common.text import shortened
from ...memory.values import Finding
from ...memory.watch_rate import WatchRate

MAX_ACTIONS = 4
MAX_TEXTS = 6
MAX_QUOTE_CHARS = 80
QUIET_SHARE = 0.9
"""The least share of a moment that must be quiet before its caption says that nothing moves."""


def compose_caption(findings: Sequence[Finding], rate: WatchRate | None = None) -> str:
    """One to four short sentences for a moment. ``rate`` is the reduced rate at which it was watched."""
    kinds = [(kind_of(finding.kind, finding.field), finding) for finding in findings]
    actions = _most_important_actions(kinds)
    sentences = []
    if actions:
        sentences.append(_sentence("; ".join(dict.fromkeys(action.text for action in actions))))
    sentences += _counts(kinds)
    for field, label in (("speech", "Said"), ("visible_text", "Text")):
        sentences += _quotation(label, [finding.text for finding in findings if finding.field == field])
    if not actions:
        sentences += _quiet(kinds)
    sentences += _appearance(kinds)
    if not sentences:
        is_thin = rate is not None and not rate.shows_movement
        return "Too few pictures were seen to tell what happens." if is_thin else "Nothing of note is seen."
    return " ".join(sentences)


_Kinds = Sequence[tuple[FindingKind, Finding]]
"""Findings, each with the declaration of its kind."""


def _most_important_actions(kinds: _Kinds) -> list[Finding]:
    """The actions that the caption has room for, in time order."""
    ranked = sorted(
        ((kind.caption_rank, finding) for kind, finding in kinds if kind.caption_style == "told"),
        key=lambda item: (item[0], item[1].span.start_s),
    )
    return sorted((finding for _, finding in ranked[:MAX_ACTIONS]), key=lambda finding: finding.span)


def _counts(kinds: _Kinds) -> list[str]:
    """A sentence with the number of findings for each counted kind."""
    numbers = Counter(kind for kind, _ in kinds if kind.caption_style == "counted")
    return [
        kind.caption_sentences[number != 1].format(count=number)
        for kind, number in sorted(numbers.items(), key=lambda item: item[0].caption_rank)
    ]


def _quiet(kinds: _Kinds) -> list[str]:
    """The sentence that nothing happens, where that is true of nearly the whole moment."""
    quiet: dict[FindingKind, float] = {}
    for kind, finding in kinds:
        if kind.caption_style == "if_quiet":
            quiet[kind] = quiet.get(kind, 0.0) + finding.span.duration_s
    if not quiet:
        return []
    length_s = max(finding.span.end_s for _, finding in kinds) - min(
        finding.span.start_s for _, finding in kinds
    )
    return [kind.caption_sentences[0] for kind, quiet_s in quiet.items() if quiet_s >= QUIET_SHARE * length_s]


def _appearance(kinds: _Kinds) -> list[str]:
    """The sentence about colours and brightness. An empty list without such findings."""
    ranked = sorted(
        ((kind.caption_rank, finding.text) for kind, finding in kinds if kind.caption_style == "appearance"),
        key=lambda item: item[0],
    )
    texts = dict.fromkeys(text for _, text in ranked)
    return [_sentence(", ".join(texts))] if texts else []


def _quotation(label: str, texts: Sequence[str]) -> list[str]:
    """The sentence that quotes the distinct texts. An empty list without texts."""
    quotes = list(dict.fromkeys(f"“{_quotable(text)}”" for text in texts))
    if not quotes:
        return []
    more = f" and {len(quotes) - MAX_TEXTS} more" if len(quotes) > MAX_TEXTS else ""
    return [f"{label}: {', '.join(quotes[:MAX_TEXTS])}{more}."]


def _quotable(text: str) -> str:
    # On one line, and without the quotation marks that would end the quotation.
    return shortened(text.replace("“", '"').replace("”", '"'), MAX_QUOTE_CHARS)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
