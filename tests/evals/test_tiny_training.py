"""Training of the tiny LMM, with a nano model. Skipped without the extra ``tiny``."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra `tiny` is not installed")
pytest.importorskip("transformers", reason="the extra `tiny` is not installed")

import torch

from recollect.evals.tiny.architecture import Architecture, new_model
from recollect.evals.tiny.batches import SampleEncoder
from recollect.evals.tiny.drills import Drill, Drills
from recollect.evals.tiny.muon import Muon
from recollect.evals.tiny.phrases import knows_prompts, phrase_vocabulary
from recollect.evals.tiny.processing import new_processor
from recollect.evals.tiny.scores import inputs_of, score, table_of, write_card
from recollect.evals.tiny.tasks import TASKS, make_sample, make_samples
from recollect.evals.tiny.train import ROUND_STEPS, Batches, Lesson, Schedule, Training, hidden_states
from recollect.evals.tiny.vocabulary import Vocabulary

pytestmark = pytest.mark.slow

NANO = Architecture(
    hidden=64, layers=1, heads=2, head_width=32, feedforward=64,
    vision_hidden=32, vision_layers=2, vision_heads=2, vision_feedforward=64,
)  # fmt: skip
LESSONS = (Lesson(0, 500, {"drill": 1.0, **dict.fromkeys(TASKS, 1.0)}),)
SHORT = Schedule(steps=16, lessons=LESSONS, warmup_steps=2)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return phrase_vocabulary()


def test_a_system_text_is_one_token_and_any_text_can_be_encoded(vocabulary):
    text = "A kettle boils at 12:45 – “naïve” 茶\n"

    assert knows_prompts(vocabulary.tokenizer)
    assert vocabulary.tokenizer.decode(vocabulary.tokenizer.encode(text)) == text


def test_who_does_what_are_two_tokens(vocabulary):
    tokens = vocabulary.tokenizer.tokenize(" the man in the red coat and hat opens the fridge")

    assert len(tokens) == 2


@pytest.mark.parametrize("as_clip", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_encoding_equals_that_of_the_checkpoints_processor(task, as_clip, vocabulary):
    processor, encoder = new_processor(NANO, vocabulary), SampleEncoder(NANO, vocabulary)
    for number in range(4):
        sample = make_sample(task, f"train {number}")

        ours = encoder.encode([sample], as_clip=as_clip)
        theirs = inputs_of(processor, sample, as_clip=as_clip)

        assert theirs["input_ids"][0].tolist() == ours.tokens[: ours.branches[0].reply].tolist()
        for name, patches in (("pixel_values", ours.pictures), ("pixel_values_videos", ours.clips)):
            if patches:
                assert theirs[name].shape == np.concatenate(patches).shape
                # They are made smaller in another way.
                assert float(np.abs(theirs[name].numpy() - np.concatenate(patches)).mean()) < 0.03


def test_only_the_reply_has_labels(vocabulary):
    encoder = SampleEncoder(NANO, vocabulary)
    samples = [make_sample("plan", f"train {number}") for number in range(3)]

    batch = encoder.batch([encoder.encode([sample]) for sample in samples])

    for row, sample in enumerate(samples):
        learnt = batch.labels[row][batch.labels[row] >= 0]
        assert vocabulary.tokenizer.decode(learnt.tolist()) == sample.said + "<|im_end|>"


@pytest.mark.parametrize("task", ["judge", "look", "plan"])
def test_branches_compute_the_same_as_separate_samples(task, vocabulary):
    encoder, model = SampleEncoder(NANO, vocabulary), new_model(NANO, vocabulary, seed=0)
    samples = make_samples(task, "train 3", 4)

    row = encoder.encode(samples)
    with torch.no_grad():
        together = hidden_states(model, encoder.batch([row]))[0]
        for sample, branch in zip(samples, row.branches, strict=True):
            alone = hidden_states(model, encoder.batch([encoder.encode([sample])]))[0]
            in_branch = torch.cat([together[: row.shared], together[branch.begin : branch.end]])
            assert torch.allclose(in_branch, alone, atol=1e-4)

    assert len(row.tokens) < 0.8 * sum(len(encoder.encode([sample]).tokens) for sample in samples)


def test_a_training_can_begin_with_the_weights_of_another_model(tmp_path):
    first = Training(tmp_path / "first", SHORT, architecture=NANO, device="cpu")
    first.export(tmp_path / "model")

    second = Training(
        tmp_path / "second", replace(SHORT, seed=1), architecture=NANO, device="cpu", start=tmp_path / "model"
    )

    learnt, given = first.model.state_dict(), second.model.state_dict()
    assert all(learnt[name].equal(given[name]) for name in learnt)


def test_a_wider_model_begins_with_the_heads_of_another(tmp_path):
    first = Training(tmp_path / "first", SHORT, architecture=NANO, device="cpu")
    first.export(tmp_path / "model")

    wider = Training(
        tmp_path / "wider", SHORT, architecture=replace(NANO, heads=4), device="cpu", start=tmp_path / "model"
    )

    learnt, given = first.model.state_dict(), wider.model.state_dict()
    name = "model.language_model.layers.0.self_attn.{}_proj.weight"
    assert given[name.format("q")][: 2 * 32].equal(learnt[name.format("q")])
    assert given[name.format("o")][:, : 2 * 32].equal(learnt[name.format("o")])


def test_an_untrained_head_attends_to_equal_tokens(vocabulary):
    attention = new_model(NANO, vocabulary, seed=0).model.language_model.layers[0].self_attn
    vectors = torch.randn(20, NANO.hidden, generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        sought, offered = (
            weight(vectors).view(20, NANO.heads, -1) for weight in (attention.q_proj, attention.k_proj)
        )

    fits = torch.einsum("qhd,khd->hqk", sought, offered)
    assert (fits.argmax(-1) == torch.arange(20)).float().mean() > 0.95


def test_a_round_of_batches_is_reproducible(vocabulary):
    batches = Batches(SampleEncoder(NANO, vocabulary), SHORT)

    first, again, second_part = (
        [batch.labels.tolist() for step in batches[n] for _, batch in step] for n in (0, 0, 1)
    )

    assert first == again != second_part
    assert len(batches[0]) == ROUND_STEPS


def test_each_process_gets_its_part_of_a_step(vocabulary):
    encoder = SampleEncoder(NANO, vocabulary)
    whole, first, second = (Batches(encoder, SHORT, *part)[0] for part in ((0, 1), (0, 2), (1, 2)))

    for step, first_part, second_part in zip(whole, first, second, strict=True):
        assert [batch.labels.tolist() for _, batch in step] == [
            batch.labels.tolist() for _, batch in (*first_part, *second_part)
        ]


def test_a_drill_asks_for_the_block_that_contains_the_cue(vocabulary):
    tokenizer, chance = vocabulary.tokenizer, random.Random(1)
    for _ in range(10):
        row = Drills(vocabulary).make(chance, Drill(names=4, words=8))
        tokens = tokenizer.convert_ids_to_tokens(row.tokens.tolist())
        data = "\x1f".join(tokens[: row.shared]).split("<dataĠname")[1:]
        for branch in row.branches:
            cue_tokens = tokens[branch.begin : branch.reply]
            if cue_tokens[0] == "Question":
                cue_tokens = cue_tokens[2 : cue_tokens.index("?")]  # asked as a question is
            cue = "\x1f".join(cue_tokens)
            name, *following = tokens[branch.reply : branch.end]
            (place,) = [block for block in data if f"\x1f{cue}\x1f" in block]
            assert f"\x1f{name}\x1f" in place
            assert "\x1f".join([cue, *following]) in place


ONE_OF_TWO = """
import sys
from pathlib import Path
import torch
from recollect.evals.tiny.train import Training
from test_tiny_training import NANO, SHORT

