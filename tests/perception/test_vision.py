"""The image–text encoders: one vector space for pictures and texts, and reproducible vectors."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recollect.memory import ImageEncoder, KeyFrame, MemoryStore, Moment, Observation, Span, reindex
from recollect.memory.errors import EncoderMismatch
from recollect.perception.errors import EncoderNotInstalled, EncoderUnusable
from recollect.perception.vision import PaletteEncoder, SiglipEncoder, encoder_settings, open_encoder
from recollect.perception.vision_settings import VisionSettings

HAVE_TORCH = all(find_spec(library) for library in ("torch", "transformers"))
needs_torch = pytest.mark.skipif(not HAVE_TORCH, reason="the extra `vision` is not installed")
WORDS = ["a red door", "A KETTLE boils", "", "rain " * 200]


def jpeg(colour: str, size: tuple[int, int] = (64, 48), seed: int | None = None) -> bytes:
    """A picture of one colour. With a seed, it also has blocks of noise."""
    picture = Image.new("RGB", size, colour)
    if seed is not None:
        noise = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
        picture = Image.blend(picture, Image.fromarray(noise).resize(size), 0.5)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def tiny_siglip(folder: Path, kind: str = "siglip", *, seed: int = 0) -> Path:
    """A checkpoint with random weights, vectors of 32 numbers, and a tokenizer of single characters.

    The tokenizer adds no end token, the default of transformers 5 if the file does not set it.
    """
    import torch
    import transformers as hf
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    torch.manual_seed(seed)
    characters = ["<pad>", "<eos>", "<unk>", *map(chr, range(32, 127))]
    tokenizer = Tokenizer(models.WordLevel({c: i for i, c in enumerate(characters)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    text = {"vocab_size": len(characters), "max_position_embeddings": 16, "pad_token_id": 0, "eos_token_id": 1,
            "bos_token_id": 1}  # fmt: skip
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    if kind == "siglip":
        config = hf.SiglipConfig(
            text_config=text | tower, vision_config=tower | {"image_size": 32, "patch_size": 8}
        )
        model, prepare = hf.SiglipModel(config), hf.SiglipImageProcessorPil(size={"height": 32, "width": 32})
    else:
        config = hf.Siglip2Config(
            text_config=text | tower | {"projection_size": 32},
            vision_config=tower | {"num_patches": 16, "patch_size": 8},
        )
        model, prepare = (
            hf.Siglip2Model(config),
            hf.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16),
        )
    model.save_pretrained(folder)
    prepare.save_pretrained(folder)
    hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["siglip", "siglip2"])
def checkpoint(request, tmp_path_factory) -> Path:
    """A tiny checkpoint with a fixed picture size, and one that keeps the picture's aspect ratio."""
    return tiny_siglip(tmp_path_factory.mktemp("models") / f"tiny-{request.param}", request.param)


@pytest.fixture(scope="module")
def encoder(checkpoint) -> SiglipEncoder:
    return SiglipEncoder(str(checkpoint), device="cpu")


PICTURES = [jpeg("red", seed=1), jpeg("green", (200, 40), seed=2), jpeg("blue", (33, 90), seed=3)]


@needs_torch
def test_vectors_of_texts_and_pictures_are_unit_rows(encoder):
    texts, pictures = encoder.encode_texts(WORDS), encoder.encode_images(PICTURES)

    assert isinstance(encoder, ImageEncoder)
    assert texts.shape == (len(WORDS), encoder.dim) == (4, 32)
    assert pictures.shape == (len(PICTURES), encoder.dim)
    assert texts.dtype == pictures.dtype == np.float32
    assert np.linalg.norm(texts, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(pictures, axis=1) == pytest.approx(1, abs=1e-5)
    assert encoder.encode_texts([]).shape == encoder.encode_images([]).shape == (0, 32)


@needs_torch
def test_vectors_of_batches_equal_those_of_single_items(encoder):
    pictures = [jpeg("grey", (40 + n, 90 - n), seed=n) for n in range(35)]
    texts = [f"thing {n}" * (n % 5) for n in range(35)]

    together_images, single_images = (
        encoder.encode_images(pictures),
        [encoder.encode_images([item])[0] for item in pictures],
    )
    together_texts, single_texts = (
        encoder.encode_texts(texts),
        [encoder.encode_texts([item])[0] for item in texts],
    )

    assert np.abs(together_images - single_images).max() < 1e-5
    assert np.abs(together_texts - single_texts).max() < 1e-5
    assert np.abs(together_images[:1] - together_images[1:]).max() > 1e-3


ENCODE = """
import sys
from pathlib import Path
from recollect.perception.vision import SiglipEncoder
encoder = SiglipEncoder(sys.argv[1], device="cpu")
pictures = [file.read_bytes() for file in sorted(Path(sys.argv[2]).iterdir())]
sys.stdout.buffer.write(encoder.encode_images(pictures).tobytes() + encoder.encode_texts(["a red door"]).tobytes())
"""


@needs_torch
@pytest.mark.slow
def test_another_process_makes_bit_identical_vectors(checkpoint, tmp_path):
    for number, picture in enumerate(PICTURES):
        (tmp_path / f"{number}.jpg").write_bytes(picture)

    runs = [
        subprocess.run(
            [sys.executable, "-c", ENCODE, str(checkpoint), str(tmp_path)], capture_output=True, check=True
        )
        for _ in range(2)
    ]

    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout) == 4 * 32 * (len(PICTURES) + 1)


