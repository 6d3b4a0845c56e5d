"""Mutated videos: small clean files of ten containers, and seeded damage to their bytes.

    clean = write_clean(folder)                               # {"mp4": PosixPath(…), …}
    data, mutations = mutate(clean["mp4"].read_bytes(), seed=17, index=3)

The same seed and index give the same bytes. All clean files show ``CLEAN_S`` seconds at ``FPS``, and some have sound.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

CLEAN_S = 8
FPS = 25
_SIZE = (160, 96)

CONTAINERS: dict[str, tuple[str, str, str | None, dict[str, str]]] = {
    # Name of the container: its suffix, codecs of pictures and sound, and options.
    "mp4": (".mp4", "libx264", "aac", {}),
    "fragmented mp4": (".mp4", "libx264", None, {"movflags": "frag_keyframe+empty_moov"}),
    "mkv": (".mkv", "libx264", "aac", {}),
    "webm": (".webm", "libvpx", None, {}),
    "avi": (".avi", "mpeg4", "mp2", {}),
    "ts": (".ts", "libx264", "mp2", {}),
    "mpg": (".mpg", "mpeg2video", "mp2", {}),
    "flv": (".flv", "libx264", None, {}),
    "asf": (".asf", "mpeg4", None, {}),
    "gif": (".gif", "gif", None, {}),
}


def write_clean(folder: Path) -> dict[str, Path]:
    """Write the clean file of each container into ``folder``."""
    return {name: _write(folder / f"clean {name}{CONTAINERS[name][0]}", name) for name in CONTAINERS}


def _write(path: Path, name: str) -> Path:
    _, codec, sound_codec, options = CONTAINERS[name]
    encoding = {"g": "25"} | ({"preset": "ultrafast"} if codec == "libx264" else {})
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=FPS, options=encoding if codec != "gif" else {})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = _SIZE
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        sound = _add_sound(container, sound_codec) if sound_codec else None
        samples = 0
        for number in range(CLEAN_S * FPS):
            frame = av.VideoFrame.from_ndarray(_picture(number), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
            while sound is not None and samples < number * 44100 // FPS:
                size = sound.codec_context.frame_size or 1152
                piece = av.AudioFrame.from_ndarray(np.zeros((1, size), np.float32), "fltp", "mono")
                if sound_codec == "mp2":
                    piece = av.AudioFrame.from_ndarray(np.zeros((1, size), np.int16), "s16", "mono")
                piece.sample_rate, piece.time_base, piece.pts = 44100, Fraction(1, 44100), samples
                samples += size
                container.mux(sound.encode(piece))
        container.mux(stream.encode(None))
        if sound is not None:
            container.mux(sound.encode(None))
    return path


def _add_sound(container: OutputContainer, codec: str) -> AudioStream:
    sound = container.add_stream(codec, rate=44100, layout="mono")
    assert isinstance(sound, AudioStream)
    return sound


def _picture(number: int) -> NDArray[np.uint8]:
    """A textured picture with a bar that moves, so that each frame has its own bytes."""
    rows, columns = np.mgrid[: _SIZE[1], : _SIZE[0]]
    image = np.stack([(rows * 3 + number) % 200, columns % 160, (rows * columns) % 90], axis=-1).astype(
        np.uint8
    )
    x = 3 * number % (_SIZE[0] - 12)
    image[20:70, x : x + 12] = (40, 40, 220)
    return image


def mutate(data: bytes, seed: int, index: int) -> tuple[bytes, tuple[str, ...]]:
    """Damaged bytes, and the names of the mutations that made them."""
    generator = random.Random(f"{seed}:{index}")
    mutated, names = bytearray(data), []
    for _ in range(generator.choice((1, 1, 2, 3))):
        name = generator.choice(tuple(MUTATIONS))
        MUTATIONS[name](mutated, generator)
        names.append(name)
        if not mutated:
            break
    return bytes(mutated), tuple(names)


def _block(data: bytearray, generator: random.Random) -> tuple[int, int]:
    """A random stretch, from a few bytes to a third of the file."""
    size = min(len(data), int(2 ** generator.uniform(2, 15)), max(1, len(data) // 3))
    start = generator.randrange(max(1, len(data) - size + 1))
    return start, start + size


def _flip_bits(data: bytearray, generator: random.Random) -> None:
    for _ in range(generator.choice((1, 4, 16, 64))):
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)


def _zero_block(data: bytearray, generator: random.Random) -> None:
    start, end = _block(data, generator)
    data[start:end] = bytes(end - start)


def _randomise_block(data: bytearray, generator: random.Random) -> None:
    start, end = _block(data, generator)
    data[start:end] = generator.randbytes(end - start)


def _cut_block(data: bytearray, generator: random.Random) -> None:
    start, end = _block(data, generator)
    del data[start:end]


def _insert_block(data: bytearray, generator: random.Random) -> None:
    start, end = _block(data, generator)
    data[start:start] = generator.randbytes(end - start)


def _duplicate_block(data: bytearray, generator: random.Random) -> None:
    start, end = _block(data, generator)
    data[end:end] = data[start:end]


def _move_block(data: bytearray, generator: random.Random) -> None:
    start, end = _block(data, generator)
    block = data[start:end]
    del data[start:end]
    position = generator.randrange(len(data) + 1)
    data[position:position] = block


def _truncate(data: bytearray, generator: random.Random) -> None:
    del data[generator.randrange(1, len(data) + 1) :]


def _change_header(data: bytearray, generator: random.Random) -> None:
    """Random bytes near the start or the end, where containers keep their headers and indexes."""
    reach = min(len(data), generator.choice((64, 512, 4096)))
    for _ in range(generator.choice((1, 2, 8))):
        position = generator.randrange(reach)
        data[position if generator.random() < 0.7 else -1 - position] = generator.randrange(256)


def _change_number(data: bytearray, generator: random.Random) -> None:
    """A number of one to eight bytes becomes an extreme one: lengths, counts, sizes, times."""
    width = generator.choice((1, 2, 4, 8))
    if len(data) < width:
        return
    reach = len(data) - width + 1
    start = generator.randrange(min(reach, generator.choice((256, 4096, reach))))
    order: Literal["big", "little"] = "big" if generator.random() < 0.5 else "little"
    most = (1 << 8 * width) - 1
    value = int.from_bytes(data[start : start + width], order)
    changed = generator.choice((0, 1, most, most >> 1, most - 1, value + 1, value * 2, value // 2, value - 1))
    data[start : start + width] = (changed & most).to_bytes(width, order)


MUTATIONS: dict[str, Callable[[bytearray, random.Random], None]] = {
    "flip bits": _flip_bits,
    "zero a block": _zero_block,
    "randomise a block": _randomise_block,
    "cut a block": _cut_block,
    "insert a block": _insert_block,
    "duplicate a block": _duplicate_block,
    "move a block": _move_block,
    "truncate": _truncate,
    "change the header": _change_header,
    "change a number": _change_number,
}
