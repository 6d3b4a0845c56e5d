"""Settings of the agent: how questions are answered."""

from __future__ import annotations

from pydantic import BaseModel


class AgentSettings(BaseModel, frozen=True, extra="forbid"):
    """How questions are answered."""

    tracing: bool = False
    """Allow LangSmith's tracing of each step of a question, where LangSmith's own variables turn it on, such as
    ``LANGSMITH_TRACING=true``. It sends the question and what was seen and read in the video to that service."""
