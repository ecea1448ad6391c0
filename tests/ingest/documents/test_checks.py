"""What a document id and access tags may be."""

from __future__ import annotations

import pytest

from ingest.documents import check_access, check_document_id
from ingest.errors import InvalidInput


@pytest.mark.parametrize("document_id", ["a", "a/b c.pdf", "报告.pdf", "x" * 400, "text", "contents", "a//b", " "])
def test_good_document_ids(document_id: str) -> None:
    """Any printable characters."""
    assert check_document_id(document_id) == document_id


@pytest.mark.parametrize("document_id", ["", "x" * 401, "a\nb", "a\x00", "\x7f", "\ud800", "a/text", "a/b/content"])
def test_bad_document_ids(document_id: str) -> None:
    """Too long, with control characters or half characters, or like one of the routes below a document."""
    with pytest.raises(InvalidInput):
        check_document_id(document_id)


@pytest.mark.parametrize(
    ("access", "tags"), [(None, None), ([], ()), (["b", "a", "b"], ("a", "b")), (["x" * 100], ("x" * 100,))]
)
def test_access_tags_are_sorted_and_distinct(access: list[str] | None, tags: tuple[str, ...] | None) -> None:
    """None leaves the tags as they are; an empty list opens the document to all."""
    assert check_access(access) == tags


@pytest.mark.parametrize("tag", ["", " ", "x" * 101])
def test_bad_access_tags(tag: str) -> None:
    """Empty and overlong ones."""
    with pytest.raises(InvalidInput):
        check_access(["good", tag])
