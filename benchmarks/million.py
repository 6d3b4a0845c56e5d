"""One million moments, and what a filtered question of words and meaning costs there, beside peers.

    python benchmarks/million.py [--moments 1000000] [--queries 200] [--folder million.lance]
    pip install faiss-cpu tantivy pysqlite3-binary      # for the peers

A memory is filled through the real writer, or the one in ``--folder`` is taken. Its own texts and vectors are
then given to each peer, and all, each in a process of its own, are asked the same questions turn by turn: words
with their vector, filtered by stream and by a time span (none, a wide or a narrow one). Each merges its two rankings
by our fusion.

- recollect: ``store.snapshot().search``; returns whole moments
- numpy: exact; the vectors of each stream in RAM in the order of time, and for words SQLite's FTS5
- faiss: ``IndexIVFFlat`` in RAM with an ``IDSelector``, and FTS5; ``nprobe`` is the least that has the recall, by
  kind of span, tuned on other questions
- faiss+tantivy: the same, and for words Tantivy
- sqlite-vec: ``vec0``, partitioned by stream and day and filtered by time before the search, and FTS5

FTS5 gets its streams and times as conditions, a time as a range of row ids. The two searches of a peer go on side
by side, as ours do. Recall is that of the search by meaning, of the ten nearest, against the exact one: of many
memories equally near any will do. "Fused" is how many of the ten results say what those of an exact search by meaning,
fused with the same search by words, say. Whether the order is the same is seen with a quarter of the questions. Then
eight moments at a time are appended, and asked for at once.

Of all that is timed, "CPU" is that of the process, all its threads, and does not suffer from what else runs beside.
What counts: our p95 against that of the fastest peer with the same filters and freshness, and a recall of 0.95.
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
"""How many rows each search by words or by meaning reads, as ours does."""
RECALL = 0.95
ALIKE = 1e-6
"""Similarities that differ by less are equal."""
TUNING = 150
FRESH_COMMITS, FRESH_ROWS = 20, 8
DAY_S = 86_400.0
SPANS = {"none": (1.0, 1.0), "wide": (0.1, 0.5), "narrow": (0.001, 0.02)}
"""By kind, which share of the life a question's span is, from and to."""

_COLOURS = ("grey", "black", "blue", "white", "red", "green", "brown", "yellow")
_GOODS = ("bread", "milk", "coffee", "apples", "soap", "batteries", "flowers", "honey", "candles")
_ASKED = (
    "a tall {colour} shape enters from the {side}", "who came in from the {side} in {colour}", "{goods} sold out",
    "when was {goods} two for one", "somebody in {colour} stays in the middle", "the {colour} shape leaves to the {side}",
    "very dark and nothing moves", "new {goods}", "a wide {colour} shape on the {side}", "is there fresh {goods} today",
    "a parcel or a ticket for somebody", "compact {colour} shape stays for a minute", "the picture cuts to another",
    "20% off {goods}", "movement in the middle while it is dim", "how long was the tall {colour} visitor there",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What is asked, and among what; without a span, its bounds are infinite."""

    words: str
    kind: str
    streams: tuple[str, ...]
    start_s: float
    end_s: float

    @property
    def span(self) -> Span | None:
        return Span(self.start_s, self.end_s) if math.isfinite(self.start_s) else None


def questions(count: int, streams: Sequence[str], until_s: float, seed: str) -> list[Question]:
    """What a user might type, now and then with a slip, about some of the streams and times."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        words = rng.choice(_ASKED).format(
            colour=rng.choice(_COLOURS), goods=rng.choice(_GOODS), side=rng.choice(("left", "right"))
        )
        kind = list(SPANS)[number % len(SPANS)]
        some = sorted(rng.sample(list(streams), rng.choice((1, 1, 2, len(streams)))))
        start_s, end_s = -math.inf, math.inf
        if kind != "none":
            lasts_s = until_s * math.exp(rng.uniform(*map(math.log, SPANS[kind])))
            start_s = rng.uniform(0.0, until_s - lasts_s)
            end_s = start_s + lasts_s
        made.append(Question(_with_slips(words, rng), kind, tuple(some), start_s, end_s))
    return made


def _with_slips(text: str, rng: random.Random) -> str:
    """Half of the time a word is missing; a third of the time two letters are swapped."""
    words = text.split()
    if len(words) > 3 and rng.random() < 0.5:
        del words[rng.randrange(len(words))]
    if rng.random() < 0.33:
        at = max(range(len(words)), key=lambda one: (len(words[one]), rng.random()))
        cut = rng.randrange(1, len(words[at]) - 1)
        word = words[at]
        words[at] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(words)


# -- what is in the memory, for the peers --------------------------------------------------------------


