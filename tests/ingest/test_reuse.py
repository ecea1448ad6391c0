"""The same bytes under another id: stored once, neither parsed nor embedded again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from api.bootstrap import Service
from ingest.catalogue import schema
from ingest.collections import CollectionSettings
from ingest.reuse import find_twin
from tests.ingest.support import TextParser, delete, ingest, search

LONG = " ".join(f"Sentence number {number} speaks of ferries and harbours." for number in range(40)).encode()


@pytest.fixture
def embedded(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of documents that are embedded from now on."""
    texts: list[str] = []
    embed = service.runtime.embed

    def watched(encoder: Any, sent: Sequence[str], **named: Any) -> Any:
        if named["kind"] == "document":
            texts.extend(sent)
        return embed(encoder, sent, **named)

    monkeypatch.setattr(service.runtime, "embed", watched)
    return texts


def chunks(service: Service, document_id: str) -> list[tuple[object, ...]]:
    """Spans, texts and vectors of the document's chunks."""
    live = service.documents.get(service.collections.get("default"), document_id).live_version_pk
    table, vectors = schema.chunks, schema.chunk_vectors
    columns = table.c.ordinal, table.c.char_start, table.c.char_end, table.c.page, table.c.text, vectors.c.vector
    query = select(*columns).join(vectors, vectors.c.chunk_pk == table.c.pk).where(table.c.version_pk == live)
    with service.catalogue.read() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(table.c.ordinal))]


def test_the_same_bytes_are_ingested_once(service: Service, parser: TextParser, embedded: list[str]) -> None:
    """With the same title nothing is computed; the copy is found like its model, and outlives it."""
    ingest(service, {"a/notes.txt": LONG}, metadata={"title": "Notes"})
    parser.parsed.clear()
    embedded.clear()
    ingest(service, {"b/notes.txt": LONG}, metadata={"title": "Notes"})
    assert (parser.parsed, embedded) == ([], [])
    assert chunks(service, "b/notes.txt") == chunks(service, "a/notes.txt")
    assert len(list(service.blobs)) == 1
    delete(service, "a/notes.txt")
    assert {hit.document_id for hit in search(service, "ferries harbours")} == {"b/notes.txt"}


def test_another_title_is_embedded_but_not_parsed(service: Service, parser: TextParser, embedded: list[str]) -> None:
    """The title is part of what is embedded; beside documents that are new in all respects."""
    ingest(service, {"a.txt": LONG})
    parser.parsed.clear()
    embedded.clear()
    ingest(service, {"b.txt": LONG, "c.txt": b"New.", "d.txt": LONG}, metadata={})
    assert parser.parsed == ["c.txt"]
    fresh = service.encoders.default.encode(embedded, "document", fast=False)
    for document_id, title in (("b.txt", "b"), ("d.txt", "d")):
        rows = chunks(service, document_id)
        assert [row[:5] for row in rows] == [row[:5] for row in chunks(service, "a.txt")]
        for row in rows:
            made = fresh[embedded.index(f"{title}\n{row[4]}")]
            assert np.allclose(np.frombuffer(row[5], "<f4"), made)  # type: ignore[call-overload]


@pytest.mark.parametrize("difference", ["password", "media type", "collection"])
def test_what_may_not_be_copied_is_read_anew(service: Service, parser: TextParser, difference: str) -> None:
    """What a password opened; what is read as another kind; what lies in another collection."""
    service.put_collection("other", CollectionSettings())
    ingest(service, {"a.txt": LONG}, **({"password": "secret"} if difference == "password" else {}))
    parser.parsed.clear()
    fields = {"media_type": "text/markdown"} if difference == "media type" else {}
    ingest(service, {"b.txt": LONG}, "other" if difference == "collection" else "default", **fields)
    assert parser.parsed == ["b.txt"]


def test_a_deleted_document_is_no_model(service: Service) -> None:
    """From the tombstone on, whether it is purged or not."""
    ingest(service, {"a.txt": LONG})
    collection = service.collections.get("default")
    sha256 = service.documents.get(collection, "a.txt").sha256
    assert find_twin(service.catalogue, collection, sha256, "text/plain") is not None
    service.deletion.delete_documents(collection, ["a.txt"], key_id=None)
    assert find_twin(service.catalogue, collection, sha256, "text/plain") is None
