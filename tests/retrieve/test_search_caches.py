"""What the search path remembers: the same query at once, and never what is no longer so."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from api.bootstrap import Service
from ingest.catalogue import Catalogue, schema
from ingest.models import ModelRuntime
from retrieve import Access, Query, Ranking
from retrieve.visibility import VisibleVersions
from tests.ingest.support import delete, ingest

FERRIES = Query("when do ferries leave")


def found(service: Service, query: Query = FERRIES, tags: frozenset[str] | None = None) -> Ranking:
    """The service's own searcher on the default collection."""
    collection = service.collections.get("default")
    return service.searcher.search(
        query, collection_pk=collection.pk, generation=collection.live_generation, access=Access(tags)
    )


def ids(ranking: Ranking) -> set[str]:
    """The documents found."""
    return {hit.document_id for hit in ranking.hits}


@pytest.fixture
def ferries(service: Service) -> Service:
    """The service with two documents, and one search behind it."""
    ingest(service, {"a.txt": b"Ferries leave at nine.", "b.txt": b"Dogs leave their ferries at ten."})
    service.credibility.settle()
    assert ids(found(service)) == {"a.txt", "b.txt"}
    return service


def test_the_second_identical_query_asks_nobody(ferries: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither model nor index: the hits are the same, and the only stage is the cache."""
    first = found(ferries)
    monkeypatch.setattr(ModelRuntime, "begin_queries", None)
    monkeypatch.setattr("retrieve.search_batch.query_terms", None)
    second = found(ferries)
    assert second.hits == first.hits
    assert list(second.timings_ms) == ["cache"]


def test_a_query_is_embedded_once(ferries: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another filter, another ranking; the vector is the same."""
    monkeypatch.setattr(ModelRuntime, "begin_queries", None)
    assert ids(found(ferries, Query(FERRIES.text, filter={"document_id": "a.txt"}))) == {"a.txt"}
    assert ferries.searcher.cache_stats()["query_embeddings"].hits == 1


def test_what_may_be_seen_is_worked_out_again_after_a_change_only(
    ferries: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each access and filter; a change of tags counts for the very next search."""
    asked: list[frozenset[str] | None] = []
    restriction = VisibleVersions.restriction

    def counted(visible: VisibleVersions, connection: Any, pk: int, conditions: Any, access: Access) -> Any:
        asked.append(access.tags)
        return restriction(visible, connection, pk, conditions, access)

    monkeypatch.setattr(VisibleVersions, "restriction", counted)
    staff = frozenset({"staff"})
    assert [ids(found(ferries, Query(text), staff)) for text in ("ferries", "dogs")] == [{"a.txt", "b.txt"}] * 2
    assert asked == [staff]
    ingest(ferries, {"a.txt": b"Ferries leave at nine."}, access=["board"])
    assert ids(found(ferries, Query("leave"), staff)) == {"b.txt"}
    assert ids(found(ferries, Query("leave"))) == {"a.txt", "b.txt"}
    assert asked == [staff, staff, None]


@pytest.mark.parametrize(
    "other",
    [
        Query("when do ferries leave?"),
        Query(FERRIES.text, top_k=1),
        Query(FERRIES.text, mode="lexical"),
        Query(FERRIES.text, rerank=False),
        Query(FERRIES.text, filter={"document_id": "a.txt"}),
    ],
)
def test_another_query_has_a_ranking_of_its_own(ferries: Service, other: Query) -> None:
    """Whatever is different in it."""
    assert "cache" not in found(ferries, other).timings_ms


def test_a_new_document_is_found_at_once(ferries: Service) -> None:
    """When its job has ended, the remembered ranking is gone."""
    ingest(ferries, {"c.txt": b"Ferries leave at eleven, too."})
    assert ids(found(ferries)) == {"a.txt", "b.txt", "c.txt"}


def test_a_tombstone_takes_effect_at_once(ferries: Service) -> None:
    """Before anything is purged, and before the index has followed."""
    collection = ferries.collections.get("default")
    ferries.deletion.delete_documents(collection, ["a.txt"], key_id=None)
    assert ids(found(ferries)) == {"b.txt"}


def test_a_changed_credibility_changes_the_score(ferries: Service) -> None:
    """A document that nobody trusts any more scores less in the next search."""
    before = {hit.document_id: hit.score for hit in found(ferries).hits}
    changed = update(schema.documents).where(schema.documents.c.document_id == "a.txt").values(credibility=0.0)
    ferries.catalogue.write(lambda connection: connection.execute(changed))
    after = {hit.document_id: hit.score for hit in found(ferries).hits}
    assert after["a.txt"] < before["a.txt"]


def test_what_one_may_see_is_not_remembered_for_another(service: Service) -> None:
    """Access is part of the key, whoever asks first."""
    ingest(service, {"open.txt": b"Ferries leave at nine."})
    ingest(service, {"secret.txt": b"Secret ferries leave at ten."}, access=("crew",))
    for tags, visible in ((None, {"open.txt", "secret.txt"}), (frozenset(), {"open.txt"}), (None, None)):
        assert ids(found(service, tags=tags)) == (visible or {"open.txt", "secret.txt"})
    assert ids(found(service, tags=frozenset({"crew"}))) == {"open.txt", "secret.txt"}


def test_answers_do_not_make_rankings_forgotten(ferries: Service) -> None:
    """A receipt, like an answer or a job's heartbeat, is no change of a document."""
    row = {"state": "purged", "documents": 0, "removed": {}, "created_at": "2026"}
    ferries.catalogue.write(
        lambda connection: connection.execute(schema.receipts.insert().values(receipt_id="r", collection="c", **row))
    )
    assert "cache" in found(ferries).timings_ms


def test_a_deletion_empties_the_memory_and_counts_it(ferries: Service) -> None:
    """The text of a deleted document lies in no cache, though nobody has searched since; others stay."""
    found(ferries)
    assert ferries.searcher.stale_entries() == 0
    pk = ferries.documents.get(ferries.collections.get("default"), "a.txt").pk
    assert ferries.searcher.evict([pk]) == 2  # a ranking and a text
    assert ferries.searcher.evict([pk]) == 0
    found(ferries)
    receipt = delete(ferries, "a.txt")
    assert receipt.removed["cache_entries"] == 2
    assert ferries.searcher.cache_stats()["rankings"].entries == 0


def test_a_memory_that_contradicts_the_catalogue_is_found(ferries: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were changes not noticed, the audit would tell."""
    found(ferries)
    monkeypatch.setattr(Catalogue, "revision", lambda self, tables: 1_000)
    found(ferries)
    documents = schema.documents
    hidden = update(documents).where(documents.c.document_id == "a.txt").values(live_version_pk=None)
    ferries.catalogue.write(lambda connection: connection.execute(hidden))
    assert ferries.searcher.stale_entries() == 1
