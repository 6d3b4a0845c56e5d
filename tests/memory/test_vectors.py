"""Search by what pictures show: fused with words, filtered like them, and blind to what it must not see."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recollect.memory import (
    Finding,
    HashingEncoder,
    KeyFrame,
    MemoryStore,
    Moment,
    Observation,
    Span,
    reindex,
)
from recollect.memory.encoder import Vectors
from recollect.memory.errors import EncoderMismatch
from recollect.memory.keeping.compaction import VECTOR_INDEX_ROWS
from recollect.perception.vision import PaletteEncoder

Make = Callable[..., Moment]


class CountingPalette(PaletteEncoder):
    """Notes how many pictures and texts it was given at a time."""

    def __init__(self) -> None:
        self.pictures: list[int] = []
        self.texts: list[int] = []

    def encode_images(self, jpegs: list[bytes]) -> Vectors:  # type: ignore[override]
        self.pictures.append(len(jpegs))
        return super().encode_images(jpegs)

    def encode_texts(self, texts: list[str]) -> Vectors:
        self.texts.append(len(texts))
        return super().encode_texts(texts)


def jpeg(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(file, "JPEG", quality=90)
    return file.getvalue()


def picture(number: int, colour: str, stream: str = "kitchen", *, at: float = 1.0) -> KeyFrame:
    """A picture of one colour, ``at`` seconds into the moment of that number."""
    time_s = number * 5.0 + at
    return KeyFrame(f"{stream}-{time_s}", stream, time_s, int(time_s), "1/1", 64, 48, jpeg(colour))


def seen(make: Make, number: int, *colours: str, **changed: object) -> tuple[Moment, list[KeyFrame]]:
    """A moment that nothing was said of, and its pictures."""
    stream = str(changed.get("stream", "kitchen"))
    frames = [picture(number, colour, stream, at=1.0 + n) for n, colour in enumerate(colours)]
    caption = str(changed.pop("caption", "nothing of note"))
    return make(number, caption, frame_ids=tuple(frame.id for frame in frames), **changed), frames


def append(store: MemoryStore, *told: tuple[Moment, list[KeyFrame]]) -> None:
    store.append([moment for moment, _ in told], [frame for _, frames in told for frame in frames])


def starts(store: MemoryStore, words: str, **filters: object) -> list[float]:
    return [hit.moment.span.start_s for hit in store.snapshot().search(words, **filters)]  # type: ignore[arg-type]


def ranked_by_pictures(store: MemoryStore, words: str, **filters: object) -> list[float]:
    """What search finds by pictures alone."""
    return starts(store, words, modes=("pictures",), **filters)


@pytest.fixture
def palette() -> CountingPalette:
    return CountingPalette()


@pytest.fixture
def visual(folder: Path, palette: CountingPalette) -> Iterator[MemoryStore]:
    """An empty memory with an encoder of pictures, open for writing."""
    with MemoryStore.open(folder, write=True, encoder=palette) as opened:
        yield opened


def test_a_moment_is_found_by_a_picture_that_no_words_tell_of(visual: MemoryStore, moment: Make) -> None:
    append(visual, *(seen(moment, n, colour) for n, colour in enumerate(["white", "blue", "red", "grey"])))

    assert starts(visual, "red", limit=1) == [10.0]
    assert starts(visual, "something blue", limit=1) == [5.0]


def test_any_of_its_pictures_leads_to_a_moment_and_only_once(visual: MemoryStore, moment: Make) -> None:
    append(visual, seen(moment, 0, "white", "white"), seen(moment, 1, "grey", "red", "red"))

    assert starts(visual, "red") == [5.0, 0.0]


def test_three_rankings_are_fused_by_reciprocal_rank(visual: MemoryStore, moment: Make) -> None:
    """First by words, by meaning and by picture is 3/11. Two pictures without any red are both third."""
    append(
        visual,
        seen(moment, 0, "red", caption="red"),
        seen(moment, 1, "green", caption="a red herring"),
        seen(moment, 2, "blue", caption="fog"),
    )

    hits = visual.snapshot().search("red")

    assert [hit.moment.span.start_s for hit in hits] == [0.0, 5.0, 10.0]
    assert [hit.score for hit in hits] == pytest.approx([3 / 11, 2 / 12 + 1 / 13, 2 / 13])


def test_only_the_ways_that_are_named_are_gone(visual: MemoryStore, moment: Make) -> None:
    append(visual, seen(moment, 0, "blue", caption="red"), seen(moment, 1, "red", caption="fog"))

    assert starts(visual, "red", modes=("words",)) == [0.0]
    assert starts(visual, "red", modes=("pictures",), limit=1) == [5.0]
    assert starts(visual, "red", modes=()) == []


def test_much_that_reads_the_same_does_not_outweigh_a_picture(visual: MemoryStore, moment: Make) -> None:
    append(visual, *(seen(moment, n, "red" if n == 40 else "grey") for n in range(50)))

    assert starts(visual, "red", limit=1) == [200.0]


def test_pictures_are_filtered_as_words_are(
    visual: MemoryStore, moment: Make, finding: Callable[..., Finding]
) -> None:
    enters = finding("action", "enters", 1.0, 2.0)
    plain, frames = seen(moment, 1, "red")
    with_finding = replace(plain, observations=(replace(plain.observations[0], findings=(enters,)),))
    append(visual, seen(moment, 0, "red"), (with_finding, frames), seen(moment, 7, "red", stream="yard"))
    visual.write_back(seen(moment, 0, "red")[0], Observation("x", (), "inspect/1", 2000.0))

    def by_picture(**filters: object) -> list[float]:
        return sorted(starts(visual, "red", **filters))

    assert by_picture() == [0.0, 5.0, 35.0]
    assert by_picture(streams=["yard"]) == [35.0]
    assert by_picture(span=Span(4.0, 6.0)) == [0.0, 5.0]
    assert by_picture(kinds=["enters"]) == [5.0]
    assert by_picture(written_by=["inspect/1"]) == [0.0]
    assert by_picture(rungs=["moment"]) == [0.0, 5.0, 35.0]
    assert by_picture(rungs=["event"]) == []
    assert len(by_picture(limit=2)) == 2


def test_a_filter_that_few_pass_is_passed_by_the_farthest_picture_too(
    visual: MemoryStore, moment: Make, finding: Callable[..., Finding]
) -> None:
    """The only moment where somebody enters has the picture least like the one asked for, of 300."""
    enters = finding("action", "enters", 1.0, 2.0)
    for at in range(0, 300, 60):
        append(visual, *(seen(moment, n, "red") for n in range(at, at + 60)))
    last, frames = seen(moment, 300, "blue")
    append(visual, (replace(last, observations=(replace(last.observations[0], findings=(enters,)),)), frames))

    assert ranked_by_pictures(visual, "red", kinds=["enters"], limit=5) == [1500.0]


def test_a_filter_that_many_pass_still_finds_as_many_as_asked_for(visual: MemoryStore, moment: Make) -> None:
    """More moments pass than are listed for the index, and the nearest pictures are all of others."""
    plain = [moment(n, "x") for n in range(2100)]
    model = [replace(m, observations=(replace(m.observations[0], written_by="model/1"),)) for m in plain]
    frames = [picture(n, "red" if n < 100 else "orange") for n in range(2100)]
    named = [replace(m, frame_ids=(f.id,)) for m, f in zip(plain[:100] + model[100:], frames, strict=True)]
    for at in range(0, 2100, 700):
        visual.append(named[at : at + 700], frames[at : at + 700])
    visual.append([replace(m, id=f"e{n}", rung="event") for n, m in enumerate(model[:10])])

    found = ranked_by_pictures(visual, "red", written_by=["model/1"], limit=5)

    assert len(found) == 5
    assert min(found) >= 500.0


def test_pictures_written_later_are_not_seen_as_of_an_earlier_time(visual: MemoryStore, moment: Make) -> None:
    append(visual, seen(moment, 0, "red", written_at_s=100.0), seen(moment, 1, "red", written_at_s=200.0))
    pinned = visual.snapshot()
    append(visual, seen(moment, 2, "red", written_at_s=150.0))

    assert [h.moment.span.start_s for h in visual.snapshot(as_of_s=160.0).search("red")] == [0.0, 10.0]
    assert visual.snapshot(as_of_s=50.0).search("red") == []
    assert [h.moment.span.start_s for h in pinned.search("red")] == [0.0, 5.0]


def test_a_batch_is_encoded_at_once_and_a_parent_borrows_its_pictures(
    visual: MemoryStore, moment: Make, palette: CountingPalette
) -> None:
    told = [seen(moment, n, "red", "grey") for n in range(8)]
    event = replace(told[0][0], id="event", rung="event", span=Span(0.0, 40.0))
    visual.append([*(one for one, _ in told), event], [frame for _, frames in told for frame in frames])

    assert (palette.pictures, palette.texts) == ([16], [9])
    assert visual._tables.frame_vectors is not None
    assert visual._tables.frame_vectors.count_rows() == 16
    assert starts(visual, "red", rungs=["event"]) == [0.0]


def test_a_picture_that_cannot_be_read_is_kept_and_only_not_found(visual: MemoryStore, moment: Make) -> None:
    broken, (frame,) = seen(moment, 0, "red")
    append(visual, (broken, [replace(frame, jpeg=b"no jpeg")]), seen(moment, 1, "red"))

    assert visual.snapshot().frames(broken.frame_ids)[0].jpeg == b"no jpeg"
    assert starts(visual, "red", limit=1) == [5.0]


def test_an_encoder_of_texts_alone_leaves_pictures_out(folder: Path, moment: Make) -> None:
    with MemoryStore.open(folder, write=True, encoder=HashingEncoder()) as store:
        append(store, seen(moment, 0, "red", caption="fog"))

        assert store._tables.frame_vectors is None
        assert starts(store, "foggy") == [0.0]


def test_without_the_encoder_a_memory_is_read_by_words_alone(
    folder: Path, visual: MemoryStore, moment: Make
) -> None:
    append(visual, seen(moment, 0, "red", caption="a fog"))

    with MemoryStore.open(folder) as reader:
        assert starts(reader, "red") == []
        assert starts(reader, "fog") == [0.0]


@pytest.mark.slow
def test_many_vectors_are_found_through_an_index_as_well(folder: Path, moment: Make) -> None:
    colours = ["white", "blue", "grey", "green", "black", "yellow"]
    drawn = {colour: jpeg(colour) for colour in (*colours, "red")}
    few, many = 50, VECTOR_INDEX_ROWS
    with MemoryStore.open(folder, write=True, encoder=PaletteEncoder()) as store:
        for at in (*range(0, many, 2048), many):
            numbers = range(at, at + (2048 if at < many else few))
            names = ["red" if n in (321, many + 7) else colours[n % 6] for n in numbers]
            frames = [
                KeyFrame(f"f{n}", "kitchen", n * 5.0, n, "1/1", 64, 48, drawn[name])
                for n, name in zip(numbers, names, strict=True)
            ]
            store.append([moment(n, "x", frame_ids=(f"f{n}",)) for n in numbers], frames)
            if numbers.stop == many:
                store.maintain()
        indexed = store._tables.frame_vectors

        assert indexed is not None
        assert "vector" in {column for index in indexed.list_indices() for column in index.columns}
        assert ranked_by_pictures(store, "red", limit=2) == [321 * 5.0, (many + 7) * 5.0]


def test_a_memory_of_another_encoder_says_which_command_helps(folder: Path) -> None:
    MemoryStore.open(folder, write=True, encoder=HashingEncoder(64)).close()

    for write in (False, True):
        with pytest.raises(EncoderMismatch, match=f"recollect reindex --memory {folder}") as refused:
            MemoryStore.open(folder, write=write, encoder=PaletteEncoder())
        assert (refused.value.stored, refused.value.given) == (
            "trigrams/64 (64 numbers)",
            "palette/1 (256 numbers)",
        )


def test_a_memory_without_vectors_says_how_to_get_them(folder: Path) -> None:
    MemoryStore.open(folder, write=True).close()

    with pytest.raises(EncoderMismatch, match=r"holds no vectors.* To make them, run: recollect reindex"):
        MemoryStore.open(folder, encoder=PaletteEncoder())


def test_a_writer_without_the_encoder_is_told_to_name_it_or_drop_the_vectors(folder: Path) -> None:
    MemoryStore.open(folder, write=True, encoder=PaletteEncoder()).close()

    with pytest.raises(EncoderMismatch, match=r"Name it in vision\.model, or drop the vectors"):
        MemoryStore.open(folder, write=True)


def test_a_reader_learns_that_the_vectors_were_replaced(folder: Path, moment: Make) -> None:
    with MemoryStore.open(folder, write=True, encoder=PaletteEncoder()) as store:
        append(store, seen(moment, 0, "red"))
    with (
        MemoryStore.open(folder, encoder=PaletteEncoder()) as visual_reader,
        MemoryStore.open(folder) as reader,
    ):
        pinned = visual_reader.snapshot()
        reindex(folder, None)

        look = Observation("a second look", (), "inspect/1", 2000.0)
        for use in (
            visual_reader.snapshot,
            lambda: pinned.search("red"),
            lambda: visual_reader.write_back(pinned.latest("kitchen")[0], look),
        ):
            with pytest.raises(EncoderMismatch, match="holds no vectors"):
                use()
        assert len(reader.snapshot().latest("kitchen")[0].observations) == 1
        assert starts(reader, "nothing") == [0.0]


def test_the_order_of_equally_near_pictures_is_that_of_time(visual: MemoryStore, moment: Make) -> None:
    append(visual, *(seen(moment, n, "red") for n in (3, 0, 2, 1)))

    assert np.all(np.diff(starts(visual, "red")) > 0)
