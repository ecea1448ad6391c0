from __future__ import annotations

from datetime import date

import pytest

from ingest.errors import ExtractionFailed
from ingest.parsing import ocr
from ingest.parsing.blocks import clean
from ingest.parsing.media_types import PDF
from tests.ingest.parsing.conftest import ParseBytes
from tests.ingest.parsing.samples import PAGE_OF_PICTURE, make_pdf, text_page


def test_pages_have_exact_spans(parse_bytes: ParseBytes) -> None:
    """Also an empty page has one; bookmarks that are lines become headings."""
    pages = [text_page("Café (one)", "second line"), b"", text_page("1.2 Page three", "end")]
    document = parse_bytes(
        make_pdf(
            pages,
            info="/Title(My file)/ModDate(D:20240102030405Z)",
            bookmarks=[("Page three", 2), ("Gone", 0)],
        ),
        PDF,
    )
    assert document.text == "Café (one)\nsecond line\n1.2 Page three\nend"
    assert [document.text[p.start : p.end].strip() for p in document.pages] == [
        "Café (one)\nsecond line",
        "",
        "1.2 Page three\nend",
    ]
    assert [(h.level, h.title, h.start) for h in document.headings] == [(1, "Page three", 23)]
    assert (document.title, document.document_date) == ("My file", date(2024, 1, 2))
    assert document.quality == 1


@pytest.mark.parametrize(("password", "code"), [(None, "password_required"), ("wrong", "wrong_password")])
def test_locked_files_ask_for_the_password(parse_bytes: ParseBytes, password: str | None, code: str) -> None:
    """A missing and a wrong password are told apart."""
    with pytest.raises(ExtractionFailed) as failed:
        parse_bytes(make_pdf([text_page("Secret")], password="right"), PDF, password=password)
    assert failed.value.code == code


def test_the_password_opens_the_file(parse_bytes: ParseBytes) -> None:
    """And a password for a file without one does no harm."""
    locked, unlocked = make_pdf([text_page("Secret")], password="right"), make_pdf([text_page("Open")])
    assert parse_bytes(locked, PDF, password="right").text == "Secret"
    assert parse_bytes(unlocked, PDF, password="right").text == "Open"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (make_pdf([b""]), "empty_document"),
        (b"%PDF-1.7\nnothing else", "broken_document"),
        (b"", "broken_document"),
        (make_pdf([text_page("x")] * 3), "too_large"),
    ],
)
def test_files_that_cannot_be_read(parse_bytes: ParseBytes, data: bytes, code: str) -> None:
    """Empty, damaged and oversized files are told apart."""
    with pytest.raises(ExtractionFailed) as failed:
        parse_bytes(data, PDF, pages_max=2)
    assert failed.value.code == code


def test_a_damaged_file_is_salvaged(parse_bytes: ParseBytes) -> None:
    """PDFium finds the pages without the table of their places."""
    whole = make_pdf([text_page("still here")])
    damaged = whole.replace(b"xref", b"xxxx").replace(b"00000 n", b"00000 x")
    assert parse_bytes(damaged, PDF).text == "still here"


def test_a_scan_without_ocr_is_no_empty_success(parse_bytes: ParseBytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message tells the operator what to install."""
    monkeypatch.setattr(ocr, "find_tesseract", lambda: None)
    with pytest.raises(ExtractionFailed, match="install tesseract") as failed:
        parse_bytes(make_pdf([PAGE_OF_PICTURE]), PDF)
    assert failed.value.code == "no_text_layer"


def test_one_unread_picture_among_pages_lowers_the_quality(
    parse_bytes: ParseBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages with text are kept."""
    monkeypatch.setattr(ocr, "find_tesseract", lambda: None)
    document = parse_bytes(make_pdf([text_page("text"), PAGE_OF_PICTURE]), PDF)
    assert (document.text, document.quality, len(document.pages)) == ("text", 0.5, 2)


def test_pictures_of_pages_go_through_ocr(parse_bytes: ParseBytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only pages without text are rendered, in grey and without padding between rows."""
    images: list[ocr.GreyImage] = []

    def recognise(image: ocr.GreyImage, tesseract: str) -> str:
        images.append(image)
        return "recognised"

    monkeypatch.setattr(ocr, "find_tesseract", lambda: "tesseract")
    monkeypatch.setattr(ocr, "recognise", recognise)
    document = parse_bytes(make_pdf([text_page("native"), PAGE_OF_PICTURE]), PDF)
    assert document.text == "native\nrecognised"
    assert document.quality == pytest.approx((1 + ocr.OCR_QUALITY) / 2)
    (image,) = images
    assert len(image.pixels) == image.width * image.height
    assert abs(image.width - 400 * ocr.DPI / 72) <= 1


def test_hyphens_that_pdfium_resolved_disappear() -> None:
    """U+0002 marks a hyphen at a line end whose word is already joined."""
    assert clean("eir\x02mod") == "eirmod"
