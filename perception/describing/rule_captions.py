"""Composes a moment's caption from what the observers found, in plain words.

"A tall grey shape enters from the left and stays in the middle. Text: “EXIT”. Mostly grey, bright."
Nothing is said that no observer found. Text that was read is quoted, so that it cannot be mistaken
for what Recollect says itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...memory.values import Finding

MAX_ACTIONS = 4
MAX_TEXTS = 6
MAX_QUOTE_CHARS = 80
_ACTION_ORDER = (
    "removed", "placed", "enters", "leaves", "visit", "typed", "dissolve", "fade", "camera_zoom_in", "camera_zoom_out",
    "camera_pan", "moves", "stays", "camera_shake", "cut",
)  # fmt: skip
"""What is told first when there is more than fits."""


def compose_caption(findings: Sequence[Finding]) -> str:
    """One to four short sentences for a moment."""
    sentences = []
    actions = [f for f in findings if f.field == "action" and f.kind != "cut"]
    told = sorted(actions, key=_importance)[:MAX_ACTIONS]
    told.sort(key=lambda finding: finding.span)
    if told:
        sentences.append(_sentence("; ".join(dict.fromkeys(f.text for f in told))))
    faces = sum(1 for f in findings if f.kind == "face")
    if faces:
        sentences.append(
            "A face is seen from the front." if faces == 1 else f"{faces} faces are seen from the front."
        )
    for name, label in (("speech", "Said"), ("visible_text", "Text")):
        quotes = [f"“{_shortened(f.text)}”" for f in findings if f.field == name]
        if quotes:
            quotes = list(dict.fromkeys(quotes))
            more = f" and {len(quotes) - MAX_TEXTS} more" if len(quotes) > MAX_TEXTS else ""
            sentences.append(f"{label}: {', '.join(quotes[:MAX_TEXTS])}{more}.")
    if not told and any(f.kind == "empty" for f in findings):
        sentences.append("Nothing moves.")
    look = [f.text for kind in ("colour", "brightness", "blurred") for f in findings if f.kind == kind]
    if look:
        sentences.append(_sentence(", ".join(dict.fromkeys(look))))
    return " ".join(sentences) or "Nothing of note is seen."


def _importance(finding: Finding) -> tuple[int, float]:
    known = finding.kind in _ACTION_ORDER
    return (_ACTION_ORDER.index(finding.kind) if known else len(_ACTION_ORDER), finding.span.start_s)


def _shortened(text: str) -> str:
    # On one line, and without the marks that would end the quotation.
    text = " ".join(text.replace("“", '"').replace("”", '"').split())
    return text if len(text) <= MAX_QUOTE_CHARS else text[: MAX_QUOTE_CHARS - 1] + "…"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
