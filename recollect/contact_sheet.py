"""Draws the evidence of answers as one picture, to be looked at.

    write_contact_sheet(Path("evidence.png"), [(question, answer)], memory.frames)

One row a cited stretch, best first: its key frames, where it lies, and what was seen there. A picture
inside the stretch has a frame round it; the others show what came just before and after.
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
"""Rows a question, where the sheet holds several."""
TEXT_LINES = 7
_PAPER, _INK, _SOFT, _MARK, _RULE = (
    (250, 250, 247),
    (30, 30, 30),
    (105, 105, 105),
    (20, 130, 60),
    (215, 215, 210),
)
_FONTS = ("NotoSansCJK-Regular.ttc", "DejaVuSans.ttf", "Arial.ttf")
"""Those with the most letters first; what was read in a picture may be in any script."""
_PLAIN = str.maketrans({"–": "-", "—": "-", "“": '"', "”": '"', "’": "'", "…": "...", "×": "x"})
"""What the font that comes with the library cannot draw."""


def write_contact_sheet(
    path: Path, answers: Sequence[tuple[str, Answer]], frames: Callable[[Sequence[str]], list[KeyFrame]]
) -> None:
    """Draw questions with their answers and the pictures these rest on, and save it at ``path``.

    ``frames`` gives key frames by id. The format follows the path's ending.

    Raises:
        OSError: The picture cannot be written there.
        ValueError: The ending names no picture format.
    """
    most = MAX_ROWS if len(answers) == 1 else MAX_ROWS_OF_MANY
    blocks = [_block(question, answer, answer.evidence[:most], frames) for question, answer in answers]
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
    """One question: its text, its answer, and a row for each stretch of evidence."""
    heading, body = _font(19), _font(15)
    asked = _wrapped(question, heading, WIDTH - 2 * MARGIN)[:3]
    said = _wrapped(answer.text, body, WIDTH - 2 * MARGIN)[:8]
    head = MARGIN + (len(asked) + len(said)) * LINE + MARGIN // 2
    block = Image.new("RGB", (WIDTH, head + len(shown) * (TILE[1] + LINE + MARGIN) + MARGIN), _PAPER)
    draw = ImageDraw.Draw(block)
    y = MARGIN
    for lines, font, ink in ((asked, heading, _INK), (said, body, _SOFT if answer.abstained else _INK)):
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
    where = f"{times}  {evidence.stream}"
    room = WIDTH - MARGIN - x
    lines = [*_wrapped(where, body, room)[:2], ""]
    lines += _wrapped(evidence.text, body, room)[: TEXT_LINES - len(lines)]
    for number, line in enumerate(lines):
        draw.text((x, y + LINE * number), line, _INK if number == 0 else _SOFT, body)


def _chosen(evidence: Evidence, kept: Sequence[KeyFrame]) -> list[KeyFrame]:
    """The pictures to show, in time order: those inside the stretch first of all, then the nearest to it."""
    middle_s = evidence.span.middle_s
    nearest = sorted(kept, key=lambda frame: (not _inside(evidence, frame), abs(frame.time_s - middle_s)))
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
    found = isinstance(font, ImageFont.FreeTypeFont) and isinstance(font.path, str)
    return text if found else text.translate(_PLAIN)


def _wrapped(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break a text into lines that fit; a word that is too long for one is broken inside."""
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
