"""Training tasks of recollect-tiny: the jobs of an LMM in Recollect, each as a prompt and the right reply.

    sample = make_sample("judge", "train 17")
    sample.prompt     # as the reasoner sends it
    sample.reply      # JudgeReply(cites=["M2"], answer="In the kitchen, the woman in …", …)

The code that asks a real model makes the prompts, from moments of a drawn house. The reply follows from what the
prompt shows and from nothing else (``target_replies``). The same seed makes the same sample.
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
"""The share of moments whose descriptions are of only some of their pictures."""
SCALE = 0.5
"""Pictures are drawn at half the full size, which is still twice the size that the model sees."""


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """A prompt with the right reply."""

    task: Task
    prompt: Prompt
    reply: BaseModel

    @property
    def said(self) -> str:
        """The reply as structured outputs write it: in the schema's order, without spaces."""
        return self.reply.model_dump_json()


def make_sample(task: Task, seed: str, *, scale: float = SCALE) -> TrainingSample:
    """Make the first sample of a task for a seed. ``make_samples`` describes the arguments."""
    return make_samples(task, seed, 1, scale=scale)[0]


def make_samples(
    task: Task, seed: str, count: int, *, scale: float = SCALE, shown: int = SHOWN
) -> list[TrainingSample]:
    """Make samples of a task that share their evidence: different questions about the same pictures or moments.

    Args:
        task: The task.
        seed: The same seed makes the same samples.
        count: The number of samples. A task without a question has one.
        scale: The size of the pictures, as a factor of the full size.
        shown: The most moments in a judge prompt.

    """
    return _MAKERS[task](random.Random(f"{task} {seed}"), _Request(count, scale, shown))


@dataclass(frozen=True, slots=True)
class _Request:
    """The arguments of ``make_samples``."""

    count: int
    scale: float
    shown: int


# -- perception ---------------------------------------------------------------------------------------


def _caption(rng: random.Random, request: _Request) -> list[TrainingSample]:
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
        jpeg, width, height = encode_jpeg(grainy(rng, view, request.scale))
        frames.append(KeyFrame(f"{time_s}", "house", time_s, 0, "1/1000", width, height, jpeg))
    prompt = caption_prompt(moment, frames, _before(rng, windows, window))
    return [TrainingSample("caption", prompt, caption_reply(window.seen))]


def _before(rng: random.Random, windows: Sequence[Window], window: Window) -> str:
    """The caption of the moment before, as the prompt has it."""
    number = windows.index(window)
    if number and rng.random() < 0.8:
        earlier = windows[number - 1]
        by_model = rng.random() < 0.5
        return earlier.seen.caption if by_model else compose_caption(findings_of(rng, earlier))
    if rng.random() < 0.4:
        # The moment before may be of another room.
        return rng.choice(windows_of(rng, one_scene(rng))).seen.caption
    return ""


def _summary(rng: random.Random, request: _Request) -> list[TrainingSample]:
    house = furnish(rng.getrandbits(48), rng.choice((8.0, 20.0, 40.0, 60.0, 120.0)), scene_s=(6.0, 30.0))
    windows = [window for start_s, scene in house.scenes for window in windows_of(rng, scene, start_s)]
    first = rng.randrange(len(windows))
    windows = windows[first : first + rng.choice((2, 3, 4, 6, 8, 12, 20, 36))]
    children = [moment_of(rng, window, "house", observed=False, facts=[window.seen]) for window in windows]
    span = Span(children[0].span.start_s, children[-1].span.end_s)
    parent = remembered("house", "event", span, ())
    return [
        TrainingSample(
            "summary", summary_prompt(parent, children), summary_reply([window.seen for window in windows])
        )
    ]


# -- questions ----------------------------------------------------------------------------------------


def _question(rng: random.Random, about: Sequence[Act], others: Sequence[Act]) -> HouseQuestion:
    """A question about one of the acts ``about``, with one answer among ``others``."""
    # The kind is chosen first, so that frequent kinds do not dominate.
    by_kind: dict[str, list[Act]] = {}
    for act in about:
        by_kind.setdefault(act.kind, []).append(act)
    for _ in range(20):
        act = rng.choice(by_kind[rng.choice(list(by_kind))])
        form = rng.choice(forms_of(act))
        if (
            len({gold_of(other_act, form.part) for other_act in others if answers(other_act, act, form.part)})
            <= 1
        ):
            break
    return pose(act, form, rng, likely_acts=others, open_share=0.2)


def _altered(rng: random.Random, act: Act) -> Act:
    """The act with another person or thing, for questions that almost match the memory."""
    values = {"who": act.who, "what": act.what, "to": act.to}
    names = [name for name, value in values.items() if value is not None]
    if not names:
        return act
    part = rng.choice(names)
    changed: dict[str, Any] = {part: rng.choice(THINGS if part == "what" else PEOPLE)}
    return replace(act, **changed)


@dataclass(frozen=True, slots=True)
class _JudgeMaterial:
    """The acts that questions about some moments can be about."""

    described: list[Act]
    """Acts that the moments' descriptions mention."""
    overlooked: list[Act]
    """Acts that only the moments' pictures show."""
    undescribed: list[Act]
    """Acts of the house that no description of these moments mentions."""
    elsewhere: list[Act]
    """Acts of another house."""

    def choose(self, rng: random.Random) -> Sequence[Act]:
        """Choose the acts to ask about."""
        chance = rng.random()
        if self.described and chance < 0.6:
            return self.described if chance < 0.35 else [_altered(rng, act) for act in self.described]
        if self.overlooked and chance < 0.8:
            return self.overlooked
        return self.undescribed if self.undescribed and chance < 0.95 else self.elsewhere


