from __future__ import annotations

import pytest

from ingest.errors import ExtractionFailed
from ingest.parsing.media_types import PPTX
from tests.ingest.parsing.conftest import ParseBytes
from tests.ingest.parsing.samples import CHART, DRAWING, SLIDE, make_pptx, relationships, shape


def test_slides_are_pages_with_titles(parse_bytes: ParseBytes) -> None:
    """Words are whole where their look changes; slide numbers are left out."""
    slides = [
        shape(["S", "ome"], ["R&amp;D ", "costs"]) + shape(["First ", "slide"], kind="title"),
        shape(["7"], kind="sldNum"),
        shape(["Last"], kind="ctrTitle"),
    ]
    document = parse_bytes(make_pptx(slides), PPTX)
    assert document.text == "First slide\n\nSome\nR&D costs\n\nLast"
    assert [document.text[p.start : p.end].strip() for p in document.pages] == [
        "First slide\n\nSome\nR&D costs",
        "",
        "Last",
    ]
    assert [h.title for h in document.headings] == ["First slide", "Last"]
    assert document.title == "First slide"


def test_tables_charts_and_notes_are_text(parse_bytes: ParseBytes) -> None:
    """What stands in other parts of the file belongs to its slide."""
    cells = "".join(f"<a:tc><a:txBody><a:p><a:r><a:t>{t}</a:t></a:r></a:p></a:txBody></a:tc>" for t in "AB")
    slide = f"<p:graphicFrame><a:tbl><a:tr>{cells}</a:tr><a:tr>{cells}</a:tr></a:tbl></p:graphicFrame>"
    chart = (
        f'<c:chartSpace xmlns:c="{CHART}" xmlns:a="{DRAWING}"><c:chart>'
        "<c:title><a:p><a:r><a:t>Sales</a:t></a:r></a:p>"
        "</c:title><c:plotArea><c:ser><c:tx><c:v>2024</c:v></c:tx><c:cat><c:v>Tea</c:v><c:v>Milk</c:v></c:cat>"
        "<c:val><c:v>5</c:v><c:v>7</c:v></c:val></c:ser></c:plotArea></c:chart></c:chartSpace>"
    )
    shapes = shape(["Say", " this"]) + shape(["1"], kind="sldNum")
    notes = f'<p:notes xmlns:p="{SLIDE}" xmlns:a="{DRAWING}">{shapes}</p:notes>'
    extra = {
        "ppt/slides/_rels/slide1.xml.rels": relationships(
            ("chart", "../charts/chart1.xml"), ("notesSlide", "../notesSlides/n1.xml")
        ),
        "ppt/charts/chart1.xml": chart,
        "ppt/notesSlides/n1.xml": notes,
    }
    document = parse_bytes(make_pptx([slide], extra), PPTX)
    assert document.text == "A | B\nA | B\n\nSales\n\n| 2024\nTea | 5\nMilk | 7\n\nNotes:\nSay this"


@pytest.mark.parametrize(
    ("slides", "code"),
    [([], "broken_document"), ([shape([""])], "empty_document"), (["<p:sp>"], "broken_document")],
)
def test_presentations_without_text(parse_bytes: ParseBytes, slides: list[str], code: str) -> None:
    """No slides is damage, slides of pictures are empty."""
    with pytest.raises(ExtractionFailed) as failed:
        parse_bytes(make_pptx(slides), PPTX)
    assert failed.value.code == code


def test_too_many_slides(parse_bytes: ParseBytes) -> None:
    """`pages_max` counts slides."""
    with pytest.raises(ExtractionFailed) as failed:
        parse_bytes(make_pptx([shape(["x"])] * 3), PPTX, pages_max=2)
    assert failed.value.code == "too_large"
