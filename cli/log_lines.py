"""Log lines of ``recollect watch``: time, level and stream, one event a line, as text or as JSON.

2026-11-30T21:55:01+01:00 WARNING door: disconnected (Connection refused; trying again in 0.8 s)
{"time": "2026-11-30T21:55:01+01:00", "level": "WARNING", "stream": "door", "event": "Disconnected", "message": …}
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from ..common.terminal import json_text, safe_text
from ..perception.sources.urls import redact_text
from .printing import one_line

LOG_FORMATS = ("text", "json")


class LogLineFormatter(logging.Formatter):
    """A log record in one line with its reason, without a traceback."""

    def __init__(self, log_format: str = "text") -> None:
        super().__init__()
        self._as_json = log_format == "json"

    def format(self, record: logging.LogRecord) -> str:
        """The record in one line."""
        error = record.exc_info[1] if record.exc_info else None
        why = f": {one_line(error)}" if isinstance(error, Exception) else ""
        at = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="seconds")
        message = redact_text(f"{getattr(record, 'text', record.getMessage())}{why}")
        stream = getattr(record, "stream", "")
        if self._as_json:
            fields = {"time": at, "level": record.levelname, "stream": stream or None}
            return json_text(
                {**fields, "event": getattr(record, "event", None), "message": message}, indent=None
            )
        return safe_text(f"{at} {record.levelname} {stream or 'recollect'}: {message}")


class _LineHandler(logging.Handler):
    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(self.format(record))
        except Exception:
            self.handleError(record)


@contextmanager
def log_lines(
    write: Callable[[str], None], *, log_format: str = "text", level: int = logging.INFO
) -> Iterator[None]:
    """Inside the block the package's log is written line by line, and in no other way."""
    handler = _LineHandler(write)
    handler.setFormatter(LogLineFormatter(log_format))
    logger = logging.getLogger("recollect")
    handlers, level_before, propagates = logger.handlers, logger.level, logger.propagate
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagates
        logger.setLevel(level_before)
