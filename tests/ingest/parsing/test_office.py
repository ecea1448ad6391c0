from __future__ import annotations

import pytest

from ingest.errors import ExtractionFailed
from ingest.parsing.media_types import DOC, EPUB, MSG, ODT, RTF, XLS, XLSX
from tests.ingest.parsing.conftest import ParseBytes
from tests.ingest.parsing.samples import make_epub, make_msg, make_odt, make_ole, make_xls, make_xlsx

ROWS: list[list[str | float]] = [["Name", "Count"], ["R&amp;D_x*", 5.0], ["Tea", 1.5]]


def test_sheets_become_headings_over_readable_rows(parse_bytes: ParseBytes) -> None:
    """Each row names its columns; signs are not escaped."""
    document = parse_bytes(make_xlsx({"S &amp; T": ROWS, "Two": [["only"]]}), XLSX)
    assert document.text == ("S & T\n\nName | Count\nName: R&D_x*; Count: 5\nName: Tea; Count: 1.5\n\nTwo\n\nonly")
    assert [(h.level, h.title) for h in document.headings] == [(2, "S & T"), (2, "Two")]
    assert document.title is None


@pytest.mark.parametrize(
    ("data", "media_type", "expected"),
    [
        (make_xls([["Name", "Count"], ["R&D", 5.0]]), XLS, "Sheet1\n\nName | Count\nName: R&D; Count: 5"),
        (make_odt("<text:p>R&amp;D <text:span>a_</text:span>b</text:p>"), ODT, "R&D a_b"),
        (make_epub("<p>R&amp;D <i>a_</i>b</p>"), EPUB, "R&D a_b"),
        (rb"{\rtf1\ansi R&D \{a_b\} caf\'e9\par}", RTF, "R&D {a_b} café"),
        (
            make_msg("Re: R&D", "Ann", "5 < 6\r\nBye"),
            MSG,
            'Subject: Re: R&D\nFrom: "Ann" <ann@example.org>\n\n5 < 6\nBye',
        ),
    ],
)
def test_text_is_what_a_reader_sees(parse_bytes: ParseBytes, data: bytes, media_type: str, expected: str) -> None:
    """Every kind that kreuzberg reads, with signs that Markdown would escape."""
    assert parse_bytes(data, media_type).text == expected


def test_books_have_title_and_headings(parse_bytes: ParseBytes) -> None:
    """Lists stand tight, pictures vanish."""
    chapter = '<h1>One</h1><p>text</p><img src="x.png" alt="y"/><ul><li>a</li><li>b</li></ul><h2>Two</h2><p>z</p>'
    document = parse_bytes(make_epub(chapter), EPUB)
    assert document.title == "A & B"
    assert document.text == "One\n\ntext\n\n- a\n- b\n\nTwo\n\nz"
    assert [(h.level, h.title) for h in document.headings] == [(1, "One"), (2, "Two")]


ENCRYPTED_PACKAGE = make_ole({"EncryptedPackage": b"x" * 100, "EncryptionInfo": b"y"})
ENCRYPTED_ODT = make_odt("<text:p>x</text:p>", manifest="<manifest:encryption-data/>")


@pytest.mark.parametrize(
    ("data", "media_type", "code"),
    [
        (ENCRYPTED_PACKAGE, XLSX, "password_required"),
        (ENCRYPTED_ODT, ODT, "password_required"),
        (make_xlsx({"S": ROWS})[:-30], XLSX, "broken_document"),
        (make_xlsx({"S": []}), XLSX, "empty_document"),
        (make_ole({"WordDocument": b"x"}), DOC, "broken_document"),
        (make_ole({"Other": b"x"}), XLS, "broken_document"),
        (b"junk", RTF, "broken_document"),
        (b"junk", MSG, "broken_document"),
        (b"PKjunk", EPUB, "broken_document"),
        (make_odt(""), ODT, "empty_document"),
    ],
)
def test_files_that_cannot_be_read(parse_bytes: ParseBytes, data: bytes, media_type: str, code: str) -> None:
    """Encrypted, damaged, foreign and empty files are told apart."""
    with pytest.raises(ExtractionFailed) as failed:
        parse_bytes(data, media_type)
    assert failed.value.code == code


def test_a_password_does_not_help_an_office_file(parse_bytes: ParseBytes) -> None:
    """The message says so instead of calling the password wrong."""
    with pytest.raises(ExtractionFailed, match="supported for PDF only"):
        parse_bytes(ENCRYPTED_PACKAGE, XLSX, password="right")
