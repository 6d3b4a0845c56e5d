"""What the tiny video LMM learns: the parts that an LMM plays here, each as a prompt and the right reply.

    sample = make_sample("judge", "train 17")
    sample.prompt     # as the reasoner sends it
    sample.reply      # Judged(cites=["M2"], answer="In the kitchen, the woman in …", …)

Prompts are made by the code that asks a real model, from moments of a drawn house, and never worded
here. The reply is what follows from what the prompt shows, and from nothing else (``replies``). The same seed
makes the same sample; seeds that begin with different words have nothing in common.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from pydantic import BaseModel

from ...agent.answer import Question
from ...agent.prompt_building import SHOWN, judge_prompt, look_prompt, named, plan_prompt
from ...memory.values import Finding, KeyFrame, Moment, Observation, Span
from ...perception.describing.describer import caption_prompt, summary_prompt
from ...perception.describing.rule_captions import compose_caption
from ...perception.lmm import Prompt
from ...perception.stages.key_frames import encode_jpeg
from ...worlds.house import PEOPLE, THINGS, Act, HouseQuestion, PictureFacts, furnish
from ...worlds.house.house_questions import answers, forms_of, pose
from .moment_windows import Window, WindowedLife, closely, grainy, live, lively, one_scene, windows_of
from .simulated_memories import (
    BY_OBSERVERS,
    STREAMS,
    findings_of,
    moment_of,
    overview_of,
    recalled,
    remembered,
)
from .target_replies import (
    ShownContent,
    caption_reply,
    gold_of,
    judge_reply,
    known_names,
    look_reply,
    plan_reply,
    shows,
    summary_reply,
)

Task = Literal["caption", "look", "judge", "summary", "plan"]
TASKS: tuple[Task, ...] = get_args(Task)

_OVERLOOKED = 0.35
"""So many moments that are judged from were described from some of their pictures only."""
SCALE = 0.5
"""Pictures are drawn at half the full size, which is still twice what the model is shown."""


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """One thing to learn."""

    task: Task
    prompt: Prompt
    reply: BaseModel

    @property
    def said(self) -> str:
        """The reply as structured outputs emit it: the schema's order, no space between."""
        return self.reply.model_dump_json()


def make_sample(task: Task, seed: str, *, scale: float = SCALE) -> TrainingSample:
    """Make the first sample of a task that belongs to a seed; ``make_samples`` says more."""
    return make_samples(task, seed, 1, scale=scale)[0]