class Facts:
    """Every memory's stream, time and vector, in the order of time; its place in it is its row's number."""

    def __init__(self, scratch: Path) -> None:
        self.streams: list[str] = json.loads((scratch / "streams.json").read_text())
        with np.load(scratch / "facts.npz") as facts:
            self.of_stream, self.starts, self.ends = facts["of_stream"], facts["starts"], facts["ends"]
        self.longest_s = float((self.ends - self.starts).max())
        self.vectors: Vectors = np.load(scratch / "vectors.npy", mmap_mode="r")

    def keeps(self, question: Question, rows: Any) -> Any:
        """Which of these rows pass the question's filters."""
        wanted = [self.streams.index(name) for name in question.streams]
        in_time = (self.starts[rows] < question.end_s) & (self.ends[rows] > question.start_s)
        return np.isin(self.of_stream[rows], wanted) & in_time


def export(folder: Path, scratch: Path) -> tuple[list[str], list[str]]:
    """Write down what the peers get; the ids of the memories by row, and their texts."""
    import pyarrow as pa

    from recollect.memory.storage.commits import Commits
    from recollect.memory.storage.tables import Tables, select_arrow

    encoder = HashingEncoder()
    views = Tables.open(folder, encoder=encoder).views(folder, Commits(folder).head().versions)
    told = select_arrow(views.observations, columns=["id", "moment_id", "text"])
    near = select_arrow(views.text_vectors, columns=["id", "stream", "start_s", "end_s", "vector"])
    order = np.lexsort([near[name].to_numpy() for name in ("id", "stream", "start_s")])
    vectors = near["vector"].combine_chunks().flatten().to_numpy().reshape(-1, encoder.dim)
    np.save(scratch / "vectors.npy", vectors[order])
    near = near.drop_columns(["vector"]).take(pa.array(order))
    row_of = {key: row for row, key in enumerate(near["id"].to_pylist())}
    ids, texts = [""] * len(row_of), [""] * len(row_of)
    for key, found, text in zip(*(told[name].to_pylist() for name in told.column_names), strict=True):
        ids[row_of[key]], texts[row_of[key]] = found, text
    names = near["stream"].to_pylist()
    streams = sorted(set(names))
    (scratch / "streams.json").write_text(json.dumps(streams))
    np.savez(
        scratch / "facts.npz",
        of_stream=np.array([streams.index(name) for name in names], np.int8),
        starts=near["start_s"].to_numpy(),
        ends=near["end_s"].to_numpy(),
    )
    database = Words(scratch / "words.db")
    database.add(
        list(zip(ids, names, near["start_s"].to_pylist(), near["end_s"].to_pylist(), texts, strict=True))
    )
    database.optimize()
    return ids, texts


def sqlite() -> Any:
    """The SQLite of Python, or a newer one where that cannot load extensions."""
    try:
        return import_module("pysqlite3.dbapi2")
    except ImportError:
        return import_module("sqlite3")


def connected(path: Path) -> Any:
    connection = sqlite().connect(path, check_same_thread=False)
    for setting in ("journal_mode=WAL", "synchronous=NORMAL", "mmap_size=17179869184", "cache_size=-262144",
                    "temp_store=MEMORY"):  # fmt: skip
        connection.execute(f"PRAGMA {setting}")
    return connection


Row = tuple[str, str, float, float, str]
"""A memory's id, stream, start, end and text."""


class Words:
    """The memories in SQLite, with a full-text index of what they say: what the peers search words by."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = connected(path)
        self.connection.executescript(
            "CREATE TABLE IF NOT EXISTS memories"
            " (row INTEGER PRIMARY KEY, id TEXT, stream TEXT, start_s REAL, end_s REAL, text TEXT);"
            "CREATE INDEX IF NOT EXISTS by_start ON memories (start_s);"
            "CREATE VIRTUAL TABLE IF NOT EXISTS said USING fts5"
            " (text, content='memories', content_rowid='row', tokenize='porter unicode61 remove_diacritics 2');"
        )
        last = "SELECT coalesce(max(row), -1), coalesce(max(end_s - start_s), 0) FROM memories"
        self._last, self._longest_s = self.connection.execute(last).fetchone()

    def add(self, rows: Sequence[Row], *, commit: bool = True) -> int:
        """Add memories, none of which begins before those that are there; the first one's row."""
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
        said = [(one[0], one[5]) for one in numbered]
        self.connection.executemany("INSERT INTO said (rowid, text) VALUES (?, ?)", said)

    def optimize(self) -> None:
        self.connection.execute("INSERT INTO said (said) VALUES ('optimize')")
        self.connection.commit()
        self.connection.execute("ANALYZE")
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def search(self, question: Question) -> dict[str, float]:
        """The best rows, each with its score."""
        # Strings are words only: nothing in them is an operator.
        asked = " OR ".join(f'"{word}"' for word in dict.fromkeys(words_of(question.words)))
        among = ", ".join("?" for _ in question.streams)
        values: list[Any] = list(question.streams)
        where = f"stream IN ({among})"
        if question.span is not None:
            first, end = self._rows_of(question.span)
            where += " AND said.rowid BETWEEN ? AND ? AND start_s < ? AND end_s > ?"
            values += [first, end, question.end_s, question.start_s]
        # The cross join has the filters come first, and what fails them is given no score.
        found = self.connection.execute(
            "SELECT said.rowid, bm25(said) AS rank_of FROM said CROSS JOIN memories ON memories.row = said.rowid"
            f" WHERE said MATCH ? AND {where} ORDER BY rank_of, said.rowid LIMIT {ROWS}",
            (asked, *values),
        )
        return {str(row): -rank for row, rank in found}

    def tell(self, rows: Sequence[str]) -> list[str]:
        """The ids of memories, read with all that they say."""
        among = ", ".join(rows) or "NULL"
        told = self.connection.execute(f"SELECT row, id, stream, text FROM memories WHERE row IN ({among})")
        id_of = {str(row[0]): row[1] for row in told}
        return [id_of[row] for row in rows]

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.path.parent.glob(f"{self.path.name}*"))

    def places(self, rows: Sequence[str]) -> dict[str, Position]:
        return {row: ("", float(row), row) for row in rows}

    def _rows_of(self, span: Span) -> tuple[int, int]:
        """The rows among which all lie that share time with the span."""
        later = "SELECT row FROM memories WHERE start_s >= ? ORDER BY start_s, row LIMIT 1"
        first = self.connection.execute(later, (span.start_s - self._longest_s,)).fetchone()
        end = self.connection.execute(later, (span.end_s,)).fetchone()
        return (first or (self._last + 1,))[0], (end or (self._last + 1,))[0] - 1


