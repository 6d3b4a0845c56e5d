"""Draws the evidence of an answer as one picture, to be looked at.

    write_contact_sheet(Path("evidence.png"), answer, memory.frames)

One row a cited stretch, best first: its key frames, where it lies, and what was seen there.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .agent.answer import Answer
from .agent.wording import clock
from .memory.values import KeyFrame

TILE = (320, 180)
COLUMNS = 3
MARGIN = 16
LINE = 22
MAX_ROWS = 6
_PAPER, _INK, _SOFT = (250, 250, 247), (30, 30, 30), (110, 110, 110)


def write_contact_sheet(
    path: Path, answers: Sequence[tuple[str, Answer]], frames: Callable[[Sequence[str]], list[KeyFrame]]
) -> None:
    """Draw questions with their answers and the pictures these rest on, and save it at ``path``.

    ``frames`` gives key frames by id. The format follows the path's ending.

    Raises:
        OSError: The picture cannot be written there.
        ValueError: The ending names no picture format.
    """
    text_width = 460
    width = MARGIN * (COLUMNS + 2) + TILE[0] * COLUMNS + text_width
    heading, body = ImageFont.load_default(18), ImageFont.load_default(15)
    blocks: list[tuple[str, Answer, list[list[KeyFrame]]]] = []
    height = MARGIN
    for question, answer in answers:
        rows = [frames(evidence.frame_ids)[:COLUMNS] for evidence in answer.evidence[:MAX_ROWS]]
        blocks.append((question, answer, rows))
        lines = len(_wrapped(answer.text, body, width - 2 * MARGIN))
        height += LINE * (2 + lines) + len(rows) * (TILE[1] + MARGIN) + MARGIN
    sheet = Image.new("RGB", (width, max(height, 120)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    y = MARGIN
    for question, answer, rows in blocks:
        draw.text((MARGIN, y), question, _INK, heading)
        y += LINE + 4
        for line in _wrapped(answer.text, body, width - 2 * MARGIN):
            draw.text((MARGIN, y), line, _SOFT if answer.abstained else _INK, body)
            y += LINE
        y += MARGIN // 2
        for evidence, row in zip(answer.evidence, rows, strict=False):
            x = MARGIN
            for frame in row:
                with Image.open(io.BytesIO(frame.jpeg)) as picture:
                    picture.thumbnail(TILE)
                    sheet.paste(picture, (x, y))
                x += TILE[0] + MARGIN
            x = MARGIN + COLUMNS * (TILE[0] + MARGIN)
            where = f"{evidence.stream}  {clock(evidence.start_s)}–{clock(evidence.end_s)}  fit {evidence.score:.2f}"
            draw.text((x, y), where, _INK, body)
            for index, line in enumerate(_wrapped(evidence.text, body, text_width)[:6]):
                draw.text((x, y + LINE * (index + 1)), line, _SOFT, body)
            y += TILE[1] + MARGIN
        y += MARGIN
    sheet.crop((0, 0, width, max(y, 120))).save(path)


def _wrapped(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break a text into lines that fit."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line] if line else lines
