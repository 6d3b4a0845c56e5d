"""Hybrid search in one million moments: latency, recall and freshness, compared with other search libraries.

    python benchmarks/million.py [--moments 1000000] [--queries 200] [--folder million.lance]
    pip install faiss-cpu tantivy pysqlite3-binary      # for the peers

A memory is filled through the real writer, or the existing one in ``--folder`` is used. Each peer gets its texts and
vectors. Every system runs in its own process. All get the same questions in turn: words with their vector, filtered
by stream and by a time span (none, wide or narrow). Each system merges its two rankings by our rank fusion.

- recollect: ``store.snapshot().search``, which returns whole moments
- numpy: exact search of the vectors of each stream in RAM, in order of time, and SQLite's FTS5 for words
- faiss: ``IndexIVFFlat`` in RAM with an ``IDSelector``, and FTS5. ``nprobe`` is the lowest that reaches the recall. It
  is tuned on other questions, for each kind of span
- faiss+tantivy: the same with Tantivy for words
- sqlite-vec: ``vec0``, partitioned by stream and day and filtered by time before the search, and FTS5

FTS5 filters streams and times by conditions, and a time span by a range of row ids. The two searches of a peer run in
parallel, as ours do. Recall is that of the ten nearest by vector, compared with an exact search. Memories of equal
similarity are interchangeable. "Fused" is the share of the ten results whose texts equal those of an exact vector
search, fused with the same search by words. A quarter of the questions is asked twice to compare the order. Then
moments are appended eight at a time, and each is searched for at once.

"CPU" is the CPU time of the process, all its threads. Other load on the machine does not change it. The criteria are
our p95 compared with that of the fastest peer with the same filters and freshness, and a recall of 0.95.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from recollect.memory import Moment, Observation, Span, moment_id
from recollect.memory.encoder import HashingEncoder, Vectors
from recollect.memory.query.ranking import Position, best_first, fuse_rankings, position_of
from recollect.memory.query.word_stems import stem, words_of

STREAMS = ("door", "yard", "shop", "gate")
LIMIT = 10
ROWS = 40
"""The rows that each search by words or by vector reads, as in ours."""
RECALL = 0.95
TOLERANCE = 1e-6
"""Similarities that differ by less count as equal."""
TUNING = 150
FRESH_COMMITS, FRESH_ROWS = 20, 8
DAY_S = 86_400.0
SPANS = {"none": (1.0, 1.0), "wide": (0.1, 0.5), "narrow": (0.001, 0.02)}
"""By kind, the least and the greatest length of a span, as a fraction of the simulated time."""

_COLOURS = ("grey", "black", "blue", "white", "red", "green", "brown", "yellow")
_GOODS = ("bread", "milk", "coffee", "apples", "soap", "batteries", "flowers", "honey", "candles")
_TEXTS = (
    "a tall {colour} shape enters from the {side}", "who came in from the {side} in {colour}", "{goods} sold out",
    "when was {goods} two for one", "somebody in {colour} stays in the middle", "the {colour} shape leaves to the {side}",
    "very dark and nothing moves", "new {goods}", "a wide {colour} shape on the {side}", "is there fresh {goods} today",
    "a parcel or a ticket for somebody", "compact {colour} shape stays for a minute", "the picture cuts to another",
    "20% off {goods}", "movement in the middle while it is dim", "how long was the tall {colour} visitor there",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """A search text and its filters. Without a span, the bounds are infinite."""

    words: str
    kind: str
    streams: tuple[str, ...]
    start_s: float
    end_s: float

    @property
    def span(self) -> Span | None:
        return Span(self.start_s, self.end_s) if math.isfinite(self.start_s) else None


def questions(count: int, streams: Sequence[str], until_s: float, seed: str) -> list[Question]:
    """Texts that a user might type, some with typing errors, with filters on streams and times."""
    rng = random.Random(seed)
    drawn = []
    for number in range(count):
        words = rng.choice(_TEXTS).format(
            colour=rng.choice(_COLOURS), goods=rng.choice(_GOODS), side=rng.choice(("left", "right"))
        )
        kind = list(SPANS)[number % len(SPANS)]
        chosen = sorted(rng.sample(list(streams), rng.choice((1, 1, 2, len(streams)))))
        start_s, end_s = -math.inf, math.inf
        if kind != "none":
            lasts_s = until_s * math.exp(rng.uniform(*map(math.log, SPANS[kind])))
            start_s = rng.uniform(0.0, until_s - lasts_s)
            end_s = start_s + lasts_s
        drawn.append(Question(_with_typos(words, rng), kind, tuple(chosen), start_s, end_s))
    return drawn


def _with_typos(text: str, rng: random.Random) -> str:
    """The text without one word in half of the cases, and with two letters swapped in a third."""
    words = text.split()
    if len(words) > 3 and rng.random() < 0.5:
        del words[rng.randrange(len(words))]
    if rng.random() < 0.33:
        longest = max(range(len(words)), key=lambda index: (len(words[index]), rng.random()))
        cut = rng.randrange(1, len(words[longest]) - 1)
        word = words[longest]
        words[longest] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(words)


# -- the memory's contents, exported for the peers --------------------------------------------------------------


class ExportedMemories:
    """The stream, time and vector of each memory, in order of time. A memory's row number is its position."""

    def __init__(self, scratch: Path) -> None:
        self.streams: list[str] = json.loads((scratch / "streams.json").read_text())
        with np.load(scratch / "facts.npz") as facts:
            self.of_stream, self.starts, self.ends = facts["of_stream"], facts["starts"], facts["ends"]
        self.longest_s = float((self.ends - self.starts).max())
        self.vectors: Vectors = np.load(scratch / "vectors.npy", mmap_mode="r")

    def passes(self, question: Question, rows: Any) -> Any:
        """Whether each of these rows passes the question's filters."""
        stream_numbers = [self.streams.index(name) for name in question.streams]
        in_time = (self.starts[rows] < question.end_s) & (self.ends[rows] > question.start_s)
        return np.isin(self.of_stream[rows], stream_numbers) & in_time


