"""Undecided failures: descriptions that failed, while it is not known whether the moment or the server is at fault.

    failures = UndecidedFailures()
    failures.add(job, error)            # returns whether so many failed that the server is at fault
    failures.decided_by(other_job)      # another moment was described: these failures are the moments' own
    failures.clear()                    # the server is at fault: nobody is charged

A moment is charged with a failed attempt only if another moment of its kind was described afterwards, by a request
that began after the failure. Moments are described from pictures and summaries from text, so a summary says
nothing about moments. It sends no requests, and belongs to one thread.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from ...memory.values import Pending
from .description_queue import DescriptionJob

MAX_UNDECIDED = 10
"""When this many moments failed and none was described meanwhile, the fault is the server's and not theirs."""


@dataclass(frozen=True, slots=True)
class UndecidedFailure:
    """A failed description."""

    item: Pending
    error: BaseException
    failed_s: float
    """On the monotonic clock."""


class UndecidedFailures:
    """The failures since a description last succeeded, and what was described last."""

    def __init__(self) -> None:
        self._failures: dict[str, UndecidedFailure] = {}
        self._described: dict[bool, Pending] = {}
        """The last described moment, and the last described summary."""

    @property
    def newest(self) -> UndecidedFailure | None:
        """The last failure. None without any."""
        return next(reversed(self._failures.values()), None)

    @property
    def control(self) -> Pending | None:
        """A memory that was described before, of the kind that failed last. None without one.

        If it is described once more, the server is not at fault.
        """
        return self._described.get(_is_moment(self.newest.item)) if self.newest else None

    def add(self, job: DescriptionJob, error: BaseException) -> bool:
        """Note a failure. Returns whether there are so many that the server is at fault."""
        self._failures[job.item.moment_id] = UndecidedFailure(job.item, error, time.monotonic())
        return len(self._failures) >= MAX_UNDECIDED

    def decided_by(self, job: DescriptionJob) -> list[UndecidedFailure]:
        """Note a success. Returns the failures that are the moments' own by it, and removes them."""
        is_moment = _is_moment(job.item)
        self._described[is_moment] = job.item
        decided = [
            failure
            for failure in self._failures.values()
            if _is_moment(failure.item) == is_moment and failure.failed_s < job.started_s
        ]
        for failure in decided:
            del self._failures[failure.item.moment_id]
        # What fails now has to be decided anew.
        self._failures.pop(job.item.moment_id, None)
        return decided

    def clear(self) -> list[str]:
        """Forget the failures, and what was described: nobody is charged. Returns the ids of those that failed."""
        failed_ids = list(self._failures)
        self._failures.clear()
        self._described.clear()
        return failed_ids


def _is_moment(item: Pending) -> bool:
    return item.rung == "moment"
