"""The vector and the lexical index of one generation of a collection: they follow the log, and are kept on disk.

Indexes are derived. They come back from their folder, with what the log has brought since; where nothing is stored, or
what is stored is damaged or belongs to another history, they are built from the catalogue's chunks and vectors, without
embedding anything again.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Select, select

from ingest.catalogue import Catalogue, schema
from ingest.chunking import contextual_text
from ingest.errors import InvalidInput
from ingest.generations import Generation
from ingest.index_log import IndexChange, changes_after, latest_seq
from retrieve.analysis import ANALYSER, analyse_document
from retrieve.audit import IndexAudit, audit_snapshot
from retrieve.lexical.base import LexicalDocument, LexicalIndex, LexicalSnapshot
from retrieve.lexical.registry import Saved, open_lexical_index
from retrieve.live_chunks import chunks_of, count_live_chunks, live_chunks
from retrieve.storage import DamagedIndex, IndexFolder, Manifest
from retrieve.vector.base import VectorIndex, VectorSnapshot
from retrieve.vector.gpu import Gpu
from retrieve.vector.registry import open_vector_index

_LOG = logging.getLogger(__name__)
_LOAD_CHUNKS = 2_000
_VERSIONS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Both indexes of a generation as of change `seq`."""

    seq: int
    vector: VectorSnapshot
    lexical: LexicalSnapshot


