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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, insert, select, update

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


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A document with a new live version."""

    document_pk: int
    version_pk: int
    signature: Signature


def link(connection: Connection, collection_pk: int, newcomers: Sequence[Newcomer]) -> None:
    """Link each document to its original, or make it one, in this order.

    What former versions were linked to, and what was linked to those, is settled anew.
    """
    known = _with_signature(connection, [one.document_pk for one in newcomers])
    leave(connection, known)
    rows = [
        {"version_pk": one.version_pk, "document_pk": one.document_pk, "minima": one.signature.astype("<u4").tobytes()}
        for one in newcomers
    ]
    connection.execute(insert(schema.signatures), rows)
    originals = _Originals(connection, collection_pk, [one.signature for one in newcomers])
    linked: dict[int, int | None] = dict.fromkeys(known)
    bands: list[dict[str, Any]] = []
    for one in newcomers:
        original = originals.nearest(one.signature)
        if original is None:
            originals.add(one.document_pk, one.signature)
            bands += _band_rows(collection_pk, one.version_pk, one.signature)
        else:
            linked[one.document_pk] = original
    _set_originals(connection, linked)
    if bands:
        connection.execute(insert(schema.signature_bands), bands)


def _with_signature(connection: Connection, document_pks: Sequence[int]) -> list[int]:
    """Those of a few hundred documents that were compared before."""
    signatures = schema.signatures
    query = select(signatures.c.document_pk).where(signatures.c.document_pk.in_(document_pks))
    return list(connection.execute(query).scalars())


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
        original = _Originals(connection, first.collection_pk, [minima]).nearest(minima)
        if original is None:
            connection.execute(
                insert(schema.signature_bands), _band_rows(first.collection_pk, first.version_pk, minima)
            )
        alike = {row.pk for row in rest if similarity(minima, _read(row.minima)) >= SIMILARITY_MIN}
        links = dict.fromkeys(sorted(alike), first.pk if original is None else original)
        _set_originals(connection, links if original is None else {first.pk: original, **links})
        left = [row for row in rest if row.pk not in alike]


class _Originals:
    """The originals of a collection that have a band in common with one of some texts."""

    def __init__(self, connection: Connection, collection_pk: int, texts: Sequence[Signature]) -> None:
        self._by_band: dict[int, list[tuple[int, Signature]]] = {}
        bands, signatures, documents = schema.signature_bands, schema.signatures, schema.documents
        wanted = sorted({band for minima in texts for band in _bands(minima)})
        query = select(bands.c.band, documents.c.pk, signatures.c.minima).select_from(
            bands.join(signatures, signatures.c.version_pk == bands.c.version_pk).join(
                documents, documents.c.pk == signatures.c.document_pk
            )
        )
        query = query.where(
            bands.c.collection_pk == collection_pk,
            documents.c.tombstoned_at.is_(None),
            documents.c.duplicate_of_pk.is_(None),
        )
        for start in range(0, len(wanted), _KEYS_PER_QUERY):
            page = bands.c.band.in_(wanted[start : start + _KEYS_PER_QUERY])
            for row in connection.execute(query.where(page)):
                self._by_band.setdefault(row.band, []).append((row.pk, _read(row.minima)))

    def nearest(self, minima: Signature) -> int | None:
        """The key of the one most like the text, of equal ones the oldest; None where none is like it."""
        found = {pk: other for band in _bands(minima) for pk, other in self._by_band.get(band, ())}
        alike = [(similarity(minima, found[pk]), -pk) for pk in sorted(found)[:_CANDIDATES_MAX]]
        best = max(alike, default=(0.0, 0))
        return -best[1] if best[0] >= SIMILARITY_MIN else None

    def add(self, document_pk: int, minima: Signature) -> None:
        """Another original, for the texts that come after it."""
        for band in set(_bands(minima)):
            self._by_band.setdefault(band, []).append((document_pk, minima))


def _set_originals(connection: Connection, originals: Mapping[int, int | None]) -> None:
    """Write to each document (by key) what it is a duplicate of."""
    documents = schema.documents
    if originals:
        rows = [{"key": pk, "original": original} for pk, original in originals.items()]
        changed = update(documents).where(documents.c.pk == bindparam("key"))
        connection.execute(changed.values(duplicate_of_pk=bindparam("original")), rows)


def _band_rows(collection_pk: int, version_pk: int, minima: Signature) -> list[dict[str, Any]]:
    return [{"collection_pk": collection_pk, "band": band, "version_pk": version_pk} for band in set(_bands(minima))]


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
