"""Availability of the video LMM's server: when to send the next request after failures, with back-off.

    server = ServerAvailability(first_pause_s=1.0)
    server.note_failure(error)      # the server is in trouble: pause
    server.is_paused                # True until the next attempt
    server.note_success(started_s)  # True if this ends the trouble

It belongs to one thread, except for ``retry_now``, and sends no requests.
"""

from __future__ import annotations

import time

from ...common.backoff import Backoff
from ..errors import LmmError, LmmOverloaded, LmmRefused, LmmReplyOutOfSchema

FIRST_PAUSE_S = 1.0
"""The longest pause after the first failure. It doubles with each attempt."""
LONGEST_PAUSE_S = 60.0
MAX_OVERLOADS = 3
"""An overloaded server is tried this often in a row before ``has_given_up``."""
_SERVER_STATUSES = {401, 403, 404}
"""Refusals that are independent of the request: a wrong key, a wrong address."""


class ServerAvailability:
    """Counts failures of the server, and sets the time of the next attempt."""

    def __init__(self, first_pause_s: float = FIRST_PAUSE_S) -> None:
        self._backoff = Backoff(first_pause_s, LONGEST_PAUSE_S, min_share=0.5)
        self._attempts = 0
        self._retry_s = 0.0
        self._is_unreachable = False
        self.trouble = ""
        """Why the server is in trouble. Empty if it is not."""

    @property
    def has_trouble(self) -> bool:
        """Whether the last attempt failed."""
        return self._attempts > 0

    @property
    def is_paused(self) -> bool:
        """Whether the next attempt has to wait."""
        return time.monotonic() < self._retry_s

    @property
    def retry_s(self) -> float:
        """When the next attempt is allowed, on the monotonic clock."""
        return self._retry_s

    @property
    def has_given_up(self) -> bool:
        """Whether a caller that waits for the end need not wait for this server."""
        return self._attempts > 0 and (self._is_unreachable or self._attempts >= MAX_OVERLOADS)

    def retry_now(self) -> None:
        """Allow the next attempt at once. May be called from any thread."""
        self._retry_s = 0.0

    def note_success(self, started_s: float) -> bool:
        """Note a reply to a request that began at ``started_s``. Returns whether the trouble ended."""
        # A request that was sent before the trouble began says nothing about its end.
        if not self._attempts or started_s < self._retry_s:
            return False
        self._attempts, self.trouble = 0, ""
        return True

    def note_failure(self, error: BaseException) -> bool:
        """Note a failure of the server. Returns whether it begins a new pause."""
        if self._attempts and self.is_paused:
            return False  # this request was sent together with one that failed before
        self._attempts += 1
        self._is_unreachable = not isinstance(error, LmmOverloaded)
        server_pause_s = (error.retry_after_s or 0.0) if isinstance(error, LmmOverloaded) else 0.0
        pause_s = self._backoff.pause_s(self._attempts) + min(LONGEST_PAUSE_S, server_pause_s)
        self._retry_s = time.monotonic() + pause_s
        self.trouble = str(error)
        return True


def may_be_fault_of_moment(error: LmmError) -> bool:
    """Whether the server may be able to describe another moment after this error."""
    if isinstance(error, LmmRefused):
        return error.status not in _SERVER_STATUSES
    return isinstance(error, LmmReplyOutOfSchema)
