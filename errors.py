"""Every error Recollect raises on purpose, as one tree.

    RecollectError
    ├── BadSettings            a setting has a wrong name or value
    ├── SourceError            something to watch cannot be watched
    │   ├── SourceNotFound     no such file
    │   ├── NotAVideo          a folder, an empty file, text, sound only
    │   ├── UnsupportedSource  a URL whose scheme is not allowed
    │   ├── SourceUnreachable  a live source does not answer
    │   ├── SourceVariableUnset  an environment variable that should hold a source does not
    │   ├── BadSourceList      a file of sources cannot be read, or lists none
    │   └── StreamNameTaken    another source has that name
    ├── MemoryStoreError       the memory cannot be opened or written
    │   ├── NotAMemory         the path holds something else
    │   ├── NewerMemory        written by a newer Recollect
    │   ├── OlderMemory        written by an older one, and it cannot be brought up to date here
    │   ├── MemoryInUse        another process is writing to it
    │   ├── CannotWrite        this user may not write there
    │   ├── DiskFull           no room to write
    │   ├── BudgetFull         what may not be forgotten fills the budget
    │   ├── BadBudget          so many bytes are no budget
    │   ├── TracesInUse        the steps of questions cannot be rewritten now
    │   ├── PinsFull           pins may keep no more
    │   ├── NothingToPin       nothing is remembered there
    │   ├── SnapshotExpired    what a long question was reading had to make room
    │   └── EncoderMismatch    the vectors were made by another encoder
    ├── EncoderError           the model that makes vectors cannot be used
    │   ├── EncoderNotInstalled  what it runs on is missing
    │   └── EncoderUnusable      it is not there, or is something else
    ├── QuestionError          the question cannot be asked
    │   ├── BadQuestion        empty, too long, or options that make no sense
    │   └── UnknownStream      no stream of that name in this memory
    ├── LmmError               the video LMM did not answer as it should
    │   ├── NoLmm                none was named
    │   ├── LmmUnreachable       nothing answers there, or the connection broke
    │   ├── LmmOverloaded        it answers that it cannot now
    │   ├── LmmTimedOut          no answer in the time there was
    │   ├── LmmRefused           it does not take this request
    │   ├── LmmNotServed         it serves another model
    │   └── LmmReplyOutOfSchema  it answered something else than was asked for
    ├── EvaluationError        an evaluation cannot go on
    │   ├── BadSuite             the files of a benchmark are not there, or are others
    │   ├── BadRun               what an earlier run wrote is something else
    │   ├── LookedAhead          a system asked for what comes after the question
    │   ├── UnfitTask            a task of lmms-eval asks what is no question about a video
    │   └── NotStored            a question has no stored answer
    └── ServingError           a video LMM cannot be served
        ├── VllmNotFound         there is no vLLM to serve it with
        ├── ModelNotFound        there is no such model
        ├── CannotListen         the port is taken, or the address is not ours
        ├── ServerEnded          the server ended before it was ready
        └── ServerNotReady       the server takes too long to start

The raiser passes facts; the class owns the sentence: what happened, why, and what to do next.
"""

from __future__ import annotations

import math
import shlex
from pathlib import Path


class RecollectError(Exception):
    """The root: whatever Recollect raises on purpose is one of these."""


class BadSettings(RecollectError):
    """A setting has a wrong name or value, or the file it should come from cannot be read."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"cannot use {where}: {why}. Correct it, or take it out.")
        self.where, self.why = where, why


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


class MemoryStoreError(RecollectError):
    """The memory cannot be opened or written."""


class NotAMemory(MemoryStoreError):
    """The path exists, but holds something other than a memory."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is not a Recollect memory: {why}. Give another path with --memory.")
        self.path, self.why = path, why


class NewerMemory(MemoryStoreError):
    """The memory was written by a newer Recollect."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            f"{path} has schema {found}, and this Recollect knows schemas up to {known}. "
            "Nothing was changed. Upgrade Recollect, or use another memory."
        )
        self.path, self.found, self.known = path, found, known


class OlderMemory(MemoryStoreError):
    """The memory was written by an older Recollect, and nothing may be written there to bring it up to date."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            f"{path} has schema {found}, and this Recollect reads schema {known}. It can bring the memory there, "
            f"but may not write into it: run `recollect status --memory {shlex.quote(str(path))}` once as its owner."
        )
        self.path, self.found, self.known = path, found, known


