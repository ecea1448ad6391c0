"""Indexes follow the catalogue's change log and publish immutable snapshots.

Searches take the snapshot that is published when they begin and keep it; publishing swaps one reference. Indexes are
derived: at start they are rebuilt from the catalogue's chunks and vectors, without embedding anything again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Select, select

from ingest.catalogue import Catalogue, schema
from ingest.chunking import contextual_text
from ingest.errors import CitewellError, Unavailable
from ingest.generations import Generation, load_generation
from ingest.index_log import IndexChange, changes_after, latest_seq
from retrieve.analysis import analyse_document
from retrieve.lexical.base import LexicalDocument, LexicalSnapshot
from retrieve.lexical.registry import open_lexical_index
from retrieve.settings import RetrieveSettings
from retrieve.vector.base import VectorSnapshot
from retrieve.vector.registry import open_vector_index

_LOG = logging.getLogger(__name__)
_LOAD_CHUNKS = 2_000
_VERSIONS_PER_QUERY = 500
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Both indexes of a generation as of change `seq`."""

    seq: int
    vector: VectorSnapshot
    lexical: LexicalSnapshot


class GenerationIndex:
    """Vector and lexical index of one generation of one collection. One writer (`advance`), any number of readers."""

    def __init__(
        self, catalogue: Catalogue, collection_pk: int, generation: Generation, settings: RetrieveSettings
    ) -> None:
        self.collection_pk = collection_pk
        self._catalogue = catalogue
        self._generation = generation
        self._settings = settings
        self._advancing = threading.Lock()
        self._open()
        self._snapshot: Snapshot | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """What searches see now; None before the first `advance`."""
        return self._snapshot

    def advance(self) -> Snapshot:
        """Apply what the log has beyond the published snapshot, and publish. The first call loads what is live."""
        with self._advancing, self._catalogue.read() as connection:
            present = self._snapshot
            if present is None:
                return self._load(connection)
            changes = changes_after(connection, self.collection_pk, present.seq)
            if not changes:
                return present
            self._apply(connection, changes)
            return self._publish(changes[-1].seq)

    def close(self) -> None:
        with self._advancing:
            self._vector.close()
            self._lexical.close()

    def _open(self) -> None:
        self._vector = open_vector_index(self._settings.vector_engine, dim=self._generation.spec.dimensions)
        self._lexical = open_lexical_index(self._settings.lexical_engine)

    def _load(self, connection: Connection) -> Snapshot:
        """Fill the empty indexes; should that fail, empty them: by the next attempt other versions may be live."""
        try:
            seq = latest_seq(connection, self.collection_pk)
            self._add(connection, _live_chunks(self.collection_pk, self._generation.pk))
            return self._publish(seq)
        except BaseException:
            self._vector.close()
            self._lexical.close()
            self._open()
            raise

    def _publish(self, seq: int) -> Snapshot:
        self._snapshot = Snapshot(seq, self._vector.publish(), self._lexical.publish())
        return self._snapshot

    def _apply(self, connection: Connection, changes: Sequence[IndexChange]) -> None:
        """Net effect of the changes: a version that came and went within them is not loaded at all."""
        gone = [change.retire_version for change in changes if change.retire_version is not None]
        came = [change.add_version for change in changes if change.add_version is not None]
        self._vector.remove_versions(gone)
        self._lexical.remove_versions(gone)
        added = sorted(set(came) - set(gone))
        for start in range(0, len(added), _VERSIONS_PER_QUERY):
            page = added[start : start + _VERSIONS_PER_QUERY]
            self._add(connection, _chunks_of(page, self._generation.pk))

    def _add(self, connection: Connection, query: Select[tuple[object, ...]]) -> None:
        for rows in connection.execution_options(yield_per=_LOAD_CHUNKS).execute(query).partitions():
            documents = [
                LexicalDocument(
                    row.pk,
                    row.version_pk,
                    tuple(analyse_document(contextual_text(row.title, row.heading, row.text))),
                )
                for row in rows
            ]
            self._lexical.add(documents)
            self._vector.add(
                np.array([row.pk for row in rows], dtype=np.int64),
                np.array([row.version_pk for row in rows], dtype=np.int64),
                np.stack([np.frombuffer(row.vector, dtype="<f4") for row in rows]).astype(np.float32),
            )


