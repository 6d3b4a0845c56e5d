"""Search by picture vectors: fusion with words, filters, encoders."""

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
    """Records the number of pictures and texts of each call."""

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


def picture(number: int, colour: str, stream: str = "kitchen", *, offset_s: float = 1.0) -> KeyFrame:
    """A picture of one colour, ``offset_s`` into the moment of that number."""
    time_s = number * 5.0 + offset_s
    return KeyFrame(f"{stream}-{time_s}", stream, time_s, int(time_s), "1/1", 64, 48, jpeg(colour))


def pictured(make: Make, number: int, *colours: str, **changed: object) -> tuple[Moment, list[KeyFrame]]:
    """A moment without a telling caption, and its pictures."""
    stream = str(changed.get("stream", "kitchen"))
    frames = [picture(number, colour, stream, offset_s=1.0 + n) for n, colour in enumerate(colours)]
    caption = str(changed.pop("caption", "nothing of note"))
    return make(number, caption, frame_ids=tuple(frame.id for frame in frames), **changed), frames


def append(store: MemoryStore, *memories: tuple[Moment, list[KeyFrame]]) -> None:
    store.append([moment for moment, _ in memories], [frame for _, frames in memories for frame in frames])


def starts(store: MemoryStore, text: str, **filters: object) -> list[float]:
    return [hit.moment.span.start_s for hit in store.snapshot().search(text, **filters)]  # type: ignore[arg-type]


def ranked_by_pictures(store: MemoryStore, text: str, **filters: object) -> list[float]:
    """The starts of the moments that picture search finds."""
    return starts(store, text, modes=("pictures",), **filters)


@pytest.fixture
def palette() -> CountingPalette:
    return CountingPalette()


@pytest.fixture
def visual(folder: Path, palette: CountingPalette) -> Iterator[MemoryStore]:
    """An empty memory with an encoder of pictures, open for writing."""
    with MemoryStore.open(folder, write=True, encoder=palette) as opened:
        yield opened


def test_a_moment_is_found_by_a_picture_its_text_omits(visual: MemoryStore, moment: Make) -> None:
    append(
        visual, *(pictured(moment, n, colour) for n, colour in enumerate(["white", "blue", "red", "grey"]))
    )

    assert starts(visual, "red", limit=1) == [10.0]
    assert starts(visual, "something blue", limit=1) == [5.0]


def test_several_matching_pictures_find_their_moment_once(visual: MemoryStore, moment: Make) -> None:
    append(visual, pictured(moment, 0, "white", "white"), pictured(moment, 1, "grey", "red", "red"))

    assert starts(visual, "red") == [5.0, 0.0]


def test_three_rankings_are_fused_by_reciprocal_rank(visual: MemoryStore, moment: Make) -> None:
    """The first by words, meaning and picture scores 3/11. Two pictures without red are both third."""
    append(
        visual,
        pictured(moment, 0, "red", caption="red"),
        pictured(moment, 1, "green", caption="a red herring"),
        pictured(moment, 2, "blue", caption="fog"),
    )

    hits = visual.snapshot().search("red")

    assert [hit.moment.span.start_s for hit in hits] == [0.0, 5.0, 10.0]
    assert [hit.score for hit in hits] == pytest.approx([3 / 11, 2 / 12 + 1 / 13, 2 / 13])


def test_only_the_requested_search_modes_run(visual: MemoryStore, moment: Make) -> None:
    append(visual, pictured(moment, 0, "blue", caption="red"), pictured(moment, 1, "red", caption="fog"))

    assert starts(visual, "red", modes=("words",)) == [0.0]
    assert starts(visual, "red", modes=("pictures",), limit=1) == [5.0]
    assert starts(visual, "red", modes=()) == []


def test_many_equal_captions_do_not_outrank_a_picture(visual: MemoryStore, moment: Make) -> None:
    append(visual, *(pictured(moment, n, "red" if n == 40 else "grey") for n in range(50)))

    assert starts(visual, "red", limit=1) == [200.0]


