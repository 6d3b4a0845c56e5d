"""Training loop of ``recollect-tiny`` on the drawn house: hours on a CPU.

    python -m recollect.evals.tiny.train OUT
    torchrun --standalone --nproc-per-node 2 -m recollect.evals.tiny.train OUT     # the same on two cores
    python -m recollect.evals.tiny.train OUT --weights MODEL     # begin with the weights of another model

The samples of a step depend only on its number. Everything else is saved in ``OUT/state.pt``. A training that was
killed continues from the last saved state, with the same result. ``OUT/model`` is a checkpoint for transformers and
vLLM, written with each state.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...agent.prompt_building import SHOWN
from ...common.terminal import print_block, print_line
from ...serve_lmm.tiny_weights import MOMENTS
from .architecture import Architecture, new_model
from .batches import Batch, EncodedSample, SampleEncoder
from .drills import Drill, Drills
from .phrases import kept_vocabulary, phrase_vocabulary
from .processing import new_processor
from .scores import score, table_of, write_card
from .tasks import Task, make_samples
from .tiny_checkpoint import save_checkpoint

if TYPE_CHECKING:
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    from .vocabulary import Vocabulary


ARCHITECTURE = Architecture(layers=4, heads=8, head_width=32, feedforward=384)
"""Heads are narrow and many, because the tasks mostly require finding the same phrase again."""


Taught = Task | Literal["drill"]
"""The kind of a batch."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A stage of the curriculum, from a step on until the next lesson begins."""

    from_step: int
    batch_tokens: int
    """Tokens in one batch, without padding."""
    weights: dict[Taught, float]
    """The relative frequency of each kind of batch."""
    drill: Drill = field(default_factory=Drill)
    shown: int = SHOWN
    """The most moments in a judge prompt."""
    batches: int = 2
    """Batches in each step. They may be of different tasks and made by different processes. Their gradients add up."""


_LESSONS = (
    # The skill of finding a word again appears suddenly, and only if there is little to search. The other tasks need it.
    Lesson(0, 1200, {"drill": 1.0}, Drill(2, 1, question_share=0.0, following_share=0.0, moments_share=0.0)),
    Lesson(
        160, 1200, {"drill": 1.0}, Drill(3, 3, question_share=0.0, following_share=0.0, moments_share=0.0)
    ),
    Lesson(
        400,
        1400,
        {"drill": 3.0, "caption": 1.0},
        Drill(4, 6, question_share=0.3, following_share=0.0, moments_share=0.0),
    ),
    Lesson(
        960,
        1600,
        {"drill": 4.0, "caption": 2.0, "look": 0.5, "judge": 2.0},
        Drill(6, 10, following_share=0.0, moments_share=0.5),
        shown=2,
    ),
    # From here on, the number of pictures in each step matters most.
    Lesson(
        2000,
        2000,
        {"drill": 1.5, "caption": 2.5, "look": 2.0, "judge": 5.0, "summary": 0.6, "plan": 0.6},
        Drill(8, 12),
        shown=4,
        batches=6,
    ),
    Lesson(
        3200,
        2000,
        {"drill": 0.4, "caption": 2.5, "look": 2.5, "judge": 6.0, "summary": 0.8, "plan": 0.8},
        shown=MOMENTS,
        batches=6,
    ),
    # Learning to see takes longest.
    Lesson(
        4200,
        2000,
        {"drill": 0.2, "caption": 4.0, "look": 3.5, "judge": 6.0, "summary": 0.8, "plan": 1.2},
        shown=MOMENTS,
        batches=6,
    ),
)
_TOGETHER: dict[Task, int] = {"judge": 12, "look": 4, "plan": 4}
"""The number of questions about the same evidence."""
_MATRICES_TIMES = 10.0
"""The learning rate of Muon, relative to that of AdamW."""
_SHARP_TIMES = 10.0
"""The learning rate of the norms of queries and keys, relative to the rest. Attention starts far too blunt."""
_PICTURES_SHARE = 0.25
"""The share of prompts whose clip is sent as pictures, as for servers without clips."""
ROUND_STEPS = 16
"""The samples of this many steps are drawn at once, and batched by length."""
_SCORED = 100
"""Samples of each task that the finished model is scored on."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The length and the learning rate of a training."""

    steps: int = 8_400
    lessons: tuple[Lesson, ...] = _LESSONS
    rate: float = 2e-3
    """The learning rate of AdamW. That of Muon, for matrices, is ten times as high."""
    warmup_steps: int = 100
    decay_share: float = 0.4
    """In this last share of all steps, the rate falls to 0. Before that, the number of steps can be raised."""
    seed: int = 0

    def lesson_at(self, step: int) -> Lesson:
        """The lesson of a step. A lesson begins with the first round after its ``from_step``."""
        round_start = step // ROUND_STEPS * ROUND_STEPS
        return next(lesson for lesson in reversed(self.lessons) if lesson.from_step <= round_start)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        remaining = (self.steps - step) / max(1.0, self.steps * self.decay_share)
        return self.rate * min(1.0, (step + 1) / self.warmup_steps, remaining)