torch.distributed.init_process_group("gloo")
list(Training(Path(sys.argv[1]), SHORT, architecture=NANO, device="cpu").run(2))
"""


def test_two_processes_train_to_the_same_weights_as_one(tmp_path):
    alone = Training(tmp_path / "alone", SHORT, architecture=NANO, device="cpu")
    list(alone.run(2))

    (tmp_path / "one_of_two.py").write_text(ONE_OF_TWO)
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         tmp_path / "one_of_two.py", tmp_path / "together"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        check=True,
        capture_output=True,
    )  # fmt: skip

    together = torch.load(tmp_path / "together" / "state.pt", weights_only=True)["model"]
    for name, weight in alone.model.state_dict().items():
        assert torch.allclose(weight, together[name], atol=1e-4), name


@pytest.mark.parametrize("shape", [(8, 8), (24, 8), (8, 24)])
def test_a_muon_update_has_equal_singular_values(shape):
    weight = torch.nn.Parameter(torch.zeros(shape))
    optimizer = Muon([weight], rate=0.1, momentum=0.0)
    left, right = (torch.linalg.qr(torch.randn(side, 8, generator=torch.manual_seed(0)))[0] for side in shape)
    weight.grad = left @ torch.diag(torch.logspace(-1, 1, 8)) @ right.T

    optimizer.step()

    sizes = torch.linalg.svdvals(weight.detach()) / (0.1 * max(1.0, shape[0] / shape[1]) ** 0.5)
    assert 0.3 < float(sizes.min()) <= float(sizes.max()) < 1.5


def test_an_interrupted_training_resumes_with_the_same_result(tmp_path):
    whole = Training(tmp_path / "whole", SHORT, architecture=NANO, device="cpu")
    list(whole.run(11))
    list(Training(tmp_path / "broken", SHORT, architecture=NANO, device="cpu").run(3))

    resumed = Training(tmp_path / "broken", SHORT, architecture=NANO, device="cpu")
    assert resumed.step == 3
    list(resumed.run(11))

    expected, actual = whole.model.state_dict(), resumed.model.state_dict()
    assert all(expected[name].equal(actual[name]) for name in expected)
    assert (whole.samples, whole.step) == (resumed.samples, resumed.step)


def test_a_checkpoint_is_scored_and_its_card_says_how_it_did(tmp_path):
    training = Training(tmp_path, SHORT, architecture=NANO, device="cpu")
    training.export(tmp_path / "model")

    scores = score(tmp_path / "model", samples=1)
    write_card(tmp_path / "model", scores)

    assert set(scores.tasks) == set(TASKS)
    kept = json.loads((tmp_path / "model" / "scores.json").read_text())
    assert kept["tasks"]["judge"]["samples"] == 1
    assert table_of(scores) in (tmp_path / "model" / "README.md").read_text()
    assert Path(tmp_path / "model" / "model.safetensors").stat().st_size < 20_000_000
