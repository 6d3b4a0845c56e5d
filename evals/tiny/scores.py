"""Scores of a recollect-tiny checkpoint: how well it does the training ``tasks``, on houses of held-out seeds.

    python -m recollect.evals.tiny.scores OUT/model

The checkpoint is loaded and asked as by any user of transformers: its own processor, pictures of full size, greedy
decoding, and no grammar that enforces the schema. ``scores.json`` and a model card are written beside the weights.
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
from ...perception.lmm.chat_format import request_body
from ...perception.lmm.completion import read_reply
from ...perception.lmm.dialect import Dialect
from ...serve_lmm.tiny_weights import MOMENTS
from .batches import media_of, named
from .phrases import knows_prompts
from .tasks import TASKS, Task, TrainingSample, make_samples

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor

HELD_OUT = "held-out"
"""The beginning of the seeds of scored samples. Those of training samples begin with ``train``."""
_MAX_TOKENS = 320


class TaskScore(BaseModel, frozen=True):
    """The scores of one task. Shares are from 0 to 1."""

    samples: int
    valid: float
    """The share of replies that fit the schema, without a grammar that enforces it."""
    exact: float
    """The share of replies that are right in every character."""
    f1: float
    """The F1 score over the parts of a reply: entries of lists, and clauses of sentences."""
    f1_of_another: float
    """The F1 score of the right reply to another prompt of the task: the effect of the wording alone."""
    fields: dict[str, float]
    """The share of replies in which each field is right."""
    choices: float | None
    """The share of right letters, for questions with options; None if no question has any."""
    choices_by_chance: float | None


class Scores(BaseModel, frozen=True):
    """The scores of all tasks."""

    tasks: dict[Task, TaskScore]


def score(folder: Path, samples: int) -> Scores:
    """Score a checkpoint on ``samples`` prompts of each task.

    Raises:
        ValueError: The checkpoint was trained on other prompts.

    """
    from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor  # noqa: PLC0415

    processor = Qwen3VLProcessor.from_pretrained(folder)
    if not knows_prompts(processor.tokenizer):
        raise ValueError(
            f"{folder} was trained on other prompts than Recollect sends now; train it again (docs/tiny.md)"
        )
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder).eval()
    scores: dict[Task, TaskScore] = {}
    for task in TASKS:
        scored = [
            make_samples(task, f"{HELD_OUT} {number}", 1, scale=1.0, shown=MOMENTS)[0]
            for number in range(samples)
        ]
        replies = [
            answer(model, processor, sample, as_clip=number % 4 > 0) for number, sample in enumerate(scored)
        ]
        scores[task] = _compared(scored, replies)
    return Scores(tasks=scores)


def answer(
    model: Qwen3VLForConditionalGeneration,
    processor: Qwen3VLProcessor,
    sample: TrainingSample,
    *,
    as_clip: bool = True,
) -> str:
    """The model's reply to a sample's prompt."""
    inputs = inputs_of(processor, sample, as_clip=as_clip)
    tokens = model.generate(**inputs, max_new_tokens=_MAX_TOKENS, do_sample=False)
    reply: str = processor.tokenizer.decode(
        tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
    )
    return reply


def inputs_of(processor: Qwen3VLProcessor, sample: TrainingSample, *, as_clip: bool = True) -> Any:
    """The model's input for a sample's prompt, from the checkpoint's own processor."""
    body = request_body(sample.prompt, type(sample.reply), Dialect(clips=as_clip))
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
    media: dict[str, Any] = {"images": pictures} if pictures else {}
    if clips:
        settings = body["extra_body"]["media_io_kwargs"]["video"]
        metadata = {
            name: settings[name] for name in ("fps", "frames_indices", "total_num_frames", "duration")
        }
        media |= {"videos": clips, "video_metadata": [metadata], "do_sample_frames": False}
    return processor(text=[text], return_tensors="pt", **media)


def _rgb(jpeg: bytes) -> Any:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.ascontiguousarray(picture[:, :, ::-1])


