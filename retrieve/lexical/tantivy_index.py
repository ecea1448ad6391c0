"""Tantivy as the lexical index: incremental, in memory or on disk, fast at a million chunks.

Tantivy tokenises on white space only and no query syntax is ever parsed: `retrieve.analysis` made the terms,
and every one of them becomes a term query. Scores are BM25 (Robertson and Zaragoza, Foundations and Trends in
IR, 2009) with k1 = 1.2, b = 0.75 and Lucene's never negative idf = ln(1 + (N - n + 0.5) / (n + 0.5)), where
`rank_bm25` has k1 = 1.5 and Robertson's idf with a floor. Two further departures: document lengths above 40
terms are rounded down to one of 256 steps (at most 1/8 apart), and N, n and avgdl count removed chunks until
Tantivy merges their segment away. In a large index, words that three chunks in ten hold do not count where the others
find enough: they cost two thirds of the time (decision 35).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray
from tantivy import Occur, Query

from ingest.errors import Conflict, Unavailable
from retrieve.candidates import Candidates, check_top_k
from retrieve.lexical.base import LexicalDocument
from retrieve.restriction import Restriction
from retrieve.storage import DamagedIndex, FileStore, State

_WRITER_HEAP_BYTES = 64 * 1024 * 1024
# One more than top_k shows whether equal scores reach past the cut; then more are fetched until they end.
_TIE_GROWTH = 4
_LARGE_SET = 1_000
_OVERFETCH = 3
_OVERFETCH_MAX = 8_000
# Tantivy adds float32 scores of the terms in an order that varies; beyond this digit, differences are
# rounding.
_SCORE_DECIMALS = 4
_VERSION = version("tantivy")
_META, _MANAGED = "meta.json", ".managed.json"
_SAVE_ATTEMPTS = 20
_LARGE_INDEX = 100_000
_COMMON_SHARE = 0.3


_Hit = tuple[float, tantivy.DocAddress]


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("chunk", indexed=True, fast=True)
    builder.add_integer_field("version", indexed=True, fast=True)
    builder.add_text_field("terms", tokenizer_name="whitespace", index_option="freq")
    return builder.build()


_SCHEMA = _schema()


class TantivyIndex:
    """A lexical index in memory, or in `directory`, which then survives a restart up to the last publish.

    `saved` is what `save` returned, and where it stored: the index begins as that, in an empty `directory`. Raises
    `Conflict` when another writer holds the directory, `DamagedIndex` when another version of Tantivy saved it.
    """

    def __init__(self, directory: Path | None = None, saved: tuple[State, FileStore] | None = None) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._directory = directory
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            if saved is not None:
                _unfold(*saved, directory)
        self._index = tantivy.Index(_SCHEMA, path=None if directory is None else str(directory))
        self._index.config_reader(reload_policy="manual")
        try:
            self._writer = self._index.writer(heap_size=_WRITER_HEAP_BYTES, num_threads=1)
        except ValueError as error:
            raise Conflict(f"lexical index {directory} has another writer; close it first: {error}") from error

    def add(self, documents: Sequence[LexicalDocument]) -> None:
        latest = {document.chunk: document for document in documents}
        with self._lock:
            self._delete("chunk", list(latest))
            for document in latest.values():
                self._writer.add_document(_tantivy_document(document))

    def remove_versions(self, versions: Iterable[int]) -> None:
        with self._lock:
            self._delete("version", [int(version) for version in versions])

    def publish(self) -> TantivySnapshot:
        with self._lock:
            self._writer.commit()
            self._index.reload()
            return TantivySnapshot(self._index.searcher())

    def rollback(self) -> None:
        with self._lock:
            try:
                self._writer.rollback()
            except ValueError as failure:
                raise OSError(f"the lexical index cannot be rolled back: {failure}") from failure

    def save(self, files: FileStore) -> State:
        if self._directory is None:
            raise Unavailable("a lexical index in memory cannot be saved; open it with a directory")
        with self._lock:
            for _ in range(_SAVE_ATTEMPTS):
                with contextlib.suppress(FileNotFoundError):  # a merge that ended meanwhile removed its sources
                    return _hold(self._directory, files)
        raise OSError(f"the segments of {self._directory} change faster than they can be linked")

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._writer.rollback()
                self._writer.wait_merging_threads()

    def _delete(self, field: str, keys: list[int]) -> None:
        if keys:
            self._writer.delete_documents_by_query(Query.term_set_query(_SCHEMA, field, keys))


class TantivySnapshot:
    """A point-in-time searcher: it holds its segment files until it is closed or collected."""

    def __init__(self, searcher: tantivy.Searcher) -> None:
        self._searcher: tantivy.Searcher | None = searcher
        self.count: int = searcher.num_docs

    def search(
        self, terms: Sequence[str], *, top_k: int, restriction: Restriction = Restriction.EVERYTHING
    ) -> Candidates:
        check_top_k(top_k)
        if self._searcher is None:
            raise Unavailable("this lexical snapshot is closed; take the present one")
        if not terms or restriction.is_nothing or self.count == 0:
            return Candidates.none()
        wanted = min(top_k, self.count)
        telling = self._telling(terms)
        hits = _best_hits(self._searcher, _disjunction(telling), wanted, restriction)
        if len(telling) < len(terms) and len(hits) < wanted:
            hits = _best_hits(self._searcher, _disjunction(terms), wanted, restriction)
        chunks = self._searcher.fast_field_values("chunk", [address for _, address in hits])
        scores = np.array([score for score, _ in hits], np.float64).round(_SCORE_DECIMALS)
        return Candidates.best(np.array(chunks, np.int64), scores.astype(np.float32), top_k=top_k)

    def _telling(self, terms: Sequence[str]) -> Sequence[str]:
        """The terms without those that most chunks of a large index hold; Tantivy reads on in every list of a query."""
        if self.count < _LARGE_INDEX:
            return terms
        common = _COMMON_SHARE * self.count
        return [term for term in terms if self.documents_with(term) <= common] or terms

    def contents(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if self._searcher is None:
            raise Unavailable("this lexical snapshot is closed; take the present one")
        hits = self._searcher.search(Query.all_query(), limit=self.count + 1, count=False).hits
        addresses = [address for _, address in hits]
        chunks, versions = (self._searcher.fast_field_values(name, addresses) for name in ("chunk", "version"))
        return np.array(chunks, np.int64), np.array(versions, np.int64)

    def documents_with(self, term: str) -> int:
        if self._searcher is None:
            raise Unavailable("this lexical snapshot is closed; take the present one")
        return self._searcher.doc_freq("terms", term)

    def close(self) -> None:
        self._searcher = None


def _hold(directory: Path, files: FileStore) -> State:
    """Link the segments that `meta.json` names: Tantivy never changes a file, and replaces this one at each commit.

    Raises `FileNotFoundError` when it was replaced meanwhile.
    """
    text = (directory / _META).read_text()
    names = [name for segment in json.loads(text)["segments"] for name in _segment_files(directory, segment)]
    for name in names:
        files.hold(name, directory / name)
    if (directory / _META).read_text() != text:
        raise FileNotFoundError(f"{directory / _META} was replaced")
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    meta = files.put(f"{digest}.tantivy", lambda path: _write(path, text))
    return {"version": _VERSION, "meta": meta, "segments": names, "files": [meta, *names]}


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _segment_files(directory: Path, segment: Mapping[str, Any]) -> list[str]:
    """Names of a segment's files; of the lists of its deleted documents, the present one."""
    stem = str(segment["segment_id"]).replace("-", "")
    deletes = segment["deletes"]
    names = [path.name for path in directory.glob(f"{stem}.*") if path.suffix != ".del"]
    return names if deletes is None else [*names, f"{stem}.{deletes['opstamp']}.del"]


