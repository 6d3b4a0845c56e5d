"""What the tiny video LMM learns: the parts that an LMM plays here, each as a prompt and the right reply.

    sample = make_sample("judge", "train 17")
    sample.prompt     # as the reasoner sends it
    sample.reply      # Judged(cites=["M2"], answer="In the kitchen, the woman in …", …)

Prompts are made by the code that asks a real model, from moments of a drawn house, and never worded
here. The reply is what follows from what the prompt shows, and from nothing else. The same seed makes
the same sample; seeds that begin with different words have nothing in common.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, get_args

import cv2
import numpy as np
from pydantic import BaseModel

from ...agent.answer import Question
from ...agent.asking import (
    SHOWN,
    Judged,
    Looked,
    Planned,
    judge_prompt,
    look_prompt,
    named,
    plan_prompt,
)
from ...memory import tally
from ...memory.values import Finding, KeyFrame, Moment, Observation, Rung, Span, moment_id
from ...perception.caption import compose_caption
from ...perception.describe import Described, Told, caption_prompt, summary_prompt
from ...perception.frame import Picture
from ...perception.keyframes import encode_jpeg
from ...perception.lmm import Prompt
from ...times import between, clock
from ..house import Act, Asked, RoomScene, Seen, furnish, tell
from ..house.drawing import View, draw
from ..house.questions import Form, answers, forms_of, pose
from ..house.words import DIGITS, LETTERS
from ..scenes import HEIGHT, WIDTH

Task = Literal["caption", "look", "judge", "summary", "plan"]
TASKS: tuple[Task, ...] = get_args(Task)

SCALE = 0.5
"""Pictures are drawn at half the full size, which is still twice what the model is shown."""
_GRAIN = 2.2
_STREAMS = ("house", "demo", "camera 1", "home", "cam", "stream", "video")
_BY_OBSERVERS, _BY_LMM = "observers/1", "lmm:tiny/caption.1"


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing to learn."""

    task: Task
    prompt: Prompt
    reply: BaseModel

    @property
    def said(self) -> str:
        """The reply as structured outputs emit it: the schema's order, no space between."""
        return self.reply.model_dump_json()


def make_sample(task: Task, seed: str, *, scale: float = SCALE) -> Sample:
    """Make the first sample of a task that belongs to a seed; ``make_samples`` says more."""
    return make_samples(task, seed, 1, scale=scale)[0]


def make_samples(
    task: Task, seed: str, count: int, *, scale: float = SCALE, shown: int = SHOWN
) -> list[Sample]:
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


# -- what is seen -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Window:
    """A moment as perception would cut it: its span, when its pictures were taken, and what they show."""

    scene: RoomScene
    span: Span
    """In seconds since the scene began."""
    times_s: tuple[float, ...]
    begins_s: float = 0.0
    """When the scene began, in stream seconds."""
    before: View | None = None
    """The last picture of the moment before it, where the model was told of that."""

    @property
    def views(self) -> list[View]:
        return [self.scene.view(time_s) for time_s in self.times_s]

    @property
    def seen(self) -> Seen:
        return tell(self.views, self.before)

    @property
    def stream_span(self) -> Span:
        return Span(self.begins_s + self.span.start_s, self.begins_s + self.span.end_s)


def _windows(rng: random.Random, scene: RoomScene, begins_s: float = 0.0) -> list[_Window]:
    """A scene cut into moments, each with the pictures that would be kept."""
    found: list[_Window] = []
    start_s, linked = 0.0, rng.random() < 0.4
    while start_s < scene.duration_s - 1.0:
        end_s = min(scene.duration_s, start_s + rng.choice((2.0, 3.0, 3.5, 4.0, 5.0, 5.0)))
        if scene.duration_s - end_s < 2.0:
            end_s = scene.duration_s
        span = Span(start_s, end_s)
        before = found[-1].views[-1] if found and linked else None
        found.append(_Window(scene, span, _kept(rng, scene, span), begins_s, before))
        start_s = end_s
    return found