def export_memories(folder: Path, scratch: Path) -> tuple[list[str], list[str]]:
    """Write the files that the peers read. Returns the ids of the memories by row, and their texts."""
    import pyarrow as pa

    from recollect.memory.storage.commits import Commits
    from recollect.memory.storage.tables import Tables, select_arrow

    encoder = HashingEncoder()
    views = Tables.open(folder, encoder=encoder).views(folder, Commits(folder).head().versions)
    observations = select_arrow(views.observations, columns=["id", "moment_id", "text"])
    vectors_table = select_arrow(views.text_vectors, columns=["id", "stream", "start_s", "end_s", "vector"])
    order = np.lexsort([vectors_table[name].to_numpy() for name in ("id", "stream", "start_s")])
    vectors = vectors_table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, encoder.dim)
    np.save(scratch / "vectors.npy", vectors[order])
    vectors_table = vectors_table.drop_columns(["vector"]).take(pa.array(order))
    row_of = {key: row for row, key in enumerate(vectors_table["id"].to_pylist())}
    ids, texts = [""] * len(row_of), [""] * len(row_of)
    for key, moment, text in zip(
        *(observations[name].to_pylist() for name in observations.column_names), strict=True
    ):
        ids[row_of[key]], texts[row_of[key]] = moment, text
    names = vectors_table["stream"].to_pylist()
    streams = sorted(set(names))
    (scratch / "streams.json").write_text(json.dumps(streams))
    np.savez(
        scratch / "facts.npz",
        of_stream=np.array([streams.index(name) for name in names], np.int8),
        starts=vectors_table["start_s"].to_numpy(),
        ends=vectors_table["end_s"].to_numpy(),
    )
    database = WordIndex(scratch / "words.db")
    database.add(
        list(
            zip(
                ids,
                names,
                vectors_table["start_s"].to_pylist(),
                vectors_table["end_s"].to_pylist(),
                texts,
                strict=True,
            )
        )
    )
    database.optimize()
    return ids, texts


def sqlite() -> Any:
    """The SQLite of Python, or a newer one where that cannot load extensions."""
    try:
        return import_module("pysqlite3.dbapi2")
    except ImportError:
        return import_module("sqlite3")


def open_database(path: Path) -> Any:
    connection = sqlite().connect(path, check_same_thread=False)
    for setting in ("journal_mode=WAL", "synchronous=NORMAL", "mmap_size=17179869184", "cache_size=-262144",
                    "temp_store=MEMORY"):  # fmt: skip
        connection.execute(f"PRAGMA {setting}")
    return connection


MemoryRow = tuple[str, str, float, float, str]
"""The id, stream, start, end and text of a memory."""