def _unfold(state: State, files: FileStore, directory: Path) -> None:
    """Make the empty directory the one that `_hold` saw."""
    if state["version"] != _VERSION:
        raise DamagedIndex(f"Tantivy {state['version']} saved it; this is {_VERSION}")
    for name in state["segments"]:
        FileStore(directory).hold(name, files.path(name))
    shutil.copyfile(files.path(state["meta"]), directory / _META)
    (directory / _MANAGED).write_text(json.dumps([_META, *state["segments"]]))


def _tantivy_document(document: LexicalDocument) -> tantivy.Document:
    built = tantivy.Document()
    built.add_integer("chunk", document.chunk)
    built.add_integer("version", document.version)
    built.add_text("terms", " ".join(document.terms))
    return built


def _disjunction(terms: Sequence[str]) -> Query:
    """Each term as often as it was given: a boost would be shorter, but keeps Tantivy from skipping what cannot win."""
    return Query.boolean_query(
        [(Occur.Should, Query.term_query(_SCHEMA, "terms", term, index_option="freq")) for term in terms]
    )


def _restricted(query: Query, restriction: Restriction) -> Query:
    clauses = [(Occur.Must, query), *_restriction_clauses(restriction)]
    return query if len(clauses) == 1 else Query.boolean_query(clauses)


def _restriction_clauses(restriction: Restriction) -> Iterator[tuple[Occur, Query]]:
    if restriction.allowed is not None:
        allowed = Query.term_set_query(_SCHEMA, "version", restriction.allowed.tolist())
        yield Occur.Must, Query.const_score_query(allowed, 0.0)
    if len(restriction.excluded):
        yield Occur.MustNot, Query.term_set_query(_SCHEMA, "version", restriction.excluded.tolist())


def _best_hits(searcher: tantivy.Searcher, query: Query, top_k: int, restriction: Restriction) -> list[_Hit]:
    """The best `top_k` hits that may be seen, and all further ones whose score equals the last of them."""
    found = _allowed_hits(searcher, query, top_k, restriction)
    return _hits_past_ties(searcher, _restricted(query, restriction), top_k) if found is None else found


def _allowed_hits(searcher: tantivy.Searcher, query: Query, top_k: int, restriction: Restriction) -> list[_Hit] | None:
    """The best allowed hits, past ties, out of more hits than are wanted; None where versions should be queried.

    Tantivy looks a set of versions up again for every search, which takes long for a large one. Among the best few
    thousand hits there are enough of a large set, unless it goes against the query.
    """
    if restriction.is_everything or (restriction.allowed is not None and len(restriction.allowed) < _LARGE_SET):
        return None
    limit = _OVERFETCH * (top_k + 1)
    while limit <= _OVERFETCH_MAX:
        hits = searcher.search(query, limit=limit, count=False).hits
        versions = np.array(searcher.fast_field_values("version", [address for _, address in hits]), np.int64)
        allowed = [hits[row] for row in np.flatnonzero(restriction.mask(versions))]
        if len(hits) < limit:
            return allowed
        if len(allowed) >= top_k and hits[-1][0] < allowed[top_k - 1][0] - 10.0**-_SCORE_DECIMALS:
            return allowed
        limit *= _TIE_GROWTH
    return None


def _hits_past_ties(searcher: tantivy.Searcher, query: Query, top_k: int) -> list[_Hit]:
    """The best `top_k` hits and all further ones whose score equals the last of them."""
    limit = top_k + 1
    while True:
        hits = searcher.search(query, limit=limit, count=False).hits
        if len(hits) < limit or hits[-1][0] < hits[top_k - 1][0] - 10.0**-_SCORE_DECIMALS:
            return hits
        limit *= _TIE_GROWTH
