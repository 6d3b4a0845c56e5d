"""Trains ``recollect-tiny`` on the drawn house, in hours on a CPU or minutes on a GPU.

    python -m recollect.evals.tiny.train OUT
    torchrun --standalone --nproc-per-node 2 -m recollect.evals.tiny.train OUT     # the same on two cores
    python -m recollect.evals.tiny.train OUT --weights MODEL     # begin with what another model has learnt

What is learnt at a step follows from its number alone, and everything else is kept in ``OUT/state.pt``: a
training that was killed goes on where it was last kept, as if it had never stopped. ``OUT/model`` is what
transformers and vLLM load, written each time the state is.
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
"""Heads are narrow and many: most of what is asked is to find the same phrase again."""


Taught = Task | Literal["drill"]
"""What a batch may be made of."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learnt from some step on, until the next lesson begins."""

    from_step: int
    batch_tokens: int
    """In one batch, without filling."""
    weights: dict[Taught, float]
    """How often each task is what a batch is made of."""
    drill: Drill = field(default_factory=Drill)
    shown: int = SHOWN
    """The most moments that are judged from."""
    batches: int = 2
    """In each step, each maybe of another task and made by another process; the gradients of all are added."""


_LESSONS = (
    # To find a word again begins suddenly, and only where there is little to search. All else that is read is
    # understood by it.
    Lesson(0, 1200, {"drill": 1.0}, Drill(2, 1, asked=0.0, following=0.0, told=0.0)),
    Lesson(160, 1200, {"drill": 1.0}, Drill(3, 3, asked=0.0, following=0.0, told=0.0)),
    Lesson(400, 1400, {"drill": 3.0, "caption": 1.0}, Drill(4, 6, asked=0.3, following=0.0, told=0.0)),
    Lesson(
        960,
        1600,
        {"drill": 4.0, "caption": 2.0, "look": 0.5, "judge": 2.0},
        Drill(6, 10, following=0.0, told=0.5),
        shown=2,
    ),
    # From here on what counts is what is seen, and how much of it is seen in each step.
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
    # To see well takes longest.
    Lesson(
        4200,
        2000,
        {"drill": 0.2, "caption": 4.0, "look": 3.5, "judge": 6.0, "summary": 0.8, "plan": 1.2},
        shown=MOMENTS,
        batches=6,
    ),
)
_TOGETHER: dict[Task, int] = {"judge": 12, "look": 4, "plan": 4}
"""So many questions are asked of the same evidence."""
_MATRICES_TIMES = 10.0
"""What Muon learns, it learns so many times as fast as AdamW the rest."""
_SHARP_TIMES = 10.0
"""So many times as fast it learns how sharply attention tells one token from a thousand: it starts far too blunt."""
_PICTURES_SHARE = 0.25
"""So many prompts have their clip sent as pictures, which servers that take no clips are sent."""
ROUND_STEPS = 16
"""So many steps' samples are drawn at a time, and put together by length."""
_SCORED = 100
"""Samples of each task that the finished model is scored on."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long it learns, and how fast."""

    steps: int = 8_400
    lessons: tuple[Lesson, ...] = _LESSONS
    rate: float = 2e-3
    """Of what AdamW learns; matrices learn ten times as fast, by Muon."""
    warmup_steps: int = 100
    decay_share: float = 0.4
    """In the last part of all steps the rate falls to nothing. Until then more steps can be asked for."""
    seed: int = 0

    def lesson_at(self, step: int) -> Lesson:
        """What is learnt at a step; a lesson begins with the first round after its step."""
        begun = step // ROUND_STEPS * ROUND_STEPS
        return next(each for each in reversed(self.lessons) if each.from_step <= begun)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        left = (self.steps - step) / max(1.0, self.steps * self.decay_share)
        return self.rate * min(1.0, (step + 1) / self.warmup_steps, left)


