"""Parsing of clock times: stream times, clock fields of data sets, and points in time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from recollect.common.clock_times import parse_as_of, parse_clock_fields_s, parse_time_s


@pytest.mark.parametrize(
    ("text", "time_s"),
    [
        ("80", 80.0),
        ("0", 0.0),
        ("80.5", 80.5),
        ("80s", 80.0),
        ("80.5 s", 80.5),
        ("1:20", 80.0),
        ("1:20.25", 80.25),
        ("100:00", 6000.0),
        ("1:02:03", 3723.0),
        ("1:02:03.5", 3723.5),
        ("1h", 3600.0),
        ("2m", 120.0),
        ("2min", 120.0),
        ("1h2m3s", 3723.0),
        ("1h 2m 3.5s", 3723.5),
        ("1H2M3S", 3723.0),
        ("1h 3", 3603.0),
        (" 1:20 ", 80.0),
    ],
)
def test_a_stream_time_is_read_in_every_notation(text, time_s):
    assert parse_time_s(text) == time_s


@pytest.mark.parametrize(
    "text",
    ["", " ", "-5", "20x", "1:99", "1:60:00", "1:2", ":20", "1:", "a:bc", "5 5", "h", "s", "nan", "inf", "1e5",
     "9" * 400, "١:٢٠", "1:20; rm", "1h2h"],
)  # fmt: skip
def test_an_invalid_stream_time_is_refused_with_examples(text):
    with pytest.raises(ValueError, match="1:20"):
        parse_time_s(text)


@pytest.mark.parametrize(
    ("text", "time_s"),
    [("75", 75.0), ("3:10", 190.0), ("00:03:10", 190.0), (" 1:2:3.5 ", 3723.5), ("90:75", 5475.0)],
)
def test_fields_of_a_data_set_may_have_any_size(text, time_s):
    assert parse_clock_fields_s(text) == time_s


@pytest.mark.parametrize("text", ["", "later", "1:", "1:2:3:4", "-1:20", "1:20 s"])
def test_invalid_clock_fields_are_refused(text):
    with pytest.raises(ValueError, match="00:03:10"):
        parse_clock_fields_s(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22T11:00:00+01:00", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1700000000.5", datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC)),
    ],
)
def test_a_point_in_time_is_iso_8601_or_unix_seconds(text, moment):
    assert parse_as_of(text) == moment.timestamp()


def test_a_point_in_time_without_a_zone_is_local():
    assert parse_as_of("2026-11-22T10:00:00") == datetime(2026, 11, 22, 10).astimezone().timestamp()


@pytest.mark.parametrize("text", ["", "yesterday", "nan", "inf", "-inf", "1e30", "2026-13-01", "12:00:00"])
def test_an_invalid_point_in_time_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="2026-11-22T10:00:00Z"):
        parse_as_of(text)