class Tantivy(Words):
    """The words in an index of Tantivy instead, with a filter of streams and times in each query."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.connection.executescript("DROP TABLE said; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
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
        asked = query.boolean_query(
            [(occurs.Should, query.term_query(self._schema, "text", one, "freq")) for one in stems]
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
            must = [query.const_score_query(one, 0.0) for one in filters]
            asked = query.boolean_query([(occurs.Must, one) for one in (asked, *must)])
        searcher = self._index.searcher()
        hits = searcher.search(asked, ROWS, count=False).hits
        rows = searcher.fast_field_values("row", [address for _, address in hits])
        return {str(row): float(score) for row, (score, _) in zip(rows, hits, strict=True)}

    @property
    def size_bytes(self) -> int:
        return super().size_bytes + sum(path.stat().st_size for path in self._folder.iterdir())


# -- who is asked ------------------------------------------------------------------------------------------


class Peer(Protocol):
    """Who is asked: made of the folder of what the peers get, one of its own, and that of the memory."""

    def search(self, question: Question) -> list[str]:
        """The ids of the best memories, best first, read with all that they say."""

    def by_meaning(self, question: Question) -> list[Any]:
        """The rows, or the ids, of those nearest in meaning, nearest first."""

    def by_words(self, question: Question) -> tuple[dict[str, float], dict[str, Position]]:
        """What those are worth, and where they lie, that match in words."""

    def append(self, moments: Sequence[Moment]) -> None: ...

    def close(self) -> None: ...

    def told(self) -> dict[str, Any]:
        """What else there is to say about it: the bytes it keeps on the disk, and what it was set to."""


class Recollecting:
    """We ourselves, a reader of a memory that nobody writes."""

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

        views, sought = self._sought(question)
        vector = self._encoder.encode_texts([question.words])[0]
        return list(hybrid_search._by_meaning(views, sought, vector))

    def by_words(self, question: Question) -> tuple[dict[str, float], dict[str, Position]]:
        from recollect.memory.query import hybrid_search

        scores = hybrid_search._by_words(*self._sought(question))
        found = self._store.snapshot().get(scores)
        return scores, {key: position_of(moment) for key, moment in found.items()}

    def append(self, moments: Sequence[Moment]) -> None:
        self._writer.append(moments)

    def close(self) -> None:
        self._writer.close()
        self._store.close()

    def told(self) -> dict[str, Any]:
        from recollect.memory.storage.file_sizes import size_on_disk

        return {"disk": size_on_disk(self._folder)}

    def _sought(self, question: Question) -> tuple[Any, Any]:
        from recollect.memory.query.hybrid_search import SearchQuery
        from recollect.memory.storage.tables import one_of

        head, views = self._store._committed.at_head()
        among = one_of("stream", question.streams)
        sought = SearchQuery(
            question.words, moments=among, span=question.span, extents=head.extents, limit=LIMIT
        )
        assert sought.rows == ROWS
        return views, sought

    @cached_property
    def _writer(self) -> Any:
        """Opened late: what is timed is a reader beside which nobody writes."""
        from recollect.memory import MemoryStore

        return MemoryStore.open(self._folder, write=True, encoder=self._encoder)


class WithWords(ABC):
    """What the peers have in common: words are FTS5's, and the two rankings are fused."""

    def __init__(self, words: Words) -> None:
        self.encoder = HashingEncoder()
        self._words = words
        self._threads = ThreadPoolExecutor(2)

    def search(self, question: Question) -> list[str]:
        by_words = self._threads.submit(self._words.search, question)
        near = self.nearest(question, ROWS)
        said = by_words.result()
        places = self._words.places([*said, *near])
        scores = fuse_rankings([said, near])
        return self._words.tell(best_first(scores, places)[:LIMIT])

    def by_meaning(self, question: Question) -> list[Any]:
        return [int(row) for row in self.nearest(question, ROWS)]

    def by_words(self, question: Question) -> tuple[dict[str, float], dict[str, Position]]:
        said = self._words.search(question)
        return said, self._words.places(list(said))

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
    def add(self, rows: Sequence[Row], vectors: Vectors) -> None:
        """Take these rows with their vectors."""