class MemoryInUse(MemoryStoreError):
    """Another process is writing to the memory."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(
            f"{path} is being written by {holder}. Asking and searching work meanwhile; "
            "to watch something else now, stop that process or use another memory."
        )
        self.path, self.holder = path, holder


class CannotWrite(MemoryStoreError):
    """The folder of the memory, or its disk, is read-only for this user."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"nothing can be written to {path}: the folder or its disk is read-only for this user. "
            "Asking and searching work; to watch, use another path or ask its owner for the right to write."
        )
        self.path = path


class DiskFull(MemoryStoreError):
    """There is no room to write."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"no room to write to {path}: {why}. All that was remembered before is safe; "
            "free some space and watch again, it goes on where it stopped."
        )
        self.path, self.why = path, why


class BudgetFull(MemoryStoreError):
    """The budget is full with what may not be forgotten."""

    def __init__(self, path: Path, budget_bytes: int, used_bytes: int) -> None:
        super().__init__(
            f"{path} takes {used_bytes:,} bytes of its budget of {budget_bytes:,}, and nothing more in it may be "
            "forgotten: it is pinned, or too new to have anything that stands for it. All that was remembered is "
            "safe; give it a larger budget, or take pins away (recollect status, recollect pin)."
        )
        self.path, self.budget_bytes, self.used_bytes = path, budget_bytes, used_bytes


class BadBudget(MemoryStoreError):
    """So many bytes are no budget for a memory."""

    def __init__(self, given: str, why: str) -> None:
        super().__init__(f"{given} is no budget for a memory: {why}. Give a size such as 20 GB.")
        self.given, self.why = given, why


class PinsFull(MemoryStoreError):
    """A pin does not fit into the quota of pins."""

    def __init__(self, path: Path, needed_bytes: int, used_bytes: int, quota_bytes: int) -> None:
        super().__init__(
            f"pinning that would keep {needed_bytes:,} bytes more, and of the {quota_bytes:,} that pins may keep in "
            f"{path}, {used_bytes:,} are taken. Nothing was pinned; pin less, take other pins away (recollect pin "
            "lists them), or give the memory a larger budget."
        )
        self.path, self.needed_bytes, self.used_bytes, self.quota_bytes = (
            path,
            needed_bytes,
            used_bytes,
            quota_bytes,
        )


class NothingToPin(MemoryStoreError):
    """Nothing is remembered of the stretch that is to be pinned."""

    def __init__(self, stream: str, start_s: float, end_s: float) -> None:
        where = f"after {start_s:g} s" if math.isinf(end_s) else f"between {start_s:g} s and {end_s:g} s"
        super().__init__(
            f"there is nothing to pin {where} of {stream!r}: nothing of it is "
            "remembered, or not any more. `recollect timeline` shows what is."
        )
        self.stream, self.start_s, self.end_s = stream, start_s, end_s


class TracesInUse(MemoryStoreError):
    """The steps of questions that are to be forgotten cannot be rewritten now."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the steps of earlier questions could not be rewritten: {why}. What was to be forgotten is gone from "
            "the memory, and may still stand in them. Ask nothing for a moment, and run `recollect forget` again."
        )
        self.why = why


class SnapshotExpired(MemoryStoreError):
    """What a reader had held for long was needed by the writer to stay within the budget."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} had to make room while it was being read, and what was being read is gone. Ask again."
        )
        self.path = path


class EncoderMismatch(MemoryStoreError):
    """The memory's vectors were made by another encoder, or it has none, or they need one."""

    def __init__(self, path: Path, stored: str | None, given: str | None) -> None:
        reindex = f"recollect reindex --memory {shlex.quote(str(path))}"
        if stored is None:
            what = (
                f"holds no vectors, and was opened with the encoder {given}. To have it make them: {reindex}"
            )
        elif given is None:
            what = (
                f"holds vectors of {stored}, and there is no encoder here to go on with. "
                f"Name it in vision.model, or drop the vectors: {reindex}"
            )
        else:
            what = (
                f"holds vectors of {stored}, and was opened with the encoder {given}; they cannot be compared. "
                f"Open it with the encoder that made it, or have this one make them anew: {reindex}"
            )
        super().__init__(f"{path} {what}")
        self.path, self.stored, self.given = path, stored, given


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


class QuestionError(RecollectError):
    """The question cannot be asked."""


class BadQuestion(QuestionError):
    """The question is empty, too long, or its options make no sense."""

    def __init__(self, why: str) -> None:
        super().__init__(f"cannot ask that: {why}.")
        self.why = why