def _kept(rng: random.Random, scene: RoomScene, span: Span) -> tuple[float, ...]:
    """Times of one to three pictures, as they are kept of a moment: those that differ, a second apart."""
    kept = [span.start_s + rng.uniform(0.0, 0.3)]
    time_s = kept[0]
    while len(kept) < 4 and (time_s := time_s + rng.choice((0.25, 0.5))) < span.end_s:
        if time_s - kept[-1] >= 1.0 and _differs(scene.view(time_s), scene.view(kept[-1])):
            kept.append(time_s)
    return tuple(kept) if len(kept) < 4 else (kept[0], kept[2], kept[3])


def _differs(one: View, other: View) -> bool:
    if (one.on, one.open, one.sign) != (other.on, other.open, other.sign):
        return True
    if len(one.figures) != len(other.figures):
        return True
    return any(abs(a.x - b.x) > 25 for a, b in zip(one.figures, other.figures, strict=True))


def _grainy(rng: random.Random, view: View, scale: float) -> Picture:
    """A picture of it as a camera delivers it."""
    picture = cv2.convertScaleAbs(draw(view, scale), alpha=rng.uniform(0.94, 1.06))
    brighter, darker = rng.choice(_grain(scale))
    return np.asarray(cv2.subtract(cv2.add(picture, brighter), darker), np.uint8)


@cache
def _grain(scale: float) -> list[tuple[Picture, Picture]]:
    """Some fields of noise, each as what it adds and what it takes away."""
    rng, size = np.random.default_rng(0), (round(HEIGHT * scale), round(WIDTH * scale), 1)
    fields = [np.repeat(rng.normal(0, _GRAIN, size), 3, axis=2) for _ in range(12)]
    return [
        (np.clip(f, 0, 255).round().astype(np.uint8), np.clip(-f, 0, 255).round().astype(np.uint8))
        for f in fields
    ]


def _one_scene(rng: random.Random) -> RoomScene:
    return furnish(rng.getrandbits(48), 1.0, scene_s=(6.0, 20.0)).scenes[0][1]


def _lively(rng: random.Random, windows: Sequence[_Window]) -> _Window:
    """One of them, seldom one in which nobody is."""
    peopled = [window for window in windows if window.seen.actors]
    return rng.choice(peopled) if peopled and rng.random() < 0.9 else rng.choice(windows)


# -- what is remembered -------------------------------------------------------------------------------


def _moment(
    rng: random.Random, window: _Window, stream: str, *, observed: bool = True, told: Sequence[Seen] = ()
) -> Moment:
    """The moment as the memory holds it: what the observers wrote, and then a model, once or twice."""
    span = window.stream_span
    findings = _findings(rng, window)
    observations = [Observation(compose_caption(findings), findings, _BY_OBSERVERS, 0.0)] if observed else []
    for seen in told:
        read = [Finding("visible_text", "read", text, span, _BY_LMM) for text in seen.visible_text]
        observations.append(Observation(seen.caption, tuple(read), _BY_LMM, 0.0))
    return _remembered(stream, "moment", span, observations)


def _remembered(stream: str, rung: Rung, span: Span, observations: Sequence[Observation]) -> Moment:
    identity = moment_id(stream, 0, rung, span.start_s)
    return Moment(identity, stream, 0, span, tuple(observations), rung=rung)


