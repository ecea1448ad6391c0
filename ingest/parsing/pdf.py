"""Reads PDF page by page with PDFium; pages without usable text are recognised from their picture.

PDFium is not thread-safe and may crash on hostile files: this module belongs into a worker process.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from ingest.parsing import cjk, dates, failures, notices, ocr
from ingest.parsing.blocks import Block, TextBuilder, clean, tidy
from ingest.parsing.document import ParsedDocument, ParseLimits, SourceFile

GARBLED_SHARE_MAX = 0.3
CHARACTERS_PER_EM_MIN = 0.6
"""Less than this and characters are missing: 21 sound files have 0.9 to 4.6, one of which PDFium reads a part 0.3."""
RENDER_SIDE_PIXELS_MAX = 6_000
_PLACEHOLDER_TITLE = re.compile(r"\(?(anonymous|untitled)\)?", re.IGNORECASE)
_NUMBERING = re.compile(r"^[\dA-Z]{1,3}(\.\d+)*\.?\s+")
_CONTROL = re.compile("[\x00-\x01\x03-\x08\x0e-\x1f\ufffd]")


@dataclass(frozen=True, slots=True)
class PageText:
    """What was read from one page. `quality` is None for a page that has nothing on it."""

    text: str
    quality: float | None
    is_picture: bool = False


class PdfParser:
    """Text of each page in PDFium's order with exact page spans; headings come from the bookmarks that can be
    found.
    """

    name = "pdfium"

    def parse(self, source: SourceFile, limits: ParseLimits) -> ParsedDocument:
        """See `Parser`. Also raises `ExtractionFailed` with `no_text_layer` for scans that cannot be
        recognised.
        """
        document = _open(source)
        try:
            return self._read(document, source, limits)
        finally:
            document.close()

    def _read(self, document: pdfium.PdfDocument, source: SourceFile, limits: ParseLimits) -> ParsedDocument:
        if len(document) > limits.pages_max:
            raise failures.too_large(source.filename, "has more than", limits.pages_max, "pages")
        if len(document) == 0:
            raise failures.broken(source.filename, "the PDF has no page that can be found")
        tesseract = ocr.find_tesseract()
        builder = TextBuilder(source.filename, limits)
        pages, starts, recognised = [], [], 0
        for index in range(len(document)):
            page = _read_page(document, index, tesseract)
            recognised += tesseract is not None and page.is_picture
            if recognised > limits.ocr_pages_max:
                raise failures.too_large(source.filename, "has more than", limits.ocr_pages_max, "scanned pages")
            builder.begin_page(index + 1, separator="\n")
            starts.append(builder.add(Block(page.text, as_is=True)))
            pages.append(page)
        _require_text(source.filename, pages, tesseract)
        _mark_bookmarks(document, pages, starts, builder)
        return builder.build(
            parser=self.name,
            title=_title(document),
            document_date=dates.parse_date(_metadata(document, "ModDate") or _metadata(document, "CreationDate")),
            quality=_mean_quality(pages),
        )


def _open(source: SourceFile) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(source.path, password=source.password)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) != pdfium_c.FPDF_ERR_PASSWORD:
            raise failures.broken(source.filename, "it is damaged or no PDF at all") from error
        if source.password is None:
            raise failures.password_required(source.filename) from error
        raise failures.wrong_password(source.filename) from error


def _read_page(document: pdfium.PdfDocument, index: int, tesseract: str | None) -> PageText:
    """One page; a page that PDFium cannot load is empty with quality 0, the others go on."""
    try:
        page = document[index]
        text, garbled = _native_text(page)
        if text and garbled <= GARBLED_SHARE_MAX:
            return PageText(text, (1 - garbled) * _completeness(page, text))
        if not text and next(iter(page.get_objects(max_depth=1)), None) is None:
            return PageText("", None)
        if tesseract is None:
            return PageText("", 0.0, is_picture=True)
        recognised = tidy(ocr.recognise(_render(page), tesseract))
        notices.page_recognised()
    except pdfium.PdfiumError:
        return PageText("", 0.0)
    return PageText(recognised, ocr.OCR_QUALITY if recognised else 0.0, is_picture=True)


def _native_text(page: pdfium.PdfPage) -> tuple[str, float]:
    """The page's own text, cleaned, and the share of its characters that have no meaning as Unicode.

    Text outside of the page is left out (`get_text_range` would include it). U+0002 stands for a hyphen at
    the end of a line whose word PDFium has already joined.
    """
    textpage = page.get_textpage()
    raw = textpage.get_text_bounded()
    unmapped = sum(pdfium_c.FPDFText_HasUnicodeMapError(textpage, i) == 1 for i in range(textpage.count_chars()))
    garbled = min(1.0, (unmapped + len(_CONTROL.findall(raw))) / max(1, len(raw)))
    text = clean(raw)
    return tidy(cjk.close_gaps(text) if cjk.is_spaced_out(text) else text), garbled


def _completeness(page: pdfium.PdfPage, text: str) -> float:
    """Share in [0, 1] of the printed text that the extracted characters can account for.

    PDFium leaves glyphs without a meaning in Unicode out without a trace, but not the space that they take: text set in
    full-width characters has one for each font size of its length, Latin text about two.
    """
    printed = sum(map(_printed_ems, page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_TEXT], max_depth=5)))
    characters = sum(not character.isspace() for character in text)
    return min(1.0, characters / max(1.0, CHARACTERS_PER_EM_MIN * printed))


def _printed_ems(text_object: Any) -> float:
    """Length of a text object in its own font size; 0 where it has none."""
    nominal = ctypes.c_float()
    if not pdfium_c.FPDFTextObj_GetFontSize(text_object.raw, ctypes.byref(nominal)):
        return 0.0
    matrix = text_object.get_matrix()
    size = nominal.value * max(math.hypot(matrix.a, matrix.b), math.hypot(matrix.c, matrix.d))
    left, bottom, right, top = text_object.get_bounds()
    return float(max(right - left, top - bottom) / size) if size > 0 else 0.0


def _render(page: pdfium.PdfPage) -> ocr.GreyImage:
    scale = min(ocr.DPI / 72, RENDER_SIDE_PIXELS_MAX / max(*page.get_size(), 1))
    bitmap = page.render(scale=scale, grayscale=True)
    width, height, stride = bitmap.width, bitmap.height, bitmap.stride
    padded = bytes(bitmap.buffer)
    rows = (padded[y * stride : y * stride + width] for y in range(height))
    return ocr.GreyImage(width, height, b"".join(rows))


def _require_text(filename: str, pages: list[PageText], tesseract: str | None) -> None:
    """Say why there is no text at all: an empty success would hide the document for ever."""
    if any(page.text for page in pages):
        return
    if any(page.is_picture for page in pages):
        reason = (
            "OCR recognised nothing on them"
            if tesseract
            else "OCR is not installed here; ask the operator to install tesseract, or upload a text version"
        )
        raise failures.no_text_layer(filename, reason)
    if any(page.quality == 0 for page in pages):
        raise failures.broken(filename, "none of its pages can be loaded")


def _mean_quality(pages: list[PageText]) -> float:
    counted = [page.quality for page in pages if page.quality is not None]
    return sum(counted) / max(1, len(counted))


def _title(document: pdfium.PdfDocument) -> str | None:
    title = _metadata(document, "Title").strip()
    return None if _PLACEHOLDER_TITLE.fullmatch(title) else title or None


def _metadata(document: pdfium.PdfDocument, key: str) -> str:
    value: str = document.get_metadata_value(key)
    return value


def _mark_bookmarks(
    document: pdfium.PdfDocument, pages: list[PageText], starts: list[int | None], builder: TextBuilder
) -> None:
    """Each bookmark whose title is a line of the page it points to makes that line a heading."""
    for level, title, index in _bookmarks(document):
        start = starts[index] if index < len(starts) else None
        if start is not None and (found := _find_line(pages[index].text, title)) is not None:
            builder.mark_heading(min(level + 1, 6), title, start + found)


def _bookmarks(document: pdfium.PdfDocument) -> Iterator[tuple[int, str, int]]:
    for item in document.get_toc():
        title, index = _bookmark_target(item)
        if title and index is not None:
            yield item.level, title, index


def _bookmark_target(bookmark: Any) -> tuple[str, int | None]:
    destination = bookmark.get_dest()
    title = " ".join(clean(bookmark.get_title()).split())
    return title, destination.get_index() if destination else None


def _find_line(text: str, title: str) -> int | None:
    """Where the first line begins that reads `title`, with or without a number before it; None if there is
    none.
    """
    start = 0
    for line in text.split("\n"):
        plain = " ".join(line.split())
        if title in (plain, _NUMBERING.sub("", plain)):
            return start
        start += len(line) + 1
    return None
