from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import ExtractionFailed
from ingest.parsing.html import read_html
from ingest.parsing.media_types import HTML
from tests.ingest.parsing.conftest import ParseBytes

PAGE = """<!DOCTYPE html><html><head><title>A &amp; B</title><style>p {}</style>
<meta property="article:modified_time" content="2024-03-04T00:00:00Z"></head><body>
<h1>First <i>part</i></h1><p>R&amp;D 5 &lt; 6,
  a_b*c <b>bo</b>ld<br>next <a href="http://x.invalid/">link</a><img alt="no" src=x></p>
<script>var no = "<p>no</p>";</script><ul><li>one<li>two</ul><ol start=3><li>three</li><li>four</li></ol>
<pre>  keep
    this</pre><h2>Second</h2>tail</body></html>"""


def test_text_is_what_a_browser_shows(parse_bytes: ParseBytes) -> None:
    """Entities, formatting inside of words, lists, preformatted text; no scripts, targets or pictures."""
    document = parse_bytes(PAGE.encode(), HTML)
    assert document.text == (
        "First part\n\nR&D 5 < 6, a_b*c bold\nnext link\n\n- one\n- two\n3. three\n4. four\n\n"
        "keep\n    this\n\nSecond\n\ntail"
    )
    assert [(h.level, h.title) for h in document.headings] == [(1, "First part"), (2, "Second")]
    assert (document.title, document.document_date) == ("A & B", date(2024, 3, 4))


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<table><tr><th>A<th>B<tr><td>1<td>2</table>", "A | B\n1 | 2"),
        ("<table><tr><td colspan=2>A<td>B<tr><td>1<td><td>2</table>", "A |  | B\n1 |  | 2"),
        ("<table><tr><table><tr><td>in a row</table>", "in a row"),
        ("<table><tr><td><p>a</p><p>b</p></td><td>c</td></tr></table>", "a b | c"),
        ("<table><tr><td><h2>H</h2><p>text</p></td><td>side</td></tr></table>", "H\n\ntext\n\nside"),
        ("<table><tr><td>o<table><tr><td>i<td>j</table></td><td>p</td></tr></table>", "o i | j | p"),
        ("<td>loose</td><td>cells</td>", "loose\n\ncells"),
        ("before<table><tr><td>never closed", "before\n\nnever closed"),
        ("</table></ul></li></h1>text", "text"),
    ],
)  # fmt: skip
def test_tables(parse_bytes: ParseBytes, markup: str, expected: str) -> None:
    """Data rows are lines; layout cells are paragraphs; broken nesting loses nothing."""
    assert parse_bytes(markup.encode(), HTML).text == expected


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="shift_jis">', "cp932"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=gb2312">', "gb18030"),
        ('<?xml version="1.0" encoding="euc-jp"?>', "euc-jp"),
        ("", "utf-8"),
        ("", "utf-16"),
        ("", "cp932"),
    ],
)
def test_declared_and_undeclared_encodings(parse_bytes: ParseBytes, head: str, encoding: str) -> None:
    """The charset in the markup counts, then detection."""
    text = "設定を確認してください。日本語の文章です。"
    if encoding == "gb18030":
        text = "请确认设置是否正确，这是中文。"
    assert parse_bytes(f"{head}<p>{text}</p>".encode(encoding), HTML).text == text


@pytest.mark.parametrize("tag", ["div", "table><tr><td", "ul><li", "b", "svg"])
def test_deep_nesting_is_read_in_linear_time(parse_bytes: ParseBytes, tag: str) -> None:
    """Thirty thousand open elements neither crash nor take long; a picture language never holds text."""
    markup = f"<p>start</p>{f'<{tag}>' * 30_000}deep".encode()
    text = parse_bytes(markup, HTML).text
    assert text.startswith("start")
    assert ("deep" in text) == (tag != "svg")


def test_a_page_without_text_is_empty(parse_bytes: ParseBytes) -> None:
    """Scripts are no text."""
    with pytest.raises(ExtractionFailed) as failed:
        parse_bytes(b"<html><title>t</title><script>x</script></html>", HTML)
    assert failed.value.code == "empty_document"


TOKENS = [
    "<table>",
    "</table>",
    "<tr>",
    "<td>",
    "</td>",
    "<p>",
    "</p>",
    "<h1>",
    "</h1>",
    "<li>",
    "</ul>",
    "<pre>",
]


@given(st.lists(st.sampled_from([*TOKENS, "word "]), max_size=40))
def test_no_word_is_lost_in_tag_soup(tokens: list[str]) -> None:
    """Whatever the nesting, every word comes out once."""
    text = " ".join(block.text for block in read_html("".join(tokens)).blocks)
    assert text.count("word") == tokens.count("word ")
