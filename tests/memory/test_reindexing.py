"""Reindexing gives a memory the vectors of another encoder, completely and without other changes."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from recollect.memory import HashingEncoder, KeyFrame, MemoryStore, Moment, Observation, reindex
from recollect.memory.encoder import Encoder
from recollect.memory.errors import DiskFull, EncoderMismatch, MemoryInUse, NotAMemory
from recollect.perception.vision import PaletteEncoder

Make = Callable[..., Moment]
MOMENTS = 600
COLOURS = ("white", "blue", "grey", "green", "black", "yellow")


def jpeg(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(file, "JPEG", quality=90)
    return file.getvalue()


def fill(folder: Path, moment: Make, *, encoder: Encoder | None = None, moments: int = MOMENTS) -> None:
    """Moments with pictures of several colours. Only the picture of number 7 is red."""
    drawn = {colour: jpeg(colour) for colour in (*COLOURS, "red")}
    colours = ["red" if n == 7 else COLOURS[n % 6] for n in range(moments)]
    with MemoryStore.open(folder, write=True, encoder=encoder) as store:
        store.append(
            [moment(n, f"thing {n}", frame_ids=(f"f{n}",)) for n in range(moments)],
            [
                KeyFrame(f"f{n}", "kitchen", n * 5.0, n, "1/1", 64, 48, drawn[c])
                for n, c in enumerate(colours)
            ],
        )
        store.write_back(moment(3), Observation("a second look", (), "inspect/1", 9000.0))


def best_starts_s(folder: Path, text: str, encoder: Encoder | None) -> list[float]:
    """Start times of the two best hits. They include the first hit of each of two rankings."""
    with MemoryStore.open(folder, encoder=encoder) as reader:
        return [hit.moment.span.start_s for hit in reader.snapshot().search(text, limit=2)]


def vectors(folder: Path, encoder: Encoder) -> tuple[int, int]:
    """The number of text vectors and of picture vectors."""
    with MemoryStore.open(folder, encoder=encoder) as reader:
        texts, pictures = reader._tables.text_vectors, reader._tables.frame_vectors
        return (texts.count_rows() if texts else 0, pictures.count_rows() if pictures else 0)


def vector_tables(folder: Path) -> int:
    return len(list(folder.glob("*_vectors*.lance")))


@pytest.mark.slow
@pytest.mark.parametrize("before", [None, HashingEncoder()], ids=["no vectors", "another encoder"])
def test_a_memory_gets_the_vectors_of_an_encoder(folder: Path, moment: Make, before: Encoder | None) -> None:
    fill(folder, moment, encoder=before)
    progress: list[tuple[int, int]] = []

    report = reindex(folder, PaletteEncoder(), on_progress=lambda done, total: progress.append((done, total)))

    assert (report.encoder, report.texts, report.pictures) == ("palette/1", MOMENTS + 1, MOMENTS)
    assert vectors(folder, PaletteEncoder()) == (MOMENTS + 1, MOMENTS)
    assert vector_tables(folder) == 2
    assert 35.0 in best_starts_s(folder, "red", PaletteEncoder())
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)
    assert progress[-1] == (MOMENTS + 1, MOMENTS + 1)


def test_a_reindexed_memory_equals_one_watched_with_the_encoder(
    folder: Path, tmp_path: Path, moment: Make
) -> None:
    fill(folder, moment)
    fill(tmp_path / "at-once.lance", moment, encoder=PaletteEncoder())

    reindex(folder, PaletteEncoder())

    def hits(path: Path) -> list[tuple[str, float]]:
        with MemoryStore.open(path, encoder=PaletteEncoder()) as reader:
            return [(hit.moment.id, hit.score) for hit in reader.snapshot().search("red thing 9", limit=50)]

    assert hits(folder) == hits(tmp_path / "at-once.lance")


def test_without_an_encoder_the_vectors_are_dropped(folder: Path, moment: Make) -> None:
    fill(folder, moment, encoder=PaletteEncoder())

    report = reindex(folder, None)

    assert (report.encoder, report.texts, report.pictures) == (None, 0, 0)
    assert vector_tables(folder) == 0
    assert 35.0 in best_starts_s(folder, "thing 7", None)
    MemoryStore.open(folder, write=True).close()


def test_a_process_can_switch_encoders_and_switch_back(folder: Path, moment: Make) -> None:
    fill(folder, moment, encoder=PaletteEncoder(), moments=50)

    for encoder in (HashingEncoder(), PaletteEncoder(), None, PaletteEncoder()):
        reindex(folder, encoder)

    assert vectors(folder, PaletteEncoder()) == (51, 50)
    assert 35.0 in best_starts_s(folder, "red", PaletteEncoder())


def test_watching_continues_with_the_new_encoder(folder: Path, moment: Make) -> None:
    fill(folder, moment, moments=20)
    reindex(folder, PaletteEncoder())

    with MemoryStore.open(folder, write=True, encoder=PaletteEncoder()) as store:
        store.append(
            [moment(90, "new", frame_ids=("new",))],
            [KeyFrame("new", "kitchen", 450.0, 1, "1/1", 64, 48, jpeg("purple"))],
        )

    assert 450.0 in best_starts_s(folder, "purple", PaletteEncoder())


def test_with_the_same_encoder_only_missing_vectors_are_added(folder: Path, moment: Make) -> None:
    fill(folder, moment, encoder=PaletteEncoder(), moments=20)
    with MemoryStore.open(folder) as reader:
        reader.write_back(moment(5), Observation("seen without the encoder", (), "inspect/1", 9000.0))

    report = reindex(folder, PaletteEncoder())

    assert (report.texts, report.pictures) == (1, 0)
    assert vectors(folder, PaletteEncoder()) == (22, 20)


class LookingEncoder(PaletteEncoder):
    """An encoder during whose work a question writes a second look."""

    def __init__(self, folder: Path, moment: Moment) -> None:
        self._folder, self._moment = folder, moment
        self._has_looked = False

    def encode_texts(self, texts: list[str]):
        if not self._has_looked:
            self._has_looked = True
            with MemoryStore.open(self._folder) as reader:
                reader.write_back(
                    self._moment, Observation("a look during reindexing", (), "inspect/1", 9000.0)
                )
        return super().encode_texts(texts)


def test_looks_written_during_reindexing_get_vectors(folder: Path, moment: Make) -> None:
    fill(folder, moment, moments=20)

    report = reindex(folder, LookingEncoder(folder, moment(5)))

    assert report.texts == 22
    assert vectors(folder, PaletteEncoder()) == (22, 20)


SLOWLY = """
import sys, time
from pathlib import Path
from recollect.memory import reindex
from recollect.perception.vision import PaletteEncoder

