"""How well a checkpoint does what ``tasks`` asks, on houses it has never seen.

    python -m recollect.evals.tiny.scores OUT/model

The checkpoint is loaded and asked as any user of transformers would: its own processor, pictures of full
size, greedy decoding, and no grammar that keeps it to the schema. ``scores.json`` and a model card made of
it are put beside the weights.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from pydantic import BaseModel

from ...common.terminal import print_block
from ...perception.errors import LmmReplyOutOfSchema
from ...perception.lmm.chat_format import read_reply, request_body
from ...serve_lmm.tiny_weights import MOMENTS
from .batches import media_of, named
from .phrases import knows_prompts
from .tasks import TASKS, Task, TrainingSample, make_samples

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor

HELD_OUT = "held-out"
"""What the seeds of samples begin with that nothing is learnt from; those of the training begin with ``train``."""
_MAX_TOKENS = 320


class TaskScore(BaseModel, frozen=True):
    """How a task went. Shares are of 1."""

    samples: int
    valid: float
    """Replies that keep to the schema, though nothing makes them."""
    exact: float
    """Replies that are right in every letter."""
    f1: float
    """How many of the parts of a reply are right: entries of lists, and clauses of sentences."""
    f1_of_another: float
    """The same for the right reply to another prompt of the task: what knowing the wording alone brings."""
    fields: dict[str, float]
    """Share of replies in which a field is right."""
    choices: float | None
    """Share of right letters, where one of some options is right; None where there are no options."""
    choices_by_chance: float | None


class Scores(BaseModel, frozen=True):
    """How all tasks went."""

    tasks: dict[Task, TaskScore]


def score(folder: Path, samples: int) -> Scores:
    """Ask a checkpoint ``samples`` prompts of each task."""
    from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor  # noqa: PLC0415

    processor = Qwen3VLProcessor.from_pretrained(folder)
    if not knows_prompts(processor.tokenizer):
        raise ValueError(f"{folder} was trained on other prompts than are sent today; train it anew")
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder).eval()
    found: dict[Task, TaskScore] = {}
    for task in TASKS:
        right = [
            make_samples(task, f"{HELD_OUT} {number}", 1, scale=1.0, shown=MOMENTS)[0]
            for number in range(samples)
        ]
        said = [
            answer(model, processor, sample, as_clip=number % 4 > 0) for number, sample in enumerate(right)
        ]
        found[task] = _compared(right, said)
    return Scores(tasks=found)


def answer(
    model: Qwen3VLForConditionalGeneration,
    processor: Qwen3VLProcessor,
    sample: TrainingSample,
    *,
    as_clip: bool = True,
) -> str:
    """What the model says to a sample's prompt."""
    inputs = inputs_of(processor, sample, as_clip=as_clip)
    tokens = model.generate(**inputs, max_new_tokens=_MAX_TOKENS, do_sample=False)
    said: str = processor.tokenizer.decode(
        tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
    )
    return said


def inputs_of(processor: Qwen3VLProcessor, sample: TrainingSample, *, as_clip: bool = True) -> Any:
    """A sample's prompt as the checkpoint's own processor makes it ready for the model."""
    body = request_body(sample.prompt, type(sample.reply), as_clip=as_clip)
    messages = [
        {**message, "content": [named(part) for part in message["content"]]}
        if isinstance(message["content"], list)
        else message
        for message in body["messages"]
    ]
    text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    pictures: list[Any] = []
    clips: list[Any] = []
    for medium in media_of(body["messages"]):
        frames = [_rgb(jpeg) for jpeg in medium.jpegs]
        if medium.is_clip:
            clips.append(np.stack(frames))
        else:
            pictures += frames
    given: dict[str, Any] = {"images": pictures} if pictures else {}
    if clips:
        told = body["extra_body"]["media_io_kwargs"]["video"]
        metadata = {name: told[name] for name in ("fps", "frames_indices", "total_num_frames", "duration")}
        given |= {"videos": clips, "video_metadata": [metadata], "do_sample_frames": False}
    return processor(text=[text], return_tensors="pt", **given)


def _rgb(jpeg: bytes) -> Any:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.ascontiguousarray(picture[:, :, ::-1])


def _compared(right: Sequence[TrainingSample], said: Sequence[str]) -> TaskScore:
    count = len(right)
    replies = [_read(text, sample) for text, sample in zip(said, right, strict=True)]
    wanted = [sample.reply for sample in right]
    of_another = [*wanted[1:], wanted[0]]
    fields = {
        name: _mean(
            [
                reply is not None and getattr(reply, name) == getattr(sample, name)
                for reply, sample in zip(replies, wanted, strict=True)
            ]
        )
        for name in type(wanted[0]).model_fields
    }
    choices = [
        (letter == getattr(reply, "choice", None), 1 / _options(sample))
        for reply, sample in zip(replies, right, strict=True)
        if (letter := getattr(sample.reply, "choice", None)) is not None
    ]
    return TaskScore(
        samples=count,
        valid=_mean([reply is not None for reply in replies]),
        exact=_mean([text == sample.said for text, sample in zip(said, right, strict=True)]),
        f1=_mean([_f1(reply, sample) for reply, sample in zip(replies, wanted, strict=True)]),
        f1_of_another=_mean([_f1(reply, sample) for reply, sample in zip(of_another, wanted, strict=True)]),
        fields=fields,
        choices=_mean([right for right, _ in choices]) if choices else None,
        choices_by_chance=_mean([chance for _, chance in choices]) if choices else None,
    )


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(1, len(values)), 4)


