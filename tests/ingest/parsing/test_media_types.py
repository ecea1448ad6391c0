from __future__ import annotations

import os

import pytest

from ingest.errors import UnsupportedMediaType
from ingest.parsing import detect_media_type
from ingest.parsing import media_types as kinds
from tests.ingest.parsing import samples


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("Report.PDF", kinds.PDF),
        ("a.docx", kinds.DOCX),
        ("a.pptx", kinds.PPTX),
        ("a.xlsx", kinds.XLSX),
        ("a.xls", kinds.XLS),
        ("a.doc", kinds.DOC),
        ("a.odt", kinds.ODT),
        ("a.epub", kinds.EPUB),
        ("a.rtf", kinds.RTF),
        ("a.htm", kinds.HTML),
        ("a.md", kinds.MARKDOWN),
        ("a.mdx", kinds.MARKDOWN),
        ("notes.v2.txt", kinds.PLAIN),
        ("a.csv", kinds.CSV),
        ("a.tsv", kinds.TSV),
        ("a.eml", kinds.EML),
        ("a.msg", kinds.MSG),
        ("a.jsonl", kinds.CORPUS_JSONL),
        ("corpus.v1.jsonl.gz", kinds.CORPUS_JSONL_GZIP),
    ],
)
def test_the_extension_names_the_kind_of_an_empty_head(filename: str, expected: str) -> None:
    """Without bytes to look at, the name decides."""
    assert detect_media_type(filename, None, b"") == expected


@pytest.mark.parametrize(
    ("filename", "head", "expected"),
    [
        ("a.txt", b"%PDF-1.7\n", kinds.PDF),
        ("a.txt", b"junk before\n%PDF-1.4", kinds.PDF),
        ("a.doc", b"{\\rtf1\\ansi", kinds.RTF),
        ("a.zip", samples.make_docx(""), kinds.DOCX),
        ("a.docx", samples.make_xlsx({"S": [["x"]]}), kinds.XLSX),
        ("a.zip", samples.make_odt(""), kinds.ODT),
        ("a.txt", samples.make_epub(""), kinds.EPUB),
        ("a.bin", samples.make_xls([["x"]]), kinds.XLS),
        ("a.bin", samples.make_msg("s", "f", "b"), kinds.MSG),
        ("secret.docx", samples.make_ole({"EncryptedPackage": b""}), kinds.DOCX),
    ],
)
def test_bytes_that_prove_a_kind_win_over_the_name(filename: str, head: bytes, expected: str) -> None:
    """A PDF named `.txt` is a PDF."""
    assert detect_media_type(filename, "text/plain", head[: kinds.HEAD_BYTES]) == expected


@pytest.mark.parametrize(
    ("declared", "head", "expected"),
    [
        ("text/html; charset=utf-8", b"<p>x", kinds.HTML),
        ("application/octet-stream", b"<!DOCTYPE html><p>x", kinds.HTML),
        (None, b"just words", kinds.PLAIN),
        ("application/x-ndjson", b'{"a": 1}', kinds.CORPUS_JSONL),
    ],
)
def test_a_name_without_extension_leaves_it_to_declaration_and_look(
    declared: str | None, head: bytes, expected: str
) -> None:
    """The declared type counts where it is one that can be read."""
    assert detect_media_type("README", declared, head) == expected


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-16", "gb18030", "shift-jis", "cp1252", "big5"]
)
def test_text_in_any_encoding_is_text(encoding: str) -> None:
    """National encodings are not mistaken for binary data."""
    text = {"gb18030": "中文文档", "shift-jis": "日本語の文章", "big5": "中文文件"}.get(encoding, "plain café")
    assert detect_media_type("a.txt", None, (text * 50).encode(encoding)) == kinds.PLAIN


@pytest.mark.parametrize(
    ("filename", "head"),
    [
        ("a.txt", os.urandom(4096)),
        ("a.md", b"\x89PNG\r\n\x1a\n" + bytes(200)),
        ("a.csv", samples.make_zip({"x.bin": b"y"})),
        ("a.exe", b"MZ" + bytes(100)),
        ("photo.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(100)),
        ("a.gz", b"\x1f\x8b\x08\x00"),
        ("nothing", b""),
    ],
)
def test_binary_data_is_refused_with_what_can_be_read(filename: str, head: bytes) -> None:
    """The message lists the supported kinds."""
    with pytest.raises(UnsupportedMediaType, match=r"\.docx.*\.pdf.*\.xlsx"):
        detect_media_type(filename, "application/octet-stream", head)