class Slow(PaletteEncoder):
    def encode_images(self, jpegs):
        time.sleep(0.05)
        return super().encode_images(jpegs)

reindex(Path(sys.argv[1]), Slow(), on_progress=lambda done, total: print(done, flush=True))
print("finished", flush=True)
sys.stdin.read()
"""


def reindex_and_kill(folder: Path, *, after: int | None) -> None:
    """Reindex in a child process, and kill it after this many observations, or after the last step."""
    with subprocess.Popen(
        [sys.executable, "-c", SLOWLY, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip() == "finished" or (after is not None and int(line) >= after):
                child.kill()
                break


@pytest.mark.parametrize("before", [None, HashingEncoder()], ids=["no vectors", "another encoder"])
@pytest.mark.slow
def test_a_killed_reindexing_changes_nothing_and_can_continue(
    folder: Path, moment: Make, before: Encoder | None
) -> None:
    fill(folder, moment, encoder=before)

    reindex_and_kill(folder, after=256)

    assert 35.0 in best_starts_s(folder, "thing 7", before)
    with pytest.raises(EncoderMismatch):
        MemoryStore.open(folder, encoder=PaletteEncoder())
    with MemoryStore.open(folder, write=True, encoder=before) as store:
        store.append([moment(1000, "watched on in between")])
    report = reindex(folder, PaletteEncoder())
    assert 0 < report.texts < MOMENTS + 2
    assert vectors(folder, PaletteEncoder()) == (MOMENTS + 2, MOMENTS)
    assert 35.0 in best_starts_s(folder, "red", PaletteEncoder())
    assert vector_tables(folder) == 2


@pytest.mark.slow
def test_killed_after_the_switch_the_new_vectors_are_in_use(folder: Path, moment: Make) -> None:
    fill(folder, moment, moments=20)

    reindex_and_kill(folder, after=None)

    assert vectors(folder, PaletteEncoder()) == (21, 20)


@pytest.mark.slow
def test_vectors_of_an_abandoned_run_are_deleted_by_the_next(folder: Path, moment: Make) -> None:
    fill(folder, moment)
    reindex_and_kill(folder, after=256)
    (folder / "text_vectors-0123456789abcdef0123.lance").mkdir()

    reindex(folder, HashingEncoder())

    assert vector_tables(folder) == 1
    assert 35.0 in best_starts_s(folder, "thing 7", HashingEncoder())


class FailingEncoder(PaletteEncoder):
    """Raises in the second batch."""

    calls = 0

    def encode_images(self, jpegs):
        self.calls += 1
        if self.calls > 6:
            raise RuntimeError("out of memory")
        return super().encode_images(jpegs)


def test_a_failing_encoder_changes_nothing_and_frees_the_lock(folder: Path, moment: Make) -> None:
    fill(folder, moment)

    with pytest.raises(RuntimeError, match="out of memory"):
        reindex(folder, FailingEncoder())

    assert 35.0 in best_starts_s(folder, "thing 7", None)
    MemoryStore.open(folder, write=True).close()


def test_a_memory_that_is_being_written_is_refused(folder: Path, moment: Make) -> None:
    with (
        MemoryStore.open(folder, write=True, what="watch kitchen.mp4"),
        pytest.raises(MemoryInUse, match=r"watch kitchen\.mp4"),
    ):
        reindex(folder, PaletteEncoder())

    assert vector_tables(folder) == 0


def test_reindexing_a_missing_memory_creates_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(NotAMemory):
            reindex(path, PaletteEncoder())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_refused_before_anything_is_written(folder: Path, moment: Make) -> None:
    fill(folder, moment, moments=20)

    with pytest.raises(DiskFull):
        reindex(folder, PaletteEncoder(), min_free_bytes=1 << 60)

    assert vector_tables(folder) == 0


@pytest.mark.slow
def test_ram_does_not_grow_with_the_memory(folder: Path, moment: Make) -> None:
    """4,000 pictures of 60 kB are 240 MB, which are never in RAM at once."""
    padded = [jpeg("red") + bytes(60_000), jpeg("blue") + bytes(60_000)]
    with MemoryStore.open(folder, write=True) as store:
        for start in range(0, 4000, 250):
            numbers = range(start, start + 250)
            store.append(
                [moment(n, f"thing {n}", frame_ids=(f"f{n}",)) for n in numbers],
                [KeyFrame(f"f{n}", "kitchen", n * 5.0, n, "1/1", 64, 48, padded[n % 2]) for n in numbers],
            )
    measure = (
        "import resource, sys; from pathlib import Path; from recollect.memory import reindex\n"
        "from recollect.perception.vision import PaletteEncoder; import recollect.memory.store\n"
        "reindex(Path(sys.argv[1]), None)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "reindex(Path(sys.argv[1]), PaletteEncoder())\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )

    result = subprocess.run(
        [sys.executable, "-c", measure, str(folder)], capture_output=True, text=True, check=True
    )

    assert int(result.stdout) < 200_000