class WordIndex:
    """The memories in SQLite with a full-text index (FTS5), by which the peers search for words."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = open_database(path)
        self.connection.executescript(
            "CREATE TABLE IF NOT EXISTS memories"
            " (row INTEGER PRIMARY KEY, id TEXT, stream TEXT, start_s REAL, end_s REAL, text TEXT);"
            "CREATE INDEX IF NOT EXISTS by_start ON memories (start_s);"
            "CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5"
            " (text, content='memories', content_rowid='row', tokenize='porter unicode61 remove_diacritics 2');"
        )
        last = "SELECT coalesce(max(row), -1), coalesce(max(end_s - start_s), 0) FROM memories"
        self._last, self._longest_s = self.connection.execute(last).fetchone()

    def add(self, rows: Sequence[MemoryRow], *, commit: bool = True) -> int:
        """Add memories, none of which begins before the stored ones. Returns the row of the first."""
        first = self._last + 1
        numbered = [(row, *facts) for row, facts in enumerate(rows, first)]
        self._last += len(rows)
        self._longest_s = max(self._longest_s, *(row[3] - row[2] for row in rows))
        self.connection.executemany("INSERT INTO memories VALUES (?, ?, ?, ?, ?, ?)", numbered)
        self.index(numbered)
        if commit:
            self.connection.commit()
        return int(first)

    def index(self, numbered: Iterable[tuple[int, str, str, float, float, str]]) -> None:
        texts = [(row[0], row[5]) for row in numbered]
        self.connection.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", texts)

    def optimize(self) -> None:
        self.connection.execute("INSERT INTO texts (texts) VALUES ('optimize')")
        self.connection.commit()
        self.connection.execute("ANALYZE")
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def search(self, question: Question) -> dict[str, float]:
        """The best rows, each with its score."""
        # Quoted strings contain words only, no operators.
        match = " OR ".join(f'"{word}"' for word in dict.fromkeys(words_of(question.words)))
        placeholders = ", ".join("?" for _ in question.streams)
        values: list[Any] = list(question.streams)
        condition = f"stream IN ({placeholders})"
        if question.span is not None:
            first, end = self._rows_of(question.span)
            condition += " AND texts.rowid BETWEEN ? AND ? AND start_s < ? AND end_s > ?"
            values += [first, end, question.end_s, question.start_s]
        # The cross join applies the filters first, so that rows that fail them are not scored.
        hits = self.connection.execute(
            "SELECT texts.rowid, bm25(texts) AS rank_of FROM texts CROSS JOIN memories ON memories.row = texts.rowid"
            f" WHERE texts MATCH ? AND {condition} ORDER BY rank_of, texts.rowid LIMIT {ROWS}",
            (match, *values),
        )
        return {str(row): -rank for row, rank in hits}

    def ids_of(self, rows: Sequence[str]) -> list[str]:
        """The ids of memories. Their texts are read as well, as a user needs them."""
        placeholders = ", ".join(rows) or "NULL"
        records = self.connection.execute(
            f"SELECT row, id, stream, text FROM memories WHERE row IN ({placeholders})"
        )
        id_of = {str(row[0]): row[1] for row in records}
        return [id_of[row] for row in rows]

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.path.parent.glob(f"{self.path.name}*"))

    def places(self, rows: Sequence[str]) -> dict[str, Position]:
        return {row: ("", float(row), row) for row in rows}

    def _rows_of(self, span: Span) -> tuple[int, int]:
        """A range of rows that contains every memory that overlaps the span."""
        later = "SELECT row FROM memories WHERE start_s >= ? ORDER BY start_s, row LIMIT 1"
        first = self.connection.execute(later, (span.start_s - self._longest_s,)).fetchone()
        end = self.connection.execute(later, (span.end_s,)).fetchone()
        return (first or (self._last + 1,))[0], (end or (self._last + 1,))[0] - 1


class TantivyIndex(WordIndex):
    """The texts in an index of Tantivy, with streams and times as filters of each query."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.connection.executescript("DROP TABLE texts; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
        self._tantivy = import_module("tantivy")
        columns = self._tantivy.SchemaBuilder()
        for name in ("row", "start_ms", "end_ms"):
            columns.add_integer_field(name, fast=True, indexed=False)
        columns.add_text_field("stream", tokenizer_name="raw", index_option="basic")
        columns.add_text_field("text", tokenizer_name="en_stem", index_option="freq")
        self._schema = columns.build()
        self._folder = path.parent / "tantivy"
        self._folder.mkdir()
        self._index = self._tantivy.Index(self._schema, path=str(self._folder))
        self._writer = self._index.writer(256_000_000, 1)
        self.index(self.connection.execute("SELECT * FROM memories"))
        self._writer.wait_merging_threads()
        self._writer = self._index.writer(64_000_000, 1)
        self._index.reload()

    def index(self, numbered: Iterable[tuple[int, str, str, float, float, str]]) -> None:
        for row, _, stream, start_s, end_s, text in numbered:
            times = {"start_ms": round(start_s * 1000), "end_ms": round(end_s * 1000)}
            self._writer.add_document(self._tantivy.Document(row=row, stream=stream, text=text, **times))
        self._writer.commit()
        self._index.reload()

    def optimize(self) -> None:
        pass

    def search(self, question: Question) -> dict[str, float]:
        query, occurs = self._tantivy.Query, self._tantivy.Occur
        stems = dict.fromkeys(map(stem, words_of(question.words)))
        match = query.boolean_query(
            [
                (occurs.Should, query.term_query(self._schema, "text", word_stem, "freq"))
                for word_stem in stems
            ]
        )
        filters = [query.term_set_query(self._schema, "stream", list(question.streams))]
        if question.span is not None:
            number = self._tantivy.FieldType.Integer
            start_ms, end_ms = math.floor(question.start_s * 1000), math.ceil(question.end_s * 1000)
            filters += [
                query.range_query(self._schema, "start_ms", number, None, end_ms, include_upper=False),
                query.range_query(self._schema, "end_ms", number, start_ms, None, include_lower=False),
            ]
        if question.span is not None or len(question.streams) < len(STREAMS):
            must = [query.const_score_query(condition, 0.0) for condition in filters]
            match = query.boolean_query([(occurs.Must, part) for part in (match, *must)])
        searcher = self._index.searcher()
        hits = searcher.search(match, ROWS, count=False).hits
        rows = searcher.fast_field_values("row", [address for _, address in hits])
        return {str(row): float(score) for row, (score, _) in zip(rows, hits, strict=True)}

    @property
    def size_bytes(self) -> int:
        return super().size_bytes + sum(path.stat().st_size for path in self._folder.iterdir())


# -- the systems that are compared ------------------------------------------------------------------------------------------


class Peer(Protocol):
    """A system that is searched. Made from the folder of exported files, a folder of its own, and the memory's."""

    def search(self, question: Question) -> list[str]:
        """The ids of the best memories, best first. Their texts are read as well."""

    def by_meaning(self, question: Question) -> list[Any]:
        """The rows, or the ids, of the memories with the nearest vectors, nearest first."""

    def by_words(self, question: Question) -> tuple[dict[str, float], dict[str, Position]]:
        """The scores and the positions of the memories that match in words."""

    def append(self, moments: Sequence[Moment]) -> None: ...

    def close(self) -> None: ...

    def details(self) -> dict[str, Any]:
        """Its bytes on disk (``disk``), and its settings (``set``) if it has any."""


class RecollectPeer:
    """Recollect itself, as a reader of a memory that has no writer."""

    def __init__(self, scratch: Path, own: Path, folder: Path) -> None:
        from recollect.memory import MemoryStore

        self._folder, self._encoder = folder, HashingEncoder()
        self._store = MemoryStore.open(folder, encoder=self._encoder)

    def search(self, question: Question) -> list[str]:
        hits = self._store.snapshot().search(
            question.words, streams=question.streams, span=question.span, limit=LIMIT
        )
        return [hit.moment.id for hit in hits]

    def by_meaning(self, question: Question) -> list[Any]:
        from recollect.memory.query import hybrid_search

        views, query = self._query(question)
        vector = self._encoder.encode_texts([question.words])[0]
        return list(hybrid_search.rank_by_meaning(views, query, vector))

    def by_words(self, question: Question) -> tuple[dict[str, float], dict[str, Position]]:
        from recollect.memory.query import hybrid_search

        scores = hybrid_search.rank_by_words(*self._query(question))
        moments = self._store.snapshot().get(scores)
        return scores, {key: position_of(moment) for key, moment in moments.items()}

    def append(self, moments: Sequence[Moment]) -> None:
        self._writer.append(moments)

    def close(self) -> None:
        self._writer.close()
        self._store.close()

    def details(self) -> dict[str, Any]:
        from recollect.memory.storage.file_sizes import size_on_disk

        return {"disk": size_on_disk(self._folder)}

    def _query(self, question: Question) -> tuple[Any, Any]:
        """Views of the tables, and the question as a query. Shares the store's open tables and their caches."""
        from recollect.memory.query.hybrid_search import SearchQuery
        from recollect.memory.storage.tables import one_of

        head, views = self._store._committed.at_head()
        in_streams = one_of("stream", question.streams)
        query = SearchQuery(
            question.words, moments=in_streams, span=question.span, extents=head.extents, limit=LIMIT
        )
        assert query.rows == ROWS
        return views, query

    @cached_property
    def _writer(self) -> Any:
        """Opened late, since the timed searches are those of a reader without a writer."""
        from recollect.memory import MemoryStore

        return MemoryStore.open(self._folder, write=True, encoder=self._encoder)