def _read(text: str, sample: TrainingSample) -> BaseModel | None:
    try:
        return read_reply(text, type(sample.reply), model="tiny")
    except LmmReplyOutOfSchema:
        return None


def _options(sample: TrainingSample) -> int:
    """How many options the question gives."""
    asked: str = getattr(sample.prompt.parts[-1], "text", "")
    return max(1, len(asked.splitlines()) - 1)


def _parts(reply: BaseModel) -> Counter[tuple[str, str]]:
    """What a reply says, piece by piece: entries of lists, clauses of sentences, and all else whole."""
    found: Counter[tuple[str, str]] = Counter()
    for name, value in reply:
        if isinstance(value, list):
            pieces = [str(piece) for piece in value]
        else:
            pieces = str(value).rstrip(".").split("; ") if value not in (None, "") else []
        found.update((name, piece) for piece in pieces)
    return found


def _f1(reply: BaseModel | None, wanted: BaseModel) -> float:
    if reply is None:
        return 0.0
    said, right = _parts(reply), _parts(wanted)
    return 2 * (said & right).total() / max(1, said.total() + right.total())


_CARD = """\
# recollect-tiny

A video LMM of {millions:.1f} million parameters with the Qwen3-VL architecture. `python -m recollect.evals.tiny.train`
trained it on the rooms that `recollect.worlds.house` draws and on the prompts that Recollect sends. It is for tests,
demos and experiments. It does not understand real video.

The scores are from {samples} prompts of each task, about houses that the training did not use, without a grammar that
enforces the schema, and with up to {moments} moments at a time to judge from. *By wording alone* is the score of the
correct reply to another prompt of the same task.

{table}

The share of replies in which each field is correct:

{fields}
"""


def write_card(folder: Path, scores: Scores) -> None:
    """Put ``scores.json`` and a model card made of it beside the weights."""
    (folder / "scores.json").write_text(scores.model_dump_json(indent=2) + "\n", encoding="utf-8")
    from transformers import Qwen3VLForConditionalGeneration  # noqa: PLC0415

    parameters = Qwen3VLForConditionalGeneration.from_pretrained(folder).num_parameters()
    card = _CARD.format(
        millions=parameters / 1e6,
        moments=MOMENTS,
        samples=next(iter(scores.tasks.values())).samples,
        table=table_of(scores),
        fields="\n".join(
            f"- {task}: " + ", ".join(f"{name} {share:.0%}" for name, share in each.fields.items())
            for task, each in scores.tasks.items()
        ),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def table_of(scores: Scores) -> str:
    """The scores as a table in Markdown."""
    rows = ["| task | in schema | exact | parts right (F1) | by wording alone | right option | by chance |"]
    rows.append("|---|---|---|---|---|---|---|")
    for task, each in scores.tasks.items():
        shares = [each.valid, each.exact, each.f1, each.f1_of_another, each.choices, each.choices_by_chance]
        rows.append(f"| {task} | " + " | ".join("–" if s is None else f"{s:.0%}" for s in shares) + " |")
    return "\n".join(rows)


def main() -> None:
    """Score a checkpoint and write its card."""
    parser = argparse.ArgumentParser(
        prog="python -m recollect.evals.tiny.scores",
        description="Score a checkpoint and write its model card.",
    )
    parser.add_argument("folder", type=Path, help="the checkpoint, such as OUT/model")
    parser.add_argument("--samples", type=int, default=100, help="of each task (default: %(default)s)")
    parser.add_argument(
        "--show", type=int, default=0, metavar="N", help="print N replies of each task beside the right ones"
    )
    parser.add_argument("--threads", type=int, default=1, help="of the CPU (default: 1)")
    arguments = parser.parse_args()
    import torch  # noqa: PLC0415

    torch.set_num_threads(arguments.threads)
    if arguments.show:
        show(arguments.folder, arguments.show)
    scores = score(arguments.folder, arguments.samples)
    write_card(arguments.folder, scores)
    print_block(table_of(scores))
    print_block(json.dumps({task: each.fields for task, each in scores.tasks.items()}, indent=1))


def show(folder: Path, samples: int) -> None:
    """Print some replies, each below the right one."""
    from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor  # noqa: PLC0415

    processor = Qwen3VLProcessor.from_pretrained(folder)
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder).eval()
    for task in TASKS:
        for number in range(samples):
            sample = make_samples(task, f"{HELD_OUT} shown {number}", 1, scale=1.0, shown=MOMENTS)[0]
            print_block(f"{task}\n  right: {sample.said}\n  said:  {answer(model, processor, sample)}")


if __name__ == "__main__":
    main()