class Batches:
    """The batches of each round of steps, or one process's part of them. A round is reproducible from its number."""

    def __init__(
        self, encoder: SampleEncoder, schedule: Schedule, process: int = 0, processes: int = 1
    ) -> None:
        self._encoder, self._schedule = encoder, schedule
        self._drills = Drills(encoder.vocabulary)
        self._process, self._processes = process, processes

    def __len__(self) -> int:
        return math.ceil(self._schedule.steps / ROUND_STEPS)

    def __getitem__(self, number: int) -> list[list[tuple[Taught, Batch]]]:
        """The batches of each step of a round."""
        lesson = self._schedule.lesson_at(number * ROUND_STEPS)
        own_parts = range(lesson.batches)[self._process :: self._processes]
        parts = [self._part(lesson, f"{self._schedule.seed} {number} {part}") for part in own_parts]
        return [list(step) for step in zip(*parts, strict=True)]

    def _part(self, lesson: Lesson, seed: str) -> list[tuple[Taught, Batch]]:
        """One batch for each step."""
        rng = random.Random(f"round {seed}")
        tasks = Counter(rng.choices(list(lesson.weights), list(lesson.weights.values()), k=ROUND_STEPS))
        batches = [
            (task, batch) for task in tasks for batch in self._batches(lesson, task, tasks[task], seed, rng)
        ]
        rng.shuffle(batches)
        return batches

    def _batches(
        self, lesson: Lesson, task: Taught, count: int, seed: str, rng: random.Random
    ) -> Iterator[Batch]:
        """The batches of a task, each with rows of similar length."""
        drawn, tokens = list[EncodedSample](), 0
        while tokens < count * lesson.batch_tokens or len(drawn) < count:
            drawn.append(self._row(lesson, task, f"{seed} {len(drawn)}", rng))
            tokens += len(drawn[-1].tokens)
        drawn.sort(key=lambda encoded: len(encoded.tokens))
        for batches_left in range(count, 0, -1):
            # Each batch takes its share of the remaining tokens, and leaves a row for each later batch.
            share, rows = tokens / batches_left, [drawn.pop()]
            tokens -= len(rows[0].tokens)
            while len(drawn) >= batches_left and sum(len(row.tokens) for row in rows) < share:
                rows.append(drawn.pop())
                tokens -= len(rows[-1].tokens)
            yield self._encoder.batch(rows)

    def _row(self, lesson: Lesson, task: Taught, seed: str, rng: random.Random) -> EncodedSample:
        """Samples of a task with common evidence, or a drill."""
        if task != "drill":
            samples = make_samples(task, f"train {seed}", _TOGETHER.get(task, 1), shown=lesson.shown)
            return self._encoder.encode(samples, as_clip=rng.random() >= _PICTURES_SHARE)
        if rng.random() < lesson.drill.moments_share:
            judged = make_samples("judge", f"train drill {seed}", 1, shown=lesson.shown)
            if drill := self._drills.make_of(self._encoder.encode(judged), rng, lesson.drill):
                return drill
        return self._drills.make(rng, lesson.drill)