class HybridPeer(ABC):
    """The common part of the peers: a word index, a vector search, and the fusion of both rankings."""

    def __init__(self, words: WordIndex) -> None:
        self.encoder = HashingEncoder()
        self._words = words
        self._threads = ThreadPoolExecutor(2)

    def search(self, question: Question) -> list[str]:
        by_words = self._threads.submit(self._words.search, question)
        near = self.nearest(question, ROWS)
        matches = by_words.result()
        places = self._words.places([*matches, *near])
        scores = fuse_rankings([matches, near])
        return self._words.ids_of(best_first(scores, places)[:LIMIT])

    def by_meaning(self, question: Question) -> list[Any]:
        return [int(row) for row in self.nearest(question, ROWS)]

    def by_words(self, question: Question) -> tuple[dict[str, float], dict[str, Position]]:
        matches = self._words.search(question)
        return matches, self._words.places(list(matches))

    def append(self, moments: Sequence[Moment]) -> None:
        rows = [(m.id, m.stream, m.span.start_s, m.span.end_s, m.observations[0].caption) for m in moments]
        self.add(rows, self.encoder.encode_texts([row[4] for row in rows]))

    def close(self) -> None:
        self._threads.shutdown()
        self._words.connection.close()

    @abstractmethod
    def nearest(self, question: Question, count: int) -> dict[str, float]:
        """The rows nearest in meaning, each with its similarity, nearest first."""

    @abstractmethod
    def add(self, rows: Sequence[MemoryRow], vectors: Vectors) -> None:
        """Add these rows with their vectors."""