def _findings(rng: random.Random, window: _Window) -> tuple[Finding, ...]:
    """What the embedded observers would make of it: shapes, where they go, and text, not always right."""
    span, views, seen = window.stream_span, window.views, window.seen
    found = []

    def find(where: Any, kind: str, text: str, detail: dict[str, str | float] | None = None) -> None:
        found.append(Finding(where, kind, text, span, _BY_OBSERVERS, detail=detail or {}))

    for person in dict.fromkeys(figure.person for view in views for figure in view.figures):
        accent = rng.choice((f"{person.coat} and {rng.choice(_SHADES)}", person.coat))
        name = f"{rng.choice(_SHAPES)} {accent} shape"
        side = rng.choice(("left", "right"))
        place = rng.choice(("on the left", "in the middle", "on the right"))
        ways = (
            ("enters", f"a {name} enters from the {side}"),
            ("moves", f"a {name} moves {side}"),
            ("stays", f"a {name} stays {place}"),
            ("leaves", f"the {name} leaves to the {side}"),
        )
        for kind, text in rng.sample(ways, rng.choice((1, 1, 2))):
            find("action", kind, text)
        if rng.random() < 0.3:
            since_s = max(0.0, span.start_s - rng.uniform(0, 9))
            find("action", "visit", f"a {name} is there {between(since_s, span.end_s)}")
    if any(act.kind in {"puts", "takes"} for act in seen.acts) and rng.random() < 0.7:
        kind, did = rng.choice((("placed", "is put down"), ("removed", "is taken away")))
        where = rng.choice(("on the left", "in the middle", "on the right"))
        where = where if kind == "placed" else f"from {where.split()[-2]} {where.split()[-1]}"
        find(
            "action",
            kind,
            f"something {rng.choice(('', 'small '))}{' and '.join(rng.sample(_SHADES, 2))} {did} {where}",
        )
    for code in seen.visible_text:
        if rng.random() < 0.9:
            find("visible_text", "line", code)
    if not seen.actors:
        find("attribute", "empty", "nothing moves and nothing new is in the picture")
    first, second, third = rng.sample(_SHADES, 3)
    mostly = rng.choice(
        (f"mostly {first}, with some {second} and {third}", f"mostly {first} and {second}, with some {third}")
    )
    find("attribute", "colour", mostly, {first: 0.5, second: 0.2, third: 0.1})
    find("attribute", "brightness", rng.choice(("bright", "dim")))
    return tuple(found)


_SHADES = ("red", "blue", "green", "yellow", "white", "black", "grey", "brown", "beige")
_SHAPES = ("tall", "tall", "compact", "wide")


# -- the tasks ----------------------------------------------------------------------------------------


def _caption(rng: random.Random, wanted: _Wanted) -> list[Sample]:
    windows = _windows(rng, _one_scene(rng))
    window = _lively(rng, windows)
    before, window = _told_before(rng, windows, window)
    seen = window.seen
    read = tuple(
        Finding("visible_text", "line", text, window.span, "ocr/1")
        for text in seen.visible_text
        if rng.random() < 0.6
    )
    moment = _remembered("house", "moment", window.span, [Observation("", read, _BY_OBSERVERS, 0.0)])
    frames = []
    for time_s, view in zip(window.times_s, window.views, strict=True):
        jpeg, width, height = encode_jpeg(_grainy(rng, view, wanted.scale))
        frames.append(KeyFrame(f"{time_s}", "house", time_s, 0, "1/1000", width, height, jpeg))
    return [Sample("caption", caption_prompt(moment, frames, before), _described(seen))]


def _told_before(rng: random.Random, windows: Sequence[_Window], window: _Window) -> tuple[str, _Window]:
    """What the model is told of the moment before, and the window as it is for who knows that."""
    number = windows.index(window)
    earlier = windows[number - 1] if number else None
    if earlier is not None and rng.random() < 0.45:
        return earlier.seen.caption, replace(window, before=earlier.views[-1])
    window = replace(window, before=None)
    if earlier is not None and rng.random() < 0.6:
        return compose_caption(_findings(rng, earlier)), window
    if rng.random() < 0.4:
        # The moment before may be one of another room.
        other = rng.choice(_windows(rng, _one_scene(rng)))
        return (other.seen.caption if other.scene.room != window.scene.room else ""), window
    return "", window


def _described(seen: Seen) -> Described:
    return Described(
        caption=seen.caption,
        actors=list(seen.actors),
        actions=list(seen.actions),
        objects=list(seen.objects),
        place=seen.place,
        visible_text=list(seen.visible_text),
    )


def _summary(rng: random.Random, wanted: _Wanted) -> list[Sample]:
    house = furnish(rng.getrandbits(48), rng.choice((8.0, 20.0, 40.0, 60.0, 120.0)), scene_s=(6.0, 30.0))
    windows = [window for start_s, scene in house.scenes for window in _windows(rng, scene, start_s)]
    first = rng.randrange(len(windows))
    windows = windows[first : first + rng.choice((2, 3, 4, 6, 8, 12, 20, 36))]
    children = [_moment(rng, window, "house", observed=False, told=[window.seen]) for window in windows]
    span = Span(children[0].span.start_s, children[-1].span.end_s)
    parent = _remembered("house", "event", span, ())
    return [Sample("summary", summary_prompt(parent, children), _told([window.seen for window in windows]))]