class Training:
    """A training: the model, its optimizers, and the current step."""

    def __init__(
        self,
        folder: Path,
        schedule: Schedule,
        *,
        architecture: Architecture = ARCHITECTURE,
        device: str | None = None,
        start: Path | None = None,
    ) -> None:
        import torch  # noqa: PLC0415

        from .muon import Muon  # noqa: PLC0415

        self._folder, self._schedule, self._architecture = folder, schedule, architecture
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        # Saved with the state: another version of the house or the prompts would have other token ids.
        self._vocabulary = (
            kept_vocabulary(folder / "model") if self._state_file.exists() else phrase_vocabulary()
        )
        self.model = new_model(architecture, self._vocabulary, seed=schedule.seed).to(self._device).train()
        if start is not None and not self._state_file.exists():
            _copy_weights(self.model, self._vocabulary, start)
        _embed_by_product(self.model)
        matrices = [weight for name, weight in self.model.named_parameters() if _is_matrix(name, weight)]
        sharp = [weight for name, weight in self.model.named_parameters() if _sharpens(name)]
        special_ids = set(map(id, [*matrices, *sharp]))
        rest = [weight for weight in self.model.parameters() if id(weight) not in special_ids]
        self._optimizers = (
            Muon(matrices, rate=schedule.rate),
            torch.optim.AdamW(rest, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=0.01),
            torch.optim.AdamW(sharp, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=0.0),
        )
        distributed = torch.distributed.is_initialized()
        self._rank = torch.distributed.get_rank() if distributed else 0
        self._processes = torch.distributed.get_world_size() if distributed else 1
        self.step = 0
        self.samples = 0
        """The number of samples that this process has learnt from."""
        if self._state_file.exists():
            self._restore()

    def run(self, until: int | None = None, *, keep_every_s: float = 120.0) -> Iterator[dict[str, Any]]:
        """Train step by step. Yield the progress every 50 steps, and save the state regularly.

        Args:
            until: The step to stop before; None is the end of the schedule.
            keep_every_s: The time between two saved states, in seconds.

        """
        import torch  # noqa: PLC0415

        until = self._schedule.steps if until is None else until
        encoder = SampleEncoder(self._architecture, self._vocabulary)
        batches: Any = Batches(encoder, self._schedule, self._rank, self._processes)
        loader = torch.utils.data.DataLoader(
            batches,
            batch_size=None,
            sampler=range(self.step // ROUND_STEPS, math.ceil(until / ROUND_STEPS)),
            num_workers=1 if self._device == "cpu" else min(16, os.cpu_count() or 1),
            prefetch_factor=2,
        )
        losses: dict[Taught, list[float]] = {}
        reported_s = saved_s = time.monotonic()
        # A round that was interrupted continues at its step.
        steps = itertools.islice(itertools.chain.from_iterable(loader), self.step % ROUND_STEPS, None)
        for step in itertools.islice(steps, until - self.step):
            for task, loss in self._learn(step):
                losses.setdefault(task, []).append(loss)
            if self.step % 50 == 0:
                now_s = time.monotonic()
                means = {task: round(sum(values) / len(values), 4) for task, values in sorted(losses.items())}
                yield {
                    "step": self.step, "samples": self.samples, "seconds": round(now_s - reported_s, 1), "loss": means
                }  # fmt: skip
                losses, reported_s = {}, now_s
                if now_s - saved_s >= keep_every_s:
                    self.keep()
                    saved_s = now_s
        self.keep()

    def keep(self) -> None:
        """Write the state atomically, and the current model."""
        import torch  # noqa: PLC0415

        if not self.leads:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        state = {
            "step": self.step,
            "samples": self.samples,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
        }
        unfinished = self._state_file.with_suffix(".part")
        torch.save(state, unfinished)
        os.replace(unfinished, self._state_file)
        self.export(self._folder / "model")

    def export(self, folder: Path) -> None:
        """Write a checkpoint for transformers and vLLM."""
        save_checkpoint(folder, self.model, new_processor(self._architecture, self._vocabulary))

    def _restore(self) -> None:
        import torch  # noqa: PLC0415

        state = torch.load(self._state_file, map_location=self._device, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.samples = state["step"], state["samples"]

    @property
    def leads(self) -> bool:
        """Whether this is the process that saves the state and reports progress."""
        return self._rank == 0

    @property
    def _state_file(self) -> Path:
        return self._folder / "state.pt"

    def _learn(self, step: list[tuple[Taught, Batch]]) -> Iterator[tuple[Taught, float]]:
        import torch  # noqa: PLC0415

        for optimizer, factor in zip(self._optimizers, (_MATRICES_TIMES, 1.0, _SHARP_TIMES), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = self._schedule.rate_at(self.step) * factor
        for task, batch in step:
            # Few CPUs support bfloat16. On the others it is slower.
            with torch.autocast(self._device, torch.bfloat16, enabled=self._device != "cpu"):
                batch_loss = loss(self.model, batch.to(self._device))
            (batch_loss / self._schedule.lesson_at(self.step).batches).backward()
            yield task, batch_loss.item()
            self.samples += batch.samples
        if self._processes > 1:
            self._add_up()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1

    def _add_up(self) -> None:
        """Add up the gradients of all processes. A process without pictures has none for the vision encoder."""
        import torch  # noqa: PLC0415

        weights = list(self.model.parameters())
        gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        flat = torch.nn.utils.parameters_to_vector(gradients)
        torch.distributed.all_reduce(flat)
        torch.nn.utils.vector_to_parameters(flat, gradients)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient


def _copy_weights(model: Qwen3VLForConditionalGeneration, vocabulary: Vocabulary, start: Path) -> None:
    """Copy the weights of another model into a new one, with its embeddings matched by token.

    Weights that the other model lacks stay. If the new model has more heads, its first heads are copied.
    """
    import torch  # noqa: PLC0415
    from transformers import Qwen3VLForConditionalGeneration  # noqa: PLC0415

    source = Qwen3VLForConditionalGeneration.from_pretrained(start).state_dict()
    source_ids, target_ids = kept_vocabulary(start).tokenizer.get_vocab(), vocabulary.tokenizer.get_vocab()
    shared = [token for token in target_ids if token in source_ids]
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            if name.endswith(("embed_tokens.weight", "lm_head.weight")):
                weight[[target_ids[token] for token in shared]] = source[name][
                    [source_ids[token] for token in shared]
                ]
            else:
                weight[tuple(slice(size) for size in source[name].shape)] = source[name]


def _is_matrix(name: str, weight: torch.Tensor) -> bool:
    """Whether a weight is a matrix between hidden layers, which Muon updates."""
    return weight.dim() >= 2 and not any(ends in name for ends in ("embed_tokens", "pos_embed", "lm_head"))


def _sharpens(name: str) -> bool:
    """Whether a weight scales normalised queries or keys."""
    return name.endswith(("q_norm.weight", "k_norm.weight"))


def hidden_states(model: Qwen3VLForConditionalGeneration, batch: Batch) -> torch.Tensor:
    """The last hidden states of each row. The branches of a row do not attend to each other."""
    layout = {name: value for name, value in batch.inputs.items() if not name.startswith("pixel_values")}
    positions, _ = model.model.get_rope_index(**layout, attention_mask=(batch.branches >= 0).long())
    states: torch.Tensor = model.model(
        **batch.inputs,
        position_ids=positions - batch.back,
        attention_mask=batch.attention_mask,
        use_cache=False,
    ).last_hidden_state
    return states


def loss(model: Qwen3VLForConditionalGeneration, batch: Batch) -> torch.Tensor:
    """The mean cross-entropy of the replies' tokens."""
    import torch  # noqa: PLC0415

    hidden, predicted = hidden_states(model, batch), batch.labels >= 0
    value: torch.Tensor = torch.nn.functional.cross_entropy(
        model.lm_head(hidden[predicted]).float(), batch.labels[predicted]
    )
    return value


def _embed_by_product(model: Qwen3VLForConditionalGeneration) -> None:
    """Embed patches by a matrix product. The model's convolution would take most of a CPU's time."""
    import torch  # noqa: PLC0415

    embed = model.model.visual.patch_embed

    def forward(patches: torch.Tensor) -> torch.Tensor:
        weight: torch.Tensor = embed.proj.weight
        return torch.nn.functional.linear(patches.to(weight.dtype), weight.flatten(1), embed.proj.bias)

    embed.forward = forward


def main() -> None:
    """Run the command: train or continue a training, and score the model at the end."""
    import torch  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="python -m recollect.evals.tiny.train",
        description="Train recollect-tiny, or continue its training.",
    )
    defaults = Schedule()
    parser.add_argument("out", type=Path, help="the folder for the state, with the model in OUT/model")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="all steps (default: %(default)s)")
    parser.add_argument(
        "--rate", type=float, default=defaults.rate, help="the learning rate (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed, help="(default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of each process; more are rarely faster (default: 1)"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="MODEL",
        help="begin with the weights of this model, and with the last lesson",
    )
    parser.add_argument(
        "--until", type=int, default=None, metavar="STEP", help="stop before this step, to continue later"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lessons = defaults.lessons
    if arguments.weights is not None:
        # A trained model can already find words again.
        lessons = (replace(lessons[-1], from_step=0),)
    schedule = replace(
        defaults,
        lessons=lessons,
        steps=arguments.steps,
        rate=arguments.rate,
        seed=arguments.seed,
    )
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > (limit := min(lesson.batches for lesson in schedule.lessons)):
        parser.error(f"the batches of a step are shared by at most {limit} processes, not {processes}")
    distributed = processes > 1
    if distributed:
        torch.distributed.init_process_group("gloo")
    training = Training(
        arguments.out, schedule, device="cpu" if distributed else None, start=arguments.weights
    )
    for progress in training.run(arguments.until):
        if training.leads:
            print_line(json.dumps(progress), flush=True)
    if training.leads and training.step >= schedule.steps:
        model = arguments.out / "model"
        scores = score(model, _SCORED)
        write_card(model, scores)
        print_block(table_of(scores))


if __name__ == "__main__":
    main()
