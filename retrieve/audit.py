"""Proves, chunk by chunk, that an index holds what the catalogue says, and nothing else.

Counts may agree where contents do not: one chunk lost and another held twice. So keys are compared with keys, stored
vectors with vectors, and a sample of postings by searching for a chunk's own words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from retrieve.analysis import analyse_document
from retrieve.lexical.base import LexicalSnapshot
from retrieve.live_chunks import live_keys, stored_vectors, texts_of
from retrieve.restriction import Restriction
from retrieve.vector.base import VectorSnapshot

if TYPE_CHECKING:
    from retrieve.generation_index import Snapshot

_PROBES = 200
_PROBE_HITS = 1_000
_KEYS_PER_QUERY = 500
_VECTOR_TOLERANCE = 1e-3
"""Half precision, in which approximate tiers keep vectors, is exact to 0.0005 for numbers up to 1."""

Keys = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Chunk keys, ascending, in which one index differs from the catalogue.

    `missing` are live and not in the index, `left_over` in the index and not live, `doubled` in it more than once;
    `wrong` are there with another version, another vector, or are not found by their own words.
    """

    missing: Keys = ()
    left_over: Keys = ()
    doubled: Keys = ()
    wrong: Keys = ()

    def __str__(self) -> str:
        found = {
            "missing": self.missing, "left over": self.left_over, "doubled": self.doubled, "wrong": self.wrong
        }  # fmt: skip
        named = [f"{len(keys)} {what} (chunk {keys[0]})" for what, keys in found.items() if keys]
        return ", ".join(named) or "none differ"


@dataclass(frozen=True, slots=True)
class IndexAudit:
    """How the vectors and the postings of an index differ from the catalogue's `chunks` chunks as of change `seq`."""

    seq: int
    chunks: int
    vectors: Difference
    postings: Difference

    @property
    def agrees(self) -> bool:
        """Nothing differs."""
        return self.vectors == self.postings == Difference()


def audit_snapshot(connection: Connection, collection_pk: int, generation_pk: int, snapshot: Snapshot) -> IndexAudit:
    """Compare a snapshot with the catalogue, which `connection` has to see as of the snapshot's change."""
    chunks, versions = live_keys(connection, collection_pk, generation_pk)
    return IndexAudit(
        snapshot.seq,
        len(chunks),
        _audit_vectors(connection, chunks, versions, snapshot.vector),
        _audit_postings(connection, chunks, versions, snapshot.lexical),
    )


def _audit_vectors(
    connection: Connection, chunks: NDArray[np.int64], versions: NDArray[np.int64], snapshot: VectorSnapshot
) -> Difference:
    held: list[NDArray[np.int64]] = []
    owners: list[NDArray[np.int64]] = []
    altered: list[int] = []
    for keys, of_version, vectors in snapshot.contents():
        held.append(keys)
        owners.append(of_version)
        altered += _altered(connection, keys, vectors)
    return _difference(chunks, versions, _joined(held), _joined(owners), altered)


def _altered(connection: Connection, keys: NDArray[np.int64], vectors: NDArray[np.float32]) -> Iterator[int]:
    """Keys whose vector is not that of the catalogue."""
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        page = slice(start, start + _KEYS_PER_QUERY)
        known = stored_vectors(connection, keys[page].tolist())
        for key, vector in zip(keys[page].tolist(), vectors[page], strict=True):
            stored = known.get(key, b"")
            if len(stored) != 4 * len(vector) or _distance(stored, vector) > _VECTOR_TOLERANCE:
                yield key


def _distance(stored: bytes, vector: NDArray[np.float32]) -> float:
    """The greatest difference of two components; infinite where there are no numbers."""
    return float(np.nan_to_num(np.abs(np.frombuffer(stored, "<f4") - vector), nan=np.inf).max(initial=0))


def _audit_postings(
    connection: Connection, chunks: NDArray[np.int64], versions: NDArray[np.int64], snapshot: LexicalSnapshot
) -> Difference:
    held, owners = snapshot.contents()
    places = np.unique(np.linspace(0, len(chunks) - 1, min(_PROBES, len(chunks)), dtype=np.int64))
    texts = texts_of(connection, chunks[places].tolist())
    lost = []
    for key, version in zip(chunks[places].tolist(), versions[places].tolist(), strict=True):
        terms = analyse_document(texts.get(key, ""))
        own = Restriction.of([version])
        if terms and key not in snapshot.search(terms, top_k=_PROBE_HITS, restriction=own).chunks.tolist():
            lost.append(key)
    return _difference(chunks, versions, held, owners, lost)


def _difference(
    chunks: NDArray[np.int64],
    versions: NDArray[np.int64],
    held: NDArray[np.int64],
    owners: NDArray[np.int64],
    wrong: list[int],
) -> Difference:
    """Keys and versions of the catalogue (keys ascending) against those of the index; `wrong` is what is wrong besides
    a version: only of what is in both it says anything.
    """
    keys, first, counts = np.unique(held, return_index=True, return_counts=True)
    common = np.intersect1d(keys, chunks, assume_unique=True)
    other = versions[np.searchsorted(chunks, common)] != owners[first][np.searchsorted(keys, common)]
    return Difference(
        missing=_keys(np.setdiff1d(chunks, keys, assume_unique=True)),
        left_over=_keys(np.setdiff1d(keys, chunks, assume_unique=True)),
        doubled=_keys(keys[counts > 1]),
        wrong=_keys(np.union1d(common[other], np.intersect1d(np.array(wrong, np.int64), common))),
    )


def _keys(keys: NDArray[np.int64]) -> Keys:
    return tuple(keys.tolist())


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
