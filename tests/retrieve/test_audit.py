"""The audit of an index: silent where it agrees with the catalogue, and exact about what differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import delete, update

from ingest.catalogue import Catalogue, schema
from ingest.collections import Collection
from retrieve.audit import Difference, IndexAudit, audit_snapshot
from retrieve.candidates import Candidates
from retrieve.generation_index import GenerationIndex, Snapshot
from retrieve.restriction import Restriction
from retrieve.storage import IndexFolder
from retrieve.stored_indexes import audit_stored, renew_stored
from tests.retrieve.support import put

NONE = Difference()


@pytest.fixture
def index(catalogue: Catalogue, collection: Collection, tmp_path: Path) -> Iterator[GenerationIndex]:
    """Over eight documents, two of them replaced; stored in a folder named after the generation."""
    folder = IndexFolder(tmp_path / "indexes" / str(collection.live_generation.pk))
    index = GenerationIndex(catalogue, collection.pk, collection.live_generation, folder=folder)
    for number in [1, 2, 3, 4, 5, 6, 7, 8, 2, 5]:
        put(catalogue, collection, number, f"ferry number {number} leaves harbour {number}")
        index.advance()
    index.checkpoint()
    yield index
    index.close()


@dataclass
class Vectors:
    """A vector snapshot that holds what it is told to."""

    held: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]

    def contents(self) -> Iterator[Any]:
        yield self.held


@dataclass
class Postings:
    """A lexical snapshot that holds what it is told to, and finds all but some chunks."""

    held: tuple[NDArray[np.int64], NDArray[np.int64]]
    lost: tuple[int, ...] = ()

    def contents(self) -> Any:
        return self.held

    def search(self, terms: Any, *, top_k: int, restriction: Restriction) -> Candidates:
        found = self.held[0][~np.isin(self.held[0], self.lost)]
        return Candidates.best(found, np.ones(len(found), np.float32), top_k=top_k)


def contents(index: GenerationIndex) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """What the vector index holds, ascending by chunk."""
    assert index.snapshot is not None
    parts = list(index.snapshot.vector.contents())
    chunks, versions, vectors = (np.concatenate([part[place] for part in parts]) for place in range(3))
    order = np.argsort(chunks)
    return chunks[order], versions[order], vectors[order]


def audited(catalogue: Catalogue, index: GenerationIndex, vectors: Any, postings: Any) -> IndexAudit:
    assert index.snapshot is not None
    snapshot = Snapshot(index.snapshot.seq, vectors, postings)
    with catalogue.read() as connection:
        return audit_snapshot(connection, index.collection_pk, index.generation.pk, snapshot)


def test_an_index_that_followed_the_log_agrees(catalogue: Catalogue, index: GenerationIndex) -> None:
    """After additions and replacements; chunk by chunk, not only in number."""
    audit = index.audit()
    assert audit.agrees
    assert audit.chunks == 8


def test_every_kind_of_difference_is_named(catalogue: Catalogue, index: GenerationIndex) -> None:
    """A chunk lost, one of the past, one twice, one of another version, one with another vector: by key."""
    chunks, versions, vectors = contents(index)
    held = np.concatenate([chunks[1:], chunks[3:4], [999]])
    owners = np.concatenate([versions[1:], versions[3:4], [1]])
    owners[1] += 50
    kept = np.concatenate([vectors[1:], vectors[3:4], vectors[:1]])
    kept[4] = vectors[0]
    audit = audited(catalogue, index, Vectors((held, owners, kept)), Postings((held, owners), (int(chunks[6]),)))
    common = {"missing": (int(chunks[0]),), "left_over": (999,), "doubled": (int(chunks[3]),)}
    assert audit.vectors == Difference(**common, wrong=(int(chunks[2]), int(chunks[5])))
    assert audit.postings == Difference(**common, wrong=(int(chunks[2]), int(chunks[6])))
    assert not audit.agrees
    assert str(audit.vectors) == (
        f"1 missing (chunk {chunks[0]}), 1 left over (chunk 999), 1 doubled (chunk {chunks[3]}),"
        f" 2 wrong (chunk {chunks[2]})"
    )


def test_half_precision_is_no_difference(catalogue: Catalogue, index: GenerationIndex) -> None:
    """Approximate tiers keep vectors in 16 bits."""
    chunks, versions, vectors = contents(index)
    halved = vectors.astype(np.float16).astype(np.float32)
    assert audited(catalogue, index, Vectors((chunks, versions, halved)), Postings((chunks, versions))).agrees


def test_an_empty_index_agrees_with_an_empty_catalogue(catalogue: Catalogue, collection: Collection) -> None:
    """Nothing against nothing."""
    index = GenerationIndex(catalogue, collection.pk, collection.live_generation)
    assert index.audit() == IndexAudit(0, 0, NONE, NONE)
    index.close()


def test_what_is_stored_is_audited_in_a_copy(
    catalogue: Catalogue, collection: Collection, index: GenerationIndex, tmp_path: Path
) -> None:
    """Beside the process that works on it, with what came since; nothing remains of the copy."""
    put(catalogue, collection, 9, "a ninth ferry")
    before = sorted(path for path in (tmp_path / "indexes").rglob("*") if path.is_file())
    found = audit_stored(catalogue, collection.pk, collection.live_generation, tmp_path / "indexes")
    assert (found.audit.agrees, found.audit.chunks, found.is_stored, found.damage) == (True, 9, True, None)
    assert sorted(path for path in (tmp_path / "indexes").rglob("*") if path.is_file()) == before
    assert index.audit().agrees


def test_without_a_stored_index_the_catalogue_is_read(catalogue: Catalogue, collection: Collection) -> None:
    """As a start would."""
    put(catalogue, collection, 1, "one ferry")
    found = audit_stored(catalogue, collection.pk, collection.live_generation, Path("nowhere"))
    assert (found.audit.agrees, found.audit.chunks, found.is_stored) == (True, 1, False)


@pytest.mark.parametrize("name", ["manifest.json", "files/*.flat", "files/*.live"])
def test_damage_is_told_and_renewed(
    catalogue: Catalogue, collection: Collection, index: GenerationIndex, tmp_path: Path, name: str
) -> None:
    """The index is built from the catalogue instead; renewed, it is stored again."""
    index.close()
    (path, *_) = (tmp_path / "indexes" / str(collection.live_generation.pk)).glob(name)
    path.write_bytes(path.read_bytes()[:-3] + b"???")
    found = audit_stored(catalogue, collection.pk, collection.live_generation, tmp_path / "indexes")
    assert found.audit.agrees
    assert found.damage is not None
    renew_stored(catalogue, collection.pk, collection.live_generation, tmp_path / "indexes")
    found = audit_stored(catalogue, collection.pk, collection.live_generation, tmp_path / "indexes")
    assert (found.audit.agrees, found.is_stored, found.damage) == (True, True, None)


def test_a_stored_index_of_other_chunks_is_found(
    catalogue: Catalogue, collection: Collection, index: GenerationIndex, tmp_path: Path
) -> None:
    """Their number is the same: only the keys tell."""
    key = int(contents(index)[0][0])
    chunks, vectors = schema.chunks, schema.chunk_vectors
    catalogue.write(lambda connection: connection.execute(delete(vectors).where(vectors.c.chunk_pk == key)))
    catalogue.write(lambda connection: connection.execute(update(chunks).where(chunks.c.pk == key).values(pk=5_000)))
    found = audit_stored(catalogue, collection.pk, collection.live_generation, tmp_path / "indexes")
    assert found.damage is None
    assert (found.audit.vectors.missing, found.audit.vectors.left_over) == ((5_000,), (key,))
    assert (found.audit.postings.missing, found.audit.postings.left_over) == ((5_000,), (key,))
