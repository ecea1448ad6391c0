"""Collections: the unit of search, of term statistics and of a tenant's rights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, insert, select, update

from ingest.caches import LruCache
from ingest.catalogue import Catalogue, schema
from ingest.clock import now
from ingest.credibility import FACTS_DUE, mark
from ingest.errors import Conflict, InvalidInput, NotFound
from ingest.generations import Generation, GenerationSpec, create_generation, load_generation

_KNOWN_MAX = 1_000
_TABLES = (schema.collections, schema.generations)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class CollectionSettings:
    """What a caller may set. None leaves the service's default (on creation) or the present value (afterwards)."""

    language: str | None = None
    chunk_tokens: int | None = None
    overlap_tokens: int | None = None
    embedding_model: str | None = None
    source_priors: Mapping[str, float] | None = None
    templates: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection with its live generation."""

    pk: int
    name: str
    language: str | None
    source_priors: Mapping[str, float]
    templates: Mapping[str, str]
    live_generation: Generation
    created_at: str


@dataclass(frozen=True, slots=True)
class CollectionSize:
    """Live documents, chunks of the live generation, and bytes of the live originals."""

    documents: int = 0
    chunks: int = 0
    bytes: int = 0


class Collections:
    """Creates, changes, lists and deletes collections."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: LruCache[Collection] = LruCache(_KNOWN_MAX)

    def put(self, name: str, settings: CollectionSettings, spec: GenerationSpec) -> tuple[Collection, bool]:
        """Create the collection with generation `spec`, or apply what can change without a re-index.

        `spec` is the service's default with the caller's settings in it. Returns the collection and whether it is new.
        Raises `InvalidInput` for a bad name or prior, `Conflict` (`needs_reindex`) when an existing index was built
        otherwise.
        """
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"collection name {name[:120]!r} is not valid: 1 to 100 letters, digits, '.', '_' or '-',"
                " beginning with a letter or digit",
                code="invalid_collection_name",
            )
        wrong = [pattern for pattern, prior in (settings.source_priors or {}).items() if not 0 <= prior <= 1]
        if wrong:
            raise InvalidInput(
                f"the prior of source {wrong[0][:120]!r} is not between 0 and 1", code="invalid_source_prior"
            )
        return self._catalogue.write(lambda connection: _put(connection, name, settings, spec))

    def get(self, name: str) -> Collection:
        """Raises `NotFound` (`collection_not_found`)."""
        revision = self._catalogue.revision(_TABLES)
        known = self.recall(name)
        if known is not None:
            return known
        with self._catalogue.read() as connection:
            collection = load_collection(connection, name)
        self._known.put(name, collection, revision=revision)
        return collection

    def recall(self, name: str) -> Collection | None:
        """What `get` would return, where it is remembered: takes microseconds."""
        return self._known.get(name, revision=self._catalogue.revision(_TABLES))

    def list(self) -> list[Collection]:
        """All collections by name."""
        with self._catalogue.read() as connection:
            table = schema.collections
            rows = connection.execute(select(table).where(table.c.tombstoned_at.is_(None)).order_by(table.c.name))
            return [_collection(connection, row) for row in rows.all()]

    def size(self, collection: Collection) -> CollectionSize:
        """Counts of what is live now."""
        documents, versions, chunks = schema.documents, schema.versions, schema.chunks
        live = (documents.c.collection_pk == collection.pk) & documents.c.tombstoned_at.is_(None)
        joined = documents.join(versions, versions.c.pk == documents.c.live_version_pk)
        totals = select(func.count(), func.coalesce(func.sum(versions.c.bytes), 0)).select_from(joined).where(live)
        indexed = (
            select(func.count())
            .select_from(chunks.join(documents, chunks.c.version_pk == documents.c.live_version_pk))
            .where(live, chunks.c.generation_pk == collection.live_generation.pk)
        )
        with self._catalogue.read() as connection:
            count, size_bytes = connection.execute(totals).one()
            return CollectionSize(count, connection.execute(indexed).scalar_one(), size_bytes)


def load_collection(connection: Connection, name: str) -> Collection:
    """Raises `NotFound` (`collection_not_found`)."""
    table = schema.collections
    query = select(table).where(table.c.name == name, table.c.tombstoned_at.is_(None))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(
            f"collection {name[:120]!r} does not exist; create it with PUT /v1/collections/{{name}}",
            code="collection_not_found",
        )
    return _collection(connection, row)


def load_collection_by_key(connection: Connection, pk: int) -> Collection:
    """The collection, also while it is being purged. Raises `NotFound` (`collection_not_found`) afterwards."""
    row = connection.execute(select(schema.collections).where(schema.collections.c.pk == pk)).one_or_none()
    if row is None:
        raise NotFound("the collection was deleted", code="collection_not_found")
    return _collection(connection, row)


def _collection(connection: Connection, row: Row[tuple[object, ...]]) -> Collection:
    fields = row._mapping
    return Collection(
        pk=fields["pk"],
        name=fields["name"],
        language=fields["language"],
        source_priors=fields["source_priors"],
        templates=fields["templates"],
        live_generation=load_generation(connection, fields["live_generation_pk"]),
        created_at=fields["created_at"],
    )


def _put(
    connection: Connection, name: str, settings: CollectionSettings, spec: GenerationSpec
) -> tuple[Collection, bool]:
    exists = connection.execute(select(schema.collections.c.pk).where(schema.collections.c.name == name)).scalar()
    if exists is None:
        generation = create_generation(connection, name, spec, state="live")
        values = {
            "name": name,
            "language": settings.language,
            "source_priors": dict(settings.source_priors or {}),
            "templates": dict(settings.templates or {}),
            "live_generation_pk": generation.pk,
            "created_at": now(),
        }
        connection.execute(insert(schema.collections).values(**values))
        return load_collection(connection, name), True
    present = load_collection(connection, name)
    _refuse_silent_reindex(present, settings)
    changed = {
        key: value
        for key in ("language", "source_priors", "templates")
        if (value := getattr(settings, key)) is not None
    }
    if changed:
        connection.execute(update(schema.collections).where(schema.collections.c.pk == exists).values(**changed))
    if "source_priors" in changed:
        mark(connection, schema.documents.c.collection_pk == exists, FACTS_DUE)
    return load_collection(connection, name), False


def _refuse_silent_reindex(present: Collection, settings: CollectionSettings) -> None:
    spec = present.live_generation.spec
    wanted = {
        "chunk_tokens": (settings.chunk_tokens, spec.chunk_tokens),
        "overlap_tokens": (settings.overlap_tokens, spec.overlap_tokens),
        "embedding_model": (settings.embedding_model, spec.embedder),
    }
    different = [f"{name} is {have}, not {want}" for name, (want, have) in wanted.items() if want not in (None, have)]
    if different:
        raise Conflict(
            f"collection {present.name!r} was indexed otherwise: {'; '.join(different)}; "
            f"change it with POST /v1/collections/{present.name}/reindex",
            code="needs_reindex",
        )
