"""Search by picture: configured encoders, reindexing, and hits without text, in Python and on the command line."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import av
import numpy as np
import pytest

from recollect import Recollect, WatchOptions
from recollect.cli.main import main
from recollect.memory.errors import EncoderMismatch
from recollect.perception.errors import EncoderUnusable
from recollect.perception.vision import PaletteEncoder

COLOURS = {"white": (245, 245, 245), "blue": (10, 10, 120), "yellow": (235, 220, 20), "green": (10, 80, 20)}
SHOT_S = 4


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch) -> Path:
    """The path of the settings file, which does not exist yet, with no environment variables set."""
    for variable in [name for name in os.environ if name.startswith("RECOLLECT_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "recollect.toml"


@pytest.fixture(scope="module")
def shots(tmp_path_factory) -> Path:
    """Four shots of 4 s, each of one colour."""
    path = tmp_path_factory.mktemp("shots") / "shots.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for colour in COLOURS.values():
            for _ in range(10 * SHOT_S):
                picture = np.full((96, 160, 3), colour, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def is_best_hit(memory: Recollect, colour: str) -> bool:
    """Whether the best hit for a colour is a moment in which it was shown."""
    shown_s = SHOT_S * (list(COLOURS).index(colour) + 0.5)
    (hit,) = memory.search(colour, limit=1)
    return hit.moment.span.contains(shown_s)


def test_without_settings_a_search_uses_text_only(shots):
    with Recollect("memory.lance") as memory:
        memory.watch(shots, options=WatchOptions(ocr=False))
        hits = memory.search("grün")

    assert hits == []


def test_the_configured_encoder_is_used_to_watch_and_to_search(shots, settings):
    settings.write_text('[vision]\nmodel = "palette"\n')

    with Recollect("memory.lance") as memory:
        memory.watch(shots, options=WatchOptions(ocr=False))
        shown = [is_best_hit(memory, colour) for colour in COLOURS]
    with Recollect("memory.lance", encoder=PaletteEncoder()) as again:
        hits = again.search("nothing like it", limit=4)

    assert all(shown)
    assert hits


def test_a_memory_without_vectors_is_refused_until_reindexed(shots, settings):
    with Recollect("memory.lance") as memory:
        memory.watch(shots, options=WatchOptions(ocr=False))
    settings.write_text('[vision]\nmodel = "palette"\n')

    with Recollect("memory.lance") as memory:
        for call in (lambda: memory.search("red"), lambda: memory.watch(shots), memory.status):
            with pytest.raises(EncoderMismatch, match=r"recollect reindex --memory memory\.lance"):
                call()
        report = memory.reindex()
        again = memory.reindex()
        shown = is_best_hit(memory, "yellow")

    assert report.encoder == "palette/1"
    assert report.pictures >= len(COLOURS)
    assert (again.texts, again.pictures) == (0, 0)
    assert shown


def test_reindexing_uses_the_given_encoder_or_drops_vectors(shots):
    with Recollect("memory.lance") as memory:
        memory.watch(shots, options=WatchOptions(ocr=False))
        with_encoder = asyncio.run(memory.areindex(PaletteEncoder()))
        shown = is_best_hit(memory, "blue")
    with Recollect("memory.lance") as memory:
        without_encoder = memory.reindex()
        status = memory.status()

    assert (with_encoder.encoder, shown) == ("palette/1", True)
    assert (without_encoder.encoder, len(status)) == (None, 1)


def test_the_command_reindexes_and_reports_it(shots, settings, capsys):
    assert main(["watch", str(shots), "--no-ocr", "--quiet"]) == 0
    settings.write_text('[vision]\nmodel = "palette"\n')
    capsys.readouterr()

    refused = main(["search", "red"]), capsys.readouterr()
    reindexed = main(["reindex"]), capsys.readouterr()
    hits = main(["search", "yellow"]), capsys.readouterr()
    settings.write_text("")
    dropped = main(["reindex"]), capsys.readouterr()

    assert refused[0] == 2
    assert "recollect reindex --memory recollect.lance" in refused[1].err
    assert (reindexed[0], reindexed[1].err) == (0, "")
    assert reindexed[1].out.startswith("recollect.lance: search uses palette/1 now; ")
    assert "yellow" in hits[1].out.splitlines()[0]
    assert "its vectors were dropped" in dropped[1].out


def test_a_missing_model_is_reported_before_watching(shots, settings):
    settings.write_text('[vision]\nmodel = "./no-such-model"\n')

    with Recollect("memory.lance") as memory, pytest.raises(EncoderUnusable, match="no such folder"):
        memory.watch(shots)

    assert not Path("memory.lance").exists()
