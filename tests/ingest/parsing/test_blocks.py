from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import ExtractionFailed
from ingest.parsing import ParseLimits
from ingest.parsing.blocks import Block, TextBuilder, clean, table_row
from tests.ingest.parsing.conftest import assert_consistent

BLOCKS = st.builds(
    Block,
    st.text(alphabet=st.sampled_from("aé中😀 \n\t\r\x00\u00ad\u2028#"), max_size=12),
    level=st.integers(0, 6),
    tight=st.booleans(),
)


def test_clean_keeps_only_what_can_be_seen() -> None:
    """Newlines are unified; controls, soft hyphens and byte order marks go; lone surrogates become U+FFFD."""
    assert clean("a\r\nb\rc\x00d\x07e\u00ad\ufefff\u2028g\ud800h\ti") == "a\nb\ncdef\ng\ufffdh\ti"


def test_blocks_are_parted_by_a_blank_line_or_stand_tight() -> None:
    """Headings point at their lines; blank blocks leave no trace."""
    builder = TextBuilder("f", ParseLimits())
    for block in (Block(" Title  here\n", level=1), Block("\n \n"), Block("one"), Block("two", tight=True)):
        builder.add(block)
    document = builder.build(parser="p")
    assert document.text == "Title here\n\none\ntwo"
    assert document.title == "Title here"


@given(st.lists(st.tuples(st.booleans(), BLOCKS), max_size=15))
def test_offsets_are_exact(steps: list[tuple[bool, Block]]) -> None:
    """Pages concatenate to the text and every heading's offset begins its line, whatever is added."""
    builder = TextBuilder("f", ParseLimits())
    number = 1
    builder.begin_page(1)
    for new_page, block in steps:
        if new_page:
            number += 1
            builder.begin_page(number)
        builder.add(block)
    if builder.is_empty or all(not clean(block.text).strip() for _, block in steps):
        with pytest.raises(ExtractionFailed) as failed:
            builder.build(parser="p")
        assert failed.value.code == "empty_document"
    else:
        assert_consistent(builder.build(parser="p"))


def test_text_and_pages_are_bounded() -> None:
    """Crossing a limit raises `too_large` at once."""
    builder = TextBuilder("f", ParseLimits(text_chars_max=5, pages_max=1))
    builder.begin_page(1)
    builder.add(Block("12345"))
    for step in (lambda: builder.add(Block("6")), lambda: builder.begin_page(2)):
        with pytest.raises(ExtractionFailed) as failed:
            step()
        assert failed.value.code == "too_large"


@pytest.mark.parametrize(
    ("cells", "expected"), [(["a", "", "b", ""], "a |  | b"), (["x\ny", " z "], "x y | z"), (["", ""], "")]
)
def test_table_row_keeps_columns_in_place(cells: list[str], expected: str) -> None:
    """Empty cells in the middle stay, those at the end go."""
    assert table_row(cells) == expected