class Indexes:
    """The indexes of all live generations; follows the log on a thread of its own.

    Implements `ingest`'s `IndexProgress`.
    """

    def __init__(self, catalogue: Catalogue, settings: RetrieveSettings) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._indexes: dict[int, GenerationIndex] = {}
        self._live: dict[int, int] = {}
        self._stale: set[int] = set()
        self._loading: set[int] = set()
        self._failures: dict[int, str] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._follower = threading.Thread(target=self._follow, name="index-follower", daemon=True)

    def start(self) -> None:
        """Load every collection (in the background; `ping` says when that is done) and follow the log."""
        with self._catalogue.read() as connection:
            keys = connection.execute(select(schema.collections.c.pk)).scalars().all()
        with self._changed:
            self._stale.update(keys)
            self._loading.update(keys)
        self._follower.start()

    def snapshot(self, collection_pk: int, generation: Generation) -> Snapshot:
        """The published snapshot of a generation, loaded on first use.

        Raises `Unavailable` when it cannot be loaded.
        """
        index = self._index(collection_pk, generation)
        if index.snapshot is not None:
            return index.snapshot
        try:
            return index.advance()
        except CitewellError:
            raise
        except Exception as failure:
            raise Unavailable(f"the index cannot be loaded: {failure}", code="index_unavailable") from failure

    def published(self, collection_pk: int) -> int:
        index = self._indexes.get(self._live.get(collection_pk, -1))
        return index.snapshot.seq if index is not None and index.snapshot is not None else 0

    def notify(self, collection_pk: int) -> None:
        with self._changed:
            self._stale.add(collection_pk)
            self._changed.notify_all()

    def wait(self, collection_pk: int, seq: int, timeout_s: float) -> bool:
        with self._changed:
            return (
                self._changed.wait_for(lambda: self._closed or self.published(collection_pk) >= seq, timeout_s)
                and not self._closed
            )

    def drop(self, collection_pk: int) -> None:
        """Forget the indexes of a deleted collection."""
        with self._changed:
            self._live.pop(collection_pk, None)
            self._forget_state(collection_pk)
            dropped = [pk for pk, index in self._indexes.items() if index.collection_pk == collection_pk]
            indexes = [self._indexes.pop(pk) for pk in dropped]
            self._changed.notify_all()
        for index in indexes:
            index.close()

    def ping(self) -> None:
        """Raise `Unavailable` until all that was there at the start is loaded, and while one cannot be followed."""
        with self._changed:
            failures, loading = sorted(self._failures.values()), len(self._loading)
        if failures:
            raise Unavailable(f"the index cannot follow the catalogue: {failures[0]}", code="index_unavailable")
        if loading:
            raise Unavailable(f"the indexes of {loading} collections are being loaded", code="index_loading")

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._follower.is_alive():
            self._follower.join()
        for index in self._indexes.values():
            index.close()

    def _index(self, collection_pk: int, generation: Generation) -> GenerationIndex:
        with self._changed:
            if generation.pk not in self._indexes:
                self._indexes[generation.pk] = GenerationIndex(
                    self._catalogue, collection_pk, generation, self._settings
                )
            return self._indexes[generation.pk]

    def _follow(self) -> None:
        while (collection_pk := self._next_stale()) is not None:
            try:
                self._advance(collection_pk)
            except Exception as failure:  # noqa: BLE001 - whatever it is, the other collections must be followed
                _LOG.exception("the index of collection %s cannot follow the catalogue", collection_pk)
                with self._changed:
                    self._failures[collection_pk] = f"{type(failure).__name__}: {failure}"

    def _next_stale(self) -> int | None:
        """A collection whose log has grown, or, once none was for a second, one that failed; None at the end."""
        with self._changed:
            while not self._closed:
                if self._stale:
                    return self._stale.pop()
                if not self._changed.wait(_RETRY_S if self._failures else None):
                    self._stale.update(self._failures)
            return None

    def _advance(self, collection_pk: int) -> None:
        generation = self._live_generation(collection_pk)
        if generation is None:
            self.drop(collection_pk)
            return
        self._index(collection_pk, generation)
        with self._changed:
            indexes = [index for index in self._indexes.values() if index.collection_pk == collection_pk]
        for index in indexes:
            index.advance()
        with self._changed:
            if generation.pk in self._indexes:
                self._live[collection_pk] = generation.pk
            self._forget_state(collection_pk)
            self._changed.notify_all()

    def _forget_state(self, collection_pk: int) -> None:
        self._loading.discard(collection_pk)
        self._failures.pop(collection_pk, None)

    def _live_generation(self, collection_pk: int) -> Generation | None:
        table = schema.collections
        with self._catalogue.read() as connection:
            pk = connection.execute(select(table.c.live_generation_pk).where(table.c.pk == collection_pk)).scalar()
            return None if pk is None else load_generation(connection, pk)


def _chunk_columns() -> Select[tuple[object, ...]]:
    chunks, vectors, versions = schema.chunks, schema.chunk_vectors, schema.versions
    return select(
        chunks.c.pk, chunks.c.version_pk, chunks.c.heading, chunks.c.text, versions.c.title, vectors.c.vector
    ).select_from(
        chunks.join(vectors, vectors.c.chunk_pk == chunks.c.pk).join(versions, versions.c.pk == chunks.c.version_pk)
    )


def _live_chunks(collection_pk: int, generation_pk: int) -> Select[tuple[object, ...]]:
    documents, chunks = schema.documents, schema.chunks
    live = select(documents.c.live_version_pk).where(
        documents.c.collection_pk == collection_pk, documents.c.live_version_pk.is_not(None)
    )
    return (
        _chunk_columns()
        .where(chunks.c.generation_pk == generation_pk, chunks.c.version_pk.in_(live))
        .order_by(chunks.c.version_pk, chunks.c.ordinal)
    )


def _chunks_of(version_pks: Sequence[int], generation_pk: int) -> Select[tuple[object, ...]]:
    chunks = schema.chunks
    return (
        _chunk_columns()
        .where(chunks.c.generation_pk == generation_pk, chunks.c.version_pk.in_(version_pks))
        .order_by(chunks.c.version_pk, chunks.c.ordinal)
    )
