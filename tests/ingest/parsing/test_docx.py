from __future__ import annotations

from datetime import date

import pytest

from ingest.errors import ExtractionFailed
from ingest.parsing.media_types import DOCX
from tests.ingest.parsing.conftest import ParseBytes
from tests.ingest.parsing.samples import CORE_PROPERTIES, WORD, make_docx, paragraph

NUMBERING = f"""<w:numbering xmlns:w="{WORD}"><w:abstractNum w:abstractNumId="0">
<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
</w:abstractNum>
<w:num w:numId="3"><w:abstractNumId w:val="0"/></w:num></w:numbering>"""


def table(*rows: str) -> str:
    """A Word table from the XML of its rows' cells."""
    return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in rows) + "</w:tbl>"


def cell(*paragraphs: str, span: int = 1) -> str:
    """A Word cell with plain paragraphs."""
    body = "".join(map(paragraph, paragraphs))
    return f'<w:tc><w:tcPr><w:gridSpan w:val="{span}"/></w:tcPr>{body}</w:tc>'


def test_text_is_what_a_reader_sees(parse_bytes: ParseBytes) -> None:
    """Signs special in XML and Markdown come out as themselves; formatting parts no words."""
    runs = "<w:p><w:r><w:rPr><w:b/></w:rPr><w:t>bo</w:t></w:r><w:r><w:t>ld</w:t><w:tab/><w:t>x</w:t></w:r></w:p>"
    body = paragraph("R&amp;D: 5 &lt; 6, a_b*c [x](y) C:\\dir # no - heading") + runs
    assert parse_bytes(make_docx(body), DOCX).text == ("R&D: 5 < 6, a_b*c [x](y) C:\\dir # no - heading\n\nbold\tx")


def test_headings_come_from_styles(parse_bytes: ParseBytes) -> None:
    """Also through styles based on a heading; offsets are exact behind characters outside of the BMP."""
    body = paragraph("😀 intro") + paragraph("One", style="H1") + paragraph("text") + paragraph("Two", style="Mine")
    document = parse_bytes(make_docx(body), DOCX)
    assert [(h.level, h.title, h.start) for h in document.headings] == [(1, "One", 9), (2, "Two", 20)]
    assert document.text[20:] == "Two"
    assert document.title == "One"


def test_lists_show_their_numbers(parse_bytes: ParseBytes) -> None:
    """Word stores no numbers; they are counted again, and items stand tight."""
    body = paragraph("first", numbering=(3, 0)) + paragraph("second", numbering=(3, 0)) + paragraph("after")
    document = parse_bytes(make_docx(body, {"word/numbering.xml": NUMBERING}), DOCX)
    assert document.text == "1. first\n2. second\n\nafter"


def test_tables_become_lines(parse_bytes: ParseBytes) -> None:
    """A row is a line; spans keep columns in place; a table of one column frames paragraphs."""
    body = table(cell("A", span=2) + cell("B"), cell("a|1") + cell("") + cell("b", "c"))
    body += table(cell("frame one", "frame two"))
    assert parse_bytes(make_docx(body), DOCX).text == "A |  | B\na|1 |  | b c\n\nframe one\n\nframe two"


def test_what_is_no_longer_or_not_quite_text(parse_bytes: ParseBytes) -> None:
    """Deleted text, field codes and fallbacks go; insertions, text boxes, formulas and footnotes stay."""
    body = (
        "<w:p><w:r><w:t>kept </w:t></w:r><w:del><w:r><w:delText>gone</w:delText><w:t>gone</w:t></w:r></w:del>"
        "<w:ins><w:r><w:t>added</w:t></w:r></w:ins><w:r><w:instrText>PAGE</w:instrText></w:r>"
        '<m:oMath xmlns:m="math"><m:r><m:t>=x+1</m:t></m:r></m:oMath>'
        '<mc:AlternateContent xmlns:mc="mc"><mc:Choice><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p>'
        "</w:txbxContent></mc:Choice><mc:Fallback><w:t>twice</w:t></mc:Fallback></mc:AlternateContent></w:p>"
    )
    notes = (
        f'<w:footnotes xmlns:w="{WORD}"><w:footnote w:type="separator"><w:p><w:r><w:t>-</w:t></w:r></w:p>'
        f"</w:footnote><w:footnote>{paragraph('a note')}</w:footnote></w:footnotes>"
    )
    document = parse_bytes(make_docx(body, {"word/footnotes.xml": notes}), DOCX)
    assert document.text == "kept added=x+1\n\nbox\n\na note"


def test_properties_give_title_and_date(parse_bytes: ParseBytes) -> None:
    """The stated title wins over the first heading."""
    properties = CORE_PROPERTIES.format(title="Plan &amp; budget", modified="2024-02-03T10:00:00Z")
    document = parse_bytes(make_docx(paragraph("One", style="H1"), {"docProps/core.xml": properties}), DOCX)
    assert (document.title, document.document_date) == ("Plan & budget", date(2024, 2, 3))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (make_docx(""), "empty_document"),
        (make_docx(paragraph("x"))[:-40], "broken_document"),
        (b"no zip at all", "broken_document"),
        (make_docx("<w:p>"), "broken_document"),
        (make_docx("", {"word/document.xml": "<other/>"}), "broken_document"),
    ],
)
def test_files_without_a_readable_document(parse_bytes: ParseBytes, data: bytes, code: str) -> None:
    """Empty, truncated and foreign files are told apart."""
    with pytest.raises(ExtractionFailed) as failed:
        parse_bytes(data, DOCX)
    assert failed.value.code == code


def test_tables_nested_too_deeply_are_refused(parse_bytes: ParseBytes) -> None:
    """Content controls may be nested as deeply as one likes."""
    deep = 3_000
    tables = "<w:tbl><w:tr><w:tc>" * deep + paragraph("x") + "</w:tc></w:tr></w:tbl>" * deep
    with pytest.raises(ExtractionFailed, match="nested too deeply"):
        parse_bytes(make_docx(tables), DOCX)
    controls = "<w:sdt>" * deep + paragraph("x") + "</w:sdt>" * deep
    assert parse_bytes(make_docx(controls), DOCX).text == "x"


def test_an_entity_bomb_is_refused(parse_bytes: ParseBytes) -> None:
    """Office files have no document type; whoever declares one means harm."""
    bomb = (
        '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
        f'<w:document xmlns:w="{WORD}"><w:body>{paragraph("&b;")}</w:body></w:document>'
    )
    for document in (bomb, f'<?xml version="1.0" encoding="UTF-16"?>{bomb}'.encode("utf-16")):
        with pytest.raises(ExtractionFailed, match="declares XML entities"):
            parse_bytes(make_docx("", {"word/document.xml": document}), DOCX)
