"""Errors of perception: a source, an encoder or the video LMM cannot be used.

RecollectError
├── SourceError
│   ├── SourceNotFound, CameraNotFound, NotAVideo, UnsupportedSource, SourceUnreachable
│   ├── SourceVariableUnset, BadSourceList
│   ├── StreamNameTaken, StreamNameNeeded, WatchedUnderAnotherName
│   └── AlreadyWatched
├── EncoderError
│   └── EncoderNotInstalled, EncoderUnusable
└── LmmError
    ├── NoLmm, LmmUnreachable, LmmOverloaded, LmmTimedOut
    └── LmmRefused, LmmRedirected, LmmNotServed, LmmReplyOutOfSchema
"""

from __future__ import annotations

from ..common.errors import RecollectError
from ..common.terminal import safe_text
from ..common.text import collapse_whitespace, shortened

MAX_LISTED = 20
"""The most models of a server that a message names."""
MAX_NAME_CHARS = 80


class SourceError(RecollectError):
    """A source cannot be watched."""


class SourceNotFound(SourceError):
    """There is no file at the path, or none that fits a pattern."""

    def __init__(self, source: str, is_pattern: bool = False) -> None:
        missing = f"no picture fits the pattern {source!r}" if is_pattern else f"there is no file {source!r}"
        super().__init__(f"{missing}. Check the path, or give a URL (rtsp://, http://).")
        self.source, self.is_pattern = source, is_pattern


class CameraNotFound(SourceError):
    """There is no such camera device, or it may not be read."""

    def __init__(self, device: str, why: str, devices: tuple[str, ...]) -> None:
        advice = f"Devices here: {', '.join(devices)}." if devices else "Check that the camera is plugged in."
        super().__init__(f"cannot watch the camera {device!r}: {why}. {advice}")
        self.device, self.why, self.devices = device, why, devices


class NotAVideo(SourceError):
    """The path holds no video: a folder, an empty file, text, or sound only."""

    def __init__(self, source: str, why: str) -> None:
        super().__init__(f"{source!r} is not a video: {why}. Give a file that a video player shows.")
        self.source, self.why = source, why


class UnsupportedSource(SourceError):
    """A URL with a scheme that is not allowed."""

    def __init__(self, source: str, scheme: str, allowed: tuple[str, ...]) -> None:
        super().__init__(
            f"cannot watch {source!r}: the scheme {scheme!r} is not one of {', '.join(allowed)}, which this "
            "installation can open. For a file, give its plain path."
        )
        self.source, self.scheme = source, scheme


class SourceUnreachable(SourceError):
    """A live source did not answer within the longest outage that is allowed."""

    def __init__(self, source: str, why: str, attempts: int) -> None:
        super().__init__(
            f"{source!r} could not be reached after {attempts} attempt{'' if attempts == 1 else 's'}: {why}. "
            "Check that the camera or server is on and that the address and credentials are right."
        )
        self.source, self.why, self.attempts = source, why, attempts


class SourceVariableUnset(SourceError):
    """The environment variable that should hold a source is not set, or is empty."""

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"the environment variable {variable!r} is not set, or is empty. "
            "Set it to a path or URL, or give the source itself."
        )
        self.variable = variable


class BadSourceList(SourceError):
    """The file that should list sources cannot be read, or lists none."""

    def __init__(self, list_name: str, why: str) -> None:
        super().__init__(
            f"cannot read sources from {list_name}: {why}. "
            "Give a text file with a path or URL on each line, or - for standard input."
        )
        self.list_name, self.why = list_name, why


class StreamNameTaken(SourceError):
    """The name of a stream belongs to another source in this memory."""

    def __init__(self, name: str, source: str) -> None:
        super().__init__(
            f"the stream {name!r} in this memory is another source ({source}). "
            "Choose another name (`stream`), or leave it out to get a generated name."
        )
        self.name, self.source = name, source


class StreamNameNeeded(SourceError):
    """The part of an address that is stored does not say which of several cameras it is."""

    def __init__(self, source: str, streams: tuple[str, ...]) -> None:
        super().__init__(
            f"cannot tell whether {source!r} is the camera of the stream {_quoted_list(streams)}: the address may "
            "differ in a part that is kept secret and never stored. Give the name of that stream (`stream`) if it is "
            "that camera, or another name if it is another one."
        )
        self.source, self.streams = source, streams


class WatchedUnderAnotherName(SourceError):
    """The file was watched as a stream of another name."""

    def __init__(self, source: str, stream: str, name: str) -> None:
        super().__init__(
            f"{source!r} is in this memory already, as the stream {stream!r}, so it cannot become {name!r}. Use that "
            f"name (`stream`) or none. To watch it anew under another, erase the stream {stream!r} first."
        )
        self.source, self.stream, self.name = source, stream, name


class AlreadyWatched(SourceError):
    """The source, or another one under the same stream name, is being watched into this memory."""

    def __init__(self, source: str, stream: str) -> None:
        super().__init__(
            f"cannot watch {source!r}: it, or another source under the name {stream!r}, is being watched into this "
            "memory already. Stop that watch first, or choose another stream name for another source."
        )
        self.source, self.stream = source, stream


def _quoted_list(names: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in names)


class EncoderError(RecollectError):
    """The image-text model that computes vectors cannot be used."""