class Column:
    """Numbers, or vectors, in RAM to which more can be added without copying all each time."""

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


class Numpy(WithWords):
    """Exact: of each stream one matrix, of which a span is a part that lies together."""

    def __init__(self, scratch: Path, own: Path, folder: Path) -> None:
        super().__init__(Words(own / "words.db"))
        facts = Facts(scratch)
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
        rows, near = (np.concatenate(part) for part in zip(*parts, strict=True))
        # The same vector elsewhere in a matrix comes out a little different, and equals are to be equal.
        near = near.round(6)
        best = np.lexsort((rows, -near))[:count]
        return {str(rows[at]): float(near[at]) for at in best}

    def _nearest_of(self, stream: str, question: Question, vector: Any, count: int) -> tuple[Any, Any]:
        rows, starts, ends, vectors = (column.values for column in self._columns[stream])
        first, end = np.searchsorted(starts, (question.start_s - self._longest_s, question.end_s))
        rows, vectors = rows[first:end], vectors[first:end]
        passing = np.flatnonzero(ends[first:end] > question.start_s)
        if len(passing) == len(rows):
            near = vectors @ vector
        elif len(passing) < len(rows) // 4:
            rows, near = rows[passing], vectors[passing] @ vector
        else:
            rows, near = rows[passing], (vectors @ vector)[passing]
        if len(near) > count:
            best = np.argpartition(near, -count)[-count:]
            rows, near = rows[best], near[best]
        return rows, near

    def add(self, rows: Sequence[Row], vectors: Vectors) -> None:
        first = self._words.add(rows)
        for row, (facts, vector) in enumerate(zip(rows, vectors, strict=True), first):
            added = ([row], [facts[2]], [facts[3]], vector[None])
            for column, value in zip(self._columns[facts[1]], added, strict=True):
                column.add(np.asarray(value))

    def told(self) -> dict[str, Any]:
        return {"disk": self._words.size_bytes + self._disk}