def test_picture_search_applies_every_filter(
    visual: MemoryStore, moment: Make, finding: Callable[..., Finding]
) -> None:
    enters = finding("action", "enters", 1.0, 2.0)
    plain, frames = pictured(moment, 1, "red")
    with_finding = replace(plain, observations=(replace(plain.observations[0], findings=(enters,)),))
    append(
        visual, pictured(moment, 0, "red"), (with_finding, frames), pictured(moment, 7, "red", stream="yard")
    )
    visual.write_back(pictured(moment, 0, "red")[0], Observation("x", (), "inspect/1", 2000.0))

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


def test_a_narrow_filter_finds_even_the_farthest_picture(
    visual: MemoryStore, moment: Make, finding: Callable[..., Finding]
) -> None:
    """Of 300 moments, the only one with the finding has the picture least like the query."""
    enters = finding("action", "enters", 1.0, 2.0)
    for start in range(0, 300, 60):
        append(visual, *(pictured(moment, n, "red") for n in range(start, start + 60)))
    last, frames = pictured(moment, 300, "blue")
    append(visual, (replace(last, observations=(replace(last.observations[0], findings=(enters,)),)), frames))

    assert ranked_by_pictures(visual, "red", kinds=["enters"], limit=5) == [1500.0]


def test_a_wide_filter_finds_as_many_as_requested(visual: MemoryStore, moment: Make) -> None:
    """Too many moments pass to be listed by id, and the nearest pictures belong to others."""
    plain = [moment(n, "x") for n in range(2100)]
    model = [replace(m, observations=(replace(m.observations[0], written_by="model/1"),)) for m in plain]
    frames = [picture(n, "red" if n < 100 else "orange") for n in range(2100)]
    named = [replace(m, frame_ids=(f.id,)) for m, f in zip(plain[:100] + model[100:], frames, strict=True)]
    for start in range(0, 2100, 700):
        visual.append(named[start : start + 700], frames[start : start + 700])
    visual.append([replace(m, id=f"e{n}", rung="event") for n, m in enumerate(model[:10])])

    found_s = ranked_by_pictures(visual, "red", written_by=["model/1"], limit=5)

    assert len(found_s) == 5
    assert min(found_s) >= 500.0


def test_picture_search_as_of_a_time_hides_later_pictures(visual: MemoryStore, moment: Make) -> None:
    append(
        visual, pictured(moment, 0, "red", written_at_s=100.0), pictured(moment, 1, "red", written_at_s=200.0)
    )
    earlier = visual.snapshot()
    append(visual, pictured(moment, 2, "red", written_at_s=150.0))

    assert [h.moment.span.start_s for h in visual.snapshot(as_of_s=160.0).search("red")] == [0.0, 10.0]
    assert visual.snapshot(as_of_s=50.0).search("red") == []
    assert [h.moment.span.start_s for h in earlier.search("red")] == [0.0, 5.0]


def test_a_batch_is_encoded_at_once_without_parent_pictures(
    visual: MemoryStore, moment: Make, palette: CountingPalette
) -> None:
    memories = [pictured(moment, n, "red", "grey") for n in range(8)]
    event = replace(memories[0][0], id="event", rung="event", span=Span(0.0, 40.0))
    visual.append(
        [*(memory for memory, _ in memories), event], [frame for _, frames in memories for frame in frames]
    )

    assert (palette.pictures, palette.texts) == ([16], [9])
    assert visual._tables.frame_vectors is not None
    assert visual._tables.frame_vectors.count_rows() == 16
    assert starts(visual, "red", rungs=["event"]) == [0.0]