class EncoderNotInstalled(EncoderError):
    """The libraries that the model runs on are missing."""

    def __init__(self, model: str, missing: str) -> None:
        super().__init__(
            f"the image-text model {model!r} runs on {missing}, which is not installed. "
            'Run: pip install "recollect[vision]", or remove vision.model from the settings.'
        )
        self.model, self.missing = model, missing


class EncoderUnusable(EncoderError):
    """The model does not exist, is of another kind, or cannot be loaded."""

    def __init__(self, model: str, why: str) -> None:
        why = collapse_whitespace(why).rstrip(".")
        super().__init__(
            f"cannot use the image-text model {model!r}: {why}. "
            "Set vision.model to the folder or hub name of a SigLIP or SigLIP 2 checkpoint."
        )
        self.model, self.why = model, why


class LmmError(RecollectError):
    """The video LMM gave no usable reply."""

    calls: int = 0
    """Requests that failed, retries included."""
    tokens: int = 0
    """Tokens of those requests, as far as the server reported them."""


class NoLmm(LmmError):
    """The operation needs a video LMM, and the settings name none."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"cannot {what} without a video LMM, and the settings name none. Set its address: `lmm`, RECOLLECT_LMM__URL in the "
            "environment, or lmm.url in recollect.toml."
        )
        self.what = what


class LmmUnreachable(LmmError):
    """No server answers at the address, or the connection broke before the reply was complete."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(
            f"the video LMM at {address} cannot be reached: {why}. "
            "Check that its server is running and that lmm.url is right. `recollect doctor` tests it."
        )
        self.address, self.why = address, why


class LmmOverloaded(LmmError):
    """The server answers that it cannot serve the request now."""

    def __init__(self, address: str, status: int, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(
            f"the video LMM at {address} is overloaded or failing: it answered {status} ({reason}). "
            "Try again later. If it happens often, lower lmm.concurrency and read the server's log."
        )
        self.address, self.status, self.reason, self.retry_after_s = address, status, reason, retry_after_s


class LmmTimedOut(LmmError):
    """The server did not answer before the deadline."""

    def __init__(self, address: str, waited_s: float, activity: str) -> None:
        super().__init__(
            f"the video LMM at {address} did not answer in time: {waited_s:.3g} s passed {activity}. "
            "Allow more time (lmm.timeout_s, or the question's limits), or check the server's load."
        )
        self.address, self.waited_s, self.activity = address, waited_s, activity


class LmmRefused(LmmError):
    """The server refused the request, and would refuse it again."""

    def __init__(self, address: str, status: int, reason: str) -> None:
        advice = {
            401: "Set lmm.api_key to the key that the server was started with.",
            403: "Set lmm.api_key to a key with this permission.",
            404: "Check that lmm.url is the root of the API. For vLLM it ends in /v1.",
        }.get(status, "`recollect doctor` tests what the server accepts: pictures, video, schemas.")
        super().__init__(
            f"the video LMM at {address} refused the request with {status}: {reason.rstrip('.')}. {advice}"
        )
        self.address, self.status, self.reason = address, status, reason


class LmmRedirected(LmmError):
    """The server redirects the request to another address. The redirect was not followed.

    Args:
        address: The address of the API, without secrets.
        status: The status of the answer, such as 307.
        target: The value of ``lmm.url`` that would send requests to the new address, without secrets. None if
            the server named no usable address.

    """

    def __init__(self, address: str, status: int, target: str | None) -> None:
        advice = (
            f"If you trust that server, set lmm.url to {target}."
            if target
            else "Set lmm.url to the address at which the server itself answers."
        )
        super().__init__(
            f"the video LMM at {address} redirects to {target or 'an address that it does not name'} ({status}). "
            "Redirects are not followed, because prompts and pictures go only to the server that lmm.url names. "
            + advice
        )
        self.address, self.status, self.target = address, status, target


class LmmNotServed(LmmError):
    """The server does not serve the model, or serves several while the settings name none."""

    def __init__(self, address: str, model: str | None, served: tuple[str, ...]) -> None:
        problem = f"the model {model!r} is not served" if model else "which model to use is not clear"
        if served:
            more = f" and {len(served) - MAX_LISTED} more" if len(served) > MAX_LISTED else ""
            names = ", ".join(safe_text(shortened(name, MAX_NAME_CHARS)) for name in served[:MAX_LISTED])
            advice = f"Models there: {names}{more}. Set lmm.model to one of them."
        else:
            advice = (
                "The server lists no models. Set lmm.model to the name of its model, and check that lmm.url is the "
                "root of the API, which often ends in /v1."
            )
        super().__init__(f"{problem} at {address}. {advice}")
        self.address, self.model, self.served = address, model, served


class LmmReplyOutOfSchema(LmmError):
    """The reply does not match the schema of the request."""

    def __init__(
        self, model: str, why: str, *, cut_at_tokens: int | None = None, is_withheld: bool = False
    ) -> None:
        if is_withheld:
            advice = "Use another model for such video, or a server without that filter."
        elif cut_at_tokens is None:
            advice = "Serve it with structured outputs, as vLLM does, or try a larger model."
        else:
            why = f"it was cut off after {cut_at_tokens} tokens"
            advice = (
                "Allow more with lmm.max_tokens, or use another model if this one never ends its replies."
            )
        super().__init__(f"the video LMM {model!r} replied out of schema: {why}. {advice}")
        self.model, self.why, self.cut_at_tokens, self.is_withheld = model, why, cut_at_tokens, is_withheld
