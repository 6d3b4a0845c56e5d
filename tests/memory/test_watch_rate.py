"""Reduced watch rates: stored with moments, summed up in the memories above, and told by the coverage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from recollect.memory import MemoryStore, Moment, Span
from recollect.memory.ladder.builder import Ladder
from recollect.memory.values import MAX_REDUCTIONS, ReducedSpan, merged_reductions, merged_spans
from recollect.memory.watch_rate import WatchRate

ONE = WatchRate(1.0, reads_text=False)
NO_TEXT = WatchRate(4.0, reads_text=False)
KEY_FRAMES = WatchRate(1.0, reads_text=False, key_frames_only=True)

lengths = st.lists(
    st.tuples(st.floats(0.5, 9.0), st.floats(0.0, 3.0), st.sampled_from([ONE, NO_TEXT, KEY_FRAMES])),
    max_size=150,
)


def reduced(moment: Moment, rate: WatchRate) -> Moment:
    return replace(moment, reduced=(ReducedSpan(moment.span, rate),))


def test_rates_are_stored_and_told_by_the_coverage(store: MemoryStore, moment: Callable[..., Moment]) -> None:
    rates = [None, NO_TEXT, NO_TEXT, ONE, None, None]
    moments = [moment(n) if rate is None else reduced(moment(n), rate) for n, rate in enumerate(rates)]
    ladder = Ladder("kitchen")
    for one in moments:
        store.append([one, *ladder.push(one)])
    before = store.snapshot().coverage("kitchen").reduced
    parents = ladder.flush()
    store.append(parents)

    expected = (ReducedSpan(Span(5.0, 15.0), NO_TEXT), ReducedSpan(Span(15.0, 20.0), ONE))
    assert before == expected
    assert store.snapshot().coverage("kitchen").reduced == expected
    assert store.snapshot().coverage("kitchen", Span(0.0, 6.0)).reduced == (
        ReducedSpan(Span(5.0, 6.0), NO_TEXT),
    )
    assert store.snapshot().get([moments[3].id])[moments[3].id].reduced == (
        ReducedSpan(moments[3].span, ONE),
    )
    assert [part for parent in parents if parent.rung == "event" for part in parent.reduced] == [*expected]


@given(lengths)
def test_merging_keeps_the_time_and_never_raises_a_rate(script) -> None:
    parts, now_s = [], 0.0
    for length_s, pause_s, rate in script:
        parts.append(ReducedSpan(Span(now_s, now_s + length_s), rate))
        now_s += length_s + pause_s

    merged = merged_reductions(parts)

    assert len(merged) <= MAX_REDUCTIONS
    for part in parts:
        [whole] = [one for one in merged if one.span.contains(part.span.middle_s)]
        assert whole.rate.lowest(part.rate) == whole.rate
    if len(parts) <= MAX_REDUCTIONS:
        spans = [one.span for one in merged]
        assert sum(span.duration_s for span in merged_spans(spans)) <= now_s
        assert sum(span.duration_s for span in spans) >= sum(part.span.duration_s for part in parts) - 0.01


def test_a_rate_in_words() -> None:
    assert str(ONE) == "1 frame a second, no text read"
    assert str(WatchRate(2.0)) == "2 frames a second"
    assert str(KEY_FRAMES) == "key frames only, at most 1 frame a second, no text read"
