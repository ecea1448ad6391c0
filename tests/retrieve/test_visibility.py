"""Restrictions from memory: the same object while nothing changed, a new one as soon as something did."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, event

from api.bootstrap import Service
from ingest.catalogue import schema
from ingest.errors import InvalidInput
from retrieve import Access
from retrieve.restriction import Restriction
from retrieve.visibility import VisibleVersions
from tests.ingest.support import ingest, upload

STAFF = Access(frozenset({"staff"}))


def restriction(
    service: Service, visible: VisibleVersions, conditions: dict[str, Any], access: Access = STAFF
) -> Restriction:
    """What the search of a caller may see."""
    with service.catalogue.read() as connection:
        return visible.restriction(connection, service.collections.get("default").pk, conditions, access)


def count(found: Restriction) -> int:
    assert found.allowed is not None
    return len(found.allowed)


def test_equal_requests_share_a_restriction_until_the_collection_changes(service: Service) -> None:
    """Another filter, other tags, a new document, a change of metadata or access, a deletion: each is seen at once."""
    visible = VisibleVersions()
    ingest(service, {"a.txt": b"Ferries."}, metadata={"year": 2024})
    first = restriction(service, visible, {"metadata.year": 2024})
    assert restriction(service, visible, {"metadata.year": 2024}) is first
    assert count(restriction(service, visible, {"metadata.year": 2025})) == 0
    assert restriction(service, visible, {"metadata.year": 2024}, Access(frozenset({"crew"}))) is not first
    ingest(service, {"b.txt": b"Dogs."}, metadata={"year": 2024})
    assert count(restriction(service, visible, {"metadata.year": 2024})) == 2
    collection = service.collections.get("default")
    again = upload(service, "a.txt", b"Ferries.", metadata={"year": 2024}, access=["board"])
    service.documents.submit(collection, [again], key_id=None)
    assert count(restriction(service, visible, {"metadata.year": 2024})) == 1
    service.deletion.delete_documents(collection, ["b.txt"], key_id=None)
    assert count(restriction(service, visible, {"metadata.year": 2024})) == 0


def test_what_is_remembered_is_not_read_again(service: Service) -> None:
    """One look at the revision is all that a repeated filter costs."""
    visible = VisibleVersions()
    ingest(service, {"a.txt": b"Ferries."})
    statements: list[str] = []
    with service.catalogue.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        pk = schema_pk(connection)
        for _ in range(3):
            visible.restriction(connection, pk, {"language": "en"}, STAFF)
    assert (
        len(statements) == 1 + 3 + 1 + 1
    )  # the collection, three revisions, one restriction, the end of the transaction


def schema_pk(connection: Connection) -> int:
    """The only collection."""
    return int(connection.execute(schema.collections.select()).one().pk)


def test_only_so_many_are_kept(service: Service) -> None:
    """The one used longest ago is forgotten first."""
    visible = VisibleVersions()
    first = restriction(service, visible, {"title": "0"})
    second = restriction(service, visible, {"title": "1"})
    for number in range(2, 33):
        restriction(service, visible, {"title": str(number)})
        assert restriction(service, visible, {"title": "1"}) is second
    assert restriction(service, visible, {"title": "0"}) is not first


def test_a_bad_filter_is_refused_each_time(service: Service) -> None:
    """Errors are not remembered, nor what is no JSON."""
    visible = VisibleVersions()
    for conditions in ({"nix": 1}, {"title": {"$in": {"a"}}}, {"title": float("nan")}):
        for _ in range(2):
            with pytest.raises(InvalidInput):
                restriction(service, visible, conditions)
