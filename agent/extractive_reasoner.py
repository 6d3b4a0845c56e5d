"""The reasoner that needs no model: it answers with what was observed, or abstains.

It reads the question by rule, weighs remembered text and findings against it, counts and orders
where the observations allow it, and cites the stretches it rests on. What only a video model could
tell, it says it cannot tell, and offers the nearest moments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from ..common.kind_registry import kind_of, names_for, names_with
from ..memory.query.word_stems import stem, words_of
from ..memory.values import Moment, Observation, Span
from . import answer_wording
from .answer import Question, WhyAbstained
from .candidates import (
    FORGOTTEN,
    Candidate,
    asked_colours,
    by_kinds,
    by_shots,
    by_words,
    distinct,
)
from .counting import by_counts
from .lexicon import GENERIC_WORDS, RELATED_TEXT, STOP_WORDS
from .multiple_choice import OptionChoice, choose, choose_in_order
from .question_parser import ParsedQuestion, read_question
from .reasoner import CitedSpan, DraftAnswer, Judgement, Order, Pictures, Plan
from .summary_counts import leaves_of, tells_of_nothing_else
from .text_matching import fit_lines, terms_of

ANSWERS_FROM = 0.5
"""From this sufficiency on it answers; below, it abstains and offers the nearest moments."""
MAX_CITED = 8
MOST_LISTED = 100
"""So many moments of a kind are read where each has to be looked at."""
LOOKS_WANTED = 2
NOW_MOMENTS = 2
LOOK_FROM = 0.2
"""A moment must hold this part of the question's words for its pixels to be looked at again."""
MAX_PICTURES = 4
"""Pictures read in one look; a longer moment is thinned evenly."""
READ_FULLY = 12
"""A moment with more lines than this was read fully the first time."""