_WORTH_TELLING = ("puts", "takes", "opens", "closes", "gives", "shows")


def _told(parts: Sequence[Seen]) -> Told:
    """What happens in several moments: deeds and signs; where there are none, who comes and goes."""
    acts = list(dict.fromkeys(act for seen in parts for act in seen.acts))
    told = [act for act in acts if act.kind in _WORTH_TELLING][:_MOST]
    told = told or [act for act in acts if act.kind in {"comes", "leaves", "carries"}][:_MOST]
    sentences: list[str] = []
    for number, act in enumerate(told):
        if number and told[number - 1].room == act.room:
            sentences[-1] += f"; {act.clause}"
        else:
            sentences.append(f"In {act.room}, {act.clause}")
    rooms = dict.fromkeys(str(act.room) for act in told) or {parts[0].place: None}
    people = dict.fromkeys(str(act.who) for act in told if act.who is not None)
    return Told(
        caption=". ".join(sentences or [f"In {parts[0].place}, nothing happens"]) + ".",
        actors=list(people)[:_MOST],
        actions=[act.deed for act in told if act.who is not None],
        objects=list(dict.fromkeys(str(act.what) for act in told if act.what is not None))[:_MOST],
        place=" and ".join(rooms),
    )


_MOST = 8


@dataclass(frozen=True)
class _Life:
    """A house cut into moments, in some of which something is done."""

    windows: list[_Window]
    stream: str

    @property
    def acts(self) -> list[Act]:
        return [act for window in self.windows for act in window.seen.acts]


def _life(rng: random.Random, lasts_s: float) -> _Life:
    house = furnish(rng.getrandbits(48), lasts_s, scene_s=(8.0, 24.0))
    windows = [window for start_s, scene in house.scenes for window in _windows(rng, scene, start_s)]
    life = _Life(windows, rng.choice(_STREAMS))
    return life if life.acts else _life(rng, lasts_s)


def _question(rng: random.Random, about: Sequence[Act], others: Sequence[Act]) -> Asked:
    """A question about one of some acts that has one answer among all of them."""
    # First the deed, so that what is often seen is not most often asked.
    by_kind: dict[str, list[Act]] = {}
    for act in about:
        by_kind.setdefault(act.kind, []).append(act)
    for _ in range(20):
        act = rng.choice(by_kind[rng.choice(list(by_kind))])
        form = rng.choice(forms_of(act))
        golds = {_gold(other, form) for other in others if answers(other, act, form.part)}
        if len(golds) <= 1:
            break
    return pose(act, form, rng, others=others, open_share=0.2)


def _gold(act: Act, form: Form) -> str:
    return next((each.gold for each in forms_of(act) if each.part == form.part), "")


def _judge(rng: random.Random, wanted: _Wanted) -> list[Sample]:
    life = _life(rng, rng.choice((12.0, 30.0, 60.0, 120.0)))
    acts = life.acts
    most = rng.choice([most for most in (0, 1, 2, 3, 4, 6, 8, SHOWN, SHOWN, SHOWN) if most <= wanted.shown])
    most = min(most, len(life.windows))
    about = rng.choice(_named_in(rng.choice(acts)) or ("",))
    # Half of what a search finds is alike: moments of the same person or thing.
    alike = [w for w in life.windows if any(about in _named_in(act) for act in w.seen.acts)]
    windows = rng.sample(alike, min(len(alike), rng.randint(0, most)))
    windows += rng.sample([window for window in life.windows if window not in windows], most - len(windows))
    windows.sort(key=lambda window: window.stream_span)
    shown = [_Shown(window, _looks(rng, window)) for window in windows]
    observed = rng.random() < 0.5
    moments = [_moment(rng, each.window, life.stream, observed=observed, told=each.told) for each in shown]
    overview = _overview(rng, life) if rng.random() < 0.2 else []
    told = [act for each in shown for act in each.acts]
    named_shown = {f"M{number}": each for number, each in enumerate(shown, 1)}
    # What they do not show, of this house or of another one, of which nothing at all is known.
    untold = [[act for act in acts if act not in told], _life(rng, 12.0).acts]

    def judge() -> Sample:
        about = told if told and rng.random() < 0.6 else (rng.random() < 0.8 and untold[0]) or untold[1]
        asked = _question(rng, about, acts)
        question = Question(text=asked.text, options=asked.options)
        return Sample("judge", judge_prompt(question, overview, named(moments)), _judged(asked, named_shown))

    return [judge() for _ in range(wanted.count)]