def make_samples(
    task: Task, seed: str, count: int, *, scale: float = SCALE, shown: int = SHOWN
) -> list[TrainingSample]:
    """Make samples of a task that share their evidence: the same pictures or moments, other questions.

    Args:
        task: What is to be learnt.
        seed: The same one makes the same samples.
        count: How many; where the task asks no question there is one.
        scale: Pictures are drawn so many times the full size.
        shown: The most moments that are judged from.

    """
    return _MAKERS[task](random.Random(f"{task} {seed}"), _Wanted(count, scale, shown))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How samples are to be made; ``make_samples`` says what it means."""

    count: int
    scale: float
    shown: int


# -- perception ---------------------------------------------------------------------------------------


def _caption(rng: random.Random, wanted: _Wanted) -> list[TrainingSample]:
    windows = windows_of(rng, one_scene(rng))
    window = lively(rng, windows)
    read = tuple(
        Finding("visible_text", "line", text, window.span, "ocr/1")
        for text in window.seen.visible_text
        if rng.random() < 0.6
    )
    moment = remembered("house", "moment", window.span, [Observation("", read, BY_OBSERVERS, 0.0)])
    frames = []
    for time_s, view in zip(window.times_s, window.views, strict=True):
        jpeg, width, height = encode_jpeg(grainy(rng, view, wanted.scale))
        frames.append(KeyFrame(f"{time_s}", "house", time_s, 0, "1/1000", width, height, jpeg))
    prompt = caption_prompt(moment, frames, _before(rng, windows, window))
    return [TrainingSample("caption", prompt, caption_reply(window.seen))]


def _before(rng: random.Random, windows: Sequence[Window], window: Window) -> str:
    """What the model is told of the moment before."""
    number = windows.index(window)
    if number and rng.random() < 0.8:
        earlier = windows[number - 1]
        by_model = rng.random() < 0.5
        return earlier.seen.caption if by_model else compose_caption(findings_of(rng, earlier))
    if rng.random() < 0.4:
        # The moment before may be one of another room.
        return rng.choice(windows_of(rng, one_scene(rng))).seen.caption
    return ""


def _summary(rng: random.Random, wanted: _Wanted) -> list[TrainingSample]:
    house = furnish(rng.getrandbits(48), rng.choice((8.0, 20.0, 40.0, 60.0, 120.0)), scene_s=(6.0, 30.0))
    windows = [window for start_s, scene in house.scenes for window in windows_of(rng, scene, start_s)]
    first = rng.randrange(len(windows))
    windows = windows[first : first + rng.choice((2, 3, 4, 6, 8, 12, 20, 36))]
    children = [moment_of(rng, window, "house", observed=False, told=[window.seen]) for window in windows]
    span = Span(children[0].span.start_s, children[-1].span.end_s)
    parent = remembered("house", "event", span, ())
    return [
        TrainingSample(
            "summary", summary_prompt(parent, children), summary_reply([window.seen for window in windows])
        )
    ]


# -- questions ----------------------------------------------------------------------------------------


def _question(rng: random.Random, about: Sequence[Act], others: Sequence[Act]) -> HouseQuestion:
    """A question about one of some acts that has one answer among all of them."""
    # First the deed, so that what is often seen is not most often asked.
    by_kind: dict[str, list[Act]] = {}
    for act in about:
        by_kind.setdefault(act.kind, []).append(act)
    for _ in range(20):
        act = rng.choice(by_kind[rng.choice(list(by_kind))])
        form = rng.choice(forms_of(act))
        if len({gold_of(other, form.part) for other in others if answers(other, act, form.part)}) <= 1:
            break
    return pose(act, form, rng, others=others, open_share=0.2)


def _altered(rng: random.Random, act: Act) -> Act:
    """The same with somebody or something else in it: what is asked is often much like what is remembered."""
    named = {"who": act.who, "what": act.what, "to": act.to}
    known = [name for name, value in named.items() if value is not None]
    if not known:
        return act
    part = rng.choice(known)
    changed: dict[str, Any] = {part: rng.choice(THINGS if part == "what" else PEOPLE)}
    return replace(act, **changed)


def _judge(rng: random.Random, wanted: _Wanted) -> list[TrainingSample]:
    life = live(rng, rng.choice((12.0, 30.0, 60.0, 120.0, 240.0)), rng.choice(STREAMS))
    acts = life.acts
    most = rng.choice([most for most in (0, 1, 2, 3, 4, 6, 8, SHOWN, SHOWN, SHOWN) if most <= wanted.shown])
    # The question that was searched for; the others are asked of what that found.
    first = _question(rng, life.done if rng.random() < 0.7 else acts, [*acts, *life.done])
    windows = _found(rng, first, life, min(most, len(life.windows)))
    shown = [ShownContent(window.stream_span.start_s, _tellings(rng, window)) for window in windows]
    observed = rng.random() < 0.5
    moments = [
        moment_of(rng, window, life.stream, observed=observed, told=each.facts)
        for window, each in zip(windows, shown, strict=True)
    ]
    overview = overview_of(rng, life) if rng.random() < 0.5 else []
    told = [act for each in shown for act in each.acts]
    overlooked = [
        act
        for window, each in zip(windows, shown, strict=True)
        for act in window.seen.acts
        if act not in each.acts
    ]
    # What happened in these moments and the others, and none of them tells.
    untold = [act for act in life.done if act not in told]
    elsewhere = live(rng, 12.0).acts

    def judge(asked: HouseQuestion) -> TrainingSample:
        question = Question(text=asked.text, options=asked.options)
        reply = judge_reply(asked, {f"M{number}": each for number, each in enumerate(shown, 1)})
        return TrainingSample("judge", judge_prompt(question, overview, named(moments)), reply)

    def another() -> HouseQuestion:
        chance = rng.random()
        if told and chance < 0.6:
            about = told if chance < 0.35 else [_altered(rng, act) for act in told]
        elif overlooked and chance < 0.8:
            about = overlooked
        else:
            about = untold if untold and chance < 0.95 else elsewhere
        return _question(rng, about, [*acts, *life.done])

    return [judge(first if number == 0 else another()) for number in range(wanted.count)]


def _found(rng: random.Random, asked: HouseQuestion, life: WindowedLife, most: int) -> list[Window]:
    """What a search for a question finds, in order of time; what answers it is not always there."""
    words = rng.choice((asked.text, asked.known, " ".join(known_names(asked)) or asked.text))
    windows = life.windows
    if rng.random() < 0.4:
        windows = [w for w in windows if not any(shows(act, asked) for act in w.seen.acts)]
    return sorted(recalled(rng, words, windows, most), key=lambda window: window.stream_span)


def _tellings(rng: random.Random, window: Window) -> tuple[PictureFacts, ...]:
    """The caption of a moment, not always of all that its pictures show, and sometimes what a second look brought."""
    told = window
    if len(window.times_s) > 1 and rng.random() < _OVERLOOKED:
        kept = rng.sample(window.times_s, rng.randrange(1, len(window.times_s)))
        told = replace(window, times_s=tuple(sorted(kept)))
    return (told.seen, *([closely(window, rng.choice((4, 6, 8))).seen] if rng.random() < 0.1 else []))


def _look(rng: random.Random, wanted: _Wanted) -> list[TrainingSample]:
    scene = one_scene(rng)
    window = lively(rng, windows_of(rng, scene))
    close = closely(window, rng.choice((2, 3, 4, 4, 6, 8)))
    acts = list(close.seen.acts)
    other = one_scene(rng)
    elsewhere = [happening.act for happening in (*scene.happenings, *other.happenings)]
    if not acts and not elsewhere:
        return _look(rng, wanted)
    moment = moment_of(rng, window, rng.choice(STREAMS), told=[window.seen] if rng.random() < 0.8 else [])
    pictures = [(time_s, grainy(rng, scene.view(time_s), wanted.scale)) for time_s in close.times_s]

    def look() -> TrainingSample:
        chance = rng.random()
        if acts and (chance < 0.75 or not elsewhere):
            about = acts if chance < 0.5 else [_altered(rng, act) for act in acts]
        else:
            about = elsewhere
        asked = _question(rng, about, acts)
        prompt = look_prompt(Question(text=asked.text, options=asked.options), moment, pictures)
        assert prompt is not None
        return TrainingSample("look", prompt, look_reply(asked, close.seen))

    return [look() for _ in range(wanted.count)]


_ORDERS: tuple[tuple[Literal["any", "first", "last", "every"], str], ...] = (
    ("any", "{}"),
    ("any", "{}"),
    ("first", "{} the first time"),
    ("last", "{} the last time"),
    ("every", "How often: {}"),
)


def _plan(rng: random.Random, wanted: _Wanted) -> list[TrainingSample]:
    life = live(rng, rng.choice((20.0, 40.0)), rng.choice(STREAMS))
    overview = overview_of(rng, life)
    return [_planned(rng, life, overview) for _ in range(wanted.count)]


def _planned(rng: random.Random, life: WindowedLife, overview: Sequence[Moment]) -> TrainingSample:
    asked = _question(rng, life.acts, life.acts)
    order, words = rng.choice(_ORDERS)
    text = words.format(asked.text.rstrip("?")) + "?"
    from_s = to_s = None
    if rng.random() < 0.3:
        from_s = float(rng.randrange(1, 600))
        if rng.random() < 0.5:
            to_s = from_s + rng.randrange(5, 90)
            text = f"Between {from_s:.0f} s and {to_s:.0f} s: {text}"
        else:
            text = f"After {from_s:.0f} s: {text}"
    prompt = plan_prompt(Question(text=text, options=asked.options), overview)
    return TrainingSample("plan", prompt, plan_reply(asked, from_s, to_s, order))


_MAKERS: dict[Task, Callable[[random.Random, _Wanted], list[TrainingSample]]] = {
    "caption": _caption,
    "look": _look,
    "judge": _judge,
    "summary": _summary,
    "plan": _plan,
}
