"""Documents that say nearly the same, found by MinHash and linked to the first of them, their original.

A text is the set of its shingles: five words in a row, or five characters where words are not spaced. The share of
shingles that two texts have in common (Jaccard) is estimated from 128 minima (Broder, "On the resemblance and
containment of documents", 1997); candidates come from 16 bands of 8 minima (Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", chapter 3): 95 % of the pairs at the least similarity, 99.9 % at 0.9. Only originals have bands: a
boilerplate text that comes a thousand times is compared with one document, not with a thousand.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select, update

from ingest.catalogue import schema

Signature = NDArray[np.uint32]
"""128 minima, shape (128,)."""

SIMILARITY_MIN = 0.8
"""Least estimated Jaccard of near duplicates: of a page of 300 words about six single words may differ."""

_SHINGLE = 5
_MINIMA = 128
_BANDS = 16
_SHINGLES_AT_ONCE = 4_096
_CANDIDATES_MAX = 64
_KEYS_PER_QUERY = 500
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e01-\u0e4e"
_TERM = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_EMPTY = MinHash(num_perm=_MINIMA, seed=1)


def terms_of(text: str) -> list[str]:
    """Words, and single characters where words are not spaced, in one case; what two texts are compared by."""
    return _TERM.findall(unicodedata.normalize("NFKC", text).casefold())


def signature_of(text: str) -> Signature:
    """The minima of a text; those of equal texts (but for case, punctuation and white space) are equal."""
    terms = terms_of(text)
    sketch = _EMPTY.copy()
    for start in range(0, max(1, len(terms) - _SHINGLE + 1), _SHINGLES_AT_ONCE):
        part = terms[start : start + _SHINGLES_AT_ONCE + _SHINGLE - 1]
        sketch.update_batch(list(_shingles(part)))
    return np.asarray(sketch.hashvalues, dtype=np.uint32)


def similarity(one: Signature, other: Signature) -> float:
    """Estimated Jaccard of two texts, in [0, 1]; its standard error at 0.8 is 0.035."""
    return float(np.mean(one == other))


def link(connection: Connection, collection_pk: int, document_pk: int, version_pk: int, signature: Signature) -> None:
    """Link a document that has a new live version to its original, or make it one.

    What its former version was linked to, and what was linked to that, is settled anew.
    """
    leave(connection, [document_pk])
    connection.execute(
        insert(schema.signatures).values(
            version_pk=version_pk, document_pk=document_pk, minima=signature.astype("<u4").tobytes()
        )
    )
    original = _original(connection, collection_pk, document_pk, signature)
    _set_original(connection, [document_pk], original)
    if original is None:
        _add_bands(connection, collection_pk, version_pk, signature)


def leave(connection: Connection, document_pks: Sequence[int]) -> None:
    """Forget the signatures of documents that were replaced or deleted; others take their place as originals.

    The oldest that was linked to one of them becomes the original of those that are like it; the rest are linked anew.
    """
    signatures, documents = schema.signatures, schema.documents
    for start in range(0, len(document_pks), _KEYS_PER_QUERY):
        page = document_pks[start : start + _KEYS_PER_QUERY]
        connection.execute(delete(signatures).where(signatures.c.document_pk.in_(page)))
        orphans = select(documents.c.duplicate_of_pk).where(documents.c.duplicate_of_pk.in_(page)).distinct()
        for original in connection.execute(orphans).scalars().all():
            _promote(connection, original)


def _promote(connection: Connection, former: int) -> None:
    """Give the documents that were linked to `former` another original."""
    signatures, documents = schema.signatures, schema.documents
    joined = documents.join(signatures, signatures.c.document_pk == documents.c.pk)
    query = (
        select(documents.c.pk, documents.c.collection_pk, signatures.c.version_pk, signatures.c.minima)
        .select_from(joined)
        .where(documents.c.duplicate_of_pk == former, documents.c.tombstoned_at.is_(None))
        .order_by(documents.c.pk)
    )
    left = list(connection.execute(query))
    connection.execute(update(documents).where(documents.c.duplicate_of_pk == former).values(duplicate_of_pk=None))
    while left:
        first, rest = left[0], left[1:]
        minima = _read(first.minima)
        original = _original(connection, first.collection_pk, first.pk, minima)
        if original is None:
            _add_bands(connection, first.collection_pk, first.version_pk, minima)
        else:
            _set_original(connection, [first.pk], original)
        alike = {row.pk for row in rest if similarity(minima, _read(row.minima)) >= SIMILARITY_MIN}
        _set_original(connection, sorted(alike), first.pk if original is None else original)
        left = [row for row in rest if row.pk not in alike]


def _original(connection: Connection, collection_pk: int, document_pk: int, minima: Signature) -> int | None:
    """The original among the other live documents of the collection that is most like the text; None without one."""
    bands, signatures, documents = schema.signature_bands, schema.signatures, schema.documents
    keys = select(bands.c.version_pk).where(bands.c.collection_pk == collection_pk, bands.c.band.in_(_bands(minima)))
    query = (
        select(documents.c.pk, signatures.c.minima)
        .select_from(signatures.join(documents, documents.c.pk == signatures.c.document_pk))
        .where(
            signatures.c.version_pk.in_(keys),
            documents.c.tombstoned_at.is_(None),
            documents.c.pk != document_pk,
            documents.c.duplicate_of_pk.is_(None),
        )
        .order_by(documents.c.pk)
        .limit(_CANDIDATES_MAX)
    )
    alike = [(similarity(minima, _read(row.minima)), -row.pk) for row in connection.execute(query)]
    best = max(alike, default=(0.0, 0))
    return -best[1] if best[0] >= SIMILARITY_MIN else None


def _set_original(connection: Connection, document_pks: Sequence[int], original: int | None) -> None:
    documents = schema.documents
    for start in range(0, len(document_pks), _KEYS_PER_QUERY):
        page = document_pks[start : start + _KEYS_PER_QUERY]
        connection.execute(update(documents).where(documents.c.pk.in_(page)).values(duplicate_of_pk=original))


def _add_bands(connection: Connection, collection_pk: int, version_pk: int, minima: Signature) -> None:
    rows: list[dict[str, Any]] = [
        {"collection_pk": collection_pk, "band": band, "version_pk": version_pk} for band in set(_bands(minima))
    ]
    connection.execute(insert(schema.signature_bands), rows)


def _bands(minima: Signature) -> list[int]:
    """A signed 64-bit hash of each band; the number of the band is part of it."""
    rows = minima.astype(np.uint64).reshape(_BANDS, -1)
    mixed = np.arange(1, _BANDS + 1, dtype=np.uint64)
    for column in rows.T:
        mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return [int(value) for value in mixed.view(np.int64)]


def _read(minima: bytes) -> Signature:
    return np.frombuffer(minima, dtype="<u4").astype(np.uint32)


def _shingles(terms: Sequence[str]) -> Iterator[bytes]:
    for start in range(max(1, len(terms) - _SHINGLE + 1)):
        yield " ".join(terms[start : start + _SHINGLE]).encode()
