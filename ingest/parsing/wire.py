"""What a parser process and the service say to each other: JSON after a length, never pickled objects.

A hostile document may take over the process that parses it; whatever it then sends can only be a document or
an error.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from datetime import date
from pathlib import Path
from typing import Any, Final

from ingest.errors import ExtractionFailed
from ingest.parsing.document import Attachment, Heading, Page, ParsedDocument, ParseLimits, SourceFile

LENGTH: Final = struct.Struct(">Q")
READY: Final = {"ready": True}
PAGE_RECOGNISED: Final = {"notice": "page_recognised"}
"""No answer yet: a page was read from its picture."""
LAST: Final = {"last": True}
"""Added to an answer after which the worker ends."""
ERROR_CODES: Final = frozenset({
    "password_required", "wrong_password", "no_text_layer", "broken_document", "empty_document",
    "unsupported_media_type", "parser_timeout", "parser_crashed", "too_large",
})  # fmt: skip

Message = dict[str, Any]


class GarbledMessageError(ValueError):
    """A message is no JSON, or does not have the agreed form."""


def pack(message: Message) -> bytes:
    """A message as bytes: its length in 8 bytes, then JSON in UTF-8."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", errors="replace")
    return LENGTH.pack(len(body)) + body


def unpack(body: bytes) -> Message:
    """The message of a body without its length. Raises `GarbledMessageError`."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise GarbledMessageError("not JSON") from error
    if not isinstance(message, dict):
        raise GarbledMessageError("not an object")
    return message


def request(source: SourceFile, limits: ParseLimits) -> Message:
    """The order to parse one file."""
    return {
        "source": {
            "path": str(source.path), "filename": source.filename, "media_type": source.media_type,
            "password": source.password,
        },
        "limits": {
            "timeout_s": limits.timeout_s, "memory_bytes": limits.memory_bytes, "pages_max": limits.pages_max,
            "decompressed_bytes_max": limits.decompressed_bytes_max, "text_chars_max": limits.text_chars_max,
            "ocr_page_s": limits.ocr_page_s, "ocr_pages_max": limits.ocr_pages_max,
            "attachments_max": limits.attachments_max,
        },
    }  # fmt: skip


def read_request(message: Message) -> tuple[SourceFile, ParseLimits]:
    """The inverse of `request`; the service is trusted, so its form is not checked."""
    source = message["source"]
    return SourceFile(**{**source, "path": Path(source["path"])}), ParseLimits(**message["limits"])


def success(document: ParsedDocument) -> Message:
    """The answer that carries a parsed document."""
    return {
        "document": {
            "text": document.text,
            "title": document.title,
            "pages": [[page.number, page.start, page.end] for page in document.pages],
            "headings": [[heading.level, heading.title, heading.start] for heading in document.headings],
            "document_date": document.document_date.isoformat() if document.document_date else None,
            "quality": document.quality,
            "attachments": [
                [one.filename, one.media_type, base64.b64encode(one.data).decode("ascii")]
                for one in document.attachments
            ],
            "parser": document.parser,
        }
    }


def failure(error: ExtractionFailed) -> Message:
    """The answer that says why there is no document."""
    return {"error": {"code": error.code, "message": error.message}}


def read_answer(message: Message, limits: ParseLimits) -> ParsedDocument:
    """The document of an answer, every field checked.

    Raises the `ExtractionFailed` that the answer carries, or `GarbledMessageError` where it has neither form.
    """
    try:
        if "error" in message:
            raise _failure(message["error"])
        return _document(message["document"], limits)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise GarbledMessageError(f"unexpected form: {error}") from error


def _failure(error: Message) -> ExtractionFailed:
    if error["code"] not in ERROR_CODES:
        raise GarbledMessageError("unknown error code")
    return ExtractionFailed(str(error["message"])[:2000], code=str(error["code"]))


def _document(fields: Message, limits: ParseLimits) -> ParsedDocument:
    text, title, day = fields["text"], fields["title"], fields["document_date"]
    if not isinstance(text, str) or not 0 < len(text) <= limits.text_chars_max:
        raise GarbledMessageError("no text, or too much")
    return ParsedDocument(
        text=text,
        title=None if title is None else str(title),
        pages=tuple(
            Page(int(number), _offset(start, text), _offset(end, text)) for number, start, end in fields["pages"]
        ),
        headings=tuple(
            Heading(int(level), str(name), _offset(start, text)) for level, name, start in fields["headings"]
        ),
        document_date=None if day is None else date.fromisoformat(day),
        quality=min(1.0, max(0.0, float(fields["quality"]))),
        attachments=tuple(
            Attachment(str(name), str(kind), base64.b64decode(data, validate=True))
            for name, kind, data in fields["attachments"]
        ),
        parser=str(fields["parser"]),
    )


def _offset(value: object, text: str) -> int:
    if not isinstance(value, int) or not 0 <= value <= len(text):
        raise GarbledMessageError("offset outside of the text")
    return value
