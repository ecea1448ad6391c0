"""BM25 as the package rank_bm25 computes it: the reference that other engines are compared with, selectable
by name.

Rebuilt from scratch at each publish and held in memory; meant for collections of thousands of chunks, not
millions. BM25Okapi: k1 = 1.5, b = 0.75, idf = ln((N - n + 0.5) / (n + 0.5)), and where that is negative (a
term in more than half of the chunks) 0.25 times the average idf (Trotman, Jia and Crane, SIGIR OSIR workshop
2012). Lengths are exact.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi

from ingest.errors import Unavailable
from retrieve.candidates import Candidates, check_top_k
from retrieve.lexical.base import LexicalDocument
from retrieve.restriction import Restriction
from retrieve.storage import FileStore, State

_SCORE_DECIMALS = 4


class RankBm25Index:
    """A lexical index in memory whose every publish computes all statistics again.

    `saved` is what `save` returned, and where it stored.
    """

    def __init__(self, saved: tuple[State, FileStore] | None = None) -> None:
        self._lock = threading.Lock()
        self._documents = {} if saved is None else _load(*saved)
        self._published = dict(self._documents)

    def add(self, documents: Sequence[LexicalDocument]) -> None:
        with self._lock:
            self._documents.update((document.chunk, document) for document in documents)

    def remove_versions(self, versions: Iterable[int]) -> None:
        removed = frozenset(versions)
        with self._lock:
            kept = (document for document in self._documents.values() if document.version not in removed)
            self._documents = {document.chunk: document for document in kept}

    def publish(self) -> RankBm25Snapshot:
        with self._lock:
            self._published = dict(self._documents)
            documents = [self._documents[chunk] for chunk in sorted(self._documents)]
        return RankBm25Snapshot(documents)

    def rollback(self) -> None:
        with self._lock:
            self._documents = dict(self._published)

    def save(self, files: FileStore) -> State:
        with self._lock:
            documents = [(one.chunk, one.version, one.terms) for one in self._published.values()]
        name = f"{uuid4().hex}.rank_bm25"
        files.put(name, lambda path: _write(path, json.dumps(documents)))
        return {"files": [name]}

    def close(self) -> None:
        with self._lock:
            self._documents = {}


class RankBm25Snapshot:
    """Scores by `BM25Okapi.get_batch_scores` of the chunks that hold a term of the query."""

    def __init__(self, documents: Sequence[LexicalDocument]) -> None:
        self.count = len(documents)
        self._chunks = np.array([document.chunk for document in documents], np.int64)
        self._versions = np.array([document.version for document in documents], np.int64)
        # rank_bm25 divides by the number of documents and of terms
        has_terms = any(document.terms for document in documents)
        self._bm25 = BM25Okapi([document.terms for document in documents]) if has_terms else None
        self._postings: dict[str, list[int]] | None = _postings(documents)

    def search(
        self, terms: Sequence[str], *, top_k: int, restriction: Restriction = Restriction.EVERYTHING
    ) -> Candidates:
        check_top_k(top_k)
        if self._postings is None:
            raise Unavailable("this lexical snapshot is closed; take the present one")
        rows = _matching_rows(self._postings, terms)
        rows = rows[restriction.mask(self._versions[rows])]
        if self._bm25 is None or len(rows) == 0:
            return Candidates.none()
        scores = np.array(self._bm25.get_batch_scores(list(terms), rows.tolist()), np.float64)
        rounded = scores.round(_SCORE_DECIMALS).astype(np.float32)
        return Candidates.best(self._chunks[rows], rounded, top_k=top_k)

    def contents(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if self._postings is None:
            raise Unavailable("this lexical snapshot is closed; take the present one")
        return self._chunks, self._versions

    def documents_with(self, term: str) -> int:
        if self._postings is None:
            raise Unavailable("this lexical snapshot is closed; take the present one")
        return len(self._postings.get(term, ()))

    def close(self) -> None:
        self._bm25 = None
        self._postings = None


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _load(state: State, files: FileStore) -> dict[int, LexicalDocument]:
    documents = json.loads(files.path(state["files"][0]).read_text())
    return {chunk: LexicalDocument(chunk, version, tuple(terms)) for chunk, version, terms in documents}


def _postings(documents: Sequence[LexicalDocument]) -> dict[str, list[int]]:
    """Row numbers of the documents that hold each term, ascending."""
    postings: dict[str, list[int]] = {}
    for row, document in enumerate(documents):
        for term in set(document.terms):
            postings.setdefault(term, []).append(row)
    return postings


def _matching_rows(postings: Mapping[str, Sequence[int]], terms: Sequence[str]) -> NDArray[np.intp]:
    """Rows that hold at least one of the terms, ascending."""
    rows: set[int] = set()
    for term in set(terms):
        rows.update(postings.get(term, ()))
    return np.array(sorted(rows), np.intp)
