"""Chunks: exact spans of the text, within the capacity, with the promised overlap, at their page and heading."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunking import ChunkShape, chunk_document, contextual_text
from ingest.parsing.document import Heading, Page, ParsedDocument
from tests.fakes import HashingEncoder

COUNTER = HashingEncoder()
WORDS = st.lists(
    st.sampled_from(
        [
            "the",
            "ferry",
            "left",
            "harbour.",
            "Late!",
            "港口",
            "船已离港。",
            "\n",
            "\n\n",
            "# Fares\n",
            "a,",
            "; ",
            "x" * 40,
        ]
    ),
    max_size=120,
)
SHAPES = st.integers(16, 40).flatmap(lambda tokens: st.builds(ChunkShape, st.just(tokens), st.integers(0, tokens // 2)))


def document(text: str, **structure: object) -> ParsedDocument:
    """A document without a title."""
    return ParsedDocument(text, None, **structure)  # type: ignore[arg-type]


def chunks_of(text: str, tokens: int, overlap: int) -> list[str]:
    """The chunks as strings."""
    return [
        text[chunk.start : chunk.end] for chunk in chunk_document(document(text), COUNTER, ChunkShape(tokens, overlap))
    ]


@pytest.mark.parametrize(
    ("text", "tokens", "overlap", "expected"),
    [
        ("", 16, 0, []),
        ("  \n ", 16, 0, []),
        ("One two. Three four.", 16, 0, ["One two. Three four."]),
        ("One two. Three four. Five six.", 6, 0, ["One two. Three four.", "Five six."]),
        ("One two. Three four. Five six.", 6, 3, ["One two. Three four.", "Three four. Five six."]),
        ("One two. Three four. Five six.", 6, 2, ["One two. Three four.", "four. Five six."]),
        ("船已离港。天气晴朗。请等候。", 10, 0, ["船已离港。天气晴朗。", "请等候。"]),
        ("船已离港。天气晴朗。请等候。", 10, 5, ["船已离港。天气晴朗。", "天气晴朗。请等候。"]),
        ("one two three four five six", 3, 0, ["one two three", "four five six"]),
        ("one two, three four five", 4, 0, ["one two,", "three four five"]),
    ],
)
def test_chunks(text: str, tokens: int, overlap: int, expected: list[str]) -> None:
    """Whole sentences within the capacity; overlap of whole sentences, else of words; long sentences cut at clauses."""
    assert chunks_of(text, tokens, overlap) == expected


@settings(deadline=None, max_examples=120)
@given(WORDS, SHAPES)
def test_chunks_cover_the_text_in_order_within_the_capacity(words: list[str], shape: ChunkShape) -> None:
    """What is visible lies in a chunk; starts and ends ascend; no chunk is empty or too large; numbers count from 0."""
    text = " ".join(words)
    chunks = chunk_document(document(text), COUNTER, shape)
    covered = {place for chunk in chunks for place in range(chunk.start, chunk.end)}
    assert {place for place, character in enumerate(text) if not character.isspace()} <= covered
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert chunk.start < chunk.end
        assert len(COUNTER.token_spans([text[chunk.start : chunk.end]])[0]) <= shape.tokens
        assert chunk.tokens <= shape.tokens
    for before, after in pairwise(chunks):
        assert before.start < after.start
        assert before.end < after.end
        shared = text[after.start : before.end] if after.start < before.end else ""
        assert len(COUNTER.token_spans([shared])[0]) <= shape.overlap


@settings(deadline=None, max_examples=60)
@given(WORDS, SHAPES)
def test_chunking_is_deterministic(words: list[str], shape: ChunkShape) -> None:
    """The same text and shape give the same chunks: a lost index can be rebuilt and compared."""
    parsed = document(" ".join(words))
    assert chunk_document(parsed, COUNTER, shape) == chunk_document(parsed, COUNTER, shape)


def test_a_token_without_end_cannot_make_an_endless_chunk() -> None:
    """A line of base64 counts as a token for every twelve characters."""
    chunks = chunk_document(document("x" * 1000), COUNTER, ChunkShape(16, 4))
    assert max(chunk.end - chunk.start for chunk in chunks) == 16 * 12
    assert (chunks[0].start, chunks[-1].end) == (0, 1000)


def test_pages_and_headings_are_those_where_the_chunk_begins() -> None:
    """A chunk that runs over the end of a page belongs to the page where it begins; so with headings."""
    text = "Intro here.\n\n# Fares\nAdults pay four pounds.\n\n# Dogs\nDogs travel free."
    fares, dogs = text.index("# Fares"), text.index("# Dogs")
    parsed = document(
        text,
        headings=(Heading(1, "Fares", fares), Heading(1, "Dogs", dogs)),
        pages=(Page(1, 0, dogs), Page(2, dogs, len(text))),
    )
    chunks = chunk_document(parsed, COUNTER, ChunkShape(8, 0))
    assert [(text[c.start : c.end], c.page, c.heading) for c in chunks] == [
        ("Intro here.", 1, None),
        ("# Fares\nAdults pay four pounds.", 1, "Fares"),
        ("# Dogs\nDogs travel free.", 2, "Dogs"),
    ]


def test_a_section_does_not_begin_with_the_end_of_the_one_before() -> None:
    """Overlap joins what goes on; a new heading does not."""
    text = "One two three four five six.\n\n# Next\nSeven eight."
    parsed = document(text, headings=(Heading(1, "Next", text.index("#")),))
    chunks = chunk_document(parsed, COUNTER, ChunkShape(16, 8))
    assert [text[c.start : c.end] for c in chunks] == ["One two three four five six.", "# Next\nSeven eight."]


@pytest.mark.parametrize(
    ("title", "heading", "text", "expected"),
    [
        (None, None, "body", "body"),
        ("Title", "Heading", "body", "Title\nHeading\nbody"),
        ("Same", "Same", "body", "Same\nbody"),
        ("Fares", None, "# Fares\nbody", "# Fares\nbody"),
        ("t" * 200, None, "body", "t" * 160 + "\nbody"),
    ],
)
def test_contextual_text(title: str | None, heading: str | None, text: str, expected: str) -> None:
    """Title and heading stand before the text once, cut to 160 characters, unless the text begins with them."""
    assert contextual_text(title, heading, text) == expected


@pytest.mark.parametrize("text", ["渡轮九点离港" * 40_000, "渡轮九点离港。" * 40_000, "ferry " * 40_000, "a" * 240_000])
def test_an_endless_line_takes_a_time_that_grows_with_its_length_only(text: str) -> None:
    """Nor does it take the memory of all its tokens; every character is in a chunk, none is too large."""
    begun = time.process_time()
    chunks = chunk_document(ParsedDocument(text, None), HashingEncoder(), ChunkShape(200, 40))
    assert time.process_time() - begun < 20  # a second or two; with the square of the length it would be minutes
    assert max(chunk.tokens for chunk in chunks) <= 200
    ends = 0
    for chunk in chunks:
        assert chunk.start <= ends or not text[ends : chunk.start].strip()
        ends = chunk.end
    assert not text[ends:].strip()


def test_a_heading_that_is_a_whole_text_is_cut() -> None:
    """It would go with every passage under it into each search and answer."""
    line = "# " + "Garden rules " * 2000
    chunks = chunk_document(
        document(f"{line}\nA plot is free.", headings=(Heading(1, line[2:], 0),)), COUNTER, ChunkShape(40, 8)
    )
    assert {len(chunk.heading or "") for chunk in chunks} == {500}