class UnknownStream(QuestionError):
    """No stream of that name is in the memory."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        there = ", ".join(known) if known else "none yet; watch something first"
        super().__init__(f"there is no stream {name!r} in this memory. Streams here: {there}.")
        self.name, self.known = name, known


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


class EvaluationError(RecollectError):
    """An evaluation cannot go on."""


class BadSuite(EvaluationError):
    """The files of a benchmark are not there, or are something else."""

    def __init__(self, suite: str, where: Path, why: str, get: str = "") -> None:
        super().__init__(f"cannot read {suite} in {where}: {why}." + (f" {get}" if get else ""))
        self.suite, self.where, self.why = suite, where, why


class BadRun(EvaluationError):
    """What an earlier run left in its folder is something else, or of another run."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"cannot go on with the run in {path}: {why}. Name another folder, or delete this one."
        )
        self.path, self.why = path, why


class NoRun(EvaluationError):
    """What an evaluation left is to be read where there is nothing of one."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"no evaluation was run in {path}. Name the folder that one was told by --out.")
        self.path = path


class NoMatplotlib(EvaluationError):
    """Pictures of an evaluation are to be drawn, and there is nothing to draw them with."""

    def __init__(self) -> None:
        super().__init__(
            "pictures are drawn by matplotlib, which is not installed. Run: pip install 'recollect[plots]'"
        )


class LookedAhead(EvaluationError):
    """A system asked for what comes after the question, or before what may be used."""

    def __init__(self, time_s: float, from_s: float, until_s: float) -> None:
        super().__init__(
            f"a system asked for {time_s:.3f} s of a video of which only {from_s:.3f} to {until_s:.3f} s may be used."
            " Its answer would not be one that can be given live; mend the system."
        )
        self.time_s, self.from_s, self.until_s = time_s, from_s, until_s


class UnfitTask(EvaluationError):
    """A task asks something that is no question about one video."""

    def __init__(self, task: str, why: str) -> None:
        super().__init__(
            f"cannot answer the task {task}: {why}. Recollect takes tasks of lmms-eval that generate an answer "
            "to a question about one video file."
        )
        self.task, self.why = task, why


class NotStored(EvaluationError):
    """A question has no stored answer, or one to something else."""

    def __init__(self, sample: str, path: Path, why: str) -> None:
        super().__init__(
            f"cannot replay {sample} from {path}: {why}. Correct the model args `predictions`, `system` and "
            "`sample`, which names a stored answer, such as sample=videomme/{row[question_id]}; or have it answered first."
        )
        self.sample, self.path, self.why = sample, path, why


class ServingError(RecollectError):
    """A video LMM cannot be served."""


class VllmNotFound(ServingError):
    """There is no vLLM to serve it with."""

    def __init__(self, python: str, why: str) -> None:
        super().__init__(
            f"there is no vLLM for {python}: {why}. With a GPU: pip install 'recollect[serve]'. Without one: "
            "make serving-env, and name its Python with --python or RECOLLECT_SERVE__PYTHON (docs/lmm.md)."
        )
        self.python, self.why = python, why


class ModelNotFound(ServingError):
    """There is no model to serve."""

    def __init__(self, model: str | None, why: str) -> None:
        what = f"cannot serve {model!r}" if model else "there is no model to serve"
        super().__init__(
            f"{what}: {why}. Give a folder with a model as transformers saves it, or a name such as "
            "Qwen/Qwen3-VL-8B-Instruct."
        )
        self.model, self.why = model, why


class CannotListen(ServingError):
    """The server would not be able to listen where it is to."""

    def __init__(self, host: str, port: int, why: str) -> None:
        super().__init__(
            f"cannot listen at {host}, port {port}: {why}. "
            "Stop what is there, or choose another place with --port and --host."
        )
        self.host, self.port, self.why = host, port, why


class ServerEnded(ServingError):
    """The server ended before it was ready."""

    def __init__(self, model: str, code: int, last_lines: str = "") -> None:
        super().__init__(
            f"vLLM ended with exit code {code} before {model} was served; what it printed last says why"
            + (f":\n{last_lines}" if last_lines else ".")
        )
        self.model, self.code, self.last_lines = model, code, last_lines


class ServerNotReady(ServingError):
    """The server takes too long to start."""

    def __init__(self, model: str, waited_s: float, last_lines: str = "") -> None:
        super().__init__(
            f"{model} was not served after {waited_s:.0f} s. Allow more time, or see what vLLM printed last"
            + (f":\n{last_lines}" if last_lines else ".")
        )
        self.model, self.waited_s, self.last_lines = model, waited_s, last_lines
