"""Checks of the video LMM: whether it takes pictures, clips and schemas, and what it gets instead.

    for check in examine_lmm():
        print(check.state, check.name, check.detail)

The checks send what watching and asking send, through the same client. So what the client learns from a refusal
is what these checks report, and their advice follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel, Field

from .diagnostic_check import DiagnosticCheck, red_jpeg

if TYPE_CHECKING:
    from ..perception.lmm import Lmm, Part, Prompt, ServedLmm
    from ..settings import Settings

_LIST_S, _REPLY_S = 5.0, 20.0
"""Deadlines for the list of models and for a reply of a video LMM, whose first replies are slow."""
_SHORT = 64
"""Tokens; enough for a short reply with any tokenizer."""
_TOO_LARGE = 413
_OF_SERVER = {401, 403, 404}
"""Refusals that say what to do themselves."""


class _Colour(BaseModel):
    colour: Literal["red", "green", "blue"]


class _Digit(BaseModel):
    digit: int = Field(ge=0, le=9)


R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _Trial:
    """One thing that the server is tried with."""

    name: str
    use: Callable[[Lmm], DiagnosticCheck]
    """Sends the request."""
    steps: tuple[str, ...]
    """The names of the adaptations that concern it."""
    advice: str
    """What to do if the server refuses it."""


def examine_lmm(settings: Settings | None = None) -> Iterator[DiagnosticCheck]:
    """Check the configured video LMM with a picture, a clip and a schema; takes 25 s at most.

    Args:
        settings: None reads them, and reports what is wrong with them.

    """
    from ..common.errors import BadSettings  # noqa: PLC0415
    from ..perception.lmm import ServedLmm  # noqa: PLC0415
    from ..perception.sources.urls import redact  # noqa: PLC0415
    from ..settings import read_settings  # noqa: PLC0415

    try:
        lmm_settings = (settings or read_settings()).lmm
    except BadSettings as error:
        yield DiagnosticCheck("video LMM", "broken", str(error))
        return
    if lmm_settings.url is None:
        yield DiagnosticCheck(
            "video LMM",
            "absent",
            "none is configured; the extractive reasoner answers from the observers' findings",
            "Questions about objects and actions (dog, car, handshake) get the nearest moments only. "
            "To use a model, set RECOLLECT_LMM__URL to its server.",
        )
        return
    with ServedLmm(lmm_settings.model_copy(update={"max_retries": 0})) as lmm:
        try:
            served = lmm.describe_now(deadline_s=_LIST_S)
        except Exception as error:
            # Also reports a library that is missing or broken.
            yield DiagnosticCheck("video LMM", "broken", str(error))
            return
        room = f", {served.context_tokens} tokens of context" if served.context_tokens else ""
        unlisted = "" if served.models else "; the server does not list its models"
        yield DiagnosticCheck(
            "video LMM", "ok", f"{served.model} at {redact(lmm_settings.url)}{room}{unlisted}"
        )
        yield from _replies(lmm)


def _replies(lmm: ServedLmm) -> Iterator[DiagnosticCheck]:
    """Send all trials at once: a server that hangs costs one deadline, not three."""
    trials = (
        _Trial("pictures", _sees_a_picture, (), "Serve a model that takes pictures."),
        _Trial(
            "clips",
            _sees_a_clip,
            ("clips", "pictures"),
            "For clips, start vLLM with --trust-request-mm-kwargs. If the server takes none, set lmm.video to "
            "pictures, which saves the refused request. For more than one picture, --limit-mm-per-prompt of vLLM.",
        ),
        _Trial(
            "schemas",
            _keeps_to_a_schema,
            ("schema", "json_object"),
            "Serve it with structured outputs: --structured-outputs-config of vLLM, with disable_any_whitespace.",
        ),
    )

    def tried(trial: _Trial) -> DiagnosticCheck | Exception:
        try:
            return trial.use(lmm)
        except Exception as error:
            return error

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(tried, trials))
    refuses_all = all(_is_refused(result) for result in results)
    told: set[str] = set()
    for trial, result in zip(trials, results, strict=True):
        name = f"video LMM, {trial.name}"
        if isinstance(result, Exception):
            yield DiagnosticCheck(name, "broken", str(result), _advice(result, trial.advice, refuses_all))
            continue
        learnt = [item for item in lmm.adaptations if item.step in trial.steps]
        told |= {item.step for item in learnt}
        detail = "; ".join(
            [result.detail, *(f"{item.sentence}, because it answered {item.reason}" for item in learnt)]
        )
        advice = " ".join(filter(None, (result.advice, trial.advice if learnt else "")))
        yield DiagnosticCheck(name, result.state, detail, advice)
    if rest := [item for item in lmm.adaptations if item.step not in told]:
        sentences = (f"{item.sentence}, because it answered {item.reason}" for item in rest)
        yield DiagnosticCheck("video LMM, requests", "ok", "; ".join(sentences))


def _is_refused(result: object) -> bool:
    from ..perception.errors import LmmOverloaded, LmmRefused  # noqa: PLC0415

    return isinstance(result, LmmOverloaded | LmmRefused)


def _advice(error: Exception, otherwise: str, refuses_all: bool) -> str:
    """What to do after a failed trial. Empty where the error says it."""
    from ..perception.errors import LmmOverloaded, LmmRefused, LmmReplyOutOfSchema  # noqa: PLC0415

    if isinstance(error, LmmRefused):
        if error.status in _OF_SERVER:
            return ""
        if error.status == _TOO_LARGE:
            return "Raise the size of a request that the server, or the proxy before it, takes."
        if refuses_all:
            return "The server refuses text alone too. Do what its answer asks for."
        return otherwise
    if isinstance(error, LmmReplyOutOfSchema):
        return "" if error.cut_at_tokens or error.is_withheld else otherwise
    is_one_refused = isinstance(error, LmmOverloaded) and error.status == 500 and not refuses_all
    return otherwise if is_one_refused else ""


def _sees_a_picture(lmm: Lmm) -> DiagnosticCheck:
    from ..perception.lmm import PicturePart  # noqa: PLC0415

    return _colour_of(lmm, PicturePart(red_jpeg()), "it accepts one")


def _sees_a_clip(lmm: Lmm) -> DiagnosticCheck:
    from ..perception.lmm import ClipPart  # noqa: PLC0415

    return _colour_of(lmm, ClipPart((red_jpeg(),) * 2, (0.0, 0.5)), "it accepts two frames")


def _colour_of(lmm: Lmm, red: Part, accepted: str) -> DiagnosticCheck:
    from ..perception.errors import LmmReplyOutOfSchema  # noqa: PLC0415
    from ..perception.lmm import Prompt, TextPart  # noqa: PLC0415

    prompt = Prompt("doctor", 1, "", (red, TextPart("What colour is this? Answer in JSON.")))
    try:
        colour = _asked(lmm, prompt, _Colour).colour
    except LmmReplyOutOfSchema as error:
        if error.cut_at_tokens is not None or error.is_withheld:
            raise
        return DiagnosticCheck("", "ok", f"{accepted}; its reply about the colour does not match the schema")
    if colour != "red":
        return DiagnosticCheck(
            "",
            "warning",
            f"{accepted}; it calls red {colour}",
            "Its descriptions may be wrong: the model may not see the pictures. Check that it is a vision model "
            "with its projector or image processor, and that its chat template takes pictures.",
        )
    return DiagnosticCheck("", "ok", f"{accepted}; it calls red red")


def _keeps_to_a_schema(lmm: Lmm) -> DiagnosticCheck:
    from ..perception.lmm import Prompt, TextPart  # noqa: PLC0415

    # Without the schema, no model would answer this with a digit in braces.
    prompt = Prompt("doctor", 1, "", (TextPart("Say good morning, in words only."),))
    _asked(lmm, prompt, _Digit)
    return DiagnosticCheck("", "ok", "a reply matched a schema")


def _asked(lmm: Lmm, prompt: Prompt, reply: type[R]) -> R:
    """A short reply. A model that thinks before it replies gets the room that the settings allow."""
    from ..perception.errors import LmmReplyOutOfSchema  # noqa: PLC0415

    try:
        return lmm.ask_now(prompt, reply, deadline_s=_REPLY_S, max_tokens=_SHORT).value
    except LmmReplyOutOfSchema as error:
        if error.cut_at_tokens is None:
            raise
    return lmm.ask_now(prompt, reply, deadline_s=_REPLY_S).value
