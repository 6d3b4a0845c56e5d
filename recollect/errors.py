"""Every error Recollect raises on purpose, as one tree.

    RecollectError
    ├── BadSettings            a setting has a wrong name or value
    ├── BadArgument            an argument of a method has a wrong type or value
    ├── SourceError            something to watch cannot be watched
    │   ├── SourceNotFound     no such file
    │   ├── CameraNotFound     no such camera device
    │   ├── NotAVideo          a folder, an empty file, text, sound only
    │   ├── UnsupportedSource  a URL whose scheme is not allowed
    │   ├── SourceUnreachable  a live source does not answer
    │   ├── AlreadyWatched     it is being watched into this memory
    │   ├── SourceVariableUnset  an environment variable that should hold a source does not
    │   ├── BadSourceList      a file of sources cannot be read, or lists none
    │   ├── StreamNameTaken    another source has that name
    │   ├── StreamNameNeeded   several cameras may have that address
    │   └── WatchedUnderAnotherName  the file is a stream of another name
    ├── MemoryStoreError       the memory cannot be opened or written
    │   ├── NotAMemory         the path holds something else
    │   ├── NewerMemory        written by a newer Recollect
    │   ├── OlderMemory        written by an older one, and it cannot be brought up to date here
    │   ├── MemoryInUse        another process is writing to it
    │   ├── MemoryDamaged      a file of it is missing, or is not what was written
    │   ├── UnrepairableSchema  it is damaged, and too old to be migrated or repaired then
    │   ├── ErasureBlocked     branches or tags of its tables keep what is to be erased
    │   ├── ErasureIncomplete  other files in its folder still hold what was erased
    │   ├── CannotWrite        this user may not write there
    │   ├── DiskFull           no room to write
    │   ├── BudgetFull         what may not be forgotten fills the budget
    │   ├── BadBudget          so many bytes are no budget
    │   ├── TracesInUse        the steps of questions cannot be rewritten now
    │   ├── PinsFull           pins may keep no more
    │   ├── NothingToPin       nothing is remembered there
    │   ├── RequestFailed      the process that writes could not do what was requested
    │   ├── WriterStalled      another process hangs inside a commit
    │   ├── SnapshotExpired    what a long question was reading had to make room
    │   └── EncoderMismatch    the vectors were made by another encoder
    ├── EncoderError           the model that makes vectors cannot be used
    │   ├── EncoderNotInstalled  what it runs on is missing
    │   └── EncoderUnusable      it is not there, or is something else
    ├── QuestionError          the question cannot be asked
    │   ├── BadQuestion        empty, too long, or options that make no sense
    │   ├── QuestionCancelled  it was cancelled before it was answered
    │   └── UnknownStream      no stream of that name in this memory
    ├── LmmError               the video LMM did not answer as it should
    │   ├── NoLmm                none was named
    │   ├── LmmUnreachable       nothing answers there, or the connection broke
    │   ├── LmmOverloaded        it answers that it cannot now
    │   ├── LmmTimedOut          no answer in the time there was
    │   ├── LmmRefused           it does not take this request
    │   ├── LmmRedirected        it redirects requests to another address
    │   ├── LmmNotServed         it serves another model
    │   └── LmmReplyOutOfSchema  it answered something else than was asked for
    ├── EvaluationError        an evaluation cannot go on
    │   ├── BadSuite             the files of a benchmark are not there, or are others
    │   ├── BadRun               what an earlier run wrote is something else
    │   ├── NoRun                there is no run in the folder
    │   ├── NoMatplotlib         what draws the curves is not installed
    │   ├── LookedAhead          a system asked for what comes after the question
    │   ├── UnfitTask            a task of lmms-eval asks what is no question about a video
    │   └── NotStored            a question has no stored answer
    └── ServingError           a video LMM cannot be served
        ├── VllmNotFound         there is no vLLM to serve it with
        ├── ModelNotFound        there is no such model
        ├── TinyNotInstalled     the weights of recollect-tiny are not installed
        ├── CannotListen         the port is taken, or the address is not ours
        ├── ServerEnded          the server ended before it was ready
        └── ServerNotReady       the server takes too long to start

The raiser passes facts; the class owns the sentence: what happened, why, and what to do next.
"""

