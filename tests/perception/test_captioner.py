"""The captioner: a slow, unreachable or failing model loses no description and duplicates none."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from recollect.memory import MemoryStore
from recollect.memory.storage.backlog import MAX_ATTEMPTS
from recollect.memory.values import Finding, KeyFrame, Moment, Observation, Span, moment_id
from recollect.perception.describing.backlog_captioning import queue_undescribed
from recollect.perception.describing.captioner import Captioner, CaptionReport
from recollect.perception.describing.describer import DescriptionReply, MomentDescriptionReply
from recollect.perception.describing.description_queue import backlog_entries
from recollect.perception.describing.server_availability import MAX_OVERLOADS
from recollect.perception.describing.undecided_failures import MAX_UNDECIDED
from recollect.perception.errors import (
    LmmError,
    LmmNotServed,
    LmmOverloaded,
    LmmRefused,
    LmmTimedOut,
    LmmUnreachable,
)
from recollect.perception.lmm import LmmReply, Prompt, TextPart
from recollect.perception.watch_events import (
    Described,
    DescriptionsResumed,
    DescriptionsWaiting,
    WatchEvent,
)
from recollect.testing.scripted_lmm import ScriptedLmm

_, _JPEG = cv2.imencode(".jpg", np.full((24, 32, 3), 90, np.uint8))
AWAY = LmmUnreachable("scripted", "it sleeps")


def moment(number: int, *kinds: str, stream: str = "door") -> tuple[Moment, KeyFrame]:
    """A moment of 5 s in which "sign <number>" is read, and its picture."""
    span = Span(number * 5.0, number * 5.0 + 5.0)
    findings = [
        Finding("visible_text", "line", f"sign {number}", span, "text/1"),
        *(Finding("action", kind, kind, span, "motion/1") for kind in kinds),
    ]
    frame = KeyFrame(f"{stream}{number}", stream, span.start_s + 1, number, "1/1", 32, 24, _JPEG.tobytes())
    observation = Observation(f"moment {number}", tuple(findings), "observers/1", 1000.0)
    key = moment_id(stream, 0, "moment", span.start_s)
    return Moment(key, stream, 0, span, (observation,), frame_ids=(frame.id,)), frame


def event(*children: Moment) -> Moment:
    span = Span(children[0].span.start_s, children[-1].span.end_s)
    return Moment(
        moment_id("door", 0, "event", span.start_s),
        "door",
        0,
        span,
        (Observation("an event", (), "ladder/1", 1000.0),),
        rung="event",
        child_ids=tuple(child.id for child in children),
        frame_ids=children[0].frame_ids,
    )


def text_of(prompt: Prompt) -> str:
    return "\n".join(part.text for part in prompt.parts if isinstance(part, TextPart))


def number_of(prompt: Prompt) -> int:
    """The number of the moment that a description request is about."""
    return int(text_of(prompt).partition("sign ")[2].split()[0])


def line(prompt: Prompt) -> MomentDescriptionReply | DescriptionReply:
    """The reply of the model to a prompt."""
    rest: dict[str, Any] = {"actors": [], "actions": [], "objects": [], "place": ""}
    if prompt.name == "summary":
        return DescriptionReply(caption="A kettle boils for long.", **rest)
    return MomentDescriptionReply(
        caption=f"A kettle boils beside sign {number_of(prompt)}.", visible_text=[], **rest
    )


def line_of(number: int) -> MomentDescriptionReply | DescriptionReply:
    """The reply for the moment of this number."""
    return line(Prompt("caption", 1, "", (TextPart(f"sign {number}"),)))


class HeldLmm(ScriptedLmm):
    """A model that holds every reply until ``release`` is set."""

    def __init__(self) -> None:
        super().__init__(otherwise=line)
        self.release = threading.Event()
        self.waiting = 0

    async def ask(self, prompt: Prompt, reply: Any, **how: Any) -> LmmReply[Any]:
        self.waiting += 1
        while not self.release.is_set():
            await asyncio.sleep(0.005)
        self.waiting -= 1
        return await super().ask(prompt, reply, **how)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore.open(tmp_path / "memory", write=True) as opened:
        yield opened


def fill(store: MemoryStore, *pairs: tuple[Moment, KeyFrame], above: tuple[Moment, ...] = ()) -> list[Moment]:
    """Store moments with their backlog entries, so that they wait for a description."""
    moments = [item for item, _ in pairs]
    store.append([*moments, *above], [frame for _, frame in pairs], backlog_entries([*moments, *above]))
    return moments


def captions(store: MemoryStore, rung: Any = "moment") -> list[str]:
    return [item.caption for item in store.snapshot().timeline("door", rung=rung)]


def finished(store: MemoryStore, lmm: ScriptedLmm, **how: Any) -> CaptionReport:
    with Captioner(store, lmm, **how) as captioner:
        return captioner.finish()


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that other threads bring about."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def test_the_whole_backlog_is_described(store):
    fill(store, *(moment(number) for number in range(20)))

    report = finished(store, ScriptedLmm(otherwise=line))

    assert report == CaptionReport(described=20, given_up=0, waiting=0, trouble="")
    assert captions(store) == [f"A kettle boils beside sign {number}." for number in range(20)]


def test_the_most_eventful_and_then_the_newest_goes_first(store):
    fill(store, moment(0), moment(1, "enters", "leaves"), moment(2, "moves"), moment(3))
    lmm = ScriptedLmm(otherwise=line)

    finished(store, lmm, concurrency=1)

    assert [number_of(request.prompt) for request in lmm.asked] == [1, 2, 3, 0]


def test_an_event_is_summarised_from_described_moments(store):
    pairs = [moment(number) for number in range(12)]
    events = tuple(event(*(child for child, _ in pairs[start : start + 4])) for start in (0, 4, 8))
    fill(store, *pairs, above=events)
    lmm = ScriptedLmm(otherwise=line)

    finished(store, lmm)

    summaries = [text_of(request.prompt) for request in lmm.asked if request.prompt.name == "summary"]
    assert len(summaries) == 3
    assert all(text.count("A kettle boils beside sign") == 4 for text in summaries)
    assert captions(store, "event") == ["A kettle boils for long."] * 3


def test_a_prompt_holds_the_caption_of_the_moment_before(store):
    far = moment(100)
    fill(store, moment(0), moment(1), far)
    lmm = ScriptedLmm(otherwise=line)

    finished(store, lmm, concurrency=1)

    prompts = {number_of(request.prompt): text_of(request.prompt) for request in lmm.asked}
    assert '<data name="before">\nmoment 0\n' in prompts[1]
    assert "before" not in prompts[0]
    assert "before" not in prompts[100], "what is long past says nothing of who is seen now"


def test_requests_under_way_stay_below_the_limit(store):
    fill(store, *(moment(number) for number in range(20)))
    lmm = HeldLmm()

    with Captioner(store, lmm, concurrency=3) as captioner:
        until(lambda: lmm.waiting == 3)
        time.sleep(0.1)
        concurrent = lmm.waiting
        lmm.release.set()
        captioner.finish()

    assert concurrent == 3
    assert store.waiting() == 0


def test_moments_are_stored_during_a_request(store):
    """Storing a moment never waits for a reply."""
    lmm = HeldLmm()
    with Captioner(store, lmm) as captioner:
        for number in range(10):
            stored, frame = moment(number)
            captioner.remember([stored], [frame])
        until(lambda: lmm.waiting > 0)

        assert captions(store) == [f"moment {number}" for number in range(10)]
        assert len(lmm.asked) == 0

        lmm.release.set()
        captioner.finish()
    assert store.waiting() == 0


def test_a_moment_stored_while_idle_is_described_at_once(store):
    lmm = ScriptedLmm(otherwise=line)
    with Captioner(store, lmm) as captioner:
        for number in range(3):
            stored, frame = moment(number)
            captioner.remember([stored], [frame])
            until(lambda: store.waiting() == 0)

    assert len(lmm.asked) == 3


def test_a_moment_without_pictures_does_not_wait(store):
    blind, _ = moment(0)
    forgotten, _ = moment(1)
    store.append(
        [replace(blind, frame_ids=()), forgotten], waiting=backlog_entries([replace(blind, frame_ids=())])
    )
    store.enqueue(backlog_entries([forgotten]))
    lmm = ScriptedLmm(otherwise=line)

    report = finished(store, lmm)

    assert (report.described, report.waiting, lmm.asked) == (0, 0, [])


def test_an_event_of_evicted_pictures_is_still_summarised(store):
    forgotten, _ = moment(0)
    above = event(forgotten)
    store.append([forgotten, above], waiting=backlog_entries([forgotten, above]))

    report = finished(store, ScriptedLmm(otherwise=line))

    assert (report.described, report.waiting) == (1, 0)
    assert captions(store, "event") == ["A kettle boils for long."]


def test_requests_under_way_at_a_stop_stay_in_the_backlog(store):
    fill(store, *(moment(number) for number in range(5)))
    lmm = HeldLmm()
    with Captioner(store, lmm) as captioner:
        until(lambda: lmm.waiting > 0)
        captioner.stop()
        report = captioner.finish()

    assert (report.described, store.waiting()) == (0, 5)
    assert finished(store, ScriptedLmm(otherwise=line)).described == 5


# -- failures of the server ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "trouble",
    [
        AWAY,
        LmmTimedOut("scripted", 60.0, "waiting for the reply"),
        LmmOverloaded("scripted", 503, "busy"),
        LmmNotServed("scripted", "tiny", ("large",)),
        LmmRefused("scripted", 401, "wrong key"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_is_reported_once_and_retried_until_it_ends(store, trouble):
    fill(store, *(moment(number) for number in range(6)))
    events: list[WatchEvent] = []
    lmm = ScriptedLmm(*[trouble] * 5, otherwise=line)

    with Captioner(store, lmm, concurrency=1, first_pause_s=0.001, on_event=events.append):
        until(lambda: store.waiting() == 0)

    changes = [event for event in events if not isinstance(event, Described)]
    assert changes == [DescriptionsWaiting(str(trouble)), DescriptionsResumed()]
    assert store.backlog_counts() == {}, "no moment is blamed"
    assert captions(store) == [f"A kettle boils beside sign {number}." for number in range(6)]


def test_requests_that_fail_together_are_not_repeated_at_once(store):
    fill(store, *(moment(number) for number in range(8)))
    lmm = ScriptedLmm(*[AWAY] * 8, otherwise=line)

    with Captioner(store, lmm, concurrency=8, first_pause_s=3600):
        until(lambda: len(lmm.asked) == 8)
        time.sleep(0.1)

    assert len(lmm.asked) == 8, "it is left alone after that"
    assert store.waiting() == 8


def test_a_server_in_trouble_is_tried_with_one_request(store):
    fill(store, *(moment(number) for number in range(8)))
    lmm = ScriptedLmm(*[AWAY] * 10, otherwise=line)
    under_way: list[int] = []

    class Counting(ScriptedLmm):
        async def ask(self, *args: Any, **how: Any) -> LmmReply[Any]:
            self.now += 1
            under_way.append(self.now)
            try:
                await asyncio.sleep(0.001)
                return await lmm.ask(*args, **how)
            finally:
                self.now -= 1

        now = 0

    with Captioner(store, Counting(), concurrency=4, first_pause_s=0.001):
        until(lambda: store.waiting() == 0)

    assert under_way[:4] == [1, 2, 3, 4]
    assert set(under_way[4:11]) == {1}


def test_a_moment_without_a_reply_does_not_block_others(store):
    fill(store, *(moment(number) for number in range(5)), moment(9, "enters"))

    def reply_to(prompt: Prompt) -> MomentDescriptionReply | DescriptionReply | LmmError:
        return LmmTimedOut("scripted", 60.0, "waiting") if number_of(prompt) == 9 else line(prompt)

    with Captioner(store, ScriptedLmm(otherwise=reply_to), concurrency=1, first_pause_s=0.001):
        until(lambda: store.waiting() == 1)

    assert captions(store)[-1] == "moment 9"


@pytest.mark.parametrize("trouble", [AWAY, LmmNotServed("scripted", "tiny", ())])
def test_finish_does_not_wait_for_an_unreachable_server(store, trouble):
    fill(store, moment(0), moment(1))

    report = finished(store, ScriptedLmm(trouble, otherwise=line), concurrency=1, first_pause_s=3600)

    assert report == CaptionReport(described=0, given_up=0, waiting=2, trouble=str(trouble))


def test_finish_retries_an_overloaded_server_a_few_times(store):
    fill(store, moment(0))
    busy = LmmOverloaded("scripted", 429, "busy")

    after_two = finished(store, ScriptedLmm(busy, busy, otherwise=line), first_pause_s=0.001)
    fill(store, moment(1))
    lmm = ScriptedLmm(*[busy] * 100)
    never = finished(store, lmm, first_pause_s=0.001)

    assert (after_two.described, after_two.trouble) == (1, "")
    assert (never.waiting, len(lmm.asked)) == (1, MAX_OVERLOADS)


# -- unusable replies --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad", ["It is a kettle.", LmmRefused("scripted", 400, "too many pictures")], ids=["nonsense", "refused"]
)
def test_an_undescribable_moment_is_given_up_with_its_error(store, bad):
    fill(store, *(moment(number) for number in range(4)))
    lmm = ScriptedLmm(otherwise=lambda prompt: bad if number_of(prompt) == 2 else line(prompt))

    report = finished(store, lmm)

    assert (report.described, report.given_up, report.waiting) == (3, 1, 0)
    assert [number_of(request.prompt) for request in lmm.asked].count(2) == MAX_ATTEMPTS == 3
    counts = store.backlog_counts()["door"]
    assert counts.given_up == 1
    assert (
        "kettle" in counts.last_error
        or "too many pictures" in counts.last_error
        or "JSON" in counts.last_error
    )
    assert captions(store)[2] == "moment 2"
    assert finished(store, lmm).described == 0, "it is not tried again by itself"


def test_an_event_does_not_wait_for_a_moment_that_was_given_up(store):
    pairs = [moment(0), moment(1)]
    fill(store, *pairs, above=(event(*(child for child, _ in pairs)),))

    def reply_to(prompt: Prompt) -> MomentDescriptionReply | DescriptionReply | str:
        return "nonsense" if prompt.name == "caption" and number_of(prompt) == 0 else line(prompt)

    lmm = ScriptedLmm(otherwise=reply_to)

    report = finished(store, lmm)

    assert (report.described, report.given_up) == (2, 1)
    assert "moment 0" in text_of(lmm.asked[-1].prompt)


def test_if_no_moment_can_be_described_none_is_given_up(store):
    """A misconfigured server refuses every request. The backlog must survive that."""
    fill(store, *(moment(number) for number in range(3 * MAX_UNDECIDED)))
    lmm = ScriptedLmm(otherwise=lambda _: LmmRefused("scripted", 400, "no video here"))

    report = finished(store, lmm, concurrency=1, first_pause_s=3600)

    assert (report.given_up, report.waiting) == (0, 3 * MAX_UNDECIDED)
    assert "no video here" in report.trouble
    assert len(lmm.asked) == MAX_UNDECIDED
    assert finished(store, ScriptedLmm(otherwise=line)).described == 3 * MAX_UNDECIDED


@pytest.mark.parametrize("count", [1, 2, MAX_UNDECIDED - 1])
@pytest.mark.parametrize(
    "bad", ["<html>busy</html>", LmmRefused("scripted", 400, "no video here")], ids=["nonsense", "refused"]
)
def test_the_servers_fault_is_not_charged_to_moments(store, count, bad):
    """A few moments in a short film, each tried in several runs while the server is broken."""
    fill(store, *(moment(number) for number in range(count)))

    for _ in range(MAX_ATTEMPTS + 1):
        report = finished(store, ScriptedLmm(otherwise=lambda _: bad), first_pause_s=3600)
        assert (report.described, report.given_up, report.waiting) == (0, 0, count)
        assert report.trouble
    mended = finished(store, ScriptedLmm(otherwise=line))

    assert (mended.described, mended.given_up, mended.waiting) == (count, 0, 0)


def test_a_server_that_breaks_in_the_middle_charges_nobody(store):
    fill(store, *(moment(number) for number in range(6)))
    lmm = ScriptedLmm(*[line_of(number) for number in (5, 4)], otherwise=lambda _: "nonsense")

    report = finished(store, lmm, concurrency=1, first_pause_s=3600)

    assert (report.described, report.given_up, report.waiting) == (2, 0, 4)
    assert finished(store, ScriptedLmm(otherwise=line)).described == 4
    assert store.backlog_counts() == {}


def test_summaries_do_not_decide_about_pictures(store):
    """A model without eyes summarises texts, and that does not charge the moments that it cannot see."""
    pairs = [moment(number) for number in range(4)]
    described, waiting = pairs[:2], pairs[2:]
    store.append([item for item, _ in described], [frame for _, frame in described])
    fill(store, *waiting, above=(event(*(child for child, _ in described)),))

    def reply_to(prompt: Prompt) -> MomentDescriptionReply | DescriptionReply | LmmError:
        return LmmRefused("scripted", 400, "no pictures") if prompt.name == "caption" else line(prompt)

    report = finished(store, ScriptedLmm(otherwise=reply_to), concurrency=1, first_pause_s=3600)

    assert (report.described, report.given_up, report.waiting) == (1, 0, 2)
    assert finished(store, ScriptedLmm(otherwise=line)).described == 2


def test_a_live_moment_is_charged_when_later_ones_succeed(store):
    lmm = ScriptedLmm(otherwise=lambda prompt: "nonsense" if number_of(prompt) == 0 else line(prompt))
    with Captioner(store, lmm, first_pause_s=0.001) as captioner:
        for number in range(8):
            stored, frame = moment(number)
            captioner.remember([stored], [frame])
            time.sleep(0.05)
        until(lambda: bool(counts := store.backlog_counts()) and counts["door"].given_up == 1)

    assert store.backlog_counts()["door"].waiting == 0


def test_an_exception_for_one_moment_does_not_end_the_others(store):
    _, frame = moment(7)
    broken = replace(frame, width=4000, jpeg=b"no jpeg")
    fill(store, moment(0), (moment(7)[0], broken), moment(8))

    report = finished(store, ScriptedLmm(otherwise=line))

    assert (report.described, report.given_up) == (2, 1)
    assert "cannot be decoded" in store.backlog_counts()["door"].last_error


# -- another model, another prompt --------------------------------------------------------------------


def test_everything_a_model_has_not_described_can_be_queued(store):
    pairs = [moment(number) for number in range(3)]
    parent = event(*(item for item, _ in pairs))
    store.append([*(item for item, _ in pairs), parent], [frame for _, frame in pairs])

    for model in ("tiny", "tiny", "large"):
        queue_undescribed(store, model)
        finished(store, ScriptedLmm(otherwise=line, name=model))

    for item in store.snapshot().get([parent.id, *parent.child_ids]).values():
        name = "summary" if item.id == parent.id else "caption"
        assert [observation.written_by for observation in item.observations][1:] == [
            f"lmm:tiny/{name}.1",
            f"lmm:large/{name}.1",
        ]


def test_only_the_requested_stream_is_described(store):
    fill(store, moment(0), moment(0, stream="garden"))

    report = finished(store, ScriptedLmm(otherwise=line), stream="garden")

    assert (report.described, report.waiting) == (1, 0)
    assert store.waiting("door") == 1


def test_moments_given_up_can_be_queued_again(store):
    fill(store, moment(0))
    finished(store, ScriptedLmm("nonsense", "nonsense", "nonsense"))

    queue_undescribed(store, "scripted")

    assert finished(store, ScriptedLmm(otherwise=line)).described == 1
    assert store.backlog_counts() == {}


def test_progress_counts_written_descriptions(store):
    fill(store, *(moment(number) for number in range(20)))
    events: list[WatchEvent] = []

    finished(store, ScriptedLmm(otherwise=line), on_event=events.append)

    written = [event for event in events if isinstance(event, Described)]
    assert [event.described + event.waiting for event in written] == [20] * len(written)
    assert written[-1].waiting == 0
    assert len(written) < 10, "they are written by the batch"
