"""Contact sheet: draws the evidence of answers as one picture.

    write_contact_sheet(Path("evidence.png"), [(question, answer)], memory.frames)

Each row shows one cited span, best first: its key frames, its time and stream, and its text. Pictures inside the span
have a green border. The others were taken at most ``NEAR_S`` before or after it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .agent.answer import Answer, Evidence
from .common.clock_times import format_interval, format_time
from .common.terminal import safe_text
from .memory.values import KeyFrame

TILE = (320, 180)
COLUMNS = 3
MARGIN = 16
LINE = 22
TEXT_WIDTH = 430
WIDTH = MARGIN * (COLUMNS + 2) + TILE[0] * COLUMNS + TEXT_WIDTH
MAX_ROWS = 6
MAX_ROWS_OF_MANY = 3
"""Rows for each question, if the sheet holds several."""
TEXT_LINES = 7
NEAR_S = 10.0
"""Key frames further from the span are left out: the key frames of a summary may be minutes away from it."""
_PAPER, _INK, _SOFT, _MARK, _RULE = (
    (250, 250, 247),
    (30, 30, 30),
    (105, 105, 105),
    (20, 130, 60),
    (215, 215, 210),
)
_FONTS = ("NotoSansCJK-Regular.ttc", "DejaVuSans.ttf", "Arial.ttf")
"""The fonts with the most characters first: text from pictures may be in any script."""
_PLAIN = str.maketrans({"–": "-", "—": "-", "“": '"', "”": '"', "’": "'", "…": "...", "×": "x"})
"""Characters that the built-in font of the library cannot draw."""


def write_contact_sheet(
    path: Path, answers: Sequence[tuple[str, Answer]], frames: Callable[[Sequence[str]], list[KeyFrame]]
) -> None:
    """Draw questions with their answers and evidence, and save the picture at ``path``.

    ``frames`` returns key frames by id. The file name's extension selects the format.

    Raises:
        OSError: The picture cannot be written to the path.
        ValueError: The extension is not that of a picture format.
    """
    rows = MAX_ROWS if len(answers) == 1 else MAX_ROWS_OF_MANY
    blocks = [_block(question, answer, answer.evidence[:rows], frames) for question, answer in answers]
    sheet = Image.new("RGB", (WIDTH, sum(block.height for block in blocks) or LINE), _PAPER)
    y = 0
    for block in blocks:
        sheet.paste(block, (0, y))
        y += block.height
    sheet.save(path)


def _block(
    question: str,
    answer: Answer,
    shown: Sequence[Evidence],
    frames: Callable[[Sequence[str]], list[KeyFrame]],
) -> Image.Image:
    """One question: its text, its answer, and a row for each piece of evidence."""
    heading, body = _font(19), _font(15)
    question_lines = _wrapped(question, heading, WIDTH - 2 * MARGIN)[:3]
    answer_lines = _wrapped(answer.text, body, WIDTH - 2 * MARGIN)[:8]
    head = MARGIN + (len(question_lines) + len(answer_lines)) * LINE + MARGIN // 2
    block = Image.new("RGB", (WIDTH, head + len(shown) * (TILE[1] + LINE + MARGIN) + MARGIN), _PAPER)
    draw = ImageDraw.Draw(block)
    y = MARGIN
    answer_ink = _SOFT if answer.abstained else _INK
    for lines, font, ink in ((question_lines, heading, _INK), (answer_lines, body, answer_ink)):
        for line in lines:
            draw.text((MARGIN, y), line, ink, font)
            y += LINE
    y = head
    for evidence in shown:
        _row(block, draw, y, evidence, _chosen(evidence, frames(evidence.frame_ids)))
        y += TILE[1] + LINE + MARGIN
    draw.line((MARGIN, block.height - 1, WIDTH - MARGIN, block.height - 1), _RULE)
    return block


def _row(
    block: Image.Image, draw: ImageDraw.ImageDraw, y: int, evidence: Evidence, chosen: Sequence[KeyFrame]
) -> None:
    body, small = _font(15), _font(13)
    for column, frame in enumerate(chosen):
        x = MARGIN + column * (TILE[0] + MARGIN)
        with Image.open(io.BytesIO(frame.jpeg)) as opened:
            picture = opened.convert("RGB")
        picture.thumbnail(TILE)
        block.paste(picture, (x, y))
        inside = _inside(evidence, frame)
        if inside:
            draw.rectangle((x - 2, y - 2, x + picture.width + 1, y + picture.height + 1), None, _MARK, 3)
        draw.text((x, y + picture.height + 4), format_time(frame.time_s), _MARK if inside else _SOFT, small)
    x = MARGIN + max(1, len(chosen)) * (TILE[0] + MARGIN)
    span = evidence.span
    times = format_interval(span.start_s, span.end_s)
    heading = f"{times}  {evidence.stream}"
    room = WIDTH - MARGIN - x
    lines = [*_wrapped(heading, body, room)[:2], ""]
    lines += _wrapped(evidence.text, body, room)[: TEXT_LINES - len(lines)]
    for number, line in enumerate(lines):
        draw.text((x, y + LINE * number), line, _INK if number == 0 else _SOFT, body)


def _chosen(evidence: Evidence, frames: Sequence[KeyFrame]) -> list[KeyFrame]:
    """The pictures to show, in time order: those inside the span, then the nearest to it."""
    span = evidence.span
    near = [frame for frame in frames if span.start_s - NEAR_S <= frame.time_s <= span.end_s + NEAR_S]
    nearest = sorted(
        near, key=lambda frame: (not _inside(evidence, frame), abs(frame.time_s - span.middle_s))
    )
    return sorted(nearest[:COLUMNS], key=lambda frame: frame.time_s)


def _inside(evidence: Evidence, frame: KeyFrame) -> bool:
    # Times in an answer are rounded to milliseconds.
    return evidence.start_s - 0.002 <= frame.time_s < evidence.end_s + 0.002


@lru_cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def _drawable(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    text = safe_text(text, keep="\n\t")
    is_system_font = isinstance(font, ImageFont.FreeTypeFont) and isinstance(font.path, str)
    return text if is_system_font else text.translate(_PLAIN)


def _wrapped(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break a text into lines that fit. A word longer than a line is broken."""
    lines: list[str] = []
    line = ""
    for word in _drawable(text, font).split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            lines.append(line)
            longer = word
        while len(longer) > 1 and font.getlength(longer) > width:
            fits = max(1, int(len(longer) * width / font.getlength(longer)))
            lines.append(longer[:fits])
            longer = longer[fits:]
        line = longer
    return [*lines, line] if line else lines