class Column:
    """A growing array of numbers or vectors. It reserves space, so that an addition does not copy all of it."""

    def __init__(self, values: Any) -> None:
        self._room = np.empty((len(values) + max(1024, len(values) // 8), *values.shape[1:]), values.dtype)
        self._room[: len(values)] = values
        self._count = len(values)

    @property
    def values(self) -> Any:
        return self._room[: self._count]

    def add(self, values: Any) -> None:
        if self._count + len(values) > len(self._room):
            grown = Column(np.concatenate([self.values, values]))
            self._room = grown._room
        else:
            self._room[self._count : self._count + len(values)] = values
        self._count += len(values)


class NumpyPeer(HybridPeer):
    """Exact search: one matrix for each stream, in which a span is a contiguous part."""

    def __init__(self, scratch: Path, own: Path, folder: Path) -> None:
        super().__init__(WordIndex(own / "words.db"))
        facts = ExportedMemories(scratch)
        self._longest_s = facts.longest_s
        self._columns = {}
        for number, name in enumerate(facts.streams):
            rows = np.flatnonzero(facts.of_stream == number)
            of_stream = (rows, facts.starts[rows], facts.ends[rows], facts.vectors[rows])
            self._columns[name] = [Column(values) for values in of_stream]
        self._disk = (scratch / "vectors.npy").stat().st_size

    def nearest(self, question: Question, count: int) -> dict[str, float]:
        vector = self.encoder.encode_texts([question.words])[0]
        parts = [self._nearest_of(name, question, vector, count) for name in question.streams]
        rows, similarity = (np.concatenate(part) for part in zip(*parts, strict=True))
        # The product of a vector depends slightly on its position in the matrix. Rounding makes equal vectors equal.
        similarity = similarity.round(6)
        best = np.lexsort((rows, -similarity))[:count]
        return {str(rows[index]): float(similarity[index]) for index in best}

    def _nearest_of(self, stream: str, question: Question, vector: Any, count: int) -> tuple[Any, Any]:
        rows, starts, ends, vectors = (column.values for column in self._columns[stream])
        first, end = np.searchsorted(starts, (question.start_s - self._longest_s, question.end_s))
        rows, vectors = rows[first:end], vectors[first:end]
        passing = np.flatnonzero(ends[first:end] > question.start_s)
        if len(passing) == len(rows):
            similarity = vectors @ vector
        elif len(passing) < len(rows) // 4:
            rows, similarity = rows[passing], vectors[passing] @ vector
        else:
            rows, similarity = rows[passing], (vectors @ vector)[passing]
        if len(similarity) > count:
            best = np.argpartition(similarity, -count)[-count:]
            rows, similarity = rows[best], similarity[best]
        return rows, similarity

    def add(self, rows: Sequence[MemoryRow], vectors: Vectors) -> None:
        first = self._words.add(rows)
        for row, (facts, vector) in enumerate(zip(rows, vectors, strict=True), first):
            added = ([row], [facts[2]], [facts[3]], vector[None])
            for column, value in zip(self._columns[facts[1]], added, strict=True):
                column.add(np.asarray(value))

    def details(self) -> dict[str, Any]:
        return {"disk": self._words.size_bytes + self._disk}


class FaissPeer(HybridPeer):
    """Vectors in inverted lists. A search reads ``nprobe`` of the lists, and their rows that pass the filters."""

    words: type[WordIndex] = WordIndex

    def __init__(self, scratch: Path, own: Path, folder: Path) -> None:
        super().__init__(self.words(own / "words.db"))
        self._faiss = import_module("faiss")
        facts = ExportedMemories(scratch)
        self._names, self._longest_s = facts.streams, facts.longest_s
        self._of_stream, self._starts, self._ends = map(Column, (facts.of_stream, facts.starts, facts.ends))
        self._file = scratch / "faiss.index"
        self._probes = dict.fromkeys(SPANS, 1)
        probes_file = scratch / "probes.json"
        if probes_file.exists():
            self._index = self._faiss.read_index(str(self._file))
            self._probes = json.loads(probes_file.read_text())
        else:
            self._index = self._build(facts.vectors)
            self._faiss.write_index(self._index, str(self._file))
            self._tune(scratch)
            probes_file.write_text(json.dumps(self._probes))

    def _build(self, vectors: Vectors) -> Any:
        count, dim = vectors.shape
        lists = round(4 * count**0.5) if count > 100_000 else round(count**0.5)
        index = self._faiss.IndexIVFFlat(
            self._faiss.IndexFlatIP(dim), dim, lists, self._faiss.METRIC_INNER_PRODUCT
        )
        sample = np.sort(np.random.default_rng(0).choice(count, min(count, 40 * lists), replace=False))
        index.train(np.ascontiguousarray(vectors[sample]))
        for start in range(0, count, 65_536):
            index.add(np.ascontiguousarray(vectors[start : start + 65_536]))
        return index

    def _tune(self, scratch: Path) -> None:
        """Set the lowest numbers of probes that reach the recall on the tuning questions."""
        for kind in SPANS:
            cases = [case for case in tuning_questions(scratch) if case[0].kind == kind]
            while self._probes[kind] < self._index.nlist:
                if statistics.fmean(self._recall(*case) for case in cases) >= RECALL + 0.01:
                    break
                self._probes[kind] = math.ceil(self._probes[kind] * 1.25)

    def _recall(self, question: Question, threshold: float, neighbours: int) -> float:
        near = self.nearest(question, ROWS)
        return (
            sum(value >= threshold - TOLERANCE for value in list(near.values())[:LIMIT]) / neighbours
            if neighbours
            else 1.0
        )

    def nearest(self, question: Question, count: int) -> dict[str, float]:
        vector = self.encoder.encode_texts([question.words])
        bits = self._passing(question)
        parameters = self._faiss.SearchParametersIVF(
            sel=self._faiss.IDSelectorBitmap(bits), nprobe=min(self._index.nlist, self._probes[question.kind])
        )
        similarities, rows = self._index.search(vector, count, params=parameters)
        hits = [
            (int(row), float(value)) for row, value in zip(rows[0], similarities[0], strict=True) if row >= 0
        ]
        return {str(row): value for row, value in sorted(hits, key=lambda pair: (-pair[1], pair[0]))}

    def _passing(self, question: Question) -> Any:
        starts = self._starts.values
        first, end = np.searchsorted(starts, (question.start_s - self._longest_s, question.end_s))
        first -= first % 8
        passes = self._ends.values[first:end] > question.start_s
        if len(question.streams) < len(self._names):
            of_stream = self._of_stream.values[first:end]
            selected = np.zeros(len(self._names), bool)
            selected[[self._names.index(name) for name in question.streams]] = True
            passes &= selected[of_stream]
        packed = np.packbits(passes, bitorder="little")
        bits = np.zeros(len(starts) // 8 + 1, np.uint8)
        bits[first // 8 : first // 8 + len(packed)] = packed
        return bits

    def add(self, rows: Sequence[MemoryRow], vectors: Vectors) -> None:
        self._words.add(rows)
        self._of_stream.add(np.array([self._names.index(row[1]) for row in rows], np.int8))
        self._starts.add(np.array([row[2] for row in rows]))
        self._ends.add(np.array([row[3] for row in rows]))
        self._index.add(vectors)

    def details(self) -> dict[str, Any]:
        probes = ", ".join(f"{count} ({kind})" for kind, count in self._probes.items())
        settings = f"{self._index.nlist} lists, searched lists by kind of span: {probes}"
        return {"disk": self._words.size_bytes + self._file.stat().st_size, "set": settings}


class FaissTantivyPeer(FaissPeer):
    """The fastest peer for vectors with the fastest for words."""

    words = TantivyIndex


class SqliteVecPeer(HybridPeer):
    """Exact search by sqlite-vec, in the same file as the word index."""

    def __init__(self, scratch: Path, own: Path, folder: Path) -> None:
        super().__init__(WordIndex(own / "words.db"))
        # Two connections, since one runs one query at a time. All writes go through one of them, in one commit.
        self._near = self._open()
        facts = ExportedMemories(scratch)
        self._longest_s = facts.longest_s
        self._writes = self._words.connection
        self._load(self._writes)
        self._writes.execute(
            "CREATE VIRTUAL TABLE vectors USING vec0(stream TEXT PARTITION KEY, day INTEGER PARTITION KEY,"
            f" start_s FLOAT, end_s FLOAT, vector FLOAT[{self.encoder.dim}])"
        )
        for start in range(0, len(facts.starts), 10_000):
            stop = min(start + 10_000, len(facts.starts))
            names = [facts.streams[number] for number in facts.of_stream[start:stop]]
            times = zip(facts.starts[start:stop].tolist(), facts.ends[start:stop].tolist(), strict=True)
            self._insert(
                start,
                [(name, *both) for name, both in zip(names, times, strict=True)],
                facts.vectors[start:stop],
            )
            self._writes.commit()
        self._writes.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @staticmethod
    def _load(connection: Any) -> None:
        connection.enable_load_extension(True)
        import_module("sqlite_vec").load(connection)

    def _open(self) -> Any:
        connection = open_database(self._words.path)
        self._load(connection)
        return connection

    def _insert(self, first: int, facts: Sequence[tuple[str, float, float]], vectors: Vectors) -> None:
        self._writes.executemany(
            "INSERT INTO vectors (rowid, stream, day, start_s, end_s, vector) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (first + offset, stream, int(start_s // DAY_S), start_s, end_s, vector.tobytes())
                for offset, ((stream, start_s, end_s), vector) in enumerate(zip(facts, vectors, strict=True))
            ],
        )

    def nearest(self, question: Question, count: int) -> dict[str, float]:
        vector = self.encoder.encode_texts([question.words])[0]
        placeholders = ", ".join("?" for _ in question.streams)
        values: list[Any] = list(question.streams)
        condition = f"stream IN ({placeholders})"
        if question.span is not None:
            condition += " AND day >= ? AND day <= ? AND start_s < ? AND end_s > ?"
            values += [
                int((question.start_s - self._longest_s) // DAY_S),
                int(question.end_s // DAY_S),
                question.end_s,
                question.start_s,
            ]
        hits = self._near.execute(
            f"SELECT rowid, distance FROM vectors WHERE vector MATCH ? AND k = {count} AND {condition}",
            (vector.tobytes(), *values),
        ).fetchall()
        # Each partition returns up to ``count`` rows.
        nearest = sorted(hits, key=lambda pair: (pair[1], pair[0]))[:count]
        return {str(row): -distance for row, distance in nearest}

    def add(self, rows: Sequence[MemoryRow], vectors: Vectors) -> None:
        first = self._words.add(rows, commit=False)
        self._insert(first, [row[1:4] for row in rows], vectors)
        self._writes.commit()

    def details(self) -> dict[str, Any]:
        return {"disk": self._words.size_bytes}


PEERS: dict[str, Callable[[Path, Path, Path], Peer]] = {
    "recollect": RecollectPeer,
    "numpy": NumpyPeer,
    "faiss": FaissPeer,
    "faiss+tantivy": FaissTantivyPeer,
    "sqlite-vec": SqliteVecPeer,
}


def unavailable_reason(name: str) -> str | None:
    """Why a peer cannot run here. None if it can."""
    for part, package in (("faiss", "faiss-cpu"), ("tantivy", "tantivy")):
        if part in name.split("+") and find_spec(part) is None:
            return f"{part} is not installed: pip install {package}"
    if name == "sqlite-vec":
        if find_spec("sqlite_vec") is None:
            return "sqlite-vec is not installed: pip install sqlite-vec"
        if not hasattr(sqlite().Connection, "enable_load_extension"):
            return "sqlite-vec cannot be loaded into the SQLite of this Python: pip install pysqlite3-binary"
    return None


# -- searching them, each in a process of its own --------------------------------------------------------------


def tuning_questions(scratch: Path) -> list[tuple[Question, float, int]]:
    """Questions that are not timed, each with the similarity of its last neighbour and the number of neighbours."""
    records = json.loads((scratch / "tuning.json").read_text())
    return [
        (Question(**{**fields, "streams": tuple(fields["streams"])}), threshold, neighbours)
        for fields, threshold, neighbours in records
    ]


def ram_bytes() -> int:
    """The anonymous memory of this process. Mapped files do not count."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def run_peer(connection: Connection, name: str, scratch: Path, own: Path, folder: Path) -> None:
    """Run a peer until None arrives. Sends each result with its milliseconds of wall-clock time and of CPU time."""
    if name == "recollect":
        import_module("recollect.memory.store")
    before = ram_bytes()
    peer = PEERS[name](scratch, own, folder)
    connection.send("ready")
    while (command := connection.recv()) is not None:
        method, values = command
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        answer = ram_bytes() - before if method == "ram" else getattr(peer, method)(*values)
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
        connection.send((answer, 1e3 * wall_s, 1e3 * cpu_s))
    peer.close()


class PeerProcess:
    """A peer in its own process, with its results and their times in milliseconds."""

    def __init__(self, name: str, scratch: Path, folder: Path) -> None:
        self.wall_ms: dict[str, list[float]] = {"search": [], "by_words": [], "by_meaning": [], "append": []}
        self.cpu_ms: dict[str, list[float]] = {method: [] for method in self.wall_ms}
        self.answers: dict[str, list[Any]] = {method: [] for method in self.wall_ms}
        self.changed_orders = self.missed = self.ram = 0
        self.details: dict[str, Any] = {}
        own = scratch / name
        own.mkdir()
        shutil.copy(scratch / "words.db", own)
        processes = multiprocessing.get_context("spawn")
        self._connection, end = processes.Pipe()
        arguments = (end, name, scratch, own, folder)
        self._process = processes.Process(target=run_peer, args=arguments, daemon=True)
        start_s = time.perf_counter()
        self._process.start()
        end.close()
        self._connection.recv()
        self.ready_after_s = time.perf_counter() - start_s

    def do(self, method: str, *values: Any) -> Any:
        self._connection.send((method, values))
        return self._connection.recv()[0]

    def timed(self, method: str, *values: Any) -> None:
        self._connection.send((method, values))
        answer, wall_ms, cpu_ms = self._connection.recv()
        self.answers[method].append(answer)
        self.wall_ms[method].append(wall_ms)
        self.cpu_ms[method].append(cpu_ms)

    def close(self) -> None:
        self._connection.send(None)
        self._process.join()


def measure_searches(peers: Sequence[PeerProcess], questions: Sequence[Question]) -> None:
    """Time all searches of all peers. They take turns, so that other load on the machine affects all of them."""
    repeated = questions[: max(10, len(questions) // 4)]
    first = [[peer.do("search", question) for question in repeated] for peer in peers]
    for method in ("search", "by_words", "by_meaning"):
        for peer in peers:
            peer.do(method, questions[0])
        for number, question in enumerate(questions):
            turn = number % len(peers)
            for peer in (*peers[turn:], *peers[:turn]):
                peer.timed(method, question)
    for peer, answers in zip(peers, first, strict=True):
        peer.changed_orders = sum(
            now != then for now, then in zip(peer.answers["search"], answers, strict=False)
        )


def measure_freshness(peer: PeerProcess, facts: ExportedMemories) -> None:
    """Append some moments at a time, and search for each at once."""
    until_s, row = math.ceil(float(facts.ends.max()) / 5) * 5.0, len(facts.starts)
    for number in range(FRESH_COMMITS):
        moments = fresh_moments(number, facts.streams, until_s)
        peer.timed("append", moments)
        for moment_row, moment in enumerate(moments, row):
            words, start_s = moment.observations[0].caption, moment.span.start_s
            question = Question(words, "narrow", (moment.stream,), start_s - 600.0, start_s + 600.0)
            # By vector alone as well, since the hybrid search finds moments that only one of the two indexes has.
            hits, nearest = peer.do("search", question), peer.do("by_meaning", question)
            peer.missed += hits[:1] != [moment.id] or nearest[:1] not in ([moment.id], [moment_row])
        row += len(moments)


def fresh_moments(number: int, streams: Sequence[str], until_s: float) -> list[Moment]:
    """Moments after all others, each with a unique code in its text."""
    moments = []
    for offset in range(FRESH_ROWS):
        start_s = until_s + 5.0 * (number * FRESH_ROWS + offset)
        stream = streams[offset % len(streams)]
        code = "".join(random.Random(f"{start_s}").choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=8))
        observation = Observation(f"parcel {code} lies in front of it", (), "million/1", start_s)
        moments.append(
            Moment(
                id=moment_id(stream, 0, "moment", start_s),
                stream=stream,
                epoch=0,
                span=Span(start_s, start_s + 5.0),
                observations=(observation,),
            )
        )
    return moments


# -- the report ------------------------------------------------------------------------------------------


def p95(times_ms: Sequence[float]) -> float:
    return statistics.quantiles(times_ms, n=20)[-1]


def median_and_p95(times_ms: Sequence[float]) -> str:
    return f"{statistics.median(times_ms):.1f} / {p95(times_ms):.1f}"


@dataclass(frozen=True)
class ExactNeighbours:
    """The nearest memories of a question by an exact vector search."""

    nearest: dict[str, float]

    @property
    def count(self) -> int:
        return min(LIMIT, len(self.nearest))

    @property
    def threshold(self) -> float:
        return list(self.nearest.values())[self.count - 1] if self.nearest else math.inf


def recall(facts: ExportedMemories, question: Question, truth: ExactNeighbours, rows: Sequence[int]) -> float:
    """The fraction of the ten nearest that was found. Memories of equal similarity are interchangeable."""
    if not truth.count:
        return float(not rows)
    vector = HashingEncoder().encode_texts([question.words])[0]
    distinct = np.unique(np.array(rows, np.int64))
    near = facts.vectors[distinct] @ vector >= truth.threshold - TOLERANCE
    return int((near & facts.passes(question, distinct)).sum()) / truth.count


def shared_fraction(returned: Sequence[str], exactly: Sequence[str]) -> float:
    """The fraction of the texts of an exact search that another search returned, with repeated texts counted."""
    return (Counter(returned) & Counter(exactly)).total() / len(exactly) if exactly else float(not returned)


def fill_memory(folder: Path, moments: int) -> None:
    from recollect.memory import MemoryStore
    from recollect.testing.simulated_months import fill

    start_s = time.perf_counter()
    with MemoryStore.open(
        folder, write=True, encoder=HashingEncoder(), budget_bytes=100 << 30, keep_versions_s=5.0
    ) as store:
        hours = moments * 5.0 / 3600 / len(STREAMS)
        count = fill(store, STREAMS, hours, picture_bytes=0, batch=1024, outages_a_day=1.0)
        filled_s = time.perf_counter() - start_s
        store.maintain()
    print(
        f"{count:,} moments of {len(STREAMS)} streams in {filled_s:.0f} s, and"
        f" {time.perf_counter() - start_s - filled_s:.0f} s of maintenance",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moments", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="the memory, which is filled if it does not exist")
    parser.add_argument(
        "--only", nargs="+", choices=PEERS, default=list(PEERS), help="the systems to measure"
    )
    arguments = parser.parse_args()
    # Threads that wait busily would disturb the next measurement.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary) / "scratch"
        scratch.mkdir()
        folder = arguments.folder or Path(temporary) / "million.lance"
        if not folder.exists():
            fill_memory(folder, arguments.moments)
        compare(folder, scratch, arguments.queries, arguments.only)


def compare(folder: Path, scratch: Path, count: int, names: Sequence[str]) -> None:
    """Measure the named systems on the memory in ``folder``, and print the results."""
    ids, texts = export_memories(folder, scratch)
    facts = ExportedMemories(scratch)
    until_s = float(facts.ends.max())
    timed_questions = questions(count, facts.streams, until_s, "asked")
    tuning_set = questions(TUNING, facts.streams, until_s, "tuning")
    exact = NumpyPeer(scratch, scratch, folder)
    truths = [ExactNeighbours(exact.nearest(question, ROWS)) for question in timed_questions]
    tuning_truths = [(question, ExactNeighbours(exact.nearest(question, ROWS))) for question in tuning_set]
    (scratch / "tuning.json").write_text(
        json.dumps([(asdict(question), truth.threshold, truth.count) for question, truth in tuning_truths])
    )
    rows = np.arange(len(ids))
    passing = [int(facts.passes(question, rows).sum()) for question in timed_questions]
    exact.close()
    del exact
    print(
        f"{len(ids):,} memories with their parents, {len(set(texts)):,} different texts, vectors of"
        f" {facts.vectors.shape[1]}; {len(timed_questions)} questions. The filters pass {min(passing):,} to {max(passing):,} memories,"
        f" {statistics.median(passing):,.0f} in the median",
        flush=True,
    )
    peers: dict[str, PeerProcess] = {}
    for name in names:
        reason = unavailable_reason(name)
        if reason is not None:
            print(reason, flush=True)
            continue
        peers[name] = PeerProcess(name, scratch, folder)
        print(f"  {name} is ready after {peers[name].ready_after_s:.0f} s", file=sys.stderr, flush=True)
    measure_searches(list(peers.values()), timed_questions)
    for peer in peers.values():
        peer.ram, peer.details = peer.do("ram"), peer.do("details")
        measure_freshness(peer, facts)
        peer.close()
    report(peers, timed_questions, truths, facts, ids, texts)


def report(
    peers: dict[str, PeerProcess],
    timed_questions: Sequence[Question],
    truths: Sequence[ExactNeighbours],
    facts: ExportedMemories,
    ids: Sequence[str],
    texts: Sequence[str],
) -> None:
    """Print the table of all peers, their times by kind of span, their settings, and the verdict."""
    row_of = {key: row for row, key in enumerate(ids)}
    print(
        f"\n{'':14}{'p50 / p95':>16}{'words alone':>16}{'meaning alone':>16}{'CPU':>16}{'recall':>8}{'fused':>7}"
        f"{'same order':>12}{'new rows':>15}{'append of 8':>13}{'RAM':>8}{'disk':>8}"
        f"\n{'':14}{'ms':>16}{'ms':>16}{'ms':>16}{'ms':>16}{'at 10':>8}{'at 10':>7}"
        f"{'twice':>12}{'found at once':>15}{'ms':>13}{'MB':>8}{'MB':>8}"
    )
    recalls = {}
    for name, peer in peers.items():
        recalls[name] = mean_recall(peer, timed_questions, truths, facts, row_of)
        print(table_row(name, peer, recalls[name], mean_fused(peer, truths, facts, ids, texts, row_of)))
    print_times_by_span(peers, timed_questions)
    for name, peer in peers.items():
        if "set" in peer.details:
            print(f"{name}: {peer.details['set']}")
    print_verdict(peers, recalls)


def mean_recall(
    peer: PeerProcess,
    timed_questions: Sequence[Question],
    truths: Sequence[ExactNeighbours],
    facts: ExportedMemories,
    row_of: dict[str, int],
) -> float:
    """The mean recall of a peer's vector search."""
    nearest = [
        [row_of[key] if isinstance(key, str) else key for key in hits[:LIMIT]]
        for hits in peer.answers["by_meaning"]
    ]
    cases = zip(timed_questions, truths, nearest, strict=True)
    return statistics.fmean(recall(facts, *case) for case in cases)


def mean_fused(
    peer: PeerProcess,
    truths: Sequence[ExactNeighbours],
    facts: ExportedMemories,
    ids: Sequence[str],
    texts: Sequence[str],
    row_of: dict[str, int],
) -> float:
    """The mean share of a peer's result texts that an exact vector search, fused with its word search, returns."""
    word_scores = [
        {row_of[key] if key in row_of else int(key): score for key, score in scores.items()}
        for scores, _ in peer.answers["by_words"]
    ]
    exact = [exact_fusion(*case, facts, ids) for case in zip(word_scores, truths, strict=True)]
    return statistics.fmean(
        shared_fraction([texts[row_of[key]] for key in hits], [texts[row] for row in rows])
        for hits, rows in zip(peer.answers["search"], exact, strict=True)
    )


def table_row(name: str, peer: PeerProcess, peer_recall: float, fused: float) -> str:
    """The line of a peer in the table."""
    times = "".join(
        f"{median_and_p95(peer.wall_ms[method]):>16}" for method in ("search", "by_words", "by_meaning")
    )
    same = "yes" if not peer.changed_orders else f"but {peer.changed_orders}"
    fresh = f"no: {peer.missed} missed" if peer.missed else "yes"
    return (
        f"{name:14}{times}{median_and_p95(peer.cpu_ms['search']):>16}{peer_recall:8.3f}{fused:7.3f}{same:>12}"
        f"{fresh:>15}{statistics.median(peer.wall_ms['append']):13.1f}{peer.ram / 1e6:8.0f}"
        f"{peer.details['disk'] / 1e6:8.0f}"
    )


def print_times_by_span(peers: dict[str, PeerProcess], timed_questions: Sequence[Question]) -> None:
    """Print the search times of each peer by kind of span."""
    print(f"\np50 / p95 in ms, by kind of span{'':4}" + "".join(f"{kind:>20}" for kind in SPANS))
    for name, peer in peers.items():
        cells = []
        for kind in SPANS:
            times = zip(peer.wall_ms["search"], timed_questions, strict=True)
            of_kind = [wall_ms for wall_ms, question in times if question.kind == kind]
            cells.append(f"{median_and_p95(of_kind):>20}")
        print(f"{name:36}" + "".join(cells))


def exact_fusion(
    by_words: dict[int, float], truth: ExactNeighbours, facts: ExportedMemories, ids: Sequence[str]
) -> list[int]:
    """The rows of the best memories by the same word ranking fused with an exact vector ranking."""
    rankings = [{str(row): score for row, score in by_words.items()}, truth.nearest]
    places: dict[str, Position] = {}
    for row in {int(key) for scores in rankings for key in scores}:
        places[str(row)] = (facts.streams[facts.of_stream[row]], float(facts.starts[row]), ids[row])
    return [int(key) for key in best_first(fuse_rankings(rankings), places)[:LIMIT]]


def print_verdict(peers: dict[str, PeerProcess], recalls: dict[str, float]) -> None:
    """Print our recall, and our p95 compared with the peers of the same freshness and sufficient recall."""
    if "recollect" not in peers:
        return
    comparable = {
        name: p95(peer.wall_ms["search"])
        for name, peer in peers.items()
        if name != "recollect" and not peer.missed and recalls[name] >= RECALL
    }
    ours_ms = p95(peers["recollect"].wall_ms["search"])
    print(f"\nrecall at 10 of recollect: {recalls['recollect']:.3f}, required: at least {RECALL}")
    if comparable:
        ratios = ", ".join(
            f"{ours_ms / comparable[name]:.2f}x ({name})"
            for name in sorted(comparable, key=comparable.__getitem__)
        )
        print(
            "p95 of recollect relative to each peer with the same filters, freshness and sufficient recall"
            f" (at most 1.00x of the fastest is required): {ratios}"
        )


if __name__ == "__main__":
    main()