def _judge(rng: random.Random, request: _Request) -> list[TrainingSample]:
    life = live(rng, rng.choice((12.0, 30.0, 60.0, 120.0, 240.0)), rng.choice(STREAMS))
    acts = life.acts
    limit = rng.choice([n for n in (0, 1, 2, 3, 4, 6, 8, SHOWN, SHOWN, SHOWN) if n <= request.shown])
    # The moments are found by a search for the first question. The other questions are asked about them too.
    first = _question(rng, life.done if rng.random() < 0.7 else acts, [*acts, *life.done])
    windows = _search_results(rng, first, life, min(limit, len(life.windows)))
    shown = [ShownContent(window.stream_span.start_s, _descriptions(rng, window)) for window in windows]
    observed = rng.random() < 0.5
    moments = [
        moment_of(rng, window, life.stream, observed=observed, facts=content.facts)
        for window, content in zip(windows, shown, strict=True)
    ]
    overview = overview_of(rng, life) if rng.random() < 0.5 else []
    material = _judge_material(rng, life, windows, shown)

    def judge(question: HouseQuestion) -> TrainingSample:
        reply = judge_reply(question, {f"M{number}": content for number, content in enumerate(shown, 1)})
        asked = Question(text=question.text, options=question.options)
        return TrainingSample("judge", judge_prompt(asked, overview, named(moments)), reply)

    return [
        judge(first if number == 0 else _question(rng, material.choose(rng), [*acts, *life.done]))
        for number in range(request.count)
    ]


def _judge_material(
    rng: random.Random, life: WindowedLife, windows: Sequence[Window], shown: Sequence[ShownContent]
) -> _JudgeMaterial:
    described = [act for content in shown for act in content.acts]
    overlooked = [
        act
        for window, content in zip(windows, shown, strict=True)
        for act in window.seen.acts
        if act not in content.acts
    ]
    undescribed = [act for act in life.done if act not in described]
    return _JudgeMaterial(described, overlooked, undescribed, live(rng, 12.0).acts)


def _search_results(
    rng: random.Random, question: HouseQuestion, life: WindowedLife, limit: int
) -> list[Window]:
    """The results of a search for a question, in order of time. The answer is not always among them."""
    query = rng.choice((question.text, question.known, " ".join(known_names(question)) or question.text))
    windows = life.windows
    if rng.random() < 0.4:
        windows = [w for w in windows if not any(shows(act, question) for act in w.seen.acts)]
    return sorted(recalled(rng, query, windows, limit), key=lambda window: window.stream_span)


def _descriptions(rng: random.Random, window: Window) -> tuple[PictureFacts, ...]:
    """The descriptions of a moment: sometimes of only some of its pictures, sometimes with that of a second look."""
    described_window = window
    if len(window.times_s) > 1 and rng.random() < _OVERLOOKED:
        times_s = rng.sample(window.times_s, rng.randrange(1, len(window.times_s)))
        described_window = replace(window, times_s=tuple(sorted(times_s)))
    return (
        described_window.seen,
        *([closely(window, rng.choice((4, 6, 8))).seen] if rng.random() < 0.1 else []),
    )


def _look(rng: random.Random, request: _Request) -> list[TrainingSample]:
    scene = one_scene(rng)
    window = lively(rng, windows_of(rng, scene))
    close = closely(window, rng.choice((2, 3, 4, 4, 6, 8)))
    acts = list(close.seen.acts)
    other = one_scene(rng)
    elsewhere = [happening.act for happening in (*scene.happenings, *other.happenings)]
    if not acts and not elsewhere:
        return _look(rng, request)
    moment = moment_of(rng, window, rng.choice(STREAMS), facts=[window.seen] if rng.random() < 0.8 else [])
    pictures = [(time_s, grainy(rng, scene.view(time_s), request.scale)) for time_s in close.times_s]

    def look() -> TrainingSample:
        chance = rng.random()
        if acts and (chance < 0.75 or not elsewhere):
            about = acts if chance < 0.5 else [_altered(rng, act) for act in acts]
        else:
            about = elsewhere
        question = _question(rng, about, acts)
        prompt = look_prompt(Question(text=question.text, options=question.options), moment, pictures)
        assert prompt is not None
        return TrainingSample("look", prompt, look_reply(question, close.seen))

    return [look() for _ in range(request.count)]


_ORDERS: tuple[tuple[Literal["any", "first", "last", "every"], str], ...] = (
    ("any", "{}"),
    ("any", "{}"),
    ("first", "{} the first time"),
    ("last", "{} the last time"),
    ("every", "How often: {}"),
)


def _plan(rng: random.Random, request: _Request) -> list[TrainingSample]:
    life = live(rng, rng.choice((20.0, 40.0)), rng.choice(STREAMS))
    overview = overview_of(rng, life)
    return [_planned(rng, life, overview) for _ in range(request.count)]


def _planned(rng: random.Random, life: WindowedLife, overview: Sequence[Moment]) -> TrainingSample:
    question = _question(rng, life.acts, life.acts)
    order, template = rng.choice(_ORDERS)
    text = template.format(question.text.rstrip("?")) + "?"
    from_s = to_s = None
    if rng.random() < 0.3:
        from_s = float(rng.randrange(1, 600))
        if rng.random() < 0.5:
            to_s = from_s + rng.randrange(5, 90)
            text = f"Between {from_s:.0f} s and {to_s:.0f} s: {text}"
        else:
            text = f"After {from_s:.0f} s: {text}"
    prompt = plan_prompt(Question(text=text, options=question.options), overview)
    return TrainingSample("plan", prompt, plan_reply(question, from_s, to_s, order))


_MAKERS: dict[Task, Callable[[random.Random, _Request], list[TrainingSample]]] = {
    "caption": _caption,
    "look": _look,
    "judge": _judge,
    "summary": _summary,
    "plan": _plan,
}