@needs_torch
def test_input_is_prepared_as_in_the_training_of_the_model(checkpoint, encoder):
    """The reference: the towers of transformers, with input prepared by the test."""
    import torch
    import transformers as hf

    model = hf.AutoModel.from_pretrained(checkpoint)
    prepare = hf.AutoImageProcessor.from_pretrained(checkpoint, backend="pil")
    padded = [[ord(c) - 29 for c in "a red door"] + [1] + [0] * 5]
    with torch.inference_mode():
        image_features = model.get_image_features(
            **prepare([Image.open(io.BytesIO(picture)) for picture in PICTURES], return_tensors="pt")
        ).pooler_output
        text_features = model.get_text_features(torch.tensor(padded)).pooler_output

    assert np.abs(encoder.encode_images(PICTURES) - unit(image_features)).max() < 1e-5
    assert np.abs(encoder.encode_texts(["A red DOOR"]) - unit(text_features)).max() < 1e-5


def unit(vectors):
    return (vectors / vectors.norm(dim=-1, keepdim=True)).numpy()


@needs_torch
def test_an_unreadable_picture_gets_zeros_and_others_do_not(encoder):
    vectors = encoder.encode_images([b"", PICTURES[0], b"\xff\xd8 no picture", PICTURES[1]])

    assert not vectors[[0, 2]].any()
    assert np.abs(vectors[[1, 3]] - encoder.encode_images(PICTURES[:2])).max() < 1e-5


@needs_torch
def test_a_name_depends_on_weights_and_settings_not_folders(tmp_path):
    original = tiny_siglip(tmp_path / "one" / "tiny")
    copy = shutil.copytree(original, tmp_path / "copy" / "tiny")
    trained = tiny_siglip(tmp_path / "trained" / "tiny", seed=1)
    resampled = shutil.copytree(original, tmp_path / "other" / "tiny")
    settings = json.loads((resampled / "preprocessor_config.json").read_text())
    (resampled / "preprocessor_config.json").write_text(json.dumps(settings | {"resample": 0}))
    (copy / "README.md").write_text("a copy")

    names = [SiglipEncoder(str(folder)).name for folder in (original, copy, trained, resampled)]

    assert names[0].startswith("tiny@")
    assert names[0] == names[1]
    assert len(set(names)) == 3


@pytest.mark.parametrize(
    "settings",
    [
        VisionSettings(),
        VisionSettings(model="palette"),
        VisionSettings(model="google/siglip2-base-patch16-224", device="cuda:1"),
    ],
)
def test_an_encoder_has_the_settings_that_open_it(settings):
    assert encoder_settings(open_encoder(settings)) == settings


def test_an_encoder_of_another_class_has_no_settings():
    class OwnEncoder(PaletteEncoder):
        name = "own/1"

    assert encoder_settings(OwnEncoder()) is None


@pytest.mark.parametrize("model", ["tiny", "./tiny", "tiny/."])
def test_settings_name_a_folder_by_its_absolute_path(model, tmp_path, monkeypatch):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text('{"model_type": "siglip"}')
    monkeypatch.chdir(tmp_path)
    encoder = SiglipEncoder(model, device="cpu")
    name = encoder.name

    settings = encoder_settings(encoder)
    monkeypatch.chdir("/")

    assert settings is not None
    assert settings.model is not None
    assert Path(settings.model).samefile(tmp_path / "tiny")
    assert SiglipEncoder(settings.model).name == name