class ExtractiveReasoner:
    """Answers from observations alone. Deterministic: the same memory and question give the same answer."""

    written_by = "extractive/1"

    def read(self, question: Question, overview: Sequence[Moment]) -> Plan:
        """Turn the question's words into queries, and its verbs into kinds of finding to list."""
        parsed = read_question(question.text)
        kinds = _kinds(parsed)
        queries = (_query(parsed, question.options), *_seen_as(parsed, kinds))
        shots = parsed.about_shots and parsed.asks not in ("how_many", "how_long")
        counting = parsed.asks in ("how_many", "how_long") or parsed.pick in (
            "longest", "shortest", "highest", "lowest",
        )  # fmt: skip
        order: Order = "any"
        if parsed.pick in ("last", "newest") or parsed.at_end:
            order = "last"
        elif parsed.pick == "nth" or parsed.at_start:
            order = "first"
        return Plan(
            queries=tuple(query for query in queries if query),
            kinds=() if shots else kinds,
            everything=shots
            or not (kinds or queries[0])
            or parsed.span is not None
            or parsed.last_s is not None,
            order=order,
            ordered_queries=() if order == "any" or not parsed.content_words else (_sought(parsed),),
            limit_per_kind=MOST_LISTED
            if counting and (parsed.colours or parsed.sides)
            else max(8, min(50, 3 * parsed.nth + 4)),
            uses_summaries=bool(kinds) and (counting or parsed.pick in ("last", "nth")),
            from_s=parsed.span.start_s if parsed.span else None,
            to_s=parsed.span.end_s if parsed.span and parsed.span.end_s != float("inf") else None,
            last_s=parsed.last_s,
            may_inspect=parsed.wants_text and "subtitle" not in kinds,
        )

    def look(self, question: Question, moment: Moment, pictures: Pictures) -> Observation | None:
        """Read the moment's pictures at full resolution."""
        from ..perception.describing.inspection import read_closely  # noqa: PLC0415 - heavy, and few questions need it

        return read_closely(pictures(MAX_PICTURES), moment.span)

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        """Rank what was found, and grade whether the best of it settles the question."""
        parsed = read_question(question.text)
        ranked, sufficiency = self._weigh(parsed, plan, overview, moments)
        look_at: tuple[str, ...] = ()
        if plan.may_inspect and sufficiency < ANSWERS_FROM:
            # Where nothing of it was read at first, a second look seldom finds it; a screen that was
            # read line by line has nothing more to give.
            by_id = {moment.id: moment for moment in moments}
            look_at = tuple(
                dict.fromkeys(
                    candidate.moment_id
                    for candidate in ranked
                    if candidate.coverage >= LOOK_FROM
                    and len(by_id[candidate.moment_id].of("visible_text")) <= READ_FULLY
                )
            )[:LOOKS_WANTED]
        missing = ", ".join(ranked[0].missing) if ranked else ", ".join(parsed.content_words)
        wider = (
            tuple(word for word in parsed.unobservable_words if len(word) > 2)
            if sufficiency < ANSWERS_FROM
            else ()
        )
        return Judgement(
            sufficiency=sufficiency,
            cited=tuple(_cite(candidate) for candidate in ranked[:MAX_CITED]),
            look_at=look_at,
            queries=wider,
            wider=(parsed.wants_text or parsed.relation is not None)
            and sufficiency < ANSWERS_FROM
            and bool(ranked),
            missing=missing,
        )

    def answer(
        self,
        question: Question,
        plan: Plan,
        judgement: Judgement,
        overview: Sequence[Moment],
        moments: Sequence[Moment],
    ) -> DraftAnswer:
        """Say what was seen and when; or that it was not, why not, and what is nearest."""
        parsed = read_question(question.text)
        if not overview:
            return DraftAnswer(
                text=answer_wording.nothing_watched(question), confidence=0.0, why="not_watched"
            )
        ranked, sufficiency = self._weigh(parsed, plan, overview, moments)
        tiles = {tile.id for tile in overview} | {moment.id for moment in moments}
        cited = tuple(_cite(candidate) for candidate in ranked[:MAX_CITED] if candidate.moment_id in tiles)
        if question.options:
            ordered = choose_in_order(question.options, parsed, moments)
            if ordered is not None:
                chosen, others = ordered
                return _chosen(question, chosen, [_cite(other) for other in others])
        yes = _yes(question.options) if parsed.asks == "yes_no" else None
        if question.options and (yes is None or sufficiency < ANSWERS_FROM):
            return self._choose(question, parsed, plan, ranked, sufficiency, cited)
        if sufficiency >= ANSWERS_FROM:
            text = answer_wording.answer(parsed, plan, ranked)
            return DraftAnswer(text=text, confidence=min(0.95, sufficiency), choice=yes, cited=cited)
        why = _why(parsed, plan, ranked)
        return DraftAnswer(
            text=answer_wording.abstention(why, parsed, ranked),
            confidence=min(0.3, sufficiency),
            why=why,
            cited=cited,
        )

    def _weigh(
        self, parsed: ParsedQuestion, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> tuple[list[Candidate], float]:
        """All candidates, best first, and how sufficient the best is."""
        ends: dict[str, float] = {}
        for moment in (*overview, *moments):
            ends[moment.stream] = max(ends.get(moment.stream, 0.0), moment.span.end_s)
        window = Span(plan.from_s or 0.0, float("inf") if plan.to_s is None else plan.to_s)
        leaves = leaves_of(moments, parsed, window, ends)
        if parsed.relation and (parsed.asks == "describe" or not parsed.wants_text):
            beside = self._beside(parsed, plan, leaves, ends)
            if beside is not None:
                return beside
        if plan.everything and parsed.about_shots:
            shots = by_shots(parsed, [leaf for leaf in leaves if leaf.rung == "moment"])
            worded = by_words(parsed, leaves, ends)
            if shots and any(leaf.rung != "moment" for leaf in leaves):
                # Of shots, nothing but their number is left in what stands for moments.
                shots[0] = replace(shots[0], score=FORGOTTEN * shots[0].score, forgotten=True)
            return distinct([*shots, *worded]), _known(parsed, shots[0]) if shots else 0.0
        if parsed.asks == "describe" or not (parsed.content_words or plan.kinds or parsed.quoted):
            return _described(parsed, leaves, overview, window, ends)
        worded = by_words(parsed, leaves, ends)
        if parsed.asks == "how_many" and plan.kinds:
            asked = {stream: _window(window, parsed, end_s) for stream, end_s in ends.items()}
            counted = by_counts(parsed, plan.kinds, [*overview, *moments], asked)
            if counted:
                return counted, _known(parsed, counted[0])
        kinded = by_kinds(parsed, plan.kinds, leaves, ends) if plan.kinds else []
        kinded = _with_words(parsed, kinded, worded)
        text_score = _text_sufficiency(parsed, worded[0]) if worded else 0.0
        kind_score = _known(parsed, kinded[0]) if kinded else 0.0
        if _only_appears(parsed):
            kind_score = min(kind_score, 0.3)
            if worded and text_score >= 0.3:
                return distinct([*worded, *kinded]), text_score
        if not (worded or kinded) and (parsed.span or parsed.last_s is not None):
            # Nothing fits the words, but the time is named: what was seen then is the answer there is.
            return _described(parsed, leaves, overview, window, ends)
        if kinded and worded and _readable(kinded[0]):
            # Both are words that were read or heard: their scores tell which fits better.
            merged = sorted([*kinded, *worded], key=lambda candidate: -candidate.score)
            return distinct(merged), max(text_score, kind_score)
        if kinded and (not worded or kind_score >= text_score or not parsed.wants_text):
            return distinct([*kinded, *worded]), kind_score
        return distinct([*worded, *kinded]), text_score

    def _beside(
        self, parsed: ParsedQuestion, plan: Plan, leaves: Sequence[Moment], ends: dict[str, float]
    ) -> tuple[list[Candidate], float] | None:
        """What came just after, or before, the thing the question names; None where it names nothing found."""
        anchored = replace(parsed, content_words=parsed.anchor, pick="all")
        anchors = by_kinds(anchored, plan.kinds, leaves, ends) or by_words(anchored, leaves, ends)
        if not anchors or anchors[0].score < ANSWERS_FROM:
            return None
        anchor = anchors[0]
        if anchor.forgotten or any(leaf.id == anchor.moment_id and leaf.rung != "moment" for leaf in leaves):
            # What came next to it is forgotten with the moment that it was in.
            return [replace(anchor, forgotten=True)], 0.3
        after = parsed.relation == "after"
        near = [
            moment
            for moment in leaves
            if moment.rung == "moment"
            and moment.stream == anchor.stream
            and (
                moment.span.end_s > anchor.span.end_s if after else moment.span.start_s < anchor.span.start_s
            )
        ]
        near.sort(key=lambda moment: moment.span, reverse=not after)
        candidates = [_captioned(moment) for moment in near[:NOW_MOMENTS]]
        return ([*candidates, anchor], 0.7) if len(near) > 1 else ([*candidates, anchor], 0.3)

    def _choose(
        self,
        question: Question,
        parsed: ParsedQuestion,
        plan: Plan,
        ranked: Sequence[Candidate],
        sufficiency: float,
        cited: tuple[CitedSpan, ...],
    ) -> DraftAnswer:
        chosen = choose(question.options, parsed, ranked, sufficiency)
        if chosen is None:
            why: WhyAbstained = _why(parsed, plan, ranked) if sufficiency < ANSWERS_FROM else "unclear"
            return DraftAnswer(
                text=answer_wording.no_option(why, parsed, ranked),
                confidence=min(0.3, sufficiency),
                why=why,
                cited=cited,
            )
        return _chosen(question, chosen, cited)


def _chosen(question: Question, chosen: OptionChoice, cited: Sequence[CitedSpan]) -> DraftAnswer:
    """An option as the answer, with what speaks for it cited first."""
    text = answer_wording.option(question.options[chosen.index], chosen.support)
    first = _cite(chosen.support)
    others = tuple(one for one in cited if (one.moment_id, one.start_s) != (first.moment_id, first.start_s))
    return DraftAnswer(
        text=text, choice=chosen.index, confidence=chosen.confidence, cited=(first, *others)[:MAX_CITED]
    )


def _window(window: Span, parsed: ParsedQuestion, end_s: float) -> Span:
    """The stretch of a stream that ends then that a question asks about."""
    if parsed.last_s is None:
        return window
    from_s = max(0.0, end_s - parsed.last_s)
    return Span(from_s, max(from_s, window.end_s))


def _yes(options: Sequence[str]) -> int | None:
    """Which of the options is a plain yes; None where none is."""
    return next((at for at, option in enumerate(options) if words_of(option) == ["yes"]), None)


def _kinds(parsed: ParsedQuestion) -> tuple[str, ...]:
    if parsed.kinds:
        return parsed.kinds
    if (
        parsed.mentions_people
        and not parsed.existence_only
        and parsed.asks in ("when", "who", "how_many", "how_long")
    ):
        return names_for("people")
    if (
        parsed.wants_text
        and not parsed.quoted
        and all(word in GENERIC_WORDS for word in parsed.content_words)
    ):
        # "What text is to be read?" asks for all of it.
        return names_for("text")
    # Whatever it is that appears: things that came into the picture are the nearest there is.
    return names_for("appearance") if _only_appears(parsed) else ()


def _only_appears(parsed: ParsedQuestion) -> bool:
    """Whether the question asks when something is there that no observer can name."""
    return (
        parsed.existence_only
        and bool(parsed.unobservable_words)
        and parsed.asks in ("when", "where", "yes_no")
    )


def _seen_as(parsed: ParsedQuestion, kinds: Sequence[str]) -> Iterator[str]:
    """What observers would have written of what is asked about, colours included."""
    for kind in kinds:
        if search_text := kind_of(kind).search_text:
            yield " ".join(search_text.format(" and ".join(asked_colours(parsed, kind))).split())
    if parsed.worn_colours and not names_with("moving_shape").intersection(kinds):
        yield f"a tall {' and '.join(parsed.worn_colours)} shape is there"


def _sought(parsed: ParsedQuestion) -> str:
    """The question's own words, and what is written or described in their place."""
    return " ".join(
        dict.fromkeys([*parsed.content_words, *chain.from_iterable(map(_related, parsed.content_words))])
    )


def _related(word: str) -> tuple[str, ...]:
    """What pictures or descriptions have where a question has this word."""
    return RELATED_TEXT.get(word, RELATED_TEXT.get(stem(word), ()))


def _query(parsed: ParsedQuestion, options: Sequence[str]) -> str:
    """The words to search for: the question's own, what pictures write instead, and what is quoted."""
    words = list(parsed.content_words)
    for first, second in zip(parsed.content_words, parsed.content_words[1:], strict=False):
        words.append(first + second)
    for word in parsed.content_words:
        words += _related(word)
        if len(word) >= 8:
            # Commands and labels shorten long words: "init", "config", "admin".
            words += [word[:4], word[:5], word[:6]]
    words += [word for phrase in parsed.quoted for word in phrase.split()]
    words += [word for option in options for word in option.lower().split() if word not in STOP_WORDS]
    return " ".join(dict.fromkeys(words))


def _with_words(
    parsed: ParsedQuestion, kinded: Sequence[Candidate], worded: Sequence[Candidate]
) -> list[Candidate]:
    """Let what was read in the same stretch speak for a finding too; of one made of words, it decides."""
    result = []
    terms = terms_of(parsed.content_words, (), parsed.names)
    for candidate in kinded:
        near = [
            w.coverage for w in worded if w.stream == candidate.stream and w.span.overlaps(candidate.span)
        ]
        if _readable(candidate) and parsed.unobservable_words:
            factor = 0.5 + 0.5 * max([fit_lines(terms, candidate.findings).coverage, *near])
        else:
            factor = 0.9 + 0.1 * max(near, default=0.0)
        result.append(replace(candidate, score=candidate.score * factor))
    if parsed.unobservable_words and any(map(_readable, result)):
        result.sort(key=lambda candidate: -candidate.score)
    return result


def _readable(candidate: Candidate) -> bool:
    """Whether it is made of words that were read or heard."""
    return bool(candidate.findings) and kind_of(candidate.findings[0].kind).has("readable")


def _known(parsed: ParsedQuestion, best: Candidate) -> float:
    """How sufficient a finding is: less so for each word of the question that no observer could see."""
    if _readable(best):
        return best.score
    unseen = min(2, len(parsed.unobservable_words))
    if parsed.asks in ("who", "why") or (parsed.asks == "what" and parsed.unobservable_words):
        return min(0.45, best.score)
    return best.score * 0.85**unseen


def _text_sufficiency(parsed: ParsedQuestion, best: Candidate) -> float:
    if parsed.quoted:
        return best.score if best.verbatim else 0.3 * best.score
    if not parsed.wants_text and parsed.unobservable_words and best.coverage < 0.75:
        return min(0.4, best.score)
    return best.score


def _why(parsed: ParsedQuestion, plan: Plan, ranked: Sequence[Candidate]) -> WhyAbstained:
    if ranked and ranked[0].forgotten:
        return "forgotten"
    if parsed.quoted or (parsed.wants_text and not parsed.mentions_people):
        return "not_seen"
    listed = any(finding.kind in plan.kinds for candidate in ranked for finding in candidate.findings)
    if plan.kinds and not listed and not parsed.unobservable_words:
        return "not_seen"
    return (
        "needs_model"
        if parsed.unobservable_words or parsed.mentions_people or parsed.asks in ("who", "why")
        else "unclear"
    )


def _cite(candidate: Candidate) -> CitedSpan:
    return CitedSpan(
        moment_id=candidate.moment_id,
        start_s=candidate.span.start_s,
        end_s=candidate.span.end_s,
        score=min(1.0, candidate.score),
        text=candidate.text,
    )


def _described(
    parsed: ParsedQuestion,
    leaves: Sequence[Moment],
    overview: Sequence[Moment],
    window: Span,
    ends: dict[str, float],
) -> tuple[list[Candidate], float]:
    """The overview itself, or the moments of the asked stretch, as candidates."""
    narrow = window.end_s != float("inf") or parsed.pick in ("newest", "last") or parsed.last_s is not None
    if parsed.pick == "newest":
        # What is to be seen now is told by the last few moments and nothing else.
        leaves = sorted(leaves, key=lambda moment: -moment.span.end_s)[:NOW_MOMENTS]
    if narrow and leaves:
        told = [leaf for leaf in leaves if tells_of_nothing_else(leaf, parsed, window, ends)]
        if not told or (parsed.pick == "newest" and leaves[0] not in told):
            return [replace(_captioned(leaf), forgotten=True) for leaf in leaves], 0.3
        leaves = told
    tiles = (
        list(leaves) if narrow or not overview else [tile for tile in overview if tile.span.overlaps(window)]
    )
    if parsed.pick in ("newest", "last"):
        tiles.sort(key=lambda tile: (-tile.span.end_s, tile.stream))
    candidates = [_captioned(tile) for tile in tiles]
    if not candidates or parsed.asks in ("who", "why"):
        return candidates, 0.4 if candidates else 0.0
    return candidates, ANSWERS_FROM if parsed.unobservable_words else 0.8


def _captioned(moment: Moment) -> Candidate:
    """A moment as its caption tells it."""
    return Candidate(moment.id, moment.stream, moment.span, 0.8, moment.caption)