from __future__ import annotations

from .agent.errors import (
    BadQuestion,
    QuestionCancelled,
    TracesInUse,
)
from .common.errors import (
    BadArgument,
    BadSettings,
    QuestionError,
    RecollectError,
)
from .evals.errors import (
    BadRun,
    BadSuite,
    EvaluationError,
    LookedAhead,
    NoMatplotlib,
    NoRun,
    NotStored,
    UnfitTask,
)
from .memory.errors import (
    BadBudget,
    BudgetFull,
    CannotWrite,
    DiskFull,
    EncoderMismatch,
    ErasureBlocked,
    ErasureIncomplete,
    MemoryDamaged,
    MemoryInUse,
    MemoryStoreError,
    NewerMemory,
    NotAMemory,
    NothingToPin,
    OlderMemory,
    PinsFull,
    RequestFailed,
    SnapshotExpired,
    UnknownStream,
    UnrepairableSchema,
    WriterStalled,
)
from .perception.errors import (
    AlreadyWatched,
    BadSourceList,
    CameraNotFound,
    EncoderError,
    EncoderNotInstalled,
    EncoderUnusable,
    LmmError,
    LmmNotServed,
    LmmOverloaded,
    LmmRedirected,
    LmmRefused,
    LmmReplyOutOfSchema,
    LmmTimedOut,
    LmmUnreachable,
    NoLmm,
    NotAVideo,
    SourceError,
    SourceNotFound,
    SourceUnreachable,
    SourceVariableUnset,
    StreamNameNeeded,
    StreamNameTaken,
    UnsupportedSource,
    WatchedUnderAnotherName,
)
from .serve_lmm.errors import (
    CannotListen,
    ModelNotFound,
    ServerEnded,
    ServerNotReady,
    ServingError,
    TinyNotInstalled,
    VllmNotFound,
)

__all__ = [
    "AlreadyWatched",
    "BadArgument",
    "BadBudget",
    "BadQuestion",
    "BadRun",
    "BadSettings",
    "BadSourceList",
    "BadSuite",
    "BudgetFull",
    "CameraNotFound",
    "CannotListen",
    "CannotWrite",
    "DiskFull",
    "EncoderError",
    "EncoderMismatch",
    "EncoderNotInstalled",
    "EncoderUnusable",
    "ErasureBlocked",
    "ErasureIncomplete",
    "EvaluationError",
    "LmmError",
    "LmmNotServed",
    "LmmOverloaded",
    "LmmRedirected",
    "LmmRefused",
    "LmmReplyOutOfSchema",
    "LmmTimedOut",
    "LmmUnreachable",
    "LookedAhead",
    "MemoryDamaged",
    "MemoryInUse",
    "MemoryStoreError",
    "ModelNotFound",
    "NewerMemory",
    "NoLmm",
    "NoMatplotlib",
    "NoRun",
    "NotAMemory",
    "NotAVideo",
    "NotStored",
    "NothingToPin",
    "OlderMemory",
    "PinsFull",
    "QuestionCancelled",
    "QuestionError",
    "RecollectError",
    "RequestFailed",
    "ServerEnded",
    "ServerNotReady",
    "ServingError",
    "SnapshotExpired",
    "SourceError",
    "SourceNotFound",
    "SourceUnreachable",
    "SourceVariableUnset",
    "StreamNameNeeded",
    "StreamNameTaken",
    "TinyNotInstalled",
    "TracesInUse",
    "UnfitTask",
    "UnknownStream",
    "UnrepairableSchema",
    "UnsupportedSource",
    "VllmNotFound",
    "WatchedUnderAnotherName",
    "WriterStalled",
]