class Batches:
    """What is learnt in each round of some steps, or one process's part of it: by number, to be made again at will."""

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
        mine = range(lesson.batches)[self._process :: self._processes]
        parts = [self._part(lesson, f"{self._schedule.seed} {number} {part}") for part in mine]
        return [list(step) for step in zip(*parts, strict=True)]

    def _part(self, lesson: Lesson, seed: str) -> list[tuple[Taught, Batch]]:
        """One batch for each step."""
        rng = random.Random(f"round {seed}")
        tasks = Counter(rng.choices(list(lesson.weights), list(lesson.weights.values()), k=ROUND_STEPS))
        found = [
            (task, batch) for task in tasks for batch in self._batches(lesson, task, tasks[task], seed, rng)
        ]
        rng.shuffle(found)
        return found

    def _batches(
        self, lesson: Lesson, task: Taught, count: int, seed: str, rng: random.Random
    ) -> Iterator[Batch]:
        """Some batches of a task, in each of them rows of about one length."""
        drawn, tokens = list[EncodedSample](), 0
        while tokens < count * lesson.batch_tokens or len(drawn) < count:
            drawn.append(self._row(lesson, task, f"{seed} {len(drawn)}", rng))
            tokens += len(drawn[-1].tokens)
        drawn.sort(key=lambda encoded: len(encoded.tokens))
        for left in range(count, 0, -1):
            # Each takes its share of the tokens that are left, and leaves a row for each that comes after.
            share, taken = tokens / left, [drawn.pop()]
            tokens -= len(taken[0].tokens)
            while len(drawn) >= left and sum(len(each.tokens) for each in taken) < share:
                taken.append(drawn.pop())
                tokens -= len(taken[-1].tokens)
            yield self._encoder.batch(taken)

    def _row(self, lesson: Lesson, task: Taught, seed: str, rng: random.Random) -> EncodedSample:
        """Samples of a task on one evidence, or a drill."""
        if task != "drill":
            samples = make_samples(task, f"train {seed}", _TOGETHER.get(task, 1), shown=lesson.shown)
            return self._encoder.encode(samples, as_clip=rng.random() >= _PICTURES_SHARE)
        if rng.random() < lesson.drill.told:
            judged = make_samples("judge", f"train drill {seed}", 1, shown=lesson.shown)
            if drill := self._drills.make_of(self._encoder.encode(judged), rng, lesson.drill):
                return drill
        return self._drills.make(rng, lesson.drill)


class Training:
    """A training under way: the model, its optimizer, and the step it is at."""

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
        # Kept with the state: a later version of the house or the prompts would number its tokens otherwise.
        self._vocabulary = (
            kept_vocabulary(folder / "model") if self._state_file.exists() else phrase_vocabulary()
        )
        self.model = new_model(architecture, self._vocabulary, seed=schedule.seed).to(self._device).train()
        if start is not None and not self._state_file.exists():
            _take_weights(self.model, self._vocabulary, start)
        _embed_quickly(self.model)
        matrices = [weight for name, weight in self.model.named_parameters() if _is_turned(name, weight)]
        sharp = [weight for name, weight in self.model.named_parameters() if _sharpens(name)]
        known = set(map(id, [*matrices, *sharp]))
        others = [weight for weight in self.model.parameters() if id(weight) not in known]
        self._optimizers = (
            Muon(matrices, rate=schedule.rate),
            torch.optim.AdamW(others, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=0.01),
            torch.optim.AdamW(sharp, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=0.0),
        )
        distributed = torch.distributed.is_initialized()
        self._rank = torch.distributed.get_rank() if distributed else 0
        self._processes = torch.distributed.get_world_size() if distributed else 1
        self.step = 0
        self.samples = 0
        """Learnt from so far, by this process."""
        if self._state_file.exists():
            self._take_up()

    def run(self, until: int | None = None, *, keep_every_s: float = 120.0) -> Iterator[dict[str, Any]]:
        """Learn step by step; says now and then how it goes, and keeps its state.

        Args:
            until: Stop before this step; None goes on to the end of the schedule.
            keep_every_s: How often the state is kept, in seconds.

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
        told_s = kept_s = time.monotonic()
        # A round that was broken off is taken up where it was.
        steps = itertools.islice(itertools.chain.from_iterable(loader), self.step % ROUND_STEPS, None)
        for step in itertools.islice(steps, until - self.step):
            for task, loss in self._learn(step):
                losses.setdefault(task, []).append(loss)
            if self.step % 50 == 0:
                now_s = time.monotonic()
                means = {task: round(sum(each) / len(each), 4) for task, each in sorted(losses.items())}
                yield {
                    "step": self.step, "samples": self.samples, "seconds": round(now_s - told_s, 1), "loss": means
                }  # fmt: skip
                losses, told_s = {}, now_s
                if now_s - kept_s >= keep_every_s:
                    self.keep()
                    kept_s = now_s
        self.keep()

    def keep(self) -> None:
        """Write the state, whole or not at all, and the model as it is now."""
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
        """Write the model as transformers and vLLM load it."""
        save_checkpoint(folder, self.model, new_processor(self._architecture, self._vocabulary))

    def _take_up(self) -> None:
        import torch  # noqa: PLC0415

        state = torch.load(self._state_file, map_location=self._device, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, kept in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.step, self.samples = state["step"], state["samples"]

    @property
    def leads(self) -> bool:
        """Whether this is the process that keeps the state and tells of it."""
        return self._rank == 0

    @property
    def _state_file(self) -> Path:
        return self._folder / "state.pt"

    def _learn(self, step: list[tuple[Taught, Batch]]) -> Iterator[tuple[Taught, float]]:
        import torch  # noqa: PLC0415

        for optimizer, times in zip(self._optimizers, (_MATRICES_TIMES, 1.0, _SHARP_TIMES), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = self._schedule.rate_at(self.step) * times
        for task, batch in step:
            # Few CPUs calculate with half the bits, and the others are the slower for it.
            with torch.autocast(self._device, torch.bfloat16, enabled=self._device != "cpu"):
                found = loss(self.model, batch.to(self._device))
            (found / self._schedule.lesson_at(self.step).batches).backward()
            yield task, found.item()
            self.samples += batch.samples
        if self._processes > 1:
            self._add_up()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1

    def _add_up(self) -> None:
        """Add to the gradients those of the other processes; who saw no pictures has none for the eyes."""
        import torch  # noqa: PLC0415

        weights = list(self.model.parameters())
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in weights]
        together = torch.nn.utils.parameters_to_vector(gradients)
        torch.distributed.all_reduce(together)
        torch.nn.utils.vector_to_parameters(together, gradients)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient


def _take_weights(model: Qwen3VLForConditionalGeneration, vocabulary: Vocabulary, start: Path) -> None:
    """Give a new model what another has learnt, token by token; what that had not stays as it is.

    Where the new one has more heads, those of the other are its first.
    """
    import torch  # noqa: PLC0415
    from transformers import Qwen3VLForConditionalGeneration  # noqa: PLC0415

    learnt = Qwen3VLForConditionalGeneration.from_pretrained(start).state_dict()
    theirs, ours = kept_vocabulary(start).tokenizer.get_vocab(), vocabulary.tokenizer.get_vocab()
    both = [token for token in ours if token in theirs]
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            if name.endswith(("embed_tokens.weight", "lm_head.weight")):
                weight[[ours[token] for token in both]] = learnt[name][[theirs[token] for token in both]]
            else:
                weight[tuple(slice(size) for size in learnt[name].shape)] = learnt[name]


def _is_turned(name: str, weight: torch.Tensor) -> bool:
    """Whether a weight is a matrix that goes from one hidden layer to another."""
    return weight.dim() >= 2 and not any(ends in name for ends in ("embed_tokens", "pos_embed", "lm_head"))


def _sharpens(name: str) -> bool:
    """Whether a weight scales queries or keys, once they have been brought to one size."""
    return name.endswith(("q_norm.weight", "k_norm.weight"))


def hidden_states(model: Qwen3VLForConditionalGeneration, batch: Batch) -> torch.Tensor:
    """What the model makes of each token of each row, whose branches do not see one another."""
    shown = {name: each for name, each in batch.inputs.items() if not name.startswith("pixel_values")}
    places, _ = model.model.get_rope_index(**shown, attention_mask=(batch.branches >= 0).long())
    found: torch.Tensor = model.model(
        **batch.inputs, position_ids=places - batch.back, attention_mask=batch.seen, use_cache=False
    ).last_hidden_state
    return found


def loss(model: Qwen3VLForConditionalGeneration, batch: Batch) -> torch.Tensor:
    """How unexpected the replies are to the model, per token."""
    import torch  # noqa: PLC0415

    hidden, wanted = hidden_states(model, batch), batch.labels >= 0
    found: torch.Tensor = torch.nn.functional.cross_entropy(
        model.lm_head(hidden[wanted]).float(), batch.labels[wanted]
    )
    return found


def _embed_quickly(model: Qwen3VLForConditionalGeneration) -> None:
    """Embed patches by a product of matrices: the convolution it is written as takes most of a CPU's time."""
    import torch  # noqa: PLC0415

    embed = model.model.visual.patch_embed

    def forward(patches: torch.Tensor) -> torch.Tensor:
        weight: torch.Tensor = embed.proj.weight
        return torch.nn.functional.linear(patches.to(weight.dtype), weight.flatten(1), embed.proj.bias)

    embed.forward = forward


