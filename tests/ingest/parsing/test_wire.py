from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import ExtractionFailed
from ingest.parsing import Attachment, Heading, Page, ParsedDocument, ParseLimits, SourceFile, wire

DOCUMENT = ParsedDocument(
    text="标题 😀\n\ntext",
    title="标题",
    pages=(Page(1, 0, 10),),
    headings=(Heading(1, "标题", 0),),
    document_date=date(2024, 1, 2),
    quality=0.5,
    attachments=(Attachment("a.bin", "application/pdf", bytes(range(256))),),
    parser="p",
)
LIMITS = ParseLimits()


def sent(message: wire.Message) -> wire.Message:
    """The message after its way through the pipe."""
    return wire.unpack(wire.pack(message)[wire.LENGTH.size :])


def test_documents_come_back_equal() -> None:
    """Text outside of the BMP, dates and bytes included."""
    assert wire.read_answer(sent(wire.success(DOCUMENT)), LIMITS) == DOCUMENT


def test_requests_come_back_equal() -> None:
    """With a file name that is not UTF-8."""
    source = SourceFile(Path("/data/x"), "naïve \ud800.pdf", "application/pdf", "pass word")
    got, limits = wire.read_request(sent(wire.request(source, LIMITS)))
    assert (got.path, got.password, limits) == (source.path, source.password, LIMITS)


def test_errors_come_back_as_errors() -> None:
    """With code and message."""
    with pytest.raises(ExtractionFailed, match="reason") as failed:
        wire.read_answer(sent(wire.failure(ExtractionFailed("reason", code="empty_document"))), LIMITS)
    assert failed.value.code == "empty_document"


GOOD: dict[str, Any] = wire.success(DOCUMENT)["document"]


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"document": None},
        {"document": {**GOOD, "text": ""}},
        {"document": {**GOOD, "text": 5}},
        {"document": {**GOOD, "pages": [[1, 0, 11]]}},
        {"document": {**GOOD, "headings": [[1, "x", -1]]}},
        {"document": {**GOOD, "headings": [["x"]]}},
        {"document": {**GOOD, "document_date": "soon"}},
        {"document": {**GOOD, "attachments": [["a", "b", "not base64!"]]}},
        {"error": {"code": "made_up", "message": "x"}},
        {"error": "x"},
    ],
)
def test_answers_of_another_form_are_garbled(message: dict[str, Any]) -> None:
    """Nothing that a captured parser sends is taken on trust."""
    with pytest.raises(wire.GarbledMessageError):
        wire.read_answer(message, LIMITS)


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_object(body: bytes) -> None:
    """Deep nesting does not break the service either."""
    with pytest.raises(wire.GarbledMessageError):
        wire.unpack(body)