def test_an_unreadable_picture_is_kept_but_not_found(visual: MemoryStore, moment: Make) -> None:
    broken, (frame,) = pictured(moment, 0, "red")
    append(visual, (broken, [replace(frame, jpeg=b"no jpeg")]), pictured(moment, 1, "red"))

    assert visual.snapshot().frames(broken.frame_ids)[0].jpeg == b"no jpeg"
    assert starts(visual, "red", limit=1) == [5.0]


def test_a_text_encoder_makes_no_picture_vectors(folder: Path, moment: Make) -> None:
    with MemoryStore.open(folder, write=True, encoder=HashingEncoder()) as store:
        append(store, pictured(moment, 0, "red", caption="fog"))

        assert store._tables.frame_vectors is None
        assert starts(store, "foggy") == [0.0]


def test_without_its_encoder_a_memory_is_searched_by_words(
    folder: Path, visual: MemoryStore, moment: Make
) -> None:
    append(visual, pictured(moment, 0, "red", caption="a fog"))

    with MemoryStore.open(folder) as reader:
        assert starts(reader, "red") == []
        assert starts(reader, "fog") == [0.0]


@pytest.mark.slow
def test_vectors_are_found_through_an_index(folder: Path, moment: Make) -> None:
    colours = ["white", "blue", "grey", "green", "black", "yellow"]
    drawn = {colour: jpeg(colour) for colour in (*colours, "red")}
    few, many = 50, VECTOR_INDEX_ROWS
    with MemoryStore.open(folder, write=True, encoder=PaletteEncoder()) as store:
        for start in (*range(0, many, 2048), many):
            numbers = range(start, start + (2048 if start < many else few))
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


def test_another_encoder_is_refused_with_the_command_to_run(folder: Path) -> None:
    MemoryStore.open(folder, write=True, encoder=HashingEncoder(64)).close()

    for write in (False, True):
        with pytest.raises(EncoderMismatch, match=f"recollect reindex --memory {folder}") as raised:
            MemoryStore.open(folder, write=write, encoder=PaletteEncoder())
        assert (raised.value.stored, raised.value.requested) == (
            "trigrams/64 (64 numbers)",
            "palette/1 (256 numbers)",
        )


def test_a_memory_without_vectors_names_the_command_to_run(folder: Path) -> None:
    MemoryStore.open(folder, write=True).close()

    with pytest.raises(EncoderMismatch, match=r"holds no vectors.* To make them, run: recollect reindex"):
        MemoryStore.open(folder, encoder=PaletteEncoder())


def test_a_writer_without_an_encoder_is_refused_with_advice(folder: Path) -> None:
    MemoryStore.open(folder, write=True, encoder=PaletteEncoder()).close()

    with pytest.raises(EncoderMismatch, match=r"Name it in vision\.model, or drop the vectors"):
        MemoryStore.open(folder, write=True)


def test_a_reader_is_told_that_the_vectors_were_replaced(folder: Path, moment: Make) -> None:
    with MemoryStore.open(folder, write=True, encoder=PaletteEncoder()) as store:
        append(store, pictured(moment, 0, "red"))
    with (
        MemoryStore.open(folder, encoder=PaletteEncoder()) as visual_reader,
        MemoryStore.open(folder) as reader,
    ):
        snapshot = visual_reader.snapshot()
        reindex(folder, None)

        look = Observation("a second look", (), "inspect/1", 2000.0)
        for use in (
            visual_reader.snapshot,
            lambda: snapshot.search("red"),
            lambda: visual_reader.write_back(snapshot.latest("kitchen")[0], look),
        ):
            with pytest.raises(EncoderMismatch, match="holds no vectors"):
                use()
        assert len(reader.snapshot().latest("kitchen")[0].observations) == 1
        assert starts(reader, "nothing") == [0.0]


def test_equally_near_pictures_come_in_time_order(visual: MemoryStore, moment: Make) -> None:
    append(visual, *(pictured(moment, n, "red") for n in (3, 0, 2, 1)))

    assert np.all(np.diff(starts(visual, "red")) > 0)
