"""The contact sheet of an answer's evidence."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from recollect import Answer, Evidence, KeyFrame
from recollect.contact_sheet import MARGIN, TILE, write_contact_sheet

COLOURS = {"inside": (200, 0, 0), "just after": (0, 0, 200), "minutes after": (0, 200, 0)}
TIMES_S = {"inside": 12.0, "just after": 22.0, "minutes after": 300.0}


def key_frame(name: str) -> KeyFrame:
    jpeg = io.BytesIO()
    Image.new("RGB", TILE, COLOURS[name]).save(jpeg, "JPEG", quality=95)
    width, height = TILE
    time_s = TIMES_S[name]
    return KeyFrame(name, "door", time_s, int(time_s * 1000), "1/1000", width, height, jpeg.getvalue())


@pytest.fixture
def shown(tmp_path: Path) -> set[str]:
    """Which of the key frames are on the sheet of an answer that cites 10 s to 20 s."""
    evidence = Evidence(
        stream="door",
        start_s=10.0,
        end_s=20.0,
        text="3 visits",
        frame_ids=tuple(COLOURS),
        memory_id="m",
        score=1.0,
    )
    answer = Answer(
        text="3 visits.",
        confidence=0.7,
        evidence=[evidence],
        as_of=datetime.now(UTC).isoformat(),
        stop_reason="sufficient",
        trace_id="t",
    )
    path = tmp_path / "evidence.png"
    write_contact_sheet(path, [("How many visits?", answer)], lambda ids: [key_frame(name) for name in ids])
    with Image.open(path) as sheet:
        row_y = sheet.height - MARGIN - TILE[1]
        colours = {
            sheet.getpixel((MARGIN + TILE[0] // 2 + column * (TILE[0] + MARGIN), row_y))
            for column in range(3)
        }
    return {name for name, colour in COLOURS.items() for pixel in colours if _similar(colour, pixel)}


def _similar(colour: tuple[int, ...], pixel: object) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(left - right) < 20 for left, right in zip(colour, pixel, strict=True))


def test_pictures_in_and_near_the_span_are_shown(shown: set[str]) -> None:
    assert shown >= {"inside", "just after"}


def test_pictures_far_from_the_span_are_left_out(shown: set[str]) -> None:
    assert "minutes after" not in shown