def _named_in(act: Act) -> tuple[Any, ...]:
    """Who and what an act is about."""
    return tuple(value for value in (act.who, act.what, act.to) if value is not None)


@dataclass(frozen=True)
class _Shown:
    """A moment that is judged from."""

    window: _Window
    told: list[Seen]
    """What the model said of it, oldest first."""

    @property
    def acts(self) -> list[Act]:
        return list(dict.fromkeys(act for seen in reversed(self.told) for act in seen.acts))


def _looks(rng: random.Random, window: _Window) -> list[Seen]:
    """The caption of a moment, and sometimes what a second look at it brought."""
    return [window.seen, *([_closely(window, rng.choice((4, 6, 8))).seen] if rng.random() < 0.1 else [])]


def _closely(window: _Window, pictures: int) -> _Window:
    """A moment with more pictures, evenly spread, as they are taken for a look."""
    step_s = max(0.25, window.span.duration_s / pictures)
    times_s = (window.span.start_s + step_s * number for number in range(pictures))
    return replace(window, times_s=tuple(t for t in times_s if t < window.span.end_s), before=None)


def _overview(rng: random.Random, life: _Life) -> list[Moment]:
    """One to three events that have been summed up, by counting and by a model."""
    found, windows = [], life.windows
    for _ in range(rng.choice((1, 1, 2, 3))):
        first = rng.randrange(len(windows))
        group = windows[first : first + rng.choice((3, 6, 12, len(windows)))]
        span = Span(group[0].stream_span.start_s, group[-1].stream_span.end_s)
        children = [_moment(rng, window, life.stream) for window in group]
        if rng.random() < 0.4:
            children.append(_with_codes(rng, life.stream, span))
        counted = tally.summarise(children, span)
        summary = Observation(_told([window.seen for window in group]).caption, (), _BY_LMM, 0.0)
        found.append(_remembered(life.stream, "event", span, [counted, summary]))
    return sorted(found, key=lambda event: event.span)


def _with_codes(rng: random.Random, stream: str, span: Span) -> Moment:
    """A moment in which as many signs were read as in an hour."""
    codes = {
        rng.choice(LETTERS) + rng.choice(DIGITS) + rng.choice(LETTERS) for _ in range(rng.randint(3, 30))
    }
    found = tuple(Finding("visible_text", "line", code, span, _BY_OBSERVERS) for code in sorted(codes))
    return _remembered(stream, "moment", span, [Observation("", found, _BY_OBSERVERS, 0.0)])


def _judged(asked: Asked, shown: dict[str, _Shown]) -> Judged:
    """How far the moments settle the question: they show it, let it be inferred, touch on it, or do not."""
    act, part = asked.act, asked.form.part
    acts = [(name, each) for name, moment in shown.items() for each in moment.acts]
    direct = [(name, each) for name, each in acts if answers(each, act, part)]
    if direct:
        return _settled(asked, direct, "all", shown)
    inferred = [(name, each) for name, each in acts if _suggests(each, act, part)]
    if inferred:
        return _settled(asked, inferred[:1], "half", shown)
    near = [name for name, each in acts if _touches(each, asked)][:1]
    return Judged(
        cites=near,
        answer="",
        choice=None,
        sufficiency="little" if near else "none",
        missing=asked.known,
        look_at=near,
        queries=[asked.known],
    )


def _settled(
    asked: Asked, found: Sequence[tuple[str, Act]], grade: Literal["all", "half"], shown: dict[str, _Shown]
) -> Judged:
    name, act = found[0]
    answer = replace(asked, act=act).answer
    if asked.form.part == "when":
        answer = f"At {clock(shown[name].window.stream_span.start_s)}: {answer}"
    return Judged(
        cites=list(dict.fromkeys(name for name, _ in found))[:2],
        answer=answer,
        choice=_letter(asked, act),
        sufficiency=grade,
        missing="" if grade == "all" else asked.known,
        look_at=[] if grade == "all" else [name],
        queries=[] if grade == "all" else [asked.known],
    )