class Faiss(WithWords):
    """Vectors in lists, of which only some are searched, and of these what passes the filter."""

    words: type[Words] = Words

    def __init__(self, scratch: Path, own: Path, folder: Path) -> None:
        super().__init__(self.words(own / "words.db"))
        self._faiss = import_module("faiss")
        facts = Facts(scratch)
        self._names, self._longest_s = facts.streams, facts.longest_s
        self._of_stream, self._starts, self._ends = map(Column, (facts.of_stream, facts.starts, facts.ends))
        self._file = scratch / "faiss.index"
        self._probes = dict.fromkeys(SPANS, 1)
        noted = scratch / "probes.json"
        if noted.exists():
            self._index = self._faiss.read_index(str(self._file))
            self._probes = json.loads(noted.read_text())
        else:
            self._index = self._built(facts.vectors)
            self._faiss.write_index(self._index, str(self._file))
            self._tune(scratch)
            noted.write_text(json.dumps(self._probes))

    def _built(self, vectors: Vectors) -> Any:
        count, dim = vectors.shape
        lists = round(4 * count**0.5) if count > 100_000 else round(count**0.5)
        index = self._faiss.IndexIVFFlat(
            self._faiss.IndexFlatIP(dim), dim, lists, self._faiss.METRIC_INNER_PRODUCT
        )
        sample = np.sort(np.random.default_rng(0).choice(count, min(count, 40 * lists), replace=False))
        index.train(np.ascontiguousarray(vectors[sample]))
        for at in range(0, count, 65_536):
            index.add(np.ascontiguousarray(vectors[at : at + 65_536]))
        return index

    def _tune(self, scratch: Path) -> None:
        """Take the least number of probes with which the recall of other questions suffices."""
        for kind in SPANS:
            others = [one for one in tuning(scratch) if one[0].kind == kind]
            while self._probes[kind] < self._index.nlist:
                if statistics.fmean(self._recall(*one) for one in others) >= RECALL + 0.01:
                    break
                self._probes[kind] = math.ceil(self._probes[kind] * 1.25)

    def _recall(self, question: Question, least: float, there: int) -> float:
        near = self.nearest(question, ROWS)
        return sum(one >= least - ALIKE for one in list(near.values())[:LIMIT]) / there if there else 1.0

    def nearest(self, question: Question, count: int) -> dict[str, float]:
        vector = self.encoder.encode_texts([question.words])
        bits = self._passing(question)
        how = self._faiss.SearchParametersIVF(
            sel=self._faiss.IDSelectorBitmap(bits), nprobe=min(self._index.nlist, self._probes[question.kind])
        )
        near, rows = self._index.search(vector, count, params=how)
        found = [(int(row), float(one)) for row, one in zip(rows[0], near[0], strict=True) if row >= 0]
        return {str(row): one for row, one in sorted(found, key=lambda pair: (-pair[1], pair[0]))}

    def _passing(self, question: Question) -> Any:
        starts = self._starts.values
        first, end = np.searchsorted(starts, (question.start_s - self._longest_s, question.end_s))
        first -= first % 8
        passes = self._ends.values[first:end] > question.start_s
        if len(question.streams) < len(self._names):
            of_stream = self._of_stream.values[first:end]
            wanted = np.zeros(len(self._names), bool)
            wanted[[self._names.index(name) for name in question.streams]] = True
            passes &= wanted[of_stream]
        packed = np.packbits(passes, bitorder="little")
        bits = np.zeros(len(starts) // 8 + 1, np.uint8)
        bits[first // 8 : first // 8 + len(packed)] = packed
        return bits

    def add(self, rows: Sequence[Row], vectors: Vectors) -> None:
        self._words.add(rows)
        self._of_stream.add(np.array([self._names.index(row[1]) for row in rows], np.int8))
        self._starts.add(np.array([row[2] for row in rows]))
        self._ends.add(np.array([row[3] for row in rows]))
        self._index.add(vectors)

    def told(self) -> dict[str, Any]:
        probes = ", ".join(f"{count} ({kind})" for kind, count in self._probes.items())
        said = f"{self._index.nlist} lists, of which are searched, by kind of span: {probes}"
        return {"disk": self._words.size_bytes + self._file.stat().st_size, "set": said}


class FaissTantivy(Faiss):
    """The quickest of each kind."""

    words = Tantivy


class SqliteVec(WithWords):
    """Exact, in the file in which the words are."""

    def __init__(self, scratch: Path, own: Path, folder: Path) -> None:
        super().__init__(Words(own / "words.db"))
        # Two connections, since one searches by one thing at a time; both write in one commit of one file.
        self._near = self._open()
        facts = Facts(scratch)
        self._longest_s = facts.longest_s
        self._writes = self._words.connection
        self._load(self._writes)
        self._writes.execute(
            "CREATE VIRTUAL TABLE vectors USING vec0(stream TEXT PARTITION KEY, day INTEGER PARTITION KEY,"
            f" start_s FLOAT, end_s FLOAT, vector FLOAT[{self.encoder.dim}])"
        )
        for at in range(0, len(facts.starts), 10_000):
            stop = min(at + 10_000, len(facts.starts))
            names = [facts.streams[number] for number in facts.of_stream[at:stop]]
            times = zip(facts.starts[at:stop].tolist(), facts.ends[at:stop].tolist(), strict=True)
            self._insert(
                at, [(name, *both) for name, both in zip(names, times, strict=True)], facts.vectors[at:stop]
            )
            self._writes.commit()
        self._writes.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @staticmethod
    def _load(connection: Any) -> None:
        connection.enable_load_extension(True)
        import_module("sqlite_vec").load(connection)

    def _open(self) -> Any:
        connection = connected(self._words.path)
        self._load(connection)
        return connection

    def _insert(self, first: int, facts: Sequence[tuple[str, float, float]], vectors: Vectors) -> None:
        self._writes.executemany(
            "INSERT INTO vectors (rowid, stream, day, start_s, end_s, vector) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (first + at, stream, int(start_s // DAY_S), start_s, end_s, vector.tobytes())
                for at, ((stream, start_s, end_s), vector) in enumerate(zip(facts, vectors, strict=True))
            ],
        )

    def nearest(self, question: Question, count: int) -> dict[str, float]:
        vector = self.encoder.encode_texts([question.words])[0]
        among = ", ".join("?" for _ in question.streams)
        values: list[Any] = list(question.streams)
        where = f"stream IN ({among})"
        if question.span is not None:
            where += " AND day >= ? AND day <= ? AND start_s < ? AND end_s > ?"
            values += [
                int((question.start_s - self._longest_s) // DAY_S),
                int(question.end_s // DAY_S),
                question.end_s,
                question.start_s,
            ]
        found = self._near.execute(
            f"SELECT rowid, distance FROM vectors WHERE vector MATCH ? AND k = {count} AND {where}",
            (vector.tobytes(), *values),
        ).fetchall()
        # Of several streams, there are as many of each.
        nearest = sorted(found, key=lambda pair: (pair[1], pair[0]))[:count]
        return {str(row): -distance for row, distance in nearest}

    def add(self, rows: Sequence[Row], vectors: Vectors) -> None:
        first = self._words.add(rows, commit=False)
        self._insert(first, [row[1:4] for row in rows], vectors)
        self._writes.commit()

    def told(self) -> dict[str, Any]:
        return {"disk": self._words.size_bytes}


PEERS: dict[str, Callable[[Path, Path, Path], Peer]] = {
    "recollect": Recollecting,
    "numpy": Numpy,
    "faiss": Faiss,
    "faiss+tantivy": FaissTantivy,
    "sqlite-vec": SqliteVec,
}


def missing(name: str) -> str | None:
    """Why a peer cannot be asked here; None where it can."""
    for part, package in (("faiss", "faiss-cpu"), ("tantivy", "tantivy")):
        if part in name.split("+") and find_spec(part) is None:
            return f"{part} is not installed: pip install {package}"
    if name == "sqlite-vec":
        if find_spec("sqlite_vec") is None:
            return "sqlite-vec is not installed: pip install sqlite-vec"
        if not hasattr(sqlite().Connection, "enable_load_extension"):
            return "sqlite-vec cannot be loaded into the SQLite of this Python: pip install pysqlite3-binary"
    return None


# -- asking them, each in a process of its own --------------------------------------------------------------


def tuning(scratch: Path) -> list[tuple[Question, float, int]]:
    """Questions that are not timed, each with the similarity of its last true neighbour, and how many there are."""
    said = json.loads((scratch / "tuning.json").read_text())
    return [
        (Question(**{**one, "streams": tuple(one["streams"])}), least, there) for one, least, there in said
    ]


def ram_bytes() -> int:
    """The RAM that is this process's alone: of what it maps, nothing."""
    said = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in said if line.startswith("RssAnon"))


def serve(connection: Connection, name: str, scratch: Path, own: Path, folder: Path) -> None:
    """Be one of them until there is nothing more to do: answer, and say how many milliseconds that took, and of CPU."""
    if name == "recollect":
        import_module("recollect.memory.store")
    before = ram_bytes()
    peer = PEERS[name](scratch, own, folder)
    connection.send("ready")
    while (said := connection.recv()) is not None:
        what, values = said
        begun, begun_cpu = time.perf_counter(), time.process_time()
        answer = ram_bytes() - before if what == "ram" else getattr(peer, what)(*values)
        taken, taken_cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
        connection.send((answer, 1e3 * taken, 1e3 * taken_cpu))
    peer.close()


class Asked:
    """One of them in a process of its own, with what it answered and how long that took."""

    def __init__(self, name: str, scratch: Path, folder: Path) -> None:
        self.taken: dict[str, list[float]] = {"search": [], "by_words": [], "by_meaning": [], "append": []}
        self.cpu: dict[str, list[float]] = {what: [] for what in self.taken}
        self.answers: dict[str, list[Any]] = {what: [] for what in self.taken}
        self.other_order = self.missed = self.ram = 0
        self.told: dict[str, Any] = {}
        own = scratch / name
        own.mkdir()
        shutil.copy(scratch / "words.db", own)
        processes = multiprocessing.get_context("spawn")
        self._connection, end = processes.Pipe()
        arguments = (end, name, scratch, own, folder)
        self._process = processes.Process(target=serve, args=arguments, daemon=True)
        begun = time.perf_counter()
        self._process.start()
        end.close()
        self._connection.recv()
        self.made_s = time.perf_counter() - begun

    def do(self, what: str, *values: Any) -> Any:
        self._connection.send((what, values))
        return self._connection.recv()[0]

    def timed(self, what: str, *values: Any) -> None:
        self._connection.send((what, values))
        answer, taken_ms, cpu_ms = self._connection.recv()
        self.answers[what].append(answer)
        self.taken[what].append(taken_ms)
        self.cpu[what].append(cpu_ms)

    def close(self) -> None:
        self._connection.send(None)
        self._process.join()


def ask_all(asked: Sequence[Asked], each: Sequence[Question]) -> None:
    """Ask them everything, turn by turn, so that what else the machine does falls on all of them."""
    some = each[: max(10, len(each) // 4)]
    first = [[one.do("search", question) for question in some] for one in asked]
    for what in ("search", "by_words", "by_meaning"):
        for one in asked:
            one.do(what, each[0])
        for number, question in enumerate(each):
            turn = number % len(asked)
            for one in (*asked[turn:], *asked[:turn]):
                one.timed(what, question)
    for one, answers in zip(asked, first, strict=True):
        one.other_order = sum(now != then for now, then in zip(one.answers["search"], answers, strict=False))


def ask_what_is_fresh(one: Asked, facts: Facts) -> None:
    """Append some moments at a time, and ask for each at once."""
    until_s, row = math.ceil(float(facts.ends.max()) / 5) * 5.0, len(facts.starts)
    for number in range(FRESH_COMMITS):
        moments = fresh_moments(number, facts.streams, until_s)
        one.timed("append", moments)
        for at, moment in enumerate(moments, row):
            words, start_s = moment.observations[0].caption, moment.span.start_s
            question = Question(words, "narrow", (moment.stream,), start_s - 600.0, start_s + 600.0)
            # By meaning for itself too: a search by both finds what only one of them has.
            found, near = one.do("search", question), one.do("by_meaning", question)
            one.missed += found[:1] != [moment.id] or near[:1] not in ([moment.id], [at])
        row += len(moments)


def fresh_moments(number: int, streams: Sequence[str], until_s: float) -> list[Moment]:
    """Moments that follow on all others, each with a number that no other has."""
    made = []
    for at in range(FRESH_ROWS):
        start_s = until_s + 5.0 * (number * FRESH_ROWS + at)
        stream = streams[at % len(streams)]
        code = "".join(random.Random(f"{start_s}").choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=8))
        said = Observation(f"parcel {code} lies in front of it", (), "million/1", start_s)
        made.append(
            Moment(
                id=moment_id(stream, 0, "moment", start_s),
                stream=stream,
                epoch=0,
                span=Span(start_s, start_s + 5.0),
                observations=(said,),
            )
        )
    return made


# -- what comes of it ------------------------------------------------------------------------------------------


def p95(taken: Sequence[float]) -> float:
    return statistics.quantiles(taken, n=20)[-1]


def middle_and_p95(taken: Sequence[float]) -> str:
    return f"{statistics.median(taken):.1f} / {p95(taken):.1f}"


@dataclass(frozen=True)
class Truth:
    """What an exact search by meaning finds of a question, and how near its tenth is."""

    nearest: dict[str, float]

    @property
    def there(self) -> int:
        return min(LIMIT, len(self.nearest))

    @property
    def least(self) -> float:
        return list(self.nearest.values())[self.there - 1] if self.nearest else math.inf


def recall(facts: Facts, question: Question, truth: Truth, rows: Sequence[int]) -> float:
    """The share of the ten nearest that was found; of those equally near, any."""
    if not truth.there:
        return float(not rows)
    vector = HashingEncoder().encode_texts([question.words])[0]
    found = np.unique(np.array(rows, np.int64))
    near = facts.vectors[found] @ vector >= truth.least - ALIKE
    return int((near & facts.keeps(question, found)).sum()) / truth.there


def shared(said: Sequence[str], exactly: Sequence[str]) -> float:
    """The share of what an exact search says that another says too; how often counts."""
    return (Counter(said) & Counter(exactly)).total() / len(exactly) if exactly else float(not said)


def fill_memory(folder: Path, moments: int) -> None:
    from recollect.memory import MemoryStore
    from recollect.testing.simulated_months import fill

    begun = time.perf_counter()
    with MemoryStore.open(
        folder, write=True, encoder=HashingEncoder(), budget_bytes=100 << 30, keep_versions_s=5.0
    ) as store:
        hours = moments * 5.0 / 3600 / len(STREAMS)
        count = fill(store, STREAMS, hours, picture_bytes=0, batch=1024, outages_a_day=1.0)
        filled_s = time.perf_counter() - begun
        store.maintain()
    print(
        f"{count:,} moments of {len(STREAMS)} streams in {filled_s:.0f} s, and"
        f" {time.perf_counter() - begun - filled_s:.0f} s of upkeep",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moments", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="a memory of such a life; filled where there is none")
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), help="whom to ask")
    arguments = parser.parse_args()
    # Threads that wait busily would take the next one's turn.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary) / "scratch"
        scratch.mkdir()
        folder = arguments.folder or Path(temporary) / "million.lance"
        if not folder.exists():
            fill_memory(folder, arguments.moments)
        compare(folder, scratch, arguments.queries, arguments.only)


def compare(folder: Path, scratch: Path, count: int, names: Sequence[str]) -> None:
    ids, texts = export(folder, scratch)
    facts = Facts(scratch)
    until_s = float(facts.ends.max())
    each = questions(count, facts.streams, until_s, "asked")
    others = questions(TUNING, facts.streams, until_s, "tuning")
    exact = Numpy(scratch, scratch, folder)
    truths = [Truth(exact.nearest(question, ROWS)) for question in each]
    tuned = [(question, Truth(exact.nearest(question, ROWS))) for question in others]
    (scratch / "tuning.json").write_text(
        json.dumps([(asdict(question), truth.least, truth.there) for question, truth in tuned])
    )
    rows = np.arange(len(ids))
    passing = [int(facts.keeps(question, rows).sum()) for question in each]
    exact.close()
    del exact
    print(
        f"{len(ids):,} memories with their parents, {len(set(texts)):,} different texts, vectors of"
        f" {facts.vectors.shape[1]}; {len(each)} questions, whose filters keep {min(passing):,} to {max(passing):,},"
        f" {statistics.median(passing):,.0f} in the middle",
        flush=True,
    )
    asked: dict[str, Asked] = {}
    for name in names:
        why = missing(name)
        if why is not None:
            print(why, flush=True)
            continue
        asked[name] = Asked(name, scratch, folder)
        print(f"  {name} is ready after {asked[name].made_s:.0f} s", file=sys.stderr, flush=True)
    ask_all(list(asked.values()), each)
    for one in asked.values():
        one.ram, one.told = one.do("ram"), one.do("told")
        ask_what_is_fresh(one, facts)
        one.close()
    report(asked, each, truths, facts, ids, texts)


def report(
    asked: dict[str, Asked],
    each: Sequence[Question],
    truths: Sequence[Truth],
    facts: Facts,
    ids: Sequence[str],
    texts: Sequence[str],
) -> None:
    row_of = {key: row for row, key in enumerate(ids)}
    print(
        f"\n{'':14}{'p50 / p95':>16}{'words alone':>16}{'meaning alone':>16}{'CPU':>16}{'recall':>8}{'fused':>7}"
        f"{'same order':>12}{'new rows':>15}{'append of 8':>13}{'RAM':>8}{'disk':>8}"
        f"\n{'':14}{'ms':>16}{'ms':>16}{'ms':>16}{'ms':>16}{'at 10':>8}{'at 10':>7}"
        f"{'twice':>12}{'found at once':>15}{'ms':>13}{'MB':>8}{'MB':>8}"
    )
    recalls = {}
    for name, one in asked.items():
        near = [
            [row_of[key] if isinstance(key, str) else key for key in found[:LIMIT]]
            for found in one.answers["by_meaning"]
        ]
        recalls[name] = statistics.fmean(
            recall(facts, *case) for case in zip(each, truths, near, strict=True)
        )
        said = [
            {row_of[key] if key in row_of else int(key): score for key, score in scores.items()}
            for scores, _ in one.answers["by_words"]
        ]
        exactly = [exactly_fused(*case, facts, ids) for case in zip(said, truths, strict=True)]
        alike = statistics.fmean(
            shared([texts[row_of[key]] for key in found], [texts[row] for row in exact])
            for found, exact in zip(one.answers["search"], exactly, strict=True)
        )
        same = "yes" if not one.other_order else f"but {one.other_order}"
        missed = one.missed
        parts = "".join(
            f"{middle_and_p95(one.taken[what]):>16}" for what in ("search", "by_words", "by_meaning")
        )
        print(
            f"{name:14}{parts}{middle_and_p95(one.cpu['search']):>16}{recalls[name]:8.3f}{alike:7.3f}{same:>12}{'no: ' + str(missed) + ' missed' if missed else 'yes':>15}"
            f"{statistics.median(one.taken['append']):13.1f}{one.ram / 1e6:8.0f}{one.told['disk'] / 1e6:8.0f}"
        )
    print(f"\np50 / p95 in ms, by kind of span{'':4}" + "".join(f"{kind:>20}" for kind in SPANS))
    for name, one in asked.items():
        cells = []
        for kind in SPANS:
            of_kind = [
                ms for ms, question in zip(one.taken["search"], each, strict=True) if question.kind == kind
            ]
            cells.append(f"{middle_and_p95(of_kind):>20}")
        print(f"{name:36}" + "".join(cells))
    for name, one in asked.items():
        if "set" in one.told:
            print(f"{name}: {one.told['set']}")
    verdict(asked, recalls)


def exactly_fused(by_words: dict[int, float], truth: Truth, facts: Facts, ids: Sequence[str]) -> list[int]:
    """The rows of the best memories, had the search by meaning been exact."""
    rankings = [{str(row): score for row, score in by_words.items()}, truth.nearest]
    places: dict[str, Position] = {}
    for row in {int(key) for scores in rankings for key in scores}:
        places[str(row)] = (facts.streams[facts.of_stream[row]], float(facts.starts[row]), ids[row])
    return [int(key) for key in best_first(fuse_rankings(rankings), places)[:LIMIT]]


def verdict(asked: dict[str, Asked], recalls: dict[str, float]) -> None:
    if "recollect" not in asked:
        return
    equal = {
        name: p95(one.taken["search"])
        for name, one in asked.items()
        if name != "recollect" and not one.missed and recalls[name] >= RECALL
    }
    ours = p95(asked["recollect"].taken["search"])
    print(f"\nrecall at 10 of recollect: {recalls['recollect']:.3f}, to be {RECALL} at least")
    if equal:
        print("p95 of recollect over that of each peer with the same filters and freshness and such a recall, to be"
              " 1.00x at most over the fastest: "
              + ", ".join(f"{ours / equal[name]:.2f}x ({name})" for name in sorted(equal, key=equal.__getitem__)))  # fmt: skip


if __name__ == "__main__":
    main()
