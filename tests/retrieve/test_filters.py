"""Filters and access tags: every field and operator, typed metadata, and errors that name everything at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from ingest.catalogue import Catalogue, schema
from ingest.errors import InvalidInput
from retrieve.filters import compile_filter, restriction_for
from retrieve.query import Access

DOCUMENTS: dict[str, dict[str, Any]] = {
    "a": {
        "title": "Fares",
        "language": "en",
        "media_type": "text/plain",
        "created_at": "2025-01-01T00:00:00.000000Z",
        "credibility": 0.9,
        "metadata": {"year": 2024, "tag": "5", "draft": False, "deep": {"er": {"key one": "x"}}},
    },
    "b": {
        "title": "Dogs",
        "language": "zh",
        "media_type": "application/pdf",
        "created_at": "2025-06-01T00:00:00.000000Z",
        "credibility": 0.5,
        "metadata": {"year": 2025.5, "tag": 5, "draft": True, "deep": "x"},
    },
    "c": {
        "title": None,
        "language": None,
        "media_type": "text/plain",
        "created_at": "2026-01-01T00:00:00.000000Z",
        "credibility": 0.1,
        "metadata": {"year": "2024", "tag": None, "list": ["x"]},
    },
}
"""Versions 1, 2 and 3, live."""


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A catalogue with the documents in collection 1; b has a retired version 4, c a pending 5; d (6) is tombstoned."""
    catalogue = Catalogue(Path(tmp_path_factory.mktemp("filters")) / "catalogue.sqlite")
    catalogue.write(fill)
    with catalogue.read() as opened:
        yield opened
    catalogue.close()


def fill(connection: Connection) -> None:
    for pk, name in ((1, "one"), (2, "two")):
        row = {"source_priors": {}, "templates": {}, "live_generation_pk": 1, "created_at": "2025"}
        connection.execute(insert(schema.collections).values(pk=pk, name=name, **row))
    for pk, (document_id, fields) in enumerate(DOCUMENTS.items(), start=1):
        add_document(connection, pk, document_id, **fields)
        add_version(connection, pk, pk, 1, "live")
    add_version(connection, 4, 2, 0, "retired")
    add_version(connection, 5, 3, 2, "pending")
    add_document(connection, 4, "d", **DOCUMENTS["a"], tombstoned_at="2026")
    add_version(connection, 6, 4, 1, "live")
    add_document(connection, 5, "a", collection_pk=2, **DOCUMENTS["a"])
    add_version(connection, 7, 5, 1, "live")
    for document_pk, tags in ((1, ["staff"]), (2, ["staff", "board"])):
        for tag in tags:
            connection.execute(insert(schema.document_access).values(document_pk=document_pk, tag=tag))


def add_document(connection: Connection, pk: int, document_id: str, **fields: Any) -> None:
    row = {"collection_pk": 1, "status": "ready", "credibility_source": 0.5, "updated_at": "2026", **fields}
    connection.execute(insert(schema.documents).values(pk=pk, document_id=document_id, **row))


def add_version(connection: Connection, pk: int, document_pk: int, version: int, state: str) -> None:
    row = {"sha256": "0", "bytes": 1, "media_type": "t", "filename": "f", "has_blob": 0, "source_metadata": {}}
    row |= {"page_spans": [], "created_at": "2025", "state": state, "version": version, "document_pk": document_pk}
    connection.execute(insert(schema.versions).values(pk=pk, **row))


def seen(connection: Connection, conditions: dict[str, Any], *tags: str, everything: bool = True) -> list[int]:
    """Version keys of collection 1 that a search may see."""
    access = Access.everything() if everything else Access(frozenset(tags))
    restriction = restriction_for(connection, 1, conditions, access)
    assert restriction.allowed is not None
    return [int(key) for key in restriction.allowed]


@pytest.mark.parametrize(
    ("conditions", "versions"),
    [
        ({"document_id": "a"}, [1]),
        ({"document_id": {"$in": ["a", "c", "nothing"]}}, [1, 3]),
        ({"document_id": {"$gte": "b"}}, [2, 3, 4]),
        ({"title": "Fares"}, [1]),
        ({"title": {"$ne": "Fares"}}, [2, 3, 4]),
        ({"language": "zh"}, [2, 4]),
        ({"language": {"$ne": "zh"}}, [1, 3]),
        ({"media_type": "text/plain"}, [1, 3]),
        ({"created_at": {"$gte": "2025-06"}}, [2, 3, 4]),
        ({"created_at": {"$gte": "2025-02", "$lte": "2025-12"}}, [2, 4]),
        ({"credibility": {"$gte": 0.5}}, [1, 2, 4]),
        ({"credibility": {"$lte": 0.5}}, [2, 3, 4]),
        ({"credibility": {"$gte": 1}}, []),
        ({"credibility": {"$in": [0.9, 0.1]}}, [1, 3]),
        ({"credibility": {"$eq": 0.9}}, [1]),
        ({"media_type": "text/plain", "language": "en"}, [1]),
        ({"title": {"$in": ["Fares", "Dogs"], "$ne": "Dogs"}}, [1]),
    ],
)
def test_fields_and_operators(connection: Connection, conditions: dict[str, Any], versions: list[int]) -> None:
    """All conditions must hold; kept versions count, pending, tombstoned and other collections' do not."""
    assert seen(connection, conditions) == versions


