from __future__ import annotations

from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.errors import ExtractionFailed
from ingest.parsing.media_types import CSV, MARKDOWN, PLAIN, TSV
from ingest.parsing.text import markdown_headings
from tests.ingest.parsing.conftest import ParseBytes

MDX = """---
title: "Common tasks"
date: 2024-05-06
---

# Send a message

```bash
# a comment, no heading
```

<Card title="Kept">Body of the card</Card>

Second part
===========

| a | b |
|---|---|

#### Deep ####
"""


def test_markdown_keeps_its_text_and_marks_its_headings(parse_bytes: ParseBytes) -> None:
    """Front matter stays readable; code is no heading; MDX components keep their bodies."""
    document = parse_bytes(MDX.encode(), MARKDOWN)
    assert document.text == MDX.strip()
    assert [(h.level, h.title) for h in document.headings] == [
        (1, "Send a message"),
        (1, "Second part"),
        (4, "Deep"),
    ]
    assert (document.title, document.document_date) == ("Common tasks", date(2024, 5, 6))


def test_markdown_without_front_matter_is_titled_by_its_first_heading(parse_bytes: ParseBytes) -> None:
    """A byte order mark does not hide it."""
    document = parse_bytes("\ufeff# 标题\r\n\r\n正文".encode(), MARKDOWN)
    assert document.title == "标题"
    assert document.headings[0].start == 0


@pytest.mark.parametrize(
    "text",
    [
        "~~~\n# no\n~~~",
        "````\n```\n# no\n````",
        "#no",
        "    # code",
        "- item\n---",
        "\n---",
        "```\n# never closed",
    ],
)
def test_what_only_looks_like_a_heading(text: str) -> None:
    """Fences, indented code, tags and rules."""
    assert list(markdown_headings(text)) == []


@given(st.text(alphabet=st.sampled_from("#=-`~ ab\n"), max_size=60))
def test_markdown_heading_offsets_begin_lines(text: str) -> None:
    """Every reported offset is the beginning of a line that holds the title."""
    for _, title, start in markdown_headings(text):
        assert start == 0 or text[start - 1] == "\n"
        assert title in text[start:].partition("\n")[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16", "cp1252"])
def test_plain_text_in_common_encodings(parse_bytes: ParseBytes, encoding: str) -> None:
    """The text comes out as written."""
    text = "Ein schöner Tag für Bücher.\nZweite Zeile, größer."
    document = parse_bytes(text.encode(encoding), PLAIN)
    assert document.text == text
    assert (document.title, document.headings, document.pages) == (None, (), ())


@pytest.mark.parametrize("data", [b"", b" \n\t\r\n", b"\xef\xbb\xbf"])
def test_a_file_without_text_is_empty(parse_bytes: ParseBytes, data: bytes) -> None:
    """Blanks and byte order marks are no text."""
    with pytest.raises(ExtractionFailed) as failed:
        parse_bytes(data, PLAIN)
    assert failed.value.code == "empty_document"


@pytest.mark.parametrize(
    ("data", "media_type", "last"),
    [
        (b"a,b\n1,2", CSV, "a: 1; b: 2"),
        (b"a;b\n1,5;2,5", CSV, "a: 1,5; b: 2,5"),
        (b"a\tb\nx\ty,z", TSV, "a: x; b: y,z"),
        (b"a|b\nx|y", CSV, "a: x; b: y"),
        (b"Report of 2024\n\na,b\n1,2", CSV, "a: 1; b: 2"),
        (b'a,b\n"say ""hi"", now",2', CSV, 'a: say "hi", now; b: 2'),
        ("名前,年齢\n佐藤太郎,30\n三木英子,25".encode("cp932"), CSV, "名前: 三木英子; 年齢: 25"),
        (b"a,b\n" + b"x" * 300_000 + b",2", CSV, "a: " + "x" * 300_000 + "; b: 2"),
    ],
)
def test_csv_rows_name_their_columns(parse_bytes: ParseBytes, data: bytes, media_type: str, last: str) -> None:
    """Delimiters are found, quotes undone, huge cells and title lines survive."""
    assert parse_bytes(data, media_type).text.split("\n")[-1] == last


def test_a_stray_quote_does_not_swallow_the_file(parse_bytes: ParseBytes) -> None:
    """The rows after an unclosed quotation mark are still rows."""
    rows = [f"{n},item {n}" for n in range(300)]
    data = "\n".join(["id,name", '0,"unclosed', *rows])
    assert "id: 299; name: item 299" in parse_bytes(data.encode(), CSV).text.split("\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.lists(st.sampled_from(["", "x", "7", "long cell"]), min_size=1, max_size=4), min_size=1))
def test_no_cell_of_a_csv_is_lost(parse_bytes: ParseBytes, rows: list[list[str]]) -> None:
    """Every non-empty cell is in the text."""
    if not any(cell for row in rows for cell in row):
        return
    text = parse_bytes("\n".join(",".join(row) for row in rows).encode(), CSV).text
    for word in {cell for row in rows for cell in row}:
        assert word in text


def test_text_over_the_limit_is_refused(parse_bytes: ParseBytes) -> None:
    """`text_chars_max` and `decompressed_bytes_max` hold for plain files too."""
    for limit in ({"text_chars_max": 10}, {"decompressed_bytes_max": 10}):
        with pytest.raises(ExtractionFailed) as failed:
            parse_bytes(b"more than ten characters", PLAIN, **limit)
        assert failed.value.code == "too_large"


def test_what_must_be_too_long_is_not_decoded(parse_bytes: ParseBytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """No encoding takes more than four bytes a character: a gigabyte is refused by its size, not by a timeout."""
    monkeypatch.setattr("ingest.parsing.text.decode", None)
    with pytest.raises(ExtractionFailed, match="has more than 40 bytes") as failed:
        parse_bytes(b"x" * 41, PLAIN, text_chars_max=10)
    assert failed.value.code == "too_large"
