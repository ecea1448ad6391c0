"""Several searches for one question made one ranking."""

from __future__ import annotations

from dataclasses import replace

from retrieve import Hit, Ranking
from retrieve.joining import joined
from tests.hits import hit_of


def passage(document: int, text: str = "", *, start: int = 0, version: int = 1) -> Hit:
    made = hit_of(f"d{document}", text or f"Text of {document}.", start=start)
    keys = {"document_pk": document, "original_pk": document, "version_pk": 10 * document + version}
    return replace(made, version=version, **keys)


def ranking(*hits: Hit, seq: int = 5, vector: bool = False, **timings: float) -> Ranking:
    ranked = tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1))
    return Ranking(ranked, "g", seq, None, vector, timings)


def test_one_search_is_its_own_ranking() -> None:
    """Nothing is joined where a question has no parts."""
    alone = ranking(passage(1), passage(1, start=3))
    assert joined([alone], top_k=1, collapse=True) is alone


def test_searches_take_turns_and_a_passage_counts_once() -> None:
    """At its best place, with the score of the search that put it there; at most as many as are wanted."""
    first = ranking(passage(1), passage(2), passage(3), fuse=1.0, embed=4.0)
    second = ranking(replace(passage(2), score=9.0), passage(4), passage(1), seq=3, vector=True, fuse=2.0)
    both = joined([first, second], top_k=4, collapse=True)
    assert [(hit.rank, hit.document_id) for hit in both.hits] == [(1, "d1"), (2, "d2"), (3, "d4"), (4, "d3")]
    assert both.hits[1].score == 9.0
    assert (both.snapshot_seq, both.vector_used, both.timings_ms) == (3, True, {"fuse": 2.0, "embed": 4.0})


def test_overlapping_passages_of_two_searches_become_one() -> None:
    """No text is read twice, and none of either is lost."""
    text = "One two three four."
    both = joined([ranking(passage(1, text[:13])), ranking(passage(1, text[4:], start=4))], top_k=8, collapse=True)
    [hit] = both.hits
    assert (hit.text, hit.char_start, hit.char_end) == (text, 0, len(text))


def test_near_duplicates_collapse_if_that_is_set() -> None:
    """As within one search."""
    copy = replace(passage(2, "It sails at nine."), original_pk=1)
    searches = [ranking(passage(1, "It sails at nine.")), ranking(copy)]
    [hit] = joined(searches, top_k=8, collapse=True).hits
    assert hit.duplicates == ("d2",)
    assert len(joined(searches, top_k=8, collapse=False).hits) == 2


def test_a_version_replaced_between_two_searches_is_left_out() -> None:
    """An answer rests on one state of each document."""
    searches = [ranking(passage(1, "Old."), passage(2)), ranking(passage(1, "New.", version=2))]
    assert [hit.text for hit in joined(searches, top_k=8, collapse=True).hits] == ["New.", "Text of 2."]