@pytest.mark.parametrize(
    ("conditions", "versions"),
    [
        ({"metadata.year": 2024}, [1]),
        ({"metadata.year": "2024"}, [3]),
        ({"metadata.year": 2025.5}, [2, 4]),
        ({"metadata.year": {"$gte": 2024}}, [1, 2, 4]),
        ({"metadata.year": {"$lte": 2025}}, [1]),
        ({"metadata.year": {"$in": [2024, 2025.5]}}, [1, 2, 4]),
        ({"metadata.year": {"$ne": 2024}}, [2, 3, 4]),
        ({"metadata.tag": "5"}, [1]),
        ({"metadata.tag": 5}, [2, 4]),
        ({"metadata.tag": {"$lte": 6}}, [2, 4]),
        ({"metadata.tag": {"$gte": "4"}}, [1]),
        ({"metadata.tag": {"$ne": "5"}}, [2, 3, 4]),
        ({"metadata.draft": True}, [2, 4]),
        ({"metadata.draft": False}, [1]),
        ({"metadata.draft": 0}, []),
        ({"metadata.draft": {"$ne": True}}, [1, 3]),
        ({"metadata.draft": {"$in": [True, False]}}, [1, 2, 4]),
        ({"metadata.deep.er.key one": "x"}, [1]),
        ({"metadata.deep": "x"}, [2, 4]),
        ({"metadata.list": "x"}, []),
        ({"metadata.nothing": "x"}, []),
        ({"metadata.nothing": {"$ne": "x"}}, [1, 2, 3, 4]),
    ],
)
def test_metadata_is_compared_in_its_own_type(
    connection: Connection, conditions: dict[str, Any], versions: list[int]
) -> None:
    """The text "5" is not the number 5, true is not 1, and what is missing is not equal to anything."""
    assert seen(connection, conditions) == versions


@pytest.mark.parametrize(
    ("conditions", "fields"),
    [
        ({"size": 1}, ["filter.size"]),
        ({"metadata": {}}, ["filter.metadata"]),
        ({"metadata.": "x"}, ["filter.metadata."]),
        ({'metadata.a"b': "x"}, ['filter.metadata.a"b']),
        ({"title": {}}, ["filter.title"]),
        ({"title": None}, ["filter.title"]),
        ({"title": 5}, ["filter.title"]),
        ({"title": ["a"]}, ["filter.title"]),
        ({"title": {"$in": "ab"}}, ["filter.title"]),
        ({"title": {"$in": []}}, ["filter.title"]),
        ({"title": {"$in": ["a"] * 1001}}, ["filter.title"]),
        ({"title": {"$regex": "a"}}, ["filter.title"]),
        ({"title": "\x00"}, ["filter.title"]),
        ({"title": "\ud800"}, ["filter.title"]),
        ({"credibility": "high"}, ["filter.credibility"]),
        ({"credibility": True}, ["filter.credibility"]),
        ({"credibility": float("nan")}, ["filter.credibility"]),
        ({"metadata.a": {"$in": [1, "a"]}}, ["filter.metadata.a"]),
        ({"metadata.a": {"b": 1}}, ["filter.metadata.a"]),
        ({"metadata.a": {"$gte": True}}, ["filter.metadata.a"]),
        ({"metadata.a": 2**63}, ["filter.metadata.a"]),
        (
            {"size": 1, "title": {"$regex": "a", "$ne": 5}, "language": "en", "credibility": "x"},
            ["filter.size", "filter.title", "filter.title", "filter.credibility"],
        ),
    ],
)
def test_everything_wrong_is_named_at_once(conditions: dict[str, Any], fields: list[str]) -> None:
    """Unknown fields and operators are errors: a filter that is ignored shows what it should hide."""
    with pytest.raises(InvalidInput) as caught:
        compile_filter(conditions)
    assert caught.value.code == "invalid_filter"
    assert [problem.field for problem in caught.value.problems] == fields


@pytest.mark.parametrize(
    ("tags", "versions"),
    [
        ([], [3]),
        (["staff"], [1, 2, 3, 4]),
        (["board"], [2, 3, 4]),
        (["x"], [3]),
        (["x", "board", "staff"], [1, 2, 3, 4]),
    ],
)
def test_access_tags(connection: Connection, tags: list[str], versions: list[int]) -> None:
    """Documents without tags are everyone's; others need one tag in common. a: staff; b: staff, board; c: none."""
    assert seen(connection, {}, *tags, everything=False) == versions


def test_access_and_filter_both_hold(connection: Connection) -> None:
    """The board sees Dogs, but not Fares."""
    assert seen(connection, {"title": {"$in": ["Dogs", "Fares"]}}, "board", everything=False) == [2, 4]


def test_without_a_filter_only_tombstones_are_excluded(connection: Connection) -> None:
    """The usual search carries a short list."""
    restriction = restriction_for(connection, 1, {}, Access.everything())
    assert restriction.allowed is None
    assert restriction.excluded.tolist() == [6]
