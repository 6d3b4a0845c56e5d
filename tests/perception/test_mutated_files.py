"""Mutated files of ten containers: no crash, no hang, and no second told as seen that no decoder shows."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from recollect.perception.sources.file_source import FileSource
from recollect.perception.sources.source import Outage
from recollect.testing.lenient_decoding import lenient_decode
from recollect.testing.mutated_videos import CLEAN_S, CONTAINERS, FPS, MUTATIONS, mutate, write_clean
from recollect.testing.mutated_watching import watch_mutated

SEED = 17
FILES_EACH = 6


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_clean(tmp_path_factory.mktemp("clean"))


def test_the_same_seed_makes_the_same_files() -> None:
    data = bytes(range(256)) * 40
    made = [mutate(data, SEED, index) for index in range(200)]

    assert made == [mutate(data, SEED, index) for index in range(200)]
    assert {name for _, names in made for name in names} == set(MUTATIONS)
    assert sum(mutated != data for mutated, _ in made) > 190


def test_a_lenient_decoder_shows_a_clean_file_whole(clean: dict[str, Path]) -> None:
    shown = lenient_decode(clean["mkv"], FPS)

    assert shown is not None
    assert shown.frames == CLEAN_S * FPS
    assert shown.seconds == pytest.approx(CLEAN_S, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("container", CONTAINERS)
def test_mutated_files_are_told_truly(clean: dict[str, Path], tmp_path: Path, container: str) -> None:
    results = [
        watch_mutated(clean[container], tmp_path, container, seed=SEED, index=index)
        for index in range(FILES_EACH)
    ]

    assert [result for result in results if result.problem is not None] == []
    assert any(result.covered_s > 1 for result in results)


@pytest.mark.parametrize("hole", [b"", bytes(9_000)], ids=["cut out", "zeroed"])
def test_missing_packets_of_asf_are_an_outage(clean: dict[str, Path], tmp_path: Path, hole: bytes) -> None:
    data = clean["asf"].read_bytes()
    path = tmp_path / "damaged.asf"
    path.write_bytes(data[:10_000] + hole + data[19_000:])

    with closing(FileSource(clean["asf"], 4)) as source:
        assert not [event for event in source.frames() if isinstance(event, Outage)]
    with closing(FileSource(path, 4)) as source:
        outages = [event for event in source.frames() if isinstance(event, Outage)]
    assert [outage.cause for outage in outages] == ["damaged"]
    assert 1 < outages[0].end_s - outages[0].start_s < 6


@pytest.mark.parametrize("codec", ["mpeg4", "wmv2"])
def test_a_picture_that_asf_holds_is_no_outage(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "held.asf"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        sound = container.add_stream("mp2", rate=44100, layout="mono")
        samples = 0
        for number in range(100):
            pixels = np.random.default_rng(number).integers(0, 255, (240, 320, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "bgr24")
            time_s = number / 25 + (5 if number >= 50 else 0)
            frame.pts, frame.time_base = round(time_s * 25), Fraction(1, 25)
            container.mux(stream.encode(frame))
            while samples < time_s * 44100:
                size = 1152
                piece = av.AudioFrame.from_ndarray(np.zeros((1, size), np.int16), "s16", "mono")
                piece.sample_rate, piece.time_base, piece.pts = 44100, Fraction(1, 44100), samples
                samples += size
                container.mux(sound.encode(piece))
        container.mux(stream.encode(None))

    with closing(FileSource(path, 4)) as source:
        events = list(source.frames())
    assert [event for event in events if isinstance(event, Outage)] == []
    assert len(events) >= 99
