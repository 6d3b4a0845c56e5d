"""Wall-clock times in questions, and their position in a recording."""

from __future__ import annotations

import pytest

from recollect.evals.suites.wall_clock import DAY_S, ClockSpan, clock_spans, day_s, format_day_time, spliced_s

HOUR_S = 3600.0


@pytest.mark.parametrize(
    ("text", "day", "start_h", "end_h"),
    [
        ("What did I eat, 11:00-13:30 on day 1?", 1, 11.0, 13.5),
        ("What did I do between 11:00 and 13:30 on day 1?", 1, 11.0, 13.5),
        ("from 9:15 to 9:45 on DAY2", 2, 9.25, 9.75),
        ("between 10:00 am and 12:00 pm on DAY6 (a. Watering the plants)", 6, 10.0, 12.0),
        ("DAY6: 10:00~11:30", 6, 10.0, 11.5),
        ("on day three, between 1 and 2:30 pm", 3, 13.0, 14.5),
        ("11 a.m. – 1:30 p.m. on the second day", 2, 11.0, 13.5),
        ("11:00-1:30 pm on day 4", 4, 11.0, 13.5),
        ("12:15 am to 12:45 am on day 1", 1, 0.25, 0.75),
        ("09:00:30 until 09:01 of day 7", 7, 9 + 30 / 3600, 9 + 1 / 60),
        ("DAY_5 08:00—08:30", 5, 8.0, 8.5),
    ],
)
def test_clock_span_is_parsed(text, day, start_h, end_h):
    (span,) = clock_spans(text)

    assert span.day == day
    assert span.start_s == pytest.approx(start_h * HOUR_S)
    assert span.end_s == pytest.approx(end_h * HOUR_S)


def test_span_past_midnight_ends_on_the_next_day():
    (span,) = clock_spans("23:30-00:15 on day 1")

    assert span.timeline_s == (23.5 * HOUR_S, DAY_S + 0.25 * HOUR_S)


def test_several_spans_keep_the_order_of_the_text():
    spans = clock_spans("DAY1: 10:00~11:00, DAY2: 12:00~13:00 and 14:00-15:00 on day 3")

    assert spans == (
        ClockSpan(1, 10 * HOUR_S, 11 * HOUR_S),
        ClockSpan(2, 12 * HOUR_S, 13 * HOUR_S),
        ClockSpan(3, 14 * HOUR_S, 15 * HOUR_S),
    )


def test_span_without_a_day_gets_the_day_of_the_question():
    assert clock_spans("a. 10:20~10:40 b. 10:45~11:15", day=6) == (
        ClockSpan(6, 10 * HOUR_S + 1200, 10 * HOUR_S + 2400),
        ClockSpan(6, 10 * HOUR_S + 2700, 11 * HOUR_S + 900),
    )
    assert clock_spans("between 11:00 and 12:00") == ()


def test_yesterday_is_the_day_before_the_question():
    assert [span.day for span in clock_spans("11:00-12:00 yesterday", day=3)] == [2]
    assert [span.day for span in clock_spans("the day before yesterday, 11:00-12:00", day=3)] == [1]
    assert clock_spans("11:00-12:00 yesterday") == ()


@pytest.mark.parametrize(
    "text",
    [
        "How many eggs, 2 to 3?",
        "pages 10-12 on day 1",
        "The score was 3:2 on day 1",
        "at 11:00 on day 1",
        "the ratio 1:2:3-4",
        "between 31:00 and 32:00 on day 1",
        "",
    ],
)
def test_text_without_a_time_span_gives_none(text):
    assert clock_spans(text, day=1) == ()


def test_day_and_frame_time_become_seconds_of_the_week():
    assert day_s("DAY1", "11093000") == 11 * 3600 + 9 * 60 + 30
    assert day_s("DAY3", "11210217") == 2 * DAY_S + 11 * 3600 + 21 * 60 + 2 + 17 / 20
    assert day_s("DAY2", "9000000") == DAY_S + 9 * 3600


@pytest.mark.parametrize(
    ("date", "time"), [("DAY0", "11093000"), ("Monday", "11093000"), ("DAY1", "noon"), ("DAY1", "11993000")]
)
def test_invalid_day_or_time_is_refused(date, time):
    with pytest.raises(ValueError, match="no"):
        day_s(date, time)


def test_gap_in_a_spliced_video_maps_to_the_next_clip():
    starts = (100.0, 130.0, 500.0)

    assert spliced_s(90.0, starts) == 0.0
    assert spliced_s(140.0, starts) == 40.0
    assert spliced_s(300.0, starts) == 60.0
    assert spliced_s(510.0, starts) == 70.0


def test_second_of_the_week_is_formatted_as_clock_time():
    assert format_day_time(day_s("DAY3", "11210217")) == "day 3, 11:21:02"