def _letter(asked: Asked, act: Act) -> str | None:
    """The option that an act speaks for."""
    gold = _gold(act, asked.form)
    return chr(ord("A") + asked.options.index(gold)) if gold in asked.options else None


def _suggests(seen: Act, asked: Act, part: str) -> bool:
    """Whether it makes an answer likely without showing it: who carries it put it, where it lies it was put."""
    if asked.kind != "puts":
        return False
    if part == "who":
        return seen.kind == "carries" and seen.what == asked.what
    return part == "where" and seen.kind == "is" and seen.what == asked.what


def _touches(seen: Act, asked: Asked) -> bool:
    """Whether it tells of the person or thing that is asked about, and so may be worth a look."""
    act, part = asked.act, asked.form.part
    known = {
        value
        for name, value in (("who", act.who), ("what", act.what), ("to", act.to))
        if value is not None and name != part
    }
    return any(value in known for value in _named_in(seen))


def _look(rng: random.Random, wanted: _Wanted) -> list[Sample]:
    scene = _one_scene(rng)
    windows = _windows(rng, scene)
    window = _lively(rng, windows)
    close = _closely(window, rng.choice((2, 3, 4, 4, 6, 8)))
    acts = list(close.seen.acts)
    other = _one_scene(rng)
    elsewhere = [happening.act for happening in (*scene.happenings, *other.happenings)]
    if not acts and not elsewhere:
        return _look(rng, wanted)
    told = [window.seen] if rng.random() < 0.5 else []
    moment = _moment(rng, window, rng.choice(_STREAMS), told=told)
    pictures = [(time_s, _grainy(rng, scene.view(time_s), wanted.scale)) for time_s in close.times_s]

    def look() -> Sample:
        about = acts if acts and (rng.random() < 0.75 or not elsewhere) else elsewhere or acts
        asked = _question(rng, about, acts)
        prompt = look_prompt(Question(text=asked.text, options=asked.options), moment, pictures)
        assert prompt is not None
        return Sample("look", prompt, _looked(asked, close.seen))

    return [look() for _ in range(wanted.count)]


def _looked(asked: Asked, seen: Seen) -> Looked:
    part = asked.form.part
    found = [act for act in seen.acts if answers(act, asked.act, part)]
    grade: Literal["all", "half", "none"] = "all"
    if not found:
        found = [act for act in seen.acts if _suggests(act, asked.act, part)]
        grade = "half" if found else "none"
    answer, choice = "", None
    if found:
        answer = replace(asked, act=found[0]).answer
        choice = _letter(asked, found[0])
    return Looked(
        seen=seen.caption,
        visible_text=list(seen.visible_text),
        answer=answer,
        choice=choice,
        sufficiency=grade,
    )


_ORDERS: tuple[tuple[Literal["any", "first", "last", "every"], str], ...] = (
    ("any", "{}"),
    ("any", "{}"),
    ("first", "{} the first time"),
    ("last", "{} the last time"),
    ("every", "How often: {}"),
)


def _plan(rng: random.Random, wanted: _Wanted) -> list[Sample]:
    life = _life(rng, rng.choice((20.0, 40.0)))
    overview = _overview(rng, life)
    return [_planned(rng, life, overview) for _ in range(wanted.count)]


def _planned(rng: random.Random, life: _Life, overview: Sequence[Moment]) -> Sample:
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
    queries = [asked.known]
    subject = str(asked.act.who or asked.act.what or "")
    if subject and subject in asked.known and asked.known != subject:
        queries.append(subject)
    prompt = plan_prompt(Question(text=text, options=asked.options), overview)
    return Sample("plan", prompt, Planned(queries=queries, from_s=from_s, to_s=to_s, order=order))


_MAKERS: dict[Task, Callable[[random.Random, _Wanted], list[Sample]]] = {
    "caption": _caption,
    "look": _look,
    "judge": _judge,
    "summary": _summary,
    "plan": _plan,
}
