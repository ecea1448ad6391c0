"""Index generations: what an index was built from. Every retrieve, answer and replay call is handed one explicitly."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Row, func, insert, select, update

from ingest.catalogue import schema
from ingest.clock import now
from ingest.errors import NotFound


@dataclass(frozen=True, slots=True)
class GenerationSpec:
    """Everything that decides what an index holds: embedder and revision, chunking, analyser, kind of index."""

    embedder: str
    embedder_revision: str
    dimensions: int
    chunk_tokens: int
    overlap_tokens: int
    analyser: str
    index_kind: str

    @property
    def fingerprint(self) -> str:
        """First 12 hex digits of the SHA-256 over the fields; equal specs have equal fingerprints on every machine."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of one collection.

    `state` is `building` (beside the live one), `rejected` (built, but the gate said no), `live`, `retired` (was live,
    and is kept for a rollback), `abandoned` (its re-index was cancelled or failed) or `pruned` (its chunks are gone).
    """

    pk: int
    generation: str
    collection: str
    spec: GenerationSpec
    state: str
    created_at: str


class GenerationReplaced(Exception):
    """Another generation went live meanwhile: what was made for the one before has to be made again."""


def create_generation(connection: Connection, collection: str, spec: GenerationSpec, *, state: str) -> Generation:
    """Record a new generation; its id is the spec's fingerprint and a number within the collection."""
    count = select(func.count()).where(schema.generations.c.collection == collection)
    number = connection.execute(count).scalar_one() + 1
    name = f"{spec.fingerprint}-{number}"
    moment = now()
    statement = insert(schema.generations).values(
        generation=name, collection=collection, state=state, created_at=moment, **asdict(spec)
    )
    pk = connection.execute(statement).inserted_primary_key
    assert pk is not None
    return Generation(pk[0], name, collection, spec, state, moment)


def set_state(connection: Connection, generation_pk: int, state: str) -> None:
    """Record what has become of a generation."""
    table = schema.generations
    connection.execute(update(table).where(table.c.pk == generation_pk).values(state=state))


def check_live(connection: Connection, collection_pk: int, generation: Generation) -> None:
    """Raises `GenerationReplaced` unless `generation` is the live one of the collection."""
    table = schema.collections
    live = connection.execute(select(table.c.live_generation_pk).where(table.c.pk == collection_pk)).scalar()
    if live is not None and live != generation.pk:
        raise GenerationReplaced(generation.generation)


def load_generation(connection: Connection, pk: int) -> Generation:
    """The generation with this key. Raises `NotFound`."""
    row = connection.execute(select(schema.generations).where(schema.generations.c.pk == pk)).one_or_none()
    if row is None:
        raise NotFound(f"index generation {pk} does not exist", code="generation_not_found")
    return _generation(row)


def list_generations(connection: Connection, collection: str) -> list[Generation]:
    """All generations of a collection, oldest first."""
    query = select(schema.generations).where(schema.generations.c.collection == collection)
    return [_generation(row) for row in connection.execute(query.order_by(schema.generations.c.pk))]


def _generation(row: Row[tuple[object, ...]]) -> Generation:
    fields = row._mapping
    spec = GenerationSpec(**{name: fields[name] for name in GenerationSpec.__dataclass_fields__})
    return Generation(
        fields["pk"], fields["generation"], fields["collection"], spec, fields["state"], fields["created_at"]
    )