def main() -> None:
    """Train, or go on with a training, and score what came of it."""
    import torch  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="python -m recollect.evals.tiny.train",
        description="Train recollect-tiny, or go on with its training.",
    )
    usual = Schedule()
    parser.add_argument("out", type=Path, help="the folder that holds its state, and the model in OUT/model")
    parser.add_argument("--steps", type=int, default=usual.steps, help="in all (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=usual.rate, help="of learning (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=usual.seed, help="(default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=1, help="of each process; more are seldom faster (default: 1)"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="MODEL",
        help="begin with what this model has learnt, and with the last lesson",
    )
    parser.add_argument("--until", type=int, default=None, metavar="STEP", help="stop there, to go on later")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lessons = usual.lessons
    if arguments.weights is not None:
        # Whoever has learnt something finds again already.
        lessons = (replace(lessons[-1], from_step=0),)
    schedule = replace(
        usual,
        lessons=lessons,
        steps=arguments.steps,
        rate=arguments.rate,
        seed=arguments.seed,
    )
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > (most := min(lesson.batches for lesson in schedule.lessons)):
        parser.error(f"the batches of a step are shared by at most {most} processes, not {processes}")
    together = processes > 1
    if together:
        torch.distributed.init_process_group("gloo")
    training = Training(arguments.out, schedule, device="cpu" if together else None, start=arguments.weights)
    for told in training.run(arguments.until):
        if training.leads:
            print_line(json.dumps(told), flush=True)
    if training.leads and training.step >= schedule.steps:
        model = arguments.out / "model"
        scores = score(model, _SCORED)
        write_card(model, scores)
        print_block(table_of(scores))


if __name__ == "__main__":
    main()
