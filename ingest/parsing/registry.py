"""The one place that says which parser reads which media type. Libraries are imported on first use only."""

from __future__ import annotations

import importlib
from typing import Final

from ingest.errors import ExtractionFailed
from ingest.parsing import media_types
from ingest.parsing.document import Parser

_PARSERS: Final = {
    media_types.PDF: "pdf:PdfParser",
    media_types.DOCX: "docx:DocxParser",
    media_types.PPTX: "pptx:PptxParser",
    media_types.XLSX: "office:OfficeParser",
    media_types.XLS: "office:OfficeParser",
    media_types.DOC: "office:OfficeParser",
    media_types.ODT: "office:OfficeParser",
    media_types.EPUB: "office:OfficeParser",
    media_types.RTF: "office:OfficeParser",
    media_types.MSG: "office:OfficeParser",
    media_types.HTML: "html:HtmlParser",
    media_types.MARKDOWN: "text:MarkdownParser",
    media_types.PLAIN: "text:PlainTextParser",
    media_types.CSV: "text:CsvParser",
    media_types.TSV: "text:CsvParser",
    media_types.EML: "mail:EmlParser",
}


def parser_for(media_type: str) -> Parser:
    """A parser for one of the media types that `detect_media_type` gives.

    Raises `ExtractionFailed` (`unsupported_media_type`) for others, among them corpora, which are expanded
    elsewhere.
    """
    if media_type not in _PARSERS:
        raise ExtractionFailed(
            f"no parser reads {media_type}; readable are {', '.join(sorted(_PARSERS))}",
            code="unsupported_media_type",
        )
    module, _, name = _PARSERS[media_type].partition(":")
    parser: Parser = getattr(importlib.import_module(f"ingest.parsing.{module}"), name)()
    return parser
