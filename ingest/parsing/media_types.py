"""Names the kind of a file from its first bytes, its name and what the caller declared, in this order of
trust.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from ingest.errors import UnsupportedMediaType
from ingest.parsing.encodings import utf16_without_mark

PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLS: Final = "application/vnd.ms-excel"
DOC: Final = "application/msword"
ODT: Final = "application/vnd.oasis.opendocument.text"
EPUB: Final = "application/epub+zip"
RTF: Final = "application/rtf"
HTML: Final = "text/html"
MARKDOWN: Final = "text/markdown"
PLAIN: Final = "text/plain"
CSV: Final = "text/csv"
TSV: Final = "text/tab-separated-values"
EML: Final = "message/rfc822"
MSG: Final = "application/vnd.ms-outlook"
CORPUS_JSONL: Final = "application/jsonl"
CORPUS_JSONL_GZIP: Final = "application/jsonl+gzip"

HEAD_BYTES: Final = 8192
"""How much of a file `detect_media_type` wants to see."""

_BY_EXTENSION: Final = {
    ".pdf": PDF, ".docx": DOCX, ".docm": DOCX, ".pptx": PPTX, ".pptm": PPTX, ".xlsx": XLSX, ".xlsm": XLSX,
    ".xls": XLS, ".doc": DOC, ".odt": ODT, ".epub": EPUB, ".rtf": RTF, ".html": HTML, ".htm": HTML,
    ".xhtml": HTML,
    ".md": MARKDOWN, ".mdx": MARKDOWN, ".markdown": MARKDOWN, ".txt": PLAIN, ".text": PLAIN, ".log": PLAIN,
    ".csv": CSV, ".tsv": TSV, ".eml": EML, ".msg": MSG, ".jsonl": CORPUS_JSONL,
    ".jsonl.gz": CORPUS_JSONL_GZIP,
}  # fmt: skip
_ALIASES: Final = {
    "application/xhtml+xml": HTML, "text/rtf": RTF, "text/x-markdown": MARKDOWN, "application/csv": CSV,
    "application/x-ndjson": CORPUS_JSONL, "application/x-pdf": PDF,
}  # fmt: skip
_ZIP_TYPES: Final = (DOCX, PPTX, XLSX, ODT, EPUB)
_ZIP_CONTENT: Final = (
    (b"mimetypeapplication/epub+zip", EPUB),
    (b"mimetypeapplication/vnd.oasis.opendocument.text", ODT),
    (b"word/", DOCX),
    (b"ppt/", PPTX),
    (b"xl/", XLSX),
)
# an encrypted DOCX, PPTX or XLSX is an OLE container too; its parser says so
_OLE_TYPES: Final = (DOC, XLS, MSG, DOCX, PPTX, XLSX)
_OLE_CONTENT: Final = (("WordDocument", DOC), ("Workbook", XLS), ("__substg1.0_", MSG))
_GZIP: Final = b"\x1f\x8b"
_TEXT_TYPES: Final = (HTML, MARKDOWN, PLAIN, CSV, TSV, EML, CORPUS_JSONL)
_CONTROL: Final = bytes({*range(32), 127} - set(b"\t\n\r\f\x1b"))


def detect_media_type(filename: str, declared: str | None, head: bytes) -> str:
    """The media type under which to parse a file.

    `head` is the beginning of the file, at best `HEAD_BYTES` of it; it may be empty. Bytes that prove a kind
    (a PDF named `.txt`) win over the name, and the name wins over `declared`. Raises `UnsupportedMediaType`
    for kinds that no parser reads and for binary data that claims to be text.
    """
    named = _by_extension(filename) or _by_declaration(declared)
    found = _by_magic(head, named)
    if found is not None:
        return found
    if head.startswith(_GZIP) and named != CORPUS_JSONL_GZIP:
        raise _unsupported(filename, declared)
    if named in _TEXT_TYPES and not _is_binary(head):
        return named
    if named is None and head and not _is_binary(head):
        return HTML if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")) else PLAIN
    if named is not None and named not in _TEXT_TYPES:
        return named  # damaged beyond its magic: the parser of that kind explains it best
    raise _unsupported(filename, declared)


def supported_extensions() -> tuple[str, ...]:
    """All file name endings that are understood, sorted."""
    return tuple(sorted(_BY_EXTENSION))


def _by_extension(filename: str) -> str | None:
    suffixes = [suffix.lower() for suffix in PurePath(filename.replace("\\", "/")).suffixes]
    return _BY_EXTENSION.get("".join(suffixes[-2:])) or _BY_EXTENSION.get("".join(suffixes[-1:]))


def _by_declaration(declared: str | None) -> str | None:
    name = (declared or "").partition(";")[0].strip().lower()
    name = _ALIASES.get(name, name)
    return name if name in _BY_EXTENSION.values() else None


def _by_magic(head: bytes, named: str | None) -> str | None:
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith(b"{\\rtf"):
        return RTF
    if head.startswith(b"PK\x03\x04"):
        return _in_zip(head, named)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _in_ole(head, named)
    return None


def _in_zip(head: bytes, named: str | None) -> str | None:
    inside = [media_type for mark, media_type in _ZIP_CONTENT if mark in head]
    if named in _ZIP_TYPES and (named in inside or not inside):
        return named
    return inside[0] if inside else None


def _in_ole(head: bytes, named: str | None) -> str | None:
    if named in _OLE_TYPES:
        return named
    return next((kind for name, kind in _OLE_CONTENT if name.encode("utf-16-le") in head), None)


def _is_binary(head: bytes) -> bool:
    """More than one byte in fifty is a control character, also after decoding what looks like UTF-16."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    if (encoding := utf16_without_mark(head)) is not None:
        head = head.decode(encoding, errors="replace").encode("utf-8")
    return 50 * sum(map(head.count, (bytes([c]) for c in _CONTROL))) > max(50, len(head))


def _unsupported(filename: str, declared: str | None) -> UnsupportedMediaType:
    return UnsupportedMediaType(
        f"{filename} (declared as {declared or 'nothing'}) is of no kind that can be read;"
        f" convert it to one of {', '.join(supported_extensions())}"
    )
