"""Errors of perception: a source, an encoder or the video LMM cannot be used."""

from __future__ import annotations

from ..common.errors import RecollectError


class SourceError(RecollectError):
    """Something to watch cannot be watched."""


class SourceNotFound(SourceError):
    """There is no file at the path."""

    def __init__(self, source: str) -> None:
        super().__init__(f"there is no file {source!r}. Check the path, or give a URL (rtsp://, http://).")
        self.source = source


class NotAVideo(SourceError):
    """The path holds no video: a folder, an empty file, text, or sound only."""

    def __init__(self, source: str, why: str) -> None:
        super().__init__(f"{source!r} is not a video: {why}. Give a file that a video player shows.")
        self.source, self.why = source, why


class UnsupportedSource(SourceError):
    """A URL with a scheme that is not allowed."""

    def __init__(self, source: str, scheme: str, allowed: tuple[str, ...]) -> None:
        super().__init__(
            f"cannot watch {source!r}: the scheme {scheme!r} is not one of {', '.join(allowed)}. "
            "For a file, give its plain path."
        )
        self.source, self.scheme = source, scheme


class SourceUnreachable(SourceError):
    """A live source did not answer and may not be waited for any longer."""

    def __init__(self, source: str, why: str, attempts: int) -> None:
        super().__init__(
            f"{source!r} could not be reached after {attempts} attempts: {why}. "
            "Check that the camera or server is on and that the address and credentials are right."
        )
        self.source, self.why, self.attempts = source, why, attempts


class SourceVariableUnset(SourceError):
    """The environment variable that should hold a source does not."""

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"the environment variable {variable!r} is not set, or is empty. "
            "Set it to a path or URL, or give the source itself."
        )
        self.variable = variable


class BadSourceList(SourceError):
    """The file that should list sources cannot be read, or lists none."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(
            f"cannot take sources from {where}: {why}. "
            "Give a text file with a path or URL on each line, or - for standard input."
        )
        self.where, self.why = where, why


class StreamNameTaken(SourceError):
    """The name asked for belongs to another source."""

    def __init__(self, name: str, source: str) -> None:
        super().__init__(
            f"the stream {name!r} in this memory is another source ({source}). "
            "Choose another name with --stream, or leave it out to have one made."
        )
        self.name, self.source = name, source


class AlreadyWatched(SourceError):
    """The source, or another one under the same stream name, is being watched into this memory."""

    def __init__(self, source: str, stream: str) -> None:
        super().__init__(
            f"cannot watch {source!r}: it, or another source under the name {stream!r}, is being watched into this "
            "memory already. Stop that watch first, or choose another stream name for another source."
        )
        self.source, self.stream = source, stream


class EncoderError(RecollectError):
    """The model that makes vectors cannot be used."""


class EncoderNotInstalled(EncoderError):
    """The libraries that the model runs on are missing."""

    def __init__(self, model: str, missing: str) -> None:
        super().__init__(
            f"the image-text model {model!r} runs on {missing}, which is not installed. "
            'Run: pip install "recollect[vision]"; or take vision.model out of the settings.'
        )
        self.model, self.missing = model, missing


class EncoderUnusable(EncoderError):
    """There is no such model, or it is of another kind, or it cannot be loaded."""

    def __init__(self, model: str, why: str) -> None:
        why = " ".join(why.split()).rstrip(".")
        super().__init__(
            f"cannot use the image-text model {model!r}: {why}. "
            "Set vision.model to the folder or hub name of a SigLIP or SigLIP 2 checkpoint."
        )
        self.model, self.why = model, why


class LmmError(RecollectError):
    """The video LMM did not answer as it should."""

    calls: int = 0
    """Requests made in vain, retries among them."""
    tokens: int = 0
    """What those requests cost, as far as the server told."""


class NoLmm(LmmError):
    """A video LMM is needed, and none was named."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"to {what}, a video LMM is needed, and none is named. Say where one is served: --lmm-url on the "
            "command line, RECOLLECT_LMM__URL in the environment, or lmm.url in recollect.toml."
        )
        self.what = what


class LmmUnreachable(LmmError):
    """Nothing answers at the address, or the connection broke before the answer was whole."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(
            f"the video LMM at {where} cannot be reached: {why}. "
            "See that its server is running and that lmm.url is right; `recollect doctor` tries it."
        )
        self.where, self.why = where, why


class LmmOverloaded(LmmError):
    """The server answers that it cannot now."""

    def __init__(self, where: str, status: int, words: str, retry_after_s: float | None = None) -> None:
        super().__init__(
            f"the video LMM at {where} is overloaded or failing: it answered {status} ({words}). "
            "Try again later; if it happens often, lower lmm.concurrency and look at the server's log."
        )
        self.where, self.status, self.words, self.retry_after_s = where, status, words, retry_after_s


class LmmTimedOut(LmmError):
    """There was no answer in the time there was."""

    def __init__(self, where: str, waited_s: float, doing: str) -> None:
        super().__init__(
            f"the video LMM at {where} did not answer in time: {waited_s:.3g} s passed {doing}. "
            "Allow more (lmm.timeout_s, or the question's budget), or see what keeps the server busy."
        )
        self.where, self.waited_s, self.doing = where, waited_s, doing


class LmmRefused(LmmError):
    """The server does not take this request, and would not take it the next time."""

    def __init__(self, where: str, status: int, words: str) -> None:
        advice = {
            401: "Set lmm.api_key to the key the server was started with.",
            403: "Set lmm.api_key to a key that may do this.",
            404: "See that lmm.url is the API's root; for vLLM it ends in /v1.",
        }.get(status, "`recollect doctor` tries what the server takes: pictures, video, schemas.")
        super().__init__(f"the video LMM at {where} refused the request with {status}: {words}. {advice}")
        self.where, self.status, self.words = where, status, words


class LmmRedirected(LmmError):
    """The server redirects the request to another address, where it was not sent.

    Args:
        where: The address of the API, as it may be shown.
        status: Of the answer, such as 307.
        target: The value of ``lmm.url`` that would send requests to the new address, as it may be shown; None where
            the server named no usable address.

    """

    def __init__(self, where: str, status: int, target: str | None) -> None:
        advice = (
            f"If you trust the server there, set lmm.url to {target}."
            if target
            else "Set lmm.url to the address at which the server itself answers."
        )
        super().__init__(
            f"the video LMM at {where} redirects to {target or 'an address that it does not name'} ({status}). "
            "Redirects are not followed, because prompts and pictures go only to the server that lmm.url names. "
            + advice
        )
        self.where, self.status, self.target = where, status, target


class LmmNotServed(LmmError):
    """The server serves no such model, or several where none was named."""

    def __init__(self, where: str, model: str | None, served: tuple[str, ...]) -> None:
        there = ", ".join(served) if served else "none"
        what = f"the model {model!r} is not served" if model else "which model to use is not clear"
        super().__init__(f"{what} at {where}. Models there: {there}. Set lmm.model to one of them.")
        self.where, self.model, self.served = where, model, served


class LmmReplyOutOfSchema(LmmError):
    """The reply is something else than was asked for."""

    def __init__(self, model: str, why: str, *, cut_at_tokens: int | None = None) -> None:
        if cut_at_tokens is None:
            advice = "Serve it with structured outputs, as vLLM does, or try a larger model."
        else:
            why = f"it was cut off after {cut_at_tokens} tokens"
            advice = "Allow more with lmm.max_tokens; a model that never ends needs another one."
        super().__init__(f"the video LMM {model!r} replied out of schema: {why}. {advice}")
        self.model, self.why, self.cut_at_tokens = model, why, cut_at_tokens