class GenerationIndex:
    """Vector and lexical index of one generation of one collection. One writer (`advance`), any number of readers.

    The engines are those that the generation names. With a `folder` the indexes can be stored there by `checkpoint`.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        collection_pk: int,
        generation: Generation,
        *,
        folder: IndexFolder | None = None,
        gpu: Gpu | None = None,
    ) -> None:
        self.collection_pk = collection_pk
        self.generation = generation
        self.damage: str | None = None
        """Why what was stored could not be used; None where it could, or nothing was."""
        self._catalogue = catalogue
        self._folder = folder
        self._gpu = gpu
        self._engines = index_engines(generation.spec.index_kind)
        self._advancing = threading.Lock()
        self._storing = threading.Lock()
        self._vector: VectorIndex | None = None
        self._lexical: LexicalIndex | None = None
        self._snapshot: Snapshot | None = None
        self._stored: Snapshot | None = None
        self._closed = False

    @property
    def snapshot(self) -> Snapshot | None:
        """What searches see now; None before the first `advance`."""
        return self._snapshot

    @property
    def is_stored(self) -> bool:
        """The folder (if there is one) holds all that is published."""
        return self._folder is None or self._snapshot is self._stored

    def advance(self) -> Snapshot:
        """Apply what the log has beyond the published snapshot, and publish. The first call loads what is live."""
        with self._advancing, self._catalogue.read() as connection:
            return self._advanced(connection)

    def audit(self) -> IndexAudit:
        """Advance, and compare what is published with what the catalogue says at that very moment, chunk by chunk."""
        with self._advancing, self._catalogue.read() as connection:
            snapshot = self._advanced(connection)
            return audit_snapshot(connection, self.collection_pk, self.generation.pk, snapshot)

    def maintain(self) -> None:
        """Let the vector index do what takes long, and publish what comes of it, as of the same change."""
        vector = self._vector
        if vector is None or not vector.maintain():
            return
        with self._advancing:
            if self._snapshot is not None and not self._closed:
                self._snapshot = Snapshot(self._snapshot.seq, vector.publish(), self._snapshot.lexical)

    def checkpoint(self) -> None:
        """Store the published snapshot. Raises `OSError` when there is no room: what was stored before stays."""
        with self._storing:
            if self._folder is None or self._closed or self.is_stored:
                return
            with self._advancing:
                snapshot, lexical_index = self._snapshot, self._lexical
                assert snapshot is not None
                assert lexical_index is not None
                lexical = lexical_index.save(self._folder.files)
            vector = snapshot.vector.save(self._folder.files)
            with self._catalogue.read() as connection:
                changed_at = _changed_at(connection, snapshot.seq)
            files = self._folder.files.checksums([*vector["files"], *lexical["files"]])
            self._folder.publish(Manifest(self._identity(), snapshot.seq, changed_at, vector, lexical, files))
            self._stored = snapshot

    def close(self) -> None:
        with self._storing, self._advancing:
            self._closed = True
            self._close_engines()

    def _advanced(self, connection: Connection) -> Snapshot:
        present = self._snapshot
        if present is not None and self._closed:
            return present
        if present is None:
            self._snapshot = self._restored(connection) or self._built(connection)
        else:
            self._snapshot = self._follow(connection, present.seq) or present
        return self._snapshot

    def _restored(self, connection: Connection) -> Snapshot | None:
        """What the folder holds and the log has brought since; None where the catalogue has to be read instead."""
        if self._folder is None:
            return None
        try:
            manifest = self._folder.read()
            if manifest is None:
                return None
            self._check_history(connection, manifest)
            self._open((manifest.lexical, self._folder.files))
            assert self._vector is not None
            self._vector.restore(manifest.vector, self._folder.files)
            stored = self._taken(manifest.seq)
            snapshot = self._follow(connection, manifest.seq) or stored
            self._check_counts(connection, snapshot)
        except Exception as failure:  # noqa: BLE001 - whatever it is: derived data is not worth failing for
            _LOG.warning("the stored index of %s is built anew: %s", self._name, failure)
            self.damage = str(failure)
            return None
        self._stored = stored
        return snapshot

    def _built(self, connection: Connection) -> Snapshot:
        """From all live chunks. Should that fail, nothing is kept: by the next attempt other versions may be live."""
        self._close_engines()
        if self._folder is not None:
            self._folder.clear()
        try:
            self._open()
            seq = latest_seq(connection, self.collection_pk, self.generation.pk)
            self._add(connection, live_chunks(self.collection_pk, self.generation.pk))
            return self._taken(seq)
        except BaseException:
            self._close_engines()
            raise

    def _follow(self, connection: Connection, seq: int) -> Snapshot | None:
        """With the changes after `seq` applied; None if there are none. Should it fail, nothing is changed."""
        changes = changes_after(connection, self.collection_pk, seq, self.generation.pk)
        if not changes:
            return None
        try:
            self._apply(connection, changes)
            return self._taken(changes[-1].seq)
        except BaseException:
            assert self._vector is not None
            assert self._lexical is not None
            self._vector.rollback()
            self._lexical.rollback()
            raise

    def _open(self, saved: Saved | None = None) -> None:
        vector, lexical = self._engines
        working = None if self._folder is None else self._folder.fresh_working_folder()
        vectors_in, terms_in = (None, None) if working is None else (working / "vectors", working / "terms")
        dimensions = self.generation.spec.dimensions
        self._vector = open_vector_index(vector, dim=dimensions, gpu=self._gpu, directory=vectors_in)
        self._lexical = open_lexical_index(lexical, directory=terms_in, saved=saved)

    def _close_engines(self) -> None:
        for engine in (self._vector, self._lexical):
            if engine is not None:
                engine.close()
        self._vector = self._lexical = None

    def _taken(self, seq: int) -> Snapshot:
        """What the engines hold, as of `seq`; no search sees it until `advance` is done."""
        assert self._vector is not None
        assert self._lexical is not None
        return Snapshot(seq, self._vector.publish(), self._lexical.publish())

    def _apply(self, connection: Connection, changes: Sequence[IndexChange]) -> None:
        """Net effect of the changes: a version that came and went within them is not loaded at all."""
        assert self._vector is not None
        assert self._lexical is not None
        gone = [change.retire_version for change in changes if change.retire_version is not None]
        came = [change.add_version for change in changes if change.add_version is not None]
        self._vector.remove_versions(gone)
        self._lexical.remove_versions(gone)
        added = sorted(set(came) - set(gone))
        for start in range(0, len(added), _VERSIONS_PER_QUERY):
            page = added[start : start + _VERSIONS_PER_QUERY]
            self._add(connection, chunks_of(page, self.generation.pk))

    def _add(self, connection: Connection, query: Select[tuple[object, ...]]) -> None:
        assert self._vector is not None
        assert self._lexical is not None
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

    @property
    def _name(self) -> str:
        return f"generation {self.generation.generation} of {self.generation.collection}"

    def _identity(self) -> str:
        """What the indexes are made of and by; the analyser is the present code's, whatever the generation's was."""
        generation = [self.generation.pk, self.generation.generation, self.generation.spec.dimensions]
        return json.dumps([self.collection_pk, *generation, *self._engines, ANALYSER])

    def _check_history(self, connection: Connection, manifest: Manifest) -> None:
        if manifest.identity != self._identity():
            raise DamagedIndex(f"it was built as {manifest.identity}, now it is {self._identity()}")
        if manifest.changed_at != _changed_at(connection, manifest.seq):
            raise DamagedIndex(f"the catalogue knows change {manifest.seq} otherwise: it was put back, or replaced")

    def _check_counts(self, connection: Connection, snapshot: Snapshot) -> None:
        live = count_live_chunks(connection, self.collection_pk, self.generation.pk)
        if not snapshot.vector.count == snapshot.lexical.count == live:
            found = f"{snapshot.vector.count} vectors and {snapshot.lexical.count} postings"
            raise DamagedIndex(f"{found} for {live} live chunks")


def index_engines(index_kind: str) -> tuple[str, str]:
    """Vector and lexical engine of an index kind such as `faiss_flat+tantivy`. Raises `InvalidInput`."""
    vector, plus, lexical = index_kind.partition("+")
    if not plus:
        raise InvalidInput(f"index kind {index_kind!r} is not of the form vector+lexical")
    return vector, lexical


def _changed_at(connection: Connection, seq: int) -> str:
    table = schema.index_change
    return str(connection.execute(select(table.c.created_at).where(table.c.seq == seq)).scalar() or "")