def _compared(samples: Sequence[TrainingSample], texts: Sequence[str]) -> TaskScore:
    replies = [_read(text, sample) for text, sample in zip(texts, samples, strict=True)]
    expected = [sample.reply for sample in samples]
    of_another = [*expected[1:], expected[0]]
    choices = _choices(samples, replies)
    return TaskScore(
        samples=len(samples),
        valid=_mean([reply is not None for reply in replies]),
        exact=_mean([text == sample.said for text, sample in zip(texts, samples, strict=True)]),
        f1=_mean([_f1(reply, right) for reply, right in zip(replies, expected, strict=True)]),
        f1_of_another=_mean([_f1(reply, right) for reply, right in zip(of_another, expected, strict=True)]),
        fields=_right_fields(replies, expected),
        choices=_mean([right for right, _ in choices]) if choices else None,
        choices_by_chance=_mean([chance for _, chance in choices]) if choices else None,
    )


def _right_fields(replies: Sequence[BaseModel | None], expected: Sequence[BaseModel]) -> dict[str, float]:
    """The share of replies in which each field is right."""
    return {
        name: _mean(
            [
                reply is not None and getattr(reply, name) == getattr(right, name)
                for reply, right in zip(replies, expected, strict=True)
            ]
        )
        for name in type(expected[0]).model_fields
    }


def _choices(
    samples: Sequence[TrainingSample], replies: Sequence[BaseModel | None]
) -> list[tuple[bool, float]]:
    """For each question with options, whether the letter is right, and the chance of a random one."""
    return [
        (letter == getattr(reply, "choice", None), 1 / _options(sample))
        for reply, sample in zip(replies, samples, strict=True)
        if (letter := getattr(sample.reply, "choice", None)) is not None
    ]


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(1, len(values)), 4)


def _read(text: str, sample: TrainingSample) -> BaseModel | None:
    try:
        return read_reply(text, type(sample.reply), model="tiny")
    except LmmReplyOutOfSchema:
        return None


def _options(sample: TrainingSample) -> int:
    """The number of options in the question."""
    text: str = getattr(sample.prompt.parts[-1], "text", "")
    return max(1, len(text.splitlines()) - 1)


def _parts(reply: BaseModel) -> Counter[tuple[str, str]]:
    """The parts of a reply: entries of lists, clauses of sentences, and other values whole."""
    parts: Counter[tuple[str, str]] = Counter()
    for name, value in reply:
        if isinstance(value, list):
            pieces = [str(piece) for piece in value]
        else:
            pieces = str(value).rstrip(".").split("; ") if value not in (None, "") else []
        parts.update((name, piece) for piece in pieces)
    return parts


def _f1(reply: BaseModel | None, expected: BaseModel) -> float:
    if reply is None:
        return 0.0
    parts, expected_parts = _parts(reply), _parts(expected)
    return 2 * (parts & expected_parts).total() / max(1, parts.total() + expected_parts.total())


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
    """Write ``scores.json`` and the model card beside the weights."""
    (folder / "scores.json").write_text(scores.model_dump_json(indent=2) + "\n", encoding="utf-8")
    from transformers import Qwen3VLForConditionalGeneration  # noqa: PLC0415

    parameters = Qwen3VLForConditionalGeneration.from_pretrained(folder).num_parameters()
    card = _CARD.format(
        millions=parameters / 1e6,
        moments=MOMENTS,
        samples=next(iter(scores.tasks.values())).samples,
        table=table_of(scores),
        fields="\n".join(
            f"- {task}: " + ", ".join(f"{name} {share:.0%}" for name, share in task_score.fields.items())
            for task, task_score in scores.tasks.items()
        ),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def table_of(scores: Scores) -> str:
    """The scores as a Markdown table."""
    rows = ["| task | in schema | exact | parts right (F1) | by wording alone | right option | by chance |"]
    rows.append("|---|---|---|---|---|---|---|")
    for task, task_score in scores.tasks.items():
        shares = [
            task_score.valid,
            task_score.exact,
            task_score.f1,
            task_score.f1_of_another,
            task_score.choices,
            task_score.choices_by_chance,
        ]
        rows.append(f"| {task} | " + " | ".join("–" if s is None else f"{s:.0%}" for s in shares) + " |")
    return "\n".join(rows)


def main() -> None:
    """Run the command: score a checkpoint and write its model card."""
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
    print_block(json.dumps({task: task_score.fields for task, task_score in scores.tasks.items()}, indent=1))


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