@needs_torch
def test_a_memory_refuses_another_checkpoint_until_reindexed(tmp_path):
    encoder_a, encoder_b = (
        SiglipEncoder(str(tiny_siglip(tmp_path / f"tiny-{n}", seed=n)), device="cpu") for n in (1, 2)
    )
    frames = [KeyFrame(f"f{n}", "door", n * 5.0, n, "1/1", 64, 48, PICTURES[n]) for n in range(3)]
    moments = [
        Moment(f"m{n}", "door", 0, Span(n * 5.0, n * 5.0 + 5), (Observation("x", (), "o/1", 1.0),), frame_ids=(f"f{n}",))
        for n in range(3)
    ]  # fmt: skip
    with MemoryStore.open(tmp_path / "memory.lance", write=True, encoder=encoder_a) as store:
        store.append(moments, frames)

    with pytest.raises(EncoderMismatch, match=r"tiny-1@\w+ \(32 numbers\).*tiny-2@"):
        MemoryStore.open(tmp_path / "memory.lance", encoder=encoder_b)
    reindex(tmp_path / "memory.lance", encoder_b)
    with MemoryStore.open(tmp_path / "memory.lance", encoder=encoder_b) as reader:
        hits = reader.snapshot().search("a red door", limit=1)
    nearest = int((encoder_b.encode_images(PICTURES) @ encoder_b.encode_texts(["a red door"])[0]).argmax())

    assert hits[0].moment.id == f"m{nearest}"


@needs_torch
def test_a_name_and_a_length_are_known_without_loading_torch(checkpoint):
    code = (
        "import sys; from recollect.perception.vision import SiglipEncoder\n"
        "encoder = SiglipEncoder(sys.argv[1])\n"
        "print(encoder.name, encoder.dim, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )

    process = subprocess.run(
        [sys.executable, "-c", code, str(checkpoint)], capture_output=True, text=True, check=True
    )

    assert process.stdout.split()[1:] == ["32", "False", "False"]
    assert process.stderr == ""


def checkpoint_of(folder: Path, **config: object) -> str:
    """A folder with only a configuration file."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def test_a_model_of_another_kind_is_refused_by_name(tmp_path):
    clip = checkpoint_of(tmp_path / "clip", model_type="clip")

    with pytest.raises(EncoderUnusable, match="a model of the kind 'clip'"):
        _ = SiglipEncoder(clip).name


@pytest.mark.parametrize("model", ["./no-such-folder", "/no/such/folder", "no-such-folder"])
def test_a_missing_folder_is_reported(model):
    with pytest.raises(EncoderUnusable, match="there is no such folder"):
        _ = SiglipEncoder(model).dim


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(EncoderUnusable, match=r"config\.json cannot be read"):
        _ = SiglipEncoder(str(tmp_path)).name


@needs_torch
def test_an_incomplete_checkpoint_is_refused_at_first_use(tmp_path):
    encoder = SiglipEncoder(checkpoint_of(tmp_path / "half", model_type="siglip"))

    with pytest.raises(EncoderUnusable, match="half"):
        encoder.encode_texts(["a"])


@needs_torch
def test_a_missing_device_is_reported(checkpoint):
    with pytest.raises(EncoderUnusable, match="warp"):
        SiglipEncoder(str(checkpoint), device="warp").encode_texts(["a"])


@pytest.mark.skipif(HAVE_TORCH, reason="the extra `vision` is installed")
def test_a_missing_extra_error_says_how_to_install_it(tmp_path):
    encoder = SiglipEncoder(checkpoint_of(tmp_path / "tiny", model_type="siglip"))

    with pytest.raises(EncoderNotInstalled, match=r'pip install "recollect\[vision\]"'):
        encoder.encode_texts(["a"])


def test_the_palette_puts_pictures_near_their_colour_names():
    palette = PaletteEncoder()

    likeness = (
        palette.encode_texts(["a red door", "green", "Blue sky"])
        @ palette.encode_images([jpeg("red"), jpeg("green"), jpeg("blue")]).T
    )

    assert isinstance(palette, ImageEncoder)
    assert list(likeness.argmax(axis=1)) == [0, 1, 2]
    assert likeness.diagonal().min() > 0.9
    assert likeness[~np.eye(3, dtype=bool)].max() < 0.1


def test_the_palette_compares_words_without_colours_by_spelling():
    palette = PaletteEncoder()
    vectors = palette.encode_texts(["photographer", "photografer", "fog"])
    pictures = palette.encode_images([jpeg("white"), b"no picture"])

    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]
    assert np.abs(vectors @ pictures.T).max() == 0
    assert not pictures[1].any()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)


def test_the_settings_choose_the_encoder():
    assert open_encoder(VisionSettings()) is None
    assert isinstance(open_encoder(VisionSettings(model="palette")), PaletteEncoder)
    assert isinstance(open_encoder(VisionSettings(model="some/model", device="cpu")), SiglipEncoder)
